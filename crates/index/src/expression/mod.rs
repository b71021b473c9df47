//! Search expressions of the command line, read into a [`Query`].
//!
//! `product = ls8_c2l2 time in 2020-03 cloud_cover < 20`: several comparisons
//! are AND-ed, and those that state a value for the same field (`=`, `in`) are
//! alternatives of each other (OR-ed). What a value means is decided by the
//! field: a date written in part is the whole period, also for `<` and `>`;
//! `in [a, b]` is a range where the field holds numbers or times and a list of
//! alternatives where it holds text.
//!
//! `product`, `id`, `time`, `lat` and `lon` ask for what the index keeps of
//! every dataset; everything else is a search field of the metadata types.
//!
//! DIFFERENCE: datacube-core knows `<` and `>` for dates only, and reads
//! `time > 2020` as "until today" and `time < 2020` as "since 1970". Here both
//! are open, numbers can be compared as well, `!=`, `<=`, `>=` and `not in`
//! exist, and bounds on one field (`<`, `>`, `!=`) are AND-ed.
//!
//! # Source
//! datacube-core, `datacube/ui/expression.py`.

mod grammar;
mod terms;

use std::sync::Arc;

use datacube_model::Product;

use crate::error::Result;
use crate::query::Query;

/// Reads an expression against the fields of `products`, all products of the
/// index.
///
/// # Errors
/// [`Error::Expression`](crate::Error::Expression) with the place where it
/// goes wrong and what is possible there.
pub fn parse(text: &str, products: &[Arc<Product>]) -> Result<Query> {
    terms::query(text, &grammar::terms(text)?, products)
}
