//! Source pixels to output pixels, as GDAL's warper computes them.
//!
//! A [`Warp`] is one member's part of one chunk: a window of source pixels, a
//! kernel, and where output pixels lie in the source. It is worked through by
//! output rows; each row goes to a sink as values and marks. Two ways lead to
//! the same results: [`separable`] where columns follow columns, [`points`] for
//! everything else.
//!
//! A pixel's value depends on its own position in the output grid and on the
//! source pixels that it takes. It does not depend on the window, the chunk or
//! the other pixels of the row: chunked and whole give the same bits.

mod area;
mod average;
mod cover;
mod kernel;
mod locate;
mod mode;
mod points;
mod sample;
pub(crate) mod scale;
mod separable;
mod simd;
mod sum;
mod taps;
mod widened;
mod window;

use std::ops::Range;

use datacube_geo::PixelWindow;
use datacube_model::DType;

pub(crate) use kernel::{Kernel, Points};
pub(crate) use sample::Sample;
pub(crate) use window::SourceWindow;

use crate::buffer::PixelBuffer;
use crate::error::Result;
use crate::fuse::RowSink;
use cover::{Corners, Cover, Margin};
use mode::Votes;
use points::PointScratch;
use separable::{Enough, RowScratch, Taps};
use sum::Mesh;
use taps::{TapRule, pixel_at};

/// One axis of a map without rotation: source = `scale` * output + `offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) scale: f64,
    pub(crate) offset: f64,
}

impl Axis {
    /// Where position `x` of the output lies in the source.
    #[inline(always)]
    #[allow(
        clippy::suboptimal_flops,
        reason = "a fused multiply would not give the same bits everywhere"
    )]
    fn at(self, x: f64) -> f64 {
        self.scale * x + self.offset
    }

    /// Where the point that is `by` into pixel `idx` of the output lies.
    pub(crate) fn of(self, idx: usize, by: f64) -> f64 {
        self.at(edge(idx) + by)
    }
}

/// Which points of output pixels are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Centre,
    UpperLeft,
    LowerRight,
}

/// Where the pixels of an output grid lie in a source, in source pixels.
///
/// A position is a function of the output pixel alone. Failed ones are NaN.
pub(crate) trait PixelMap {
    /// The two axes, where columns follow columns and rows follow rows.
    fn axes(&self) -> Option<(Axis, Axis)>;

    /// Positions of one point of each pixel of `cols` in `row`. Upper-left
    /// corners may be asked for of one row and one column more than there are
    /// pixels, where the kernel takes all corners.
    fn positions(
        &self,
        row: usize,
        cols: Range<usize>,
        anchor: Anchor,
        xs: &mut [f64],
        ys: &mut [f64],
    );
}

/// One member's part of a chunk.
pub(crate) struct Warp<'a, W> {
    pub(crate) src: SourceWindow<'a, W>,
    pub(crate) kernel: Kernel,
    /// The output pixels to compute, in the whole output grid.
    pub(crate) dst: &'a PixelWindow,
    /// The first row and column of the chunk that the sink holds.
    pub(crate) origin: (usize, usize),
}

/// Memory that warps work in, kept from one to the next.
#[derive(Default)]
pub(crate) struct WarpScratch {
    values: Option<PixelBuffer>,
    valid: Vec<u8>,
    taps: Taps,
    row: RowScratch,
    point: PointScratch,
    xs: Vec<f64>,
    ys: Vec<f64>,
    xs2: Vec<f64>,
    ys2: Vec<f64>,
    columns: Vec<i32>,
}

