//! What is kept of the pixels that have been taken: one small state for each
//! pixel of the result.
//!
//! Pixels come as the widest type of their kind (f64, i64, u64). Sums of floats
//! keep what rounding loses in a second number and are rounded once, at the end.

use super::exact::{Exact, two_product};
use super::planes::{Part, Parts};
use super::{Reduce, ReduceOp};

/// The widest type of a kind of pixels.
pub(super) trait Wide: Part + PartialOrd {
    const ZERO: Self;
    fn is_nan(self) -> bool;
    fn float(self) -> f64;
    fn value(self) -> Value;
}

macro_rules! wide {
    ($t:ty, $value:ident, $nan:expr) => {
        impl Wide for $t {
            const ZERO: $t = 0 as $t;
            #[inline(always)]
            fn is_nan(self) -> bool {
                $nan(self)
            }
            #[inline(always)]
            #[allow(
                clippy::cast_precision_loss,
                reason = "as numpy's conversion to float64"
            )]
            fn float(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn value(self) -> Value {
                Value::$value(self)
            }
        }
    };
}

wide!(f64, Float, f64::is_nan);
wide!(i64, Int, |_| false);
wide!(u64, UInt, |_| false);

/// A result, before it takes the type of the array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Float(f64),
    Int(i64),
    UInt(u64),
    Bool(bool),
}

/// What is kept for a pixel of the result.
pub(super) trait State<W: Wide>: Copy + Send + 'static {
    /// Numbers that it consists of; each kind lies in a plane of its own where
    /// there are many states.
    type Parts: Parts;

    /// Of no pixel.
    fn new() -> Self;
    /// Takes `x`, which is at position `at` of the reduced axis. Without branches
    /// and checks where that can be, so that neighbours are taken at a time: no
    /// count of pixels comes near the end of a u64.
    fn push(&mut self, x: W, at: u64, skipna: bool);
    /// Takes what comes after.
    fn merge(&mut self, later: &Self);
    /// The result.
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str>;
    /// The state as its parts, and back.
    fn parts(self) -> Self::Parts;
    fn of_parts(parts: Self::Parts) -> Self;
}

/// What reductions without a value for nothing say.
pub(super) const EMPTY: &str = "a reduction of no pixels has no value; select at least one, or use a reduction that has a value for none, such as `sum` or `count`";
pub(super) const ALL_NAN: &str = "all pixels are NaN along the dimension, so none is the smallest or largest; fill them first, or leave such pixels out";

/// Sum and mean of floats, and mean of integers.
#[derive(Clone, Copy)]
pub(super) struct FloatSum {
    sum: Exact,
    n: u64,
}

impl<W: Wide> State<W> for FloatSum {
    type Parts = (f64, f64, u64);

    fn new() -> Self {
        FloatSum {
            sum: Exact::ZERO,
            n: 0,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        let skip = skipna && x.is_nan();
        let x = if skip { 0.0 } else { x.float() };
        self.sum.add(x);
        self.n = self.n.wrapping_add(u64::from(!skip));
    }

    fn merge(&mut self, later: &Self) {
        self.sum.merge(&later.sum);
        self.n += later.n;
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of pixels")]
    #[inline(always)]
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        let sum = self.sum.round();
        Ok(Value::Float(match reduce.op {
            ReduceOp::Mean => sum / self.n as f64,
            _ if self.n < reduce.min_count => f64::NAN,
            _ => sum,
        }))
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.sum.high, self.sum.low, self.n)
    }

    #[inline(always)]
    fn of_parts((high, low, n): Self::Parts) -> Self {
        FloatSum {
            sum: Exact { high, low },
            n,
        }
    }
}

/// Sum of integers, which wraps.
#[derive(Clone, Copy)]
pub(super) struct IntSum(u64);

impl<W: Wide> State<W> for IntSum {
    type Parts = (u64,);

    fn new() -> Self {
        IntSum(0)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 = self.0.wrapping_add(x.word());
    }

    fn merge(&mut self, later: &Self) {
        self.0 = self.0.wrapping_add(later.0);
    }

    #[inline(always)]
    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(W::of_word(self.0).value())
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.0,)
    }

    #[inline(always)]
    fn of_parts((sum,): Self::Parts) -> Self {
        IntSum(sum)
    }
}

/// Product of floats.
#[derive(Clone, Copy)]
pub(super) struct FloatProduct {
    product: f64,
    n: u64,
}

impl<W: Wide> State<W> for FloatProduct {
    type Parts = (f64, u64);

    fn new() -> Self {
        FloatProduct { product: 1.0, n: 0 }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        let skip = skipna && x.is_nan();
        self.product *= if skip { 1.0 } else { x.float() };
        self.n = self.n.wrapping_add(u64::from(!skip));
    }

    fn merge(&mut self, later: &Self) {
        self.product *= later.product;
        self.n += later.n;
    }

    #[inline(always)]
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Float(if self.n < reduce.min_count {
            f64::NAN
        } else {
            self.product
        }))
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.product, self.n)
    }

    #[inline(always)]
    fn of_parts((product, n): Self::Parts) -> Self {
        FloatProduct { product, n }
    }
}

/// Product of integers, which wraps.
#[derive(Clone, Copy)]
pub(super) struct IntProduct(u64);

impl<W: Wide> State<W> for IntProduct {
    type Parts = (u64,);

    fn new() -> Self {
        IntProduct(1)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 = self.0.wrapping_mul(x.word());
    }

