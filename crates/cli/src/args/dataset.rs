//! `datacube dataset`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::stac::StacArgs;
use super::{Format, LinesFormat, StoreArgs, YesArgs, dataset_id};

const EXPRESSIONS: &str = "\
Expressions:
  FIELD = VALUE, FIELD != VALUE     equal or not; a date in part is the whole period
  FIELD in [A, B], not in [A, B]    a range of numbers or times, a list of texts
  FIELD < VALUE, <=, >, >=          open ranges

FIELD is product, id, time, lat, lon or a search field of the products.
Several expressions have to hold together; values of one field are alternatives.
  product = ls8_c2l2 time in [2020-01, 2020-03] lat in [-38, -37] cloud_cover < 20";

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// Add dataset documents
    Add(Box<AddArgs>),
    /// Replace the documents of datasets by newer ones
    Update(UpdateArgs),
    /// Print what is known of datasets
    Info(InfoArgs),
    /// Find datasets
    #[command(after_help = EXPRESSIONS)]
    Search(SearchArgs),
    /// Find datasets by where they are
    UriSearch(UriSearchArgs),
    /// Count datasets, by product and period
    #[command(after_help = EXPRESSIONS)]
    Count(CountArgs),
    /// Archive datasets: they stay, but no search finds them
    #[command(after_help = EXPRESSIONS)]
    Archive(ArchiveArgs),
    /// Make archived datasets active again
    Restore(RestoreArgs),
    /// Remove archived datasets from the index for good
    Purge(PurgeArgs),
    /// Find active datasets of one product that are equal in the fields given
    FindDuplicates(DuplicatesArgs),
}

/// `--archive-less-mature`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct MaturityArgs {
    /// Archive less mature datasets of the same product, region and time, give or take so many milliseconds
    #[arg(
        long,
        value_name = "MS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "500"
    )]
    archive_less_mature: Option<u64>,
}

impl MaturityArgs {
    /// The leniency on the time, where less mature datasets are to be archived.
    pub(crate) fn leniency(self) -> Option<Duration> {
        self.archive_less_mature.map(Duration::from_millis)
    }
}

/// `--asset-absolute-paths`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct AssetPathArgs {
    /// Keep the addresses of STAC assets as they are (the default)
    #[arg(long, overrides_with = "asset_relative_paths", hide = true)]
    asset_absolute_paths: bool,
    /// Write the addresses of STAC assets relative to their item, where they lie beside it
    #[arg(long)]
    pub(crate) asset_relative_paths: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// EO3 documents or STAC items (YAML or JSON, also .gz; with the feature `stac-geoparquet` also .parquet), or folders that hold some
    #[arg(required = true, value_name = "PATHS")]
    pub(crate) paths: Vec<String>,
    /// Match documents against this product only; may be repeated
    #[arg(
        short,
        long = "product",
        alias = "dtype",
        short_alias = 't',
        value_name = "NAME"
    )]
    pub(crate) products: Vec<String>,
    /// Never match documents against this product; may be repeated
    #[arg(short = 'x', long = "exclude-product", value_name = "NAME")]
    pub(crate) exclude_products: Vec<String>,
    /// Take sources that are not in the index as they are named (the default)
    #[arg(long, overrides_with = "no_auto_add_lineage", hide = true)]
    auto_add_lineage: bool,
    /// Refuse documents whose sources are not in the index
    #[arg(long)]
    pub(crate) no_auto_add_lineage: bool,
    /// Accepted: documents name their sources by id, there is nothing to compare
    #[arg(long, overrides_with = "no_verify_lineage", hide = true)]
    verify_lineage: bool,
    /// Accepted, as the opposite
    #[arg(long, hide = true)]
    no_verify_lineage: bool,
    /// Do not record what the datasets were made from
    #[arg(long)]
    pub(crate) ignore_lineage: bool,
    #[command(flatten)]
    pub(crate) maturity: MaturityArgs,
    #[command(flatten)]
    pub(crate) assets: AssetPathArgs,
    /// Make the products of STAC items that are not in the index
    #[arg(long)]
    pub(crate) infer_products: bool,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    /// Threads that read and check documents [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) workers: Option<u16>,
    /// Read, check and match the documents, and write nothing
    #[arg(short = 'd', long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) stac: StacArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// EO3 documents or STAC items (YAML or JSON, also .gz), or folders that hold some
    #[arg(required = true, value_name = "PATHS")]
    pub(crate) paths: Vec<String>,
    /// Allow any change below this key, such as properties.eo:cloud_cover; may be repeated
    #[arg(long = "allow-any", value_name = "A.B.C")]
    pub(crate) allow_any: Vec<String>,
    /// What becomes of the location that was recorded before
    #[arg(long, default_value = "keep", value_name = "POLICY")]
    pub(crate) location_policy: LocationPolicy,
    #[command(flatten)]
    pub(crate) maturity: MaturityArgs,
    #[command(flatten)]
    pub(crate) assets: AssetPathArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    /// Say which changes are safe and which are not, and write nothing
    #[arg(short = 'd', long)]
    pub(crate) dry_run: bool,
}

