//! The writer: collects blocks, reduces them, puts the file together.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use datacube_geo::{PixelWindow, Shape2d};
use datacube_model::{DType, Number};
use libdeflater::CompressionLvl;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::block::{Predictor, decode, encode, pad_edges};
use super::geokeys::add_georeference;
use super::metadata::gdal_metadata;
use super::overview::{Axis, OverviewResampling, Reduction, Source};
use super::pyramid::{Level, factors, levels};
use super::spool::Spool;
use super::tiff::{
    Directory, Flavour, TILE_BYTE_COUNTS, TILE_OFFSETS, Values, front_matter, structural_metadata,
};
use super::{CogOptions, CogSpec};
use crate::export::atomic::check_free;
use crate::export::error::{Error, Result};
use crate::export::gather::{BlockGrid, Gather, Pixels, copy_box};
use crate::export::part::{Part, job};

/// The file that is made of the blocks, within the part.
const WHOLE: &str = "whole";

/// Writes a Cloud Optimised GeoTIFF from windows of pixels that come in any
/// order and from any thread.
///
/// Hand over every pixel of every band once with [`write`](Self::write), then
/// call [`finish`](Self::finish). Dropped before that it leaves nothing, unless it
/// is to be resumed; then what it [`holds`](Self::holds) need not come again.
///
/// # Example
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use datacube::export::cog::{CogOptions, CogSpec, CogWriter};
/// use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
/// use datacube_model::DType;
///
/// let folder = tempfile::tempdir()?;
/// let affine = Affine { a: 30.0, b: 0.0, c: 600_000.0, d: 0.0, e: -30.0, f: -4_100_000.0 };
/// let geobox = GeoBox::new(Shape2d { rows: 2, cols: 3 }, affine, Some(Crs::from_epsg(32655)?))?;
/// let writer = CogWriter::create(
///     &folder.path().join("small.tif"),
///     CogSpec::new(geobox, DType::UInt8),
///     CogOptions::default(),
/// )?;
/// writer.write(0, &PixelWindow { rows: 0..2, cols: 0..3 }, &[1, 2, 3, 4, 5, 6])?;
/// assert!(writer.finish()?.overviews.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CogWriter {
    path: PathBuf,
    spec: CogSpec,
    options: CogOptions,
    resampling: OverviewResampling,
    compression: CompressionLvl,
    levels: Vec<Level>,
    spool: Spool,
    gather: Gather,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CogSummary {
    /// Size of the file.
    pub bytes: u64,
    /// Factors of the overviews: 2, 4, ...
    pub overviews: Vec<u64>,
    /// Whether it is a BigTIFF.
    pub big_tiff: bool,
}

impl CogWriter {
    /// A writer for a file at `path`, which appears when it is finished.
    ///
    /// # Errors
    /// [`Error::Exists`] if something is at `path` and may not be replaced,
    /// [`Error::Busy`] while somebody else writes it, [`Error::OtherJob`] if what is
    /// to be resumed is of another spec or plan, [`Error::Invalid`] if the options or sizes cannot be had in a TIFF,
    /// [`Error::Io`] if the folder cannot be written to.
    pub fn create(path: &Path, spec: CogSpec, options: CogOptions) -> Result<Self> {
        let invalid = |reason: String| Err(Error::invalid(path.display().to_string(), reason));
        let shape = spec.geobox.shape();
        if shape.rows == 0 || shape.cols == 0 {
            return invalid(format!(
                "the image has no pixels ({} x {})",
                shape.rows, shape.cols
            ));
        }
        if shape.rows.max(shape.cols) > i32::MAX as usize {
            return invalid(format!(
                "{} x {} pixels are more than a TIFF can hold; write it in parts",
                shape.rows, shape.cols
            ));
        }
        if spec.bands.is_empty() || spec.bands.len() > usize::from(u16::MAX) {
            return invalid(format!(
                "a TIFF has 1 to 65535 bands, not {}",
                spec.bands.len()
            ));
        }
        if options.block == 0 || !options.block.is_multiple_of(16) || options.block > 8192 {
            return invalid(format!(
                "a block has a multiple of 16 rows, at most 8192, not {}",
                options.block
            ));
        }
        let Ok(compression) = CompressionLvl::new(options.level) else {
            return invalid(format!("deflate has levels 0 to 12, not {}", options.level));
        };
        if let Some(nodata) = spec.nodata.filter(|nodata| !nodata.fits(spec.dtype)) {
            return invalid(format!("nodata {nodata} is no value of {}", spec.dtype));
        }
        check_free(path, options.overwrite)?;

        let block = options
            .block
            .min(shape.rows.max(shape.cols).next_multiple_of(16));
        let levels = levels(shape, block, options.max_overviews);
        let n_blocks = levels.iter().map(Level::n_blocks).sum::<usize>() * spec.bands.len();
        let resampling = options.overview_resampling.unwrap_or(if spec.categorical {
            OverviewResampling::Nearest
        } else {
            OverviewResampling::Average
        });
        let grid = BlockGrid::new(
            vec![spec.bands.len(), shape.rows, shape.cols],
            vec![1, block, block],
        );
        let stored = stored(&spec, &options, block, resampling);
        let job = job("cog", options.plan.as_deref(), stored);
        let (part, written) = Part::open(path, &job, options.resume)?;
        let spool = Spool::open(path, part, &written, n_blocks)?;
        let gather = Gather::new(grid, vec![0; spec.dtype.size()]);
        for number in (0..gather.grid().n_blocks()).filter(|&number| spool.has(number)) {
            gather.was_written(number);
        }
        Ok(CogWriter {
            path: path.to_owned(),
            spool,
            gather,
            spec,
            options,
            resampling,
            compression,
            levels,
        })
    }

