//! GeoTIFF keys: a small dictionary inside three TIFF tags.

mod crs;
mod names;
mod projection;
mod units;

use std::collections::BTreeMap;

use super::ifd::Ifd;
use super::tags;
use crate::error::Result;
pub(crate) use crs::to_crs;

/// Numbers of the keys that are read.
pub(crate) mod key {
    pub(crate) const MODEL_TYPE: u16 = 1024;
    pub(crate) const RASTER_TYPE: u16 = 1025;
    pub(crate) const CITATION: u16 = 1026;
    pub(crate) const GEODETIC_CRS: u16 = 2048;
    pub(crate) const GEODETIC_CITATION: u16 = 2049;
    pub(crate) const GEODETIC_DATUM: u16 = 2050;
    pub(crate) const PRIME_MERIDIAN: u16 = 2051;
    pub(crate) const ANGULAR_UNITS: u16 = 2054;
    pub(crate) const ANGULAR_UNIT_SIZE: u16 = 2055;
    pub(crate) const ELLIPSOID: u16 = 2056;
    pub(crate) const SEMI_MAJOR_AXIS: u16 = 2057;
    pub(crate) const SEMI_MINOR_AXIS: u16 = 2058;
    pub(crate) const INVERSE_FLATTENING: u16 = 2059;
    pub(crate) const PRIME_MERIDIAN_LONGITUDE: u16 = 2061;
    pub(crate) const TO_WGS84: u16 = 2062;
    pub(crate) const PROJECTED_CRS: u16 = 3072;
    pub(crate) const PROJECTED_CITATION: u16 = 3073;
    pub(crate) const PROJECTION: u16 = 3074;
    pub(crate) const PROJECTION_METHOD: u16 = 3075;
    pub(crate) const LINEAR_UNITS: u16 = 3076;
    pub(crate) const LINEAR_UNIT_SIZE: u16 = 3077;
    pub(crate) const STANDARD_PARALLEL_1: u16 = 3078;
    pub(crate) const STANDARD_PARALLEL_2: u16 = 3079;
}

/// Stands for "defined by the other keys" where a code is expected.
pub(crate) const USER_DEFINED: u16 = 32767;

/// The value of one key.
#[derive(Clone, Debug, PartialEq)]
enum GeoValue {
    Short(u16),
    Doubles(Vec<f64>),
    Text(String),
}

/// The keys of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GeoKeys {
    values: BTreeMap<u16, GeoValue>,
}

impl GeoKeys {
    /// Reads the keys; a file without any has none. Keys whose values lie
    /// outside the tags that should hold them are passed over, as in
    /// libgeotiff.
    pub(crate) fn from_ifd(ifd: &Ifd) -> Result<GeoKeys> {
        let Some(directory) = ifd.uints(tags::GEO_KEY_DIRECTORY)? else {
            return Ok(GeoKeys::default());
        };
        let doubles = ifd.floats(tags::GEO_DOUBLE_PARAMS)?.unwrap_or_default();
        let text = ifd.raw(tags::GEO_ASCII_PARAMS)?.unwrap_or_default();
        Ok(GeoKeys::parse(&directory, &doubles, &text))
    }

    fn parse(directory: &[u64], doubles: &[f64], text: &[u8]) -> GeoKeys {
        let n_keys = directory
            .get(3)
            .map_or(0, |&n| usize::try_from(n).unwrap_or(usize::MAX));
        let entries = directory.get(4..).unwrap_or_default().as_chunks::<4>().0;
        let mut values = BTreeMap::new();
        for &[key, tag, count, at] in entries.iter().take(n_keys) {
            let (Ok(key), Ok(count), Ok(start)) = (
                u16::try_from(key),
                usize::try_from(count),
                usize::try_from(at),
            ) else {
                continue;
            };
            let end = start.saturating_add(count);
            let value = match u16::try_from(tag) {
                Ok(0) => u16::try_from(at).ok().map(GeoValue::Short),
                Ok(tags::GEO_DOUBLE_PARAMS) => doubles
                    .get(start..end)
                    .map(|values| GeoValue::Doubles(values.to_vec())),
                Ok(tags::GEO_ASCII_PARAMS) => text
                    .get(start..end.min(text.len()))
                    .map(|bytes| GeoValue::Text(clean_text(bytes))),
                Ok(tags::GEO_KEY_DIRECTORY) => directory
                    .get(start)
                    .and_then(|&value| u16::try_from(value).ok())
                    .map(GeoValue::Short),
                _ => None,
            };
            if let Some(value) = value {
                values.entry(key).or_insert(value);
            }
        }
        GeoKeys { values }
    }

    /// Whether there are no keys at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A code.
    pub(crate) fn short(&self, key: u16) -> Option<u16> {
        match self.values.get(&key)? {
            GeoValue::Short(value) => Some(*value),
            _ => None,
        }
    }

    /// A code that stands for something of EPSG's.
    pub(crate) fn code(&self, key: u16) -> Option<u16> {
        self.short(key)
            .filter(|&code| code != 0 && code != USER_DEFINED)
    }

    /// A number, which some writers store as a code.
    pub(crate) fn double(&self, key: u16) -> Option<f64> {
        match self.values.get(&key)? {
            GeoValue::Doubles(values) => values.first().copied(),
            GeoValue::Short(value) => Some(f64::from(*value)),
            GeoValue::Text(_) => None,
        }
    }

    pub(crate) fn doubles(&self, key: u16) -> &[f64] {
        match self.values.get(&key) {
            Some(GeoValue::Doubles(values)) => values,
            _ => &[],
        }
    }

    pub(crate) fn text(&self, key: u16) -> Option<&str> {
        match self.values.get(&key)? {
            GeoValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether coordinates are of pixel centres instead of corners.
    pub(crate) fn is_point(&self) -> bool {
        self.short(key::RASTER_TYPE) == Some(2)
    }
}

/// Text without the `|` and the NULs that end it.
fn clean_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['|', '\0']).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_the_tags_that_hold_them() {
        let directory = [
            1, 1, 0, 6, //
            1024, 0, 1, 1, //
            1026, 34737, 4, 0, //
            2057, 34736, 1, 1, //
            2062, 34736, 3, 9, //
            3076, 34735, 1, 26, //
            1025, 0, 1, 2,    //
            9001, // the value of 3076 would be at 26, but is at 28
        ];
        let keys = GeoKeys::parse(&directory, &[1.0, 6_378_137.0], b"abc|");
        assert_eq!(keys.short(1024), Some(1));
        assert_eq!(keys.text(1026), Some("abc"));
        assert_eq!(keys.double(2057), Some(6_378_137.0));
        assert_eq!(keys.doubles(2062), [0.0; 0]);
        assert_eq!(keys.short(3076), Some(1));
        assert!(keys.is_point() && !keys.is_empty());
        assert!(GeoKeys::parse(&[1, 1, 0], &[], b"").is_empty());
        assert!(GeoKeys::parse(&[1, 1, 0, 99, 1, 2], &[], b"").is_empty());
    }
}
