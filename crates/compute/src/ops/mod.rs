//! What operations on arrays mean: which types come out, which dimensions,
//! coordinates, attributes and name.
//!
//! Each operation is worked out in a function that can fail; the error is kept
//! in the result rather than returned, so that formulas read as formulas.

mod align;
mod elementwise;
pub(crate) mod promote;

pub(crate) use elementwise::{binary, cast, unary, where_};
