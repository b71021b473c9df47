//! Names and order: dimensions renamed, added and taken away, sorted, thinned.

use std::sync::Arc;

use super::{DataArray, dim_names};
use crate::coords::{Coord, Coords};
use crate::error::{Error, Result};
use crate::index::{AxisIndex, Index};
use crate::ops;
use crate::plan::{Binary, Node};
use crate::value::Pixel;

impl DataArray {
    /// Dimensions and coordinates by other names: pairs of old and new. A
    /// coordinate named as its dimension is renamed with it.
    ///
    /// # Errors
    /// An old name that is neither dimension nor coordinate, a new one that is
    /// taken.
    ///
    /// # Source
    /// xarray, `rename`.
    pub fn rename(&self, names: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<DataArray> {
        self.check()?;
        for (old, _) in names {
            let old = old.as_ref();
            if self.coords().get(old).is_none() {
                self.axis(old)?;
            }
        }
        let new_name = |name: &str| {
            let pair = names.iter().find(|(old, _)| old.as_ref() == name);
            pair.map_or(name, |(_, new)| new.as_ref()).to_owned()
        };
        let dims: Vec<String> = self.dims().iter().map(|dim| new_name(dim)).collect();
        let mut coords = Coords::new();
        for (name, coord) in self.coords().iter() {
            let renamed = new_name(name);
            if coords.get(&renamed).is_some() {
                return Err(Error::Invalid(format!(
                    "two coordinates of {} would be called `{renamed}`",
                    self.place()
                )));
            }
            coords.insert(renamed, coord.on(coord.dim().map(new_name)));
        }
        self.with_dims(dims, coords)
    }

    /// The same pixels with other names for their axes, and these coordinates.
    fn with_dims(&self, dims: Vec<String>, coords: Coords) -> Result<DataArray> {
        if let Some(twice) = (1..dims.len()).find(|&at| dims[..at].contains(&dims[at])) {
            return Err(Error::Invalid(format!(
                "two dimensions of {} would be called `{}`",
                self.place(),
                dims[twice]
            )));
        }
        let axes = (0..self.ndim()).map(Some).collect();
        let shape = self.shape().into();
        let node = Node::broadcast(self.node(), axes, dims.into(), shape)?;
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }

    /// Dimension `dim` called as the coordinate `coord`, which lies on it and
    /// becomes its index; the old index stays as a coordinate.
    ///
    /// # Errors
    /// No such dimension or coordinate, or one that lies elsewhere.
    ///
    /// # Source
    /// xarray, `swap_dims`.
    pub fn swap_dims(&self, dim: &str, coord: &str) -> Result<DataArray> {
        self.check()?;
        self.axis(dim)?;
        if self.coord(coord)?.dim() != Some(dim) {
            return Err(Error::Invalid(format!(
                "coordinate `{coord}` of {} does not lie on dimension `{dim}`",
                self.place()
            )));
        }
        let new_name = |name: &str| if name == dim { coord } else { name }.to_owned();
        let dims = self.dims().iter().map(|dim| new_name(dim)).collect();
        let coords = self
            .coords()
            .iter()
            .map(|(name, coord)| (name.to_owned(), coord.on(coord.dim().map(new_name))));
        self.with_dims(dims, coords.collect())
    }

    /// A new first dimension: of the labels of `coord`, for which the pixels
    /// repeat, or of one pixel without one. A scalar coordinate of that name
    /// becomes its label.
    ///
    /// # Errors
    /// A dimension of that name, a coordinate on another one.
    ///
    /// # Source
    /// xarray, `expand_dims`.
    pub fn expand_dims(&self, dim: &str, coord: Option<Coord>) -> Result<DataArray> {
        self.check()?;
        if self.dims().iter().any(|own| own == dim) {
            return Err(Error::Invalid(format!(
                "{} has a dimension `{dim}`",
                self.place()
            )));
        }
        let own = self
            .coords()
            .get(dim)
            .map(|own| own.on(Some(dim.to_owned())));
        let coord = coord.map(|coord| coord.on(Some(dim.to_owned()))).or(own);
        let mut coords = Coords::new();
        if let Some(coord) = &coord {
            coords.insert(dim, coord.clone());
        }
        for (name, other) in self.coords().iter().filter(|(name, _)| *name != dim) {
            coords.insert(name, other.clone());
        }
        let mut dims = vec![dim.to_owned()];
        dims.extend(self.dims().iter().cloned());
        let mut shape = vec![coord.as_ref().map_or(1, Coord::len)];
        shape.extend(self.shape());
        let mut axes = vec![None];
        axes.extend((0..self.ndim()).map(Some));
        let node = Node::broadcast(self.node(), axes, dims.into(), shape.into())?;
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }

    /// Without the dimensions of one pixel; their labels become scalar
    /// coordinates.
    ///
    /// # Errors
    /// The misuse that the array carries.
    ///
    /// # Source
    /// xarray, `squeeze`.
    pub fn squeeze(&self) -> Result<DataArray> {
        self.check()?;
        let mut array = self.clone();
        while let Some(axis) = array.shape().iter().position(|&len| len == 1) {
            array = array.take(axis, AxisIndex::At(0))?;
        }
        Ok(array)
    }

    /// Without dimension `dim`, which has to be of one pixel.
    ///
    /// # Errors
    /// No such dimension, or one of another size.
    pub fn squeeze_dim(&self, dim: &str) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        match self.shape()[axis] {
            1 => self.take(axis, AxisIndex::At(0)),
            len => Err(Error::Invalid(format!(
                "dimension `{dim}` of {} has {len} pixels; only one of 1 pixel can be squeezed away, others are taken with `isel` or reduced",
                self.place()
            ))),
        }
    }

