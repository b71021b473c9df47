//! Pictures of a report: who worked when, and how a quantity went.

use std::fmt::Write;

use crate::observe::{Span, StepKind};
use crate::repr::{binary_bytes, escape};

/// Rectangles in one picture at most.
const MAX_RECTS: usize = 6000;
const WIDTH: f64 = 960.0;
/// Left of it stand the names of the rows.
const LEFT: f64 = 86.0;
const ROW: f64 = 16.0;

/// The colour of a layer: hues a golden angle apart.
pub fn layer_colour(layer: u32) -> String {
    format!("hsl({} 55% 52%)", (u64::from(layer) * 137 + 205) % 360)
}

/// The colour of a step: as dask's task stream, red for bytes on their way and
/// orange for disks; else that of its layer.
pub fn step_colour(layer: u32, kind: StepKind) -> String {
    match kind {
        StepKind::Fetch => "hsl(4 70% 58%)".to_owned(),
        StepKind::Write | StepKind::Spill => "hsl(32 85% 55%)".to_owned(),
        StepKind::Decode => format!("hsl({} 35% 66%)", (u64::from(layer) * 137 + 205) % 360),
        StepKind::Compute => layer_colour(layer),
    }
}

/// Which row of a task stream a span is drawn in, and the row's name.
fn row(span: &Span) -> (u32, String) {
    match span.worker {
        Some(worker) => (
            1 + u32::from(span.thread),
            format!("worker {worker}.{}", span.thread),
        ),
        None => (0, "fetching".to_owned()),
    }
}

/// Who did what from `from` to `to` (nanoseconds): a row for each thread and
/// one for what waits for bytes. Of more than 6,000 steps the longest are drawn.
///
/// `name` gives the name of a layer.
#[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
pub fn task_stream(spans: &[Span], from: u64, to: u64, name: &dyn Fn(u32) -> String) -> String {
    let mut shown: Vec<&Span> = spans
        .iter()
        .filter(|span| span.start + span.time >= from && span.start <= to)
        .collect();
    let count = shown.len();
    if count > MAX_RECTS {
        shown.sort_by_key(|span| std::cmp::Reverse(span.time));
        shown.truncate(MAX_RECTS);
    }
    let mut rows: Vec<(u32, String)> = shown.iter().map(|span| row(span)).collect();
    rows.sort();
    rows.dedup_by_key(|row| row.0);
    let height = rows.len().max(1) as f64 * ROW + 24.0;
    let scale = (WIDTH - LEFT) / (to.saturating_sub(from).max(1) as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" class=\"stream\" role=\"img\" font-family=\"sans-serif\" font-size=\"10\">"
    );
    for (i, (_, label)) in rows.iter().enumerate() {
        let y = i as f64 * ROW;
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{:.1}\" fill=\"currentColor\">{}</text><line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"currentColor\" stroke-opacity=\".12\"/>",
            y + 11.0,
            escape(label),
            y + ROW
        );
    }
    for span in shown {
        let at = rows.partition_point(|(number, _)| *number < row(span).0);
        let begin = span.start.max(from);
        let end = (span.start + span.time).min(to);
        let opacity = if span.kind == StepKind::Fetch {
            " fill-opacity=\".35\""
        } else {
            ""
        };
        let _ = write!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\" fill=\"{}\"{opacity}><title>{} #{}: {} {:.2} ms{}</title></rect>",
            LEFT + (begin - from) as f64 * scale,
            at as f64 * ROW + 1.0,
            ((end - begin) as f64 * scale).max(0.4),
            ROW - 2.0,
            step_colour(span.layer, span.kind),
            escape(&name(span.layer)),
            span.task,
            span.kind.name(),
            span.time as f64 / 1e6,
            if span.bytes > 0 {
                format!(", {}", binary_bytes(span.bytes))
            } else {
                String::new()
            }
        );
    }
    let base = rows.len().max(1) as f64 * ROW + 14.0;
    for tick in 0..=4u32 {
        let part = f64::from(tick) / 4.0;
        let seconds = (from as f64 + part * (to.saturating_sub(from)) as f64) / 1e9;
        let anchor = ["start", "middle", "middle", "middle", "end"][tick as usize];
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{base}\" text-anchor=\"{anchor}\" fill=\"currentColor\" fill-opacity=\".7\">{seconds:.2} s</text>",
            LEFT + part * (WIDTH - LEFT)
        );
    }
    svg.push_str("</svg>");
    if count > MAX_RECTS {
        let _ = write!(
            svg,
            "<p class=\"note\">{count} steps; the {MAX_RECTS} longest are drawn.</p>"
        );
    }
    svg
}

