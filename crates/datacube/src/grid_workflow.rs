//! Working through a region tile by tile of a product's grid.
//!
//! A [`GridWorkflow`] asks the index which datasets lie in which tiles; each
//! [`Tile`] it gives is a small description of one load, which can be cut, split
//! and kept, and loaded without asking the index again.

use std::collections::{BTreeMap, HashMap};

use datacube_compute::Cube;
use datacube_geo::{GeoBox, GridSpec, PixelWindow, TileIndex};
use datacube_model::Dataset;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use crate::group::{FuseOrder, Group, GroupBy, GroupKey, group_datasets};
use crate::load_options::{DatasetQuery, LoadOptions};
use crate::{Datacube, Error, Result};

/// The tiles of a grid, and the datasets in them.
///
/// # Source
/// datacube-core, `datacube/api/grid_workflow.py` (`GridWorkflow`).
#[derive(Debug, Clone)]
pub struct GridWorkflow {
    datacube: Datacube,
    grid: GridSpec,
}

/// The datasets that lie in one tile.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The tile.
    pub geobox: GeoBox,
    /// In the order (centre time, id).
    pub datasets: Vec<Dataset>,
}

/// A load of one tile, or of a part of one.
#[derive(Debug, Clone)]
pub struct Tile {
    geobox: GeoBox,
    /// The time steps, each with its datasets in fuse order.
    steps: Vec<(Timestamp, Vec<Dataset>)>,
}

/// Periods of a calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarPeriod {
    /// A year: `2020`.
    Year,
    /// Three months: `2020Q1`.
    Quarter,
    /// A month: `2020-03`.
    Month,
    /// A day: `2020-03-31`.
    Day,
}

impl CalendarPeriod {
    /// What the period around `date` is called.
    pub fn name_of(self, date: Date) -> String {
        match self {
            CalendarPeriod::Year => format!("{:04}", date.year()),
            CalendarPeriod::Quarter => format!("{:04}Q{}", date.year(), (date.month() - 1) / 3 + 1),
            CalendarPeriod::Month => format!("{:04}-{:02}", date.year(), date.month()),
            CalendarPeriod::Day => date.to_string(),
        }
    }
}

impl GridWorkflow {
    /// Over the tiles of `grid`.
    pub fn new(datacube: &Datacube, grid: GridSpec) -> Self {
        Self {
            datacube: datacube.clone(),
            grid,
        }
    }

    /// Over the tiles in which a product is stored.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown product, [`Error::Option`] for one whose
    /// document states no tiles.
    pub fn of_product(datacube: &Datacube, product: &str) -> Result<Self> {
        let product = datacube.product(product)?;
        let stored = product.grid_spec().ok_or_else(|| Error::Option {
            option: "product",
            problem: format!(
                "`{}` states no tiles (`storage` with crs, tile_size and resolution); give a grid",
                product.name()
            ),
        })?;
        let grid = GridSpec::from_tile_size(stored.crs, stored.tile_size, stored.resolution)?;
        Ok(Self::new(datacube, grid.with_origin(stored.origin)))
    }

    /// The grid.
    pub fn grid(&self) -> &GridSpec {
        &self.grid
    }

    /// The datasets of `query` by tile. With a region only tiles that share a point
    /// with it; of each tile only datasets whose footprint does.
    ///
    /// # Errors
    /// As [`Datacube::find_datasets`].
    pub fn cell_observations(&self, query: DatasetQuery) -> Result<BTreeMap<TileIndex, Cell>> {
        let region = crate::region::resolve_region(&query)?;
        let wanted: Option<HashMap<TileIndex, ()>> = match &region {
            Some(region) if !region.is_band => {
                let tiles = self.grid.tiles_from_geopolygon(&region.polygon)?;
                Some(tiles.into_iter().map(|(index, _)| (index, ())).collect())
            }
            _ => None,
        };
        let mut cells: BTreeMap<TileIndex, Cell> = BTreeMap::new();
        for dataset in self.datacube.find_datasets(query)? {
            for (index, geobox) in self.grid.tiles_from_geopolygon(dataset.extent())? {
                if wanted
                    .as_ref()
                    .is_some_and(|wanted| !wanted.contains_key(&index))
                {
                    continue;
                }
                let cell = cells.entry(index).or_insert_with(|| Cell {
                    geobox,
                    datasets: Vec::new(),
                });
                cell.datasets.push(dataset.clone());
            }
        }
        Ok(cells)
    }

