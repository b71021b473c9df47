//! `datacube system`: create and check the index.

use std::process::ExitCode;

use anyhow::Result;
use datacube::index::InitOutcome;
use datacube::{Datacube, Origin, resolve_config};

use super::config_options;
use crate::args::{Args, SystemCommand};
use crate::output;

pub(crate) fn run(args: &Args, command: &SystemCommand) -> Result<ExitCode> {
    match command {
        SystemCommand::Init => init(args),
        SystemCommand::Check => check(args),
    }
}

fn init(args: &Args) -> Result<ExitCode> {
    output::line("Initialising database...")?;
    let (_, outcome) = Datacube::create(config_options(args))?;
    output::line(match outcome {
        InitOutcome::Created => "Created.",
        InitOutcome::Updated => "Updated.",
        _ => "Already up to date.",
    })?;
    output::line("Done.")?;
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<ExitCode> {
    let options = config_options(args);
    let resolved = resolve_config(&options)?;
    let origin = match &resolved.origin {
        Origin::Argument => "--index".to_owned(),
        Origin::Config(place) => place.clone(),
        Origin::Default => "default: nothing is configured".to_owned(),
    };
    output::line(format!("Version:          {}", env!("CARGO_PKG_VERSION")))?;
    output::line(format!(
        "Index:            {}",
        hide_password(&resolved.index_url)
    ))?;
    output::line(format!("Found by:         {origin}"))?;
    let info = match Datacube::open_with(options) {
        Ok(dc) => dc.check(),
        Err(error) => Err(error),
    };
    match info {
        Ok(info) => {
            output::line(format!("Index driver:     {}", info.driver))?;
            output::line(format!("Products:         {}", info.n_products))?;
            output::line(format!("Datasets:         {}", info.n_datasets))?;
            output::line(format!(
                "Writable:         {}",
                if info.writable { "yes" } else { "no" }
            ))?;
            output::line("Valid connection: YES")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::line("Valid connection: NO")?;
            Err(error.into())
        }
    }
}

/// An index URL that may be shown.
fn hide_password(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Fails only for URLs that can have no password.
            let _ = parsed.set_password(Some("***"));
            parsed.into()
        }
        _ => text.to_owned(),
    }
}
