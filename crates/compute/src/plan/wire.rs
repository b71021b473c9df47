//! Plans as bytes: CBOR, versioned, each node once, inputs before their users.
//!
//! What comes off a wire is checked by the same constructors as what is built
//! here; bytes can be refused but not run wrongly.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::func::{Arg, Func};
use super::node::{MemoryArray, Node, NodeRef, Op, Schema};
use super::{Output, Plan, topological};
use crate::buffer::Buffer;
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::index::AxisIndex;
use crate::program::Program;
use crate::regional::{Regional, Regrid};
use crate::source::SourceCodec;
use crate::value::Const;

/// Goes up when an old reader would misread a plan.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct PlanRecord {
    format: String,
    version: u32,
    nodes: Vec<NodeRecord>,
    outputs: Vec<OutputRecord>,
}

#[derive(Serialize, Deserialize)]
struct NodeRecord {
    op: OpRecord,
    inputs: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct OutputRecord {
    name: String,
    node: u32,
    chunks: ChunkGrid,
}

/// An operation's parameters, in their wire form.
#[derive(Serialize, Deserialize)]
pub(super) enum OpRecord {
    Source {
        kind: String,
        bytes: Bytes,
        dims: Vec<String>,
        chunks: ChunkGrid,
    },
    Memory {
        dtype: DType,
        shape: Vec<usize>,
        bytes: Bytes,
        dims: Vec<String>,
        chunks: ChunkGrid,
    },
    Full {
        value: Const,
        dims: Vec<String>,
        shape: Vec<usize>,
        chunks: ChunkGrid,
    },
    Slice {
        index: Vec<AxisIndex>,
    },
    Broadcast {
        axes: Vec<Option<usize>>,
        dims: Vec<String>,
        shape: Vec<usize>,
    },
    Rechunk {
        chunks: ChunkGrid,
    },
    Elementwise {
        func: Func,
        args: Vec<Arg>,
    },
    Fused {
        program: Program,
    },
    Pick {
        output: usize,
    },
    Regional {
        regional: Regional,
    },
    Materialize {
        chunks: ChunkGrid,
    },
    Regrid {
        kind: String,
        bytes: Bytes,
    },
}

/// Bytes as one CBOR byte string, rather than a list of numbers.
pub(super) struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|error| Error::Bug(error.to_string()))?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    ciborium::from_reader(bytes).map_err(|error| Error::Wire(error.to_string()))
}

impl OpRecord {
    pub(super) fn of(node: &Node) -> Result<OpRecord> {
        let schema = node.schema();
        let dims = || schema.dims.to_vec();
        Ok(match node.op() {
            Op::Source(source) => OpRecord::Source {
                kind: source.kind().to_owned(),
                bytes: Bytes(source.encode().map_err(|error| {
                    Error::Unsupported(format!(
                        "the source `{}` cannot be sent or hashed: {error}",
                        source.describe()
                    ))
                })?),
                dims: dims(),
                chunks: schema.chunks.clone(),
            },
            Op::Memory(array) => OpRecord::Memory {
                dtype: array.dtype,
                shape: array.shape.clone(),
                bytes: Bytes(array.data.to_vec()),
                dims: dims(),
                chunks: schema.chunks.clone(),
            },
            Op::Full(value) => OpRecord::Full {
                value: *value,
                dims: dims(),
                shape: schema.shape.to_vec(),
                chunks: schema.chunks.clone(),
            },
            Op::Slice(index) => OpRecord::Slice {
                index: index.clone(),
            },
            Op::Broadcast(axes) => OpRecord::Broadcast {
                axes: axes.clone(),
                dims: dims(),
                shape: schema.shape.to_vec(),
            },
            Op::Rechunk => OpRecord::Rechunk {
                chunks: schema.chunks.clone(),
            },
            Op::Elementwise { func, args } => OpRecord::Elementwise {
                func: *func,
                args: args.clone(),
            },
            Op::Fused(program) => OpRecord::Fused {
                program: (**program).clone(),
            },
            Op::Pick(output) => OpRecord::Pick { output: *output },
            Op::Regional(Regional::Custom(custom)) => {
                return Err(Error::Unsupported(format!(
                    "{custom:?} is a function of this program and cannot be sent or stored; compute it here, and send what it gives"
                )));
            }
            Op::Regional(Regional::Regrid(regrid)) => OpRecord::Regrid {
                kind: regrid.kind().to_owned(),
                bytes: Bytes(regrid.bytes().to_vec()),
            },
            Op::Regional(regional) => OpRecord::Regional {
                regional: regional.clone(),
            },
            Op::Materialize => OpRecord::Materialize {
                chunks: schema.chunks.clone(),
            },
        })
    }

