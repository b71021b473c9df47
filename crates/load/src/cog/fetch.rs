//! Which bytes of a file a window needs, and getting them.
//!
//! Blocks that another window left decoded are taken from there. Of an
//! uncompressed block only the rows of the window are read, so that an image
//! that is one huge strip costs no more than any other.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datacube_geo::PixelWindow;

use super::block_cache::{BlockCache, BlockKey};
use super::block_index::Span;
use super::codec::Codec;
use super::file::{FileId, TiffFile};
use super::image::Image;
use crate::error::{Error, Result};
use crate::reader::{Blocks, ReadCost};

/// What this reader puts into [`Blocks`].
pub(crate) struct CogBlocks {
    pub(crate) file: FileId,
    /// The sample of the image that was asked for, counted from 1.
    pub(crate) sample: u32,
    /// Block rows and columns, as ranges; `stored` has them row by row.
    pub(crate) grid: PixelWindow,
    pub(crate) stored: Vec<Stored>,
}

/// One block on its way to be decoded.
pub(crate) enum Stored {
    /// The file leaves it out.
    Sparse,
    /// As it is in the file, these rows of the block.
    Bytes { bytes: Bytes, rows: Range<usize> },
    /// Another window needed it before.
    Decoded(Arc<[u8]>),
}

/// What is asked for: a window of one band (or the mask) of one level.
pub(crate) struct Request<'a> {
    pub(crate) file: &'a TiffFile,
    pub(crate) image: &'a Image,
    pub(crate) level: usize,
    /// `None` for the mask.
    pub(crate) band: Option<u32>,
    /// The sample of `image` that is meant, counted from 1: the band, or which of
    /// several masks.
    pub(crate) sample: u32,
    pub(crate) window: PixelWindow,
}

