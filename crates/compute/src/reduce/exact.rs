//! Sums and products of floats that keep what rounding takes off.

/// `a + b`, and what rounding took off.
///
/// # Source
/// D. E. Knuth, The Art of Computer Programming 2, section 4.2.2 (two-sum).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// `a * b`, and what rounding took off.
///
/// # Source
/// T. J. Dekker, A floating-point technique for extending the available
/// precision, 1971.
#[inline(always)]
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |x: f64| {
        let scaled = x * 134_217_729.0;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a1, a0), (b1, b0)) = (split(a), split(b));
    let error = ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0;
    // Numbers near the largest cannot be split; their product is what it is.
    (product, if error.is_finite() { error } else { 0.0 })
}

/// A sum and what rounding took off it.
#[derive(Clone, Copy)]
pub(super) struct Exact {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Exact {
    pub(super) const ZERO: Exact = Exact {
        high: 0.0,
        low: 0.0,
    };

    #[inline(always)]
    pub(super) fn add(&mut self, x: f64) {
        let (sum, error) = two_sum(self.high, x);
        self.high = sum;
        self.low += error;
    }

    pub(super) fn merge(&mut self, other: &Exact) {
        self.add(other.high);
        self.low += other.low;
    }

    /// Rounded once. Infinity and NaN are found in the plain sum.
    #[inline(always)]
    pub(super) fn round(self) -> f64 {
        let sum = self.high + self.low;
        if self.high.is_finite() && !sum.is_nan() {
            sum
        } else {
            self.high
        }
    }
}
