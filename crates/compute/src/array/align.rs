//! Arrays brought onto the same labels: `align` and `reindex`.

use super::DataArray;
use crate::attrs::Attrs;
use crate::chunks::Chunks;
use crate::coords::{Coord, Coords, Join, join};
use crate::error::{Error, Result};
use crate::index::AxisIndex;
use crate::plan::Node;
use crate::value::{Const, Scalar};

/// How pixels for labels that an array does not have are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reindex {
    method: Method,
    tolerance: Option<f64>,
    fill: Option<Scalar>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Method {
    #[default]
    Exact,
    Nearest,
    Pad,
    Backfill,
}

impl Reindex {
    /// NaN where the label is not there; integers become floats as in
    /// [`DataArray::where_`], if one is missing.
    pub fn new() -> Reindex {
        Reindex::default()
    }

    /// The pixel of the nearest label; of two equally near that of the higher.
    #[must_use]
    pub fn nearest(mut self) -> Reindex {
        self.method = Method::Nearest;
        self
    }

    /// The pixel of the last label that is not above.
    #[must_use]
    pub fn pad(mut self) -> Reindex {
        self.method = Method::Pad;
        self
    }

    /// The pixel of the first label that is not below.
    #[must_use]
    pub fn backfill(mut self) -> Reindex {
        self.method = Method::Backfill;
        self
    }

    /// Only from labels that are not further away: units of the coordinate,
    /// seconds for times.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Reindex {
        self.tolerance = Some(tolerance);
        self
    }

    /// This value where there is no pixel, and the type stays.
    #[must_use]
    pub fn fill(mut self, value: impl Into<Scalar>) -> Reindex {
        self.fill = Some(value.into());
        self
    }

    /// From which position each label of `wanted` is taken.
    fn positions(&self, dim: &str, coord: &Coord, wanted: &Coord) -> Result<Vec<Option<usize>>> {
        if self.method == Method::Exact {
            return coord.positions_of(dim, wanted);
        }
        coord.positions_of(dim, coord)?;
        let (Some(own), Some(wanted_at)) = (coord.to_f64(), wanted.to_f64()) else {
            return Err(Error::Invalid(format!(
                "the names of coordinate `{dim}` have no order to fill by; reindex without a method"
            )));
        };
        let order = coord.ascending();
        let unit = match coord.values() {
            crate::coords::CoordValues::Time(_) => 1e9,
            _ => 1.0,
        };
        let found = wanted_at.iter().map(|&x| {
            let above = order.partition_point(|&i| own[i] <= x);
            let below = above.checked_sub(1).map(|at| order[at]);
            // The first that is not below: the label itself, if it is there.
            let above = match below {
                Some(below) if own[below] == x => Some(below),
                _ => order.get(above).copied(),
            };
            let away = |i: usize| (own[i] - x).abs();
            let found = match self.method {
                Method::Exact | Method::Pad => below,
                Method::Backfill => above,
                Method::Nearest => match (below, above) {
                    (Some(a), Some(b)) => Some(if away(a) < away(b) { a } else { b }),
                    (a, b) => a.or(b),
                },
            };
            let near = |&i: &usize| self.tolerance.is_none_or(|most| away(i) <= most * unit);
            found.filter(near).filter(|_| !x.is_nan())
        });
        Ok(found.collect())
    }
}

