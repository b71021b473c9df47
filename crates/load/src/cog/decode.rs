//! From stored blocks to pixels: decompress, undo the predictor, put in place.
//!
//! All of it on the calling thread, in scratch that the thread keeps: chunks
//! are what is done in parallel, and fresh memory costs more than decoding into
//! memory that is there.

use std::cell::RefCell;
use std::ops::Range;

use datacube_geo::PixelWindow;
use datacube_model::{DType, Number};

use super::block_cache::BlockCache;
use super::codec::{Codec, Failure, Inflater, Picture};
use super::fetch::{CogBlocks, Request, Stored};
use super::image::{Image, MAX_BLOCK_BYTES, Predictor};
use super::{bits, predictor};
use crate::buffer::{AlignedBytes, PixelBuffer, fill_bytes};
use crate::error::{Error, Result};

/// Scratch beyond this is given back when a window is done.
const KEPT_SCRATCH: usize = 64 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Decodes the window of `request`, which `blocks` cover, into `out`.
///
/// Blocks that the file leaves out become `nodata`, or 0.
pub(crate) fn decode(
    request: &Request<'_>,
    blocks: &CogBlocks,
    cache: &BlockCache,
    nodata: Option<Number>,
    out: &mut PixelBuffer,
) -> Result<()> {
    let image = request.image;
    let dtype = if request.band.is_none() {
        DType::Bool
    } else {
        image.dtype
    };
    out.reset(dtype, request.window.shape())?;
    let mut fill = vec![0; dtype.size()];
    if let Some(nodata) = nodata {
        fill_bytes(dtype, &mut fill, nodata)?;
    }
    SCRATCH.with_borrow_mut(|scratch| {
        for (block_row, block_col, block) in request.blocks() {
            let stored = blocks.stored_at(block_row, block_col).ok_or_else(|| {
                Error::invalid_for(
                    request.file.location().uri(),
                    format!(
                        "the blocks that were fetched do not cover {}",
                        request.window
                    ),
                )
            })?;
            let mut target = Target::new(request, block_row, block_col, out);
            let (bytes, rows) = match stored {
                Stored::Sparse => {
                    target.fill(&fill);
                    continue;
                }
                Stored::Decoded(decoded) => {
                    target.copy(decoded, 0);
                    continue;
                }
                Stored::Bytes { bytes, rows } => (bytes, rows),
            };
            let is_kept = image.codec != Codec::None && target.uses_a_part();
            if is_kept && let Some(decoded) = cache.get(&request.key(block)) {
                target.copy(&decoded, 0);
                continue;
            }
            let decoded = scratch
                .decode(image, bytes, rows.len())
                .map_err(|problem| {
                    let uri = request.file.location().uri();
                    Error::unreadable(uri, request.place(block_row, block_col), problem)
                })?;
            target.copy(decoded, rows.start);
            if is_kept {
                cache.insert(request.key(block), decoded);
            }
        }
        scratch.shrink();
        Ok(())
    })
}

impl CogBlocks {
    /// The block at a block row and column, if it was fetched.
    fn stored_at(&self, block_row: usize, block_col: usize) -> Option<&Stored> {
        if !self.grid.contains_pixel(block_row, block_col) {
            return None;
        }
        let row = block_row - self.grid.rows.start;
        self.stored
            .get(row * self.grid.cols.len() + block_col - self.grid.cols.start)
    }
}

/// Memory and codec state that a thread decodes with.
struct Scratch {
    inflater: Inflater,
    /// Stored bytes whose bits were put in order.
    input: Vec<u8>,
    /// A block, decompressed.
    block: AlignedBytes,
    /// A block whose samples were widened to whole bytes.
    widened: AlignedBytes,
    /// A row, for the floating-point predictor.
    row: Vec<u8>,
}

impl Scratch {
    fn new() -> Self {
        Scratch {
            inflater: Inflater::new(),
            input: Vec::new(),
            block: AlignedBytes::default(),
            widened: AlignedBytes::default(),
            row: Vec::new(),
        }
    }

    /// Gives back what a huge block needed.
    fn shrink(&mut self) {
        if self.block.capacity() + self.widened.capacity() + self.input.capacity() > KEPT_SCRATCH {
            self.input = Vec::new();
            self.block = AlignedBytes::default();
            self.widened = AlignedBytes::default();
        }
    }

