//! One member's pixels on their way into the chunk: decoded, masked, scaled,
//! then copied or warped row by row.
//!
//! Everything that can fail comes before the first row, so that a member that is
//! broken leaves nothing half done.

use datacube_model::DType;

use super::Ready;
use super::prepare::Prepared;
use super::working::{Working, converted_to, working_type};
use crate::buffer::PixelBuffer;
use crate::error::{Error, Result};
use crate::fuse::{Mosaic, RowSink};
use crate::nodata::Missing;
use crate::params::BandParams;
use crate::plan::{ChunkTask, ReadPlan};
use crate::warp::{Sample, SourceWindow, Warp, WarpScratch};
use crate::with_pixel_type;

/// Memory that one member is worked on in; kept from member to member.
pub(super) struct SourceScratch {
    pixels: PixelBuffer,
    scaled: PixelBuffer,
    converted: PixelBuffer,
    mask: PixelBuffer,
    marks: Vec<u8>,
    valid: Vec<u8>,
    warp: WarpScratch,
}

impl Default for SourceScratch {
    fn default() -> Self {
        SourceScratch {
            pixels: PixelBuffer::empty(DType::UInt8),
            scaled: PixelBuffer::empty(DType::Float64),
            converted: PixelBuffer::empty(DType::UInt8),
            mask: PixelBuffer::empty(DType::Bool),
            marks: Vec::new(),
            valid: Vec::new(),
            warp: WarpScratch::default(),
        }
    }
}

/// A member that was fetched, with the part of it that is still wanted.
pub(super) struct Part<'a> {
    member: &'a Ready,
    plan: ReadPlan,
    /// Scale and offset, where they are applied.
    scaling: Option<(f64, f64)>,
}

impl<'a> Part<'a> {
    /// The part of `member` that `plan` reads, for the measurement of `params`.
    pub(super) fn new(member: &'a Ready, plan: ReadPlan, params: &BandParams) -> Self {
        let scaling = member.blocks.band().and_then(|band| {
            let band = member.reader.info().band(band).ok()?;
            params.scaling.of(band)
        });
        Part {
            member,
            plan,
            scaling,
        }
    }

    fn prepared(&self) -> &Prepared {
        &self.member.prepared
    }

    /// Decodes the source window and gives its rows to `mosaic`.
    ///
    /// An error leaves the mosaic as it was: everything that can fail comes
    /// before the first row.
    pub(super) fn put<D: Sample>(
        &self,
        scratch: &mut SourceScratch,
        task: &ChunkTask,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let mut pixels = std::mem::replace(&mut scratch.pixels, PixelBuffer::empty(DType::UInt8));
        let Ready { reader, blocks, .. } = self.member;
        let result = reader
            .decode(blocks, self.plan.src.clone(), &mut pixels)
            .and_then(|()| {
                if let Some(mask) = &self.member.mask {
                    reader.decode(mask, self.plan.src.clone(), &mut scratch.mask)?;
                }
                with_pixel_type!(
                    pixels.dtype(),
                    S => match pixels.as_slice::<S>() {
                        Some(pixels) => self.put_scaled::<S, D>(pixels, scratch, task, mosaic),
                        None => Err(Error::Internal("a buffer is not of its own type".into())),
                    },
                    otherwise Err(Error::unsupported_in(
                        &reader.info().uri,
                        format!("pixels of {}", pixels.dtype()),
                        "real pixel types",
                    ))
                )
            });
        scratch.pixels = pixels;
        result
    }

    /// Applies scale and offset, if that is asked for.
    fn put_scaled<S: Sample, D: Sample>(
        &self,
        pixels: &[S],
        scratch: &mut SourceScratch,
        task: &ChunkTask,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let missing = Missing::<S>::new(self.prepared().plan.nodata);
        let Some((scale, offset)) = self.scaling else {
            return self.put_typed::<S, D>(pixels, missing, scratch, task, mosaic);
        };
        let any_missing = missing.mark(pixels, &mut scratch.marks);
        let mut buffer = std::mem::replace(&mut scratch.scaled, PixelBuffer::empty(DType::Float64));
        let result = converted_to::<S, f64>(pixels, &mut buffer).and_then(|scaled| {
            for value in scaled.iter_mut() {
                *value = *value * scale + offset;
            }
            if any_missing {
                for (value, &mark) in scaled.iter_mut().zip(&scratch.marks) {
                    if mark != 0 {
                        *value = f64::NAN;
                    }
                }
            }
            self.put_typed::<f64, D>(scaled, Missing::Nan(None), scratch, task, mosaic)
        });
        scratch.scaled = buffer;
        result
    }

