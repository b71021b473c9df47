//! Selection of one label near a given one: the nearest, the last before, the
//! first after.

use super::CoordValues;
use super::finder::Finder;
use super::label::CoordLabel;
use crate::error::Result;
use crate::index::AxisIndex;

impl Finder<'_> {
    /// The nearest; of two at one distance the one of higher value, as pandas.
    pub(super) fn nearest(&self, label: &CoordLabel, tolerance: Option<f64>) -> Result<AxisIndex> {
        let (values, wanted, unit) = self.distances(label)?;
        let nearest = (0..values.len())
            .filter(|&i| !values[i].is_nan())
            .min_by(|&a, &b| {
                let distance = |i: usize| (values[i] - wanted).abs();
                distance(a)
                    .total_cmp(&distance(b))
                    .then(values[b].total_cmp(&values[a]))
            })
            .ok_or_else(|| self.unknown(label, "the coordinate is empty"))?;
        let distance = (values[nearest] - wanted).abs();
        if tolerance.is_some_and(|tolerance| distance > tolerance * unit) {
            return Err(self.unknown(label, "none is within the tolerance"));
        }
        // A position beyond the outer edge of the outermost pixel is a mistake
        // (another CRS, swapped axes); a time before the first one is not.
        if tolerance.is_none() && matches!(self.coord.values(), CoordValues::Float(_)) {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            #[allow(clippy::cast_precision_loss, reason = "a mean distance")]
            let half = (high - low) / (2 * values.len().saturating_sub(1)).max(1) as f64;
            let edge = if values.len() > 1 {
                half * (1.0 + 1e-9)
            } else {
                f64::INFINITY
            };
            if wanted < low - edge || wanted > high + edge || wanted.is_nan() {
                return Err(self.unknown(
                    label,
                    "it lies outside; check axis and CRS, or state how far it may be with `Select::nearest_within`",
                ));
            }
        }
        Ok(AxisIndex::At(nearest))
    }

    /// The last label that is not above `label` if `below`, else the first that
    /// is not below it. Of equal ones the last and the first, as pandas.
    pub(super) fn beside(
        &self,
        label: &CoordLabel,
        tolerance: Option<f64>,
        below: bool,
    ) -> Result<AxisIndex> {
        let (values, wanted, unit) = self.distances(label)?;
        let sign = if below { 1.0 } else { -1.0 };
        let ahead = |i: usize| sign * (wanted - values[i]);
        let near = (0..values.len())
            .filter(|&i| ahead(i) >= 0.0)
            .min_by(|&a, &b| {
                let order = ahead(a).total_cmp(&ahead(b));
                order.then(if below { b.cmp(&a) } else { a.cmp(&b) })
            });
        match near {
            Some(near) if tolerance.is_none_or(|most| ahead(near) <= most * unit) => {
                Ok(AxisIndex::At(near))
            }
            Some(_) => Err(self.unknown(label, "none is within the tolerance")),
            None if below => Err(self.unknown(label, "all are above")),
            None => Err(self.unknown(label, "all are below")),
        }
    }

    /// The labels and the wanted one as numbers, and how many of these make a
    /// unit of tolerance.
    #[allow(clippy::cast_precision_loss, reason = "distances need no exactness")]
    fn distances(&self, label: &CoordLabel) -> Result<(Vec<f64>, f64, f64)> {
        Ok(match self.coord.values() {
            CoordValues::Float(values) => (values.clone(), self.as_f64(label)?, 1.0),
            CoordValues::Int(values) => (
                values.iter().map(|&value| value as f64).collect(),
                self.as_f64(label)?,
                1.0,
            ),
            CoordValues::Time(values) => {
                let wanted = self.as_period(label)?.start;
                let from_wanted = |&value: &i64| (i128::from(value) - i128::from(wanted)) as f64;
                (values.iter().map(from_wanted).collect(), 0.0, 1e9)
            }
            CoordValues::Text(_) => return Err(self.wrong_type(label)),
        })
    }
}
