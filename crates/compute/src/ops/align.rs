//! Bringing arrays onto the same pixels: dimensions by name, indexes equal.
//!
//! Dimensions match by name whatever their order; one that an array lacks is
//! repeated. Along a shared dimension the pixels whose labels all arrays have
//! meet, in the order of the first array.
//! DIFFERENCE: arrays of which no label is the same are an error; xarray gives
//! an empty array, silently, where two grids are a hair apart.

use std::sync::Arc;

use crate::array::DataArray;
use crate::coords::{Coords, Join, misaligned};
use crate::error::{Error, Result};
use crate::plan::{Node, NodeRef};

/// Arrays on the same pixels.
pub(super) struct Aligned {
    /// The arrays' nodes, broadcast to one shape.
    pub(super) nodes: Vec<NodeRef>,
    /// The coordinates of a result.
    pub(super) coords: Coords,
}

/// The arrays on the pixels that all of them have; dimensions come in the order
/// in which they are met.
pub(super) fn align_inner(operation: &'static str, arrays: &[&DataArray]) -> Result<Aligned> {
    if labels_agree(arrays) {
        return align(operation, arrays);
    }
    let joined = crate::array::align(arrays, Join::Inner)?;
    for (array, before) in joined.iter().zip(arrays) {
        let lost = array.dims().iter().zip(array.shape()).zip(before.shape());
        for ((dim, &len), &before) in lost {
            if len == 0 && before > 0 {
                let mut coords = arrays
                    .iter()
                    .filter_map(|array| array.coords().index_of(dim));
                if let Some(first) = coords.next()
                    && let Some(other) = coords.find(|other| !first.same_labels(other))
                    && !other.is_empty()
                {
                    return Err(misaligned(operation, dim, first, other));
                }
            }
        }
    }
    align(operation, &joined.iter().collect::<Vec<_>>())
}

/// Whether no index of one array differs from that of another.
fn labels_agree(arrays: &[&DataArray]) -> bool {
    arrays.iter().enumerate().all(|(number, array)| {
        array.dims().iter().all(|dim| {
            let own = array.coords().index_of(dim);
            let others = arrays[..number].iter();
            others
                .filter_map(|other| other.coords().index_of(dim))
                .all(|other| own.is_none_or(|own| own.same_labels(other)))
        })
    })
}

/// The arrays on the pixels of all of them, whose labels have to be the same;
/// dimensions come in the order in which they are met.
pub(super) fn align(operation: &'static str, arrays: &[&DataArray]) -> Result<Aligned> {
    let [first, rest @ ..] = arrays else {
        return Err(Error::Bug("nothing to align".to_owned()));
    };
    let mut dims: Vec<String> = first.dims().to_vec();
    let mut shape: Vec<usize> = first.shape().to_vec();
    let mut coords = first.coords().clone();
    for array in rest {
        coords = coords.merge(array.coords(), operation)?;
        for (dim, &len) in array.dims().iter().zip(array.shape()) {
            match dims.iter().position(|known| known == dim) {
                None => {
                    dims.push(dim.clone());
                    shape.push(len);
                }
                Some(axis) if shape[axis] != len => {
                    return Err(Error::Misaligned {
                        operation,
                        dim: dim.clone(),
                        difference: format!("{} and {len} pixels", shape[axis]),
                    });
                }
                Some(_) => {}
            }
        }
    }
    let dims: Arc<[String]> = dims.into();
    let shape: Arc<[usize]> = shape.into();
    let nodes = arrays
        .iter()
        .map(|array| {
            let axes = dims
                .iter()
                .map(|dim| array.dims().iter().position(|own| own == dim))
                .collect();
            Node::broadcast(array.node(), axes, Arc::clone(&dims), Arc::clone(&shape))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Aligned { nodes, coords })
}
