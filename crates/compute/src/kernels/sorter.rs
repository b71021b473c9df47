//! Many short lanes sorted side by side, by a network of exchanges.
//!
//! An order statistic over time is asked of each pixel of a tile: millions of
//! lanes of some ten to some hundred values. Sorting one after the other makes
//! a processor guess each comparison. A sorting network compares the same
//! positions whatever the values are, so that it runs on [`WIDTH`] pixels at
//! once, without a branch, with minimum and maximum as single instructions.
//! Missing values are put last and counted. Where only some positions are
//! asked for, exchanges that cannot reach them are left out.
//!
//! Long lanes, for which a network has too many exchanges, are sorted singly.

use std::collections::HashMap;

use super::{Axis, Sample, widest};

/// Lanes sorted together.
const WIDTH: usize = 16;

/// Positions by which stretches of wanted ones differ.
const STEP: usize = 4;

/// Longest lane that a network sorts.
const NETWORK: usize = 512;

/// Scratch for order statistics along an axis; kept by the caller from call to
/// call, so that networks are built and memory is taken once.
#[derive(Debug)]
pub struct Sorter<T> {
    block: Vec<[T; WIDTH]>,
    lane: Vec<T>,
    /// Exchanges for lanes of `len`, for all positions.
    all: Vec<(u32, u32)>,
    /// Those that a stretch of positions needs, by its first and last.
    some: HashMap<(usize, usize), Vec<(u32, u32)>>,
    len: usize,
}

impl<T> Default for Sorter<T> {
    fn default() -> Self {
        Sorter {
            block: Vec::new(),
            lane: Vec::new(),
            all: Vec::new(),
            some: HashMap::new(),
            len: 0,
        }
    }
}

/// The values of one lane in ascending order, those that are missing left out.
#[derive(Debug)]
pub(crate) struct Sorted<'a, T> {
    values: &'a [T],
    stride: usize,
    count: usize,
}

impl<T: Sample> Sorted<'_, T> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The value at `rank`; the last one for ranks beyond.
    ///
    /// There has to be one.
    #[inline]
    pub(crate) fn at(&self, rank: usize) -> T {
        let rank = rank.min(self.count.saturating_sub(1));
        self.values
            .get(rank * self.stride)
            .copied()
            .unwrap_or(T::LAST)
    }
}

/// Which positions of a sorted lane will be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any.
    All,
    /// Only the one or two in the middle.
    Middle,
}

impl<T: Sample> Sorter<T> {
    /// Empty scratch.
    pub fn new() -> Sorter<T> {
        Sorter::default()
    }

    /// Bytes of scratch for lanes of `len`, about.
    pub fn scratch_bytes(len: usize) -> u64 {
        let block = len.min(NETWORK) * WIDTH * size_of::<T>();
        let networks = if len <= NETWORK { 2 * 8 * len * 24 } else { 0 };
        (block + len * size_of::<T>() + networks) as u64
    }