    /// The datasets of `query` that lie in one tile, buffered by so many pixels.
    ///
    /// # Errors
    /// As [`Datacube::find_datasets`]; [`Error::Option`] for a query with a region
    /// of its own.
    pub fn cell(&self, index: TileIndex, buffer: usize, query: DatasetQuery) -> Result<Cell> {
        if crate::region::resolve_region(&query)?.is_some() {
            return Err(Error::Option {
                option: "geopolygon",
                problem: "the tile is the region; leave out x, y, lon, lat and polygons".into(),
            });
        }
        let geobox = self.grid.tile_geobox(index)?.pad(buffer, buffer)?;
        let extent = geobox.extent();
        let mut datasets = self
            .datacube
            .find_datasets(query.geopolygon(extent.clone()))?;
        let mut failed = None;
        datasets.retain(|dataset| {
            let projected = dataset.extent().to_crs(self.grid.crs(), None);
            match projected.and_then(|projected| projected.intersects(&extent)) {
                Ok(touches) => touches,
                Err(error) => {
                    failed.get_or_insert(error);
                    false
                }
            }
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Cell { geobox, datasets }),
        }
    }

    /// The tiles of `query`, each with all of its time steps.
    ///
    /// # Errors
    /// As [`GridWorkflow::cell_observations`]; when datasets cannot be grouped.
    pub fn list_cells(
        &self,
        query: DatasetQuery,
        group_by: impl Into<GroupBy>,
    ) -> Result<BTreeMap<TileIndex, Tile>> {
        let group_by = group_by.into();
        let cells = self.cell_observations(query)?;
        cells
            .into_iter()
            .map(|(index, cell)| Ok((index, Tile::new(cell, &group_by)?)))
            .collect()
    }

    /// The tiles of `query`, one for each time step.
    ///
    /// # Errors
    /// As [`GridWorkflow::list_cells`].
    pub fn list_tiles(
        &self,
        query: DatasetQuery,
        group_by: impl Into<GroupBy>,
    ) -> Result<BTreeMap<(TileIndex, Timestamp), Tile>> {
        let mut tiles = BTreeMap::new();
        for (index, tile) in self.list_cells(query, group_by)? {
            for (time, part) in tile.split(1) {
                tiles.insert((index, time), part);
            }
        }
        Ok(tiles)
    }

    /// The cube of a tile: measurements, resampling and the like from `options`.
    ///
    /// # Errors
    /// As [`Datacube::load`]; [`Error::Option`] where `options` say which datasets,
    /// or onto which grid.
    pub fn load(&self, tile: &Tile, options: LoadOptions) -> Result<Cube> {
        tile.load(&self.datacube, options)
    }
}

