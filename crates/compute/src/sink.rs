//! `ChunkSink`: where finished chunks go. [`MemorySink`] is an array in memory.

use std::error::Error as StdError;
use std::fmt;
use std::sync::OnceLock;

use datacube_model::DType;

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::plan::{MemoryArray, Plan};
use crate::region::{Region, c_strides};

/// Any error of a sink.
pub type SinkError = Box<dyn StdError + Send + Sync + 'static>;

/// In which order chunks are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteOrder {
    /// As they are finished, from several threads at once.
    #[default]
    Any,
    /// The chunks of each output in C order; one write at a time.
    Chunks,
}

/// Takes the finished chunks of a job.
///
/// # Contract
///
/// - [`begin`](ChunkSink::begin) comes first and once; then each chunk of each
///   output exactly once, unless the job fails or the sink
///   [`holds`](ChunkSink::holds) it.
/// - Writes come from worker threads and should not wait for long.
pub trait ChunkSink: Send + Sync {
    /// The order that it needs.
    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    /// Whether a chunk may come in several parts, with regions of their own;
    /// lets an engine share a large chunk among its threads.
    fn takes_parts(&self) -> bool {
        false
    }

    /// Bytes of memory that it holds for as long as the job runs.
    fn memory_bytes(&self, plan: &Plan) -> u64 {
        let _ = plan;
        0
    }

    /// Whether it may hold chunks already, from a job that was interrupted; if so
    /// [`holds`](ChunkSink::holds) is asked for each of them.
    fn resumes(&self) -> bool {
        false
    }

    /// Whether it holds all pixels of `region` of output number `output`, so that
    /// nobody has to make them. Asked before any pixel is made.
    fn holds(&self, output: usize, region: &Region) -> bool {
        let _ = (output, region);
        false
    }

    /// The job was found to fit and starts.
    ///
    /// # Errors
    /// When it cannot take the outputs.
    fn begin(&self, plan: &Plan) -> Result<(), SinkError> {
        let _ = plan;
        Ok(())
    }

    /// Takes `region` of output number `output`: C order, native endianness.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError>;

    #[doc(hidden)]
    fn memory(&self) -> Option<&MemorySink> {
        None
    }
}

/// Collects whole arrays in memory.
#[derive(Default)]
pub struct MemorySink {
    arrays: OnceLock<Vec<Target>>,
}

struct Target {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<usize>,
    data: Buffer,
}

impl MemorySink {
    /// Empty; memory is taken when a job starts.
    pub fn new() -> MemorySink {
        MemorySink::default()
    }

    /// The arrays, in the order of the plan's outputs; none if no job started.
    pub(crate) fn into_arrays(self) -> Result<Vec<MemoryArray>> {
        let targets = self.arrays.into_inner().unwrap_or_default();
        targets
            .into_iter()
            .map(|target| MemoryArray::new(target.dtype, target.shape, target.data))
            .collect()
    }

    /// Where `region` of an output lies: for writers in this crate, which write
    /// each pixel once.
    pub(crate) fn window(&self, output: usize, region: &Region) -> Option<Window> {
        let target = self.arrays.get()?.get(output)?;
        if !region.fits(&target.shape) {
            return None;
        }
        let offset: usize = region
            .ranges()
            .iter()
            .zip(&target.strides)
            .map(|(range, stride)| range.start * stride)
            .sum();
        let base = target.data.raw();
        Some(Window {
            ptr: base.wrapping_add(offset * target.dtype.size()),
            strides: target.strides.clone(),
        })
    }
}

/// A part of an array that belongs to one writer.
#[derive(Debug)]
pub(crate) struct Window {
    /// The first pixel.
    pub(crate) ptr: *mut u8,
    /// Pixels between neighbours along each axis.
    pub(crate) strides: Vec<usize>,
}

impl ChunkSink for MemorySink {
    fn takes_parts(&self) -> bool {
        true
    }

    fn memory_bytes(&self, plan: &Plan) -> u64 {
        plan.nbytes()
    }

