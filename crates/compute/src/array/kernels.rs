//! Kernels on lazy arrays: mask clean-up, interpolation, percentiles,
//! histograms.

use std::sync::Arc;

use datacube_model::{DType, Number};
use parking_lot::Mutex;

use super::DataArray;
use crate::attrs::Attrs;
use crate::coords::{Coord, Coords};
use crate::engine::{Job, default_engine};
use crate::error::{Error, Result};
use crate::index::AxisIndex;
use crate::kernels::histogram::{Bins, histogram};
use crate::kernels::interp::{InterpMethod, InterpPlan};
use crate::kernels::morphology::Morph;
use crate::plan::Node;
use crate::region::Region;
use crate::regional::{Bits, Kernel, Regional};
use crate::sink::{ChunkSink, SinkError};
use crate::value::{Const, Scalar};

/// Which gaps [`DataArray::interpolate_na`] fills, and how.
pub use crate::kernels::fill::Gaps;

impl DataArray {
    pub(crate) fn kernel(&self, kernel: Kernel, others: &[&DataArray]) -> Result<Arc<Node>> {
        let mut nodes = vec![Arc::clone(self.node())];
        nodes.extend(others.iter().map(|other| Arc::clone(other.node())));
        Node::regional(Regional::Kernel(kernel), nodes)
    }

    /// The mask after steps of morphology, each with a disk of a radius in
    /// pixels: opening takes specks away, closing fills holes, dilation adds a
    /// rim, erosion takes one off. On each plane of the last two dimensions;
    /// the same whatever the chunks.
    ///
    /// ```
    /// use datacube_compute::{Coords, DataArray, kernels::morphology::Morph};
    /// let cloud = vec![true, false, false, false];
    /// let cloud = DataArray::from_values("cloud", &["y", "x"], &[1, 4], cloud, Coords::new())?;
    /// let wider = cloud.mask_cleanup(&[(Morph::Dilation, 2.0)])?.compute()?;
    /// assert_eq!(wider.to_vec::<bool>()?, [true, true, true, false]);
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// An array that is not bool or has fewer than two dimensions, a radius
    /// that is negative or above 32767.
    ///
    /// # Source
    /// odc-algo 1.2.2, `mask_cleanup`; its default is an opening of 2 and a
    /// dilation of 5. For differences see [`crate::kernels::morphology`].
    pub fn mask_cleanup(&self, steps: &[(Morph, f64)]) -> Result<DataArray> {
        self.check()?;
        if self.dtype() != DType::Bool || self.ndim() < 2 {
            return Err(Error::DType {
                operation: format!("cleaning up the mask {}", self.place()),
                dtypes: vec![self.dtype()],
                reason: "a mask is bool, with y and x for its last dimensions; compare first, as in `x.gt(0)`".to_owned(),
            });
        }
        if let Some((morph, radius)) = steps.iter().find(|(_, r)| !(0.0..=32767.0).contains(r)) {
            return Err(Error::Invalid(format!(
                "{} with a radius of {radius} pixels; radii lie between 0 and 32767",
                morph.name()
            )));
        }
        let steps = steps
            .iter()
            .map(|(morph, radius)| (*morph, Bits::from(*radius)));
        let node = self.kernel(Kernel::MaskCleanup(steps.collect()), &[])?;
        Ok(self.with_node(node, self.coords().clone(), self.attrs().clone()))
    }

    /// The mask with a rim of `radius` pixels added: see
    /// [`DataArray::mask_cleanup`].
    ///
    /// # Errors
    /// As there.
    pub fn binary_dilation(&self, radius: f64) -> Result<DataArray> {
        self.mask_cleanup(&[(Morph::Dilation, radius)])
    }

    /// The mask with a rim of `radius` pixels taken off.
    ///
    /// # Errors
    /// As [`DataArray::mask_cleanup`].
    pub fn binary_erosion(&self, radius: f64) -> Result<DataArray> {
        self.mask_cleanup(&[(Morph::Erosion, radius)])
    }

    /// The mask without what a disk of `radius` pixels does not fit into.
    ///
    /// # Errors
    /// As [`DataArray::mask_cleanup`].
    pub fn binary_opening(&self, radius: f64) -> Result<DataArray> {
        self.mask_cleanup(&[(Morph::Opening, radius)])
    }

