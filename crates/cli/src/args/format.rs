//! The formats of `-f`.

use clap::ValueEnum;

/// How a listing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    #[value(alias = "tab", alias = "default", alias = "pretty")]
    Table,
    /// Documents, separated by `---`
    Yaml,
    /// One array
    Json,
    /// One object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

/// How a listing is printed that has a short form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinesFormat {
    /// Short lines
    Default,
    /// Aligned columns
    #[value(alias = "tab")]
    Table,
    /// Documents, separated by `---`
    Yaml,
    /// One array
    Json,
    /// One object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

impl LinesFormat {
    /// The format of rows; `None` for the short form.
    pub(crate) fn rows(self) -> Option<Format> {
        match self {
            LinesFormat::Default => None,
            LinesFormat::Table => Some(Format::Table),
            LinesFormat::Yaml => Some(Format::Yaml),
            LinesFormat::Json => Some(Format::Json),
            LinesFormat::Jsonl => Some(Format::Jsonl),
            LinesFormat::Csv => Some(Format::Csv),
        }
    }
}

/// How whole documents are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Documents, separated by `---`
    Yaml,
    /// One object, or an array of several
    Json,
    /// One object a line
    Jsonl,
}
