//! Kernels as regional functions: mask clean-up, interpolation, the geometric
//! median, percentiles. They travel as every node does.

mod run;

use datacube_model::DType;
use serde::{Deserialize, Serialize};

use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::kernels::interp::{InterpMethod, InterpPlan};
use crate::kernels::morphology::{self, Morph};
use crate::plan::Schema;
use crate::region::Region;
use crate::value::Const;

/// A number by its bits, so that plans compare and hash by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bits(u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Bits(value.to_bits())
    }
}

impl Bits {
    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

fn numbers(bits: &[Bits]) -> Vec<f64> {
    bits.iter().map(|bits| bits.get()).collect()
}

/// A kernel with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kernel {
    /// Binary morphology on the planes of the last two axes, with radii.
    MaskCleanup(Vec<(Morph, Bits)>),
    /// New pixels at `at` between those labelled `from` along an axis.
    Interp {
        /// The axis.
        axis: usize,
        /// Labels of the pixels.
        from: Vec<Bits>,
        /// Labels of the new ones.
        at: Vec<Bits>,
        /// How.
        method: InterpMethod,
    },
    /// NaN between valid pixels along an axis interpolated over labels.
    InterpolateNa {
        /// The axis.
        axis: usize,
        /// Labels of the pixels.
        x: Vec<Bits>,
        /// How.
        method: InterpMethod,
        /// How many pixels of a gap.
        limit: Option<usize>,
        /// The longest gap.
        max_gap: Option<Bits>,
    },
    /// The geometric median of the inputs over an axis: first axis of the
    /// result the inputs, then cosine, euclidean and Bray-Curtis deviation and
    /// the number of dates; float32, or float64 of bands with more digits.
    Geomedian {
        /// The axis.
        axis: usize,
        /// `eps`, scale, offset.
        numbers: [Bits; 3],
        /// Steps at most.
        max_iterations: usize,
        /// The marker of missing pixels besides NaN.
        nodata: Option<Bits>,
    },
    /// odc-algo's percentiles along an axis; first axis of the result those.
    Percentile {
        /// The axis.
        axis: usize,
        /// Which, 0 to 1.
        quantiles: Vec<Bits>,
        /// The marker of missing pixels.
        nodata: Option<Const>,
    },
}

/// Rows of statistics after the bands of a [`Kernel::Geomedian`].
pub(crate) const GEOMEDIAN_STATS: usize = 4;

