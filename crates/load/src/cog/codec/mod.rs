//! The compressions of TIFF blocks.
//!
//! [`Codec`] names them all, those that are built and those that are not.
//! [`Inflater::decompress`] undoes those that make bytes of bytes, in a buffer
//! of the size that the block has to have; [`Inflater::decode_picture`] those
//! that make pixels. Buffers and the codecs' own tables are reused.
//!
//! Codecs that lose something are read with the libraries that GDAL reads them
//! with, because their pixels are compared with GDAL's: libjpeg-turbo, libwebp.

mod fax;
mod jpeg;
mod lerc;
mod lzma;
mod lzw;
mod packbits;
mod picture;
mod webp;

pub(crate) use picture::{Parameters, Picture};

use libdeflater::DecompressionError;

/// How the bytes of a block are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Deflate,
    Lzw,
    Zstd,
    PackBits,
    Lzma,
    /// CCITT group 3 or 4 of rows of so many pixels.
    Fax {
        cols: usize,
        is_group_4: bool,
    },
    Jpeg,
    WebP,
    Lerc,
    /// Known by name, not built.
    NotBuilt(&'static str),
    /// A number that stands for no compression that we know.
    Unknown(u16),
}

impl Codec {
    /// The codec of a value of the Compression tag, for blocks of `cols` columns.
    pub(crate) fn from_tag(value: u16, cols: usize) -> Codec {
        let fax = |is_group_4| Codec::Fax { cols, is_group_4 };
        match value {
            1 => Codec::None,
            2 => Codec::NotBuilt("CCITT RLE"),
            3 => fax(false),
            4 => fax(true),
            5 => Codec::Lzw,
            6 => Codec::NotBuilt("old JPEG"),
            7 => Codec::Jpeg,
            8 | 32946 => Codec::Deflate,
            32766 => Codec::NotBuilt("NeXT RLE"),
            32771 => Codec::NotBuilt("CCITT RLE/W"),
            32773 => Codec::PackBits,
            32809 => Codec::NotBuilt("ThunderScan"),
            34661 => Codec::NotBuilt("JBIG"),
            34676 | 34677 => Codec::NotBuilt("SGI LogLuv"),
            34712 => Codec::NotBuilt("JPEG 2000"),
            34887 => Codec::Lerc,
            34925 => Codec::Lzma,
            50000 => Codec::Zstd,
            50001 => Codec::WebP,
            50002 | 52546 => Codec::NotBuilt("JPEG XL"),
            other => Codec::Unknown(other),
        }
    }

    /// The name, in lower case where it is no proper name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Deflate => "deflate",
            Codec::Lzw => "LZW",
            Codec::Zstd => "zstd",
            Codec::PackBits => "PackBits",
            Codec::Lzma => "LZMA",
            Codec::Fax {
                is_group_4: false, ..
            } => "CCITT group 3",
            Codec::Fax {
                is_group_4: true, ..
            } => "CCITT group 4",
            Codec::Jpeg => "JPEG",
            Codec::WebP => "WebP",
            Codec::Lerc => "LERC",
            Codec::NotBuilt(name) => name,
            Codec::Unknown(_) => "unknown",
        }
    }

    /// What is not supported, where that is so.
    pub(crate) fn refusal(self) -> Option<String> {
        match self {
            Codec::NotBuilt(name) => Some(format!("{name} compression")),
            Codec::Unknown(value) => Some(format!("compression {value}, whatever it is,")),
            _ => None,
        }
    }

    /// Whether the Predictor tag means something with this codec.
    pub(crate) fn has_predictor(self) -> bool {
        matches!(
            self,
            Codec::Deflate | Codec::Lzw | Codec::Zstd | Codec::Lzma
        )
    }

    /// Whether blocks are pictures, which decode to pixels and not to bytes.
    pub(crate) fn is_picture(self) -> bool {
        matches!(self, Codec::Jpeg | Codec::WebP | Codec::Lerc)
    }

    /// Whether FillOrder is nothing to the codec.
    pub(crate) fn has_own_bit_order(self) -> bool {
        self == Codec::Jpeg
    }

    /// Whether data that holds more than the buffer does gives its beginning,
    /// instead of [`Failure::TooLong`].
    pub(crate) fn stops_when_full(self) -> bool {
        !matches!(self, Codec::Deflate | Codec::Zstd)
    }

    /// How many bytes one compressed byte can become at the most; what claims
    /// more is refused before memory is taken for it.
    pub(crate) fn max_expansion(self) -> u64 {
        match self {
            Codec::None => 1,
            // A 2-bit code for 258 bytes.
            Codec::Deflate => 1032,
            // A 12-bit code for at most 4095 bytes.
            Codec::Lzw => 2730,
            // A block of 4 bytes for 128 KiB.
            Codec::Zstd => 32 << 10,
            Codec::PackBits => 64,
            // What repeats costs next to nothing.
            Codec::Lzma => 32 << 10,
            // One bit for a row like the one before; more is no image.
            Codec::Fax { .. } => 16 << 10,
            // Two bits for a block of 64 samples, fewer in progressive pictures.
            Codec::Jpeg => 4 << 10,
            // A picture of one colour has no length.
            Codec::WebP | Codec::Lerc => 1 << 20,
            Codec::NotBuilt(_) | Codec::Unknown(_) => 0,
        }
    }
}

