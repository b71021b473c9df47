//! Which store and which array an address means.

/// The address of an array in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it was given.
    pub(crate) uri: String,
    /// The store: everything up to the part whose name ends in `.zarr`.
    pub(crate) root: String,
    /// The array within it, `red` or `group/red`; `None` where none is named.
    pub(crate) array: Option<String>,
}

impl Address {
    /// Takes `STORE.zarr`, `STORE.zarr/ARRAY` and `STORE.zarr#ARRAY`; `None` for
    /// what is no Zarr store.
    pub(crate) fn parse(uri: &str) -> Option<Address> {
        let (path, fragment) = match uri.split_once('#') {
            Some((path, fragment)) => (path, Some(fragment)),
            None => (uri, None),
        };
        if path.contains('?') {
            return None;
        }
        let mut end = 0;
        for part in path.split('/') {
            end += part.len();
            if part.len() > ".zarr".len() && part.to_ascii_lowercase().ends_with(".zarr") {
                let inside = path[end..].trim_matches('/');
                let named = fragment.unwrap_or(inside).trim_matches('/');
                return Some(Address {
                    uri: uri.to_owned(),
                    root: path[..end].to_owned(),
                    array: (!named.is_empty()).then(|| named.to_owned()),
                });
            }
            end += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_and_arrays() {
        let check = |uri: &str, expected: Option<(&str, Option<&str>)>| {
            let found = Address::parse(uri);
            let found = found.as_ref();
            let found = found.map(|found| (found.root.as_str(), found.array.as_deref()));
            assert_eq!(found, expected, "{uri}");
        };
        check("/a/b.zarr", Some(("/a/b.zarr", None)));
        check("/a/b.zarr/", Some(("/a/b.zarr", None)));
        check("/a/b.ZARR/red", Some(("/a/b.ZARR", Some("red"))));
        check(
            "s3://bucket/a.zarr/group/red",
            Some(("s3://bucket/a.zarr", Some("group/red"))),
        );
        check("/a/b.zarr#red", Some(("/a/b.zarr", Some("red"))));
        for other in [
            "/a/b.tif",
            "/a/.zarr",
            "/zarr/b.tif",
            "https://x/a.zarr?sig=1",
        ] {
            check(other, None);
        }
    }
}
