//! Where the blocks of an image are in the file.
//!
//! A TIFF lists offset and size of every block in two arrays. For a large image
//! they are longer than all the rest of the header, and most reads need a few
//! entries only, so they are read on demand, in segments, once each whatever
//! the number of tasks that ask. What the first read of the header happened to
//! contain is taken from there.

use std::ops::Range;

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::header::HeaderBytes;
use super::ifd::{ByteOrder, FieldType, Ifd, Place, uints};
use super::tags;
use crate::error::{Error, Result};
use crate::store::{FileVersion, Location};

/// Entries that are read at once; an index that is no longer is read whole.
const SEGMENT: u64 = 8192;
/// Up to so many blocks, arrays that are too short are taken as they are, and
/// what they do not name as left out; the number is libtiff's.
const MAX_PADDED: u64 = 1_000_000;

/// Where a block is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Span {
    /// Whether the file leaves the block out.
    pub(crate) fn is_sparse(self) -> bool {
        self.offset == 0 || self.len == 0
    }
}

/// One of the two arrays, as the directory describes it.
#[derive(Debug)]
struct Array {
    field_type: FieldType,
    place: Place,
    count: u64,
}

impl Array {
    fn from_ifd(ifd: &Ifd, tag: u16, n_blocks: u64) -> Result<Option<Array>> {
        let Some(entry) = ifd.entry(tag) else {
            return Ok(None);
        };
        let fault = |problem: String| ifd.fault(tag, problem);
        let field_type = entry.field_type().map_err(fault)?;
        // Fails for types that are no integers.
        uints(ifd.format.order, field_type, &[]).map_err(fault)?;
        if entry.count == 0 || (entry.count < n_blocks && n_blocks > MAX_PADDED) {
            let problem = format!("it has {} values for {n_blocks} blocks", entry.count);
            return Err(ifd.fault(tag, problem));
        }
        let place = entry.place(ifd.format, ifd.file_size).map_err(fault)?;
        Ok(Some(Array {
            field_type,
            place,
            count: entry.count,
        }))
    }

    /// Those of `blocks` that the array has values for.
    fn named(&self, blocks: &Range<u64>) -> Range<u64> {
        blocks.start.min(self.count)..blocks.end.min(self.count)
    }

    /// Where in the file the values of `blocks` are, if not in the directory.
    fn range(&self, blocks: &Range<u64>) -> Option<Range<u64>> {
        let size = self.field_type.size();
        let blocks = self.named(blocks);
        match &self.place {
            Place::Inline(_) => None,
            Place::At(_) if blocks.is_empty() => None,
            Place::At(range) => {
                Some(range.start + blocks.start * size..range.start + blocks.end * size)
            }
        }
    }

    /// The values of `blocks`, from what `range` said is needed.
    fn values(
        &self,
        order: ByteOrder,
        blocks: &Range<u64>,
        bytes: Option<Bytes>,
    ) -> Result<Vec<u64>, String> {
        let named = self.named(blocks);
        let mut values = match (&self.place, bytes) {
            (Place::Inline(bytes), _) => {
                let size = self.field_type.size();
                let at = |block: u64| usize::try_from(block * size).expect("8 bytes at most");
                uints(
                    order,
                    self.field_type,
                    &bytes[at(named.start)..at(named.end)],
                )?
            }
            (Place::At(_), Some(bytes)) => uints(order, self.field_type, &bytes)?,
            (Place::At(_), None) if named.is_empty() => Vec::new(),
            (Place::At(_), None) => return Err("it was not read".to_owned()),
        };
        let n_blocks = usize::try_from(blocks.end - blocks.start).expect("one segment at most");
        values.resize(n_blocks, 0);
        Ok(values)
    }
}

/// Where the blocks of one image are.
#[derive(Debug)]
pub(crate) struct BlockIndex {
    ifd_idx: usize,
    order: ByteOrder,
    n_blocks: u64,
    offsets: Array,
    /// `None` where the file gives no sizes, which only uncompressed ones may.
    sizes: Option<Array>,
    segments: Box<[OnceCell<Box<[Span]>>]>,
}

