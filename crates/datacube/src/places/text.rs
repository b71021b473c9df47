//! From bytes to documents: compression, archives, encodings.

use std::io::Read;

use datacube_model::{LocatedDocument, parse_documents, parse_each};

use super::place::{Named, named};
use crate::{Error, Result};

/// No document is as large; what is, is something else or an attack.
pub(crate) const LARGEST: u64 = 512 << 20;

fn fail(address: &str, problem: impl Into<String>) -> Error {
    Error::File {
        path: address.to_owned(),
        problem: problem.into(),
    }
}

/// The text of a file, unpacked where it is gzip.
pub(crate) fn text(bytes: Vec<u8>, address: &str) -> Result<String> {
    let bytes = unpacked(bytes, address)?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        fail(address, format!("it is not text in UTF-8 (byte {place})"))
    })
}

fn unpacked(bytes: Vec<u8>, address: &str) -> Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .take(LARGEST + 1)
        .read_to_end(&mut out)
        .map_err(|error| fail(address, format!("cannot be unpacked: {error}")))?;
    if out.len() as u64 > LARGEST {
        return Err(fail(address, "it is larger than 512 MiB when unpacked"));
    }
    Ok(out)
}

/// The documents of a file, all of them or none.
pub(crate) fn documents(bytes: Vec<u8>, address: &str) -> Result<Vec<LocatedDocument>> {
    Ok(parse_documents(&text(bytes, address)?, address)?)
}

/// The documents of a file, each as far as it can be read, with its address.
pub(crate) fn each(bytes: Vec<u8>, address: &str) -> Vec<(String, Result<LocatedDocument>)> {
    match text(bytes, address) {
        Ok(text) => parse_each(&text, address)
            .into_iter()
            .map(|(address, parsed)| (address, parsed.map_err(Error::from)))
            .collect(),
        Err(error) => vec![(address.to_owned(), Err(error))],
    }
}

/// The members of a tar file that may be documents, each with its address.
///
/// `visit` gives back whether to go on.
pub(crate) fn tar_members(
    reader: impl Read,
    address: &str,
    base: Option<&str>,
    mut visit: impl FnMut(String, Named, Result<Vec<u8>>) -> bool,
) -> Result<()> {
    let mut reader = std::io::BufReader::new(reader);
    let start = std::io::BufRead::fill_buf(&mut reader)
        .map_err(|error| fail(address, error.to_string()))?;
    let reader: Box<dyn Read> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::read::MultiGzDecoder::new(reader))
    } else if start.starts_with(&[0xfd, b'7', b'z', b'X']) || start.starts_with(b"BZh") {
        return Err(fail(
            address,
            "tar files packed with xz or bzip2 are not read; use gzip or none",
        ));
    } else {
        Box::new(reader)
    };
    let broken =
        |error: std::io::Error| fail(address, format!("not a tar file, or cut short: {error}"));
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name
            .trim_start_matches("./")
            .trim_start_matches('/')
            .to_owned();
        let kind = named(&name);
        if !matches!(kind, Named::Document | Named::MaybeItem) {
            continue;
        }
        let uri = match base {
            Some(base) => format!("{base}{name}"),
            None => datacube_model::dataset::resolve_uri(address, &name),
        };
        let bytes = if entry.size() > LARGEST {
            Err(fail(&uri, "it is larger than 512 MiB"))
        } else {
            let mut bytes = Vec::new();
            entry
                .read_to_end(&mut bytes)
                .map(|_| bytes)
                .map_err(|error| fail(&uri, error.to_string()))
        };
        if !visit(uri, kind, bytes) {
            break;
        }
    }
    Ok(())
}
