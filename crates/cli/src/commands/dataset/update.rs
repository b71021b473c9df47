//! `datacube dataset update`.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use datacube::index::{UpdateDatasetOptions, UpdateOutcome};
use datacube::{Datacube, DocumentUpdate, UpdatedDocument, allowed_paths};

use crate::args::{LocationPolicy, UpdateArgs};
use crate::commands::definitions::{note_changes, tally_changes, unsafe_changes};
use crate::commands::{exit_code, stores};
use crate::output::{self, Progress};

impl From<LocationPolicy> for datacube::index::LocationPolicy {
    fn from(policy: LocationPolicy) -> Self {
        match policy {
            LocationPolicy::Keep => Self::Keep,
            LocationPolicy::Archive => Self::Archive,
            LocationPolicy::Forget => Self::Forget,
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    successful: usize,
    failed: usize,
}

pub(super) fn run(dc: &Datacube, args: &UpdateArgs) -> Result<ExitCode> {
    stores::configure(&args.stores)?;
    let allow_any = match allowed_paths(&args.allow_any) {
        Ok(paths) => paths,
        // A key that can never be updated is a mistake in the call.
        Err(error) => {
            output::report_error(&error.into(), false);
            return Ok(ExitCode::from(2));
        }
    };
    let mut options = UpdateDatasetOptions::default()
        .locations(args.location_policy.into())
        .dry_run(args.dry_run);
    options.allow_any = allow_any;
    options.archive_less_mature = args.maturity.leniency();
    let options = DocumentUpdate::from(options).relative_assets(args.assets.asset_relative_paths);
    let progress = Progress::counting("Updating datasets");
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (counted, bar, dry_run) = (tally.clone(), progress.counter(), args.dry_run);
    dc.update_datasets_with(
        args.paths.iter().map(Into::into).collect(),
        &options,
        move |outcome| {
            let mut tally = counted.lock().unwrap_or_else(PoisonError::into_inner);
            match tell(outcome, dry_run) {
                true => tally.successful += 1,
                false => tally.failed += 1,
            }
            bar.inc(1);
        },
    )?;
    drop(progress);
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    output::line(format!(
        "{} successful, {} failed",
        tally.successful, tally.failed
    ))?;
    Ok(exit_code(tally.failed))
}

/// Says what became of one document; whether it went well.
fn tell(outcome: UpdatedDocument, dry_run: bool) -> bool {
    let id = outcome.name.as_deref().unwrap_or("?").to_owned();
    // Standard output that is gone is noticed when the summary is printed.
    let say = |text: String| drop(output::line(text));
    match outcome.result {
        Ok(UpdateOutcome::Updated(changes)) if dry_run => {
            say(format!("Can update {id}: {}", tally_changes(&changes)));
            note_changes(&changes);
            true
        }
        Ok(UpdateOutcome::Updated(_)) => {
            say(format!("Updated {id}"));
            true
        }
        Ok(UpdateOutcome::Unchanged) => {
            say(format!("{id} is unchanged"));
            true
        }
        Ok(UpdateOutcome::Failed(error)) => failed(&id, &outcome.location, error.into(), dry_run),
        Err(error) => failed(&id, &outcome.location, error, dry_run),
    }
}

fn failed(id: &str, location: &str, error: datacube::Error, dry_run: bool) -> bool {
    let cannot = if dry_run { "Cannot" } else { "Failed to" };
    if let Some(changes) = unsafe_changes(&error) {
        drop(output::line(format!(
            "{cannot} update {id}: {}",
            tally_changes(changes)
        )));
        note_changes(changes);
    } else {
        let error = anyhow::Error::from(error).context(location.to_owned());
        output::report_error(&error, false);
    }
    false
}