    fn begin(&self, plan: &Plan) -> Result<(), SinkError> {
        let mut targets = Vec::new();
        for output in plan.outputs() {
            let schema = output.schema();
            let len = usize::try_from(output.nbytes())?;
            targets.push(Target {
                dtype: schema.dtype,
                shape: schema.shape.to_vec(),
                strides: c_strides(&schema.shape),
                data: Buffer::zeroed(len)?,
            });
        }
        self.arrays
            .set(targets)
            .map_err(|_| "a MemorySink takes one job".into())
    }

    fn write(&self, output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let targets = self.arrays.get().ok_or("written to before the job began")?;
        let target = targets.get(output).ok_or("no such output")?;
        let size = target.dtype.size();
        if !region.fits(&target.shape) || region.len() * size != pixels.len() {
            return Err(format!(
                "{} bytes for {region} of shape {:?}, {}",
                pixels.len(),
                target.shape,
                target.dtype
            )
            .into());
        }
        let window = self.window(output, region).ok_or("no such region")?;
        // SAFETY: the window lies within the target's memory (checked above),
        // and the contract gives each pixel to one writer.
        unsafe { copy_strided(pixels, &region.shape(), size, window.ptr, &window.strides) };
        Ok(())
    }

    fn memory(&self) -> Option<&MemorySink> {
        Some(self)
    }
}

/// Copies C-ordered pixels to where rows lie apart.
///
/// # Safety
/// `dst` has to be valid for writes of `shape` pixels of `size` bytes at
/// `strides`, and nobody else may use them meanwhile.
pub(crate) unsafe fn copy_strided(
    src: &[u8],
    shape: &[usize],
    size: usize,
    dst: *mut u8,
    strides: &[usize],
) {
    debug_assert_eq!(src.len(), shape.iter().product::<usize>() * size);
    // Trailing axes that lie together are copied at once.
    let mut axis = shape.len();
    let mut run = 1;
    while axis > 0 && (shape[axis - 1] == 1 || strides[axis - 1] == run) {
        axis -= 1;
        run *= shape[axis];
    }
    let row = run * size;
    if row == 0 {
        return;
    }
    let mut index = vec![0usize; axis];
    for chunk in src.chunks_exact(row) {
        let offset: usize = index
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum();
        // SAFETY: `index` stays within `shape`, so this row is within what the
        // caller gave; source and target are different memory.
        unsafe { std::ptr::copy_nonoverlapping(chunk.as_ptr(), dst.add(offset * size), row) };
        for at in (0..axis).rev() {
            index[at] += 1;
            if index[at] < shape[at] {
                break;
            }
            index[at] = 0;
        }
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrays = self.arrays.get().map_or(0, Vec::len);
        f.debug_struct("MemorySink")
            .field("arrays", &arrays)
            .finish()
    }
}

/// What a sink said, with the place.
pub(crate) fn sink_error(name: &str, region: &Region, error: SinkError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::Sink {
            place: format!("{region} of {name}"),
            source: std::sync::Arc::from(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::DataArray;
    use crate::coords::Coords;

    #[test]
    fn chunks_find_their_place() {
        let array =
            DataArray::from_values("a", &["y", "x"], &[3, 4], vec![0u16; 12], Coords::new());
        let plan = array.unwrap().plan().unwrap();
        let sink = MemorySink::new();
        assert_eq!(sink.memory_bytes(&plan), 24);
        sink.begin(&plan).unwrap();
        let pixels = Buffer::from_slice(&[1u16, 2, 3, 4]).unwrap();
        sink.write(0, &Region::new(vec![1..3, 2..4]), &pixels)
            .unwrap();
        assert!(
            sink.write(0, &Region::new(vec![1..3, 2..5]), &pixels)
                .is_err()
        );
        assert!(
            sink.write(1, &Region::new(vec![1..3, 2..4]), &pixels)
                .is_err()
        );
        let arrays = sink.into_arrays().unwrap();
        assert_eq!(
            arrays[0].data.as_pixels::<u16>(),
            [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4]
        );
    }
}
