//! What can be said on the command line.
//!
//! Names and meanings are those of Python's `datacube` where it has them, so
//! that scripts written for it run; what it has no word for is added beside.
//! One file holds one group of commands.

mod dataset;
mod format;
mod load;
mod metadata;
mod product;
mod raster;
mod spindex;
mod stac;
mod stores;
mod system;
mod user;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use uuid::Uuid;

pub(crate) use dataset::{
    AddArgs, ArchiveArgs, CountArgs, DatasetCommand, DuplicatesArgs, InfoArgs, LocationPolicy,
    PurgeArgs, RestoreArgs, SearchArgs, SearchMode, Status, UpdateArgs, UriSearchArgs,
};
pub(crate) use format::{DocumentFormat, Format, LinesFormat};
pub(crate) use load::LoadArgs;
pub(crate) use metadata::MetadataCommand;
pub(crate) use product::ProductCommand;
pub(crate) use raster::{RasterCommand, RasterInfoArgs};
pub(crate) use spindex::SpindexCommand;
pub(crate) use stores::StoreArgs;
pub(crate) use system::{CloneArgs, InitArgs, SystemCommand};
pub(crate) use user::{Role, UserCommand};

/// The Open Data Cube: index scenes, load them as a cube, compute.
#[derive(Debug, Parser)]
#[command(
    name = "datacube",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command, before or after its name.
#[derive(Debug, ClapArgs)]
pub(crate) struct GlobalArgs {
    /// The index, `sqlite:PATH` or `postgresql://...` [default: ODC's configuration, else a file in your data folder]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DATACUBE_INDEX",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(crate) index: Option<String>,
    /// The environment (section) of the configuration to use
    #[arg(
        short = 'E',
        long = "env",
        global = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub(crate) environment: Option<String>,
    /// Configuration file; may be repeated, the first that is there is used
    #[arg(
        short = 'C',
        long = "config",
        alias = "config-file",
        global = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub(crate) config: Vec<PathBuf>,
    /// Configuration as text: INI, YAML or JSON
    #[arg(
        short = 'R',
        long = "raw-config",
        alias = "config-text",
        global = true,
        value_name = "TEXT",
        conflicts_with = "config",
        help_heading = "Global options"
    )]
    pub(crate) raw_config: Option<String>,
    /// Say more; repeat for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Write log lines to this file, too; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub(crate) log_file: Vec<PathBuf>,
    /// Log the statements that go to the database
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) log_queries: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create, check, copy and clear the index
    #[command(subcommand)]
    System(SystemCommand),
    /// Users of a PostgreSQL index and their roles
    #[command(subcommand)]
    User(UserCommand),
    /// Metadata types: which fields datasets are searched by
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Products: what kinds of datasets there are
    #[command(subcommand)]
    Product(ProductCommand),
    /// Datasets: the scenes that are indexed
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Spatial indexes of a PostgreSQL index, one a CRS
    #[command(subcommand)]
    Spindex(SpindexCommand),
    /// Raster files: what they hold; no index is needed
    #[command(subcommand)]
    Raster(RasterCommand),
    /// Load datasets onto a grid, mask, compute, and write the result
    Load(Box<LoadArgs>),
    /// Print a script that completes commands and options in a shell
    #[command(after_help = "\
Examples:
  datacube completions bash > ~/.local/share/bash-completion/completions/datacube
  datacube completions fish > ~/.config/fish/completions/datacube.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual: one page for each command
    #[command(after_help = "\
Examples:
  datacube man ~/.local/share/man/man1      # then: man datacube-dataset-add
  datacube man | man -l -                   # this page alone")]
    Man {
        /// Folder to write into [default: print the first page]
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// `--dry-run`.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct DryRunArgs {
    /// Check, say what would be done, and write nothing
    #[arg(short = 'd', long)]
    pub(crate) dry_run: bool,
}

/// `--yes`.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct YesArgs {
    /// Do not ask
    #[arg(short, long, env = "DATACUBE_YES", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) yes: bool,
}

/// Options of Python's `datacube` that its PostgreSQL indices once needed.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct LockArgs {
    /// Accepted, and without effect: no command locks out other users
    #[arg(long, hide = true, overrides_with = "forbid_exclusive_lock")]
    allow_exclusive_lock: bool,
    /// The default
    #[arg(long, hide = true)]
    forbid_exclusive_lock: bool,
}

/// `--allow-unsafe`.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct UnsafeArgs {
    /// Make changes, too, after which datasets may no longer fit or be found
    #[arg(long, overrides_with = "forbid_unsafe")]
    pub(crate) allow_unsafe: bool,
    /// The default
    #[arg(long, hide = true)]
    forbid_unsafe: bool,
}

/// A dataset id on the command line.
pub(crate) fn dataset_id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text.trim()).map_err(|_| {
        format!("`{text}` is not a dataset id; it looks like 944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_are_taken_before_and_after_the_command() {
        let parse = |line: &str| Args::try_parse_from(line.split_whitespace()).expect(line);
        for line in [
            "datacube -E dev -C a.conf -vv product list -f csv",
            "datacube product list -f csv -E dev --config-file a.conf -v -v",
        ] {
            let args = parse(line);
            assert_eq!(args.global.environment.as_deref(), Some("dev"));
            assert_eq!((args.global.config.len(), args.global.verbose), (1, 2));
        }
    }
}
