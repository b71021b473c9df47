//! Running reductions: block after block into states, or all at once.

use datacube_model::DType;
use half::f16;

use super::geometry::{Along, Geometry};
use super::state::{
    Extreme, FIRST, FloatProduct, FloatSum, IntProduct, IntSum, LARGEST, LAST, Number, Place,
    SMALLEST, Spread, State, Truths, Value, WORDS, Wide,
};
use super::{Reduce, ReduceOp, order};
use crate::region::{Region, c_strides};

/// Pixels that are widened at a time.
const ROW: usize = 1024;

/// Takes the pixels of one canonical block for a part of the result.
pub(crate) trait Accumulate: Send {
    /// Takes the pixels of `region` of the input, in C order.
    fn take(&mut self, region: &Region, pixels: &[u8]);
    /// Ends a canonical block: what was taken joins what came before.
    fn end_block(&mut self);
    /// Writes the result.
    fn finish(&self, out: &mut [u8]) -> Result<(), &'static str>;
    /// Writes the states, [`words`] of each pixel.
    fn write_words(&self, out: &mut [u64]);
    /// Joins states that [`Accumulate::write_words`] wrote.
    fn join_words(&mut self, words: &[u64]);
}

/// 8-byte words of a state that is handed on.
pub(crate) fn words() -> usize {
    WORDS
}

macro_rules! with_state {
    ($reduce:expr, $dtype:expr, $s:ident, $w:ident => $code:expr) => {{
        macro_rules! run {
            ($state:ty, $wide:ty) => {{
                type $s = $state;
                #[allow(dead_code, reason = "not every use names the type")]
                type $w = $wide;
                $code
            }};
        }
        macro_rules! kinds {
                                ($wide:ty, $sum:ty, $product:ty) => {
                                    match $reduce.op {
                                        ReduceOp::Sum => run!($sum, $wide),
                                        ReduceOp::Prod => run!($product, $wide),
                                        ReduceOp::Mean => run!(FloatSum, $wide),
                                        ReduceOp::Var | ReduceOp::Std => run!(Spread, $wide),
                                        ReduceOp::Min => run!(Extreme<$wide, false>, $wide),
                                        ReduceOp::Max => run!(Extreme<$wide, true>, $wide),
                                        ReduceOp::ArgMin => run!(Place<$wide, SMALLEST>, $wide),
                                        ReduceOp::ArgMax => run!(Place<$wide, LARGEST>, $wide),
                                        ReduceOp::First => run!(Place<$wide, FIRST>, $wide),
                                        ReduceOp::Last => run!(Place<$wide, LAST>, $wide),
                                        ReduceOp::Count => run!(Number, $wide),
                                        ReduceOp::Any | ReduceOp::All => run!(Truths, $wide),
                                        ReduceOp::Median | ReduceOp::Quantile | ReduceOp::Mode => {
                                            unreachable!("these take all pixels at a time")
                                        }
                                    }
                                };
                            }
        match kind($dtype) {
            Kind::Float => kinds!(f64, FloatSum, FloatProduct),
            Kind::Signed => kinds!(i64, IntSum, IntProduct),
            Kind::Unsigned => kinds!(u64, IntSum, IntProduct),
        }
    }};
}

enum Kind {
    Float,
    Signed,
    Unsigned,
}

fn kind(dtype: DType) -> Kind {
    match dtype {
        dtype if dtype.is_float() => Kind::Float,
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Kind::Unsigned,
        _ => Kind::Signed,
    }
}

/// Bytes of the states of `out` pixels of a reduction.
pub(crate) fn state_bytes(geometry: Geometry<'_>, dtype: DType, out: usize) -> usize {
    let state = with_state!(geometry.reduce, dtype, S, W => size_of::<S>());
    let totals = usize::from(geometry.n_blocks() > 1 || geometry.lanes() > 1);
    state * out * (geometry.lanes() + totals)
}

/// States for the part `out` of a reduction's result.
pub(crate) fn accumulators(
    geometry: Geometry<'_>,
    dtype: DType,
    out: &Region,
) -> Box<dyn Accumulate> {
    with_state!(geometry.reduce, dtype, S, W => Box::new(Typed::<S, W>::new(geometry, dtype, out)))
}

