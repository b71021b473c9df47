//! Blocks that are pictures of their own: JPEG, WebP and LERC.
//!
//! Unlike a stream of bytes, such a block states its own size, type and number
//! of samples. All of it is compared with what the TIFF says before anything is
//! decoded, so that a block can claim no more memory than its image may have.

use std::fmt;

use bytes::Bytes;
use datacube_model::DType;

use super::{Codec, Failure, Inflater, jpeg, lerc, webp};
use crate::buffer::AlignedBytes;

/// What of the tags a codec needs besides the block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    /// JPEG: the tables that the blocks leave out.
    pub(crate) jpeg_tables: Option<Bytes>,
    /// JPEG: whether the stored colours are YCbCr, which become RGB.
    pub(crate) is_ycbcr: bool,
    /// LERC: what the LERC data is compressed with once more.
    pub(crate) lerc_wrap: Option<Codec>,
    /// LERC: whether the last sample is alpha, which it keeps as a mask.
    pub(crate) is_last_alpha: bool,
}

/// What a block has to decode to: rows of `cols` pixels of `samples` native
/// samples each.
#[derive(Clone, Copy)]
pub(crate) struct Picture<'a> {
    pub(crate) cols: usize,
    /// Rows that the image has in this block.
    pub(crate) rows: usize,
    /// Rows of a whole block, such as a tile at the lower edge may store.
    pub(crate) max_rows: usize,
    pub(crate) samples: usize,
    pub(crate) dtype: DType,
    /// Whether samples in LERC have the other byte order, as the TIFF has.
    pub(crate) is_swapped: bool,
    pub(crate) parameters: &'a Parameters,
}

impl Picture<'_> {
    pub(crate) fn row_bytes(&self) -> usize {
        self.cols * self.samples * self.dtype.size()
    }

    /// Bytes of `rows` rows.
    pub(super) fn bytes_of(&self, rows: usize) -> usize {
        self.row_bytes() * rows
    }

    /// Checks the size that a block states of itself, and gives its rows. More
    /// of them than needed are common in the last blocks of an image.
    pub(super) fn check_size<N>(&self, rows: N, cols: N, limit: usize) -> Result<usize, String>
    where
        N: TryInto<usize> + fmt::Display + Copy,
    {
        let found = (rows.try_into().ok(), cols.try_into().ok());
        match found {
            (Some(n_rows), Some(n_cols))
                if n_cols == self.cols
                    && n_rows >= self.rows
                    && self.row_bytes().saturating_mul(n_rows) <= limit =>
            {
                Ok(n_rows)
            }
            _ => Err(format!(
                "it is a picture of {rows} x {cols} pixels and should be one of {} x {}",
                self.rows, self.cols
            )),
        }
    }
}

impl Inflater {
    /// Decodes a block that is a picture into `out`, which then begins with the
    /// rows that are needed; `limit` is how many bytes it may become.
    ///
    /// # Errors
    /// What is wrong with the block.
    pub(crate) fn decode_picture(
        &mut self,
        codec: Codec,
        input: &[u8],
        picture: Picture<'_>,
        limit: usize,
        out: &mut AlignedBytes,
    ) -> Result<(), String> {
        match codec {
            Codec::Jpeg => jpeg::decode(input, picture, limit, &mut self.jpeg_stream, out),
            Codec::WebP => webp::decode(input, picture, limit, out),
            Codec::Lerc => match picture.parameters.lerc_wrap {
                None => lerc::decode(input, picture, limit, out),
                Some(wrap) => {
                    // As libtiff: LERC may take a third more than it holds.
                    let whole = picture.bytes_of(picture.max_rows).min(limit);
                    let mut unwrapped = vec![0; whole + whole / 3 + (64 << 10)];
                    let n_bytes =
                        self.decompress(wrap, input, &mut unwrapped)
                            .map_err(|failure| match failure {
                                Failure::Damaged(problem) => problem,
                                Failure::TooLong => {
                                    "its LERC data is longer than its pixels can take".to_owned()
                                }
                            })?;
                    lerc::decode(&unwrapped[..n_bytes], picture, limit, out)
                }
            },
            other => Err(format!("{} is no picture", other.name())),
        }
    }
}
