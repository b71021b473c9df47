//! A grid cut into tiles.
//!
//! Tiles are not stored: the window of a tile follows from its index, however
//! many there are. Together they are the grid, exactly: no gap, no overlap.

use super::GeoBox;
use crate::{BoundingBox, Error, Geometry, PixelWindow, Result, Shape2d};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A [`GeoBox`] cut into tiles of one shape; those on the right and lower edge
/// may be smaller. Indices are (row, column) of the tile.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GeoboxTiles {
    geobox: GeoBox,
    tile: Shape2d,
}

impl GeoBox {
    /// The grid cut into tiles of `tile` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidShape`] when a side of the tile is zero.
    pub fn tiles(&self, tile: Shape2d) -> Result<GeoboxTiles> {
        if tile.is_empty() {
            return Err(Error::InvalidShape {
                rows: tile.rows as f64,
                cols: tile.cols as f64,
                reason: "a tile has at least one pixel".to_owned(),
            });
        }
        Ok(GeoboxTiles {
            geobox: self.clone(),
            tile,
        })
    }
}

impl GeoboxTiles {
    /// The grid that is cut.
    #[must_use]
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// Shape of a tile that is not at the edge.
    #[must_use]
    pub fn tile_shape(&self) -> Shape2d {
        self.tile
    }

    /// Number of tiles down and across.
    #[must_use]
    pub fn shape(&self) -> Shape2d {
        Shape2d::new(
            self.geobox.rows().div_ceil(self.tile.rows),
            self.geobox.cols().div_ceil(self.tile.cols),
        )
    }

    /// Number of tiles.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().pixels()
    }

    /// Whether there is no tile.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels of a tile.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such tile.
    pub fn window(&self, row: usize, col: usize) -> Result<PixelWindow> {
        let shape = self.shape();
        if row >= shape.rows || col >= shape.cols {
            return Err(Error::OutOfRange {
                what: format!("tile ({row}, {col})"),
                bounds: format!("{shape} tiles"),
            });
        }
        Ok(self.window_unchecked(row, col))
    }

    fn window_unchecked(&self, row: usize, col: usize) -> PixelWindow {
        let side = |i: usize, tile: usize, n: usize| i * tile..((i + 1) * tile).min(n);
        PixelWindow::new(
            side(row, self.tile.rows, self.geobox.rows()),
            side(col, self.tile.cols, self.geobox.cols()),
        )
    }

    /// The grid of a tile.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such tile.
    pub fn tile(&self, row: usize, col: usize) -> Result<GeoBox> {
        self.geobox.crop(&self.window(row, col)?)
    }

    /// All tiles, row by row: index and window.
    pub fn iter(&self) -> impl Iterator<Item = ((usize, usize), PixelWindow)> + '_ {
        let shape = self.shape();
        (0..shape.rows)
            .flat_map(move |r| (0..shape.cols).map(move |c| ((r, c), self.window_unchecked(r, c))))
    }

    /// The tile that a pixel is in.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such pixel.
    pub fn locate(&self, row: usize, col: usize) -> Result<(usize, usize)> {
        if row >= self.geobox.rows() || col >= self.geobox.cols() {
            return Err(Error::OutOfRange {
                what: format!("pixel ({row}, {col})"),
                bounds: format!("{} pixels", self.geobox.shape()),
            });
        }
        Ok((row / self.tile.rows, col / self.tile.cols))
    }

    /// Rows and columns of the tiles that have pixels of `window`.
    #[must_use]
    pub fn touching(&self, window: &PixelWindow) -> (Range<usize>, Range<usize>) {
        let window = window.intersect(&PixelWindow::full(self.geobox.shape()));
        if window.is_empty() {
            return (0..0, 0..0);
        }
        let side = |r: &Range<usize>, tile: usize| r.start / tile..r.end.div_ceil(tile);
        (
            side(&window.rows, self.tile.rows),
            side(&window.cols, self.tile.cols),
        )
    }

    /// Tiles that `geometry` shares a point with, row by row.
    ///
    /// # Errors
    /// Those of [`GeoBox::to_pixels`].
    pub fn intersecting(&self, geometry: &Geometry) -> Result<Vec<(usize, usize)>> {
        let pixels = self.geobox.to_pixels(geometry)?;
        let Some(b) = pixels.bounding_box() else {
            return Ok(Vec::new());
        };
        // A pixel more, so that what lies exactly on an edge touches both sides.
        let (rows, cols) = self.touching(&PixelWindow::touching(
            (b.bottom - 1.0, b.top + 1.0),
            (b.left - 1.0, b.right + 1.0),
            self.geobox.shape(),
        ));
        let mut out = Vec::new();
        for row in rows {
            for col in cols.clone() {
                let w = self.window_unchecked(row, col);
                let tile = BoundingBox::new(
                    w.cols.start as f64,
                    w.rows.start as f64,
                    w.cols.end as f64,
                    w.rows.end as f64,
                );
                if pixels.intersects(&Geometry::from_bbox(tile, None)?)? {
                    out.push((row, col));
                }
            }
        }
        Ok(out)
    }
}