impl Kernel {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kernel::MaskCleanup(_) => "mask_cleanup",
            Kernel::Interp { .. } => "interp",
            Kernel::InterpolateNa { .. } => "interpolate_na",
            Kernel::Geomedian { .. } => "geomedian",
            Kernel::Percentile { .. } => "percentile",
        }
    }

    /// The axis that it works along; `None` for planes.
    fn axis(&self) -> Option<usize> {
        match self {
            Kernel::MaskCleanup(_) => None,
            Kernel::Interp { axis, .. }
            | Kernel::InterpolateNa { axis, .. }
            | Kernel::Geomedian { axis, .. }
            | Kernel::Percentile { axis, .. } => Some(*axis),
        }
    }

    /// Axes of the result before those of the input.
    fn leading(&self) -> usize {
        usize::from(matches!(
            self,
            Kernel::Geomedian { .. } | Kernel::Percentile { .. }
        ))
    }

    /// Whether the axis is gone in the result.
    fn reduces(&self) -> bool {
        matches!(self, Kernel::Geomedian { .. } | Kernel::Percentile { .. })
    }

    /// Pixels around one that the result depends on, along the last two axes.
    fn reach(&self) -> usize {
        match self {
            Kernel::MaskCleanup(steps) => morphology::reach(&radii(steps)),
            _ => 0,
        }
    }

    pub(super) fn schema(&self, inputs: &[&Schema]) -> Result<Schema> {
        let first = inputs[0];
        let wrong = |reason: &str| {
            let shape = &first.shape;
            Err(Error::Bug(format!(
                "{} of {} {shape:?}: {reason}",
                self.name(),
                first.dtype
            )))
        };
        let alike = inputs
            .iter()
            .all(|input| input.shape == first.shape && input.dtype == first.dtype);
        let several = matches!(self, Kernel::Geomedian { .. });
        if !alike || (inputs.len() != 1 && !several) || first.dtype.is_complex() {
            return wrong("inputs that do not fit");
        }
        let (mut dims, mut shape) = (first.dims.to_vec(), first.shape.to_vec());
        let mut axes = first.chunks.axes().to_vec();
        if self.axis().is_some_and(|axis| axis >= shape.len()) {
            return wrong("no such axis");
        }
        let mut dtype = first.dtype;
        let lead = |dims: &mut Vec<String>,
                    shape: &mut Vec<usize>,
                    axes: &mut Vec<AxisChunks>,
                    name: &str,
                    len: usize| {
            dims.insert(0, name.to_owned());
            shape.insert(0, len);
            axes.insert(0, AxisChunks::whole(len));
        };
        if self.reduces()
            && let Some(axis) = self.axis()
        {
            dims.remove(axis);
            shape.remove(axis);
            axes.remove(axis);
        }
        match self {
            Kernel::MaskCleanup(steps) => {
                let fine = steps
                    .iter()
                    .all(|(_, r)| (0.0..=32767.0).contains(&r.get()));
                if dtype != DType::Bool || shape.len() < 2 || !fine {
                    return wrong("a mask of planes and radii of 0 to 32767 are needed");
                }
            }
            Kernel::Interp {
                axis,
                from,
                at,
                method,
            } => {
                InterpPlan::new(&numbers(from), &numbers(at), *method)?;
                if from.len() != shape[*axis] {
                    return wrong("labels for other pixels");
                }
                shape[*axis] = at.len();
                axes[*axis] = AxisChunks::whole(at.len());
                if !dtype.is_float() {
                    dtype = DType::Float64;
                }
            }
            Kernel::InterpolateNa { axis, x, .. } => {
                if x.len() != shape[*axis] || !dtype.is_float() {
                    return wrong("labels for other pixels, or no floats");
                }
            }
            Kernel::Geomedian { .. } => {
                let len = inputs.len() + GEOMEDIAN_STATS;
                lead(&mut dims, &mut shape, &mut axes, "band", len);
                dtype = geomedian_dtype(dtype);
            }
            Kernel::Percentile {
                quantiles, nodata, ..
            } => {
                let fine = quantiles.iter().all(|q| (0.0..=1.0).contains(&q.get()));
                if !fine
                    || nodata.is_some_and(|nodata| nodata.dtype() != dtype || !nodata.is_valid())
                {
                    return wrong("quantiles of 0 to 1 and a nodata of its type are needed");
                }
                lead(
                    &mut dims,
                    &mut shape,
                    &mut axes,
                    "quantile",
                    quantiles.len(),
                );
            }
        }
        Ok(Schema {
            dims: dims.into(),
            shape: shape.into(),
            dtype,
            chunks: ChunkGrid::new(axes),
        })
    }

    /// The region of every input that `region` of the result is made of.
    pub(super) fn wants(&self, shape: &[usize], region: &Region) -> Region {
        let mut ranges = region.ranges()[self.leading()..].to_vec();
        match self {
            Kernel::MaskCleanup(_) => {
                let reach = self.reach();
                let planes = ranges.len().saturating_sub(2);
                for (range, &len) in ranges.iter_mut().zip(shape).skip(planes) {
                    if range.start < range.end {
                        *range = range.start.saturating_sub(reach)..(range.end + reach).min(len);
                    }
                }
            }
            Kernel::Interp {
                axis,
                from,
                at,
                method,
            } => {
                let plan = InterpPlan::new(&numbers(from), &numbers(at), *method).ok();
                let needs = plan.and_then(|plan| plan.needs(ranges[*axis].clone()));
                // Where all lie outside, one pixel says the type.
                ranges[*axis] = needs.unwrap_or(0..shape[*axis].min(1));
            }
            Kernel::InterpolateNa { axis, .. } => ranges[*axis] = 0..shape[*axis],
            Kernel::Geomedian { axis, .. } | Kernel::Percentile { axis, .. } => {
                ranges.insert(*axis, 0..shape[*axis])
            }
        }
        Region::new(ranges)
    }

    /// Axes of input and result along which a slice of the result is the result
    /// of a slice.
    pub(super) fn free_axes(&self, ndim: usize) -> Vec<(usize, usize)> {
        let planes = ndim.saturating_sub(2);
        let mut free = Vec::new();
        let mut out = self.leading();
        for axis in 0..ndim {
            let own = self.axis() == Some(axis);
            if !own && (self.axis().is_some() || axis < planes) {
                free.push((axis, out));
            }
            if !(own && self.reduces()) {
                out += 1;
            }
        }
        free
    }

    /// Whether the result may be made in parts along its axis `axis`.
    pub(super) fn splits(&self, axis: usize) -> bool {
        match self {
            Kernel::MaskCleanup(_) | Kernel::Interp { .. } => true,
            Kernel::InterpolateNa { axis: own, .. } => axis != *own,
            _ => axis >= self.leading(),
        }
    }

    /// Memory besides inputs and result.
    pub(super) fn scratch_bytes(
        &self,
        inputs: usize,
        dtype: DType,
        pixels: usize,
        out: usize,
    ) -> usize {
        let copies = pixels * dtype.size() * inputs.max(1);
        match self {
            Kernel::MaskCleanup(_) => copies + 8 * pixels,
            Kernel::Percentile { .. } => copies + 16 * out + (1 << 20),
            // The result, as it is made and as it is handed over, and one band of it.
            Kernel::Geomedian { .. } => {
                copies + 3 * geomedian_dtype(dtype).size() * out + (1 << 16)
            }
            _ => copies + 8 * out + (1 << 16),
        }
    }
}

/// A float that holds every pixel of a band.
fn geomedian_dtype(dtype: DType) -> DType {
    match dtype {
        DType::Float64 | DType::Int32 | DType::UInt32 | DType::Int64 | DType::UInt64 => {
            DType::Float64
        }
        _ => DType::Float32,
    }
}

fn radii(steps: &[(Morph, Bits)]) -> Vec<(Morph, f64)> {
    steps
        .iter()
        .map(|(morph, radius)| (*morph, radius.get()))
        .collect()
}