    fn put_typed<S: Sample, D: Sample>(
        &self,
        pixels: &[S],
        missing: Missing<S>,
        scratch: &mut SourceScratch,
        task: &ChunkTask,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let origin = (task.window.rows.start, task.window.cols.start);
        let shift = self
            .prepared()
            .plan
            .info
            .paste
            .as_ref()
            .map(|p| (p.offset.y, p.offset.x));
        // A paste looks at pixels when it copies them; everything else marks
        // the missing ones first.
        let mut any_missing = false;
        if shift.is_none() || self.member.mask.is_some() {
            any_missing = missing.mark(pixels, &mut scratch.marks);
        }
        if self.member.mask.is_some() {
            any_missing = add_mask(&scratch.mask, &mut scratch.marks, any_missing)?;
        }
        let SourceScratch {
            converted,
            marks,
            valid,
            warp,
            ..
        } = scratch;
        let marks = any_missing.then_some(&marks[..]);
        if let Some(shift) = shift {
            return paste(
                &self.plan, pixels, missing, marks, shift, origin, valid, mosaic,
            );
        }
        let job = Job {
            part: self,
            marks,
            origin,
        };
        match working_type(
            S::DTYPE,
            D::DTYPE,
            self.prepared().plan.resampling.keeps_values(),
        ) {
            Working::Source => job.run(pixels, warp, mosaic),
            Working::Output => job.run(converted_to::<S, D>(pixels, converted)?, warp, mosaic),
            Working::Double => job.run(converted_to::<S, f64>(pixels, converted)?, warp, mosaic),
        }
    }
}

/// Copies pixels, each to its place.
#[allow(
    clippy::too_many_arguments,
    reason = "what was taken apart just before"
)]
pub(super) fn paste<S: Sample, D: Sample>(
    plan: &ReadPlan,
    pixels: &[S],
    missing: Missing<S>,
    marks: Option<&[u8]>,
    (row_shift, col_shift): (i64, i64),
    origin: (usize, usize),
    valid: &mut Vec<u8>,
    mosaic: &mut Mosaic<'_, D>,
) -> Result<()> {
    let ReadPlan { src, dst } = plan;
    let n_cols = dst.cols.len();
    let start = |row: usize| {
        let row = shifted(row, row_shift)?.checked_sub(src.rows.start)?;
        let col = shifted(dst.cols.start, col_shift)?.checked_sub(src.cols.start)?;
        Some(row * src.cols.len() + col)
    };
    valid.resize(n_cols, 1);
    for row in dst.rows.clone() {
        if !RowSink::<S>::wants(mosaic, row - origin.0) {
            continue;
        }
        let Some((at, values)) = start(row).and_then(|at| Some((at, pixels.get(at..at + n_cols)?)))
        else {
            return Err(Error::Internal(
                "a paste is not where it was planned".into(),
            ));
        };
        let valid = match (marks, missing) {
            (Some(marks), _) => {
                for (valid, &mark) in valid.iter_mut().zip(&marks[at..at + n_cols]) {
                    *valid = 1 - mark;
                }
                Some(&valid[..])
            }
            (None, Missing::Never) => None,
            (None, _) => {
                valid.fill(1);
                missing.clear(values, valid);
                Some(&valid[..])
            }
        };
        mosaic.put(row - origin.0, dst.cols.start - origin.1, values, valid);
    }
    Ok(())
}

/// A pixel's place after a shift; `None` where there is none.
fn shifted(at: usize, by: i64) -> Option<usize> {
    i64::try_from(at)
        .ok()?
        .checked_add(by)
        .and_then(|at| usize::try_from(at).ok())
}

/// A warp of a part whose pixels are in the working type.
struct Job<'a> {
    part: &'a Part<'a>,
    marks: Option<&'a [u8]>,
    origin: (usize, usize),
}

impl Job<'_> {
    fn run<W: Sample, D: Sample>(
        &self,
        pixels: &[W],
        scratch: &mut WarpScratch,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let (prepared, plan) = (self.part.prepared(), &self.part.plan);
        let map = prepared.map(&plan.dst)?;
        Warp {
            src: SourceWindow::new(pixels, self.marks, &plan.src, prepared.level_shape()),
            kernel: prepared.kernel,
            dst: &plan.dst,
            origin: self.origin,
        }
        .run(&map, scratch, mosaic)
    }
}

/// Adds the pixels that a mask calls invalid (0) to `marks`.
fn add_mask(mask: &PixelBuffer, marks: &mut Vec<u8>, any_missing: bool) -> Result<bool> {
    if !any_missing {
        marks.clear();
        marks.resize(mask.shape().pixels(), 0);
    }
    let mut any = any_missing;
    with_pixel_type!(
        mask.dtype(),
        M => {
            let zero = <M as bytemuck::Zeroable>::zeroed();
            for (mark, &valid) in marks.iter_mut().zip(mask.as_slice::<M>().unwrap_or(&[])) {
                let is_missing = valid == zero;
                *mark |= u8::from(is_missing);
                any |= is_missing;
            }
            Ok(any)
        },
        otherwise Err(Error::Internal("a mask of complex pixels".into()))
    )
}
