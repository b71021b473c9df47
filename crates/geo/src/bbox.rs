//! An axis-aligned rectangle of coordinates.
//!
//! It carries no CRS: whoever holds it knows. In longitude and latitude a box
//! may go past 180 (`left` 175, `right` 185) instead of wrapping around, so
//! `left <= right` always means what it says.

use crate::{Affine, Error, Result, Shape2d, Xy};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An axis-aligned rectangle, edges included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Smallest x.
    pub left: f64,
    /// Smallest y.
    pub bottom: f64,
    /// Largest x.
    pub right: f64,
    /// Largest y.
    pub top: f64,
}

impl BoundingBox {
    /// From the edges, in the order of GeoJSON's and STAC's `bbox`.
    #[must_use]
    pub const fn new(left: f64, bottom: f64, right: f64, top: f64) -> Self {
        Self {
            left,
            bottom,
            right,
            top,
        }
    }

    /// From two ranges, each in either order.
    #[must_use]
    pub fn from_ranges(x: (f64, f64), y: (f64, f64)) -> Self {
        Self::new(x.0.min(x.1), y.0.min(y.1), x.0.max(x.1), y.0.max(y.1))
    }

    /// The smallest box around the finite ones of `points`; `None` if there is
    /// none.
    pub fn from_points(points: impl IntoIterator<Item = Xy>) -> Option<Self> {
        let mut out: Option<Self> = None;
        for p in points.into_iter().filter(|p| p.is_finite()) {
            let b = out.get_or_insert(Self::new(p.x, p.y, p.x, p.y));
            b.left = b.left.min(p.x);
            b.bottom = b.bottom.min(p.y);
            b.right = b.right.max(p.x);
            b.top = b.top.max(p.y);
        }
        out
    }

    /// The box around an image of `shape` whose pixels `affine` maps to
    /// coordinates.
    #[must_use]
    pub fn from_affine(shape: Shape2d, affine: &Affine) -> Self {
        Self::new(0.0, 0.0, shape.cols as f64, shape.rows as f64).transform(affine)
    }

    /// Width in x.
    #[must_use]
    pub fn span_x(&self) -> f64 {
        self.right - self.left
    }

    /// Height in y.
    #[must_use]
    pub fn span_y(&self) -> f64 {
        self.top - self.bottom
    }

    /// Width over height.
    #[must_use]
    pub fn aspect(&self) -> f64 {
        self.span_x() / self.span_y()
    }

    /// The point in the middle.
    #[must_use]
    pub fn center(&self) -> Xy {
        Xy::new(
            0.5 * (self.left + self.right),
            0.5 * (self.bottom + self.top),
        )
    }

    /// The corners, from (left, bottom) counter-clockwise.
    #[must_use]
    pub fn corners(&self) -> [Xy; 4] {
        [
            Xy::new(self.left, self.bottom),
            Xy::new(self.right, self.bottom),
            Xy::new(self.right, self.top),
            Xy::new(self.left, self.top),
        ]
    }

    /// Whether all edges are finite numbers.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.left.is_finite()
            && self.bottom.is_finite()
            && self.right.is_finite()
            && self.top.is_finite()
    }

    /// The box moved outward by `x` and `y` on each side.
    #[must_use]
    pub fn buffered(&self, x: f64, y: f64) -> Self {
        Self::new(self.left - x, self.bottom - y, self.right + x, self.top + y)
    }

    /// The edges moved outward to whole numbers.
    #[must_use]
    pub fn round_out(&self) -> Self {
        Self::new(
            self.left.floor(),
            self.bottom.floor(),
            self.right.ceil(),
            self.top.ceil(),
        )
    }

    /// The box around the four corners mapped by `affine`.
    #[must_use]
    pub fn transform(&self, affine: &Affine) -> Self {
        let [a, b, c, d] = self.corners().map(|p| affine.apply(p));
        Self::new(
            a.x.min(b.x).min(c.x).min(d.x),
            a.y.min(b.y).min(c.y).min(d.y),
            a.x.max(b.x).max(c.x).max(d.x),
            a.y.max(b.y).max(c.y).max(d.y),
        )
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(
            self.left.min(other.left),
            self.bottom.min(other.bottom),
            self.right.max(other.right),
            self.top.max(other.top),
        )
    }

    /// What both cover; `None` when they do not even touch.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let out = Self::new(
            self.left.max(other.left),
            self.bottom.max(other.bottom),
            self.right.min(other.right),
            self.top.min(other.top),
        );
        (out.left <= out.right && out.bottom <= out.top).then_some(out)
    }

    /// Whether the two share a point, edges included.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.left <= other.right
            && other.left <= self.right
            && self.bottom <= other.top
            && other.bottom <= self.top
    }

    /// Whether `other` lies inside, edges included.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.right >= other.right
            && self.bottom <= other.bottom
            && self.top >= other.top
    }

    /// Whether `point` lies inside, edges included.
    #[must_use]
    pub fn contains_point(&self, point: Xy) -> bool {
        (self.left..=self.right).contains(&point.x) && (self.bottom..=self.top).contains(&point.y)
    }

    /// The box itself if its edges are finite and in order.
    ///
    /// # Errors
    /// [`Error::InvalidBoundingBox`] otherwise, with the reason.
    pub fn validate(self) -> Result<Self> {
        let reason = if !self.is_finite() {
            "an edge is not a finite number"
        } else if self.left > self.right {
            "left is greater than right; a box over longitude 180 goes on past it (left 175, right 185)"
        } else if self.bottom > self.top {
            "bottom is greater than top"
        } else {
            return Ok(self);
        };
        Err(Error::InvalidBoundingBox {
            bbox: self,
            reason: reason.to_owned(),
        })
    }
}

impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "x {} to {}, y {} to {}",
            self.left, self.right, self.bottom, self.top
        )
    }
}
