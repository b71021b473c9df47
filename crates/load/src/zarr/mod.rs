//! Zarr, versions 2 and 3: one array of a store as a raster.
//!
//! The last two dimensions are the rows and columns. Whatever dimensions come
//! before them, such as time, are counted through as bands, the last one
//! fastest. A chunk is one object (a shard, where there are shards), fetched
//! whole; what decodes it is `zarrs`. Where the pixels are, what is missing and
//! what values mean follows the conventions of CF, xarray and GeoZarr, see
//! `cf.rs`.

mod address;
mod cf;
mod documents;
mod kept;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::{Affine, Crs, PixelWindow, Shape2d};
use datacube_model::DType;
use futures::{StreamExt, TryStreamExt};
use zarrs::array::{Array, ArrayMetadata, ArrayToBytesCodecTraits, CodecOptions};

pub(crate) use address::Address;
use documents::{ArrayDocument, Documents};
pub(crate) use kept::Arrays;
use kept::{Chunks, HeldChunk};

use crate::buffer::PixelBuffer;
use crate::error::{Error, Result};
use crate::reader::{BandInfo, Blocks, Level, MaskKind, RasterInfo, RasterReader, ReadCost};
use crate::store::StoreRegistry;

/// Largest decoded chunk: 1 GiB, as for blocks of a TIFF.
const MAX_CHUNK_BYTES: u64 = 1 << 30;
/// Steps of the leading dimensions that are bands.
const MAX_BANDS: u64 = 1 << 16;
/// Chunks of one call that are fetched at the same time.
const PARALLEL_CHUNKS: usize = 8;

/// Reads one array of a Zarr store.
pub(crate) struct ZarrReader {
    documents: Documents,
    array: Array<()>,
    dtype: DType,
    /// Sizes of the dimensions before the rows.
    leading: Vec<u64>,
    /// Sizes of a chunk, in the order of the dimensions.
    chunk: Vec<NonZeroU64>,
    info: RasterInfo,
    /// Chunks that tasks share.
    chunks: Chunks,
}

impl std::fmt::Debug for ZarrReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZarrReader")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// What this reader puts into [`Blocks`]: chunk row and column, and the chunk.
struct ZarrChunks {
    uri: String,
    chunks: Vec<(usize, usize, Arc<HeldChunk>)>,
}

impl ZarrReader {
    /// Opens the array at `address`; `signer` names who signs each object, if
    /// anybody does. An array that `arrays` keeps is not read again.
    pub(crate) async fn open(
        stores: &StoreRegistry,
        address: &Address,
        signer: Option<&str>,
        arrays: &Arrays,
    ) -> Result<Arc<Self>> {
        let key = format!("{} {}", signer.unwrap_or_default(), address.uri);
        arrays
            .get(key, |chunks| {
                Self::read(stores.clone(), address.clone(), signer, chunks)
            })
            .await
    }

