//! Sums and products up to each pixel, and differences of neighbours.

use std::ops::Range;

use super::{Axis, Sample};
use crate::error::{Error, Result};

/// A type in which pixels are added up: float32 and float64 as they are, and
/// 64 bits for integers, which wrap.
pub trait Total: Copy + 'static {
    /// Nothing added yet.
    const ZERO: Self;
    /// Nothing multiplied yet.
    const ONE: Self;
    /// `self + other`.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// `self * other`.
    #[must_use]
    fn times(self, other: Self) -> Self;
}

macro_rules! total_int {
    ($($t:ty),*) => {$(
        impl Total for $t {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
        }
    )*};
}

macro_rules! total_float {
    ($($t:ty),*) => {$(
        impl Total for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self * other
            }
        }
    )*};
}

total_int!(i64, u64);
total_float!(f32, f64);

/// What is added up or multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scan {
    /// The sum up to and with each pixel.
    Sum,
    /// The product up to and with each pixel.
    Product,
}

/// Running sums or products along an axis, one value after the other as numpy
/// adds them. `total` makes a total of a pixel. With `skipna` a NaN counts as
/// 0 in sums and 1 in products; without, everything from it on is NaN.
///
/// `carry` holds the totals before the first pixel, one a lane, and afterwards
/// those of the last: an array in several chunks is scanned chunk by chunk.
/// [`start`] makes the first.
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// numpy, `cumsum`, `cumprod`, `nancumsum`, `nancumprod`.
pub fn scan<T: Sample, A: Total>(
    src: &[T],
    axis: Axis,
    what: Scan,
    skipna: bool,
    total: impl Fn(T) -> A,
    carry: &mut [A],
    out: &mut [A],
) -> Result<()> {
    axis.check("scan", src.len(), out.len(), axis.size())?;
    if carry.len() != axis.lanes() {
        return Err(Error::Bug(format!(
            "scan: {} totals to go on from",
            carry.len()
        )));
    }
    if axis.size() == 0 {
        return Ok(());
    }
    let slab = axis.len * axis.inner;
    let carry = carry.chunks_exact_mut(axis.inner);
    for ((src, out), carry) in src
        .chunks_exact(slab)
        .zip(out.chunks_exact_mut(slab))
        .zip(carry)
    {
        let rows = src.chunks_exact(axis.inner);
        for (row, out) in rows.zip(out.chunks_exact_mut(axis.inner)) {
            for ((&value, sum), to) in row.iter().zip(carry.iter_mut()).zip(out) {
                if !(skipna && value.is_missing()) {
                    *sum = match what {
                        Scan::Sum => sum.plus(total(value)),
                        Scan::Product => sum.times(total(value)),
                    };
                }
                *to = *sum;
            }
        }
    }
    Ok(())
}

/// The totals before the first pixel, for [`scan`].
pub fn start<A: Total>(what: Scan, axis: Axis) -> Vec<A> {
    let first = match what {
        Scan::Sum => A::ZERO,
        Scan::Product => A::ONE,
    };
    vec![first; axis.lanes()]
}

/// What has to be subtracted for a difference of neighbours along an axis of
/// `len`: positions of the later and of the earlier pixels.
///
/// A difference of `n` taken again and again is [`difference`] of each result.
pub fn difference(len: usize) -> (Range<usize>, Range<usize>) {
    (1.min(len)..len, 0..len.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_on_from_chunk_to_chunk() {
        let src = [1.0f32, 2.0, f32::NAN, 4.0, 5.0, 6.0];
        let axis = Axis::of(&[3, 2], 0);
        let mut whole = [0.0f32; 6];
        let mut carry = start(Scan::Sum, axis);
        scan(&src, axis, Scan::Sum, true, |x| x, &mut carry, &mut whole).unwrap();
        assert_eq!(whole, [1.0, 2.0, 1.0, 6.0, 6.0, 12.0]);

        let part = Axis::of(&[1, 2], 0);
        let mut carry = start(Scan::Sum, part);
        let mut parts = Vec::new();
        for src in src.chunks(2) {
            let mut out = [0.0f32; 2];
            scan(src, part, Scan::Sum, true, |x| x, &mut carry, &mut out).unwrap();
            parts.extend(out);
        }
        assert_eq!(parts, whole);

        let mut carry = start(Scan::Sum, axis);
        scan(&src, axis, Scan::Sum, false, |x| x, &mut carry, &mut whole).unwrap();
        assert!(whole[2].is_nan() && whole[4].is_nan());
        assert_eq!(whole[5], 12.0);
    }

    #[test]
    fn products_of_integers_wrap() {
        let axis = Axis::of(&[3], 0);
        let mut out = [0u64; 3];
        let mut carry = start(Scan::Product, axis);
        let src = [2u8, 3, 255];
        scan(
            &src,
            axis,
            Scan::Product,
            true,
            u64::from,
            &mut carry,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, [2, 6, 1530]);
        assert_eq!(carry, [1530]);
    }

    #[test]
    fn differences_take_neighbours() {
        assert_eq!(difference(4), (1..4, 0..3));
        assert_eq!(difference(1), (1..1, 0..0));
        assert_eq!(difference(0), (0..0, 0..0));
    }
}
