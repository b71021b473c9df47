//! Reads the directories of a TIFF in as few requests as it allows.
//!
//! One read of the first 32 KiB holds the whole header of a usual COG. What
//! lies elsewhere, such as directories that were appended when overviews were
//! built, is read in aligned pages, several at once where they are known. The
//! arrays of block offsets are left where they are, see `block_index.rs`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::ifd::{Format, Ifd, Place};
use super::tags;
use crate::error::{Error, Result};
use crate::reader::ReadCost;
use crate::store::{FileVersion, Location};

/// The first read.
const FIRST_READ: u64 = 32 << 10;
/// Later reads are whole multiples of this.
const PAGE: u64 = 16 << 10;
/// All that may be read of one header, block arrays aside.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// Directories that are followed; images have no more overviews than that.
const MAX_DIRECTORIES: usize = 1024;

/// The parts of a file that were read to parse its header.
pub(crate) struct HeaderBytes {
    pub(crate) location: Location,
    pub(crate) version: FileVersion,
    spans: Vec<(u64, Bytes)>,
    /// What was read so far.
    cost: ReadCost,
}

impl HeaderBytes {
    /// Reads the first bytes of the file; one request.
    pub(crate) async fn open(location: Location) -> Result<Self> {
        let (start, version) = location.read_start(FIRST_READ).await?;
        let cost = ReadCost {
            bytes: start.len() as u64,
            requests: 1,
            cached_blocks: 0,
        };
        if start.len() as u64 != version.size.min(FIRST_READ) {
            return Err(Error::Store {
                uri: location.uri().to_owned(),
                transient: true,
                source: format!("the first read ended after {} bytes", start.len()).into(),
            });
        }
        Ok(HeaderBytes {
            location,
            version,
            spans: vec![(0, start)],
            cost,
        })
    }

    /// What was read so far.
    pub(crate) fn cost(&self) -> ReadCost {
        self.cost
    }

    /// The first bytes of the file.
    pub(crate) fn start(&self) -> &Bytes {
        &self.spans[0].1
    }

    /// The whole file, if it was that short.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        (self.start().len() as u64 == self.version.size).then(|| self.start().clone())
    }

    /// The bytes of `range`, if they were read already.
    pub(crate) fn peek(&self, range: &Range<u64>) -> Option<Bytes> {
        self.spans.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
            (to <= bytes.len()).then(|| bytes.slice(from..to))
        })
    }

    /// Reads what is missing of `ranges`, which lie within the file.
    async fn require(&mut self, ranges: &[Range<u64>]) -> Result<()> {
        let size = self.version.size;
        let pages: Vec<Range<u64>> = ranges
            .iter()
            .filter(|range| self.peek(range).is_none())
            .map(|range| {
                let end = range.end.div_ceil(PAGE).saturating_mul(PAGE).min(size);
                range.start / PAGE * PAGE..end
            })
            .collect();
        if pages.is_empty() {
            return Ok(());
        }
        let (bytes, cost) = self.location.read_ranges(&self.version, &pages).await?;
        self.cost += cost;
        if self.cost.bytes > MAX_HEADER_BYTES {
            return Err(Error::unreadable(
                self.location.uri(),
                "header",
                format!("it takes more than the limit of {MAX_HEADER_BYTES} bytes"),
            ));
        }
        self.spans
            .extend(pages.iter().map(|page| page.start).zip(bytes));
        Ok(())
    }

    /// The bytes of `range`; `None` where the file ends before it does.
    async fn get(&mut self, range: Range<u64>) -> Result<Option<Bytes>> {
        if range.end > self.version.size {
            return Ok(None);
        }
        self.require(std::slice::from_ref(&range)).await?;
        Ok(self.peek(&range))
    }

    /// Reads the directory at `offset` and the place of the next one.
    async fn directory(
        &mut self,
        uri: &Arc<str>,
        format: Format,
        idx: usize,
        offset: u64,
    ) -> Result<(Ifd, u64)> {
        let file_size = self.version.size;
        let fault = |problem: String| {
            Error::unreadable(uri, format!("directory {idx} at offset {offset}"), problem)
        };
        let cut = || {
            fault(format!(
                "it is not within the {file_size} bytes of the file"
            ))
        };

        let body_at = offset.checked_add(format.count_size()).ok_or_else(cut)?;
        let opening = self.get(offset..body_at).await?.ok_or_else(cut)?;
        let body_size = format.body_size(&opening).map_err(fault)?;
        let body_end = body_at.checked_add(body_size).ok_or_else(cut)?;
        let body = self.get(body_at..body_end).await?.ok_or_else(cut)?;
        let (entries, next) = format.entries(&body).ok_or_else(cut)?;

        let places: Vec<_> = entries
            .iter()
            .map(|entry| entry.place(format, file_size))
            .collect();
        let mut wanted = Vec::new();
        for (entry, place) in entries.iter().zip(&places) {
            if let (false, Ok(Place::At(range))) = (tags::is_block_array(entry.tag), place) {
                wanted.push(range.clone());
            }
        }
        self.require(&wanted).await?;
        let values = entries
            .iter()
            .zip(places)
            .map(|(entry, place)| match place? {
                Place::Inline(bytes) => Ok(bytes),
                Place::At(_) if tags::is_block_array(entry.tag) => Ok(Bytes::new()),
                // Copied, so that a kept value does not keep a page alive.
                Place::At(range) => self
                    .peek(&range)
                    .map(|bytes| Bytes::copy_from_slice(&bytes))
                    .ok_or_else(|| "it was not read".to_owned()),
            });
        let values = values.collect();
        let uri = Arc::clone(uri);
        Ok((
            Ifd {
                uri,
                idx,
                format,
                file_size,
                entries,
                values,
            },
            next,
        ))
    }

    /// Reads all directories: the chain, then the sub-directories of the first.
    ///
    /// The second value says what was left out and why: a file whose first
    /// image is sound is of use even where what follows is damaged. A chain
    /// that leads back into itself is refused.
    pub(crate) async fn directories(
        &mut self,
        format: Format,
        first: u64,
    ) -> Result<(Vec<Ifd>, Vec<String>)> {
        let uri: Arc<str> = self.location.uri().into();
        let mut ifds: Vec<Ifd> = Vec::new();
        let mut ignored = Vec::new();
        let mut seen = BTreeSet::new();
        let mut offset = first;
        while offset != 0 && ifds.len() < MAX_DIRECTORIES {
            if !seen.insert(offset) {
                return Err(Error::unreadable(
                    &uri,
                    format!("directory {}", ifds.len()),
                    format!("the chain of directories leads back to offset {offset}"),
                ));
            }
            match self.directory(&uri, format, ifds.len(), offset).await {
                Ok((ifd, next)) => {
                    ifds.push(ifd);
                    offset = next;
                }
                Err(error @ Error::Unreadable { .. }) if !ifds.is_empty() => {
                    ignored.push(error.to_string());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let Some(main) = ifds.first() else {
            return Err(Error::unreadable(&uri, "header", "it names no directory"));
        };
        // A broken list of sub-directories leaves the main image whole.
        let sub_ifds = main
            .uints(tags::SUB_IFDS)
            .ok()
            .flatten()
            .unwrap_or_default();
        for offset in sub_ifds.into_iter().take(MAX_DIRECTORIES) {
            if offset == 0 || !seen.insert(offset) {
                continue;
            }
            match self.directory(&uri, format, ifds.len(), offset).await {
                Ok((ifd, _)) => ifds.push(ifd),
                Err(error @ Error::Unreadable { .. }) => ignored.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok((ifds, ignored))
    }
}
