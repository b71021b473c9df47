//! Values between the pixels of an axis.

use super::{Axis, Sample};
use crate::error::{Error, Result};

/// How a value between two pixels is made of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum InterpMethod {
    /// On the line between both; NaN if one of them is.
    #[default]
    Linear,
    /// The nearer one; of two equally near the one of lower coordinate.
    Nearest,
}

/// From which pixels each new one is made; the same for every lane.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpPlan {
    len: usize,
    points: Vec<Point>,
}

/// One new pixel: two old ones and the weight of the second over their distance.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    /// Outside: NaN.
    Outside,
    /// A copy of one of two neighbours.
    Copy { at: usize, other: usize },
    /// `(value(high) - value(low)) / span * along + value(low)`.
    Between {
        low: usize,
        high: usize,
        span: f64,
        along: f64,
    },
}

impl InterpPlan {
    /// The plan for new pixels at `at` of an axis with labels `from`, which
    /// ascend or descend, each different from the next. Outside of `from`, and
    /// at NaN, there is NaN.
    ///
    /// # Errors
    /// Labels that neither ascend nor descend, or none.
    ///
    /// # Source
    /// scipy, `interp1d` of kinds "linear" and "nearest".
    pub fn new(from: &[f64], at: &[f64], method: InterpMethod) -> Result<InterpPlan> {
        let ascends = from.windows(2).all(|pair| pair[0] < pair[1]);
        let descends = from.windows(2).all(|pair| pair[0] > pair[1]);
        if from.is_empty() || !(ascends || descends) || from.iter().any(|x| x.is_nan()) {
            return Err(Error::Invalid(format!(
                "the {} labels to interpolate between have to ascend or to descend, without a repeat; `sortby` the dimension first",
                from.len()
            )));
        }
        let n = from.len();
        // Positions by ascending label.
        let own = |position: usize| if ascends { position } else { n - 1 - position };
        let label = |position: usize| from[own(position)];
        let (first, last) = (label(0), label(n - 1));
        let points = at.iter().map(|&x| {
            if !(first..=last).contains(&x) {
                return Point::Outside;
            }
            let (mut low, mut high) = (0, n - 1);
            while high - low > 1 {
                let middle = usize::midpoint(low, high);
                if label(middle) < x {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            if low == high {
                return Point::Copy {
                    at: own(low),
                    other: own(low),
                };
            }
            match method {
                InterpMethod::Nearest => {
                    let border = label(low) / 2.0 + label(high) / 2.0;
                    let (at, other) = if x <= border {
                        (low, high)
                    } else {
                        (high, low)
                    };
                    Point::Copy {
                        at: own(at),
                        other: own(other),
                    }
                }
                InterpMethod::Linear => Point::Between {
                    low: own(low),
                    high: own(high),
                    span: label(high) - label(low),
                    along: x - label(low),
                },
            }
        });
        Ok(InterpPlan {
            len: n,
            points: points.collect(),
        })
    }

    /// How many new pixels the axis has.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are no new pixels.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The old positions that the new pixels `range` lie between, from the
    /// first to the last and one past it; `None` where all lie outside. A plan
    /// over their labels alone gives the same pixels.
    pub fn needs(&self, range: std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
        let points = self.points.get(range).unwrap_or(&[]);
        let mut needed: Option<(usize, usize)> = None;
        for point in points {
            let (a, b) = match *point {
                Point::Outside => continue,
                Point::Copy { at, other } => (at.min(other), at.max(other)),
                Point::Between { low, high, .. } => (low.min(high), low.max(high)),
            };
            needed = Some(needed.map_or((a, b), |(x, y)| (x.min(a), y.max(b))));
        }
        needed.map(|(a, b)| a..b + 1)
    }
}

/// Interpolates along an axis: `out` has the axis of the plan in its place.
/// Worked out in float64.
///
/// # Errors
/// Slices whose sizes do not fit axis and plan.
pub fn interp<T: Sample, R: Sample>(
    src: &[T],
    axis: Axis,
    plan: &InterpPlan,
    out: &mut [R],
) -> Result<()> {
    axis.check("interp", src.len(), out.len(), axis.lanes() * plan.len())?;
    if axis.len != plan.len {
        return Err(Error::Bug(format!(
            "interp: a plan for {} pixels, and an axis of {}",
            plan.len, axis.len
        )));
    }
    if out.is_empty() {
        return Ok(());
    }
    let inner = axis.inner;
    let slabs = src.chunks_exact(axis.len * inner);
    for (src, out) in slabs.zip(out.chunks_exact_mut(plan.len() * inner)) {
        let row = |at: usize| src.get(at * inner..(at + 1) * inner).unwrap_or(&[]);
        for (point, out) in plan.points.iter().zip(out.chunks_exact_mut(inner)) {
            match *point {
                Point::Outside => out.fill(R::of_f64(f64::NAN)),
                Point::Copy { at, .. } => {
                    for (to, value) in out.iter_mut().zip(row(at)) {
                        *to = R::of_f64(value.to_f64());
                    }
                }
                Point::Between {
                    low,
                    high,
                    span,
                    along,
                } => {
                    for ((to, low), high) in out.iter_mut().zip(row(low)).zip(row(high)) {
                        let (low, high) = (low.to_f64(), high.to_f64());
                        *to = R::of_f64((high - low) / span * along + low);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &[f64], values: &[f32], at: &[f64], method: InterpMethod, expected: &[f64]) {
        let plan = InterpPlan::new(from, at, method).unwrap();
        let mut out = vec![0.0f64; at.len()];
        interp(values, Axis::of(&[values.len()], 0), &plan, &mut out).unwrap();
        let same = out
            .iter()
            .zip(expected)
            .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(same, "{out:?} for {expected:?}");
    }

    #[test]
    fn between_beside_and_beyond() {
        use InterpMethod::{Linear, Nearest};
        let nan = f64::NAN;
        let x = [0.0, 10.0, 20.0];
        let at = [-1.0, 0.0, 2.5, 5.0, 10.0, 15.0, 20.0, 20.1, nan];
        let y = [0.0, 4.0, -4.0];
        check(
            &x,
            &y,
            &at,
            Linear,
            &[nan, 0.0, 1.0, 2.0, 4.0, 0.0, -4.0, nan, nan],
        );
        check(
            &x,
            &y,
            &at,
            Nearest,
            &[nan, 0.0, 0.0, 0.0, 4.0, 4.0, -4.0, nan, nan],
        );
        let (x, y) = ([20.0, 10.0, 0.0], [-4.0, 4.0, 0.0]);
        check(
            &x,
            &y,
            &at,
            Linear,
            &[nan, 0.0, 1.0, 2.0, 4.0, 0.0, -4.0, nan, nan],
        );
        check(&[3.0], &[7.0], &[3.0, 4.0], Linear, &[7.0, nan]);
        check(
            &[0.0, 1.0, 2.0],
            &[0.0, f32::NAN, 2.0],
            &[0.5, 2.0],
            Linear,
            &[nan, nan],
        );
        assert!(InterpPlan::new(&[0.0, 0.0], &[0.0], Linear).is_err());
        assert!(InterpPlan::new(&[], &[0.0], Linear).is_err());
    }

    #[test]
    fn a_plan_says_what_it_needs() {
        let plan = InterpPlan::new(
            &[3.0, 2.0, 1.0, 0.0],
            &[9.0, 0.5, 1.0, 2.5],
            InterpMethod::Linear,
        )
        .unwrap();
        assert_eq!(plan.needs(0..1), None);
        assert_eq!(plan.needs(0..2), Some(2..4));
        assert_eq!(plan.needs(1..4), Some(0..4));
        // The nearest of two needs both: which it is shows only beside the other.
        let plan = InterpPlan::new(&[3.0, 2.0, 1.0], &[2.5], InterpMethod::Nearest).unwrap();
        assert_eq!(plan.needs(0..1), Some(0..2));
    }

    #[test]
    fn other_axes_stay() {
        let plan = InterpPlan::new(&[0.0, 1.0], &[0.5], InterpMethod::Linear).unwrap();
        let mut out = [0.0f32; 4];
        interp(
            &[1u8, 2, 3, 4, 5, 6, 7, 8],
            Axis::of(&[2, 2, 2], 1),
            &plan,
            &mut out,
        )
        .unwrap();
        assert_eq!(out, [2.0, 3.0, 6.0, 7.0]);
    }
}
