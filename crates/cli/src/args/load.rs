//! Options of `datacube load`.

use std::path::PathBuf;

use clap::Args;
use datacube::{Overviews, WarpScale};

use super::StoreArgs;

/// Load datasets onto a grid.
#[derive(Debug, Args)]
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
    /// What makes one time step: solar_day, time, none, or a property such as eo:platform
    #[arg(long, default_value = "time", help_heading = "Datasets")]
    pub(crate) group_by: String,
    /// Leave out files that cannot be read, and say which
    #[arg(long, help_heading = "Datasets")]
    pub(crate) skip_broken_datasets: bool,

    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    /// Sign the addresses of files as they are read: planetary_computer
    #[arg(long, value_name = "SIGNER", help_heading = "Stores")]
    pub(crate) patch_url: Option<String>,

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
    /// Most memory to use, all together, such as 2GiB (default: that of the machine)
    #[arg(long, value_name = "SIZE", help_heading = "Computing")]
    pub(crate) memory_limit: Option<String>,

    /// Where to write: .tif (one band a time step, or a measurement), .png or .zarr
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Go on with what an interrupted run of the same command has written to .tif or .zarr, and
    /// keep what is written if this one ends early
    #[arg(long, help_heading = "Output")]
    pub(crate) resume: bool,
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
