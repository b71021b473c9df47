//! Columns worked out step by step, each from those of the steps before.
//!
//! Each step is a statement around the one before that the server leaves as it
//! is (`OFFSET 0`), so that what is named once is worked out once for a row.

/// How many steps there are.
const N_STEPS: usize = 5;

/// The columns of each step; in all of them `d` is the row so far.
#[derive(Default)]
pub(super) struct Steps([Vec<String>; N_STEPS]);

impl Steps {
    /// Adds `expression AS name` to a step.
    pub(super) fn add(&mut self, step: usize, column: String) {
        self.0[step].push(column);
    }

    /// The rows of `agdc.dataset` for which `condition` holds, with all columns.
    pub(super) fn rows(&self, condition: &str) -> String {
        let [first, later @ ..] = &self.0;
        let mut columns = vec!["d.id, d.added, d.metadata".to_owned()];
        columns.extend_from_slice(first);
        let mut rows = format!(
            "SELECT {} FROM agdc.dataset AS d WHERE {condition} OFFSET 0",
            columns.join(", ")
        );
        for columns in later.iter().filter(|columns| !columns.is_empty()) {
            rows = format!(
                "SELECT d.*, {} FROM ({rows}) AS d OFFSET 0",
                columns.join(", ")
            );
        }
        rows
    }
}
