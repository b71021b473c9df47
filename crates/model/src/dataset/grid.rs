//! The grids of a dataset: shape and transform, named.

use datacube_geo::{Affine, Crs, GeoBox, Shape2d};
use indexmap::IndexMap;

use crate::Number;
use crate::document::{Node, Problem, ProblemKind};

/// Reads `grids`; one called `default` has to be there.
pub(super) fn read(node: &Node<'_>, crs: Option<&Crs>) -> Option<IndexMap<String, GeoBox>> {
    let n_grids = node.map()?.len();
    if node.get("default").is_none() {
        let problem = Problem::new(
            node.path.key("default"),
            ProblemKind::Missing,
            "a grid called `default`",
        );
        let names: Vec<&str> = node.entries().map(|(name, _)| name).collect();
        let problem = if names.is_empty() {
            problem
        } else {
            problem.found_text(format!("grids {}", names.join(", ")))
        };
        node.report().problem(problem);
    }
    let grids: IndexMap<String, GeoBox> = node
        .entries()
        .filter_map(|(name, node)| Some((name.to_owned(), grid(&node, crs)?)))
        .collect();
    (grids.len() == n_grids && grids.contains_key("default")).then_some(grids)
}

fn grid(node: &Node<'_>, crs: Option<&Crs>) -> Option<GeoBox> {
    node.map()?;
    let shape = node
        .require("shape", "[rows, columns]")
        .and_then(|node| shape(&node));
    let transform = node
        .require("transform", "6 or 9 numbers, row by row")
        .and_then(|node| transform(&node));
    let (shape, transform) = (shape?, transform?);
    match GeoBox::new(shape, transform, crs.cloned()) {
        Ok(geobox) => Some(geobox),
        Err(error) => {
            let expected = "a shape and a transform that make a grid";
            node.report()
                .problem(node.problem(ProblemKind::BadValue, expected).cause(error));
            None
        }
    }
}

fn shape(node: &Node<'_>) -> Option<Shape2d> {
    let sizes = node.list()?;
    let [rows, cols] = sizes.as_slice() else {
        node.fault(ProblemKind::BadValue, "two sizes, [rows, columns]");
        return None;
    };
    let [rows, cols] = [rows, cols].map(size);
    Some(Shape2d {
        rows: rows?,
        cols: cols?,
    })
}

/// A number of pixels. Some writers put a decimal point after it.
fn size(node: &Node<'_>) -> Option<usize> {
    let size = match node.number()? {
        Number::Int(value) => usize::try_from(value).ok(),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and small"
        )]
        Number::Float(value) if value.fract() == 0.0 && (0.0..9e15).contains(&value) => {
            Some(value as usize)
        }
        Number::Float(_) => None,
    };
    let size = size.filter(|size| *size > 0);
    if size.is_none() {
        node.fault(ProblemKind::BadValue, "a whole number of pixels above 0");
    }
    size
}

fn transform(node: &Node<'_>) -> Option<Affine> {
    let numbers: Vec<f64> = node.numbers()?.into_iter().map(Number::as_f64).collect();
    let affine = match numbers.as_slice() {
        [a, b, c, d, e, f] | [a, b, c, d, e, f, 0.0, 0.0, 1.0] => {
            Affine::new(*a, *b, *c, *d, *e, *f)
        }
        [_, _, _, _, _, _, _, _, _] => {
            node.fault(
                ProblemKind::BadValue,
                "0, 0, 1 as the last three of 9 numbers",
            );
            return None;
        }
        _ => {
            node.fault(
                ProblemKind::BadValue,
                format!("6 or 9 numbers, not {}", numbers.len()),
            );
            return None;
        }
    };
    if let Err(error) = affine.inverse() {
        let expected = "a transform that can be inverted, so that each place has one pixel";
        node.report()
            .problem(node.problem(ProblemKind::BadValue, expected).cause(error));
        return None;
    }
    Some(affine)
}
