//! The text of arrays and cubes, in xarray's order and words.

use std::fmt::Write;

use indexmap::IndexMap;

use super::{binary_bytes, decimal_bytes, tuple, values};
use crate::array::DataArray;
use crate::attrs::{Attrs, attr_text};
use crate::coords::{Coord, CoordValues, Coords};
use crate::cube::Cube;

/// Width of the column of names.
const NAMES: usize = 12;
/// A line of coordinates or attributes is cut here.
const WIDTH: usize = 100;

pub(crate) fn cube_text(cube: &Cube) -> String {
    let mut out = format!("<datacube.Cube> Size: {}\n", decimal_bytes(cube.nbytes()));
    let _ = writeln!(out, "{:13}({})", "Dimensions:", sizes(&cube.dims()));
    coords_text(&mut out, cube.coords());
    out.push_str("Data variables:\n");
    if cube.is_empty() {
        out.push_str("    *empty*\n");
    }
    for (name, array) in cube.variables() {
        let _ = writeln!(
            out,
            "    {name:NAMES$} ({}) {} {} {}",
            array.dims().join(", "),
            array.dtype(),
            decimal_bytes(array.nbytes()),
            one_line(array)
        );
    }
    attrs_text(&mut out, cube.attrs());
    error_text(&mut out, cube.error());
    out.trim_end().to_owned()
}

pub(crate) fn array_text(array: &DataArray) -> String {
    let name = array
        .name()
        .map(|name| format!(" '{name}'"))
        .unwrap_or_default();
    let dims: Vec<String> = array
        .dims()
        .iter()
        .zip(array.shape())
        .map(|(dim, len)| format!("{dim}: {len}"))
        .collect();
    let mut out = format!(
        "<datacube.DataArray{name} ({})> Size: {}\n",
        dims.join(", "),
        decimal_bytes(array.nbytes())
    );
    match array.memory() {
        Ok(pixels) => {
            let _ = writeln!(out, "{}, dtype={}", values::block(pixels), array.dtype());
        }
        Err(_) => {
            for (key, whole, chunk) in lazy_table(array) {
                let _ = match chunk {
                    Some(chunk) => writeln!(out, "{key:12}{whole} in chunks of {chunk}"),
                    None => writeln!(out, "{key:12}{whole}"),
                };
            }
        }
    }
    coords_text(&mut out, array.coords());
    attrs_text(&mut out, array.attrs());
    error_text(&mut out, array.error());
    out.trim_end().to_owned()
}

/// What there is to say about a lazy array: of the whole, and of a chunk.
pub(super) fn lazy_table(array: &DataArray) -> Vec<(&'static str, String, Option<String>)> {
    let grid = array.chunks();
    let chunk = grid.chunk_shape();
    let chunk_bytes = (chunk.iter().product::<usize>() * array.dtype().size()) as u64;
    let nodes = array.plan().map_or(0, |plan| plan.nodes().len());
    vec![
        (
            "Bytes",
            binary_bytes(array.nbytes()),
            Some(binary_bytes(chunk_bytes)),
        ),
        ("Shape", tuple(array.shape()), Some(tuple(&chunk))),
        (
            "Chunks",
            format!(
                "{}, made by a plan of {nodes} {}",
                grid.n_chunks(),
                if nodes == 1 { "node" } else { "nodes" }
            ),
            None,
        ),
        ("Type", array.dtype().to_string(), None),
    ]
}

fn one_line(array: &DataArray) -> String {
    match array.memory() {
        Ok(pixels) => values::ends(pixels, 2),
        Err(_) => format!("lazy<chunks={}>", tuple(&array.chunks().chunk_shape())),
    }
}

fn sizes(dims: &IndexMap<String, usize>) -> String {
    dims.iter()
        .map(|(dim, len)| format!("{dim}: {len}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn coords_text(out: &mut String, coords: &Coords) {
    if coords.is_empty() {
        return;
    }
    out.push_str("Coordinates:\n");
    for (name, coord) in coords.iter() {
        let index = if coord.dim() == Some(name) { '*' } else { ' ' };
        let dim = coord
            .dim()
            .map(|dim| format!("({dim}) "))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "  {index} {name:NAMES$} {dim}{} {} {}",
            coord.values().type_name(),
            decimal_bytes(coord.values().nbytes()),
            labels(coord, 3)
        );
    }
}

/// The first and the last labels.
pub(super) fn labels(coord: &Coord, each: usize) -> String {
    let days = matches!(coord.values(), CoordValues::Time(times)
        if times.iter().all(|&time| crate::coords::time::is_midnight(time)));
    let one = |i: usize| match coord.values() {
        CoordValues::Float(values) => number(values[i]),
        values => {
            let text = values.get(i).to_string();
            if days {
                text.split('T').next().unwrap_or_default().to_owned()
            } else {
                text
            }
        }
    };
    let show = |range: std::ops::Range<usize>| range.map(one).collect::<Vec<_>>().join(" ");
    let n = coord.len();
    if n <= 2 * each {
        show(0..n)
    } else {
        format!("{} ... {}", show(0..each), show(n - each..n))
    }
}

/// Positions keep their digits: metres to the millimetre, degrees to 1e-9.
fn number(value: f64) -> String {
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if value.is_finite() {
        text.to_owned()
    } else {
        values::float(value)
    }
}

fn attrs_text(out: &mut String, attrs: &Attrs) {
    if attrs.is_empty() {
        return;
    }
    out.push_str("Attributes:\n");
    let width = attrs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, value) in attrs.iter() {
        let value = attr_text(value);
        let _ = writeln!(
            out,
            "    {name:width$}  {}",
            shortened(&value, WIDTH - width.min(40))
        );
    }
}

fn error_text(out: &mut String, error: Option<&crate::error::Error>) {
    if let Some(error) = error {
        let _ = writeln!(out, "Error: {error}");
    }
}

/// The text on one line of at most `width` characters.
pub(super) fn shortened(text: &str, width: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let mut cut: String = line.chars().take(width.saturating_sub(3)).collect();
    cut.push_str("...");
    cut
}
