//! `datacube-search`: the deprecated second command of Python's datacube.
//!
//! It is this same program under another name: a link called
//! `datacube-search` that leads to `datacube` makes it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use datacube::{Datacube, Period};

use crate::args::{Format, GlobalArgs, Status};
use crate::commands::{dataset, open};
use crate::output::{self, Row, Rows};

/// Search the Data Cube (deprecated; use `datacube dataset`)
#[derive(Debug, Parser)]
#[command(name = "datacube-search", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// Output format
    #[arg(short, default_value = "pretty", value_name = "FORMAT")]
    format: OutputFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    Csv,
    Pretty,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Search available datasets
    Datasets {
        /// What to find, as in `datacube dataset search`
        expressions: Vec<String>,
    },
    /// Count datasets of each product by period
    ProductCounts {
        /// Such as `1 month`, `6 months`, `1 year`
        period: Period,
        /// What to count, as in `datacube dataset search`
        expressions: Vec<String>,
    },
}

/// Whether this process was started under that name.
pub(crate) fn is_called() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name)
        .file_stem()
        .is_some_and(|stem| stem == "datacube-search")
}

pub(crate) fn run(global: &GlobalArgs, args: &Args) -> Result<ExitCode> {
    let dc = open(global)?;
    let instead = match args.command {
        Command::Datasets { .. } => "dataset search",
        Command::ProductCounts { .. } => "dataset count",
    };
    output::note(format!(
        "WARNING: `datacube-search` is deprecated. Please use `datacube {instead}` instead."
    ));
    match &args.command {
        Command::Datasets { expressions } => datasets(&dc, expressions, args.format)?,
        Command::ProductCounts {
            period,
            expressions,
        } => product_counts(&dc, period, expressions)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn datasets(dc: &Datacube, expressions: &[String], format: OutputFormat) -> Result<()> {
    let query = dataset::parse_query(dc, expressions, Status::Active)?;
    let products = dc.products()?;
    let mut fields: Vec<String> = ["id", "product", "uri"].map(String::from).to_vec();
    for product in &products {
        fields.extend(product.metadata_type().fields().keys().cloned());
    }
    fields.sort_unstable();
    fields.dedup();
    let width = fields.iter().map(String::len).max().unwrap_or(0);
    let mut rows = Rows::new(Format::Csv, &fields);
    let mut count = 0_u64;
    dc.search_returning_each(query, &fields, |values| {
        count += 1;
        let row: Row = fields.iter().cloned().zip(values).collect();
        if format == OutputFormat::Csv {
            return rows.push(&row);
        }
        output::line(format!("{:-<79}", format!("-[ {count} ]")))?;
        for (name, value) in &row {
            output::line(format!("{name:width$} | {}", output::plain(Some(value))))?;
        }
        Ok(())
    })?;
    if format == OutputFormat::Csv {
        rows.finish()?;
    }
    Ok(())
}

fn product_counts(dc: &Datacube, period: &Period, expressions: &[String]) -> Result<()> {
    let query = dataset::parse_query(dc, expressions, Status::Active)?;
    let mut shown = None;
    dataset::count_periods(dc, query, period, |product, begin, count| {
        if shown.as_deref() != Some(product) {
            output::line(product)?;
            shown = Some(product.to_owned());
        }
        output::line(format!("    {begin}: {count}"))
    })
}
