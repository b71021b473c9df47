//! LZW as TIFF has it, and as some writers had it before TIFF 5.0.
//!
//! The dictionary holds no strings: every entry says where in the output its
//! string stands. Entry `n` is the string of the code before and one byte more,
//! and the output has just that, the string and then the first byte of what
//! came next. So a code is one copy of known length, whatever its string is.

/// Codes have at most 12 bits.
const MAX_CODES: usize = 4096;
const CLEAR: u16 = 256;
const END: u16 = 257;
/// The first code that stands for a string of two bytes.
const FIRST: u16 = 258;
/// Most strings are short; a copy of this fixed size is one instruction.
const SHORT: usize = 16;

/// Where in the output a string stands, and how long it is.
#[derive(Clone, Copy, Default)]
struct Entry {
    at: u32,
    len: u32,
}

/// The dictionary, kept from block to block.
pub(super) struct Lzw {
    entries: Box<[Entry; MAX_CODES]>,
}

impl Lzw {
    pub(super) fn new() -> Self {
        Lzw {
            entries: Box::new([Entry::default(); MAX_CODES]),
        }
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
        // Where the string of the code before was written.
        let mut before: Option<Entry> = None;
        let mut at = 0;
        while at < out.len() {
            let Some(code) = codes.take(width) else { break };
            let here = u32::try_from(at).expect("`out` is shorter than 4 GiB");
            let len = if let Ok(byte) = u8::try_from(code) {
                out[at] = byte;
                1
            } else if code == CLEAR {
                (width, next, before) = (9, FIRST, None);
                continue;
            } else if code == END {
                break;
            } else {
                let source = match before {
                    Some(_) if code < next => self.entries[usize::from(code)],
                    // The entry that this very code defines: the string before
                    // and then its own first byte.
                    Some(before) if code == next => Entry {
                        at: before.at,
                        len: before.len + 1,
                    },
                    _ => {
                        return Err(format!(
                            "the LZW data is damaged (code {code} is undefined)"
                        ));
                    }
                };
                append(out, at, source)
            };
            if let Some(before) = before
                && usize::from(next) < MAX_CODES
            {
                self.entries[usize::from(next)] = Entry {
                    at: before.at,
                    len: before.len + 1,
                };
                next += 1;
                if width < 12 && next + early >= 1 << width {
                    width += 1;
                }
            }
            before = Some(Entry { at: here, len });
            at += len as usize;
        }
        Ok(at)
    }
}

/// Copies the string `source` to `at`, cut at the end of `out`; gives its
/// length. The string may end with the first byte that is being written.
fn append(out: &mut [u8], at: usize, source: Entry) -> u32 {
    let (from, len) = (source.at as usize, source.len as usize);
    let len = len.min(out.len() - at);
    if from + len > at {
        for i in 0..len {
            out[at + i] = out[from + i];
        }
    } else {
        let (done, rest) = out.split_at_mut(at);
        let done = &done[from..];
        // What is written past the string is overwritten by the next.
        if len <= SHORT && done.len() >= SHORT && rest.len() >= SHORT {
            rest[..SHORT].copy_from_slice(&done[..SHORT]);
        } else {
            rest[..len].copy_from_slice(&done[..len]);
        }
    }
    u32::try_from(len).expect("no longer than `source.len`")
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
        Some(u16::try_from(code).expect("12 bits"))
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
                .map(|i| (i.wrapping_mul(i).wrapping_mul(step) >> 7) as u8)
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
        let packed = [0x80, 0x25, 0x80, 0x00];
        assert!(
            Lzw::new()
                .decompress(&packed, &mut [0; 10])
                .unwrap_err()
                .contains("code 300")
        );
    }
}
