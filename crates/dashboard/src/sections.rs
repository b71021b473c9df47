//! The sections of the pages: each a function from what is known to HTML.

use std::fmt::Write;

use datacube_compute::observe::{
    ClusterSnapshot, JobSnapshot, LayerSnapshot, MapSnapshot, layer_colour, task_stream,
};
use datacube_compute::repr::{binary_bytes, escape};

use crate::feed::View;

/// Layers in a table at most.
const MAX_LAYERS: usize = 40;
/// Errors in a table at most.
const MAX_ERRORS: usize = 100;
/// Workers in a table at most.
const MAX_WORKERS: usize = 128;

/// A section: its id, its title, and how it looks.
pub(crate) type Section = (&'static str, &'static str, fn(&View) -> String);

/// The sections of each page, by the page's name.
pub(crate) const PAGES: &[(&str, &str, &[Section])] = &[
    (
        "status",
        "Status",
        &[
            ("tiles", "", tiles),
            ("progress", "Progress", progress),
            ("stream", "Task stream", stream),
            ("memory", "Memory of the workers", memory),
            ("stores", "Stores", stores),
        ],
    ),
    (
        "map",
        "Map",
        &[("map", "Chunks", map), ("jobs", "Jobs", jobs)],
    ),
    ("workers", "Workers", &[("workers", "", workers)]),
    ("errors", "Errors", &[("errors", "", errors)]),
    (
        "graph",
        "Graph",
        &[
            ("graph", "The latest job", graph),
            ("stages", "Its layers", progress),
        ],
    ),
    ("info", "Info", &[("info", "", info)]),
];

/// `1 234 567`, with spaces that do not break.
fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[allow(clippy::cast_precision_loss, reason = "shown to a few digits")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn tile(out: &mut String, class: &str, value: &str, label: &str) {
    let _ = write!(
        out,
        "<div class=\"tile {class}\"><b>{}</b><span>{}</span></div>",
        escape(value),
        escape(label)
    );
}

fn tiles(view: &View) -> String {
    let info = &view.snapshot;
    let (total, done, failed) = info.tasks();
    let requests: u64 = info.stores.iter().map(|store| store.in_flight).sum();
    let threads: usize = info.workers.iter().map(|w| w.threads.len()).sum();
    let mut out = String::from("<div class=\"tiles\">");
    tile(
        &mut out,
        "",
        &count(done),
        &format!("of {} tasks done", count(total)),
    );
    let rate = if view.rate < 10.0 {
        format!("{:.1}", view.rate)
    } else {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate above 0"
        )]
        count(view.rate as u64)
    };
    tile(&mut out, "", &rate, "tasks a second");
    tile(
        &mut out,
        "",
        &format!("{} / {threads}", info.executing()),
        "threads at work",
    );
    tile(
        &mut out,
        "",
        &binary_bytes(info.memory.in_flight),
        "in flight",
    );
    tile(
        &mut out,
        "",
        &count(requests.max(info.memory.fetching)),
        "waiting for stores",
    );
    if let Some(resident) = info.memory.resident {
        tile(
            &mut out,
            "",
            &binary_bytes(resident),
            "memory of the process",
        );
    }
    let class = if info.n_errors > 0 { "bad" } else { "" };
    tile(&mut out, class, &count(failed.max(info.n_errors)), "errors");
    if info.status == "closed" {
        tile(&mut out, "bad", "closed", "the cluster");
    }
    out.push_str("</div>");
    out
}

/// Those that have most to do first, finished ones last.
fn by_work(info: &ClusterSnapshot) -> Vec<&LayerSnapshot> {
    let mut layers: Vec<&LayerSnapshot> = info.layers.iter().filter(|l| l.total > 0).collect();
    layers.sort_by_key(|layer| {
        let over = layer.done + layer.failed + layer.released >= layer.total;
        (over, std::cmp::Reverse(layer.id))
    });
    layers
}

