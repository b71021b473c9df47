//! The bytes of a TIFF directory as values.
//!
//! Strict about what it touches and silent about what it does not: tags that
//! nobody asks for are never looked at, and a value is checked against the
//! file's size before anything is allocated for it. Knows nothing of IO; see
//! `header.rs` for who brings the bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::tags;
use crate::error::{Error, Result};

/// Longest value of a single tag, block arrays aside: 16 MiB.
const MAX_VALUE_BYTES: u64 = 16 << 20;
/// Most entries of one directory.
const MAX_ENTRIES: u64 = 65_535;

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Whether numbers can be used as they are stored.
    pub(crate) fn is_native(self) -> bool {
        (self == ByteOrder::Little) == cfg!(target_endian = "little")
    }

    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(crate) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// How a file writes its numbers: byte order, and classic or BigTIFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) order: ByteOrder,
    pub(crate) is_big: bool,
}

impl Format {
    /// The format and the place of the first directory, from the first bytes
    /// of a file; `None` where they are not those of a TIFF.
    pub(crate) fn parse(start: &[u8]) -> Option<(Format, u64)> {
        let order = match start.get(0..2)? {
            b"II" => ByteOrder::Little,
            b"MM" => ByteOrder::Big,
            _ => return None,
        };
        match order.u16(array(start, 2)?) {
            42 => {
                let first = order.u32(array(start, 4)?);
                Some((
                    Format {
                        order,
                        is_big: false,
                    },
                    first.into(),
                ))
            }
            43 => {
                let (offset_size, zero) =
                    (order.u16(array(start, 4)?), order.u16(array(start, 6)?));
                if (offset_size, zero) != (8, 0) {
                    return None;
                }
                Some((
                    Format {
                        order,
                        is_big: true,
                    },
                    order.u64(array(start, 8)?),
                ))
            }
            _ => None,
        }
    }

    /// Bytes of the entry count that opens a directory.
    pub(crate) fn count_size(self) -> u64 {
        if self.is_big { 8 } else { 2 }
    }

    fn entry_size(self) -> u64 {
        if self.is_big { 20 } else { 12 }
    }

    /// Bytes of an offset, and of a value that stands in its entry.
    pub(crate) fn offset_size(self) -> u64 {
        if self.is_big { 8 } else { 4 }
    }

    /// Reads the number of entries that opens a directory.
    fn entry_count(self, bytes: &[u8]) -> Option<u64> {
        if self.is_big {
            Some(self.order.u64(array(bytes, 0)?))
        } else {
            Some(self.order.u16(array(bytes, 0)?).into())
        }
    }

    /// Bytes that a directory with these opening bytes takes after them.
    pub(crate) fn body_size(self, opening: &[u8]) -> Result<u64, String> {
        let n_entries = self.entry_count(opening).ok_or("it is cut off")?;
        if n_entries == 0 {
            return Err("it has no entries".to_owned());
        }
        if n_entries > MAX_ENTRIES {
            return Err(format!(
                "it claims {n_entries} entries, more than {MAX_ENTRIES}"
            ));
        }
        Ok(n_entries * self.entry_size() + self.offset_size())
    }

    /// An offset at the start of `bytes`.
    fn offset(self, bytes: &[u8]) -> Option<u64> {
        if self.is_big {
            Some(self.order.u64(array(bytes, 0)?))
        } else {
            Some(self.order.u32(array(bytes, 0)?).into())
        }
    }

