//! How an array is cut into chunks, without a table of the chunks.
//!
//! [`ChunkGrid`] is a rule: for each axis a chunk size (the first and the last
//! chunk may be shorter) or a list of sizes. A million chunks cost what three
//! axes cost. [`Chunks`] is what a user asks for, by dimension name; it becomes
//! a grid when dimensions and shape are known.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use datacube_model::DType;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::region::Region;

/// Bytes that `auto` chunks stay under.
pub const AUTO_CHUNK_BYTES: u64 = 32 << 20;

/// The cuts along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AxisChunks {
    len: usize,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Rule {
    /// `first` pixels, then `size` each, then what is left.
    Regular { first: usize, size: usize },
    /// Where each chunk starts, and the end of the last.
    Offsets(Arc<[usize]>),
}

impl AxisChunks {
    /// Chunks of `size` pixels; the last may be shorter. A size of 0 means 1.
    pub fn regular(len: usize, size: usize) -> AxisChunks {
        AxisChunks::with_first(len, size, size)
    }

    /// One chunk for the whole axis.
    pub fn whole(len: usize) -> AxisChunks {
        AxisChunks::regular(len, len)
    }

    /// Chunks of `size` pixels after a first one of `first`.
    pub(crate) fn with_first(len: usize, first: usize, size: usize) -> AxisChunks {
        // One spelling for each grid, so that equal cuts are equal values.
        let mut first = first.clamp(1, len.max(1));
        let mut size = size.clamp(1, len.max(1));
        if first >= len {
            first = len.max(1);
            size = first;
        } else if len - first <= size {
            size = first.max(len - first);
        }
        AxisChunks {
            len,
            rule: Rule::Regular { first, size },
        }
    }

    /// Chunks of exactly these sizes; empty ones are left out.
    pub fn explicit(sizes: &[usize]) -> AxisChunks {
        let sizes: Vec<usize> = sizes.iter().copied().filter(|&size| size > 0).collect();
        let len = sizes.iter().sum();
        if let [first, rest @ ..] = sizes.as_slice() {
            let size = rest.first().copied().unwrap_or(*first);
            let regular = AxisChunks::with_first(len, *first, size.max(*first));
            if regular.sizes().eq(sizes.iter().copied()) {
                return regular;
            }
        } else {
            return AxisChunks::whole(0);
        }
        let mut offsets = Vec::with_capacity(sizes.len() + 1);
        let mut offset = 0;
        offsets.push(0);
        for size in sizes {
            offset += size;
            offsets.push(offset);
        }
        AxisChunks {
            len,
            rule: Rule::Offsets(offsets.into()),
        }
    }

    /// Pixels along the axis.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the axis has no pixel.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of chunks; 0 on an empty axis.
    pub fn count(&self) -> usize {
        match &self.rule {
            _ if self.len == 0 => 0,
            Rule::Regular { first, size } => 1 + (self.len - first).div_ceil(*size),
            Rule::Offsets(offsets) => offsets.len() - 1,
        }
    }

