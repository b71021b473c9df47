//! Sums and products up to here.

use datacube_model::DType;

use super::kind::{Kind, kind};
use super::pixels::{Load, store};
use super::state::{FloatProduct, FloatSum, IntProduct, IntSum, State, Value};
use super::{Reduce, ReduceOp};

/// A running sum or product of pixels.
pub(crate) struct Cumulate {
    dtype: DType,
    result: DType,
    skipna: bool,
    running: Running,
}

enum Running {
    Float(FloatSum),
    FloatProduct(FloatProduct),
    Int(IntSum),
    IntProduct(IntProduct),
}

impl Cumulate {
    pub(crate) fn new(product: bool, dtype: DType, skipna: bool) -> Cumulate {
        let running = match (dtype.is_float(), product) {
            (true, false) => Running::Float(<FloatSum as State<f64>>::new()),
            (true, true) => Running::FloatProduct(<FloatProduct as State<f64>>::new()),
            (false, false) => Running::Int(<IntSum as State<u64>>::new()),
            (false, true) => Running::IntProduct(<IntProduct as State<u64>>::new()),
        };
        Cumulate {
            dtype,
            result: ReduceOp::Sum.result(dtype).unwrap_or(dtype),
            skipna,
            running,
        }
    }

    pub(crate) fn push(&mut self, pixel: &[u8]) {
        let int = || {
            let mut wide = [0i64];
            if matches!(kind(self.dtype), Kind::Unsigned) {
                let mut unsigned = [0u64];
                u64::load(self.dtype, pixel, &mut unsigned);
                return unsigned[0];
            }
            i64::load(self.dtype, pixel, &mut wide);
            wide[0].cast_unsigned()
        };
        let float = || {
            let mut wide = [0f64];
            f64::load(self.dtype, pixel, &mut wide);
            wide[0]
        };
        match &mut self.running {
            Running::Float(state) => state.push(float(), 0, self.skipna),
            Running::FloatProduct(state) => state.push(float(), 0, self.skipna),
            Running::Int(state) => State::<u64>::push(state, int(), 0, false),
            Running::IntProduct(state) => State::<u64>::push(state, int(), 0, false),
        }
    }

    /// Writes the sum or product so far.
    pub(crate) fn write(&self, pixel: &mut [u8]) {
        let reduce = Reduce::new(ReduceOp::Sum, Vec::new());
        let value = match &self.running {
            Running::Float(state) => State::<f64>::finish(state, &reduce),
            Running::FloatProduct(state) => State::<f64>::finish(state, &reduce),
            Running::Int(state) => State::<u64>::finish(state, &reduce),
            Running::IntProduct(state) => State::<u64>::finish(state, &reduce),
        };
        // Sums and products have a value for no pixels too.
        store(value.unwrap_or(Value::Float(0.0)), self.result, pixel);
    }
}
