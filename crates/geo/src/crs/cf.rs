//! A CRS in the words of the CF conventions, for `spatial_ref` variables.
//!
//! Names and values are those of pyproj's `CRS.to_cf`, so that what we write
//! and what ODC writes cannot be told apart.

use super::{Crs, CrsKind};
use crate::Result;
use serde_json::{Map, Value, json};

pub(super) fn to_cf(crs: &Crs) -> Result<Map<String, Value>> {
    let json = crs.to_projjson()?;
    let mut out = Map::new();
    out.insert("crs_wkt".to_owned(), json!(crs.to_wkt()));
    if let Some(mut more) = attributes(crs, &json) {
        out.append(&mut more);
    }
    Ok(out)
}

/// Everything but `crs_wkt`; `None` for a projection that CF has no name for.
fn attributes(crs: &Crs, json: &Value) -> Option<Map<String, Value>> {
    match json["type"].as_str() {
        Some("BoundCRS") => {
            let mut out = attributes(crs, &json["source_crs"])?;
            if let Some(shift) = towgs84(&json["transformation"]) {
                out.insert("towgs84".to_owned(), shift);
            }
            return Some(out);
        }
        Some("CompoundCRS") => {
            let parts = json["components"].as_array()?;
            let mut out = attributes(crs, parts.first()?)?;
            if let Some(vertical) = parts.get(1) {
                if let Some(geoid) = vertical["geoid_model"]["name"].as_str() {
                    out.insert("geoid_name".to_owned(), json!(geoid));
                }
                if let Some(datum) = datum_name(vertical) {
                    out.insert("geopotential_datum_name".to_owned(), json!(datum));
                }
            }
            return Some(out);
        }
        _ => {}
    }
    let geodetic = match crs.kind() {
        CrsKind::Projected => &json["base_crs"],
        CrsKind::Geographic => json,
    };
    // A derived geographic CRS (rotated pole) has its datum in its base.
    let datum_of = if geodetic["base_crs"].is_object() {
        &geodetic["base_crs"]
    } else {
        geodetic
    };
    let datum = if datum_of["datum"].is_object() {
        &datum_of["datum"]
    } else {
        &datum_of["datum_ensemble"]
    };
    let about = &crs.0.about;
    let (a, b, rf) = about.ellipsoid;
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("semi_major_axis", json!(a));
    put("semi_minor_axis", json!(b));
    put("inverse_flattening", json!(rf));
    put(
        "reference_ellipsoid_name",
        datum["ellipsoid"]["name"].clone(),
    );
    put("longitude_of_prime_meridian", json!(about.prime_meridian));
    put(
        "prime_meridian_name",
        match &datum["prime_meridian"]["name"] {
            Value::Null => json!("Greenwich"),
            name => name.clone(),
        },
    );
    put("geographic_crs_name", geodetic["name"].clone());
    put("horizontal_datum_name", datum["name"].clone());
    let conversion = Conversion::of(&json["conversion"]);
    let mapping = match (crs.kind(), &conversion) {
        (CrsKind::Geographic, None) => {
            let mut m = Map::new();
            m.insert("grid_mapping_name".to_owned(), json!("latitude_longitude"));
            m
        }
        (CrsKind::Geographic, Some(c)) => c.geographic()?,
        (CrsKind::Projected, Some(c)) => {
            put("projected_crs_name", json["name"].clone());
            c.projected()?
        }
        (CrsKind::Projected, None) => return None,
    };
    out.extend(mapping);
    Some(out)
}

fn datum_name(json: &Value) -> Option<&str> {
    json["datum"]["name"]
        .as_str()
        .or_else(|| json["datum_ensemble"]["name"].as_str())
}

/// The three or seven numbers of a datum shift to WGS 84.
fn towgs84(transformation: &Value) -> Option<Value> {
    let parameters = transformation["parameters"].as_array()?;
    let value = |name: &str| {
        parameters
            .iter()
            .find(|p| p["name"].as_str() == Some(name))
            .and_then(|p| p["value"].as_f64())
    };
    let shift: Option<Vec<f64>> = [
        "X-axis translation",
        "Y-axis translation",
        "Z-axis translation",
    ]
    .iter()
    .map(|n| value(n))
    .collect();
    let mut shift = shift?;
    let rest: Option<Vec<f64>> = [
        "X-axis rotation",
        "Y-axis rotation",
        "Z-axis rotation",
        "Scale difference",
    ]
    .iter()
    .map(|n| value(n))
    .collect();
    shift.extend(rest.unwrap_or_default());
    Some(json!(shift))
}

