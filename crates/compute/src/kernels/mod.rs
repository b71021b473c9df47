//! Numerical kernels: functions over slices, with no plan, engine or labels.
//!
//! What cannot be said pixel by pixel (an order statistic over time, a disk
//! around a pixel, a sum up to here) is worked out here, on pixels in memory in
//! C order. A kernel along one axis is told of its place by an [`Axis`];
//! neighbouring pixels are worked on together where the machine can.
//!
//! Every kernel holds to numpy's, xarray's, scipy's or odc-algo's results; the
//! fixtures in `tests/fixtures/kernels` are theirs.

pub mod arg;
pub mod fill;
pub mod geomedian;
pub mod histogram;
pub mod interp;
pub mod mode;
pub mod morphology;
pub mod quantile;
pub mod rolling;
pub mod scan;
mod sorter;

pub use sorter::Sorter;

use half::f16;

use crate::error::{Error, Result};
use crate::value::Pixel;

/// Where an axis lies in an array in C order: pixel `i` of the axis is at
/// `(outer * len + i) * inner + k` for each `outer` and `k < inner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the axis.
    pub len: usize,
    /// Product of the sizes after the axis: the distance between neighbours.
    pub inner: usize,
}

impl Axis {
    /// Axis number `axis` of an array of `shape`; of no axis past the last, an
    /// axis of length 1 is made.
    pub fn of(shape: &[usize], axis: usize) -> Axis {
        Axis {
            outer: shape.iter().take(axis).product(),
            len: shape.get(axis).copied().unwrap_or(1),
            inner: shape.iter().skip(axis + 1).product(),
        }
    }

    /// Pixels of the whole array.
    pub fn size(self) -> usize {
        self.outer * self.len * self.inner
    }

    /// Lanes along the axis: pixels of an array that lacks it.
    pub fn lanes(self) -> usize {
        self.outer * self.inner
    }

    /// Where the first pixel of a lane is; the next ones are `inner` apart.
    pub(crate) fn start(self, lane: usize) -> usize {
        match self.inner {
            0 => 0,
            inner => (lane / inner) * self.len * inner + lane % inner,
        }
    }

    /// Checks the sizes of input and output.
    pub(crate) fn check(self, kernel: &str, src: usize, out: usize, expected: usize) -> Result<()> {
        if src == self.size() && out == expected {
            return Ok(());
        }
        Err(Error::Bug(format!(
            "{kernel}: {src} pixels in and {out} out along {self:?}, which needs {} and {expected}",
            self.size()
        )))
    }
}

/// A pixel type that can be ordered and averaged.
pub trait Sample: Pixel + PartialOrd {
    /// What a mean is: the type itself for floats, float64 for all others, as
    /// in numpy.
    type Mean: Sample;

    /// A value after which no other comes.
    const LAST: Self;

    /// Whether it is missing: NaN.
    fn is_missing(self) -> bool;

    /// As float64; the nearest, for integers of more than 53 bits.
    fn to_f64(self) -> f64;

    /// The nearest value of the type, 0 for NaN in an integer.
    fn of_f64(value: f64) -> Self;

    /// `(self + other) / 2`, in the type of the mean.
    fn middle(self, other: Self) -> Self::Mean;

    /// `other - self` as float64, for `self <= other`.
    fn distance(self, other: Self) -> f64;

    /// The value as a mean of itself.
    fn as_mean(self) -> Self::Mean;
}

macro_rules! sample_int {
    ($($t:ty),*) => {$(
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            clippy::cast_lossless,
            reason = "conversions of pixels, as documented"
        )]
        impl Sample for $t {
            type Mean = f64;
            const LAST: Self = <$t>::MAX;

            #[inline(always)]
            fn is_missing(self) -> bool {
                false
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn of_f64(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn middle(self, other: Self) -> f64 {
                (self as f64 + other as f64) / 2.0
            }
            #[inline(always)]
            fn distance(self, other: Self) -> f64 {
                other as f64 - self as f64
            }
            #[inline(always)]
            fn as_mean(self) -> f64 {
                self as f64
            }
        }
    )*};
}

