//! Many states side by side, each of their parts in a plane of its own, so that
//! neighbouring pixels are taken at a time wherever the machine can.

#![allow(
    clippy::too_many_arguments,
    reason = "planes are parameters, so that none is taken to overlap another"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "several planes are gone through by one number"
)]

use std::marker::PhantomData;

use super::geometry::LANES;
use super::state::{State, Wide};
use crate::kernels::widest;

/// Words of any state.
pub(super) const WORDS: usize = 5;

/// A number of a state.
pub(super) trait Part: Copy + Send + 'static {
    fn word(self) -> u64;
    fn of_word(word: u64) -> Self;
}

macro_rules! part {
    ($t:ty, $word:expr, $of:expr) => {
        impl Part for $t {
            #[inline(always)]
            fn word(self) -> u64 {
                $word(self)
            }
            #[inline(always)]
            fn of_word(word: u64) -> $t {
                $of(word)
            }
        }
    };
}

part!(f64, f64::to_bits, f64::from_bits);
part!(i64, i64::cast_unsigned, u64::cast_signed);
part!(u64, |x| x, |x| x);
part!(bool, u64::from, |word| word != 0);

/// All numbers of a state.
pub(super) trait Parts: Copy + Send + 'static {
    /// A plane for each of them.
    type Planes: Send;

    /// `len` times these.
    fn planes(self, len: usize) -> Self::Planes;
    /// Sets the first `len` to these.
    fn fill(self, planes: &mut Self::Planes, len: usize);
    fn get(planes: &Self::Planes, at: usize) -> Self;
    fn set(planes: &mut Self::Planes, at: usize, parts: Self);
    /// Takes a pixel into each state from `from` on, all of them at position
    /// `position` of the reduced axis.
    fn push_row<W: Wide, S: State<W, Parts = Self>>(
        planes: &mut Self::Planes,
        from: usize,
        row: &[W],
        position: u64,
        skipna: bool,
    );
    /// Takes pixels into the lanes from `from` on by turns, the first of them at
    /// position `position` of the reduced axis.
    fn push_lanes<W: Wide, S: State<W, Parts = Self>>(
        planes: &mut Self::Planes,
        from: usize,
        row: &[W],
        position: u64,
        skipna: bool,
    );
    /// The numbers as words, and back.
    fn write_words(self, words: &mut [u64]);
    fn of_words(words: &[u64]) -> Self;
}

macro_rules! parts {
    ($rows:ident, $run:ident, $lanes:ident, $wide_lanes:ident: $($part:ident $t:ident $n:tt),+) => {
        impl<$($t: Part),+> Parts for ($($t,)+) {
            type Planes = ($(Vec<$t>,)+);

            fn planes(self, len: usize) -> Self::Planes {
                ($(vec![self.$n; len],)+)
            }

            fn fill(self, planes: &mut Self::Planes, len: usize) {
                $(planes.$n[..len].fill(self.$n);)+
            }

            #[inline(always)]
            fn get(planes: &Self::Planes, at: usize) -> Self {
                ($(planes.$n[at],)+)
            }

            #[inline(always)]
            fn set(planes: &mut Self::Planes, at: usize, parts: Self) {
                $(planes.$n[at] = parts.$n;)+
            }

            fn push_row<W: Wide, S: State<W, Parts = Self>>(
                planes: &mut Self::Planes,
                from: usize,
                row: &[W],
                position: u64,
                skipna: bool,
            ) {
                $run::<$($t,)+ W, S>(
                    $(&mut planes.$n[from..][..row.len()],)+
                    row,
                    position,
                    skipna,
                    PhantomData,
                );
            }

            fn push_lanes<W: Wide, S: State<W, Parts = Self>>(
                planes: &mut Self::Planes,
                from: usize,
                row: &[W],
                position: u64,
                skipna: bool,
            ) {
                let (full, rest) = row.as_chunks::<LANES>();
                let lanes = ($(&mut planes.$n[from..],)+);
                if let ($(Some($part),)+) = ($(lanes.$n.first_chunk_mut(),)+) {
                    $wide_lanes::<$($t,)+ W, S>($($part,)+ full, position, skipna, PhantomData);
                }
                let done = (full.len() * LANES) as u64;
                for (i, &x) in rest.iter().enumerate() {
                    let mut state = S::of_parts(Self::get(planes, from + i));
                    state.push(x, position + done + i as u64, skipna);
                    Self::set(planes, from + i, state.parts());
                }
            }

            fn write_words(self, words: &mut [u64]) {
                $(words[$n] = self.$n.word();)+
            }

            fn of_words(words: &[u64]) -> Self {
                ($(Part::of_word(words[$n]),)+)
            }
        }

        // Parameters of their own, so that no plane is taken to overlap another.
        #[inline(always)]
        fn $rows<$($t: Part,)+ W: Wide, S: State<W, Parts = ($($t,)+)>>(
            $($part: &mut [$t],)+
            row: &[W],
            position: u64,
            skipna: bool,
            _: PhantomData<S>,
        ) {
            $(let $part = &mut $part[..row.len()];)+
            for i in 0..row.len() {
                let mut state = S::of_parts(($($part[i],)+));
                state.push(row[i], position, skipna);
                ($($part[i],)+) = state.parts();
            }
        }

        // Lanes stay in registers.
        #[inline(always)]
        fn $lanes<$($t: Part,)+ W: Wide, S: State<W, Parts = ($($t,)+)>>(
            $($part: &mut [$t; LANES],)+
            row: &[[W; LANES]],
            position: u64,
            skipna: bool,
            _: PhantomData<S>,
        ) {
            $(let mut $part = (*$part, $part);)+
            let mut position = position;
            for eight in row {
                for i in 0..LANES {
                    let mut state = S::of_parts(($($part.0[i],)+));
                    state.push(eight[i], position.wrapping_add(i as u64), skipna);
                    ($($part.0[i],)+) = state.parts();
                }
                position = position.wrapping_add(LANES as u64);
            }
            $(*$part.1 = $part.0;)+
        }

        widest!(fn $wide_lanes<$($t: Part,)+ W: Wide, S: State<W, Parts = ($($t,)+)>>(
            $($part: &mut [$t; LANES],)+
            row: &[[W; LANES]],
            position: u64,
            skipna: bool,
            state: PhantomData<S>,
        ) = $lanes);

        widest!(fn $run<$($t: Part,)+ W: Wide, S: State<W, Parts = ($($t,)+)>>(
            $($part: &mut [$t],)+
            row: &[W],
            position: u64,
            skipna: bool,
            state: PhantomData<S>,
        ) = $rows);
    };
}

parts!(rows1, widest_rows1, lanes1, widest_lanes1: a A 0);
parts!(rows2, widest_rows2, lanes2, widest_lanes2: a A 0, b B 1);
parts!(rows3, widest_rows3, lanes3, widest_lanes3: a A 0, b B 1, c C 2);
parts!(rows5, widest_rows5, lanes5, widest_lanes5: a A 0, b B 1, c C 2, d D 3, e E 4);
