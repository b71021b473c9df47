//! A progress bar on the terminal.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressDrawTarget, ProgressStyle};

use super::{Event, Observer};
use crate::repr::binary_bytes;

/// Tasks done, bytes read and time left, on standard error; nothing where that
/// is no terminal.
#[derive(Debug)]
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
    bytes: AtomicU64,
}

impl Default for ProgressBar {
    fn default() -> Self {
        ProgressBar::new()
    }
}

impl ProgressBar {
    /// A bar that shows when a job starts.
    pub fn new() -> ProgressBar {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        ProgressBar::with_target(target)
    }

    fn with_target(target: ProgressDrawTarget) -> ProgressBar {
        let bar = indicatif::ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template(
            "{elapsed_precise} [{wide_bar}] {pos}/{len} chunks, {msg}, {eta} left",
        );
        bar.set_style(
            style
                .expect("the template is well formed")
                .progress_chars("=> "),
        );
        ProgressBar {
            bar,
            bytes: AtomicU64::new(0),
        }
    }

    /// Whether there is no terminal to draw on.
    pub fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }
}

impl Observer for ProgressBar {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::JobStarted { tasks, .. } => {
                self.bytes.store(0, Ordering::Relaxed);
                self.bar.reset();
                self.bar.set_length(*tasks as u64);
                self.bar.set_message("0 B read");
            }
            Event::TaskFetched { bytes, .. } => {
                let bytes = self.bytes.fetch_add(*bytes, Ordering::Relaxed) + bytes;
                self.bar
                    .set_message(format!("{} read", binary_bytes(bytes)));
            }
            Event::TaskDone { .. } => self.bar.inc(1),
            Event::JobDone { .. } => self.bar.finish(),
            _ => {}
        }
    }
}

/// A bar for submitted functions.
pub(crate) fn call_bar(len: usize) -> indicatif::ProgressBar {
    let bar = ProgressBar::new().bar;
    bar.set_length(len as u64);
    bar
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;
    use crate::observe::RunReport;
    use crate::region::Region;
    use crate::source::Cost;

    #[test]
    fn the_bar_counts_tasks_and_bytes() {
        let bar = ProgressBar::with_target(ProgressDrawTarget::hidden());
        assert!(bar.is_hidden());
        let projected = Cost::default();
        bar.event(&Event::JobStarted {
            tasks: 2,
            projected,
            exact: true,
            task_bytes: 0,
        });
        bar.event(&Event::TaskFetched {
            task: 0,
            bytes: 2048,
            requests: 1,
        });
        bar.event(&Event::TaskFetched {
            task: 1,
            bytes: 1024,
            requests: 1,
        });
        for task in 0..2 {
            assert_eq!(bar.bar.position(), task);
            let region = &Region::whole(&[1]);
            let (time, task) = (std::time::Duration::ZERO, usize::try_from(task).unwrap());
            bar.event(&Event::TaskDone {
                task,
                array: "a",
                region,
                worker: 0,
                time,
            });
        }
        assert_eq!((bar.bar.position(), bar.bar.length()), (2, Some(2)));
        assert_eq!(bar.bar.message(), "3.00 kiB read");
        bar.event(&Event::JobDone {
            report: &RunReport::default(),
        });
        assert!(bar.bar.is_finished());
    }
}