    /// The same array without these coordinates.
    ///
    /// # Errors
    /// A name that is no coordinate.
    pub fn drop_coords(&self, names: &[impl AsRef<str>]) -> Result<DataArray> {
        self.check()?;
        let mut array = self.clone();
        for name in names {
            self.coord(name.as_ref())?;
            array.coords.remove(name.as_ref());
        }
        Ok(array)
    }

    /// The same array with these coordinates, in place of those of their names.
    ///
    /// # Errors
    /// A coordinate that does not fit its dimension.
    pub fn assign_coords<N: Into<String>>(
        &self,
        coords: impl IntoIterator<Item = (N, Coord)>,
    ) -> Result<DataArray> {
        let array = self.clone();
        coords
            .into_iter()
            .try_fold(array, |array, (name, coord)| array.with_coord(name, coord))
    }

    /// The first `n` pixels along `dim`, or all if there are fewer.
    ///
    /// # Errors
    /// No such dimension.
    pub fn head(&self, dim: &str, n: usize) -> Result<DataArray> {
        let len = self.len_of(dim)?;
        self.isel(dim, 0..n.min(len))
    }

    /// The last `n` pixels along `dim`, or all if there are fewer.
    ///
    /// # Errors
    /// No such dimension.
    pub fn tail(&self, dim: &str, n: usize) -> Result<DataArray> {
        let len = self.len_of(dim)?;
        self.isel(dim, len - n.min(len)..len)
    }

    /// Every `step`-th pixel along `dim`, from the first.
    ///
    /// # Errors
    /// No such dimension, a step of 0.
    pub fn thin(&self, dim: &str, step: usize) -> Result<DataArray> {
        let step = i64::try_from(step)
            .map_err(|_| Error::Invalid(format!("thinning `{dim}` to every {step}th pixel")))?;
        self.isel(dim, Index::step(None, None, step))
    }

    /// The pixels in ascending order of a coordinate's labels, or in descending
    /// order; equal ones stay in order, NaN comes last.
    ///
    /// # Errors
    /// No such coordinate, or one that lies on no dimension.
    ///
    /// # Source
    /// xarray, `sortby`.
    pub fn sortby(&self, coord: &str, ascending: bool) -> Result<DataArray> {
        self.check()?;
        let by = self.coord(coord)?;
        let dim = by.dim().ok_or_else(|| {
            Error::Invalid(format!(
                "coordinate `{coord}` is one label, with nothing to sort"
            ))
        })?;
        let mut order = by.ascending();
        if !ascending {
            order.reverse();
        }
        self.take(self.axis(dim)?, AxisIndex::list(order))
    }