    /// The mask with the holes filled that a disk of `radius` pixels does not
    /// fit into.
    ///
    /// # Errors
    /// As [`DataArray::mask_cleanup`].
    pub fn binary_closing(&self, radius: f64) -> Result<DataArray> {
        self.mask_cleanup(&[(Morph::Closing, radius)])
    }

    /// The pixels at other labels along `dim`, from those on both sides; NaN
    /// outside. Floats keep their type, integers become float64. Times are
    /// taken as numbers.
    ///
    /// # Errors
    /// No such dimension, no labels there or names, labels that neither ascend
    /// nor descend.
    ///
    /// # Source
    /// xarray, `interp`.
    pub fn interp(&self, dim: &str, labels: &Coord, method: InterpMethod) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let from = self.positions_along(dim)?;
        let at = labels.to_f64().ok_or_else(|| no_numbers(dim))?;
        InterpPlan::new(&from, &at, method)?;
        let bits = |values: Vec<f64>| values.into_iter().map(Bits::from).collect();
        let kernel = Kernel::Interp {
            axis,
            from: bits(from),
            at: bits(at),
            method,
        };
        let node = self.kernel(kernel, &[])?;
        let mut coords = self.without_labels(dim);
        coords.insert(dim, labels.on(Some(dim.to_owned())));
        let attrs = self.attrs().after_where(node.schema().dtype);
        Ok(self.with_node(node, coords, attrs))
    }

    /// NaN between valid pixels along `dim` filled by interpolating over its
    /// labels; over positions where it has none.
    ///
    /// # Errors
    /// No such dimension, labels that do not ascend, an array of integers.
    ///
    /// # Source
    /// xarray, `interpolate_na`. The longest gap is in units of the labels,
    /// seconds for times.
    pub fn interpolate_na(&self, dim: &str, gaps: Gaps) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        if !self.dtype().is_float() {
            // Integers have no NaN to fill.
            return Ok(self.clone());
        }
        #[allow(clippy::cast_precision_loss, reason = "positions")]
        let x = match self.coords().index_of(dim) {
            Some(_) => self.positions_along(dim)?,
            None => (0..self.shape()[axis]).map(|at| at as f64).collect(),
        };
        if !x.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Error::Invalid(format!(
                "the labels of `{dim}` have to ascend, without a repeat, to be interpolated over; `sortby` it first"
            )));
        }
        let unit = match self.coords().index_of(dim).map(Coord::values) {
            Some(crate::coords::CoordValues::Time(_)) => 1e9,
            _ => 1.0,
        };
        let kernel = Kernel::InterpolateNa {
            axis,
            x: x.into_iter().map(Bits::from).collect(),
            method: gaps.method,
            limit: gaps.limit,
            max_gap: gaps.max_gap.map(|gap| Bits::from(gap * unit)),
        };
        let node = self.kernel(kernel, &[])?;
        Ok(self.with_node(node, self.coords().clone(), self.attrs().clone()))
    }

    /// odc-algo's percentiles over `dim`, of nearest rank and in the pixels'
    /// type, along a new first dimension `quantile`; missing where fewer than
    /// three pixels are valid. Missing are NaN and `nodata`.
    ///
    /// # Errors
    /// No such dimension, a quantile outside 0 to 1, an integer array without a
    /// nodata.
    ///
    /// # Source
    /// odc-algo 1.2.2, `xr_quantile`.
    pub fn percentile(&self, dim: &str, quantiles: &[f64]) -> Result<DataArray> {
        self.check()?;
        if let Some(q) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Error::Invalid(format!(
                "quantile {q}; quantiles lie between 0 and 1"
            )));
        }
        let nodata = self.nodata_const()?;
        if nodata.is_none() && !self.dtype().is_float() {
            return Err(Error::Invalid(format!(
                "{} has no nodata, which stands where too few pixels are valid; set it with `Attrs::set_nodata`",
                self.place()
            )));
        }
        let kernel = Kernel::Percentile {
            axis: self.axis(dim)?,
            quantiles: quantiles.iter().map(|&q| Bits::from(q)).collect(),
            nodata,
        };
        let node = self.kernel(kernel, &[])?;
        let mut coords = Coords::new().with("quantile", Coord::float("quantile", quantiles));
        for (name, coord) in self.without_labels(dim).iter() {
            coords.insert(name, coord.clone());
        }
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }

    /// How many pixels lie in each bin, computed chunk by chunk; NaN and
    /// `nodata` count nowhere. The result lies along `bin`, labelled with the
    /// bins' middles, and has their `edges` for an attribute.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    ///
    /// # Source
    /// numpy, `histogram`.
    pub fn histogram(&self, bins: &Bins) -> Result<DataArray> {
        self.check()?;
        let array = if self.attrs().nodata().is_some_and(|nodata| !nodata.is_nan()) {
            self.mask_invalid_data()
        } else {
            self.clone()
        };
        let array = match array.dtype() {
            DType::Float64 => array,
            _ => array.astype(DType::Float64),
        };
        let counts = Counts {
            bins: bins.clone(),
            counts: Mutex::new(vec![0; bins.len()]),
        };
        let job = Job::new(array.plan()?);
        default_engine()?.run(&job, &counts, &())?;
        let edges = bins.edges();
        let middles: Vec<f64> = edges
            .windows(2)
            .map(|e| f64::midpoint(e[0], e[1]))
            .collect();
        let coords = Coords::from([("bin", Coord::float("bin", middles))]);
        let name = self.name().unwrap_or("array").to_owned();
        let result = DataArray::from_values(
            name,
            &["bin"],
            &[bins.len()],
            counts.counts.into_inner(),
            coords,
        )?;
        Ok(result.with_attrs(Attrs::new().with("edges", edges.to_vec())))
    }

    /// The nodata as a pixel; none for NaN, which is always missing.
    fn nodata_const(&self) -> Result<Option<Const>> {
        let Some(nodata) = self.attrs().nodata().filter(|nodata| !nodata.is_nan()) else {
            return Ok(None);
        };
        if !nodata.fits(self.dtype()) {
            return Err(Error::Invalid(format!(
                "nodata {nodata} of {} is no {}",
                self.place(),
                self.dtype()
            )));
        }
        let scalar = match nodata {
            Number::Float(value) if !self.dtype().is_float() => crate::masking::whole(value),
            other => Scalar::from(other),
        };
        Const::of(scalar, self.dtype()).map(Some)
    }

    /// The labels of a dimension as numbers.
    fn positions_along(&self, dim: &str) -> Result<Vec<f64>> {
        let coord = self.coords().index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of {} has no labels to interpolate between",
                self.place()
            ))
        })?;
        coord.to_f64().ok_or_else(|| no_numbers(dim))
    }

    /// The coordinates that do not lie on `dim`.
    fn without_labels(&self, dim: &str) -> Coords {
        let others = self
            .coords()
            .iter()
            .filter(|(_, coord)| coord.dim() != Some(dim));
        others
            .map(|(name, coord)| (name.to_owned(), coord.clone()))
            .collect()
    }

    /// The pixels at one position of the first axis, with no label left of it.
    pub(crate) fn plane(&self, position: usize) -> Result<DataArray> {
        let dim = self.dims()[0].clone();
        let mut plane = self.take(0, AxisIndex::At(position))?;
        plane.coords.remove(&dim);
        Ok(plane)
    }
}

fn no_numbers(dim: &str) -> Error {
    Error::Invalid(format!(
        "the labels of `{dim}` are names, between which nothing lies"
    ))
}

/// Counts what is written to it.
struct Counts {
    bins: Bins,
    counts: Mutex<Vec<i64>>,
}

impl ChunkSink for Counts {
    fn write(&self, _: usize, _: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let (values, _) = pixels.as_chunks::<8>();
        let values: Vec<f64> = values
            .iter()
            .map(|bytes| f64::from_ne_bytes(*bytes))
            .collect();
        let mut own = vec![0; self.bins.len()];
        histogram(&values, &self.bins, &mut own)?;
        for (count, own) in self.counts.lock().iter_mut().zip(own) {
            *count += own;
        }
        Ok(())
    }
}
