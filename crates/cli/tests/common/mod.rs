//! A tiny archive made on the spot, and the real binary run over it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use datacube::export::cog::{Band, CogOptions, CogSpec, CogWriter};
use datacube::geo::{Affine, Crs, GeoBox, PixelWindow, Resolution, Shape2d};
use datacube::model::{DType, Number};

const ROWS: usize = 40;
const COLS: usize = 50;

/// A folder with a product, scenes of it, and an index.
pub(crate) struct Archive {
    folder: tempfile::TempDir,
}

impl Archive {
    /// Three scenes of two solar days, indexed.
    pub(crate) fn indexed() -> Self {
        let archive = Self::unindexed();
        archive.run(&["system", "init"]);
        archive.run(&["product", "add", &archive.text("product.yaml")]);
        archive.run(&["dataset", "add", &archive.text("scenes")]);
        archive
    }

    /// The same, not indexed yet.
    pub(crate) fn unindexed() -> Self {
        let archive = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        std::fs::write(archive.path("product.yaml"), PRODUCT).expect("written");
        archive.scene(1, "2020-03-01T10:00:00Z", 0.0);
        archive.scene(2, "2020-03-01T10:00:24Z", -900.0);
        archive.scene(3, "2020-03-17T10:00:00Z", 0.0);
        archive
    }

    /// Red rises with the row, nir with the column; a corner is cloud, another has no data.
    fn scene(&self, number: u8, time: &str, shift: f64) {
        let folder = self.path(&format!("scenes/{number}"));
        std::fs::create_dir_all(&folder).expect("created");
        let affine = Affine::from_origin(600_015.0, 6_100_005.0 + shift, Resolution::square(30.0));
        let crs = Crs::from_epsg(32655).expect("a code that PROJ knows");
        let geobox = GeoBox::new(Shape2d::new(ROWS, COLS), affine, Some(crs)).expect("a grid");
        let has_data = |row: usize, col: usize| row + col > 6;
        let band = |value: &dyn Fn(usize, usize) -> u16| -> Vec<u16> {
            (0..ROWS * COLS)
                .map(|i| value(i / COLS, i % COLS))
                .collect()
        };
        let red = band(&|row, col| {
            if has_data(row, col) {
                1000 + 10 * u16::try_from(row).expect("small")
            } else {
                0
            }
        });
        let nir = band(&|row, col| {
            if has_data(row, col) {
                3000 + 20 * u16::try_from(col).expect("small")
            } else {
                0
            }
        });
        let qa = band(
            &|row, col| match (has_data(row, col), row < 10 && col > 40) {
                (false, _) => 1,
                (true, true) => 8,
                (true, false) => 64,
            },
        );
        for (name, pixels, nodata) in [("red", &red, 0), ("nir", &nir, 0), ("qa", &qa, 1)] {
            let spec = CogSpec::new(geobox.clone(), DType::UInt16)
                .bands(vec![Band::named(name)])
                .nodata(Some(Number::Int(nodata)));
            let path = folder.join(format!("{name}.tif"));
            let writer = CogWriter::create(&path, spec, CogOptions::default()).expect("a new file");
            let bytes: Vec<u8> = pixels
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect();
            writer
                .write(0, &PixelWindow::full(geobox.shape()), &bytes)
                .expect("written");
            writer.finish().expect("finished");
        }
        let document = DATASET
            .replace("{number}", &number.to_string())
            .replace("{time}", time)
            .replace("{top}", &(6_100_005.0 + shift).to_string());
        std::fs::write(folder.join("odc-metadata.yaml"), document).expect("written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Runs the command on this archive's index; it has to succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "datacube {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs the command; gives back its exit status and what it said on standard error.
    pub(crate) fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.try_run(arguments);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let status = output.status.code().expect("not killed");
        assert_ne!(status, 0, "datacube {arguments:?} succeeded");
        assert!(!stderr.contains("panicked"), "{stderr}");
        (status, stderr)
    }

    fn try_run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// The command on this archive's index, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        command
            .arg("--index")
            .arg(format!("sqlite:{}", self.text("index.sqlite")))
            .args(arguments);
        command
    }
}

/// The binary with an environment of its own.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_datacube"));
    command
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

const PRODUCT: &str = r#"
name: tiny
description: Scenes made by a test
metadata_type: eo3
metadata:
  product: {name: tiny}
load:
  crs: EPSG:32655
  resolution: {x: 30, y: -30}
  align: {x: 15, y: 15}
measurements:
- {name: red, dtype: uint16, nodata: 0, units: "1"}
- {name: nir, dtype: uint16, nodata: 0, units: "1", aliases: [nir08]}
- name: qa
  dtype: uint16
  nodata: 1
  units: bit_index
  flags_definition:
    nodata: {bits: 0, values: {0: false, 1: true}}
    cloud: {bits: 3, values: {0: not_high_confidence, 1: high_confidence}}
"#;

const DATASET: &str = r#"
$schema: https://schemas.opendatacube.org/dataset
id: 00000000-0000-4000-8000-00000000000{number}
label: scene {number}
product: {name: tiny}
crs: EPSG:32655
grids:
  default:
    shape: [40, 50]
    transform: [30, 0, 600015, 0, -30, {top}, 0, 0, 1]
measurements:
  red: {path: red.tif}
  nir: {path: nir.tif}
  qa: {path: qa.tif}
properties:
  datetime: {time}
  eo:platform: landsat-8
  odc:processing_datetime: {time}
  odc:file_format: GeoTIFF
lineage: {}
"#;
