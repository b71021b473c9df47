//! `datacube product`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{DocumentFormat, DryRunArgs, LinesFormat, LockArgs, UnsafeArgs, YesArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// Add product definitions; one that is there already is left as it is
    Add {
        /// YAML or JSON files, also compressed (.gz), each with one definition or several
        #[arg(required = true, value_name = "FILES")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        lock: LockArgs,
    },
    /// Replace products by newer definitions
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
    /// Delete products and all their datasets
    Delete {
        /// Products to delete
        #[arg(required = true, value_name = "NAMES")]
        names: Vec<String>,
        /// Also where there are active datasets
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// List the products
    List {
        /// How to print
        #[arg(short, long, default_value = "default")]
        format: LinesFormat,
    },
    /// Print definitions in full
    Show {
        /// Products to show [default: all]
        #[arg(value_name = "NAMES")]
        names: Vec<String>,
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: DocumentFormat,
    },
}