/// Method and parameters of a map projection.
struct Conversion<'a> {
    method: String,
    parameters: &'a [Value],
}

impl<'a> Conversion<'a> {
    fn of(json: &'a Value) -> Option<Self> {
        Some(Self {
            method: json["method"]["name"].as_str()?.to_lowercase(),
            parameters: json["parameters"].as_array().map_or(&[], Vec::as_slice),
        })
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.parameters
            .iter()
            .find(|p| {
                p["name"]
                    .as_str()
                    .is_some_and(|n| n.eq_ignore_ascii_case(name))
            })
            .and_then(|p| p["value"].as_f64())
            .map(|v| json!(v))
    }

    /// CF attributes by the names of the parameters that hold them; `None`
    /// when one is missing.
    fn mapping(&self, name: &str, attributes: &[(&str, &str)]) -> Option<Map<String, Value>> {
        let mut out = Map::new();
        out.insert("grid_mapping_name".to_owned(), json!(name));
        for (attribute, parameter) in attributes {
            // PROJ leaves some offsets out where they are zero.
            let zero = attribute.starts_with("false_").then(|| json!(0.0));
            let value = self.get(parameter).or(zero)?;
            out.insert((*attribute).to_owned(), value);
        }
        Some(out)
    }

    fn parallels(&self) -> Option<Value> {
        Some(json!([
            self.get("Latitude of 1st standard parallel")?,
            self.get("Latitude of 2nd standard parallel")?
        ]))
    }

    fn geographic(&self) -> Option<Map<String, Value>> {
        if self.method.starts_with("proj ob_tran o_proj=l") {
            let mut out = self.mapping(
                "rotated_latitude_longitude",
                &[
                    ("grid_north_pole_latitude", "o_lat_p"),
                    ("grid_north_pole_longitude", "lon_0"),
                    ("north_pole_grid_longitude", "o_lon_p"),
                ],
            )?;
            let lon = out["grid_north_pole_longitude"].as_f64()? - 180.0;
            out["grid_north_pole_longitude"] = json!(lon);
            return Some(out);
        }
        if self.method == "pole rotation (netcdf cf convention)" {
            return self.mapping(
                "rotated_latitude_longitude",
                &[
                    (
                        "grid_north_pole_latitude",
                        "Grid north pole latitude (netCDF CF convention)",
                    ),
                    (
                        "grid_north_pole_longitude",
                        "Grid north pole longitude (netCDF CF convention)",
                    ),
                    (
                        "north_pole_grid_longitude",
                        "North pole grid longitude (netCDF CF convention)",
                    ),
                ],
            );
        }
        None
    }

