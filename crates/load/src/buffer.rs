//! Typed pixel storage whose type is known at run time only.
//!
//! A [`PixelBuffer`] is one plane, `[rows, cols]` in C order, of any [`DType`],
//! in memory that is aligned to 64 bytes and is kept when the buffer is given
//! another shape or type. Faulting in fresh pages costs more than most of what
//! is done with them, so buffers are meant to be reused. Kernels see a typed
//! slice through [`PixelBuffer::as_slice`] or [`with_pixel_type!`].

use bytemuck::{Pod, Zeroable};
use datacube_geo::Shape2d;
use datacube_model::{DType, Number};
use half::f16;

use crate::error::{Error, Result};

/// One cache line; what the storage is made of, so that every buffer starts on
/// a multiple of 64 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes that start on a multiple of 64 and keep their memory when resized.
#[derive(Clone, Default)]
pub(crate) struct AlignedBytes {
    len: usize,
    lines: Vec<Line>,
}

impl AlignedBytes {
    /// Makes it `len` bytes long; what they hold is unspecified.
    pub(crate) fn set_len(&mut self, len: usize) {
        let n_lines = len.div_ceil(size_of::<Line>());
        if self.lines.len() < n_lines {
            // A growing `resize` would copy what nobody needs any more.
            if self.lines.capacity() < n_lines {
                self.lines = Vec::new();
            }
            self.lines.resize(n_lines, Line::zeroed());
        }
        self.len = len;
    }

    pub(crate) fn capacity(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

/// A Rust type that pixels of one or more [`DType`]s are stored as.
///
/// `bool` pixels are stored as `u8` (0 or 1); complex types have no such type.
pub trait Pixel: Pod + PartialEq + PartialOrd + Send + Sync + sealed::Sealed {
    /// The pixel type that has this representation.
    const DTYPE: DType;

    /// The exact value, or `None` where this type cannot hold it.
    ///
    /// Floating-point types round to their precision, as numpy does with a
    /// nodata value.
    fn from_number(value: Number) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integer_pixel {
    ($($type:ty => $dtype:ident),*) => {$(
        impl sealed::Sealed for $type {}
        impl Pixel for $type {
            const DTYPE: DType = DType::$dtype;
            fn from_number(value: Number) -> Option<Self> {
                if !value.fits(DType::$dtype) {
                    return None;
                }
                match value {
                    Number::Int(value) => Self::try_from(value).ok(),
                    #[allow(
                        clippy::cast_possible_truncation,
                        reason = "`fits` says that the value is whole and in range"
                    )]
                    Number::Float(value) => Self::try_from(value as i128).ok(),
                }
            }
        }
    )*};
}
integer_pixel!(
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64
);

impl sealed::Sealed for f16 {}
impl Pixel for f16 {
    const DTYPE: DType = DType::Float16;
    fn from_number(value: Number) -> Option<Self> {
        value
            .fits(DType::Float16)
            .then(|| f16::from_f64(value.as_f64()))
    }
}

impl sealed::Sealed for f32 {}
impl Pixel for f32 {
    const DTYPE: DType = DType::Float32;
    fn from_number(value: Number) -> Option<Self> {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "rounding to the type is asked for"
        )]
        value.fits(DType::Float32).then(|| value.as_f64() as f32)
    }
}

impl sealed::Sealed for f64 {}
impl Pixel for f64 {
    const DTYPE: DType = DType::Float64;
    fn from_number(value: Number) -> Option<Self> {
        Some(value.as_f64())
    }
}

/// Whether pixels of `dtype` are stored as `T`.
fn is_stored_as<T: Pixel>(dtype: DType) -> bool {
    T::DTYPE == dtype || (T::DTYPE == DType::UInt8 && dtype == DType::Bool)
}

