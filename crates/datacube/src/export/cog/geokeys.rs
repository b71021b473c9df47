//! The georeference of a TIFF: where its pixels are and in which CRS.
//!
//! A CRS with an EPSG code is written as that code. Any other is written as
//! "user-defined" with its WKT as citation of the projected CRS, behind the
//! marker `ESRI PE String = ` that GDAL and ArcGIS look for.

use datacube_geo::{Affine, Crs};

use super::tiff::{Directory, Values};

const MODEL_PIXEL_SCALE: u16 = 33550;
const MODEL_TIEPOINT: u16 = 33922;
const MODEL_TRANSFORMATION: u16 = 34264;
const GEO_KEY_DIRECTORY: u16 = 34735;
const GEO_ASCII_PARAMS: u16 = 34737;

const GT_MODEL_TYPE: u16 = 1024;
const GT_RASTER_TYPE: u16 = 1025;
const GT_CITATION: u16 = 1026;
const GEODETIC_CRS: u16 = 2048;
const GEOG_ANGULAR_UNITS: u16 = 2054;
const PROJECTED_CRS: u16 = 3072;
const PROJECTED_CITATION: u16 = 3073;
const PROJ_LINEAR_UNITS: u16 = 3076;

const MODEL_PROJECTED: u16 = 1;
const MODEL_GEOGRAPHIC: u16 = 2;
const PIXEL_IS_AREA: u16 = 1;
const USER_DEFINED: u16 = 32767;
const UNIT_METRE: u16 = 9001;
const UNIT_DEGREE: u16 = 9102;

/// Marks a citation that holds WKT.
const WKT_MARKER: &str = "ESRI PE String = ";

/// Adds the tags that place the image.
pub(super) fn add_georeference(directory: &mut Directory, affine: &Affine, crs: Option<&Crs>) {
    if affine.b == 0.0 && affine.d == 0.0 && affine.e < 0.0 && affine.a > 0.0 {
        directory.set(
            MODEL_PIXEL_SCALE,
            Values::Double(vec![affine.a, -affine.e, 0.0]),
        );
        directory.set(
            MODEL_TIEPOINT,
            Values::Double(vec![0.0, 0.0, 0.0, affine.c, affine.f, 0.0]),
        );
    } else {
        #[rustfmt::skip]
        let matrix = vec![
            affine.a, affine.b, 0.0, affine.c,
            affine.d, affine.e, 0.0, affine.f,
            0.0,      0.0,      0.0, 0.0,
            0.0,      0.0,      0.0, 1.0,
        ];
        directory.set(MODEL_TRANSFORMATION, Values::Double(matrix));
    }
    if let Some(crs) = crs {
        let mut keys = GeoKeys::default();
        keys.describe(crs);
        keys.short(GT_RASTER_TYPE, PIXEL_IS_AREA);
        keys.store(directory);
    }
}

#[derive(Default)]
struct GeoKeys {
    /// (key, tag that holds the value or 0, count, value or position)
    entries: Vec<[u16; 4]>,
    text: String,
}

impl GeoKeys {
    fn short(&mut self, key: u16, value: u16) {
        self.entries.push([key, 0, 1, value]);
    }

    fn ascii(&mut self, key: u16, value: &str) {
        let value = value.replace('|', "/");
        let (Ok(start), Ok(len)) = (
            u16::try_from(self.text.len()),
            u16::try_from(value.len() + 1),
        ) else {
            return; // A citation of 64 KiB: nothing that a GeoKey can hold.
        };
        self.entries.push([key, GEO_ASCII_PARAMS, len, start]);
        self.text.push_str(&value);
        self.text.push('|');
    }

    fn describe(&mut self, crs: &Crs) {
        let code = crs
            .epsg()
            .and_then(|code| u16::try_from(code).ok())
            .filter(|&c| c < USER_DEFINED);
        let Some(code) = code else {
            // GDAL looks for WKT in the citation of the projected CRS, and takes
            // a geographic one from there too.
            self.short(GT_MODEL_TYPE, USER_DEFINED);
            self.ascii(GT_CITATION, crs.name());
            self.short(PROJECTED_CRS, USER_DEFINED);
            let wkt = crs
                .to_wkt1_gdal()
                .unwrap_or_else(|_| crs.to_wkt().to_owned());
            self.ascii(PROJECTED_CITATION, &format!("{WKT_MARKER}{wkt}"));
            return;
        };
        self.ascii(GT_CITATION, crs.name());
        if crs.is_geographic() {
            self.short(GT_MODEL_TYPE, MODEL_GEOGRAPHIC);
            self.short(GEODETIC_CRS, code);
        } else {
            self.short(GT_MODEL_TYPE, MODEL_PROJECTED);
            self.short(PROJECTED_CRS, code);
        }
        let [_, unit] = crs.units();
        if unit.starts_with("degree") {
            self.short(GEOG_ANGULAR_UNITS, UNIT_DEGREE);
        } else if unit == "metre" {
            self.short(PROJ_LINEAR_UNITS, UNIT_METRE);
        }
    }

    fn store(mut self, directory: &mut Directory) {
        self.entries.sort_by_key(|entry| entry[0]);
        let n_keys = u16::try_from(self.entries.len()).expect("a handful of keys");
        let mut shorts = vec![1, 1, 0, n_keys];
        shorts.extend(self.entries.into_iter().flatten());
        directory.set(GEO_KEY_DIRECTORY, Values::Short(shorts));
        if !self.text.is_empty() {
            directory.set(GEO_ASCII_PARAMS, Values::Ascii(self.text));
        }
    }
}
