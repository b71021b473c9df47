//! A TIFF whose header was read: what it says of itself, and its images.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datacube_geo::{Affine, Crs, Shape2d};
use datacube_model::Number;
use parking_lot::Mutex;

use super::color;
use super::geokeys::{self, GeoKeys};
use super::georef::{self, Placement};
use super::header::HeaderBytes;
use super::ifd::{Format, Ifd};
use super::image::Image;
use super::metadata::{self, Metadata};
use super::tags;
use crate::error::{Error, Result};
use crate::reader::{BandInfo, Level, MaskKind, RasterInfo, ReadCost};
use crate::store::{FileVersion, Location};

/// Tells opened files apart, so that a block of an old version of a file is
/// never taken for one of the new.
///
/// Never used twice in a process, also where it holds this crate more than once,
/// as a Rust notebook does, each copy with statics of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// Where this copy of the crate keeps its count.
    copy: usize,
    number: u64,
}

impl FileId {
    pub(crate) fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        FileId {
            copy: (&raw const COUNT).addr(),
            number: COUNT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// What an image weighs in the cache of headers, its block index aside.
const IMAGE_BYTES: u64 = 512;

/// The header of a TIFF, and all that is needed to read its blocks.
#[derive(Debug)]
pub(crate) struct TiffFile {
    id: FileId,
    location: Location,
    version: FileVersion,
    info: RasterInfo,
    /// Full resolution first, as in `info.levels`.
    images: Vec<Image>,
    /// The mask of each level.
    masks: Vec<Option<Image>>,
    /// All of the file, where it was as short as the first read.
    whole: Option<Bytes>,
    /// What reading the header took, until somebody has accounted for it.
    open_cost: Mutex<ReadCost>,
}

impl TiffFile {
    /// Reads the header of the file at `location`.
    pub(crate) async fn open(location: Location) -> Result<Arc<TiffFile>> {
        let mut header = HeaderBytes::open(location).await?;
        let (format, first) = Format::parse(header.start())
            .ok_or_else(|| not_a_tiff(header.location.uri(), header.start()))?;
        let (ifds, ignored) = header.directories(format, first).await?;
        TiffFile::parse(header, format, &ifds, ignored).map(Arc::new)
    }

    fn parse(
        header: HeaderBytes,
        format: Format,
        ifds: &[Ifd],
        mut ignored: Vec<String>,
    ) -> Result<TiffFile> {
        let (main_ifd, others) = ifds
            .split_first()
            .expect("`directories` gives at least one");
        let main = Image::from_ifd(main_ifd)?;
        let mut overviews = Vec::new();
        let mut masks = Vec::new();
        for ifd in others {
            match Image::from_ifd(ifd) {
                Ok(image) if image.is_mask() => masks.push(image),
                Ok(image) if is_reduced(&main, &image) => {
                    overviews.push((image, resampling_of(ifd)));
                }
                Ok(_another_picture) => {}
                Err(error) => ignored.push(error.to_string()),
            }
        }
        // Finest first; a stable sort keeps the file's order among equals.
        overviews.sort_by_key(|(image, _)| std::cmp::Reverse(image.shape.rows * image.shape.cols));
        let mut images = vec![main];
        let mut resamplings = vec![None];
        for (image, resampling) in overviews {
            images.push(image);
            resamplings.push(resampling);
        }
        let masks: Vec<Option<Image>> = images
            .iter()
            .map(|image| {
                let at = masks.iter().position(|mask| is_mask_of(image, mask))?;
                Some(masks.swap_remove(at))
            })
            .collect();
        let info = describe(
            &header,
            format,
            main_ifd,
            &images,
            &resamplings,
            &masks,
            ignored,
        )?;
        for image in images.iter().chain(masks.iter().flatten()) {
            image.index.preload(&header);
        }
        Ok(TiffFile {
            id: FileId::next(),
            whole: header.whole(),
            open_cost: Mutex::new(header.cost()),
            location: header.location,
            version: header.version,
            info,
            images,
            masks,
        })
    }

    /// What reading the header took, for the first who asks; then nothing.
    pub(crate) fn take_open_cost(&self) -> ReadCost {
        std::mem::take(&mut *self.open_cost.lock())
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn version(&self) -> &FileVersion {
        &self.version
    }

    pub(crate) fn info(&self) -> &RasterInfo {
        &self.info
    }

    /// The image of a level.
    pub(crate) fn image(&self, level: usize) -> Option<&Image> {
        self.images.get(level)
    }

    /// The mask inside the file that goes with a level.
    pub(crate) fn mask(&self, level: usize) -> Option<&Image> {
        self.masks.get(level)?.as_ref()
    }

    /// The image of that size, in a file that is the mask of another one.
    pub(crate) fn image_of_shape(&self, shape: Shape2d) -> Option<&Image> {
        self.images.iter().find(|image| image.shape == shape)
    }

    pub(crate) fn whole(&self) -> Option<&Bytes> {
        self.whole.as_ref()
    }

    /// Bytes of memory that this takes, roughly, once it was used.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let images = self.images.iter().chain(self.masks.iter().flatten());
        let indices: u64 = images
            .map(|image| IMAGE_BYTES + image.index.memory_bytes())
            .sum();
        let bands = self.info.bands.len() as u64 * size_of::<BandInfo>() as u64;
        indices + bands + self.whole.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }
}

/// Whether `image` is the same picture as `main`, reduced.
pub(crate) fn is_reduced(main: &Image, image: &Image) -> bool {
    let (full, reduced) = (main.shape, image.shape);
    let is_same_kind = image.samples == main.samples && image.dtype == main.dtype;
    let is_smaller = reduced.rows <= full.rows && reduced.cols <= full.cols && reduced != full;
    // A thumbnail of another aspect is another picture: one factor has to give
    // both sides, rounded either way.
    let factors = |full: usize, reduced: usize| {
        let (full, reduced) = (full as f64, reduced as f64);
        full / (reduced + 1.0)..=full / (reduced - 1.0)
    };
    let by_rows = factors(full.rows, reduced.rows);
    let by_cols = factors(full.cols, reduced.cols);
    let has_aspect = by_rows.start() <= by_cols.end() && by_cols.start() <= by_rows.end();
    image.is_reduced() && is_same_kind && is_smaller && has_aspect
}

fn is_mask_of(image: &Image, mask: &Image) -> bool {
    mask.shape == image.shape && mask.samples == 1 && matches!(mask.bits, 1 | 8)
}

/// How an overview says that it was made.
fn resampling_of(ifd: &Ifd) -> Option<String> {
    let xml = ifd.text(tags::GDAL_METADATA).ok()??;
    Metadata::parse(&xml, 1).ok()?.resampling
}

fn describe(
    header: &HeaderBytes,
    format: Format,
    ifd: &Ifd,
    images: &[Image],
    resamplings: &[Option<String>],
    masks: &[Option<Image>],
    ignored: Vec<String>,
) -> Result<RasterInfo> {
    let main = &images[0];
    // What is damaged of the georeference leaves the pixels whole, and those
    // who need it are told.
    let (keys, problem) = match GeoKeys::from_ifd(ifd) {
        Ok(keys) => (keys, None),
        Err(error) => (GeoKeys::default(), Some(error.to_string())),
    };
    let georeference = Georeference::from_ifd(ifd, &keys, problem);
    let mut details = details_of(format, main, &keys);
    details.extend(ignored.into_iter().map(|problem| ("ignored", problem)));

    // GDAL goes on without metadata that it cannot parse, and so do we.
    let metadata = match metadata_of(ifd, main.samples) {
        Ok(metadata) => metadata,
        Err(problem) => {
            details.push(("ignored", problem));
            Metadata::default()
        }
    };
    let nodata = nodata_of(ifd, main)?;
    // No reason to refuse the pixels.
    let colors = color::of_bands(ifd, main.samples, main.bits)
        .unwrap_or_else(|_| vec!["undefined"; main.samples]);
    let bands = (0..main.samples)
        .map(|band_idx| {
            let band = metadata.bands.get(band_idx).cloned().unwrap_or_default();
            // A name that nobody knows is not the tags' one either.
            let own_color = band.color.as_deref();
            let own_color = own_color.map(|name| color::named(name).unwrap_or("undefined"));
            BandInfo {
                dtype: main.dtype,
                nodata,
                scale: band.scale.unwrap_or(1.0),
                offset: band.offset.unwrap_or(0.0),
                unit: band.unit,
                description: band.description,
                color: own_color.unwrap_or(colors[band_idx]),
                tags: band.tags,
            }
        })
        .collect();
    let resamplings = resamplings
        .iter()
        .map(|own| own.clone().or_else(|| metadata.resampling.clone()));
    let levels = images
        .iter()
        .zip(resamplings)
        .enumerate()
        .map(|(level, (image, resampling))| Level {
            shape: image.shape,
            block_shape: image.block_shape,
            compression: image.codec.name(),
            predictor: image.predictor.tag_value(),
            resampling: resampling.filter(|_| level > 0),
            has_mask: masks[level].is_some(),
        });
    let mask = match (masks[0].is_some(), main.alpha) {
        (true, _) => MaskKind::Internal,
        (false, Some(band)) => MaskKind::Alpha(band),
        (false, None) => MaskKind::None,
    };
    Ok(RasterInfo {
        uri: header.location.uri().to_owned(),
        size: header.version.size,
        driver: "GTiff",
        shape: main.shape,
        affine: georeference.affine,
        crs: georeference.crs,
        georeference_problem: georeference.problem,
        bands,
        levels: levels.collect(),
        mask,
        n_gcps: georeference.n_gcps,
        tags: metadata.items,
        details,
    })
}

/// What GDAL wrote about the first image.
fn metadata_of(ifd: &Ifd, n_bands: usize) -> Result<Metadata, String> {
    match ifd.text(tags::GDAL_METADATA) {
        Ok(None) => Ok(Metadata::default()),
        Ok(Some(xml)) => {
            Metadata::parse(&xml, n_bands).map_err(|problem| format!("GDAL_METADATA: {problem}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The nodata value of the first image, for all its bands.
fn nodata_of(ifd: &Ifd, main: &Image) -> Result<Option<Number>> {
    let text = ifd.text(tags::GDAL_NODATA)?;
    Ok(text.and_then(|text| metadata::parse_nodata(&text, main.dtype)))
}

fn details_of(format: Format, main: &Image, keys: &GeoKeys) -> Vec<(&'static str, String)> {
    let mut details = vec![
        (
            "format",
            if format.is_big {
                "BigTIFF"
            } else {
                "classic TIFF"
            }
            .to_owned(),
        ),
        ("byte_order", format!("{:?}", format.order).to_lowercase()),
        (
            "layout",
            if main.is_tiled { "tiles" } else { "strips" }.to_owned(),
        ),
        (
            "interleave",
            if main.is_planar || main.samples == 1 {
                "band"
            } else {
                "pixel"
            }
            .to_owned(),
        ),
    ];
    if !main.is_whole_bytes() {
        details.push(("bits_per_sample", main.bits.to_string()));
    }
    if !keys.is_empty() {
        let kind = if keys.is_point() { "point" } else { "area" };
        details.push(("pixel_is", kind.to_owned()));
    }
    details
}

/// Where the pixels are, and what is amiss with it.
struct Georeference {
    affine: Option<Affine>,
    crs: Option<Crs>,
    n_gcps: usize,
    problem: Option<String>,
}

impl Georeference {
    fn from_ifd(ifd: &Ifd, keys: &GeoKeys, problem: Option<String>) -> Georeference {
        let mut problems: Vec<String> = problem.into_iter().collect();
        let (affine, n_gcps) = match georef::placement(ifd, keys.is_point()) {
            Err(error) => {
                problems.push(error.to_string());
                (None, 0)
            }
            Ok(Placement::Affine(affine)) if affine.is_finite() && affine.determinant() != 0.0 => {
                (Some(affine), 0)
            }
            Ok(Placement::Affine(affine)) => {
                problems.push(format!(
                    "its affine maps all pixels onto a line or a point ({affine:?})"
                ));
                (None, 0)
            }
            Ok(Placement::Gcps(n_gcps)) => {
                problems.push(format!(
                    "it has {n_gcps} ground control points and no affine; warp it to a grid first, \
                     with gdalwarp"
                ));
                (None, n_gcps)
            }
            Ok(Placement::Nowhere) => {
                problems.push("it has no affine".to_owned());
                (None, 0)
            }
        };
        let crs = if keys.is_empty() {
            problems.push("it has no coordinate system".to_owned());
            None
        } else {
            match geokeys::to_crs(keys) {
                Ok(crs) => Some(crs),
                Err(problem) => {
                    problems.push(format!("its coordinate system is not usable: {problem}"));
                    None
                }
            }
        };
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        Georeference {
            affine,
            crs,
            n_gcps,
            problem,
        }
    }
}

/// Names what a file is that is no TIFF.
fn not_a_tiff(uri: &str, start: &[u8]) -> Error {
    const NAMES: &[(&[u8], &str)] = &[
        (b"\x89HDF", "an HDF5 or netCDF-4 file"),
        (b"CDF", "a netCDF file"),
        (b"\x00\x00\x00\x0cjP", "a JPEG 2000 file"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
        (b"\xff\xd8\xff", "a JPEG file"),
        (b"\x89PNG", "a PNG file"),
        (b"GIF8", "a GIF file"),
        (b"GRIB", "a GRIB file"),
        (b"PK\x03\x04", "a zip file"),
        (b"\x1f\x8b", "a gzip file"),
        (b"%PDF", "a PDF file"),
        (b"<", "an XML or HTML document"),
        (b"{", "a JSON document"),
    ];
    let known = NAMES.iter().find(|(magic, _)| start.starts_with(magic));
    match known {
        Some((_, name)) => Error::unsupported_in(
            uri,
            format!("it is {name}, which"),
            &format!(
                "GeoTIFF, and Zarr as STORE.zarr/ARRAY; {}",
                crate::gdal::BUILD_WITH
            ),
        ),
        None => {
            let start = &start[..start.len().min(8)];
            let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
            let shown = match start.iter().all(printable) {
                true => format!("{:?}", String::from_utf8_lossy(start)),
                false => {
                    let bytes = start.iter().map(|byte| format!("{byte:02x}"));
                    format!("bytes {}", bytes.collect::<Vec<_>>().join(" "))
                }
            };
            let problem = format!("it begins with {shown}, as no TIFF does");
            Error::unreadable(uri, "header", problem)
        }
    }
}
