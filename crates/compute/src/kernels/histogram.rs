//! Counts of values in bins.

use super::Sample;
use crate::error::{Error, Result};

/// Bins between edges, each with its lower edge and without its upper one; the
/// last has both.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    edges: Vec<f64>,
    /// Whether all are of one width.
    even: bool,
}

impl Bins {
    /// `n` bins of one width from `low` to `high`. Equal ends are moved half a
    /// unit apart, each its way, as numpy does.
    ///
    /// # Errors
    /// No bins, ends that are not finite or the wrong way round.
    ///
    /// # Source
    /// numpy, `histogram_bin_edges` and `linspace`.
    pub fn even(n: usize, low: f64, high: f64) -> Result<Bins> {
        if n == 0 {
            return Err(Error::Invalid("a histogram of 0 bins".to_owned()));
        }
        if !(low.is_finite() && high.is_finite()) || low > high {
            return Err(Error::Invalid(format!(
                "a histogram from {low} to {high}; give a finite range, the lower end first"
            )));
        }
        let (low, high) = if low == high {
            (low - 0.5, high + 0.5)
        } else {
            (low, high)
        };
        #[allow(clippy::cast_precision_loss, reason = "numbers of bins")]
        let step = (high - low) / n as f64;
        #[allow(clippy::cast_precision_loss, reason = "numbers of bins")]
        let mut edges: Vec<f64> = (0..n).map(|i| i as f64 * step + low).collect();
        edges.push(high);
        Ok(Bins { edges, even: true })
    }

    /// Bins between these edges.
    ///
    /// # Errors
    /// Fewer than two edges, edges that do not ascend.
    pub fn between(edges: impl Into<Vec<f64>>) -> Result<Bins> {
        let edges = edges.into();
        if edges.len() < 2 || !edges.windows(2).all(|pair| pair[0] <= pair[1]) {
            return Err(Error::Invalid(format!(
                "{} edges of bins that have to be two at least and in ascending order",
                edges.len()
            )));
        }
        Ok(Bins { edges, even: false })
    }

    /// The edges, one more than there are bins.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// How many bins there are.
    pub fn len(&self) -> usize {
        self.edges.len() - 1
    }

    /// Never: there is one bin at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The bin of a value, `None` for NaN and what lies outside.
    pub fn bin(&self, value: f64) -> Option<usize> {
        let (first, last) = (self.edges[0], self.edges[self.len()]);
        if !(first..=last).contains(&value) {
            return None;
        }
        if !self.even {
            let after = self.edges.partition_point(|&edge| edge <= value);
            return Some(after.saturating_sub(1).min(self.len() - 1));
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and the number of bins"
        )]
        let guess = ((value - first) / (last - first) * self.len() as f64) as usize;
        let mut bin = guess.min(self.len() - 1);
        if value < self.edges[bin] {
            bin -= 1;
        } else if value >= self.edges[bin + 1] && bin + 1 < self.len() {
            bin += 1;
        }
        Some(bin)
    }
}

/// Adds the values of `src` to the counts of `bins`; NaN and what lies outside
/// counts nowhere. Counts of chunks add up to those of the whole.
///
/// # Errors
/// As many counts as bins are needed.
///
/// # Source
/// numpy, `histogram`.
pub fn histogram<T: Sample>(src: &[T], bins: &Bins, counts: &mut [i64]) -> Result<()> {
    if counts.len() != bins.len() {
        return Err(Error::Bug(format!(
            "{} counts for {} bins",
            counts.len(),
            bins.len()
        )));
    }
    for &value in src {
        if let Some(count) = bins.bin(value.to_f64()).and_then(|bin| counts.get_mut(bin)) {
            *count += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_belong_to_the_bin_above_but_the_last() {
        let bins = Bins::even(4, 0.0, 1.0).unwrap();
        let found = [0.0, 0.25, 0.24, 0.75, 1.0, 1.1, -0.1, f64::NAN].map(|x| bins.bin(x));
        assert_eq!(
            found,
            [
                Some(0),
                Some(1),
                Some(0),
                Some(3),
                Some(3),
                None,
                None,
                None
            ]
        );
        let bins = Bins::between([0.0, 1.0, 1.0, 5.0]).unwrap();
        assert_eq!(
            [0.5, 1.0, 5.0].map(|x| bins.bin(x)),
            [Some(0), Some(2), Some(2)]
        );
        assert_eq!(Bins::even(2, 3.0, 3.0).unwrap().edges(), [2.5, 3.0, 3.5]);
        assert!(Bins::even(0, 0.0, 1.0).is_err());
        assert!(Bins::even(1, 0.0, f64::NAN).is_err());
        assert!(Bins::between([1.0, 0.0]).is_err());
    }

    #[test]
    fn even_bins_are_those_between_their_edges() {
        for n in 1..40 {
            let even = Bins::even(n, -0.3, 7.7).unwrap();
            let between = Bins::between(even.edges()).unwrap();
            for i in -10i32..200 {
                for value in [
                    f64::from(i) / 20.0,
                    even.edges()[i.unsigned_abs() as usize % n],
                ] {
                    assert_eq!(even.bin(value), between.bin(value), "{n} {value}");
                }
            }
        }
    }

    #[test]
    fn counts_of_chunks_add_up() {
        let bins = Bins::even(3, 0.0, 3.0).unwrap();
        let mut counts = [0; 3];
        histogram(&[0u8, 1, 1, 200], &bins, &mut counts).unwrap();
        histogram(&[2.5f32, f32::NAN, 3.0], &bins, &mut counts).unwrap();
        assert_eq!(counts, [1, 2, 2]);
    }
}
