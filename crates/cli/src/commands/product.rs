//! `datacube product`: what kinds of datasets there are.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use datacube::index::{DeleteOptions, DeleteOutcome, Error as IndexError, UpdateOptions};
use datacube::model::Product;
use datacube::{Datacube, DefinitionOptions};
use serde_json::{Value, json};

use super::{definitions, exit_code};
use crate::args::{Format, LinesFormat, ProductCommand};
use crate::output::{self, Consent, Row, Rows, confirm, counted};

const KIND: &str = "product";

pub(crate) fn run(dc: &Datacube, command: &ProductCommand) -> Result<ExitCode> {
    match command {
        ProductCommand::Add { files, dry_run, .. } => {
            let options = DefinitionOptions::default().dry_run(dry_run.dry_run);
            definitions::add(KIND, files, dry_run.dry_run, |file| {
                Ok(dc.add_products_with(file, &options)?)
            })
        }
        ProductCommand::Update {
            files,
            allow,
            dry_run,
            ..
        } => {
            let options = UpdateOptions::default()
                .allow_unsafe(allow.allow_unsafe)
                .dry_run(dry_run.dry_run);
            definitions::update(KIND, files, dry_run.dry_run, |file| {
                Ok(dc.update_products(file, &options)?)
            })
        }
        ProductCommand::Delete {
            names,
            force,
            dry_run,
            yes,
        } => {
            let consent = Consent::of(yes.yes, *force);
            delete(dc, names, *force, dry_run.dry_run, consent)
        }
        ProductCommand::List { format } => list(dc, *format),
        ProductCommand::Show { names, format } => definitions::show(
            names,
            *format,
            || {
                let products = dc.products()?;
                Ok(products
                    .iter()
                    .map(|item| item.document().clone())
                    .collect())
            },
            |name| Ok(dc.product(name)?.document().clone()),
        ),
    }
}

fn delete(
    dc: &Datacube,
    names: &[String],
    force: bool,
    dry_run: bool,
    consent: Consent,
) -> Result<ExitCode> {
    for name in names {
        dc.product(name)?;
    }
    let what = if force {
        "active datasets included"
    } else {
        "with their archived datasets"
    };
    let warning = format!("Products will be deleted, {what}: {}", names.join(", "));
    if !dry_run && !confirm(&warning, consent)? {
        return Ok(exit_code(1));
    }
    let options = DeleteOptions::default().with_active(force).dry_run(dry_run);
    let outcomes = dc.delete_products(names, &options)?;
    let mut n_deleted = 0;
    for (name, outcome) in names.iter().zip(outcomes) {
        match outcome {
            DeleteOutcome::Deleted { n_datasets } => {
                n_deleted += 1;
                let verb = if dry_run { "Would delete" } else { "Deleted" };
                let datasets = counted(n_datasets, "dataset");
                output::line(format!("{verb} \"{name}\" and {datasets}"))?;
            }
            DeleteOutcome::Failed(IndexError::InUse { n_active, .. }) => {
                let active = counted(n_active, "active dataset");
                output::note(format!(
                    "Product \"{name}\" could not be deleted: it has {active}. \
                     Use the --force option to delete anyway."
                ));
            }
            DeleteOutcome::Failed(error) => output::report_error(&error.into(), false),
        }
    }
    if dry_run {
        output::line(format!("{} products not deleted (dry run)", names.len()))?;
    } else {
        output::line(format!(
            "{n_deleted} out of {} products successfully deleted.",
            names.len()
        ))?;
        output::line("Completed product deletion.")?;
    }
    Ok(exit_code(names.len() - n_deleted))
}

fn list(dc: &Datacube, format: LinesFormat) -> Result<ExitCode> {
    let products = dc.products()?;
    if products.is_empty() {
        output::note("no products yet; add one with `datacube product add FILE`");
    }
    let Some(format) = format.rows() else {
        let names: Vec<(String, String)> = products
            .iter()
            .map(|item| (item.name().to_owned(), item.description().to_owned()))
            .collect();
        definitions::list_names(&names)?;
        return Ok(ExitCode::SUCCESS);
    };
    // ODC's columns, without those that would be empty for every product.
    let fields: BTreeSet<String> = products
        .iter()
        .flat_map(|product| describe_metadata(product).into_iter().map(|(name, _)| name))
        .collect();
    let mut columns = vec!["name".to_owned(), "description".to_owned()];
    if format == Format::Csv {
        columns.extend(["metadata_type".to_owned(), "license".to_owned()]);
        columns.extend(fields);
    }
    columns.extend(["crs", "resolution", "tile_shape", "spatial_dimensions"].map(String::from));
    let mut rows = Rows::new(format, columns);
    for product in &products {
        rows.push(&describe(product))?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn describe(product: &Product) -> Row {
    let mut row = Row::new();
    row.insert("name".into(), product.name().into());
    row.insert("description".into(), product.description().trim().into());
    row.insert(
        "metadata_type".into(),
        product.metadata_type().name().into(),
    );
    row.insert("license".into(), product.license().into());
    row.extend(describe_metadata(product));
    let hints = product.load_hints();
    let crs = hints.as_ref().map(|hints| hints.crs.as_str().to_owned());
    row.insert("crs".into(), crs.into());
    row.insert(
        "resolution".into(),
        hints.as_ref().map_or(
            Value::Null,
            |hints| json!({ "x": hints.resolution.x, "y": hints.resolution.y }),
        ),
    );
    row.insert(
        "tile_shape".into(),
        product.grid_spec().map_or(Value::Null, |grid| {
            let pixels = |size: f64, resolution: f64| (size / resolution).abs().round();
            let rows = pixels(grid.tile_size.y, grid.resolution.y);
            json!([rows, pixels(grid.tile_size.x, grid.resolution.x)])
        }),
    );
    row.insert(
        "spatial_dimensions".into(),
        hints.map_or(Value::Null, |hints| json!(hints.crs.dimensions())),
    );
    row
}

/// The search fields that the product's own metadata gives a value.
fn describe_metadata(product: &Product) -> Vec<(String, Value)> {
    product
        .metadata_type()
        .fields()
        .iter()
        .filter_map(|(name, field)| {
            let value = field.extract(product.metadata()).ok()??;
            Some((name.clone(), super::dataset::field_json(&value)))
        })
        .collect()
}
