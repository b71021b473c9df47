//! Median, quantiles and odc-algo's percentiles along an axis.

use std::str::FromStr;

use super::sorter::{Sorted, Wanted};
use super::{Axis, Sample, Sorter};
use crate::error::{Error, Result};

/// The median of each lane, `out` in the order of the lanes.
///
/// Of an even number of values it is the mean of the middle two, in the type
/// of the pixels for floats and in float64 for integers and bool. With
/// `skipna` NaN is left out, and a lane of nothing but NaN has NaN; without,
/// one NaN makes the lane's median NaN. An empty axis gives NaN.
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// numpy, `median` and `nanmedian`.
pub fn median<T: Sample>(
    src: &[T],
    axis: Axis,
    skipna: bool,
    out: &mut [T::Mean],
    scratch: &mut Sorter<T>,
) -> Result<()> {
    axis.check("median", src.len(), out.len(), axis.lanes())?;
    let missing = T::Mean::of_f64(f64::NAN);
    scratch.each(src, axis, Wanted::Middle, |lane, sorted| {
        let Some(to) = out.get_mut(lane) else { return };
        *to = if sorted.count() == 0 || (!skipna && sorted.count() < axis.len) {
            missing
        } else {
            middle(sorted)
        };
    });
    Ok(())
}

fn middle<T: Sample>(sorted: &Sorted<'_, T>) -> T::Mean {
    let count = sorted.count();
    if count % 2 == 1 {
        sorted.at(count / 2).as_mean()
    } else {
        sorted.at(count / 2 - 1).middle(sorted.at(count / 2))
    }
}

/// How a quantile between two values is made of them, by numpy's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuantileMethod {
    /// The inverse of the empirical distribution (H&F 1).
    InvertedCdf,
    /// As that, averaged at discontinuities (H&F 2).
    AveragedInvertedCdf,
    /// The nearest observation, the even one of two (H&F 3).
    ClosestObservation,
    /// Linear between the steps of the distribution (H&F 4).
    InterpolatedInvertedCdf,
    /// Linear, the steps' middles (H&F 5).
    Hazen,
    /// Linear, by mean ranks (H&F 6).
    Weibull,
    /// Linear between the order statistics (H&F 7): numpy's default.
    #[default]
    Linear,
    /// Linear, nearly unbiased for the median (H&F 8).
    MedianUnbiased,
    /// Linear, nearly unbiased for normal data (H&F 9).
    NormalUnbiased,
    /// The lower of the neighbours.
    Lower,
    /// The higher of the neighbours.
    Higher,
    /// The mean of the neighbours.
    Midpoint,
    /// The nearer of the neighbours, the even one of two.
    Nearest,
}

impl QuantileMethod {
    /// All, by the names that numpy gives them.
    pub const ALL: [(&'static str, QuantileMethod); 13] = [
        ("inverted_cdf", QuantileMethod::InvertedCdf),
        ("averaged_inverted_cdf", QuantileMethod::AveragedInvertedCdf),
        ("closest_observation", QuantileMethod::ClosestObservation),
        (
            "interpolated_inverted_cdf",
            QuantileMethod::InterpolatedInvertedCdf,
        ),
        ("hazen", QuantileMethod::Hazen),
        ("weibull", QuantileMethod::Weibull),
        ("linear", QuantileMethod::Linear),
        ("median_unbiased", QuantileMethod::MedianUnbiased),
        ("normal_unbiased", QuantileMethod::NormalUnbiased),
        ("lower", QuantileMethod::Lower),
        ("higher", QuantileMethod::Higher),
        ("midpoint", QuantileMethod::Midpoint),
        ("nearest", QuantileMethod::Nearest),
    ];

    /// numpy's name.
    pub fn name(self) -> &'static str {
        QuantileMethod::ALL
            .iter()
            .find(|(_, method)| *method == self)
            .map_or("", |(name, _)| name)
    }

