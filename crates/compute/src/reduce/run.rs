//! Running reductions: block after block into states, or all at once.

use datacube_model::DType;

use super::geometry::{Along, Geometry, LANES};
use super::kind::with_state;
use super::pixels::{Load, store};
use super::planes::{Parts, WORDS};
use super::state::{State, Wide};
use super::{Reduce, order};
use crate::region::{Region, c_strides};

/// Pixels that are widened at a time.
pub(super) const ROW: usize = 1024;

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

struct Typed<S: State<W>, W: Wide> {
    reduce: Reduce,
    shape: Vec<usize>,
    dtype: DType,
    out: Region,
    pixels: usize,
    lanes: usize,
    /// Of the block that is being taken: lanes of each pixel.
    states: Planes<S, W>,
    /// Of the blocks before, if there can be any.
    totals: Option<Planes<S, W>>,
    row: Vec<W>,
}

type Planes<S, W> = <<S as State<W>>::Parts as Parts>::Planes;

fn get<S: State<W>, W: Wide>(planes: &Planes<S, W>, at: usize) -> S {
    S::of_parts(S::Parts::get(planes, at))
}

fn set<S: State<W>, W: Wide>(planes: &mut Planes<S, W>, at: usize, state: S) {
    S::Parts::set(planes, at, state.parts());
}

/// The rows of a block that go to pixels of the result one by one: the number of
/// pixels, and for each row the first of them, its place along what is folded
/// and where its pixels start.
struct Kept {
    len: usize,
    rows: Vec<(usize, u64, usize)>,
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
            pixels,
            lanes,
            states: S::new().parts().planes(pixels * lanes),
            totals: totals.then(|| S::new().parts().planes(pixels)),
            row: vec![W::ZERO; ROW],
        }
    }

    fn results(&self) -> impl Iterator<Item = S> {
        let planes = self.totals.as_ref().unwrap_or(&self.states);
        (0..self.pixels).map(|at| get::<S, W>(planes, at))
    }

    /// Takes rows of neighbours. Those that go to the same pixels are taken one
    /// after the other, a piece of them at a time, so that states stay in the
    /// cache; each pixel still takes them in order.
    fn take_kept(&mut self, kept: &Kept, pixels: &[u8]) {
        let size = self.dtype.size();
        for start in (0..kept.len).step_by(ROW) {
            let row = &mut self.row[..ROW.min(kept.len - start)];
            for &(base, at, from) in &kept.rows {
                let from = (from + start) * size;
                W::load(self.dtype, &pixels[from..from + row.len() * size], row);
                let (planes, skipna) = (&mut self.states, self.reduce.skipna);
                S::Parts::push_row::<W, S>(planes, base + start, row, at, skipna);
            }
        }
    }
}

impl<S: State<W>, W: Wide + Load> Accumulate for Typed<S, W> {
    fn take(&mut self, region: &Region, pixels: &[u8]) {
        let geometry = Geometry::new(&self.reduce, &self.shape);
        let along = geometry.along(&self.out);
        let skipna = self.reduce.skipna;
        let size = self.dtype.size();
        if along.is_empty() {
            // A single pixel, of no axes.
            W::load(self.dtype, pixels, &mut self.row[..1]);
            S::Parts::push_row::<W, S>(&mut self.states, 0, &self.row[..1], 0, skipna);
            return;
        }
        let ranges = region.ranges();
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
        let (axes, len) = inner(&along, ranges);
        let outer = &along[..axes];
        let mut rows = Vec::new();
        for_each_row(&ranges[..axes], |number, index| {
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
            rows.push((base, at as u64, number * len));
        });
        let last = &along[along.len() - 1];
        if matches!(last, Along::Keep { .. }) {
            let first: usize = along[axes..]
                .iter()
                .zip(&ranges[axes..])
                .filter_map(|(along, range)| along.place(range.start))
                .sum();
            for (base, _, _) in &mut rows {
                *base += first;
            }
            self.take_kept(&Kept { len, rows }, pixels);
            return;
        }
        let first = ranges[axes].start;
        for (base, at, from) in rows {
            for start in (0..len).step_by(ROW) {
                let n = ROW.min(len - start);
                let from = (from + start) * size;
                let row = &mut self.row[..n];
                W::load(self.dtype, &pixels[from..from + n * size], row);
                let first = first + start;
                let position = at + first as u64;
                if matches!(last, Along::Reduce) {
                    // The first pixels, up to one that goes to the first lane.
                    let head = ((LANES - first % LANES) % LANES).min(n);
                    for ((i, &x), position) in row[..head].iter().enumerate().zip(position..) {
                        let lane = base * LANES + (first + i) % LANES;
                        let mut state = get::<S, W>(&self.states, lane);
                        state.push(x, position, skipna);
                        set(&mut self.states, lane, state);
                    }
                    S::Parts::push_lanes::<W, S>(
                        &mut self.states,
                        base * LANES,
                        &row[head..],
                        position + head as u64,
                        skipna,
                    );
                    continue;
                }
                for ((i, &x), position) in row.iter().enumerate().zip(position..) {
                    if let Some(place) = last.place(first + i) {
                        let mut state = get::<S, W>(&self.states, base + place);
                        state.push(x, position, skipna);
                        set(&mut self.states, base + place, state);
                    }
                }
            }
        }
    }

    fn end_block(&mut self) {
        let Some(totals) = &mut self.totals else {
            return;
        };
        for at in 0..self.pixels {
            let first = at * self.lanes;
            let mut block = get::<S, W>(&self.states, first);
            for lane in 1..self.lanes {
                block.merge(&get::<S, W>(&self.states, first + lane));
            }
            let mut total = get::<S, W>(totals, at);
            total.merge(&block);
            set(totals, at, total);
        }
        let states = self.pixels * self.lanes;
        S::new().parts().fill(&mut self.states, states);
    }

    fn finish(&self, out: &mut [u8]) -> Result<(), &'static str> {
        let dtype = self.reduce.op.result(self.dtype).unwrap_or(self.dtype);
        for (state, pixel) in self.results().zip(out.chunks_exact_mut(dtype.size())) {
            store(state.finish(&self.reduce)?, dtype, pixel);
        }
        Ok(())
    }

    fn write_words(&self, out: &mut [u64]) {
        for (state, words) in self.results().zip(out.chunks_exact_mut(WORDS)) {
            words.fill(0);
            state.parts().write_words(words);
        }
    }

    fn join_words(&mut self, words: &[u64]) {
        let planes = self.totals.as_mut().unwrap_or(&mut self.states);
        for (at, words) in (0..self.pixels).zip(words.chunks_exact(WORDS)) {
            let mut state = get::<S, W>(planes, at);
            state.merge(&S::of_parts(S::Parts::of_words(words)));
            set(planes, at, state);
        }
    }
}

/// Where the inner axes begin, whose pixels lie side by side, and how many such
/// pixels there are: the last axis alone, or with those before that stay too,
/// while all of the result lies within `ranges`.
fn inner(along: &[Along<'_>], ranges: &[std::ops::Range<usize>]) -> (usize, usize) {
    let mut axes = along.len() - 1;
    let mut len = ranges[axes].len();
    if matches!(along[axes], Along::Keep { .. }) {
        while let Some(Along::Keep { stride, .. }) = axes.checked_sub(1).map(|axis| along[axis])
            && stride == len
        {
            axes -= 1;
            len *= ranges[axes].len();
        }
    }
    (axes, len)
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
