//! Lazy labelled arrays, plans and the engines that run them.
//!
//! A [`Cube`] is named measurements over shared coordinates, a [`DataArray`] one
//! of them. Both are lazy: operators write down a [`Plan`], an immutable graph
//! of plain nodes that can be printed, hashed, sent and optimised, and nothing
//! is read until `compute()` hands the plan to an [`Engine`].
//!
//! Where pixels come from is a [`ChunkSource`]; where they go is a
//! [`ChunkSink`]. Nothing here knows satellites, map projections or files.
//!
//! ```
//! use datacube_compute::{Coord, Coords, Cube, DataArray};
//! let coords = Coords::from([("x", Coord::float("x", vec![15.0, 45.0]))]);
//! let red = DataArray::from_values("red", &["x"], &[2], vec![1000u16, 0], coords.clone())?;
//! let nir = DataArray::from_values("nir", &["x"], &[2], vec![3000u16, 9], coords)?;
//! let cube = Cube::new([("red", red), ("nir", nir)])?;
//! let (red, nir) = (cube.get("red")?, cube.get("nir")?);
//! let clear = red.gt(0);
//! let (red, nir) = (red.where_(&clear), nir.where_(&clear));
//! let ndvi = ((&nir - &red) / (&nir + &red)).compute()?;
//! assert_eq!(ndvi.to_vec::<f32>()?[0], 0.5);
//! assert!(ndvi.to_vec::<f32>()?[1].is_nan());
//! # Ok::<(), datacube_compute::Error>(())
//! ```

mod array;
mod attrs;
mod buffer;
mod chunks;
pub mod client;
mod coords;
mod copies;
mod cube;
mod engine;
mod error;
mod exec;
mod expr;
mod index;
mod indices;
pub mod kernels;
pub mod local;
mod masking;
pub mod observe;
mod ops;
pub mod optimize;
pub mod plan;
mod program;
mod reduce;
mod region;
pub mod regional;
pub mod repr;
mod serial;
mod sink;
mod source;
mod value;
mod visualize;

pub use array::{
    Coarsened, Compute, DataArray, Dims, DropNa, Gaps, Grouped, Operand, Origin, Reduction,
    Reindex, Resample, Rolling, Side, align, concat,
};
pub use attrs::Attrs;
pub use buffer::{ALIGNMENT, Buffer, Pool};
pub use chunks::{AUTO_CHUNK_BYTES, AxisChunks, ChunkGrid, ChunkSize, Chunks};
pub use client::{
    Client, Future, ReturnWhen, Status, as_completed, default_client, gather, progress, wait,
};
pub use coords::{Coord, CoordLabel, CoordValue, CoordValues, Coords, Join, Select};
pub use copies::{Copied, OtherCopy};
pub use cube::{Cube, CubeCoarsened, CubeGrouped, CubeOperand, CubeRolling};
pub use engine::{CancelToken, Engine, Job, default_engine, set_default_engine};
pub use error::{
    CallError, CallFailure, Error, Result, SharedError, TaskError, TaskFailure, TooLarge,
};
pub use expr::Expression;
pub use index::{AxisIndex, Index};
pub use indices::{IndexOptions, SpectralIndex};
pub use local::{ClusterWatch, LocalCluster, MemoryLimit};
pub use masking::{Category, IntoMaskRequest};
pub use observe::{Event, NotebookProgress, Observer, PerformanceReport, ProgressBar, RunReport};
pub use optimize::optimize;
pub use plan::{Output, Plan};
pub use program::{Program, Step};
pub use reduce::ReduceOp;
pub use region::Region;
pub use serial::Serial;
pub use sink::{ChunkSink, MemorySink, SinkError, WriteOrder};
pub use source::{ChunkSource, Cost, Fetched, ReadStats, SourceCodec, SourceError};
pub use value::{Const, Pixel, Scalar};
pub use visualize::{BoxKind, Graph, GraphBox, Svg};