    /// The pixels of chunk `index`.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn range(&self, index: usize) -> Range<usize> {
        assert!(index < self.count(), "chunk {index} of {}", self.count());
        match &self.rule {
            Rule::Regular { first, size } => {
                let start = if index == 0 {
                    0
                } else {
                    first + (index - 1) * size
                };
                let end = first + index * size;
                start..end.min(self.len)
            }
            Rule::Offsets(offsets) => offsets[index]..offsets[index + 1],
        }
    }

    /// The chunk that holds `pixel`.
    pub fn find(&self, pixel: usize) -> usize {
        match &self.rule {
            Rule::Regular { first, .. } if pixel < *first => 0,
            Rule::Regular { first, size } => 1 + (pixel - first) / size,
            Rule::Offsets(offsets) => offsets.partition_point(|&offset| offset <= pixel) - 1,
        }
    }

    /// The longest chunk; 0 on an empty axis.
    pub fn max_size(&self) -> usize {
        match &self.rule {
            _ if self.len == 0 => 0,
            Rule::Regular { first, size } => {
                let rest = (self.len - first).min(*size);
                rest.max(*first)
            }
            Rule::Offsets(offsets) => offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0),
        }
    }

    /// The size of each chunk.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count()).map(|index| self.range(index).len())
    }

    /// The cuts that remain of `start .. start + len` (step 1).
    pub(crate) fn cut(&self, start: usize, len: usize) -> AxisChunks {
        if len == 0 {
            return AxisChunks::whole(0);
        }
        match &self.rule {
            Rule::Regular { size, .. } => {
                let head = self.range(self.find(start));
                AxisChunks::with_first(len, head.end - start, (*size).max(head.len()))
            }
            Rule::Offsets(_) => {
                let end = start + len;
                let sizes: Vec<usize> = (self.find(start)..=self.find(end - 1))
                    .map(|index| {
                        let range = self.range(index);
                        range.end.min(end) - range.start.max(start)
                    })
                    .collect();
                AxisChunks::explicit(&sizes)
            }
        }
    }

    /// The same cuts seen from the other end.
    pub(crate) fn reversed(&self) -> AxisChunks {
        let mut sizes: Vec<usize> = self.sizes().collect();
        sizes.reverse();
        AxisChunks::explicit(&sizes)
    }
}

/// How an array is cut into chunks: one [`AxisChunks`] for each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkGrid {
    axes: Vec<AxisChunks>,
}

impl ChunkGrid {
    /// The grid of these axes.
    pub fn new(axes: impl Into<Vec<AxisChunks>>) -> ChunkGrid {
        ChunkGrid { axes: axes.into() }
    }

    /// One chunk for the whole array.
    pub fn whole(shape: &[usize]) -> ChunkGrid {
        ChunkGrid {
            axes: shape.iter().map(|&len| AxisChunks::whole(len)).collect(),
        }
    }

    /// Chunks of `sizes` pixels.
    pub fn regular(shape: &[usize], sizes: &[usize]) -> ChunkGrid {
        let axes = shape
            .iter()
            .zip(sizes)
            .map(|(&len, &size)| AxisChunks::regular(len, size));
        ChunkGrid {
            axes: axes.collect(),
        }
    }

    /// The cuts along each axis.
    pub fn axes(&self) -> &[AxisChunks] {
        &self.axes
    }

    /// Pixels along each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::len).collect()
    }

    /// Number of chunks.
    pub fn n_chunks(&self) -> usize {
        self.axes.iter().map(AxisChunks::count).product()
    }

    /// Chunks along each axis.
    pub fn counts(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::count).collect()
    }

    /// Shape of the largest chunk.
    pub fn chunk_shape(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::max_size).collect()
    }

    /// Index along each axis of the chunk that is number `chunk` in C order.
    pub fn index(&self, chunk: usize) -> Vec<usize> {
        let mut rest = chunk;
        let mut index = vec![0; self.axes.len()];
        for (axis, chunks) in self.axes.iter().enumerate().rev() {
            let count = chunks.count().max(1);
            index[axis] = rest % count;
            rest /= count;
        }
        index
    }

    /// Number in C order of the chunk at `index`.
    pub fn number(&self, index: &[usize]) -> usize {
        self.axes
            .iter()
            .zip(index)
            .fold(0, |number, (axis, &i)| number * axis.count() + i)
    }

    /// The pixels of the chunk at `index`.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn region(&self, index: &[usize]) -> Region {
        assert_eq!(index.len(), self.axes.len(), "one index for each axis");
        Region::new(
            self.axes
                .iter()
                .zip(index)
                .map(|(axis, &i)| axis.range(i))
                .collect::<Vec<_>>(),
        )
    }

    /// The pixels of the chunk that is number `chunk` in C order.
    pub fn region_of(&self, chunk: usize) -> Region {
        self.region(&self.index(chunk))
    }

    /// The grid of an operation on two arrays of one shape: along each axis
    /// the finer of the two. Sources are random access, so no cut of the other
    /// has to be kept.
    pub(crate) fn finer(&self, other: &ChunkGrid) -> ChunkGrid {
        let axes = self.axes.iter().zip(&other.axes).map(|(a, b)| {
            if b.max_size() < a.max_size() {
                b.clone()
            } else {
                a.clone()
            }
        });
        ChunkGrid {
            axes: axes.collect(),
        }
    }
}

