//! Putting an archive together, and what makes it sound.

use std::sync::Arc;

use datacube_geo::GeoBox;

use super::catalog::SceneCatalog;
use super::stock::Stock;
use super::{Archive, Scene, place};
use crate::error::{Error, Result};
use crate::params::BandParams;

/// Puts an [`Archive`] together.
#[derive(Debug)]
pub struct ArchiveBuilder {
    pub(super) geobox: GeoBox,
    pub(super) bands: Vec<BandParams>,
    pub(super) scenes: Vec<Scene>,
    pub(super) catalog: Option<Arc<dyn SceneCatalog>>,
    pub(super) planes: Vec<Vec<u32>>,
    pub(super) skip_broken: bool,
    pub(super) signer: Option<String>,
}

impl ArchiveBuilder {
    /// The output grid.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// Leaves out sources that cannot be read and reports them, or fails the
    /// chunk that needs them; default: fails.
    pub fn skip_broken(&mut self, skip: bool) -> &mut Self {
        self.skip_broken = skip;
        self
    }

    /// Has addresses signed, as they are read, by the signer of that name, see
    /// [`crate::StoreRegistry::register_signer`]; default: read as they are.
    pub fn signer(&mut self, name: Option<String>) -> &mut Self {
        self.signer = name;
        self
    }

    /// Adds a measurement and returns its place.
    pub fn band(&mut self, params: BandParams) -> usize {
        self.bands.push(params);
        self.bands.len() - 1
    }

    /// Adds a scene and returns its place, to be named in planes.
    pub fn scene(&mut self, scene: Scene) -> u32 {
        self.scenes.push(scene);
        u32::try_from(self.scenes.len() - 1).unwrap_or(u32::MAX)
    }

    /// Has the files of scenes asked of `catalog` when a chunk needs them; scenes
    /// are then added without any, numbered as the catalog knows them.
    pub fn catalog(&mut self, catalog: Arc<dyn SceneCatalog>) -> &mut Self {
        self.catalog = Some(catalog);
        self
    }

    /// Adds a plane made of these scenes, the first one on top, and returns its
    /// place.
    pub fn plane(&mut self, members: impl IntoIterator<Item = u32>) -> usize {
        self.planes.push(members.into_iter().collect());
        self.planes.len() - 1
    }

    /// The archive.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where a scene has not one entry for each band, or
    /// has any although a catalog knows the files, or a plane names a scene that is not there; [`Error::Unsupported`] for a
    /// resampling or type that is not built.
    pub fn build(self) -> Result<Archive> {
        let ArchiveBuilder {
            geobox,
            bands,
            scenes,
            catalog,
            planes,
            skip_broken,
            signer,
        } = self;
        bands.iter().try_for_each(BandParams::check)?;
        if u32::try_from(scenes.len()).is_err() {
            return Err(Error::invalid(
                "an archive can have no more than 4294967295 scenes",
            ));
        }
        let n_files = if catalog.is_some() { 0 } else { bands.len() };
        if let Some(at) = scenes
            .iter()
            .position(|scene| scene.sources.len() != n_files)
        {
            if catalog.is_some() {
                return Err(Error::invalid(format!(
                    "scene {at} has sources, and those of this archive are asked of a catalog; \
                     give none"
                )));
            }
            return Err(Error::invalid(format!(
                "scene {at} has {} sources and the archive {} bands; give one entry for each band",
                scenes[at].sources.len(),
                bands.len()
            )));
        }
        for (plane, members) in planes.iter().enumerate() {
            if let Some(scene) = members.iter().find(|&&scene| place(scene) >= scenes.len()) {
                return Err(Error::invalid(format!(
                    "plane {plane} has scene {scene}, and there are only {}",
                    scenes.len()
                )));
            }
        }
        Ok(Archive {
            columns: (0..bands.len()).collect(),
            stock: Arc::new(Stock::new(geobox.clone(), scenes, catalog, planes)),
            geobox,
            bands,
            skip_broken,
            signer,
        })
    }
}
