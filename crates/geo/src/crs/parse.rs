//! From a text to a CRS, and everything about it that PROJ can say.
//!
//! The text is brought into a form that PROJ reads without guessing (a bare
//! code is EPSG's, a PROJ string is a CRS and not an operation), and the result
//! into one that is the same for the same CRS: the EPSG code if one is
//! equivalent, else WKT2.

use super::{CrsKind, c_string};
use crate::proj::{self, Pj, Proj};
use crate::{BoundingBox, Error, Result};
use proj_sys as sys;
use std::ffi::c_int;

/// What PROJ says about a CRS.
pub(super) struct Description {
    pub(super) name: String,
    pub(super) kind: CrsKind,
    pub(super) wkt: String,
    pub(super) epsg: Option<u32>,
    pub(super) units: [String; 2],
    pub(super) unit_in_metres: f64,
    pub(super) area_of_use: Option<BoundingBox>,
    /// Semi-major and semi-minor axis in metres, inverse flattening (0 for a
    /// sphere).
    pub(super) ellipsoid: (f64, f64, f64),
    /// Longitude of the prime meridian, in its own unit.
    pub(super) prime_meridian: f64,
}

/// Radius of the equator of WGS 84 in metres: the length of a radian on it.
const RADIAN_IN_METRES: f64 = 6_378_137.0;

/// PROJ's confidence (0 to 100) from which a code is believed, as in pyproj.
const MIN_CONFIDENCE: c_int = 70;

/// Text that PROJ objects can be made from, and the description.
pub(super) fn parse(text: &str) -> Result<(String, Description)> {
    if text.is_empty() {
        return Err(invalid(text, "it is empty".to_owned()));
    }
    let form = Form::of(text);
    let definition = match &form {
        Form::Code { authority, code } => format!("{authority}:{code}"),
        Form::ProjString if !text.contains("type=crs") && !text.contains("+init=") => {
            format!("{text} +type=crs")
        }
        Form::ProjString | Form::Definition => text.to_owned(),
        Form::Unknown => {
            return Err(invalid(
                text,
                "it is neither a code nor a definition".to_owned(),
            ));
        }
    };
    proj::with(|proj| {
        let pj = proj.create(&definition).map_err(|reason| match &form {
            Form::Code { authority, code } => Error::UnknownCrs {
                input: definition.clone(),
                near: near_codes(proj, authority, code),
            },
            _ => invalid(text, reason),
        })?;
        // SAFETY: a live object.
        if unsafe { sys::proj_is_crs(pj.as_ptr()) } == 0 {
            return Err(invalid(
                text,
                "it is something else of PROJ's, such as a datum or an operation".to_owned(),
            ));
        }
        describe(proj, text, &pj, &form)
    })
    .unwrap_or_else(|reason| Err(Error::Proj { reason }))
}

/// How a CRS was written.
enum Form {
    Code {
        authority: String,
        code: String,
    },
    ProjString,
    /// WKT, PROJJSON, URN or URL, which PROJ tells apart itself.
    Definition,
    Unknown,
}

impl Form {
    fn of(text: &str) -> Self {
        let is_code = |c: &str| {
            !c.is_empty()
                && c.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Code {
                authority: "EPSG".to_owned(),
                code: text.to_owned(),
            };
        }
        if let Some((authority, code)) = text.split_once(':') {
            let (authority, code) = (authority.trim(), code.trim());
            if is_code(authority) && is_code(code) {
                return Self::Code {
                    authority: authority.to_ascii_uppercase(),
                    code: code.to_ascii_uppercase(),
                };
            }
        }
        let lower = text
            .get(..text.len().min(8))
            .unwrap_or_default()
            .to_ascii_lowercase();
        if text.starts_with('+') || text.contains("+proj=") || lower.starts_with("proj=") {
            return Self::ProjString;
        }
        if text.starts_with('{')
            || lower.starts_with("urn:")
            || lower.starts_with("http")
            || text.contains('[')
            || text.contains('(')
        {
            return Self::Definition;
        }
        Self::Unknown
    }
}

