//! `datacube metadata`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{DocumentFormat, DryRunArgs, LinesFormat, LockArgs, UnsafeArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Add metadata types; one that is there already is left as it is
    Add {
        /// YAML or JSON files, also compressed (.gz), each with one definition or several
        #[arg(required = true, value_name = "FILES")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Replace metadata types by newer definitions
    Update {
        /// YAML or JSON files, also compressed (.gz), each with one definition or several
        #[arg(required = true, value_name = "FILES")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        allow: UnsafeArgs,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Print definitions in full
    Show {
        /// Metadata types to show [default: all]
        #[arg(value_name = "NAMES")]
        names: Vec<String>,
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: DocumentFormat,
    },
    /// List the metadata types
    List {
        /// How to print
        #[arg(short, long, default_value = "default")]
        format: LinesFormat,
    },
}
