//! The warp of a load for pixels that are in memory: computed on one grid, wanted
//! on another.
//!
//! What a load does with a file it does here with an array: the same plan from
//! grid to grid, the same kernels, the same rule for what is missing. There are no
//! overviews, no scale and nothing to fetch; a rectangle of the result names the
//! rectangle of the source that it is made of, and is made of that.

use std::borrow::Cow;

use bytemuck::Pod;
use datacube_geo::{GeoBox, PixelWindow};
use datacube_model::{DType, Number};
use serde::{Deserialize, Serialize};

use super::decode::typed;
use super::prepare::Prepared;
use super::put::paste;
use crate::buffer::fill_bytes;
use crate::error::{Error, Result};
use crate::fuse::{Collision, Mosaic};
use crate::nodata::Missing;
use crate::params::{BandParams, Resampling, WarpScale};
use crate::plan::{GridPair, SourcePlan};
use crate::warp::{Sample, SourceWindow, Warp, WarpScratch};
use crate::with_pixel_type;

/// Which pixels are brought onto which grid, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegridSpec {
    /// The grid that the pixels are on.
    pub src: GeoBox,
    /// The grid that they are wanted on.
    pub dst: GeoBox,
    /// Their type, before and after.
    pub dtype: DType,
    /// What marks missing pixels, before and after; NaN always does. Without it
    /// what is missing of an integer is 0, as far as the source has no pixel there.
    pub nodata: Option<Number>,
    /// How values between source pixels are found.
    pub resampling: Resampling,
    /// Whether kernels widen when pixels shrink.
    pub warp_scale: WarpScale,
}

/// Pixels on one grid from pixels on another.
///
/// A pixel of the result does not depend on the rectangle that it is made with.
///
/// ```
/// use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
/// use datacube_load::{Regrid, RegridSpec, Resampling, WarpScale};
/// use datacube_model::DType;
/// let crs = Crs::from_epsg(32755)?;
/// let fine = GeoBox::new(Shape2d::new(1, 4), Affine::scale(10.0, -10.0), Some(crs.clone()))?;
/// let coarse = GeoBox::new(Shape2d::new(1, 2), Affine::scale(20.0, -10.0), Some(crs))?;
/// let regrid = Regrid::new(RegridSpec {
///     src: fine,
///     dst: coarse,
///     dtype: DType::UInt8,
///     nodata: None,
///     resampling: Resampling::Average,
///     warp_scale: WarpScale::Auto,
/// })?;
/// let dst = PixelWindow::new(0..1, 1..2);
/// let src = regrid.window(&dst)?.expect("the grids meet");
/// let mut out = [0];
/// regrid.run(Some((&src, &[1, 3, 5, 7][src.cols.clone()])), &dst, &mut out)?;
/// assert_eq!(out, [6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Regrid {
    spec: RegridSpec,
    prepared: Prepared,
}

impl Regrid {
    /// Decides how the two grids meet.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for complex pixels and for a source of 2^31 pixels a
    /// side; [`Error::Geo`] where the two grids cannot be related.
    pub fn new(spec: RegridSpec) -> Result<Self> {
        if spec.dtype.is_complex() {
            return Err(Error::Unsupported {
                uri: None,
                what: format!("reprojecting pixels of {}", spec.dtype),
                supported: "real pixel types".into(),
            });
        }
        let side = spec.src.rows().max(spec.src.cols());
        if i32::try_from(side).is_err() {
            return Err(Error::Unsupported {
                uri: None,
                what: format!("reprojecting a grid of {side} pixels a side"),
                supported: "fewer than 2147483648".into(),
            });
        }
        let pair = GridPair::new(&spec.src, &spec.dst, spec.resampling, spec.warp_scale);
        let pair = pair.map_err(|error| {
            let crs = |grid: &GeoBox| grid.crs().map_or("no CRS".to_owned(), ToString::to_string);
            Error::Geo {
                uri: None,
                problem: format!("bringing {} onto {}", crs(&spec.src), crs(&spec.dst)),
                source: error.into(),
            }
        })?;
        let plan = SourcePlan {
            level: 0,
            dtype: spec.dtype,
            nodata: spec.nodata,
            resampling: spec.resampling,
            kernel_scale: pair.kernel_scale,
            info: pair.info,
        };
        Ok(Regrid {
            spec,
            prepared: Prepared::new(plan),
        })
    }

