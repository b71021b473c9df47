//! Chunk tasks to pixels: headers and blocks are fetched, then decoded, warped
//! and fused.
//!
//! [`Loader::fetch`] waits for IO, for all members of the plane at once, and
//! computes next to nothing; [`Loader::decode`] computes and waits for nothing,
//! so it belongs on a thread for CPU work. In between travels [`Fetched`].
//!
//! A loader holds what outlives a chunk: open headers, decoded blocks at the
//! seams, the geometry between grids, and scratch memory. It is meant to be
//! shared by everything that one process loads.

mod decode;
mod locations;
mod prepare;
mod put;
mod regrid;
mod working;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::PixelWindow;
use futures::StreamExt;
use futures::stream;
use parking_lot::Mutex;

use crate::archive::{Archive, SceneFile};
use crate::error::{Error, Result};
use crate::open::{Rasters, RastersOptions};
use crate::plan::{ChunkTask, ReadPlan};
use crate::reader::{Blocks, MaskKind, RasterReader, ReadCost};
use crate::store::{StoreRegistry, StoreStats};
use decode::Scratch;
use locations::FailedLocations;
use prepare::{Prepared, PreparedCache};
pub use regrid::{Regrid, RegridSpec};

/// Opens rasters by URI.
///
/// # Contract
///
/// Opening the same URI again is cheap: implementations keep headers. Errors
/// name the URI.
#[async_trait]
pub trait RasterOpener: fmt::Debug + Send + Sync {
    /// Opens the raster at `uri`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unsupported`], [`Error::Unreadable`],
    /// [`Error::Store`].
    async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>>;

    /// Opens the raster at `uri`, whose address is signed by the signer of that
    /// name each time it is read.
    ///
    /// # Errors
    /// As [`RasterOpener::open`]; [`Error::Unsupported`] where nothing signs.
    async fn open_signed(&self, uri: &str, signer: &str) -> Result<Arc<dyn RasterReader>> {
        Err(Error::unsupported_in(
            uri,
            format!("signing by `{signer}`"),
            "addresses that are read as they are",
        ))
    }
}

#[async_trait]
impl RasterOpener for Rasters {
    async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        Rasters::open(self, uri).await
    }

    async fn open_signed(&self, uri: &str, signer: &str) -> Result<Arc<dyn RasterReader>> {
        Rasters::open_signed(self, uri, signer).await
    }
}

/// What a [`Loader`] may do and keep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoaderOptions {
    /// How many members of one chunk are fetched at the same time. Default 16.
    pub concurrent_reads: usize,
    /// The stores; default one of its own, set up by the environment.
    pub stores: StoreRegistry,
    /// How much memory headers and blocks may take.
    pub rasters: RastersOptions,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        LoaderOptions {
            concurrent_reads: 16,
            stores: StoreRegistry::default(),
            rasters: RastersOptions::default(),
        }
    }
}

impl LoaderOptions {
    /// Sets how many members of one chunk are fetched at the same time.
    #[must_use]
    pub fn concurrent_reads(mut self, concurrent_reads: usize) -> Self {
        self.concurrent_reads = concurrent_reads;
        self
    }

    /// Sets the stores.
    #[must_use]
    pub fn stores(mut self, stores: StoreRegistry) -> Self {
        self.stores = stores;
        self
    }

    /// Sets how much memory headers and blocks may take.
    #[must_use]
    pub fn rasters(mut self, rasters: RastersOptions) -> Self {
        self.rasters = rasters;
        self
    }
}

/// Turns chunk tasks into pixels.
pub struct Loader {
    opener: Arc<dyn RasterOpener>,
    stores: StoreRegistry,
    concurrent_reads: usize,
    prepared: PreparedCache,
    failed: FailedLocations,
    scratch: Mutex<Vec<Scratch>>,
}

impl Loader {
    /// A loader over the stores of `options`.
    pub fn new(options: LoaderOptions) -> Self {
        let rasters = Rasters::new(options.stores.clone(), &options.rasters);
        Loader::with_opener(Arc::new(rasters), options)
    }

    /// A loader that opens rasters through `opener`; the stores of `options`
    /// are not used.
    pub fn with_opener(opener: Arc<dyn RasterOpener>, options: LoaderOptions) -> Self {
        Loader {
            opener,
            stores: options.stores,
            concurrent_reads: options.concurrent_reads.max(1),
            prepared: PreparedCache::default(),
            failed: FailedLocations::default(),
            scratch: Mutex::default(),
        }
    }