    async fn read(
        stores: StoreRegistry,
        address: Address,
        signer: Option<&str>,
        chunks: Chunks,
    ) -> Result<Self> {
        let uri = address.uri.clone();
        let documents = Documents::open(stores, &address.root, signer).await?;
        let name = match address.array {
            Some(name) => name,
            None => documents.only_raster(&uri)?,
        };
        let document = documents.array(&name).await?.ok_or_else(|| {
            let known = documents.rasters().join(", ");
            let known = match known.is_empty() {
                true => String::new(),
                false => format!("; it has {known}"),
            };
            Error::invalid_for(&uri, format!("the store has no array `{name}`{known}"))
        })?;
        let broken = |problem: String| Error::unreadable(&uri, format!("array `{name}`"), problem);
        let dtype = document.dtype().map_err(|what| {
            Error::unsupported_in(&uri, what, "bool, whole and real numbers of 8 to 64 bits")
        })?;
        let metadata: ArrayMetadata = serde_json::from_value(document.metadata.clone())
            .map_err(|error| broken(format!("its metadata is not that of an array: {error}")))?;
        let array = Array::new_with_metadata(Arc::new(()), &format!("/{name}"), metadata).map_err(
            |error| {
                let what = format!("the array `{name}` ({error})");
                Error::unsupported_in(&uri, what, "codecs blosc, zstd, gzip, zlib and shards")
            },
        )?;
        let (leading, shape) = sizes(&array, &document).map_err(broken)?;
        let chunk = array
            .chunk_shape(&vec![0; array.shape().len()])
            .map_err(|error| broken(format!("its chunks have no size: {error}")))?;
        let n_bytes = chunk
            .iter()
            .try_fold(dtype.size() as u64, |n, side| n.checked_mul(side.get()));
        if n_bytes.is_none_or(|n_bytes| n_bytes > MAX_CHUNK_BYTES) {
            return Err(Error::Exhausted {
                what: format!("{uri}: one chunk of {chunk:?} pixels"),
                needed: n_bytes.unwrap_or(u64::MAX),
                limit: MAX_CHUNK_BYTES,
                advice: "write the array in smaller chunks".to_owned(),
            });
        }
        let mut reader = ZarrReader {
            info: describe(&uri, dtype, shape, &document, &documents),
            documents,
            array,
            dtype,
            leading,
            chunk,
            chunks,
        };
        reader.info.levels = vec![reader.level(shape, &document)];
        let n_bands = reader.leading.iter().product::<u64>();
        let band = reader.info.bands[0].clone();
        reader.info.bands = vec![band; usize::try_from(n_bands).expect("below the limit")];
        reader.locate(&name, &document).await?;
        Ok(reader)
    }

    fn level(&self, shape: Shape2d, document: &ArrayDocument) -> Level {
        let [rows, cols] = self.chunk_sides();
        Level {
            shape,
            block_shape: Shape2d { rows, cols },
            compression: document.compression(),
            predictor: 1,
            resampling: None,
            has_mask: false,
        }
    }

    /// Finds the affine and the coordinate system.
    async fn locate(&mut self, name: &str, document: &ArrayDocument) -> Result<()> {
        let mapping = match cf::grid_mapping(&document.attrs) {
            Some(mapping) => self.documents.sibling(name, &mapping).await?,
            None => self.documents.sibling(name, "spatial_ref").await?,
        };
        let mapping = mapping.map(|mapping| mapping.attrs).unwrap_or_default();
        let sources = [&mapping, &document.attrs, &self.documents.attrs];
        let mut problems = Vec::new();
        let [.., y, x] = &document.dims[..] else {
            return Err(Error::Internal(
                "an array of less than two dimensions".into(),
            ));
        };
        let crs: Result<Option<Crs>, String> = cf::crs(&sources, y, x);
        self.info.crs = crs.unwrap_or_else(|problem| {
            problems.push(format!("its coordinate system is not usable: {problem}"));
            None
        });
        if self.info.crs.is_none() && problems.is_empty() {
            problems.push("it has no coordinate system".to_owned());
        }
        let affine = match cf::geotransform(&sources) {
            Some(affine) => Ok(affine),
            None => {
                let x = self.axis(name, x).await?;
                let y = self.axis(name, y).await?;
                match (x, y) {
                    (Ok((c, a)), Ok((f, e))) => Ok(Affine {
                        a,
                        b: 0.0,
                        c,
                        d: 0.0,
                        e,
                        f,
                    }),
                    (Err(problem), _) | (_, Err(problem)) => Err(problem),
                }
            }
        };
        match affine {
            Ok(affine) if affine.is_finite() && affine.determinant() != 0.0 => {
                self.info.affine = Some(affine);
            }
            Ok(affine) => problems.push(format!("its affine is no use ({affine:?})")),
            Err(problem) => problems.push(problem),
        }
        self.info.georeference_problem = (!problems.is_empty()).then(|| problems.join("; "));
        Ok(())
    }

    /// Edge and step of a dimension by its coordinate; or what is wrong with it.
    async fn axis(&self, name: &str, dim: &str) -> Result<Result<(f64, f64), String>> {
        let Some(coordinate) = self.documents.sibling(name, dim).await? else {
            return Ok(Err(format!("dimension `{dim}` has no coordinate")));
        };
        Ok(
            match self.documents.numbers(name, dim, &coordinate).await? {
                Ok(values) => cf::edge_and_step(dim, &values),
                Err(problem) => Err(format!("coordinate `{dim}`: {problem}")),
            },
        )
    }

