//! Which variable of a cube is meant by a band's symbol.
//!
//! Names are compared without letter case, without a product's prefix
//! (`nbart_`, `nbar_`, `sr_`), and without separators: `nbart_red_edge_1` is
//! `rededge1`. A variable also answers to its `aliases` and `common_name`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::catalogue;
use crate::array::DataArray;
use crate::cube::Cube;

/// A band of the catalogue.
#[derive(Debug, Deserialize)]
pub(super) struct Band {
    long_name: String,
    common_name: String,
    platforms: BTreeMap<String, OnPlatform>,
}

#[derive(Debug, Deserialize)]
struct OnPlatform {
    band: String,
    wavelength: f64,
}

/// Names besides the catalogue's common one, better ones first.
const NAMES: [(&str, &[&str]); 21] = [
    (
        "A",
        &[
            "coastal",
            "coastalaerosol",
            "aerosol",
            "ultrablue",
            "coastalblue",
        ],
    ),
    ("B", &["blue"]),
    ("G", &["green"]),
    ("G1", &["green05", "green1"]),
    ("Y", &["yellow"]),
    ("R", &["red"]),
    ("RE1", &["rededge071", "rededge1", "rededge"]),
    ("RE2", &["rededge075", "rededge2"]),
    ("RE3", &["rededge078", "rededge3"]),
    // Landsat's and the narrow one of Sentinel-2 stand in for the broad one.
    (
        "N",
        &["nir", "nir1", "nearinfrared", "nir08", "nirnarrow", "nir2"],
    ),
    (
        "N2",
        &["nir08", "nirnarrow", "nir8a", "nir2", "nir", "nir1"],
    ),
    ("WV", &["nir09", "watervapour", "watervapor"]),
    ("S1", &["swir16", "swir1"]),
    ("S2", &["swir22", "swir3", "swir2"]),
    ("T", &["lwir", "thermal", "tir", "lwir11"]),
    ("T1", &["lwir11", "lwir1", "tirs1", "thermal1"]),
    ("T2", &["lwir12", "lwir2", "tirs2", "thermal2"]),
    ("VV", &["vv"]),
    ("VH", &["vh"]),
    ("HH", &["hh"]),
    ("HV", &["hv"]),
];

/// Prefixes of products that say nothing about the band.
const PREFIXES: [&str; 4] = ["nbart_", "nbar_", "sr_", "oa_"];

pub(super) fn is_band(symbol: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == symbol)
}

/// The band in words, for errors.
pub(super) fn describe(symbol: &str) -> String {
    match catalogue().bands.get(symbol) {
        Some(band) => format!("band {symbol} ({}, `{}`)", band.long_name, band.common_name),
        None => format!("band {symbol}"),
    }
}

/// The central wavelength of a band on a platform, in nm.
pub(super) fn wavelength(symbol: &str, platform: &str) -> Option<f64> {
    let band = catalogue().bands.get(symbol)?;
    Some(band.platforms.get(platform)?.wavelength)
}

/// The variable that is meant by `symbol`.
pub(super) fn find<'a>(cube: &'a Cube, symbol: &str, platform: Option<&str>) -> Option<&'a str> {
    if let Some(platform) = platform {
        let number = |symbol: &str| {
            let band = catalogue().bands.get(symbol)?;
            Some(band.platforms.get(platform)?.band.as_str())
        };
        // Landsat 8 has its near infrared as the narrow one only.
        let number = number(symbol).or_else(|| number("N2").filter(|_| symbol == "N"));
        if let Some(number) = number
            && let Some((name, _)) = cube.variables().find(|(name, _)| is_number(name, number))
        {
            return Some(name);
        }
    }
    let (_, names) = NAMES.iter().find(|(known, _)| *known == symbol)?;
    let found = names.iter().find_map(|wanted| named(cube, wanted));
    // Sentinel-2 of Digital Earth Australia has swir_2 and swir_3 for what
    // others call the first and the second.
    match (symbol, found) {
        ("S1", None) if named(cube, "swir3").is_some() => named(cube, "swir2"),
        _ => found,
    }
}

