//! GeoTIFF keys as a coordinate reference system.
//!
//! A code of EPSG is the rule. A system without a code is put together as WKT 1
//! from the keys, and given to PROJ as if it had come as text; a WKT that the
//! file hides in a citation goes before that. Heights are left out: the grid of
//! an image is horizontal.

use datacube_geo::Crs;
use serde_json::{Value, json};

use super::names::{GeographicNames, imagine_unit, quotable, wkt_in};
use super::units::{self, Unit};
use super::{GeoKeys, USER_DEFINED, key, projection};

/// The coordinate system that the keys describe.
///
/// # Errors
/// Why there is none: the keys say nothing of it, contradict themselves, or
/// use a projection that is not built.
///
/// # Source
/// GeoTIFF 1.1 (OGC 19-008r4); GDAL, `GTIFGetOGISDefn`.
pub(crate) fn to_crs(keys: &GeoKeys) -> Result<Crs, String> {
    let projected = keys.code(key::PROJECTED_CRS);
    let geographic = keys.code(key::GEODETIC_CRS);
    let is_projected = match keys.short(key::MODEL_TYPE) {
        Some(1) => true,
        Some(2) => false,
        Some(3) => return Err("it is geocentric".to_owned()),
        _ => keys.short(key::PROJECTED_CRS).is_some() || pe_string(keys).is_some(),
    };
    if !is_projected {
        return match geographic.and_then(from_epsg) {
            Some(crs) => Ok(crs),
            None => Crs::parse(&geographic_wkt(keys)?).map_err(|error| error.to_string()),
        };
    }
    if let Some(crs) = projected.and_then(from_epsg) {
        return with_linear_unit(keys, crs);
    }
    if let Some(wkt) = pe_string(keys)
        && let Ok(crs) = Crs::parse(wkt)
    {
        return Ok(crs);
    }
    if let (Some(code), None) = (projected, keys.short(key::PROJECTION_METHOD)) {
        return Err(format!("EPSG has no system {code}"));
    }
    let geographic = match geographic.and_then(from_epsg) {
        Some(crs) => crs.to_wkt1_gdal().map_err(|error| error.to_string())?,
        None => geographic_wkt(keys)?,
    };
    let unit = match linear_unit(keys)? {
        Some(unit) => unit,
        None => Unit::metre(),
    };
    let name = [key::CITATION, key::PROJECTED_CITATION]
        .into_iter()
        .find_map(|key| quotable(keys.text(key)?))
        .unwrap_or_else(|| "unnamed".to_owned());
    let wkt = format!(
        "PROJCS[\"{name}\",{geographic},{},{}]",
        projection::to_wkt(keys)?,
        unit.to_wkt()
    );
    Crs::parse(&wkt).map_err(|error| error.to_string())
}

fn from_epsg(code: u16) -> Option<Crs> {
    Crs::from_epsg(code.into()).ok()
}

/// WKT that is hidden in a citation.
fn pe_string(keys: &GeoKeys) -> Option<&str> {
    [key::PROJECTED_CITATION, key::CITATION]
        .into_iter()
        .find_map(|key| wkt_in(keys.text(key)?))
}

/// The unit of eastings and northings, where the file states one.
fn linear_unit(keys: &GeoKeys) -> Result<Option<Unit>, String> {
    match keys.short(key::LINEAR_UNITS) {
        None | Some(0) => Ok(None),
        Some(USER_DEFINED) => Ok(keys
            .double(key::LINEAR_UNIT_SIZE)
            .filter(|size| size.is_finite() && *size > 0.0)
            .map(|size| Unit {
                name: "unknown".to_owned(),
                size,
            })),
        Some(code) => match units::linear(code) {
            Some(unit) => Ok(Some(unit)),
            None => Err(format!("its linear unit {code} is not supported")),
        },
    }
}

/// `crs` in the unit that the file states beside its code: state plane
/// systems are often used in feet where EPSG has metres.
fn with_linear_unit(keys: &GeoKeys, crs: Crs) -> Result<Crs, String> {
    let in_citation = || {
        keys.text(key::CITATION)
            .and_then(imagine_unit)
            .and_then(units::imagine)
    };
    let Some(unit) = linear_unit(keys)?.or_else(in_citation) else {
        return Ok(crs);
    };
    if !crs.is_projected() || (crs.unit_in_metres() / unit.size - 1.0).abs() < 1e-10 {
        return Ok(crs);
    }
    let mut definition = crs.to_projjson().map_err(|error| error.to_string())?;
    let unit = json!({
        "type": "LinearUnit",
        "name": unit.name,
        "conversion_factor": unit.size,
    });
    // Parameters of the projection carry units of their own, so that only the
    // axes change.
    let axes = definition
        .pointer_mut("/coordinate_system/axis")
        .and_then(Value::as_array_mut)
        .ok_or("its definition has no axes")?;
    for axis in axes {
        axis["unit"] = unit.clone();
    }
    if let Some(definition) = definition.as_object_mut() {
        definition.remove("id");
    }
    Crs::parse(&definition.to_string()).map_err(|error| error.to_string())
}

