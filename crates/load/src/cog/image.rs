//! One image of a TIFF: how its pixels are cut into blocks and stored.
//!
//! Everything that decoding relies on is checked here, once: sizes are neither
//! zero nor absurd, samples are of one kind, and the arrays that say where the
//! blocks are have a place for each of them. What is sound but not built is
//! kept as a refusal, so that a file can be described that cannot be read.

use datacube_geo::{PixelWindow, Shape2d};
use datacube_model::DType;

use super::block_index::BlockIndex;
use super::codec::{Codec, Parameters};
use super::ifd::{ByteOrder, Ifd};
use super::tags;
use crate::error::{Error, Result};

/// Largest width, height and block side, as in GDAL.
const MAX_SIDE: u64 = i32::MAX as u64;
/// Largest decoded block: 1 GiB.
pub(crate) const MAX_BLOCK_BYTES: u64 = 1 << 30;

const REDUCED_IMAGE: u64 = 1;
const MASK: u64 = 4;
/// Photometric interpretation: brightness and two differences of colour.
const YCBCR: u16 = 6;

/// One image: the full resolution, an overview, or the mask of one of them.
#[derive(Debug)]
pub(crate) struct Image {
    /// Which directory of the file it is.
    pub(crate) ifd_idx: usize,
    pub(crate) shape: Shape2d,
    /// Rows and columns of a block.
    pub(crate) block_shape: Shape2d,
    /// Blocks down and across.
    pub(crate) grid: Shape2d,
    /// Whether blocks are tiles, which are whole at the edges, or strips,
    /// which end with the image.
    pub(crate) is_tiled: bool,
    /// Bands of the image.
    pub(crate) samples: usize,
    /// Whether each band has blocks of its own.
    pub(crate) is_planar: bool,
    pub(crate) bits: u16,
    pub(crate) dtype: DType,
    pub(crate) order: ByteOrder,
    /// Whether the bits of each stored byte are in reverse.
    pub(crate) is_bit_reversed: bool,
    pub(crate) codec: Codec,
    /// What the codec has to know besides the bytes of a block.
    pub(crate) parameters: Parameters,
    pub(crate) predictor: Predictor,
    pub(crate) subfile: u64,
    /// The alpha band, 1-based, where one of the extra samples is alpha.
    pub(crate) alpha: Option<u32>,
    pub(crate) index: BlockIndex,
    /// What of this image is not supported, if anything.
    pub(crate) refusal: Option<String>,
}

/// How samples were turned into differences before they were compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predictor {
    /// Not at all.
    None,
    /// Each sample minus the one before it in its row.
    Horizontal,
    /// The bytes of floating-point samples, most significant first, as
    /// differences.
    FloatingPoint,
}

impl Predictor {
    /// The value of the TIFF tag.
    pub(crate) fn tag_value(self) -> u16 {
        match self {
            Predictor::None => 1,
            Predictor::Horizontal => 2,
            Predictor::FloatingPoint => 3,
        }
    }
}

