//! The only printer: tables, documents and errors on the terminal.

#![allow(clippy::print_stdout, reason = "printing is this module's job")]

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};

use crate::args::{DocumentFormat, Format};

/// Sends log lines to standard error; `-v` shows more.
pub(crate) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DATACUBE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Prints an error for people; with `chain`, every cause on its own line.
pub(crate) fn report_error(error: &anyhow::Error, chain: bool) {
    let mut stderr = io::stderr().lock();
    let text = if chain {
        format!("{error:?}")
    } else {
        one_line_each(error)
    };
    // Nothing is left to do if standard error is closed.
    let _ = writeln!(stderr, "error: {text}");
}

/// The causes joined by `: `, without saying twice what a cause repeats.
fn one_line_each(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text += ": ";
            }
            text += &cause;
        }
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
    writeln!(io::stdout().lock(), "{}", text.as_ref())?;
    Ok(())
}

/// A message beside the result: standard error.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nothing is left to do if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// A document, or several: YAML separated by `---`, JSON as one object or an array.
pub(crate) fn documents(values: &[Value], format: DocumentFormat) -> anyhow::Result<()> {
    match format {
        DocumentFormat::Yaml => {
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    line("---")?;
                }
                write!(io::stdout().lock(), "{}", yaml_serde::to_string(value)?)?;
            }
            Ok(())
        }
        DocumentFormat::Json => match values {
            [value] => line(serde_json::to_string_pretty(value)?),
            values => line(serde_json::to_string_pretty(values)?),
        },
    }
}

/// Rows as they come, in any of the formats; a table is drawn at the end.
pub(crate) struct Rows {
    format: Format,
    columns: &'static [&'static str],
    count: usize,
    table: comfy_table::Table,
}

impl Rows {
    pub(crate) fn new(format: Format, columns: &'static [&'static str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(columns.iter().map(|name| name.to_uppercase()));
        Self {
            format,
            columns,
            count: 0,
            table,
        }
    }

    /// Prints one row, or keeps it for the table.
    pub(crate) fn push(&mut self, row: &Map<String, Value>) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match self.format {
            Format::Table => {
                self.table
                    .add_row(self.columns.iter().map(|name| plain(row.get(*name))));
            }
            Format::Yaml => {
                if self.count > 0 {
                    writeln!(stdout, "---")?;
                }
                write!(stdout, "{}", yaml_serde::to_string(row)?)?;
            }
            Format::Json => {
                let open = if self.count == 0 { "[" } else { "," };
                write!(stdout, "{open}\n{}", serde_json::to_string_pretty(row)?)?;
            }
            Format::Jsonl => writeln!(stdout, "{}", serde_json::to_string(row)?)?,
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(stdout);
                if self.count == 0 {
                    writer.write_record(self.columns)?;
                }
                writer.write_record(self.columns.iter().map(|name| plain(row.get(*name))))?;
                writer.flush()?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the listing; gives back how many rows there were.
    pub(crate) fn finish(self) -> anyhow::Result<usize> {
        match self.format {
            Format::Table if self.count > 0 => {
                for text in self.table.lines() {
                    line(text.trim_end())?;
                }
            }
            Format::Json => line(if self.count == 0 { "[]" } else { "\n]" })?,
            Format::Csv if self.count == 0 => line(self.columns.join(","))?,
            _ => {}
        }
        Ok(self.count)
    }
}

/// A value as a person writes it: no quotes around text, nothing for null.
fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
