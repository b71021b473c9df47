//! Making one level of overview from the level below it.
//!
//! A reduced pixel covers `ratio` pixels of the finer level in each direction,
//! and `ratio` need not be whole: [`OverviewResampling::Average`] weighs each
//! source pixel by the part of it that is covered and leaves nodata out.

use std::ops::Range;

use bytemuck::Pod;
use datacube_model::{DType, Number};
use half::f16;

/// How overview pixels come from the pixels they cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverviewResampling {
    /// One of the pixels that are covered. For classes and bit flags, whose mean
    /// has no meaning.
    Nearest,
    /// The mean of the valid pixels that are covered, weighted by area; nodata
    /// where there is none. For quantities.
    Average,
}

/// A rectangle of pixels of the finer level.
pub(super) struct Source<'a, T> {
    pub(super) pixels: &'a [T],
    /// Where `pixels` begins in its level.
    pub(super) origin: (usize, usize),
    /// Pixels in one row of `pixels`.
    pub(super) cols: usize,
}

/// One axis of a reduction: sizes of the finer and the coarser level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) src: usize,
    pub(super) dst: usize,
}

impl Axis {
    #[allow(clippy::cast_precision_loss, reason = "image sizes are far below 2^53")]
    fn ratio(self) -> f64 {
        self.src as f64 / self.dst as f64
    }

    /// Whether each reduced pixel covers two whole ones.
    fn halves(self) -> bool {
        self.src == 2 * self.dst
    }

    /// The pixels of the finer level that `dst` needs.
    pub(super) fn src_range(self, dst: &Range<usize>) -> Range<usize> {
        let first = self.span(dst.start).0;
        let (start, weights) = self.span(dst.end - 1);
        first..start + weights.len()
    }

    /// First source pixel under `dst` and the covered part of each.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positions inside an image are non-negative and far below 2^53"
    )]
    fn span(self, dst: usize) -> (usize, Vec<f64>) {
        const EPSILON: f64 = 1e-8;
        let (begin, end) = (dst as f64 * self.ratio(), (dst + 1) as f64 * self.ratio());
        let first = ((begin + EPSILON).floor() as usize).min(self.src - 1);
        let last = ((end - EPSILON).ceil() as usize).clamp(first + 1, self.src);
        let weights = (first..last)
            .map(|at| (end.min((at + 1) as f64) - begin.max(at as f64)).clamp(0.0, 1.0))
            .map(|weight| if weight > 1.0 - EPSILON { 1.0 } else { weight })
            .collect();
        (first, weights)
    }

    /// The source pixel that nearest takes, as GDAL does.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positions inside an image are non-negative and far below 2^53"
    )]
    fn nearest(self, dst: usize) -> usize {
        ((0.5 + dst as f64 * self.ratio()) as usize).min(self.src - 1)
    }
}

/// A pixel type that can be averaged.
trait Sample: Pod + PartialEq {
    fn to_f64(self) -> f64;
    /// Rounded to the nearest value of the type, halves away from zero as in GDAL.
    fn from_mean(mean: f64) -> Self;
    /// The neighbour of a nodata that a mean which hits it by chance becomes,
    /// so that a valid pixel stays valid.
    fn beside(self) -> Self;
}

macro_rules! integer_samples {
    ($($t:ty),*) => {$(
        impl Sample for $t {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_lossless,
                reason = "means of 64-bit integers are good to 53 bits"
            )]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean lies between values of the type, and `as` saturates"
            )]
            fn from_mean(mean: f64) -> Self {
                mean.round() as $t
            }

            fn beside(self) -> Self {
                self.checked_add(1).unwrap_or(self - 1)
            }
        }
    )*};
}
integer_samples!(u8, i8, u16, i16, u32, i32, u64, i64);

impl Sample for f16 {
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }
    fn from_mean(mean: f64) -> Self {
        f16::from_f64(mean)
    }
    fn beside(self) -> Self {
        f16::from_bits(self.to_bits() ^ 1)
    }
}

impl Sample for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "rounding to single precision is meant"
    )]
    fn from_mean(mean: f64) -> Self {
        mean as f32
    }
    fn beside(self) -> Self {
        f32::from_bits(self.to_bits() ^ 1)
    }
}

impl Sample for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_mean(mean: f64) -> Self {
        mean
    }
    fn beside(self) -> Self {
        f64::from_bits(self.to_bits() ^ 1)
    }
}

/// Bytes in, bytes out: `src` holds the source rectangle, `out` gets the rows of
/// the destination window with `out_cols` pixels a row.
pub(super) struct Reduction<'a> {
    pub(super) dtype: DType,
    pub(super) resampling: OverviewResampling,
    pub(super) nodata: Option<Number>,
    pub(super) rows: Axis,
    pub(super) cols: Axis,
    pub(super) dst_rows: &'a Range<usize>,
    pub(super) dst_cols: &'a Range<usize>,
    pub(super) out_cols: usize,
}

