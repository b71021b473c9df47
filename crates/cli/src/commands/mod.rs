//! What each command does: call the library, print what it says.

mod dataset;
mod load;
mod product;
mod system;

use std::process::ExitCode;

use anyhow::Result;
use datacube::{ConfigOptions, Datacube};

use crate::args::{Args, Command};

/// Runs the command; the code is 1 when any item of it failed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::System(command) => system::run(args, command),
        Command::Product(command) => product::run(&open(args)?, command),
        Command::Dataset(command) => dataset::run(&open(args)?, command),
        Command::Load(command) => load::run(&open(args)?, command),
    }
}

fn config_options(args: &Args) -> ConfigOptions {
    ConfigOptions {
        index: args.index.clone(),
        environment: args.environment.clone(),
        files: args.config.clone(),
        text: args.raw_config.clone(),
    }
}

fn open(args: &Args) -> Result<Datacube> {
    Ok(Datacube::open_with(config_options(args))?)
}

/// 0 when nothing failed, else 1.
fn exit_code(n_failed: usize) -> ExitCode {
    if n_failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
