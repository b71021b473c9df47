//! Where the pixels of assets are: `proj:*`, and grids with a name each.

use datacube_geo::{Affine, Crs, GeoBox, Shape2d};
use indexmap::IndexMap;
use serde_json::Value;

use super::bands::{BandKey, StacBand, inherited};
use super::names::short_number;
use crate::document::{Node, ProblemKind};

/// Where a CRS may stand, in the order in which they are looked at.
const CRS_FIELDS: [&str; 4] = ["proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"];

/// Whether an asset says how many pixels it has and where they are.
pub(super) fn has_grid(asset: &Node<'_>, properties: Option<&Node<'_>>) -> bool {
    ["proj:shape", "proj:transform"]
        .iter()
        .all(|key| inherited(asset, properties, key).is_some())
}

/// The CRS that an asset or an item gives, by any of the four fields for it.
///
/// # Source
/// pystac, `extensions/projection.py` (`crs_string`). DIFFERENCE: what the
/// asset itself says goes before the item, whatever the field.
pub(super) fn crs(places: &[&Node<'_>]) -> Option<Crs> {
    places.iter().find_map(|place| {
        CRS_FIELDS
            .iter()
            .find_map(|key| parse_crs(&place.get(key)?))
    })
}

/// The CRS of an item without grids; one that is not known is a remark, as
/// nothing depends on it.
pub(super) fn crs_if_known(properties: &Node<'_>) -> Option<Crs> {
    CRS_FIELDS.iter().find_map(|key| {
        let node = properties.get(key)?;
        match read_crs(node.value)? {
            Ok(crs) => Some(crs),
            Err(error) => {
                let expected = "a CRS that is known; EPSG:4326 is taken";
                let problem = node.problem(ProblemKind::BadValue, expected);
                node.report().warning(problem.cause(error));
                None
            }
        }
    })
}

fn read_crs(value: &Value) -> Option<datacube_geo::Result<Crs>> {
    let text = match value {
        Value::String(text) if !text.trim().is_empty() => text.clone(),
        Value::Number(code) => format!("EPSG:{code}"),
        Value::Object(_) => value.to_string(),
        _ => return None,
    };
    Some(Crs::parse(&text))
}

fn parse_crs(node: &Node<'_>) -> Option<Crs> {
    match read_crs(node.value)? {
        Ok(crs) => Some(crs),
        Err(error) => {
            // Each asset inherits the CRS of its item: said once is enough.
            let problems = node.report().problems();
            let known = problems.iter().any(|problem| problem.path == node.path);
            drop(problems);
            if !known {
                let expected = "a CRS that is known, such as EPSG:32655";
                let problem = node.problem(ProblemKind::BadValue, expected);
                node.report().problem(problem.cause(error));
            }
            None
        }
    }
}

/// The grid of an asset; `None` where the item does not say all of it.
///
/// # Source
/// odc-stac, `_mdtools.py` (`asset_geobox`). DIFFERENCE: without a transform
/// `proj:bbox` and `proj:shape` make a grid; without a CRS there is none.
pub(super) fn of_asset(asset: &Node<'_>, properties: Option<&Node<'_>>) -> Option<GeoBox> {
    let field = |key: &str| inherited(asset, properties, key);
    let shape = field("proj:shape").and_then(|node| shape(&node));
    let transform = field("proj:transform").and_then(|node| transform(&node));
    let transform = transform.or_else(|| {
        let bbox = bbox(&field("proj:bbox")?)?;
        let shape = shape?;
        let (width, height) = (bbox[2] - bbox[0], bbox[3] - bbox[1]);
        Some(Affine::new(
            width / shape.cols as f64,
            0.0,
            bbox[0],
            0.0,
            -height / shape.rows as f64,
            bbox[3],
        ))
    });
    let (shape, transform) = (shape?, transform?);
    let places: Vec<&Node<'_>> = [Some(asset), properties].into_iter().flatten().collect();
    let n_problems = asset.report().problems().len();
    let Some(crs) = crs(&places) else {
        if asset.report().problems().len() == n_problems
            && places.iter().all(|place| !names_crs(place))
        {
            let problem = asset.problem(
                ProblemKind::Missing,
                "proj:code with proj:shape and proj:transform; without it the file tells",
            );
            asset.report().warning(problem.found_text("no CRS"));
        }
        return None;
    };
    match GeoBox::new(shape, transform, Some(crs)) {
        Ok(geobox) => Some(geobox),
        Err(error) => {
            let problem = asset.problem(
                ProblemKind::BadValue,
                "a proj:shape and a proj:transform that make a grid",
            );
            asset.report().warning(problem.cause(error));
            None
        }
    }
}

fn names_crs(place: &Node<'_>) -> bool {
    CRS_FIELDS
        .iter()
        .any(|key| place.get(key).is_some_and(|node| !node.value.is_null()))
}

/// `[rows, columns]`.
fn shape(node: &Node<'_>) -> Option<Shape2d> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and small"
    )]
    let size = |value: &Value| {
        let size = value.as_f64()?;
        (size.fract() == 0.0 && (1.0..=2_147_483_647.0).contains(&size)).then_some(size as usize)
    };
    let found = match node.value.as_array().map(Vec::as_slice) {
        Some([rows, cols]) => size(rows).zip(size(cols)),
        _ => None,
    };
    if found.is_none() {
        node.report()
            .warning(node.problem(ProblemKind::BadValue, "two sizes, [rows, columns]"));
    }
    found.map(|(rows, cols)| Shape2d { rows, cols })
}