fn invalid(text: &str, reason: String) -> Error {
    Error::InvalidCrs {
        input: shorten(text),
        reason,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn describe(proj: &Proj, text: &str, pj: &Pj, form: &Form) -> Result<(String, Description)> {
    let horizontal = horizontal(proj, text, pj)?;
    let base = horizontal.as_ref().unwrap_or(pj);
    let kind = kind_of(text, base)?;
    let wkt = wkt2(proj, pj).ok_or_else(|| Error::CrsNotExpressible {
        crs: shorten(text),
        format: "WKT2",
        reason: proj.take_message("PROJ gives no reason"),
    })?;
    let (units, metres) = axes(proj, base, kind);
    let (epsg, canonical) = match form {
        Form::Code { authority, code } => {
            let epsg = if authority == "EPSG" {
                code.parse().ok()
            } else {
                identify(proj, pj)
            };
            (epsg, format!("{authority}:{code}"))
        }
        _ => match identify(proj, pj) {
            Some(code) => (Some(code), format!("EPSG:{code}")),
            None => (None, wkt.clone()),
        },
    };
    // SAFETY: live object; PROJ owns the string.
    let name = unsafe { proj::text(sys::proj_get_name(pj.as_ptr())) }.unwrap_or_default();
    Ok((
        canonical,
        Description {
            name,
            kind,
            wkt,
            epsg,
            units,
            unit_in_metres: metres,
            area_of_use: area_of_use(proj, pj),
            ellipsoid: ellipsoid(proj, base),
            prime_meridian: prime_meridian(proj, base),
        },
    ))
}

/// The part of a bound or compound CRS that has the horizontal axes; `None`
/// when `pj` is neither.
fn horizontal(proj: &Proj, text: &str, pj: &Pj) -> Result<Option<Pj>> {
    let mut out: Option<Pj> = None;
    // Bound in compound in bound: nothing legitimate nests deeper.
    for _ in 0..4 {
        let current = out.as_ref().unwrap_or(pj).as_ptr();
        // SAFETY: live context and objects throughout.
        let inner = unsafe {
            match sys::proj_get_type(current) {
                sys::PJ_TYPE_PJ_TYPE_BOUND_CRS => sys::proj_get_source_crs(proj.ctx(), current),
                sys::PJ_TYPE_PJ_TYPE_COMPOUND_CRS => {
                    sys::proj_crs_get_sub_crs(proj.ctx(), current, 0)
                }
                _ => return Ok(out),
            }
        };
        out =
            Some(Pj::new(inner).ok_or_else(|| {
                invalid(text, proj.take_message("its horizontal part is missing"))
            })?);
    }
    Ok(out)
}

fn kind_of(text: &str, pj: &Pj) -> Result<CrsKind> {
    // SAFETY: live object.
    let kind = match unsafe { sys::proj_get_type(pj.as_ptr()) } {
        sys::PJ_TYPE_PJ_TYPE_GEOGRAPHIC_2D_CRS | sys::PJ_TYPE_PJ_TYPE_GEOGRAPHIC_3D_CRS => {
            return Ok(CrsKind::Geographic);
        }
        sys::PJ_TYPE_PJ_TYPE_PROJECTED_CRS | sys::PJ_TYPE_PJ_TYPE_DERIVED_PROJECTED_CRS => {
            return Ok(CrsKind::Projected);
        }
        sys::PJ_TYPE_PJ_TYPE_GEOCENTRIC_CRS => "geocentric",
        sys::PJ_TYPE_PJ_TYPE_VERTICAL_CRS => "vertical",
        sys::PJ_TYPE_PJ_TYPE_TEMPORAL_CRS => "temporal",
        sys::PJ_TYPE_PJ_TYPE_ENGINEERING_CRS => "local (engineering)",
        _ => "special",
    };
    Err(Error::UnsupportedCrs {
        input: shorten(text),
        kind,
    })
}

fn wkt2(proj: &Proj, pj: &Pj) -> Option<String> {
    let options = [c"MULTILINE=NO".as_ptr(), std::ptr::null()];
    proj.clear_message();
    // SAFETY: live context and object; the options end in null; PROJ owns the
    // string.
    unsafe {
        proj::text(sys::proj_as_wkt(
            proj.ctx(),
            pj.as_ptr(),
            sys::PJ_WKT_TYPE_PJ_WKT2_2019,
            options.as_ptr(),
        ))
    }
}

/// Units in (y, x) order as odc-geo has them, and metres per unit.
fn axes(proj: &Proj, pj: &Pj, kind: CrsKind) -> ([String; 2], f64) {
    let (mut x, mut y) = (String::new(), String::new());
    let mut factor = 1.0;
    // SAFETY: live context and objects; the out pointers are valid; PROJ owns
    // the strings, which are copied at once.
    unsafe {
        if let Some(cs) = Pj::new(sys::proj_crs_get_coordinate_system(proj.ctx(), pj.as_ptr())) {
            for i in 0..sys::proj_cs_get_axis_count(proj.ctx(), cs.as_ptr()) {
                let (mut direction, mut unit) = (std::ptr::null(), std::ptr::null());
                let mut si = 1.0;
                let none = std::ptr::null_mut();
                sys::proj_cs_get_axis_info(
                    proj.ctx(),
                    cs.as_ptr(),
                    i,
                    none,
                    none,
                    &raw mut direction,
                    &raw mut si,
                    &raw mut unit,
                    none,
                    none,
                );
                let unit = proj::text(unit).unwrap_or_default();
                match proj::text(direction).as_deref() {
                    Some("north" | "south") => y = unit,
                    Some("east" | "west") => x = unit,
                    _ => continue,
                }
                factor = si;
            }
        }
    }
    match kind {
        CrsKind::Geographic => (
            ["degrees_north".to_owned(), "degrees_east".to_owned()],
            factor * RADIAN_IN_METRES,
        ),
        CrsKind::Projected => ([y, x], factor),
    }
}

fn area_of_use(proj: &Proj, pj: &Pj) -> Option<BoundingBox> {
    let (mut west, mut south, mut east, mut north) = (0.0, 0.0, 0.0, 0.0);
    // SAFETY: live context and object; the out pointers are valid.
    let known = unsafe {
        sys::proj_get_area_of_use(
            proj.ctx(),
            pj.as_ptr(),
            &raw mut west,
            &raw mut south,
            &raw mut east,
            &raw mut north,
            std::ptr::null_mut(),
        )
    };
    // PROJ says -1000 for "no bound".
    if known == 0 || west <= -1000.0 || south <= -1000.0 || east <= -1000.0 || north <= -1000.0 {
        return None;
    }
    let east = if east < west { east + 360.0 } else { east };
    Some(BoundingBox::new(west, south, east, north))
}

fn ellipsoid(proj: &Proj, pj: &Pj) -> (f64, f64, f64) {
    let (mut a, mut b, mut rf) = (0.0, 0.0, 0.0);
    // SAFETY: live context and objects; the out pointers are valid.
    unsafe {
        if let Some(e) = Pj::new(sys::proj_get_ellipsoid(proj.ctx(), pj.as_ptr())) {
            sys::proj_ellipsoid_get_parameters(
                proj.ctx(),
                e.as_ptr(),
                &raw mut a,
                &raw mut b,
                std::ptr::null_mut(),
                &raw mut rf,
            );
        }
    }
    (a, b, rf)
}

fn prime_meridian(proj: &Proj, pj: &Pj) -> f64 {
    let mut longitude = 0.0;
    // SAFETY: live context and objects; the out pointer is valid.
    unsafe {
        if let Some(m) = Pj::new(sys::proj_get_prime_meridian(proj.ctx(), pj.as_ptr())) {
            sys::proj_prime_meridian_get_parameters(
                proj.ctx(),
                m.as_ptr(),
                &raw mut longitude,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
        }
    }
    longitude
}

/// The EPSG code that a definition is equivalent to.
fn identify(proj: &Proj, pj: &Pj) -> Option<u32> {
    let mut confidence: *mut c_int = std::ptr::null_mut();
    // SAFETY: live context and object; `confidence` is valid to write to.
    let list = unsafe {
        sys::proj_identify(
            proj.ctx(),
            pj.as_ptr(),
            c"EPSG".as_ptr(),
            std::ptr::null(),
            &raw mut confidence,
        )
    };
    if list.is_null() {
        return None;
    }
    // SAFETY: `list` is live until destroyed below; `confidence` has as many
    // values as the list and is destroyed with it.
    unsafe {
        let mut best = None;
        for i in 0..sys::proj_list_get_count(list) {
            let sure = *confidence.offset(isize::try_from(i).expect("a list index"));
            if sure < MIN_CONFIDENCE || best.is_some_and(|(least, _)| sure <= least) {
                continue;
            }
            let Some(found) = Pj::new(sys::proj_list_get(proj.ctx(), list, i)) else {
                continue;
            };
            let same = sys::proj_is_equivalent_to_with_ctx(
                proj.ctx(),
                pj.as_ptr(),
                found.as_ptr(),
                sys::PJ_COMPARISON_CRITERION_PJ_COMP_EQUIVALENT_EXCEPT_AXIS_ORDER_GEOGCRS,
            );
            let code = proj::text(sys::proj_get_id_code(found.as_ptr(), 0));
            if let (true, Some(code)) = (same != 0, code.and_then(|c| c.parse::<u32>().ok())) {
                best = Some((sure, code));
            }
        }
        sys::proj_int_list_destroy(confidence);
        sys::proj_list_destroy(list);
        best.map(|(_, code)| code)
    }
}

/// Codes of the authority that look like `code`, with their names.
fn near_codes(proj: &Proj, authority: &str, code: &str) -> Vec<String> {
    let mut near: Vec<(usize, String)> = Vec::new();
    for kind in [
        sys::PJ_TYPE_PJ_TYPE_PROJECTED_CRS,
        sys::PJ_TYPE_PJ_TYPE_GEOGRAPHIC_2D_CRS,
    ] {
        let authority = c_string(authority);
        // SAFETY: live context and C string; the list ends in null and is
        // destroyed once.
        unsafe {
            let list = sys::proj_get_codes_from_database(proj.ctx(), authority.as_ptr(), kind, 0);
            if list.is_null() {
                continue;
            }
            let mut at = list;
            while let Some(other) = proj::text(*at) {
                let distance = strsim::damerau_levenshtein(code, &other);
                if distance <= 1 {
                    near.push((distance, other));
                }
                at = at.add(1);
            }
            sys::proj_string_list_destroy(list);
        }
    }
    // The same number of digits first, then the nearest number.
    let number = |c: &str| c.parse::<i64>().unwrap_or(i64::MAX / 2);
    near.sort_by_key(|(d, c)| {
        (
            *d,
            c.len().abs_diff(code.len()),
            (number(c) - number(code)).abs(),
            c.clone(),
        )
    });
    near.truncate(3);
    near.iter()
        .map(|(_, c)| {
            let full = format!("{authority}:{c}");
            let pj = proj.create(&full).ok();
            // SAFETY: live object; PROJ owns the string.
            let name = pj.and_then(|p| unsafe { proj::text(sys::proj_get_name(p.as_ptr())) });
            name.map_or(full.clone(), |n| format!("{full} ({n})"))
        })
        .collect()
}
