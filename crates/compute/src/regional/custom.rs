//! A user's own function of a chunk and, where asked for, of what lies around it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datacube_model::DType;

use super::{Block, Rows, sub_block};
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::plan::Schema;
use crate::region::Region;

/// What a user's function is given: pixels of one array, in C order.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// Type of its pixels.
    pub dtype: DType,
    /// Which pixels of the array; those around the chunk included.
    pub region: Region,
    /// The pixels, in C order, native endianness.
    pub pixels: &'a [u8],
}

type Function = dyn Fn(&[Part<'_>], &Region, &mut [u8]) -> Result<(), String> + Send + Sync;

/// A function of arrays of one shape, chunk by chunk.
pub struct Custom {
    name: String,
    /// What it is known by: a name that the user vouches for, or its address.
    identity: String,
    halo: Vec<(usize, usize)>,
    /// The chunks that the function is given.
    chunks: ChunkGrid,
    dtype: DType,
    function: Box<Function>,
}

impl Custom {
    /// `function` of each of `chunks`: of its pixels, and along each axis of
    /// `halo` pixels before and after as far as there are any. It writes the
    /// chunk's pixels, of `dtype`.
    ///
    /// `version` makes the function one with any other of that name and
    /// version; without it, it is like no other.
    pub fn new(
        name: impl Into<String>,
        version: Option<&str>,
        halo: Vec<(usize, usize)>,
        chunks: ChunkGrid,
        dtype: DType,
        function: impl Fn(&[Part<'_>], &Region, &mut [u8]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Arc<Custom> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = name.into();
        let identity = match version {
            Some(version) => format!("{name} version {version}"),
            None => {
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                format!("{name} number {number} of process {}", std::process::id())
            }
        };
        Arc::new(Custom {
            name,
            identity,
            halo,
            chunks,
            dtype,
            function: Box::new(function),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it is known by.
    pub(crate) fn identity(&self) -> String {
        format!(
            "{} {:?} {:?} {}",
            self.identity, self.halo, self.chunks, self.dtype
        )
    }

    pub(super) fn schema(&self, inputs: &[&Schema]) -> Result<Schema> {
        let first = inputs[0];
        let alike = inputs
            .iter()
            .all(|input| input.shape == first.shape && input.dims == first.dims);
        let fits = self.halo.len() == first.shape.len() && self.chunks.shape() == *first.shape;
        if !alike || !fits {
            return Err(Error::Bug(format!("`{}` of {inputs:?}", self.name)));
        }
        Ok(Schema {
            dtype: self.dtype,
            ..first.clone()
        })
    }

    /// The numbers of the chunks along each axis that a region lies in.
    fn numbers(&self, region: &Region) -> Vec<std::ops::Range<usize>> {
        let axes = self.chunks.axes().iter().zip(region.ranges());
        axes.map(|(chunks, range)| match range.end.checked_sub(1) {
            Some(last) if !range.is_empty() => chunks.find(range.start)..chunks.find(last) + 1,
            _ => 0..0,
        })
        .collect()
    }

    /// A region and what lies around it.
    fn around(&self, region: &Region) -> Region {
        let shape = self.chunks.shape();
        let ranges = region.ranges().iter().zip(&self.halo).zip(&shape);
        let ranges = ranges.map(|((range, (before, after)), &len)| {
            range.start.saturating_sub(*before)..(range.end + after).min(len)
        });
        Region::new(ranges.collect::<Vec<_>>())
    }

    pub(super) fn wants(&self, region: &Region) -> Region {
        let chunks = self.chunks.axes().iter().zip(self.numbers(region));
        let whole = chunks.map(|(chunks, numbers)| match numbers.end.checked_sub(1) {
            Some(last) if !numbers.is_empty() => {
                chunks.range(numbers.start).start..chunks.range(last).end
            }
            _ => 0..0,
        });
        self.around(&Region::new(whole.collect::<Vec<_>>()))
    }

    pub(super) fn run(
        &self,
        inputs: &[Option<Block<'_>>],
        region: &Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        let size = self.dtype.size();
        let mut indexes: Vec<Vec<usize>> = vec![Vec::new()];
        for numbers in self.numbers(region) {
            indexes = indexes
                .into_iter()
                .flat_map(|index| {
                    numbers.clone().map(move |number| {
                        let mut index = index.clone();
                        index.push(number);
                        index
                    })
                })
                .collect();
        }
        for index in indexes {
            let chunk = self.chunks.region(&index);
            let around = self.around(&chunk);
            let pixels: Vec<_> = inputs
                .iter()
                .flatten()
                .map(|block| (block.dtype, sub_block(block, &around)))
                .collect();
            let parts: Vec<Part<'_>> = pixels
                .iter()
                .map(|(dtype, pixels)| Part {
                    dtype: *dtype,
                    region: around.clone(),
                    pixels,
                })
                .collect();
            if chunk == *region {
                (self.function)(&parts, &chunk, out)?;
                break;
            }
            let mut made = vec![0u8; chunk.len() * size];
            (self.function)(&parts, &chunk, &mut made)?;
            let part = chunk.intersect(region);
            let row = part.shape().last().copied().unwrap_or(1) * size;
            for (from, to) in Rows::new(&chunk, &part).zip(Rows::new(region, &part)) {
                out[to * size..][..row].copy_from_slice(&made[from * size..][..row]);
            }
        }
        crate::buffer::normalise_bool(self.dtype, out);
        Ok(())
    }

    /// Memory that the function is thought to take besides.
    pub(super) fn scratch_bytes(&self, out: usize) -> usize {
        out * self.dtype.size()
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Custom {}

impl Hash for Custom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom")
            .field("identity", &self.identity)
            .field("halo", &self.halo)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}