    /// The shape of a band.
    pub fn shape(&self) -> Shape2d {
        self.spec.geobox.shape()
    }

    /// Rows and columns of a block of the image.
    pub fn block(&self) -> usize {
        self.levels[0].block
    }

    /// Whether an earlier run has left anything.
    pub fn resumes(&self) -> bool {
        self.gather.resumes()
    }

    /// Whether all pixels of `window` of band `band` (0-based) are written.
    pub fn holds(&self, band: usize, window: &PixelWindow) -> bool {
        self.gather
            .holds(&[band..band + 1, window.rows.clone(), window.cols.clone()])
    }

    /// Takes the pixels of `window` of band `band` (0-based): rows first, native
    /// endian, no padding.
    ///
    /// Works on all cores when the window holds several blocks.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the window is not inside the image, `pixels` has not
    /// its size, or pixels come a second time; [`Error::Io`] if the disk is full.
    pub fn write(&self, band: usize, window: &PixelWindow, pixels: &[u8]) -> Result<()> {
        let what = format!("`{}`", self.path.display());
        let region = [band..band + 1, window.rows.clone(), window.cols.clone()];
        self.gather
            .add(&what, &region, pixels, |number, mut block| {
                let Level { block: side, .. } = self.levels[0];
                let size = self.spec.dtype.size();
                let inside: Vec<_> = self
                    .gather
                    .grid()
                    .region(number)
                    .iter()
                    .map(Range::len)
                    .collect();
                pad_edges(block.bytes_mut(), side * size, size, inside[1], inside[2]);
                let encoded = encode(block, self.spec.dtype, side, self.compression);
                self.spool.put(number, &encoded)
            })
    }

    /// Makes the overviews and puts the file in place.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if pixels are missing, [`Error::Io`] if the disk is
    /// full, [`Error::Exists`] if a file appeared at the destination meanwhile.
    pub fn finish(self) -> Result<CogSummary> {
        self.check_complete()?;
        for level in 1..self.levels.len() {
            let n_blocks = self.levels[level].n_blocks();
            (0..n_blocks * self.spec.bands.len())
                .into_par_iter()
                .try_for_each(|n| self.reduce(level, n / n_blocks, n % n_blocks))?;
        }
        self.assemble()
    }

    fn check_complete(&self) -> Result<()> {
        let n_blocks = self.levels[0].n_blocks();
        for band in 0..self.spec.bands.len() {
            let missing = self.gather.missing(band * n_blocks..(band + 1) * n_blocks);
            if missing > 0 {
                let expected = self.shape().pixels();
                return Err(Error::Incomplete {
                    path: self.path.clone(),
                    what: format!("band {}", band + 1),
                    got: (expected - missing) as u64,
                    expected: expected as u64,
                });
            }
        }
        Ok(())
    }

