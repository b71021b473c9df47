//! Arrays that were computed, on another grid: the loader's warp as a step of a
//! lazy plan.
//!
//! The engine asks which pixels of the input a chunk of the result needs and makes
//! no more of it, so an array is reprojected without being held. Chunks fit
//! together exactly: a pixel's value does not depend on the chunk it is made in.

use std::fmt;
use std::sync::Arc;

use datacube_compute::regional::{PlaneMap, Rectangle};
use datacube_compute::{Chunks, Cube, DataArray, SourceError};
use datacube_geo::{GeoBox, PixelWindow};
use datacube_load::{Regrid, RegridSpec, Resampling, WarpScale};
use datacube_model::DType;

use crate::coords::{GRID_MAPPING, HasGeoBox, cube_coords};
use crate::{Error, Result};

/// Key of this kind of plane map in a [`datacube_compute::SourceCodec`].
pub const REGRID_KIND: &str = "datacube.regrid";

/// How arrays are brought onto another grid.
#[derive(Debug, Clone, Default)]
pub struct ReprojectOptions {
    /// How values between pixels are found; default nearest.
    pub resampling: Resampling,
    /// Whether kernels widen when pixels shrink; default [`WarpScale::Auto`].
    pub warp_scale: WarpScale,
    /// Chunks of the result; default 2048 pixels a side, other dimensions 1.
    pub chunks: Option<Chunks>,
}

/// The array, whose last two dimensions are y and x, on the grid `dst`; lazy.
///
/// Missing pixels are NaN and the array's nodata, and stay that. What the array
/// does not cover is nodata; without one, NaN, and 0 of integers and bool.
///
/// # Errors
/// As [`HasGeoBox::geobox`]; [`Error::Load`] for grids that cannot be related.
///
/// # Source
/// odc-geo, `xr_reproject`. DIFFERENCE: kernels widen when pixels shrink, as GDAL's
/// own default has it; [`WarpScale::Unit`] is what odc-geo asks for.
pub fn reproject(array: &DataArray, dst: &GeoBox, options: &ReprojectOptions) -> Result<DataArray> {
    onto(array, &array.geobox()?, dst, options)
}

/// Every variable of the cube that has pixels on its grid, on the grid `dst`; lazy.
///
/// # Errors
/// As [`reproject`].
pub fn reproject_cube(cube: &Cube, dst: &GeoBox, options: &ReprojectOptions) -> Result<Cube> {
    let src = cube.geobox()?;
    cube_onto(cube, &src, dst, |_| Ok(options.clone()))
}

/// A cube that is on `src`, on `dst`; options by the name of a variable.
pub(crate) fn cube_onto(
    cube: &Cube,
    src: &GeoBox,
    dst: &GeoBox,
    options: impl Fn(&str) -> Result<ReprojectOptions>,
) -> Result<Cube> {
    let on_grid = src.dimensions();
    let mut arrays = Vec::with_capacity(cube.len());
    for (name, array) in cube.variables() {
        let has_pixels = on_grid
            .iter()
            .all(|dim| array.dims().iter().any(|own| own == dim));
        let array = match has_pixels {
            true => onto(array, src, dst, &options(name)?)?,
            false => array.clone(),
        };
        arrays.push((name.to_owned(), array));
    }
    let mut attrs = cube.attrs().clone();
    if let Some(crs) = dst.crs() {
        attrs.insert("crs", crs.as_str());
    }
    Ok(Cube::new(arrays)?.with_attrs(attrs))
}

fn onto(
    array: &DataArray,
    src: &GeoBox,
    dst: &GeoBox,
    options: &ReprojectOptions,
) -> Result<DataArray> {
    let dtype = array.dtype();
    let mut attrs = array.attrs().clone();
    let regrid = Regrid::new(RegridSpec {
        src: src.clone(),
        dst: dst.clone(),
        dtype,
        nodata: attrs
            .nodata()
            .filter(|nodata| dtype != DType::Bool && nodata.fits(dtype)),
        resampling: options.resampling,
        warp_scale: options.warp_scale,
    })?;
    let mut coords = cube_coords(dst, &[])?;
    coords.remove("time");
    let chunks = options
        .chunks
        .clone()
        .unwrap_or_else(|| default_chunks(array, dst));
    let map = Arc::new(GridMap(regrid));
    let made = array.regrid(map, dst.dimensions(), coords, &chunks)?;
    if let Some(crs) = dst.crs() {
        attrs.insert("crs", crs.as_str());
        attrs.insert("grid_mapping", GRID_MAPPING);
    }
    Ok(made.with_attrs(attrs))
}

fn default_chunks(array: &DataArray, dst: &GeoBox) -> Chunks {
    let lead = array.ndim().saturating_sub(2);
    let mut chunks = Chunks::whole().rest(2048);
    for dim in &array.dims()[..lead] {
        if !dst.dimensions().contains(&dim.as_str()) {
            chunks = chunks.with(dim.as_str(), 1);
        }
    }
    chunks
}

/// The loader's [`Regrid`] as the engine sees it.
struct GridMap(Regrid);

impl GridMap {
    fn window([rows, cols]: &Rectangle) -> PixelWindow {
        PixelWindow::new(rows.clone(), cols.clone())
    }
}

impl PlaneMap for GridMap {
    fn kind(&self) -> &'static str {
        REGRID_KIND
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self.0.spec(), &mut bytes).map_err(SourceError::new)?;
        Ok(bytes)
    }

    fn src_shape(&self) -> [usize; 2] {
        let src = &self.0.spec().src;
        [src.rows(), src.cols()]
    }

    fn dst_shape(&self) -> [usize; 2] {
        let dst = &self.0.spec().dst;
        [dst.rows(), dst.cols()]
    }

    fn dtype(&self) -> DType {
        self.0.spec().dtype
    }

    fn wants(&self, dst: &Rectangle) -> Option<Rectangle> {
        let window = self.0.window(&Self::window(dst)).ok()??;
        Some([window.rows, window.cols])
    }

    fn scratch_bytes(&self, src_pixels: usize, _dst_pixels: usize) -> usize {
        // One mark for each source pixel; rows of positions are small beside it.
        src_pixels
    }

    fn run(
        &self,
        src: Option<(&Rectangle, &[u8])>,
        dst: &Rectangle,
        out: &mut [u8],
    ) -> Result<(), SourceError> {
        let window = src.map(|(rectangle, pixels)| (Self::window(rectangle), pixels));
        let src = window.as_ref().map(|(window, pixels)| (window, *pixels));
        self.0
            .run(src, &Self::window(dst), out)
            .map_err(SourceError::new)
    }
}

impl fmt::Debug for GridMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.0.spec();
        let crs = |grid: &GeoBox| grid.crs().map_or("no CRS".to_owned(), ToString::to_string);
        write!(
            f,
            "regrid {} to {}, {}",
            crs(&spec.src),
            crs(&spec.dst),
            spec.resampling
        )
    }
}

/// The map that was encoded as `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Arc<dyn PlaneMap>, SourceError> {
    let spec: RegridSpec = ciborium::from_reader(bytes).map_err(SourceError::new)?;
    let regrid = Regrid::new(spec).map_err(SourceError::new)?;
    Ok(Arc::new(GridMap(regrid)))
}

/// The resampling of that name among names by variable; nearest where none is said.
pub(crate) fn resampling_of(
    names: &indexmap::IndexMap<String, String>,
    variable: &str,
) -> Result<Resampling> {
    let name = names.get(variable).or_else(|| names.get("*"));
    match name {
        None => Ok(Resampling::Nearest),
        Some(name) => name.parse().map_err(Error::from),
    }
}