    /// The entries of known tags, and the place of the next directory (0 for
    /// none), from the body that follows the count.
    pub(crate) fn entries(self, body: &[u8]) -> Option<(Vec<Entry>, u64)> {
        let entry_size = usize::try_from(self.entry_size()).ok()?;
        let next_at = body
            .len()
            .checked_sub(usize::try_from(self.offset_size()).ok()?)?;
        let mut entries: Vec<Entry> = Vec::new();
        for raw in body.get(..next_at)?.chunks_exact(entry_size) {
            let tag = self.order.u16(array(raw, 0)?);
            // The first of two equal tags counts, as in libtiff.
            if !tags::KNOWN.contains(&tag) || entries.iter().any(|entry| entry.tag == tag) {
                continue;
            }
            let (count, value_at) = if self.is_big {
                (self.order.u64(array(raw, 4)?), 12)
            } else {
                (self.order.u32(array(raw, 4)?).into(), 8)
            };
            let mut inline = [0; 8];
            let value = raw.get(value_at..)?;
            inline[..value.len()].copy_from_slice(value);
            let field_type = self.order.u16(array(raw, 2)?);
            let Some(field_type) = FieldType::from_code(field_type) else {
                entries.push(Entry {
                    tag,
                    field: Err(field_type),
                    count,
                    inline,
                });
                continue;
            };
            entries.push(Entry {
                tag,
                field: Ok(field_type),
                count,
                inline,
            });
        }
        Some((entries, self.offset(body.get(next_at..)?)?))
    }
}

/// `N` bytes from `at`, if there are so many.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// What the bytes of a value mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    Byte,
    Ascii,
    Short,
    Long,
    Rational,
    SignedByte,
    Undefined,
    SignedShort,
    SignedLong,
    SignedRational,
    Float,
    Double,
    Long8,
    SignedLong8,
}

impl FieldType {
    fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1 => FieldType::Byte,
            2 => FieldType::Ascii,
            3 => FieldType::Short,
            // 13 and 18 are offsets of directories.
            4 | 13 => FieldType::Long,
            5 => FieldType::Rational,
            6 => FieldType::SignedByte,
            7 => FieldType::Undefined,
            8 => FieldType::SignedShort,
            9 => FieldType::SignedLong,
            10 => FieldType::SignedRational,
            11 => FieldType::Float,
            12 => FieldType::Double,
            16 | 18 => FieldType::Long8,
            17 => FieldType::SignedLong8,
            _ => return None,
        })
    }

    pub(crate) fn size(self) -> u64 {
        match self {
            FieldType::Byte | FieldType::Ascii | FieldType::SignedByte | FieldType::Undefined => 1,
            FieldType::Short | FieldType::SignedShort => 2,
            FieldType::Long | FieldType::SignedLong | FieldType::Float => 4,
            FieldType::Rational
            | FieldType::SignedRational
            | FieldType::Double
            | FieldType::Long8
            | FieldType::SignedLong8 => 8,
        }
    }
}

/// One entry of a directory: a tag and where its values are.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    /// The type, or a code that stands for none.
    field: Result<FieldType, u16>,
    pub(crate) count: u64,
    inline: [u8; 8],
}

/// Where the values of an entry are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the entry itself.
    Inline(Bytes),
    /// Elsewhere in the file.
    At(Range<u64>),
}

impl Entry {
    pub(crate) fn field_type(&self) -> Result<FieldType, String> {
        self.field
            .map_err(|code| format!("it has the unknown field type {code}"))
    }

    /// Finds the values, checking that the file holds so many.
    pub(crate) fn place(&self, format: Format, file_size: u64) -> Result<Place, String> {
        let size = self.field_type()?.size();
        let n_bytes = self
            .count
            .checked_mul(size)
            .filter(|&n_bytes| n_bytes <= file_size)
            .ok_or_else(|| {
                format!(
                    "it claims {} values of {size} bytes, more than the {file_size} bytes of the \
                     file",
                    self.count
                )
            })?;
        if n_bytes <= format.offset_size() {
            let end = usize::try_from(n_bytes).expect("at most 8");
            return Ok(Place::Inline(Bytes::copy_from_slice(&self.inline[..end])));
        }
        if !tags::is_block_array(self.tag) && n_bytes > MAX_VALUE_BYTES {
            return Err(format!(
                "its {n_bytes} bytes are more than the limit of {MAX_VALUE_BYTES}"
            ));
        }
        let start = format
            .offset(&self.inline)
            .expect("8 bytes hold any offset");
        match start.checked_add(n_bytes) {
            Some(end) if end <= file_size => Ok(Place::At(start..end)),
            _ => Err(format!(
                "its {n_bytes} bytes at offset {start} are not within the {file_size} bytes of the \
                 file"
            )),
        }
    }
}

