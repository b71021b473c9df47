//! `datacube spindex`.

use clap::Subcommand;
use uuid::Uuid;

use super::{DryRunArgs, LinesFormat, YesArgs, dataset_id};

#[derive(Debug, Subcommand)]
pub(crate) enum SpindexCommand {
    /// Create spatial indexes; they are empty until they are updated
    Create {
        /// CRSs by their EPSG code: `EPSG:3577` or `3577`
        #[arg(required = true, value_name = "SRIDS")]
        srids: Vec<String>,
        /// Fill them now (slow)
        #[arg(short, long, overrides_with = "no_update")]
        update: bool,
        /// The default
        #[arg(long, hide = true)]
        no_update: bool,
        /// Accepted: rights are always granted to the roles that there are
        #[arg(long, overrides_with = "no_init_users", hide = true)]
        init_users: bool,
        /// The opposite
        #[arg(long, hide = true)]
        no_init_users: bool,
        #[command(flatten)]
        dry_run: DryRunArgs,
    },
    /// List the CRSs that have a spatial index
    List {
        /// How to print
        #[arg(short, long, default_value = "default")]
        format: LinesFormat,
    },
    /// Fill spatial indexes with the datasets' extents
    Update {
        /// CRSs by their EPSG code: `EPSG:3577` or `3577`
        #[arg(required = true, value_name = "SRIDS")]
        srids: Vec<String>,
        /// Only datasets of this product; may be repeated
        #[arg(short, long = "product", value_name = "NAME")]
        products: Vec<String>,
        /// Only this dataset; may be repeated
        #[arg(short, long = "dataset", value_name = "ID", value_parser = dataset_id)]
        datasets: Vec<Uuid>,
        /// Say what would be done, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Drop spatial indexes
    Drop {
        /// CRSs by their EPSG code: `EPSG:3577` or `3577`
        #[arg(required = true, value_name = "SRIDS")]
        srids: Vec<String>,
        /// Do not ask
        #[arg(short, long, overrides_with = "no_force")]
        force: bool,
        /// The default
        #[arg(long, hide = true)]
        no_force: bool,
        #[command(flatten)]
        dry_run: DryRunArgs,
        #[command(flatten)]
        yes: YesArgs,
    },
}
