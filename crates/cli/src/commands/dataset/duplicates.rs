//! `datacube dataset find-duplicates`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use datacube::Datacube;
use datacube::index::Query;
use serde_json::json;

use crate::args::{DuplicatesArgs, Format};
use crate::output::{self, Row, Rows};

pub(super) fn run(dc: &Datacube, args: &DuplicatesArgs) -> Result<ExitCode> {
    let products = dc.products_with_fields(&args.fields, &args.products)?;
    if products.is_empty() {
        bail!(
            "no product has all of the fields {}",
            args.fields.join(", ")
        );
    }
    let columns = ["product"]
        .into_iter()
        .chain(args.fields.iter().map(String::as_str))
        .chain(["ids"]);
    let mut rows = Rows::new(args.format, columns);
    let mut count = 0;
    for product in products {
        let query = Query::new().product(product.name());
        for duplicates in dc.duplicates(&query, &args.fields)? {
            count += 1;
            let mut row = Row::new();
            row.insert("product".into(), product.name().into());
            row.extend(duplicates.values);
            let ids: Vec<String> = duplicates.ids.iter().map(ToString::to_string).collect();
            row.insert(
                "ids".into(),
                match args.format {
                    Format::Table | Format::Csv => ids.join(" ").into(),
                    _ => json!(ids),
                },
            );
            rows.push(&row)?;
        }
    }
    if count > 0 {
        rows.finish()?;
    } else if matches!(args.format, Format::Json | Format::Jsonl | Format::Csv) {
        rows.finish()?;
        output::note("No potential duplicates found.");
    } else {
        output::line("No potential duplicates found.")?;
    }
    Ok(ExitCode::SUCCESS)
}
