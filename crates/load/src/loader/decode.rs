//! Fetched blocks to the pixels of one chunk. CPU only.
//!
//! Members are taken in fuse order. Where the first valid pixel wins they go into
//! one image, each only where a pixel is still wanted; any other fuse function is
//! given an image of each.

use std::sync::Arc;

use bytemuck::Pod;
use datacube_geo::PixelWindow;
use datacube_model::DType;

use super::put::{Part, SourceScratch};
use super::{Fetched, Loader, Member, ReadStats, Ready, Skipped};
use crate::archive::Archive;
use crate::buffer::fill_bytes;
use crate::error::{Error, Result};
use crate::fuse::{Collision, Mosaic};
use crate::fusers::{Fuser, Window};
use crate::params::BandParams;
use crate::plan::ChunkTask;
use crate::source::RasterSource;
use crate::warp::Sample;
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
            D => typed::<D>(out).and_then(|out| {
                Chunk::new(archive, task, params, &fetched).decode::<D>(out, &mut scratch)
            }),
            otherwise Err(Error::Internal("an archive was built with a complex measurement".into()))
        );
        self.scratch.lock().push(scratch);
        if params.dtype == DType::Bool {
            out.iter_mut()
                .for_each(|pixel| *pixel = u8::from(*pixel != 0));
        }
        stats
    }
}

/// A chunk that is being made, and the report of what it took.
struct Chunk<'a> {
    archive: &'a Archive,
    task: &'a ChunkTask,
    params: &'a BandParams,
    fetched: &'a Fetched,
    collision: Collision,
    stats: ReadStats,
}

impl<'a> Chunk<'a> {
    fn new(
        archive: &'a Archive,
        task: &'a ChunkTask,
        params: &'a BandParams,
        fetched: &'a Fetched,
    ) -> Self {
        Chunk {
            archive,
            task,
            params,
            fetched,
            collision: Collision::of(params.resampling),
            stats: ReadStats {
                bytes: fetched.cost.bytes,
                requests: fetched.cost.requests,
                cached_blocks: fetched.cost.cached_blocks,
                ..ReadStats::default()
            },
        }
    }

    fn decode<D: Sample>(mut self, out: &mut [D], scratch: &mut Scratch) -> Result<ReadStats> {
        let fuser = self.params.fuser()?;
        let members = self.members();
        if fuser.is_first_valid() || members.len() <= 1 {
            self.mosaic(&members, out, scratch)?;
        } else {
            self.overlay(&members, &fuser, out, scratch)?;
        }
        Ok(self.stats)
    }

    /// The members that have pixels, in fuse order; those that are broken are
    /// reported.
    fn members(&mut self) -> Vec<&'a Ready> {
        let mut ready = Vec::with_capacity(self.fetched.members.len());
        for member in &self.fetched.members {
            match member {
                Member::Apart => {}
                Member::Broken { file, error } => {
                    self.stats.skipped.push(self.skipped(file, error));
                }
                Member::Ready(member) => ready.push(&**member),
            }
        }
        ready
    }

    /// The report of a source that is left out.
    fn skipped(&self, source: &RasterSource, error: &Error) -> Skipped {
        Skipped {
            uri: source.uri.clone(),
            label: source.label.clone(),
            measurement: self.params.name.clone(),
            reason: error.to_string(),
        }
    }

    /// Takes what came of a member; whether its pixels are there.
    fn book(&mut self, member: &Ready, result: Result<()>) -> Result<bool> {
        match result {
            Ok(()) if member.prepared.plan.is_paste() => self.stats.pasted += 1,
            Ok(()) => self.stats.warped += 1,
            Err(error) if self.archive.skips_broken() && error.is_source_fault() => {
                self.stats.skipped.push(self.skipped(&member.file, &error));
                return Ok(false);
            }
            Err(error) => {
                let label = &member.file.label;
                return Err(self.task.add_place(self.archive, label, error));
            }
        }
        Ok(true)
    }

    /// The first member to have a pixel gives it; later ones are read only where
    /// pixels are still wanted.
    fn mosaic<D: Sample>(
        &mut self,
        members: &[&Ready],
        out: &mut [D],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let task = self.task;
        let FuseScratch { given, wanted } = &mut scratch.fuse;
        let n_cols = task.window.cols.len();
        let nodata = self.params.nodata;
        let mut mosaic = Mosaic::new(out, n_cols, nodata, self.collision, given, wanted);
        for (at, member) in members.iter().enumerate() {
            mosaic.next_member(at == 0, at + 1 == members.len());
            // Only the rows in which a pixel is still wanted.
            let wanted = mosaic.wanted_rows();
            let rows = wanted.start + task.window.rows.start..wanted.end + task.window.rows.start;
            let rest = PixelWindow::new(rows, task.window.cols.clone()).intersect(&member.plan.dst);
            if rest.is_empty() {
                self.stats.unread += 1;
                continue;
            }
            let plan = if rest == member.plan.dst {
                Some(member.plan.clone())
            } else {
                let plan = member.prepared.read(&rest);
                plan.map_err(|error| task.add_place(self.archive, &member.file.label, error))?
            };
            let Some(mut plan) = plan else { continue };
            // Planned with some slack; what is needed of the part was fetched.
            plan.src = plan.src.intersect(member.blocks.window());
            let part = Part::new(member, plan, self.params);
            let result = part.put(&mut scratch.source, task, &mut mosaic);
            self.book(member, result)?;
        }
        Ok(())
    }

    /// Makes each member into an image and has `fuser` lay them over each other
    /// in order, each where the member is.
    ///
    /// # Source
    /// datacube-core, `datacube/storage/_load.py` (`reproject_and_fuse`).
    fn overlay<D: Sample>(
        &mut self,
        members: &[&Ready],
        fuser: &Fuser,
        out: &mut [D],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (task, params) = (self.task, self.params);
        let fill = params.fill();
        let n_cols = task.window.cols.len();
        let mut image = vec![<D as bytemuck::Zeroable>::zeroed(); out.len()];
        for member in members {
            fill_bytes(params.dtype, bytemuck::cast_slice_mut(&mut image), fill)?;
            let FuseScratch { given, wanted } = &mut scratch.fuse;
            let nodata = params.nodata;
            let mut mosaic = Mosaic::new(
                &mut image[..],
                n_cols,
                nodata,
                self.collision,
                given,
                wanted,
            );
            mosaic.next_member(true, true);
            let part = Part::new(member, member.plan.clone(), params);
            let result = part.put(&mut scratch.source, task, &mut mosaic);
            if self.book(member, result)? {
                let part = member.plan.dst.relative_to(&task.window);
                fuser.plane(out, &image, &Window { n_cols, part }, fill);
            }
        }
        Ok(())
    }
}

/// `bytes` as pixels.
pub(super) fn typed<T: Pod>(bytes: &mut [u8]) -> Result<&mut [T]> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| {
        Error::invalid(format!(
            "the output is not aligned to {} bytes, the size of its pixels",
            size_of::<T>()
        ))
    })
}

/// Never called; keeps what crosses threads so.
#[allow(dead_code, reason = "a check by the compiler")]
fn crosses_threads() {
    fn check<T: Send + Sync>() {}
    check::<Arc<Loader>>();
    check::<Fetched>();
}