    /// What it was made of.
    pub fn spec(&self) -> &RegridSpec {
        &self.spec
    }

    /// The pixels of the source that `dst` is made of; `None` where the source has
    /// nothing of it.
    ///
    /// # Errors
    /// [`Error::Geo`] where the coordinate systems cannot be set up.
    pub fn window(&self, dst: &PixelWindow) -> Result<Option<PixelWindow>> {
        Ok(self.prepared.read(dst)?.map(|plan| plan.src))
    }

    /// Makes `dst` of the pixels that [`Regrid::window`] names.
    ///
    /// `src` is that window with its pixels, `out` becomes those of `dst`: C order,
    /// native byte order, `out` aligned to the type. What no source pixel gives is
    /// nodata; without one, NaN or 0.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for another window or sizes that do not fit;
    /// [`Error::Geo`] where positions cannot be found.
    pub fn run(
        &self,
        src: Option<(&PixelWindow, &[u8])>,
        dst: &PixelWindow,
        out: &mut [u8],
    ) -> Result<()> {
        let dtype = self.spec.dtype;
        let fill = BandParams::new("", dtype)
            .with_nodata(self.spec.nodata)
            .fill();
        if out.len() != dst.pixels() * dtype.size() {
            return Err(Error::invalid(format!(
                "{dst} takes {} bytes of {dtype}, and the output has {}",
                dst.pixels() * dtype.size(),
                out.len()
            )));
        }
        fill_bytes(dtype, out, fill)?;
        let Some(plan) = self.prepared.read(dst)? else {
            return Ok(());
        };
        let pixels = match src {
            Some((window, pixels)) if *window == plan.src => pixels,
            other => {
                return Err(Error::invalid(format!(
                    "{dst} is made of the source's {}, and was given {}",
                    plan.src,
                    other.map_or("nothing".to_owned(), |(window, _)| window.to_string())
                )));
            }
        };
        if pixels.len() != plan.src.pixels() * dtype.size() {
            return Err(Error::invalid(format!(
                "the source's {} takes {} bytes, and has {}",
                plan.src,
                plan.src.pixels() * dtype.size(),
                pixels.len()
            )));
        }
        with_pixel_type!(
            dtype,
            D => self.put::<D>(&plan, &as_pixels::<D>(pixels), dst, typed::<D>(out)?),
            otherwise Err(Error::Internal("complex pixels were refused".into()))
        )
    }

    fn put<D: Sample>(
        &self,
        plan: &crate::plan::ReadPlan,
        pixels: &[D],
        dst: &PixelWindow,
        out: &mut [D],
    ) -> Result<()> {
        let (mut given, mut wanted) = (Vec::new(), Vec::new());
        let collision = Collision::of(self.spec.resampling);
        let n_cols = dst.cols.len();
        let nodata = self.spec.nodata;
        let mut mosaic = Mosaic::new(out, n_cols, nodata, collision, &mut given, &mut wanted);
        mosaic.next_member(true, true);
        let missing = Missing::<D>::new(nodata);
        let origin = (dst.rows.start, dst.cols.start);
        if let Some(how) = &self.prepared.plan.info.paste {
            let shift = (how.offset.y, how.offset.x);
            let mut valid = Vec::new();
            return paste(
                plan,
                pixels,
                missing,
                None,
                shift,
                origin,
                &mut valid,
                &mut mosaic,
            );
        }
        let mut marks = Vec::new();
        let any_missing = missing.mark(pixels, &mut marks);
        let marks = any_missing.then_some(&marks[..]);
        let map = self.prepared.map(&plan.dst)?;
        Warp {
            src: SourceWindow::new(pixels, marks, &plan.src, self.prepared.level_shape()),
            kernel: self.prepared.kernel,
            dst: &plan.dst,
            origin,
        }
        .run(&map, &mut WarpScratch::default(), &mut mosaic)
    }
}

/// Bytes as pixels, copied where they lie askew.
fn as_pixels<T: Pod>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(pixels) => Cow::Borrowed(pixels),
        Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(bytes)),
    }
}
