//! Operations that need more than the pixel itself: putting arrays together,
//! running sums, windows, and functions of one's own over chunks.

use std::sync::Arc;

use datacube_model::DType;

use super::DataArray;
use super::reduce::reduced_attrs;
use crate::chunks::Chunks;
use crate::coords::{Coord, Coords};
use crate::error::{Error, Result};
use crate::ops::{self, promote};
use crate::plan::Node;
use crate::reduce::ReduceOp;
use crate::region::Region;
use crate::regional::{Custom, Footprint, Part, PlaneMap, Regional, Regrid, Scan, ScanOp, Window};
use crate::value::Pixel;

/// Arrays one after the other along `dim`; along a new first dimension where
/// they have none of that name.
///
/// They have to lie on the same coordinates otherwise, and come to a common
/// type, as numpy's `concatenate`.
///
/// # Errors
/// No arrays, arrays of different dimensions or coordinates, or a misuse that
/// one of them carries.
pub fn concat(arrays: &[&DataArray], dim: &str) -> Result<DataArray> {
    let [first, rest @ ..] = arrays else {
        return Err(Error::Invalid(format!("no arrays to put along `{dim}`")));
    };
    if !first.dims().iter().any(|own| own == dim) {
        let stacked = arrays
            .iter()
            .map(|array| array.with_new_dim(dim))
            .collect::<Result<Vec<_>>>()?;
        return concat(&stacked.iter().collect::<Vec<_>>(), dim);
    }
    first.check()?;
    let axis = first.axis(dim)?;
    let mut dtype = first.dtype();
    let mut coords = first.coords().clone();
    let mut name = first.name();
    for array in rest {
        array.check()?;
        if array.dims() != first.dims() {
            return Err(Error::Invalid(format!(
                "an array of ({}) after one of ({}) along `{dim}`; transpose one of them",
                array.dims().join(", "),
                first.dims().join(", ")
            )));
        }
        dtype = promote::common(dtype, array.dtype())?;
        for (other, own) in first.dims().iter().enumerate() {
            if other != axis && array.shape()[other] != first.shape()[other] {
                return Err(Error::Misaligned {
                    operation: "concat",
                    dim: own.clone(),
                    difference: format!(
                        "sizes {} and {}",
                        first.shape()[other],
                        array.shape()[other]
                    ),
                });
            }
        }
        let both = coords.without_dim(dim);
        let mut merged = both.merge(&array.coords().without_dim(dim), "concat")?;
        for (label, coord) in coords.iter() {
            if coord.dim() == Some(dim)
                && let Some(next) = array.coords().get(label)
                && let Some(joined) = coord.followed_by(next)
            {
                merged.insert(label, joined);
            }
        }
        coords = merged;
        if array.name() != name {
            name = None;
        }
    }
    let nodes = arrays
        .iter()
        .map(|array| Arc::clone(ops::cast(array, dtype).node()))
        .collect();
    let node = Node::regional(Regional::Concat { axis }, nodes)?;
    coords.check(first.dims(), &node.schema().shape)?;
    let attrs = first.attrs().after_cast(dtype);
    let joined = first.with_node(node, coords, attrs);
    Ok(match name {
        Some(_) => joined,
        None => joined.without_name(),
    })
}

impl DataArray {
    /// The array with a first dimension of length 1, and as its label the
    /// scalar coordinate of that name if there is one.
    fn with_new_dim(&self, dim: &str) -> Result<DataArray> {
        self.check()?;
        let mut dims = vec![dim.to_owned()];
        dims.extend(self.dims().iter().cloned());
        let mut shape = vec![1];
        shape.extend_from_slice(self.shape());
        let mut axes = vec![None];
        axes.extend((0..self.ndim()).map(Some));
        let node = Node::broadcast(self.node(), axes, dims.into(), shape.into())?;
        let mut coords = self.coords().clone();
        if let Some(coord) = self.coords().get(dim).filter(|coord| coord.dim().is_none()) {
            let along = Coord::new(dim, coord.values().clone());
            coords.insert(dim, along.with_attrs(coord.attrs().clone()));
        }
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }

