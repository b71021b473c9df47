//! Masks in a file beside the raster: `scene.tif.msk`.
//!
//! GDAL writes them where it may not or was told not to write into the file: a
//! TIFF of bytes, 0 where a pixel is missing, with one band for all bands of the
//! raster or one for each, and overviews of its own. They are looked for beside
//! files of this machine only: in a store every raster would cost a request more,
//! mostly to learn that there is nothing.

use std::path::Path;
use std::sync::Arc;

use super::file::TiffFile;
use super::header_cache::HeaderCache;
use crate::error::{Error, Result};
use crate::reader::{MaskKind, RasterInfo};
use crate::store::Location;

/// The mask beside a raster.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) file: Arc<TiffFile>,
    /// What the raster says of itself, with the mask.
    pub(super) info: RasterInfo,
}

impl Sidecar {
    /// Where the mask of the raster at `location` is; `None` where there is none.
    pub(super) fn location(location: &Location) -> Option<Location> {
        let beside = location.with_suffix(".msk")?;
        Path::new(beside.key()).is_file().then_some(beside)
    }

    /// Opens the mask of `raster`; `None` where the raster has one inside, which
    /// goes before it, as in GDAL.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a mask that does not fit its raster, and for a
    /// broken one: pixels that it calls missing would pass for valid without it.
    ///
    /// # Source
    /// GDAL, `GDALDefaultOverviews::HaveMaskFile`.
    pub(super) async fn open(
        raster: &TiffFile,
        location: Location,
        headers: &HeaderCache,
    ) -> Result<Option<Sidecar>> {
        if raster.info().mask == MaskKind::Internal {
            return Ok(None);
        }
        let file = headers.open(location).await?;
        let (mask, of) = (file.info(), raster.info());
        let n_masks = mask.bands.len();
        if mask.shape != of.shape || (n_masks != 1 && n_masks != of.bands.len()) {
            return Err(Error::unreadable(
                &mask.uri,
                "header",
                format!(
                    "it is beside a raster of {} x {} pixels and {} bands, and has {} x {} pixels \
                     and {n_masks} bands; if it is not the raster's mask, give it another name",
                    of.shape.rows,
                    of.shape.cols,
                    of.bands.len(),
                    mask.shape.rows,
                    mask.shape.cols,
                ),
            ));
        }
        let mut info = of.clone();
        info.mask = MaskKind::Sidecar;
        for level in &mut info.levels {
            level.has_mask = file.image_of_shape(level.shape).is_some();
        }
        Ok(Some(Sidecar { file, info }))
    }

    /// Which of its bands is the mask of `band`, both counted from 1.
    pub(super) fn sample_of(&self, band: u32) -> u32 {
        if self.file.info().bands.len() == 1 {
            1
        } else {
            band
        }
    }
}
