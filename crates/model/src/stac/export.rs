//! STAC items and collections, made of datasets and products.
//!
//! What STAC has no word for goes into fields of the prefix `odc:`, which
//! [`StacItem`](super::StacItem) reads again, so that a dataset comes back as
//! it was: the names of grids, parts and bands of files, the lineage. Times
//! come back as RFC 3339 writes them.

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{flags, product, properties};
use crate::dataset::{Dataset, Layer, MeasurementPath, resolve_uri};
use crate::product::{Measurement, Product};

/// The version of STAC to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StacVersion {
    /// 1.0.0, with `eo:bands`, `raster:bands` and `proj:epsg`, for older readers.
    V1_0,
    /// 1.1.0, with `bands` and `proj:code`.
    #[default]
    V1_1,
}

/// How items are written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ItemOptions {
    /// The version of STAC.
    pub version: StacVersion,
    /// The address of an ODC Explorer, where links go.
    pub base_url: Option<String>,
    /// The address of the item itself.
    pub self_url: Option<String>,
    /// The address of the dataset's EO3 document.
    pub odc_yaml_url: Option<String>,
    /// Where relative paths of files start; default: the dataset's location.
    pub asset_location: Option<String>,
    /// Leave relative paths of files as they are.
    pub relative_assets: bool,
}

impl ItemOptions {
    /// The version of STAC to write.
    #[must_use]
    pub fn version(mut self, version: StacVersion) -> Self {
        self.version = version;
        self
    }

    /// The address of an ODC Explorer, where links go.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The address of the item itself.
    #[must_use]
    pub fn self_url(mut self, url: impl Into<String>) -> Self {
        self.self_url = Some(url.into());
        self
    }

    /// Leave relative paths of files as they are.
    #[must_use]
    pub fn relative_assets(mut self, relative: bool) -> Self {
        self.relative_assets = relative;
        self
    }
}

/// A dataset as a STAC item.
///
/// The footprint is cut at the antimeridian, as RFC 7946 wants it, and `bbox`
/// then has its western edge in the east.
///
/// # Source
/// datacube, `metadata/_stacconverter.py` (`ds2stac`). DIFFERENCE: footprints
/// over the antimeridian and around poles; flags, `proj:geometry` and what the
/// prefix `odc:` carries are additions.
pub fn item_document(dataset: &Dataset, options: &ItemOptions) -> Value {
    let (geometry, bbox) = footprint(dataset);
    let mut item = json!({
        "type": "Feature",
        "stac_version": if options.version == StacVersion::V1_0 { "1.0.0" } else { "1.1.0" },
        "stac_extensions": [],
        "id": dataset.id().to_string(),
        "collection": dataset.product().name(),
        "geometry": geometry,
    });
    if let Some(bbox) = bbox {
        item["bbox"] = json!(bbox);
    }
    let own = own_properties(dataset, options.version);
    let mut assets = Map::new();
    for (name, path) in dataset.measurements() {
        assets.insert(name.clone(), data_asset(dataset, name, path, options));
    }
    for (name, accessory) in dataset.accessories().into_iter().flatten() {
        if let Some(path) = accessory["path"].as_str()
            && !assets.contains_key(name)
        {
            assets.insert(name.clone(), accessory_asset(dataset, name, path, options));
        }
    }
    item["links"] = Value::Array(links(dataset, options));
    item["stac_extensions"] = extensions(&own, &assets, options.version);
    item["properties"] = Value::Object(own);
    item["assets"] = Value::Object(assets);
    item
}

/// Footprint and box in longitude and latitude; none where there is none.
fn footprint(dataset: &Dataset) -> (Value, Option<[f64; 4]>) {
    let wgs84 = Crs::wgs84();
    let Some(bounds) = dataset.lonlat_bounds() else {
        return (Value::Null, None);
    };
    // Edges of a scene stay straight enough; those of a continent do not, and
    // around a pole or over the antimeridian the points between tell the way.
    let large = bounds.span_x() > 10.0
        || bounds.span_y() > 10.0
        || bounds.right > 180.0
        || bounds.top > 75.0
        || bounds.bottom < -75.0;
    let straight = || dataset.extent().to_crs(&wgs84, Some(f64::INFINITY)).ok();
    let geometry = if large { None } else { straight() };
    let Some(geometry) = geometry.or_else(|| dataset.extent().to_lonlat().ok()) else {
        return (Value::Null, None);
    };
    let geometry = geometry.split_antimeridian().unwrap_or(geometry);
    let right = if bounds.right > 180.0 {
        bounds.right - 360.0
    } else {
        bounds.right
    };
    (
        polygons(&geometry),
        Some([bounds.left, bounds.bottom, right, bounds.top]),
    )
}

