//! The 19 real Landsat scenes as a reader has them: one folder with documents and rasters.
//!
//! The documents lie apart from the rasters that their paths are relative to,
//! so a temporary folder brings the two together: documents copied, rasters linked.

use std::path::Path;

use datacube::index::Added;
use datacube::{Datacube, MatchOptions};
use tempfile::TempDir;

/// Name of the product.
pub(crate) const PRODUCT: &str = "l8_c1_l1_ny18";

/// A folder with the documents and the rasters side by side.
pub(crate) fn folder(shared: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let documents = super::golden::folder(shared).join("eo3");
    for entry in std::fs::read_dir(documents).expect("the documents are there") {
        let path = entry.expect("a document is listed").path();
        let name = path.file_name().expect("a file has a name");
        std::fs::copy(&path, folder.path().join(name)).expect("a document is copied");
    }
    let rasters = shared
        .join("rasters/landsat8_c1_L8NY18")
        .canonicalize()
        .expect("rasters");
    for entry in std::fs::read_dir(rasters).expect("the rasters are there") {
        let path = entry.expect("a scene is listed").path();
        let name = path.file_name().expect("a folder has a name");
        std::os::unix::fs::symlink(&path, folder.path().join(name)).expect("a scene is linked");
    }
    folder
}

/// Adds the product and its 19 datasets to the index of `dc`, through the facade.
pub(crate) fn add_to(dc: &Datacube, folder: &Path) {
    let products = dc
        .add_products(folder.join("product.yaml"))
        .expect("the product is read");
    let datasets = dc
        .add_datasets([folder], &MatchOptions::default())
        .expect("the documents are found");
    assert_eq!(
        datasets.len(),
        19,
        "documents found in {}",
        folder.display()
    );
    for outcome in products.iter().chain(&datasets) {
        match &outcome.result {
            Ok(Added::New) => {}
            other => panic!("{}: {other:?}", outcome.location),
        }
    }
}

/// The scenes in a new SQLite index inside their folder.
pub(crate) fn open(shared: &Path) -> (TempDir, Datacube) {
    let folder = folder(shared);
    let url = format!("sqlite:{}", folder.path().join("index.db").display());
    let dc = super::create_index(url);
    add_to(&dc, folder.path());
    (folder, dc)
}
