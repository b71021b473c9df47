//! EO3 documents, made of items.

use datacube_geo::{Crs, GeoBox};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::bands::{self, BandKey, StacBand};
use super::config::StacConfig;
use super::{StacItem, footprint, grids, product, properties};
use crate::document::{EO3_SCHEMA, Node, Problem, ProblemKind};
use crate::product::Product;

/// The EO3 document of an item; `None` when the report says why not.
pub(super) fn document(
    item: &StacItem,
    node: &Node<'_>,
    id: Uuid,
    product: Option<&Product>,
    config: &StacConfig,
) -> Option<Value> {
    let own = item.config(config);
    let bands = bands::read(node, own);
    let properties = node.get("properties")?;
    let of_item = if own.ignore_proj {
        None
    } else {
        // Grids of items this crate wrote; quiet where there is none.
        grids::has_grid(&properties, None)
            .then(|| grids::of_asset(&properties, None))
            .flatten()
    };
    let mut groups = grids::group(&bands, of_item);
    let item_crs = grids::crs_if_known(&properties);
    if !node.report().problems().is_empty() {
        return None;
    }
    let lonlat = footprint::lonlat(node, groups.by_name.get("default"));
    if !groups.by_name.contains_key("default") {
        match footprint::stand_in(node, lonlat.as_ref(), item_crs.as_ref()) {
            Some(grid) => {
                groups.by_name.insert("default".to_owned(), grid);
            }
            None => {
                let path = node.path.key("geometry");
                if node
                    .report()
                    .problems()
                    .iter()
                    .all(|problem| problem.path != path)
                {
                    let expected = "a footprint, as no asset has proj:shape and proj:transform";
                    let problem = Problem::new(path, ProblemKind::Missing, expected);
                    node.report()
                        .problem(problem.found(&node.value["geometry"]));
                }
                return None;
            }
        }
    } else if groups.of_band.len() < bands.len() {
        let expected = "a proj:shape and a proj:transform for every band; those without are taken to lie on the default grid";
        let problem = Problem::new(node.path.key("assets"), ProblemKind::Missing, expected);
        let missing: Vec<&str> = bands
            .keys()
            .filter(|key| !groups.of_band.contains_key(*key))
            .map(|key| key.asset.as_str())
            .collect();
        node.report()
            .warning(problem.found_text(format!("none for {}", missing.join(", "))));
    }
    let default = groups.by_name["default"].clone();
    let crs = default.crs().cloned().unwrap_or_else(Crs::wgs84);
    let geometry = footprint::in_crs(node, lonlat.as_ref(), &crs, &default);
    let measurements = measurements(node, &bands, &groups, &crs, product);

    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("$schema", json!(EO3_SCHEMA));
    put("id", json!(id.to_string()));
    if let Some(title) = item.properties().get("title").and_then(Value::as_str) {
        put("label", json!(title));
    }
    let name = product.map_or_else(
        || item.product_names(config)[0].clone(),
        |product| product.name().to_owned(),
    );
    let mut of = json!({"name": name});
    if let Some(href) = item.properties().get("odc:product_href") {
        of["href"] = href.clone();
    }
    put("product", of);
    put("crs", json!(crs.as_str()));
    if let Some(geometry) = geometry {
        put("geometry", geometry);
    }
    let same_crs = groups
        .by_name
        .iter()
        .filter(|(_, grid)| grid.crs() == Some(&crs));
    let mut named: Map<String, Value> = same_crs
        .map(|(name, grid)| (name.clone(), grid_document(grid)))
        .collect();
    for (name, grid) in item
        .properties()
        .get("odc:grids")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        named.entry(name).or_insert_with(|| grid.clone());
    }
    put("grids", Value::Object(named));
    put("measurements", Value::Object(measurements));
    let media_type = bands
        .values()
        .next()
        .and_then(|band| band.media_type.as_deref());
    put(
        "properties",
        Value::Object(properties::to_eo3(
            item.properties(),
            properties::file_format(media_type),
        )),
    );
    put("accessories", Value::Object(accessories(node, &bands)));
    let lineage = item
        .properties()
        .get("odc:lineage")
        .filter(|value| value.is_object());
    put("lineage", lineage.cloned().unwrap_or_else(|| json!({})));
    Some(Value::Object(document))
}