    /// Opens the raster at `uri`.
    ///
    /// # Errors
    /// As [`RasterOpener::open`].
    pub async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        self.opener.open(uri).await
    }

    /// The stores that are read.
    pub fn stores(&self) -> &StoreRegistry {
        &self.stores
    }

    /// What was asked of the stores until now, by host.
    pub fn store_stats(&self) -> StoreStats {
        self.stores.stats()
    }

    /// Fetches what `task` needs: headers that are not known yet, and blocks.
    ///
    /// Several members are fetched at once. Nothing is decoded. A file that is in
    /// several places is read from the first that works; a place that failed is tried
    /// last from then on.
    ///
    /// # Errors
    /// The first member's that fails, with the dataset, measurement and chunk,
    /// unless the archive skips broken sources and the fault is the source's;
    /// [`Error::Catalog`].
    pub async fn fetch(&self, archive: &Archive, task: &ChunkTask) -> Result<Fetched> {
        archive.params(task)?;
        let files = archive.task_files(task).await?;
        // Collected first: a closure that borrows its argument inside the stream
        // would keep this future from being `Send` in other crates.
        let reads: Vec<_> = files
            .into_iter()
            .map(|file| self.fetch_member(archive, task, file))
            .collect();
        let members = stream::iter(reads)
            .buffered(self.concurrent_reads)
            .collect::<Vec<_>>()
            .await;
        let mut fetched = Fetched {
            members: Vec::with_capacity(members.len()),
            cost: ReadCost::default(),
        };
        for member in members {
            let (member, open_cost) = member?;
            fetched.cost += open_cost;
            if let Member::Ready(ready) = &member {
                fetched.cost += ready.blocks.cost();
                if let Some(mask) = &ready.mask {
                    fetched.cost += mask.cost();
                }
            }
            fetched.members.push(member);
        }
        Ok(fetched)
    }

    /// One member's blocks; a fault of the source is a member to be skipped,
    /// where that is wanted.
    async fn fetch_member(
        &self,
        archive: &Archive,
        task: &ChunkTask,
        file: Option<(SceneFile, PixelWindow)>,
    ) -> Result<(Member, ReadCost)> {
        let Some((file, window)) = file else {
            return Ok((Member::Apart, ReadCost::default()));
        };
        let read = |uri| self.fetch_file(archive, task, &file, uri, &window);
        match self.failed.first(&file, read).await {
            Err(error) if archive.skips_broken() && error.is_source_fault() => {
                Ok((Member::Broken { file, error }, ReadCost::default()))
            }
            other => other.map_err(|error| task.add_place(archive, &file.label, error)),
        }
    }

    /// What `window` needs of a file at one of its locations.
    async fn fetch_file(
        &self,
        archive: &Archive,
        task: &ChunkTask,
        source: &SceneFile,
        uri: &str,
        window: &PixelWindow,
    ) -> Result<(Member, ReadCost)> {
        let params = archive.params(task)?;
        let reader = match archive.signer() {
            Some(signer) => self.opener.open_signed(uri, signer).await?,
            None => self.opener.open(uri).await?,
        };
        let open_cost = reader.take_open_cost();
        let prepared = self
            .prepared
            .get(reader.info(), source, params, archive.geobox())?;
        let Some(plan) = prepared.read(window)? else {
            return Ok((Member::Apart, open_cost));
        };
        let level = prepared.plan.level;
        let blocks = reader.fetch(level, source.band, plan.src.clone());
        let mask = async {
            // Nodata, where there is one, already says what is missing.
            if prepared.plan.nodata.is_some() {
                return Ok(None);
            }
            match reader.info().mask {
                MaskKind::None => Ok(None),
                MaskKind::Internal | MaskKind::Sidecar => {
                    reader
                        .fetch_mask(level, source.band, plan.src.clone())
                        .await
                }
                MaskKind::Alpha(band) if band == source.band => Ok(None),
                MaskKind::Alpha(band) => {
                    reader.fetch(level, band, plan.src.clone()).await.map(Some)
                }
            }
        };
        let (blocks, mask) = futures::try_join!(blocks, mask)?;
        let ready = Ready {
            file: source.clone(),
            reader,
            prepared,
            plan,
            blocks,
            mask,
        };
        Ok((Member::Ready(Box::new(ready)), open_cost))
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("opener", &self.opener)
            .field("concurrent_reads", &self.concurrent_reads)
            .finish_non_exhaustive()
    }
}

/// What was fetched for one task, on its way to [`Loader::decode`].
#[derive(Debug)]
pub struct Fetched {
    /// As many as the task has reads, in their order.
    members: Vec<Member>,
    cost: ReadCost,
}

impl Fetched {
    /// Bytes that came over the wire.
    pub fn bytes(&self) -> u64 {
        self.cost.bytes
    }

    /// Requests that were made.
    pub fn requests(&self) -> u64 {
        self.cost.requests
    }

    /// Bytes of memory that are kept alive.
    pub fn memory_bytes(&self) -> u64 {
        let bytes = self.members.iter().map(|member| match member {
            Member::Ready(ready) => {
                let mask = ready.mask.as_ref().map_or(0, Blocks::memory_bytes);
                ready.blocks.memory_bytes() + mask
            }
            _ => 0,
        });
        bytes.sum()
    }
}

/// One member of a task after fetching.
#[derive(Debug)]
enum Member {
    /// It has no pixel of the chunk, as its header shows.
    Apart,
    /// It cannot be read, and is to be left out.
    Broken {
        file: SceneFile,
        error: Error,
    },
    Ready(Box<Ready>),
}

/// A member whose blocks are there.
#[derive(Debug)]
struct Ready {
    file: SceneFile,
    reader: Arc<dyn RasterReader>,
    prepared: Arc<Prepared>,
    plan: ReadPlan,
    blocks: Blocks,
    /// What is valid, where the file stores it beside the pixels.
    mask: Option<Blocks>,
}

/// What loading a chunk took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadStats {
    /// Bytes that came over the wire.
    pub bytes: u64,
    /// Requests that were made.
    pub requests: u64,
    /// Blocks that were in a cache already.
    pub cached_blocks: u64,
    /// Sources whose pixels were copied as they are.
    pub pasted: u64,
    /// Sources whose pixels were resampled.
    pub warped: u64,
    /// Sources that were fetched and not needed, because those before them had
    /// every pixel.
    pub unread: u64,
    /// Sources that could not be read and were left out.
    pub skipped: Vec<Skipped>,
}

impl ReadStats {
    /// Adds what another chunk took.
    pub fn merge(&mut self, other: ReadStats) {
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.cached_blocks += other.cached_blocks;
        self.pasted += other.pasted;
        self.warped += other.warped;
        self.unread += other.unread;
        self.skipped.extend(other.skipped);
    }
}

/// A source that could not be read and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The file.
    pub uri: String,
    /// What the source is called: the dataset's id.
    pub label: String,
    /// The measurement.
    pub measurement: String,
    /// What went wrong.
    pub reason: String,
}
