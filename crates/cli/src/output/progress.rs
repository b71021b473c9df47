//! Progress on a terminal, silence elsewhere.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar that is on the screen, so that lines can be printed around it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `print` with the bar out of the way.
pub(super) fn around(print: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match shown().clone() {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Tells how far a long command is; gone from the screen when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A count that grows to an end that is not known.
    pub(crate) fn counting(label: &'static str) -> Self {
        let template = "{spinner} {msg} {human_pos} ({per_sec}, {elapsed})";
        Self::start(ProgressBar::no_length(), label, template)
    }

    fn start(bar: ProgressBar, label: &'static str, template: &str) -> Self {
        // Draws only when standard error is a terminal.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(label);
        bar.enable_steady_tick(Duration::from_millis(100));
        *shown() = Some(bar.clone());
        Progress { bar }
    }

    /// A handle for a callback that counts.
    pub(crate) fn counter(&self) -> ProgressBar {
        self.bar.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *shown() = None;
        self.bar.finish_and_clear();
    }
}
