//! `View`: which pixel of a leaf stands behind each pixel of an array.
//!
//! Slices and broadcasts, however many, come down to one view of what is read:
//! for each axis of the leaf, the axis of the array that it follows and the
//! positions along it.

use std::sync::Arc;

use crate::error::Result;
use crate::index::AxisIndex;
use crate::plan::{Node, NodeRef, Op};

/// How an array looks at a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    /// For each axis of the leaf.
    pub(crate) axes: Vec<AxisView>,
}

/// How an array looks along one axis of a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AxisView {
    /// The axis of the array; `None` for a single position.
    pub(crate) out: Option<usize>,
    /// The positions.
    pub(crate) index: AxisIndex,
}

impl View {
    /// The array is the leaf.
    pub(crate) fn identity(shape: &[usize]) -> View {
        let axes = shape.iter().enumerate();
        View {
            axes: axes
                .map(|(axis, &len)| AxisView {
                    out: Some(axis),
                    index: AxisIndex::whole(len),
                })
                .collect(),
        }
    }

    /// Looks through a slice at what was sliced.
    pub(crate) fn through_slice(&self, slice: &[AxisIndex]) -> View {
        let mut kept = self.axes.iter();
        let axes = slice
            .iter()
            .map(|index| match index {
                AxisIndex::At(_) => AxisView {
                    out: None,
                    index: index.clone(),
                },
                _ => {
                    let axis = kept
                        .next()
                        .expect("a view has an axis for each that is kept");
                    AxisView {
                        out: axis.out,
                        index: index.then(&axis.index),
                    }
                }
            })
            .collect();
        View { axes }
    }

    /// Looks through a broadcast at what was repeated or reordered; `rank` is
    /// the input's.
    pub(crate) fn through_broadcast(&self, axes: &[Option<usize>], rank: usize) -> View {
        let mut found: Vec<Option<AxisView>> = vec![None; rank];
        for (to, axis) in axes.iter().enumerate() {
            if let Some(axis) = axis {
                found[*axis] = Some(self.axes[to].clone());
            }
        }
        let axes = found
            .into_iter()
            .map(|axis| axis.expect("a broadcast uses every axis"));
        View {
            axes: axes.collect(),
        }
    }

    /// Looks through slices, broadcasts and re-chunking to the node below.
    pub(crate) fn descend(node: &NodeRef) -> (View, NodeRef) {
        let mut view = View::identity(&node.schema().shape);
        let mut node = Arc::clone(node);
        loop {
            view = match node.op() {
                Op::Slice(index) => view.through_slice(index),
                Op::Broadcast(axes) => {
                    view.through_broadcast(axes, node.inputs()[0].schema().shape.len())
                }
                Op::Rechunk => view,
                _ => return (view, node),
            };
            let below = Arc::clone(&node.inputs()[0]);
            node = below;
        }
    }

    /// The nodes that show `leaf` so: a slice, then a broadcast, as far as they
    /// are needed, to an array of `dims` and `shape`.
    pub(crate) fn show(
        &self,
        leaf: &NodeRef,
        dims: &Arc<[String]>,
        shape: &Arc<[usize]>,
    ) -> Result<NodeRef> {
        let index = self.axes.iter().map(|axis| match axis.out {
            Some(_) => axis.index.clone(),
            None => AxisIndex::At(axis.index.get(0)),
        });
        let sliced = Node::slice(leaf, index.collect())?;
        let kept: Vec<usize> = self.axes.iter().filter_map(|axis| axis.out).collect();
        let axes = (0..shape.len())
            .map(|axis| kept.iter().position(|&out| out == axis))
            .collect();
        Node::broadcast(&sliced, axes, Arc::clone(dims), Arc::clone(shape))
    }

    /// The positions along each axis of the leaf that some positions of the
    /// array look at.
    pub(crate) fn positions(&self, want: &[AxisIndex]) -> Vec<AxisIndex> {
        self.axes
            .iter()
            .map(|axis| match axis.out {
                Some(out) => axis.index.then(&want[out]),
                None => AxisIndex::At(axis.index.get(0)),
            })
            .collect()
    }
}
