//! Progress in a Rust notebook.
//!
//! The kernel passes output on line by line and cannot change what it has
//! shown, so there is no bar that grows: a line of text at every tenth of the
//! work and not more than one a second, and a bar in HTML once all is done.
//! For a view that moves, open the dashboard.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Event, Observer, RunReport};
use crate::repr::{binary_bytes, escape};

/// Time between two lines at least.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells a notebook how far a job is.
pub struct NotebookProgress {
    total: AtomicUsize,
    done: AtomicUsize,
    bytes: AtomicU64,
    shown: Mutex<(usize, Instant)>,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for NotebookProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotebookProgress")
            .field("total", &self.total)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl Default for NotebookProgress {
    fn default() -> Self {
        NotebookProgress::new()
    }
}

impl NotebookProgress {
    /// Tells the notebook that this process is the kernel of.
    #[allow(clippy::print_stdout, reason = "this is how a kernel is told")]
    pub fn new() -> NotebookProgress {
        NotebookProgress::with_writer(|text| println!("{text}"))
    }

    /// Tells `write`, a line or a block of HTML between a kernel's marks at a
    /// time.
    pub fn with_writer(write: impl Fn(&str) + Send + Sync + 'static) -> NotebookProgress {
        NotebookProgress {
            total: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            shown: Mutex::new((0, Instant::now())),
            write: Box::new(write),
        }
    }

    fn tell(&self, done: usize) {
        let total = self.total.load(Ordering::Relaxed).max(1);
        let tenth = done * 10 / total;
        // Whoever finds it taken leaves the telling to the other.
        let Some(mut shown) = self.shown.try_lock() else {
            return;
        };
        if tenth <= shown.0 || tenth >= 10 || shown.1.elapsed() < PAUSE {
            return;
        }
        *shown = (tenth, Instant::now());
        drop(shown);
        let bytes = binary_bytes(self.bytes.load(Ordering::Relaxed));
        (self.write)(&format!(
            "{}% done: {done} of {total} tasks, {bytes} read",
            tenth * 10
        ));
    }
}

impl Observer for NotebookProgress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::JobStarted { tasks, .. } => {
                self.total.store(*tasks, Ordering::Relaxed);
                self.done.store(0, Ordering::Relaxed);
                self.bytes.store(0, Ordering::Relaxed);
                *self.shown.lock() = (0, Instant::now());
            }
            Event::TaskFetched { bytes, .. } => {
                self.bytes.fetch_add(*bytes, Ordering::Relaxed);
            }
            Event::TaskDone { .. } => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                self.tell(done);
            }
            Event::JobDone { report } => {
                let html = bar(report, self.total.load(Ordering::Relaxed));
                (self.write)(&format!(
                    "EVCXR_BEGIN_CONTENT text/html\n{html}\nEVCXR_END_CONTENT"
                ));
            }
            _ => {}
        }
    }
}

fn bar(report: &RunReport, total: usize) -> String {
    let percent = 100 * report.tasks / total.max(1);
    let colour = if report.tasks == total {
        "#2e7d4f"
    } else {
        "#b3402a"
    };
    let mut html = String::from("<div style=\"font:13px sans-serif\">");
    let _ = write!(
        html,
        "<div style=\"width:24em;max-width:100%;background:#8884;border-radius:4px\">\
         <div style=\"width:{percent}%;background:{colour};color:#fff;border-radius:4px;padding:1px 6px;box-sizing:border-box;white-space:nowrap\">{} of {total}</div></div>",
        report.tasks
    );
    let _ = write!(html, "<div>{}</div></div>", escape(&report.to_string()));
    html
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn ends_with_a_bar() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        let progress = NotebookProgress::with_writer(move |text| to.lock().push(text.to_owned()));
        progress.total.store(4, Ordering::Relaxed);
        let report = RunReport {
            tasks: 3,
            ..RunReport::default()
        };
        progress.event(&Event::JobDone { report: &report });
        let told = told.lock();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("EVCXR_BEGIN_CONTENT text/html\n"));
        assert!(told[0].contains("width:75%"), "{}", told[0]);
        assert!(told[0].contains("3 of 4"));
    }

    #[test]
    fn one_line_a_second_at_most() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        let progress = NotebookProgress::with_writer(move |text| to.lock().push(text.to_owned()));
        progress.total.store(100, Ordering::Relaxed);
        *progress.shown.lock() = (0, Instant::now() - 2 * PAUSE);
        for done in 9..40 {
            progress.tell(done);
        }
        assert_eq!(*told.lock(), ["10% done: 10 of 100 tasks, 0 B read"]);
    }
}