/// A directory with the values of its small tags.
#[derive(Clone, Debug)]
pub(crate) struct Ifd {
    /// The file, for messages.
    pub(crate) uri: Arc<str>,
    /// Which directory of the file this is, in the order in which they are
    /// read, for messages.
    pub(crate) idx: usize,
    pub(crate) format: Format,
    pub(crate) file_size: u64,
    pub(crate) entries: Vec<Entry>,
    /// The values of entry `i`, where they were read and are sound.
    pub(crate) values: Vec<Result<Bytes, String>>,
}

impl Ifd {
    /// An error about a tag of this directory.
    pub(crate) fn fault(&self, tag: u16, problem: impl Into<String>) -> Error {
        let place = format!("directory {}, tag {tag} {}", self.idx, tags::name(tag));
        Error::unreadable(&self.uri, place, problem)
    }

    /// An error about a tag that has to be there.
    pub(crate) fn missing(&self, tag: u16) -> Error {
        self.fault(tag, "it is missing")
    }

    pub(crate) fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Type and bytes of a tag's values; `None` where the tag is not there.
    fn value(&self, tag: u16) -> Result<Option<(FieldType, &Bytes)>> {
        let Some(at) = self.entries.iter().position(|entry| entry.tag == tag) else {
            return Ok(None);
        };
        let fault = |problem: String| self.fault(tag, problem);
        let field_type = self.entries[at].field_type().map_err(fault)?;
        let bytes = self.values[at]
            .as_ref()
            .map_err(|problem| fault(problem.clone()))?;
        Ok(Some((field_type, bytes)))
    }

    /// All values of an unsigned tag.
    pub(crate) fn uints(&self, tag: u16) -> Result<Option<Vec<u64>>> {
        let Some((field_type, bytes)) = self.value(tag)? else {
            return Ok(None);
        };
        uints(self.format.order, field_type, bytes)
            .map(Some)
            .map_err(|problem| self.fault(tag, problem))
    }

    /// The only value of an unsigned tag, or the first of several.
    pub(crate) fn uint(&self, tag: u16) -> Result<Option<u64>> {
        match self.uints(tag)? {
            None => Ok(None),
            Some(values) => match values.first() {
                Some(&value) => Ok(Some(value)),
                None => Err(self.fault(tag, "it has no value")),
            },
        }
    }

    /// The only value of a tag of at most 16 bits.
    pub(crate) fn uint16(&self, tag: u16) -> Result<Option<u16>> {
        self.uint(tag)?
            .map(|value| {
                u16::try_from(value)
                    .map_err(|_| self.fault(tag, format!("{value} is out of its range")))
            })
            .transpose()
    }

    /// All values of a tag of real numbers.
    pub(crate) fn floats(&self, tag: u16) -> Result<Option<Vec<f64>>> {
        let Some((field_type, bytes)) = self.value(tag)? else {
            return Ok(None);
        };
        let order = self.format.order;
        let values = match field_type {
            FieldType::Double => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_bits(order.u64(b)))
                .collect(),
            FieldType::Float => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from(f32::from_bits(order.u32(b))))
                .collect(),
            other => return Err(self.fault(tag, format!("{other:?} values are no real numbers"))),
        };
        Ok(Some(values))
    }

    /// The text of a tag, up to the first NUL.
    pub(crate) fn text(&self, tag: u16) -> Result<Option<String>> {
        Ok(self.raw(tag)?.map(|bytes| {
            let end = bytes
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        }))
    }

    /// The bytes of a tag of text, NULs and all.
    pub(crate) fn raw(&self, tag: u16) -> Result<Option<Bytes>> {
        match self.value(tag)? {
            None => Ok(None),
            Some((FieldType::Ascii | FieldType::Byte | FieldType::Undefined, bytes)) => {
                Ok(Some(bytes.clone()))
            }
            Some((other, _)) => Err(self.fault(tag, format!("{other:?} values are no text"))),
        }
    }
}

