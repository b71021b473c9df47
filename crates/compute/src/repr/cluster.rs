//! HTML of clusters and clients for notebooks: what dask shows, in its words.

use std::fmt::Write;

use super::binary_bytes;
use super::html::{STYLE, escape};
use crate::observe::ClusterSnapshot;

/// A client: its id, how it is connected, and its cluster to unfold.
pub(crate) fn client_html(id: &str, info: &ClusterSnapshot, dashboard: Option<&str>) -> String {
    let mut out = format!(
        "{STYLE}<div class=\"dc\"><b>Client</b> {}<table>",
        escape(id)
    );
    row(&mut out, "Connection method", "Cluster object");
    row(&mut out, "Cluster type", "datacube.LocalCluster");
    link(&mut out, dashboard);
    out.push_str("</table><details><summary>Cluster Info</summary>");
    body(&mut out, info, dashboard);
    out.push_str("</details></div>");
    out
}

/// A cluster, with its workers to unfold.
pub(crate) fn cluster_html(info: &ClusterSnapshot, dashboard: Option<&str>) -> String {
    let mut out = format!("{STYLE}<div class=\"dc\">");
    body(&mut out, info, dashboard);
    out.push_str("</div>");
    out
}

fn body(out: &mut String, info: &ClusterSnapshot, dashboard: Option<&str>) {
    let threads: usize = info.workers.iter().map(|w| w.threads.len()).sum();
    let limit = |bytes: Option<u64>| bytes.map_or_else(|| "unlimited".to_owned(), binary_bytes);
    let (total, done, failed) = info.tasks();
    let _ = write!(out, "<b>LocalCluster</b> {}<table>", escape(&info.name));
    link(out, dashboard);
    row(out, "Status", info.status);
    row(out, "Workers", &info.workers.len().to_string());
    row(out, "Total threads", &threads.to_string());
    row(out, "Total memory", &limit(info.memory.limit));
    row(out, "Using processes", "False");
    row(
        out,
        "Tasks",
        &format!("{done} of {total} done, {failed} failed"),
    );
    if let Some(resident) = info.memory.resident {
        row(out, "Memory of the process", &binary_bytes(resident));
    }
    let _ = write!(
        out,
        "</table><details><summary>Scheduler Info</summary><table><tr><th>Comm</th><td>{}</td></tr><tr><th>Started</th><td>{:.0} s ago</td></tr></table>",
        escape(&info.address),
        info.seconds
    );
    out.push_str("<table><tr><th>Worker</th><th>Threads</th><th>Executing</th><th>Done</th><th>Memory in use</th><th>Memory limit</th></tr>");
    for worker in &info.workers {
        let busy = worker.threads.iter().filter(|t| t.layer.is_some()).count();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{busy}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&worker.address),
            worker.threads.len(),
            worker.done,
            binary_bytes(worker.memory),
            limit(worker.memory_limit)
        );
    }
    out.push_str("</table></details>");
}

fn row(out: &mut String, key: &str, value: &str) {
    let _ = write!(out, "<tr><th>{key}</th><td>{}</td></tr>", escape(value));
}

fn link(out: &mut String, dashboard: Option<&str>) {
    if let Some(dashboard) = dashboard {
        let link = escape(dashboard);
        let _ = write!(
            out,
            "<tr><th>Dashboard</th><td><a href=\"{link}\" target=\"_blank\" rel=\"noopener\">{link}</a></td></tr>"
        );
    }
}