    /// Rows and columns of a chunk.
    fn chunk_sides(&self) -> [usize; 2] {
        let at = self.leading.len();
        // Their product is below the limit of a chunk.
        [at, at + 1].map(|at| usize::try_from(self.chunk[at].get()).expect("below the limit"))
    }

    /// Bytes that a chunk takes in memory.
    fn chunk_bytes(&self) -> u64 {
        let sides = self.chunk.iter().map(|side| side.get());
        sides.product::<u64>() * self.dtype.size() as u64
    }

    /// Bytes that a stored chunk may have: one that nothing compresses, and what
    /// codecs and the index of shards add.
    fn most_stored(&self) -> u64 {
        let n_bytes = self.chunk_bytes();
        n_bytes + n_bytes / 4 + (64 << 10)
    }

    /// Place of a band in each leading dimension.
    fn leading_of(&self, band: u32) -> Vec<u64> {
        let mut rest = u64::from(band) - 1;
        let mut at = vec![0; self.leading.len()];
        for (at, &size) in at.iter_mut().zip(&self.leading).rev() {
            *at = rest % size;
            rest /= size;
        }
        at
    }

    /// Chunk rows and columns that a window touches.
    fn chunks_of(&self, window: &PixelWindow) -> Vec<(usize, usize)> {
        let [height, width] = self.chunk_sides();
        let cols = window.cols.start / width..window.cols.end.div_ceil(width);
        let rows = window.rows.start / height..window.rows.end.div_ceil(height);
        rows.flat_map(|row| cols.clone().map(move |col| (row, col)))
            .collect()
    }

    /// Place of a chunk in the grid of chunks.
    fn indices(&self, band: u32, row: usize, col: usize) -> Vec<u64> {
        let leading = self.leading_of(band);
        let mut indices: Vec<u64> = leading
            .iter()
            .zip(&self.chunk)
            .map(|(at, size)| at / size.get())
            .collect();
        indices.extend([row as u64, col as u64]);
        indices
    }

    /// The same as one number.
    fn number(&self, indices: &[u64]) -> u64 {
        let counts = self.array.shape().iter().zip(&self.chunk);
        let counts = counts.map(|(size, chunk)| size.div_ceil(chunk.get()));
        // Fewer chunks than pixels, and those are counted in 64 bits.
        let step =
            |number: u64, (at, count): (&u64, u64)| number.wrapping_mul(count).wrapping_add(*at);
        indices.iter().zip(counts).fold(0, step)
    }

    /// Gets hold of a chunk; with what that took.
    async fn hold(&self, band: u32, row: usize, col: usize) -> Result<(Arc<HeldChunk>, ReadCost)> {
        let indices = self.indices(band, row, col);
        let location = self
            .documents
            .locate(self.array.chunk_key(&indices).as_str())?;
        let version = match location.is_local() {
            true => location.head().await.ok(),
            false => None,
        };
        let chunk = self.chunks.key(self.number(&indices), version.as_ref());
        let chunk = self.chunks.hold(chunk);
        let limit = self.most_stored();
        let fetched = chunk.fetch(documents::read(&location, limit));
        let cost = match fetched.await? {
            Some(bytes) => ReadCost {
                bytes,
                requests: 1,
                cached_blocks: 0,
            },
            None => ReadCost {
                cached_blocks: 1,
                ..ReadCost::default()
            },
        };
        Ok((chunk, cost))
    }

    pub(crate) fn is_local(&self) -> bool {
        self.documents.is_local()
    }

    /// Whether the documents of a store on this machine are those that were read.
    pub(crate) async fn is_unchanged(&self) -> bool {
        self.documents.are_unchanged().await
    }

    /// Bytes of the documents that say what the array is.
    pub(crate) fn document_bytes(&self) -> u64 {
        self.documents.n_bytes()
    }