    /// Hands each lane, sorted, to `take` with its number. `src` has to have
    /// the size of `axis`.
    pub(crate) fn each(
        &mut self,
        src: &[T],
        axis: Axis,
        wanted: Wanted,
        mut take: impl FnMut(usize, &Sorted<'_, T>),
    ) {
        if axis.len <= 2 || axis.len > NETWORK {
            return self.each_singly(src, axis, wanted, take);
        }
        self.prepare(axis.len);
        let lanes = axis.lanes();
        let mut first = 0;
        while first < lanes {
            let width = WIDTH.min(lanes - first);
            let counts = self.load(src, axis, first, width);
            let network = match wanted {
                Wanted::All => &self.all,
                Wanted::Middle => {
                    // Where counts differ the middles do: a stretch, in steps
                    // so that there are few of them.
                    let few = counts[..width].iter().copied().min().unwrap_or(0) as usize;
                    let many = counts[..width].iter().copied().max().unwrap_or(0) as usize;
                    let stretch = if few == axis.len {
                        ((few - 1) / 2, few / 2)
                    } else {
                        let (low, high) = (few.saturating_sub(1) / 2, many / 2);
                        (
                            low / STEP * STEP,
                            (high / STEP * STEP + STEP).min(axis.len - 1),
                        )
                    };
                    let (all, len) = (&self.all, axis.len);
                    let make = || reaching(all, len, stretch.0, stretch.1);
                    &*self.some.entry(stretch).or_insert_with(make)
                }
            };
            exchange_all(&mut self.block, network);
            let values = self.block.as_flattened();
            for (at, &count) in counts[..width].iter().enumerate() {
                let sorted = Sorted {
                    values: values.get(at..).unwrap_or(&[]),
                    stride: WIDTH,
                    count: count as usize,
                };
                take(first + at, &sorted);
            }
            first += width;
        }
    }

    /// The next lanes into the block, missing values replaced by the last one
    /// there is; gives back how many each has.
    fn load(&mut self, src: &[T], axis: Axis, first: usize, width: usize) -> [u32; WIDTH] {
        let side_by_side = width == WIDTH && first % axis.inner + WIDTH <= axis.inner;
        if side_by_side {
            let mut counts = [0; WIDTH];
            load_rows(
                &mut self.block,
                &mut counts,
                src,
                axis.start(first),
                axis.inner,
            );
            return counts;
        }
        self.block.fill([T::LAST; WIDTH]);
        let mut counts = [0; WIDTH];
        for at in 0..width {
            let start = axis.start(first + at);
            let lane = src.get(start..).unwrap_or(&[]).iter().step_by(axis.inner);
            for (row, &value) in self.block.iter_mut().zip(lane) {
                if !value.is_missing() {
                    row[at] = value;
                    counts[at] += 1;
                }
            }
        }
        counts
    }

    fn each_singly(
        &mut self,
        src: &[T],
        axis: Axis,
        wanted: Wanted,
        mut take: impl FnMut(usize, &Sorted<'_, T>),
    ) {
        let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        for number in 0..axis.lanes() {
            let start = axis.start(number);
            let lane = src
                .get(start..)
                .unwrap_or(&[])
                .iter()
                .step_by(axis.inner.max(1));
            self.lane.clear();
            self.lane
                .extend(lane.take(axis.len).filter(|value| !value.is_missing()));
            let count = self.lane.len();
            if wanted == Wanted::Middle && count > 2 {
                let (below, _, _) = self.lane.select_nth_unstable_by(count / 2, order);
                // The one before the middle is the greatest of those below.
                let greatest = (0..below.len()).reduce(|a, b| {
                    if order(&below[a], &below[b]).is_lt() {
                        b
                    } else {
                        a
                    }
                });
                if let Some(greatest) = greatest {
                    below.swap(greatest, count / 2 - 1);
                }
            } else {
                self.lane.sort_unstable_by(order);
            }
            let sorted = Sorted {
                values: &self.lane,
                stride: 1,
                count,
            };
            take(number, &sorted);
        }
    }

    fn prepare(&mut self, len: usize) {
        if self.len == len && self.block.len() == len {
            return;
        }
        self.len = len;
        self.block.clear();
        self.block.resize(len, [T::LAST; WIDTH]);
        self.all = network(len);
        self.some.clear();
    }
}

#[inline(always)]
fn load_rows_body<T: Sample>(
    block: &mut [[T; WIDTH]],
    counts: &mut [u32; WIDTH],
    src: &[T],
    start: usize,
    step: usize,
) {
    for (row, to) in block.iter_mut().enumerate() {
        let at = start + row * step;
        let Some(from) = src.get(at..at + WIDTH) else {
            return;
        };
        for ((to, &value), count) in to.iter_mut().zip(from).zip(counts.iter_mut()) {
            let missing = value.is_missing();
            *to = if missing { T::LAST } else { value };
            *count += u32::from(!missing);
        }
    }
}

widest! {
    fn load_rows<T: Sample>(
        block: &mut [[T; WIDTH]], counts: &mut [u32; WIDTH], src: &[T], start: usize, step: usize,
    ) = load_rows_body
}

#[inline(always)]
fn exchange_body<T: Sample>(block: &mut [[T; WIDTH]], network: &[(u32, u32)]) {
    for &(low, high) in network {
        let (low, high) = (low as usize, high as usize);
        if low >= high || high >= block.len() {
            return;
        }
        let (a, b) = (block[low], block[high]);
        for at in 0..WIDTH {
            block[low][at] = if b[at] < a[at] { b[at] } else { a[at] };
        }
        for at in 0..WIDTH {
            block[high][at] = if b[at] < a[at] { a[at] } else { b[at] };
        }
    }
}

widest! {
    fn exchange_all<T: Sample>(block: &mut [[T; WIDTH]], network: &[(u32, u32)]) = exchange_body
}

/// Batcher's odd-even merge sort, for any number of values.
///
/// # Source
/// Knuth, The Art of Computer Programming 3, section 5.2.2, algorithm M.
fn network(len: usize) -> Vec<(u32, u32)> {
    let mut exchanges = Vec::new();
    let mut p = 1;
    while p < len {
        let mut k = p;
        while k >= 1 {
            let mut j = k % p;
            while j + k < len {
                for i in 0..k.min(len - j - k) {
                    if (i + j) / (2 * p) == (i + j + k) / (2 * p) {
                        #[allow(clippy::cast_possible_truncation, reason = "at most 512")]
                        exchanges.push(((i + j) as u32, (i + j + k) as u32));
                    }
                }
                j += 2 * k;
            }
            k /= 2;
        }
        p *= 2;
    }
    exchanges
}

/// The exchanges of `network` that positions `low..=high` depend on.
fn reaching(network: &[(u32, u32)], len: usize, low: usize, high: usize) -> Vec<(u32, u32)> {
    let mut needed: Vec<bool> = (0..len).map(|at| (low..=high).contains(&at)).collect();
    let mut kept: Vec<(u32, u32)> = Vec::new();
    for &(a, b) in network.iter().rev() {
        let (x, y) = (a as usize, b as usize);
        if needed[x] || needed[y] {
            needed[x] = true;
            needed[y] = true;
            kept.push((a, b));
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut x = seed;
        (0..n)
            .map(|_| {
                x = x
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                match (x >> 40) % 7 {
                    0 => f32::NAN,
                    1 => 0.5,
                    _ => ((x >> 33) as f32) / 1e6 - 700.0,
                }
            })
            .collect()
    }

    #[test]
    fn networks_sort_every_pattern_of_zeros_and_ones() {
        // A network that sorts these sorts everything.
        for len in 1..=12usize {
            let network = network(len);
            for pattern in 0..1u32 << len {
                let mut values: Vec<u32> = (0..len).map(|at| pattern >> at & 1).collect();
                for &(a, b) in &network {
                    if values[b as usize] < values[a as usize] {
                        values.swap(a as usize, b as usize);
                    }
                }
                assert!(values.is_sorted(), "{len} {pattern:b}");
            }
        }
    }

    #[test]
    fn lanes_of_every_length_and_layout_are_sorted() {
        for len in [1, 2, 3, 16, 33, 100, 513] {
            for (outer, inner) in [(1, 1), (3, 1), (1, 40), (3, 5), (2, 16)] {
                let axis = Axis { outer, len, inner };
                let src = noise(axis.size(), len as u64 + 1);
                let mut sorter = Sorter::new();
                let mut seen = 0;
                for wanted in [Wanted::All, Wanted::Middle] {
                    sorter.each(&src, axis, wanted, |lane, sorted| {
                        let start = axis.start(lane);
                        let mut plain: Vec<f32> = (0..len)
                            .map(|i| src[start + i * inner])
                            .filter(|value| !value.is_nan())
                            .collect();
                        plain.sort_by(f32::total_cmp);
                        assert_eq!(sorted.count(), plain.len());
                        let ranks = match (wanted, plain.len()) {
                            (_, 0) => 0..0,
                            (Wanted::All, n) => 0..n,
                            (Wanted::Middle, n) => (n - 1) / 2..n / 2 + 1,
                        };
                        for rank in ranks {
                            assert_eq!(sorted.at(rank), plain[rank], "{axis:?} {rank}");
                        }
                        seen += 1;
                    });
                }
                assert_eq!(seen, 2 * axis.lanes());
            }
        }
    }
}
