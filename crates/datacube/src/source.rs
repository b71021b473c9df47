//! One measurement of an archive as the lazy engine sees it.
//!
//! The only place where the loader meets the engine: a region of `[time, y, x]`
//! becomes one chunk task for each time step, fetched on the engine's IO threads
//! and decoded on its CPU threads.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use datacube_compute::{
    ChunkSource, Cost, Fetched, OtherCopy, ReadStats, Region, SourceCodec, SourceError,
};
use datacube_geo::PixelWindow;
use datacube_load::{Archive, ChunkTask, Loader};
use datacube_model::DType;
use futures::future::BoxFuture;
use futures::stream::StreamExt;
use tokio::runtime::Handle;

use crate::reproject::REGRID_KIND;

/// Key of this kind of source in a [`SourceCodec`].
pub const LOAD_SOURCE_KIND: &str = "datacube.load";

/// Time steps of one chunk that are fetched at once.
const CONCURRENT_STEPS: usize = 8;

/// One measurement of an archive: `[time, y, x]` on the archive's grid, or with an
/// extra dimension `[time, extra, y, x]`.
///
/// Pixels that no scene gives are the measurement's nodata. It travels without
/// its loader; on the other side [`source_codec`] gives it that process's own.
pub struct LoadSource {
    /// Holds exactly one band, or one for each coordinate of the extra dimension.
    archive: Arc<Archive>,
    loader: Arc<Loader>,
    /// `[time, y, x]` or `[time, extra, y, x]`.
    shape: Vec<usize>,
    encoded: OnceLock<Vec<u8>>,
    /// Sources that were left out and told of.
    warned: Mutex<HashSet<String>>,
}

impl LoadSource {
    /// The measurement at `band_idx` of `archive`, read through `loader`.
    ///
    /// # Errors
    /// [`datacube_load::Error::InvalidRequest`] for a band that is not there.
    pub fn new(
        archive: &Archive,
        band_idx: usize,
        loader: Arc<Loader>,
    ) -> datacube_load::Result<Self> {
        Ok(Self::from_bands(
            archive.select_bands(&[band_idx])?,
            false,
            loader,
        ))
    }

    /// A measurement whose extra dimension has a band of `archive` for each
    /// coordinate, all of one type; read through `loader`.
    ///
    /// # Errors
    /// [`datacube_load::Error::InvalidRequest`] for a band that is not there.
    pub fn with_extra_dimension(
        archive: &Archive,
        band_idxs: &[usize],
        loader: Arc<Loader>,
    ) -> datacube_load::Result<Self> {
        Ok(Self::from_bands(
            archive.select_bands(band_idxs)?,
            true,
            loader,
        ))
    }

    fn from_bands(archive: Archive, has_extra: bool, loader: Arc<Loader>) -> Self {
        let grid = archive.geobox().shape();
        let mut shape = vec![archive.n_planes()];
        if has_extra {
            shape.push(archive.bands().len());
        }
        shape.extend([grid.rows, grid.cols]);
        Self {
            archive: Arc::new(archive),
            loader,
            shape,
            encoded: OnceLock::new(),
            warned: Mutex::default(),
        }
    }

    /// Warns of a source that is left out, the first time that a chunk meets it.
    fn warn_once(&self, uri: &str, text: &str) {
        let mut warned = self
            .warned
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if warned.insert(uri.to_owned()) {
            tracing::warn!("left out {text}");
        }
    }

    fn has_extra(&self) -> bool {
        self.shape.len() == 4
    }

    /// The archive, of this one measurement.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// What has to be read for `region`, one task for each image, in C order.
    fn tasks(&self, region: &Region) -> Result<Vec<ChunkTask>, SourceError> {
        let (times, bands, rows, cols) = match region.ranges() {
            [times, rows, cols] if !self.has_extra() => (times, 0..1, rows, cols),
            [times, bands, rows, cols] if self.has_extra() => (times, bands.clone(), rows, cols),
            _ => {
                let dims = if self.has_extra() {
                    "[time, extra, y, x]"
                } else {
                    "[time, y, x]"
                };
                return Err(SourceError::message(format!("{region} is not {dims}")));
            }
        };
        let window = PixelWindow::new(rows.clone(), cols.clone());
        times
            .clone()
            .flat_map(|plane| bands.clone().map(move |band| (plane, band)))
            .map(|(plane, band)| {
                self.archive
                    .plan_chunk(band, plane, window.clone())
                    .map_err(source_error)
            })
            .collect()
    }
}

