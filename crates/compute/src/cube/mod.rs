//! `Cube`: named measurements over shared coordinates.
//!
//! What a load returns, and what `xarray.Dataset` is in Python. Operations go
//! over all variables; computing a cube is one job, in which work that its
//! variables share (a mask, a common read) is done once.

mod along;
mod composite;
mod groups;
mod operators;
mod reduce;
mod run;
mod shape;

use std::fmt;
use std::sync::Arc;

use datacube_model::DType;
use indexmap::IndexMap;

pub use groups::{CubeCoarsened, CubeGrouped, CubeRolling};
pub use operators::CubeOperand;

use crate::array::{DataArray, Operand};
use crate::attrs::Attrs;
use crate::chunks::{ChunkSize, Chunks};
use crate::coords::{Coord, Coords, Select};
use crate::error::{Error, Result};
use crate::index::{AxisIndex, Index};
use crate::plan::Plan;

/// Named measurements over shared coordinates.
///
/// ```
/// use datacube_compute::{Coords, Cube, DataArray};
/// let band = |name: &str, values: Vec<u16>| {
///     DataArray::from_values(name, &["x"], &[2], values, Coords::new())
/// };
/// let cube = Cube::new([("red", band("red", vec![1, 2])?), ("nir", band("nir", vec![3, 2])?)])?;
/// let ndvi = cube.eval("ndvi = (nir - red) / (nir + red)")?.compute()?;
/// assert_eq!(ndvi.to_vec::<f64>()?, [0.5, 0.0]);
/// assert!(cube.get("rde").unwrap_err().to_string().contains("did you mean red"));
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone)]
pub struct Cube {
    variables: IndexMap<String, DataArray>,
    coords: Coords,
    attrs: Attrs,
    error: Option<Arc<Error>>,
}

impl Cube {
    /// The cube of these variables. Dimensions of one name have to be of one
    /// size, with the same labels.
    ///
    /// # Errors
    /// Two variables of one name, sizes or labels that differ, or a misuse that
    /// a variable carries.
    pub fn new<N: Into<String>>(
        variables: impl IntoIterator<Item = (N, DataArray)>,
    ) -> Result<Cube> {
        let mut cube = Cube {
            variables: IndexMap::new(),
            coords: Coords::new(),
            attrs: Attrs::new(),
            error: None,
        };
        for (name, array) in variables {
            let name = name.into();
            if cube.variables.contains_key(&name) {
                return Err(Error::Invalid(format!("two variables are called `{name}`")));
            }
            cube.put(name, array)?;
        }
        Ok(cube)
    }

    /// The same cube with these attributes.
    #[must_use]
    pub fn with_attrs(mut self, attrs: Attrs) -> Cube {
        self.attrs = attrs;
        self
    }

    /// The attributes.
    pub fn attrs(&self) -> &Attrs {
        &self.attrs
    }

    /// The variables with their names, in order.
    pub fn variables(&self) -> impl ExactSizeIterator<Item = (&str, &DataArray)> {
        self.variables
            .iter()
            .map(|(name, array)| (name.as_str(), array))
    }

    /// Names of the variables, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// Number of variables.
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// One variable.
    ///
    /// # Errors
    /// No variable of that name; the message tells the near ones.
    pub fn get(&self, name: &str) -> Result<&DataArray> {
        self.variables
            .get(name)
            .ok_or_else(|| Error::unknown_name("variable", name, "the cube", self.names()))
    }

    /// All coordinates of the variables.
    pub fn coords(&self) -> &Coords {
        &self.coords
    }

    /// One coordinate.
    ///
    /// # Errors
    /// No coordinate of that name.
    pub fn coord(&self, name: &str) -> Result<&Coord> {
        self.coords
            .get(name)
            .ok_or_else(|| Error::unknown_name("coordinate", name, "the cube", self.coords.names()))
    }

    /// Dimensions and sizes of all variables, in the order in which they are met.
    pub fn dims(&self) -> IndexMap<String, usize> {
        let mut dims = IndexMap::new();
        for array in self.variables.values() {
            for (dim, &len) in array.dims().iter().zip(array.shape()) {
                dims.entry(dim.clone()).or_insert(len);
            }
        }
        dims
    }

    /// Bytes of all pixels, once computed.
    pub fn nbytes(&self) -> u64 {
        self.variables.values().map(DataArray::nbytes).sum()
    }