    /// Rank of the value below, and the weight of the one above it, among `n`
    /// sorted values; a rank may lie outside.
    #[allow(clippy::cast_precision_loss, reason = "numbers of values")]
    fn place(self, n: usize, q: f64) -> (f64, f64) {
        use QuantileMethod as M;
        let n = n as f64;
        let split = |index: f64| (index.floor(), index - index.floor());
        let continuous =
            |alpha: f64, beta: f64| split(n * q + (alpha + q * (1.0 - alpha - beta)) - 1.0);
        // One of the neighbours of `index`: the lower where `lower` says so.
        let either = |index: f64, lower: fn(f64, f64) -> bool| {
            let (floor, gamma) = split(index);
            let rank = if lower(gamma, index) {
                floor
            } else {
                floor + 1.0
            };
            (rank.max(0.0), 0.0)
        };
        match self {
            M::InvertedCdf => either(n * q - 1.0, |gamma, _| gamma == 0.0),
            M::ClosestObservation => either(n * q - 1.5, |gamma, index| {
                gamma == 0.0 && index.floor().rem_euclid(2.0) == 1.0
            }),
            M::AveragedInvertedCdf => {
                let (floor, gamma) = split(n * q - 1.0);
                (floor, if gamma == 0.0 { 0.5 } else { 1.0 })
            }
            M::InterpolatedInvertedCdf => continuous(0.0, 1.0),
            M::Hazen => continuous(0.5, 0.5),
            M::Weibull => continuous(0.0, 0.0),
            M::Linear => split((n - 1.0) * q),
            M::MedianUnbiased => continuous(1.0 / 3.0, 1.0 / 3.0),
            M::NormalUnbiased => continuous(3.0 / 8.0, 3.0 / 8.0),
            M::Lower => (((n - 1.0) * q).floor(), 0.0),
            M::Higher => (((n - 1.0) * q).ceil(), 0.0),
            M::Midpoint => {
                let index = (n - 1.0) * q;
                (index.floor(), if index.fract() == 0.0 { 0.0 } else { 0.5 })
            }
            M::Nearest => (((n - 1.0) * q).round_ties_even(), 0.0),
        }
    }

    /// The quantile of sorted values, of which there has to be one.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within the lane"
    )]
    fn of<T: Sample>(self, sorted: &Sorted<'_, T>, q: f64) -> f64 {
        let n = sorted.count();
        let (rank, weight) = self.place(n, q);
        let last = (n - 1) as f64;
        if rank + weight >= last {
            return sorted.at(n - 1).to_f64();
        }
        if rank < 0.0 {
            return sorted.at(0).to_f64();
        }
        let low = sorted.at(rank as usize);
        if weight == 0.0 {
            return low.to_f64();
        }
        let high = sorted.at(rank as usize + 1);
        let distance = low.distance(high);
        if weight >= 0.5 {
            high.to_f64() - distance * (1.0 - weight)
        } else {
            low.to_f64() + distance * weight
        }
    }
}

impl FromStr for QuantileMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<QuantileMethod> {
        let found = QuantileMethod::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, method)| *method).ok_or_else(|| {
            Error::unknown_name(
                "method",
                name,
                "quantile",
                QuantileMethod::ALL.iter().map(|(name, _)| *name),
            )
        })
    }
}

/// The quantiles `qs` of each lane, in float64 as xarray has them: `out` has
/// all lanes of the first quantile, then those of the second, and so on.
///
/// NaN as in [`median`]. DIFFERENCE: the distance of two integers is taken in
/// float64, where numpy takes it in their own type and may wrap.
///
/// # Errors
/// Slices whose sizes do not fit, a quantile outside 0 to 1.
///
/// # Source
/// numpy, `quantile` and `nanquantile`; Hyndman and Fan (1996), Sample
/// Quantiles in Statistical Packages.
pub fn quantile<T: Sample>(
    src: &[T],
    axis: Axis,
    qs: &[f64],
    method: QuantileMethod,
    skipna: bool,
    out: &mut [f64],
    scratch: &mut Sorter<T>,
) -> Result<()> {
    let lanes = axis.lanes();
    axis.check("quantile", src.len(), out.len(), lanes * qs.len())?;
    check_range(qs)?;
    scratch.each(src, axis, Wanted::All, |lane, sorted| {
        let missing = sorted.count() == 0 || (!skipna && sorted.count() < axis.len);
        for (number, &q) in qs.iter().enumerate() {
            if let Some(to) = out.get_mut(number * lanes + lane) {
                *to = if missing {
                    f64::NAN
                } else {
                    method.of(sorted, q)
                };
            }
        }
    });
    Ok(())
}

fn check_range(qs: &[f64]) -> Result<()> {
    match qs.iter().find(|q| !(0.0..=1.0).contains(*q)) {
        None => Ok(()),
        Some(q) => Err(Error::Invalid(format!(
            "quantile {q}; quantiles lie between 0 and 1"
        ))),
    }
}

/// odc-algo's percentiles: of each lane the value of nearest rank among those
/// that are not `nodata` (nor NaN), in the pixels' own type; `nodata` where
/// fewer than three are valid. Layout of `out` as for [`quantile`].
///
/// A rank halfway between two goes to the even one.
///
/// DIFFERENCE: odc-algo wants `nodata` to be smaller or larger than all values
/// or NaN, and gives wrong values where it is not; here it may be any.
///
/// # Errors
/// As [`quantile`].
///
/// # Source
/// odc-algo 1.2.2, `_percentile.py` (`np_percentile`, `xr_quantile`).
#[allow(clippy::cast_precision_loss, reason = "numbers of values")]
pub fn percentile<T: Sample>(
    src: &[T],
    axis: Axis,
    qs: &[f64],
    nodata: Option<T>,
    out: &mut [T],
    scratch: &mut Sorter<T>,
) -> Result<()> {
    let lanes = axis.lanes();
    axis.check("percentile", src.len(), out.len(), lanes * qs.len())?;
    check_range(qs)?;
    let marker = nodata.filter(|nodata| !nodata.is_missing());
    let fill = nodata.unwrap_or_else(|| T::of_f64(f64::NAN));
    scratch.each(src, axis, Wanted::All, |lane, sorted| {
        // The marked values lie together among the sorted.
        let (below, marked) = match marker {
            None => (sorted.count(), 0),
            Some(marker) => {
                let below = first(sorted, |value| value >= marker);
                (below, first(sorted, |value| value > marker) - below)
            }
        };
        let valid = sorted.count() - marked;
        for (number, &q) in qs.iter().enumerate() {
            let Some(to) = out.get_mut(number * lanes + lane) else {
                continue;
            };
            if valid < 3 {
                *to = fill;
                continue;
            }
            let rank = (q * (valid - 1) as f64).round_ties_even();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and the number of values"
            )]
            let rank = rank as usize;
            *to = sorted.at(if rank < below { rank } else { rank + marked });
        }
    });
    Ok(())
}

