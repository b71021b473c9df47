//! The Open Data Cube in Rust: index satellite scenes, load them as a lazy cube, compute.
//!
//! [`Datacube`] opens an index and loads from it; [`LoadOptions`] says what and
//! how; a [`Cube`] holds lazy, labelled arrays that [`Cube::compute`] turns into
//! pixels. This crate is the only one that knows index, loader and engine; each
//! of them is usable without the others.

mod admin;
mod config;
mod coords;
pub mod dashboard;
mod datacube;
mod documents;
mod error;
pub mod export;
mod grid_workflow;
mod group;
mod load;
mod load_options;
mod no_data;
pub mod notebook;
mod opened;
mod output_geobox;
mod places;
pub mod plot;
pub mod prelude;
mod raster;
mod region;
mod reproject;
mod runtime;
mod source;
pub mod stac;
mod stores;
mod time_terms;
pub mod virtual_product;

pub use admin::{
    DefinitionOptions, DocumentUpdate, MatchOptions, Period, UpdatedDefinition, UpdatedDocument,
    allowed_paths,
};
pub use config::{
    ConfigDocument, ConfigOptions, Origin, Resolved, Settings, default_index_path,
    resolve as resolve_config,
};
pub use coords::{GRID_MAPPING, HasGeoBox, cube_coords};
pub use datacube::{Datacube, SKIPPED_ATTR};
pub use documents::{DocumentOutcome, read_documents, read_text};
pub use error::{Error, Result};
pub use grid_workflow::{CalendarPeriod, Cell, GridWorkflow, Tile};
pub use group::{FuseOrder, Group, GroupBy, GroupFunction, GroupKey, group_datasets, solar_day};
pub use load_options::{
    Convention, CrsSpec, DatasetPredicate, DatasetQuery, Documents, FuseSpec, LoadOptions, LonSpan,
    Nodata, PatchUrl, PerBand, ProgressHook, ResamplingSpec, Span, UrlPatch, WithProperties,
};
pub use places::{SourceOptions, fetch_documents};
pub use raster::{RasterFile, RasterFiles};
pub use reproject::{REGRID_KIND, ReprojectOptions, reproject, reproject_cube};
pub use source::{LOAD_SOURCE_KIND, LoadSource, source_codec};
pub use stores::{configure_s3_access, configure_stores, stores};
pub use time_terms::{TimeBound, TimeTerm};

pub use datacube_compute as compute;
pub use datacube_compute::{Cube, DataArray};
pub use datacube_geo as geo;
pub use datacube_index as index;
/// The arrays that fuse functions see.
pub use ndarray;

pub use datacube_load::{
    AssumeRole, BandInfo, FuseFunction, HostStats, Level, LoaderOptions, MaskKind, Overviews,
    RasterInfo, RastersOptions, Resampling, S3Access, SignedUrl, Signer, Signing, StoreOptions,
    StoreRegistry, StoreStats, WarpScale, fuser_names, register_fuser,
};
pub use datacube_model as model;

/// The example of the README, compiled as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
