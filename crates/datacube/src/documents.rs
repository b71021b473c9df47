//! Documents on disk: products and datasets, read.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use datacube_index::Added;
use datacube_model::{LocatedDocument, parse_documents};
use flate2::read::MultiGzDecoder;

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
            return fs::read_to_string(path);
        }
        let mut bytes = Vec::new();
        MultiGzDecoder::new(File::open(path)?)
            .read_to_end(&mut bytes)
            .map_err(not_unpacked)?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    };
    read().map_err(|error| file_error(path, &error))
}

/// What unpacking a file that can be opened says.
fn not_unpacked(error: io::Error) -> io::Error {
    // A disk that fails has a number, what was read in vain has none.
    if error.raw_os_error().is_some() {
        return error;
    }
    io::Error::other(format!(
        "it cannot be unpacked as gzip: {error}; is it whole, and is `.gz` right for it?"
    ))
}

/// Why a file could not be read, and what to look at.
pub(crate) fn file_error(path: &Path, error: &io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        problem: file_problem(error),
    }
}

/// As [`file_error`], without the path.
pub(crate) fn file_problem(error: &io::Error) -> String {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    /// What reading a `.gz` of `bytes` gives, or the problem that is told.
    fn read(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scene.yaml.gz");
        fs::write(&path, bytes).unwrap();
        read_text(&path).map_err(|error| match error {
            Error::File { problem, .. } => problem,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_packed_text_is_unpacked_with_all_its_members() {
        let both = [packed("id: ".as_bytes()), packed("ß".as_bytes())].concat();
        assert_eq!(read(&both).unwrap(), "id: ß");
    }

    #[test]
    fn a_packed_file_that_is_damaged_is_told_from_one_that_is_no_text() {
        let whole = packed(&[b'a'; 1000]);
        let mut wrong = whole.clone();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 0xff;
        for damaged in [&whole[..whole.len() - 9], &wrong, b"id: not packed", b""] {
            let problem = read(damaged).unwrap_err();
            assert!(problem.contains("cannot be unpacked as gzip"), "{problem}");
        }
        let problem = read(&packed(&[0xff, 0xfe, 0x00])).unwrap_err();
        assert_eq!(problem, "it is not text in UTF-8; is it the right file?");
    }

    #[test]
    fn a_folder_is_told_as_one_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenes.gz");
        fs::create_dir(&path).unwrap();
        let problem = read_text(&path).unwrap_err().to_string();
        assert!(problem.contains("it is a folder"), "{problem}");
    }
}