impl ChunkSource for LoadSource {
    fn kind(&self) -> &'static str {
        LOAD_SOURCE_KIND
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        if let Some(encoded) = self.encoded.get() {
            return Ok(encoded.clone());
        }
        let mut bytes = Vec::new();
        let parts = (self.has_extra(), &*self.archive);
        ciborium::into_writer(&parts, &mut bytes).map_err(SourceError::new)?;
        Ok(self.encoded.get_or_init(|| bytes).clone())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        self.archive.bands()[0].dtype
    }

    fn project(&self, region: &Region) -> Cost {
        // A region outside the array is refused when it is fetched.
        let tasks = self.tasks(region).unwrap_or_default();
        let mut cost = Cost::default();
        for task in &tasks {
            let estimate = self.archive.estimate(task);
            cost.read_bytes += estimate.read_bytes;
            cost.requests += estimate.requests;
            // Steps are decoded one after the other.
            cost.scratch_bytes = cost.scratch_bytes.max(estimate.scratch_bytes);
        }
        cost
    }

    fn fetch(&self, region: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        let tasks = self.tasks(region);
        let archive = self.archive.clone();
        let loader = self.loader.clone();
        Box::pin(fetch_steps(archive, loader, tasks))
    }

    fn decode(
        &self,
        _region: &Region,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError> {
        let steps: Vec<(ChunkTask, datacube_load::Fetched)> = fetched.take()?;
        let mut stats = ReadStats::default();
        if steps.is_empty() {
            return Ok(stats);
        }
        stats.decoded_bytes = out.len() as u64;
        let plane_bytes = out.len() / steps.len();
        if plane_bytes == 0 {
            return Ok(stats);
        }
        for ((task, fetched), plane) in steps.into_iter().zip(out.chunks_exact_mut(plane_bytes)) {
            let read = self
                .loader
                .decode(&self.archive, &task, fetched, plane)
                .map_err(source_error)?;
            for skipped in read.skipped {
                let text = format!(
                    "{} of dataset {} ({}): {}",
                    skipped.measurement, skipped.label, skipped.uri, skipped.reason
                );
                self.warn_once(&skipped.uri, &text);
                stats.skipped.push(text);
            }
        }
        Ok(stats)
    }

    fn describe(&self) -> String {
        let band = &self.archive.bands()[0];
        format!(
            "load {} {} from {} datasets, {}",
            band.name,
            band.dtype,
            self.archive.n_scenes(),
            band.resampling
        )
    }
}

/// Fetches the time steps of one chunk, some at once, in their order.
async fn fetch_steps(
    archive: Arc<Archive>,
    loader: Arc<Loader>,
    tasks: Result<Vec<ChunkTask>, SourceError>,
) -> Result<Fetched, SourceError> {
    if Handle::try_current().is_err() {
        // Polled by the runtime of another copy of this library, or by none.
        return Err(SourceError::new(OtherCopy { what: "the cube" }));
    }
    let mut steps = Vec::new();
    let (mut bytes, mut requests) = (0, 0);
    let mut pending = futures::stream::FuturesOrdered::new();
    let mut tasks = tasks?.into_iter();
    loop {
        while pending.len() < CONCURRENT_STEPS
            && let Some(task) = tasks.next()
        {
            let (archive, loader) = (archive.clone(), loader.clone());
            pending.push_back(async move {
                let fetched = loader.fetch(&archive, &task).await;
                fetched.map(|fetched| (task, fetched)).map_err(source_error)
            });
        }
        let Some(step) = pending.next().await else {
            break;
        };
        let step: (ChunkTask, datacube_load::Fetched) = step?;
        bytes += step.1.bytes();
        requests += step.1.requests();
        steps.push(step);
    }
    Ok(Fetched {
        bytes,
        requests,
        payload: Box::new(steps),
    })
}

impl fmt::Debug for LoadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadSource")
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

fn source_error(error: datacube_load::Error) -> SourceError {
    let (transient, not_found) = (error.is_transient(), error.is_not_found());
    SourceError::new(error)
        .transient(transient)
        .not_found(not_found)
}

/// Rebuilds loads in plans that came as bytes; they are read through `loader`.
pub fn source_codec(loader: Arc<Loader>) -> SourceCodec {
    let codec = SourceCodec::new().with_planes(REGRID_KIND, crate::reproject::decode);
    codec.with(LOAD_SOURCE_KIND, move |bytes| {
        let (has_extra, archive): (bool, Archive) =
            ciborium::from_reader(bytes).map_err(SourceError::new)?;
        let n_bands = archive.bands().len();
        if n_bands == 0 || (n_bands > 1 && !has_extra) {
            return Err(SourceError::message(format!(
                "a load of one measurement was expected, and it has {n_bands}"
            )));
        }
        Ok(Arc::new(LoadSource::from_bands(
            archive,
            has_extra,
            loader.clone(),
        )))
    })
}
