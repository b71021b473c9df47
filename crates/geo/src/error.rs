//! What can go wrong between coordinates and pixels, and what to do about it.

use crate::{Affine, BoundingBox, Resolution};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between coordinates and pixels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a coordinate reference system.
    #[error(
        "{input:?} is not a coordinate reference system: {reason}. Give EPSG:<code> (or a bare code), ESRI:<code>, OGC:CRS84, urn:ogc:def:crs:EPSG::<code>, WKT, PROJJSON or a PROJ string"
    )]
    InvalidCrs {
        /// What was given, shortened.
        input: String,
        /// What is wrong with it, in PROJ's words where it has any.
        reason: String,
    },
    /// An authority code that its authority does not have.
    #[error("no coordinate reference system {input:?} is known{}", near_text(near))]
    UnknownCrs {
        /// What was given.
        input: String,
        /// Codes that look like the one given, with their names.
        near: Vec<String>,
    },
    /// A CRS, but neither geographic nor projected.
    #[error(
        "{input:?} is a {kind} CRS; images need a geographic (longitude, latitude) or a projected one"
    )]
    UnsupportedCrs {
        /// What was given, shortened.
        input: String,
        /// What kind of CRS it is.
        kind: &'static str,
    },
    /// Neither the name of a grid nor the description of one.
    #[error(
        "no grid is called {name:?}; there are albers_au_25, albers_africa_10, albers_africa_20, albers_africa_30, albers_africa_60 and web_ZOOM (0 to 30), or describe one as CRS;PIXEL;TILE, such as epsg:6933;10;9600"
    )]
    InvalidGridName {
        /// What was given.
        name: String,
    },
    /// No representation of the CRS in the wanted form.
    #[error("{crs} cannot be written as {format}: {reason}")]
    CrsNotExpressible {
        /// The CRS.
        crs: String,
        /// The wanted form.
        format: &'static str,
        /// PROJ's reason.
        reason: String,
    },
    /// No operation leads from one CRS to the other.
    #[error("no way from {from} to {to}: {reason}")]
    NoTransform {
        /// The CRS of the input.
        from: String,
        /// The CRS of the output.
        to: String,
        /// PROJ's reason.
        reason: String,
    },
    /// Points lie outside of what the projection covers.
    #[error(
        "{failed} of {total} points do not project from {from} to {to}; the first is ({x}, {y}). Clip the geometry to where {to} is defined, or drop those points (to_crs_lossy)"
    )]
    PointsOutsideProjection {
        /// How many failed.
        failed: usize,
        /// Of how many.
        total: usize,
        /// x of the first that failed, in `from`.
        x: f64,
        /// y of the first that failed, in `from`.
        y: f64,
        /// The CRS of the input.
        from: String,
        /// The CRS of the output.
        to: String,
    },
    /// Two things that must share a CRS do not.
    #[error("cannot {action} in different CRSs, {left} and {right}; convert one with to_crs first")]
    CrsMismatch {
        /// What was tried.
        action: &'static str,
        /// The CRS of the first.
        left: String,
        /// The CRS of the second.
        right: String,
    },
    /// A CRS is needed and there is none.
    #[error("cannot {action} without a CRS")]
    MissingCrs {
        /// What was tried.
        action: &'static str,
    },
    /// UTM covers latitudes -80 to 84 only.
    #[error(
        "UTM does not reach longitude {lon}, latitude {lat} (it covers latitudes -80 to 84); near the poles use EPSG:3413 (north) or EPSG:3031 (south)"
    )]
    OutsideUtm {
        /// Longitude asked for.
        lon: f64,
        /// Latitude asked for.
        lat: f64,
    },
    /// The box has no order or no finite edges.
    #[error("the bounding box {bbox} is invalid: {reason}")]
    InvalidBoundingBox {
        /// The box.
        bbox: BoundingBox,
        /// What is wrong with it.
        reason: String,
    },
    /// A pixel size that cannot make a grid.
    #[error("the resolution {resolution} is invalid: {reason}")]
    InvalidResolution {
        /// The resolution.
        resolution: Resolution,
        /// What is wrong with it.
        reason: String,
    },
    /// A pixel size in the wrong units, by the look of it.
    #[error("a resolution of {resolution} in {crs} means pixels of {size}; {advice}")]
    ImplausibleResolution {
        /// The resolution.
        resolution: Resolution,
        /// The CRS.
        crs: String,
        /// The pixel size in words.
        size: String,
        /// What was probably meant.
        advice: String,
    },
    /// A shape that cannot make a grid.
    #[error("a grid of {rows} x {cols} pixels is invalid: {reason}")]
    InvalidShape {
        /// Rows, as a float since it may not fit an integer.
        rows: f64,
        /// Columns.
        cols: f64,
        /// What is wrong with it.
        reason: String,
    },
    /// An anchor outside of one pixel.
    #[error("the anchor ({x}, {y}) is invalid: give fractions of a pixel, 0 to below 1")]
    InvalidAnchor {
        /// x fraction.
        x: f64,
        /// y fraction.
        y: f64,
    },
    /// All pixels fall on one line, or nowhere.
    #[error(
        "the affine {affine} maps all pixels onto one line or to no finite place; a grid needs two independent, finite axes"
    )]
    DegenerateAffine {
        /// The affine.
        affine: Affine,
    },
    /// The affine is rotated and the operation needs rows and columns along
    /// the axes.
    #[error("cannot {action} of a rotated or sheared grid, {affine}")]
    Rotated {
        /// What was tried.
        action: &'static str,
        /// The affine.
        affine: Affine,
    },
    /// Two grids whose pixels do not coincide.
    #[error("the grids do not share pixels: {reason}")]
    IncompatibleGrids {
        /// How they differ.
        reason: String,
    },
    /// A window or an index outside of the grid.
    #[error("{what} is outside of the grid of {bounds}")]
    OutOfRange {
        /// What was asked for.
        what: String,
        /// What there is.
        bounds: String,
    },
    /// Not a geometry, or one that cannot be used here.
    #[error("invalid geometry: {reason}")]
    InvalidGeometry {
        /// What is wrong with it.
        reason: String,
    },
    /// PROJ itself could not be set up.
    #[error("PROJ could not be started: {reason}")]
    Proj {
        /// PROJ's reason.
        reason: String,
    },
}

impl Error {
    /// Whether something named was looked up and does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::UnknownCrs { .. })
    }

    /// Whether trying again could help. Nothing here depends on the outside
    /// world, so it never could.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() {
        "; give EPSG:<code>, ESRI:<code>, OGC:CRS84, WKT, PROJJSON or a PROJ string".to_owned()
    } else {
        format!("; near it: {}", near.join(", "))
    }
}