impl<W: Sample> Warp<'_, W> {
    /// Computes every row that `sink` wants.
    ///
    /// # Errors
    /// [`crate::Error::InvalidRequest`] for a row longer than memory.
    pub(crate) fn run(
        &self,
        map: &dyn PixelMap,
        scratch: &mut WarpScratch,
        sink: &mut dyn RowSink<W>,
    ) -> Result<()> {
        let n = self.dst.cols.len();
        if n == 0 || self.dst.rows.is_empty() {
            return Ok(());
        }
        let mut values = scratch
            .values
            .take()
            .unwrap_or_else(|| PixelBuffer::empty(DType::UInt8));
        values.reset(W::DTYPE, datacube_geo::Shape2d { rows: 1, cols: n })?;
        scratch.valid.clear();
        scratch.valid.resize(n, 0);
        let row_values = values
            .as_slice_mut::<W>()
            .expect("the buffer was given this type");
        match (map.axes(), self.kernel) {
            (Some((x, y)), Kernel::Nearest) => {
                self.nearest_columns(x, y, scratch, row_values, sink);
            }
            (
                Some((x, y)),
                Kernel::Bilinear | Kernel::Cubic | Kernel::Widened { .. } | Kernel::Average(_),
            ) => self.separable(x, y, scratch, row_values, sink),
            _ => self.points(map, scratch, row_values, sink),
        }
        scratch.values = Some(values);
        Ok(())
    }

    /// Nearest where columns follow columns: one source row gives one output row.
    fn nearest_columns(
        &self,
        x: Axis,
        y: Axis,
        scratch: &mut WarpScratch,
        values: &mut [W],
        sink: &mut dyn RowSink<W>,
    ) {
        let n_cols = self.src.full_cols();
        // Inside, columns are a range: the map is monotone.
        scratch.columns.clear();
        scratch.columns.extend(
            self.dst
                .cols
                .clone()
                .map(|col| pixel_at(x.at(centre(col)), n_cols).unwrap_or(-1)),
        );
        let columns = &scratch.columns;
        let Some(first) = columns.iter().position(|&col| col >= 0) else {
            return;
        };
        let last = columns.iter().rposition(|&col| col >= 0).unwrap_or(first);
        let columns = &columns[first..=last];
        let is_shift = columns.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let values = &mut values[..columns.len()];
        let valid = &mut scratch.valid[..columns.len()];
        let col = self.dst.cols.start + first - self.origin.1;
        let at = |col: i32| usize::try_from(col - self.src.col0()).unwrap_or(usize::MAX);
        let has_all = |n: usize| columns.iter().all(|&col| at(col) < n);
        if !has_all(self.src.n_cols()) {
            debug_assert!(false, "the window has every column that is asked for");
            return;
        }
        for row in self.dst.rows.clone() {
            if !sink.wants(row - self.origin.0) {
                continue;
            }
            let Some(src_row) = pixel_at(y.at(centre(row)), self.src.full_rows()) else {
                continue;
            };
            let Some(pixels) = self.src.row(src_row) else {
                debug_assert!(false, "the window has every row that is asked for");
                continue;
            };
            let valid = self.src.missing_row(src_row).map(|missing| {
                for (valid, &col) in valid.iter_mut().zip(columns) {
                    *valid = 1 - missing[at(col)];
                }
                &*valid
            });
            let values = if is_shift {
                &pixels[at(columns[0])..][..columns.len()]
            } else {
                for (value, &col) in values.iter_mut().zip(columns) {
                    *value = pixels[at(col)];
                }
                &*values
            };
            sink.put(row - self.origin.0, col, values, valid);
        }
    }

    /// A kernel that is a product of two, where columns follow columns.
    fn separable(
        &self,
        x: Axis,
        y: Axis,
        scratch: &mut WarpScratch,
        values: &mut [W],
        sink: &mut dyn RowSink<W>,
    ) {
        self.find_taps(x, y, &mut scratch.taps);
        for (idx, row) in self.dst.rows.clone().enumerate() {
            let chunk_row = row - self.origin.0;
            if !sink.wants(chunk_row) {
                continue;
            }
            let valid = &mut scratch.valid;
            if separable::row(
                &self.src,
                &scratch.taps,
                idx,
                &mut scratch.row,
                values,
                valid,
            ) {
                sink.put(
                    chunk_row,
                    self.dst.cols.start - self.origin.1,
                    values,
                    Some(valid),
                );
            }
        }
    }

    fn find_taps(&self, x: Axis, y: Axis, taps: &mut Taps) {
        for axis in [
            &mut taps.x,
            &mut taps.y,
            &mut taps.x_fallback,
            &mut taps.y_fallback,
        ] {
            axis.clear();
        }
        taps.x_centre.clear();
        taps.y_centre.clear();
        let (n_cols, n_rows) = (self.src.full_cols(), self.src.full_rows());
        let (cols, rows) = (self.dst.cols.clone(), self.dst.rows.clone());
        let rules = match self.kernel {
            Kernel::Average(margin) => {
                let cover = |axis: Axis, margin: f64, idx: usize, n: i32| -> Option<Cover> {
                    let (low, high) = (edge(idx), edge(idx + 1));
                    Margin::cover(margin, axis.at(low), axis.at(high), n)
                };
                cols.for_each(|col| taps.x.push_cover(cover(x, margin.x, col, n_cols)));
                rows.for_each(|row| taps.y.push_cover(cover(y, margin.y, row, n_rows)));
                taps.x.finish();
                taps.y.finish();
                taps.enough = Enough::ANY;
                return;
            }
            Kernel::Cubic => {
                taps.enough = Enough::INTERPOLATED;
                (TapRule::Cubic, TapRule::Cubic)
            }
            Kernel::Widened { filter, scales } => {
                taps.enough = Enough::of(filter);
                let rule = |scale| TapRule::Widened { filter, scale };
                (rule(scales.0), rule(scales.1))
            }
            _ => {
                taps.enough = Enough::INTERPOLATED;
                (TapRule::Bilinear, TapRule::Bilinear)
            }
        };
        let mut weights = vec![0.0; rules.0.max_taps().max(rules.1.max_taps())];
        for (axis, rule, n, range, taps, fallback, centres) in [
            (
                x,
                rules.0,
                n_cols,
                cols,
                &mut taps.x,
                &mut taps.x_fallback,
                &mut taps.x_centre,
            ),
            (
                y,
                rules.1,
                n_rows,
                rows,
                &mut taps.y,
                &mut taps.y_fallback,
                &mut taps.y_centre,
            ),
        ] {
            for idx in range {
                let position = axis.at(centre(idx));
                let pixel = pixel_at(position, n);
                centres.push(pixel.unwrap_or(-1));
                let mut push = |taps: &mut taps::AxisTaps, rule: TapRule| {
                    let (start, count) =
                        pixel.map_or((0, 0), |_| rule.taps(position, n, &mut weights));
                    taps.push(start, &weights[..count]);
                };
                push(taps, rule);
                if rule == TapRule::Cubic {
                    push(fallback, TapRule::Bilinear);
                }
            }
            taps.finish();
            fallback.finish();
        }
    }

    /// Any kernel, pixel by pixel.
    fn points(
        &self,
        map: &dyn PixelMap,
        scratch: &mut WarpScratch,
        values: &mut [W],
        sink: &mut dyn RowSink<W>,
    ) {
        // One more for the corners at the end of a row.
        let n = self.dst.cols.len().min(SEGMENT) + 1;
        let WarpScratch {
            valid,
            point,
            xs,
            ys,
            xs2,
            ys2,
            ..
        } = scratch;
        for coordinates in [&mut *xs, &mut *ys, &mut *xs2, &mut *ys2] {
            coordinates.clear();
            coordinates.resize(n, f64::NAN);
        }
        let mut votes = Votes::default();
        let mut under = area::Values::new();
        point.start(&self.src, self.kernel.n_taps());
        for row in self.dst.rows.clone() {
            let chunk_row = row - self.origin.0;
            if !sink.wants(chunk_row) {
                continue;
            }
            for start in self.dst.cols.clone().step_by(SEGMENT) {
                let cols = start..(start + SEGMENT).min(self.dst.cols.end);
                let n = cols.len();
                let points = self.kernel.points();
                let n_points = n + usize::from(points == Points::AllCorners);
                let (xs, ys) = (&mut xs[..n_points], &mut ys[..n_points]);
                let (xs2, ys2) = (&mut xs2[..n_points], &mut ys2[..n_points]);
                let (values, valid) = (&mut values[..n], &mut valid[..n]);
                match points {
                    Points::Centre => map.positions(row, cols, Anchor::Centre, xs, ys),
                    Points::TwoCorners => {
                        map.positions(row, cols.clone(), Anchor::UpperLeft, xs, ys);
                        map.positions(row, cols, Anchor::LowerRight, xs2, ys2);
                    }
                    Points::AllCorners => {
                        let cols = cols.start..cols.end + 1;
                        map.positions(row, cols.clone(), Anchor::UpperLeft, xs, ys);
                        map.positions(row + 1, cols, Anchor::UpperLeft, xs2, ys2);
                    }
                }
                let corners = Corners {
                    left: xs,
                    top: ys,
                    right: xs2,
                    bottom: ys2,
                };
                match self.kernel {
                    Kernel::Nearest => points::nearest(&self.src, point, xs, ys, values, valid),
                    Kernel::Bilinear => points::bilinear(&self.src, point, xs, ys, values, valid),
                    Kernel::Cubic => points::cubic(&self.src, point, xs, ys, values, valid),
                    Kernel::Widened { filter, scales } => {
                        widened::widened(&self.src, filter, scales, point, xs, ys, values, valid);
                    }
                    Kernel::Average(margin) => {
                        average::average(&self.src, margin, corners, point, values, valid);
                    }
                    Kernel::Mode(margin) => {
                        mode::mode(&self.src, margin, corners, &mut votes, values, valid);
                    }
                    Kernel::Reduced { reduction, margin } => {
                        let under = &mut under;
                        area::reduce(&self.src, reduction, margin, corners, under, values, valid);
                    }
                    Kernel::Sum(margin) => {
                        let mesh = Mesh {
                            top: (xs, ys),
                            bottom: (xs2, ys2),
                        };
                        sum::sum(&self.src, margin, mesh, values, valid);
                    }
                }
                sink.put(chunk_row, start - self.origin.1, values, Some(valid));
            }
        }
    }
}

/// Output pixels that are computed in one go, so that all there is of them
/// stays in the nearest cache.
const SEGMENT: usize = 512;

/// The centre of a pixel.
#[inline(always)]
fn centre(idx: usize) -> f64 {
    edge(idx) + 0.5
}

/// The lower edge of a pixel.
#[inline(always)]
#[allow(
    clippy::cast_precision_loss,
    reason = "grids have fewer than 2^52 pixels a side"
)]
fn edge(idx: usize) -> f64 {
    idx as f64
}