    /// Makes one block of an overview from the level below.
    fn reduce(&self, level: usize, band: usize, index: usize) -> Result<()> {
        let number = self.number(level, band, index);
        if self.spool.has(number) {
            return Ok(());
        }
        let (fine, coarse) = (self.levels[level - 1], self.levels[level]);
        let dtype = self.spec.dtype;
        let size = dtype.size();
        let stride = coarse.block * size;
        let window = coarse.block_window(index);
        let rows = Axis {
            src: fine.rows,
            dst: coarse.rows,
        };
        let cols = Axis {
            src: fine.cols,
            dst: coarse.cols,
        };
        let source_window = PixelWindow {
            rows: rows.src_range(&window.rows),
            cols: cols.src_range(&window.cols),
        };
        let source = self.gather(level - 1, band, &source_window)?;
        let mut block = Pixels::zeroed(coarse.block * stride);
        Reduction {
            dtype,
            resampling: self.resampling,
            nodata: self.spec.nodata,
            rows,
            cols,
            dst_rows: &window.rows,
            dst_cols: &window.cols,
            out_cols: coarse.block,
        }
        .run(
            &Source {
                pixels: source.bytes(),
                origin: (source_window.rows.start, source_window.cols.start),
                cols: source_window.cols.len(),
            },
            block.bytes_mut(),
        );
        pad_edges(
            block.bytes_mut(),
            stride,
            size,
            window.rows.len(),
            window.cols.len(),
        );
        let encoded = encode(block, dtype, coarse.block, self.compression);
        self.spool.put(number, &encoded)
    }

    /// The pixels of a window of a finished level.
    fn gather(&self, level: usize, band: usize, window: &PixelWindow) -> Result<Pixels> {
        let level_shape = self.levels[level];
        let size = self.spec.dtype.size();
        let stride = level_shape.block * size;
        let mut out = Pixels::zeroed(window.rows.len() * window.cols.len() * size);
        let out_stride = window.cols.len() * size;
        for index in level_shape.blocks_touching(window) {
            let encoded = self.spool.get(self.number(level, band, index))?;
            let block = decode(
                &encoded,
                self.spec.dtype,
                level_shape.block,
                level_shape.block * stride,
            );
            let inside = level_shape.block_window(index);
            let PixelWindow { rows, cols } = inside.intersect(window);
            let src_at =
                (rows.start - inside.rows.start) * stride + (cols.start - inside.cols.start) * size;
            let dst_at = (rows.start - window.rows.start) * out_stride
                + (cols.start - window.cols.start) * size;
            copy_box(
                (block.bytes(), src_at, &[stride, size]),
                (out.bytes_mut(), dst_at, &[out_stride, size]),
                &[rows.len(), cols.len()],
                size,
            );
        }
        Ok(out)
    }

    /// The number of a block in the spool.
    fn number(&self, level: usize, band: usize, index: usize) -> usize {
        let before: usize = self.levels[..level].iter().map(Level::n_blocks).sum();
        before * self.spec.bands.len() + band * self.levels[level].n_blocks() + index
    }

    /// Copies metadata and blocks into a file of the final order.
    fn assemble(self) -> Result<CogSummary> {
        let n_bands = self.spec.bands.len();
        let structural = structural_metadata(n_bands > 1);
        let mut directories: Vec<Directory> = (0..self.levels.len())
            .map(|level| self.directory(level))
            .collect();
        let blocks_of = |level: usize| {
            let first = self.number(level, 0, 0);
            first..first + self.levels[level].n_blocks() * n_bands
        };
        let payload: u64 = (0..self.levels.len())
            .flat_map(blocks_of)
            .map(|block| u64::from(self.spool.len_of(block)) + 8)
            .sum();
        let front_len = |flavour| front_matter(flavour, &structural, &directories).len() as u64;
        let flavour = if self.options.big_tiff
            || front_len(Flavour::Classic) + payload > u64::from(u32::MAX)
        {
            Flavour::Big
        } else {
            Flavour::Classic
        };

        // The coarsest level first; within a level band by band, row by row.
        let mut at = front_len(flavour);
        for level in (0..self.levels.len()).rev() {
            let sizes: Vec<u64> = blocks_of(level)
                .map(|block| u64::from(self.spool.len_of(block)))
                .collect();
            let mut offsets = Vec::with_capacity(sizes.len());
            for size in &sizes {
                offsets.push(at + 4);
                at += size + 8;
            }
            directories[level].set(TILE_OFFSETS, Values::Offsets(offsets));
            directories[level].set(TILE_BYTE_COUNTS, Values::Offsets(sizes));
        }

        {
            let failed = || Error::io("write", &self.path);
            let file = File::create(self.spool.join(WHOLE)).map_err(failed())?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            out.write_all(&front_matter(flavour, &structural, &directories))
                .map_err(failed())?;
            for block in (0..self.levels.len()).rev().flat_map(blocks_of) {
                let encoded = self.spool.get(block)?;
                let trailer = &encoded[encoded.len().saturating_sub(4)..];
                out.write_all(&self.spool.len_of(block).to_le_bytes())
                    .and_then(|()| out.write_all(&encoded))
                    .and_then(|()| out.write_all(trailer))
                    .map_err(failed())?;
            }
            out.flush().map_err(failed())?;
        }
        self.spool
            .into_part()
            .commit(WHOLE, self.options.overwrite)?;
        Ok(CogSummary {
            bytes: at,
            overviews: factors(&self.levels),
            big_tiff: flavour == Flavour::Big,
        })
    }