    fn projected(&self) -> Option<Map<String, Value>> {
        const EASTING: (&str, &str) = ("false_easting", "False easting");
        const NORTHING: (&str, &str) = ("false_northing", "False northing");
        const LAT: (&str, &str) = (
            "latitude_of_projection_origin",
            "Latitude of natural origin",
        );
        const LON: (&str, &str) = (
            "longitude_of_projection_origin",
            "Longitude of natural origin",
        );
        const MERIDIAN: (&str, &str) = (
            "longitude_of_central_meridian",
            "Longitude of natural origin",
        );
        const SCALE: (&str, &str) = (
            "scale_factor_at_projection_origin",
            "Scale factor at natural origin",
        );
        const PARALLEL: (&str, &str) = ("standard_parallel", "Latitude of 1st standard parallel");
        match self.method.as_str() {
            "albers equal area" => self.conic("albers_conical_equal_area"),
            "lambert conic conformal (2sp)" => self.conic("lambert_conformal_conic"),
            "lambert conic conformal (1sp)" => self.mapping(
                "lambert_conformal_conic",
                &[
                    ("standard_parallel", "Latitude of natural origin"),
                    MERIDIAN,
                    EASTING,
                    NORTHING,
                ],
            ),
            "azimuthal equidistant" | "modified azimuthal equidistant" => {
                self.mapping("azimuthal_equidistant", &[LAT, LON, EASTING, NORTHING])
            }
            "lambert azimuthal equal area" => self.mapping(
                "lambert_azimuthal_equal_area",
                &[LAT, LON, EASTING, NORTHING],
            ),
            "orthographic" => self.mapping("orthographic", &[LAT, LON, EASTING, NORTHING]),
            "lambert cylindrical equal area" => self.mapping(
                "lambert_cylindrical_equal_area",
                &[PARALLEL, MERIDIAN, EASTING, NORTHING],
            ),
            "mercator (variant a)" => self.mapping(
                "mercator",
                &[
                    ("standard_parallel", "Latitude of natural origin"),
                    LON,
                    EASTING,
                    NORTHING,
                    SCALE,
                ],
            ),
            "mercator (variant b)" => self.mapping("mercator", &[PARALLEL, LON, EASTING, NORTHING]),
            "sinusoidal" => self.mapping("sinusoidal", &[LON, EASTING, NORTHING]),
            "stereographic" => self.mapping("stereographic", &[LAT, LON, EASTING, NORTHING, SCALE]),
            "polar stereographic (variant a)" => self.mapping(
                "polar_stereographic",
                &[
                    LAT,
                    (
                        "straight_vertical_longitude_from_pole",
                        "Longitude of natural origin",
                    ),
                    EASTING,
                    NORTHING,
                    SCALE,
                ],
            ),
            "polar stereographic (variant b)" => self.mapping(
                "polar_stereographic",
                &[
                    ("standard_parallel", "Latitude of standard parallel"),
                    (
                        "straight_vertical_longitude_from_pole",
                        "Longitude of origin",
                    ),
                    EASTING,
                    NORTHING,
                ],
            ),
            "transverse mercator" => self.mapping(
                "transverse_mercator",
                &[
                    LAT,
                    MERIDIAN,
                    EASTING,
                    NORTHING,
                    (
                        "scale_factor_at_central_meridian",
                        "Scale factor at natural origin",
                    ),
                ],
            ),
            "vertical perspective" => self.mapping(
                "vertical_perspective",
                &[
                    ("perspective_point_height", "Viewpoint height"),
                    (
                        "latitude_of_projection_origin",
                        "Latitude of topocentric origin",
                    ),
                    (
                        "longitude_of_projection_origin",
                        "Longitude of topocentric origin",
                    ),
                    EASTING,
                    NORTHING,
                ],
            ),
            "hotine oblique mercator (variant b)" => self.oblique(),
            "geostationary satellite (sweep x)" => self.geostationary("x"),
            "geostationary satellite (sweep y)" => self.geostationary("y"),
            _ => None,
        }
    }

    fn conic(&self, name: &str) -> Option<Map<String, Value>> {
        let mut out = Map::new();
        out.insert("grid_mapping_name".to_owned(), json!(name));
        out.insert("standard_parallel".to_owned(), self.parallels()?);
        for (attribute, parameter) in [
            ("latitude_of_projection_origin", "Latitude of false origin"),
            ("longitude_of_central_meridian", "Longitude of false origin"),
            ("false_easting", "Easting at false origin"),
            ("false_northing", "Northing at false origin"),
        ] {
            out.insert(attribute.to_owned(), self.get(parameter)?);
        }
        Some(out)
    }

    fn oblique(&self) -> Option<Map<String, Value>> {
        let azimuth = self
            .get("Azimuth of initial line")
            .or_else(|| self.get("Azimuth at projection centre"))?;
        let scale = self
            .get("Scale factor on initial line")
            .or_else(|| self.get("Scale factor at projection centre"))?;
        let mut out = self.mapping(
            "oblique_mercator",
            &[
                (
                    "latitude_of_projection_origin",
                    "Latitude of projection centre",
                ),
                (
                    "longitude_of_projection_origin",
                    "Longitude of projection centre",
                ),
            ],
        )?;
        out.insert("azimuth_of_central_line".to_owned(), azimuth);
        out.insert("scale_factor_at_projection_origin".to_owned(), scale);
        out.insert(
            "false_easting".to_owned(),
            self.get("Easting at projection centre")?,
        );
        out.insert(
            "false_northing".to_owned(),
            self.get("Northing at projection centre")?,
        );
        Some(out)
    }

    fn geostationary(&self, sweep: &str) -> Option<Map<String, Value>> {
        let mut out = Map::new();
        out.insert("grid_mapping_name".to_owned(), json!("geostationary"));
        out.insert("sweep_angle_axis".to_owned(), json!(sweep));
        out.insert(
            "perspective_point_height".to_owned(),
            self.get("Satellite Height")?,
        );
        out.insert(
            "latitude_of_projection_origin".to_owned(),
            self.get("Latitude of natural origin").unwrap_or(json!(0.0)),
        );
        out.insert(
            "longitude_of_projection_origin".to_owned(),
            self.get("Longitude of natural origin")?,
        );
        out.insert("false_easting".to_owned(), self.get("False easting")?);
        out.insert("false_northing".to_owned(), self.get("False northing")?);
        Some(out)
    }
}