    /// The cube itself, or the first misuse that it or a variable carries.
    ///
    /// # Errors
    /// The misuse.
    pub fn check(&self) -> Result<&Cube> {
        if let Some(error) = &self.error {
            return Err((**error).clone());
        }
        for array in self.variables.values() {
            array.check()?;
        }
        Ok(self)
    }

    /// The cube with `array` as variable `name`, in place of one of that name.
    ///
    /// # Errors
    /// Sizes or labels that differ from the cube's, or a misuse that the array
    /// carries.
    pub fn assign(&self, name: impl Into<String>, array: impl Into<DataArray>) -> Result<Cube> {
        let mut cube = self.clone();
        let name = name.into();
        let place = cube.variables.get_index_of(&name);
        cube.variables.shift_remove(&name);
        cube.put(name, array.into())?;
        if let Some(place) = place {
            cube.variables.move_index(cube.variables.len() - 1, place);
        }
        Ok(cube)
    }

    /// The cube of only these variables, in this order; the others are never
    /// read.
    ///
    /// # Errors
    /// A name that is no variable.
    pub fn select(&self, names: &[impl AsRef<str>]) -> Result<Cube> {
        let variables = names
            .iter()
            .map(|name| Ok((name.as_ref().to_owned(), self.get(name.as_ref())?.clone())))
            .collect::<Result<Vec<_>>>()?;
        Ok(Cube::new(variables)?.with_attrs(self.attrs.clone()))
    }

    /// The cube without these variables.
    ///
    /// # Errors
    /// A name that is no variable.
    pub fn drop_variables(&self, names: &[impl AsRef<str>]) -> Result<Cube> {
        for name in names {
            self.get(name.as_ref())?;
        }
        let kept: Vec<&str> = self
            .names()
            .filter(|own| !names.iter().any(|name| name.as_ref() == *own))
            .collect();
        self.select(&kept)
    }

