//! Names, order and labels of all variables of a cube at once.

use indexmap::IndexMap;

use super::Cube;
use crate::array::{DataArray, Reindex};
use crate::coords::{Coord, Join, join};
use crate::error::{Error, Result};

impl Cube {
    /// The cube of variables that `change` makes of these.
    pub(super) fn each(
        &self,
        mut change: impl FnMut(&str, &DataArray) -> Result<DataArray>,
    ) -> Result<Cube> {
        self.check()?;
        let mut variables = Vec::with_capacity(self.len());
        for (name, array) in self.variables() {
            variables.push((name.to_owned(), change(name, array)?));
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }

    /// As [`Cube::each`], of the variables that have dimension `dim`.
    pub(super) fn each_along(
        &self,
        dim: &str,
        change: impl Fn(&DataArray) -> Result<DataArray>,
    ) -> Result<Cube> {
        self.len_of(dim)?;
        self.each(|_, array| match array.axis(dim) {
            Ok(_) => change(array),
            Err(_) => Ok(array.clone()),
        })
    }

    /// Variables, dimensions and coordinates by other names: pairs of old and
    /// new.
    ///
    /// # Errors
    /// An old name that is nowhere, a new one that is taken.
    ///
    /// # Source
    /// xarray, `Dataset.rename`.
    pub fn rename(&self, names: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<Cube> {
        self.check()?;
        let dims = self.dims();
        for (old, _) in names {
            let old = old.as_ref();
            let known =
                dims.contains_key(old) || self.coords().get(old).is_some() || self.get(old).is_ok();
            if !known {
                let all = self.names().chain(dims.keys().map(String::as_str));
                let all = all.chain(self.coords().names());
                return Err(Error::unknown_name("name", old, "the cube", all));
            }
        }
        let mut variables: IndexMap<String, DataArray> = IndexMap::new();
        for (name, array) in self.variables() {
            let own: Vec<(&str, &str)> = names
                .iter()
                .map(|(old, new)| (old.as_ref(), new.as_ref()))
                .filter(|(old, _)| array.axis(old).is_ok() || array.coords().get(old).is_some())
                .collect();
            let renamed = array.rename(&own)?;
            let pair = names.iter().find(|(old, _)| old.as_ref() == name);
            let name = pair.map_or(name, |(_, new)| new.as_ref());
            if variables.insert(name.to_owned(), renamed).is_some() {
                return Err(Error::Invalid(format!(
                    "two variables would be called `{name}`"
                )));
            }
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }

    /// The dimensions of every variable in this order, as far as it has them.
    ///
    /// # Errors
    /// A name that is no dimension, or not all of a variable's.
    pub fn transpose(&self, dims: &[impl AsRef<str>]) -> Result<Cube> {
        for dim in dims {
            self.len_of(dim.as_ref())?;
        }
        self.each(|_, array| {
            let own: Vec<&str> = dims
                .iter()
                .map(AsRef::as_ref)
                .filter(|dim| array.axis(dim).is_ok())
                .collect();
            array.transpose(&own)
        })
    }

    /// Without the dimensions of one pixel.
    ///
    /// # Errors
    /// The misuse that the cube carries.
    pub fn squeeze(&self) -> Result<Cube> {
        self.each(|_, array| array.squeeze())
    }

    /// Every variable with a new first dimension: see
    /// [`DataArray::expand_dims`].
    ///
    /// # Errors
    /// As there.
    pub fn expand_dims(&self, dim: &str, coord: Option<&Coord>) -> Result<Cube> {
        self.each(|_, array| array.expand_dims(dim, coord.cloned()))
    }

    /// Dimension `dim` called as the coordinate `coord`: see
    /// [`DataArray::swap_dims`].
    ///
    /// # Errors
    /// As there.
    pub fn swap_dims(&self, dim: &str, coord: &str) -> Result<Cube> {
        self.each_along(dim, |array| array.swap_dims(dim, coord))
    }

    /// Every variable with these coordinates, as far as it has their dimensions.
    ///
    /// # Errors
    /// A coordinate that does not fit, or on a dimension that is not there.
    pub fn assign_coords<N: Into<String>>(
        &self,
        coords: impl IntoIterator<Item = (N, Coord)>,
    ) -> Result<Cube> {
        coords
            .into_iter()
            .try_fold(self.clone(), |cube, (name, coord)| {
                let name = name.into();
                if let Some(dim) = coord.dim() {
                    cube.len_of(dim)?;
                }
                cube.each(|_, array| match coord.dim() {
                    Some(dim) if array.axis(dim).is_err() => Ok(array.clone()),
                    _ => array.clone().with_coord(name.clone(), coord.clone()),
                })
            })
    }

    /// Without these coordinates.
    ///
    /// # Errors
    /// A name that is no coordinate.
    pub fn drop_coords(&self, names: &[impl AsRef<str>]) -> Result<Cube> {
        for name in names {
            self.coord(name.as_ref())?;
        }
        self.each(|_, array| {
            let own: Vec<&str> = names
                .iter()
                .map(AsRef::as_ref)
                .filter(|name| array.coords().get(name).is_some())
                .collect();
            array.drop_coords(&own)
        })
    }

    /// The first `n` pixels along `dim`.
    ///
    /// # Errors
    /// No such dimension.
    pub fn head(&self, dim: &str, n: usize) -> Result<Cube> {
        self.each_along(dim, |array| array.head(dim, n))
    }

    /// The last `n` pixels along `dim`.
    ///
    /// # Errors
    /// No such dimension.
    pub fn tail(&self, dim: &str, n: usize) -> Result<Cube> {
        self.each_along(dim, |array| array.tail(dim, n))
    }

    /// Every `step`-th pixel along `dim`.
    ///
    /// # Errors
    /// No such dimension, a step of 0.
    pub fn thin(&self, dim: &str, step: usize) -> Result<Cube> {
        self.each_along(dim, |array| array.thin(dim, step))
    }

    /// The pixels in the order of a coordinate's labels.
    ///
    /// # Errors
    /// No such coordinate, or one that lies on no dimension.
    pub fn sortby(&self, coord: &str, ascending: bool) -> Result<Cube> {
        let dim = self.coord(coord)?.dim().map(str::to_owned);
        let dim = dim.ok_or_else(|| {
            Error::Invalid(format!(
                "coordinate `{coord}` is one label, with nothing to sort"
            ))
        })?;
        self.each_along(&dim, |array| array.sortby(coord, ascending))
    }

    /// Differences of neighbours along `dim`: see [`DataArray::diff`].
    ///
    /// # Errors
    /// As there.
    pub fn diff(&self, dim: &str, n: usize) -> Result<Cube> {
        self.each_along(dim, |array| array.diff(dim, n))
    }

    /// The pixels moved along `dim`: see [`DataArray::shift`].
    ///
    /// # Errors
    /// As there.
    pub fn shift(&self, dim: &str, by: i64) -> Result<Cube> {
        self.each_along(dim, |array| array.shift(dim, by))
    }

    /// The pixels for the labels of `coord` along `dim`: see
    /// [`DataArray::reindex`].
    ///
    /// # Errors
    /// As there.
    pub fn reindex(&self, dim: &str, coord: &Coord, how: Reindex) -> Result<Cube> {
        self.each_along(dim, |array| array.reindex(dim, coord, how))
    }

    /// `value` where a pixel is NaN.
    #[must_use]
    pub fn fillna(&self, value: impl Into<crate::value::Scalar>) -> Cube {
        let value = value.into();
        self.map(|_, array| array.fillna(value))
    }

    /// Whether each pixel is NaN.
    #[must_use]
    pub fn isnull(&self) -> Cube {
        self.map(|_, array| array.isnull())
    }

    /// Whether each pixel is not NaN.
    #[must_use]
    pub fn notnull(&self) -> Cube {
        self.map(|_, array| array.notnull())
    }

    /// The variables of both, on the labels that `how` says. A variable that
    /// both have has to be the same work in both.
    ///
    /// # Errors
    /// Two different variables of one name, labels that cannot be joined.
    ///
    /// # Source
    /// xarray, `merge`; its default is [`Join::Outer`].
    pub fn merge(&self, other: &Cube, how: Join) -> Result<Cube> {
        self.check()?;
        other.check()?;
        let mut indexes: IndexMap<String, Coord> = IndexMap::new();
        for dim in self.dims().keys() {
            if let (Some(own), Some(theirs)) =
                (self.coords().index_of(dim), other.coords().index_of(dim))
                && !own.same_labels(theirs)
            {
                indexes.insert(dim.clone(), join(dim, &[own, theirs], how)?);
            }
        }
        let fit = |array: &DataArray| {
            indexes
                .iter()
                .try_fold(array.clone(), |array, (dim, coord)| {
                    if array.axis(dim).is_ok() {
                        array.reindex(dim, coord, Reindex::new())
                    } else {
                        Ok(array)
                    }
                })
        };
        let mut variables: IndexMap<String, DataArray> = IndexMap::new();
        for (name, array) in self.variables() {
            variables.insert(name.to_owned(), fit(array)?);
        }
        for (name, array) in other.variables() {
            if let Ok(own) = self.get(name) {
                if own.plan()?.key()? != array.plan()?.key()? {
                    return Err(Error::Invalid(format!(
                        "both cubes have a variable `{name}`, and they differ; `rename` or drop one"
                    )));
                }
                continue;
            }
            variables.insert(name.to_owned(), fit(array)?);
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }

    /// Whether both have equal variables: see [`DataArray::equals`].
    ///
    /// # Errors
    /// As there.
    pub fn equals(&self, other: &Cube) -> Result<bool> {
        self.all_pairs(other, DataArray::equals)
    }

    /// Whether both have identical variables and attributes: see
    /// [`DataArray::identical`].
    ///
    /// # Errors
    /// As there.
    pub fn identical(&self, other: &Cube) -> Result<bool> {
        Ok(self.attrs() == other.attrs() && self.all_pairs(other, DataArray::identical)?)
    }

    fn all_pairs(
        &self,
        other: &Cube,
        same: impl Fn(&DataArray, &DataArray) -> Result<bool>,
    ) -> Result<bool> {
        self.check()?;
        other.check()?;
        if self.len() != other.len() {
            return Ok(false);
        }
        for (name, array) in self.variables() {
            let Ok(theirs) = other.get(name) else {
                return Ok(false);
            };
            if !same(array, theirs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
