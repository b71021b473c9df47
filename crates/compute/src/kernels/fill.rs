//! Missing pixels filled from others of their lane.

use super::interp::InterpMethod;
use super::{Axis, Sample};
use crate::error::{Error, Result};

/// From which side a missing pixel is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the last valid pixel before it.
    Forward,
    /// From the next valid pixel after it.
    Backward,
}

/// Fills NaN with the nearest valid pixel of one side, at most `limit` in a row.
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// xarray, `ffill` and `bfill`.
pub fn push<T: Sample>(
    src: &[T],
    axis: Axis,
    direction: Direction,
    limit: Option<usize>,
    out: &mut [T],
) -> Result<()> {
    axis.check("fill", src.len(), out.len(), axis.size())?;
    let limit = limit.unwrap_or(usize::MAX);
    for lane in 0..axis.lanes() {
        let start = axis.start(lane);
        let mut last: Option<(usize, T)> = None;
        for i in 0..axis.len {
            let position = match direction {
                Direction::Forward => i,
                Direction::Backward => axis.len - 1 - i,
            };
            let at = start + position * axis.inner;
            let (Some(&value), Some(to)) = (src.get(at), out.get_mut(at)) else {
                continue;
            };
            if !value.is_missing() {
                last = Some((i, value));
            }
            *to = match last {
                Some((since, valid)) if i - since <= limit => valid,
                _ => value,
            };
        }
    }
    Ok(())
}

/// Which gaps are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaps {
    /// How a value is made of those on both sides.
    pub method: InterpMethod,
    /// How many pixels of a gap are filled, counted from its start; all without.
    pub limit: Option<usize>,
    /// The longest gap, in units of the labels from the last valid pixel before
    /// to the first after it, that is filled at all.
    pub max_gap: Option<f64>,
}

/// Fills NaN between valid pixels of a lane by interpolating over the labels
/// `x`, which ascend. Nothing is filled before the first and after the last
/// valid pixel, nor in a lane of fewer than two.
///
/// # Errors
/// Slices whose sizes do not fit the axis, labels that do not ascend.
///
/// # Source
/// xarray, `interpolate_na`; numpy, `interp`.
pub fn interpolate_na<T: Sample>(
    src: &[T],
    axis: Axis,
    x: &[f64],
    gaps: Gaps,
    out: &mut [T],
) -> Result<()> {
    axis.check("interpolate_na", src.len(), out.len(), axis.size())?;
    if x.len() != axis.len {
        return Err(Error::Bug(format!(
            "{} labels for {} pixels",
            x.len(),
            axis.len
        )));
    }
    if !x.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(Error::Invalid(
            "the labels to interpolate over have to ascend, without a repeat; `sortby` the dimension first".to_owned(),
        ));
    }
    out.copy_from_slice(src);
    let limit = gaps.limit.unwrap_or(usize::MAX);
    for lane in 0..axis.lanes() {
        let start = axis.start(lane);
        let value = |i: usize| src[start + i * axis.inner];
        let mut before: Option<usize> = None;
        for after in 0..axis.len {
            if value(after).is_missing() {
                continue;
            }
            if let Some(low) = before
                && low + 1 < after
                && gaps
                    .max_gap
                    .is_none_or(|max_gap| x[after] - x[low] <= max_gap)
            {
                let (a, b) = (value(low).to_f64(), value(after).to_f64());
                let slope = (b - a) / (x[after] - x[low]);
                let border = x[low] / 2.0 + x[after] / 2.0;
                for i in (low + 1..after).take(limit) {
                    let filled = match gaps.method {
                        InterpMethod::Linear => slope * (x[i] - x[low]) + a,
                        InterpMethod::Nearest if x[i] <= border => a,
                        InterpMethod::Nearest => b,
                    };
                    if let Some(to) = out.get_mut(start + i * axis.inner) {
                        *to = T::of_f64(filled);
                    }
                }
            }
            before = Some(after);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn same(found: &[f32], expected: &[f32]) {
        let same = found
            .iter()
            .zip(expected)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(same, "{found:?} for {expected:?}");
    }

    #[test]
    fn gaps_are_bridged_as_asked() {
        let src = [NAN, 1.0, NAN, NAN, 4.0, NAN, 8.0, NAN];
        let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let check = |gaps: Gaps, expected: &[f32]| {
            let mut out = [0.0; 8];
            interpolate_na(&src, Axis::of(&[8], 0), &x, gaps, &mut out).unwrap();
            same(&out, expected);
        };
        let all = Gaps::default();
        check(all, &[NAN, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, NAN]);
        check(
            Gaps {
                limit: Some(1),
                ..all
            },
            &[NAN, 1.0, 2.0, NAN, 4.0, 6.0, 8.0, NAN],
        );
        check(
            Gaps {
                max_gap: Some(2.0),
                ..all
            },
            &[NAN, 1.0, NAN, NAN, 4.0, 6.0, 8.0, NAN],
        );
        let nearest = Gaps {
            method: InterpMethod::Nearest,
            ..all
        };
        check(nearest, &[NAN, 1.0, 1.0, 4.0, 4.0, 4.0, 8.0, NAN]);
    }

    #[test]
    fn pushes_stop_at_the_limit() {
        let src = [NAN, 1.0, NAN, NAN, 4.0, NAN];
        let axis = Axis::of(&[6], 0);
        let mut out = [0.0; 6];
        push(&src, axis, Direction::Forward, None, &mut out).unwrap();
        same(&out, &[NAN, 1.0, 1.0, 1.0, 4.0, 4.0]);
        push(&src, axis, Direction::Backward, Some(1), &mut out).unwrap();
        same(&out, &[1.0, 1.0, NAN, 4.0, 4.0, NAN]);
    }

    #[test]
    fn wrong_labels_are_refused() {
        let axis = Axis::of(&[2], 0);
        let wrong = interpolate_na(
            &[1.0f32, 2.0],
            axis,
            &[1.0, 0.0],
            Gaps::default(),
            &mut [0.0; 2],
        );
        assert!(wrong.unwrap_err().to_string().contains("ascend"));
    }
}
