//! What an address says: which store, which object in it, which member of a
//! tar file.
//!
//! An address is an absolute path of this machine, a URL, or a chain as fsspec
//! writes it: `tar://MEMBER::URI` is a member of the uncompressed tar file at
//! `URI`. GDAL's virtual paths mean the same things: `/vsis3/`, `/vsigs/`,
//! `/vsiaz/`, `/vsiadls/`, `/vsicurl/` and `/vsitar/`; so do the forms
//! `tar:URI!MEMBER` and `tar+s3://bucket/file.tar!MEMBER` of rasterio and of
//! Python's datacube.

use std::path::{Component, Path as FilePath, PathBuf};

use object_store::path::Path;
use url::Url;

use crate::error::{Error, Result};

/// What is read, for messages.
pub(super) const SCHEMES: &str = "absolute paths, file://, s3://, gs://, az:// (abfs://, abfss://), http(s)://, members of tar \
     files as tar://MEMBER::URI, GDAL's /vsis3/, /vsigs/, /vsiaz/, /vsicurl/ and /vsitar/, and \
     stores that were registered";

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Address {
    /// A file of this machine.
    Local(PathBuf),
    /// An object of a store that is known by its scheme and authority.
    Object(Object),
    /// A file on a server, with its query.
    Http(Url),
    /// A member of an uncompressed tar file.
    Member { archive: String, member: String },
}

/// An object in a bucket or container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    /// As it was written.
    pub(super) scheme: String,
    /// What stands between `://` and the path: `bucket`, `container@account...`.
    pub(super) authority: String,
    /// The key.
    pub(super) path: Path,
}

impl Object {
    /// What a store is known by.
    pub(super) fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority).to_ascii_lowercase()
    }
}

impl Address {
    /// Reads an address. `is_registered` tells the bases of stores that
    /// somebody registered, which stand before all others.
    pub(super) fn parse(uri: &str, is_registered: &dyn Fn(&str) -> bool) -> Result<Self> {
        if let Some(virtual_path) = uri.strip_prefix("/vsi") {
            return gdal(uri, virtual_path);
        }
        if let Some(member) = tar_member(uri)? {
            return Ok(member);
        }
        if uri.starts_with('/') {
            return Ok(Address::Local(without_dots(FilePath::new(uri))));
        }
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(Error::invalid_for(
                uri,
                "is a relative path; give an absolute path or a URL",
            ));
        };
        let Some(rest) = rest.strip_prefix("//").filter(|_| !scheme.is_empty()) else {
            return Err(Error::invalid_for(
                uri,
                "is neither an absolute path nor a URL with `://`",
            ));
        };
        let lower = scheme.to_ascii_lowercase();
        if lower == "file" {
            return file_url(uri);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let base = format!("{lower}://{authority}").to_ascii_lowercase();
        let is_web = matches!(lower.as_str(), "http" | "https");
        if is_web && !is_registered(&base) {
            return http_url(uri);
        }
        if !is_object_scheme(&lower) && !is_registered(&base) {
            return Err(Error::unsupported_in(
                uri,
                format!("reading from `{scheme}://`"),
                SCHEMES,
            ));
        }
        if authority.is_empty() {
            return Err(Error::invalid_for(
                uri,
                "a bucket or container is missing after `://`",
            ));
        }
        let path = Path::from_url_path(path).map_err(|error| not_an_object(uri, &error))?;
        Ok(Address::Object(Object {
            scheme: lower,
            authority: authority.to_owned(),
            path,
        }))
    }
}

/// Whether addresses of this scheme name objects in buckets or containers.
pub(super) fn is_object_scheme(scheme: &str) -> bool {
    is_s3(scheme) || is_gs(scheme) || is_azure(scheme)
}

pub(super) fn is_s3(scheme: &str) -> bool {
    matches!(scheme, "s3" | "s3a")
}

pub(super) fn is_gs(scheme: &str) -> bool {
    matches!(scheme, "gs" | "gcs")
}

pub(super) fn is_azure(scheme: &str) -> bool {
    matches!(scheme, "az" | "azure" | "adl" | "abfs" | "abfss")
}

fn not_an_object(uri: &str, error: &object_store::path::Error) -> Error {
    Error::invalid_for(uri, format!("not a path of an object: {error}"))
}

fn file_url(uri: &str) -> Result<Address> {
    let malformed = |problem: &str| Error::invalid_for(uri, format!("malformed URL: {problem}"));
    let url = Url::parse(uri).map_err(|error| malformed(&error.to_string()))?;
    if url.fragment().is_some() || url.query().is_some() {
        return Err(malformed(
            "a file has no `?` or `#` part; write %3F or %23 in a file name",
        ));
    }
    let path = url.to_file_path().map_err(|()| {
        malformed("it has to be file:///path on this machine, without another host")
    })?;
    Ok(Address::Local(without_dots(&path)))
}