    fn scan(&self, op: ScanOp, dim: &str) -> Result<DataArray> {
        self.check()?;
        let scan = Scan {
            op,
            axis: self.axis(dim)?,
            skipna: true,
        };
        let node = Node::regional(Regional::Scan(scan), vec![Arc::clone(self.node())])?;
        let attrs = match op {
            ScanOp::CumSum => reduced_attrs(ReduceOp::Sum, self, node.schema().dtype),
            ScanOp::CumProd => reduced_attrs(ReduceOp::Prod, self, node.schema().dtype),
            _ => self.attrs().clone(),
        };
        Ok(self.with_node(node, self.coords().clone(), attrs))
    }

    /// The sum of the pixels along `dim` up to each, NaN left out.
    ///
    /// # Errors
    /// No such dimension, or the misuse that the array carries.
    pub fn cumsum(&self, dim: &str) -> Result<DataArray> {
        self.scan(ScanOp::CumSum, dim)
    }

    /// The product of the pixels along `dim` up to each, NaN left out.
    ///
    /// # Errors
    /// As [`DataArray::cumsum`].
    pub fn cumprod(&self, dim: &str) -> Result<DataArray> {
        self.scan(ScanOp::CumProd, dim)
    }

    /// NaN filled with the last pixel before it along `dim`, at most `limit`
    /// pixels back.
    ///
    /// # Errors
    /// As [`DataArray::cumsum`].
    pub fn ffill(&self, dim: &str, limit: Option<usize>) -> Result<DataArray> {
        self.scan(ScanOp::ForwardFill(limit), dim)
    }

    /// NaN filled with the first pixel after it along `dim`, at most `limit`
    /// pixels on.
    ///
    /// # Errors
    /// As [`DataArray::cumsum`].
    pub fn bfill(&self, dim: &str, limit: Option<usize>) -> Result<DataArray> {
        self.scan(ScanOp::BackwardFill(limit), dim)
    }

    /// Windows of `size` pixels along `dim` that end at each pixel: a
    /// [`Rolling`] that says what they come to.
    ///
    /// # Errors
    /// No such dimension, a size of 0, or the misuse that the array carries.
    pub fn rolling(&self, dim: &str, size: usize) -> Result<Rolling> {
        self.check()?;
        let axis = self.axis(dim)?;
        if size == 0 {
            return Err(Error::Invalid(format!(
                "windows of 0 pixels along `{dim}`; give 1 or more"
            )));
        }
        Ok(Rolling {
            array: self.clone(),
            axis,
            size,
            center: false,
            min_periods: None,
        })
    }

    /// What lies around each pixel, as far as `footprint` reaches, reduced.
    /// Places outside the array are left out, and so is NaN.
    ///
    /// # Errors
    /// A footprint of another number of dimensions, a reduction that needs all
    /// pixels at a time or positions, or the misuse that the array carries.
    pub fn window(&self, footprint: Footprint, op: ReduceOp) -> Result<DataArray> {
        self.check()?;
        if !op.streams() || op.is_positional() {
            return Err(Error::Unsupported(format!(
                "`{}` of windows; use sum, mean, min, max, var, std, count, any or all",
                op.name()
            )));
        }
        let fits = match &footprint {
            Footprint::Box(reach) => reach.len() == self.ndim(),
            Footprint::Disk { .. } => self.ndim() >= 2,
        };
        if !fits {
            return Err(Error::Invalid(format!(
                "a window of {footprint:?} on an array of {} dimensions",
                self.ndim()
            )));
        }
        let window = Window {
            footprint,
            op,
            ddof: 0,
            min_periods: 0,
        };
        let node = Node::regional(Regional::Window(window), vec![Arc::clone(self.node())])?;
        let attrs = reduced_attrs(op, self, node.schema().dtype);
        Ok(self.with_node(node, self.coords().clone(), attrs))
    }

