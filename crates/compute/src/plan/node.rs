//! One node of a plan: an operation on the nodes that it reads.
//!
//! Nodes are immutable and shared; what a node is (dimensions, shape, type,
//! chunk grid) is worked out and checked when it is made, so a node that
//! exists can be run.

use std::sync::{Arc, OnceLock};

use datacube_model::DType;

use super::func::{Arg, Func};
use super::key::Key;
use crate::buffer::Buffer;
use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::index::AxisIndex;
use crate::program::Program;
use crate::regional::Regional;
use crate::source::ChunkSource;
use crate::value::Const;

/// A shared, immutable node.
pub type NodeRef = Arc<Node>;

/// An operation, what it reads, and what comes out.
#[derive(Debug)]
pub struct Node {
    op: Op,
    inputs: Vec<NodeRef>,
    schema: Schema,
    pub(super) key: OnceLock<Key>,
}

/// What a node's pixels are.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Names of the dimensions, in axis order.
    pub dims: Arc<[String]>,
    /// Pixels along each dimension.
    pub shape: Arc<[usize]>,
    /// Type of a pixel.
    pub dtype: DType,
    /// How the array is cut for computing.
    pub chunks: ChunkGrid,
}

/// The operations.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Op {
    /// Pixels that are made on demand.
    Source(Arc<dyn ChunkSource>),
    /// Pixels that are in memory, in C order.
    Memory(Arc<MemoryArray>),
    /// One value everywhere.
    Full(Const),
    /// Some positions along each axis of the input.
    Slice(Vec<AxisIndex>),
    /// The input repeated along new axes, and its axes put in order: for each
    /// axis of the result, the axis of the input or `None`.
    Broadcast(Vec<Option<usize>>),
    /// The same pixels, cut otherwise.
    Rechunk,
    /// A function of the inputs, pixel by pixel; all of one shape.
    Elementwise {
        /// The function.
        func: Func,
        /// Its operands; values are inputs by number.
        args: Vec<Arg>,
    },
    /// Several functions in one pass; the result is the program's first output.
    Fused(Arc<Program>),
    /// Another output of a [`Op::Fused`] node.
    Pick(usize),
    /// An operation that is not pixel by pixel.
    Regional(Regional),
    /// The same pixels, made once, cut as the node is, and kept for those who
    /// read them.
    Materialize,
}

/// An array in memory.
pub struct MemoryArray {
    /// Its pixels, in C order.
    pub(crate) data: Buffer,
    /// Pixels along each axis.
    pub(crate) shape: Vec<usize>,
    /// Type of a pixel.
    pub(crate) dtype: DType,
    pub(super) digest: OnceLock<Key>,
}

impl MemoryArray {
    /// The array of these bytes; those of a bool array become 0 or 1.
    ///
    /// # Errors
    /// When there are too few or too many of them.
    pub(crate) fn new(dtype: DType, shape: Vec<usize>, mut data: Buffer) -> Result<MemoryArray> {
        let expected = shape
            .iter()
            .try_fold(dtype.size(), |bytes, &len| bytes.checked_mul(len));
        if expected != Some(data.len()) {
            return Err(Error::Invalid(format!(
                "{} bytes are no array of shape {} and type {dtype}",
                data.len(),
                crate::repr::tuple(&shape)
            )));
        }
        crate::buffer::normalise_bool(dtype, &mut data);
        Ok(MemoryArray {
            data,
            shape,
            dtype,
            digest: OnceLock::new(),
        })
    }
}

impl std::fmt::Debug for MemoryArray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "MemoryArray({} {})",
            self.dtype,
            crate::repr::tuple(&self.shape)
        )
    }
}

impl Node {
    /// What it does.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// What it reads.
    pub fn inputs(&self) -> &[NodeRef] {
        &self.inputs
    }