/// `bytes` as unsigned numbers of `field_type`.
pub(crate) fn uints(
    order: ByteOrder,
    field_type: FieldType,
    bytes: &[u8],
) -> Result<Vec<u64>, String> {
    let negative = |value: i64| format!("{value} is negative");
    match field_type {
        FieldType::Byte | FieldType::Undefined => Ok(bytes.iter().map(|&b| b.into()).collect()),
        FieldType::Short => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| order.u16(b).into())
            .collect()),
        FieldType::Long => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| order.u32(b).into())
            .collect()),
        FieldType::Long8 => Ok(bytes.as_chunks().0.iter().map(|&b| order.u64(b)).collect()),
        // Some writers use the signed types for sizes and offsets.
        FieldType::SignedShort => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| i64::from(order.u16(b).cast_signed()))
            .map(|value| u64::try_from(value).map_err(|_| negative(value)))
            .collect(),
        FieldType::SignedLong => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| i64::from(order.u32(b).cast_signed()))
            .map(|value| u64::try_from(value).map_err(|_| negative(value)))
            .collect(),
        FieldType::SignedLong8 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| order.u64(b).cast_signed())
            .map(|value| u64::try_from(value).map_err(|_| negative(value)))
            .collect(),
        other => Err(format!("{other:?} values are no unsigned integers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let classic = b"II\x2a\x00\x08\x00\x00\x00";
        let (format, first) = Format::parse(classic).unwrap();
        assert_eq!(
            (format.order, format.is_big, first),
            (ByteOrder::Little, false, 8)
        );
        let big = b"MM\x00\x2b\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10";
        let (format, first) = Format::parse(big).unwrap();
        assert_eq!(
            (format.order, format.is_big, first),
            (ByteOrder::Big, true, 16)
        );
        for bad in [
            &b"II\x2a\x00"[..],
            b"IM\x2a\x00\x08\x00\x00\x00",
            b"II\x2c\x00\x08\0\0\0",
            b"",
        ] {
            assert_eq!(Format::parse(bad), None);
        }
    }

    #[test]
    fn claims_are_checked_against_the_file() {
        let format = Format {
            order: ByteOrder::Little,
            is_big: false,
        };
        let entry = |code: u16, count: u64, offset: u32| {
            let mut inline = [0; 8];
            inline[..4].copy_from_slice(&offset.to_le_bytes());
            let field = FieldType::from_code(code).ok_or(code);
            Entry {
                tag: tags::GEO_DOUBLE_PARAMS,
                field,
                count,
                inline,
            }
        };
        assert_eq!(
            entry(12, 2, 100).place(format, 1000),
            Ok(Place::At(100..116))
        );
        assert_eq!(
            entry(3, 2, 7).place(format, 1000),
            Ok(Place::Inline(Bytes::from_static(&[7, 0, 0, 0])))
        );
        for (code, count, offset, part) in [
            (12, 2, 990, "not within the 1000 bytes"),
            (12, u64::MAX, 0, "more than the 1000 bytes"),
            (12, 126, 0, "more than the 1000 bytes"),
            (99, 1, 0, "unknown field type 99"),
        ] {
            let problem = entry(code, count, offset).place(format, 1000).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn signed_sizes_are_taken_where_they_are_not_negative() {
        let order = ByteOrder::Big;
        assert_eq!(
            uints(order, FieldType::SignedLong, &[0, 0, 1, 0]),
            Ok(vec![256])
        );
        assert!(uints(order, FieldType::SignedLong, &[255, 0, 1, 0]).is_err());
        assert!(uints(order, FieldType::Double, &[0; 8]).is_err());
    }
}