    fn check(&self, level: usize, band: u32, window: &PixelWindow) -> Result<()> {
        self.info.check_window(level, window)?;
        self.info.band(band).map(|_| ())
    }

    /// The pixels of one chunk, of all its leading steps.
    fn decode_chunk<'a>(&self, stored: &'a [u8], place: &str) -> Result<Cow<'a, [u8]>> {
        let fault = |problem: String| Error::unreadable(&self.info.uri, place, problem);
        let decoded = self
            .array
            .codecs()
            .decode(
                Cow::Borrowed(stored),
                &self.chunk,
                self.array.data_type(),
                self.array.fill_value(),
                &CodecOptions::default(),
            )
            .map_err(|error| fault(error.to_string()))?
            .into_fixed()
            .map_err(|error| fault(error.to_string()))?;
        let expected = self.chunk_bytes();
        if decoded.len() as u64 != expected {
            return Err(fault(format!(
                "it holds {} bytes and its pixels need {expected}",
                decoded.len()
            )));
        }
        Ok(decoded)
    }
}

#[async_trait]
impl RasterReader for ZarrReader {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn take_open_cost(&self) -> ReadCost {
        self.documents.take_cost()
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        self.check(level, band, &window)?;
        let chunks = self.chunks_of(&window);
        let held: Vec<(usize, usize, (Arc<HeldChunk>, ReadCost))> = futures::stream::iter(chunks)
            .map(|(row, col)| async move {
                Ok::<_, Error>((row, col, self.hold(band, row, col).await?))
            })
            .buffered(PARALLEL_CHUNKS)
            .try_collect()
            .await?;
        let mut cost = ReadCost::default();
        let mut n_bytes = 0;
        let mut fetched = Vec::with_capacity(held.len());
        for (row, col, (chunk, read)) in held {
            cost += read;
            n_bytes += chunk.memory_bytes();
            fetched.push((row, col, chunk));
        }
        let payload = ZarrChunks {
            uri: self.info.uri.clone(),
            chunks: fetched,
        };
        let payload = Box::new(payload);
        Ok(Blocks::new(
            level,
            Some(band),
            window,
            cost,
            n_bytes,
            payload,
        ))
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        let uri = &self.info.uri;
        let payload = blocks
            .payload::<ZarrChunks>()
            .filter(|payload| payload.uri == *uri)
            .ok_or_else(|| Error::invalid_for(uri, "these chunks are of another array"))?;
        let band = blocks
            .band()
            .filter(|_| blocks.window().contains(&window))
            .ok_or_else(|| {
                Error::invalid_for(uri, format!("what was fetched does not cover {window}"))
            })?;
        self.check(blocks.level(), band, &window)?;
        let size = self.dtype.size();
        out.reset(self.dtype, window.shape())?;
        let out = out.as_bytes_mut();
        // Chunks that are not there have the fill value.
        for pixel in out.chunks_exact_mut(size) {
            pixel.copy_from_slice(self.array.fill_value().as_ne_bytes());
        }
        let [height, width] = self.chunk_sides();
        let step = self.step_in_chunk(band) * height * width * size;
        let steps = self.chunk.iter().rev().skip(2).map(|side| side.get());
        let has_steps = steps.product::<u64>() > 1;
        for (row, col, held) in &payload.chunks {
            let chunk = PixelWindow {
                rows: row * height..(row + 1) * height,
                cols: col * width..(col + 1) * width,
            };
            let part = chunk.intersect(&window);
            if part.is_empty() {
                continue;
            }
            let inside = chunk.intersect(&PixelWindow::full(self.info.shape));
            let is_shared = has_steps || !blocks.window().contains(&inside);
            let pixels = self.chunks.pixels(held, is_shared, |stored| {
                let pixels = self.decode_chunk(stored, &format!("chunk ({row}, {col})"))?;
                Ok(Arc::from(&*pixels))
            })?;
            let Some(pixels) = pixels else { continue };
            for row in part.rows.clone() {
                let from = (row - chunk.rows.start) * width + part.cols.start - chunk.cols.start;
                let to = (row - window.rows.start) * window.cols.len() + part.cols.start
                    - window.cols.start;
                let n_bytes = part.cols.len() * size;
                out[to * size..][..n_bytes]
                    .copy_from_slice(&pixels[step + from * size..][..n_bytes]);
            }
        }
        Ok(())
    }

