//! Which assets hold rasters, and what each of their bands is.
//!
//! STAC says of a band in four places: `bands` (1.1), `raster:bands` and
//! `eo:bands` (before), and the asset and the item themselves. What stands
//! nearer to the band goes first.

use datacube_geo::GeoBox;
use indexmap::IndexMap;
use serde_json::Value;

use super::config::{BandDefaults, CollectionConfig, data_type_named, number};
use super::flags;
use super::grids;
use crate::document::{Node, ProblemKind};
use crate::{DType, Number};

/// A band of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BandKey {
    /// The key of the asset.
    pub asset: String,
    /// The band in its file, from 1.
    pub index: u32,
}

/// What an item says of a band.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StacBand {
    /// Where the file is, as the item has it: maybe relative.
    pub href: String,
    /// The type of its pixels; float32 where nothing says.
    pub data_type: DType,
    /// The value of pixels without data, where it is said.
    pub nodata: Option<Number>,
    /// Units of the values; `1` where nothing says.
    pub unit: String,
    /// `value = pixel * scale + offset`.
    pub scale: Option<f64>,
    /// See `scale`.
    pub offset: Option<f64>,
    /// A flags definition made of `classification:*`.
    pub flags: Option<Value>,
    /// The grid of its file.
    pub grid: Option<GeoBox>,
    /// Names of the band: its own, then its common name.
    pub names: Vec<String>,
    /// Bands of the asset.
    pub n_bands: u32,
    /// Part of the file, as items that this crate writes say it.
    pub layer: Option<Value>,
    /// The band in the file, where it is not the index.
    pub band: Option<u32>,
    /// The name of the grid, as items that this crate writes say it.
    pub grid_name: Option<String>,
    /// Whether the media type of the asset says that it is a JPEG 2000, a netCDF ...
    pub(super) media_type: Option<String>,
}

/// `image/*` and these are rasters.
const RASTER_MEDIA_TYPES: [&str; 12] = [
    "application/x-hdf",
    "application/x-hdf5",
    "application/hdf",
    "application/hdf5",
    "application/x-netcdf",
    "application/netcdf",
    "application/x-zarr",
    "application/zarr",
    "application/vnd+zarr",
    "application/vnd.zarr",
    "application/vnd.hdf5",
    "application/vnd.hdf4",
];

/// Files with these endings are rasters where no media type says.
const RASTER_EXTENSIONS: [&str; 9] = [
    "tif", "tiff", "jpeg", "jpg", "jp2", "img", "hdf", "nc", "zarr",
];

/// The value of a field of an asset, or of the item for all of its assets.
pub(super) fn inherited<'a>(
    asset: &Node<'a>,
    properties: Option<&Node<'a>>,
    key: &str,
) -> Option<Node<'a>> {
    let present = |node: &Node<'a>| !node.value.is_null();
    asset
        .get(key)
        .filter(present)
        .or_else(|| properties?.get(key).filter(present))
}

