//! Fetched blocks to the pixels of one chunk. CPU only.

use std::sync::Arc;

use bytemuck::Pod;
use datacube_geo::PixelWindow;
use datacube_model::DType;

use super::prepare::Prepared;
use super::working::{Working, converted_to, working_type};
use super::{Fetched, Loader, Member, ReadStats, Skipped};
use crate::archive::Archive;
use crate::buffer::{PixelBuffer, fill_bytes};
use crate::error::{Error, Result};
use crate::fuse::{Collision, Mosaic, RowSink};
use crate::fusers::Fuser;
use crate::nodata::Missing;
use crate::params::BandParams;
use crate::plan::{ChunkTask, ReadPlan};
use crate::reader::{Blocks, RasterReader};
use crate::warp::{Sample, SourceWindow, Warp, WarpScratch};
use crate::with_pixel_type;

/// Memory that decoding works in; kept by the loader from chunk to chunk.
#[derive(Default)]
pub(super) struct Scratch {
    fuse: FuseScratch,
    source: SourceScratch,
}

#[derive(Default)]
struct FuseScratch {
    given: Vec<u8>,
    wanted: Vec<usize>,
}

struct SourceScratch {
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
struct Part<'a> {
    reader: &'a dyn RasterReader,
    prepared: &'a Prepared,
    plan: ReadPlan,
    blocks: &'a Blocks,
    mask: Option<&'a Blocks>,
    /// Scale and offset, where they are applied.
    scaling: Option<(f64, f64)>,
}