    /// The tags of one level, its block offsets and sizes still zero.
    fn directory(&self, level: usize) -> Directory {
        let Level { rows, cols, block } = self.levels[level];
        let dtype = self.spec.dtype;
        let n_bands = self.spec.bands.len();
        let long = |n: usize| {
            Values::Long(vec![
                u32::try_from(n).expect("sizes were checked by create"),
            ])
        };
        let per_band = |value: u16| Values::Short(vec![value; n_bands]);
        let bits = u16::try_from(dtype.size() * 8).expect("at most 128");
        let n_bands_short = u16::try_from(n_bands).expect("checked by create");

        let mut tags = Directory::default();
        if level > 0 {
            tags.set(254, Values::Long(vec![1])); // NewSubfileType: reduced resolution
        }
        tags.set(256, long(cols));
        tags.set(257, long(rows));
        tags.set(258, per_band(bits));
        tags.set(259, Values::Short(vec![8])); // Compression: deflate
        tags.set(262, Values::Short(vec![1])); // PhotometricInterpretation: min is black
        tags.set(277, Values::Short(vec![n_bands_short]));
        tags.set(284, Values::Short(vec![if n_bands > 1 { 2 } else { 1 }]));
        tags.set(317, Values::Short(vec![Predictor::of(dtype).tag_value()]));
        tags.set(322, long(block));
        tags.set(323, long(block));
        let n_blocks = self.levels[level].n_blocks() * n_bands;
        tags.set(TILE_OFFSETS, Values::Offsets(vec![0; n_blocks]));
        tags.set(TILE_BYTE_COUNTS, Values::Offsets(vec![0; n_blocks]));
        if n_bands > 1 {
            tags.set(338, Values::Short(vec![0; n_bands - 1])); // ExtraSamples: unspecified
        }
        tags.set(339, per_band(sample_format(dtype)));
        if level == 0 {
            add_georeference(&mut tags, self.spec.geobox.affine(), self.spec.geobox.crs());
            let overviews = (self.levels.len() > 1).then_some(self.resampling);
            if let Some(xml) = gdal_metadata(&self.spec, overviews) {
                tags.set(42112, Values::Ascii(xml));
            }
        }
        if let Some(nodata) = self.spec.nodata {
            tags.set(42113, Values::Ascii(nodata_text(nodata)));
        }
        tags
    }
}

/// What two runs have to have in common for one to go on with the other's blocks.
fn stored(
    spec: &CogSpec,
    options: &CogOptions,
    block: usize,
    resampling: OverviewResampling,
) -> Value {
    let geobox = &spec.geobox;
    json!({
        "shape": [geobox.shape().rows, geobox.shape().cols],
        "affine": format!("{:?}", geobox.affine()),
        "crs": geobox.crs().map(|crs| crs.as_str().to_owned()),
        "dtype": spec.dtype.name(),
        "nodata": spec.nodata.map(|nodata| nodata.to_string()),
        "bands": spec.bands.iter().map(|band| format!("{band:?}")).collect::<Vec<_>>(),
        "metadata": spec.metadata,
        "block": block,
        "level": options.level,
        "max_overviews": options.max_overviews,
        "overview_resampling": format!("{resampling:?}"),
        "big_tiff": options.big_tiff,
    })
}

/// TIFF's `SampleFormat`.
fn sample_format(dtype: DType) -> u16 {
    if dtype.is_complex() {
        6
    } else if dtype.is_float() {
        3
    } else if dtype.integer_range().is_some_and(|(low, _)| low < 0) {
        2
    } else {
        1
    }
}

/// A nodata as GDAL spells it.
fn nodata_text(nodata: Number) -> String {
    match nodata {
        Number::Int(value) => value.to_string(),
        Number::Float(value) if value.is_nan() => "nan".to_owned(),
        Number::Float(value) if value.is_infinite() => {
            if value > 0.0 { "inf" } else { "-inf" }.to_owned()
        }
        Number::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value}"),
        Number::Float(value) => format!("{value:?}"),
    }
}
