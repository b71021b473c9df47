//! `datacube dataset purge`.

use std::process::ExitCode;

use anyhow::Result;
use datacube::Datacube;
use datacube::index::{ArchivedFilter, PurgeOptions, Query};

use super::{ids_of, note_unknown};
use crate::args::PurgeArgs;
use crate::commands::exit_code;
use crate::output::{self, Consent, confirm, counted};

pub(super) fn run(dc: &Datacube, args: &PurgeArgs) -> Result<ExitCode> {
    let ids = if args.all {
        ids_of(dc, Query::new().archived(ArchivedFilter::Archived))?
    } else {
        let found = dc.datasets(&args.ids)?;
        let missing = args
            .ids
            .iter()
            .zip(found)
            .filter(|(_, found)| found.is_none());
        let n_unknown = note_unknown(missing.map(|(id, _)| id));
        if n_unknown > 0 {
            return Ok(exit_code(n_unknown));
        }
        args.ids.clone()
    };
    if ids.is_empty() {
        output::line("No datasets to purge")?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = counted(u64::try_from(ids.len())?, "dataset");
    if !args.dry_run {
        let which = if args.force {
            ", active or archived,"
        } else {
            ""
        };
        let warning = format!("{count}{which} will be removed from the index for good");
        if !confirm(&warning, Consent::of(args.yes.yes, args.force))? {
            return Ok(exit_code(1));
        }
    }
    let options = PurgeOptions::default()
        .with_active(args.force)
        .dry_run(args.dry_run);
    let report = dc.purge(&ids, &options)?;
    let n_unknown = note_unknown(&report.unknown);
    if !report.active.is_empty() {
        let names: Vec<String> = report.active.iter().map(ToString::to_string).collect();
        output::note(format!(
            "The following datasets are still active and could not be purged: {}\n\
             Use the --force option to delete anyway.",
            names.join(", ")
        ));
    }
    if args.dry_run {
        for id in &report.purged {
            output::line(format!("Would purge dataset: {id}"))?;
        }
        let count = counted(u64::try_from(report.purged.len())?, "dataset");
        output::line(format!("{count} not purged (dry run)"))?;
    } else {
        output::line(format!(
            "{} of {} datasets purged",
            report.purged.len(),
            ids.len()
        ))?;
        output::line("Completed dataset purge.")?;
    }
    Ok(exit_code(n_unknown + report.active.len()))
}
