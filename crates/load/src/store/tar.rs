//! Members of uncompressed tar files, found by their headers and read in place.
//!
//! The headers of a tar file stand before its members, each telling how long
//! its member is, so finding all of them takes one small request a member.
//! They are kept as long as the file is the same.

use std::collections::HashMap;
use std::ops::Range;

use tar::{EntryType, Header, PaxExtensions};

use super::location::{FileVersion, Location};
use super::ranges::to_usize;
use crate::error::{Error, Result};

/// Tar files are made of such blocks.
const BLOCK: u64 = 512;
/// Read at once for a header: what long names need, besides.
const READ: u64 = 4 << 10;
/// A tar file with more members is refused.
const MOST_MEMBERS: usize = 100_000;
/// The longest name or extension that is read.
const LONGEST: u64 = 1 << 20;

/// Where the members of a tar file are.
#[derive(Debug)]
pub(super) struct TarIndex {
    pub(super) version: FileVersion,
    members: HashMap<String, Member>,
}

#[derive(Clone, Debug, PartialEq)]
enum Member {
    At(Range<u64>),
    /// It is there, and why it cannot be read.
    Not(&'static str),
}

/// What a header says about the next one.
#[derive(Default)]
struct Next {
    name: Option<String>,
    size: Option<u64>,
}

impl TarIndex {
    /// Reads the headers of the tar file at `archive`.
    pub(super) async fn read(archive: &Location) -> Result<TarIndex> {
        let uri = archive.uri();
        let broken = |at: u64, problem: String| {
            Error::unreadable(uri, format!("tar header at byte {at}"), problem)
        };
        let (start, version) = archive.read_start(READ).await?;
        let compressed: [(&[u8], &str); 4] = [
            (&[0x1f, 0x8b], "gzip"),
            (b"BZh", "bzip2"),
            (&[0xfd, b'7', b'z'], "xz"),
            (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
        ];
        if let Some((_, how)) = compressed
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
        {
            return Err(Error::unsupported_in(
                uri,
                format!("a tar file packed with {how}"),
                "tar files that are not packed: their members are read in place",
            ));
        }
        let mut members = HashMap::new();
        let mut next = Next::default();
        let (mut window, mut window_at) = (start, 0);
        let mut at = 0;
        while at + BLOCK <= version.size {
            let window_end = window_at + window.len() as u64;
            if at < window_at || at + BLOCK > window_end {
                let range = at..(at + READ).min(version.size);
                window = archive.read_range(&version, range).await?;
                window_at = at;
            }
            let from = to_usize(at - window_at);
            let header = Header::from_byte_slice(&window[from..from + to_usize(BLOCK)]);
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                break;
            }
            check(header).map_err(|problem| broken(at, problem))?;
            let stated = header
                .entry_size()
                .map_err(|error| broken(at, error.to_string()))?;
            let kind = header.entry_type();
            let is_extension = matches!(
                kind,
                EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName
            );
            let size = match next.size {
                Some(size) if !is_extension => size,
                _ => stated,
            };
            let data = at + BLOCK;
            let end = data.checked_add(size).filter(|end| *end <= version.size);
            let end = end.ok_or_else(|| {
                let problem = format!("its member of {size} bytes ends behind the file");
                broken(at, problem)
            })?;
            match kind {
                EntryType::XHeader | EntryType::GNULongName => {
                    if size > LONGEST {
                        return Err(broken(at, format!("a name of {size} bytes")));
                    }
                    let bytes = archive.read_range(&version, data..end).await?;
                    next.take(kind, &bytes);
                }
                EntryType::XGlobalHeader => {}
                _ => {
                    let name = next.name.take().unwrap_or_else(|| {
                        String::from_utf8_lossy(&header.path_bytes()).into_owned()
                    });
                    next = Next::default();
                    let member = match kind {
                        EntryType::Regular | EntryType::Continuous => Some(Member::At(data..end)),
                        EntryType::GNUSparse => Some(Member::Not("is stored with holes")),
                        EntryType::Link | EntryType::Symlink => Some(Member::Not("is a link")),
                        _ => None,
                    };
                    if let Some(member) = member {
                        members.insert(plain(&name).to_owned(), member);
                    }
                    if members.len() > MOST_MEMBERS {
                        return Err(broken(at, format!("more than {MOST_MEMBERS} members")));
                    }
                }
            }
            at = end.next_multiple_of(BLOCK);
        }
        Ok(TarIndex { version, members })
    }

    /// Where a member is.
    pub(super) fn find(&self, uri: &str, name: &str) -> Result<Range<u64>> {
        match self.members.get(plain(name)) {
            Some(Member::At(range)) => Ok(range.clone()),
            Some(Member::Not(why)) => Err(Error::unsupported_in(
                uri,
                format!("a member of a tar file that {why}"),
                "members that are whole files",
            )),
            None => Err(Error::NotFound {
                uri: uri.to_owned(),
            }),
        }
    }
}

impl Next {
    /// Takes what stands before a header about it.
    fn take(&mut self, kind: EntryType, bytes: &[u8]) {
        if kind == EntryType::GNULongName {
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            self.name = Some(String::from_utf8_lossy(text).into_owned());
            return;
        }
        for extension in PaxExtensions::new(bytes).flatten() {
            match (extension.key(), extension.value()) {
                (Ok("path"), Ok(path)) => self.name = Some(path.to_owned()),
                (Ok("size"), Ok(size)) => self.size = size.parse().ok(),
                _ => {}
            }
        }
    }
}

/// Whether these bytes are a header at all.
fn check(header: &Header) -> Result<(), String> {
    let stated = header.cksum().map_err(|error| error.to_string())?;
    let bytes = header.as_bytes();
    // The field of the sum itself counts as blanks.
    let sum: u32 = bytes
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    if stated == sum {
        return Ok(());
    }
    Err(format!(
        "its check sum is {stated}, and its bytes add up to {sum}"
    ))
}

/// The name of a member without what means nothing in front.
fn plain(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches('/')
}