impl Image {
    /// Checks the layout that a directory describes.
    pub(crate) fn from_ifd(ifd: &Ifd) -> Result<Image> {
        let shape = Shape2d {
            rows: required_side(ifd, tags::IMAGE_LENGTH)?,
            cols: required_side(ifd, tags::IMAGE_WIDTH)?,
        };
        let is_tiled =
            ifd.entry(tags::TILE_WIDTH).is_some() || ifd.entry(tags::TILE_LENGTH).is_some();
        let block_shape = if is_tiled {
            Shape2d {
                rows: required_side(ifd, tags::TILE_LENGTH)?,
                cols: required_side(ifd, tags::TILE_WIDTH)?,
            }
        } else {
            let rows = match ifd.uint(tags::ROWS_PER_STRIP)? {
                None => shape.rows,
                Some(0) => return Err(ifd.fault(tags::ROWS_PER_STRIP, "it is 0")),
                Some(rows) => usize::try_from(rows).unwrap_or(usize::MAX).min(shape.rows),
            };
            Shape2d {
                rows,
                cols: shape.cols,
            }
        };
        let samples = match ifd.uint16(tags::SAMPLES_PER_PIXEL)? {
            None => 1,
            Some(0) => return Err(ifd.fault(tags::SAMPLES_PER_PIXEL, "it is 0")),
            Some(samples) => usize::from(samples),
        };
        let is_planar = match ifd.uint16(tags::PLANAR_CONFIGURATION)? {
            None | Some(1) => false,
            Some(2) => samples > 1,
            Some(other) => {
                let problem = format!("{other} is neither 1 (by pixel) nor 2 (by band)");
                return Err(ifd.fault(tags::PLANAR_CONFIGURATION, problem));
            }
        };
        let bits = same_for_all(ifd, tags::BITS_PER_SAMPLE)?.unwrap_or(1);
        let sample_format = same_for_all(ifd, tags::SAMPLE_FORMAT)?.unwrap_or(1);
        let dtype = dtype_of(ifd, sample_format, bits)?;
        let compression = ifd.uint16(tags::COMPRESSION)?.unwrap_or(1);
        let codec = Codec::from_tag(compression, block_shape.cols);
        let is_bit_reversed = match ifd.uint16(tags::FILL_ORDER)? {
            // 0 is no order, and read as the default by everyone.
            None | Some(0 | 1) => false,
            Some(2) => true,
            Some(other) => {
                return Err(ifd.fault(tags::FILL_ORDER, format!("{other} is neither 1 nor 2")));
            }
        };
        let grid = Shape2d {
            rows: shape.rows.div_ceil(block_shape.rows),
            cols: shape.cols.div_ceil(block_shape.cols),
        };
        let planes = if is_planar { samples } else { 1 };
        let n_blocks = grid.rows as u64 * grid.cols as u64; // each below 2^31
        let n_blocks = n_blocks
            .checked_mul(planes as u64)
            .ok_or_else(|| ifd.fault(tags::IMAGE_WIDTH, "the image has too many blocks"))?;
        let index = BlockIndex::from_ifd(ifd, n_blocks, codec == Codec::None)?;
        let mut image = Image {
            ifd_idx: ifd.idx,
            shape,
            block_shape,
            grid,
            is_tiled,
            samples,
            is_planar,
            bits,
            dtype,
            order: ifd.format.order,
            is_bit_reversed,
            codec,
            parameters: Parameters::default(),
            predictor: Predictor::None,
            subfile: ifd.uint(tags::NEW_SUBFILE_TYPE)?.unwrap_or(0),
            alpha: alpha_band(ifd, samples)?,
            index,
            refusal: None,
        };
        if codec.has_predictor() {
            image.predictor = image.predictor_of(ifd)?;
        }
        let photometric = ifd.uint16(tags::PHOTOMETRIC)?;
        image.parameters = image.parameters_of(ifd, photometric)?;
        image.refusal = image.refusal_of(ifd, photometric)?;
        Ok(image)
    }

    fn predictor_of(&self, ifd: &Ifd) -> Result<Predictor> {
        let problem = match ifd.uint16(tags::PREDICTOR)? {
            None | Some(1) => return Ok(Predictor::None),
            Some(2) if matches!(self.bits, 8 | 16 | 32 | 64) => return Ok(Predictor::Horizontal),
            Some(2) => format!(
                "horizontal differences of {}-bit samples are undefined",
                self.bits
            ),
            Some(3) if self.dtype.is_float() => return Ok(Predictor::FloatingPoint),
            Some(3) => format!("{} samples have no floating-point predictor", self.dtype),
            Some(other) => format!("predictor {other} is unknown"),
        };
        Err(ifd.fault(tags::PREDICTOR, problem))
    }

    fn parameters_of(&self, ifd: &Ifd, photometric: Option<u16>) -> Result<Parameters> {
        let mut parameters = Parameters::default();
        match self.codec {
            Codec::Jpeg => {
                parameters.jpeg_tables = ifd.raw(tags::JPEG_TABLES)?;
                parameters.is_ycbcr = photometric == Some(YCBCR) && self.samples_in_block() == 3;
            }
            Codec::Lerc => {
                parameters.lerc_wrap = match ifd.uints(tags::LERC_PARAMETERS)?.as_deref() {
                    None | Some([_, 0, ..]) => None,
                    Some([_, 1, ..]) => Some(Codec::Deflate),
                    Some([_, 2, ..]) => Some(Codec::Zstd),
                    Some(other) => {
                        let problem = format!("{other:?} is no version and compression of LERC");
                        return Err(ifd.fault(tags::LERC_PARAMETERS, problem));
                    }
                };
                parameters.is_last_alpha =
                    !self.is_planar && self.alpha.map(|band| band as usize) == Some(self.samples);
            }
            _ => {}
        }
        Ok(parameters)
    }

