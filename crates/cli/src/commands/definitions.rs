//! What metadata types and products have in common: files of definitions are
//! added and updated, one outcome each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use datacube::index::{Added, Updated};
use datacube::{DocumentOutcome, UpdatedDefinition};
use serde_json::Value;

use super::exit_code;
use crate::args::DocumentFormat;
use crate::output;

/// Adds the definitions of the files, and says what became of each.
pub(crate) fn add(
    kind: &str,
    files: &[PathBuf],
    dry_run: bool,
    add_file: impl Fn(&PathBuf) -> Result<Vec<DocumentOutcome>>,
) -> Result<ExitCode> {
    let mut n_failed = 0;
    for file in files {
        let outcomes = match read(file, add_file(file)) {
            Some(outcomes) => outcomes,
            None => {
                n_failed += 1;
                continue;
            }
        };
        for outcome in outcomes {
            let name = outcome.name.as_deref().unwrap_or("?");
            match (outcome.result, dry_run) {
                (Ok(Added::New), false) => output::line(format!("Adding \"{name}\" DONE"))?,
                (Ok(Added::New), true) => output::line(format!("Would add \"{name}\""))?,
                (Ok(Added::AlreadyThere), _) => {
                    output::line(format!("\"{name}\" is there already, unchanged"))?;
                }
                (Err(error), _) => {
                    n_failed += 1;
                    report(kind, name, &outcome.location, error);
                }
            }
        }
    }
    Ok(exit_code(n_failed))
}

/// Updates the definitions of the files, and says what became of each.
pub(crate) fn update(
    kind: &str,
    files: &[PathBuf],
    dry_run: bool,
    update_file: impl Fn(&PathBuf) -> Result<Vec<UpdatedDefinition>>,
) -> Result<ExitCode> {
    let mut n_failed = 0;
    for file in files {
        let outcomes = match read(file, update_file(file)) {
            Some(outcomes) => outcomes,
            None => {
                n_failed += 1;
                continue;
            }
        };
        for outcome in outcomes {
            let name = outcome.name.as_deref().unwrap_or("?");
            match outcome.result {
                Ok(updated) if dry_run => {
                    output::line(format!("Can update \"{name}\": {}", tally(&updated)))?;
                    note_changes(&updated.changes);
                }
                Ok(updated) if updated.written => {
                    output::line(format!("Updated \"{name}\""))?;
                    note_changes(&updated.changes);
                }
                Ok(_) => output::line(format!("\"{name}\" is unchanged"))?,
                Err(error) => {
                    n_failed += 1;
                    if let Some(changes) = unsafe_changes(&error) {
                        let cannot = if dry_run { "Cannot" } else { "Failed to" };
                        output::line(format!(
                            "{cannot} update \"{name}\": {}",
                            tally_changes(changes)
                        ))?;
                        note_changes(changes);
                        if !dry_run {
                            output::note("  --allow-unsafe makes unsafe changes, too");
                        }
                    } else {
                        report(kind, name, &outcome.location, error);
                    }
                }
            }
        }
    }
    Ok(exit_code(n_failed))
}

/// The outcomes of a file; one that cannot be read at all, or that holds
/// nothing, is told and gives none.
fn read<T>(file: &std::path::Path, outcomes: Result<Vec<T>>) -> Option<Vec<T>> {
    match outcomes {
        Ok(outcomes) if outcomes.is_empty() => {
            let error = anyhow::anyhow!("{}: there is no document in it", file.display());
            output::report_error(&error, false);
            None
        }
        Ok(outcomes) => Some(outcomes),
        Err(error) => {
            output::report_error(&error, false);
            None
        }
    }
}

fn report(kind: &str, name: &str, location: &str, error: datacube::Error) {
    let error = anyhow::Error::from(error).context(format!("{kind} {name} ({location})"));
    output::report_error(&error, false);
}

fn tally(updated: &Updated) -> String {
    tally_changes(&updated.changes)
}

/// `1 unsafe changes, 2 safe changes`, as ODC writes it.
pub(crate) fn tally_changes(changes: &datacube::model::Changes) -> String {
    format!(
        "{} unsafe changes, {} safe changes",
        changes.unsafe_().count(),
        changes.safe().count()
    )
}

/// Each change on a line of its own, beside the result.
pub(crate) fn note_changes(changes: &datacube::model::Changes) {
    for line in changes.to_string().lines() {
        output::note(format!("  {line}"));
    }
}

/// The changes that an update was refused for.
pub(crate) fn unsafe_changes(error: &datacube::Error) -> Option<&datacube::model::Changes> {
    match error {
        datacube::Error::Index(datacube::index::Error::UnsafeChanges { changes, .. }) => {
            Some(changes)
        }
        _ => None,
    }
}

/// Prints the definitions of these names, or all; an unknown name fails.
pub(crate) fn show(
    names: &[String],
    format: DocumentFormat,
    all: impl FnOnce() -> Result<Vec<Value>>,
    one: impl Fn(&str) -> Result<Value>,
) -> Result<ExitCode> {
    let mut documents = Vec::new();
    if names.is_empty() {
        documents = all()?;
    }
    let mut n_failed = 0;
    for name in names {
        match one(name) {
            Ok(document) => documents.push(document),
            Err(error) => {
                n_failed += 1;
                output::report_error(&error, false);
            }
        }
    }
    if !documents.is_empty() {
        output::documents(&documents, format)?;
    }
    Ok(exit_code(n_failed))
}

/// Names and the first line of their descriptions, aligned.
pub(crate) fn list_names(items: &[(String, String)]) -> Result<()> {
    let width = items.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, description) in items {
        let first = description.trim().lines().next().unwrap_or_default();
        let padding = " ".repeat(width - name.len());
        let text = format!("{}{padding}  {first}", output::green(name));
        output::line(text.trim_end())?;
    }
    Ok(())
}