fn http_url(uri: &str) -> Result<Address> {
    let mut url = Url::parse(uri)
        .map_err(|error| Error::invalid_for(uri, format!("malformed URL: {error}")))?;
    url.set_fragment(None);
    Ok(Address::Http(url))
}

/// A virtual path of GDAL, what follows `/vsi`. Keys in them are as they are,
/// without `%20` for a space.
fn gdal(uri: &str, virtual_path: &str) -> Result<Address> {
    let refused = |hint: &str| {
        Err(Error::unsupported_in(
            uri,
            format!("a GDAL virtual path of this kind{hint}"),
            SCHEMES,
        ))
    };
    let Some((kind, rest)) = virtual_path.split_once('/') else {
        return refused("");
    };
    let object = |scheme: &str| {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::invalid_for(uri, "the name of the bucket is missing"));
        }
        Ok(Address::Object(Object {
            scheme: scheme.to_owned(),
            authority: bucket.to_owned(),
            path: Path::parse(key).map_err(|error| not_an_object(uri, &error))?,
        }))
    };
    match kind.strip_suffix("_streaming").unwrap_or(kind) {
        "s3" => object("s3"),
        "gs" => object("gs"),
        "az" | "adls" => object("az"),
        "curl" => http_url(rest),
        "tar" => {
            let (archive, member) = gdal_tar(rest).ok_or_else(|| {
                Error::invalid_for(
                    uri,
                    "is no /vsitar/ path; write /vsitar/PATH.tar/MEMBER or /vsitar/{PATH}/MEMBER",
                )
            })?;
            member_of(uri, archive, member)
        }
        "curl?" => refused("; write the URL without /vsicurl"),
        "zip" | "gzip" => refused("; unpack the file first"),
        _ => refused(""),
    }
}

/// `PATH.tar/MEMBER` or `{PATH}/MEMBER`.
fn gdal_tar(rest: &str) -> Option<(&str, &str)> {
    if let Some(braced) = rest.strip_prefix('{') {
        return braced.split_once("}/");
    }
    let end = rest.to_ascii_lowercase().find(".tar/")? + ".tar".len();
    Some((&rest[..end], &rest[end + 1..]))
}

/// The forms of a member of a tar file that are URLs.
fn tar_member(uri: &str) -> Result<Option<Address>> {
    if let Some(chain) = uri.strip_prefix("tar://")
        && let Some((member, archive)) = chain.split_once("::")
    {
        return member_of(uri, archive, member).map(Some);
    }
    let Some(rest) = uri.strip_prefix("tar").filter(|_| uri.contains('!')) else {
        return Ok(None);
    };
    let archive = match (rest.strip_prefix("://"), rest.strip_prefix(['+', ':'])) {
        (Some(path), _) | (None, Some(path)) => path,
        (None, None) => return Ok(None),
    };
    let (archive, member) = archive.rsplit_once('!').unwrap_or((archive, ""));
    member_of(uri, archive, member).map(Some)
}

fn member_of(uri: &str, archive: &str, member: &str) -> Result<Address> {
    let member = member.trim_start_matches('/');
    if member.is_empty() || archive.is_empty() {
        return Err(Error::invalid_for(
            uri,
            "names no member of a tar file; write tar://MEMBER::URI",
        ));
    }
    Ok(Address::Member {
        archive: archive.to_owned(),
        member: member.to_owned(),
    })
}

/// Takes `.` and `..` out of an absolute path, as URLs do.
fn without_dots(path: &FilePath) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// An address that may be shown: what signs or unlocks it is left out.
pub(super) fn shown(uri: &str) -> String {
    const SECRET: [&str; 10] = [
        "sig",
        "token",
        "key",
        "secret",
        "credential",
        "password",
        "auth",
        "code",
        "policy",
        "session",
    ];
    let is_web = uri.contains("http://") || uri.contains("https://");
    let Some((start, query)) = uri.split_once('?').filter(|_| is_web) else {
        return without_password(uri);
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _))
                if SECRET
                    .iter()
                    .any(|part| name.to_ascii_lowercase().contains(part)) =>
            {
                format!("{name}=...")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{}?{}", without_password(start), shown.join("&"))
}