/// A shape as GeoJSON; several polygons only where there are several.
fn polygons(geometry: &Geometry) -> Value {
    let mut parts = geometry.polygons().0;
    match parts.len() {
        1 => Geometry::new(parts.remove(0), geometry.crs().cloned())
            .map_or(Value::Null, |one| one.to_geojson()),
        _ => geometry.to_geojson(),
    }
}

fn own_properties(dataset: &Dataset, version: StacVersion) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(label) = dataset.label() {
        out.insert("title".to_owned(), json!(label));
    }
    out.extend(properties::to_stac(
        dataset.properties().unwrap_or(&Map::new()),
    ));
    if out.get("datetime").is_none_or(Value::is_null) {
        let (begin, end) = dataset.time_range();
        out.insert("datetime".to_owned(), Value::Null);
        for (key, time) in [("start_datetime", begin), ("end_datetime", end)] {
            out.entry(key).or_insert_with(|| json!(time.to_string()));
        }
    }
    if !dataset.lineage().is_empty() {
        out.insert("odc:lineage".to_owned(), json!(dataset.lineage()));
    }
    if let Some(href) = dataset.document()["product"].get("href") {
        out.insert("odc:product_href".to_owned(), href.clone());
    }
    let crs = dataset.crs();
    // Authority and code, as `EPSG:32655` or `IAU_2015:49900`.
    let is_code = !crs.as_str().contains(['[', '+', '{']) && crs.as_str().contains(':');
    let (key, value) = match (crs.epsg(), version) {
        (Some(code), StacVersion::V1_0) => ("proj:epsg", json!(code)),
        (_, StacVersion::V1_1) if is_code => ("proj:code", json!(crs.as_str())),
        _ => ("proj:wkt2", json!(crs.to_wkt())),
    };
    out.insert(key.to_owned(), value);
    let default = dataset.default_grid();
    out.extend(projection(default));
    let native = dataset
        .document()
        .get("geometry")
        .filter(|value| !value.is_null())
        .cloned();
    out.insert(
        "proj:geometry".to_owned(),
        native.unwrap_or_else(|| default.extent().to_geojson()),
    );
    let used = |name: &str| {
        name == "default"
            || dataset
                .measurements()
                .values()
                .any(|path| path.grid_name() == name)
    };
    let unused: Map<String, Value> = dataset
        .grids()
        .iter()
        .filter(|(name, _)| !used(name))
        .map(|(name, grid)| (name.clone(), super::dataset::grid_document(grid)))
        .collect();
    if !unused.is_empty() {
        out.insert("odc:grids".to_owned(), Value::Object(unused));
    }
    out
}

/// `proj:shape` and `proj:transform`.
fn projection(grid: &GeoBox) -> [(String, Value); 2] {
    let document = super::dataset::grid_document(grid);
    ["shape", "transform"].map(|key| (format!("proj:{key}"), document[key].clone()))
}

fn data_asset(
    dataset: &Dataset,
    name: &str,
    path: &MeasurementPath,
    options: &ItemOptions,
) -> Value {
    let mut asset =
        json!({"href": href(dataset, &path.path, options), "title": name, "roles": ["data"]});
    // A file that does not look like pixels would not be read as a measurement.
    if let Some(media_type) = media_type(&path.path).filter(|kind| is_raster(kind)) {
        asset["type"] = json!(media_type);
    }
    if path.grid_name() != "default" {
        asset["odc:grid"] = json!(path.grid_name());
    }
    if let Some(grid) = dataset.grids().get(path.grid_name()) {
        for (key, value) in projection(grid) {
            asset[key] = value;
        }
    }
    match &path.layer {
        Some(Layer::Name(layer)) => asset["odc:layer"] = json!(layer),
        Some(Layer::Band(band)) => asset["odc:layer"] = json!(band),
        None => {}
    }
    if let Some(band) = path.band {
        asset["odc:band"] = json!(band);
    }
    let measurement = dataset.product().measurement(name).ok();
    bands(&mut asset, name, measurement, options.version);
    asset
}