    /// What of this image is not built.
    fn refusal_of(&self, ifd: &Ifd, photometric: Option<u16>) -> Result<Option<String>> {
        if let Some(refusal) = self.codec.refusal() {
            return Ok(Some(refusal));
        }
        if self.dtype.is_complex() {
            return Ok(Some(format!("reading {} samples", self.dtype)));
        }
        let samples = self.samples_in_block();
        let refusal = match self.codec {
            Codec::Jpeg if !matches!(samples, 1 | 3 | 4) => {
                Some(format!("JPEG of {samples} samples a pixel"))
            }
            Codec::Jpeg if !matches!(self.bits, 8 | 12) => {
                Some(format!("JPEG of {}-bit samples", self.bits))
            }
            Codec::WebP if !matches!(samples, 3 | 4) || self.dtype != DType::UInt8 => Some(
                format!("WebP of {samples} samples a pixel of {}", self.dtype),
            ),
            Codec::Lerc if !self.is_whole_bytes() => {
                Some(format!("LERC of {}-bit samples", self.bits))
            }
            Codec::Fax { .. } if self.bits != 1 || samples != 1 => {
                Some("fax codes of anything but bits".to_owned())
            }
            Codec::Fax {
                is_group_4: false, ..
            } if ifd.uint(tags::GROUP_3_OPTIONS)?.unwrap_or(0) & 1 != 0 => {
                Some("two-dimensional CCITT group 3 compression".to_owned())
            }
            _ => None,
        };
        if refusal.is_some() {
            return Ok(refusal);
        }
        // GDAL turns these into RGB; the raw samples would be other numbers.
        let colours = match photometric {
            Some(5) if self.bits <= 8 => "CMYK",
            Some(YCBCR) if self.codec != Codec::Jpeg => "YCbCr",
            Some(8) if self.bits <= 8 => "CIE L*a*b*",
            Some(32844 | 32845) => "LogLuv",
            _ => return Ok(None),
        };
        Ok(Some(format!("converting {colours} colours")))
    }

    /// Refuses an image that uses something that is not built.
    pub(crate) fn ensure_supported(&self, uri: &str) -> Result<()> {
        match &self.refusal {
            None => Ok(()),
            Some(what) => Err(Error::unsupported_in(
                uri,
                what.clone(),
                "real samples of 1 to 64 bits, compression none, deflate, LZW, zstd, LZMA, \
                 PackBits, JPEG, WebP, LERC, CCITT group 3 or 4",
            )),
        }
    }

    pub(crate) fn is_mask(&self) -> bool {
        self.subfile & MASK != 0
    }

    pub(crate) fn is_reduced(&self) -> bool {
        self.subfile & REDUCED_IMAGE != 0
    }

    /// Samples that lie side by side in a block.
    pub(crate) fn samples_in_block(&self) -> usize {
        if self.is_planar { 1 } else { self.samples }
    }

    /// Whether samples are stored in whole bytes, as they are in memory.
    pub(crate) fn is_whole_bytes(&self) -> bool {
        usize::from(self.bits) == self.dtype.size() * 8
    }

    /// Bytes of one stored row of a block.
    pub(crate) fn stored_row_bytes(&self) -> u64 {
        // Below 2^31 * 2^16 * 2^7.
        let n_bits =
            self.block_shape.cols as u64 * self.samples_in_block() as u64 * u64::from(self.bits);
        n_bits.div_ceil(8)
    }

    /// Bytes of one row of a block in memory.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.block_shape.cols as u64 * self.samples_in_block() as u64 * self.dtype.size() as u64
    }

    /// Rows of the image in the blocks of block row `block_row`. The last tiles
    /// may store more, and some writers leave that out.
    pub(crate) fn rows_in_block(&self, block_row: usize) -> usize {
        self.block_shape
            .rows
            .min(self.shape.rows - block_row * self.block_shape.rows)
    }

    /// Checks that a decoded block, and its stored form, fit in memory.
    pub(crate) fn ensure_block_fits(&self, uri: &str) -> Result<()> {
        let row_bytes = self.row_bytes().max(self.stored_row_bytes());
        let needed = u128::from(row_bytes) * self.block_shape.rows as u128;
        if needed <= u128::from(MAX_BLOCK_BYTES) {
            return Ok(());
        }
        Err(Error::Exhausted {
            what: format!(
                "{uri}: one block of {} x {} pixels",
                self.block_shape.rows, self.block_shape.cols
            ),
            needed: u64::try_from(needed).unwrap_or(u64::MAX),
            limit: MAX_BLOCK_BYTES,
            advice: "rewrite the file in tiles, as a COG".to_owned(),
        })
    }

    /// The number of a block in the file's order.
    pub(crate) fn block_number(&self, block_row: usize, block_col: usize, band: u32) -> u64 {
        let plane = if self.is_planar {
            u64::from(band) - 1
        } else {
            0
        };
        let (rows, cols) = (self.grid.rows as u64, self.grid.cols as u64);
        (plane * rows + block_row as u64) * cols + block_col as u64
    }

    /// Pixels of the image that a block covers.
    pub(crate) fn block_window(&self, block_row: usize, block_col: usize) -> PixelWindow {
        let (row, col) = (
            block_row * self.block_shape.rows,
            block_col * self.block_shape.cols,
        );
        PixelWindow {
            rows: row..(row + self.block_shape.rows).min(self.shape.rows),
            cols: col..(col + self.block_shape.cols).min(self.shape.cols),
        }
    }

    /// Block rows and columns that a window, not empty, touches.
    pub(crate) fn blocks_of(&self, window: &PixelWindow) -> PixelWindow {
        let (height, width) = (self.block_shape.rows, self.block_shape.cols);
        PixelWindow {
            rows: window.rows.start / height..window.rows.end.div_ceil(height),
            cols: window.cols.start / width..window.cols.end.div_ceil(width),
        }
    }
}