struct Typed<S, W> {
    reduce: Reduce,
    shape: Vec<usize>,
    dtype: DType,
    out: Region,
    lanes: usize,
    /// Of the block that is being taken: lanes of each pixel.
    states: Vec<S>,
    /// Of the blocks before, if there can be any.
    totals: Vec<S>,
    row: Vec<W>,
}

impl<S: State<W>, W: Wide + Load> Typed<S, W> {
    fn new(geometry: Geometry<'_>, dtype: DType, out: &Region) -> Self {
        let lanes = geometry.lanes();
        let pixels = out.len();
        let totals = geometry.n_blocks() > 1 || lanes > 1;
        Typed {
            reduce: geometry.reduce.clone(),
            shape: geometry.shape.to_vec(),
            dtype,
            out: out.clone(),
            lanes,
            states: vec![S::new(); pixels * lanes],
            totals: if totals {
                vec![S::new(); pixels]
            } else {
                Vec::new()
            },
            row: vec![W::ZERO; ROW],
        }
    }

    fn results(&self) -> &[S] {
        if self.totals.is_empty() {
            &self.states
        } else {
            &self.totals
        }
    }
}

impl<S: State<W>, W: Wide + Load> Accumulate for Typed<S, W> {
    fn take(&mut self, region: &Region, pixels: &[u8]) {
        let geometry = Geometry::new(&self.reduce, &self.shape);
        let along = geometry.along(&self.out);
        let (states, lanes, skipna) = (&mut self.states, self.lanes, self.reduce.skipna);
        let size = self.dtype.size();
        let Some((last, outer)) = along.split_last() else {
            // A single pixel, of no axes.
            W::load(self.dtype, pixels, &mut self.row[..1]);
            states[0].push(self.row[0], 0, skipna);
            return;
        };
        let ranges = region.ranges();
        let inner = &ranges[outer.len()];
        // Positions count along what is reduced or grouped.
        let folded: Vec<usize> = along
            .iter()
            .zip(&self.shape)
            .map(|(along, &len)| match along {
                Along::Keep { .. } => 1,
                _ => len,
            })
            .collect();
        let counting = c_strides(&folded);
        for_each_row(&ranges[..outer.len()], |number, index| {
            let mut base = 0;
            let mut at = 0;
            for (axis, along) in outer.iter().enumerate() {
                let Some(place) = along.place(index[axis]) else {
                    return;
                };
                base += place;
                if !matches!(along, Along::Keep { .. }) {
                    at += index[axis] * counting[axis];
                }
            }
            for start in (0..inner.len()).step_by(ROW) {
                let n = ROW.min(inner.len() - start);
                let from = (number * inner.len() + start) * size;
                W::load(
                    self.dtype,
                    &pixels[from..from + n * size],
                    &mut self.row[..n],
                );
                let row = &self.row[..n];
                let first = inner.start + start;
                match last {
                    Along::Keep { start, .. } => {
                        let at = at as u64;
                        let states = &mut states[base + first - start..][..n];
                        for (state, &x) in states.iter_mut().zip(row) {
                            state.push(x, at, skipna);
                        }
                    }
                    Along::Reduce => {
                        let states = &mut states[base * lanes..][..lanes];
                        push_lanes(states, row, first, at, skipna);
                    }
                    Along::Group { .. } => {
                        for (i, &x) in row.iter().enumerate() {
                            if let Some(place) = last.place(first + i) {
                                states[base + place].push(x, (at + first + i) as u64, skipna);
                            }
                        }
                    }
                }
            }
        });
    }

    fn end_block(&mut self) {
        if self.totals.is_empty() {
            return;
        }
        for (total, lanes) in self
            .totals
            .iter_mut()
            .zip(self.states.chunks_exact_mut(self.lanes))
        {
            let mut block = lanes[0];
            for lane in &lanes[1..] {
                block.merge(lane);
            }
            total.merge(&block);
            lanes.fill(S::new());
        }
    }

