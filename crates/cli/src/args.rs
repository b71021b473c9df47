//! What can be said on the command line.
//!
//! Names and meanings are those of Python's `datacube` where it has them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use datacube::{Overviews, WarpScale};

/// The Open Data Cube: index scenes, load them as a cube, compute.
#[derive(Debug, Parser)]
#[command(
    name = "datacube",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// The index to use, `sqlite:PATH` (default: ODC's configuration, else a file in your data folder)
    #[arg(long, global = true, value_name = "URL", env = "DATACUBE_INDEX")]
    pub(crate) index: Option<String>,
    /// The environment (section) of the configuration to use
    #[arg(short = 'E', long = "env", global = true, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Configuration file; may be repeated, the first that is there is used
    #[arg(
        short = 'C',
        long = "config",
        alias = "config-file",
        global = true,
        value_name = "PATH"
    )]
    pub(crate) config: Vec<PathBuf>,
    /// Configuration as text: INI, YAML or JSON
    #[arg(
        short = 'R',
        long = "raw-config",
        alias = "config-text",
        global = true,
        value_name = "TEXT",
        conflicts_with = "config"
    )]
    pub(crate) raw_config: Option<String>,
    /// Say more; repeat for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and check the index
    #[command(subcommand)]
    System(SystemCommand),
    /// Products: what kinds of datasets there are
    #[command(subcommand)]
    Product(ProductCommand),
    /// Datasets: the scenes that are indexed
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Load datasets onto a grid, mask, compute, and write the result
    Load(Box<LoadArgs>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    /// Create the index, or bring an older one up to date; running it again changes nothing
    Init,
    /// Say which index is used and whether it can be reached
    Check,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// Add product definitions
    Add {
        /// YAML or JSON files, each with one definition or several
        #[arg(required = true, value_name = "FILES")]
        files: Vec<PathBuf>,
    },
    /// List the products
    List {
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print definitions in full
    Show {
        /// Products to show (default: all)
        #[arg(value_name = "NAMES")]
        names: Vec<String>,
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: DocumentFormat,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// Add dataset documents
    Add(DatasetAddArgs),
    /// Print what is known of datasets
    Info {
        /// Dataset ids
        #[arg(required = true, value_name = "IDS")]
        ids: Vec<String>,
        /// How to print
        #[arg(short, long, default_value = "yaml")]
        format: Format,
    },
    /// Find datasets: `product = ls8 time in [2020-01, 2020-03] lat in [-38, -37]`
    Search {
        /// At most so many, the earliest first
        #[arg(long)]
        limit: Option<usize>,
        /// Archived datasets too, or nothing else
        #[arg(long, default_value = "active")]
        status: Status,
        #[command(flatten)]
        format: FormatArgs,
        /// FIELD = VALUE, FIELD in [A, B], FIELD < VALUE, FIELD > VALUE
        #[arg(value_name = "EXPRESSIONS")]
        expressions: Vec<String>,
    },
    /// Count datasets by product
    Count {
        /// Products to count (default: all)
        #[arg(value_name = "PRODUCTS")]
        products: Vec<String>,
        /// Only datasets that match: FIELD = VALUE, FIELD in [A, B], ...
        #[arg(long, value_name = "EXPRESSION")]
        query: Vec<String>,
        /// Print the number alone
        #[arg(long)]
        count_only: bool,
        /// Archived datasets too, or nothing else
        #[arg(long, default_value = "active")]
        status: Status,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Archive datasets: they stay, but no search finds them
    Archive {
        /// Dataset ids
        #[arg(required = true, value_name = "IDS")]
        ids: Vec<String>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Restore archived datasets
    Restore {
        /// Dataset ids
        #[arg(required = true, value_name = "IDS")]
        ids: Vec<String>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DatasetAddArgs {
    /// EO3 documents (YAML or JSON), or folders that hold `*odc-metadata.yaml` files
    #[arg(required = true, value_name = "PATHS")]
    pub(crate) paths: Vec<PathBuf>,
    /// Match documents against these products only; may be repeated
    #[arg(short, long = "product", value_name = "NAME")]
    pub(crate) products: Vec<String>,
    /// Never match documents against these products; may be repeated
    #[arg(short = 'x', long = "exclude-product", value_name = "NAME")]
    pub(crate) exclude_products: Vec<String>,
    /// Check and match the documents, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    Active,
    Archived,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Yaml,
    Json,
    Jsonl,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    Yaml,
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FormatArgs {
    /// How to print
    #[arg(short, long, default_value = "table")]
    pub(crate) format: Format,
}

/// Load datasets onto a grid.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example: cloud-free NDVI, one band for each solar day
  datacube load landsat8_c2l2_sr --lon 143.6 144.1 --lat -37.8 -37.4 --time 2020-01 2020-03 \\
      --measurements red,nir08,qa_pixel --output-crs EPSG:32654 --resolution 30 \\
      --resampling '*=average' --resampling qa_pixel=nearest --group-by solar_day \\
      --mask 'qa_pixel: nodata=false, cloud=not_high_confidence' \\
      --expr 'ndvi=(nir08-red)/(nir08+red)' --output ndvi.tif")]
pub(crate) struct LoadArgs {
    /// The product to load
    pub(crate) product: String,

    /// Range of x, in the CRS given by --crs
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], allow_negative_numbers = true, help_heading = "Region")]
    pub(crate) x: Option<Vec<f64>>,
    /// Range of y, in the CRS given by --crs
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], allow_negative_numbers = true, help_heading = "Region")]
    pub(crate) y: Option<Vec<f64>>,
    /// CRS of --x and --y (default: EPSG:4326)
    #[arg(long, help_heading = "Region")]
    pub(crate) crs: Option<String>,
    /// Range of longitude in degrees, western edge first
    #[arg(long, num_args = 2, value_names = ["WEST", "EAST"], allow_negative_numbers = true, help_heading = "Region")]
    pub(crate) lon: Option<Vec<f64>>,
    /// Range of latitude in degrees
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], allow_negative_numbers = true, help_heading = "Region")]
    pub(crate) lat: Option<Vec<f64>>,
    /// A GeoJSON file with a polygon
    #[arg(long, value_name = "FILE", help_heading = "Region")]
    pub(crate) geopolygon: Option<PathBuf>,
    /// Use the grid of this GeoTIFF
    #[arg(long, value_name = "FILE", help_heading = "Region")]
    pub(crate) like: Option<PathBuf>,

    /// A period such as 2020-02, or its start and end
    #[arg(long, num_args = 1..=2, value_names = ["START", "END"], help_heading = "Datasets")]
    pub(crate) time: Option<Vec<String>>,
    /// A search term, such as 'cloud_cover < 20'; may be repeated
    #[arg(long = "where", value_name = "EXPRESSION", help_heading = "Datasets")]
    pub(crate) terms: Vec<String>,
    /// At most so many datasets, the earliest first
    #[arg(long, help_heading = "Datasets")]
    pub(crate) limit: Option<usize>,
    /// What makes one time step: solar_day, time or none
    #[arg(long, default_value = "time", help_heading = "Datasets")]
    pub(crate) group_by: String,
    /// Leave out files that cannot be read, and say which
    #[arg(long, help_heading = "Datasets")]
    pub(crate) skip_broken_datasets: bool,

    /// Measurements to load, separated by commas (default: those that are needed, else all)
    #[arg(long, value_delimiter = ',', help_heading = "Grid")]
    pub(crate) measurements: Option<Vec<String>>,
    /// CRS of the output (default: the product's, else the datasets')
    #[arg(long, help_heading = "Grid")]
    pub(crate) output_crs: Option<String>,
    /// Pixel size in units of the output CRS; two numbers give x and y
    #[arg(long, num_args = 1..=2, value_name = "R", allow_negative_numbers = true, help_heading = "Grid")]
    pub(crate) resolution: Option<Vec<f64>>,
    /// Offset of pixel edges from multiples of the resolution
    #[arg(long, num_args = 2, value_names = ["X", "Y"], help_heading = "Grid")]
    pub(crate) align: Option<Vec<f64>>,
    /// How to resample: NAME, or MEASUREMENT=NAME with * for all others; may be repeated
    #[arg(long, value_name = "[BAND=]NAME", help_heading = "Grid")]
    pub(crate) resampling: Vec<String>,
    /// Widen kernels when pixels shrink (auto), or not (unit, as Python's datacube)
    #[arg(long, default_value_t, value_name = "auto|unit", help_heading = "Grid")]
    pub(crate) warp_scale: WarpScale,
    /// When to read reduced images in the files
    #[arg(
        long,
        default_value_t,
        value_name = "auto|nearest_finer|off",
        help_heading = "Grid"
    )]
    pub(crate) overviews: Overviews,

    /// Chunk sizes, such as time=1,y=2048,x=2048
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "DIM=SIZE",
        help_heading = "Computing"
    )]
    pub(crate) chunks: Vec<String>,
    /// Keep pixels with these flags: 'qa_pixel: cloud=not_high_confidence, ...'; may be repeated
    #[arg(long, value_name = "BAND: FLAGS", help_heading = "Computing")]
    pub(crate) mask: Vec<String>,
    /// A new variable, such as 'ndvi=(nir-red)/(nir+red)'; may be repeated; only these are written
    #[arg(long, value_name = "NAME=EXPRESSION", help_heading = "Computing")]
    pub(crate) expr: Vec<String>,
    /// Workers (default: one for each core)
    #[arg(long, help_heading = "Computing")]
    pub(crate) workers: Option<usize>,
    /// Most memory to use, such as 2GiB (default: what is free)
    #[arg(long, value_name = "SIZE", help_heading = "Computing")]
    pub(crate) memory_limit: Option<String>,

    /// Where to write: .tif (one band a time step, or a measurement), .png or .zarr
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Colour map of a .png (default: chosen by the values)
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub(crate) colormap: Option<String>,
    /// Values at the ends of the colour map
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], allow_negative_numbers = true, help_heading = "Output")]
    pub(crate) range: Option<Vec<f64>>,
    /// Draw axes, a title and a colour bar around the picture of one time step
    #[arg(long, help_heading = "Output")]
    pub(crate) figure: bool,
    /// Print the plan and what it will cost; read no pixels
    #[arg(long, help_heading = "Output")]
    pub(crate) explain: bool,
    /// Print one JSON object: times, bytes, requests, chunks, peak memory
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
