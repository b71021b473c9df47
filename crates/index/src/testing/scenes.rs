//! Documents made by rule: scenes as a satellite makes them.

use std::sync::{Arc, LazyLock};

use datacube_geo::Crs;
use datacube_model::{Dataset, Location, MetadataType, Product};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A metadata type with a field of every class: those of `eo3`, and
///
/// | field | class | indexed |
/// | --- | --- | --- |
/// | `region_code` | text | yes |
/// | `platform` | text | no |
/// | `cloud_cover` | number | no |
/// | `wrs_path` | number | yes |
/// | `is_day` | true or false | yes |
/// | `processed` | time | yes |
/// | `gsd` | range of numbers | yes |
/// | `season` | range of times | no |
/// | `extra` | object | no |
pub fn metadata_type() -> MetadataType {
    static TYPE: LazyLock<MetadataType> = LazyLock::new(|| {
        let property = |name: &str| json!(["properties", name]);
        let scalar = |kind: &str, name: &str, indexed: bool| json!({"description": name, "type": kind, "offset": property(name), "indexed": indexed});
        let range = |kind: &str, low: Value, high: Value, indexed: bool| json!({"description": kind, "type": kind, "min_offset": low, "max_offset": high, "indexed": indexed});
        MetadataType::from_document(json!({
            "name": "eo3_fields",
            "description": "EO3 with a search field of every class",
            "dataset": {
                "id": ["id"],
                "label": ["label"],
                "creation_dt": ["properties", "odc:processing_datetime"],
                "format": ["properties", "odc:file_format"],
                "measurements": ["measurements"],
                "grid_spatial": ["grid_spatial", "projection"],
                "sources": ["lineage", "source_datasets"],
                "search_fields": {
                    "region_code": scalar("string", "odc:region_code", true),
                    "platform": scalar("string", "eo:platform", false),
                    "cloud_cover": scalar("double", "eo:cloud_cover", false),
                    "wrs_path": scalar("integer", "landsat:wrs_path", true),
                    "is_day": scalar("boolean", "is_day", true),
                    "processed": scalar("datetime", "processed", true),
                    "gsd": range(
                        "numeric-range", json!([property("gsd_min")]), json!([property("gsd_max")]), true,
                    ),
                    "season": range(
                        "datetime-range", json!([property("season_from")]), json!([property("season_to")]), false,
                    ),
                    "extra": scalar("object", "extra", false),
                    "time": range(
                        "datetime-range",
                        json!([property("dtr:start_datetime"), property("datetime")]),
                        json!([property("dtr:end_datetime"), property("datetime")]),
                        true,
                    ),
                    "lon": range(
                        "double-range", json!([["extent", "lon", "begin"]]), json!([["extent", "lon", "end"]]), true,
                    ),
                    "lat": range(
                        "double-range", json!([["extent", "lat", "begin"]]), json!([["extent", "lat", "end"]]), true,
                    ),
                },
            },
        }))
        .expect("the document is right")
    });
    TYPE.clone()
}

/// A product of [`metadata_type`].
pub fn product(name: &str) -> Arc<Product> {
    product_of(name, &metadata_type())
}

/// A product of the built-in type `eo3`.
pub fn simple_product(name: &str) -> Arc<Product> {
    product_of(name, &MetadataType::eo3())
}

/// A product with two measurements, of any type.
pub fn product_of(name: &str, metadata_type: &MetadataType) -> Arc<Product> {
    let document = json!({
        "name": name,
        "description": format!("Scenes of {name}"),
        "metadata_type": metadata_type.name(),
        "metadata": {"product": {"name": name}},
        "measurements": [
            {"name": "red", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["band_4"]},
            {"name": "nir", "dtype": "uint16", "nodata": 0, "units": "1"},
        ],
    });
    Arc::new(Product::from_document(document, metadata_type).expect("the document is right"))
}

