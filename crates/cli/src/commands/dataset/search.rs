//! `datacube dataset search` and `uri-search`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use datacube::Datacube;
use datacube::index::{Order, Query, UriMatch};

use super::describe::{describe, summarise};
use super::parse_query;
use crate::args::{Format, SearchArgs, SearchMode, UriSearchArgs};
use crate::output::{self, Row, Rows};

const CSV_COLUMNS: [&str; 4] = ["id", "status", "product", "location"];
const TABLE_COLUMNS: [&str; 4] = ["id", "product", "time", "location"];

fn columns(format: Format) -> [&'static str; 4] {
    if format == Format::Csv {
        CSV_COLUMNS
    } else {
        TABLE_COLUMNS
    }
}

pub(super) fn run(dc: &Datacube, args: &SearchArgs) -> Result<ExitCode> {
    let mut query = parse_query(dc, &args.expressions, args.status)?;
    query.limit = args.limit;
    for field in &args.order_by {
        query = query.order_by(match field.strip_prefix('-') {
            Some(field) => Order::descending(field),
            None => Order::ascending(field),
        });
    }
    let count = if args.fields.is_empty() {
        whole(dc, query, args.format)?
    } else {
        chosen(dc, query, &args.fields, args.format)?
    };
    if count == 0 {
        output::note("no datasets match");
    }
    Ok(ExitCode::SUCCESS)
}

fn whole(dc: &Datacube, query: Query, format: Format) -> Result<usize> {
    let mut rows = Rows::new(format, columns(format));
    dc.search_each(query, |dataset| match format {
        Format::Table | Format::Csv => rows.push(&summarise(&dataset)),
        _ => rows.push(&describe(&dataset)),
    })?;
    rows.finish()
}

fn chosen(dc: &Datacube, query: Query, fields: &[String], format: Format) -> Result<usize> {
    let mut rows = Rows::new(format, fields);
    dc.search_returning_each(query, fields, |values| {
        let row: Row = fields.iter().cloned().zip(values).collect();
        rows.push(&row)
    })?;
    rows.finish()
}

pub(super) fn by_uri(dc: &Datacube, args: &UriSearchArgs) -> Result<ExitCode> {
    let mut rows = args
        .format
        .rows()
        .map(|format| (format, Rows::new(format, columns(format))));
    for path in &args.paths {
        let uri = as_uri(path)?;
        let matching = match args.search_mode {
            SearchMode::Exact => UriMatch::Exact(uri),
            SearchMode::Guess if names_a_document(&uri) => UriMatch::Exact(uri),
            SearchMode::Prefix | SearchMode::Guess => UriMatch::Prefix(uri),
        };
        let query = Query::new().uri(matching).archived(args.status.into());
        let mut count = 0;
        dc.search_each(query, |dataset| {
            count += 1;
            match &mut rows {
                Some((Format::Table | Format::Csv, rows)) => rows.push(&summarise(&dataset)),
                Some((_, rows)) => rows.push(&describe(&dataset)),
                None => output::line(format!(
                    "Dataset <id={} product={} location={}>",
                    dataset.id(),
                    dataset.product().name(),
                    dataset.uri().unwrap_or("not available")
                )),
            }
        })?;
        if count == 0 {
            output::note(format!("not found in the index: {path}"));
        }
    }
    if let Some((_, rows)) = rows {
        rows.finish()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A URI as it is, a path as the URI that it is indexed by.
fn as_uri(path: &str) -> Result<String> {
    if path.contains("://") {
        return Ok(path.to_owned());
    }
    let absolute = std::path::absolute(Path::new(path)).with_context(|| path.to_owned())?;
    let mut uri: String = url::Url::from_file_path(&absolute)
        .map_err(|()| anyhow::anyhow!("{path}: its name cannot be written as a URL"))?
        .into();
    if path.ends_with('/') && !uri.ends_with('/') {
        uri.push('/');
    }
    Ok(uri)
}

/// Whether the location is one document rather than the beginning of many.
fn names_a_document(uri: &str) -> bool {
    let uri = uri.to_lowercase();
    let whole = uri.split('#').next().unwrap_or_default();
    let stem = whole.strip_suffix(".gz").unwrap_or(whole);
    uri.contains("#part=")
        || [".yaml", ".yml", ".json", ".nc", ".tif", ".tiff"]
            .iter()
            .any(|suffix| stem.ends_with(suffix))
}