impl Request<'_> {
    /// Block row, block column and number of the blocks that are needed.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let grid = self.image.blocks_of(&self.window);
        let sample = self.sample;
        grid.rows.flat_map(move |block_row| {
            grid.cols.clone().map(move |block_col| {
                (
                    block_row,
                    block_col,
                    self.image.block_number(block_row, block_col, sample),
                )
            })
        })
    }

    pub(crate) fn key(&self, block: u64) -> BlockKey {
        BlockKey {
            file: self.file.id(),
            ifd_idx: self.image.ifd_idx,
            block,
        }
    }

    /// Names a block, for messages.
    pub(crate) fn place(&self, block_row: usize, block_col: usize) -> String {
        let level = match (self.band, self.level) {
            (None, 0) => "the mask".to_owned(),
            (None, level) => format!("the mask of overview {level}"),
            (Some(_), 0) => "the full resolution".to_owned(),
            (Some(_), level) => format!("overview {level}"),
        };
        match self.band {
            Some(band) if self.image.is_planar => {
                format!("block ({block_row}, {block_col}) of band {band} of {level}")
            }
            _ => format!("block ({block_row}, {block_col}) of {level}"),
        }
    }

    /// Fetches the blocks that are not in `cache`.
    pub(crate) async fn fetch(&self, cache: &BlockCache) -> Result<Blocks> {
        let image = self.image;
        let cached: Vec<Option<Arc<[u8]>>> = self
            .blocks()
            .map(|(.., block)| cache.get(&self.key(block)))
            .collect();
        let missing = self.blocks().zip(&cached).filter(|(_, hit)| hit.is_none());
        let missing = missing.map(|((.., block), _)| block);
        image
            .index
            .load(self.file.location(), self.file.version(), missing)
            .await?;

        let mut stored = Vec::with_capacity(cached.len());
        let mut cost = ReadCost::default();
        let mut wanted = Vec::new();
        for ((block_row, block_col, block), hit) in self.blocks().zip(cached) {
            if let Some(decoded) = hit {
                cost.cached_blocks += 1;
                stored.push(Stored::Decoded(decoded));
                continue;
            }
            match self.bytes_of(block_row, block_col, block)? {
                None => stored.push(Stored::Sparse),
                Some((bytes, rows)) => {
                    wanted.push(bytes);
                    stored.push(Stored::Bytes {
                        bytes: Bytes::new(),
                        rows,
                    });
                }
            }
        }
        if !wanted.is_empty() {
            let (parts, read) = self.read(&wanted).await?;
            cost += read;
            let mut parts = parts.into_iter();
            for block in &mut stored {
                if let Stored::Bytes { bytes, .. } = block {
                    *bytes = parts.next().expect("as many parts as ranges");
                }
            }
        }
        let memory_bytes = cost.bytes
            + stored
                .iter()
                .map(|block| match block {
                    Stored::Decoded(decoded) => decoded.len() as u64,
                    _ => size_of::<Stored>() as u64,
                })
                .sum::<u64>();
        let grid = image.blocks_of(&self.window);
        let payload = CogBlocks {
            file: self.file.id(),
            sample: self.sample,
            grid,
            stored,
        };
        let window = self.window.clone();
        Ok(Blocks::new(
            self.level,
            self.band,
            window,
            cost,
            memory_bytes,
            Box::new(payload),
        ))
    }

    async fn read(&self, ranges: &[Range<u64>]) -> Result<(Vec<Bytes>, ReadCost)> {
        if let Some(whole) = self.file.whole() {
            // `bytes_of` made sure that they lie within the file.
            let at = |offset: u64| usize::try_from(offset).expect("the file is in memory");
            let part = |range: &Range<u64>| whole.slice(at(range.start)..at(range.end));
            return Ok((ranges.iter().map(part).collect(), ReadCost::default()));
        }
        self.file
            .location()
            .read_ranges(self.file.version(), ranges)
            .await
    }

    /// Where in the file the needed rows of a block are, and which they are;
    /// `None` where the file leaves the block out.
    fn bytes_of(
        &self,
        block_row: usize,
        block_col: usize,
        block: u64,
    ) -> Result<Option<(Range<u64>, Range<usize>)>> {
        let fault = |problem: String| {
            Error::unreadable(
                self.file.location().uri(),
                self.place(block_row, block_col),
                problem,
            )
        };
        let span = self
            .image
            .index
            .span(block)
            .ok_or_else(|| Error::Internal(format!("no place of block {block} is known")))?;
        if span.is_sparse() {
            return Ok(None);
        }
        let (span, rows) = self.part_of(span, block_row).map_err(fault)?;
        let size = self.file.version().size;
        match span.offset.checked_add(span.len) {
            Some(end) if end <= size => Ok(Some((span.offset..end, rows))),
            _ => Err(fault(format!(
                "its {} bytes at offset {} are not within the {size} bytes of the file",
                span.len, span.offset
            ))),
        }
    }

    /// The part of a stored block that has to be read, and its rows.
    fn part_of(&self, span: Span, block_row: usize) -> Result<(Span, Range<usize>), String> {
        let image = self.image;
        let n_rows = image.rows_in_block(block_row);
        if image.codec != Codec::None {
            return Ok((span, 0..n_rows));
        }
        let first = block_row * image.block_shape.rows;
        let start = self.window.rows.start.saturating_sub(first);
        let rows = start..(self.window.rows.end - first).min(n_rows);
        let row_bytes = image.stored_row_bytes();
        // `ensure_block_fits` keeps the products small.
        let needed = rows.end as u64 * row_bytes;
        if span.len < needed {
            return Err(format!(
                "it is {} bytes long; its first {} rows need {needed}",
                span.len, rows.end
            ));
        }
        let offset = span
            .offset
            .checked_add(rows.start as u64 * row_bytes)
            .ok_or_else(|| format!("its offset {} is out of range", span.offset))?;
        Ok((
            Span {
                offset,
                len: rows.len() as u64 * row_bytes,
            },
            rows,
        ))
    }

    /// What `fetch` would read, as far as the header in memory tells.
    pub(crate) fn project(&self, cache: &BlockCache) -> ReadCost {
        let mut known = Vec::new();
        let mut cost = ReadCost::default();
        let mut n_unknown = 0_u64;
        for (block_row, block_col, block) in self.blocks() {
            if cache.get(&self.key(block)).is_some() {
                cost.cached_blocks += 1;
                continue;
            }
            if self.image.index.span(block).is_none() {
                n_unknown += 1;
            } else if let Ok(Some((bytes, _))) = self.bytes_of(block_row, block_col, block) {
                known.push(bytes);
            }
        }
        if self.file.whole().is_some() {
            return cost;
        }
        cost += self.file.location().project_ranges(&known);
        if n_unknown > 0 {
            // The average block, as if the file had no other image.
            let per_block = self.file.version().size / self.image.index.n_blocks().max(1);
            cost.bytes += per_block * n_unknown;
            // One for the places, and one for each row of blocks.
            cost.requests += 1 + self.image.blocks_of(&self.window).rows.len() as u64;
        }
        cost
    }
}
