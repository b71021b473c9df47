//! Selection by position (`isel`) and by label (`sel`).

use super::DataArray;
use crate::coords::Select;
use crate::error::{Error, Result};
use crate::index::{AxisIndex, Index};
use crate::plan::Node;

impl DataArray {
    /// The pixels at `index` along `dim`, counted as numpy counts: a number
    /// takes the dimension away, ranges and lists keep it, negative numbers
    /// count from the end.
    ///
    /// # Errors
    /// No such dimension, or a position outside it.
    pub fn isel(&self, dim: &str, index: impl Into<Index>) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let index = index.into().resolve(dim, self.shape()[axis])?;
        self.take(axis, index)
    }

    /// The pixels whose label along `dim` is selected.
    ///
    /// # Errors
    /// No such dimension or coordinate, or no such label; the message states
    /// the coordinate's range.
    pub fn sel(&self, dim: &str, select: impl Into<Select>) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let coord = self.coords().index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of {} has no coordinate to select by; use `isel` with positions",
                self.place()
            ))
        })?;
        let index = select.into().resolve(dim, coord)?;
        self.take(axis, index)
    }

    pub(crate) fn take(&self, axis: usize, index: AxisIndex) -> Result<DataArray> {
        let dim = self.dims()[axis].clone();
        let coords = self.coords().take(&dim, &index);
        let all: Vec<AxisIndex> = (0..self.ndim())
            .map(|other| {
                if other == axis {
                    index.clone()
                } else {
                    AxisIndex::whole(self.shape()[other])
                }
            })
            .collect();
        let node = Node::slice(self.node(), all)?;
        Ok(self.with_node(node, coords, self.attrs().clone()))
    }
}