impl Loader {
    /// Decodes, warps and fuses what was fetched for `task` into `out`.
    ///
    /// `out` becomes the chunk's pixels: `[rows, cols]` of the measurement's
    /// type, C order, native byte order. It has to have that size and be
    /// aligned to the type; what it holds before does not matter. Pixels that no
    /// source gives are the measurement's fill value.
    ///
    /// No IO: call it from a thread for CPU work.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an `out` that does not fit; those of a
    /// member that cannot be decoded, with the dataset, measurement and chunk,
    /// unless the loader skips broken sources and the fault is the source's.
    pub fn decode(
        &self,
        archive: &Archive,
        task: &ChunkTask,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats> {
        let params = archive.params(task)?;
        let n_bytes = task.window.pixels() * params.dtype.size();
        if out.len() != n_bytes {
            return Err(Error::invalid(format!(
                "the chunk {} of `{}` takes {n_bytes} bytes, and the output has {}",
                task.window,
                params.name,
                out.len()
            )));
        }
        if fetched.members.len() != task.reads.len() {
            return Err(Error::invalid("what was fetched is not of this task"));
        }
        fill_bytes(params.dtype, out, params.fill())?;
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let stats = with_pixel_type!(
            params.dtype,
            D => typed::<D>(out)
                .and_then(|out| self.decode_into::<D>(archive, task, params, &fetched, out, &mut scratch)),
            otherwise Err(Error::Internal("an archive was built with a complex measurement".into()))
        );
        self.scratch.lock().push(scratch);
        if params.dtype == DType::Bool {
            out.iter_mut()
                .for_each(|pixel| *pixel = u8::from(*pixel != 0));
        }
        stats
    }

    fn decode_into<D: Sample>(
        &self,
        archive: &Archive,
        task: &ChunkTask,
        params: &BandParams,
        fetched: &Fetched,
        out: &mut [D],
        scratch: &mut Scratch,
    ) -> Result<ReadStats> {
        let mut stats = ReadStats {
            bytes: fetched.cost.bytes,
            requests: fetched.cost.requests,
            cached_blocks: fetched.cost.cached_blocks,
            ..ReadStats::default()
        };
        let collision = if params.resampling.keeps_values() {
            Collision::Missing
        } else {
            Collision::Dodge
        };
        let n_ready = fetched
            .members
            .iter()
            .filter(|m| matches!(m, Member::Ready { .. }))
            .count();
        let fuser = params.fuser()?;
        if !fuser.is_first_valid() && n_ready > 1 {
            let how = Overlay {
                params,
                fuser: &fuser,
                collision,
            };
            self.overlay(archive, task, &how, fetched, out, scratch, &mut stats)?;
            return Ok(stats);
        }
        let FuseScratch { given, wanted } = &mut scratch.fuse;
        let mut mosaic = Mosaic::new(
            out,
            task.window.cols.len(),
            params.nodata,
            collision,
            given,
            wanted,
        );
        let mut n_done = 0;
        for (read, member) in task.reads.iter().zip(&fetched.members) {
            let (reader, prepared, plan, blocks, mask) = match member {
                Member::Apart => continue,
                Member::Broken(error) => {
                    stats.skipped.push(task.skipped(archive, read, error));
                    continue;
                }
                Member::Ready {
                    reader,
                    prepared,
                    plan,
                    blocks,
                    mask,
                } => (
                    reader.as_ref(),
                    prepared.as_ref(),
                    plan,
                    blocks,
                    mask.as_ref(),
                ),
            };
            mosaic.next_member(n_done == 0, n_done + 1 == n_ready);
            n_done += 1;
            // Only the rows in which a pixel is still wanted.
            let wanted = mosaic.wanted_rows();
            let rows = wanted.start + task.window.rows.start..wanted.end + task.window.rows.start;
            let rest = PixelWindow::new(rows, task.window.cols.clone()).intersect(&plan.dst);
            if rest.is_empty() {
                stats.unread += 1;
                continue;
            }
            let plan = if rest == plan.dst {
                Some(plan.clone())
            } else {
                prepared
                    .read(&rest)
                    .map_err(|error| task.add_place(archive, read, error))?
            };
            let Some(mut plan) = plan else { continue };
            // Planned with some slack; what is needed of the part was fetched.
            plan.src = plan.src.intersect(blocks.window());
            let part = Part {
                reader,
                prepared,
                plan,
                blocks,
                mask,
                scaling: scaling_of(reader, blocks, params),
            };
            match part.put(&mut scratch.source, task, &mut mosaic) {
                Ok(()) if prepared.plan.is_paste() => stats.pasted += 1,
                Ok(()) => stats.warped += 1,
                Err(error) if archive.skips_broken() && error.is_source_fault() => {
                    stats.skipped.push(task.skipped(archive, read, &error));
                }
                Err(error) => return Err(task.add_place(archive, read, error)),
            }
        }
        Ok(stats)
    }

    /// Makes each member into an image and lays them over each other in order.
    ///
    /// # Source
    /// datacube-core, `datacube/storage/_load.py` (`reproject_and_fuse`).
    #[allow(clippy::too_many_arguments, reason = "what `decode_into` has at hand")]
    fn overlay<D: Sample>(
        &self,
        archive: &Archive,
        task: &ChunkTask,
        how: &Overlay<'_>,
        fetched: &Fetched,
        out: &mut [D],
        scratch: &mut Scratch,
        stats: &mut ReadStats,
    ) -> Result<()> {
        let Overlay {
            params,
            fuser,
            collision,
        } = how;
        let fill = params.fill();
        let n_cols = task.window.cols.len();
        let mut image = vec![<D as bytemuck::Zeroable>::zeroed(); out.len()];
        for (read, member) in task.reads.iter().zip(&fetched.members) {
            let (reader, prepared, plan, blocks, mask) = match member {
                Member::Apart => continue,
                Member::Broken(error) => {
                    stats.skipped.push(task.skipped(archive, read, error));
                    continue;
                }
                Member::Ready {
                    reader,
                    prepared,
                    plan,
                    blocks,
                    mask,
                } => (
                    reader.as_ref(),
                    prepared.as_ref(),
                    plan,
                    blocks,
                    mask.as_ref(),
                ),
            };
            fill_bytes(params.dtype, bytemuck::cast_slice_mut(&mut image), fill)?;
            let FuseScratch { given, wanted } = &mut scratch.fuse;
            let mut mosaic = Mosaic::new(
                &mut image[..],
                n_cols,
                params.nodata,
                *collision,
                given,
                wanted,
            );
            mosaic.next_member(true, true);
            let part = Part {
                reader,
                prepared,
                plan: plan.clone(),
                blocks,
                mask,
                scaling: scaling_of(reader, blocks, params),
            };
            match part.put(&mut scratch.source, task, &mut mosaic) {
                Ok(()) if prepared.plan.is_paste() => stats.pasted += 1,
                Ok(()) => stats.warped += 1,
                Err(error) if archive.skips_broken() && error.is_source_fault() => {
                    stats.skipped.push(task.skipped(archive, read, &error));
                    continue;
                }
                Err(error) => return Err(task.add_place(archive, read, error)),
            }
            let part = plan.dst.relative_to(&task.window);
            for row in part.rows {
                let cols = row * n_cols + part.cols.start..row * n_cols + part.cols.end;
                fuser.row(&mut out[cols.clone()], &image[cols], fill);
            }
        }
        Ok(())
    }
}

/// What stored values are multiplied by and what is added, where they are.
fn scaling_of(
    reader: &dyn RasterReader,
    blocks: &Blocks,
    params: &BandParams,
) -> Option<(f64, f64)> {
    let band = reader.info().band(blocks.band()?).ok()?;
    params.scaling.of(band)
}

/// How images of members are laid over each other.
struct Overlay<'a> {
    params: &'a BandParams,
    fuser: &'a Fuser,
    collision: Collision,
}