    /// The first `n_rows` rows of a block as native samples, row by row.
    fn decode<'a>(
        &'a mut self,
        image: &Image,
        stored: &'a [u8],
        n_rows: usize,
    ) -> Result<&'a [u8], String> {
        let Scratch {
            inflater,
            input,
            block,
            widened,
            row,
        } = self;
        let row_bytes = match image.codec.is_picture() {
            true => fits(image.row_bytes())?,
            false => fits(image.stored_row_bytes())?,
        };
        let n_bytes = n_rows
            .checked_mul(row_bytes)
            .ok_or("it is longer than memory")?;
        let expansion = image.codec.max_expansion();
        if n_bytes as u64 > (stored.len() as u64).saturating_mul(expansion) {
            return Err(format!(
                "its {} bytes of {} cannot hold the {n_bytes} bytes of its pixels",
                stored.len(),
                image.codec.name()
            ));
        }
        let stored = if image.is_bit_reversed && !image.codec.has_own_bit_order() {
            input.clear();
            input.extend(stored.iter().map(|byte| byte.reverse_bits()));
            &input[..]
        } else {
            stored
        };
        let is_as_in_memory = image.is_whole_bytes() && image.order.is_native();
        if image.codec == Codec::None && is_as_in_memory {
            return Ok(&stored[..n_bytes]);
        }
        if image.codec.is_picture() {
            let picture = Picture {
                cols: image.block_shape.cols,
                rows: n_rows,
                max_rows: image.block_shape.rows,
                samples: image.samples_in_block(),
                dtype: image.dtype,
                is_swapped: !image.order.is_native(),
                parameters: &image.parameters,
            };
            let most = (stored.len() as u64).saturating_mul(expansion);
            let limit = fits(most.min(MAX_BLOCK_BYTES))?;
            inflater.decode_picture(image.codec, stored, picture, limit, block)?;
            return Ok(&block.as_slice()[..n_bytes]);
        }
        // Tiles at the lower edge store rows that the image does not have.
        let room = if image.is_tiled {
            image.block_shape.rows * row_bytes
        } else {
            n_bytes
        };
        let found = decompress(inflater, image.codec, stored, block, n_bytes..room)?;
        if found < n_bytes {
            return Err(format!(
                "it holds {found} bytes and its pixels need {n_bytes}"
            ));
        }
        let pixels = &mut block.as_mut_slice()[..n_bytes];
        if !image.is_whole_bytes() {
            let widened_row = fits(image.row_bytes())?;
            widened.set_len(n_rows * widened_row);
            let rows = pixels.chunks_exact(row_bytes);
            for (from, to) in rows.zip(widened.as_mut_slice().chunks_exact_mut(widened_row)) {
                bits::widen(from, to, image.bits, image.dtype.size());
            }
            return Ok(widened.as_slice());
        }
        let size = image.dtype.size();
        let stride = image.samples_in_block();
        if !image.order.is_native() && image.predictor != Predictor::FloatingPoint {
            predictor::swap_bytes(pixels, size);
        }
        match image.predictor {
            Predictor::None => {}
            Predictor::Horizontal => {
                for pixels in pixels.chunks_exact_mut(row_bytes) {
                    predictor::undo_horizontal(pixels, size, stride);
                }
            }
            Predictor::FloatingPoint => {
                for pixels in pixels.chunks_exact_mut(row_bytes) {
                    predictor::undo_floating_point(pixels, size, stride, row);
                }
            }
        }
        Ok(pixels)
    }
}

fn fits(n_bytes: u64) -> Result<usize, String> {
    usize::try_from(n_bytes).map_err(|_| "it is longer than memory".to_owned())
}