/// Why a block did not decompress.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The data holds more than the buffer does.
    TooLong,
    /// The data is damaged.
    Damaged(String),
}

/// The state of the codecs, kept from block to block.
pub(crate) struct Inflater {
    deflate: libdeflater::Decompressor,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    lzw: lzw::Lzw,
    /// A JPEG stream with its tables.
    jpeg_stream: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater {
            deflate: libdeflater::Decompressor::new(),
            zstd: None,
            lzw: lzw::Lzw::new(),
            jpeg_stream: Vec::new(),
        }
    }

    /// Decompresses `input` into `out`; gives the number of bytes written,
    /// which is less than `out` holds where the data ends early.
    pub(crate) fn decompress(
        &mut self,
        codec: Codec,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Failure> {
        match codec {
            Codec::None => {
                let n_bytes = input.len().min(out.len());
                out[..n_bytes].copy_from_slice(&input[..n_bytes]);
                Ok(n_bytes)
            }
            Codec::Deflate => {
                self.deflate
                    .zlib_decompress(input, out)
                    .map_err(|error| match error {
                        DecompressionError::InsufficientSpace => Failure::TooLong,
                        DecompressionError::BadData => {
                            Failure::Damaged("the deflate data is damaged".to_owned())
                        }
                    })
            }
            Codec::Lzw => self.lzw.decompress(input, out).map_err(Failure::Damaged),
            Codec::Zstd => {
                let damaged = |error: &dyn std::fmt::Display| {
                    Failure::Damaged(format!("the zstd data is damaged ({error})"))
                };
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none
                        .insert(zstd::bulk::Decompressor::new().map_err(|error| damaged(&error))?),
                };
                zstd.decompress_to_buffer(input, out).map_err(|error| {
                    if error.to_string().contains("too small") {
                        Failure::TooLong
                    } else {
                        damaged(&error)
                    }
                })
            }
            Codec::PackBits => Ok(packbits::decompress(input, out)),
            Codec::Lzma => lzma::decompress(input, out).map_err(Failure::Damaged),
            Codec::Fax { cols, is_group_4 } => {
                fax::decompress(input, cols, is_group_4, out).map_err(Failure::Damaged)
            }
            Codec::Jpeg | Codec::WebP | Codec::Lerc | Codec::NotBuilt(_) | Codec::Unknown(_) => {
                Err(Failure::Damaged(format!(
                    "{} cannot be decompressed",
                    codec.name()
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compresses as the codec's own library does.
    fn compress(codec: Codec, data: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Deflate => {
                let mut compressor =
                    libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
                let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
                let n_bytes = compressor.zlib_compress(data, &mut out).unwrap();
                out.truncate(n_bytes);
                out
            }
            Codec::Zstd => zstd::bulk::compress(data, 3).unwrap(),
            Codec::Lzw => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(data)
                .unwrap(),
            _ => data.to_vec(),
        }
    }

    #[test]
    fn round_trips_short_and_long_buffers() {
        let data: Vec<u8> = (0..5000_u32).map(|i| (i * i / 7 % 251) as u8).collect();
        let mut inflater = Inflater::new();
        for codec in [Codec::None, Codec::Deflate, Codec::Lzw, Codec::Zstd] {
            let stored = compress(codec, &data);
            let mut out = vec![0; data.len()];
            assert_eq!(
                inflater.decompress(codec, &stored, &mut out),
                Ok(data.len()),
                "{codec:?}"
            );
            assert_eq!(out, data, "{codec:?}");
            let mut longer = vec![0; data.len() + 10];
            assert_eq!(
                inflater.decompress(codec, &stored, &mut longer),
                Ok(data.len())
            );
            let mut shorter = vec![0; data.len() - 10];
            match inflater.decompress(codec, &stored, &mut shorter) {
                Ok(n_bytes) => assert_eq!((n_bytes, &shorter[..]), (4990, &data[..4990])),
                Err(failure) => assert_eq!(failure, Failure::TooLong, "{codec:?}"),
            }
        }
    }

    #[test]
    fn damage_is_no_panic() {
        let data = vec![7; 1000];
        let mut inflater = Inflater::new();
        for codec in [Codec::Deflate, Codec::Lzw, Codec::Zstd, Codec::PackBits] {
            let stored = compress(codec, &data);
            for at in 0..stored.len() {
                for bit in 0..8 {
                    let mut damaged = stored.clone();
                    damaged[at] ^= 1 << bit;
                    let _any = inflater.decompress(codec, &damaged, &mut [0; 1000]);
                    let _any = inflater.decompress(codec, &damaged[..at], &mut [0; 1000]);
                }
            }
        }
    }
}
