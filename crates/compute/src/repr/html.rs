//! HTML of arrays and cubes for notebooks: one table each, sections that fold,
//! no scripts, every text escaped.

use std::fmt::Write;

use super::chunk_picture::chunk_picture;
use super::text::{labels, lazy_table, shortened};
use super::{binary_bytes, values};
use crate::array::DataArray;
use crate::attrs::{Attrs, attr_text};
use crate::coords::Coords;
use crate::cube::Cube;

pub(super) const STYLE: &str = "<style>.dc{font:13px sans-serif;max-width:60em}.dc table{border-collapse:collapse;margin:.3em 0}\
.dc td,.dc th{text-align:left;padding:.15em .8em .15em 0;vertical-align:top;font-weight:normal}\
.dc th{color:#666}.dc summary{cursor:pointer;font-weight:bold}.dc code{white-space:pre-wrap}</style>";

pub(crate) fn cube_html(cube: &Cube) -> String {
    let mut out = format!("{STYLE}<div class=\"dc\"><b>datacube.Cube</b> ");
    let dims: Vec<String> = cube
        .dims()
        .iter()
        .map(|(dim, len)| format!("{}: {len}", escape(dim)))
        .collect();
    let _ = write!(out, "({}) {}", dims.join(", "), binary_bytes(cube.nbytes()));
    coords_html(&mut out, cube.coords());
    section(&mut out, "Data variables", cube.len(), cube.len() < 15);
    out.push_str("<table>");
    for (name, array) in cube.variables() {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>({})</td><td>{}</td><td>{}</td><td>",
            escape(name),
            escape(&array.dims().join(", ")),
            array.dtype(),
            binary_bytes(array.nbytes())
        );
        pixels_html(&mut out, array);
        out.push_str("</td></tr>");
    }
    out.push_str("</table></details>");
    attrs_html(&mut out, cube.attrs());
    error_html(&mut out, cube.error());
    out.push_str("</div>");
    out
}

pub(crate) fn array_html(array: &DataArray) -> String {
    let mut out = format!("{STYLE}<div class=\"dc\"><b>datacube.DataArray</b> ");
    let dims: Vec<String> = array
        .dims()
        .iter()
        .zip(array.shape())
        .map(|(dim, len)| format!("{}: {len}", escape(dim)))
        .collect();
    let _ = write!(
        out,
        "{} ({}) {} {}",
        escape(array.name().unwrap_or_default()),
        dims.join(", "),
        array.dtype(),
        binary_bytes(array.nbytes())
    );
    pixels_html(&mut out, array);
    coords_html(&mut out, array.coords());
    attrs_html(&mut out, array.attrs());
    error_html(&mut out, array.error());
    out.push_str("</div>");
    out
}

/// The first pixels, or for a lazy array the table of array and chunk.
fn pixels_html(out: &mut String, array: &DataArray) {
    if let Ok(pixels) = array.memory() {
        let _ = write!(
            out,
            "<div><code>{}</code></div>",
            escape(&values::ends(pixels, 3))
        );
        return;
    }
    out.push_str("<table><tr><td><table><tr><th></th><th>Array</th><th>Chunk</th></tr>");
    for (key, whole, chunk) in lazy_table(array) {
        let _ = write!(out, "<tr><th>{key}</th><td>{}</td>", escape(&whole));
        let _ = write!(out, "<td>{}</td></tr>", escape(&chunk.unwrap_or_default()));
    }
    out.push_str("</table></td><td>");
    out.push_str(&chunk_picture(array.chunks()));
    out.push_str("</td></tr></table>");
}

fn section(out: &mut String, title: &str, count: usize, open: bool) {
    let open = if open { " open" } else { "" };
    let _ = write!(out, "<details{open}><summary>{title} ({count})</summary>");
}

fn coords_html(out: &mut String, coords: &Coords) {
    section(out, "Coordinates", coords.len(), coords.len() < 25);
    out.push_str("<table>");
    for (name, coord) in coords.iter() {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            escape(
                &coord
                    .dim()
                    .map(|dim| format!("({dim})"))
                    .unwrap_or_default()
            ),
            coord.values().type_name(),
            escape(&labels(coord, 2))
        );
    }
    out.push_str("</table></details>");
}

fn attrs_html(out: &mut String, attrs: &Attrs) {
    if attrs.is_empty() {
        return;
    }
    section(out, "Attributes", attrs.len(), attrs.len() < 10);
    out.push_str("<table>");
    for (name, value) in attrs.iter() {
        let value = shortened(&attr_text(value), 400);
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(name),
            escape(&value)
        );
    }
    out.push_str("</table></details>");
}

fn error_html(out: &mut String, error: Option<&crate::error::Error>) {
    if let Some(error) = error {
        let _ = write!(
            out,
            "<div><b>Error:</b> <code>{}</code></div>",
            escape(&error.to_string())
        );
    }
}

/// Text that a browser shows as it is.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