/// Decompresses into `block`, which is then at least `n_bytes.start` long; gives
/// the number of bytes that the data holds, up to there. `n_bytes.end` is what
/// it should hold.
///
/// Some writers store more rows in the last strip than the image has, and some
/// libraries give nothing unless all fits, so that there may have to be more
/// room.
fn decompress(
    inflater: &mut Inflater,
    codec: Codec,
    stored: &[u8],
    block: &mut AlignedBytes,
    n_bytes: Range<usize>,
) -> Result<usize, String> {
    let needed = n_bytes.start;
    let most = fits((stored.len() as u64).saturating_mul(codec.max_expansion()))?;
    let mut room = if codec.stops_when_full() {
        needed
    } else {
        n_bytes.end.min(most).max(needed)
    };
    loop {
        block.set_len(room);
        match inflater.decompress(codec, stored, block.as_mut_slice()) {
            Ok(found) => return Ok(found.min(needed)),
            Err(Failure::Damaged(problem)) => return Err(problem),
            Err(Failure::TooLong) if room < most && room / 64 < n_bytes.end => {
                room = room.saturating_mul(2).min(most);
            }
            Err(Failure::TooLong) => {
                return Err(format!(
                    "it holds far more than the {needed} bytes of its pixels"
                ));
            }
        }
    }
}

/// The part of the output that a block goes to.
struct Target<'a> {
    image: &'a Image,
    /// The pixels of the image that the block covers.
    block: PixelWindow,
    /// Those that are asked for.
    overlap: PixelWindow,
    /// The pixels of the output.
    window: &'a PixelWindow,
    /// Which of the samples in the block is asked for.
    sample: usize,
    is_mask: bool,
    out: &'a mut [u8],
}

impl<'a> Target<'a> {
    fn new(
        request: &'a Request<'_>,
        block_row: usize,
        block_col: usize,
        out: &'a mut PixelBuffer,
    ) -> Self {
        let image = request.image;
        let block = image.block_window(block_row, block_col);
        let sample = if image.is_planar {
            0
        } else {
            request.sample as usize - 1
        };
        Target {
            image,
            overlap: block.intersect(&request.window),
            block,
            window: &request.window,
            sample,
            is_mask: request.band.is_none(),
            out: out.as_bytes_mut(),
        }
    }

    /// Whether the block has more than is asked for, so that another window or
    /// another band may want the rest.
    fn uses_a_part(&self) -> bool {
        self.overlap != self.block || self.image.samples_in_block() > 1
    }

    /// The bytes of the output that a row of the image goes to.
    fn out_row(&mut self, row: usize, size: usize) -> &mut [u8] {
        let start = (row - self.window.rows.start) * self.window.cols.len()
            + (self.overlap.cols.start - self.window.cols.start);
        &mut self.out[start * size..][..self.overlap.cols.len() * size]
    }

    /// Sets all pixels to one value.
    fn fill(&mut self, pixel: &[u8]) {
        for row in self.overlap.rows.clone() {
            for out in self.out_row(row, pixel.len()).chunks_exact_mut(pixel.len()) {
                out.copy_from_slice(pixel);
            }
        }
    }

    /// Copies from decoded rows, the first of which is row `first_row` of the
    /// block.
    fn copy(&mut self, decoded: &[u8], first_row: usize) {
        let (size, stride) = (self.image.dtype.size(), self.image.samples_in_block());
        let row_bytes = self.image.block_shape.cols * stride * size;
        let col = self.overlap.cols.start - self.block.cols.start;
        let n_cols = self.overlap.cols.len();
        let (sample, is_mask) = (self.sample, self.is_mask);
        for row in self.overlap.rows.clone() {
            let start = (row - self.block.rows.start - first_row) * row_bytes;
            let from = &decoded[start + col * stride * size..][..n_cols * stride * size];
            let to = self.out_row(row, size);
            if stride == 1 {
                to.copy_from_slice(from);
            } else {
                pick(from, to, size, stride, sample);
            }
            if is_mask {
                for pixel in to {
                    *pixel = u8::from(*pixel != 0);
                }
            }
        }
    }
}

/// Copies every `stride`-th sample of `size` bytes, from the `sample`-th on.
fn pick(from: &[u8], to: &mut [u8], size: usize, stride: usize, sample: usize) {
    match size {
        1 => pick_sized::<1>(from, to, stride, sample),
        2 => pick_sized::<2>(from, to, stride, sample),
        4 => pick_sized::<4>(from, to, stride, sample),
        _ => pick_sized::<8>(from, to, stride, sample),
    }
}

fn pick_sized<const SIZE: usize>(from: &[u8], to: &mut [u8], stride: usize, sample: usize) {
    let from = from
        .as_chunks::<SIZE>()
        .0
        .iter()
        .skip(sample)
        .step_by(stride);
    for (to, from) in to.as_chunks_mut::<SIZE>().0.iter_mut().zip(from) {
        *to = *from;
    }
}
