//! The bytes of a TIFF header and its directories, classic or BigTIFF.
//!
//! A COG wants every directory before the first pixel, so that one request
//! fetches all metadata; therefore directories are sized first, then placed,
//! and written last, when the offsets of all blocks are known. As GDAL does,
//! the two long arrays of a directory (block offsets and sizes) come after all
//! directories, so that the short values lie together at the very front.

/// Values of one tag.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Ascii(String),
    Short(Vec<u16>),
    Long(Vec<u32>),
    Double(Vec<f64>),
    /// File offsets or sizes: LONG in classic files, LONG8 in BigTIFF.
    Offsets(Vec<u64>),
}

/// One entry of a directory.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) code: u16,
    pub(super) values: Values,
}

pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_BYTE_COUNTS: u16 = 325;

/// The tags of one image, in ascending order of code.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    tags: Vec<Tag>,
}

impl Directory {
    pub(super) fn set(&mut self, code: u16, values: Values) {
        match self.tags.binary_search_by_key(&code, |tag| tag.code) {
            Ok(at) => self.tags[at].values = values,
            Err(at) => self.tags.insert(at, Tag { code, values }),
        }
    }
}

/// Classic TIFF has 4-byte offsets, BigTIFF 8-byte ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    Classic,
    Big,
}

impl Flavour {
    pub(super) fn header_len(self) -> u64 {
        match self {
            Flavour::Classic => 8,
            Flavour::Big => 16,
        }
    }

    /// Bytes that fit into an entry itself, which is also the size of an offset.
    fn inline(self) -> usize {
        match self {
            Flavour::Classic => 4,
            Flavour::Big => 8,
        }
    }

    fn directory_len(self, n_tags: usize) -> usize {
        match self {
            Flavour::Classic => 2 + 12 * n_tags + 4,
            Flavour::Big => 8 + 20 * n_tags + 8,
        }
    }

    fn push_offset(self, out: &mut Vec<u8>, offset: u64) {
        match self {
            Flavour::Classic => {
                let offset = u32::try_from(offset).expect("classic files were sized below 4 GiB");
                out.extend(offset.to_le_bytes());
            }
            Flavour::Big => out.extend(offset.to_le_bytes()),
        }
    }

    fn type_code(self, values: &Values) -> u16 {
        match values {
            Values::Ascii(_) => 2,
            Values::Short(_) => 3,
            Values::Long(_) => 4,
            Values::Double(_) => 12,
            Values::Offsets(_) => match self {
                Flavour::Classic => 4,
                Flavour::Big => 16,
            },
        }
    }

    fn value_bytes(self, values: &Values) -> Vec<u8> {
        let mut out = Vec::new();
        match values {
            Values::Ascii(text) => {
                out.extend(text.bytes().filter(|&byte| byte != 0));
                out.push(0);
            }
            Values::Short(v) => v.iter().for_each(|v| out.extend(v.to_le_bytes())),
            Values::Long(v) => v.iter().for_each(|v| out.extend(v.to_le_bytes())),
            Values::Double(v) => v.iter().for_each(|v| out.extend(v.to_le_bytes())),
            Values::Offsets(v) => v.iter().for_each(|&v| self.push_offset(&mut out, v)),
        }
        out
    }

    fn count(self, values: &Values) -> u64 {
        let bytes = self.value_bytes(values).len();
        let size = match values {
            Values::Ascii(_) => 1,
            Values::Short(_) => 2,
            Values::Long(_) => 4,
            Values::Double(_) => 8,
            Values::Offsets(_) => self.inline(),
        };
        (bytes / size) as u64
    }
}

/// GDAL's note on the structure of the file, right behind the header. Readers
/// that know it fetch a block together with its size and its neighbours.
pub(super) fn structural_metadata(planar: bool) -> Vec<u8> {
    let interleave = if planar { "INTERLEAVE=BAND\n" } else { "" };
    let text = format!(
        "LAYOUT=IFDS_BEFORE_DATA\n\
         BLOCK_ORDER=ROW_MAJOR\n\
         BLOCK_LEADER=SIZE_AS_UINT4\n\
         BLOCK_TRAILER=LAST_4_BYTES_REPEATED\n\
         {interleave}\
         KNOWN_INCOMPATIBLE_EDITION=NO\n "
    );
    let mut out = format!(
        "GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{text}",
        text.len()
    );
    if out.len() % 2 == 1 {
        out.push('\0');
    }
    out.into_bytes()
}

