//! What is kept of the pixels that have been taken: one small state for each
//! pixel of the result.
//!
//! Pixels come as the widest type of their kind (f64, i64, u64). Sums of floats
//! keep what rounding loses in a second number and are rounded once, at the end.

use super::{Reduce, ReduceOp};

/// The widest type of a kind of pixels.
pub(super) trait Wide: Copy + PartialOrd + Send + 'static {
    const ZERO: Self;
    fn is_nan(self) -> bool;
    fn float(self) -> f64;
    /// The bits, of integers.
    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
    fn value(self) -> Value;
}

macro_rules! wide {
    ($t:ty, $value:ident, $nan:expr, $bits:expr, $of:expr) => {
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
            fn bits(self) -> u64 {
                $bits(self)
            }
            #[inline(always)]
            fn of_bits(bits: u64) -> $t {
                $of(bits)
            }
            fn value(self) -> Value {
                Value::$value(self)
            }
        }
    };
}

wide!(f64, Float, f64::is_nan, f64::to_bits, f64::from_bits);
wide!(i64, Int, |_| false, i64::cast_unsigned, u64::cast_signed);
wide!(u64, UInt, |_| false, |x| x, |x| x);

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
    /// Of no pixel.
    fn new() -> Self;
    /// Takes `x`, which is at position `at` of the reduced axis.
    fn push(&mut self, x: W, at: u64, skipna: bool);
    /// Takes what comes after.
    fn merge(&mut self, later: &Self);
    /// The result.
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str>;
    /// The state as words, and back.
    fn words(&self) -> [u64; WORDS];
    fn of_words(words: &[u64]) -> Self;
}

/// Words of any state.
pub(super) const WORDS: usize = 5;

/// What reductions without a value for nothing say.
pub(super) const EMPTY: &str = "a reduction of no pixels has no value; select at least one, or use a reduction that has a value for none, such as `sum` or `count`";
pub(super) const ALL_NAN: &str = "all pixels are NaN along the dimension, so none is the smallest or largest; fill them first, or leave such pixels out";

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
fn two_product(a: f64, b: f64) -> (f64, f64) {
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
struct Exact {
    high: f64,
    low: f64,
}

impl Exact {
    const ZERO: Exact = Exact {
        high: 0.0,
        low: 0.0,
    };

    #[inline(always)]
    fn add(&mut self, x: f64) {
        let (sum, error) = two_sum(self.high, x);
        self.high = sum;
        self.low += error;
    }

    fn merge(&mut self, other: &Exact) {
        self.add(other.high);
        self.low += other.low;
    }

    /// Rounded once. Infinity and NaN are found in the plain sum.
    fn round(self) -> f64 {
        let sum = self.high + self.low;
        if self.high.is_finite() && !sum.is_nan() {
            sum
        } else {
            self.high
        }
    }
}

/// Sum and mean of floats, and mean of integers.
#[derive(Clone, Copy)]
pub(super) struct FloatSum {
    sum: Exact,
    n: u64,
}

impl<W: Wide> State<W> for FloatSum {
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
        self.n += u64::from(!skip);
    }

    fn merge(&mut self, later: &Self) {
        self.sum.merge(&later.sum);
        self.n += later.n;
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of pixels")]
    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        let sum = self.sum.round();
        Ok(Value::Float(match reduce.op {
            ReduceOp::Mean => sum / self.n as f64,
            _ if self.n < reduce.min_count => f64::NAN,
            _ => sum,
        }))
    }

    fn words(&self) -> [u64; WORDS] {
        [
            self.sum.high.to_bits(),
            self.sum.low.to_bits(),
            self.n,
            0,
            0,
        ]
    }

    fn of_words(words: &[u64]) -> Self {
        FloatSum {
            sum: Exact {
                high: f64::from_bits(words[0]),
                low: f64::from_bits(words[1]),
            },
            n: words[2],
        }
    }
}

/// Sum of integers, which wraps.
#[derive(Clone, Copy)]
pub(super) struct IntSum(u64);

impl<W: Wide> State<W> for IntSum {
    fn new() -> Self {
        IntSum(0)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 = self.0.wrapping_add(x.bits());
    }

    fn merge(&mut self, later: &Self) {
        self.0 = self.0.wrapping_add(later.0);
    }

    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(W::of_bits(self.0).value())
    }

    fn words(&self) -> [u64; WORDS] {
        [self.0, 0, 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        IntSum(words[0])
    }
}

/// Product of floats.
#[derive(Clone, Copy)]
pub(super) struct FloatProduct {
    product: f64,
    n: u64,
}

impl<W: Wide> State<W> for FloatProduct {
    fn new() -> Self {
        FloatProduct { product: 1.0, n: 0 }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        if !(skipna && x.is_nan()) {
            self.product *= x.float();
            self.n += 1;
        }
    }

