//! Projections that a file defines by its keys, as WKT 1.
//!
//! The names and parameters of WKT 1 follow GeoTIFF's methods one to one. The
//! values need no conversion: both state angles and lengths in the units of the
//! system itself.

use super::{GeoKeys, key};

/// Keys that may hold the latitude of the origin; files differ in which.
const LATITUDE: &[u16] = &[3081, 3085, 3089];
const LONGITUDE: &[u16] = &[3080, 3084, 3088, 3095];
const EASTING: &[u16] = &[3082, 3086, 3090];
const NORTHING: &[u16] = &[3083, 3087, 3091];
const SCALE: &[u16] = &[3092, 3093];
const AZIMUTH: &[u16] = &[3094];
const RECTIFIED_ANGLE: &[u16] = &[3096];

/// `PROJECTION[..]` and its parameters, or what is not supported.
///
/// # Source
/// GeoTIFF 1.1, annex on projection methods; GDAL, `GTIFGetOGISDefn`.
pub(super) fn to_wkt(keys: &GeoKeys) -> Result<String, String> {
    if let Some(zone) = keys.code(key::PROJECTION).and_then(UtmZone::from_code) {
        return Ok(zone.to_wkt());
    }
    let Some(method) = keys.code(key::PROJECTION_METHOD) else {
        return Err(match keys.code(key::PROJECTION) {
            Some(code) => format!("it is defined by projection {code} alone"),
            None => "it names no projection".to_owned(),
        });
    };
    let parallel_1 = (&[key::STANDARD_PARALLEL_1][..], "standard_parallel_1", 0.0);
    let parallel_2 = (&[key::STANDARD_PARALLEL_2][..], "standard_parallel_2", 0.0);
    let latitude = |name: &'static str| (LATITUDE, name, 0.0);
    let longitude = |name: &'static str| (LONGITUDE, name, 0.0);
    let scale = (SCALE, "scale_factor", 1.0);
    let origin = [
        latitude("latitude_of_origin"),
        longitude("central_meridian"),
    ];
    let centre = [
        latitude("latitude_of_center"),
        longitude("longitude_of_center"),
    ];
    let conic = [parallel_1, parallel_2, centre[0], centre[1]];
    let has_parallel = keys
        .double(key::STANDARD_PARALLEL_1)
        .is_some_and(|value| value != 0.0);

    let (name, parameters) = match method {
        1 => ("Transverse_Mercator", vec![origin[0], origin[1], scale]),
        3 | 9815 => {
            let azimuth = keys.double(AZIMUTH[0]).unwrap_or(0.0);
            (
                if method == 3 {
                    "Hotine_Oblique_Mercator"
                } else {
                    "Hotine_Oblique_Mercator_Azimuth_Center"
                },
                vec![
                    centre[0],
                    centre[1],
                    (AZIMUTH, "azimuth", 0.0),
                    (RECTIFIED_ANGLE, "rectified_grid_angle", azimuth),
                    scale,
                ],
            )
        }
        7 if has_parallel => ("Mercator_2SP", vec![parallel_1, origin[1]]),
        7 => ("Mercator_1SP", vec![origin[0], origin[1], scale]),
        8 => (
            "Lambert_Conformal_Conic_2SP",
            vec![parallel_1, parallel_2, origin[0], origin[1]],
        ),
        9 => (
            "Lambert_Conformal_Conic_1SP",
            vec![origin[0], origin[1], scale],
        ),
        10 => ("Lambert_Azimuthal_Equal_Area", centre.to_vec()),
        11 => ("Albers_Conic_Equal_Area", conic.to_vec()),
        12 => ("Azimuthal_Equidistant", centre.to_vec()),
        13 => ("Equidistant_Conic", conic.to_vec()),
        14 => ("Stereographic", vec![origin[0], origin[1], scale]),
        15 => ("Polar_Stereographic", vec![origin[0], origin[1], scale]),
        16 => ("Oblique_Stereographic", vec![origin[0], origin[1], scale]),
        17 => ("Equirectangular", vec![parallel_1, origin[0], origin[1]]),
        18 => ("Cassini_Soldner", origin.to_vec()),
        19 => ("Gnomonic", origin.to_vec()),
        20 => ("Miller_Cylindrical", centre.to_vec()),
        21 => ("Orthographic", origin.to_vec()),
        22 => ("Polyconic", origin.to_vec()),
        23 => ("Robinson", vec![centre[1]]),
        24 => ("Sinusoidal", vec![centre[1]]),
        25 => ("VanDerGrinten", vec![origin[1]]),
        26 => ("New_Zealand_Map_Grid", origin.to_vec()),
        27 => (
            "Transverse_Mercator_South_Orientated",
            vec![origin[0], origin[1], scale],
        ),
        28 => ("Cylindrical_Equal_Area", vec![parallel_1, origin[1]]),
        other => return Err(format!("its projection method {other} is not supported")),
    };
    let mut wkt = format!("PROJECTION[\"{name}\"]");
    let offsets = [
        (EASTING, "false_easting", 0.0),
        (NORTHING, "false_northing", 0.0),
    ];
    for (candidates, name, default) in parameters.into_iter().chain(offsets) {
        let value = candidates
            .iter()
            .find_map(|&key| keys.double(key))
            .unwrap_or(default);
        if !value.is_finite() {
            return Err(format!("its {name} is {value}"));
        }
        wkt.push_str(&format!(",PARAMETER[\"{name}\",{value:?}]"));
    }
    Ok(wkt)
}

/// A UTM zone that is named by a projection code of EPSG.
struct UtmZone {
    zone: u16,
    is_south: bool,
}

impl UtmZone {
    fn from_code(code: u16) -> Option<UtmZone> {
        match code {
            16001..=16060 => Some(UtmZone {
                zone: code - 16000,
                is_south: false,
            }),
            16101..=16160 => Some(UtmZone {
                zone: code - 16100,
                is_south: true,
            }),
            _ => None,
        }
    }

    fn to_wkt(&self) -> String {
        format!(
            "PROJECTION[\"Transverse_Mercator\"],PARAMETER[\"latitude_of_origin\",0],\
             PARAMETER[\"central_meridian\",{}],PARAMETER[\"scale_factor\",0.9996],\
             PARAMETER[\"false_easting\",500000],PARAMETER[\"false_northing\",{}]",
            i32::from(self.zone) * 6 - 183,
            if self.is_south { 10_000_000 } else { 0 }
        )
    }
}