/// Everything before the first block: header, structural metadata, directories.
///
/// `directories` are in file order (the image, then its overviews from fine to
/// coarse); each needs its block offsets and sizes set, of the right length
/// though not necessarily of the right value: the length of the result does
/// not depend on the values.
pub(super) fn front_matter(
    flavour: Flavour,
    structural: &[u8],
    directories: &[Directory],
) -> Vec<u8> {
    let align = |at: usize| {
        at.next_multiple_of(match flavour {
            Flavour::Classic => 2,
            Flavour::Big => 8,
        })
    };
    let is_strile = |code: u16| matches!(code, TILE_OFFSETS | TILE_BYTE_COUNTS);
    let header = usize::try_from(flavour.header_len()).expect("8 or 16");

    // Place directories, then their block arrays.
    let mut at = align(header + structural.len());
    let mut starts = Vec::new();
    let mut places = Vec::new();
    for directory in directories {
        starts.push(at);
        at += flavour.directory_len(directory.tags.len());
        let mut tag_places = vec![None; directory.tags.len()];
        for (tag, place) in directory.tags.iter().zip(&mut tag_places) {
            let len = flavour.value_bytes(&tag.values).len();
            if len > flavour.inline() && !is_strile(tag.code) {
                at = align(at);
                *place = Some(at);
                at += len;
            }
        }
        at = align(at);
        places.push(tag_places);
    }
    for (directory, tag_places) in directories.iter().zip(&mut places) {
        for (tag, place) in directory.tags.iter().zip(tag_places) {
            let len = flavour.value_bytes(&tag.values).len();
            if len > flavour.inline() && is_strile(tag.code) {
                at = align(at);
                *place = Some(at);
                at += len;
            }
        }
    }

    let mut out = Vec::with_capacity(at);
    out.extend(b"II");
    match flavour {
        Flavour::Classic => out.extend(42u16.to_le_bytes()),
        Flavour::Big => {
            out.extend(43u16.to_le_bytes());
            out.extend(8u16.to_le_bytes());
            out.extend(0u16.to_le_bytes());
        }
    }
    flavour.push_offset(&mut out, starts[0] as u64);
    out.extend(structural);
    out.resize(at, 0);

    for (index, (directory, tag_places)) in directories.iter().zip(&places).enumerate() {
        let mut entries = Vec::new();
        let n_tags = directory.tags.len();
        match flavour {
            Flavour::Classic => {
                entries.extend(u16::try_from(n_tags).expect("a few dozen").to_le_bytes());
            }
            Flavour::Big => entries.extend((n_tags as u64).to_le_bytes()),
        }
        for (tag, place) in directory.tags.iter().zip(tag_places) {
            let bytes = flavour.value_bytes(&tag.values);
            entries.extend(tag.code.to_le_bytes());
            entries.extend(flavour.type_code(&tag.values).to_le_bytes());
            flavour.push_offset(&mut entries, flavour.count(&tag.values));
            match *place {
                Some(place) => {
                    flavour.push_offset(&mut entries, place as u64);
                    out[place..][..bytes.len()].copy_from_slice(&bytes);
                }
                None => {
                    let end = entries.len() + flavour.inline();
                    entries.extend(bytes);
                    entries.resize(end, 0);
                }
            }
        }
        flavour.push_offset(
            &mut entries,
            starts.get(index + 1).map_or(0, |&next| next as u64),
        );
        out[starts[index]..][..entries.len()].copy_from_slice(&entries);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_does_not_depend_on_offsets() {
        for flavour in [Flavour::Classic, Flavour::Big] {
            let lengths = [0, 1 << 30].map(|offset| {
                let mut directory = Directory::default();
                directory.set(TILE_OFFSETS, Values::Offsets(vec![offset; 5]));
                directory.set(TILE_BYTE_COUNTS, Values::Offsets(vec![9; 5]));
                directory.set(256, Values::Long(vec![3]));
                front_matter(flavour, &structural_metadata(false), &[directory]).len()
            });
            assert_eq!(lengths[0], lengths[1]);
        }
    }

    #[test]
    fn structural_metadata_states_its_own_length() {
        let bytes = structural_metadata(true);
        let text = String::from_utf8(bytes).unwrap();
        // 156 is what GDAL 3.12 writes for INTERLEAVE=BAND.
        assert!(text.starts_with("GDAL_STRUCTURAL_METADATA_SIZE=000156 bytes\nLAYOUT="));
    }
}