    /// What comes out.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    fn make(op: Op, inputs: Vec<NodeRef>, schema: Schema) -> NodeRef {
        Arc::new(Node {
            op,
            inputs,
            schema,
            key: OnceLock::new(),
        })
    }

    /// A source, whose dimensions are called `dims`, cut as `chunks`.
    pub(crate) fn source(
        source: Arc<dyn ChunkSource>,
        dims: Arc<[String]>,
        chunks: ChunkGrid,
    ) -> Result<NodeRef> {
        let shape: Arc<[usize]> = source.shape().into();
        let dtype = source.dtype();
        check_dims(&dims, &shape, &chunks)?;
        let schema = Schema {
            dims,
            shape,
            dtype,
            chunks,
        };
        Ok(Node::make(Op::Source(source), Vec::new(), schema))
    }

    /// An array in memory.
    pub(crate) fn memory(
        array: Arc<MemoryArray>,
        dims: Arc<[String]>,
        chunks: ChunkGrid,
    ) -> Result<NodeRef> {
        let shape: Arc<[usize]> = array.shape.as_slice().into();
        let dtype = array.dtype;
        check_dims(&dims, &shape, &chunks)?;
        Ok(Node::make(
            Op::Memory(array),
            Vec::new(),
            Schema {
                dims,
                shape,
                dtype,
                chunks,
            },
        ))
    }

    /// `value` at every pixel of an array of this kind.
    pub(crate) fn full(value: Const, like: &Schema) -> Result<NodeRef> {
        if !value.is_valid() {
            return Err(Error::Bug(format!("{value:?} at every pixel")));
        }
        check_dims(&like.dims, &like.shape, &like.chunks)?;
        let schema = Schema {
            dtype: value.dtype(),
            ..like.clone()
        };
        Ok(Node::make(Op::Full(value), Vec::new(), schema))
    }

    /// The positions `index` of each axis; the input itself where that is all.
    pub(crate) fn slice(input: &NodeRef, index: Vec<AxisIndex>) -> Result<NodeRef> {
        let from = &input.schema;
        if index.len() != from.shape.len()
            || index
                .iter()
                .zip(&*from.shape)
                .any(|(index, &len)| !index.fits(len))
        {
            return Err(Error::Bug(format!(
                "slice {index:?} of shape {:?}",
                from.shape
            )));
        }
        if index
            .iter()
            .zip(&*from.shape)
            .all(|(index, &len)| index.is_whole(len))
        {
            return Ok(Arc::clone(input));
        }
        let kept = || {
            index
                .iter()
                .zip(&*from.dims)
                .filter(|(index, _)| index.len().is_some())
        };
        let axes: Vec<AxisChunks> = index
            .iter()
            .zip(from.chunks.axes())
            .filter_map(|(index, chunks)| index.cut(chunks))
            .collect();
        let schema = Schema {
            dims: kept().map(|(_, dim)| dim.clone()).collect(),
            shape: kept().filter_map(|(index, _)| index.len()).collect(),
            dtype: from.dtype,
            chunks: ChunkGrid::new(axes),
        };
        Ok(Node::make(
            Op::Slice(index),
            vec![Arc::clone(input)],
            schema,
        ))
    }

    /// The input with axes in the order of `axes`; the axes of `None` are new.
    pub(crate) fn broadcast(
        input: &NodeRef,
        axes: Vec<Option<usize>>,
        dims: Arc<[String]>,
        shape: Arc<[usize]>,
    ) -> Result<NodeRef> {
        let from = &input.schema;
        let mut used = vec![false; from.shape.len()];
        let mut valid = axes.len() == dims.len() && axes.len() == shape.len();
        for (to, axis) in axes.iter().enumerate() {
            if let Some(axis) = *axis {
                valid &= used.get(axis) == Some(&false) && shape.get(to) == from.shape.get(axis);
                if let Some(used) = used.get_mut(axis) {
                    *used = true;
                }
            }
        }
        if !valid || used.contains(&false) {
            return Err(Error::Bug(format!(
                "broadcast of shape {:?} to {shape:?} by {axes:?}",
                from.shape
            )));
        }
        let identity = axes.len() == from.shape.len()
            && axes.iter().enumerate().all(|(to, axis)| *axis == Some(to))
            && from.dims == dims;
        if identity {
            return Ok(Arc::clone(input));
        }
        let chunks: Vec<AxisChunks> = axes
            .iter()
            .zip(&*shape)
            .map(|(axis, &len)| match axis {
                Some(axis) => from.chunks.axes()[*axis].clone(),
                None => AxisChunks::whole(len),
            })
            .collect();
        check_dims(&dims, &shape, &ChunkGrid::new(chunks.clone()))?;
        let schema = Schema {
            dims,
            shape,
            dtype: from.dtype,
            chunks: ChunkGrid::new(chunks),
        };
        Ok(Node::make(
            Op::Broadcast(axes),
            vec![Arc::clone(input)],
            schema,
        ))
    }

    /// The same pixels, cut as `chunks`.
    pub(crate) fn rechunk(input: &NodeRef, chunks: ChunkGrid) -> Result<NodeRef> {
        if chunks == input.schema.chunks {
            return Ok(Arc::clone(input));
        }
        check_dims(&input.schema.dims, &input.schema.shape, &chunks)?;
        let schema = Schema {
            chunks,
            ..input.schema.clone()
        };
        Ok(Node::make(Op::Rechunk, vec![Arc::clone(input)], schema))
    }

    /// `func` of inputs of one shape, and constants.
    pub(crate) fn elementwise(func: Func, args: Vec<Arg>, inputs: Vec<NodeRef>) -> Result<NodeRef> {
        let (dims, shape, chunks) = same_shape(&inputs)?;
        let dtypes = args
            .iter()
            .map(|arg| match arg {
                Arg::Value(number) => {
                    let input = inputs.get(*number as usize);
                    input
                        .map(|input| input.schema.dtype)
                        .ok_or_else(|| bad_arg(func, &args))
                }
                Arg::Const(value) if value.is_valid() => Ok(value.dtype()),
                Arg::Const(_) => Err(bad_arg(func, &args)),
            })
            .collect::<Result<Vec<_>>>()?;
        let dtype = func.result(&dtypes).ok_or_else(|| Error::DType {
            operation: func.to_string(),
            dtypes: dtypes.clone(),
            reason: "the function does not take such operands".to_owned(),
        })?;
        let schema = Schema {
            dims,
            shape,
            dtype,
            chunks,
        };
        Ok(Node::make(Op::Elementwise { func, args }, inputs, schema))
    }

    /// A program over inputs of one shape.
    pub(crate) fn fused(program: Arc<Program>, inputs: Vec<NodeRef>) -> Result<NodeRef> {
        let (dims, shape, chunks) = same_shape(&inputs)?;
        let given = inputs.iter().map(|input| input.schema.dtype);
        if !given.eq(program.inputs().iter().copied()) {
            return Err(Error::Bug(
                "a program over inputs of other types".to_owned(),
            ));
        }
        let dtype = program.output_dtype(0);
        Ok(Node::make(
            Op::Fused(program),
            inputs,
            Schema {
                dims,
                shape,
                dtype,
                chunks,
            },
        ))
    }

    /// An operation that is not pixel by pixel.
    pub(crate) fn regional(regional: Regional, inputs: Vec<NodeRef>) -> Result<NodeRef> {
        let schema = regional.schema(&inputs)?;
        check_dims(&schema.dims, &schema.shape, &schema.chunks)?;
        Ok(Node::make(Op::Regional(regional), inputs, schema))
    }

    /// The same pixels, made once, cut as `chunks`.
    pub(crate) fn materialize(input: &NodeRef, chunks: ChunkGrid) -> Result<NodeRef> {
        check_dims(&input.schema.dims, &input.schema.shape, &chunks)?;
        let schema = Schema {
            chunks,
            ..input.schema.clone()
        };
        Ok(Node::make(Op::Materialize, vec![Arc::clone(input)], schema))
    }

    /// Output `number` of a fused node.
    pub(crate) fn pick(fused: &NodeRef, number: usize) -> Result<NodeRef> {
        match &fused.op {
            Op::Fused(program) if number < program.outputs().len() => {
                let dtype = program.output_dtype(number);
                let schema = Schema {
                    dtype,
                    ..fused.schema.clone()
                };
                Ok(Node::make(
                    Op::Pick(number),
                    vec![Arc::clone(fused)],
                    schema,
                ))
            }
            other => Err(Error::Bug(format!("output {number} of {other:?}"))),
        }
    }
}