fn progress(view: &View) -> String {
    let layers = by_work(&view.snapshot);
    if layers.is_empty() {
        return "<p class=\"quiet\">No task has been asked for yet.</p>".to_owned();
    }
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th>Layer</th><th class=\"n\">Done</th><th class=\"n\">Of</th><th class=\"n\">Failed</th><th class=\"bar\"></th><th class=\"n\">Compute</th><th class=\"n\">Decode</th><th class=\"n\">Fetched</th></tr></thead><tbody>",
    );
    for layer in layers.iter().take(MAX_LAYERS) {
        let _ = write!(
            out,
            "<tr><td class=\"name\"><i style=\"background:{}\"></i>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n {}\">{}</td><td class=\"bar\"><span class=\"track\"><span style=\"width:{:.1}%\"></span><span class=\"failed\" style=\"width:{:.1}%\"></span><span class=\"released\" style=\"width:{:.1}%\"></span></span></td><td class=\"n\">{:.2} s</td><td class=\"n\">{:.2} s</td><td class=\"n\">{}</td></tr>",
            layer_colour(layer.id),
            escape(&layer.name),
            count(layer.done),
            count(layer.total),
            if layer.failed > 0 { "bad" } else { "" },
            count(layer.failed),
            percent(layer.done, layer.total),
            percent(layer.failed, layer.total),
            percent(layer.released, layer.total),
            layer.seconds.compute,
            layer.seconds.decode,
            binary_bytes(layer.bytes.fetch)
        );
    }
    out.push_str("</tbody></table>");
    if layers.len() > MAX_LAYERS {
        let _ = write!(
            out,
            "<p class=\"quiet\">and {} more layers</p>",
            layers.len() - MAX_LAYERS
        );
    }
    out
}

fn stream(view: &View) -> String {
    let name = |id: u32| {
        let found = view.snapshot.layers.iter().find(|layer| layer.id == id);
        found.map_or_else(String::new, |layer| layer.name.clone())
    };
    let mut out = task_stream(&view.spans, view.window.0, view.window.1, &name);
    out.push_str("<p class=\"quiet\"><i class=\"fetch\"></i>waiting for bytes <i class=\"write\"></i>writing, spilling; other colours: decoding (pale) and computing, by layer</p>");
    out
}

fn memory(view: &View) -> String {
    let info = &view.snapshot;
    let limit = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), binary_bytes);
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th>Worker</th><th class=\"n\">Tasks in hand</th><th class=\"n\">Limit</th><th class=\"bar\"></th></tr></thead><tbody>",
    );
    let mut line = |name: &str, used: u64, of: Option<u64>| {
        let part = of.map_or(0.0, |of| percent(used, of)).min(100.0);
        // dask's colours: near the limit, and over it.
        let class = match part {
            p if p >= 80.0 => "failed",
            p if p >= 60.0 => "near",
            _ => "",
        };
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"bar\"><span class=\"track\"><span class=\"{class}\" style=\"width:{part:.1}%\"></span></span></td></tr>",
            escape(name),
            binary_bytes(used),
            limit(of)
        );
    };
    let memory = &info.memory;
    line(
        "all tasks and results",
        memory.tasks + memory.results,
        memory.limit,
    );
    for worker in info.workers.iter().take(16) {
        line(&worker.address, worker.memory, worker.memory_limit);
    }
    out.push_str("</tbody></table>");
    let _ = write!(
        out,
        "<p class=\"quiet\">Chunk buffers {}, results of running jobs {}, being fetched {}.</p>",
        binary_bytes(memory.buffers),
        binary_bytes(memory.results),
        binary_bytes(memory.in_flight)
    );
    out
}

fn stores(view: &View) -> String {
    let stores = &view.snapshot.stores;
    if stores.is_empty() {
        return "<p class=\"quiet\">No store has been read.</p>".to_owned();
    }
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th>Store</th><th class=\"n\">In flight</th><th class=\"n\">Requests</th><th class=\"n\">Retries</th><th class=\"n\">Failures</th><th class=\"n\">Bytes</th></tr></thead><tbody>",
    );
    for store in stores.iter().take(MAX_LAYERS) {
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&store.name),
            count(store.in_flight),
            count(store.requests),
            count(store.retries),
            count(store.failures),
            binary_bytes(store.bytes)
        );
    }
    out.push_str("</tbody></table>");
    out
}