impl Tile {
    /// The datasets of a cell as time steps.
    ///
    /// # Errors
    /// As [`group_datasets`].
    pub fn new(cell: Cell, group_by: &GroupBy) -> Result<Self> {
        let Cell { geobox, datasets } = cell;
        let keys: Vec<GroupKey> = datasets
            .iter()
            .map(|dataset| GroupKey {
                instant: dataset.center_time(),
                longitude: dataset.mid_longitude(),
                id: dataset.id().to_string(),
                value: group_by.value(dataset, |name| {
                    Some(match dataset.properties()?.get(name)? {
                        serde_json::Value::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                }),
            })
            .collect();
        let groups = group_datasets(&keys, group_by, FuseOrder::TimeThenId)?;
        let of = |group: Group| {
            let members = group.members.iter().map(|&at| datasets[at].clone());
            (group.label, members.collect())
        };
        Ok(Tile {
            geobox,
            steps: groups.into_iter().map(of).collect(),
        })
    }

    /// The pixels.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// The time steps, each with its datasets in fuse order.
    pub fn steps(&self) -> &[(Timestamp, Vec<Dataset>)] {
        &self.steps
    }

    /// Names of the dimensions: `time`, then those of the CRS.
    pub fn dims(&self) -> [&'static str; 3] {
        let [y, x] = self.geobox.dimensions();
        ["time", y, x]
    }

    /// Sizes of the dimensions.
    pub fn shape(&self) -> [usize; 3] {
        [self.steps.len(), self.geobox.rows(), self.geobox.cols()]
    }

    /// The part of the tile within `window`, in its pixels.
    ///
    /// # Errors
    /// [`Error::Geo`] for a window that is not within the tile.
    pub fn crop(&self, window: &PixelWindow) -> Result<Tile> {
        Ok(Tile {
            geobox: self.geobox.crop(window)?,
            steps: self.steps.clone(),
        })
    }

    /// The tile in parts of `step` time steps, each with its first instant.
    pub fn split(&self, step: usize) -> Vec<(Timestamp, Tile)> {
        let parts = self.steps.chunks(step.max(1));
        parts
            .map(|steps| {
                let part = Tile {
                    geobox: self.geobox.clone(),
                    steps: steps.to_vec(),
                };
                (steps[0].0, part)
            })
            .collect()
    }

    /// The tile by periods of the calendar in which there is something.
    pub fn split_by_time(&self, period: CalendarPeriod) -> Vec<(String, Tile)> {
        let mut parts: Vec<(String, Tile)> = Vec::new();
        for step in &self.steps {
            let name = period.name_of(step.0.to_zoned(TimeZone::UTC).date());
            match parts.last_mut() {
                Some((last, part)) if *last == name => part.steps.push(step.clone()),
                _ => {
                    let part = Tile {
                        geobox: self.geobox.clone(),
                        steps: vec![step.clone()],
                    };
                    parts.push((name, part));
                }
            }
        }
        parts
    }

    /// The cube of the tile, see [`GridWorkflow::load`].
    ///
    /// # Errors
    /// As [`GridWorkflow::load`].
    pub fn load(&self, datacube: &Datacube, options: LoadOptions) -> Result<Cube> {
        let given = [
            ("datasets", options.datasets.is_some()),
            ("like", options.like.is_some()),
            ("group_by", options.group_by.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::Option {
                option,
                problem: "the tile says so already; leave it out".into(),
            });
        }
        let mut steps: HashMap<Uuid, String> = HashMap::new();
        let mut datasets = Vec::new();
        for (number, (_, members)) in self.steps.iter().enumerate() {
            for dataset in members {
                steps.insert(dataset.id(), number.to_string());
                datasets.push(dataset.clone());
            }
        }
        let step_of =
            move |dataset: &Dataset| steps.get(&dataset.id()).cloned().unwrap_or_default();
        let options = LoadOptions {
            datasets: Some(datasets),
            ..options
        };
        let options = options
            .geobox(self.geobox.clone())
            .group_by(GroupBy::function(step_of))
            .preserve_original_order(true);
        datacube.load(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_the_names_that_people_write() {
        let date = Date::constant(2020, 8, 3);
        let names = [
            (CalendarPeriod::Year, "2020"),
            (CalendarPeriod::Quarter, "2020Q3"),
            (CalendarPeriod::Month, "2020-08"),
            (CalendarPeriod::Day, "2020-08-03"),
        ];
        for (period, name) in names {
            assert_eq!(period.name_of(date), name);
        }
    }
}
