//! `datacube dataset archive` and `restore`.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::index::{ArchivedFilter, Query};
use datacube::model::Dataset;
use datacube::model::lineage::LineageDirection;
use jiff::Timestamp;
use uuid::Uuid;

use super::{ids_of, note_unknown, parse_query};
use crate::args::{ArchiveArgs, RestoreArgs, Status};
use crate::commands::exit_code;
use crate::output::{self, Consent, confirm, counted};

pub(super) fn archive(dc: &Datacube, args: &ArchiveArgs) -> Result<ExitCode> {
    let mut ids = if args.all {
        ids_of(dc, Query::new())?
    } else if args.query.is_empty() {
        let n_unknown = unknown(dc, &args.ids)?;
        if n_unknown > 0 {
            return Ok(exit_code(n_unknown));
        }
        args.ids.clone()
    } else {
        ids_of(dc, parse_query(dc, &args.query, Status::Active)?)?
    };
    if args.archive_derived {
        ids.extend(derived_of(dc, &ids)?);
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if ids.is_empty() {
        output::line("No datasets to archive")?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = counted(u64::try_from(ids.len())?, "dataset");
    if args.all && !args.dry_run {
        let warning = format!("All {count} of the index will be archived");
        if !confirm(&warning, Consent::of(args.yes.yes, false))? {
            return Ok(exit_code(1));
        }
    }
    if args.dry_run {
        for id in &ids {
            output::line(format!("Would archive dataset: {id}"))?;
        }
        output::line(format!("{count} not archived (dry run)"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = dc.archive(&ids, Timestamp::now())?;
    for id in &report.changed {
        output::line(format!("Archiving dataset: {id}"))?;
    }
    for id in &report.unchanged {
        output::line(format!("Dataset was archived before: {id}"))?;
    }
    let n_unknown = note_unknown(&report.unknown);
    output::line("Completed dataset archival.")?;
    Ok(exit_code(n_unknown))
}

/// Tells those of the ids that the index does not hold; how many there are.
fn unknown(dc: &Datacube, ids: &[Uuid]) -> Result<usize> {
    let found = dc.datasets(ids)?;
    let missing = ids.iter().zip(found).filter(|(_, found)| found.is_none());
    Ok(note_unknown(missing.map(|(id, _)| id)))
}

/// Everything in the index that was made from the datasets, at any remove.
fn derived_of(dc: &Datacube, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let relations = dc.lineage(ids, LineageDirection::Derived, None)?;
    let mut seen: HashSet<Uuid> = ids.iter().copied().collect();
    let derived: Vec<Uuid> = relations
        .iter()
        .map(|relation| relation.derived)
        .filter(|id| seen.insert(*id))
        .collect();
    let found = dc.datasets(&derived)?;
    Ok(found.iter().flatten().map(Dataset::id).collect())
}

pub(super) fn restore(dc: &Datacube, args: &RestoreArgs) -> Result<ExitCode> {
    let targets: Vec<Dataset> = if args.all {
        let ids = ids_of(dc, Query::new().archived(ArchivedFilter::Archived))?;
        dc.datasets(&ids)?.into_iter().flatten().collect()
    } else {
        let n_unknown = unknown(dc, &args.ids)?;
        if n_unknown > 0 {
            return Ok(exit_code(n_unknown));
        }
        dc.datasets(&args.ids)?.into_iter().flatten().collect()
    };
    let mut chosen: Vec<Dataset> = Vec::new();
    for target in targets {
        if args.restore_derived
            && let Some(when) = target.archived()
        {
            let derived = dc.datasets(&derived_of(dc, &[target.id()])?)?;
            let near = derived.into_iter().flatten().filter(|dataset| {
                dataset.archived().is_some_and(|then| {
                    then.duration_since(when).abs().as_secs()
                        <= i64::from(args.derived_tolerance_seconds)
                })
            });
            chosen.extend(near);
        }
        chosen.push(target);
    }
    let mut seen = HashSet::new();
    chosen.retain(|dataset| seen.insert(dataset.id()));
    chosen.sort_by_key(Dataset::id);
    for dataset in &chosen {
        if dataset.is_archived() {
            let verb = if args.dry_run {
                "would restore"
            } else {
                "restoring"
            };
            output::line(format!(
                "{verb} {} {} {}",
                dataset.product().name(),
                dataset.id(),
                dataset.uri().unwrap_or("without a location")
            ))?;
        } else {
            output::line(format!("Dataset is active: {}", dataset.id()))?;
        }
    }
    chosen.retain(Dataset::is_archived);
    let count = counted(u64::try_from(chosen.len())?, "dataset");
    if args.dry_run {
        output::line(format!("{count} not restored (dry run)"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let ids: Vec<Uuid> = chosen.iter().map(Dataset::id).collect();
    let report = dc.restore(&ids)?;
    let n_unknown = note_unknown(&report.unknown);
    output::line(format!("{count} restored"))?;
    Ok(exit_code(n_unknown))
}
