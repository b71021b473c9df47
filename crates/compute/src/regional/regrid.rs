//! Planes on one grid from planes on another, by a function of another crate.
//!
//! This crate knows no grids on the ground. It knows that each rectangle of the
//! result's last two axes is made of one rectangle of the input's, asks the
//! [`PlaneMap`] which, and hands it the pixels, plane by plane.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use datacube_model::DType;

use super::{Block, sub_block};
use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::plan::Schema;
use crate::region::Region;
use crate::source::SourceError;

/// Rows and columns of a plane.
pub type Rectangle = [Range<usize>; 2];

/// How planes of one shape are made of planes of another.
///
/// # Contract
///
/// - A pixel of the result depends on the input's pixels alone, and not on the
///   rectangle that it is made with: chunked and whole are the same.
/// - [`wants`](PlaneMap::wants) and [`run`](PlaneMap::run) do no input or output.
/// - [`encode`](PlaneMap::encode) and the function that
///   [`SourceCodec::with_planes`](crate::SourceCodec::with_planes) was given for
///   `kind` are inverse. Equal bytes mean equal pixels.
pub trait PlaneMap: fmt::Debug + Send + Sync {
    /// Names the wire format; never changes its meaning.
    fn kind(&self) -> &'static str;

    /// The map as bytes.
    ///
    /// # Errors
    /// One that cannot travel says so.
    fn encode(&self) -> Result<Vec<u8>, SourceError>;

    /// Rows and columns of the input.
    fn src_shape(&self) -> [usize; 2];

    /// Rows and columns of the result.
    fn dst_shape(&self) -> [usize; 2];

    /// Type of the pixels, of input and result.
    fn dtype(&self) -> DType;

    /// The rectangle of the input that `dst` is made of; `None` where there is
    /// none, and where it cannot be found, which [`PlaneMap::run`] then says.
    fn wants(&self, dst: &Rectangle) -> Option<Rectangle>;

    /// Memory that [`PlaneMap::run`] takes besides, for so many pixels of input
    /// and result.
    fn scratch_bytes(&self, src_pixels: usize, dst_pixels: usize) -> usize;

    /// Writes the pixels of `dst` to `out`, from those of the rectangle that it
    /// wants. Both are in C order, native endianness, aligned to their type.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn run(
        &self,
        src: Option<(&Rectangle, &[u8])>,
        dst: &Rectangle,
        out: &mut [u8],
    ) -> Result<(), SourceError>;
}

/// A [`PlaneMap`] of every plane of an array's last two axes.
#[derive(Clone)]
pub struct Regrid {
    map: Arc<dyn PlaneMap>,
    /// The map as bytes, by which it is known.
    bytes: Arc<[u8]>,
}

impl Regrid {
    /// `map`, of each plane.
    ///
    /// # Errors
    /// A map that cannot be encoded.
    pub fn new(map: Arc<dyn PlaneMap>) -> Result<Regrid> {
        let bytes = map
            .encode()
            .map_err(|error| Error::Unsupported(format!("{map:?} cannot be hashed: {error}")))?;
        Ok(Regrid {
            map,
            bytes: bytes.into(),
        })
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.map.kind()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn schema(&self, input: &Schema) -> Result<Schema> {
        let lead = input.shape.len().checked_sub(2);
        let fits = lead.is_some_and(|lead| input.shape[lead..] == self.map.src_shape());
        let Some(lead) = lead.filter(|_| fits && input.dtype == self.map.dtype()) else {
            return Err(Error::Invalid(format!(
                "{:?} takes planes of {:?} and {}, and was given {} of {}",
                self.map,
                self.map.src_shape(),
                self.map.dtype(),
                crate::repr::tuple(&input.shape),
                input.dtype
            )));
        };
        let dst = self.map.dst_shape();
        let mut shape = input.shape[..lead].to_vec();
        shape.extend(dst);
        let mut axes = input.chunks.axes()[..lead].to_vec();
        axes.extend(dst.map(AxisChunks::whole));
        Ok(Schema {
            dims: Arc::clone(&input.dims),
            shape: shape.into(),
            dtype: input.dtype,
            chunks: ChunkGrid::new(axes),
        })
    }

    pub(super) fn wants(&self, region: &Region) -> Option<Region> {
        let (lead, plane) = split(region);
        let rectangle = self.map.wants(&plane)?;
        let mut ranges = lead.to_vec();
        ranges.extend(rectangle);
        Some(Region::new(ranges))
    }

    pub(super) fn run(
        &self,
        input: Option<&Block<'_>>,
        region: &Region,
        out: &mut [u8],
    ) -> Result<(), String> {
        let (_, plane) = split(region);
        let bytes =
            plane.iter().map(ExactSizeIterator::len).product::<usize>() * self.map.dtype().size();
        if bytes == 0 {
            return Ok(());
        }
        let wanted = self.wants(region);
        let pixels = input
            .zip(wanted.as_ref())
            .map(|(block, wanted)| sub_block(block, wanted));
        let src = wanted.as_ref().map(|wanted| split(wanted).1);
        let src_bytes = src.as_ref().map_or(0, |src| {
            src.iter().map(ExactSizeIterator::len).product::<usize>() * self.map.dtype().size()
        });
        for (number, out) in out.chunks_exact_mut(bytes).enumerate() {
            let given = pixels
                .as_ref()
                .and_then(|pixels| pixels.get(number * src_bytes..(number + 1) * src_bytes));
            self.map
                .run(src.as_ref().zip(given), &plane, out)
                .map_err(|error| error.to_string())?;
        }
        crate::buffer::normalise_bool(self.map.dtype(), out);
        Ok(())
    }

    pub(super) fn scratch_bytes(&self, pixels: usize, out: usize) -> usize {
        // Planes are made one after the other; a copy of the input's part may be
        // taken first.
        self.map.scratch_bytes(pixels, out) + pixels * self.map.dtype().size()
    }
}

/// The ranges of the leading axes, and those of the plane.
fn split(region: &Region) -> (&[Range<usize>], Rectangle) {
    let ranges = region.ranges();
    let lead = ranges.len().saturating_sub(2);
    let side = |axis: usize| ranges.get(axis).cloned().unwrap_or(0..1);
    (&ranges[..lead], [side(lead), side(lead + 1)])
}

impl PartialEq for Regrid {
    fn eq(&self, other: &Regrid) -> bool {
        self.kind() == other.kind() && self.bytes == other.bytes
    }
}

impl Eq for Regrid {}

impl Hash for Regrid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        self.bytes.hash(state);
    }
}

impl fmt::Debug for Regrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}
