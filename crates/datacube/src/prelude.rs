//! What a program or a notebook that loads and computes needs: `use datacube::prelude::*`.

pub use crate::export::ExportOptions;
pub use crate::notebook::{Plot, Show};
pub use crate::{
    Cube, DataArray, Datacube, DatasetQuery, GroupBy, HasGeoBox, LoadOptions, MatchOptions,
    S3Access, configure_s3_access,
};
pub use datacube_compute::{Client, Engine, LocalCluster, Serial};
pub use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry};