impl Reduction<'_> {
    pub(super) fn run(&self, src: &Source<'_, u8>, out: &mut [u8]) {
        match (self.resampling, self.dtype) {
            (OverviewResampling::Nearest, _)
            | (OverviewResampling::Average, DType::Bool | DType::Complex64 | DType::Complex128) => {
                self.nearest(src, out);
            }
            (_, DType::UInt8) => self.average::<u8>(src, out),
            (_, DType::Int8) => self.average::<i8>(src, out),
            (_, DType::UInt16) => self.average::<u16>(src, out),
            (_, DType::Int16) => self.average::<i16>(src, out),
            (_, DType::UInt32) => self.average::<u32>(src, out),
            (_, DType::Int32) => self.average::<i32>(src, out),
            (_, DType::UInt64) => self.average::<u64>(src, out),
            (_, DType::Int64) => self.average::<i64>(src, out),
            (_, DType::Float16) => self.average::<f16>(src, out),
            (_, DType::Float32) => self.average::<f32>(src, out),
            (_, DType::Float64) => self.average::<f64>(src, out),
        }
    }

    /// Bytes of a pixel do not matter to nearest.
    fn nearest(&self, src: &Source<'_, u8>, out: &mut [u8]) {
        let size = self.dtype.size();
        let lines = out.chunks_exact_mut(self.out_cols * size);
        for (dst_row, line) in self.dst_rows.clone().zip(lines) {
            let row = self.rows.nearest(dst_row) - src.origin.0;
            for (dst_col, pixel) in self.dst_cols.clone().zip(line.chunks_exact_mut(size)) {
                let col = self.cols.nearest(dst_col) - src.origin.1;
                let at = (row * src.cols + col) * size;
                pixel.copy_from_slice(&src.pixels[at..at + size]);
            }
        }
    }

    fn average<T: Sample>(&self, src: &Source<'_, u8>, out: &mut [u8]) {
        let pixels: &[T] = bytemuck::cast_slice(src.pixels);
        let out: &mut [T] = bytemuck::cast_slice_mut(out);
        let nodata = self.nodata.map(|nodata| nodata_of::<T>(nodata));
        let empty = nodata.unwrap_or_else(|| T::from_mean(f64::NAN));
        if self.rows.halves() && self.cols.halves() {
            self.halve(pixels, src.origin, src.cols, out, nodata, empty);
            return;
        }
        let spans: Vec<_> = self
            .dst_cols
            .clone()
            .map(|col| self.cols.span(col))
            .collect();
        for (dst_row, line) in self
            .dst_rows
            .clone()
            .zip(out.chunks_exact_mut(self.out_cols))
        {
            let (first_row, row_weights) = self.rows.span(dst_row);
            for ((first_col, col_weights), result) in spans.iter().zip(line) {
                let (mut sum, mut weight) = (0.0, 0.0);
                for (row, row_weight) in row_weights.iter().enumerate() {
                    let start =
                        (first_row + row - src.origin.0) * src.cols + first_col - src.origin.1;
                    for (&pixel, col_weight) in pixels[start..].iter().zip(col_weights) {
                        let value = pixel.to_f64();
                        if value.is_nan() || Some(pixel) == nodata {
                            continue;
                        }
                        sum += value * row_weight * col_weight;
                        weight += row_weight * col_weight;
                    }
                }
                *result = mean_of(sum, weight, nodata, empty);
            }
        }
    }

    /// As [`Reduction::average`], where each reduced pixel covers two by two whole
    /// ones: the rule for images of even sizes, and the same sums.
    fn halve<T: Sample>(
        &self,
        pixels: &[T],
        origin: (usize, usize),
        n_cols: usize,
        out: &mut [T],
        nodata: Option<T>,
        empty: T,
    ) {
        let lines = out.chunks_exact_mut(self.out_cols);
        for (dst_row, line) in self.dst_rows.clone().zip(lines) {
            let above = (2 * dst_row - origin.0) * n_cols + 2 * self.dst_cols.start - origin.1;
            let above = &pixels[above..];
            let (above, below) = (above.chunks_exact(2), above[n_cols..].chunks_exact(2));
            let fours = self.dst_cols.clone().zip(above.zip(below));
            for ((_, (above, below)), result) in fours.zip(line) {
                let (mut sum, mut weight) = (0.0, 0.0);
                for pixel in [above[0], above[1], below[0], below[1]] {
                    let value = pixel.to_f64();
                    let is_valid = !value.is_nan() && Some(pixel) != nodata;
                    sum += if is_valid { value } else { 0.0 };
                    weight += if is_valid { 1.0 } else { 0.0 };
                }
                *result = mean_of(sum, weight, nodata, empty);
            }
        }
    }
}

