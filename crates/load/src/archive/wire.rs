//! The archive as bytes. What comes back is checked as if it were built anew.

use datacube_geo::GeoBox;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Archive, ArchiveBuilder, Scene};
use crate::params::BandParams;

/// The version of the serialised form; another one is refused.
const VERSION: u32 = 2;

#[derive(Serialize)]
struct ArchiveRef<'a> {
    version: u32,
    geobox: &'a GeoBox,
    bands: &'a [BandParams],
    scenes: OwnScenes<'a>,
    planes: &'a [Vec<u32>],
    skip_broken: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<&'a str>,
}

/// The scenes, with the files of the archive's own bands.
struct OwnScenes<'a>(&'a Archive);

impl Serialize for OwnScenes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.n_scenes()).map(|at| self.0.own_scene(at)))
    }
}

#[derive(Deserialize)]
struct ArchiveParts {
    version: u32,
    geobox: GeoBox,
    bands: Vec<BandParams>,
    scenes: Vec<Scene>,
    planes: Vec<Vec<u32>>,
    skip_broken: bool,
    #[serde(default)]
    signer: Option<String>,
}

impl Serialize for Archive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ArchiveRef {
            version: VERSION,
            geobox: &self.geobox,
            bands: &self.bands,
            scenes: OwnScenes(self),
            planes: self.stock.planes(),
            skip_broken: self.skip_broken,
            signer: self.signer.as_deref(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Archive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let parts = ArchiveParts::deserialize(deserializer)?;
        if parts.version != VERSION {
            return Err(D::Error::custom(format!(
                "an archive of version {}, and this program reads version {VERSION}",
                parts.version
            )));
        }
        let ArchiveParts {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
            signer,
            ..
        } = parts;
        ArchiveBuilder {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
            signer,
        }
        .build()
        .map_err(D::Error::custom)
    }
}
