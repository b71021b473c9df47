//! Source plans with what can be computed once for them, and a cache of the
//! geometry between grids.
//!
//! Relating two grids takes PROJ some hundred microseconds. Bands of a scene
//! share their grid and chunks share their scenes, so the geometry is kept; the
//! plans themselves are put together from it in no time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use datacube_geo::{
    Affine, Approximation, GeoBox, GridTransform, PixelWindow, Shape2d, WindowTransform,
};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::params::{BandParams, Resampling, WarpScale};
use crate::plan::{GridPair, ReadPlan, SourcePlan};
use crate::reader::RasterInfo;
use crate::source::RasterSource;
use crate::warp::{Anchor, Axis, Kernel, PixelMap, Points};

/// A source plan, ready to be carried out for any chunk.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) plan: SourcePlan,
    pub(super) kernel: Kernel,
}

impl Prepared {
    pub(super) fn new(plan: SourcePlan) -> Self {
        let kernel = plan.kernel();
        Prepared { plan, kernel }
    }

    /// What is read for `window` of the output.
    pub(super) fn read(&self, window: &PixelWindow) -> Result<Option<ReadPlan>> {
        self.plan.read(window)
    }

    /// The shape of the level that is read.
    pub(super) fn level_shape(&self) -> Shape2d {
        self.plan.info.src().shape()
    }

    /// Where the output pixels of `window` lie in the level.
    pub(super) fn map(&self, window: &PixelWindow) -> Result<WindowMap> {
        let info = &self.plan.info;
        if let Some(affine) = info.transform().linear()
            && let Some(axes) = axes(affine, info.dst().shape())
        {
            return Ok(WindowMap::Axes(axes));
        }
        let map = match self.kernel.points() {
            Points::Centre => info.transform().window(window).map(WindowMap::Centres),
            Points::TwoCorners => corners(info.transform(), &info.anchor, window),
            Points::AllCorners => mesh(info.transform(), window),
        };
        map.map_err(|error| Error::Geo {
            uri: None,
            problem: format!("finding the source of the output's {window}"),
            source: error.into(),
        })
    }
}

/// The two axes of a map without rotation. A rotation that moves no pixel of
/// the output by more than rounding does is none.
fn axes(affine: &Affine, dst: Shape2d) -> Option<(Axis, Axis)> {
    const ROUNDING_PX: f64 = 1e-9;
    #[allow(
        clippy::cast_precision_loss,
        reason = "grids have fewer than 2^52 pixels a side"
    )]
    let (rows, cols) = (dst.rows as f64, dst.cols as f64);
    let is_upright = affine.b.abs() * rows < ROUNDING_PX && affine.d.abs() * cols < ROUNDING_PX;
    is_upright.then_some((
        Axis {
            scale: affine.a,
            offset: affine.c,
        },
        Axis {
            scale: affine.e,
            offset: affine.f,
        },
    ))
}

/// Positions of the corners of pixels: those of the centres of a grid that is
/// moved by half a pixel.
fn corners(
    transform: &GridTransform,
    anchor: &PixelWindow,
    window: &PixelWindow,
) -> datacube_geo::Result<WindowMap> {
    // GDAL takes the upper-left corners of a row for one line of points and the
    // lower-right ones for another, and approximates each for itself.
    let positions = |by: usize| {
        let approximation = match transform.approximation() {
            Approximation::Gdal { tolerance_px, .. } => Approximation::Gdal {
                tolerance_px: *tolerance_px,
                anchor: anchor.shifted(by, by),
            },
            other => other.clone(),
        };
        corner_grid(transform, approximation, &window.shifted(by, by))
    };
    Ok(WindowMap::Corners(Box::new((positions(0)?, positions(1)?))))
}

/// How exactly corners are found where each is shared by four pixels, in source
/// pixels. What an error moves out of one sum it moves into another, so GDAL's
/// 0.125 would show.
const MESH_TOLERANCE_PX: f64 = 1e-5;

/// Positions of the corners of pixels, each corner once.
fn mesh(transform: &GridTransform, window: &PixelWindow) -> datacube_geo::Result<WindowMap> {
    let window = PixelWindow::new(
        window.rows.start..window.rows.end + 1,
        window.cols.start..window.cols.end + 1,
    );
    let approximation = match transform.approximation() {
        Approximation::Exact => Approximation::Exact,
        _ => Approximation::Lattice {
            tolerance_px: MESH_TOLERANCE_PX,
        },
    };
    corner_grid(transform, approximation, &window).map(WindowMap::Centres)
}