    /// Every variable as `change` gives it, by name.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str, &DataArray) -> DataArray) -> Cube {
        let arrays = self
            .variables
            .iter()
            .map(|(name, array)| change(name, array))
            .collect();
        self.with_variables(arrays)
    }

    /// Pixels by position along `dim`, of every variable that has it.
    ///
    /// # Errors
    /// No such dimension, or a position outside it.
    pub fn isel(&self, dim: &str, index: impl Into<Index>) -> Result<Cube> {
        self.check()?;
        let len = self.len_of(dim)?;
        self.take(dim, &index.into().resolve(dim, len)?)
    }

    /// Pixels by label along `dim`, of every variable that has it.
    ///
    /// # Errors
    /// No such dimension or coordinate, or no such label; the message states
    /// the coordinate's range.
    pub fn sel(&self, dim: &str, select: impl Into<Select>) -> Result<Cube> {
        self.check()?;
        self.len_of(dim)?;
        let coord = self.coords.index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of the cube has no coordinate to select by; use `isel` with positions"
            ))
        })?;
        self.take(dim, &select.into().resolve(dim, coord)?)
    }

    fn take(&self, dim: &str, index: &AxisIndex) -> Result<Cube> {
        let mut arrays = Vec::with_capacity(self.len());
        for array in self.variables.values() {
            arrays.push(match array.axis(dim) {
                Ok(axis) => array.take(axis, index.clone())?,
                Err(_) => array.clone(),
            });
        }
        Ok(self.rebuilt(self.coords.take(dim, index), arrays))
    }

    /// Size of a dimension.
    ///
    /// # Errors
    /// No such dimension.
    pub fn len_of(&self, dim: &str) -> Result<usize> {
        let dims = self.dims();
        dims.get(dim).copied().ok_or_else(|| {
            Error::unknown_name(
                "dimension",
                dim,
                "the cube",
                dims.keys().map(String::as_str),
            )
        })
    }

    /// Every variable where `condition` holds, NaN elsewhere.
    #[must_use]
    pub fn where_(&self, condition: &DataArray) -> Cube {
        self.map(|_, array| array.where_(condition))
    }

    /// Every variable where `condition` holds, `other` elsewhere.
    #[must_use]
    pub fn where_or(&self, condition: &DataArray, other: impl Into<Operand>) -> Cube {
        let other = other.into();
        self.map(|_, array| array.where_or(condition, other.clone()))
    }

    /// Every variable with pixels of `dtype`.
    #[must_use]
    pub fn astype(&self, dtype: DType) -> Cube {
        self.map(|_, array| array.astype(dtype))
    }

    /// Every variable cut otherwise, as far as it has the dimensions named.
    ///
    /// # Errors
    /// A name that is no dimension of the cube, sizes that do not fit.
    pub fn rechunk(&self, chunks: &Chunks) -> Result<Cube> {
        for dim in chunks.dims.keys() {
            self.len_of(dim)?;
        }
        let mut arrays = Vec::with_capacity(self.len());
        for array in self.variables.values() {
            let own = |dim: &String, _: &mut ChunkSize| array.dims().contains(dim);
            let mut chunks = chunks.clone();
            chunks.dims.retain(own);
            arrays.push(array.rechunk(&chunks)?);
        }
        Ok(self.with_variables(arrays))
    }

    /// The plan that computes all variables.
    ///
    /// # Errors
    /// A misuse that the cube or a variable carries.
    pub fn plan(&self) -> Result<Plan> {
        self.check()?;
        let outputs = self
            .variables
            .iter()
            .map(|(name, array)| array.output(name));
        Plan::new(outputs.collect::<Result<Vec<_>>>()?)
    }

    /// The plan as a tree, as written and as it will run.
    ///
    /// # Errors
    /// As [`Cube::plan`].
    pub fn explain(&self) -> Result<String> {
        let plan = self.plan()?;
        Ok(format!(
            "As written:\n{plan}\nAs it runs:\n{}",
            crate::optimize::optimize(&plan)?
        ))
    }

    /// How it looks in a notebook: HTML with every text escaped.
    pub fn to_html(&self) -> String {
        crate::repr::cube_html(self)
    }

    /// The misuse that the cube carries, if any.
    pub fn error(&self) -> Option<&Error> {
        self.error
            .as_deref()
            .or_else(|| self.variables.values().find_map(DataArray::error))
    }

    /// The same names with other arrays, one for each.
    pub(crate) fn with_variables(&self, arrays: Vec<DataArray>) -> Cube {
        self.rebuilt(self.coords.clone(), arrays)
    }

    fn rebuilt(&self, coords: Coords, arrays: Vec<DataArray>) -> Cube {
        let mut cube = Cube {
            variables: IndexMap::with_capacity(arrays.len()),
            coords,
            attrs: self.attrs.clone(),
            error: self.error.clone(),
        };
        // Where an operation left fewer labels, those count.
        for (name, coord) in arrays.iter().flat_map(|array| array.coords().iter()) {
            if cube
                .coords
                .get(name)
                .is_some_and(|own| !own.same_labels(coord))
            {
                cube.coords.remove(name);
            }
        }
        for (name, array) in self.variables.keys().zip(arrays) {
            cube.coords = match cube.coords.merge(array.coords(), "combine") {
                Ok(coords) => coords,
                Err(error) => {
                    cube.error.get_or_insert_with(|| Arc::new(error));
                    cube.coords
                }
            };
            cube.variables.insert(name.clone(), array.named(name));
        }
        cube
    }

    /// The cube with a misuse to report, unless it has an earlier one.
    pub(crate) fn with_error(mut self, error: Error) -> Cube {
        self.error.get_or_insert_with(|| Arc::new(error));
        self
    }

    fn put(&mut self, name: String, array: DataArray) -> Result<()> {
        array.check()?;
        for (dim, &len) in array.dims().iter().zip(array.shape()) {
            if let Some(&own) = self.dims().get(dim)
                && own != len
            {
                return Err(Error::Misaligned {
                    operation: "combine",
                    dim: dim.clone(),
                    difference: format!("{own} pixels in the cube and {len} in `{name}`"),
                });
            }
        }
        self.coords = self.coords.merge(array.coords(), "combine")?;
        let array = array.named(&name);
        self.variables.insert(name, array);
        Ok(())
    }
}

impl From<&DataArray> for DataArray {
    fn from(array: &DataArray) -> Self {
        array.clone()
    }
}

impl fmt::Display for Cube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::cube_text(self))
    }
}

/// The same text as [`Display`](fmt::Display).
impl fmt::Debug for Cube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::cube_text(self))
    }
}