/// Long chains would overflow the stack if each node dropped its inputs within
/// its own drop.
impl Drop for Node {
    fn drop(&mut self) {
        let mut waiting = std::mem::take(&mut self.inputs);
        while let Some(node) = waiting.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                waiting.append(&mut node.inputs);
            }
        }
    }
}

fn bad_arg(func: Func, args: &[Arg]) -> Error {
    Error::Bug(format!("operands {args:?} of {func}"))
}

/// Dimensions, shape and grid of an operation on inputs of one shape.
#[allow(
    clippy::type_complexity,
    reason = "three parts of a schema, used twice"
)]
fn same_shape(inputs: &[NodeRef]) -> Result<(Arc<[String]>, Arc<[usize]>, ChunkGrid)> {
    let [first, rest @ ..] = inputs else {
        return Err(Error::Bug(
            "an elementwise function without arrays".to_owned(),
        ));
    };
    let schema = &first.schema;
    let mut chunks = schema.chunks.clone();
    for input in rest {
        if input.schema.dims != schema.dims || input.schema.shape != schema.shape {
            return Err(Error::Bug(format!(
                "an elementwise function of {:?} {:?} and {:?} {:?}",
                schema.dims, schema.shape, input.schema.dims, input.schema.shape
            )));
        }
        chunks = chunks.finer(&input.schema.chunks);
    }
    Ok((Arc::clone(&schema.dims), Arc::clone(&schema.shape), chunks))
}

fn check_dims(dims: &[String], shape: &[usize], chunks: &ChunkGrid) -> Result<()> {
    if dims.len() != shape.len() {
        return Err(Error::Invalid(format!(
            "{} names of dimensions ({}) for an array of {} dimensions",
            dims.len(),
            dims.join(", "),
            shape.len()
        )));
    }
    if let Some(twice) = dims
        .iter()
        .enumerate()
        .find(|(i, dim)| dims[..*i].contains(dim))
    {
        return Err(Error::Invalid(format!(
            "dimension `{}` is named twice",
            twice.1
        )));
    }
    if chunks.shape() != shape {
        return Err(Error::Invalid(format!(
            "chunks of an array of shape {} cannot cut one of shape {}",
            crate::repr::tuple(&chunks.shape()),
            crate::repr::tuple(shape)
        )));
    }
    if shape
        .iter()
        .try_fold(16usize, |bytes, &len| bytes.checked_mul(len.max(1)))
        .is_none()
    {
        return Err(Error::Invalid(format!(
            "an array of shape {} is larger than any memory can be",
            crate::repr::tuple(shape)
        )));
    }
    Ok(())
}