/// What is known of the band of an asset.
fn bands(asset: &mut Value, name: &str, measurement: Option<&Measurement>, version: StacVersion) {
    let common_name = measurement
        .into_iter()
        .flat_map(|found| std::iter::once(&found.name).chain(&found.aliases))
        .find(|alias| COMMON_NAMES.contains(&alias.as_str()));
    let mut raster = Map::new();
    if let Some(found) = measurement {
        raster.insert("data_type".to_owned(), json!(found.dtype.name()));
        if let Some(nodata) = found.nodata {
            let value = product::to_value(nodata, found.dtype);
            // STAC writes these in lower case.
            let value = value
                .as_str()
                .map_or_else(|| value.clone(), |text| json!(text.to_lowercase()));
            raster.insert("nodata".to_owned(), value);
        }
        raster.insert("unit".to_owned(), json!(found.units));
        let prefix = if version == StacVersion::V1_0 {
            ""
        } else {
            "raster:"
        };
        for (key, value) in [("scale", found.scale_factor), ("offset", found.add_offset)] {
            if let Some(value) = value {
                raster.insert(format!("{prefix}{key}"), json!(value));
            }
        }
        if let Some((key, value)) = found
            .flags_definition
            .as_ref()
            .and_then(|flags| flags::write(flags, found.dtype))
        {
            raster.insert(key.to_owned(), value);
        }
    }
    let mut band = json!({"name": name});
    if version == StacVersion::V1_0 {
        if let Some(common_name) = common_name {
            band["common_name"] = json!(common_name);
        }
        asset["eo:bands"] = json!([band]);
        if !raster.is_empty() {
            asset["raster:bands"] = json!([raster]);
        }
    } else {
        if let Some(common_name) = common_name {
            band["eo:common_name"] = json!(common_name);
        }
        band.as_object_mut()
            .expect("it was made as one")
            .extend(raster);
        asset["bands"] = json!([band]);
    }
}

fn accessory_asset(dataset: &Dataset, name: &str, path: &str, options: &ItemOptions) -> Value {
    let mut asset = json!({"href": href(dataset, path, options)});
    let thumbnail = name.starts_with("thumbnail");
    let media_type = media_type(path);
    // An image that is no measurement would be read as one if it said that it is an image.
    let is_image = media_type.is_some_and(is_raster);
    if let Some(media_type) = media_type.filter(|_| thumbnail || !is_image) {
        asset["type"] = json!(media_type);
    }
    if thumbnail {
        asset["title"] = json!("Thumbnail image");
    }
    asset["roles"] = if thumbnail {
        json!(["thumbnail"])
    } else {
        json!(["metadata"])
    };
    asset
}

fn href(dataset: &Dataset, path: &str, options: &ItemOptions) -> String {
    let base = options.asset_location.as_deref().or(dataset.uri());
    match base {
        Some(base) if !options.relative_assets => resolve_uri(base, path),
        _ => path.to_owned(),
    }
}

/// Whether a media type is of pixels.
fn is_raster(media_type: &str) -> bool {
    media_type.starts_with("image/") || super::bands::is_raster_media_type(media_type)
}

/// The media type of a file, by its name.
fn media_type(path: &str) -> Option<&'static str> {
    let name = path.split(['?', '#']).next().unwrap_or(path);
    let (_, extension) = name.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "tif" | "tiff" => "image/tiff; application=geotiff; profile=cloud-optimized",
        "jp2" => "image/jp2",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "nc" => "application/x-netcdf",
        "h5" | "hdf5" => "application/x-hdf5",
        "hdf" => "application/x-hdf",
        "zarr" => "application/vnd+zarr",
        "yaml" | "yml" => "text/yaml",
        "json" => "application/json",
        "geojson" => "application/geo+json",
        "xml" => "application/xml",
        "html" => "text/html",
        "txt" | "sha1" => "text/plain",
        _ => return None,
    })
}