/// `https://user:password@host` without what stands before `@`.
fn without_password(uri: &str) -> String {
    let Some(start) = uri.find("://").map(|at| at + 3) else {
        return uri.to_owned();
    };
    let authority = uri[start..].split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            format!("{}...{}", &uri[..start], &uri[start + user.len()..])
        }
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<Address> {
        Address::parse(uri, &|base| base == "memory://tests")
    }

    fn text(uri: &str) -> String {
        match parse(uri) {
            Ok(Address::Local(path)) => format!("file {}", path.display()),
            Ok(Address::Object(object)) => format!("{} {}", object.base(), object.path),
            Ok(Address::Http(url)) => format!("http {url}"),
            Ok(Address::Member { archive, member }) => format!("{member} in {archive}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_and_file_urls() {
        for (uri, path) in [
            ("/data/a.tif", "/data/a.tif"),
            ("file:///data/a.tif", "/data/a.tif"),
            ("FILE:///data/a.tif", "/data/a.tif"),
            ("file://localhost/data/a.tif", "/data/a.tif"),
            ("/data/x/../b/./a.tif", "/data/b/a.tif"),
            ("file:///data/a%20b.tif", "/data/a b.tif"),
            ("/data/a b.tif", "/data/a b.tif"),
            ("/data/a%20b.tif", "/data/a%20b.tif"),
        ] {
            assert_eq!(text(uri), format!("file {path}"), "{uri}");
        }
    }

    #[test]
    fn objects_as_urls_and_as_gdal_writes_them() {
        for (uri, expected) in [
            ("s3://bucket/a/b.tif", "s3://bucket a/b.tif"),
            ("s3://bucket/a%20b.tif", "s3://bucket a b.tif"),
            ("/vsis3/bucket/a%20b.tif", "s3://bucket a%20b.tif"),
            ("/vsis3_streaming/bucket/a.tif", "s3://bucket a.tif"),
            ("/vsigs/bucket/a.tif", "gs://bucket a.tif"),
            ("/vsiaz/container/a.tif", "az://container a.tif"),
            (
                "abfss://c@acc.dfs.core.windows.net/a.tif",
                "abfss://c@acc.dfs.core.windows.net a.tif",
            ),
            ("https://h/a%20b.tif?x=1#f", "http https://h/a%20b.tif?x=1"),
            ("/vsicurl/https://h/a.tif", "http https://h/a.tif"),
            ("memory://Tests/a.tif", "memory://tests a.tif"),
        ] {
            assert_eq!(text(uri), expected, "{uri}");
        }
    }

    #[test]
    fn members_of_tar_files() {
        for (uri, expected) in [
            ("tar://x/a.tif::s3://b/f.tar", "x/a.tif in s3://b/f.tar"),
            ("/vsitar//data/f.tar/x/a.tif", "x/a.tif in /data/f.tar"),
            ("/vsitar//vsis3/b/f.TAR/a.tif", "a.tif in /vsis3/b/f.TAR"),
            (
                "/vsitar/{/vsicurl/https://h/f?x=1}/a.tif",
                "a.tif in /vsicurl/https://h/f?x=1",
            ),
            ("tar:s3://b/f.tar!a.tif", "a.tif in s3://b/f.tar"),
            ("tar+https://h/f.tar!/x/a.tif", "x/a.tif in https://h/f.tar"),
            ("tar:///data/f.tar!a.tif", "a.tif in /data/f.tar"),
        ] {
            assert_eq!(text(uri), expected, "{uri}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (uri, part) in [
            (
                "data/a.tif",
                "data/a.tif: is a relative path; give an absolute path or a URL",
            ),
            (
                "ftp://host/a.tif",
                "ftp://host/a.tif: reading from `ftp://` is not supported; ",
            ),
            ("/vsizip/a.zip/a.tif", "unpack the file first"),
            ("/vsitar/a.tgz/a.tif", "is no /vsitar/ path"),
            ("/vsis3//a.tif", "the name of the bucket is missing"),
            ("s3:///a.tif", "a bucket or container is missing"),
            ("file://elsewhere/a.tif", "without another host"),
            ("file:///a.tif#part=1", "%23"),
            ("NETCDF:/a.nc:band", "neither an absolute path nor a URL"),
            ("tar://::s3://b/f.tar", "names no member"),
            ("", "relative path"),
        ] {
            assert!(text(uri).contains(part), "{uri}: {}", text(uri));
        }
        assert!(parse("ftp://host/a.tif").unwrap_err().is_unsupported());
    }

    #[test]
    fn what_signs_an_address_is_not_shown() {
        for (uri, expected) in [
            ("https://h/a?sv=1&sig=abc", "https://h/a?sv=1&sig=..."),
            (
                "https://h/a?X-Amz-Signature=f&X-Amz-Security-Token=t&b=2",
                "https://h/a?X-Amz-Signature=...&X-Amz-Security-Token=...&b=2",
            ),
            ("https://u:pw@h/a", "https://...@h/a"),
            (
                "abfss://c@acc.dfs.core.windows.net/a",
                "abfss://c@acc.dfs.core.windows.net/a",
            ),
            ("/data/a?sig=1", "/data/a?sig=1"),
        ] {
            assert_eq!(shown(uri), expected);
        }
    }
}