fn numbers(node: &Node<'_>) -> Option<Vec<f64>> {
    node.value.as_array()?.iter().map(Value::as_f64).collect()
}

/// Six numbers row by row, or nine of which the last three say nothing.
///
/// Six in the order of GDAL (`[x, width, 0, y, 0, -height]`) are put in order: read
/// as they stand they would be a sheared grid far from the earth.
///
/// # Source
/// The projection extension of STAC. DIFFERENCE: odc-stac takes any order at its word.
fn transform(node: &Node<'_>) -> Option<Affine> {
    let found = numbers(node).filter(|numbers| match numbers.as_slice() {
        [_, _, _, _, _, _] => true,
        [_, _, _, _, _, _, last @ ..] => last == [0.0, 0.0, 1.0],
        _ => false,
    });
    if found.is_none() {
        let problem = node.problem(
            ProblemKind::BadValue,
            "6 or 9 numbers of an affine transform, row by row",
        );
        node.report().warning(problem);
    }
    let n = found?;
    if let [x, width, 0.0, y, 0.0, height] = n[..]
        && [x, width, y, height].iter().all(|number| *number != 0.0)
    {
        let expected = "six numbers row by row, [width, 0, x, 0, -height, y]; the order of GDAL is \
                        understood";
        node.report()
            .warning(node.problem(ProblemKind::BadValue, expected));
        return Some(Affine::new(width, 0.0, x, 0.0, height, y));
    }
    Some(Affine::new(n[0], n[1], n[2], n[3], n[4], n[5]))
}

/// `[left, bottom, right, top]`, also of a box with heights.
pub(super) fn bbox(node: &Node<'_>) -> Option<[f64; 4]> {
    let numbers = numbers(node)?;
    let bbox = match numbers.as_slice() {
        [left, bottom, right, top] => [*left, *bottom, *right, *top],
        [left, bottom, _, right, top, _] => [*left, *bottom, *right, *top],
        _ => return None,
    };
    (bbox.iter().all(|value| value.is_finite()) && bbox[2] > bbox[0] && bbox[3] > bbox[1])
        .then_some(bbox)
}

/// Grids by name, the one called `default` among them, and the name of each band's.
pub(super) struct Grids {
    pub(super) by_name: IndexMap<String, GeoBox>,
    pub(super) of_band: IndexMap<BandKey, String>,
}

/// Groups bands by grid.
///
/// The grid of most assets is `default`, of equals the finest; the others are
/// named after the size of their pixels, or as the item names them. Where all
/// have names given by the item, or there is none, `default` is the grid of the
/// item itself.
///
/// # Source
/// odc-stac, `_mdtools.py` (`_group_geoboxes`). DIFFERENCE: items are looked at
/// one by one, where odc-stac takes the grouping of the first of a collection.
pub(super) fn group(bands: &IndexMap<BandKey, StacBand>, of_item: Option<GeoBox>) -> Grids {
    let mut groups: Vec<(&GeoBox, Option<&str>, Vec<&BandKey>)> = Vec::new();
    for (key, band) in bands {
        let Some(grid) = &band.grid else { continue };
        let name = band.grid_name.as_deref();
        match groups
            .iter_mut()
            .find(|(known, own, _)| *known == grid && *own == name)
        {
            Some((_, _, keys)) => keys.push(key),
            None => groups.push((grid, name, vec![key])),
        }
    }
    let mut grids = Grids {
        by_name: IndexMap::new(),
        of_band: IndexMap::new(),
    };
    let named = groups.iter().any(|(_, name, _)| name.is_some());
    let unnamed = groups.iter().position(|(_, name, _)| name.is_none());
    let of_item = of_item.filter(|_| groups.is_empty() || (named && unnamed.is_none()));
    let default = unnamed.filter(|_| named).or_else(|| {
        if of_item.is_some() {
            return None;
        }
        let rank = |index: usize| {
            let (grid, _, keys) = &groups[index];
            let mut assets: Vec<&str> = keys.iter().map(|key| key.asset.as_str()).collect();
            assets.dedup();
            (std::cmp::Reverse(assets.len()), pixel_size(grid))
        };
        (0..groups.len()).min_by(|a, b| {
            let (a, b) = (rank(*a), rank(*b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    });
    if let Some(grid) = of_item {
        grids.by_name.insert("default".to_owned(), grid);
    }
    for (index, (grid, own, keys)) in groups.iter().enumerate() {
        let mut name = match own {
            _ if Some(index) == default => "default".to_owned(),
            Some(own) => (*own).to_owned(),
            None => format!("g{}", short_number(pixel_size(grid))),
        };
        if grids.by_name.contains_key(&name) {
            name = format!("{name}-{}", keys[0].asset);
        }
        for key in keys {
            grids.of_band.insert((*key).clone(), name.clone());
        }
        grids.by_name.insert(name, (*grid).clone());
    }
    grids
}

/// The smaller side of a pixel.
fn pixel_size(grid: &GeoBox) -> f64 {
    if grid.is_axis_aligned() {
        grid.affine().a.abs().min(grid.affine().e.abs())
    } else {
        let resolution = grid.resolution();
        resolution.x.abs().min(resolution.y.abs())
    }
}
