//! `datacube completions` and `datacube man`: made from the command line itself.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::output;

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "datacube", &mut script);
    output::raw(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of all commands into a folder; without one prints the first.
pub(crate) fn man(folder: Option<&Path>) -> Result<ExitCode> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Args::command()).render(&mut page)?;
        output::raw(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    let place = || format!("cannot write the manual into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(place)?;
    clap_mangen::generate_to(Args::command(), folder).with_context(place)?;
    output::line(format!("Wrote the manual to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
