//! Bands, grids, types and times of items, against odc-stac 0.5.3.

use std::collections::BTreeMap;

use datacube_geo::Crs;
use datacube_model::dataset::resolve_uri;
use datacube_model::stac::{BandKey, StacBand, StacConfig, StacItem};
use datacube_model::{Number, parse_time};
use datacube_testkit::shared;
use serde_json::Value;

use crate::corpus::{convert, document, json_file, text};

/// Why an item differs from what odc-stac says; each is explained where the
/// crate does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Because {
    /// `eo:bands` lists several bands and nothing else says how many there are.
    EoBandsCount,
    /// The fields of the projection are there and the extension is not declared.
    Undeclared,
    /// `raster:bands` beside a field of the asset, which odc-stac takes instead of it.
    RasterBandsBesideAsset,
    /// Zarr by the media type that STAC recommends today.
    Zarr,
    /// `proj:bbox` and `proj:shape` make the grid.
    BoxAndShape,
    /// `proj:transform` is in the order of GDAL.
    GdalOrder,
}

struct Differences<'a> {
    row: &'a Value,
    document: &'a Value,
    found: Vec<String>,
    explained: Vec<Because>,
}

impl Differences<'_> {
    fn note(&mut self, what: String, because: Option<Because>) {
        match because {
            Some(because) => self.explained.push(because),
            None => self.found.push(format!(
                "{} {}: {what}",
                text(self.row, "file"),
                self.row["id"]
            )),
        }
    }

    fn asset(&self, key: &BandKey) -> &Value {
        &self.document["assets"][&key.asset]
    }
}

fn declares(document: &Value) -> bool {
    let names = document["stac_extensions"].as_array();
    names.is_some_and(|names| {
        names
            .iter()
            .filter_map(Value::as_str)
            .any(|name| name.contains("proj"))
    })
}

#[test]
fn items_are_parsed_as_odc_stac_parses_them() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let rows = json_file(&folder.join("oracle_odc-stac-0.5.3_parse_item.json"));
    let rows = rows.as_array().expect("a list");
    let (mut n_parsed, mut n_more, mut n_nowhere) = (0, 0, 0);
    let (mut n_bands, mut n_grids) = (0, 0);
    let mut refused = Vec::new();
    let mut found = Vec::new();
    let mut explained: BTreeMap<Because, usize> = BTreeMap::new();
    for row in rows {
        let document = document(&folder, text(row, "file"), text(row, "id"));
        let location = match row["synthetic_self_href"].as_bool() {
            Some(true) => format!(
                "https://example.invalid/corpus/stac-item/{}/item.json",
                text(row, "repo")
            ),
            _ => String::new(),
        };
        let item = StacItem::from_document(document.clone());
        let dataset = item
            .clone()
            .and_then(|item| convert(&item, "s3://bucket/item.json"));
        let (item, dataset) = match (row["ok"] == true, item, dataset) {
            (true, Ok(item), Ok(dataset)) => (item, dataset),
            // No footprint and no grid: odc-stac parses such items, but datacube
            // makes no datasets of them either.
            (true, Ok(_), Err(error))
                if document["geometry"].is_null()
                    && error.problems()[0].path.to_string() == "geometry" =>
            {
                n_nowhere += 1;
                continue;
            }
            (true, item, dataset) => {
                found.push(format!(
                    "{} is refused: {:?}",
                    text(row, "file"),
                    item.map(|_| ())
                        .and(dataset.map(|_| ()))
                        .map_err(|e| e.to_string())
                ));
                continue;
            }
            (false, _, Ok(_)) => {
                n_more += 1;
                continue;
            }
            (false, _, Err(error)) => {
                assert!(!error.problems()[0].path.is_root(), "{error}");
                refused.push(format!("{} ({})", error.problems()[0], text(row, "error")));
                continue;
            }
        };
        n_parsed += 1;
        let mut differences = Differences {
            row,
            document: &document,
            found: Vec::new(),
            explained: Vec::new(),
        };
        let bands = item
            .bands(&StacConfig::default())
            .expect("it was converted");
        compare_bands(&bands, &item, &location, &mut differences);
        n_bands += bands.len();
        n_grids += bands.values().filter(|band| band.grid.is_some()).count();
        compare_whole(&dataset, &mut differences);
        found.extend(differences.found);
        for because in differences.explained {
            *explained.entry(because).or_default() += 1;
        }
    }
    eprintln!(
        "{n_parsed} items as odc-stac ({n_bands} bands, {n_grids} with a grid), {n_more} more than it, {n_nowhere} are nowhere, {} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    eprintln!("explained differences: {explained:?}");
    assert!(
        found.is_empty(),
        "{} differ:\n{}",
        found.len(),
        found.join("\n")
    );
    assert_eq!((n_parsed, n_nowhere), (791, 2));
    assert_eq!(n_parsed + n_nowhere + n_more + refused.len(), rows.len());
}

