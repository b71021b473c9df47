//! Bringing arrays onto the same pixels: dimensions by name, indexes equal.
//!
//! Dimensions match by name whatever their order; one that an array lacks is
//! repeated. Along a shared dimension the labels have to be the same.

use std::sync::Arc;

use crate::array::DataArray;
use crate::coords::Coords;
use crate::error::{Error, Result};
use crate::plan::{Node, NodeRef};

/// Arrays on the same pixels.
pub(super) struct Aligned {
    /// The arrays' nodes, broadcast to one shape.
    pub(super) nodes: Vec<NodeRef>,
    /// The coordinates of a result.
    pub(super) coords: Coords,
}

/// The arrays on the pixels of all of them; dimensions come in the order in
/// which they are met.
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
