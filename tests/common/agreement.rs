//! How far two arrays of pixels agree, with the first place where they do not.

use std::fmt;

use ndarray::{ArrayView, Dimension};

/// A pixel as a number; a pixel that is NaN or nodata has no value.
pub(crate) trait Pixel: Copy + fmt::Debug {
    /// The value, if it is not `nodata` and not NaN.
    fn value(self, nodata: Option<f64>) -> Option<f64>;
}

macro_rules! pixel {
    ($($dtype:ty),*) => {$(
        impl Pixel for $dtype {
            fn value(self, nodata: Option<f64>) -> Option<f64> {
                let value = f64::from(self);
                (!value.is_nan() && Some(value) != nodata).then_some(value)
            }
        }
    )*};
}
pixel!(u8, u16, f32, f64);

/// What a comparison found. Shares are of 1, over every pixel unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Agreement {
    name: String,
    /// Equal, or without a value in both.
    pub(crate) equal: f64,
    /// Within the tolerance, or without a value in both.
    pub(crate) within: f64,
    /// Within the tolerance, of the pixels with a value in both.
    pub(crate) within_of_valid: f64,
    /// With a value in both or in neither.
    pub(crate) mask: f64,
    /// Largest difference where both have a value.
    pub(crate) largest: f64,
    /// The first pixel that is not equal: where, ours, theirs.
    first: Option<String>,
}

impl Agreement {
    /// Compares `ours` with `theirs`; `tolerance` is the largest difference that counts as within.
    ///
    /// # Panics
    /// When the shapes differ: then nothing can be compared.
    pub(crate) fn of<P: Pixel, D: Dimension>(
        name: &str,
        ours: &ArrayView<'_, P, D>,
        theirs: &ArrayView<'_, P, D>,
        nodata: Option<f64>,
        tolerance: f64,
    ) -> Self {
        assert_eq!(
            ours.shape(),
            theirs.shape(),
            "{name}: shapes of ours and theirs"
        );
        let (mut equal, mut within, mut mask, mut valid, mut close) = (0, 0, 0, 0, 0);
        let (mut largest, mut first) = (0.0_f64, None);
        for (position, (&a, &b)) in ours.iter().zip(theirs.iter()).enumerate() {
            let (same, near) = match (a.value(nodata), b.value(nodata)) {
                (Some(x), Some(y)) => {
                    let step = (x - y).abs();
                    largest = largest.max(step);
                    valid += 1;
                    mask += 1;
                    close += u64::from(step <= tolerance);
                    (step == 0.0, step <= tolerance)
                }
                (None, None) => {
                    mask += 1;
                    (true, true)
                }
                _ => (false, false),
            };
            equal += u64::from(same);
            within += u64::from(near);
            if !same && first.is_none() {
                first = Some(format!(
                    "{:?}: ours {a:?}, theirs {b:?}",
                    unravel(position, ours.shape())
                ));
            }
        }
        let total = ours.len() as u64;
        Self {
            name: name.to_owned(),
            equal: share(equal, total),
            within: share(within, total),
            within_of_valid: share(close, valid),
            mask: share(mask, total),
            largest,
            first,
        }
    }

    /// # Panics
    /// When fewer than this share of the pixels are equal.
    pub(crate) fn assert_equal_on(&self, least: f64) {
        assert!(
            self.equal >= least,
            "{self}; wanted {:.3} % equal",
            100.0 * least
        );
    }

    /// # Panics
    /// When fewer than this share of the pixels are within the tolerance.
    pub(crate) fn assert_within_on(&self, least: f64) {
        assert!(
            self.within >= least,
            "{self}; wanted {:.3} % within",
            100.0 * least
        );
    }

    /// # Panics
    /// When fewer than this share of the pixels have a value in both or in neither.
    pub(crate) fn assert_mask_on(&self, least: f64) {
        assert!(
            self.mask >= least,
            "{self}; wanted {:.3} % of the mask",
            100.0 * least
        );
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:.4} % equal, {:.4} % within ({:.4} % of the valid), mask {:.4} %, largest difference {}",
            self.name,
            100.0 * self.equal,
            100.0 * self.within,
            100.0 * self.within_of_valid,
            100.0 * self.mask,
            self.largest
        )?;
        match &self.first {
            Some(first) => write!(f, ", first at {first}"),
            None => Ok(()),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of pixels are far below 2^52"
)]
fn share(part: u64, total: u64) -> f64 {
    if total == 0 {
        1.0
    } else {
        part as f64 / total as f64
    }
}

/// Position in C order to one index for each axis.
fn unravel(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, &size) in index.iter_mut().zip(shape).rev() {
        *at = position % size;
        position /= size;
    }
    index
}
