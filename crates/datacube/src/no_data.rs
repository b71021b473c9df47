//! Why nothing was found: which term of a query left nothing over.
//!
//! An empty answer is the most common mistake of all (a swapped axis, a year too
//! early), so it is worth some more questions to the index to tell what it holds.

use datacube_geo::BoundingBox;
use datacube_index::{Index, Query};
use futures::TryStreamExt;
use jiff::Timestamp;

use crate::load::index_query;
use crate::load_options::DatasetQuery;
use crate::region::Region;
use crate::{Error, Result};

/// Datasets looked at to tell what a product covers; enough for words.
const SAMPLE: usize = 10_000;

/// The error for a query that found nothing, with what would have to change.
///
/// # Errors
/// When the index cannot be asked.
pub(crate) async fn explain_no_data(
    index: &dyn Index,
    query: &DatasetQuery,
    region: Option<&Region>,
) -> Result<Error> {
    let product = query.product.clone().unwrap_or_default();
    let all = Query::new().product(product.clone());
    let error = |hint: String| Error::NoData {
        query: describe(query, region),
        hint,
    };
    if index.count(&all).await? == 0 {
        return Ok(error(format!(
            "product `{product}` has no datasets at all; add some with `datacube dataset add`"
        )));
    }
    let with = index.count(&index_query(query, region)?).await?;
    if with > 0 {
        return Ok(error(format!(
            "the predicate refused all {with} that the search found"
        )));
    }
    let covered = Coverage::of(index, &all).await?;
    if region.is_some() && index.count(&index_query(query, None)?).await? > 0 {
        return Ok(error(format!(
            "there are some elsewhere: {}",
            covered.place()
        )));
    }
    if query.time.is_some() {
        let without = DatasetQuery {
            time: None,
            ..query.clone()
        };
        if index.count(&index_query(&without, region)?).await? > 0 {
            return Ok(error(format!(
                "there are some at other times: {}",
                covered.time()
            )));
        }
    }
    if !query.fields.is_empty() {
        let without = DatasetQuery {
            fields: Default::default(),
            ..query.clone()
        };
        if index.count(&index_query(&without, region)?).await? > 0 {
            return Ok(error(format!(
                "there are some with other values of {}",
                query.fields.keys().cloned().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(error(format!(
        "product `{product}` has {}, {}; change the place, the time or both",
        covered.place(),
        covered.time()
    )))
}

/// The query in words.
fn describe(query: &DatasetQuery, region: Option<&Region>) -> String {
    let mut parts = Vec::new();
    if let Some(product) = &query.product {
        parts.push(format!("product `{product}`"));
    }
    if let Some(Ok(Some(range))) = query.time.as_ref().map(|time| time.resolve()) {
        parts.push(format!("time {range}"));
    }
    if let Some(bbox) = region.and_then(|region| region.polygon.bounding_box()) {
        let crs = region.and_then(|region| region.polygon.crs());
        parts.push(format!(
            "x {} to {}, y {} to {} in {}",
            bbox.left,
            bbox.right,
            bbox.bottom,
            bbox.top,
            crs.map_or("no CRS", |crs| crs.as_str())
        ));
    }
    parts.extend(
        query
            .fields
            .keys()
            .map(|name| format!("a test on `{name}`")),
    );
    parts.join(", ")
}

/// Where and when a product has datasets.
#[derive(Debug, Default)]
struct Coverage {
    bbox: Option<BoundingBox>,
    times: Option<(Timestamp, Timestamp)>,
    is_sample: bool,
}

impl Coverage {
    async fn of(index: &dyn Index, query: &Query) -> Result<Self> {
        let mut covered = Coverage::default();
        let mut count = 0;
        let mut stream = index.search(&query.clone().limit(SAMPLE));
        while let Some(dataset) = stream.try_next().await? {
            count += 1;
            let (start, end) = dataset.time_range();
            covered.times = Some(covered.times.map_or((start, end), |(first, last)| {
                (first.min(start), last.max(end))
            }));
            if let Some(bbox) = dataset.lonlat_bounds() {
                covered.bbox = Some(covered.bbox.map_or(bbox, |all| all.union(&bbox)));
            }
        }
        covered.is_sample = count == SAMPLE;
        Ok(covered)
    }

    fn place(&self) -> String {
        match &self.bbox {
            Some(bbox) => format!(
                "longitude {:.3} to {:.3}, latitude {:.3} to {:.3}",
                bbox.left, bbox.right, bbox.bottom, bbox.top
            ),
            None => "no footprints".into(),
        }
    }

    fn time(&self) -> String {
        match self.times {
            Some((first, _)) if self.is_sample => format!("from {first} on"),
            Some((first, last)) => format!("{first} to {last}"),
            None => "no times".into(),
        }
    }
}
