//! Regional functions: operations that need more of their inputs than the pixel
//! that they make.
//!
//! Each says what comes out, which region of each input a region of the result
//! needs, and how it is made of those. That is all an engine has to know: where
//! the inputs come from, in which pieces, and whether they are fused programs or
//! other regional functions is its own affair.

mod concat;
mod custom;
mod describe;
mod kernel;
mod reduction;
mod regrid;
mod rows;
mod scan;
mod window;

use std::sync::Arc;

use datacube_model::DType;
use serde::{Deserialize, Serialize};

pub use custom::{Custom, Part};
pub(crate) use kernel::GEOMEDIAN_STATS;
pub use kernel::{Bits, Kernel};
pub use regrid::{PlaneMap, Rectangle, Regrid};
pub(crate) use rows::{Rows, sub_block};
pub use scan::{Scan, ScanOp};
pub use window::{Footprint, Window};

use reduction::{hull, partial, reduced};

use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::plan::{NodeRef, Schema};
use crate::reduce::{self, Geometry};
pub use crate::reduce::{Groups, NO_GROUP, Reduce, ReduceOp, Role};
use crate::region::Region;

/// An operation that is not pixel by pixel.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Regional {
    /// Many pixels come to one.
    Reduce(Reduce),
    /// The states of a reduction's canonical blocks: `[block, result.., word]`.
    Partial(Reduce),
    /// The result of a reduction from such states.
    Combine {
        /// The reduction.
        reduce: Reduce,
        /// Shape of what is reduced.
        shape: Vec<usize>,
        /// Its type.
        dtype: DType,
    },
    /// Each pixel from those before it along an axis.
    Scan(Scan),
    /// Each pixel from those around it.
    Window(Window),
    /// Arrays one after the other along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// A kernel along an axis or on planes.
    Kernel(Kernel),
    /// Planes of another grid; it travels as the kind and bytes of its map.
    #[serde(skip)]
    Regrid(Regrid),
    /// A user's own function; it cannot travel.
    #[serde(skip)]
    Custom(Arc<Custom>),
}

/// A region of an input, in C order.
#[derive(Clone, Debug)]
pub(crate) struct Block<'a> {
    /// Type of its pixels.
    pub(crate) dtype: DType,
    /// Which region.
    pub(crate) region: Region,
    /// Its pixels.
    pub(crate) pixels: &'a [u8],
}

const BLOCK_DIM: &str = "~block";
const WORD_DIM: &str = "~word";

impl Regional {
    /// What comes out.
    ///
    /// # Errors
    /// Inputs that it does not take.
    pub(crate) fn schema(&self, inputs: &[NodeRef]) -> Result<Schema> {
        let schemas: Vec<&Schema> = inputs.iter().map(|input| input.schema()).collect();
        let [first, ..] = schemas.as_slice() else {
            return Err(Error::Bug(format!("{} of nothing", self.name())));
        };
        let single = schemas.len() == 1;
        match self {
            Regional::Reduce(reduce) if single => {
                let dtype = reduce.check(&first.shape, first.dtype)?;
                let (dims, chunks) = reduced(reduce, first);
                Ok(Schema {
                    dims: dims.into(),
                    shape: reduce.out_shape(&first.shape).into(),
                    dtype,
                    chunks,
                })
            }
            Regional::Partial(reduce) if single && reduce.op.streams() => {
                reduce.check(&first.shape, first.dtype)?;
                let (mut dims, chunks) = reduced(reduce, first);
                let blocks = Geometry::new(reduce, &first.shape).n_blocks();
                dims.insert(0, BLOCK_DIM.to_owned());
                dims.push(WORD_DIM.to_owned());
                let mut shape = reduce.out_shape(&first.shape);
                shape.insert(0, blocks);
                shape.push(reduce::words());
                let mut axes = chunks.axes().to_vec();
                axes.insert(0, AxisChunks::regular(blocks, 1));
                axes.push(AxisChunks::whole(reduce::words()));
                Ok(Schema {
                    dims: dims.into(),
                    shape: shape.into(),
                    dtype: DType::UInt64,
                    chunks: ChunkGrid::new(axes),
                })
            }
            Regional::Combine {
                reduce,
                shape,
                dtype,
            } if single => {
                let result = reduce.check(shape, *dtype)?;
                let out = reduce.out_shape(shape);
                let blocks = Geometry::new(reduce, shape).n_blocks();
                let fits = first.dtype == DType::UInt64
                    && first.shape.len() == out.len() + 2
                    && first.shape[0] == blocks
                    && first.shape[1..=out.len()] == out
                    && first.shape[out.len() + 1] == reduce::words()
                    && reduce.op.streams();
                if !fits {
                    return Err(Error::Bug(format!("combined states of {:?}", first.shape)));
                }
                Ok(Schema {
                    dims: first.dims[1..=out.len()].into(),
                    shape: out.clone().into(),
                    dtype: result,
                    chunks: ChunkGrid::new(first.chunks.axes()[1..=out.len()].to_vec()),
                })
            }
            Regional::Scan(scan) if single => scan.schema(first),
            Regional::Window(window) if single => window.schema(first),
            Regional::Concat { axis } => concat::schema(*axis, &schemas),
            Regional::Kernel(kernel) => kernel.schema(&schemas),
            Regional::Regrid(regrid) if single => regrid.schema(first),
            Regional::Custom(custom) => custom.schema(&schemas),
            _ => Err(Error::Bug(format!(
                "{} of {} arrays",
                self.name(),
                schemas.len()
            ))),
        }
    }

