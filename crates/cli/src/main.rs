//! The `datacube` command: parse, run, print; everything else is in the library.

mod args;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    output::start_logging(args.verbose);
    match commands::run(&args) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report_error(&error, args.verbose > 0);
            ExitCode::from(1)
        }
    }
}
