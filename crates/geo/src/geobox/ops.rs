//! Grids derived from a grid, in the same CRS.

use super::GeoBox;
use super::{Anchor, GridSize, MAX_SIDE};
use crate::snap::{align_up, is_almost_int, maybe_int, split_float};
use crate::{Affine, BoundingBox, Error, Geometry, PixelWindow, Resolution, Result, Shape2d, Xy};

impl GeoBox {
    /// The pixels of `window`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the window reaches beyond the grid.
    pub fn crop(&self, window: &PixelWindow) -> Result<Self> {
        if window.rows.end > self.rows() || window.cols.end > self.cols() {
            return Err(Error::OutOfRange {
                what: format!("the window of {window}"),
                bounds: format!("{} pixels", self.shape()),
            });
        }
        let shift = Affine::translation(window.cols.start as f64, window.rows.start as f64);
        Ok(self.with(window.shape(), *self.affine() * shift))
    }

    /// The same grid cut or grown to `shape`; the upper-left pixel stays.
    ///
    /// # Errors
    /// [`Error::InvalidShape`] as [`GeoBox::new`].
    pub fn with_shape(&self, shape: Shape2d) -> Result<Self> {
        Self::new(shape, *self.affine(), self.crs().cloned())
    }

    /// The grid with `cols` and `rows` pixels more on each side.
    ///
    /// # Errors
    /// [`Error::InvalidShape`] as [`GeoBox::new`].
    pub fn pad(&self, cols: usize, rows: usize) -> Result<Self> {
        let grow = |n: usize, by: usize| n.saturating_add(by.saturating_mul(2));
        let shape = Shape2d::new(grow(self.rows(), rows), grow(self.cols(), cols));
        let shift = Affine::translation(-(cols as f64), -(rows as f64));
        Self::new(shape, *self.affine() * shift, self.crs().cloned())
    }

    /// The grid grown on the right and below until its sides are multiples of
    /// `cols` and `rows`.
    ///
    /// # Errors
    /// [`Error::InvalidShape`] when `cols` or `rows` is zero or the result is
    /// too large.
    pub fn pad_to_multiple(&self, cols: usize, rows: usize) -> Result<Self> {
        let up = |n: usize, by: usize| -> Option<usize> {
            let by = i64::try_from(by).ok().filter(|b| *b > 0)?;
            usize::try_from(align_up(i64::try_from(n).ok()?, by)).ok()
        };
        match (up(self.rows(), rows), up(self.cols(), cols)) {
            (Some(r), Some(c)) => self.with_shape(Shape2d::new(r, c)),
            _ => Err(Error::InvalidShape {
                rows: rows as f64,
                cols: cols as f64,
                reason: "sides can be padded to multiples of one or more".to_owned(),
            }),
        }
    }

    /// The grid grown by about `x` and `y` CRS units on each side, whole pixels
    /// (a tenth of a pixel more does not count).
    ///
    /// # Errors
    /// [`Error::InvalidShape`] when the result is too large or has no pixels
    /// left.
    pub fn buffered(&self, x: f64, y: f64) -> Result<Self> {
        let size = self.resolution().abs();
        let pixels = |by: f64, size: f64| ((by - 0.1 * size) / size).ceil();
        let (px, py) = (pixels(x, size.x), pixels(y, size.y));
        let shape = float_shape(self.rows() as f64 + 2.0 * py, self.cols() as f64 + 2.0 * px)?;
        let shift = Affine::translation(-px, -py);
        Self::new(shape, *self.affine() * shift, self.crs().cloned())
    }

