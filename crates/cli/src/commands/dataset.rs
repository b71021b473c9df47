//! `datacube dataset`: add, find, count, archive and restore.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use datacube::index::{Added, ArchivedFilter, Query};
use datacube::model::{Dataset, FieldValue, Number};
use datacube::{Datacube, MatchOptions};
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::exit_code;
use crate::args::{DatasetAddArgs, DatasetCommand, Format, Status};
use crate::output::{self, Rows};

pub(crate) fn run(dc: &Datacube, command: &DatasetCommand) -> Result<ExitCode> {
    match command {
        DatasetCommand::Add(args) => add(dc, args),
        DatasetCommand::Info { ids, format } => info(dc, ids, *format),
        DatasetCommand::Search {
            limit,
            status,
            format,
            expressions,
        } => search(dc, *limit, *status, format.format, expressions),
        DatasetCommand::Count {
            products,
            query,
            count_only,
            status,
            format,
        } => count(dc, products, query, *count_only, *status, format.format),
        DatasetCommand::Archive { ids, dry_run } => archive(dc, ids, *dry_run),
        DatasetCommand::Restore { ids, dry_run } => restore(dc, ids, *dry_run),
    }
}

#[derive(Debug, Default)]
struct Tally {
    added: usize,
    there: usize,
    failed: usize,
}

fn add(dc: &Datacube, args: &DatasetAddArgs) -> Result<ExitCode> {
    let options = MatchOptions {
        products: args.products.clone(),
        exclude: args.exclude_products.clone(),
        dry_run: args.dry_run,
    };
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new_spinner().with_message("Indexing datasets")
    } else {
        ProgressBar::hidden()
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (counted, shown) = (tally.clone(), bar.clone());
    dc.add_datasets_with(args.paths.clone(), &options, move |outcome| {
        let mut tally = counted.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome.result {
            Ok(Added::New) => tally.added += 1,
            Ok(Added::AlreadyThere) => tally.there += 1,
            Err(error) => {
                tally.failed += 1;
                let error = anyhow::Error::from(error).context(outcome.location);
                shown.suspend(|| output::report_error(&error, false));
            }
        }
        shown.set_message(format!("Indexing datasets: {}", tally.added + tally.there));
    })?;
    bar.finish_and_clear();
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let verb = if args.dry_run { "Would add" } else { "Added" };
    output::line(format!(
        "{verb} {} datasets, {} were there already, {} failed",
        tally.added, tally.there, tally.failed
    ))?;
    Ok(exit_code(tally.failed))
}

fn parse_ids(ids: &[String]) -> Result<Vec<Uuid>> {
    ids.iter()
        .map(|id| Uuid::parse_str(id).with_context(|| format!("`{id}` is not a dataset id")))
        .collect()
}

const INFO_COLUMNS: [&str; 5] = ["id", "product", "status", "indexed", "location"];

fn info(dc: &Datacube, ids: &[String], format: Format) -> Result<ExitCode> {
    let ids = parse_ids(ids)?;
    let mut rows = Rows::new(format, &INFO_COLUMNS);
    let mut n_missing = 0;
    for (id, dataset) in ids.iter().zip(dc.datasets(&ids)?) {
        match dataset {
            Some(dataset) => rows.push(&describe(&dataset))?,
            None => {
                n_missing += 1;
                output::note(format!("{id} missing"));
            }
        }
    }
    rows.finish()?;
    Ok(exit_code(n_missing))
}

/// What is known of a dataset, in the order in which ODC prints it.
fn describe(dataset: &Dataset) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("id".into(), dataset.id().to_string().into());
    row.insert("product".into(), dataset.product().name().into());
    let status = if dataset.is_archived() {
        "archived"
    } else {
        "active"
    };
    row.insert("status".into(), status.into());
    row.insert(
        "indexed".into(),
        dataset.indexed().map(|time| time.to_string()).into(),
    );
    let mut locations: Vec<Value> = dataset
        .locations()
        .iter()
        .map(|location| location.uri.clone().into())
        .collect();
    match locations.len() {
        0 | 1 => row.insert("location".into(), locations.pop().into()),
        _ => row.insert("locations".into(), locations.into()),
    };
    let fields: Map<String, Value> = dataset
        .fields()
        .iter()
        .map(|(name, value)| (name.clone(), field_json(value)))
        .collect();
    row.insert("fields".into(), fields.into());
    row
}

/// A field as documents have it; ranges as `{begin, end}`.
fn field_json(value: &FieldValue) -> Value {
    let time = |time: &Timestamp| Value::from(time.to_string());
    match value {
        FieldValue::Text(text) => text.clone().into(),
        FieldValue::Number(number) => number_json(*number),
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::Time(instant) => time(instant),
        FieldValue::NumberRange { begin, end } => {
            json!({ "begin": begin.map(number_json), "end": end.map(number_json) })
        }
        FieldValue::TimeRange { begin, end } => {
            json!({ "begin": begin.as_ref().map(time), "end": end.as_ref().map(time) })
        }
        FieldValue::Object(value) => value.clone(),
        other => format!("{other:?}").into(),
    }
}