/// A grid as documents write it.
pub(super) fn grid_document(grid: &GeoBox) -> Value {
    let (shape, t) = (grid.shape(), grid.affine());
    json!({"shape": [shape.rows, shape.cols], "transform": [t.a, t.b, t.c, t.d, t.e, t.f]})
}

/// The measurements, in the order of the assets.
fn measurements(
    node: &Node<'_>,
    bands: &IndexMap<BandKey, StacBand>,
    groups: &grids::Grids,
    crs: &Crs,
    product: Option<&Product>,
) -> Map<String, Value> {
    let names = match product {
        Some(product) => names_in(product, bands),
        None => product::measurement_names(bands),
    };
    let mut out = Map::new();
    for (key, band) in bands {
        let mut measurement = json!({"path": band.href});
        if let Some(layer) = &band.layer {
            measurement["layer"] = layer.clone();
        }
        if let Some(index) = band.band.or(Some(key.index).filter(|index| *index > 1)) {
            measurement["band"] = json!(index);
        }
        if !groups.of_band.contains_key(key)
            && let Some(name) = &band.grid_name
        {
            measurement["grid"] = json!(name);
        }
        let grid = groups.of_band.get(key).filter(|name| *name != "default");
        if let Some(grid) = grid {
            if groups.by_name[grid].crs() == Some(crs) {
                measurement["grid"] = json!(grid);
            } else {
                // One CRS a document: the file of this band tells where it is.
                let path = node.path.key("assets").key(&key.asset);
                let expected = format!("{crs}, the CRS of most bands, as a dataset has one");
                let problem = Problem::new(path, ProblemKind::Conflict, expected);
                node.report().warning(
                    problem.found_text(
                        groups.by_name[grid]
                            .crs()
                            .map_or_else(String::new, ToString::to_string),
                    ),
                );
            }
        }
        out.insert(names[key].clone(), measurement);
    }
    out
}

/// The measurement of each band in a product that is there already: by the name
/// that it would have, by the asset, by the names that the item has for it.
fn names_in(product: &Product, bands: &IndexMap<BandKey, StacBand>) -> IndexMap<BandKey, String> {
    let plain = product::measurement_names(bands);
    let candidates = |key: &BandKey, rank: usize| -> Option<String> {
        let text = match rank {
            0 => plain[key].clone(),
            1 if key.index == 1 => key.asset.clone(),
            1 => format!("{}.{}", key.asset, key.index),
            rank => bands[key].names.get(rank - 2)?.clone(),
        };
        Some(product.measurement(&text).ok()?.name.clone())
    };
    let mut found: IndexMap<BandKey, String> = IndexMap::new();
    for rank in 0..4 {
        // Of several bands with a name, that of the asset with the fewest has it.
        let mut open: Vec<&BandKey> = bands
            .keys()
            .filter(|key| !found.contains_key(*key))
            .collect();
        open.sort_by_key(|key| (bands[*key].n_bands, &key.asset, key.index));
        for key in open {
            if let Some(name) = candidates(key, rank)
                && !found.values().any(|known| *known == name)
            {
                found.insert(key.clone(), name);
            }
        }
    }
    for (key, name) in plain {
        if !found.contains_key(&key) {
            let taken = found.values().any(|known| *known == name);
            found.insert(key, if taken { format!("{name}_other") } else { name });
        }
    }
    found
}

/// The other assets.
fn accessories(node: &Node<'_>, bands: &IndexMap<BandKey, StacBand>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, asset) in node.get("assets").iter().flat_map(Node::entries) {
        let is_band = bands.keys().any(|key| key.asset == name);
        if let Some(href) = asset.value["href"].as_str().filter(|_| !is_band) {
            out.insert(name.to_owned(), json!({"path": href}));
        }
    }
    out
}
