//! `datacube metadata`: the fields that datasets are searched by.

use std::process::ExitCode;

use anyhow::Result;
use datacube::{Datacube, DefinitionOptions, index::UpdateOptions};
use serde_json::json;

use super::definitions;
use crate::args::{LinesFormat, MetadataCommand};
use crate::output::{self, Row, Rows};

const KIND: &str = "metadata type";

pub(crate) fn run(dc: &Datacube, command: &MetadataCommand) -> Result<ExitCode> {
    match command {
        MetadataCommand::Add { files, dry_run, .. } => {
            let options = DefinitionOptions::default().dry_run(dry_run.dry_run);
            definitions::add(KIND, files, dry_run.dry_run, |file| {
                Ok(dc.add_metadata_types(file, &options)?)
            })
        }
        MetadataCommand::Update {
            files,
            allow,
            dry_run,
            ..
        } => {
            let options = UpdateOptions::default()
                .allow_unsafe(allow.allow_unsafe)
                .dry_run(dry_run.dry_run);
            definitions::update(KIND, files, dry_run.dry_run, |file| {
                Ok(dc.update_metadata_types(file, &options)?)
            })
        }
        MetadataCommand::Show { names, format } => definitions::show(
            names,
            *format,
            || {
                let types = dc.metadata_types()?;
                Ok(types.iter().map(|item| item.document().clone()).collect())
            },
            |name| Ok(dc.metadata_type(name)?.document().clone()),
        ),
        MetadataCommand::List { format } => list(dc, *format),
    }
}

fn list(dc: &Datacube, format: LinesFormat) -> Result<ExitCode> {
    let types = dc.metadata_types()?;
    if types.is_empty() {
        output::note("no metadata types yet; `datacube system init` adds the usual ones");
    }
    let Some(format) = format.rows() else {
        let names: Vec<(String, String)> = types
            .iter()
            .map(|item| (item.name().to_owned(), item.description().to_owned()))
            .collect();
        definitions::list_names(&names)?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut rows = Rows::new(format, ["name", "description", "fields"]);
    for item in types {
        let fields: Vec<&str> = item.fields().keys().map(String::as_str).collect();
        let mut row = Row::new();
        row.insert("name".into(), item.name().into());
        row.insert("description".into(), item.description().trim().into());
        row.insert(
            "fields".into(),
            match format {
                crate::args::Format::Table | crate::args::Format::Csv => fields.join(" ").into(),
                _ => json!(fields),
            },
        );
        rows.push(&row)?;
    }
    rows.finish()?;
    Ok(ExitCode::SUCCESS)
}