    /// A function of each chunk: it is given a chunk's pixels in C order with
    /// their region, and writes as many of type `U`.
    ///
    /// The chunks are those of the array; say others with
    /// [`DataArray::rechunk`]. A function that does not look at each pixel for
    /// itself makes the result depend on them. The plan holds the function of
    /// this program, so it cannot be sent or stored.
    ///
    /// # Errors
    /// The misuse that the array carries; pixels of another type than `T`. What
    /// the function says goes to whoever computes.
    pub fn map_chunks<T: Pixel, U: Pixel>(
        &self,
        name: &str,
        function: impl Fn(&[T], &Region, &mut [U]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<DataArray> {
        let halo = vec![(0, 0); self.ndim()];
        self.custom(name, halo, move |pixels: &[T], _, region, out: &mut [U]| {
            function(pixels, region, out)
        })
    }

    /// A function of each chunk and of what lies up to `depth` pixels around it
    /// along some dimensions, as far as there is anything: it is given the
    /// pixels in C order, their region, the chunk's region, and writes the
    /// chunk's pixels.
    ///
    /// # Errors
    /// As [`DataArray::map_chunks`], and no such dimension.
    pub fn map_overlap<T: Pixel, U: Pixel>(
        &self,
        name: &str,
        depth: &[(&str, usize)],
        function: impl Fn(&[T], &Region, &Region, &mut [U]) -> Result<(), String>
        + Send
        + Sync
        + 'static,
    ) -> Result<DataArray> {
        let mut halo = vec![(0, 0); self.ndim()];
        for (dim, depth) in depth {
            halo[self.axis(dim)?] = (*depth, *depth);
        }
        self.custom(name, halo, function)
    }

    fn custom<T: Pixel, U: Pixel>(
        &self,
        name: &str,
        halo: Vec<(usize, usize)>,
        function: impl Fn(&[T], &Region, &Region, &mut [U]) -> Result<(), String>
        + Send
        + Sync
        + 'static,
    ) -> Result<DataArray> {
        self.check()?;
        if self.dtype() != T::DTYPE {
            return Err(Error::DType {
                operation: format!("`{name}`, a function of {}", T::DTYPE),
                dtypes: vec![self.dtype()],
                reason: "convert the array first, with `astype`".to_owned(),
            });
        }
        let apply = move |parts: &[Part<'_>], region: &Region, out: &mut [u8]| {
            let [part] = parts else {
                return Err("one array was expected".to_owned());
            };
            let pixels = crate::buffer::Buffer::from_slice::<u8>(part.pixels)
                .map_err(|error| error.to_string())?;
            let mut result = vec![U::from_bits64(0); region.len()];
            function(pixels.as_pixels::<T>(), &part.region, region, &mut result)?;
            let made =
                crate::buffer::Buffer::from_slice(&result).map_err(|error| error.to_string())?;
            out.copy_from_slice(&made);
            Ok(())
        };
        let chunks = self.chunks().clone();
        let custom = Custom::new(name, None, halo, chunks, U::DTYPE, apply);
        self.apply_custom(custom)
    }

    /// The array that a user's function makes of this one.
    ///
    /// # Errors
    /// A function for another number of dimensions, or the misuse that the
    /// array carries.
    pub fn apply_custom(&self, custom: Arc<Custom>) -> Result<DataArray> {
        self.check()?;
        let node = Node::regional(Regional::Custom(custom), vec![Arc::clone(self.node())])?;
        let attrs = self.attrs().after_cast(node.schema().dtype);
        Ok(self.with_node(node, self.coords().clone(), attrs))
    }

    /// The planes of the last two dimensions on another grid, as `map` makes
    /// them; `dims` are the new names of these two, `coords` their coordinates
    /// and whatever says where the grid lies, and `chunks` how the result is cut.
    ///
    /// Coordinates of other dimensions stay; attributes stay.
    ///
    /// # Errors
    /// Planes of another shape or type than `map` takes, coordinates or chunks
    /// that do not fit the result, or the misuse that the array carries.
    pub fn regrid(
        &self,
        map: Arc<dyn PlaneMap>,
        dims: [&str; 2],
        coords: Coords,
        chunks: &Chunks,
    ) -> Result<DataArray> {
        self.check()?;
        let regrid = Regional::Regrid(Regrid::new(map)?);
        let node = Node::regional(regrid, vec![Arc::clone(self.node())])?;
        let lead = self.ndim() - 2;
        let mut names = self.dims()[..lead].to_vec();
        names.extend(dims.map(str::to_owned));
        let shape = Arc::clone(&node.schema().shape);
        let node = match names == self.dims() {
            true => node,
            false => {
                let axes = (0..shape.len()).map(Some).collect();
                Node::broadcast(&node, axes, names.clone().into(), Arc::clone(&shape))?
            }
        };
        let grid = chunks.resolve(&names, &shape, self.dtype())?;
        let node = Node::rechunk(&node, grid)?;
        let mut all = self.coords().clone();
        for dim in &self.dims()[lead..] {
            all = all.without_dim(dim);
        }
        for (name, coord) in coords.iter() {
            all.insert(name, coord.clone());
        }
        all.check(&names, &shape)?;
        Ok(self.with_node(node, all, self.attrs().clone()))
    }

    pub(super) fn windows_along(
        &self,
        axis: usize,
        reach: (usize, usize),
        op: ReduceOp,
        (ddof, min_periods): (u32, u64),
    ) -> Result<DataArray> {
        let mut reaches = vec![(0, 0); self.ndim()];
        reaches[axis] = reach;
        let window = Window {
            footprint: Footprint::Box(reaches),
            op,
            ddof,
            min_periods,
        };
        let node = Node::regional(Regional::Window(window), vec![Arc::clone(self.node())])?;
        let attrs = reduced_attrs(op, self, node.schema().dtype);
        Ok(self.with_node(node, self.coords().clone(), attrs))
    }
}

/// Windows along a dimension, from [`DataArray::rolling`].
#[derive(Clone, Debug)]
pub struct Rolling {
    array: DataArray,
    axis: usize,
    size: usize,
    center: bool,
    min_periods: Option<u64>,
}

impl Rolling {
    /// Puts each pixel in the middle of its window rather than at its end.
    #[must_use]
    pub fn center(mut self) -> Rolling {
        self.center = true;
        self
    }

    /// Windows of fewer pixels that are not NaN become NaN; by default those
    /// that are not full.
    #[must_use]
    pub fn min_periods(mut self, pixels: u64) -> Rolling {
        self.min_periods = Some(pixels);
        self
    }

    /// What each window comes to; counts too are floats. Integers become floats
    /// first, because windows that are not full have no value.
    ///
    /// # Errors
    /// A reduction that needs all pixels at a time or positions.
    pub fn reduce(&self, op: ReduceOp) -> Result<DataArray> {
        if !op.streams() || op.is_positional() {
            return Err(Error::Unsupported(format!(
                "`{}` of rolling windows; use sum, mean, min, max, var, std or count",
                op.name()
            )));
        }
        let dtype = self.array.dtype();
        let float = match op {
            _ if dtype.is_float() || op == ReduceOp::Count => dtype,
            ReduceOp::Min | ReduceOp::Max => promote::masked(dtype)?,
            _ => DType::Float64,
        };
        let array = ops::cast(&self.array, float);
        array.check()?;
        let after = if self.center { (self.size - 1) / 2 } else { 0 };
        let reach = (self.size - 1 - after, after);
        let min_periods = self.min_periods.unwrap_or(self.size as u64);
        if op == ReduceOp::Count {
            let count = array.windows_along(self.axis, reach, op, (0, 0))?;
            let least = i64::try_from(min_periods).unwrap_or(i64::MAX);
            return count.where_(&count.ge(least)).check().cloned();
        }
        array.windows_along(self.axis, reach, op, (0, min_periods))
    }
}

macro_rules! rolling {
    ($($name:ident: $op:ident,)*) => {
        impl Rolling {
            $(
                #[doc = concat!("The `", stringify!($name), "` of each window.")]
                ///
                /// # Errors
                /// As [`Rolling::reduce`].
                pub fn $name(&self) -> Result<DataArray> {
                    self.reduce(ReduceOp::$op)
                }
            )*
        }
    };
}

rolling! {
    sum: Sum,
    mean: Mean,
    min: Min,
    max: Max,
    var: Var,
    std: Std,
    count: Count,
}

/// The coordinates without those along `dim`, and with this one.
pub(super) fn relabelled(coords: &Coords, dim: &str, name: &str, label: Coord) -> Coords {
    coords.without_dim(dim).with(name, label)
}