/// A width or height that has to be there.
fn required_side(ifd: &Ifd, tag: u16) -> Result<usize> {
    match ifd.uint(tag)? {
        None => Err(ifd.missing(tag)),
        Some(0) => Err(ifd.fault(tag, "it is 0")),
        Some(side) if side > MAX_SIDE => {
            Err(ifd.fault(tag, format!("{side} is more than the limit of {MAX_SIDE}")))
        }
        Some(side) => Ok(usize::try_from(side).expect("below 2^31")),
    }
}

/// The value of a tag that has one for each sample, which have to be equal.
fn same_for_all(ifd: &Ifd, tag: u16) -> Result<Option<u16>> {
    let Some(values) = ifd.uints(tag)? else {
        return Ok(None);
    };
    let Some(&first) = values.first() else {
        return Err(ifd.fault(tag, "it has no value"));
    };
    if values.iter().any(|&value| value != first) {
        return Err(Error::unsupported_in(
            &ifd.uri,
            format!("samples of several kinds ({} {values:?})", tags::name(tag)),
            "samples that are all of one kind",
        ));
    }
    u16::try_from(first)
        .map(Some)
        .map_err(|_| ifd.fault(tag, format!("{first} is out of its range")))
}

/// The pixel type that samples decode to.
fn dtype_of(ifd: &Ifd, sample_format: u16, bits: u16) -> Result<DType> {
    let dtype = match (sample_format, bits) {
        // 4 is "undefined", which GDAL reads as unsigned.
        (1 | 4, 1..=8) => DType::UInt8,
        (1 | 4, 9..=16) => DType::UInt16,
        (1 | 4, 17..=32) => DType::UInt32,
        (1 | 4, 64) => DType::UInt64,
        (2, 8) => DType::Int8,
        (2, 16) => DType::Int16,
        (2, 32) => DType::Int32,
        (2, 64) => DType::Int64,
        (3, 16) => DType::Float16,
        (3, 32) => DType::Float32,
        (3, 64) => DType::Float64,
        (6, 64) => DType::Complex64,
        (6, 128) => DType::Complex128,
        (1..=6, _) => {
            let kind = [
                "unsigned",
                "signed",
                "floating-point",
                "untyped",
                "complex integer",
                "complex",
            ][usize::from(sample_format) - 1];
            return Err(Error::unsupported_in(
                &ifd.uri,
                format!("reading {bits}-bit {kind} samples"),
                "unsigned samples of 1 to 32 or 64 bits, signed ones of 8, 16, 32 or 64, \
                 floating-point ones of 16, 32 or 64",
            ));
        }
        _ => {
            return Err(ifd.fault(
                tags::SAMPLE_FORMAT,
                format!("{sample_format} is not 1 to 6"),
            ));
        }
    };
    Ok(dtype)
}

/// Which band is alpha, counted from 1.
fn alpha_band(ifd: &Ifd, samples: usize) -> Result<Option<u32>> {
    let extra = ifd.uints(tags::EXTRA_SAMPLES)?.unwrap_or_default();
    let Some(first_extra) = samples.checked_sub(extra.len()) else {
        return Ok(None);
    };
    let is_alpha = |kind: &u64| matches!(kind, 1 | 2);
    let alpha = extra
        .iter()
        .position(is_alpha)
        .map(|at| first_extra + at + 1);
    Ok(alpha.and_then(|band| u32::try_from(band).ok()))
}
