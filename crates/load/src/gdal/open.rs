//! What GDAL says of a file, in our words, and how it is told to reach stores.

use std::sync::Once;

use datacube_geo::{Affine, Crs, Shape2d};
use datacube_model::{DType, Number};
use gdal::config::{clear_thread_local_config_option, set_thread_local_config_option};
use gdal::raster::{ColorInterpretation, GdalDataType, RasterBand};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};

use crate::error::{Error, Result};
use crate::reader::{BandInfo, Level, MaskKind, RasterInfo};
use crate::store::{Signing, StoreOptions};

/// Settings of GDAL that hold while a file of ours is read, and on that thread
/// alone.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// What of `options` GDAL has words for. Keys and tokens stay where both find
    /// them: in the environment and in the files of AWS.
    pub(super) fn new(options: &StoreOptions) -> Settings {
        let s3 = &options.s3;
        let mut settings = vec![
            // Listing a bucket's folder for each file takes longer than reading it.
            ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR".to_owned()),
            ("GDAL_HTTP_MAX_RETRY", "10".to_owned()),
            ("GDAL_HTTP_RETRY_DELAY", "0.5".to_owned()),
        ];
        if s3.signing == Some(Signing::Never) {
            settings.push(("AWS_NO_SIGN_REQUEST", "YES".to_owned()));
        }
        if s3.requester_pays == Some(true) {
            settings.push(("AWS_REQUEST_PAYER", "requester".to_owned()));
        }
        if let Some(region) = &s3.region {
            settings.push(("AWS_REGION", region.clone()));
        }
        if let Some(profile) = &s3.profile {
            settings.push(("AWS_PROFILE", profile.clone()));
        }
        if let Some(endpoint) = &s3.endpoint {
            let host = endpoint
                .split_once("://")
                .map_or(&endpoint[..], |(_, host)| host);
            let host = host.trim_end_matches('/').to_owned();
            settings.push(("AWS_S3_ENDPOINT", host));
            let is_plain = endpoint.starts_with("http://");
            settings.push(("AWS_HTTPS", if is_plain { "NO" } else { "YES" }.to_owned()));
            let in_host = s3.path_style == Some(false);
            let hosting = if in_host { "TRUE" } else { "FALSE" };
            settings.push(("AWS_VIRTUAL_HOSTING", hosting.to_owned()));
        }
        Settings(settings)
    }

    /// Runs `work` under these settings.
    pub(super) fn within<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        for (name, value) in &self.0 {
            set_thread_local_config_option(name, value)
                .map_err(|error| Error::invalid(format!("GDAL's setting {name}: {error}")))?;
        }
        let result = work();
        for (name, _) in &self.0 {
            // Cannot fail: the same names were set.
            let _ = clear_thread_local_config_option(name);
        }
        result
    }
}

/// Opens a raster for reading.
pub(super) fn open(uri: &str, name: &str) -> Result<Dataset> {
    // Failures are in the errors that follow; GDAL would print them as well.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        gdal::config::set_error_handler(|_, number, message| {
            tracing::debug!(number, "GDAL: {message}");
        });
    });
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        ..DatasetOptions::default()
    };
    let dataset = Dataset::open_ex(name, options)
        .map_err(|error| Error::unreadable(uri, "header", format!("GDAL: {error}")))?;
    let parts = subdatasets(&dataset);
    match (dataset.raster_count(), &parts[..]) {
        (0, []) => Err(Error::unreadable(uri, "header", "it holds no raster")),
        (0, parts) => Err(Error::unsupported_in(
            uri,
            format!("a file of {} rasters as one", parts.len()),
            &format!("one of its parts by name: {}", parts.join(", ")),
        )),
        _ => Ok(dataset),
    }
}

