//! Rows of a listing, printed as they come.
//!
//! Every format streams. A table learns its column widths from the first rows
//! and keeps them, so memory does not grow with the number of rows.

use std::collections::VecDeque;
use std::io::{self, Write};

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use super::{bold, documents, yaml};
use crate::args::Format;

/// One row: values by column; documents in YAML and JSON have all of them.
pub(crate) type Row = Map<String, Value>;

/// Rows from which a table takes its widths.
const MEASURED: usize = 500;

/// No column is made wider than this.
const WIDEST: usize = 80;

/// A listing in any of the formats.
pub(crate) struct Rows {
    format: Format,
    columns: Vec<String>,
    count: usize,
    held: VecDeque<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Rows {
    /// A listing; tables and CSV show `columns`, the other formats whole rows.
    pub(crate) fn new<S: Into<String>>(
        format: Format,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            format,
            columns: columns.into_iter().map(Into::into).collect(),
            count: 0,
            held: VecDeque::new(),
            widths: None,
        }
    }

    /// Prints one row, or keeps it until a table knows its widths.
    pub(crate) fn push(&mut self, row: &Row) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match self.format {
            Format::Table => {
                let cells = self.columns.iter().map(|name| cell(row.get(name)));
                self.held.push_back(cells.collect());
                if self.widths.is_some() || self.held.len() >= MEASURED {
                    self.print_held(&mut stdout)?;
                }
            }
            Format::Yaml => {
                if self.count > 0 {
                    writeln!(stdout, "---")?;
                }
                write!(stdout, "{}", yaml::text(row)?)?;
            }
            Format::Json => {
                let open = if self.count == 0 { "[\n" } else { ",\n" };
                let text = documents::pretty(row)?.replace('\n', "\n    ");
                write!(stdout, "{open}    {text}")?;
            }
            Format::Jsonl => writeln!(stdout, "{}", serde_json::to_string(row)?)?,
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut stdout);
                if self.count == 0 {
                    writer.write_record(&self.columns)?;
                }
                writer.write_record(self.columns.iter().map(|name| plain(row.get(name))))?;
                writer.flush()?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Ends the listing; gives back how many rows there were.
    pub(crate) fn finish(mut self) -> anyhow::Result<usize> {
        let mut stdout = io::stdout().lock();
        match self.format {
            Format::Table => self.print_held(&mut stdout)?,
            Format::Json if self.count == 0 => writeln!(stdout, "[]")?,
            Format::Json => writeln!(stdout, "\n]")?,
            Format::Csv if self.count == 0 => {
                csv::Writer::from_writer(&mut stdout).write_record(&self.columns)?;
            }
            _ => {}
        }
        stdout.flush()?;
        Ok(self.count)
    }

    fn print_held(&mut self, out: &mut impl Write) -> anyhow::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        if self.widths.is_none() {
            let widths: Vec<usize> = self
                .columns
                .iter()
                .enumerate()
                .map(|(column, name)| {
                    let cells = self.held.iter().map(|cells| cells[column].width());
                    cells.max().unwrap_or(0).min(WIDEST).max(name.width())
                })
                .collect();
            let names: Vec<String> = self
                .columns
                .iter()
                .map(|name| name.to_uppercase())
                .collect();
            writeln!(out, "{}", bold(&padded(&names, &widths)))?;
            self.widths = Some(widths);
        }
        let widths = self.widths.as_deref().unwrap_or_default();
        for cells in self.held.drain(..) {
            writeln!(out, "{}", padded(&cells, widths))?;
        }
        Ok(())
    }
}

/// Cells in columns, two spaces apart, nothing after the last.
fn padded(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line += cell;
        line += &" ".repeat(2 + width.saturating_sub(cell.width()));
    }
    line.trim_end().to_owned()
}

/// A value in a table: on one line.
fn cell(value: Option<&Value>) -> String {
    let text = plain(value);
    match text.trim().lines().next() {
        Some(first) if text.trim().len() > first.len() => format!("{first} ..."),
        Some(first) => first.to_owned(),
        None => String::new(),
    }
}

/// A value as a person writes it: no quotes around text, nothing for null.
pub(crate) fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) if map.len() == 2 && map.contains_key("begin") => {
            let end = |name| plain(map.get(name));
            format!("{} to {}", end("begin"), end("end"))
        }
        Some(Value::Object(map)) if map.values().all(|value| !value.is_object()) => {
            let parts = map.iter();
            let parts: Vec<String> = parts
                .map(|(name, value)| format!("{name}={}", plain(Some(value))))
                .collect();
            parts.join(" ")
        }
        Some(Value::Array(items))
            if !items.iter().any(|item| item.is_array() || item.is_object()) =>
        {
            let items: Vec<String> = items.iter().map(|item| plain(Some(item))).collect();
            items.join(", ")
        }
        Some(other) => other.to_string(),
    }
}
