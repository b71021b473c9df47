//! Coordinate reference systems, as PROJ understands them.
//!
//! A [`Crs`] is a shared, immutable value: everything that programs ask of it
//! is read from PROJ once, when it is parsed, and the same text gives the same
//! value again. Two are equal when PROJ finds them equivalent, so a WKT from a
//! file equals the EPSG code that it spells out. Coordinates are x before y,
//! longitude before latitude, whatever the authority says.

mod cf;
mod parse;
mod plausible;

use crate::proj;
use crate::{BoundingBox, Error, Result};
use parse::Description;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// What the coordinates of a CRS are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrsKind {
    /// Longitude and latitude.
    Geographic,
    /// Lengths on a plane.
    Projected,
}

/// A coordinate reference system: geographic or projected, immutable, cheap to
/// clone and shared between threads.
///
/// Equality is PROJ's equivalence, axis order aside; the hash agrees with it
/// within a process. Serialises as text, `EPSG:32655` where there is a code and
/// WKT2 where there is none.
///
/// ```
/// use datacube_geo::Crs;
/// let utm = Crs::parse("EPSG:32655")?;
/// assert_eq!(utm, Crs::parse(utm.to_wkt())?);
/// assert_eq!(utm.dimensions(), ["y", "x"]);
/// # Ok::<(), datacube_geo::Error>(())
/// ```
#[derive(Clone)]
pub struct Crs(Arc<Inner>);

struct Inner {
    /// Key of this CRS in the caches of the threads.
    key: Key,
    /// `EPSG:32655`, or WKT2: what PROJ objects are made from.
    text: Arc<str>,
    about: Description,
    /// The text of the first of those that equal it; found when first compared.
    class: OnceLock<Arc<str>>,
}

/// Tells CRSs apart; never used twice in a process.
///
/// A process may hold this crate more than once: a Rust notebook loads a library
/// for each cell, and every one brings statics of its own. What is counted in one
/// of them must not be taken for what is counted in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Where this copy of the crate keeps its count.
    copy: usize,
    number: u64,
}

impl Key {
    fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Key {
            copy: (&raw const COUNT).addr(),
            number: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// CRSs by the text they were parsed from. Emptied when full: those in use live
/// on, and are found equal by their text.
static KNOWN: LazyLock<Mutex<HashMap<String, Crs>>> = LazyLock::new(Mutex::default);
const KNOWN_MAX: usize = 4096;

/// One CRS per class of equal ones.
static CLASSES: Mutex<Vec<Crs>> = Mutex::new(Vec::new());

impl Crs {
    /// The CRS that `text` describes.
    ///
    /// Takes `EPSG:32655`, `epsg:32655`, a bare code, other authorities
    /// (`ESRI:54009`, `OGC:CRS84`), `urn:ogc:def:crs:EPSG::32655`, WKT 1 and 2,
    /// PROJJSON, and PROJ strings. A definition that is equivalent to an EPSG
    /// code becomes that code.
    ///
    /// # Errors
    /// [`Error::UnknownCrs`] for a code that does not exist, with near ones;
    /// [`Error::InvalidCrs`] for what is no CRS; [`Error::UnsupportedCrs`] for
    /// one that is neither geographic nor projected.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(crs) = lock(&KNOWN).get(text) {
            return Ok(crs.clone());
        }
        let (canonical, about) = parse::parse(text)?;
        let mut known = lock(&KNOWN);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let crs = known
            .entry(canonical.clone())
            .or_insert_with(|| {
                Self(Arc::new(Inner {
                    key: Key::next(),
                    text: canonical.into(),
                    about,
                    class: OnceLock::new(),
                }))
            })
            .clone();
        known.insert(text.to_owned(), crs.clone());
        Ok(crs)
    }

    /// The CRS of an EPSG code.
    ///
    /// # Errors
    /// As [`Crs::parse`].
    pub fn from_epsg(code: u32) -> Result<Self> {
        Self::parse(&format!("EPSG:{code}"))
    }

    /// Longitude and latitude on WGS 84, EPSG:4326.
    #[must_use]
    pub fn wgs84() -> Self {
        static WGS84: LazyLock<Crs> =
            LazyLock::new(|| Crs::parse("EPSG:4326").expect("the embedded database has EPSG:4326"));
        WGS84.clone()
    }