fn number_json(number: Number) -> Value {
    match number {
        Number::Int(value) => i64::try_from(value)
            .map(Value::from)
            .or_else(|_| u64::try_from(value).map(Value::from))
            .unwrap_or_else(|_| value.to_string().into()),
        // JSON has no NaN; ODC writes it as text.
        Number::Float(value) => serde_json::Number::from_f64(value)
            .map_or_else(|| number.to_string().into(), Value::from),
    }
}

fn parse_query(dc: &Datacube, expressions: &[String], status: Status) -> Result<Query> {
    let query = dc.parse_query(&expressions.join(" "))?;
    Ok(query.archived(match status {
        Status::Active => ArchivedFilter::Active,
        Status::Archived => ArchivedFilter::Archived,
        Status::All => ArchivedFilter::Any,
    }))
}

const SEARCH_COLUMNS: [&str; 4] = ["id", "product", "time", "location"];

fn search(
    dc: &Datacube,
    limit: Option<usize>,
    status: Status,
    format: Format,
    expressions: &[String],
) -> Result<ExitCode> {
    let mut query = parse_query(dc, expressions, status)?;
    query.limit = limit;
    let mut rows = Rows::new(format, &SEARCH_COLUMNS);
    dc.search_each(query, |dataset| {
        let mut row = describe(&dataset);
        if format == Format::Table || format == Format::Csv {
            row.insert("time".into(), dataset.center_time().to_string().into());
            row.insert("location".into(), dataset.uri().into());
        }
        rows.push(&row)
    })?;
    if rows.finish()? == 0 && format == Format::Table {
        output::note("no datasets match");
    }
    Ok(ExitCode::SUCCESS)
}

const COUNT_COLUMNS: [&str; 2] = ["product", "count"];

fn count(
    dc: &Datacube,
    products: &[String],
    expressions: &[String],
    count_only: bool,
    status: Status,
    format: Format,
) -> Result<ExitCode> {
    let query = parse_query(dc, expressions, status)?;
    let mut names = products.to_vec();
    if names.is_empty() {
        names = match query.products.as_slice() {
            [] => dc
                .products()?
                .iter()
                .map(|product| product.name().to_owned())
                .collect(),
            named => named.to_vec(),
        };
    }
    for name in &names {
        dc.product(name)?;
    }
    let mut rows = Rows::new(format, &COUNT_COLUMNS);
    let mut total = 0;
    for name in names {
        let mut one = query.clone();
        one.products = vec![name.clone()];
        let count = dc.count(&one)?;
        total += count;
        if !count_only {
            rows.push(
                json!({ "product": name, "count": count })
                    .as_object()
                    .expect("an object"),
            )?;
        }
    }
    if count_only {
        output::line(total.to_string())?;
    } else {
        rows.finish()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn archive(dc: &Datacube, ids: &[String], dry_run: bool) -> Result<ExitCode> {
    let ids = parse_ids(ids)?;
    change(dc, &ids, dry_run, "archive", |ids| {
        Ok(dc.archive(ids, Timestamp::now())?)
    })
}

fn restore(dc: &Datacube, ids: &[String], dry_run: bool) -> Result<ExitCode> {
    let ids = parse_ids(ids)?;
    change(dc, &ids, dry_run, "restore", |ids| Ok(dc.restore(ids)?))
}

/// Archives or restores, and says what became of each id.
fn change(
    dc: &Datacube,
    ids: &[Uuid],
    dry_run: bool,
    verb: &str,
    apply: impl FnOnce(&[Uuid]) -> Result<datacube::index::ArchiveReport>,
) -> Result<ExitCode> {
    if dry_run {
        let mut n_missing = 0;
        for (id, dataset) in ids.iter().zip(dc.datasets(ids)?) {
            match dataset {
                None => {
                    n_missing += 1;
                    output::note(format!("{id} missing"));
                }
                Some(dataset) if dataset.is_archived() == (verb == "archive") => {
                    output::line(format!("{id} is so already"))?;
                }
                Some(_) => output::line(format!("would {verb} {id}"))?,
            }
        }
        return Ok(exit_code(n_missing));
    }
    let report = apply(ids)?;
    for id in &report.changed {
        output::line(format!("{verb}d {id}"))?;
    }
    for id in &report.unchanged {
        output::line(format!("{id} was so already"))?;
    }
    for id in &report.unknown {
        output::note(format!("{id} missing"));
    }
    Ok(exit_code(report.unknown.len()))
}