    /// The same place with pixels `factor` times as large; the last row and
    /// column may reach beyond it.
    ///
    /// # Errors
    /// [`Error::InvalidShape`] when `factor` is not positive or the result is
    /// too large.
    pub fn zoom_out(&self, factor: f64) -> Result<Self> {
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(Error::InvalidShape {
                rows: self.rows() as f64 / factor,
                cols: self.cols() as f64 / factor,
                reason: "a grid can be zoomed by a positive factor".to_owned(),
            });
        }
        let n = |n: usize| (n as f64 / factor).ceil().max(1.0);
        let shape = float_shape(n(self.rows()), n(self.cols()))?;
        let affine = *self.affine() * Affine::scale(factor, factor);
        Self::new(shape, affine, self.crs().cloned())
    }

    /// The same place with another number or size of pixels.
    ///
    /// [`GridSize::Shape`] stretches the pixels, [`GridSize::LongestSide`]
    /// keeps their aspect, [`GridSize::Resolution`] starts at the upper-left
    /// corner of the bounding box and may reach beyond the place.
    ///
    /// # Errors
    /// [`Error::InvalidShape`], [`Error::InvalidResolution`].
    pub fn zoom_to(&self, size: impl Into<GridSize>) -> Result<Self> {
        let (rows, cols) = (self.rows() as f64, self.cols() as f64);
        match size.into() {
            GridSize::Resolution(r) => Self::from_bbox(
                self.bounding_box(),
                self.crs().cloned(),
                r,
                Anchor::Floating,
            ),
            GridSize::LongestSide(n) => self.zoom_out(rows.max(cols) / n as f64),
            GridSize::Shape(shape) => {
                let scale = Affine::scale(cols / shape.cols as f64, rows / shape.rows as f64);
                Self::new(shape, *self.affine() * scale, self.crs().cloned())
            }
        }
    }

    /// A grid of the same shape whose pixel (0, 0) lies where (`x`, `y`) in
    /// pixels lies in this one.
    #[must_use]
    pub fn translate(&self, x: f64, y: f64) -> Self {
        self.with(self.shape(), *self.affine() * Affine::translation(x, y))
    }

    /// The same place with columns in the opposite order.
    #[must_use]
    pub fn flip_x(&self) -> Self {
        let flip = Affine::new(-1.0, 0.0, self.cols() as f64, 0.0, 1.0, 0.0);
        self.with(self.shape(), *self.affine() * flip)
    }

    /// The same place with rows in the opposite order.
    #[must_use]
    pub fn flip_y(&self) -> Self {
        let flip = Affine::new(1.0, 0.0, 0.0, 0.0, -1.0, self.rows() as f64);
        self.with(self.shape(), *self.affine() * flip)
    }

    /// The grid turned around its centre, counter-clockwise on the ground.
    #[must_use]
    pub fn rotate(&self, degrees: f64) -> Self {
        let centre = Xy::new(self.cols() as f64 * 0.5, self.rows() as f64 * 0.5);
        let turn = Affine::rotation(degrees, self.affine().apply(centre));
        self.with(self.shape(), turn * *self.affine())
    }

    /// A neighbour of the same shape, `cols` shapes to the right and `rows`
    /// shapes down.
    #[must_use]
    pub fn neighbour(&self, cols: i32, rows: i32) -> Self {
        self.translate(
            f64::from(cols) * self.cols() as f64,
            f64::from(rows) * self.rows() as f64,
        )
    }

    /// The pixel in the middle (the one after it, for even sides).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an empty grid.
    pub fn center_pixel(&self) -> Result<Self> {
        let (r, c) = (self.rows() / 2, self.cols() / 2);
        self.crop(&PixelWindow::new(r..r + 1, c..c + 1))
    }

    /// The grid of the same pixels that just covers `geometry`.
    ///
    /// # Errors
    /// Those of [`GeoBox::to_pixels`]; [`Error::InvalidGeometry`] for an empty
    /// one, [`Error::InvalidShape`] for one too far away.
    pub fn enclosing(&self, geometry: &Geometry) -> Result<Self> {
        let bbox = self.to_pixels(geometry)?.bounding_box();
        let bbox = bbox.ok_or_else(|| Error::InvalidGeometry {
            reason: "an empty geometry covers no grid".to_owned(),
        })?;
        let bbox = bbox.round_out();
        let shape = float_shape(bbox.span_y().max(1.0), bbox.span_x().max(1.0))?;
        let shift = Affine::translation(bbox.left, bbox.bottom);
        Self::new(shape, *self.affine() * shift, self.crs().cloned())
    }

    /// Pixels of this grid that `geometry` touches, by its bounding box.
    ///
    /// # Errors
    /// Those of [`GeoBox::to_pixels`].
    pub fn window_of(&self, geometry: &Geometry) -> Result<PixelWindow> {
        let bbox = self.to_pixels(geometry)?.bounding_box();
        Ok(bbox.map_or_else(PixelWindow::default, |b| {
            PixelWindow::touching((b.bottom, b.top), (b.left, b.right), self.shape())
        }))
    }

    /// The grid moved by less than a pixel so that its pixels coincide with
    /// those of `other`.
    ///
    /// # Errors
    /// [`Error::IncompatibleGrids`] when CRS, pixel size or orientation differ.
    pub fn snap_to(&self, other: &Self) -> Result<Self> {
        let t = other.pixel_translation(self)?;
        let part = t.map(|v| {
            let (_, part) = split_float(v);
            if part.abs() < 1e-8 { 0.0 } else { part }
        });
        Ok(self.translate(part.x, part.y))
    }

    /// Pixels of this grid that `other`, a grid of the same pixels, shares.
    ///
    /// # Errors
    /// [`Error::IncompatibleGrids`] when the pixels do not coincide.
    pub fn overlap(&self, other: &Self) -> Result<PixelWindow> {
        let b = other.bounds_in(self)?;
        Ok(PixelWindow::touching(
            (b.bottom, b.top),
            (b.left, b.right),
            self.shape(),
        ))
    }

    /// The grid that covers both, which must be grids of the same pixels.
    ///
    /// # Errors
    /// [`Error::IncompatibleGrids`] when the pixels do not coincide;
    /// [`Error::InvalidShape`] when the result is too large.
    pub fn union(&self, other: &Self) -> Result<Self> {
        let own = BoundingBox::new(0.0, 0.0, self.cols() as f64, self.rows() as f64);
        self.of_bounds(own.union(&other.bounds_in(self)?))
    }

    /// The grid of the pixels in both, which must be grids of the same pixels;
    /// empty when they do not meet.
    ///
    /// # Errors
    /// [`Error::IncompatibleGrids`] when the pixels do not coincide.
    pub fn intersection(&self, other: &Self) -> Result<Self> {
        let window = self.overlap(other)?;
        self.crop(&window)
    }

    /// `bounds` in pixels of this grid, as a grid.
    fn of_bounds(&self, bounds: BoundingBox) -> Result<Self> {
        let shape = float_shape(bounds.span_y(), bounds.span_x())?;
        let shift = Affine::translation(bounds.left, bounds.bottom);
        Self::new(shape, *self.affine() * shift, self.crs().cloned())
    }

    /// This grid's place in whole pixels of `reference`.
    fn bounds_in(&self, reference: &Self) -> Result<BoundingBox> {
        let t = self.pixel_translation(reference)?;
        if !(is_almost_int(t.x, 1e-8) && is_almost_int(t.y, 1e-8)) {
            return Err(Error::IncompatibleGrids {
                reason: format!("they are ({}, {}) pixels apart", t.x, t.y),
            });
        }
        let t = t.map(|v| maybe_int(v, 1e-8));
        Ok(BoundingBox::new(
            t.x,
            t.y,
            t.x + self.cols() as f64,
            t.y + self.rows() as f64,
        ))
    }

    /// Where pixel (0, 0) of this grid lies in pixels of `other`, which must
    /// differ by a shift only.
    fn pixel_translation(&self, other: &Self) -> Result<Xy> {
        let incompatible = |reason: String| Err(Error::IncompatibleGrids { reason });
        if self.crs() != other.crs() {
            return incompatible("their CRSs differ".to_owned());
        }
        let m = other.inverse_affine() * *self.affine();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-8 + 1e-5 * b.abs();
        if !(close(m.a, 1.0) && close(m.b, 0.0) && close(m.d, 0.0) && close(m.e, 1.0)) {
            let (a, b): (Resolution, Resolution) = (self.resolution(), other.resolution());
            return incompatible(format!(
                "their pixels differ in size or orientation, {a} and {b}"
            ));
        }
        Ok(Xy::new(m.c, m.f))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "compared with both limits first"
)]
fn float_shape(rows: f64, cols: f64) -> Result<Shape2d> {
    let fits = |n: f64| (0.0..=MAX_SIDE as f64).contains(&n);
    if fits(rows) && fits(cols) {
        return Ok(Shape2d::new(rows as usize, cols as usize));
    }
    Err(Error::InvalidShape {
        rows,
        cols,
        reason: format!("a side of a raster has 0 to {MAX_SIDE} pixels"),
    })
}
