//! `DataArray`: one measurement, lazy and labelled.
//!
//! An array is a node of a plan with names around it: dimensions, coordinates,
//! attributes, its own name. Cloning copies handles. Operators write down a
//! larger plan and never fail; a misuse is kept in the array and returned by
//! [`DataArray::check`], `compute` and everything else that gives a `Result`.

mod align;
mod coarsen;
mod equal;
mod extremes;
mod group;
mod kernels;
mod math;
mod operators;
mod pixels;
mod reduce;
mod regional;
mod resample;
mod run;
mod select;
mod shape;

use std::sync::Arc;

use datacube_model::DType;

pub use align::{Reindex, align};
pub use coarsen::Coarsened;
pub use equal::DropNa;
pub(crate) use equal::held_somewhere;
pub use group::Grouped;
pub use kernels::Gaps;
pub use operators::Operand;
pub use reduce::{Dims, Reduction};
pub use regional::{Rolling, concat};
pub use resample::{Origin, Resample, Side};
pub use run::Compute;
pub(crate) use run::in_background;

use crate::attrs::Attrs;
use crate::buffer::Buffer;
use crate::chunks::{ChunkGrid, Chunks};
use crate::coords::{Coord, Coords};
use crate::error::{Error, Result};
use crate::ops;
use crate::plan::{MemoryArray, Node, NodeRef, Op, Output, Plan, Unary};
use crate::source::ChunkSource;
use crate::value::Pixel;

/// One measurement with dimensions, coordinates, attributes and chunks.
///
/// ```
/// use datacube_compute::{Attrs, Coord, Coords, DataArray};
/// let coords = Coords::from([("x", Coord::float("x", vec![10.0, 20.0, 30.0]))]);
/// let red = DataArray::from_values("red", &["x"], &[3], vec![1u16, 2, 3], coords.clone())?;
/// let nir = DataArray::from_values("nir", &["x"], &[3], vec![3u16, 2, 9], coords)?;
/// let ndvi = ((&nir - &red) / (&nir + &red)).named("ndvi").compute()?;
/// assert_eq!(ndvi.to_vec::<f64>()?, [0.5, 0.0, 0.5]);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone)]
pub struct DataArray {
    name: Option<String>,
    node: NodeRef,
    coords: Coords,
    attrs: Attrs,
    error: Option<Arc<Error>>,
}

impl DataArray {
    /// The pixels of a source, lazily.
    ///
    /// `dims` name the source's axes in order; `coords` lie on them or on none;
    /// `chunks` say how the array is cut for computing.
    ///
    /// # Errors
    /// Names that do not match the axes, coordinates or chunks that do not fit.
    pub fn from_source(
        name: impl Into<String>,
        dims: &[impl AsRef<str>],
        coords: Coords,
        attrs: Attrs,
        source: Arc<dyn ChunkSource>,
        chunks: &Chunks,
    ) -> Result<DataArray> {
        let dims = dim_names(dims);
        check_rank(&dims, source.shape())?;
        coords.check(&dims, source.shape())?;
        let grid = chunks.resolve(&dims, source.shape(), source.dtype())?;
        let node = Node::source(source, dims, grid)?;
        Ok(DataArray {
            name: Some(name.into()),
            node,
            coords,
            attrs,
            error: None,
        })
    }

    /// Pixels in memory: `values` in C order of `shape`.
    ///
    /// # Errors
    /// Values that do not fill the shape, names or coordinates that do not fit.
    pub fn from_values<T: Pixel>(
        name: impl Into<String>,
        dims: &[impl AsRef<str>],
        shape: &[usize],
        values: impl AsRef<[T]>,
        coords: Coords,
    ) -> Result<DataArray> {
        let data = Buffer::from_slice(values.as_ref())?;
        let array = MemoryArray::new(T::DTYPE, shape.to_vec(), data)?;
        let dims = dim_names(dims);
        check_rank(&dims, shape)?;
        coords.check(&dims, shape)?;
        DataArray::from_memory(Some(name.into()), array, dims, coords, Attrs::new(), None)
    }

    /// An n-dimensional array in memory.
    ///
    /// # Errors
    /// Names or coordinates that do not fit.
    pub fn from_array<T: Pixel>(
        name: impl Into<String>,
        dims: &[impl AsRef<str>],
        array: &ndarray::ArrayD<T>,
        coords: Coords,
    ) -> Result<DataArray> {
        let values: Vec<T> = array.iter().copied().collect();
        DataArray::from_values(name, dims, array.shape(), values, coords)
    }

    /// An array whose pixels have been computed.
    pub(crate) fn from_memory(
        name: Option<String>,
        array: MemoryArray,
        dims: Arc<[String]>,
        coords: Coords,
        attrs: Attrs,
        chunks: Option<ChunkGrid>,
    ) -> Result<DataArray> {
        let chunks = chunks.unwrap_or_else(|| ChunkGrid::whole(&array.shape));
        let node = Node::memory(Arc::new(array), dims, chunks)?;
        Ok(DataArray {
            name,
            node,
            coords,
            attrs,
            error: None,
        })
    }