/// `GEOGCS[..]` of a geographic system that has no code.
fn geographic_wkt(keys: &GeoKeys) -> Result<String, String> {
    let names = GeographicNames::parse(keys.text(key::GEODETIC_CITATION).unwrap_or_default());
    let system = names.system.unwrap_or_else(|| "unknown".to_owned());
    let unit = match keys.short(key::ANGULAR_UNITS) {
        None | Some(0) => Unit::degree(),
        Some(USER_DEFINED) => Unit {
            name: "unknown".to_owned(),
            size: keys
                .double(key::ANGULAR_UNIT_SIZE)
                .filter(|size| size.is_finite() && *size > 0.0)
                .ok_or("its angular unit has no size")?,
        },
        Some(code) => units::angular(code)
            .ok_or_else(|| format!("its angular unit {code} is not supported"))?,
    };
    let datum = match keys.code(key::GEODETIC_DATUM).and_then(datum_of_code) {
        Some(datum) => datum,
        None => datum_wkt(keys, names.datum, names.ellipsoid)?,
    };
    let longitude = match keys.code(key::PRIME_MERIDIAN) {
        None | Some(8901) => keys.double(key::PRIME_MERIDIAN_LONGITUDE).unwrap_or(0.0),
        Some(code) => keys
            .double(key::PRIME_MERIDIAN_LONGITUDE)
            .ok_or_else(|| format!("its prime meridian {code} has no longitude"))?,
    };
    let meridian = names
        .prime_meridian
        .unwrap_or_else(|| "Greenwich".to_owned());
    Ok(format!(
        "GEOGCS[\"{system}\",{datum},PRIMEM[\"{meridian}\",{longitude:?}],{}]",
        unit.to_wkt()
    ))
}

/// `DATUM[..]` of a datum of EPSG's, taken from the system that goes with it.
fn datum_of_code(code: u16) -> Option<String> {
    // The codes of datums are those of their systems plus 2000.
    let wkt = from_epsg(code.checked_sub(2000)?)?.to_wkt1_gdal().ok()?;
    let start = wkt.find("DATUM[")?;
    let mut depth = 0_usize;
    let mut in_name = false;
    for (at, c) in wkt[start..].char_indices() {
        match c {
            '"' => in_name = !in_name,
            '[' if !in_name => depth += 1,
            ']' if !in_name => {
                depth -= 1;
                if depth == 0 {
                    return Some(wkt[start..=start + at].to_owned());
                }
            }
            _ => {}
        }
    }
    None
}

/// `DATUM[..]` from the axes of an ellipsoid.
fn datum_wkt(
    keys: &GeoKeys,
    datum: Option<String>,
    ellipsoid: Option<String>,
) -> Result<String, String> {
    let known = keys.code(key::ELLIPSOID).and_then(units::ellipsoid);
    let major = keys
        .double(key::SEMI_MAJOR_AXIS)
        .or(known.map(|(_, major, _)| major));
    let Some(major) = major.filter(|major| major.is_finite() && *major > 0.0) else {
        return Err("its keys name neither a geographic system nor an ellipsoid".to_owned());
    };
    let flattening = match (
        keys.double(key::INVERSE_FLATTENING),
        keys.double(key::SEMI_MINOR_AXIS),
        known,
    ) {
        (Some(flattening), _, _) => flattening,
        (None, Some(minor), _) if (major - minor).abs() <= f64::EPSILON * major => 0.0,
        (None, Some(minor), _) => major / (major - minor),
        (None, None, Some((_, _, flattening))) => flattening,
        (None, None, None) => 0.0,
    };
    if !flattening.is_finite() {
        return Err(format!("its inverse flattening is {flattening}"));
    }
    let shift = keys.doubles(key::TO_WGS84);
    let shift = if matches!(shift.len(), 3 | 7) {
        let mut seven = shift.to_vec();
        seven.resize(7, 0.0);
        let values: Vec<String> = seven.iter().map(|value| format!("{value:?}")).collect();
        format!(",TOWGS84[{}]", values.join(","))
    } else {
        String::new()
    };
    let datum = datum.unwrap_or_else(|| "unknown".to_owned());
    let ellipsoid = ellipsoid
        .or_else(|| known.map(|(name, _, _)| name.to_owned()))
        .unwrap_or_else(|| "unknown".to_owned());
    Ok(format!(
        "DATUM[\"{datum}\",SPHEROID[\"{ellipsoid}\",{major:?},{flattening:?}]{shift}]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_datum_is_cut_out_of_a_system() {
        let datum = datum_of_code(6326).unwrap();
        assert!(datum.starts_with("DATUM[\"WGS_1984\",SPHEROID["), "{datum}");
        assert!(datum.ends_with(']') && !datum.contains("PRIMEM"), "{datum}");
        assert_eq!(datum_of_code(100), None);
    }
}
