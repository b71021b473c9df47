//! What a user asks for, by dimension name.

use std::str::FromStr;

use datacube_model::DType;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};

/// Bytes that `auto` chunks stay under.
pub const AUTO_CHUNK_BYTES: u64 = 32 << 20;

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
        Ok(ChunkGrid::new(fill_auto(axes, shape, dtype)))
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