    fn project(&self, level: usize, band: u32, window: PixelWindow) -> Result<ReadCost> {
        self.check(level, band, &window)?;
        let chunks = self.chunks_of(&window).into_iter();
        // Of a file of this machine only its version tells whether it is kept.
        let is_kept = |&(row, col): &(usize, usize)| {
            let number = self.number(&self.indices(band, row, col));
            !self.is_local() && self.chunks.has(&self.chunks.key(number, None))
        };
        let (kept, wanted): (Vec<_>, Vec<_>) = chunks.partition(is_kept);
        Ok(ReadCost {
            // As if nothing were compressed: no metadata says.
            bytes: wanted.len() as u64 * self.chunk_bytes(),
            requests: wanted.len() as u64,
            cached_blocks: kept.len() as u64,
        })
    }
}

impl ZarrReader {
    /// Which of the planes in its chunk a band is.
    fn step_in_chunk(&self, band: u32) -> usize {
        let leading = self.leading_of(band);
        let step = leading
            .iter()
            .zip(&self.chunk)
            .fold(0, |step, (at, size)| step * size.get() + at % size.get());
        usize::try_from(step).expect("a chunk fits in memory")
    }
}

/// The leading dimensions, and rows and columns.
fn sizes(array: &Array<()>, document: &ArrayDocument) -> Result<(Vec<u64>, Shape2d), String> {
    let shape = array.shape();
    if document.dims.len() != shape.len() {
        return Err(format!(
            "it names {} dimensions and has {}",
            document.dims.len(),
            shape.len()
        ));
    }
    let [leading @ .., rows, cols] = shape else {
        return Err("it has less than two dimensions".to_owned());
    };
    let dims = document.dims.join(", ");
    if let [.., y, x] = &document.dims[..]
        && (cf::is_x(y) || cf::is_y(x))
    {
        return Err(format!(
            "its dimensions are ({dims}); the last two have to be rows and columns"
        ));
    }
    let n_bands = leading
        .iter()
        .try_fold(1_u64, |n, &size| n.checked_mul(size));
    if n_bands.is_none_or(|n| n == 0 || n > MAX_BANDS) {
        return Err(format!(
            "its dimensions ({dims}) of {shape:?} make no bands, or more than {MAX_BANDS}"
        ));
    }
    let side = |side: u64| {
        i32::try_from(side)
            .ok()
            .filter(|&side| side > 0)
            .and_then(|side| usize::try_from(side).ok())
            .ok_or_else(|| format!("its sides {shape:?} are 0 or beyond 2147483647"))
    };
    let shape = Shape2d {
        rows: side(*rows)?,
        cols: side(*cols)?,
    };
    Ok((leading.to_vec(), shape))
}

fn describe(
    uri: &str,
    dtype: DType,
    shape: Shape2d,
    document: &ArrayDocument,
    documents: &Documents,
) -> RasterInfo {
    let attrs = &document.attrs;
    let text = |name: &str| attrs.get(name)?.as_str().map(str::to_owned);
    let number = |name: &str| attrs.get(name).and_then(cf::number_of);
    let band = BandInfo {
        dtype,
        nodata: cf::nodata(document, dtype),
        scale: number("scale_factor").unwrap_or(1.0),
        offset: number("add_offset").unwrap_or(0.0),
        unit: text("units"),
        description: text("long_name").or_else(|| text("standard_name")),
        color: "undefined",
        tags: Vec::new(),
    };
    RasterInfo {
        uri: uri.to_owned(),
        size: 0,
        driver: "Zarr",
        shape,
        affine: None,
        crs: None,
        georeference_problem: None,
        bands: vec![band],
        levels: Vec::new(),
        mask: MaskKind::None,
        n_gcps: 0,
        tags: Vec::new(),
        details: vec![
            ("format", format!("Zarr version {}", documents.version())),
            ("dimensions", document.dims.join(", ")),
        ],
    }
}
