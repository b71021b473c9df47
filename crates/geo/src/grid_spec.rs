//! A regular grid of tiles over a whole CRS.
//!
//! A [`GridSpec`] cuts the plane of a CRS into tiles of one shape, for ever in all
//! directions; products are made and stored by it. A tile is named by (x, y), the
//! other way round than a tile of a [`GeoBox`], and counts upwards unless the grid
//! says otherwise.

use crate::{Affine, BoundingBox, Crs, Error, GeoBox, Geometry, Resolution, Result, Shape2d, Xy};
use serde::{Deserialize, Serialize};

/// Bounds that touch a tile by less, in CRS units, do not overlap it.
const TOLERANCE: f64 = 1e-8;

/// More tiles than anybody asks for on purpose.
const MAX_TILES: f64 = 1e8;

/// Which tile: its place along x and along y.
pub type TileIndex = (i64, i64);

/// Tiles of one shape over a whole CRS.
///
/// ```
/// use datacube_geo::{Crs, GridSpec, Resolution, Shape2d, Xy};
/// let albers = Crs::from_epsg(3577)?;
/// let grid = GridSpec::new(albers, Shape2d::new(4000, 4000), Resolution::square(25.0))?;
/// assert_eq!(grid.tile_coords(Xy::new(1_550_000.0, -3_950_000.0)), (15, -40));
/// let bounds = grid.tile_geobox((15, -40))?.bounding_box();
/// assert_eq!((bounds.left, bounds.top), (1_500_000.0, -3_900_000.0));
/// # Ok::<(), datacube_geo::Error>(())
/// ```
///
/// # Source
/// odc-geo 0.5.3, `gridspec.py` (`GridSpec`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridSpec {
    crs: Crs,
    shape: Shape2d,
    resolution: Resolution,
    origin: Xy,
    flip_x: bool,
    flip_y: bool,
}

impl GridSpec {
    /// Tiles of `shape` pixels; the lower left corner of tile (0, 0) is at (0, 0).
    ///
    /// # Errors
    /// [`Error::InvalidShape`] for a tile without pixels,
    /// [`Error::InvalidResolution`] for a pixel size that is zero or not finite.
    pub fn new(crs: Crs, shape: Shape2d, resolution: Resolution) -> Result<Self> {
        let size = resolution.abs();
        if !(size.is_finite() && size.x > 0.0 && size.y > 0.0) {
            return Err(Error::InvalidResolution {
                resolution,
                reason: "both pixel sizes must be finite and not zero".to_owned(),
            });
        }
        if shape.is_empty() {
            return Err(Error::InvalidShape {
                rows: shape.rows as f64,
                cols: shape.cols as f64,
                reason: "a tile has at least one pixel".to_owned(),
            });
        }
        Ok(GridSpec {
            crs,
            shape,
            resolution,
            origin: Xy::new(0.0, 0.0),
            flip_x: false,
            flip_y: false,
        })
    }

