//! The page of a performance report.

use std::fmt::Write;

use super::{Sample, Taken, lines, step_colour, task_stream};
use crate::observe::{ClusterSnapshot, LayerSnapshot, StepKind};
use crate::repr::{binary_bytes, escape};

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:14px/1.45 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em;border-bottom:1px solid #8886;padding-bottom:.2em}\
table{border-collapse:collapse}td,th{text-align:left;padding:.2em 1.2em .2em 0;vertical-align:top;font-weight:normal}\
th{opacity:.7}td.n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}.note{opacity:.7}\
.key{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px}</style>";

pub(super) fn html(
    before: &ClusterSnapshot,
    after: &ClusterSnapshot,
    taken: &Taken,
    from: u64,
    to: u64,
) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Performance of {0}</title>{STYLE}</head><body><h1>Performance of LocalCluster {0}</h1>",
        escape(&after.name)
    );
    let layers = since(before, after);
    summary(&mut out, before, after, &layers, to.saturating_sub(from));
    stream(&mut out, taken, after, from, to);
    by_layer(&mut out, &layers);
    memory(&mut out, &taken.samples, after);
    jobs(&mut out, after, from);
    stores(&mut out, before, after);
    errors(&mut out, before, after);
    workers(&mut out, after);
    out.push_str("</body></html>");
    out
}

/// What each layer did between the two snapshots.
fn since(before: &ClusterSnapshot, after: &ClusterSnapshot) -> Vec<LayerSnapshot> {
    let changed = after.layers.iter().map(|layer| {
        let mut layer = layer.clone();
        if let Some(old) = before.layers.iter().find(|old| old.id == layer.id) {
            layer.total -= old.total.min(layer.total);
            layer.done -= old.done.min(layer.done);
            layer.failed -= old.failed.min(layer.failed);
            layer.released -= old.released.min(layer.released);
            layer.seconds.fetch -= old.seconds.fetch;
            layer.seconds.decode -= old.seconds.decode;
            layer.seconds.compute -= old.seconds.compute;
            layer.seconds.write -= old.seconds.write;
            layer.seconds.spill -= old.seconds.spill;
            layer.bytes.fetch -= old.bytes.fetch.min(layer.bytes.fetch);
            layer.bytes.decode -= old.bytes.decode.min(layer.bytes.decode);
            layer.bytes.write -= old.bytes.write.min(layer.bytes.write);
            layer.bytes.spill -= old.bytes.spill.min(layer.bytes.spill);
        }
        layer
    });
    changed
        .filter(|layer| layer.total + layer.done + layer.failed + layer.released > 0)
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "shown to a few digits")]
fn summary(
    out: &mut String,
    before: &ClusterSnapshot,
    after: &ClusterSnapshot,
    layers: &[LayerSnapshot],
    nanos: u64,
) {
    let seconds = nanos as f64 / 1e9;
    let sum = |of: fn(&LayerSnapshot) -> f64| layers.iter().map(of).sum::<f64>();
    let count = |of: fn(&LayerSnapshot) -> u64| layers.iter().map(of).sum::<u64>();
    let threads: usize = after.workers.iter().map(|w| w.threads.len()).sum();
    let busy = sum(|l| l.seconds.decode + l.seconds.compute + l.seconds.write + l.seconds.spill);
    let mut rows = vec![
        ("Duration", format!("{seconds:.2} s")),
        (
            "Tasks",
            format!(
                "{} finished, {} failed, {} given up",
                count(|l| l.done),
                count(|l| l.failed),
                count(|l| l.released)
            ),
        ),
        (
            "Waiting for bytes",
            format!(
                "{:.2} s over all tasks, side by side; {}",
                sum(|l| l.seconds.fetch),
                binary_bytes(count(|l| l.bytes.fetch))
            ),
        ),
        ("Decoding", format!("{:.2} s", sum(|l| l.seconds.decode))),
        ("Computing", format!("{:.2} s", sum(|l| l.seconds.compute))),
        (
            "Writing",
            format!("{:.2} s", sum(|l| l.seconds.write + l.seconds.spill)),
        ),
        (
            "Threads",
            format!(
                "{threads} in {} workers, busy {:.0}% of the time",
                after.workers.len(),
                100.0 * busy / (seconds * threads as f64).max(1e-9)
            ),
        ),
    ];
    if let (Some(a), Some(b)) = (before.cpu_seconds, after.cpu_seconds) {
        rows.push(("CPU time of the process", format!("{:.2} s", b - a)));
    }
    rows.push((
        "Memory limit",
        after.memory.limit.map_or("none".to_owned(), binary_bytes),
    ));
    rows.push((
        "Versions",
        format!(
            "datacube {}, {} on {}",
            after.version,
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
    ));
    out.push_str("<h2>Summary</h2><table>");
    for (key, value) in rows {
        let _ = write!(out, "<tr><th>{key}</th><td>{}</td></tr>", escape(&value));
    }
    out.push_str("</table>");
}

fn stream(out: &mut String, taken: &Taken, after: &ClusterSnapshot, from: u64, to: u64) {
    out.push_str("<h2>Task stream</h2>");
    let name = |layer: u32| {
        let found = after.layers.iter().find(|other| other.id == layer);
        found.map_or_else(String::new, |layer| layer.name.clone())
    };
    out.push_str(&task_stream(&taken.spans, from, to, &name));
    if taken.n_spans > taken.spans.len() {
        let _ = write!(
            out,
            "<p class=\"note\">Of {} steps the longer ones were kept.</p>",
            taken.n_spans
        );
    }
    out.push_str("<p class=\"note\">");
    for kind in [StepKind::Fetch, StepKind::Write] {
        let _ = write!(
            out,
            "<span class=\"key\" style=\"background:{}\"></span>{} &nbsp; ",
            step_colour(0, kind),
            if kind == StepKind::Fetch {
                "waiting for bytes"
            } else {
                "writing, spilling"
            }
        );
    }
    out.push_str("other colours: decoding (pale) and computing, by layer</p>");
}

fn by_layer(out: &mut String, layers: &[LayerSnapshot]) {
    out.push_str("<h2>Layers</h2><table><tr><th>Layer</th><th>Tasks</th><th>Done</th><th>Failed</th><th>Fetch s</th><th>Decode s</th><th>Compute s</th><th>Write s</th><th>Spill s</th><th>Fetched</th><th>µs a task</th></tr>");
    for layer in layers {
        let seconds = &layer.seconds;
        let cpu = seconds.decode + seconds.compute + seconds.write + seconds.spill;
        #[allow(clippy::cast_precision_loss, reason = "shown to a few digits")]
        let each = 1e6 * cpu / layer.done.max(1) as f64;
        let _ = write!(
            out,
            "<tr><td><span class=\"key\" style=\"background:{}\"></span>{}</td>",
            super::layer_colour(layer.id),
            escape(&layer.name)
        );
        for count in [layer.total, layer.done, layer.failed] {
            let _ = write!(out, "<td class=\"n\">{count}</td>");
        }
        for value in [
            seconds.fetch,
            seconds.decode,
            seconds.compute,
            seconds.write,
            seconds.spill,
        ] {
            let _ = write!(out, "<td class=\"n\">{value:.3}</td>");
        }
        let _ = write!(
            out,
            "<td class=\"n\">{}</td><td class=\"n\">{each:.1}</td></tr>",
            binary_bytes(layer.bytes.fetch)
        );
    }
    out.push_str("</table>");
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a picture"
)]
fn memory(out: &mut String, samples: &[Sample], after: &ClusterSnapshot) {
    out.push_str("<h2>Memory</h2>");
    let of = |value: fn(&Sample) -> u64| -> Vec<(f64, f64)> {
        let points = samples.iter();
        points
            .map(|sample| (sample.at, value(sample) as f64))
            .collect()
    };
    let series = [
        ("process", "#4878a8", of(|s| s.resident)),
        ("chunk buffers", "#3a8f5d", of(|s| s.buffers)),
        ("bytes in flight", "#c8503c", of(|s| s.in_flight)),
    ];
    out.push_str(&lines(&series, &|bytes| binary_bytes(bytes as u64)));
    let peak = samples.iter().map(|sample| sample.resident).max();
    let _ = write!(
        out,
        "<p class=\"note\">The process had {} at most; the limit of the tasks and their results is {}.</p>",
        binary_bytes(peak.unwrap_or(0)),
        after.memory.limit.map_or("none".to_owned(), binary_bytes)
    );
}

