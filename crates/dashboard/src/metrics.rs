//! `/metrics`, in the text format of Prometheus.

use std::fmt::{Display, Write};

use datacube_compute::observe::ClusterSnapshot;

/// Label values have backslash, quote and line feed escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn one(out: &mut String, name: &str, help: &str, value: impl Display) {
    family(out, name, "gauge", help);
    let _ = writeln!(out, "{name} {value}");
}

/// Everything that has a number.
///
/// # Source
/// Prometheus, "Exposition formats", text-based format 0.0.4.
pub(crate) fn text(info: &ClusterSnapshot) -> String {
    let mut out = String::new();
    let threads: usize = info.workers.iter().map(|w| w.threads.len()).sum();
    one(&mut out, "datacube_workers", "Workers.", info.workers.len());
    one(
        &mut out,
        "datacube_threads",
        "Threads of all workers.",
        threads,
    );
    one(
        &mut out,
        "datacube_threads_executing",
        "Threads at work.",
        info.executing(),
    );
    one(
        &mut out,
        "datacube_calls_ready",
        "Submitted functions that wait for a thread.",
        info.ready_calls,
    );
    let memory = &info.memory;
    if let Some(limit) = memory.limit {
        one(
            &mut out,
            "datacube_memory_limit_bytes",
            "Memory limit.",
            limit,
        );
    }
    if let Some(resident) = memory.resident {
        one(
            &mut out,
            "datacube_resident_memory_bytes",
            "Memory of the process.",
            resident,
        );
    }
    one(
        &mut out,
        "datacube_buffer_bytes",
        "Chunk buffers in use.",
        memory.buffers,
    );
    one(
        &mut out,
        "datacube_task_bytes",
        "Memory of tasks that were let in, as projected.",
        memory.tasks,
    );
    one(
        &mut out,
        "datacube_in_flight_bytes",
        "Bytes being fetched or waiting to be decoded.",
        memory.in_flight,
    );
    one(
        &mut out,
        "datacube_result_bytes",
        "Results of running jobs.",
        memory.results,
    );
    family(
        &mut out,
        "datacube_errors_total",
        "counter",
        "What went wrong.",
    );
    let _ = writeln!(out, "datacube_errors_total {}", info.n_errors);
    if let Some(seconds) = info.cpu_seconds {
        family(
            &mut out,
            "datacube_cpu_seconds_total",
            "counter",
            "CPU time of the process.",
        );
        let _ = writeln!(out, "datacube_cpu_seconds_total {seconds}");
    }
    family(
        &mut out,
        "datacube_tasks_total",
        "counter",
        "Tasks, by layer and state.",
    );
    for layer in &info.layers {
        let name = label(&layer.name);
        for (state, count) in [
            ("asked", layer.total),
            ("done", layer.done),
            ("failed", layer.failed),
            ("released", layer.released),
        ] {
            let _ = writeln!(
                out,
                "datacube_tasks_total{{layer=\"{name}\",state=\"{state}\"}} {count}"
            );
        }
    }
    family(
        &mut out,
        "datacube_task_seconds_total",
        "counter",
        "Time of tasks, by layer and step.",
    );
    for layer in &info.layers {
        let name = label(&layer.name);
        let seconds = &layer.seconds;
        for (step, seconds) in [
            ("fetch", seconds.fetch),
            ("decode", seconds.decode),
            ("compute", seconds.compute),
            ("write", seconds.write),
            ("spill", seconds.spill),
        ] {
            let _ = writeln!(
                out,
                "datacube_task_seconds_total{{layer=\"{name}\",step=\"{step}\"}} {seconds}"
            );
        }
    }
    family(
        &mut out,
        "datacube_store_requests_total",
        "counter",
        "Requests to stores.",
    );
    for store in &info.stores {
        let _ = writeln!(
            out,
            "datacube_store_requests_total{{store=\"{}\"}} {}",
            label(&store.name),
            store.requests
        );
    }
    family(
        &mut out,
        "datacube_store_bytes_total",
        "counter",
        "Bytes from stores.",
    );
    for store in &info.stores {
        let _ = writeln!(
            out,
            "datacube_store_bytes_total{{store=\"{}\"}} {}",
            label(&store.name),
            store.bytes
        );
    }
    out
}
