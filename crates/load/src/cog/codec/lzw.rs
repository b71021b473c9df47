//! LZW as TIFF has it, and as some writers had it before TIFF 5.0.
//!
//! Most strings are of a few bytes, so that what counts is the number of codes,
//! and how little one code has to wait for another. A string of up to seven
//! bytes is one word of a table that fits the first cache, and is written with
//! one store. A longer one is copied from where it stands in the output: the
//! string of entry `n` is the string of the code before and one byte more, and
//! the output has just that, the string and then the first byte of what came
//! next. A code is cut out of the input by its position alone.

/// Codes have at most 12 bits.
const MAX_CODES: usize = 4096;
const CLEAR: u16 = 256;
const END: u16 = 257;
/// The first code that stands for a string of two bytes.
const FIRST: u16 = 258;

/// A string: its first seven bytes, the very first one lowest, and in the
/// highest byte its length, or [`Word::LONG`].
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    /// Bytes that a word holds.
    const MOST: usize = 7;
    /// Stands for a length that is in the other table.
    const LONG: u8 = 255;

    fn new(bytes: u64, len: u8) -> Word {
        Word(bytes | u64::from(len) << 56)
    }

    fn bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    fn first(self) -> u8 {
        self.bytes()[0]
    }

    fn len(self) -> u8 {
        self.bytes()[7]
    }
}

/// Where in the output a string stands.
#[derive(Clone, Copy, Default)]
struct Place {
    at: u32,
    len: u32,
}

/// The dictionary, kept from block to block.
pub(super) struct Lzw {
    words: Box<[Word; MAX_CODES]>,
    /// Of strings that are too long for a word.
    places: Box<[Place; MAX_CODES]>,
}

impl Lzw {
    pub(super) fn new() -> Self {
        let mut words = Box::new([Word(0); MAX_CODES]);
        for (byte, word) in (0..=255).zip(words.iter_mut()) {
            *word = Word::new(byte, 1);
        }
        Lzw {
            words,
            places: Box::new([Place::default(); MAX_CODES]),
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
        let (mut width, mut next) = (9, FIRST);
        let (mut position, mut at) = (0, 0);
        // The string before, and where it was just written; of no length after
        // a clear code.
        let (mut before, mut place) = (Word(0), Place::default());
        while at < out.len() {
            let Some(code) = code_at::<OLD>(input, position, width) else {
                break;
            };
            position += width;
            if code == CLEAR {
                (width, next) = (9, FIRST);
                (before, place) = (Word(0), Place::default());
                continue;
            }
            if code == END {
                break;
            }
            let mut word = self.words[index(code)];
            if place.len > 0 && usize::from(next) < MAX_CODES {
                // This code may be the very one that it defines: the string
                // before and then its own first byte.
                let byte = if code == next {
                    before.first()
                } else {
                    word.first()
                };
                let defined = self.define(next, before, place, byte);
                if code == next {
                    word = defined;
                }
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
            let here = u32::try_from(at).expect("`out` is shorter than 4 GiB");
            let len = if word.len() == Word::LONG {
                let source = self.places[index(code)];
                copy(out, at, word, source);
                source.len
            } else {
                store(out, at, word);
                u32::from(word.len())
            };
            (before, place) = (word, Place { at: here, len });
            at += len as usize;
        }
        Ok(at.min(out.len()))
    }

    /// Defines code `next`: the string before, which stands at `place`, and
    /// `byte`, which follows it there.
    #[inline]
    fn define(&mut self, next: u16, before: Word, place: Place, byte: u8) -> Word {
        let word = match usize::try_from(place.len) {
            Ok(len @ 1..Word::MOST) => {
                let bytes = before.0 | u64::from(byte) << (8 * len);
                // One more in the highest byte.
                Word(bytes + (1 << 56))
            }
            _ => {
                self.places[index(next)] = Place {
                    at: place.at,
                    len: place.len + 1,
                };
                Word(before.0 | u64::from(Word::LONG) << 56)
            }
        };
        self.words[index(next)] = word;
        word
    }
}

/// Codes have 12 bits; this lets the compiler know.
fn index(code: u16) -> usize {
    usize::from(code) % MAX_CODES
}

/// Writes a string of up to seven bytes at `at`, cut at the end of `out`.
#[inline]
fn store(out: &mut [u8], at: usize, word: Word) {
    let bytes = word.bytes();
    match out[at..].first_chunk_mut() {
        // What is written past the string is overwritten by the next one.
        Some(to) => *to = bytes,
        None => {
            for (to, byte) in out[at..].iter_mut().zip(&bytes[..usize::from(word.len())]) {
                *to = *byte;
            }
        }
    }
}

/// Copies a string of eight bytes or more to `at`, cut at the end of `out`.
///
/// The string that its own code defines ends with its own first byte, which is
/// written, with the word, before it is read.
fn copy(out: &mut [u8], at: usize, word: Word, source: Place) {
    let (from, len) = (source.at as usize, source.len as usize);
    if out.len() - at < len + 8 {
        for i in 0..len.min(out.len() - at) {
            out[at + i] = out[from + i];
        }
        return;
    }
    out[at..][..8].copy_from_slice(&word.bytes());
    for i in (Word::MOST..len).step_by(8) {
        let part: [u8; 8] = out[from + i..][..8].try_into().expect("of that length");
        out[at + i..][..8].copy_from_slice(&part);
    }
}

/// The code of `width` bits (at most 12) at bit `position`, or `None` where the
/// input ends before it does.
#[inline]
fn code_at<const OLD: bool>(input: &[u8], position: usize, width: usize) -> Option<u16> {
    let byte = position / 8;
    let rest = input.get(byte..)?;
    let bytes: [u8; 4] = match rest.first_chunk() {
        Some(bytes) => *bytes,
        None => {
            if rest.len() * 8 < position % 8 + width {
                return None;
            }
            std::array::from_fn(|i| rest.get(i).copied().unwrap_or(0))
        }
    };
    let code = if OLD {
        u32::from_le_bytes(bytes) >> (position % 8)
    } else {
        u32::from_be_bytes(bytes) >> (32 - position % 8 - width)
    };
    let [low, high, ..] = code.to_le_bytes();
    Some(u16::from_le_bytes([low, high]) & ((1 << width) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weezl::{BitOrder, encode::Encoder};

    /// Noise over alphabets of several sizes, so that strings are short or long.
    fn samples() -> Vec<Vec<u8>> {
        let mut samples = vec![vec![], vec![1], b"abababababacabababadab".repeat(500)];
        let mut seed = 1_u64;
        for n_values in [1, 2, 3, 5, 17, 256] {
            for n_bytes in [10, 700, 9000, 100_000] {
                let noise = (0..n_bytes).map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    u8::try_from((seed >> 33) % n_values).unwrap()
                });
                samples.push(noise.collect());
            }
        }
        samples
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
