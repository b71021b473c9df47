//! `datacube dataset add`.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use datacube::index::{AddOptions, Added};
use datacube::{Datacube, MatchOptions, Signing, SourceOptions};

use crate::args::AddArgs;
use crate::commands::exit_code;
use crate::output::{self, Progress};

#[derive(Debug, Default)]
struct Tally {
    added: usize,
    there: usize,
    failed: usize,
}

pub(super) fn run(dc: &Datacube, args: &AddArgs) -> Result<ExitCode> {
    let options = options(args);
    let progress = Progress::counting("Indexing datasets");
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (counted, bar) = (tally.clone(), progress.counter());
    dc.add_datasets_with(
        args.paths.iter().map(Into::into).collect(),
        &options,
        move |outcome| {
            let mut tally = counted.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome.result {
                Ok(Added::New) => tally.added += 1,
                Ok(Added::AlreadyThere) => {
                    tally.there += 1;
                    let id = outcome.name.as_deref().unwrap_or("?");
                    tracing::info!("Dataset {id} is already in the index");
                }
                Err(error) => {
                    tally.failed += 1;
                    let error = anyhow::Error::from(error).context(outcome.location);
                    output::report_error(&error, false);
                }
            }
            bar.inc(1);
        },
    )?;
    drop(progress);
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let verb = if args.dry_run { "Would add" } else { "Added" };
    output::line(format!(
        "{verb} {} datasets, {} were there already, {} failed",
        tally.added, tally.there, tally.failed
    ))?;
    Ok(exit_code(tally.failed))
}

fn options(args: &AddArgs) -> MatchOptions {
    let mut add = AddOptions::default().with_lineage(!args.ignore_lineage);
    add.archive_less_mature = args.maturity.leniency();
    let mut sources = SourceOptions::default();
    sources.requester_pays = args.request_payer;
    if args.no_sign_request {
        sources.signing = Signing::Never;
    }
    MatchOptions {
        products: args.products.clone(),
        exclude: args.exclude_products.clone(),
        dry_run: args.dry_run,
        add,
        require_sources: args.no_auto_add_lineage,
        workers: args.workers.map(usize::from),
        infer_products: args.infer_products,
        relative_assets: args.assets.asset_relative_paths,
        sources,
        ..MatchOptions::default()
    }
}