fn map(view: &View) -> String {
    let with_map = view
        .snapshot
        .jobs
        .iter()
        .find_map(|job| Some((job, job.map.as_ref()?)));
    let Some((job, map)) = with_map else {
        return "<p class=\"quiet\">No job has made chunks over two axes yet.</p>".to_owned();
    };
    let mut out = format!(
        "<p><b>{}</b> <span class=\"state {}\">{}</span> {} of {} tasks</p>",
        escape(&job.name),
        state(job),
        state(job),
        count(job.done),
        count(job.tasks)
    );
    if let Some(place) = &view.snapshot.footprint {
        let [left, bottom, right, top] = place.bounds;
        let _ = write!(
            out,
            "<p class=\"quiet\">{}: x from {left} to {right}, y from {bottom} to {top}</p>",
            escape(&place.crs)
        );
    }
    out.push_str(&map_svg(map));
    out.push_str("<p class=\"quiet\"><i class=\"c0\"></i>not begun <i class=\"c50\"></i>some times or variables <i class=\"c100\"></i>done <i class=\"failedcell\"></i>failed</p>");
    out
}

#[allow(clippy::cast_precision_loss, reason = "pixels of a picture")]
fn map_svg(map: &MapSnapshot) -> String {
    const SIZE: f64 = 560.0;
    let len = |edges: &[usize]| *edges.last().unwrap_or(&1) as f64;
    let (rows, cols) = (len(&map.edges[0]).max(1.0), len(&map.edges[1]).max(1.0));
    let scale = SIZE / rows.max(cols);
    let (width, height) = (cols * scale, rows * scale);
    let mut svg = format!(
        "<svg class=\"map\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-30 -2 {:.0} {:.0}\" font-size=\"11\">",
        width + 34.0,
        height + 22.0
    );
    let n_cols = map.edges[1].len() - 1;
    for (cell, &done) in map.percent.iter().enumerate() {
        let (row, col) = (cell / n_cols, cell % n_cols);
        let (y0, y1) = (map.edges[0][row], map.edges[0][row + 1]);
        let (x0, x1) = (map.edges[1][col], map.edges[1][col + 1]);
        let (class, opacity) = match done {
            255 => ("failedcell", 1.0),
            0 => ("c0", 1.0),
            100 => ("c100", 1.0),
            part => ("c50", 0.25 + 0.006 * f64::from(part)),
        };
        let label = if done == 255 {
            "failed".to_owned()
        } else {
            format!("{done}%")
        };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill-opacity=\"{opacity:.2}\"><title>{} {y0}:{y1}, {} {x0}:{x1}: {label}</title></rect>",
            x0 as f64 * scale,
            y0 as f64 * scale,
            ((x1 - x0) as f64 * scale - 1.0).max(0.5),
            ((y1 - y0) as f64 * scale - 1.0).max(0.5),
            escape(&map.dims[0]),
            escape(&map.dims[1])
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" fill=\"currentColor\">{} ({cols})</text><text x=\"-8\" y=\"{:.0}\" text-anchor=\"middle\" transform=\"rotate(-90 -8 {:.0})\" fill=\"currentColor\">{} ({rows})</text></svg>",
        width / 2.0,
        height + 14.0,
        escape(&map.dims[1]),
        height / 2.0,
        height / 2.0,
        escape(&map.dims[0])
    );
    svg
}

fn state(job: &JobSnapshot) -> String {
    format!("{:?}", job.state).to_lowercase()
}

fn jobs(view: &View) -> String {
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th>Job</th><th>State</th><th class=\"n\">Done</th><th class=\"n\">Of</th><th class=\"bar\"></th><th class=\"n\">Seconds</th></tr></thead><tbody>",
    );
    for job in view.snapshot.jobs.iter().take(25) {
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}</td><td><span class=\"state {}\">{}</span></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"bar\"><span class=\"track\"><span style=\"width:{:.1}%\"></span></span></td><td class=\"n\">{:.2}</td></tr>",
            escape(&job.name),
            state(job),
            state(job),
            count(job.done),
            count(job.tasks),
            percent(job.done, job.tasks),
            job.seconds
        );
    }
    out.push_str("</tbody></table>");
    out
}

