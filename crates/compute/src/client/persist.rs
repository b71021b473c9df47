//! `persist`: a cube that is being computed and can be used already.

use std::fmt;
use std::sync::Arc;

use datacube_model::DType;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::future::Future;
use crate::array::DataArray;
use crate::chunks::{ChunkSize, Chunks};
use crate::cube::Cube;
use crate::error::Result;
use crate::region::{Region, c_strides};
use crate::source::{ChunkSource, Cost, Fetched, ReadStats, SourceError};

/// One variable of a cube that is being computed.
struct Persisted {
    cube: Future<Cube>,
    name: String,
    shape: Vec<usize>,
    dtype: DType,
}

/// The cube that `future` will be, lazily: what uses it waits for it.
pub(super) fn persisted(cube: &Cube, future: &Future<Cube>) -> Result<Cube> {
    let mut variables = Vec::new();
    for (name, array) in cube.variables() {
        let source = Persisted {
            cube: future.clone(),
            name: name.to_owned(),
            shape: array.shape().to_vec(),
            dtype: array.dtype(),
        };
        let chunks = array.dims().iter().zip(array.chunks().axes());
        let chunks = Chunks::new(
            chunks.map(|(dim, axis)| (dim.clone(), ChunkSize::Sizes(axis.sizes().collect()))),
        );
        let lazy = DataArray::from_source(
            array.name().unwrap_or(name),
            array.dims(),
            array.coords().clone(),
            array.attrs().clone(),
            Arc::new(source),
            &chunks,
        )?;
        variables.push((name.to_owned(), lazy));
    }
    Ok(Cube::new(variables)?.with_attrs(cube.attrs().clone()))
}

impl ChunkSource for Persisted {
    fn kind(&self) -> &'static str {
        "client.persisted"
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        Err(SourceError::message(format!(
            "`{}` is persisted in the memory of this process and cannot travel; write it to a file",
            self.name
        )))
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn project(&self, _: &Region) -> Cost {
        Cost::default()
    }

    fn fetch(&self, _: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        let (cube, name) = (self.cube.clone(), self.name.clone());
        async move {
            let cube = cube.await.map_err(SourceError::new)?;
            let array = cube.get(&name).map_err(SourceError::new)?.clone();
            Ok(Fetched::local(array))
        }
        .boxed()
    }

    fn decode(
        &self,
        region: &Region,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError> {
        let array = fetched.take::<DataArray>()?;
        let memory = array.memory().map_err(SourceError::new)?;
        let size = self.dtype.size();
        let strides = c_strides(&self.shape);
        let shape = region.shape();
        let row = shape.last().copied().unwrap_or(1) * size;
        if row == 0 {
            return Ok(ReadStats::default());
        }
        let starts = region.ranges().iter().zip(&strides);
        let first: usize = starts.map(|(range, stride)| range.start * stride).sum();
        let outer = shape.len().saturating_sub(1);
        let mut index = vec![0; outer];
        for to in out.chunks_exact_mut(row) {
            let offset: usize = index
                .iter()
                .zip(&strides)
                .map(|(i, stride)| i * stride)
                .sum();
            to.copy_from_slice(&memory.data[(first + offset) * size..][..row]);
            for axis in (0..outer).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(ReadStats::default())
    }

    fn describe(&self) -> String {
        format!("persisted {}", self.name)
    }
}

impl fmt::Debug for Persisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persisted({}, {})", self.name, self.cube)
    }
}