/// The mean of what was summed, as a pixel that is not nodata.
fn mean_of<T: Sample>(sum: f64, weight: f64, nodata: Option<T>, empty: T) -> T {
    if weight <= 0.0 {
        return empty;
    }
    let mean = T::from_mean(sum / weight);
    if Some(mean) == nodata {
        mean.beside()
    } else {
        mean
    }
}

/// A nodata as a pixel. Integers wider than 53 bits are compared as integers
/// would be only up to that; no such nodata is in use.
fn nodata_of<T: Sample>(nodata: Number) -> T {
    T::from_mean(nodata.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce<T: Pod>(
        dtype: DType,
        resampling: OverviewResampling,
        nodata: Option<Number>,
        src: &[T],
        n_dst: usize,
    ) -> Vec<T> {
        let axis = Axis {
            src: src.len(),
            dst: n_dst,
        };
        let mut out = vec![T::zeroed(); n_dst];
        let reduction = Reduction {
            dtype,
            resampling,
            nodata,
            rows: Axis { src: 1, dst: 1 },
            cols: axis,
            dst_rows: &(0..1),
            dst_cols: &(0..n_dst),
            out_cols: n_dst,
        };
        let source = Source {
            pixels: bytemuck::cast_slice(src),
            origin: (0, 0),
            cols: src.len(),
        };
        reduction.run(&source, bytemuck::cast_slice_mut(&mut out));
        out
    }

    #[test]
    fn average_weighs_by_area() {
        // 5 pixels onto 2: the middle one is shared.
        let out = reduce(
            DType::Float64,
            OverviewResampling::Average,
            None,
            &[0.0, 1.0, 2.0, 3.0, 4.0f64],
            2,
        );
        assert!(
            (out[0] - 0.8).abs() < 1e-12 && (out[1] - 3.2).abs() < 1e-12,
            "{out:?}"
        );
    }

    #[test]
    fn average_leaves_nodata_out_and_never_makes_it() {
        let nodata = Some(Number::Int(0));
        let average = OverviewResampling::Average;
        assert_eq!(
            reduce(DType::UInt16, average, nodata, &[0u16, 7, 0, 0], 2),
            [7, 0]
        );
        assert_eq!(
            reduce(DType::Int16, average, nodata, &[-3i16, 3, 4, 5], 2),
            [1, 5]
        );
        let out = reduce(
            DType::Float32,
            average,
            None,
            &[f32::NAN, 2.0, f32::NAN, f32::NAN],
            2,
        );
        assert_eq!(out[0].to_bits(), 2.0f32.to_bits());
        assert!(out[1].is_nan());
    }

    /// Two by two pixels by the short way, against sums by hand, in a window that
    /// begins inside its level.
    #[test]
    fn halves_are_means_of_four() {
        let (rows, cols) = (6, 10);
        let pixels: Vec<i16> = (0..60).map(|at| (at * 37 % 23) - 5).collect();
        let (dst_rows, dst_cols) = (1..3, 1..4);
        let mut out = [99_i16; 10];
        Reduction {
            dtype: DType::Int16,
            resampling: OverviewResampling::Average,
            nodata: Some(Number::Int(3)),
            rows: Axis { src: rows, dst: 3 },
            cols: Axis { src: cols, dst: 5 },
            dst_rows: &dst_rows,
            dst_cols: &dst_cols,
            out_cols: 5,
        }
        .run(
            &Source {
                pixels: bytemuck::cast_slice(&pixels[2 * cols..]),
                origin: (2, 0),
                cols,
            },
            bytemuck::cast_slice_mut(&mut out),
        );
        for (row, dst_row) in dst_rows.enumerate() {
            for (col, dst_col) in dst_cols.clone().enumerate() {
                let four = [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(r, c)| pixels[(2 * dst_row + r) * cols + 2 * dst_col + c]);
                let valid: Vec<f64> = four
                    .iter()
                    .filter(|&&p| p != 3)
                    .map(|&p| p.into())
                    .collect();
                let mean = (valid.iter().sum::<f64>() / valid.len() as f64).round();
                let expected = if mean == 3.0 { 4.0 } else { mean };
                assert!(
                    (f64::from(out[row * 5 + col]) - expected).abs() < 1e-9,
                    "{row}, {col}"
                );
            }
        }
        // What the window does not have is left alone.
        assert_eq!([out[3], out[4], out[8], out[9]], [99; 4]);
    }

    #[test]
    fn nearest_takes_what_gdal_takes() {
        // GDAL 3.12.2, a ramp of 1025 onto 512: 0, 2, 4 ... 1021, 1023.
        let ramp: Vec<u16> = (0..1025).collect();
        let out = reduce(DType::UInt16, OverviewResampling::Nearest, None, &ramp, 512);
        assert_eq!(out[..3], [0, 2, 4]);
        assert_eq!(out[509..], [1019, 1021, 1023]);
    }
}
