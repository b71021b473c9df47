//! `datacube system`.

use clap::{Args, Subcommand};

use super::{DryRunArgs, Format, YesArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    /// Create the index, or bring an older one up to date; running it again changes nothing
    Init(InitArgs),
    /// Say which index is used and whether it can be reached
    Check,
    /// Say everything about the index and its configuration
    Info {
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: Format,
    },
    /// Copy another index into this one; it may be run again after an interruption
    Clone(CloneArgs),
    /// Remove everything from the index, itself included
    Clear {
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Add the built-in metadata types (the default)
    #[arg(long, overrides_with = "no_default_types", hide = true)]
    default_types: bool,
    /// Leave out the built-in metadata types
    #[arg(long)]
    pub(crate) no_default_types: bool,
    /// Create the roles of a PostgreSQL index (the default)
    #[arg(long, overrides_with = "no_init_users", hide = true)]
    init_users: bool,
    /// Leave out the roles of a PostgreSQL index
    #[arg(long)]
    pub(crate) no_init_users: bool,
    /// Accepted, and without effect: there are no views
    #[arg(long, overrides_with = "no_recreate_views", hide = true)]
    recreate_views: bool,
    /// The opposite
    #[arg(long, hide = true)]
    no_recreate_views: bool,
    /// Accepted, and without effect: there are no dynamic fields
    #[arg(long, overrides_with = "no_rebuild", hide = true)]
    rebuild: bool,
    /// The opposite
    #[arg(long, hide = true)]
    no_rebuild: bool,
    /// Accepted, and without effect: tables are not locked
    #[arg(long, overrides_with = "no_lock_table", hide = true)]
    lock_table: bool,
    /// The opposite
    #[arg(long, hide = true)]
    no_lock_table: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRunArgs,
}
#[derive(Debug, Args)]
#[command(after_help = "\
Example: from the database of environment `prod` into a file
  datacube --index sqlite:cube.sqlite system init
  datacube --index sqlite:cube.sqlite system clone prod")]
pub(crate) struct CloneArgs {
    /// The index to copy: an environment of the configuration, or a URL
    #[arg(value_name = "SOURCE_ENV")]
    pub(crate) source: String,
    /// Datasets that are written at once
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub(crate) batch_size: u32,
    /// Leave out what datasets were made from
    #[arg(long, overrides_with = "no_skip_lineage")]
    pub(crate) skip_lineage: bool,
    /// The default
    #[arg(long, hide = true)]
    no_skip_lineage: bool,
    /// Copy nothing but what datasets were made from
    #[arg(long, overrides_with = "no_lineage_only")]
    pub(crate) lineage_only: bool,
    /// The default
    #[arg(long, hide = true)]
    no_lineage_only: bool,
    /// Copy archived datasets, too
    #[arg(long)]
    pub(crate) archived: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRunArgs,
}