    fn merge(&mut self, later: &Self) {
        self.product *= later.product;
        self.n += later.n;
    }

    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Float(if self.n < reduce.min_count {
            f64::NAN
        } else {
            self.product
        }))
    }

    fn words(&self) -> [u64; WORDS] {
        [self.product.to_bits(), self.n, 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        FloatProduct {
            product: f64::from_bits(words[0]),
            n: words[1],
        }
    }
}

/// Product of integers, which wraps.
#[derive(Clone, Copy)]
pub(super) struct IntProduct(u64);

impl<W: Wide> State<W> for IntProduct {
    fn new() -> Self {
        IntProduct(1)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 = self.0.wrapping_mul(x.bits());
    }

    fn merge(&mut self, later: &Self) {
        self.0 = self.0.wrapping_mul(later.0);
    }

    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(W::of_bits(self.0).value())
    }

    fn words(&self) -> [u64; WORDS] {
        [self.0, 0, 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        IntProduct(words[0])
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
        self.n += u64::from(!skip);
    }

    fn merge(&mut self, later: &Self) {
        self.sum.merge(&later.sum);
        self.squares.merge(&later.squares);
        self.n += later.n;
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of pixels")]
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

    fn words(&self) -> [u64; WORDS] {
        [
            self.sum.high.to_bits(),
            self.sum.low.to_bits(),
            self.squares.high.to_bits(),
            self.squares.low.to_bits(),
            self.n,
        ]
    }

    fn of_words(words: &[u64]) -> Self {
        let exact = |at: usize| Exact {
            high: f64::from_bits(words[at]),
            low: f64::from_bits(words[at + 1]),
        };
        Spread {
            sum: exact(0),
            squares: exact(2),
            n: words[4],
        }
    }
}

/// The smallest or largest; of equals the one met first.
#[derive(Clone, Copy)]
pub(super) struct Extreme<W, const LARGEST: bool> {
    best: W,
    /// Nothing yet, a value, or NaN where NaN counts.
    found: Found,
}

#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// No pixel.
    Nothing,
    /// Pixels, all of them left out.
    Skipped,
    Value,
    Nan,
}

impl Found {
    fn word(self) -> u64 {
        match self {
            Found::Nothing => 0,
            Found::Skipped => 1,
            Found::Value => 2,
            Found::Nan => 3,
        }
    }

    fn of_word(word: u64) -> Found {
        match word {
            0 => Found::Nothing,
            1 => Found::Skipped,
            2 => Found::Value,
            _ => Found::Nan,
        }
    }
}

impl<W: Wide, const LARGEST: bool> State<W> for Extreme<W, LARGEST> {
    fn new() -> Self {
        Extreme {
            best: W::ZERO,
            found: Found::Nothing,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, skipna: bool) {
        if x.is_nan() {
            if !skipna {
                self.found = Found::Nan;
            } else if self.found == Found::Nothing {
                self.found = Found::Skipped;
            }
            return;
        }
        let better = if LARGEST {
            x > self.best
        } else {
            x < self.best
        };
        match self.found {
            Found::Value if better => self.best = x,
            Found::Nothing | Found::Skipped => {
                self.best = x;
                self.found = Found::Value;
            }
            _ => {}
        }
    }

    fn merge(&mut self, later: &Self) {
        match later.found {
            Found::Value => State::<W>::push(self, later.best, 0, true),
            Found::Nan => self.found = Found::Nan,
            Found::Skipped if self.found == Found::Nothing => self.found = Found::Skipped,
            Found::Nothing | Found::Skipped => {}
        }
    }

    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        match self.found {
            Found::Value => Ok(self.best.value()),
            Found::Nothing if reduce.empty_is_nan => Ok(Value::Float(f64::NAN)),
            Found::Skipped | Found::Nan => Ok(Value::Float(f64::NAN)),
            Found::Nothing => Err(EMPTY),
        }
    }

    fn words(&self) -> [u64; WORDS] {
        [self.best.bits(), self.found.word(), 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        Extreme {
            best: W::of_bits(words[0]),
            found: Found::of_word(words[1]),
        }
    }
}

/// What is compared to find a place.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pick {
    Smallest,
    Largest,
    First,
    Last,
}

/// A pixel and where it was: first, last, smallest, largest.
#[derive(Clone, Copy)]
pub(super) struct Place<W, const PICK: u8> {
    best: W,
    at: u64,
    found: Found,
}

/// [`Pick`] as a parameter of a type.
pub(super) const SMALLEST: u8 = 0;
pub(super) const LARGEST: u8 = 1;
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 3;

impl<W: Wide, const PICK: u8> Place<W, PICK> {
    const KIND: Pick = match PICK {
        SMALLEST => Pick::Smallest,
        LARGEST => Pick::Largest,
        FIRST => Pick::First,
        _ => Pick::Last,
    };

