//! The picture of an array's chunks: a line, a rectangle or a box, with a line
//! at each border of a chunk.

use std::fmt::Write;

use crate::chunks::{AxisChunks, ChunkGrid};

/// Length of the longest side, in pixels.
const SIZE: f64 = 120.0;
/// How far the third side leans.
const LEAN: f64 = 0.6;
/// Borders of an axis that are drawn; of more, the face is filled darker.
const MAX_LINES: usize = 24;
/// Colours of dask's pictures: chunks that can be told apart, and many.
const FILL: &str = "#ecb172a0";
const DENSE: &str = "#8b4903a0";

/// The last three axes of `grid`; nothing for an array without axes or pixels.
///
/// # Source
/// dask, `array/svg.py`.
pub(super) fn chunk_picture(grid: &ChunkGrid) -> String {
    let all = grid.axes();
    let axes = &all[all.len().saturating_sub(3)..];
    if axes.is_empty() || axes.iter().any(AxisChunks::is_empty) {
        return String::new();
    }
    let longest = axes.iter().map(AxisChunks::len).max().unwrap_or(1);
    let size = |axis: &AxisChunks| SIZE / response(ratio(longest, axis.len()));
    let (depth, height, width) = match axes {
        [z, y, x] => (size(z) * LEAN, size(y), size(x)),
        [y, x] => (0.0, size(y), size(x)),
        [x] => (0.0, 16.0, size(x)),
        _ => return String::new(),
    };
    let whole = AxisChunks::whole(1);
    let (z, y, x) = match axes {
        [z, y, x] => (z, y, x),
        [y, x] => (&whole, y, x),
        [x] => (&whole, &whole, x),
        _ => return String::new(),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0}\" height=\"{1:.0}\" viewBox=\"0 0 {0:.0} {1:.0}\" font-size=\"11\" font-family=\"sans-serif\" role=\"img\">",
        depth + width + 70.0,
        depth + height + 34.0
    );
    let at = |a: f64, b: f64, c: f64| (6.0 + c * depth + a * width, 6.0 + c * depth + b * height);
    if depth > 0.0 {
        face(&mut svg, x, z, |a, c| at(a, 0.0, c));
        face(&mut svg, y, z, |b, c| at(0.0, b, c));
    }
    face(&mut svg, x, y, |a, b| at(a, b, 1.0));
    let mut label = |(x, y): (f64, f64), anchor: &str, axis: &AxisChunks| {
        let _ = write!(
            svg,
            "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\" fill=\"currentColor\">{}</text>",
            axis.len()
        );
    };
    let (left, bottom) = at(0.5, 1.0, 1.0);
    label((left, bottom + 16.0), "middle", x);
    if axes.len() > 1 {
        let (right, middle) = at(1.0, 0.5, 1.0);
        label((right + 6.0, middle + 4.0), "start", y);
    }
    if axes.len() > 2 {
        let (x, y) = at(0.0, 1.0, 0.4);
        label((x - 2.0, y + 14.0), "end", z);
    }
    svg.push_str("</svg>");
    svg
}

/// A parallelogram with the borders of two axes.
fn face(
    svg: &mut String,
    across: &AxisChunks,
    along: &AxisChunks,
    at: impl Fn(f64, f64) -> (f64, f64),
) {
    let corners = [at(0.0, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0)];
    let points: Vec<String> = corners
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let dense = across.count() > MAX_LINES || along.count() > MAX_LINES;
    let _ = write!(
        svg,
        "<polygon points=\"{}\" fill=\"{}\" stroke=\"currentColor\" stroke-width=\"1.5\"/>",
        points.join(" "),
        if dense { DENSE } else { FILL }
    );
    let mut line = |(x1, y1): (f64, f64), (x2, y2): (f64, f64)| {
        let _ = write!(
            svg,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"currentColor\" stroke-opacity=\".6\"/>"
        );
    };
    for part in borders(across) {
        line(at(part, 0.0), at(part, 1.0));
    }
    for part in borders(along) {
        line(at(0.0, part), at(1.0, part));
    }
}

/// Where chunks meet, as fractions of the axis.
fn borders(axis: &AxisChunks) -> impl Iterator<Item = f64> + '_ {
    let step = axis.count().div_ceil(MAX_LINES).max(1);
    (step..axis.count())
        .step_by(step)
        .map(move |chunk| ratio(axis.range(chunk).start, axis.len()))
}

#[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b.max(1) as f64
}

/// Long arrays would be thin lines, so long sides are shortened.
fn response(ratio: f64) -> f64 {
    if ratio < std::f64::consts::E {
        ratio
    } else {
        (ratio.min(100.0) + 12.4).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_for_each_pair_of_axes() {
        let check = |shape: &[usize], sizes: &[usize], faces: usize, lines: usize| {
            let svg = chunk_picture(&ChunkGrid::regular(shape, sizes));
            assert_eq!(svg.matches("<polygon").count(), faces, "{svg}");
            assert_eq!(svg.matches("<line").count(), lines, "{svg}");
            assert_eq!(svg.matches("<text").count(), shape.len().min(3), "{svg}");
        };
        check(&[10], &[5], 1, 1);
        check(&[10, 20], &[5, 5], 1, 4);
        // Two chunks in time, each whole: a border on the two faces with time.
        check(&[2, 375, 303], &[1, 375, 303], 3, 2);
        check(&[3, 2, 10, 20], &[1, 1, 10, 20], 3, 2);
        assert_eq!(chunk_picture(&ChunkGrid::whole(&[])), "");
        assert_eq!(chunk_picture(&ChunkGrid::whole(&[0, 4])), "");
    }

    #[test]
    fn a_million_chunks_are_a_small_picture() {
        let svg = chunk_picture(&ChunkGrid::regular(&[100, 10_000, 10_000], &[1, 100, 100]));
        assert!(
            svg.contains(DENSE) && svg.len() < 20_000,
            "{} bytes",
            svg.len()
        );
    }
}