/// How many values come before the first for which `past` holds.
fn first<T: Sample>(sorted: &Sorted<'_, T>, past: impl Fn(T) -> bool) -> usize {
    let (mut low, mut high) = (0, sorted.count());
    while low < high {
        let middle = usize::midpoint(low, high);
        if past(sorted.at(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(values: &[f64], q: f64, method: &str) -> f64 {
        let mut out = [0.0];
        let axis = Axis::of(&[values.len()], 0);
        let method = method.parse().unwrap();
        quantile(
            values,
            axis,
            &[q],
            method,
            true,
            &mut out,
            &mut Sorter::new(),
        )
        .unwrap();
        out[0]
    }

    #[test]
    fn medians() {
        let nan = f32::NAN;
        let src = [1.0, 5.0, nan, 3.0, nan, nan, 2.0, 4.0, nan];
        let mut out = [0.0f32; 3];
        let axis = Axis::of(&[3, 3], 0);
        median(&src, axis, true, &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out[..2], [2.0, 4.5]);
        assert!(out[2].is_nan());
        median(&src, axis, false, &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out[0], 2.0);
        assert!(out[1].is_nan());

        let mut out = [0.0];
        let src = [i64::MAX, i64::MAX - 1, 3];
        median(&src, Axis::of(&[3], 0), true, &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out, [(i64::MAX - 1) as f64]);
        median(
            &[true, false],
            Axis::of(&[2], 0),
            true,
            &mut out,
            &mut Sorter::new(),
        )
        .unwrap();
        assert_eq!(out, [0.5]);
        median::<u8>(&[], Axis::of(&[0], 0), true, &mut out, &mut Sorter::new()).unwrap();
        assert!(out[0].is_nan());
    }

    #[test]
    fn infinities_are_values() {
        let inf = f32::INFINITY;
        let src = [inf, 1.0, f32::NAN, inf, -inf];
        let mut out = [0.0f32];
        median(&src, Axis::of(&[5], 0), true, &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out, [inf]);
    }

    #[test]
    fn methods_choose_as_numpys() {
        let values = [4.0, 1.0, 2.0, 10.0];
        for (method, expected) in [
            ("linear", 2.6),
            ("lower", 2.0),
            ("higher", 4.0),
            ("midpoint", 3.0),
            ("nearest", 2.0),
            ("inverted_cdf", 2.0),
        ] {
            let found = one(&values, 1.3 / 3.0, method);
            assert!((found - expected).abs() < 1e-12, "{method} {found}");
        }
        assert_eq!(one(&values, 1.0, "weibull"), 10.0);
        assert!("Linear".parse::<QuantileMethod>().is_err());
        let wrong = quantile(
            &[1.0],
            Axis::of(&[1], 0),
            &[1.5],
            QuantileMethod::Linear,
            true,
            &mut [0.0],
            &mut Sorter::new(),
        );
        assert!(wrong.unwrap_err().to_string().contains("1.5"));
    }

    #[test]
    fn percentiles_leave_the_marker_out_wherever_it_lies() {
        let src = [5i16, 7, -999, 6, 1, -999];
        // With 6 for the marker: 0.4 of -999, -999, 1, 5, 7 has rank 1.6, and so 2.
        for (nodata, expected) in [(-999, [5, 7]), (6, [1, 7])] {
            let mut out = [0; 2];
            let axis = Axis::of(&[6], 0);
            let mut scratch = Sorter::new();
            percentile(
                &src,
                axis,
                &[0.4, 1.0],
                Some(nodata),
                &mut out,
                &mut scratch,
            )
            .unwrap();
            assert_eq!(out, expected);
        }
        let mut out = [0];
        let axis = Axis::of(&[2], 0);
        percentile(
            &[1i16, 2],
            axis,
            &[0.5],
            Some(-1),
            &mut out,
            &mut Sorter::new(),
        )
        .unwrap();
        assert_eq!(out, [-1]);
    }
}