fn compare_bands(
    bands: &indexmap::IndexMap<BandKey, StacBand>,
    item: &StacItem,
    location: &str,
    differences: &mut Differences<'_>,
) {
    let theirs = differences.row["bands"]
        .as_object()
        .expect("an object")
        .clone();
    let listed_all = differences.row["n_bands"].as_u64() == Some(theirs.len() as u64);
    for (name, _) in &theirs {
        let (asset, index) = name.rsplit_once('.').expect("asset and band");
        let key = BandKey {
            asset: asset.to_owned(),
            index: index.parse().expect("a band"),
        };
        if !bands.contains_key(&key) {
            differences.note(format!("no band {name}"), None);
        }
    }
    for (key, band) in bands {
        let name = format!("{}.{}", key.asset, key.index);
        let Some(their) = theirs.get(&name) else {
            let asset = differences.asset(key);
            let because = if key.index > 1 && asset["eo:bands"].is_array() {
                Some(Because::EoBandsCount)
            } else if band.media().contains("zarr") {
                Some(Because::Zarr)
            } else {
                None
            };
            if listed_all || because.is_some() {
                differences.note(format!("band {name} is not theirs"), because);
            }
            continue;
        };
        compare_band(key, band, their, differences);
        let base = if location.is_empty() {
            item.link("self").unwrap_or_default()
        } else {
            location
        };
        let uri = resolve_uri(base, &band.href);
        let their_uri = text(their, "uri");
        // The oracle cuts long ones; where it says `synthetic` of the item's
        // place, only the name of the file is known. A path from the root is a
        // file here, and of the item's server there.
        let end = |uri: &str| uri.rsplit('/').next().unwrap_or_default().to_owned();
        let same = if location.is_empty() {
            uri.ends_with(their_uri) || their_uri.ends_with(&uri)
        } else {
            let (ours, theirs) = (end(&uri), end(their_uri));
            ours.contains(&theirs)
        };
        if !same {
            differences.note(format!("{name} is at {uri}, theirs {their_uri}"), None);
        }
    }
}

fn compare_band(key: &BandKey, band: &StacBand, their: &Value, differences: &mut Differences<'_>) {
    let asset = differences.asset(key).clone();
    let beside = (asset["raster:bands"].is_array()
        && ["nodata", "data_type", "unit"]
            .iter()
            .any(|field| !asset[*field].is_null()))
    .then_some(Because::RasterBandsBesideAsset);
    if their["dtype"] != band.data_type.name() {
        differences.note(
            format!("{key:?} is {}, theirs {}", band.data_type, their["dtype"]),
            beside,
        );
    }
    let nodata = match &their["nodata"] {
        Value::Null => None,
        Value::String(text) => text.parse::<f64>().ok(),
        value => value.as_f64(),
    };
    let same = match (band.nodata.map(Number::as_f64), nodata) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => false,
    };
    // The oracle writes a nodata that is NaN as null.
    let unsaid = band.nodata.is_some_and(Number::is_nan) && nodata.is_none();
    if !same && !unsaid {
        differences.note(
            format!(
                "{key:?} has nodata {:?}, theirs {}",
                band.nodata, their["nodata"]
            ),
            beside,
        );
    }
    match (&band.grid, their["geobox"].as_object()) {
        (None, None) => {}
        (Some(grid), Some(geobox)) => {
            let t = grid.affine();
            let transform = [t.a, t.b, t.c, t.d, t.e, t.f];
            let theirs: Vec<f64> = geobox["transform"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(Value::as_f64)
                .collect();
            let shape = [geobox["shape"][0].as_u64(), geobox["shape"][1].as_u64()];
            let ours = [Some(grid.rows() as u64), Some(grid.cols() as u64)];
            // The oracle says `wkt` of a CRS without a code.
            let crs = Crs::parse(text(&their["geobox"], "crs")).ok();
            let same_crs = crs.is_none_or(|crs| grid.crs() == Some(&crs));
            if transform.as_slice() != theirs || shape != ours || !same_crs {
                let in_gdal_order = theirs == [t.c, t.a, 0.0, t.f, 0.0, t.e] && shape == ours;
                differences.note(
                    format!("{key:?} has grid {grid:?}, theirs {geobox:?}"),
                    in_gdal_order.then_some(Because::GdalOrder),
                );
            }
        }
        (Some(grid), None) => {
            let properties = &differences.document["properties"];
            let no_transform =
                asset["proj:transform"].is_null() && properties["proj:transform"].is_null();
            let because = if !declares(differences.document) {
                Some(Because::Undeclared)
            } else if no_transform {
                Some(Because::BoxAndShape)
            } else {
                None
            };
            differences.note(format!("{key:?} has grid {grid:?}, theirs none"), because);
        }
        (None, Some(geobox)) => {
            differences.note(format!("{key:?} has no grid, theirs {geobox:?}"), None)
        }
    }
}

fn compare_whole(dataset: &datacube_model::Dataset, differences: &mut Differences<'_>) {
    let nominal = text(differences.row, "nominal_datetime");
    let nominal = parse_time(nominal).expect("a time");
    let ours = dataset
        .properties()
        .and_then(|properties| properties["datetime"].as_str())
        .map(|text| parse_time(text).expect("a time"));
    if ours != Some(nominal) {
        differences.note(format!("at {ours:?}, theirs {nominal}"), None);
    }
    let (begin, end) = dataset.time_range();
    if begin > nominal || end < nominal {
        differences.note(format!("from {begin} to {end}, theirs at {nominal}"), None);
    }
    let crs = differences.row["crs"].as_str();
    if let Some(crs) = crs.and_then(|crs| Crs::parse(crs).ok())
        && dataset.crs() != &crs
    {
        let what = format!("in {}, theirs {crs}", dataset.crs());
        differences.note(what, None);
    }
}

/// The media type of a band's asset, which the crate keeps to itself.
trait Media {
    fn media(&self) -> String;
}

impl Media for StacBand {
    fn media(&self) -> String {
        format!("{self:?}")
    }
}