/// Names of the rasters that a file holds beside or instead of its own.
fn subdatasets(dataset: &Dataset) -> Vec<String> {
    let items = dataset.metadata_domain("SUBDATASETS").unwrap_or_default();
    let names = items.iter().filter_map(|item| item.split_once('='));
    names
        .filter(|(key, _)| key.ends_with("_NAME"))
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// What a dataset says of itself.
pub(super) fn describe(uri: &str, dataset: &Dataset) -> Result<RasterInfo> {
    let unreadable =
        |error: gdal::errors::GdalError| Error::unreadable(uri, "header", error.to_string());
    let mut bands = Vec::new();
    let mut alpha = None;
    for number in 1..=dataset.raster_count() {
        let band = dataset.rasterband(number).map_err(unreadable)?;
        if band.color_interpretation() == ColorInterpretation::AlphaBand {
            alpha = u32::try_from(number).ok();
        }
        bands.push(describe_band(uri, &band)?);
    }
    let first = dataset.rasterband(1).map_err(unreadable)?;
    let flags = first.mask_flags().map_err(unreadable)?;
    let mask = match (flags.is_alpha(), alpha) {
        (true, Some(band)) => MaskKind::Alpha(band),
        _ if flags.is_all_valid() || flags.is_nodata() || flags.is_alpha() => MaskKind::None,
        _ => MaskKind::Internal,
    };
    let has_mask = mask == MaskKind::Internal;
    let mut levels = vec![describe_level(&first, has_mask)];
    for overview in 0..first.overview_count().unwrap_or(0).max(0) {
        let overview = usize::try_from(overview).unwrap_or_default();
        let overview = first.overview(overview).map_err(unreadable)?;
        levels.push(describe_level(&overview, has_mask));
    }
    let mut problems = Vec::new();
    let n_gcps = dataset.gcps().len();
    let affine = match dataset.geo_transform() {
        Ok([c, a, b, f, d, e]) => Some(Affine { a, b, c, d, e, f })
            .filter(|affine| affine.is_finite() && affine.determinant() != 0.0),
        Err(_) => None,
    };
    match (affine, n_gcps) {
        (Some(_), _) => {}
        (None, 0) => problems.push("it has no affine".to_owned()),
        (None, n) => problems.push(format!(
            "it has {n} ground control points and no affine; warp it to a grid first, with gdalwarp"
        )),
    }
    let crs = match dataset.spatial_ref().and_then(|crs| crs.to_wkt()) {
        Ok(wkt) => match Crs::parse(&wkt) {
            Ok(crs) => Some(crs),
            Err(error) => {
                problems.push(format!("its coordinate system is not usable: {error}"));
                None
            }
        },
        Err(_) => {
            problems.push("it has no coordinate system".to_owned());
            None
        }
    };
    let driver = dataset.driver().short_name();
    Ok(RasterInfo {
        uri: uri.to_owned(),
        size: 0,
        driver: DRIVERS
            .iter()
            .find(|known| **known == driver)
            .copied()
            .unwrap_or("GDAL"),
        shape: levels[0].shape,
        affine,
        crs,
        georeference_problem: (!problems.is_empty()).then(|| problems.join("; ")),
        bands,
        levels,
        mask,
        n_gcps,
        tags: dataset
            .metadata_domain("")
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        details: vec![("read_by", format!("GDAL's driver {driver}"))],
    })
}

/// Drivers that are called by their own names.
const DRIVERS: [&str; 14] = [
    "GTiff",
    "JP2OpenJPEG",
    "JP2ECW",
    "JP2KAK",
    "netCDF",
    "HDF5",
    "HDF5Image",
    "HDF4",
    "HDF4Image",
    "GRIB",
    "VRT",
    "PNG",
    "JPEG",
    "SENTINEL2",
];

fn describe_level(band: &RasterBand<'_>, has_mask: bool) -> Level {
    let (block_cols, block_rows) = band.block_size();
    Level {
        shape: Shape2d::new(band.y_size(), band.x_size()),
        block_shape: Shape2d::new(block_rows, block_cols),
        compression: "unknown",
        predictor: 1,
        resampling: None,
        has_mask,
    }
}

fn describe_band(uri: &str, band: &RasterBand<'_>) -> Result<BandInfo> {
    let signed_byte = band
        .metadata_item("PIXELTYPE", "IMAGE_STRUCTURE")
        .is_some_and(|kind| kind == "SIGNEDBYTE");
    let dtype = match band.band_type() {
        GdalDataType::UInt8 if !signed_byte => DType::UInt8,
        GdalDataType::UInt16 => DType::UInt16,
        GdalDataType::Int16 => DType::Int16,
        GdalDataType::UInt32 => DType::UInt32,
        GdalDataType::Int32 => DType::Int32,
        GdalDataType::UInt64 => DType::UInt64,
        GdalDataType::Int64 => DType::Int64,
        GdalDataType::Float32 => DType::Float32,
        GdalDataType::Float64 => DType::Float64,
        other => {
            return Err(Error::unsupported_in(
                uri,
                format!("pixels of {other} through GDAL"),
                "integers of 8 bits without sign and of 16 to 64, floats of 32 and 64",
            ));
        }
    };
    let nodata = match dtype {
        DType::Int64 => band
            .no_data_value_i64()
            .map(|value| Number::Int(value.into())),
        DType::UInt64 => band
            .no_data_value_u64()
            .map(|value| Number::Int(value.into())),
        _ => band
            .no_data_value()
            .and_then(|value| crate::cog::parse_nodata(&value.to_string(), dtype)),
    };
    Ok(BandInfo {
        dtype,
        nodata,
        scale: band.scale().unwrap_or(1.0),
        offset: band.offset().unwrap_or(0.0),
        unit: Some(band.unit()).filter(|unit| !unit.is_empty()),
        description: band.description().ok().filter(|text| !text.is_empty()),
        color: color(band.color_interpretation()),
        tags: band
            .metadata_domain("")
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    })
}

fn color(of: ColorInterpretation) -> &'static str {
    match of {
        ColorInterpretation::GrayIndex => "gray",
        ColorInterpretation::PaletteIndex => "palette",
        ColorInterpretation::RedBand => "red",
        ColorInterpretation::GreenBand => "green",
        ColorInterpretation::BlueBand => "blue",
        ColorInterpretation::AlphaBand => "alpha",
        _ => "undefined",
    }
}