    /// Its name for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Regional::Reduce(reduce) => reduce.op.name(),
            Regional::Partial(_) => "partial",
            Regional::Combine { .. } => "combine",
            Regional::Scan(scan) => scan.op.name(),
            Regional::Window(window) => window.name(),
            Regional::Concat { .. } => "concat",
            Regional::Kernel(kernel) => kernel.name(),
            Regional::Regrid(_) => "regrid",
            Regional::Custom(custom) => custom.name(),
        }
    }

    /// The region of each input that `region` of the result is made of; `None`
    /// for an input that has no part in it.
    pub(crate) fn wants(&self, inputs: &[&[usize]], region: &Region) -> Vec<Option<Region>> {
        match self {
            Regional::Reduce(reduce) => {
                vec![Some(hull(
                    &Geometry::new(reduce, inputs[0]).runs(region),
                    inputs[0],
                ))]
            }
            Regional::Partial(reduce) => {
                let geometry = Geometry::new(reduce, inputs[0]);
                let ranges = region.ranges();
                let out = Region::new(ranges[1..ranges.len() - 1].to_vec());
                let runs = hull(&geometry.runs(&out), inputs[0]);
                let mut blocks = ranges[0]
                    .clone()
                    .map(|number| Region::new(geometry.block(number)));
                let first = blocks.next().map(|first| {
                    let all = blocks.fold(first, |all, block| all.hull(&block));
                    all.intersect(&runs)
                });
                vec![Some(first.unwrap_or(runs))]
            }
            Regional::Combine { .. } => {
                let mut ranges = region.ranges().to_vec();
                ranges.insert(0, 0..inputs[0][0]);
                ranges.push(0..reduce::words());
                vec![Some(Region::new(ranges))]
            }
            Regional::Scan(scan) => vec![Some(scan.wants(inputs[0], region))],
            Regional::Window(window) => vec![Some(window.wants(inputs[0], region))],
            Regional::Concat { axis } => concat::wants(*axis, inputs, region),
            Regional::Kernel(kernel) => {
                let wanted = kernel.wants(inputs[0], region);
                inputs.iter().map(|_| Some(wanted.clone())).collect()
            }
            Regional::Regrid(regrid) => vec![regrid.wants(region)],
            Regional::Custom(custom) => inputs.iter().map(|_| Some(custom.wants(region))).collect(),
        }
    }

    /// Makes `region` of the result from the regions that
    /// [`Regional::wants`] names; `shapes` are those of the whole inputs.
    pub(crate) fn run(
        &self,
        shapes: &[&[usize]],
        inputs: &[Option<Block<'_>>],
        region: &Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        let text = |message: &'static str| message.to_owned();
        let first = || {
            let first = inputs.first().and_then(Option::as_ref);
            first.ok_or_else(|| "an input is missing".to_owned())
        };
        match self {
            Regional::Reduce(reduce) => {
                let block = first()?;
                let geometry = Geometry::new(reduce, shapes[0]);
                reduce::reduce_whole(
                    geometry,
                    block.dtype,
                    region,
                    &block.region,
                    block.pixels,
                    out,
                )
                .map_err(text)
            }
            Regional::Partial(reduce) => {
                let block = first()?;
                partial(reduce, shapes[0], block, region, out);
                Ok(())
            }
            Regional::Combine {
                reduce,
                shape,
                dtype,
            } => {
                let words: Vec<u64> = first()?
                    .pixels
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|word| u64::from_ne_bytes(*word))
                    .collect();
                reduce::combine(reduce, shape, *dtype, region, &words, out).map_err(text)
            }
            Regional::Scan(scan) => {
                scan.run(first()?, region, out);
                Ok(())
            }
            Regional::Window(window) => {
                window.run(first()?, region, out);
                Ok(())
            }
            Regional::Concat { axis } => {
                concat::run(*axis, shapes, inputs, region, out);
                Ok(())
            }
            Regional::Kernel(kernel) => kernel.run(shapes[0], inputs, region, out),
            Regional::Regrid(regrid) => {
                regrid.run(inputs.first().and_then(Option::as_ref), region, out)
            }
            Regional::Custom(custom) => custom.run(inputs, region, out),
        }
    }

    /// Whether a region of the result may be made in parts along its axis
    /// `axis`, which take little more together than the whole takes.
    pub(crate) fn splits(&self, axis: usize) -> bool {
        match self {
            Regional::Reduce(reduce) => {
                let leading = reduce.leading();
                let mut kept = reduce.roles.iter().filter(|role| **role != Role::Reduce);
                axis >= leading && kept.nth(axis - leading) == Some(&Role::Keep)
            }
            Regional::Partial(_) => axis == 0,
            Regional::Combine { .. }
            | Regional::Concat { .. }
            | Regional::Window(_)
            | Regional::Regrid(_) => true,
            Regional::Scan(scan) => axis != scan.axis,
            Regional::Kernel(kernel) => kernel.splits(axis),
            Regional::Custom(_) => false,
        }
    }

    /// Whether the result may be cut along its axis `axis` when it is kept.
    pub(crate) fn chunked(&self, axis: usize) -> bool {
        match self {
            Regional::Partial(reduce) => {
                let kept = reduce.roles.iter().filter(|role| **role != Role::Reduce);
                axis > 0 && axis <= kept.count()
            }
            Regional::Custom(_) => true,
            _ => self.splits(axis),
        }
    }

    /// Axes along which a slice of the result is the result of a slice: of the
    /// first input, which has `ndim`, and of the result.
    pub(crate) fn free_axes(&self, ndim: usize) -> Vec<(usize, usize)> {
        match self {
            Regional::Reduce(reduce) => {
                let mut out = reduce.leading();
                let mut free = Vec::new();
                for (axis, role) in reduce.roles.iter().enumerate() {
                    if *role == Role::Keep {
                        free.push((axis, out));
                    }
                    out += usize::from(*role != Role::Reduce);
                }
                free
            }
            Regional::Scan(scan) => (0..ndim)
                .filter(|&axis| axis != scan.axis)
                .map(|axis| (axis, axis))
                .collect(),
            Regional::Window(window) => (window.footprint.reach(ndim).iter().enumerate())
                .filter(|(_, reach)| **reach == (0, 0))
                .map(|(axis, _)| (axis, axis))
                .collect(),
            Regional::Kernel(kernel) => kernel.free_axes(ndim),
            Regional::Regrid(_) => (0..ndim.saturating_sub(2))
                .map(|axis| (axis, axis))
                .collect(),
            Regional::Partial(_)
            | Regional::Combine { .. }
            | Regional::Concat { .. }
            | Regional::Custom(_) => Vec::new(),
        }
    }

    /// Memory that [`Regional::run`] takes for a region of `out` pixels from
    /// inputs of `pixels`.
    pub(crate) fn scratch_bytes(
        &self,
        shapes: &[&[usize]],
        dtype: DType,
        pixels: usize,
        out: usize,
    ) -> usize {
        match self {
            Regional::Reduce(reduce) if reduce.op.streams() => {
                reduce::state_bytes(Geometry::new(reduce, shapes[0]), dtype, out)
            }
            Regional::Reduce(_) => 8 * (pixels.min(1 << 16) + out),
            Regional::Partial(reduce) => {
                reduce::state_bytes(Geometry::new(reduce, shapes[0]), dtype, out)
            }
            Regional::Combine { reduce, shape, .. } => {
                8 * pixels + reduce::state_bytes(Geometry::new(reduce, shape), dtype, out)
            }
            Regional::Window(window) => window.scratch_bytes(shapes[0], dtype),
            Regional::Scan(_) | Regional::Concat { .. } => 0,
            Regional::Kernel(kernel) => kernel.scratch_bytes(shapes.len(), dtype, pixels, out),
            Regional::Regrid(regrid) => regrid.scratch_bytes(pixels, out),
            Regional::Custom(custom) => custom.scratch_bytes(out),
        }
    }
}