fn links(dataset: &Dataset, options: &ItemOptions) -> Vec<Value> {
    let (id, product) = (dataset.id(), dataset.product().name());
    let base = options
        .base_url
        .as_deref()
        .map(|url| url.trim_end_matches('/'));
    let mut links = Vec::new();
    let own = options
        .self_url
        .clone()
        .or_else(|| Some(format!("{}/stac/collections/{product}/items/{id}", base?)));
    if let Some(href) = own {
        links.push(json!({"rel": "self", "type": "application/geo+json", "href": href}));
    }
    let yaml = options
        .odc_yaml_url
        .clone()
        .or_else(|| Some(format!("{}/dataset/{id}.odc-metadata.yaml", base?)));
    if let Some(href) = yaml {
        links.push(json!({"rel": "odc_yaml", "type": "text/yaml", "title": "ODC Dataset YAML", "href": href}));
    }
    // An item that names its collection has to link to it.
    let collection = base.map_or_else(
        || "./collection.json".to_owned(),
        |base| format!("{base}/stac/collections/{product}"),
    );
    links.push(json!({"rel": "collection", "type": "application/json", "href": collection}));
    if let Some(base) = base {
        links.push(json!({"rel": "product_overview", "type": "text/html", "title": "ODC Product Overview", "href": format!("{base}/product/{product}")}));
        links.push(json!({"rel": "alternate", "type": "text/html", "title": "ODC Dataset Overview", "href": format!("{base}/dataset/{id}")}));
    }
    links
}

/// The extensions whose fields are used.
fn extensions(
    properties: &Map<String, Value>,
    assets: &Map<String, Value>,
    version: StacVersion,
) -> Value {
    let text = [
        Value::Object(properties.clone()),
        Value::Object(assets.clone()),
    ]
    .map(|value| value.to_string())
    .concat();
    let used = |prefix: &str| text.contains(&format!("\"{prefix}:"));
    let old = version == StacVersion::V1_0;
    let mut names = Vec::new();
    for (prefix, v1_0, v1_1) in [
        ("proj", "projection/v1.1.0", "projection/v2.0.0"),
        ("eo", "eo/v1.1.0", "eo/v2.0.0"),
        ("raster", "raster/v1.1.0", "raster/v2.0.0"),
        (
            "classification",
            "classification/v1.1.0",
            "classification/v2.0.0",
        ),
        ("view", "view/v1.0.0", "view/v1.0.0"),
        ("sar", "sar/v1.0.0", "sar/v1.0.0"),
        ("sat", "sat/v1.0.0", "sat/v1.0.0"),
    ] {
        if used(prefix) {
            names.push(format!(
                "https://stac-extensions.github.io/{}/schema.json",
                if old { v1_0 } else { v1_1 }
            ));
        }
    }
    json!(names)
}

/// A product as a STAC collection, with what its datasets cover.
pub fn collection_document(
    product: &Product,
    area: Option<BoundingBox>,
    time: Option<(Timestamp, Timestamp)>,
    version: StacVersion,
) -> Value {
    let bbox = area.map_or([-180.0, -90.0, 180.0, 90.0], |area| {
        let right = if area.right > 180.0 {
            area.right - 360.0
        } else {
            area.right
        };
        [area.left, area.bottom, right, area.top]
    });
    let interval = time.map_or_else(
        || json!([null, null]),
        |(begin, end)| json!([begin.to_string(), end.to_string()]),
    );
    let mut assets = Map::new();
    for (name, measurement) in product.measurements() {
        let mut asset = json!({"title": name, "roles": ["data"]});
        bands(&mut asset, name, Some(measurement), version);
        assets.insert(name.clone(), asset);
    }
    let old = version == StacVersion::V1_0;
    let mut names = extensions(&Map::new(), &assets, version);
    if old && let Some(list) = names.as_array_mut() {
        list.push(json!(
            "https://stac-extensions.github.io/item-assets/v1.0.0/schema.json"
        ));
    }
    let unknown = if old { "proprietary" } else { "other" };
    json!({
        "type": "Collection",
        "stac_version": if old { "1.0.0" } else { "1.1.0" },
        "stac_extensions": names,
        "id": product.name(),
        "description": product.description(),
        "license": product.license().unwrap_or(unknown),
        "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}},
        "links": [],
        "item_assets": assets,
    })
}

/// The common names of bands that the extension `eo` knows.
const COMMON_NAMES: [&str; 21] = [
    "pan",
    "coastal",
    "blue",
    "green",
    "green05",
    "yellow",
    "red",
    "rededge",
    "rededge071",
    "rededge075",
    "rededge078",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir12",
    "swir16",
    "swir22",
    "lwir",
    "lwir11",
    "lwir12",
];