    fn node(self, inputs: Vec<NodeRef>, codec: &SourceCodec) -> Result<NodeRef> {
        let only = |inputs: &[NodeRef]| match inputs {
            [input] => Ok(Arc::clone(input)),
            _ => Err(Error::Wire(format!(
                "{} inputs where there is one",
                inputs.len()
            ))),
        };
        match self {
            OpRecord::Source {
                kind,
                bytes,
                dims,
                chunks,
            } => Node::source(codec.decode(&kind, &bytes.0)?, dims.into(), chunks),
            OpRecord::Memory {
                dtype,
                shape,
                bytes,
                dims,
                chunks,
            } => {
                let array = MemoryArray::new(dtype, shape, Buffer::from_slice(&bytes.0)?)?;
                Node::memory(Arc::new(array), dims.into(), chunks)
            }
            OpRecord::Full {
                value,
                dims,
                shape,
                chunks,
            } => {
                let dtype = value.dtype();
                let like = Schema {
                    dims: dims.into(),
                    shape: shape.into(),
                    dtype,
                    chunks,
                };
                Node::full(value, &like)
            }
            OpRecord::Slice { index } => Node::slice(&only(&inputs)?, index),
            OpRecord::Broadcast { axes, dims, shape } => {
                Node::broadcast(&only(&inputs)?, axes, dims.into(), shape.into())
            }
            OpRecord::Rechunk { chunks } => Node::rechunk(&only(&inputs)?, chunks),
            OpRecord::Elementwise { func, args } => Node::elementwise(func, args, inputs),
            OpRecord::Fused { program } => Node::fused(Arc::new(program.checked()?), inputs),
            OpRecord::Pick { output } => Node::pick(&only(&inputs)?, output),
            OpRecord::Regional { regional } => Node::regional(regional, inputs),
            OpRecord::Materialize { chunks } => Node::materialize(&only(&inputs)?, chunks),
            OpRecord::Regrid { kind, bytes } => {
                let regrid = Regrid::new(codec.decode_planes(&kind, &bytes.0)?)?;
                Node::regional(Regional::Regrid(regrid), inputs)
            }
        }
        .map_err(|error| match error {
            Error::Bug(message) => Error::Wire(message),
            other => other,
        })
    }
}

impl Plan {
    /// The plan as bytes, for another process or for later.
    ///
    /// # Errors
    /// A source that cannot travel.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let order = topological(self.outputs().iter().map(Output::node));
        let number = |number: usize| {
            u32::try_from(number).map_err(|_| Error::Unsupported("4294967296 nodes".to_owned()))
        };
        let mut numbers: HashMap<*const Node, u32> = HashMap::with_capacity(order.len());
        let mut nodes = Vec::with_capacity(order.len());
        for (i, node) in order.iter().enumerate() {
            let inputs = node
                .inputs()
                .iter()
                .map(|input| numbers[&Arc::as_ptr(input)])
                .collect();
            nodes.push(NodeRecord {
                op: OpRecord::of(node)?,
                inputs,
            });
            numbers.insert(Arc::as_ptr(node), number(i)?);
        }
        let outputs = self
            .outputs()
            .iter()
            .map(|output| OutputRecord {
                name: output.name().to_owned(),
                node: numbers[&Arc::as_ptr(output.node())],
                chunks: output.chunks().clone(),
            })
            .collect();
        encode(&PlanRecord {
            format: "datacube plan".to_owned(),
            version: VERSION,
            nodes,
            outputs,
        })
    }

    /// The plan that [`Plan::to_bytes`] wrote; `codec` rebuilds its sources.
    ///
    /// # Errors
    /// Bytes that are no plan, a plan of another version, a kind of source
    /// that `codec` does not know.
    pub fn from_bytes(bytes: &[u8], codec: &SourceCodec) -> Result<Plan> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head = decode(bytes)?;
        if head.format != "datacube plan" || head.version != VERSION {
            return Err(Error::Wire(format!(
                "it is `{}` version {}, and this program reads `datacube plan` version {VERSION}",
                head.format, head.version
            )));
        }
        let record: PlanRecord = decode(bytes)?;
        let mut nodes: Vec<NodeRef> = Vec::with_capacity(record.nodes.len());
        let find = |nodes: &[NodeRef], number: u32| {
            let node = nodes.get(number as usize).map(Arc::clone);
            node.ok_or_else(|| Error::Wire(format!("node {number} is used before it is stated")))
        };
        for node in record.nodes {
            let inputs = node
                .inputs
                .iter()
                .map(|&number| find(&nodes, number))
                .collect::<Result<_>>()?;
            nodes.push(node.op.node(inputs, codec)?);
        }
        let outputs = record
            .outputs
            .into_iter()
            .map(|output| Output::new(output.name, &find(&nodes, output.node)?, output.chunks))
            .collect::<Result<Vec<_>>>()?;
        Plan::new(outputs)
    }
}