    fn finish(&self, out: &mut [u8]) -> Result<(), &'static str> {
        let dtype = self.reduce.op.result(self.dtype).unwrap_or(self.dtype);
        for (state, pixel) in self
            .results()
            .iter()
            .zip(out.chunks_exact_mut(dtype.size()))
        {
            store(state.finish(&self.reduce)?, dtype, pixel);
        }
        Ok(())
    }

    fn write_words(&self, out: &mut [u64]) {
        for (state, words) in self.results().iter().zip(out.chunks_exact_mut(WORDS)) {
            words.copy_from_slice(&state.words());
        }
    }

    fn join_words(&mut self, words: &[u64]) {
        let states = if self.totals.is_empty() {
            &mut self.states
        } else {
            &mut self.totals
        };
        for (state, words) in states.iter_mut().zip(words.chunks_exact(WORDS)) {
            state.merge(&S::of_words(words));
        }
    }
}

/// Pixels of a row to the lanes of one pixel, by position.
#[inline(always)]
fn push_lanes<S: State<W>, W: Wide>(
    states: &mut [S],
    row: &[W],
    first: usize,
    at: usize,
    skipna: bool,
) {
    let lanes = states.len();
    let position = |i: usize| (at + first + i) as u64;
    let head = (lanes - first % lanes) % lanes;
    let head = head.min(row.len());
    for (i, &x) in row[..head].iter().enumerate() {
        states[(first + i) % lanes].push(x, position(i), skipna);
    }
    let mut i = head;
    for eight in row[head..].chunks(lanes) {
        for (state, &x) in states.iter_mut().zip(eight) {
            state.push(x, position(i), skipna);
            i += 1;
        }
    }
}

/// Calls `row` with the number and the index of each row of a box, in C order.
fn for_each_row(ranges: &[std::ops::Range<usize>], mut row: impl FnMut(usize, &[usize])) {
    let count: usize = ranges.iter().map(ExactSizeIterator::len).product();
    let mut index: Vec<usize> = ranges.iter().map(|range| range.start).collect();
    for number in 0..count {
        row(number, &index);
        for axis in (0..ranges.len()).rev() {
            index[axis] += 1;
            if index[axis] < ranges[axis].end {
                break;
            }
            index[axis] = ranges[axis].start;
        }
    }
}

/// Pixels of any type as the widest of their kind.
pub(super) trait Load: Sized {
    fn load(dtype: DType, pixels: &[u8], out: &mut [Self]);
}

macro_rules! load {
    ($wide:ty: $($dtype:ident($t:ty, $to:expr)),*) => {
        impl Load for $wide {
            fn load(dtype: DType, pixels: &[u8], out: &mut [Self]) {
                match dtype {
                    $(DType::$dtype => {
                        const SIZE: usize = size_of::<$t>();
                        for (out, pixel) in out.iter_mut().zip(pixels.as_chunks::<SIZE>().0) {
                            *out = $to(<$t>::from_ne_bytes(*pixel));
                        }
                    })*
                    _ => unreachable!("pixels of another kind"),
                }
            }
        }
    };
}

load!(f64: Float16(f16, f16::to_f64), Float32(f32, f64::from), Float64(f64, |x| x));
load!(i64: Bool(u8, |x| i64::from(x != 0)), Int8(i8, i64::from), Int16(i16, i64::from),
    Int32(i32, i64::from), Int64(i64, |x| x));
load!(u64: UInt8(u8, u64::from), UInt16(u16, u64::from), UInt32(u32, u64::from), UInt64(u64, |x| x));

/// Writes a result as a pixel of `dtype`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "integers come from pixels of this type, and floats are rounded once"
)]
pub(super) fn store(value: Value, dtype: DType, pixel: &mut [u8]) {
    macro_rules! put {
        ($value:expr) => {
            pixel.copy_from_slice(&$value.to_ne_bytes())
        };
    }
    match value {
        Value::Bool(value) => pixel[0] = u8::from(value),
        Value::Float(value) => match dtype {
            DType::Float16 => put!(f16::from_f64(value)),
            DType::Float32 => put!((value as f32)),
            DType::Float64 => put!(value),
            _ => unreachable!("no float is a result of integer type"),
        },
        Value::Int(value) => store_bits(value as u64, dtype, pixel),
        Value::UInt(value) => store_bits(value, dtype, pixel),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "integers come from pixels of this type"
)]
fn store_bits(value: u64, dtype: DType, pixel: &mut [u8]) {
    match dtype.size() {
        1 => pixel[0] = value as u8,
        2 => pixel.copy_from_slice(&(value as u16).to_ne_bytes()),
        4 => pixel.copy_from_slice(&(value as u32).to_ne_bytes()),
        _ => pixel.copy_from_slice(&value.to_ne_bytes()),
    }
}

