//! A folder of documents, an index, and the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use datacube_testkit::Cluster;
use serde_json::Value;

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) struct Kit {
    folder: tempfile::TempDir,
    pub(crate) url: String,
}

/// Ids of the scenes of [`Kit::filled`]: two of a day, one later, and two that
/// were made from them.
pub(crate) const IDS: [&str; 5] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
    "00000000-0000-4000-8000-00000000000a",
    "00000000-0000-4000-8000-00000000000b",
];

/// An id that no index has.
pub(crate) const UNKNOWN: &str = "00000000-0000-4000-8000-00000000000f";

impl Kit {
    /// An embedded index that is not made yet.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("index.sqlite").display());
        Kit { folder, url }
    }

    /// A database without an index in it.
    pub(crate) fn postgis(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = cluster.database();
        Kit { folder, url }
    }

    pub(crate) fn is_server(&self) -> bool {
        self.url.starts_with("postgresql:")
    }

    /// The index made, the products `tiny` and `mean` added.
    pub(crate) fn with_products(&self) -> &Self {
        self.ok(&["system", "init"]);
        let tiny = self.write("tiny.yaml", TINY);
        let mean = self.write("mean.yaml", &TINY.replace("tiny", "mean"));
        self.ok(&["product", "add", &tiny, &mean]);
        self
    }

    /// And the scenes of [`IDS`].
    pub(crate) fn filled(&self) -> &Self {
        self.with_products();
        let [one, two, three, mean, year] = IDS;
        self.scene("scenes/1", &Scene::new(one, "2020-03-01T10:00:00Z"));
        self.scene("scenes/2", &Scene::new(two, "2020-03-01T10:00:24Z"));
        self.scene("scenes/3", &Scene::new(three, "2020-05-17T10:00:00Z"));
        let lineage = format!("{{tiny: [{one}, {two}]}}");
        let mean_scene = Scene {
            product: "mean",
            lineage: &lineage,
            ..Scene::new(mean, "2020-03-01T12:00:00Z")
        };
        self.scene("scenes/a", &mean_scene);
        let lineage = format!("{{mean: [{mean}]}}");
        let year_scene = Scene {
            product: "mean",
            lineage: &lineage,
            ..Scene::new(year, "2020-07-01T12:00:00Z")
        };
        self.scene("scenes/b", &year_scene);
        let added = self.ok(&["dataset", "add", &self.path("scenes")]);
        assert_eq!(added, "Added 5 datasets, 0 were there already, 0 failed\n");
        self
    }

    /// Writes the document of a scene; its path.
    pub(crate) fn scene(&self, folder: &str, scene: &Scene<'_>) -> String {
        let text = DATASET
            .replace("{id}", scene.id)
            .replace("{product}", scene.product)
            .replace("{time}", scene.time)
            .replace("{cloud}", scene.cloud)
            .replace("{maturity}", scene.maturity)
            .replace("{lineage}", scene.lineage);
        self.write(&format!("{folder}/odc-metadata.yaml"), &text)
    }

    /// Writes a file; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("created");
        std::fs::write(&path, text).expect("written");
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URI of a file in the folder.
    pub(crate) fn uri(&self, name: &str) -> String {
        format!("file://{}", self.path(name))
    }

    /// The binary with an environment of its own, and nobody at the keyboard.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command on the index.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command();
        command.arg("--index").arg(&self.url).args(arguments);
        said(&command.output().expect("the binary runs"))
    }

    /// Runs a command that has to succeed; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.status, 0, "datacube {arguments:?}: {said:?}");
        said.out
    }

    /// Runs a command that has to fail with `status`; what it said.
    pub(crate) fn fails(&self, status: i32, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.status, status, "datacube {arguments:?}: {said:?}");
        said
    }

    /// The JSON that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// How many active datasets there are.
    pub(crate) fn n_active(&self) -> u64 {
        let text = self.ok(&["dataset", "count", "--count-only"]);
        text.trim().parse().expect("a number")
    }
}

pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_datacube"))
}

pub(crate) fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let said = Said {
        status: output.status.code().expect("not killed"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    assert!(!said.err.contains("panicked"), "{said:?}");
    said
}

/// What differs between scenes.
pub(crate) struct Scene<'a> {
    pub(crate) id: &'a str,
    pub(crate) product: &'a str,
    pub(crate) time: &'a str,
    pub(crate) cloud: &'a str,
    pub(crate) maturity: &'a str,
    pub(crate) lineage: &'a str,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(id: &'a str, time: &'a str) -> Self {
        Scene {
            id,
            product: "tiny",
            time,
            cloud: "12.5",
            maturity: "final",
            lineage: "{}",
        }
    }
}

pub(crate) const TINY: &str = r#"
name: tiny
description: Scenes of tiny made by a test
metadata_type: eo3
license: CC-BY-4.0
metadata:
  product: {name: tiny}
load:
  crs: EPSG:32655
  resolution: {x: 30, y: -30}
  align: {x: 15, y: 15}
measurements:
- {name: red, dtype: uint16, nodata: 0, units: "1"}
- name: qa
  dtype: uint16
  nodata: 1
  units: bit_index
  flags_definition:
    cloud: {bits: 3, values: {0: not_high_confidence, 1: high_confidence}}
"#;

const DATASET: &str = r#"
$schema: https://schemas.opendatacube.org/dataset
id: {id}
label: scene of {product}
product: {name: {product}}
crs: EPSG:32655
grids:
  default:
    shape: [40, 50]
    transform: [30, 0, 600015, 0, -30, 6100005, 0, 0, 1]
measurements:
  red: {path: red.tif}
  qa: {path: qa.tif}
properties:
  datetime: {time}
  eo:platform: landsat-8
  eo:cloud_cover: {cloud}
  odc:region_code: "090084"
  odc:processing_datetime: {time}
  odc:file_format: GeoTIFF
  dea:dataset_maturity: {maturity}
lineage: {lineage}
"#;