/// Runs `$body` with the name `$type` standing for the Rust type of `$dtype`.
///
/// `bool` is `u8`. For complex types, which no kernel handles, `$otherwise` is
/// the value.
///
/// ```
/// use datacube_load::with_pixel_type;
/// use datacube_model::DType;
/// let size = with_pixel_type!(DType::UInt16, T => size_of::<T>(), otherwise 0);
/// assert_eq!(size, 2);
/// ```
#[macro_export]
macro_rules! with_pixel_type {
    ($dtype:expr, $type:ident => $body:expr, otherwise $otherwise:expr) => {
        match $dtype {
            $crate::private::DType::Bool | $crate::private::DType::UInt8 => {
                type $type = u8;
                $body
            }
            $crate::private::DType::Int8 => {
                type $type = i8;
                $body
            }
            $crate::private::DType::Int16 => {
                type $type = i16;
                $body
            }
            $crate::private::DType::Int32 => {
                type $type = i32;
                $body
            }
            $crate::private::DType::Int64 => {
                type $type = i64;
                $body
            }
            $crate::private::DType::UInt16 => {
                type $type = u16;
                $body
            }
            $crate::private::DType::UInt32 => {
                type $type = u32;
                $body
            }
            $crate::private::DType::UInt64 => {
                type $type = u64;
                $body
            }
            $crate::private::DType::Float16 => {
                type $type = $crate::private::f16;
                $body
            }
            $crate::private::DType::Float32 => {
                type $type = f32;
                $body
            }
            $crate::private::DType::Float64 => {
                type $type = f64;
                $body
            }
            $crate::private::DType::Complex64 | $crate::private::DType::Complex128 => $otherwise,
        }
    };
}

/// One plane of pixels, `[rows, cols]` in C order, native byte order.
#[derive(Clone)]
pub struct PixelBuffer {
    dtype: DType,
    shape: Shape2d,
    bytes: AlignedBytes,
}

impl PixelBuffer {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where `shape` is more than memory can address.
    pub fn new(dtype: DType, shape: Shape2d) -> Result<Self> {
        let mut buffer = PixelBuffer::empty(dtype);
        buffer.reset(dtype, shape)?;
        Ok(buffer)
    }

    /// A buffer of no pixels, to be given a shape by whoever fills it.
    pub fn empty(dtype: DType) -> Self {
        let bytes = AlignedBytes::default();
        PixelBuffer {
            dtype,
            shape: Shape2d { rows: 0, cols: 0 },
            bytes,
        }
    }

    /// Gives the buffer another type and shape, keeping its memory.
    ///
    /// What the pixels hold afterwards is unspecified; fill or overwrite them.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where `shape` is more than memory can address.
    pub fn reset(&mut self, dtype: DType, shape: Shape2d) -> Result<()> {
        let n_bytes = shape
            .rows
            .checked_mul(shape.cols)
            .and_then(|n_pixels| n_pixels.checked_mul(dtype.size()))
            .filter(|&n_bytes| isize::try_from(n_bytes).is_ok())
            .ok_or_else(|| {
                Error::invalid(format!(
                    "{} x {} pixels of {dtype} are more than memory can address; use chunks",
                    shape.rows, shape.cols
                ))
            })?;
        self.bytes.set_len(n_bytes);
        (self.dtype, self.shape) = (dtype, shape);
        Ok(())
    }

    /// The pixels' type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Rows and columns.
    pub fn shape(&self) -> Shape2d {
        self.shape
    }

    /// Bytes of memory held, which may be more than the pixels take.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The pixels' bytes, row by row, native byte order.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The pixels' bytes, to be written.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut_slice()
    }

    /// All pixels as `T`, row by row; `None` when they are of another type.
    pub fn as_slice<T: Pixel>(&self) -> Option<&[T]> {
        is_stored_as::<T>(self.dtype).then(|| bytemuck::cast_slice(self.as_bytes()))
    }

    /// All pixels as `T`, to be written; `None` when they are of another type.
    pub fn as_slice_mut<T: Pixel>(&mut self) -> Option<&mut [T]> {
        is_stored_as::<T>(self.dtype).then(|| bytemuck::cast_slice_mut(self.as_bytes_mut()))
    }

    /// Sets every pixel to `value`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where the pixels' type cannot hold `value`,
    /// [`Error::Unsupported`] for complex pixels.
    pub fn fill(&mut self, value: Number) -> Result<()> {
        fill_bytes(self.dtype, self.as_bytes_mut(), value)
    }
}

