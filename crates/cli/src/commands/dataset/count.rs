//! `datacube dataset count`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use datacube::index::{Query, TimeRange};
use datacube::{Datacube, Period};

use super::parse_query;
use crate::args::CountArgs;
use crate::output::{self, Row, Rows};

pub(super) fn run(dc: &Datacube, args: &CountArgs) -> Result<ExitCode> {
    let mut query = parse_query(dc, &args.query, args.status)?;
    for name in &args.products {
        dc.product(name)?;
        query = query.product(name);
    }
    match &args.period {
        Some(period) => through_time(dc, args, query, &period.parse()?)?,
        None if args.count_only => output::line(dc.count(&query)?.to_string())?,
        None => by_product(dc, args, &query)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn by_product(dc: &Datacube, args: &CountArgs, query: &Query) -> Result<()> {
    let mut counts = dc.count_by_product(query)?;
    // A product that was asked for is told, also with nothing in it.
    for name in &args.products {
        if !counts.iter().any(|(product, _)| product == name) {
            counts.push((name.clone(), 0));
        }
    }
    let mut rows = Rows::new(args.format, ["product", "count"]);
    for (product, count) in counts {
        let mut row = Row::new();
        row.insert("product".into(), product.into());
        row.insert("count".into(), count.into());
        rows.push(&row)?;
    }
    if rows.finish()? == 0 {
        output::note("no datasets match");
    }
    Ok(())
}

fn through_time(dc: &Datacube, args: &CountArgs, query: Query, period: &Period) -> Result<()> {
    let mut rows = Rows::new(args.format, ["product", "time", "count"]);
    count_periods(dc, query, period, |product, begin, count| {
        let mut row = Row::new();
        row.insert("product".into(), product.into());
        row.insert("time".into(), begin.into());
        row.insert("count".into(), count.into());
        rows.push(&row)
    })?;
    rows.finish()?;
    Ok(())
}

/// Calls `each` with product, first day and number of datasets of every period
/// of the time that the query names.
pub(crate) fn count_periods(
    dc: &Datacube,
    mut query: Query,
    period: &Period,
    mut each: impl FnMut(&str, &str, u64) -> Result<()>,
) -> Result<()> {
    let ranges = std::mem::take(&mut query.times);
    if ranges.is_empty() {
        bail!("a period needs the time that it divides, as in 'time in 2020'");
    }
    let products = if query.products.is_empty() {
        let all = dc.products()?;
        all.iter().map(|item| item.name().to_owned()).collect()
    } else {
        query.products.clone()
    };
    for product in products {
        let mut one = query.clone();
        one.products = vec![product.clone()];
        for range in &ranges {
            let Some(range) = closed(dc, &one, range)? else {
                continue;
            };
            let periods = period.divide(&range)?;
            for (period, count) in periods.iter().zip(dc.count_through_time(&one, &periods)?) {
                let begin = period
                    .begin()
                    .map(|begin| begin.strftime("%Y-%m-%d").to_string());
                each(&product, &begin.unwrap_or_default(), count)?;
            }
        }
    }
    Ok(())
}

/// The range with the ends of the data where it has none of its own; `None`
/// when there are no data in it.
fn closed(dc: &Datacube, query: &Query, range: &TimeRange) -> Result<Option<TimeRange>> {
    if range.begin().is_some() && range.end().is_some() {
        return Ok(Some(*range));
    }
    let extent = dc.temporal_extent(&query.clone().time(*range))?;
    Ok(extent.and_then(|extent| extent.intersect(range)))
}