/// The largest chunk's shape, as dask shows it: `(1, 2048, 2048)`.
impl fmt::Display for ChunkGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::tuple(&self.chunk_shape()))
    }
}

/// What a user asks for along one dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChunkSize {
    /// One chunk for the whole dimension.
    Whole,
    /// Chunks of so many pixels.
    Size(usize),
    /// Chunks of exactly these sizes.
    Sizes(Vec<usize>),
    /// As large as [`AUTO_CHUNK_BYTES`] allows, near to square.
    Auto,
}

impl From<usize> for ChunkSize {
    fn from(size: usize) -> Self {
        ChunkSize::Size(size)
    }
}

impl From<Vec<usize>> for ChunkSize {
    fn from(sizes: Vec<usize>) -> Self {
        ChunkSize::Sizes(sizes)
    }
}

/// Chunk sizes by dimension name, as a user asks for them.
///
/// Dimensions that are not named take [`Chunks::rest`], which is `Whole`.
///
/// ```
/// use datacube_compute::Chunks;
/// use datacube_model::DType;
/// let chunks = Chunks::new([("time", 1), ("y", 2048), ("x", 2048)]);
/// let grid = chunks.resolve(&["time", "y", "x"], &[10, 5000, 5000], DType::UInt16)?;
/// assert_eq!(grid.n_chunks(), 10 * 3 * 3);
/// assert_eq!("time=1,y=2048,x=2048".parse::<Chunks>()?, chunks);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// Dimensions that are named.
    pub dims: IndexMap<String, ChunkSize>,
    /// All others.
    pub rest: ChunkSize,
}

impl Default for Chunks {
    fn default() -> Self {
        Chunks::whole()
    }
}

impl Chunks {
    /// These dimensions so, all others whole.
    pub fn new<N: Into<String>, S: Into<ChunkSize>>(
        dims: impl IntoIterator<Item = (N, S)>,
    ) -> Chunks {
        let dims = dims
            .into_iter()
            .map(|(name, size)| (name.into(), size.into()))
            .collect();
        Chunks {
            dims,
            rest: ChunkSize::Whole,
        }
    }

    /// One chunk for the whole array.
    pub fn whole() -> Chunks {
        Chunks {
            dims: IndexMap::new(),
            rest: ChunkSize::Whole,
        }
    }

    /// Chosen by size: see [`ChunkSize::Auto`].
    pub fn auto() -> Chunks {
        Chunks {
            dims: IndexMap::new(),
            rest: ChunkSize::Auto,
        }
    }

    /// Also sets one dimension.
    #[must_use]
    pub fn with(mut self, dim: impl Into<String>, size: impl Into<ChunkSize>) -> Chunks {
        self.dims.insert(dim.into(), size.into());
        self
    }

    /// What dimensions that are not named take.
    #[must_use]
    pub fn rest(mut self, size: impl Into<ChunkSize>) -> Chunks {
        self.rest = size.into();
        self
    }

