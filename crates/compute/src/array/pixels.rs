//! The pixels of a computed array.

use std::fmt;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use super::DataArray;
use crate::error::{Error, Result};
use crate::plan::{MemoryArray, Op};
use crate::value::Pixel;

impl DataArray {
    /// The pixels, without copying; of an array that has been computed.
    ///
    /// # Errors
    /// A lazy array, another pixel type, or the misuse that the array carries.
    pub fn values<T: Pixel>(&self) -> Result<ArrayViewD<'_, T>> {
        let array = self.memory()?;
        if array.dtype != T::DTYPE {
            return Err(Error::DType {
                operation: format!("reading {} as {}", self.place(), T::DTYPE),
                dtypes: vec![array.dtype],
                reason: "ask for its own type, or convert with `astype` before computing"
                    .to_owned(),
            });
        }
        ArrayViewD::from_shape(IxDyn(&array.shape), array.data.as_pixels::<T>())
            .map_err(|error| Error::Bug(error.to_string()))
    }

    /// A copy of the pixels of a computed array.
    ///
    /// # Errors
    /// As [`DataArray::values`].
    pub fn to_array<T: Pixel>(&self) -> Result<ArrayD<T>> {
        Ok(self.values::<T>()?.to_owned())
    }

    /// A copy of the pixels of a computed array, in C order.
    ///
    /// # Errors
    /// As [`DataArray::values`].
    pub fn to_vec<T: Pixel>(&self) -> Result<Vec<T>> {
        Ok(self.values::<T>()?.iter().copied().collect())
    }

    /// The bytes of a computed array: C order, native endianness.
    ///
    /// # Errors
    /// A lazy array, or the misuse that the array carries.
    pub fn bytes(&self) -> Result<&[u8]> {
        Ok(&self.memory()?.data)
    }

    pub(crate) fn memory(&self) -> Result<&MemoryArray> {
        self.check()?;
        match self.node().op() {
            Op::Memory(array) => Ok(array),
            _ => Err(Error::Invalid(format!(
                "{} is lazy and has no pixels yet; call `compute()` first",
                self.place()
            ))),
        }
    }
}

impl fmt::Display for DataArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::array_text(self))
    }
}

/// The same text as [`Display`](fmt::Display): an array is looked at in a
/// notebook or a failed assertion.
impl fmt::Debug for DataArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::array_text(self))
    }
}

impl DataArray {
    /// How it looks in a notebook: HTML with every text escaped.
    pub fn to_html(&self) -> String {
        crate::repr::array_html(self)
    }

    /// The misuse that the array carries, if any.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }
}