/// The bands of the assets that hold rasters, in the order of the document.
///
/// # Source
/// odc-stac, `_mdtools.py` (`StacMDParser.extract`, `band_metadata`).
/// DIFFERENCE: an asset has as many bands as `eo:bands` lists where neither
/// `bands` nor `raster:bands` do, and an item need not declare the extensions
/// whose fields it has.
pub(super) fn read(item: &Node<'_>, config: &CollectionConfig) -> IndexMap<BandKey, StacBand> {
    let properties = item.get("properties");
    let properties = properties.as_ref();
    let assets: Vec<(&str, Node<'_>)> = item
        .get("assets")
        .or_else(|| item.get("item_assets"))
        .iter()
        .flat_map(Node::entries)
        .filter(|(_, asset)| asset.value.is_object())
        .collect();
    let declares_proj = item
        .get("stac_extensions")
        .and_then(|node| node.value.as_array())
        .is_some_and(|names| names.iter().filter_map(Value::as_str).any(is_projection));
    // Where some assets say where their pixels are, those that do not are no pixels.
    let needs_grid = declares_proj
        && !config.ignore_proj
        && assets
            .iter()
            .any(|(_, asset)| grids::has_grid(asset, properties));
    let mut bands = IndexMap::new();
    for (name, asset) in assets {
        let configured = config.assets.get(name).filter(|_| name != "*");
        let wanted = configured.is_some()
            || (is_raster(&asset) && (!needs_grid || grids::has_grid(&asset, properties)));
        if !wanted {
            continue;
        }
        // An asset that names a grid and does not say it: there is none of that name.
        let dangling = asset.get("odc:grid").is_some() && asset.get("proj:shape").is_none();
        let grid = if config.ignore_proj || dangling {
            None
        } else {
            grids::of_asset(&asset, properties)
        };
        of_asset(
            name,
            &asset,
            properties,
            configured,
            config,
            grid.as_ref(),
            &mut bands,
        );
    }
    bands
}

fn is_projection(name: &str) -> bool {
    matches!(name, "proj" | "projection") || name.contains("/projection/")
}

/// Whether an asset holds pixels to compute with.
///
/// # Source
/// odc-stac, `_mdtools.py` (`is_raster_data`).
fn is_raster(asset: &Node<'_>) -> bool {
    let text = |key: &str| asset.get(key).and_then(|node| node.value.as_str());
    let roles = asset.get("roles");
    let has_role = |role: &str| {
        let roles = roles.as_ref().and_then(|node| node.value.as_array());
        roles.is_some_and(|roles| roles.iter().any(|value| value == role))
    };
    let Some(media_type) = text("type") else {
        if has_role("data") || has_role("metadata") {
            return has_role("data");
        }
        let path = text("href").unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let extension = path
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        return RASTER_EXTENSIONS.contains(&extension.as_str());
    };
    let media_type = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if media_type.starts_with("image/") {
        return !has_role("thumbnail") && !has_role("overview");
    }
    is_raster_media_type(&media_type)
}

/// Whether a media type other than an image is of rasters.
pub(super) fn is_raster_media_type(media_type: &str) -> bool {
    RASTER_MEDIA_TYPES.contains(&media_type)
}

fn of_asset(
    name: &str,
    asset: &Node<'_>,
    properties: Option<&Node<'_>>,
    configured: Option<&BandDefaults>,
    config: &CollectionConfig,
    grid: Option<&GeoBox>,
    bands: &mut IndexMap<BandKey, StacBand>,
) {
    let href = match asset.get("href") {
        Some(node) => match node.string() {
            Some(text) => text.to_owned(),
            None => return,
        },
        // The assets of a collection are described and not there.
        None if asset.path.steps().first()
            == Some(&crate::document::Step::Key("item_assets".into())) =>
        {
            String::new()
        }
        None => {
            asset.require("href", "where the file is");
            return;
        }
    };
    let lists = ["bands", "raster:bands", "eo:bands"].map(|key| {
        let list = asset.get(key).filter(|node| node.value.is_array());
        list.and_then(|node| node.list()).unwrap_or_default()
    });
    let n_bands = if configured.is_some() {
        1
    } else {
        lists.iter().map(Vec::len).find(|n| *n > 0).unwrap_or(1)
    };
    let fallback = config
        .assets
        .get(&format!("{name}.*"))
        .cloned()
        .unwrap_or_else(|| config.fallback());
    let n_bands = u32::try_from(n_bands).unwrap_or(u32::MAX);
    let text = |key: &str| {
        asset
            .get(key)
            .and_then(|node| node.value.as_str())
            .map(str::to_owned)
    };
    for index in 0..n_bands {
        let at = index as usize;
        let mut places: Vec<&Node<'_>> = lists.iter().filter_map(|list| list.get(at)).collect();
        places.push(asset);
        places.extend(properties);
        let found = Found {
            places,
            fallback: configured.unwrap_or(&fallback),
        };
        let data_type = found.data_type(configured).unwrap_or(DType::Float32);
        let nodata = found.nodata(configured);
        let own = lists.each_ref().map(|list| list.get(at));
        let band = StacBand {
            href: href.clone(),
            data_type,
            nodata,
            unit: found.unit(configured),
            scale: found.f64(&["scale", "raster:scale"], asset),
            offset: found.f64(&["offset", "raster:offset"], asset),
            flags: flags::read(
                own.iter().flatten().copied().chain([asset]),
                data_type,
                name,
            ),
            grid: grid.cloned(),
            names: names([own[0], own[2]], asset, n_bands == 1),
            n_bands,
            layer: asset.get("odc:layer").map(|node| node.value.clone()),
            band: asset
                .get("odc:band")
                .and_then(|node| u32::try_from(node.value.as_u64()?).ok()),
            grid_name: text("odc:grid"),
            media_type: text("type"),
        };
        bands.insert(
            BandKey {
                asset: name.to_owned(),
                index: index + 1,
            },
            band,
        );
    }
}

/// Names of a band: its own, then its common name.
fn names(lists: [Option<&Node<'_>>; 2], asset: &Node<'_>, single: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |node: &Node<'_>, keys: &[&str]| {
        for key in keys {
            if let Some(name) = node.get(key).and_then(|node| node.value.as_str())
                && !name.is_empty()
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
    };
    for node in lists.into_iter().flatten() {
        add(node, &["name", "eo:common_name", "common_name"]);
    }
    if single {
        add(asset, &["eo:common_name"]);
    }
    names
}

/// Where a band's fields may stand, the nearest first.
struct Found<'a, 'b> {
    places: Vec<&'b Node<'a>>,
    fallback: &'b BandDefaults,
}

impl Found<'_, '_> {
    fn first<T>(&self, key: &str, read: impl Fn(&Node<'_>) -> Option<T>) -> Option<T> {
        let present = self.places.iter().filter_map(|place| place.get(key));
        present
            .filter(|node| !node.value.is_null())
            .find_map(|node| read(&node))
    }

    fn data_type(&self, configured: Option<&BandDefaults>) -> Option<DType> {
        if configured.is_some() {
            return self.fallback.data_type;
        }
        let found = self.first("data_type", |node| {
            let name = node.value.as_str()?;
            let found = data_type_named(name);
            if found.is_none() {
                let problem = node.problem(
                    ProblemKind::BadValue,
                    "a type of pixels such as uint16; float32 is taken",
                );
                node.report().warning(problem);
            }
            found
        });
        found.or(self.fallback.data_type)
    }

    fn nodata(&self, configured: Option<&BandDefaults>) -> Option<Number> {
        if configured.is_some() {
            return self.fallback.nodata;
        }
        let found = self.first("nodata", |node| {
            let found = number(node.value);
            if found.is_none() {
                let problem =
                    node.problem(ProblemKind::WrongType, "a number, or one of nan, inf, -inf");
                node.report().warning(problem);
            }
            found
        });
        found.or(self.fallback.nodata)
    }

    fn unit(&self, configured: Option<&BandDefaults>) -> String {
        let said = || self.first("unit", |node| node.value.as_str().map(str::to_owned));
        let said = if configured.is_some() { None } else { said() };
        said.or_else(|| self.fallback.unit.clone())
            .unwrap_or_else(|| "1".to_owned())
    }

    /// A number of the band; the plain key is only a band's, not an asset's.
    fn f64(&self, keys: &[&str; 2], asset: &Node<'_>) -> Option<f64> {
        let bands = self
            .places
            .iter()
            .take_while(|place| place.path != asset.path);
        let plain = bands
            .filter_map(|place| place.get(keys[0]))
            .find_map(|node| number(node.value));
        plain
            .or_else(|| self.first(keys[1], |node| number(node.value)))
            .map(Number::as_f64)
            .filter(|value| value.is_finite())
    }
}

/// The names that bands have besides their measurement's, each name once: of
/// several bands with a name that of the asset with the fewest bands has it.
///
/// # Source
/// odc-stac, `_mdtools.py` (`alias_map_from_eo`). DIFFERENCE: thumbnails and
/// other assets without measurements take no name away.
pub(super) fn aliases(
    bands: &IndexMap<BandKey, StacBand>,
    config: &CollectionConfig,
) -> IndexMap<BandKey, Vec<String>> {
    let mut by_alias: IndexMap<&str, &BandKey> = IndexMap::new();
    for (key, band) in bands {
        for name in &band.names {
            if bands.keys().any(|other| other.asset == *name) {
                continue;
            }
            let better = |other: &&BandKey| {
                let other_band = &bands[*other];
                (band.n_bands, &key.asset, key.index)
                    < (other_band.n_bands, &other.asset, other.index)
            };
            if by_alias.get(name.as_str()).is_none_or(better) {
                by_alias.insert(name, key);
            }
        }
    }
    let mut aliases: IndexMap<BandKey, Vec<String>> = IndexMap::new();
    for (alias, (asset, index)) in &config.aliases {
        let key = BandKey {
            asset: asset.clone(),
            index: *index,
        };
        if bands.contains_key(&key) {
            by_alias.shift_remove(alias.as_str());
            aliases.entry(key).or_default().push(alias.clone());
        }
    }
    for (alias, key) in by_alias {
        aliases
            .entry(key.clone())
            .or_default()
            .push(alias.to_owned());
    }
    aliases
}
