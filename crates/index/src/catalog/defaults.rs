//! What an index does when it knows no better way: over [`Index::search`].

use std::collections::BTreeMap;

use datacube_geo::{Crs, Geometry};
use datacube_model::Dataset;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::Value;
use uuid::Uuid;

use super::{Duplicates, Index, Outline};
use crate::columns::{Column, Key};
use crate::error::{Error, Result};
use crate::extent::AreaUnion;
use crate::fields;
use crate::footprint::Footprint;
use crate::query::{FieldTest, Query};
use crate::time_range::TimeRange;

pub(super) fn unsupported(url: &str, what: &str) -> Error {
    Error::Unsupported {
        url: url.to_owned(),
        what: what.to_owned(),
    }
}

pub(super) fn one_spatial_index(url: &str) -> Error {
    unsupported(
        url,
        "have spatial indexes to choose from: areas in any CRS are found through longitude and \
         latitude",
    )
}

pub(super) fn no_users(url: &str) -> Error {
    unsupported(
        url,
        "have users of its own: who may read and write its file may use it",
    )
}

pub(super) fn failing<'a, T: Send + 'a>(error: Error) -> BoxStream<'a, Result<T>> {
    stream::once(async { Err(error) }).boxed()
}

/// The query without what concerns only lists.
fn unlimited(query: &Query) -> Query {
    let mut query = query.clone();
    query.limit = None;
    query.order.clear();
    query
}

pub(super) fn search_returning<'a, I: Index + ?Sized>(
    index: &'a I,
    query: Query,
    names: Vec<String>,
) -> BoxStream<'a, Result<Vec<Value>>> {
    let begun = async move {
        let columns = Column::all(&names, &query, &index.products().await?)?;
        Ok(shown(index.search(&query), columns))
    };
    stream::once(begun).try_flatten().boxed()
}

pub(super) fn outlines<'a, I: Index + ?Sized>(
    index: &'a I,
    query: &Query,
) -> BoxStream<'a, Result<Outline>> {
    let datasets = index.search(query);
    datasets.map_ok(|dataset| Outline::of(&dataset)).boxed()
}

/// Columns of datasets.
pub(crate) fn shown<'a>(
    datasets: BoxStream<'a, Result<Dataset>>,
    columns: Vec<Column>,
) -> BoxStream<'a, Result<Vec<Value>>> {
    let rows = datasets.map_ok(move |dataset| {
        let values = columns.iter().map(|column| column.value(&dataset));
        values.collect()
    });
    rows.boxed()
}

pub(super) async fn count_by_product<I: Index + ?Sized>(
    index: &I,
    query: &Query,
) -> Result<Vec<(String, u64)>> {
    let query = unlimited(query);
    // The whole query first, so that what is wrong with it is told as always.
    if index.count(&query).await? == 0 {
        return Ok(Vec::new());
    }
    let products = index.products().await?;
    let mut counts = Vec::new();
    for product in fields::scope(&products, &query.products)? {
        let has = |name: &String| fields::class_in(product.metadata_type(), name).is_some();
        if !query.fields.keys().all(has) {
            continue;
        }
        let mut of_product = query.clone();
        of_product.products = vec![product.name().to_owned()];
        let n = index.count(&of_product).await?;
        if n > 0 {
            counts.push((product.name().to_owned(), n));
        }
    }
    Ok(counts)
}

pub(super) async fn count_through_time<I: Index + ?Sized>(
    index: &I,
    query: &Query,
    periods: &[TimeRange],
) -> Result<Vec<u64>> {
    let query = unlimited(query);
    let mut counts = Vec::with_capacity(periods.len());
    for period in periods {
        let within = query.clone().field("time", FieldTest::from(*period));
        counts.push(index.count(&within).await?);
    }
    if periods.is_empty() {
        index.count(&query).await?;
    }
    Ok(counts)
}

pub(super) async fn duplicates<I: Index + ?Sized>(
    index: &I,
    query: &Query,
    names: &[String],
) -> Result<Vec<Duplicates>> {
    let columns = Column::all(names, query, &index.products().await?)?;
    let mut groups: BTreeMap<Vec<Key>, (Vec<Value>, Vec<Uuid>)> = BTreeMap::new();
    let query = unlimited(query);
    let mut found = index.search(&query);
    while let Some(dataset) = found.try_next().await? {
        let keys: Option<Vec<Key>> = columns.iter().map(|column| column.key(&dataset)).collect();
        let Some(keys) = keys else {
            continue;
        };
        let group = groups.entry(keys).or_insert_with(|| {
            let values = columns.iter().map(|column| column.value(&dataset));
            (values.collect(), Vec::new())
        });
        group.1.push(dataset.id());
    }
    let mut duplicates: Vec<Duplicates> = groups
        .into_values()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(values, mut ids)| {
            ids.sort_unstable();
            Duplicates::new(names.iter().cloned().zip(values).collect(), ids)
        })
        .collect();
    duplicates.sort_by(|a, b| a.ids.cmp(&b.ids));
    Ok(duplicates)
}

pub(crate) async fn temporal_extent<I: Index + ?Sized>(
    index: &I,
    query: &Query,
) -> Result<Option<TimeRange>> {
    let query = unlimited(query);
    let mut found = index.search(&query);
    let mut extent = None;
    while let Some(dataset) = found.try_next().await? {
        let (begin, end) = dataset.time_range();
        extent = Some(match extent {
            None => (begin, end),
            Some((first, last)) => (begin.min(first), end.max(last)),
        });
    }
    extent
        .map(|(first, last)| TimeRange::between(first, last.max(first)))
        .transpose()
}

pub(super) async fn spatial_extent<I: Index + ?Sized>(
    index: &I,
    query: &Query,
    crs: &Crs,
) -> Result<Option<Geometry>> {
    let query = unlimited(query);
    let mut found = index.search(&query);
    let mut union = AreaUnion::default();
    while let Some(dataset) = found.try_next().await? {
        if let Some(footprint) = Footprint::of_dataset(&dataset) {
            union.add(&footprint)?;
        }
    }
    union.finish(crs)
}
