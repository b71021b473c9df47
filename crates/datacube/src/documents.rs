//! Documents on disk: products and datasets, found and read.

use std::io::Read;
use std::path::{Path, PathBuf};

use datacube_index::Added;
use datacube_model::{LocatedDocument, parse_documents};
use walkdir::WalkDir;

use crate::{Error, Result};

/// What became of one document.
#[derive(Debug)]
#[non_exhaustive]
pub struct DocumentOutcome {
    /// The file, and the part of it when it holds several.
    pub location: String,
    /// The dataset's id or the product's name, as far as it could be read.
    pub name: Option<String>,
    /// Added, already there, or why not.
    pub result: Result<Added>,
}

/// The documents of one file, in order, each with its address as a URI.
///
/// A file whose name ends in `.gz` is unpacked.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Model`] when it is
/// neither YAML nor JSON.
pub fn read_documents(path: &Path) -> Result<Vec<LocatedDocument>> {
    let fail = |problem: String| Error::File {
        path: path.display().to_string(),
        problem,
    };
    let text = read_text(path).map_err(|error| fail(error.to_string()))?;
    let absolute = std::path::absolute(path).map_err(|error| fail(error.to_string()))?;
    let uri = url::Url::from_file_path(&absolute)
        .map_err(|()| fail("its name cannot be written as a URL".into()))?;
    Ok(parse_documents(&text, uri.as_str())?)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if path.extension().is_none_or(|extension| extension != "gz") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// Dataset documents under `paths`: files as they are, folders searched for
/// names that end in `odc-metadata` or `eo3`, `.yaml`, `.yml` or `.json`, and
/// `.gz` after that.
///
/// Sorted within each folder, so that two runs do the same.
///
/// # Errors
/// [`Error::File`] for a path that is not there and for a folder without documents.
pub fn find_dataset_documents(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let fail = |problem: String| Error::File {
            path: path.display().to_string(),
            problem,
        };
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry.map_err(|error| fail(error.to_string()))?;
            if entry.file_type().is_file() && is_dataset_document(entry.path()) {
                found.push(entry.into_path());
            }
        }
        if found.len() == before {
            return Err(fail(
                "no dataset documents in this folder; they are expected to be named \
                 `*odc-metadata.yaml`, `*.eo3.yaml` or the same with .json; name others one by one"
                    .into(),
            ));
        }
    }
    Ok(found)
}

fn is_dataset_document(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    let name = name
        .as_deref()
        .map(|name| name.strip_suffix(".gz").unwrap_or(name));
    let stem = name.and_then(|name| {
        [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
    });
    stem.is_some_and(|stem| stem.ends_with("odc-metadata") || stem.ends_with(".eo3"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_for_dataset_documents() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(&path, "{}").expect("written");
            path
        };
        let expected = [
            write("a/x.odc-metadata.yaml"),
            write("b/odc-metadata.json"),
            write("c.eo3.yml"),
            write("d.odc-metadata.yaml.gz"),
        ];
        write("b/product.yaml");
        write("b/thumbnail.jpg");
        let found = find_dataset_documents(&[folder.path().to_owned()]).expect("found");
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = PathBuf::from("/no/such/folder");
        let message = find_dataset_documents(&[missing]).unwrap_err().to_string();
        assert!(message.contains("/no/such/folder"), "{message}");
        let empty = tempfile::tempdir().expect("a folder");
        let message = find_dataset_documents(&[empty.path().to_owned()])
            .unwrap_err()
            .to_string();
        assert!(message.contains("odc-metadata.yaml"), "{message}");
    }
}