impl BlockIndex {
    /// Checks that the directory has a place for each of `n_blocks` blocks.
    pub(crate) fn from_ifd(ifd: &Ifd, n_blocks: u64, is_uncompressed: bool) -> Result<BlockIndex> {
        let mut offsets = None;
        // Some writers give tiles under the tags of strips.
        for tag in [tags::TILE_OFFSETS, tags::STRIP_OFFSETS] {
            if offsets.is_none() {
                offsets = Array::from_ifd(ifd, tag, n_blocks)?;
            }
        }
        let Some(offsets) = offsets else {
            return Err(ifd.missing(tags::TILE_OFFSETS));
        };
        let mut sizes = None;
        for tag in [tags::TILE_BYTE_COUNTS, tags::STRIP_BYTE_COUNTS] {
            if sizes.is_none() {
                sizes = Array::from_ifd(ifd, tag, n_blocks)?;
            }
        }
        if sizes.is_none() && !is_uncompressed {
            return Err(ifd.missing(tags::TILE_BYTE_COUNTS));
        }
        // Not more than the file has bytes, or than `MAX_PADDED`.
        let n_segments = usize::try_from(n_blocks.div_ceil(SEGMENT))
            .map_err(|_| ifd.fault(tags::TILE_OFFSETS, "it is longer than memory"))?;
        Ok(BlockIndex {
            ifd_idx: ifd.idx,
            order: ifd.format.order,
            n_blocks,
            offsets,
            sizes,
            segments: (0..n_segments).map(|_| OnceCell::new()).collect(),
        })
    }

    /// Number of blocks.
    pub(crate) fn n_blocks(&self) -> u64 {
        self.n_blocks
    }

    /// Bytes of memory that a full index takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.n_blocks * size_of::<Span>() as u64
    }

    /// Takes over what was read along with the header.
    pub(crate) fn preload(&self, header: &HeaderBytes) {
        for (segment_idx, segment) in self.segments.iter().enumerate() {
            let blocks = self.blocks(segment_idx);
            let at_hand = |array: &Array| match array.range(&blocks) {
                None => Some(None),
                Some(range) => header.peek(&range).map(Some),
            };
            let sizes = self.sizes.as_ref().map_or(Some(None), at_hand);
            if let (Some(offsets), Some(sizes)) = (at_hand(&self.offsets), sizes) {
                // A broken segment is found again by whoever needs it.
                if let Ok(spans) = self.parse(&blocks, offsets, sizes) {
                    let _already_there = segment.set(spans);
                }
            }
        }
    }

    /// Reads what is missing to look up `blocks`; several callers read once.
    pub(crate) async fn load(
        &self,
        location: &Location,
        version: &FileVersion,
        blocks: impl Iterator<Item = u64>,
    ) -> Result<()> {
        let mut segments: Vec<usize> = blocks.map(segment_of).collect();
        segments.dedup();
        segments.sort_unstable();
        segments.dedup();
        let reads = segments.into_iter().map(|segment_idx| {
            self.segments[segment_idx]
                .get_or_try_init(move || self.read(location, version, segment_idx))
        });
        futures::future::try_join_all(reads).await?;
        Ok(())
    }

    async fn read(
        &self,
        location: &Location,
        version: &FileVersion,
        segment_idx: usize,
    ) -> Result<Box<[Span]>> {
        let blocks = self.blocks(segment_idx);
        let offsets_at = self.offsets.range(&blocks);
        let sizes_at = self.sizes.as_ref().and_then(|sizes| sizes.range(&blocks));
        let ranges: Vec<_> = offsets_at.iter().chain(&sizes_at).cloned().collect();
        let (bytes, _) = location.read_ranges(version, &ranges).await?;
        let mut bytes = bytes.into_iter();
        let offsets = offsets_at.and_then(|_| bytes.next());
        let sizes = sizes_at.and_then(|_| bytes.next());
        self.parse(&blocks, offsets, sizes).map_err(|problem| {
            let place = format!("directory {}, places of blocks", self.ifd_idx);
            Error::unreadable(location.uri(), place, problem)
        })
    }

    fn parse(
        &self,
        blocks: &Range<u64>,
        offsets: Option<Bytes>,
        sizes: Option<Bytes>,
    ) -> Result<Box<[Span]>, String> {
        let offsets = self.offsets.values(self.order, blocks, offsets)?;
        let sizes = match &self.sizes {
            Some(array) => array.values(self.order, blocks, sizes)?,
            None => vec![u64::MAX; offsets.len()],
        };
        Ok(offsets
            .into_iter()
            .zip(sizes)
            .map(|(offset, len)| Span { offset, len })
            .collect())
    }

    /// Where a block is, if that was read; a size of `u64::MAX` is unknown.
    pub(crate) fn span(&self, block: u64) -> Option<Span> {
        let segment_idx = segment_of(block);
        let spans = self.segments.get(segment_idx)?.get()?;
        let within = block - self.blocks(segment_idx).start;
        spans.get(usize::try_from(within).ok()?).copied()
    }

    /// The blocks of a segment.
    fn blocks(&self, segment_idx: usize) -> Range<u64> {
        let start = segment_idx as u64 * SEGMENT;
        start..(start + SEGMENT).min(self.n_blocks)
    }
}

fn segment_of(block: u64) -> usize {
    usize::try_from(block / SEGMENT).unwrap_or(usize::MAX)
}
