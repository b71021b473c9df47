//! Running an optimised plan: stages, and the tasks that they consist of.
//!
//! A [`Stage`] makes some outputs of one chunk grid together. Its tasks are
//! made on demand, chunk by chunk: what to read, where each input's pixels will
//! lie, what it will weigh.

mod machine;
mod planner;
mod read;
mod stage;
mod task;
mod tiles;
mod view;
mod weigh;

pub(crate) use machine::Machine;
pub(crate) use stage::Stage;
pub(crate) use task::{Stop, Task, Weight};
pub(crate) use view::View;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may panic; the message if it does.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| panic_message(&*payload))
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "without a message".to_owned()
    }
}