fn jobs(out: &mut String, after: &ClusterSnapshot, from: u64) {
    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    let from = from as f64 / 1e9;
    let during = after
        .jobs
        .iter()
        .filter(|job| job.begun + job.seconds >= from);
    let mut during = during.peekable();
    if during.peek().is_none() {
        return;
    }
    out.push_str("<h2>Jobs</h2><table><tr><th>Job</th><th>State</th><th>Tasks</th><th>Done</th><th>Seconds</th></tr>");
    for job in during {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2}</td></tr>",
            escape(&job.name),
            format!("{:?}", job.state).to_lowercase(),
            job.tasks,
            job.done,
            job.seconds
        );
    }
    out.push_str("</table>");
}

fn stores(out: &mut String, before: &ClusterSnapshot, after: &ClusterSnapshot) {
    if after.stores.is_empty() {
        return;
    }
    out.push_str("<h2>Stores</h2><table><tr><th>Store</th><th>Requests</th><th>Retries</th><th>Failures</th><th>Bytes</th></tr>");
    for store in &after.stores {
        let old = before.stores.iter().find(|old| old.name == store.name);
        let old = old.cloned().unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&store.name),
            store.requests.saturating_sub(old.requests),
            store.retries.saturating_sub(old.retries),
            store.failures.saturating_sub(old.failures),
            binary_bytes(store.bytes.saturating_sub(old.bytes))
        );
    }
    out.push_str("</table>");
}

fn errors(out: &mut String, before: &ClusterSnapshot, after: &ClusterSnapshot) {
    let new = after.n_errors - before.n_errors.min(after.n_errors);
    let _ = write!(out, "<h2>Errors ({new})</h2>");
    if new == 0 {
        out.push_str("<p>None.</p>");
        return;
    }
    out.push_str("<table><tr><th>At s</th><th>Task</th><th>Chunk</th><th>What happened</th></tr>");
    let new = usize::try_from(new).unwrap_or(usize::MAX);
    for error in after.errors.iter().take(new) {
        let _ = write!(
            out,
            "<tr><td class=\"n\">{:.2}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            error.at,
            escape(&error.place),
            escape(&error.chunk),
            escape(&error.message)
        );
    }
    out.push_str("</table>");
}

fn workers(out: &mut String, after: &ClusterSnapshot) {
    out.push_str("<h2>Workers</h2><table><tr><th>Worker</th><th>Threads</th><th>Memory limit</th><th>Tasks done</th><th>Busy s</th></tr>");
    for worker in &after.workers {
        let busy: f64 = worker.threads.iter().map(|thread| thread.busy).sum();
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{busy:.2}</td></tr>",
            escape(&worker.address),
            worker.threads.len(),
            worker.memory_limit.map_or("none".to_owned(), binary_bytes),
            worker.done
        );
    }
    out.push_str("</table>");
}