/// A line of a picture: its name, its colour, and `(seconds, value)` points.
pub type Series<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

/// How some quantities went. `show` writes a value for people.
#[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
pub fn lines(series: &[Series<'_>], show: &dyn Fn(f64) -> String) -> String {
    const HEIGHT: f64 = 150.0;
    let points = || series.iter().flat_map(|(_, _, points)| points);
    let from = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let to = points().map(|p| p.0).fold(from, f64::max);
    let top = points().map(|p| p.1).fold(0.0, f64::max);
    if !from.is_finite() {
        return "<p class=\"note\">Nothing was measured.</p>".to_owned();
    }
    let x = |t: f64| LEFT + (t - from) / (to - from).max(1e-9) * (WIDTH - LEFT);
    let y = |v: f64| 8.0 + (1.0 - v / top.max(1e-9)) * (HEIGHT - 30.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" font-size=\"10\">"
    );
    for part in [0.0, 0.5, 1.0] {
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"currentColor\" stroke-opacity=\".15\"/><text x=\"0\" y=\"{1:.1}\" fill=\"currentColor\">{2}</text>",
            y(part * top),
            y(part * top) + 3.0,
            escape(&show(part * top))
        );
    }
    for (i, (name, colour, points)) in series.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|&(t, v)| format!("{:.1},{:.1}", x(t), y(v)))
            .collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/><text x=\"{:.0}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            path.join(" "),
            LEFT + 150.0 * i as f64,
            HEIGHT - 4.0,
            escape(name)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, thread: u16, kind: StepKind) -> Span {
        Span {
            start,
            time: 1_000_000,
            layer: 3,
            worker: (kind != StepKind::Fetch).then_some(0),
            thread,
            kind,
            task: start,
            bytes: 2048,
        }
    }

    #[test]
    fn a_row_for_each_thread() {
        let spans = [
            span(0, 0, StepKind::Fetch),
            span(1, 0, StepKind::Compute),
            span(2, 1, StepKind::Write),
        ];
        let svg = task_stream(&spans, 0, 2_000_000, &|layer| format!("<layer {layer}>"));
        for part in ["fetching", "worker 0.0", "worker 0.1", "&lt;layer 3&gt;"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 3);
        // What lies outside is not drawn.
        let none = task_stream(&spans, 9_000_000, 10_000_000, &|_| String::new());
        assert_eq!(none.matches("<rect").count(), 0);
    }

    #[test]
    fn many_steps_stay_a_small_picture() {
        let spans: Vec<Span> = (0..100_000)
            .map(|i| span(i * 1000, 0, StepKind::Compute))
            .collect();
        let svg = task_stream(&spans, 0, 100_000_000, &|_| "noop".to_owned());
        assert_eq!(svg.matches("<rect").count(), MAX_RECTS);
        assert!(svg.contains("100000 steps; the 6000 longest"));
        assert!(svg.len() < 1 << 20, "{} bytes", svg.len());
    }

    #[test]
    fn a_line_for_each_quantity() {
        let series = [("memory", "red", vec![(0.0, 1.0), (1.0, 3.0)])];
        let svg = lines(&series, &|value| format!("{value:.0} B"));
        assert!(svg.contains("<polyline") && svg.contains("3 B"), "{svg}");
        assert!(lines(&[("memory", "red", vec![])], &|_| String::new()).contains("Nothing"));
    }
}