    /// No array, but the reason why there is none.
    pub(crate) fn failed(error: Error) -> DataArray {
        let array = MemoryArray::new(
            DType::Bool,
            vec![0],
            Buffer::zeroed(0)
                .unwrap_or_else(|_| unreachable!("an empty buffer takes a cache line")),
        );
        let array = array.expect("no pixels fill an empty shape");
        let dims: Arc<[String]> = vec!["none".to_owned()].into();
        let node = Node::memory(Arc::new(array), dims, ChunkGrid::whole(&[0]));
        DataArray {
            name: None,
            node: node.expect("one name for one axis"),
            coords: Coords::new(),
            attrs: Attrs::new(),
            error: Some(Arc::new(error)),
        }
    }

    /// Its name; arithmetic between arrays of different names loses it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same array called `name`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> DataArray {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn without_name(mut self) -> DataArray {
        self.name = None;
        self
    }

    /// Names of the dimensions, in axis order.
    pub fn dims(&self) -> &[String] {
        &self.node.schema().dims
    }

    /// Pixels along each dimension, in axis order.
    pub fn shape(&self) -> &[usize] {
        &self.node.schema().shape
    }

    /// Number of dimensions.
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// Number of pixels.
    pub fn size(&self) -> usize {
        self.shape().iter().product()
    }

    /// Pixels along one dimension.
    ///
    /// # Errors
    /// No dimension of that name.
    pub fn len_of(&self, dim: &str) -> Result<usize> {
        Ok(self.shape()[self.axis(dim)?])
    }

    /// Type of a pixel.
    pub fn dtype(&self) -> DType {
        self.node.schema().dtype
    }

    /// Bytes of all pixels, once computed.
    pub fn nbytes(&self) -> u64 {
        (self.size() * self.dtype().size()) as u64
    }

    /// How the array is cut for computing.
    pub fn chunks(&self) -> &ChunkGrid {
        &self.node.schema().chunks
    }

    /// The coordinates, in order.
    pub fn coords(&self) -> &Coords {
        &self.coords
    }

    /// One coordinate.
    ///
    /// # Errors
    /// No coordinate of that name.
    pub fn coord(&self, name: &str) -> Result<&Coord> {
        self.coords.get(name).ok_or_else(|| {
            Error::unknown_name("coordinate", name, self.place(), self.coords.names())
        })
    }

    /// The attributes.
    pub fn attrs(&self) -> &Attrs {
        &self.attrs
    }

    /// The same array with these attributes.
    #[must_use]
    pub fn with_attrs(mut self, attrs: Attrs) -> DataArray {
        self.attrs = attrs;
        self
    }

    /// The same array with this coordinate, in place of one of that name.
    ///
    /// # Errors
    /// A coordinate that does not fit its dimension.
    pub fn with_coord(mut self, name: impl Into<String>, coord: Coord) -> Result<DataArray> {
        self.check()?;
        self.coords.insert(name, coord);
        self.coords.check(self.dims(), self.shape())?;
        Ok(self)
    }

    /// Whether the pixels are in memory already.
    pub fn is_computed(&self) -> bool {
        self.error.is_none() && matches!(self.node.op(), Op::Memory(_))
    }

    /// The array itself, or the misuse that it carries.
    ///
    /// # Errors
    /// The first thing that went wrong on the way to this array.
    pub fn check(&self) -> Result<&DataArray> {
        match &self.error {
            None => Ok(self),
            Some(error) => Err((**error).clone()),
        }
    }

    /// The same pixels, cut otherwise; sources are asked for the new chunks
    /// directly.
    ///
    /// # Errors
    /// Chunks that do not fit the dimensions.
    pub fn rechunk(&self, chunks: &Chunks) -> Result<DataArray> {
        self.check()?;
        let grid = chunks.resolve(self.dims(), self.shape(), self.dtype())?;
        let node = Node::rechunk(&self.node, grid)?;
        Ok(DataArray {
            node,
            ..self.clone()
        })
    }

    /// The same pixels with dimensions in this order.
    ///
    /// # Errors
    /// Names that are not exactly the dimensions.
    pub fn transpose(&self, dims: &[impl AsRef<str>]) -> Result<DataArray> {
        self.check()?;
        let axes = dims
            .iter()
            .map(|dim| self.axis(dim.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        if axes.len() != self.ndim() || (0..self.ndim()).any(|axis| !axes.contains(&axis)) {
            return Err(Error::Invalid(format!(
                "transpose to ({}) of an array of ({}); name every dimension once",
                dims.iter()
                    .map(AsRef::as_ref)
                    .collect::<Vec<_>>()
                    .join(", "),
                self.dims().join(", ")
            )));
        }
        let shape = axes.iter().map(|&axis| self.shape()[axis]).collect();
        let axes = axes.into_iter().map(Some).collect();
        let node = Node::broadcast(&self.node, axes, dim_names(dims), shape)?;
        Ok(DataArray {
            node,
            ..self.clone()
        })
    }

    /// The plan that computes this array alone.
    ///
    /// # Errors
    /// The misuse that the array carries.
    pub fn plan(&self) -> Result<Plan> {
        self.check()?;
        Plan::new(vec![self.output(self.name.as_deref().unwrap_or("array"))?])
    }

    pub(crate) fn output(&self, name: &str) -> Result<Output> {
        self.check()?;
        Output::new(name, &self.node, self.chunks().clone())
    }

    /// The plan as a tree, as written and as it will run.
    ///
    /// # Errors
    /// The misuse that the array carries.
    pub fn explain(&self) -> Result<String> {
        let plan = self.plan()?;
        Ok(format!(
            "As written:\n{plan}\nAs it runs:\n{}",
            crate::optimize::optimize(&plan)?
        ))
    }

    /// The array with pixels of `dtype`, as numpy's `astype`.
    ///
    /// DIFFERENCE: a float that an integer type cannot hold becomes the nearest
    /// that it can, and NaN becomes 0; in numpy that is up to the machine.
    #[must_use]
    pub fn astype(&self, dtype: DType) -> DataArray {
        ops::cast(self, dtype)
    }

    /// The array where `condition` holds, NaN elsewhere: bool and integers of
    /// up to 16 bits become float32, wider ones float64, floats stay.
    #[must_use]
    pub fn where_(&self, condition: &DataArray) -> DataArray {
        ops::where_(self, condition, None)
    }

    /// The array where `condition` holds, `other` elsewhere.
    #[must_use]
    pub fn where_or(&self, condition: &DataArray, other: impl Into<Operand>) -> DataArray {
        ops::where_(self, condition, Some(&other.into()))
    }

    /// `|x|`.
    #[must_use]
    pub fn abs(&self) -> DataArray {
        ops::unary(Unary::Abs, self)
    }

    /// Square root; NaN of negative numbers.
    #[must_use]
    pub fn sqrt(&self) -> DataArray {
        ops::unary(Unary::Sqrt, self)
    }

    /// `e ** x`.
    #[must_use]
    pub fn exp(&self) -> DataArray {
        ops::unary(Unary::Exp, self)
    }

    /// Natural logarithm.
    #[must_use]
    pub fn log(&self) -> DataArray {
        ops::unary(Unary::Log, self)
    }

    /// Whether a pixel is NaN; never for integers.
    #[must_use]
    pub fn isnull(&self) -> DataArray {
        ops::unary(Unary::IsNan, self)
    }

    /// Whether a pixel is not NaN; always for integers.
    #[must_use]
    pub fn notnull(&self) -> DataArray {
        ops::unary(Unary::NotNan, self)
    }

    pub(crate) fn node(&self) -> &NodeRef {
        &self.node
    }

    /// The axis of a dimension.
    pub(crate) fn axis(&self, dim: &str) -> Result<usize> {
        self.dims()
            .iter()
            .position(|own| own == dim)
            .ok_or_else(|| {
                let dims = self.dims().iter().map(String::as_str);
                Error::unknown_name("dimension", dim, self.place(), dims)
            })
    }

    /// What errors call this array.
    pub(crate) fn place(&self) -> String {
        match &self.name {
            Some(name) => format!("array `{name}`"),
            None => "this array".to_owned(),
        }
    }

    /// An array of the same name around another node.
    pub(crate) fn with_node(&self, node: NodeRef, coords: Coords, attrs: Attrs) -> DataArray {
        DataArray {
            name: self.name.clone(),
            node,
            coords,
            attrs,
            error: None,
        }
    }

    /// The array with this misuse to report, unless it has an earlier one.
    pub(crate) fn with_error(&self, error: Error) -> DataArray {
        let first = self.error.clone().unwrap_or_else(|| Arc::new(error));
        DataArray {
            error: Some(first),
            ..self.clone()
        }
    }

    /// What `make` gives, or this array with the error to report later.
    pub(crate) fn defer(&self, make: impl FnOnce() -> Result<DataArray>) -> DataArray {
        if self.error.is_some() {
            return self.clone();
        }
        make().unwrap_or_else(|error| self.with_error(error))
    }
}

fn dim_names(dims: &[impl AsRef<str>]) -> Arc<[String]> {
    dims.iter().map(|dim| dim.as_ref().to_owned()).collect()
}

fn check_rank(dims: &[String], shape: &[usize]) -> Result<()> {
    if dims.len() == shape.len() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{} names of dimensions ({}) for an array of shape {}",
        dims.len(),
        dims.join(", "),
        crate::repr::tuple(shape)
    )))
}
