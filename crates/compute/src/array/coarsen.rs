//! Groups of neighbouring pixels: `coarsen`.

use std::sync::Arc;

use super::DataArray;
use super::group::reductions;
use super::reduce::{Reduction, reduced_attrs};
use crate::coords::{Coord, CoordValues};
use crate::error::{Error, Result};
use crate::plan::Node;
use crate::reduce::{Groups, ReduceOp, Role};
use crate::regional::Regional;

impl DataArray {
    /// Groups of neighbours: so many pixels along each of some dimensions come
    /// to one. What does not fill a group at the end is left out. Coordinates
    /// become the mean of their group.
    ///
    /// # Errors
    /// No such dimension, a group of no pixels or of more than there are, or the
    /// misuse that the array carries.
    pub fn coarsen(&self, sizes: &[(&str, usize)]) -> Result<Coarsened> {
        self.check()?;
        let mut roles = vec![Role::Keep; self.ndim()];
        for (dim, size) in sizes {
            let axis = self.axis(dim)?;
            let len = self.shape()[axis];
            if *size == 0 || *size > len {
                return Err(Error::Invalid(format!(
                    "groups of {size} pixels along `{dim}`, which has {len}"
                )));
            }
            roles[axis] = Role::Group(Groups::Every {
                size: *size,
                count: len / size,
            });
        }
        Ok(Coarsened {
            array: self.clone(),
            roles,
        })
    }
}

/// Groups of neighbours, from [`DataArray::coarsen`].
#[derive(Clone, Debug)]
pub struct Coarsened {
    array: DataArray,
    roles: Vec<Role>,
}

impl Coarsened {
    /// What the pixels of each group come to.
    ///
    /// # Errors
    /// Options that do not belong to the reduction, or one that needs positions
    /// along several dimensions.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "means of coordinates"
    )]
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<DataArray> {
        let reduction = reduction.into();
        let op = reduction.op();
        let grouped = self
            .roles
            .iter()
            .filter(|role| **role != Role::Keep)
            .count();
        if op.is_positional() && grouped != 1 {
            return Err(Error::Invalid(format!(
                "`{}` over {grouped} dimensions; coarsen one",
                op.name()
            )));
        }
        let array = &self.array;
        let reduce = reduction.of_roles(self.roles.clone())?;
        let node = Node::regional(Regional::Reduce(reduce), vec![Arc::clone(array.node())])?;
        let mut coords = array.coords().clone();
        for (axis, role) in self.roles.iter().enumerate() {
            let Role::Group(Groups::Every { size, count }) = role else {
                continue;
            };
            let dim = &array.dims()[axis];
            let along: Vec<(String, Coord)> = (coords.iter())
                .filter(|(_, coord)| coord.dim() == Some(dim))
                .map(|(name, coord)| (name.to_owned(), coord.clone()))
                .collect();
            for (name, coord) in along {
                let values = match coord.values() {
                    CoordValues::Float(values) => CoordValues::Float(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| few.iter().sum::<f64>() / *size as f64)
                            .collect(),
                    ),
                    CoordValues::Time(values) => CoordValues::Time(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| {
                                let sum: i128 = few.iter().map(|&at| i128::from(at)).sum();
                                (sum / *size as i128) as i64
                            })
                            .collect(),
                    ),
                    CoordValues::Int(values) => CoordValues::Float(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| few.iter().map(|&at| at as f64).sum::<f64>() / *size as f64)
                            .collect(),
                    ),
                    CoordValues::Text(_) => {
                        coords.remove(&name);
                        continue;
                    }
                };
                coords.insert(
                    name,
                    Coord::new(dim, values).with_attrs(coord.attrs().clone()),
                );
            }
        }
        let attrs = reduced_attrs(op, array, node.schema().dtype);
        Ok(array.with_node(node, coords, attrs))
    }
}

reductions! {
    Coarsened:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, median: Median, mode: Mode,
}
