//! LZW as TIFF has it, and as some writers had it before TIFF 5.0.
//!
//! The dictionary holds the first eight bytes of each string, and where in the
//! output all of it stands. Entry `n` is the string of the code before and one
//! byte more, and the output has just that: the string, and then the first byte
//! of what came next. Most strings are shorter than eight bytes, so that a code
//! is one store; a longer one is copied from where it stands.

/// Codes have at most 12 bits.
const MAX_CODES: usize = 4096;
const CLEAR: u16 = 256;
const END: u16 = 257;
/// The first code that stands for a string of two bytes.
const FIRST: u16 = 258;
/// Bytes of a string that are in its entry.
const INLINE: usize = 8;

/// The string of a code.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The first bytes, the very first one lowest.
    bytes: u64,
    /// Where in the output the string stands.
    at: u32,
    len: u32,
}

impl Entry {
    fn first(self) -> u8 {
        self.bytes.to_le_bytes()[0]
    }

    /// The string and one byte more, which follows it in the output.
    fn and(self, byte: u8) -> Entry {
        let bytes = match self.len as usize {
            len @ ..INLINE => self.bytes | u64::from(byte) << (8 * len),
            _ => self.bytes,
        };
        Entry {
            bytes,
            len: self.len + 1,
            ..self
        }
    }
}

/// The dictionary, kept from block to block.
pub(super) struct Lzw {
    entries: Box<[Entry; MAX_CODES]>,
}

impl Lzw {
    pub(super) fn new() -> Self {
        let mut entries = Box::new([Entry::default(); MAX_CODES]);
        for (byte, entry) in (0..=255).zip(entries.iter_mut()) {
            *entry = Entry {
                bytes: byte,
                at: 0,
                len: 1,
            };
        }
        Lzw { entries }
    }

    /// Decompresses until the end code, or `input` or `out` ends; gives the
    /// number of bytes written.
    ///
    /// # Source
    /// TIFF 6.0, section 13; how old streams are told from new ones and when
    /// their codes grow: libtiff, `tif_lzw.c`.
    pub(super) fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, String> {
        // A stream begins with the clear code in nine bits. Old writers put the
        // low bits first, which no new stream can look like.
        match input {
            [0, second, ..] if second & 1 == 1 => self.run::<true>(input, out),
            _ => self.run::<false>(input, out),
        }
    }

    fn run<const OLD: bool>(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, String> {
        if u32::try_from(out.len()).is_err() {
            return Err("a block of 4 GiB or more cannot be LZW".to_owned());
        }
        // New streams make their codes longer one code before they have to.
        let early: u16 = if OLD { 0 } else { 1 };
        let mut codes = Codes::<OLD>::new(input);
        let (mut width, mut next) = (9, FIRST);
        // The string before, where it was just written; of no length after a
        // clear code.
        let mut before = Entry::default();
        let mut at = 0;
        while at < out.len() {
            let Some(code) = codes.take(width) else { break };
            if code == CLEAR {
                (width, next, before) = (9, FIRST, Entry::default());
                continue;
            }
            if code == END {
                break;
            }
            if before.len > 0 && usize::from(next) < MAX_CODES {
                // This code may be the very one that it defines: the string
                // before and then its own first byte.
                let string = if code == next {
                    before
                } else {
                    self.entries[index(code)]
                };
                self.entries[index(next)] = before.and(string.first());
                next += 1;
                if width < 12 && next + early >= 1 << width {
                    width += 1;
                }
            }
            if code >= next {
                return Err(format!(
                    "the LZW data is damaged (code {code} is undefined)"
                ));
            }
            let string = self.entries[index(code)];
            before = Entry {
                at: u32::try_from(at).expect("`out` is shorter than 4 GiB"),
                ..string
            };
            at += append(out, at, string);
        }
        Ok(at)
    }
}

/// Codes have 12 bits; this lets the compiler know.
fn index(code: u16) -> usize {
    usize::from(code) % MAX_CODES
}

/// Writes `string` at `at`, cut at the end of `out`; gives the bytes written.
///
/// The string that is defined by its own code ends with its own first byte,
/// which is written before it is read.
fn append(out: &mut [u8], at: usize, string: Entry) -> usize {
    let (from, len) = (string.at as usize, string.len as usize);
    let bytes = string.bytes.to_le_bytes();
    if out.len() - at < len + INLINE {
        // At the end of the block, byte by byte.
        let len = len.min(out.len() - at);
        for i in 0..len {
            out[at + i] = if i < INLINE { bytes[i] } else { out[from + i] };
        }
        return len;
    }
    // What is written past the string is overwritten by the next one.
    out[at..at + INLINE].copy_from_slice(&bytes);
    for i in (INLINE..len).step_by(INLINE) {
        let part: [u8; INLINE] = out[from + i..][..INLINE]
            .try_into()
            .expect("of that length");
        out[at + i..][..INLINE].copy_from_slice(&part);
    }
    len
}

/// The codes of a stream: the high bits first, or the low ones where `OLD`.
struct Codes<'a, const OLD: bool> {
    input: &'a [u8],
    /// Bits that were read and not taken: at the high end, or the low one
    /// where `OLD`.
    bits: u64,
    n_bits: u32,
}