    /// The grid for an array of these dimensions.
    ///
    /// # Errors
    /// A name that is no dimension, a size of 0, or sizes that do not add up.
    pub fn resolve(
        &self,
        dims: &[impl AsRef<str>],
        shape: &[usize],
        dtype: DType,
    ) -> Result<ChunkGrid> {
        for name in self.dims.keys() {
            if !dims.iter().any(|dim| dim.as_ref() == name) {
                return Err(Error::unknown_name(
                    "dimension",
                    name,
                    "the chunks of this array",
                    dims.iter().map(AsRef::as_ref),
                ));
            }
        }
        let mut axes: Vec<Option<AxisChunks>> = Vec::with_capacity(dims.len());
        for (dim, &len) in dims.iter().zip(shape) {
            let dim = dim.as_ref();
            axes.push(match self.dims.get(dim).unwrap_or(&self.rest) {
                ChunkSize::Whole => Some(AxisChunks::whole(len)),
                ChunkSize::Size(0) => {
                    return Err(Error::Invalid(format!(
                        "a chunk of 0 along `{dim}`; give 1 or more, or -1 for the whole dimension"
                    )));
                }
                ChunkSize::Size(size) => Some(AxisChunks::regular(len, *size)),
                ChunkSize::Sizes(sizes) => {
                    let sum: usize = sizes.iter().sum();
                    if sum != len {
                        return Err(Error::Invalid(format!(
                            "chunk sizes along `{dim}` add up to {sum}, but it has {len} pixels"
                        )));
                    }
                    Some(AxisChunks::explicit(sizes))
                }
                ChunkSize::Auto => None,
            });
        }
        Ok(ChunkGrid {
            axes: fill_auto(axes, shape, dtype),
        })
    }
}

/// Shares the bytes of an `auto` chunk evenly among the axes left open, the
/// shortest axis first so that what it does not need goes to the others.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a size estimate; it is clamped to the axis"
)]
fn fill_auto(axes: Vec<Option<AxisChunks>>, shape: &[usize], dtype: DType) -> Vec<AxisChunks> {
    let fixed: usize = axes
        .iter()
        .flatten()
        .map(|axis| axis.max_size().max(1))
        .product();
    let mut budget = (AUTO_CHUNK_BYTES as f64 / (dtype.size() * fixed) as f64).max(1.0);
    let mut open: Vec<usize> = (0..axes.len())
        .filter(|&axis| axes[axis].is_none())
        .collect();
    open.sort_by_key(|&axis| shape[axis]);
    let mut sizes = vec![0; axes.len()];
    for (done, &axis) in open.iter().enumerate() {
        let share = budget.powf(1.0 / (open.len() - done) as f64) as usize;
        let share = if share > 512 {
            share / 256 * 256
        } else {
            share
        };
        sizes[axis] = share.clamp(1, shape[axis].max(1));
        budget = (budget / sizes[axis] as f64).max(1.0);
    }
    axes.into_iter()
        .enumerate()
        .map(|(i, axis)| axis.unwrap_or_else(|| AxisChunks::regular(shape[i], sizes[i])))
        .collect()
}

/// `time=1,y=2048,x=-1,band=auto`; `auto` alone means all dimensions.
impl FromStr for Chunks {
    type Err = Error;

    fn from_str(text: &str) -> Result<Chunks> {
        let mut chunks = Chunks::whole();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            if part == "auto" {
                chunks.rest = ChunkSize::Auto;
                continue;
            }
            let (dim, size) = part
                .split_once(['=', ':'])
                .ok_or_else(|| bad_chunk(part))
                .map(|(dim, size)| (dim.trim(), size.trim()))?;
            let size = match size {
                "auto" => ChunkSize::Auto,
                "-1" | "whole" => ChunkSize::Whole,
                size => ChunkSize::Size(size.parse().map_err(|_| bad_chunk(part))?),
            };
            chunks.dims.insert(dim.to_owned(), size);
        }
        Ok(chunks)
    }
}