    /// Whether a value later found elsewhere takes the place of this one.
    #[inline(always)]
    fn loses_to(&self, x: W, at: u64, nan: bool) -> bool {
        match (self.found, Self::KIND) {
            (Found::Nothing | Found::Skipped, _) => true,
            (_, Pick::First) => at < self.at,
            (_, Pick::Last) => at > self.at,
            // The first NaN is where numpy finds both extremes.
            (Found::Nan, _) => nan && at < self.at,
            (Found::Value, _) if nan => true,
            (Found::Value, Pick::Smallest) => x < self.best || (x == self.best && at < self.at),
            (Found::Value, Pick::Largest) => x > self.best || (x == self.best && at < self.at),
        }
    }
}

impl<W: Wide, const PICK: u8> State<W> for Place<W, PICK> {
    fn new() -> Self {
        Place {
            best: W::ZERO,
            at: 0,
            found: Found::Nothing,
        }
    }

    #[inline(always)]
    fn push(&mut self, x: W, at: u64, skipna: bool) {
        let nan = x.is_nan();
        if nan && skipna {
            if self.found == Found::Nothing {
                self.found = Found::Skipped;
            }
        } else if self.loses_to(x, at, nan) {
            *self = Place {
                best: x,
                at,
                found: if nan { Found::Nan } else { Found::Value },
            };
        }
    }

    fn merge(&mut self, later: &Self) {
        match later.found {
            Found::Nothing => {}
            Found::Skipped if self.found == Found::Nothing => self.found = Found::Skipped,
            Found::Skipped => {}
            Found::Value | Found::Nan => {
                if self.loses_to(later.best, later.at, later.found == Found::Nan) {
                    *self = *later;
                }
            }
        }
    }

    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        let place = matches!(Self::KIND, Pick::Smallest | Pick::Largest);
        match self.found {
            Found::Nothing if reduce.empty_is_nan && !place => Ok(Value::Float(f64::NAN)),
            Found::Nothing => Err(EMPTY),
            Found::Skipped if place => Err(ALL_NAN),
            Found::Skipped => Ok(Value::Float(f64::NAN)),
            Found::Value | Found::Nan if place => Ok(Value::Int(self.at.cast_signed())),
            Found::Value | Found::Nan => Ok(self.best.value()),
        }
    }

    fn words(&self) -> [u64; WORDS] {
        [self.best.bits(), self.at, self.found.word(), 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        Place {
            best: W::of_bits(words[0]),
            at: words[1],
            found: Found::of_word(words[2]),
        }
    }
}

/// Number of pixels that are not NaN.
#[derive(Clone, Copy)]
pub(super) struct Number(u64);

impl<W: Wide> State<W> for Number {
    fn new() -> Self {
        Number(0)
    }

    #[inline(always)]
    fn push(&mut self, x: W, _: u64, _: bool) {
        self.0 += u64::from(!x.is_nan());
    }

    fn merge(&mut self, later: &Self) {
        self.0 += later.0;
    }

    fn finish(&self, _: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Int(self.0.cast_signed()))
    }

    fn words(&self) -> [u64; WORDS] {
        [self.0, 0, 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        Number(words[0])
    }
}

/// Whether a pixel was 0, and whether one was not; NaN is not 0.
#[derive(Clone, Copy)]
pub(super) struct Truths {
    zero: bool,
    other: bool,
}

impl<W: Wide> State<W> for Truths {
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

    fn finish(&self, reduce: &Reduce) -> Result<Value, &'static str> {
        Ok(Value::Bool(match reduce.op {
            ReduceOp::Any => self.other,
            _ => !self.zero,
        }))
    }

    fn words(&self) -> [u64; WORDS] {
        [u64::from(self.zero), u64::from(self.other), 0, 0, 0]
    }

    fn of_words(words: &[u64]) -> Self {
        Truths {
            zero: words[0] != 0,
            other: words[1] != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    fn of<S: State<f64>>(op: ReduceOp, values: &[f64]) -> f64 {
        let mut state = S::new();
        for (at, &x) in (0..).zip(values) {
            state.push(x, at, true);
        }
        let reduce = Reduce::new(op, vec![Role::Reduce]);
        match S::of_words(&state.words()).finish(&reduce).unwrap() {
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

    #[test]
    fn places() {
        let values = [f64::NAN, 3.0, 1.0, 3.0, 1.0];
        assert_eq!(of::<Place<f64, SMALLEST>>(ReduceOp::ArgMin, &values), 2.0);
        assert_eq!(of::<Place<f64, LARGEST>>(ReduceOp::ArgMax, &values), 1.0);
        assert_eq!(of::<Place<f64, FIRST>>(ReduceOp::First, &values), 3.0);
        assert_eq!(of::<Place<f64, LAST>>(ReduceOp::Last, &values), 1.0);
        let mut late = Place::<f64, LARGEST>::new();
        late.push(3.0, 9, true);
        let mut early = Place::<f64, LARGEST>::new();
        early.push(3.0, 4, true);
        late.merge(&early);
        assert_eq!(late.at, 4);
    }
}