impl<'a, const OLD: bool> Codes<'a, OLD> {
    fn new(input: &'a [u8]) -> Self {
        Codes {
            input,
            bits: 0,
            n_bits: 0,
        }
    }

    /// The next code of `width` bits (at most 12), or `None` at the end.
    #[inline]
    fn take(&mut self, width: u32) -> Option<u16> {
        if self.n_bits < width {
            self.refill();
            if self.n_bits < width {
                return None;
            }
        }
        self.n_bits -= width;
        let code = if OLD {
            let code = self.bits & ((1 << width) - 1);
            self.bits >>= width;
            code
        } else {
            let code = self.bits >> (64 - width);
            self.bits <<= width;
            code
        };
        let [low, high, ..] = code.to_le_bytes();
        Some(u16::from_le_bytes([low, high]))
    }

    /// Reads as many whole bytes as there is room for.
    #[inline]
    fn refill(&mut self) {
        let n_bytes = ((63 - self.n_bits) / 8) as usize;
        if let Some(chunk) = self.input.first_chunk::<8>() {
            // Bits past the whole bytes are read again, as the same bits.
            self.bits |= if OLD {
                u64::from_le_bytes(*chunk) << self.n_bits
            } else {
                u64::from_be_bytes(*chunk) >> self.n_bits
            };
            self.input = &self.input[n_bytes..];
            self.n_bits |= 56;
            return;
        }
        let (now, later) = self.input.split_at(n_bytes.min(self.input.len()));
        for &byte in now {
            let byte = u64::from(byte);
            self.bits |= if OLD {
                byte << self.n_bits
            } else {
                byte << (56 - self.n_bits)
            };
            self.n_bits += 8;
        }
        self.input = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weezl::{BitOrder, encode::Encoder};

    fn samples() -> Vec<Vec<u8>> {
        let noise = |n: u32, step: u32| -> Vec<u8> {
            (0..n)
                .map(|i| (i.wrapping_mul(i).wrapping_mul(step) >> 7).to_le_bytes()[0])
                .collect()
        };
        vec![
            vec![],
            vec![1],
            vec![9; 100_000],
            noise(70_000, 2_654_435_761),
            noise(70_000, 3),
            b"abababababacabababadab".repeat(500),
        ]
    }

    #[test]
    fn agrees_with_another_implementation() {
        let mut lzw = Lzw::new();
        for data in samples() {
            for (is_old, packed) in [
                (
                    false,
                    Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
                        .encode(&data)
                        .unwrap(),
                ),
                (true, Encoder::new(BitOrder::Lsb, 8).encode(&data).unwrap()),
            ] {
                let mut out = vec![0; data.len()];
                assert_eq!(
                    lzw.decompress(&packed, &mut out),
                    Ok(data.len()),
                    "old {is_old}"
                );
                assert!(out == data, "{} bytes, old {is_old}", data.len());
            }
        }
    }

    #[test]
    fn an_undefined_code_is_damage() {
        // Clear, then code 300.
        let packed = [0x80, 0x4B, 0x00, 0x00];
        assert!(
            Lzw::new()
                .decompress(&packed, &mut [0; 10])
                .unwrap_err()
                .contains("code 300")
        );
    }
}
