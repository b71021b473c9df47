//! Files beside a raster: its mask, `scene.tif.msk`, and its overviews,
//! `scene.tif.ovr`.
//!
//! GDAL writes them where it may not or was told not to write into the file. A mask
//! is a TIFF of bytes, 0 where a pixel is missing, with one band for all bands of
//! the raster or one for each, and overviews of its own. Overviews are a TIFF whose
//! first image is the finest of them. What is inside a raster goes before what is
//! beside it.
//!
//! Beside files of this machine they are always looked for. In a store every raster
//! would cost two requests more, mostly to learn that there is nothing, so there it
//! is done where [`crate::StoreOptions::siblings`] asks for it, once for each raster.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datacube_geo::Shape2d;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::file::{FileId, TiffFile, is_reduced};
use super::header_cache::HeaderCache;
use super::image::Image;
use super::lru::ByteLru;
use crate::error::{Error, Result};
use crate::reader::{MaskKind, RasterInfo, ReadCost};

/// Bytes of what is known of rasters in stores.
const LIMIT: u64 = 4 << 20;
/// What one takes, roughly.
const WEIGHT: u64 = 1 << 10;

/// What lies beside a raster.
#[derive(Debug)]
pub(super) struct Beside {
    mask: Option<Arc<TiffFile>>,
    overviews: Option<Arc<TiffFile>>,
    /// What the raster says of itself, with these.
    pub(super) info: RasterInfo,
    /// Requests that found nothing, until somebody has accounted for them.
    vain: AtomicU64,
}

type Slot = Arc<OnceCell<Arc<Beside>>>;

/// What was found beside rasters in stores.
#[derive(Debug)]
pub(super) struct BesideCache {
    found: Mutex<ByteLru<FileId, Slot>>,
}

impl Default for BesideCache {
    fn default() -> Self {
        BesideCache {
            found: Mutex::new(ByteLru::new(LIMIT)),
        }
    }
}

impl BesideCache {
    /// What lies beside `raster`; `None` where nothing does or nobody looks.
    pub(super) async fn find(
        &self,
        raster: &TiffFile,
        headers: &HeaderCache,
    ) -> Result<Option<Arc<Beside>>> {
        let location = raster.location();
        if location.is_local() {
            let found = Beside::look(raster, headers).await?;
            return Ok(found.is_any().then(|| Arc::new(found)));
        }
        if !location.wants_siblings() {
            return Ok(None);
        }
        let slot = {
            let mut found = self.found.lock();
            match found.get(&raster.id()) {
                Some(slot) => Arc::clone(slot),
                None => {
                    let slot = Slot::default();
                    found.insert(raster.id(), Arc::clone(&slot), WEIGHT);
                    slot
                }
            }
        };
        let found = slot
            .get_or_try_init(|| async { Beside::look(raster, headers).await.map(Arc::new) })
            .await?;
        Ok(Some(Arc::clone(found)))
    }
}

impl Beside {
    /// Looks for a mask and overviews where the raster has none inside.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a file that does not fit its raster, and for a
    /// broken one: pixels that a mask calls missing would pass for valid without it.
    ///
    /// # Source
    /// GDAL, `GDALDefaultOverviews::OverviewScan` and `HaveMaskFile`.
    async fn look(raster: &TiffFile, headers: &HeaderCache) -> Result<Beside> {
        let of = raster.info();
        let mut beside = Beside {
            mask: None,
            overviews: None,
            info: of.clone(),
            vain: AtomicU64::new(0),
        };
        if of.levels.len() == 1
            && let Some(file) = beside.open(raster, ".ovr", headers).await?
        {
            let fits = file
                .image(0)
                .zip(raster.image(0))
                .is_some_and(|(reduced, full)| is_reduced(full, reduced));
            if !fits {
                return Err(misfit(&file, of, "overviews"));
            }
            beside
                .info
                .levels
                .extend(file.info().levels.iter().cloned());
            beside.overviews = Some(file);
        }
        if of.mask != MaskKind::Internal
            && let Some(file) = beside.open(raster, ".msk", headers).await?
        {
            let mask = file.info();
            let n_masks = mask.bands.len();
            if mask.shape != of.shape || (n_masks != 1 && n_masks != of.bands.len()) {
                return Err(misfit(&file, of, "mask"));
            }
            beside.info.mask = MaskKind::Sidecar;
            for level in &mut beside.info.levels {
                level.has_mask = file.image_of_shape(level.shape).is_some();
            }
            beside.mask = Some(file);
        }
        Ok(beside)
    }

    /// Opens the file beside `raster` whose name ends in `suffix`.
    async fn open(
        &self,
        raster: &TiffFile,
        suffix: &str,
        headers: &HeaderCache,
    ) -> Result<Option<Arc<TiffFile>>> {
        let Some(location) = raster.location().with_suffix(suffix) else {
            return Ok(None);
        };
        if location.is_local() {
            if !Path::new(location.key()).is_file() {
                return Ok(None);
            }
            return headers.open(location).await.map(Some);
        }
        match headers.open(location).await {
            Ok(file) => Ok(Some(file)),
            // A store that does not let names be listed refuses those that are not
            // there.
            Err(error) if error.is_not_found() || error.is_denied() => {
                self.vain.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_any(&self) -> bool {
        self.mask.is_some() || self.overviews.is_some()
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<TiffFile>> {
        self.mask.iter().chain(&self.overviews)
    }

    /// The image of a level, counted from 0 for the raster itself.
    pub(super) fn overview(&self, level: usize) -> Option<(&Arc<TiffFile>, &Image)> {
        let file = self.overviews.as_ref()?;
        Some((file, file.image(level.checked_sub(1)?)?))
    }

    /// The mask inside the overviews' file that goes with a level.
    pub(super) fn overview_mask(&self, level: usize) -> Option<(&Arc<TiffFile>, &Image)> {
        let file = self.overviews.as_ref()?;
        Some((file, file.mask(level.checked_sub(1)?)?))
    }

    /// Whether there is a mask.
    pub(super) fn has_mask(&self) -> bool {
        self.mask.is_some()
    }

    /// The mask of a band at a level of that shape, and which of the mask's bands it
    /// is; both counted from 1.
    pub(super) fn mask(&self, shape: Shape2d, band: u32) -> Option<(&Arc<TiffFile>, &Image, u32)> {
        let file = self.mask.as_ref()?;
        let sample = if file.info().bands.len() == 1 {
            1
        } else {
            band
        };
        Some((file, file.image_of_shape(shape)?, sample))
    }

    /// What looking took, for the first who asks.
    pub(super) fn take_cost(&self) -> ReadCost {
        let mut cost = ReadCost {
            requests: self.vain.swap(0, Ordering::Relaxed),
            ..ReadCost::default()
        };
        for file in self.files() {
            cost += file.take_open_cost();
        }
        cost
    }
}

fn misfit(file: &TiffFile, of: &RasterInfo, what: &str) -> Error {
    let info = file.info();
    Error::unreadable(
        &info.uri,
        "header",
        format!(
            "it is beside a raster of {} x {} pixels and {} bands, and has {} x {} pixels and \
             {} bands; if it is not the raster's {what}, give it another name",
            of.shape.rows,
            of.shape.cols,
            of.bands.len(),
            info.shape.rows,
            info.shape.cols,
            info.bands.len(),
        ),
    )
}
