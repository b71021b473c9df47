//! What an address is: a file, a folder, a store, a server; and what a name
//! says of a file.

use std::path::{Path, PathBuf};

use url::Url;

use crate::{Error, Result};

/// Where documents may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// A file or folder, maybe a pattern with `*`.
    Local(PathBuf),
    /// An object or a prefix, maybe a pattern with `*`.
    Store(Url),
    /// A document, a catalogue, an API or a listing on a server.
    Http(Url),
}

impl Place {
    /// Reads an address; what has no scheme is a path.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Place::Local(PathBuf::from(text)));
        };
        let fail = |problem: String| Error::File {
            path: text.to_owned(),
            problem,
        };
        let scheme = scheme.to_ascii_lowercase();
        let url = Url::parse(text).map_err(|error| fail(format!("not a URL: {error}")))?;
        match scheme.as_str() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Place::Local(path)),
                Err(()) => Err(fail("it has to be file:///path on this machine".into())),
            },
            "http" | "https" => Ok(Place::Http(url)),
            "s3" | "s3a" | "gs" | "az" | "azure" | "adl" | "abfs" | "abfss" => {
                if url.host_str().is_none_or(str::is_empty) {
                    return Err(fail("a bucket or container is missing after `://`".into()));
                }
                Ok(Place::Store(url))
            }
            _ => Err(fail(format!(
                "`{scheme}://` is not read; use a path, file://, s3://, gs://, az:// or http(s)://"
            ))),
        }
    }
}

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A dataset document for sure.
    Document,
    /// JSON, which may be an item or anything else.
    MaybeItem,
    /// A tar file.
    Tar,
    /// A table of STAC items.
    Table,
    /// None of these.
    Other,
}

/// Endings of the names that dataset documents have, before `.yaml`, `.yml`,
/// `.json`, `.jsonl` or `.ndjson`.
const DOCUMENT_STEMS: [&str; 6] = [
    "odc-metadata",
    "odc-dataset",
    ".eo3",
    "agdc-metadata",
    "stac-item",
    "ga-metadata",
];

/// What a file is by its name.
pub(crate) fn named(name: &str) -> Named {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if [".tar", ".tar.gz", ".tgz"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return Named::Tar;
    }
    if [".parquet", ".geoparquet"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return Named::Table;
    }
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = [".yaml", ".yml", ".json", ".jsonl", ".ndjson"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    match stem {
        Some(stem) if DOCUMENT_STEMS.iter().any(|end| stem.ends_with(end)) => Named::Document,
        Some(_) if name.ends_with(".json") => Named::MaybeItem,
        None if name.ends_with(".geojson") => Named::MaybeItem,
        _ => Named::Other,
    }
}

/// The address of a file on this machine.
pub(crate) fn file_uri(path: &Path) -> Result<String> {
    let fail = |problem: String| Error::File {
        path: path.display().to_string(),
        problem,
    };
    let absolute = std::path::absolute(path).map_err(|error| fail(error.to_string()))?;
    let url = Url::from_file_path(&absolute)
        .map_err(|()| fail("its name cannot be written as a URL".into()))?;
    Ok(url.into())
}

/// The part of a pattern up to the last `/` before its first `*`, `?` or `[`,
/// and the whole as a matcher; `None` for what is no pattern.
pub(crate) fn pattern(text: &str) -> Option<(&str, Pattern)> {
    let start = text.find(['*', '['])?;
    let root = text[..start].rfind('/').map_or("", |end| &text[..=end]);
    Some((root, Pattern(text.to_owned())))
}

/// A pattern of names: `*` within a folder, `**` across folders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }
}

/// Matches a name, each character of the pattern at most once per place.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    // `reached[i]`: the first i bytes of the name can be matched so far.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let mut next = vec![false; name.len() + 1];
        let deep = pattern[at..].starts_with(b"**");
        match pattern[at] {
            b'*' => {
                let mut open = false;
                for i in 0..=name.len() {
                    open |= reached[i];
                    next[i] = open;
                    if !deep && name.get(i) == Some(&b'/') {
                        open = false;
                    }
                }
                at += if deep { 2 } else { 1 };
                // `**/` is also no folder at all.
                if deep && pattern.get(at) == Some(&b'/') {
                    at += 1;
                    let mut after = vec![false; name.len() + 1];
                    for i in 0..=name.len() {
                        after[i] = reached[i] || (i > 0 && name[i - 1] == b'/' && next[i - 1]);
                    }
                    next = after;
                }
            }
            byte => {
                for i in 0..name.len() {
                    next[i + 1] = reached[i] && name[i] == byte;
                }
                at += 1;
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let place = |text: &str| Place::parse(text).map_err(|error| error.to_string());
        assert_eq!(place("a/b.yaml"), Ok(Place::Local("a/b.yaml".into())));
        assert_eq!(place("file:///a%20b"), Ok(Place::Local("/a b".into())));
        assert!(matches!(place("s3://b/p/"), Ok(Place::Store(_))));
        assert!(matches!(place("az://c/p/*.json"), Ok(Place::Store(_))));
        assert!(matches!(place("https://h/p"), Ok(Place::Http(_))));
        assert!(
            place("ftp://h/p")
                .unwrap_err()
                .contains("`ftp://` is not read")
        );
        assert!(place("s3:///p").unwrap_err().contains("bucket"));
    }

    #[test]
    fn names_say_what_files_are() {
        let check = |names: &[&str], expected: Named| {
            for name in names {
                assert_eq!(named(name), expected, "{name}");
            }
        };
        check(
            &[
                "a/ga_x.odc-metadata.yaml",
                "x.ODC-METADATA.YML",
                "x.eo3.json",
                "x.stac-item.json",
                "agdc-metadata.yaml",
                "x.odc-metadata.yaml.gz",
            ],
            Named::Document,
        );
        check(&["item.json", "x.geojson", "x.json.gz"], Named::MaybeItem);
        check(&["a.tar", "a.tgz", "b/a.tar.gz"], Named::Tar);
        check(&["a.yaml", "a.tif", "json"], Named::Other);
    }

    #[test]
    fn patterns_match_within_and_across_folders() {
        let check = |text: &str, name: &str, expected: bool| {
            let (_, pattern) = pattern(text).expect("a pattern");
            assert_eq!(pattern.matches(name), expected, "{text} {name}");
        };
        check("a/*.json", "a/b.json", true);
        check("a/*.json", "a/b/c.json", false);
        check("a/**/*.json", "a/b/c/d.json", true);
        check("a/**/*.json", "a/d.json", true);
        check("a/**/*.json", "ab/d.json", false);
        check("a/**", "a/b/c", true);
        check("a/*/x*y.json", "a/b/x12y.json", true);
        check("a/*/x*y.json", "a/b/x12z.json", false);
        assert_eq!(pattern("a/b/c*/d").map(|(root, _)| root), Some("a/b/"));
        assert_eq!(pattern("a/b").map(|(root, _)| root), None);
        // Many stars take no more time than few.
        check(&"*a".repeat(50), &"a".repeat(200), true);
        check(&("*a".repeat(50) + "b"), &"a".repeat(200), false);
    }
}
