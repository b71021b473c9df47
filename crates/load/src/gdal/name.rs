//! Which addresses are meant for GDAL, and what GDAL calls the others.

/// Whether `uri` is a name that only GDAL knows: a part of a file, such as
/// `NETCDF:"/data/a.nc":red` or `HDF5:"/data/a.h5"://group/red`, or a file in a
/// zip archive as `/vsizip/...`. Such names are no paths, and stay as they are.
///
/// ```
/// use datacube_load::is_gdal_name;
/// assert!(is_gdal_name("NETCDF:\"/data/a.nc\":red"));
/// assert!(!is_gdal_name("/data/a.nc") && !is_gdal_name("s3://bucket/a.tif"));
/// ```
pub fn is_gdal_name(uri: &str) -> bool {
    const ARCHIVES: [&str; 4] = ["/vsizip/", "/vsigzip/", "/vsi7z/", "/vsirar/"];
    if ARCHIVES.iter().any(|archive| uri.starts_with(archive)) {
        return true;
    }
    // Drivers are in capitals, and schemes of URLs are followed by slashes.
    uri.split_once(':').is_some_and(|(driver, rest)| {
        let is_driver = driver.len() > 1
            && driver
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        is_driver && !rest.starts_with("//")
    })
}

/// What GDAL calls the file at `uri`, an absolute path, a URL or a name of its
/// own; `None` where it reads no such address.
#[cfg(any(feature = "gdal", test))]
pub(crate) fn gdal_name(uri: &str) -> Option<String> {
    if is_gdal_name(uri) || uri.starts_with('/') {
        return Some(uri.to_owned());
    }
    let (scheme, rest) = uri.split_once("://")?;
    let name = match scheme.to_ascii_lowercase().as_str() {
        "file" => url::Url::parse(uri)
            .ok()?
            .to_file_path()
            .ok()?
            .to_str()?
            .to_owned(),
        "http" | "https" => format!("/vsicurl/{uri}"),
        "s3" | "s3a" => format!("/vsis3/{rest}"),
        "gs" => format!("/vsigs/{rest}"),
        "az" => format!("/vsiaz/{rest}"),
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_gdal_knows() {
        for name in [
            "NETCDF:\"/a b.nc\":red",
            "HDF5:/a.h5://g/red",
            "HDF4_EOS:EOS_GRID:\"a.hdf\":grid:band",
            "SENTINEL2_L2A:/a/MTD.xml:10m:EPSG_32632",
            "/vsizip/a.zip/b.tif",
        ] {
            assert!(is_gdal_name(name), "{name}");
            assert_eq!(gdal_name(name).as_deref(), Some(name));
        }
        for name in [
            "/a/b.tif",
            "s3://b/a.tif",
            "S3://b/a.tif",
            "C:/a.tif",
            "/vsis3/b/a.tif",
            "a:b",
        ] {
            assert!(!is_gdal_name(name), "{name}");
        }
    }

    #[test]
    fn addresses_in_gdals_words() {
        let check =
            |uri: &str, name: Option<&str>| assert_eq!(gdal_name(uri).as_deref(), name, "{uri}");
        check("/a/b.jp2", Some("/a/b.jp2"));
        check("file:///a%20b/c.jp2", Some("/a b/c.jp2"));
        check("https://h/a.jp2?x=1", Some("/vsicurl/https://h/a.jp2?x=1"));
        check("s3://b/k/a.jp2", Some("/vsis3/b/k/a.jp2"));
        check("gs://b/a.nc", Some("/vsigs/b/a.nc"));
        check("tar://a::/b.tar", None);
        check("relative.jp2", None);
    }
}
