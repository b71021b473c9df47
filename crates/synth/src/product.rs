//! The words around the pixels: bands, flags, product definition, EO3 documents.

use serde_json::{Map, Value, json};

pub(crate) const PRODUCT: &str = "landsat8_c2l2_sr";
/// Reflectance = pixel x scale + offset, as USGS delivers Collection 2 Level 2.
pub(crate) const SCALE: f64 = 2.75e-5;
pub(crate) const OFFSET: f64 = -0.2;
/// Marker of missing reflectance.
pub(crate) const NODATA: u16 = 0;
/// `qa_pixel` where nothing was measured: its first bit.
pub(crate) const QA_NODATA: u16 = 1;

/// Name, file suffix, aliases.
pub(crate) const BANDS: [(&str, &str, [&str; 2]); 6] = [
    ("blue", "SR_B2", ["band_2", "sr_b2"]),
    ("green", "SR_B3", ["band_3", "sr_b3"]),
    ("red", "SR_B4", ["band_4", "sr_b4"]),
    ("nir08", "SR_B5", ["band_5", "nir"]),
    ("swir16", "SR_B6", ["band_6", "swir1"]),
    ("swir22", "SR_B7", ["band_7", "swir2"]),
];
pub(crate) const QA_SUFFIX: &str = "QA_PIXEL";

/// Bits of `qa_pixel`.
///
/// # Source
/// USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide, table 6-3;
/// labels as public ODC products have them.
pub(crate) mod qa {
    pub(crate) const DILATED_CLOUD: u16 = 1 << 1;
    pub(crate) const CIRRUS: u16 = 1 << 2;
    pub(crate) const CLOUD: u16 = 1 << 3;
    pub(crate) const CLOUD_SHADOW: u16 = 1 << 4;
    pub(crate) const CLEAR: u16 = 1 << 6;
    pub(crate) const WATER: u16 = 1 << 7;
    pub(crate) const CLOUD_CONFIDENCE: u16 = 8;
    pub(crate) const SHADOW_CONFIDENCE: u16 = 10;
    pub(crate) const SNOW_CONFIDENCE: u16 = 12;
    pub(crate) const CIRRUS_CONFIDENCE: u16 = 14;
}

fn flags_definition() -> Value {
    let confidence = json!({"0": "not_high_confidence", "1": "high_confidence"});
    let levels = json!({"0": "none", "1": "low", "2": "medium", "3": "high"});
    let reserved = json!({"0": "none", "1": "low", "2": "reserved", "3": "high"});
    let flag = |bits: Value, description: &str, values: &Value| json!({"bits": bits, "description": description, "values": values});
    json!({
        "nodata": flag(json!(0), "nothing was measured", &json!({"0": false, "1": true})),
        "dilated_cloud": flag(json!(1), "close to a cloud", &json!({"0": "not_dilated", "1": "dilated"})),
        "cirrus": flag(json!(2), "thin high cloud", &confidence),
        "cloud": flag(json!(3), "cloud", &confidence),
        "cloud_shadow": flag(json!(4), "shadow of a cloud", &confidence),
        "snow": flag(json!(5), "snow or ice", &confidence),
        "clear": flag(json!(6), "neither cloud nor close to one", &json!({"0": false, "1": true})),
        "water": flag(json!(7), "water", &json!({"0": "land_or_cloud", "1": "water"})),
        "cloud_confidence": flag(json!([8, 9]), "how sure cloud is", &levels),
        "cloud_shadow_confidence": flag(json!([10, 11]), "how sure cloud_shadow is", &reserved),
        "snow_ice_confidence": flag(json!([12, 13]), "how sure snow is", &reserved),
        "cirrus_confidence": flag(json!([14, 15]), "how sure cirrus is", &reserved),
    })
}

/// The product definition.
pub(crate) fn definition() -> Value {
    let mut measurements: Vec<Value> = BANDS
        .iter()
        .map(|(name, _, aliases)| {
            json!({
                "name": name, "aliases": aliases, "dtype": "uint16", "nodata": NODATA,
                "units": "1", "scale_factor": SCALE, "add_offset": OFFSET,
            })
        })
        .collect();
    measurements.push(json!({
        "name": "qa_pixel", "aliases": ["pq", "pixel_quality"], "dtype": "uint16",
        "nodata": QA_NODATA, "units": "bit_index", "flags_definition": flags_definition(),
    }));
    json!({
        "name": PRODUCT,
        "description": "Landsat 8 Collection 2 Level 2 surface reflectance, synthesised",
        "metadata_type": "eo3",
        "license": "CC0-1.0",
        "metadata": {"product": {"name": PRODUCT}},
        "measurements": measurements,
    })
}

/// What a dataset document says of a scene.
pub(crate) struct SceneFacts<'a> {
    pub(crate) id: uuid::Uuid,
    pub(crate) label: &'a str,
    pub(crate) epsg: u32,
    pub(crate) path: u32,
    pub(crate) row: u32,
    pub(crate) time: jiff::Timestamp,
    pub(crate) size: usize,
    /// x = a*col + b*row + c, y = d*col + e*row + f.
    pub(crate) affine: [f64; 6],
    /// Corners of the footprint in the CRS, the first one again at the end.
    pub(crate) footprint: &'a [[f64; 2]],
    pub(crate) cloud_cover: f64,
}

/// The EO3 document of a scene.
pub(crate) fn dataset(scene: &SceneFacts<'_>) -> Value {
    let mut measurements: Map<String, Value> = BANDS
        .iter()
        .map(|(name, suffix, _)| {
            (
                (*name).to_owned(),
                json!({"path": format!("{}_{suffix}.TIF", scene.label)}),
            )
        })
        .collect();
    let qa = format!("{}_{QA_SUFFIX}.TIF", scene.label);
    measurements.insert("qa_pixel".to_owned(), json!({"path": qa}));
    let [a, b, c, d, e, f] = scene.affine;
    let region = format!("{:03}{:03}", scene.path, scene.row);
    json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": scene.id.to_string(),
        "label": scene.label,
        "product": {"name": PRODUCT},
        "crs": format!("epsg:{}", scene.epsg),
        "geometry": {"type": "Polygon", "coordinates": [scene.footprint]},
        "grids": {"default": {
            "shape": [scene.size, scene.size],
            "transform": [a, b, c, d, e, f, 0.0, 0.0, 1.0],
        }},
        "properties": {
            "datetime": scene.time.to_string(),
            "eo:platform": "landsat-8",
            "eo:instrument": "OLI_TIRS",
            "eo:gsd": 30,
            "eo:cloud_cover": scene.cloud_cover,
            "odc:file_format": "GeoTIFF",
            "odc:processing_datetime": scene.time.to_string(),
            "odc:producer": "example.org",
            "odc:product_family": "c2l2",
            "odc:region_code": region,
            "landsat:wrs_path": scene.path,
            "landsat:wrs_row": scene.row,
        },
        "measurements": measurements,
        "accessories": {},
        "lineage": {},
    })
}