    /// Differences of neighbours along `dim`, taken `n` times: later minus
    /// earlier, with the labels of the later ones.
    ///
    /// # Errors
    /// No such dimension, bool pixels.
    ///
    /// # Source
    /// xarray, `diff` with `label="upper"`.
    pub fn diff(&self, dim: &str, n: usize) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let mut array = self.clone();
        for _ in 0..n {
            let (later, earlier) = crate::kernels::scan::difference(array.shape()[axis]);
            let part = |range: std::ops::Range<usize>| {
                array.take(axis, AxisIndex::range(range.start, range.len(), 1))
            };
            let (later, mut earlier) = (part(later)?, part(earlier)?);
            // The labels differ, and those of the later ones count.
            earlier.coords = later.coords().clone();
            array = ops::binary(Binary::Sub, &later.into(), &earlier.into());
            array.check()?;
        }
        Ok(array)
    }

    /// The pixels moved by `by` along `dim`: towards its end, or its start if
    /// negative. Where none come from there is NaN, so that integers become
    /// floats as in [`DataArray::where_`]. Labels stay.
    ///
    /// # Errors
    /// No such dimension.
    ///
    /// # Source
    /// xarray, `shift`.
    pub fn shift(&self, dim: &str, by: i64) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        if by == 0 {
            return Ok(self.clone());
        }
        let from = (0i64..).take(self.shape()[axis]).map(|at| {
            let from = usize::try_from(at.saturating_sub(by)).ok();
            from.filter(|&from| from < self.shape()[axis])
        });
        let positions: Vec<Option<usize>> = from.collect();
        let coords = self.coords().clone();
        self.gather(axis, &positions, coords, None)
    }

    /// The pixels moved by `by` along `dim`, those that leave at one end coming
    /// in at the other. Labels stay.
    ///
    /// # Errors
    /// No such dimension.
    ///
    /// # Source
    /// xarray, `roll`.
    pub fn roll(&self, dim: &str, by: i64) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let len = self.shape()[axis];
        let step = i128::from(by).rem_euclid(i128::try_from(len.max(1)).unwrap_or(1));
        let step = usize::try_from(step).unwrap_or(0);
        if step == 0 {
            return Ok(self.clone());
        }
        let places = (0..len).map(|at| (at + len - step) % len).collect();
        let coords = self.coords().clone();
        let mut rolled = self.take(axis, AxisIndex::list(places))?;
        rolled.coords = coords;
        Ok(rolled)
    }

    /// The one pixel of an array of one pixel that has been computed.
    ///
    /// # Errors
    /// More pixels or none, a lazy array, another pixel type.
    pub fn item<T: Pixel>(&self) -> Result<T> {
        let pixels = self.values::<T>()?;
        match (pixels.len(), pixels.first()) {
            (1, Some(pixel)) => Ok(*pixel),
            (n, _) => Err(Error::Invalid(format!(
                "{} has {n} pixels; `item` is for one, `to_vec` for all",
                self.place()
            ))),
        }
    }

    /// The pixels repeated along the dimensions of `other` that this array
    /// lacks, which come after its own.
    ///
    /// # Errors
    /// Dimensions or labels that do not fit.
    pub fn broadcast_like(&self, other: &DataArray) -> Result<DataArray> {
        self.check()?;
        other.check()?;
        let mut dims: Vec<String> = self.dims().to_vec();
        let mut shape = self.shape().to_vec();
        let mut axes: Vec<Option<usize>> = (0..self.ndim()).map(Some).collect();
        for (dim, &len) in other.dims().iter().zip(other.shape()) {
            match self.axis(dim) {
                Err(_) => {
                    dims.push(dim.clone());
                    shape.push(len);
                    axes.push(None);
                }
                Ok(axis) if shape[axis] != len => {
                    return Err(Error::Misaligned {
                        operation: "broadcast",
                        dim: dim.clone(),
                        difference: format!("{} and {len} pixels", shape[axis]),
                    });
                }
                Ok(_) => {}
            }
        }
        let coords = self.coords().merge(other.coords(), "broadcast")?;
        let node = Node::broadcast(self.node(), axes, dim_names(&dims), Arc::from(shape))?;
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }
}