/// Sets every pixel of `dtype` in `bytes` to `value`.
///
/// `bytes` needs no alignment; its length is a multiple of the pixel's size.
///
/// # Errors
/// [`Error::InvalidRequest`] where `dtype` cannot hold `value`,
/// [`Error::Unsupported`] for complex pixels.
pub fn fill_bytes(dtype: DType, bytes: &mut [u8], value: Number) -> Result<()> {
    let pixel = pixel_bytes(dtype, value)?;
    if pixel.iter().all(|&byte| byte == pixel[0]) {
        bytes.fill(pixel[0]);
    } else {
        for out in bytes.chunks_exact_mut(pixel.len()) {
            out.copy_from_slice(&pixel);
        }
    }
    Ok(())
}

/// The bytes of one pixel of `dtype` that holds `value`.
fn pixel_bytes(dtype: DType, value: Number) -> Result<Vec<u8>> {
    let bytes = with_pixel_type!(
        dtype,
        T => <T as Pixel>::from_number(value).map(|pixel| bytemuck::bytes_of(&pixel).to_vec()),
        otherwise return Err(Error::Unsupported {
            uri: None,
            what: format!("filling pixels of {dtype}"),
            supported: "real pixel types".to_owned(),
        })
    );
    let fits = dtype != DType::Bool || value.fits(DType::Bool);
    bytes.filter(|_| fits).ok_or_else(|| {
        Error::invalid(format!(
            "{value} cannot be stored in a pixel of type {dtype}"
        ))
    })
}

impl std::fmt::Debug for PixelBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PixelBuffer")
            .field("dtype", &self.dtype)
            .field("shape", &self.shape)
            .field("capacity_bytes", &self.capacity_bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_is_aligned_and_fills() {
        let shape = Shape2d { rows: 3, cols: 5 };
        for dtype in DType::ALL.into_iter().filter(|dtype| !dtype.is_complex()) {
            let mut buffer = PixelBuffer::new(dtype, shape).unwrap();
            assert_eq!(buffer.as_bytes().as_ptr() as usize % 64, 0);
            assert_eq!(buffer.as_bytes().len(), 15 * dtype.size());
            buffer.fill(Number::Int(1)).unwrap();
            let all_one = with_pixel_type!(
                dtype,
                T => buffer.as_slice::<T>().unwrap().iter()
                    .all(|&pixel| Some(pixel) == T::from_number(Number::Int(1))),
                otherwise false
            );
            assert!(all_one, "{dtype}");
        }
    }

    #[test]
    fn fill_refuses_what_does_not_fit() {
        let mut buffer = PixelBuffer::new(DType::UInt8, Shape2d { rows: 1, cols: 1 }).unwrap();
        let error = buffer.fill(Number::Int(-1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "-1 cannot be stored in a pixel of type uint8"
        );
        assert!(buffer.fill(Number::Float(f64::NAN)).is_err());
        buffer
            .reset(DType::Bool, Shape2d { rows: 1, cols: 1 })
            .unwrap();
        assert!(buffer.fill(Number::Int(2)).is_err());
    }

    #[test]
    fn reset_keeps_memory_and_checks_the_size() {
        let mut buffer = PixelBuffer::new(DType::Float64, Shape2d { rows: 64, cols: 64 }).unwrap();
        let (held, at) = (buffer.capacity_bytes(), buffer.as_bytes().as_ptr());
        buffer
            .reset(DType::UInt16, Shape2d { rows: 10, cols: 10 })
            .unwrap();
        assert_eq!(
            (buffer.capacity_bytes(), buffer.as_bytes().as_ptr()),
            (held, at)
        );
        assert!(buffer.as_slice::<u16>().is_some() && buffer.as_slice::<i16>().is_none());
        assert!(
            buffer
                .reset(
                    DType::UInt8,
                    Shape2d {
                        rows: usize::MAX,
                        cols: 2
                    }
                )
                .is_err()
        );
    }

    #[test]
    fn integers_stay_exact() {
        let largest = Number::Int(i128::from(u64::MAX));
        assert_eq!(u64::from_number(largest), Some(u64::MAX));
        assert_eq!(i64::from_number(largest), None);
        assert_eq!(u8::from_number(Number::Float(255.0)), Some(255));
        assert_eq!(u8::from_number(Number::Float(0.5)), None);
    }
}
