//! Where the pixels of one grid lie in another.
//!
//! PROJ costs some 0.2 us a point, too much for every pixel, so between exact
//! points there is interpolation. Which points are exact depends on the two
//! grids only and never on the window that is asked for: a pixel gets the same
//! two numbers, to the last bit, whichever chunk it is computed in.

use super::pixel_map::PixelMap;
use super::window::{Kind, WindowTransform};
use super::{lattice, rows};
use crate::{Affine, Error, GeoBox, PixelWindow, Result, Xy};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How positions between exact ones are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approximation {
    /// Not at all: PROJ for every pixel.
    Exact,
    /// By surfaces of second order over square cells of the destination, each
    /// checked against PROJ and divided until it is within `tolerance_px`
    /// source pixels, in the end to single pixels.
    Lattice {
        /// Largest error in source pixels, on each axis.
        tolerance_px: f64,
    },
    /// By straight lines along the rows, as GDAL's approximate transformer does
    /// it: bit for bit what GDAL, rasterio and ODC use when they warp onto
    /// `anchor`. Its error is larger than the lattice's, and systematic; it is
    /// for agreeing with them.
    Gdal {
        /// Largest error in source pixels, both axes added; GDAL's default is
        /// 0.125.
        tolerance_px: f64,
        /// The part of the destination that GDAL would be given. Pixels beyond
        /// it are exact.
        anchor: PixelWindow,
    },
}

impl Approximation {
    /// The lattice's default bound. Nearest neighbours then differ from the
    /// exact ones in less than two pixels of a thousand at the very worst, and
    /// in practice hardly ever, since errors fall with the third power of the
    /// cell size.
    pub const LATTICE_TOLERANCE_PX: f64 = 0.002;

    /// GDAL's default bound.
    pub const GDAL_TOLERANCE_PX: f64 = 0.125;
}

/// Maps pixel coordinates of a destination grid to pixel coordinates of a
/// source grid.
///
/// Cheap to clone, usable from any thread; serialises as the two grids and the
/// [`Approximation`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct GridTransform {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dst: GeoBox,
    src: GeoBox,
    approximation: Approximation,
    map: PixelMap,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    dst: GeoBox,
    src: GeoBox,
    approximation: Approximation,
}

impl From<GridTransform> for Wire {
    fn from(t: GridTransform) -> Self {
        Self {
            dst: t.inner.dst.clone(),
            src: t.inner.src.clone(),
            approximation: t.inner.approximation.clone(),
        }
    }
}

impl TryFrom<Wire> for GridTransform {
    type Error = Error;

    fn try_from(w: Wire) -> Result<Self> {
        Self::with(&w.dst, &w.src, w.approximation)
    }
}

impl PartialEq for GridTransform {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.inner, &other.inner);
        Arc::ptr_eq(a, b)
            || (a.dst == b.dst && a.src == b.src && a.approximation == b.approximation)
    }
}

impl GridTransform {
    /// The map from pixels of `dst` to pixels of `src`, within
    /// [`Approximation::LATTICE_TOLERANCE_PX`] source pixels.
    ///
    /// # Errors
    /// [`Error::MissingCrs`] when only one of the two has a CRS;
    /// [`Error::NoTransform`].
    pub fn new(dst: &GeoBox, src: &GeoBox) -> Result<Self> {
        let tolerance_px = Approximation::LATTICE_TOLERANCE_PX;
        Self::with(dst, src, Approximation::Lattice { tolerance_px })
    }

    /// The exact map: the judge of the others, and slow.
    ///
    /// # Errors
    /// As [`GridTransform::new`].
    pub fn exact(dst: &GeoBox, src: &GeoBox) -> Result<Self> {
        Self::with(dst, src, Approximation::Exact)
    }

    /// The map as GDAL has it when it warps onto `anchor`, a part of `dst`.
    ///
    /// # Errors
    /// As [`GridTransform::new`].
    pub fn gdal(dst: &GeoBox, src: &GeoBox, anchor: PixelWindow) -> Result<Self> {
        let tolerance_px = Approximation::GDAL_TOLERANCE_PX;
        Self::with(
            dst,
            src,
            Approximation::Gdal {
                tolerance_px,
                anchor,
            },
        )
    }