    /// The WGS 84 UTM zone of a point.
    ///
    /// The plain zones of six degrees, without the exceptions of Norway and
    /// Svalbard; a point on the border of two zones is in the western one.
    ///
    /// # Errors
    /// [`Error::OutsideUtm`] above latitude 84 and below -80, and where a
    /// coordinate is not finite.
    ///
    /// # Source
    /// odc-geo 0.5.3, `CRS.utm`.
    pub fn utm_for(lon: f64, lat: f64) -> Result<Self> {
        if !lon.is_finite() || !(-80.0..=84.0).contains(&lat) {
            return Err(Error::OutsideUtm { lon, lat });
        }
        let lon = if (-180.0..=180.0).contains(&lon) {
            lon
        } else {
            (lon + 180.0).rem_euclid(360.0) - 180.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "longitude was brought into -180 to 180, so this is 1 to 60"
        )]
        let zone = ((lon + 180.0) / 6.0).ceil().max(1.0) as u32;
        Self::from_epsg(if lat < 0.0 { 32700 } else { 32600 } + zone)
    }

    /// The text that stands for this CRS: `EPSG:32655`, another authority's
    /// code, or WKT2 in one line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The EPSG code: the one it was made from, or the one that its definition
    /// is equivalent to.
    #[must_use]
    pub fn epsg(&self) -> Option<u32> {
        self.0.about.epsg
    }

    /// The name, such as "WGS 84 / UTM zone 55N".
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.about.name
    }

    /// What a CRS is that has no name of its own; `None` for one that has.
    fn nameless(&self) -> Option<String> {
        let is_name = |name: &str| !matches!(name, "" | "unknown" | "unnamed");
        if is_name(&self.0.about.name.to_ascii_lowercase()) {
            return None;
        }
        let json = self.to_projjson().ok()?;
        // A system that is bound to another by a shift of its datum.
        let json = match json.get("source_crs") {
            Some(source) => source,
            None => &json,
        };
        let base = match json.get("base_crs") {
            Some(base) => base,
            None => json,
        };
        let datum = base.get("datum").or_else(|| base.get("datum_ensemble"));
        let ellipsoid = datum.and_then(|datum| datum.get("ellipsoid"));
        let name_of = |value: Option<&serde_json::Value>| {
            let name = value?.get("name")?.as_str()?;
            is_name(&name.to_ascii_lowercase()).then(|| name.to_owned())
        };
        let on = name_of(Some(base))
            .or_else(|| name_of(datum))
            .or_else(|| name_of(ellipsoid))
            .or_else(|| {
                let radius = ellipsoid?
                    .get("semi_major_axis")
                    .or_else(|| ellipsoid?.get("radius"))?;
                Some(format!("an ellipsoid of {radius} m"))
            })?;
        let method = json
            .get("conversion")
            .and_then(|conversion| name_of(conversion.get("method")));
        Some(match method {
            Some(method) => format!("{method} on {on}"),
            None => format!("longitude and latitude on {on}"),
        })
    }

    /// WKT2:2019 in one line.
    #[must_use]
    pub fn to_wkt(&self) -> &str {
        &self.0.about.wkt
    }

    /// WKT1 as GDAL writes it, in one line.
    ///
    /// # Errors
    /// [`Error::CrsNotExpressible`] for a CRS that WKT1 has no words for.
    pub fn to_wkt1_gdal(&self) -> Result<String> {
        self.with_pj("WKT1", |proj, pj| {
            // SAFETY: live context and object; the options end in null.
            unsafe {
                let options = [c"MULTILINE=NO".as_ptr(), std::ptr::null()];
                proj::text(proj_sys::proj_as_wkt(
                    proj.ctx(),
                    pj,
                    proj_sys::PJ_WKT_TYPE_PJ_WKT1_GDAL,
                    options.as_ptr(),
                ))
            }
        })
    }

    /// PROJJSON.
    ///
    /// # Errors
    /// [`Error::CrsNotExpressible`] for a CRS that PROJJSON has no words for.
    pub fn to_projjson(&self) -> Result<serde_json::Value> {
        let text = self.with_pj("PROJJSON", |proj, pj| {
            // SAFETY: live context and object; the options end in null.
            unsafe {
                let options = [c"MULTILINE=NO".as_ptr(), std::ptr::null()];
                proj::text(proj_sys::proj_as_projjson(proj.ctx(), pj, options.as_ptr()))
            }
        })?;
        serde_json::from_str(&text).map_err(|e| Error::CrsNotExpressible {
            crs: self.to_string(),
            format: "PROJJSON",
            reason: e.to_string(),
        })
    }

    /// The CF grid-mapping attributes, `crs_wkt` first, as pyproj's
    /// `CRS.to_cf` gives them. A projection that CF has no name for gives
    /// `crs_wkt` alone.
    ///
    /// # Errors
    /// [`Error::CrsNotExpressible`] as [`Crs::to_projjson`].
    ///
    /// # Source
    /// CF conventions 1.8, appendix F; pyproj 3.7, `pyproj/crs/_cf1x8.py`.
    pub fn to_cf(&self) -> Result<serde_json::Map<String, serde_json::Value>> {
        cf::to_cf(self)
    }

    /// Geographic or projected.
    #[must_use]
    pub fn kind(&self) -> CrsKind {
        self.0.about.kind
    }

    /// Whether coordinates are longitude and latitude.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        self.kind() == CrsKind::Geographic
    }

    /// Whether coordinates are lengths on a plane.
    #[must_use]
    pub fn is_projected(&self) -> bool {
        self.kind() == CrsKind::Projected
    }

    /// Names of the dimensions of an image, rows first: latitude and longitude,
    /// or y and x.
    #[must_use]
    pub fn dimensions(&self) -> [&'static str; 2] {
        match self.kind() {
            CrsKind::Geographic => ["latitude", "longitude"],
            CrsKind::Projected => ["y", "x"],
        }
    }

    /// Units of [`Crs::dimensions`], in the same order, as ODC names them:
    /// `degrees_north` and `degrees_east`, or the unit of the axis.
    ///
    /// Where both axes of a polar CRS point north (EPSG:3031), the second is
    /// empty, as in odc-geo; [`Crs::unit_in_metres`] has no such gap.
    ///
    /// # Source
    /// odc-geo 0.5.3, `CRS.units`.
    #[must_use]
    pub fn units(&self) -> [String; 2] {
        self.0.about.units.clone()
    }

    /// The length of one unit in metres; for a geographic CRS that of a degree (or
    /// whatever its angles are in) along the equator of WGS 84.
    #[must_use]
    pub fn unit_in_metres(&self) -> f64 {
        self.0.about.unit_in_metres
    }

    /// Where the CRS is meant to be used, in longitude and latitude, if its
    /// authority says so. Over longitude 180 the box goes on past it.
    #[must_use]
    pub fn area_of_use(&self) -> Option<BoundingBox> {
        self.0.about.area_of_use
    }

    /// Key and definition for the caches of [`proj::Proj`].
    pub(crate) fn key(&self) -> (Key, &str) {
        (self.0.key, &self.0.text)
    }

    fn with_pj(
        &self,
        format: &'static str,
        f: impl FnOnce(&mut proj::Proj, *const proj_sys::PJ) -> Option<String>,
    ) -> Result<String> {
        let (key, text) = self.key();
        proj::with(|proj| {
            let pj = proj.crs(key, text)?;
            proj.clear_message();
            f(proj, pj).ok_or_else(|| proj.take_message("PROJ gives no reason"))
        })
        .and_then(|r| r)
        .map_err(|reason| Error::CrsNotExpressible {
            crs: self.to_string(),
            format,
            reason,
        })
    }

    /// Names the class of equal CRSs that this one is in.
    fn class(&self) -> &str {
        self.0.class.get_or_init(|| {
            let mut classes = lock(&CLASSES);
            let found = classes.iter().find(|c| self.is_equivalent(c));
            if let Some(found) = found {
                return Arc::clone(&found.0.text);
            }
            classes.push(self.clone());
            Arc::clone(&self.0.text)
        })
    }

    fn is_equivalent(&self, other: &Self) -> bool {
        if self.0.text == other.0.text {
            return true;
        }
        // Codes were found by equivalence, so they settle it (as in odc-geo).
        if let (Some(a), Some(b)) = (self.epsg(), other.epsg()) {
            return a == b;
        }
        // Saves PROJ the work: equivalent CRSs agree in these.
        if self.kind() != other.kind()
            || self.0.about.ellipsoid.0.to_bits() != other.0.about.ellipsoid.0.to_bits()
        {
            return false;
        }
        proj::with(|proj| {
            let (Ok(a), Ok(b)) = (proj.create(&self.0.text), proj.create(&other.0.text)) else {
                return false;
            };
            // SAFETY: live context and objects.
            let same = unsafe {
                proj_sys::proj_is_equivalent_to_with_ctx(
                    proj.ctx(),
                    a.as_ptr(),
                    b.as_ptr(),
                    proj_sys::PJ_COMPARISON_CRITERION_PJ_COMP_EQUIVALENT_EXCEPT_AXIS_ORDER_GEOGCRS,
                )
            };
            same != 0
        })
        .unwrap_or(false)
    }
}

impl PartialEq for Crs {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.text == other.0.text
            || self.class() == other.class()
    }
}

impl Eq for Crs {}

impl Hash for Crs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.class().hash(state);
    }
}

impl fmt::Debug for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crs({self})")
    }
}

/// The authority code where there is one, else the name in quotes; one without a
/// name by what it is: `Albers Equal Area on NAD83, without a name`.
impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.text.len() <= 32 {
            f.write_str(&self.0.text)
        } else {
            match self.nameless() {
                Some(what) => write!(f, "{what}, without a name"),
                None => write!(f, "{:?}", self.0.about.name),
            }
        }
    }
}

impl FromStr for Crs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for Crs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl<'de> Deserialize<'de> for Crs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The maps stay whole if a thread dies holding them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A C string of text that may have come from anywhere.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).expect("zero bytes were taken out")
}
