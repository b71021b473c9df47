//! States of windows around pixels.

use datacube_model::DType;

use super::Reduce;
use super::kind::with_state;
use super::pixels::{Load, store};
use super::planes::Parts;
use super::run::ROW;
use super::state::{State, Value, Wide};

/// States of windows that lie side by side.
pub(crate) trait Windows {
    /// Windows at most.
    fn most(&self) -> usize {
        ROW
    }
    /// Begins `len` windows, of no pixels.
    fn begin(&mut self, len: usize);
    /// Takes a row of pixels, one into each window from `at` on.
    fn push_row(&mut self, at: usize, pixels: &[u8]);
    /// Writes the results; those of fewer than `min_periods` pixels are NaN, or 0.
    fn finish(&self, min_periods: u64, result: DType, out: &mut [u8]);
}

/// Bytes that [`windows`] takes.
pub(crate) fn windows_bytes(reduce: &Reduce, dtype: DType) -> usize {
    let state = with_state!(reduce, dtype, S, W => size_of::<S>());
    ROW * (state + 2 * size_of::<u64>())
}

/// States for windows.
pub(crate) fn windows(reduce: &Reduce, dtype: DType) -> Box<dyn Windows> {
    with_state!(reduce, dtype, S, W => Box::new(Typed::<S, W> {
        reduce: reduce.clone(),
        dtype,
        states: <S as State<W>>::parts(<S as State<W>>::new()).planes(ROW),
        counts: vec![0; ROW],
        row: vec![W::ZERO; ROW],
    }))
}

struct Typed<S: State<W>, W: Wide> {
    reduce: Reduce,
    dtype: DType,
    states: <S::Parts as Parts>::Planes,
    /// How many pixels of each window are not NaN.
    counts: Vec<u64>,
    row: Vec<W>,
}

impl<S: State<W>, W: Wide + Load> Windows for Typed<S, W> {
    fn begin(&mut self, len: usize) {
        S::new().parts().fill(&mut self.states, len);
        self.counts[..len].fill(0);
    }

    fn push_row(&mut self, at: usize, pixels: &[u8]) {
        let row = &mut self.row[..pixels.len() / self.dtype.size()];
        W::load(self.dtype, pixels, row);
        S::Parts::push_row::<W, S>(&mut self.states, at, row, 0, true);
        for (count, x) in self.counts[at..].iter_mut().zip(row) {
            *count = count.wrapping_add(u64::from(!x.is_nan()));
        }
    }

    fn finish(&self, min_periods: u64, result: DType, out: &mut [u8]) {
        write_values(self.values(min_periods), result, out);
    }
}

impl<S: State<W>, W: Wide> Typed<S, W> {
    /// What windows come to; nothing where too few pixels have a value.
    #[inline(always)]
    fn values(&self, min_periods: u64) -> impl Iterator<Item = Option<Value>> {
        let counts = self.counts.iter().enumerate();
        counts.map(move |(at, &count)| {
            let state = S::of_parts(S::Parts::get(&self.states, at));
            let value = state.finish(&self.reduce).ok();
            value.filter(|_| count >= min_periods)
        })
    }
}

/// Writes results, one a pixel; nothing is NaN, or 0.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "rounded once")]
pub(super) fn write_values(
    values: impl Iterator<Item = Option<Value>>,
    result: DType,
    out: &mut [u8],
) {
    match result {
        DType::Float32 => {
            for (value, pixel) in values.zip(out.as_chunks_mut().0) {
                *pixel = (float(value) as f32).to_ne_bytes();
            }
        }
        DType::Float64 => {
            for (value, pixel) in values.zip(out.as_chunks_mut().0) {
                *pixel = float(value).to_ne_bytes();
            }
        }
        _ => {
            for (value, pixel) in values.zip(out.chunks_exact_mut(result.size())) {
                match value {
                    Some(value) => store(value, result, pixel),
                    None if result.is_float() => store(Value::Float(f64::NAN), result, pixel),
                    None => pixel.fill(0),
                }
            }
        }
    }
}

/// A result of float type.
#[inline(always)]
fn float(value: Option<Value>) -> f64 {
    match value {
        Some(Value::Float(value)) => value,
        _ => f64::NAN,
    }
}