impl DataArray {
    /// The pixels for the labels of `coord` along `dim`, as `how` says where
    /// there is none.
    ///
    /// ```
    /// use datacube_compute::{Coord, Coords, DataArray, Reindex};
    /// let coords = Coords::from([("x", Coord::int("x", [1, 2, 4]))]);
    /// let array = DataArray::from_values("a", &["x"], &[3], vec![10u8, 20, 40], coords)?;
    /// let wanted = Coord::int("x", [2, 3]);
    /// let pad = array.reindex("x", &wanted, Reindex::new().pad())?.compute()?;
    /// assert_eq!(pad.to_vec::<u8>()?, [20, 20]);
    /// let fill = array.reindex("x", &wanted, Reindex::new().fill(0))?.compute()?;
    /// assert_eq!(fill.to_vec::<u8>()?, [20, 0]);
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// No such dimension, no labels there, a label that is there twice.
    ///
    /// # Source
    /// xarray, `reindex`.
    pub fn reindex(&self, dim: &str, coord: &Coord, how: Reindex) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let own = self.coords().index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of {} has no coordinate to look labels up in",
                self.place()
            ))
        })?;
        let wanted = coord.on(Some(dim.to_owned()));
        if own.same_labels(&wanted) {
            return Ok(self.clone());
        }
        let positions = how.positions(dim, own, &wanted)?;
        let whole: Option<Vec<usize>> = positions.iter().copied().collect();
        let mut coords: Coords = match &whole {
            Some(whole) => self.coords().take(dim, &AxisIndex::list(whole.clone())),
            // Other coordinates of the dimension have no labels for the gaps.
            None => {
                let others = self
                    .coords()
                    .iter()
                    .filter(|(_, coord)| coord.dim() != Some(dim));
                others
                    .map(|(name, coord)| (name.to_owned(), coord.clone()))
                    .collect()
            }
        };
        coords.insert(dim, wanted);
        self.gather(axis, &positions, coords, how.fill)
    }

    /// The pixels for the labels of `other`, along all dimensions that both
    /// have labels for.
    ///
    /// # Errors
    /// As [`DataArray::reindex`].
    pub fn reindex_like(&self, other: &DataArray, how: Reindex) -> Result<DataArray> {
        other.check()?;
        let mut array = self.clone();
        for dim in self.dims() {
            if let Some(coord) = other.coords().index_of(dim)
                && self.coords().index_of(dim).is_some()
            {
                array = array.reindex(dim, coord, how)?;
            }
        }
        Ok(array)
    }

    /// The pixels at `positions` along an axis, with `fill`, or NaN, for those
    /// of none.
    pub(crate) fn gather(
        &self,
        axis: usize,
        positions: &[Option<usize>],
        coords: Coords,
        fill: Option<Scalar>,
    ) -> Result<DataArray> {
        let dim = self.dims()[axis].clone();
        let bare = self.clone();
        if positions.iter().all(Option::is_some) {
            let taken = bare.take(
                axis,
                AxisIndex::list(positions.iter().flatten().copied().collect()),
            )?;
            return Ok(self.with_node(taken.node().clone(), coords, self.attrs().clone()));
        }
        let there: Vec<bool> = positions.iter().map(Option::is_some).collect();
        let mask = DataArray::from_values("there", &[&dim], &[there.len()], there, Coords::new())?;
        if self.shape()[axis] == 0 {
            // Nothing to take from: the fill everywhere.
            let dtype = match fill {
                Some(_) => self.dtype(),
                None => crate::ops::promote::masked(self.dtype())?,
            };
            let value = fill.map_or(Ok(Const::nan(dtype)), |fill| Const::of(fill, dtype))?;
            let mut schema = self.node().schema().clone();
            schema.shape = self
                .shape()
                .iter()
                .enumerate()
                .map(|(at, &len)| if at == axis { positions.len() } else { len })
                .collect();
            schema.chunks = Chunks::whole().resolve(&schema.dims, &schema.shape, dtype)?;
            let node = Node::full(value, &schema)?;
            return Ok(self.with_node(node, coords, self.attrs().clone()));
        }
        let list = positions
            .iter()
            .map(|position| position.unwrap_or(0))
            .collect();
        let mut taken = bare.take(axis, AxisIndex::list(list))?;
        taken.coords = coords;
        let filled = match fill {
            Some(fill) => taken.where_or(&mask, fill),
            None => taken.where_(&mask),
        };
        filled.check().cloned()
    }
}

/// The arrays with the same labels along every dimension that several have
/// labels for: joined as `how` says.
///
/// # Errors
/// Labels that are there twice, or that differ where they may not.
///
/// # Source
/// xarray, `align`.
pub fn align(arrays: &[&DataArray], how: Join) -> Result<Vec<DataArray>> {
    let mut aligned: Vec<DataArray> = Vec::with_capacity(arrays.len());
    for array in arrays {
        aligned.push(array.check()?.clone());
    }
    let mut dims: Vec<&String> = Vec::new();
    for dim in arrays.iter().flat_map(|array| array.dims()) {
        if !dims.contains(&dim) {
            dims.push(dim);
        }
    }
    for dim in dims {
        let coords = arrays.iter().filter(|array| array.axis(dim).is_ok());
        let coords: Vec<&Coord> = coords
            .filter_map(|array| array.coords().index_of(dim))
            .collect();
        if coords.len() < 2 {
            continue;
        }
        let joined = join(dim, &coords, how)?;
        for array in &mut aligned {
            if array.axis(dim).is_ok() && array.coords().index_of(dim).is_some() {
                let attrs: Attrs = array.attrs().clone();
                let before = array.dtype();
                *array = array.reindex(dim, &joined, Reindex::new())?;
                if array.dtype() == before {
                    *array = array.clone().with_attrs(attrs);
                }
            }
        }
    }
    Ok(aligned)
}
