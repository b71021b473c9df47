//! Paths in documents, resolved against where the document is.
//!
//! The rules are those of URLs, applied to every scheme alike (`file`, `s3`,
//! `gs`, `az`, `http` ...): what follows the last slash of the location, its
//! query and its fragment (`#part=2` of a file with several documents) give
//! way to the path.

/// Whether a path does not depend on where the document is.
pub(super) fn is_absolute(path: &str) -> bool {
    has_scheme(path) || is_vsi(path) || path.starts_with('/')
}

/// The uri of `path`, which a document at `base` names.
///
/// A uri, or one of GDAL's `/vsi...` paths, stays as it is, an absolute path
/// becomes a `file://` uri, an empty one is the location itself, and any other
/// is taken from the folder of `base`.
///
/// ```
/// use datacube_model::dataset::resolve_uri;
/// assert_eq!(resolve_uri("s3://bucket/scene/doc.yaml#part=1", "red.tif"), "s3://bucket/scene/red.tif");
/// assert_eq!(resolve_uri("s3://bucket/scene/doc.yaml", "/data/red.tif"), "file:///data/red.tif");
/// ```
///
/// # Source
/// datacube-core, `datacube/utils/uris.py` (`uri_resolve`).
pub fn resolve_uri(base: &str, path: &str) -> String {
    if path.is_empty() {
        return without_part(base).to_owned();
    }
    if has_scheme(path) || is_vsi(path) {
        return path.trim_start().to_owned();
    }
    if path.starts_with('/') {
        return file_uri(path);
    }
    if is_vsi(base) {
        let folder =
            base.rsplit_once('/').map_or(
                base,
                |(folder, last)| if last.contains('.') { folder } else { base },
            );
        return normalised("", &format!("{}/{path}", folder.trim_end_matches('/')));
    }
    let (prefix, base_path) = split(base);
    let base_path = base_path.split(['?', '#']).next().unwrap_or_default();
    let folder = match base_path.rfind('/') {
        Some(end) => &base_path[..=end],
        None if prefix.is_empty() => "",
        None => "/",
    };
    let path = if prefix.starts_with("file:") {
        // In a file name these are plain characters.
        path.replace('#', "%23").replace('?', "%3F")
    } else {
        path.to_owned()
    };
    normalised(prefix, &format!("{folder}{path}"))
}

/// An absolute path as a `file://` uri.
pub(super) fn file_uri(path: &str) -> String {
    let mut uri = String::from("file://");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/_.-~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// `letters+digits://`, as ODC tells a uri.
fn has_scheme(text: &str) -> bool {
    match text.trim_start().split_once("://") {
        Some((scheme, _)) => {
            !scheme.is_empty()
                && scheme
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '+' | '_' | '-' | '.'))
        }
        None => false,
    }
}

fn is_vsi(path: &str) -> bool {
    path.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("/vsi"))
}

/// The uri without the number of a document in its file.
fn without_part(uri: &str) -> &str {
    match uri.rsplit_once('#') {
        Some((file, fragment)) if fragment.starts_with("part=") => file,
        _ => uri,
    }
}

/// `scheme://authority` and the rest.
fn split(uri: &str) -> (&str, &str) {
    match uri.find("://") {
        Some(end) => {
            let start = end + 3;
            let length = uri[start..]
                .find(['/', '?', '#'])
                .unwrap_or(uri.len() - start);
            uri.split_at(start + length)
        }
        None => ("", uri),
    }
}

/// The path without `.` and `..`, which do not lead above the root.
fn normalised(prefix: &str, path: &str) -> String {
    let rooted = path.starts_with('/');
    let (steps, rest) = match path.split_once('?') {
        Some((steps, query)) if !prefix.is_empty() => (steps, Some(query)),
        _ => (path, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    for step in steps.strip_prefix('/').unwrap_or(steps).split('/') {
        match step {
            "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            step => kept.push(step),
        }
    }
    let root = if rooted { "/" } else { "" };
    let query = rest.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{prefix}{root}{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, path: &str, expected: &str) {
        assert_eq!(resolve_uri(base, path), expected, "{base} {path}");
    }

    #[test]
    fn paths_start_in_the_folder_of_the_document() {
        check("file:///a/b/doc.yaml", "red.tif", "file:///a/b/red.tif");
        check(
            "file:///a/b/doc.yaml",
            "sub/red.tif",
            "file:///a/b/sub/red.tif",
        );
        check(
            "file:///a/b/doc.yaml",
            "../c/./red.tif",
            "file:///a/c/red.tif",
        );
        check("file:///a/doc.yaml", "../../../red.tif", "file:///red.tif");
        check("file:///a/doc.yaml#part=3", "red.tif", "file:///a/red.tif");
        check(
            "file:///a/doc.yaml",
            "red #1?.tif",
            "file:///a/red %231%3F.tif",
        );
        check("s3://bucket/a/doc.yaml", "red.tif", "s3://bucket/a/red.tif");
        check("s3://bucket", "red.tif", "s3://bucket/red.tif");
        check("s3://bucket/a/", "red.tif", "s3://bucket/a/red.tif");
        check("gs://bucket/a/doc.yaml", "red.tif", "gs://bucket/a/red.tif");
        check(
            "az://container/a/doc.yaml",
            "red.tif",
            "az://container/a/red.tif",
        );
        check(
            "https://host:8080/a/doc.json?token=1/2",
            "red.tif",
            "https://host:8080/a/red.tif",
        );
        check(
            "https://host/a/doc.json",
            "red.tif?sig=..",
            "https://host/a/red.tif?sig=..",
        );
        check(
            "/vsis3/bucket/a/doc.yaml",
            "red.tif",
            "/vsis3/bucket/a/red.tif",
        );
        check(
            "/vsizip/a/b.zip/sub",
            "red.tif",
            "/vsizip/a/b.zip/sub/red.tif",
        );
        check("scenes/doc.yaml", "../red.tif", "red.tif");
        check("doc.yaml", "red.tif", "red.tif");
        check(
            "zip:///a/b.zip!/doc.yaml",
            "red.tif",
            "zip:///a/b.zip!/red.tif",
        );
    }

    #[test]
    fn absolute_paths_and_uris_stand_alone() {
        check(
            "s3://bucket/doc.yaml",
            "/data/a b.tif",
            "file:///data/a%20b.tif",
        );
        check(
            "s3://bucket/doc.yaml",
            "https://host/x.tif",
            "https://host/x.tif",
        );
        check(
            "s3://bucket/doc.yaml",
            "/vsicurl/https://host/x.tif",
            "/vsicurl/https://host/x.tif",
        );
        check("s3://bucket/doc.yaml", "", "s3://bucket/doc.yaml");
        check("file:///a/b.nc#part=2", "", "file:///a/b.nc");
        check("", "s3://b/x.tif", "s3://b/x.tif");
    }
}
