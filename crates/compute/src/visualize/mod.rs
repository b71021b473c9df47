//! `visualize()`: a plan, or the tasks that it makes, as an SVG picture.
//!
//! A picture that shows everything shows nothing: a plan is cut after some
//! nodes, nearest to its results first, and says how many were left out. Tasks
//! are drawn one by one while they are few; beyond that a box stands for all
//! chunks of a layer and says how many there are.

mod graph;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use graph::{BoxKind, Graph, GraphBox};

use crate::array::DataArray;
use crate::cube::Cube;
use crate::error::{Error, Result};
use crate::plan::{Node, NodeRef, Op, Plan, describe, input_regions};
use crate::repr::{binary_bytes, tuple};

/// Nodes of a plan that are drawn.
const MAX_NODES: usize = 60;
/// Tasks that are drawn one by one, all nodes together.
const MAX_TASKS: usize = 90;
/// Characters of a line.
const MAX_LINE: usize = 44;

/// The boxes of a plan, few enough to be drawn.
pub(crate) type PlanGraph = Graph;

/// A picture; in a notebook it shows itself.
#[derive(Clone, PartialEq)]
pub struct Svg(String);

impl Svg {
    /// The picture as SVG text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes it to a file; gives back the path.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let path = path.as_ref();
        std::fs::write(path, &self.0).map_err(|source| Error::Sink {
            place: format!("the picture {}", path.display()),
            source: Arc::new(source),
        })?;
        Ok(path.to_owned())
    }
}

impl fmt::Debug for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Svg({} bytes)", self.0.len())
    }
}

impl Graph {
    /// The nodes of `plan`: what is read at the bottom, the results on top.
    pub(crate) fn new(plan: &Plan) -> Graph {
        let mut graph = Graph::default();
        let (nodes, left_out) = nearest(plan, MAX_NODES);
        let mut at: HashMap<*const Node, usize> = HashMap::new();
        for node in &nodes {
            let schema = node.schema();
            let shape = format!("{} {}", schema.dtype, tuple(&schema.shape));
            let chunks = count(schema.chunks.n_chunks(), "chunk");
            at.insert(Arc::as_ptr(node), graph.boxes.len());
            graph.boxes.push(GraphBox {
                title: title(node),
                lines: vec![shape, chunks],
                kind: kind(node),
                count: schema.chunks.n_chunks(),
            });
        }
        connect(&mut graph, &nodes, &at);
        let more = (left_out > 0).then(|| {
            graph.boxes.push(GraphBox {
                title: format!("and {}", count(left_out, "more node")),
                lines: Vec::new(),
                kind: BoxKind::More,
                count: left_out,
            });
            graph.boxes.len() - 1
        });
        if let Some(more) = more {
            for node in &nodes {
                if node
                    .inputs()
                    .iter()
                    .any(|i| !at.contains_key(&Arc::as_ptr(i)))
                {
                    graph.edges.push((more, at[&Arc::as_ptr(node)]));
                }
            }
        }
        for output in plan.outputs().iter().take(MAX_NODES / 2) {
            if let Some(&node) = at.get(&Arc::as_ptr(output.node())) {
                graph.boxes.push(GraphBox {
                    title: shortened(output.name()),
                    lines: vec![binary_bytes(output.nbytes())],
                    kind: BoxKind::Output,
                    count: 1,
                });
                graph.edges.push((node, graph.boxes.len() - 1));
            }
        }
        graph
    }

    /// The tasks of `plan`: one by one, or a box for all chunks of a node.
    pub(crate) fn tasks(plan: &Plan) -> Graph {
        let nodes = plan.nodes();
        let tasks: usize = nodes
            .iter()
            .map(|node| node.schema().chunks.n_chunks())
            .fold(0, usize::saturating_add);
        if tasks > MAX_TASKS {
            return Graph::new(plan);
        }
        let mut graph = Graph::default();
        let mut first: HashMap<*const Node, usize> = HashMap::new();
        for node in &nodes {
            let grid = &node.schema().chunks;
            first.insert(Arc::as_ptr(node), graph.boxes.len());
            for chunk in 0..grid.n_chunks() {
                let used = input_regions(node, &grid.region_of(chunk));
                let this = graph.boxes.len();
                for (input, region) in used {
                    let from = first[&Arc::as_ptr(&input)];
                    let others = &input.schema().chunks;
                    for other in 0..others.n_chunks() {
                        if !others.region_of(other).intersect(&region).is_empty() {
                            graph.edges.push((from + other, this));
                        }
                    }
                }
                graph.boxes.push(GraphBox {
                    title: title(node),
                    lines: vec![tuple(&grid.index(chunk))],
                    kind: kind(node),
                    count: 1,
                });
            }
        }
        for output in plan.outputs() {
            let node = first[&Arc::as_ptr(output.node())];
            for chunk in 0..output.node().schema().chunks.n_chunks() {
                let title = &mut graph.boxes[node + chunk].title;
                *title = shortened(&format!("{} = {title}", output.name()));
            }
        }
        graph
    }
}

