//! What each command does: call the library, print what it says.

pub(crate) mod dataset;
mod definitions;
mod load;
mod manual;
mod memory;
mod metadata;
mod product;
mod raster;
mod spindex;
mod stores;
mod system;
mod user;

use std::process::ExitCode;

use anyhow::Result;
use datacube::{ConfigOptions, Datacube};

use crate::args::{Command, GlobalArgs};

/// Runs the command; the code is not 0 when any item of it failed.
pub(crate) fn run(global: &GlobalArgs, command: &Command) -> Result<ExitCode> {
    match command {
        Command::System(command) => system::run(global, command),
        Command::User(command) => user::run(&open(global)?, command),
        Command::Metadata(command) => metadata::run(&open(global)?, command),
        Command::Product(command) => product::run(&open(global)?, command),
        Command::Dataset(command) => dataset::run(&open(global)?, command),
        Command::Spindex(command) => spindex::run(&open(global)?, command),
        Command::Raster(command) => raster::run(command),
        Command::Load(command) => load::run(&open(global)?, command),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { folder } => manual::man(folder.as_deref()),
    }
}

pub(crate) fn config_options(global: &GlobalArgs) -> ConfigOptions {
    ConfigOptions {
        index: global.index.clone(),
        environment: global.environment.clone(),
        files: global.config.clone(),
        text: global.raw_config.clone(),
    }
}

pub(crate) fn open(global: &GlobalArgs) -> Result<Datacube> {
    Ok(Datacube::open_with(config_options(global))?)
}

/// 0 when nothing failed, else 1.
pub(crate) fn exit_code(n_failed: usize) -> ExitCode {
    if n_failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
