//! The only printer: results on standard output, everything else beside it.
//!
//! Results (rows, documents, what was done) go to standard output, so that a
//! pipe carries nothing else; errors, notes, questions and progress go to
//! standard error. Whatever is printed while a progress bar is on the screen
//! goes around it.

#![allow(clippy::print_stdout, reason = "printing is this module's job")]

mod confirm;
mod documents;
mod logging;
mod progress;
mod rows;
mod yaml;

use std::io::{self, IsTerminal, Write};

pub(crate) use confirm::{Consent, confirm};
pub(crate) use documents::documents;
pub(crate) use logging::{LogOptions, start_logging};
pub(crate) use progress::Progress;
pub(crate) use rows::{Row, Rows, plain};

/// Prints an error for people; with `chain`, every cause on its own line.
pub(crate) fn report_error(error: &anyhow::Error, chain: bool) {
    let text = if chain {
        format!("{error:?}")
    } else {
        one_line_each(error)
    };
    let label = if is_styled(io::stderr().is_terminal()) {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    note(format!("{label} {text}"));
}

/// The causes joined by `: `, without saying twice what a cause repeats.
fn one_line_each(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut text = String::new();
    for (position, cause) in causes.iter().enumerate() {
        // A place that the next cause begins with is named there.
        let is_named_next = causes
            .get(position + 1)
            .is_some_and(|next| next.starts_with(cause.as_str()));
        if is_named_next || text.contains(cause.as_str()) {
            continue;
        }
        if !text.is_empty() {
            text += ": ";
        }
        text += cause;
    }
    text
}

/// Whether the reader of our output went away, as `head` does.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// One line to standard output.
pub(crate) fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    progress::around(|| writeln!(io::stdout().lock(), "{}", text.as_ref()))?;
    Ok(())
}

/// Text as it is to standard output.
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// A message beside the result: standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nothing is left to do if standard error is closed.
    let _ = progress::around(|| writeln!(io::stderr().lock(), "{}", text.as_ref()));
}

/// Text in bold where a person reads it.
pub(crate) fn bold(text: &str) -> String {
    styled("1", text)
}

/// Text in green where a person reads it.
pub(crate) fn green(text: &str) -> String {
    styled("32", text)
}

fn styled(code: &str, text: &str) -> String {
    if is_styled(io::stdout().is_terminal()) {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Whether to colour: a terminal, unless its owner wants none.
fn is_styled(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `1 dataset`, `2 datasets`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A number as JSON has it; what it cannot hold, NaN among them, as text.
pub(crate) fn number_json(number: datacube::model::Number) -> serde_json::Value {
    use datacube::model::Number as N;

    match number {
        N::Int(value) => i64::try_from(value)
            .map(serde_json::Value::from)
            .or_else(|_| u64::try_from(value).map(serde_json::Value::from))
            .unwrap_or_else(|_| value.to_string().into()),
        // JSON has no NaN; ODC writes it as text.
        N::Float(value) => serde_json::Number::from_f64(value)
            .map_or_else(|| number.to_string().into(), serde_json::Value::from),
    }
}