/// The variable of this name, or that has it among its other names.
fn named<'a>(cube: &'a Cube, wanted: &str) -> Option<&'a str> {
    let own = cube.variables().find(|(name, _)| plain(name) == wanted);
    let other = || {
        cube.variables()
            .find(|(_, array)| other_names(array).any(|name| plain(name) == wanted))
    };
    own.or_else(other).map(|(name, _)| name)
}

fn other_names(array: &DataArray) -> impl Iterator<Item = &str> {
    let attr = |name: &str| array.attrs().get(name);
    let aliases = attr("aliases").and_then(serde_json::Value::as_array);
    let common = ["common_name", "eo:common_name"].map(attr);
    aliases
        .into_iter()
        .flatten()
        .chain(common.into_iter().flatten())
        .filter_map(serde_json::Value::as_str)
}

fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    let bare = bare.unwrap_or(&name);
    bare.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Whether `name` is a way of writing the band number: `B4`, `B04`, `SR_B4`,
/// `band_4`, `4`.
fn is_number(name: &str, number: &str) -> bool {
    let digits = |text: &str| text.trim_start_matches('0').to_owned();
    let name = plain(name);
    let name = name
        .strip_prefix("band")
        .or_else(|| name.strip_prefix('b'))
        .unwrap_or(&name);
    let number = number.to_ascii_lowercase();
    digits(name) == digits(number.trim_start_matches('b'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attrs::Attrs;
    use crate::coords::Coords;

    fn cube(names: &[&str]) -> Cube {
        let variables = names.iter().map(|name| {
            let array = DataArray::from_values(*name, &["x"], &[1], [1u16], Coords::new());
            (*name, array.unwrap())
        });
        Cube::new(variables.collect::<Vec<_>>()).unwrap()
    }

    fn check(names: &[&str], symbol: &str, expected: Option<&str>) {
        assert_eq!(
            find(&cube(names), symbol, None),
            expected,
            "{names:?} {symbol}"
        );
    }

    #[test]
    fn bands_by_the_names_that_products_give_them() {
        let dea = [
            "nbart_red",
            "nbart_nir_1",
            "nbart_nir_2",
            "nbart_red_edge_1",
            "nbart_swir_2",
            "nbart_swir_3",
        ];
        for (symbol, name) in [
            ("R", "nbart_red"),
            ("N", "nbart_nir_1"),
            ("N2", "nbart_nir_2"),
            ("RE1", "nbart_red_edge_1"),
            ("S1", "nbart_swir_2"),
            ("S2", "nbart_swir_3"),
        ] {
            check(&dea, symbol, Some(name));
        }
        check(&["nir08", "swir16", "swir22"], "N", Some("nir08"));
        check(&["nir08", "nir"], "N", Some("nir"));
        check(&["nir08", "nir"], "N2", Some("nir08"));
        check(&["swir_1", "swir_2"], "S1", Some("swir_1"));
        check(&["swir_1", "swir_2"], "S2", Some("swir_2"));
        check(&["VV", "vh"], "VV", Some("VV"));
        check(&["red"], "B", None);
    }

    #[test]
    fn numbers_of_a_platform_and_aliases() {
        for (names, symbol, found) in [
            (["B04", "B8A"], "R", "B04"),
            (["SR_B4", "SR_B5"], "N", "SR_B5"),
            (["band_4", "band_5"], "R", "band_4"),
        ] {
            let platform = if names[0] == "B04" {
                "sentinel2a"
            } else {
                "landsat8"
            };
            assert_eq!(find(&cube(&names), symbol, Some(platform)), Some(found));
        }
        let aliased = cube(&["B04"]).map(|_, array| {
            array
                .clone()
                .with_attrs(Attrs::new().with("aliases", serde_json::json!(["red"])))
        });
        assert_eq!(find(&aliased, "R", None), Some("B04"));
        assert_eq!(wavelength("R", "landsat8"), Some(655.0));
    }
}