fn bad_chunk(part: &str) -> Error {
    Error::Invalid(format!(
        "`{part}` is no chunk size; write `time=1,y=2048,x=2048`, with -1 for a whole dimension or `auto`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(axis: &AxisChunks, sizes: &[usize]) {
        assert_eq!(axis.sizes().collect::<Vec<_>>(), sizes, "{axis:?}");
        assert_eq!(axis.count(), sizes.len());
        assert_eq!(axis.max_size(), sizes.iter().copied().max().unwrap_or(0));
        assert_eq!(axis.len(), sizes.iter().sum::<usize>());
        for index in 0..axis.count() {
            for pixel in axis.range(index) {
                assert_eq!(axis.find(pixel), index);
            }
        }
        assert_eq!(
            *axis,
            AxisChunks::explicit(sizes),
            "one spelling for equal cuts"
        );
    }

    #[test]
    fn axis_rules() {
        check(&AxisChunks::regular(10, 4), &[4, 4, 2]);
        check(&AxisChunks::regular(8, 4), &[4, 4]);
        check(&AxisChunks::regular(3, 100), &[3]);
        check(&AxisChunks::whole(7), &[7]);
        check(&AxisChunks::whole(0), &[]);
        check(&AxisChunks::explicit(&[3, 1, 4]), &[3, 1, 4]);
        check(&AxisChunks::with_first(10, 1, 4), &[1, 4, 4, 1]);
        check(&AxisChunks::with_first(5, 1, 4), &[1, 4]);
        check(&AxisChunks::with_first(4, 1, 9), &[1, 3]);
    }

    #[test]
    fn cuts_keep_their_place() {
        let axis = AxisChunks::regular(10, 4);
        check(&axis.cut(0, 10), &[4, 4, 2]);
        check(&axis.cut(3, 6), &[1, 4, 1]);
        check(&axis.cut(5, 2), &[2]);
        check(&axis.cut(5, 0), &[]);
        check(&axis.reversed(), &[2, 4, 4]);
        check(&axis.cut(3, 6).cut(2, 4), &[3, 1]);
        check(&AxisChunks::explicit(&[3, 1, 4]).cut(2, 4), &[1, 1, 2]);
    }

    #[test]
    fn numbers_and_indices_agree() {
        let grid = ChunkGrid::regular(&[3, 10, 7], &[1, 4, 4]);
        assert_eq!(grid.counts(), [3, 3, 2]);
        for number in 0..grid.n_chunks() {
            assert_eq!(grid.number(&grid.index(number)), number);
        }
        assert_eq!(grid.region_of(17), Region::new(vec![2..3, 8..10, 4..7]));
        assert_eq!(ChunkGrid::whole(&[]).n_chunks(), 1);
        assert_eq!(ChunkGrid::whole(&[0, 4]).n_chunks(), 0);
    }

    #[test]
    fn a_million_chunks_are_three_axes() {
        let grid = ChunkGrid::regular(&[100, 100_000, 100_000], &[1, 1000, 1000]);
        assert_eq!(grid.n_chunks(), 1_000_000);
        assert!(size_of_val(grid.axes()) < 200);
    }

    #[test]
    fn requests() {
        let dims = ["time", "y", "x"];
        let shape = [12, 9000, 9000];
        let auto = Chunks::auto()
            .with("time", 1usize)
            .resolve(&dims, &shape, DType::UInt16);
        let chunk = auto.unwrap().chunk_shape();
        assert_eq!(chunk, [1, 4096, 4096]);
        let error = Chunks::new([("lat", 5usize)]).resolve(&dims, &shape, DType::UInt8);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("there is time, y, x")
        );
        let zero = Chunks::new([("x", 0usize)]).resolve(&dims, &shape, DType::UInt8);
        assert!(zero.unwrap_err().to_string().contains("-1"));
        let short = Chunks::new([("time", vec![5, 5])]).resolve(&dims, &shape, DType::UInt8);
        assert!(short.unwrap_err().to_string().contains("add up to 10"));
        assert!(
            "time"
                .parse::<Chunks>()
                .unwrap_err()
                .to_string()
                .contains("time=1")
        );
        let parsed: Chunks = "time=1, y=auto,x=-1".parse().unwrap();
        assert_eq!(parsed.dims["y"], ChunkSize::Auto);
        assert_eq!(parsed.dims["x"], ChunkSize::Whole);
    }
}
