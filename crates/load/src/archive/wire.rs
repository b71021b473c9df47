//! The archive as bytes. What comes back is checked as if it were built anew.
//!
//! An archive whose scenes are looked up is told by who looks them up: the bytes say
//! what it is, and it cannot be made of them.

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
    /// Of the catalog of the scenes, of which there are then none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_up: Option<LookedUp<'a>>,
}

#[derive(Serialize)]
struct LookedUp<'a> {
    catalog: Vec<u8>,
    columns: &'a [usize],
}

/// The scenes, with the files of the archive's own bands.
struct OwnScenes<'a>(&'a Archive);

impl Serialize for OwnScenes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let n = if self.0.is_looked_up() {
            0
        } else {
            self.0.n_scenes()
        };
        serializer.collect_seq((0..n).map(|at| self.0.own_scene(at)))
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
    #[serde(default)]
    looked_up: Option<serde::de::IgnoredAny>,
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
            looked_up: self.stock.catalog().map(|catalog| LookedUp {
                catalog: catalog.identity(),
                columns: &self.columns,
            }),
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
        if parts.looked_up.is_some() {
            return Err(D::Error::custom(
                "an archive whose documents are looked up in an index as they are needed, which \
                 stays in the process that opened it; load fewer datasets, or have all \
                 documents read first",
            ));
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
            catalog: None,
            planes,
            skip_broken,
            signer,
        }
        .build()
        .map_err(D::Error::custom)
    }
}