impl Part<'_> {
    /// Decodes the source window and gives its rows to `mosaic`.
    ///
    /// An error leaves the mosaic as it was: everything that can fail comes
    /// before the first row.
    fn put<D: Sample>(
        &self,
        scratch: &mut SourceScratch,
        task: &ChunkTask,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let mut pixels = std::mem::replace(&mut scratch.pixels, PixelBuffer::empty(DType::UInt8));
        let result = self
            .reader
            .decode(self.blocks, self.plan.src.clone(), &mut pixels)
            .and_then(|()| {
                if let Some(mask) = self.mask {
                    self.reader
                        .decode(mask, self.plan.src.clone(), &mut scratch.mask)?;
                }
                with_pixel_type!(
                    pixels.dtype(),
                    S => match pixels.as_slice::<S>() {
                        Some(pixels) => self.put_scaled::<S, D>(pixels, scratch, task, mosaic),
                        None => Err(Error::Internal("a buffer is not of its own type".into())),
                    },
                    otherwise Err(Error::unsupported_in(
                        &self.reader.info().uri,
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
        let missing = Missing::<S>::new(self.prepared.plan.nodata);
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
        let paste = self
            .prepared
            .plan
            .info
            .paste
            .as_ref()
            .map(|p| (p.offset.y, p.offset.x));
        // A paste looks at pixels when it copies them; everything else marks
        // the missing ones first.
        let mut any_missing = false;
        if paste.is_none() || self.mask.is_some() {
            any_missing = missing.mark(pixels, &mut scratch.marks);
        }
        if self.mask.is_some() {
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
        if let Some(shift) = paste {
            return self.paste(pixels, missing, marks, shift, origin, valid, mosaic);
        }
        let job = Job {
            part: self,
            marks,
            origin,
        };
        match working_type(
            S::DTYPE,
            D::DTYPE,
            self.prepared.plan.resampling.keeps_values(),
        ) {
            Working::Source => job.run(pixels, warp, mosaic),
            Working::Output => job.run(converted_to::<S, D>(pixels, converted)?, warp, mosaic),
            Working::Double => job.run(converted_to::<S, f64>(pixels, converted)?, warp, mosaic),
        }
    }

    /// Copies pixels, each to its place.
    #[allow(
        clippy::too_many_arguments,
        reason = "what was taken apart just before"
    )]
    fn paste<S: Sample, D: Sample>(
        &self,
        pixels: &[S],
        missing: Missing<S>,
        marks: Option<&[u8]>,
        (row_shift, col_shift): (i64, i64),
        origin: (usize, usize),
        valid: &mut Vec<u8>,
        mosaic: &mut Mosaic<'_, D>,
    ) -> Result<()> {
        let ReadPlan { src, dst } = &self.plan;
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
            let Some((at, values)) =
                start(row).and_then(|at| Some((at, pixels.get(at..at + n_cols)?)))
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
        let Part { prepared, plan, .. } = self.part;
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

/// `bytes` as pixels.
fn typed<T: Pod>(bytes: &mut [u8]) -> Result<&mut [T]> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| {
        Error::invalid(format!(
            "the output is not aligned to {} bytes, the size of its pixels",
            size_of::<T>()
        ))
    })
}

impl ChunkTask {
    /// The report of a source that is left out.
    fn skipped(&self, archive: &Archive, read: &crate::plan::SourceRead, error: &Error) -> Skipped {
        let source = archive.task_source(self, read).ok();
        Skipped {
            uri: source.map_or_else(String::new, |source| source.uri.clone()),
            label: source.map_or_else(String::new, |source| source.label.clone()),
            measurement: archive
                .params(self)
                .map_or_else(|_| String::new(), |p| p.name.clone()),
            reason: error.to_string(),
        }
    }
}

/// Never called; keeps what crosses threads so.
#[allow(dead_code, reason = "a check by the compiler")]
fn crosses_threads() {
    fn check<T: Send + Sync>() {}
    check::<Arc<Loader>>();
    check::<Fetched>();
}