sample_int!(i8, i16, i32, i64, u8, u16, u32, u64);

impl Sample for bool {
    type Mean = f64;
    const LAST: Self = true;

    #[inline(always)]
    fn is_missing(self) -> bool {
        false
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    #[inline(always)]
    fn of_f64(value: f64) -> Self {
        value != 0.0
    }
    #[inline(always)]
    fn middle(self, other: Self) -> f64 {
        f64::midpoint(self.to_f64(), other.to_f64())
    }
    #[inline(always)]
    fn distance(self, other: Self) -> f64 {
        other.to_f64() - self.to_f64()
    }
    #[inline(always)]
    fn as_mean(self) -> f64 {
        self.to_f64()
    }
}

macro_rules! sample_float {
    ($($t:ty),*) => {$(
        #[allow(clippy::cast_possible_truncation, clippy::cast_lossless, reason = "rounding, as documented")]
        #[allow(clippy::manual_midpoint, reason = "numpy overflows here, and so must this")]
        impl Sample for $t {
            type Mean = $t;
            const LAST: Self = <$t>::INFINITY;

            #[inline(always)]
            fn is_missing(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn of_f64(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn middle(self, other: Self) -> $t {
                (self + other) / 2.0
            }
            #[inline(always)]
            fn distance(self, other: Self) -> f64 {
                (other - self) as f64
            }
            #[inline(always)]
            fn as_mean(self) -> $t {
                self
            }
        }
    )*};
}

sample_float!(f32, f64);

impl Sample for f16 {
    type Mean = f16;
    const LAST: Self = f16::INFINITY;

    #[inline(always)]
    fn is_missing(self) -> bool {
        self.is_nan()
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }
    #[inline(always)]
    fn of_f64(value: f64) -> Self {
        f16::from_f64(value)
    }
    #[inline(always)]
    fn middle(self, other: Self) -> f16 {
        f16::from_f32((self.to_f32() + other.to_f32()) / 2.0)
    }
    #[inline(always)]
    fn distance(self, other: Self) -> f64 {
        f16::from_f32(other.to_f32() - self.to_f32()).to_f64()
    }
    #[inline(always)]
    fn as_mean(self) -> f16 {
        self
    }
}

/// Runs `$run(args..)`, which is `#[inline(always)]`, compiled for AVX2 where
/// the machine has it. Both do the same operations in the same order, so
/// results are equal to the bit.
macro_rules! widest {
    ($vis:vis fn $name:ident<$($g:ident: $bound:path),*>($($arg:ident: $t:ty),* $(,)?) = $run:path) => {
        $vis fn $name<$($g: $bound),*>($($arg: $t),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2")]
                fn wide<$($g: $bound),*>($($arg: $t),*) {
                    $run($($arg),*);
                }
                if std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("bmi1")
                    && std::arch::is_x86_feature_detected!("bmi2")
                {
                    // SAFETY: the machine has what the function is compiled for.
                    unsafe { wide($($arg),*) };
                    return;
                }
            }
            $run($($arg),*);
        }
    };
}
pub(crate) use widest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_finds_its_lanes() {
        let axis = Axis::of(&[2, 3, 4], 1);
        assert_eq!(
            axis,
            Axis {
                outer: 2,
                len: 3,
                inner: 4
            }
        );
        assert_eq!((axis.size(), axis.lanes()), (24, 8));
        let starts: Vec<usize> = (0..8).map(|lane| axis.start(lane)).collect();
        assert_eq!(starts, [0, 1, 2, 3, 12, 13, 14, 15]);
        assert_eq!(Axis::of(&[5, 0], 0).start(0), 0);
        assert!(
            axis.check("sum", 23, 8, 8)
                .unwrap_err()
                .to_string()
                .contains("23 pixels")
        );
    }
}
