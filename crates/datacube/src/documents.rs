//! Documents on disk: products and datasets, read.

use std::io::Read;
use std::path::Path;

use datacube_index::Added;
use datacube_model::{LocatedDocument, parse_documents};

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
    let text = read_text(path)?;
    let absolute = std::path::absolute(path).map_err(|error| file_error(path, &error))?;
    let uri = url::Url::from_file_path(&absolute)
        .map_err(|()| fail("its name cannot be written as a URL".into()))?;
    Ok(parse_documents(&text, uri.as_str())?)
}

/// The text of a file, unpacked where its name ends in `.gz`.
///
/// # Errors
/// [`Error::File`] when it cannot be read, is a folder, or holds no text.
pub fn read_text(path: &Path) -> Result<String> {
    let read = || {
        if path.extension().is_none_or(|extension| extension != "gz") {
            return std::fs::read_to_string(path);
        }
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|error| file_error(path, &error))
}

/// Why a file could not be read, and what to look at.
pub(crate) fn file_error(path: &Path, error: &std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        problem: file_problem(error),
    }
}

/// As [`file_error`], without the path.
pub(crate) fn file_problem(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let known = match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder; check the path",
        ErrorKind::PermissionDenied => {
            "this account may not read it; check who owns it and its permissions"
        }
        ErrorKind::IsADirectory => "it is a folder; name a file in it",
        ErrorKind::InvalidData => "it is not text in UTF-8; is it the right file?",
        _ => return error.to_string(),
    };
    known.to_owned()
}