/// The nodes nearest to the results, inputs before users, and how many more
/// there are.
fn nearest(plan: &Plan, most: usize) -> (Vec<NodeRef>, usize) {
    let all = plan.nodes();
    if all.len() <= most {
        return (all, 0);
    }
    let mut near: HashMap<*const Node, ()> = HashMap::new();
    let mut waiting: std::collections::VecDeque<NodeRef> = plan
        .outputs()
        .iter()
        .map(|output| Arc::clone(output.node()))
        .collect();
    while let Some(node) = waiting.pop_front() {
        if near.len() == most {
            break;
        }
        if near.insert(Arc::as_ptr(&node), ()).is_none() {
            waiting.extend(node.inputs().iter().cloned());
        }
    }
    let total = all.len();
    let kept: Vec<NodeRef> = all
        .into_iter()
        .filter(|node| near.contains_key(&Arc::as_ptr(node)))
        .collect();
    let left_out = total - kept.len();
    (kept, left_out)
}

fn connect(graph: &mut Graph, nodes: &[NodeRef], at: &HashMap<*const Node, usize>) {
    for node in nodes {
        let to = at[&Arc::as_ptr(node)];
        for input in node.inputs() {
            if let Some(&from) = at.get(&Arc::as_ptr(input))
                && !graph.edges.contains(&(from, to))
            {
                graph.edges.push((from, to));
            }
        }
    }
}

fn kind(node: &NodeRef) -> BoxKind {
    match node.op() {
        Op::Source(_) => BoxKind::Source,
        Op::Memory(_) => BoxKind::Memory,
        _ => BoxKind::Function,
    }
}

/// What a node does, without the type and shape that stand below.
fn title(node: &NodeRef) -> String {
    let schema = node.schema();
    let text = describe(node);
    let text = text
        .strip_suffix(&format!(" -> {}", schema.dtype))
        .unwrap_or(&text);
    let tail = format!(" {} {}", schema.dtype, tuple(&schema.shape));
    shortened(text.strip_suffix(&tail).unwrap_or(text))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_LINE {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MAX_LINE - 1).collect();
    cut + "…"
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

impl Plan {
    /// The nodes as a picture, at any size readable: of a large plan those
    /// nearest to the results.
    pub fn visualize(&self) -> Svg {
        Svg(Graph::new(self).svg())
    }

    /// The tasks as a picture: one by one while they are few, else a pile for
    /// all chunks of a node, with their number.
    pub fn visualize_tasks(&self) -> Svg {
        Svg(Graph::tasks(self).svg())
    }
}

impl DataArray {
    /// The tasks that computing would take as they were written down, from
    /// what is read (at the bottom) to the result; `(0, 1, 0)` is the number of
    /// a chunk along each axis. What runs after optimising is
    /// `optimize(&array.plan()?)?.visualize_tasks()`.
    ///
    /// ```
    /// use datacube_compute::{Chunks, Coords, DataArray};
    /// let red = DataArray::from_values("red", &["x"], &[4], vec![1u8; 4], Coords::new())?;
    /// let picture = (red.rechunk(&Chunks::new([("x", 2)]))? + 1).visualize()?;
    /// assert!(picture.as_str().contains("(1,)"));
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// The misuse that the array carries.
    pub fn visualize(&self) -> Result<Svg> {
        Ok(self.plan()?.visualize_tasks())
    }
}

impl Cube {
    /// As [`DataArray::visualize`], of all variables: what they share is drawn
    /// once.
    ///
    /// # Errors
    /// The misuse that the cube carries.
    pub fn visualize(&self) -> Result<Svg> {
        Ok(self.plan()?.visualize_tasks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::Chunks;
    use crate::coords::Coords;

    fn array(name: &str, chunk: usize) -> DataArray {
        let pixels = vec![1u16; 1000];
        DataArray::from_values(name, &["y", "x"], &[10, 100], pixels, Coords::new())
            .unwrap()
            .rechunk(&Chunks::new([("x", chunk)]))
            .unwrap()
    }

    fn ndvi(chunk: usize) -> DataArray {
        let (red, nir) = (array("red", chunk), array("nir", chunk));
        ((&nir - &red) / (&nir + &red)).named("ndvi")
    }

    #[test]
    fn few_tasks_are_drawn_one_by_one() {
        let graph = Graph::tasks(&ndvi(50).plan().unwrap());
        let of = |title: &str| {
            let boxes = graph.boxes.iter();
            boxes
                .filter(|graph_box| graph_box.title.starts_with(title))
                .count()
        };
        assert_eq!(of("ndvi = "), 2, "{graph:?}");
        // Two chunks never meet before the result.
        let svg = graph.svg();
        assert!(svg.contains("(0, 1)") && svg.contains("(0, 0)"));
    }

    #[test]
    fn many_tasks_become_piles_with_their_number() {
        let wide =
            DataArray::from_values("red", &["x"], &[100_000], vec![0u8; 100_000], Coords::new())
                .unwrap();
        let wide = wide.rechunk(&Chunks::new([("x", 1)])).unwrap() + 1;
        let svg = wide.visualize().unwrap();
        assert!(svg.as_str().contains("100000 chunks"), "{}", svg.as_str());
        assert!(svg.as_str().len() < 20_000);
    }

    #[test]
    fn a_long_plan_is_cut_and_says_so() {
        let mut array = array("red", 100);
        for _ in 0..500 {
            array = array + 1;
        }
        let plan = array.plan().unwrap();
        let graph = Graph::new(&plan);
        let more = graph
            .boxes
            .iter()
            .find(|b| b.kind == BoxKind::More)
            .unwrap();
        let all = plan.nodes().len();
        assert_eq!(more.title, format!("and {} more nodes", all - MAX_NODES));
        assert!(plan.visualize().as_str().len() < 100_000);
    }
}