/// What becomes of earlier locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LocationPolicy {
    /// It stays, after the new one
    Keep,
    /// It stays, marked as archived
    Archive,
    /// It is forgotten
    Forget,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Dataset ids
    #[arg(required = true, value_name = "IDS", value_parser = dataset_id)]
    pub(crate) ids: Vec<Uuid>,
    /// Also what the datasets were made from
    #[arg(long)]
    pub(crate) show_sources: bool,
    /// Also what was made from the datasets
    #[arg(long)]
    pub(crate) show_derived: bool,
    /// How many steps to go to sources or derived datasets
    #[arg(long, default_value_t = 99, value_name = "N")]
    pub(crate) max_depth: usize,
    /// How to print
    #[arg(short, long, default_value = "yaml")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What to find; everything without
    #[arg(value_name = "EXPRESSIONS")]
    pub(crate) expressions: Vec<String>,
    /// At most so many, the earliest first
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Sort by this field, `-FIELD` downwards; may be repeated [default: time]
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub(crate) order_by: Vec<String>,
    /// Print these fields alone, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "FIELDS")]
    pub(crate) fields: Vec<String>,
    /// Archived datasets too, or nothing else
    #[arg(long, default_value = "active")]
    pub(crate) status: Status,
    /// How to print
    #[arg(short, long, default_value = "yaml")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct UriSearchArgs {
    /// Files, folders or URIs
    #[arg(required = true, value_name = "PATHS")]
    pub(crate) paths: Vec<String>,
    /// How locations are compared
    #[arg(long, default_value = "prefix", value_name = "MODE")]
    pub(crate) search_mode: SearchMode,
    /// Archived datasets too, or nothing else
    #[arg(long, default_value = "active")]
    pub(crate) status: Status,
    /// How to print
    #[arg(short, long, default_value = "default")]
    pub(crate) format: LinesFormat,
}

/// How locations are compared with what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchMode {
    /// The whole of it
    Exact,
    /// Its beginning
    Prefix,
    /// The whole for what ends as a document does, else the beginning
    Guess,
}

#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    /// Products to count [default: all]
    #[arg(value_name = "PRODUCTS")]
    pub(crate) products: Vec<String>,
    /// Only datasets that match these expressions; may be repeated
    #[arg(long, value_name = "EXPRESSIONS")]
    pub(crate) query: Vec<String>,
    /// Count each period of this length: `1 day`, `2 weeks`, `6 months`, `1 year`
    #[arg(long, value_name = "PERIOD", conflicts_with = "count_only")]
    pub(crate) period: Option<String>,
    /// Print the number alone
    #[arg(long)]
    pub(crate) count_only: bool,
    /// Archived datasets too, or nothing else
    #[arg(long, default_value = "active")]
    pub(crate) status: Status,
    /// How to print
    #[arg(short, long, default_value = "yaml")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Dataset ids
    #[arg(required_unless_present_any = ["all", "query"], value_name = "IDS", value_parser = dataset_id)]
    pub(crate) ids: Vec<Uuid>,
    /// All datasets that match these expressions; may be repeated
    #[arg(long, value_name = "EXPRESSIONS", conflicts_with = "ids")]
    pub(crate) query: Vec<String>,
    /// All active datasets
    #[arg(long, conflicts_with_all = ["ids", "query"])]
    pub(crate) all: bool,
    /// Also everything that was made from them
    #[arg(short = 'd', long)]
    pub(crate) archive_derived: bool,
    /// Say what would be archived, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Dataset ids
    #[arg(required_unless_present = "all", value_name = "IDS", value_parser = dataset_id)]
    pub(crate) ids: Vec<Uuid>,
    /// All archived datasets
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    /// Also what was made from them and archived at about the same time
    #[arg(short = 'd', long)]
    pub(crate) restore_derived: bool,
    /// How far apart derived datasets may have been archived to be restored with their source
    #[arg(long, default_value_t = 600, value_name = "N")]
    pub(crate) derived_tolerance_seconds: u32,
    /// Say what would be restored, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Dataset ids
    #[arg(required_unless_present = "all", value_name = "IDS", value_parser = dataset_id)]
    pub(crate) ids: Vec<Uuid>,
    /// All archived datasets
    #[arg(long, conflicts_with = "ids")]
    pub(crate) all: bool,
    /// Also active datasets, of those that are named
    #[arg(long)]
    pub(crate) force: bool,
    /// Say what would be removed, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) yes: YesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DuplicatesArgs {
    /// Search fields that have to be equal
    #[arg(required = true, value_name = "FIELDS")]
    pub(crate) fields: Vec<String>,
    /// Only in this product; may be repeated [default: all that have the fields]
    #[arg(short, long = "product", value_name = "NAME")]
    pub(crate) products: Vec<String>,
    /// How to print
    #[arg(short, long, default_value = "yaml")]
    pub(crate) format: Format,
}

/// Which datasets with regard to their being archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// Those that are not archived
    Active,
    /// Those that are
    Archived,
    /// Both
    All,
}
