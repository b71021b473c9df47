//! `datacube dataset add`.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use datacube::index::{AddOptions, Added};
use datacube::model::stac::StacConfig;
use datacube::{Datacube, MatchOptions, SourceOptions};

use crate::args::AddArgs;
use crate::commands::{exit_code, stores};
use crate::output::{self, Progress};

#[derive(Debug, Default)]
struct Tally {
    added: usize,
    there: usize,
    failed: usize,
}

pub(super) fn run(dc: &Datacube, args: &AddArgs) -> Result<ExitCode> {
    stores::configure(&args.stores)?;
    let options = options(args)?;
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

fn options(args: &AddArgs) -> Result<MatchOptions> {
    let mut add = AddOptions::default().with_lineage(!args.ignore_lineage);
    add.archive_less_mature = args.maturity.leniency();
    let mut sources = SourceOptions::default();
    sources.search = args.stac.search();
    sources.limit = args.stac.limit.map(usize::try_from).transpose()?;
    let may_be_api = |path: &String| path.starts_with("http://") || path.starts_with("https://");
    if let Some(asked) = sources.search.keys().next()
        && !args.paths.iter().any(may_be_api)
    {
        bail!(
            "--{asked} asks a STAC API, and none of the paths is the address of one (https://...)"
        );
    }
    Ok(MatchOptions {
        products: args.products.clone(),
        exclude: args.exclude_products.clone(),
        dry_run: args.dry_run,
        add,
        require_sources: args.no_auto_add_lineage,
        workers: args.workers.map(usize::from),
        infer_products: args.infer_products,
        relative_assets: args.assets.asset_relative_paths,
        sources,
        stac: stac_config(args)?,
    })
}

/// What STAC items leave out, from the file that says so.
fn stac_config(args: &AddArgs) -> Result<StacConfig> {
    let Some(path) = &args.stac.stac_cfg else {
        return Ok(StacConfig::default());
    };
    let documents = datacube::read_documents(path)?;
    let [located] = documents.as_slice() else {
        bail!(
            "{} holds {} documents; one is expected, with the settings by collection",
            path.display(),
            documents.len()
        );
    };
    StacConfig::from_document(&located.document).with_context(|| path.display().to_string())
}
