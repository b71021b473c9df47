//! `datacube raster`.

use clap::{Args, Subcommand};

use super::{Format, StoreArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum RasterCommand {
    /// Say what raster files hold: size, type, place, blocks, overviews
    #[command(after_help = "\
Examples:
  datacube raster info red.tif
  datacube raster info -f table scene/*.tif
  datacube raster info --checksum -f json https://example.com/red.tif | jq -r .[].sha256")]
    Info(RasterInfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RasterInfoArgs {
    /// Paths and URLs of raster files
    #[arg(required = true, value_name = "FILES")]
    pub(crate) files: Vec<String>,
    /// Read the first band, too, and print the sha256 of its pixels (decoded, row by row, little-endian)
    #[arg(long)]
    pub(crate) checksum: bool,
    /// How to print
    #[arg(short, long, default_value = "yaml")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
}