    /// The map with an approximation of choice. Grids of one CRS need none, and
    /// get none.
    ///
    /// # Errors
    /// As [`GridTransform::new`]; [`Error::OutOfRange`] for a tolerance that is
    /// not positive.
    pub fn with(dst: &GeoBox, src: &GeoBox, approximation: Approximation) -> Result<Self> {
        if let Approximation::Lattice { tolerance_px } | Approximation::Gdal { tolerance_px, .. } =
            approximation
            && !(tolerance_px > 0.0 && tolerance_px.is_finite())
        {
            return Err(Error::OutOfRange {
                what: format!("a tolerance of {tolerance_px} pixels"),
                bounds: "numbers above zero (Approximation::Exact is without error)".to_owned(),
            });
        }
        let map = PixelMap::new(dst, src)?;
        Ok(Self {
            inner: Arc::new(Inner {
                dst: dst.clone(),
                src: src.clone(),
                approximation,
                map,
            }),
        })
    }

    /// The grid that pixels are mapped from.
    #[must_use]
    pub fn dst(&self) -> &GeoBox {
        &self.inner.dst
    }

    /// The grid that pixels are mapped to.
    #[must_use]
    pub fn src(&self) -> &GeoBox {
        &self.inner.src
    }

    /// How positions between exact ones are found.
    #[must_use]
    pub fn approximation(&self) -> &Approximation {
        &self.inner.approximation
    }

    /// The whole map as one affine, when both grids are in one CRS.
    #[must_use]
    pub fn linear(&self) -> Option<&Affine> {
        self.inner.map.linear()
    }

    pub(crate) fn map(&self) -> &PixelMap {
        &self.inner.map
    }

    /// Maps any points in place, exactly: pixel coordinates of the destination
    /// in, of the source out. Those that do not project become NaN.
    ///
    /// # Errors
    /// [`Error::NoTransform`] when this thread cannot set PROJ up.
    pub fn points(&self, xs: &mut [f64], ys: &mut [f64]) -> Result<()> {
        self.inner.map.apply(xs, ys)
    }

    /// As [`GridTransform::points`] for one; `None` if it does not project.
    ///
    /// # Errors
    /// As [`GridTransform::points`].
    pub fn point(&self, p: Xy) -> Result<Option<Xy>> {
        let (mut x, mut y) = ([p.x], [p.y]);
        self.points(&mut x, &mut y)?;
        let p = Xy::new(x[0], y[0]);
        Ok(p.is_finite().then_some(p))
    }

    /// The positions of all pixel centres of `window`, ready to be read row by
    /// row. Costs in proportion to the window, not to the grid, and gives the
    /// same numbers for a pixel whatever the window.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the window reaches beyond the destination;
    /// [`Error::NoTransform`] as [`GridTransform::points`].
    pub fn window(&self, window: &PixelWindow) -> Result<WindowTransform> {
        let Inner {
            dst,
            approximation,
            map,
            ..
        } = &*self.inner;
        if !PixelWindow::full(dst.shape()).contains(window) {
            return Err(Error::OutOfRange {
                what: format!("the window of {window}"),
                bounds: format!("{} pixels", dst.shape()),
            });
        }
        let kind =
            match (map, approximation) {
                (PixelMap::Linear(a), _) => Kind::Linear(*a),
                _ if window.is_empty() => Kind::Linear(Affine::IDENTITY),
                (_, Approximation::Exact) => Kind::Rows(rows::exact(map, window)?),
                (_, Approximation::Lattice { tolerance_px }) => Kind::Lattice(
                    lattice::Lattice::new(map, dst.shape(), window, *tolerance_px)?,
                ),
                (
                    _,
                    Approximation::Gdal {
                        tolerance_px,
                        anchor,
                    },
                ) => Kind::Rows(rows::gdal(map, anchor, window, *tolerance_px)?),
            };
        Ok(WindowTransform::new(window.clone(), kind))
    }
}