/// A scene in the making: a square of 185 km, turned by 12 degrees as those of
/// Landsat are.
///
/// ```
/// use datacube_index::testing::{Scene, product};
///
/// let scene = Scene::new(&product("ls"), 7).at(147.0, -35.0).time("2020-02-03T00:10:00Z");
/// assert_eq!(scene.dataset().crs().epsg(), Some(32755));
/// ```
#[derive(Clone, Debug)]
pub struct Scene {
    product: Arc<Product>,
    id: Uuid,
    crs: Option<String>,
    center: (f64, f64),
    half_width: f64,
    has_geometry: bool,
    properties: Map<String, Value>,
    lineage: Map<String, Value>,
    locations: Vec<Location>,
}

impl Scene {
    /// Scene number `n` of a product; its id follows from both.
    pub fn new(product: &Arc<Product>, n: u64) -> Self {
        let name = format!("{}/{n}", product.name());
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes());
        let mut properties = Map::new();
        properties.insert("datetime".to_owned(), json!("2020-01-01T00:00:00Z"));
        properties.insert(
            "odc:processing_datetime".to_owned(),
            json!("2020-06-01T00:00:00Z"),
        );
        properties.insert("odc:file_format".to_owned(), json!("GeoTIFF"));
        Scene {
            product: Arc::clone(product),
            id,
            crs: None,
            center: (147.0, -35.0),
            half_width: 92_500.0,
            has_geometry: true,
            properties,
            lineage: Map::new(),
            locations: vec![Location::new(format!(
                "s3://archive/{name}/odc-metadata.yaml"
            ))],
        }
    }

    /// Scene `n` of an archive like that of a satellite over Australia: 720
    /// paths and rows, each seen every 16 days.
    pub fn of_archive(product: &Arc<Product>, n: u64) -> Self {
        let (cell, cycle) = (n % 720, n / 720);
        let (path, row) = (cell / 24, cell % 24);
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let (path_f, row_f) = (path as f64, row as f64);
        let lon = 113.5 + 1.35 * path_f - 0.36 * row_f;
        let lat = -11.0 - 1.43 * row_f;
        let region = format!("{:03}{:03}", 115 - path, 68 + row);
        let start: jiff::Timestamp = "2013-04-01T00:10:00Z".parse().expect("a timestamp");
        let seconds = (16 * cycle + (path * 7) % 16) * 86_400 + 24 * row;
        let offset = jiff::SignedDuration::from_secs(i64::try_from(seconds).expect("a short time"));
        let when = start.checked_add(offset).expect("a time in some centuries");
        // Clouds by a hash, so that they do not follow the place.
        let cloud = Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_le_bytes()).as_bytes()[0];
        Scene::new(product, n)
            .at(lon, lat)
            .time(&when.to_string())
            .property("eo:platform", "landsat-8")
            .property("eo:instrument", "OLI_TIRS")
            .property("eo:gsd", 30.0)
            .property("eo:cloud_cover", f64::from(cloud) / 2.55)
            .property("odc:producer", "example.org")
            .property("odc:product_family", "c2l2")
            .property("odc:region_code", region)
            .property("landsat:wrs_path", 115 - path)
            .property("landsat:wrs_row", 68 + row)
    }

    /// With its middle at a longitude and latitude.
    #[must_use]
    pub fn at(mut self, lon: f64, lat: f64) -> Self {
        self.center = (lon, lat);
        self
    }

    /// In a CRS other than the UTM zone of its middle.
    #[must_use]
    pub fn crs(mut self, crs: &str) -> Self {
        self.crs = Some(crs.to_owned());
        self
    }

    /// With sides of so many kilometres (or, in degrees, of so many degrees times 111).
    #[must_use]
    pub fn width_km(mut self, width: f64) -> Self {
        self.half_width = width * 500.0;
        self
    }

    /// Without `geometry`, so that the grid counts.
    #[must_use]
    pub fn without_geometry(mut self) -> Self {
        self.has_geometry = false;
        self
    }

    /// Seen at one instant.
    #[must_use]
    pub fn time(self, instant: &str) -> Self {
        self.property("datetime", instant)
    }

    /// Made of what was seen from one instant to another.
    #[must_use]
    pub fn time_range(self, begin: &str, end: &str) -> Self {
        self.property("datetime", begin)
            .property("dtr:start_datetime", begin)
            .property("dtr:end_datetime", end)
    }

    /// With a property.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// Made from these datasets.
    #[must_use]
    pub fn made_from(mut self, classifier: &str, sources: &[Uuid]) -> Self {
        let ids: Vec<String> = sources.iter().map(Uuid::to_string).collect();
        self.lineage.insert(classifier.to_owned(), json!(ids));
        self
    }

    /// In these places.
    #[must_use]
    pub fn locations(mut self, locations: Vec<Location>) -> Self {
        self.locations = locations;
        self
    }

    /// Under another id.
    #[must_use]
    pub fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// The id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The EO3 document.
    ///
    /// # Panics
    /// When the middle has no place in the CRS.
    pub fn document(&self) -> Value {
        let (lon, lat) = self.center;
        let crs = match &self.crs {
            Some(crs) => Crs::parse(crs).expect("a CRS"),
            None => Crs::utm_for(lon, lat).expect("UTM reaches there"),
        };
        let to_crs = datacube_geo::CrsTransform::new(&Crs::wgs84(), &crs).expect("a transform");
        let middle = to_crs
            .point(datacube_geo::Xy::new(lon, lat))
            .expect("a transform")
            .expect("the middle projects");
        let (unit, pixel) = if crs.is_geographic() {
            (1.0 / 111_000.0, 0.000_27)
        } else {
            (1.0, 30.0)
        };
        let round = |v: f64| (v / pixel).round() * pixel;
        let (x, y) = (round(middle.x), round(middle.y));
        let half = self.half_width * unit;
        let (sin, cos) = 12_f64.to_radians().sin_cos();
        let ring: Vec<[f64; 2]> = [
            (-1.0, -1.0),
            (-1.0, 1.0),
            (1.0, 1.0),
            (1.0, -1.0),
            (-1.0, -1.0),
        ]
        .into_iter()
        .map(|(u, v): (f64, f64)| (u * half, v * half))
        .map(|(u, v)| [x + u * cos - v * sin, y - u * sin - v * cos])
        .collect();
        let reach = (half * (sin + cos) / pixel).ceil();
        let size = 2.0 * reach;
        #[allow(clippy::cast_possible_truncation, reason = "a few thousand pixels")]
        let n_pixels = size as i64;
        let mut document = json!({
            "$schema": "https://schemas.opendatacube.org/dataset",
            "id": self.id.to_string(),
            "label": format!("{}_{}", self.product.name(), self.id.simple()),
            "product": {"name": self.product.name()},
            "crs": crs.as_str(),
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "grids": {"default": {
                "shape": [n_pixels, n_pixels],
                "transform": [pixel, 0.0, x - reach * pixel, 0.0, -pixel, y + reach * pixel, 0.0, 0.0, 1.0],
            }},
            "properties": self.properties,
            "measurements": {
                "red": {"path": "red.tif"},
                "nir": {"path": "nir.tif"},
            },
            "accessories": {"thumbnail:nbar": {"path": "thumbnail.jpg"}},
            "lineage": self.lineage,
        });
        if !self.has_geometry
            && let Some(map) = document.as_object_mut()
        {
            map.shift_remove("geometry");
        }
        document
    }

    /// The dataset.
    ///
    /// # Panics
    /// When a property makes the document wrong.
    pub fn dataset(&self) -> Dataset {
        let locations = self.locations.clone();
        Dataset::from_document(self.document(), Arc::clone(&self.product), locations)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}