fn workers(view: &View) -> String {
    let info = &view.snapshot;
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th>Worker</th><th class=\"n\">Thread</th><th>At work on</th><th class=\"n\">For</th><th class=\"n\">Tasks done</th><th class=\"n\">Busy</th><th class=\"n\">Memory of its task</th></tr></thead><tbody>",
    );
    for worker in info.workers.iter().take(MAX_WORKERS) {
        for (i, thread) in worker.threads.iter().enumerate() {
            let layer = thread
                .layer
                .and_then(|id| info.layers.iter().find(|l| l.id == id));
            let _ = write!(
                out,
                "<tr><td class=\"name\">{}</td><td class=\"n\">{i}</td><td>{}</td><td class=\"n\">{:.2} s</td><td class=\"n\">{}</td><td class=\"n\">{:.1} s</td><td class=\"n\">{}</td></tr>",
                escape(&worker.address),
                layer.map_or("<span class=\"quiet\">nothing</span>".to_owned(), |layer| {
                    format!(
                        "<i style=\"background:{}\"></i>{}",
                        layer_colour(layer.id),
                        escape(&layer.name)
                    )
                }),
                thread.seconds,
                count(thread.done),
                thread.busy,
                binary_bytes(thread.bytes)
            );
        }
    }
    out.push_str("</tbody></table>");
    out
}

fn errors(view: &View) -> String {
    let info = &view.snapshot;
    if info.errors.is_empty() {
        return "<p class=\"quiet\">Nothing went wrong.</p>".to_owned();
    }
    let mut out = String::from(
        "<table class=\"wide\"><thead><tr><th class=\"n\">At</th><th>Task</th><th>Chunk</th><th>What happened</th></tr></thead><tbody>",
    );
    for error in info.errors.iter().take(MAX_ERRORS) {
        let _ = write!(
            out,
            "<tr><td class=\"n\">{:.1} s</td><td class=\"name\">{}</td><td><code>{}</code></td><td class=\"text\">{}</td></tr>",
            error.at,
            escape(&error.place),
            escape(&error.chunk),
            escape(&error.message)
        );
    }
    out.push_str("</tbody></table>");
    let shown = info.errors.len().min(MAX_ERRORS) as u64;
    if info.n_errors > shown {
        let _ = write!(
            out,
            "<p class=\"quiet\">{} in all; the latest are shown.</p>",
            count(info.n_errors)
        );
    }
    out
}

fn graph(view: &View) -> String {
    match &view.graph {
        Some(svg) => format!("<div class=\"scroll\">{svg}</div>"),
        None => "<p class=\"quiet\">No job has run yet.</p>".to_owned(),
    }
}

fn info(view: &View) -> String {
    let info = &view.snapshot;
    let threads: usize = info.workers.iter().map(|w| w.threads.len()).sum();
    let rows = [
        ("Cluster", info.name.clone()),
        ("Address", info.address.clone()),
        ("Status", info.status.to_owned()),
        ("Running for", format!("{:.0} s", info.seconds)),
        ("Workers", info.workers.len().to_string()),
        ("Threads", threads.to_string()),
        (
            "Memory limit",
            info.memory
                .limit
                .map_or_else(|| "none".to_owned(), binary_bytes),
        ),
        (
            "CPU time",
            info.cpu_seconds
                .map_or_else(String::new, |s| format!("{s:.1} s")),
        ),
        ("Process", std::process::id().to_string()),
        ("Version", format!("datacube {}", info.version)),
    ];
    let mut out = String::from("<table>");
    for (key, value) in rows {
        let _ = write!(out, "<tr><th>{key}</th><td>{}</td></tr>", escape(&value));
    }
    out.push_str("</table><p class=\"quiet\">For programs: <a href=\"metrics\">metrics</a> (Prometheus), <a href=\"json/snapshot\">json/snapshot</a>, <a href=\"json/workers\">json/workers</a>, <a href=\"json/layers\">json/layers</a>, <a href=\"json/jobs\">json/jobs</a>, <a href=\"json/errors\">json/errors</a>, <a href=\"health\">health</a>.</p>");
    out
}