/// Positions of those corners of the output's pixels that are in `window`, which
/// counts corners.
fn corner_grid(
    transform: &GridTransform,
    approximation: Approximation,
    window: &PixelWindow,
) -> datacube_geo::Result<WindowTransform> {
    let dst = transform.dst();
    let shape = Shape2d::new(dst.rows() + 1, dst.cols() + 1);
    let affine = *dst.affine() * Affine::translation(-0.5, -0.5);
    let corners = GeoBox::new(shape, affine, dst.crs().cloned())?;
    GridTransform::with(&corners, transform.src(), approximation)?.window(window)
}

/// Where the output pixels of one window lie in the source.
pub(super) enum WindowMap {
    Axes((Axis, Axis)),
    /// The one point of each pixel that the kernel asks for, or all corners.
    Centres(WindowTransform),
    /// Upper-left and lower-right corners.
    Corners(Box<(WindowTransform, WindowTransform)>),
}

impl PixelMap for WindowMap {
    fn axes(&self) -> Option<(Axis, Axis)> {
        match self {
            WindowMap::Axes(axes) => Some(*axes),
            _ => None,
        }
    }

    fn positions(
        &self,
        row: usize,
        cols: Range<usize>,
        anchor: Anchor,
        xs: &mut [f64],
        ys: &mut [f64],
    ) {
        match (self, anchor) {
            (WindowMap::Centres(map), _) => map.fill_row(row, cols, xs, ys),
            (WindowMap::Corners(maps), Anchor::LowerRight) => {
                maps.1
                    .fill_row(row + 1, cols.start + 1..cols.end + 1, xs, ys);
            }
            (WindowMap::Corners(maps), _) => maps.0.fill_row(row, cols, xs, ys),
            (WindowMap::Axes((x, y)), _) => {
                let by = match anchor {
                    Anchor::Centre => 0.5,
                    Anchor::UpperLeft => 0.0,
                    Anchor::LowerRight => 1.0,
                };
                ys.fill(y.of(row, by));
                for (col, position) in cols.zip(xs) {
                    *position = x.of(col, by);
                }
            }
        }
    }
}

/// Two grids and what of the parameters matters for the geometry between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: GeoBox,
    dst: GeoBox,
    resampling: Resampling,
    warp_scale: WarpScale,
}

/// Pairs of grids that were met lately.
#[derive(Default)]
pub(super) struct PreparedCache {
    pairs: Mutex<Generations>,
}

/// What was used since the last change, and what was before it.
#[derive(Default)]
struct Generations {
    recent: HashMap<Key, Arc<GridPair>>,
    older: HashMap<Key, Arc<GridPair>>,
}

/// Pairs in one of the two generations. A pair takes a kilobyte or two.
const GENERATION: usize = 4096;

impl PreparedCache {
    /// The plan for a source onto `dst`.
    pub(super) fn get(
        &self,
        header: &RasterInfo,
        source: &RasterSource,
        params: &BandParams,
        dst: &GeoBox,
    ) -> Result<Arc<Prepared>> {
        let plan = SourcePlan::decide(header, source, params, dst, &mut |src| {
            let key = Key {
                src: src.clone(),
                dst: dst.clone(),
                resampling: params.resampling,
                warp_scale: params.warp_scale,
            };
            self.pair(key).map(|pair| (*pair).clone())
        })?;
        Ok(Arc::new(Prepared::new(plan)))
    }

    fn pair(&self, key: Key) -> datacube_geo::Result<Arc<GridPair>> {
        if let Some(pair) = self.pairs.lock().find(&key) {
            return Ok(pair);
        }
        // Not under the lock: two tasks may do the same work, once.
        let pair = GridPair::new(&key.src, &key.dst, key.resampling, key.warp_scale)?;
        let pair = Arc::new(pair);
        self.pairs.lock().put(key, Arc::clone(&pair));
        Ok(pair)
    }
}

impl Generations {
    fn find(&mut self, key: &Key) -> Option<Arc<GridPair>> {
        if let Some(pair) = self.recent.get(key) {
            return Some(Arc::clone(pair));
        }
        let (key, pair) = self.older.remove_entry(key)?;
        self.put(key, Arc::clone(&pair));
        Some(pair)
    }

    fn put(&mut self, key: Key, pair: Arc<GridPair>) {
        if self.recent.len() >= GENERATION {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key, pair);
    }
}
