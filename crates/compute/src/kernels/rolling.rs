//! Sums, means, extremes of a window that moves along an axis.
//!
//! A window over blocks of its own size is the end of one block and the start
//! of the next; both are kept for every position, so that each window takes one
//! operation whatever its size, and no value is ever subtracted again (which
//! would leave rounding errors behind; van Herk 1992, Gil and Werman 1993).

use super::{Axis, Sample};
use crate::error::{Error, Result};

/// What is taken of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rolling {
    /// The sum of the values that are not NaN.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many there are.
    Count,
}

/// A window along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many pixels it covers.
    pub size: usize,
    /// How many of them have to be there; fewer give NaN.
    pub min_periods: usize,
    /// Whether it lies around its pixel, `size / 2` before it and the rest
    /// after, rather than ending with it.
    pub center: bool,
}

impl Window {
    /// A window of `size` that ends with its pixel and has to be full.
    pub fn new(size: usize) -> Window {
        Window {
            size,
            min_periods: size,
            center: false,
        }
    }

    /// Pixels before and after the one in question.
    pub fn reach(self) -> (usize, usize) {
        if self.center {
            let before = self.size / 2;
            (before, self.size.saturating_sub(before + 1))
        } else {
            (self.size.saturating_sub(1), 0)
        }
    }
}

/// Scratch of [`rolling`].
#[derive(Debug, Default)]
pub struct Scratch {
    forward: Vec<(f64, u32)>,
    backward: Vec<(f64, u32)>,
}

/// `what` of the window around each pixel; as many pixels come out as go in.
///
/// NaN is left out; what lies beyond the axis is not there. Worked out in
/// float64 and rounded to the type of the result.
///
/// # Errors
/// Slices whose sizes do not fit the axis, a window of no size.
///
/// # Source
/// xarray, `DataArray.rolling`.
pub fn rolling<T: Sample, R: Sample>(
    src: &[T],
    axis: Axis,
    window: Window,
    what: Rolling,
    out: &mut [R],
    scratch: &mut Scratch,
) -> Result<()> {
    axis.check("rolling", src.len(), out.len(), axis.size())?;
    if window.size == 0 {
        return Err(Error::Invalid("a rolling window of 0 pixels".to_owned()));
    }
    let (before, after) = window.reach();
    let padded = before + axis.len + after;
    scratch.forward.resize(padded, (0.0, 0));
    scratch.backward.resize(padded, (0.0, 0));
    let nothing = match what {
        Rolling::Min => (f64::INFINITY, 0),
        Rolling::Max => (f64::NEG_INFINITY, 0),
        _ => (0.0, 0),
    };
    let join = |a: (f64, u32), b: (f64, u32)| {
        let value = match what {
            Rolling::Min => {
                if b.0 < a.0 {
                    b.0
                } else {
                    a.0
                }
            }
            Rolling::Max => {
                if b.0 > a.0 {
                    b.0
                } else {
                    a.0
                }
            }
            _ => a.0 + b.0,
        };
        (value, a.1 + b.1)
    };
    for lane in 0..axis.lanes() {
        let start = axis.start(lane);
        let at = |position: usize| {
            let value = position
                .checked_sub(before)
                .filter(|&i| i < axis.len)
                .and_then(|i| src.get(start + i * axis.inner));
            match value {
                Some(value) if !value.is_missing() => (value.to_f64(), 1),
                _ => nothing,
            }
        };
        for position in 0..padded {
            let own = at(position);
            scratch.forward[position] = if position % window.size == 0 {
                own
            } else {
                join(scratch.forward[position - 1], own)
            };
        }
        for position in (0..padded).rev() {
            let own = at(position);
            let last = position + 1 == padded || (position + 1) % window.size == 0;
            scratch.backward[position] = if last {
                own
            } else {
                join(own, scratch.backward[position + 1])
            };
        }
        for i in 0..axis.len {
            let end = i + window.size - 1;
            let (value, count) = if i % window.size == 0 {
                scratch.forward[end]
            } else {
                join(scratch.backward[i], scratch.forward[end])
            };
            let Some(to) = out.get_mut(start + i * axis.inner) else {
                continue;
            };
            let enough = count as usize >= window.min_periods;
            *to = R::of_f64(match what {
                Rolling::Count if enough => f64::from(count),
                Rolling::Mean if enough && count > 0 => value / f64::from(count),
                Rolling::Sum if enough => value,
                Rolling::Min | Rolling::Max if enough && count > 0 => value,
                _ => f64::NAN,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: Rolling, window: Window, expected: &[f64]) {
        let src = [1.0, 2.0, f64::NAN, 4.0, -5.0, 6.0];
        let mut out = [0.0; 6];
        let axis = Axis::of(&[6], 0);
        rolling(&src, axis, window, what, &mut out, &mut Scratch::default()).unwrap();
        let same = out
            .iter()
            .zip(expected)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(same, "{what:?} {window:?}: {out:?}");
    }

    #[test]
    fn windows() {
        let nan = f64::NAN;
        check(
            Rolling::Sum,
            Window::new(2),
            &[nan, 3.0, nan, nan, -1.0, 1.0],
        );
        let loose = Window {
            min_periods: 1,
            ..Window::new(3)
        };
        check(Rolling::Mean, loose, &[1.0, 1.5, 1.5, 3.0, -0.5, 5.0 / 3.0]);
        let around = Window {
            center: true,
            ..loose
        };
        check(Rolling::Max, around, &[2.0, 2.0, 4.0, 4.0, 6.0, 6.0]);
        check(Rolling::Min, around, &[1.0, 1.0, 2.0, -5.0, -5.0, -5.0]);
        check(Rolling::Count, around, &[2.0, 2.0, 2.0, 2.0, 3.0, 2.0]);
        let even = Window {
            size: 4,
            min_periods: 1,
            center: true,
        };
        check(Rolling::Sum, even, &[3.0, 3.0, 7.0, 1.0, 5.0, 5.0]);
        let wide = Window {
            size: 40,
            min_periods: 1,
            center: false,
        };
        check(Rolling::Sum, wide, &[1.0, 3.0, 3.0, 7.0, 2.0, 8.0]);
    }

    #[test]
    fn columns_are_lanes_too() {
        let src = [1i16, 10, 2, 20, 3, 30];
        let mut out = [0.0f32; 6];
        let axis = Axis::of(&[3, 2], 0);
        let mut scratch = Scratch::default();
        rolling(
            &src,
            axis,
            Window::new(2),
            Rolling::Sum,
            &mut out,
            &mut scratch,
        )
        .unwrap();
        assert!(out[0].is_nan() && out[1].is_nan());
        assert_eq!(out[2..], [3.0, 30.0, 5.0, 50.0]);
    }
}
