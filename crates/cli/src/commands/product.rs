//! `datacube product`: add, list and show product definitions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::index::Added;
use serde_json::{Map, Value, json};

use super::exit_code;
use crate::args::{DocumentFormat, Format, ProductCommand};
use crate::output::{self, Rows};

pub(crate) fn run(dc: &Datacube, command: &ProductCommand) -> Result<ExitCode> {
    match command {
        ProductCommand::Add { files } => add(dc, files),
        ProductCommand::List { format } => list(dc, format.format),
        ProductCommand::Show { names, format } => show(dc, names, *format),
    }
}

fn add(dc: &Datacube, files: &[PathBuf]) -> Result<ExitCode> {
    let mut n_failed = 0;
    for file in files {
        let outcomes = match dc.add_products(file) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                n_failed += 1;
                output::report_error(&error.into(), false);
                continue;
            }
        };
        for outcome in outcomes {
            let name = outcome.name.as_deref().unwrap_or("?");
            match outcome.result {
                Ok(Added::New) => output::line(format!("Added product {name}"))?,
                Ok(Added::AlreadyThere) => {
                    output::line(format!("Product {name} is there already, unchanged"))?;
                }
                Err(error) => {
                    n_failed += 1;
                    let error = anyhow::Error::from(error)
                        .context(format!("product {name} ({})", outcome.location));
                    output::report_error(&error, false);
                }
            }
        }
    }
    Ok(exit_code(n_failed))
}

const COLUMNS: [&str; 6] = [
    "name",
    "description",
    "metadata_type",
    "license",
    "default_crs",
    "default_resolution",
];

fn list(dc: &Datacube, format: Format) -> Result<ExitCode> {
    let mut rows = Rows::new(format, &COLUMNS);
    for product in dc.products()? {
        let hints = product.load_hints();
        let mut row = Map::new();
        row.insert("name".into(), product.name().into());
        row.insert("description".into(), product.description().trim().into());
        row.insert(
            "metadata_type".into(),
            product.metadata_type().name().into(),
        );
        row.insert("license".into(), product.license().into());
        row.insert(
            "default_crs".into(),
            hints
                .as_ref()
                .map(|hints| hints.crs.as_str().to_owned())
                .into(),
        );
        row.insert(
            "default_resolution".into(),
            hints.map_or(Value::Null, |hints| {
                json!([hints.resolution.x, hints.resolution.y])
            }),
        );
        rows.push(&row)?;
    }
    if rows.finish()? == 0 && format == Format::Table {
        output::note("no products yet; add one with `datacube product add FILE`");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(dc: &Datacube, names: &[String], format: DocumentFormat) -> Result<ExitCode> {
    let mut documents = Vec::new();
    if names.is_empty() {
        documents.extend(
            dc.products()?
                .iter()
                .map(|product| product.document().clone()),
        );
    }
    let mut n_failed = 0;
    for name in names {
        match dc.product(name) {
            Ok(product) => documents.push(product.document().clone()),
            Err(error) => {
                n_failed += 1;
                output::report_error(&error.into(), false);
            }
        }
    }
    output::documents(&documents, format)?;
    Ok(exit_code(n_failed))
}