/// The part `out` of a reduction's result from all pixels that it takes, which
/// are `region` of the input. What all other ways are held to.
pub(crate) fn reduce_whole(
    geometry: Geometry<'_>,
    dtype: DType,
    out: &Region,
    region: &Region,
    pixels: &[u8],
    to: &mut [u8],
) -> Result<(), &'static str> {
    if !geometry.reduce.op.streams() {
        return order::run(geometry, dtype, out, region, pixels, to);
    }
    let mut states = accumulators(geometry, dtype, out);
    let size = dtype.size();
    let strides = c_strides(&region.shape());
    for number in 0..geometry.n_blocks() {
        let block = Region::new(geometry.block(number)).intersect(region);
        if !block.is_empty() {
            if block == *region {
                states.take(&block, pixels);
            } else {
                let mut part = vec![0u8; block.len() * size];
                let rows = &block.ranges()[..block.ndim() - 1];
                let inner = &block.ranges()[block.ndim() - 1];
                for_each_row(rows, |row, index| {
                    let mut from = inner.start - region.ranges()[block.ndim() - 1].start;
                    for (axis, &at) in index.iter().enumerate() {
                        from += (at - region.ranges()[axis].start) * strides[axis];
                    }
                    let len = inner.len() * size;
                    part[row * len..][..len].copy_from_slice(&pixels[from * size..][..len]);
                });
                states.take(&block, &part);
            }
        }
        states.end_block();
    }
    states.finish(to)
}

/// The result from states of several blocks: `words` of `[block, out, word]`.
pub(crate) fn combine(
    reduce: &Reduce,
    shape: &[usize],
    dtype: DType,
    out: &Region,
    words: &[u64],
    to: &mut [u8],
) -> Result<(), &'static str> {
    let mut states = accumulators(Geometry::new(reduce, shape), dtype, out);
    let each = out.len() * WORDS;
    if each > 0 {
        for block in words.chunks_exact(each) {
            states.join_words(block);
        }
    }
    states.finish(to)
}

/// States of windows: like [`Accumulate`], by places of the result.
pub(crate) trait Windows {
    /// Takes a row of pixels, whose results start at `at`.
    fn push_row(&mut self, at: usize, pixels: &[u8]);
    /// Writes the results; those of fewer than `min_periods` pixels are NaN, or 0.
    fn finish(&self, min_periods: u64, result: DType, out: &mut [u8]);
}

/// States for `pixels` windows.
pub(crate) fn windows(reduce: &Reduce, dtype: DType, pixels: usize) -> Box<dyn Windows> {
    with_state!(reduce, dtype, S, W => Box::new(TypedWindows::<S, W> {
        reduce: reduce.clone(),
        dtype,
        states: vec![(<S as State<W>>::new(), 0); pixels],
        row: vec![W::ZERO; ROW],
    }))
}

struct TypedWindows<S, W> {
    reduce: Reduce,
    dtype: DType,
    /// The state, and how many pixels it has that are not NaN.
    states: Vec<(S, u64)>,
    row: Vec<W>,
}

impl<S: State<W>, W: Wide + Load> Windows for TypedWindows<S, W> {
    fn push_row(&mut self, at: usize, pixels: &[u8]) {
        let size = self.dtype.size();
        for (number, pixels) in pixels.chunks(ROW * size).enumerate() {
            let row = &mut self.row[..pixels.len() / size];
            W::load(self.dtype, pixels, row);
            let states = &mut self.states[at + number * ROW..][..row.len()];
            for ((state, count), &x) in states.iter_mut().zip(row.iter()) {
                state.push(x, 0, true);
                *count += u64::from(!x.is_nan());
            }
        }
    }

    fn finish(&self, min_periods: u64, result: DType, out: &mut [u8]) {
        for ((state, count), pixel) in self.states.iter().zip(out.chunks_exact_mut(result.size())) {
            let value = if *count < min_periods {
                None
            } else {
                state.finish(&self.reduce).ok()
            };
            match value {
                Some(value) => store(value, result, pixel),
                None if result.is_float() => store(Value::Float(f64::NAN), result, pixel),
                None => pixel.fill(0),
            }
        }
    }
}

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
