//! The linear map from pixel coordinates to the coordinates of a CRS.
//!
//! Six numbers in the order of rasterio's `Affine`:
//! `x = a*col + b*row + c`, `y = d*col + e*row + f`.

use crate::snap::{maybe_int, snap_scale};
use crate::{Error, Resolution, Result, Xy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Mul;

/// A linear map of the plane: `x = a*col + b*row + c`, `y = d*col + e*row + f`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    /// x per column.
    pub a: f64,
    /// x per row; zero unless rotated or sheared.
    pub b: f64,
    /// x of the upper-left corner.
    pub c: f64,
    /// y per column; zero unless rotated or sheared.
    pub d: f64,
    /// y per row, normally negative.
    pub e: f64,
    /// y of the upper-left corner.
    pub f: f64,
}

/// Rotation terms below this are none: they come of rounding.
const AXIS_TOLERANCE: f64 = 1e-10;

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0);

    /// From the six numbers in rasterio's order.
    #[must_use]
    pub const fn new(a: f64, b: f64, c: f64, d: f64, e: f64, f: f64) -> Self {
        Self { a, b, c, d, e, f }
    }

    /// A pure shift.
    #[must_use]
    pub const fn translation(x: f64, y: f64) -> Self {
        Self::new(1.0, 0.0, x, 0.0, 1.0, y)
    }

    /// A pure scale, one factor per axis.
    #[must_use]
    pub const fn scale(x: f64, y: f64) -> Self {
        Self::new(x, 0.0, 0.0, 0.0, y, 0.0)
    }

    /// A turn by `degrees` counter-clockwise around `pivot`.
    #[must_use]
    pub fn rotation(degrees: f64, pivot: Xy) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self::new(
            cos,
            -sin,
            pivot.x - pivot.x * cos + pivot.y * sin,
            sin,
            cos,
            pivot.y - pivot.x * sin - pivot.y * cos,
        )
    }

    /// A north-up grid from its upper-left corner and pixel size.
    #[must_use]
    pub const fn from_origin(x: f64, y: f64, resolution: Resolution) -> Self {
        Self::new(resolution.x, 0.0, x, 0.0, resolution.y, y)
    }

    /// From GDAL's geotransform `[c, a, b, f, d, e]`.
    #[must_use]
    pub const fn from_gdal(t: [f64; 6]) -> Self {
        Self::new(t[1], t[2], t[0], t[4], t[5], t[3])
    }

    /// GDAL's geotransform `[c, a, b, f, d, e]`.
    #[must_use]
    pub const fn to_gdal(self) -> [f64; 6] {
        [self.c, self.a, self.b, self.f, self.d, self.e]
    }

    /// The six numbers in rasterio's order.
    #[must_use]
    pub const fn to_array(self) -> [f64; 6] {
        [self.a, self.b, self.c, self.d, self.e, self.f]
    }

    /// Where `p` is mapped to.
    #[must_use]
    pub fn apply(&self, p: Xy) -> Xy {
        Xy::new(
            self.a * p.x + self.b * p.y + self.c,
            self.d * p.x + self.e * p.y + self.f,
        )
    }

    /// Maps points in place. Takes as many as the shorter slice has.
    pub fn apply_all(&self, xs: &mut [f64], ys: &mut [f64]) {
        for (x, y) in xs.iter_mut().zip(ys.iter_mut()) {
            let p = self.apply(Xy::new(*x, *y));
            *x = p.x;
            *y = p.y;
        }
    }

    /// How much the map scales areas; negative when it mirrors.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        self.a * self.e - self.b * self.d
    }

    /// The map back.
    ///
    /// # Errors
    /// [`Error::DegenerateAffine`] when all pixels fall on one line or the
    /// numbers are not finite.
    pub fn inverse(&self) -> Result<Self> {
        let det = self.determinant();
        let scale = 1.0 / det;
        if !(scale.is_finite() && self.c.is_finite() && self.f.is_finite()) {
            return Err(Error::DegenerateAffine { affine: *self });
        }
        let (a, b) = (self.e * scale, -self.b * scale);
        let (d, e) = (-self.d * scale, self.a * scale);
        Ok(Self::new(
            a,
            b,
            -self.c * a - self.f * b,
            d,
            e,
            -self.c * d - self.f * e,
        ))
    }

    /// Whether there is no rotation and no shear.
    #[must_use]
    pub fn is_axis_aligned(&self) -> bool {
        self.b.abs() < AXIS_TOLERANCE && self.d.abs() < AXIS_TOLERANCE
    }

    /// Whether all six numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.to_array().iter().all(|v| v.is_finite())
    }

    /// Pixel size: the diagonal of an axis-aligned map, else the scale left
    /// when rotation and shear are taken out (then x is positive).
    ///
    /// # Source
    /// odc-geo 0.5.3, `resolution_from_affine`, `decompose_rws`.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        if self.is_axis_aligned() {
            return Resolution::new(self.a, self.e);
        }
        let sx = self.a.hypot(self.d);
        Resolution::new(sx, self.determinant() / sx)
    }

    /// The map with a scale and shift that are whole, but for rounding, made
    /// so; unchanged when rotated or sheared.
    ///
    /// # Source
    /// odc-geo 0.5.3, `snap_affine`.
    #[must_use]
    pub fn snapped(&self, shift_tolerance: f64, scale_tolerance: f64) -> Self {
        if self.b.abs() > 1e-8 || self.d.abs() > 1e-8 {
            return *self;
        }
        Self::new(
            snap_scale(self.a, scale_tolerance),
            0.0,
            maybe_int(self.c, shift_tolerance),
            0.0,
            snap_scale(self.e, scale_tolerance),
            maybe_int(self.f, shift_tolerance),
        )
    }
}

impl Mul for Affine {
    type Output = Self;

    /// The map that applies `other` first and then `self`.
    fn mul(self, other: Self) -> Self {
        Self::new(
            self.a * other.a + self.b * other.d,
            self.a * other.b + self.b * other.e,
            self.a * other.c + self.b * other.f + self.c,
            self.d * other.a + self.e * other.d,
            self.d * other.b + self.e * other.e,
            self.d * other.c + self.e * other.f + self.f,
        )
    }
}

impl fmt::Display for Affine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}, {}, {}; {}, {}, {}]",
            self.a, self.b, self.c, self.d, self.e, self.f
        )
    }
}