    fn merge(&mut self, later: &Self) {
        self.0 = self.0.wrapping_mul(later.0);
    }

    #[inline(always)]
    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(W::of_word(self.0).value())
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.0,)
    }

    #[inline(always)]
    fn of_parts((product,): Self::Parts) -> Self {
        IntProduct(product)
    }
}

/// Variance: sums of pixels and of their squares, both with what rounding takes
/// off, so that their difference loses nothing that a float64 would show.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    sum: Exact,
    squares: Exact,
    n: u64,
}

impl<W: Wide> State<W> for Spread {
    type Parts = (f64, f64, f64, f64, u64);

    fn new() -> Self {
        Spread {
            sum: Exact::ZERO,
            squares: Exact::ZERO,
            n: 0,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        let skip = skipna && x.is_nan();
        let x = if skip { 0.0 } else { x.float() };
        let (square, error) = two_product(x, x);
        self.sum.add(x);
        self.squares.add(square);
        self.squares.low += error;
        self.n = self.n.wrapping_add(u64::from(!skip));
    }

    fn merge(&mut self, later: &Self) {
        self.sum.merge(&later.sum);
        self.squares.merge(&later.squares);
        self.n += later.n;
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of pixels")]
    #[inline(always)]
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        let n = self.n as f64;
        let ddof = f64::from(reduce.ddof);
        if !self.sum.round().is_finite() || n <= ddof {
            return Ok(Value::Float(f64::NAN));
        }
        // n * squares - sum * sum, before the division, in twice the digits.
        let mean = self.sum.round() / n;
        // Sum of (x - mean)^2 = squares - 2 mean sum + n mean^2.
        let mut total = Exact::ZERO;
        total.merge(&self.squares);
        for part in [self.sum.high, self.sum.low] {
            let (product, error) = two_product(-2.0 * mean, part);
            total.add(product);
            total.low += error;
        }
        let (square, error) = two_product(mean, mean);
        for part in [square, error] {
            let (product, error) = two_product(part, n);
            total.add(product);
            total.low += error;
        }
        let variance = total.round().max(0.0) / (n - ddof);
        Ok(Value::Float(if reduce.op == ReduceOp::Std {
            variance.sqrt()
        } else {
            variance
        }))
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (
            self.sum.high,
            self.sum.low,
            self.squares.high,
            self.squares.low,
            self.n,
        )
    }

    #[inline(always)]
    fn of_parts((high, low, squares_high, squares_low, n): Self::Parts) -> Self {
        Spread {
            sum: Exact { high, low },
            squares: Exact {
                high: squares_high,
                low: squares_low,
            },
            n,
        }
    }
}

/// Number of pixels that are not NaN.
#[derive(Clone, Copy)]
pub(super) struct Number(u64);

impl<W: Wide> State<W> for Number {
    type Parts = (u64,);

    fn new() -> Self {
        Number(0)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 = self.0.wrapping_add(u64::from(!x.is_nan()));
    }

    fn merge(&mut self, later: &Self) {
        self.0 += later.0;
    }

    #[inline(always)]
    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Int(self.0.cast_signed()))
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.0,)
    }

    #[inline(always)]
    fn of_parts((number,): Self::Parts) -> Self {
        Number(number)
    }
}

/// Whether a pixel was 0, and whether one was not; NaN is not 0.
#[derive(Clone, Copy)]
pub(super) struct Truths {
    zero: bool,
    other: bool,
}

impl<W: Wide> State<W> for Truths {
    type Parts = (bool, bool);

    fn new() -> Self {
        Truths {
            zero: false,
            other: false,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        let zero = x == W::ZERO;
        self.zero |= zero;
        self.other |= !zero;
    }

    fn merge(&mut self, later: &Self) {
        self.zero |= later.zero;
        self.other |= later.other;
    }

    #[inline(always)]
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Bool(match reduce.op {
            ReduceOp::Any => self.other,
            _ => !self.zero,
        }))
    }

    #[inline(always)]
    fn parts(self) -> Self::Parts {
        (self.zero, self.other)
    }

    #[inline(always)]
    fn of_parts((zero, other): Self::Parts) -> Self {
        Truths { zero, other }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Role;
    use super::super::planes::WORDS;
    use super::*;

    pub(in crate::reduce) fn of<S: State<f64>>(op: ReduceOp, values: &[f64]) -> f64 {
        let mut state = S::new();
        for (at, &x) in (0..).zip(values) {
            state.push(x, at, true);
        }
        let reduce = Reduce::new(op, vec![Role::Reduce]);
        let mut words = [0; WORDS];
        state.parts().write_words(&mut words);
        let state = S::of_parts(S::Parts::of_words(&words));
        match state.finish(&reduce).unwrap() {
            Value::Float(value) => value,
            Value::Int(value) => value as f64,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sums_lose_nothing() {
        assert_eq!(of::<FloatSum>(ReduceOp::Sum, &[1e16, 1.0, -1e16]), 1.0);
        let infinite = of::<FloatSum>(ReduceOp::Sum, &[f64::INFINITY, 1.0]);
        assert_eq!(infinite, f64::INFINITY);
        assert!(of::<FloatSum>(ReduceOp::Sum, &[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(of::<FloatSum>(ReduceOp::Mean, &[f64::NAN, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn variance_far_from_zero() {
        let values = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 4.0];
        assert_eq!(of::<Spread>(ReduceOp::Var, &values), 1.25);
        assert_eq!(of::<Spread>(ReduceOp::Std, &[0.1, 0.1, 0.1]), 0.0);
    }
}
