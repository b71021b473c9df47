//! Windows that slide along one axis, each put together of two parts.
//!
//! The axis is cut into blocks of a window's size. Every window is the end of
//! one block and the start of the next; both are worked out once for every
//! position, so that a window takes the same few steps whatever its size, and
//! nothing is ever subtracted, which would leave rounding errors behind. Blocks
//! are counted from the start of the array, so that results do not depend on
//! chunks.
//!
//! # Source
//! M. van Herk, A fast algorithm for local minimum and maximum filters, 1992;
//! J. Gil and M. Werman, Computing 2-D min, median, and max filters, 1993.

use std::marker::PhantomData;
use std::ops::Range;

use datacube_model::DType;

use super::Reduce;
use super::kind::with_state;
use super::pixels::Load;
use super::planes::Parts;
use super::run::ROW;
use super::state::{State, Wide};
use super::windows::write_values;

/// States that are kept at a time, about.
const STATES: usize = 1 << 16;

/// A window along an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slide {
    /// How many pixels of it lie before its own.
    pub(crate) before: usize,
    /// How many pixels it covers.
    pub(crate) size: usize,
    /// Results of fewer pixels that are not NaN are NaN, or 0.
    pub(crate) min_periods: u64,
}

/// Pixels around an axis: `[outer, position, inner]`.
#[derive(Clone, Debug)]
pub(crate) struct Lanes<'a> {
    pub(crate) pixels: &'a [u8],
    pub(crate) outer: usize,
    pub(crate) inner: usize,
    /// Positions that are there, of all that windows reach.
    pub(crate) have: Range<usize>,
    /// Positions whose windows are wanted.
    pub(crate) want: Range<usize>,
}

/// States for sliding windows.
pub(crate) trait Sliding {
    /// Writes what the windows come to, as pixels of type `result`.
    fn run(&mut self, lanes: &Lanes<'_>, result: DType, out: &mut [u8]);
}

/// States for windows over pixels of `dtype`, of so many lanes side by side.
pub(crate) fn sliding(
    reduce: &Reduce,
    dtype: DType,
    slide: Slide,
    inner: usize,
) -> Box<dyn Sliding> {
    let width = width(slide.size, inner);
    with_state!(reduce, dtype, S, W => {
        let new = <S as State<W>>::parts(<S as State<W>>::new());
        Box::new(Typed::<S, W> {
            reduce: reduce.clone(),
            dtype,
            slide,
            width,
            ends: new.planes(slide.size * width),
            end_counts: vec![0; slide.size * width],
            start: new.planes(width),
            start_counts: vec![0; width],
            row: vec![W::ZERO; width],
            state: PhantomData,
        })
    })
}

/// Bytes that [`sliding`] takes.
pub(crate) fn sliding_bytes(reduce: &Reduce, dtype: DType, size: usize, inner: usize) -> usize {
    let state = with_state!(reduce, dtype, S, W => size_of::<S>());
    let width = width(size, inner);
    (size + 1) * width * (state + size_of::<u64>()) + width * size_of::<u64>()
}

/// Lanes that are worked on at a time.
fn width(size: usize, inner: usize) -> usize {
    (STATES / size.max(1)).clamp(1, ROW).min(inner.max(1))
}

struct Typed<S: State<W>, W: Wide> {
    reduce: Reduce,
    dtype: DType,
    slide: Slide,
    width: usize,
    /// From each position of a block to the block's end, lanes side by side.
    ends: <S::Parts as Parts>::Planes,
    /// How many of those pixels are not NaN.
    end_counts: Vec<u64>,
    /// From the start of the next block on.
    start: <S::Parts as Parts>::Planes,
    start_counts: Vec<u64>,
    row: Vec<W>,
    state: PhantomData<S>,
}

/// Lanes side by side that are worked on together.
#[derive(Clone, Copy)]
struct Piece {
    outer: usize,
    first: usize,
    len: usize,
}

impl<S: State<W>, W: Wide + Load> Sliding for Typed<S, W> {
    fn run(&mut self, lanes: &Lanes<'_>, result: DType, out: &mut [u8]) {
        for outer in 0..lanes.outer {
            for first in (0..lanes.inner).step_by(self.width) {
                let len = self.width.min(lanes.inner - first);
                self.piece(lanes, Piece { outer, first, len }, result, out);
            }
        }
    }
}

impl<S: State<W>, W: Wide + Load> Typed<S, W> {
    fn piece(&mut self, lanes: &Lanes<'_>, piece: Piece, result: DType, out: &mut [u8]) {
        let size = self.slide.size.cast_signed();
        let before = self.slide.before.cast_signed();
        let end = lanes.want.end.cast_signed() - before;
        let mut from = lanes.want.start.cast_signed() - before;
        while from < end {
            let next = (from.div_euclid(size) + 1) * size;
            self.block_ends(lanes, piece, from..next);
            S::new().parts().fill(&mut self.start, piece.len);
            self.start_counts[..piece.len].fill(0);
            for at in next..from + size {
                self.take(lanes, piece, at, None);
            }
            for at in from..next.min(end) {
                if at > from {
                    self.take(lanes, piece, at + size - 1, None);
                }
                let own = at.saturating_add(before).cast_unsigned() - lanes.want.start;
                let row = (piece.outer * lanes.want.len() + own) * lanes.inner + piece.first;
                let bytes = result.size();
                let out = &mut out[row * bytes..][..piece.len * bytes];
                self.finish((at - from).cast_unsigned(), piece.len, result, out);
            }
            from = next;
        }
    }

