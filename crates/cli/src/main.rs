//! The `datacube` command: parse, run, print; everything else is in the library.

mod args;
mod commands;
mod output;
mod search_tool;

use std::process::ExitCode;

use clap::Parser;

/// Documents are trees of small pieces, made on one thread and dropped on
/// another; the C library's allocator takes much longer over them.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if search_tool::is_called() {
        let args = search_tool::Args::parse();
        return finish(&args.global, |global| search_tool::run(global, &args));
    }
    let args = args::Args::parse();
    finish(&args.global, |global| commands::run(global, &args.command))
}

/// Runs a command; what it fails with is printed, and is the exit status 1.
fn finish(
    global: &args::GlobalArgs,
    run: impl FnOnce(&args::GlobalArgs) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    let logging = output::start_logging(&output::LogOptions {
        verbose: global.verbose,
        queries: global.log_queries,
        files: &global.log_file,
    });
    match logging.and_then(|()| run(global)) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report_error(&error, global.verbose > 0);
            ExitCode::from(1)
        }
    }
}
