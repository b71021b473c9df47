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