    /// From each of these positions to the end of the block that they end.
    fn block_ends(&mut self, lanes: &Lanes<'_>, piece: Piece, block: Range<isize>) {
        let last = (block.end - block.start).cast_unsigned() - 1;
        for at in block.clone().rev() {
            let place = (at - block.start).cast_unsigned();
            let to = place * piece.len;
            if place == last {
                for lane in to..to + piece.len {
                    S::Parts::set(&mut self.ends, lane, S::new().parts());
                }
                self.end_counts[to..to + piece.len].fill(0);
            } else {
                for lane in to..to + piece.len {
                    let later = S::Parts::get(&self.ends, lane + piece.len);
                    S::Parts::set(&mut self.ends, lane, later);
                }
                self.end_counts
                    .copy_within(to + piece.len..to + 2 * piece.len, to);
            }
            self.take(lanes, piece, at, Some(to));
        }
    }

    /// Takes the pixels at a position, if it is in the array: into the ends from
    /// `to` on, or into the start.
    fn take(&mut self, lanes: &Lanes<'_>, piece: Piece, at: isize, to: Option<usize>) {
        let Some(at) = usize::try_from(at)
            .ok()
            .filter(|at| lanes.have.contains(at))
        else {
            return;
        };
        let row = piece.outer * lanes.have.len() + at - lanes.have.start;
        let bytes = self.dtype.size();
        let pixels = &lanes.pixels[(row * lanes.inner + piece.first) * bytes..];
        let row = &mut self.row[..piece.len];
        W::load(self.dtype, &pixels[..piece.len * bytes], row);
        let (planes, counts, to) = match to {
            Some(to) => (&mut self.ends, &mut self.end_counts[to..], to),
            None => (&mut self.start, &mut self.start_counts[..], 0),
        };
        S::Parts::push_row::<W, S>(planes, to, row, 0, true);
        for (count, x) in counts.iter_mut().zip(row) {
            *count += u64::from(!x.is_nan());
        }
    }

    /// What the windows come to that start at this place of the block.
    fn finish(&self, place: usize, len: usize, result: DType, out: &mut [u8]) {
        let values = (0..len).map(|lane| {
            let end = place * len + lane;
            let count = self.end_counts[end] + self.start_counts[lane];
            let mut state = S::of_parts(S::Parts::get(&self.ends, end));
            state.merge(&S::of_parts(S::Parts::get(&self.start, lane)));
            let value = state.finish(&self.reduce).ok();
            value.filter(|_| count >= self.slide.min_periods)
        });
        write_values(values, result, out);
    }
}
