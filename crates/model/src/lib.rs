//! The words of the Open Data Cube: products, measurements, flags, datasets.

mod dtype;

pub use dtype::{DType, Number, UnknownDType};