    /// Tiles of a size in CRS units, as products state theirs.
    ///
    /// # Errors
    /// As [`GridSpec::new`]; [`Error::InvalidShape`] where a tile is no whole number
    /// of pixels.
    pub fn from_tile_size(crs: Crs, size: Xy, resolution: Resolution) -> Result<Self> {
        let pixel = resolution.abs();
        let (cols, rows) = (size.x / pixel.x, size.y / pixel.y);
        let whole = |n: f64| n.is_finite() && n >= 0.5 && (n - n.round()).abs() < 1e-6 && n < 1e9;
        if !whole(cols) || !whole(rows) {
            return Err(Error::InvalidShape {
                rows,
                cols,
                reason: format!(
                    "a tile of {} by {} is no whole number of pixels of {resolution}",
                    size.x, size.y
                ),
            });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole, positive and small"
        )]
        let shape = Shape2d::new(rows.round() as usize, cols.round() as usize);
        Self::new(crs, shape, resolution)
    }

    /// The tiles of web maps in EPSG:3857, `n_pixels` a side; (0, 0) is the upper
    /// left one, of 2^zoom in each direction.
    ///
    /// # Errors
    /// As [`GridSpec::new`].
    pub fn web_tiles(zoom: u8, n_pixels: usize) -> Result<Self> {
        let half = std::f64::consts::PI * 6_378_137.0;
        let size = 2.0 * half / 2f64.powi(zoom.into());
        let grid = Self::new(
            Crs::from_epsg(3857)?,
            Shape2d::new(n_pixels, n_pixels),
            Resolution::square(size / n_pixels as f64),
        )?;
        Ok(grid
            .with_origin(Xy::new(-half, half - size))
            .with_flip(false, true))
    }

    /// The grid of that name, or the one that the text describes.
    ///
    /// Names are those of the tools of the Open Data Cube: `albers_au_25` (100 km in
    /// EPSG:3577), `albers_africa_10`, `_20`, `_30` and `_60` (96 km in EPSG:6933),
    /// and `web_ZOOM`, the 256 pixels of web maps. A description is
    /// `CRS;PIXEL;TILE`: `epsg:6933;10;9600`, or y before x `epsg:6933;-10x10;2000x3000`,
    /// pixel sizes in units of the CRS and tiles in pixels; tile (0, 0) begins at 0, 0.
    ///
    /// DIFFERENCE: `albers_africa_60` has pixels of 60 m; odc-tools gives it 30 m.
    ///
    /// # Errors
    /// [`Error::InvalidGridName`] with the names there are; as [`GridSpec::new`] for a
    /// description.
    ///
    /// # Source
    /// odc-tools, `odc/dscache/tools/tiling.py` (`GRIDS`, `parse_gridspec`).
    ///
    /// ```
    /// use datacube_geo::GridSpec;
    /// let grid = GridSpec::named("albers_africa_30")?;
    /// assert_eq!((grid.tile_size().x, grid.tile_shape().rows), (96_000.0, 3200));
    /// # Ok::<(), datacube_geo::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        let name = name.trim();
        let tiles = |epsg: u32, side: f64, pixel: f64| {
            let crs = Crs::from_epsg(epsg)?;
            Self::from_tile_size(crs, Xy::new(side, side), Resolution::square(pixel))
        };
        let unknown = || Error::InvalidGridName {
            name: name.to_owned(),
        };
        match name.to_ascii_lowercase().as_str() {
            "albers_au_25" => return tiles(3577, 100_000.0, 25.0),
            "albers_africa_10" => return tiles(6933, 96_000.0, 10.0),
            "albers_africa_20" => return tiles(6933, 96_000.0, 20.0),
            "albers_africa_30" => return tiles(6933, 96_000.0, 30.0),
            "albers_africa_60" => return tiles(6933, 96_000.0, 60.0),
            web if web.starts_with("web_") => {
                let zoom = web[4..].parse().ok().filter(|zoom| *zoom <= 30);
                return Self::web_tiles(zoom.ok_or_else(unknown)?, 256);
            }
            _ => {}
        }
        let [crs, pixel, tile] = name.split(';').collect::<Vec<_>>()[..] else {
            return Err(unknown());
        };
        let pair = |text: &str| -> Option<(f64, f64)> {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            match text.split_once('x') {
                Some((y, x)) => Some((number(y)?, number(x)?)),
                None => number(text).map(|n| (n, n)),
            }
        };
        let (mut y, x) = pair(pixel).ok_or_else(unknown)?;
        if !pixel.contains('x') {
            y = -y;
        }
        let (rows, cols) = pair(tile).ok_or_else(unknown)?;
        let size = Xy::new(cols * x.abs(), rows * y.abs());
        Self::from_tile_size(Crs::parse(crs)?, size, Resolution { x, y })
    }

    /// The same tiles, the lower left corner of tile (0, 0) at `origin`.
    #[must_use]
    pub fn with_origin(mut self, origin: Xy) -> Self {
        self.origin = origin;
        self
    }

    /// The same tiles, counted leftwards along x or downwards along y.
    #[must_use]
    pub fn with_flip(mut self, x: bool, y: bool) -> Self {
        (self.flip_x, self.flip_y) = (x, y);
        self
    }

    /// The CRS.
    #[must_use]
    pub fn crs(&self) -> &Crs {
        &self.crs
    }

    /// Rows and columns of a tile.
    #[must_use]
    pub fn tile_shape(&self) -> Shape2d {
        self.shape
    }

    /// The pixel size.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The lower left corner of tile (0, 0).
    #[must_use]
    pub fn origin(&self) -> Xy {
        self.origin
    }

    /// The size of a tile in CRS units.
    #[must_use]
    pub fn tile_size(&self) -> Xy {
        let pixel = self.resolution.abs();
        Xy::new(
            pixel.x * self.shape.cols as f64,
            pixel.y * self.shape.rows as f64,
        )
    }

    /// Where pixel edges lie: offset from multiples of the pixel size, in CRS units.
    #[must_use]
    pub fn alignment(&self) -> Xy {
        let pixel = self.resolution.abs();
        Xy::new(
            self.origin.x.rem_euclid(pixel.x),
            self.origin.y.rem_euclid(pixel.y),
        )
    }

    /// The tile that holds `point`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    pub fn tile_coords(&self, point: Xy) -> TileIndex {
        let size = self.tile_size();
        let bin = |p: f64, origin: f64, size: f64, flip: bool| {
            let at = ((p - origin) / size).floor();
            (if flip { -at } else { at }) as i64
        };
        (
            bin(point.x, self.origin.x, size.x, self.flip_x),
            bin(point.y, self.origin.y, size.y, self.flip_y),
        )
    }

    /// The pixels of a tile.
    ///
    /// # Errors
    /// Those of [`GeoBox::new`], for a tile so far out that its numbers are not finite.
    #[expect(clippy::cast_precision_loss, reason = "tiles beyond 2^52 are nowhere")]
    pub fn tile_geobox(&self, (x, y): TileIndex) -> Result<GeoBox> {
        let size = self.tile_size();
        let start = |index: i64, origin: f64, size: f64, flip: bool| {
            let at = if flip { -(index as f64) } else { index as f64 };
            origin + at * size
        };
        let left = start(x, self.origin.x, size.x, self.flip_x);
        let bottom = start(y, self.origin.y, size.y, self.flip_y);
        let resolution = self.resolution;
        let x = if resolution.x > 0.0 {
            left
        } else {
            left + size.x
        };
        let y = if resolution.y > 0.0 {
            bottom
        } else {
            bottom + size.y
        };
        let affine = Affine::from_origin(x, y, resolution);
        GeoBox::new(self.shape, affine, Some(self.crs.clone()))
    }

    /// The tiles that overlap `bounds`, which are in the grid's CRS: row by row.
    ///
    /// # Errors
    /// [`Error::InvalidBoundingBox`] for bounds that are not finite, and
    /// [`Error::InvalidShape`] for more than a hundred million tiles.
    pub fn tiles(&self, bounds: BoundingBox) -> Result<Vec<(TileIndex, GeoBox)>> {
        let bounds = bounds.validate()?;
        let size = self.tile_size();
        let (cols, rows) = (bounds.span_x() / size.x, bounds.span_y() / size.y);
        if (cols + 1.0) * (rows + 1.0) > MAX_TILES {
            return Err(Error::InvalidShape {
                rows,
                cols,
                reason: format!(
                    "{bounds} has more tiles than can be listed; is it in {}?",
                    self.crs
                ),
            });
        }
        // A box smaller than the tolerance still lies in a tile.
        let inside = |low: f64, high: f64| {
            let tolerance = TOLERANCE.min((high - low) / 2.0);
            (low + tolerance, high - tolerance)
        };
        let (left, right) = inside(bounds.left, bounds.right);
        let (bottom, top) = inside(bounds.bottom, bounds.top);
        let (a, b) = (
            self.tile_coords(Xy::new(left, bottom)),
            self.tile_coords(Xy::new(right, top)),
        );
        let mut tiles = Vec::new();
        for y in a.1.min(b.1)..=a.1.max(b.1) {
            for x in a.0.min(b.0)..=a.0.max(b.0) {
                tiles.push(((x, y), self.tile_geobox((x, y))?));
            }
        }
        Ok(tiles)
    }

    /// The tiles that share a point with `geometry`, in whatever CRS it is.
    ///
    /// # Errors
    /// [`Error::MissingCrs`] for a geometry without a CRS; those of
    /// [`GridSpec::tiles`] and of projecting it.
    pub fn tiles_from_geopolygon(&self, geometry: &Geometry) -> Result<Vec<(TileIndex, GeoBox)>> {
        let projected = geometry.to_crs(&self.crs, None)?;
        let Some(bounds) = projected.bounding_box() else {
            return Ok(Vec::new());
        };
        let mut tiles = Vec::new();
        for (index, geobox) in self.tiles(bounds)? {
            if projected.intersects(&geobox.extent())? {
                tiles.push((index, geobox));
            }
        }
        Ok(tiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn albers() -> GridSpec {
        let crs = Crs::from_epsg(3577).expect("a code that PROJ knows");
        GridSpec::new(crs, Shape2d::new(100, 200), Resolution::square(25.0)).expect("a grid")
    }

    #[test]
    fn a_tile_holds_its_own_points() {
        let grids = [
            albers(),
            albers().with_origin(Xy::new(12.5, -7.0)),
            albers()
                .with_flip(true, true)
                .with_origin(Xy::new(100.0, 50.0)),
            GridSpec::web_tiles(5, 256).expect("a grid"),
        ];
        for grid in grids {
            for index in [(0, 0), (3, -4), (-2, 7)] {
                let geobox = grid.tile_geobox(index).expect("a tile");
                assert_eq!(
                    grid.tile_coords(geobox.bounding_box().center()),
                    index,
                    "{grid:?}"
                );
                assert_eq!(geobox.shape(), grid.tile_shape());
                // A tile overlaps itself and none of its neighbours.
                let tiles = grid.tiles(geobox.bounding_box()).expect("tiles");
                assert_eq!(tiles, [(index, geobox)], "{grid:?}");
            }
        }
    }

    #[test]
    fn grids_by_name_and_by_description() {
        let check = |name: &str, epsg: u32, rows: usize, cols: usize, x: f64, y: f64| {
            let grid = GridSpec::named(name).expect(name);
            assert_eq!(grid.crs().epsg(), Some(epsg), "{name}");
            assert_eq!(grid.tile_shape(), Shape2d::new(rows, cols), "{name}");
            assert_eq!(grid.resolution(), Resolution { x, y }, "{name}");
        };
        check("albers_au_25", 3577, 4000, 4000, 25.0, -25.0);
        check(" ALBERS_AFRICA_60 ", 6933, 1600, 1600, 60.0, -60.0);
        check("epsg:6933;10;9600", 6933, 9600, 9600, 10.0, -10.0);
        check("epsg:6933;-10x20;2000x3000", 6933, 2000, 3000, 20.0, -10.0);
        assert_eq!(
            GridSpec::named("web_7").unwrap(),
            GridSpec::web_tiles(7, 256).unwrap()
        );
        for name in [
            "albers_au",
            "web_",
            "web_99",
            "epsg:6933;10",
            "epsg:6933;a;b",
        ] {
            let error = GridSpec::named(name).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("albers_au_25"),
                "{error}"
            );
        }
    }

    #[test]
    fn numbers_of_odc_geo() {
        // GridSpec("EPSG:3577", (100, 200), 25, xy_(12.5, -7)).tiles(BoundingBox(-6000, 100, 4000, 6000))
        let grid = albers().with_origin(Xy::new(12.5, -7.0));
        let tiles = grid
            .tiles(BoundingBox::new(-6000.0, 100.0, 4000.0, 6000.0))
            .expect("tiles");
        let indices: Vec<TileIndex> = tiles.iter().map(|(index, _)| *index).collect();
        assert_eq!(
            indices,
            [
                (-2, 0),
                (-1, 0),
                (0, 0),
                (-2, 1),
                (-1, 1),
                (0, 1),
                (-2, 2),
                (-1, 2),
                (0, 2)
            ]
        );
        assert_eq!(grid.alignment(), Xy::new(12.5, 18.0));
        // GridSpec.web_tiles(1)[0, 0].extent.boundingbox: the upper left quarter.
        let web = GridSpec::web_tiles(1, 256).expect("a grid");
        let bounds = web.tile_geobox((0, 0)).expect("a tile").bounding_box();
        assert!((bounds.left + 20_037_508.342_789).abs() < 1e-3, "{bounds}");
        assert!((bounds.top - 20_037_508.342_789).abs() < 1e-3 && bounds.bottom.abs() < 1e-3);
    }

    #[test]
    fn a_polygon_takes_the_tiles_that_it_touches() {
        let grid = albers();
        let corner = |x: f64, y: f64| Xy::new(x, y);
        // A triangle over two by two tiles that misses the upper right one.
        let triangle = [
            corner(100.0, 100.0),
            corner(9_000.0, 100.0),
            corner(100.0, 4_400.0),
        ];
        let polygon = Geometry::polygon(&triangle, Some(grid.crs().clone())).expect("a polygon");
        let tiles = grid.tiles_from_geopolygon(&polygon).expect("tiles");
        let indices: Vec<TileIndex> = tiles.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [(0, 0), (1, 0), (0, 1)]);
        assert!(
            grid.tiles_from_geopolygon(&polygon.assign_crs(None))
                .is_err()
        );
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let crs = || Crs::from_epsg(3577).expect("a code that PROJ knows");
        let size = |x: f64| {
            GridSpec::from_tile_size(crs(), Xy::new(x, 100_000.0), Resolution::square(30.0))
        };
        assert!(
            size(100_000.0)
                .unwrap_err()
                .to_string()
                .contains("no whole number of pixels")
        );
        let grid =
            GridSpec::from_tile_size(crs(), Xy::new(96_000.0, 96_000.0), Resolution::square(30.0));
        assert_eq!(grid.expect("a grid").tile_shape(), Shape2d::new(3200, 3200));
        assert!(GridSpec::new(crs(), Shape2d::new(0, 1), Resolution::square(1.0)).is_err());
        let world = BoundingBox::new(-2e7, -2e7, 2e7, 2e7);
        let fine =
            GridSpec::new(crs(), Shape2d::new(1, 1), Resolution::square(1.0)).expect("a grid");
        assert!(
            fine.tiles(world)
                .unwrap_err()
                .to_string()
                .contains("more tiles")
        );
    }
}
