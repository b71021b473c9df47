//! What can be said of many datasets without reading them.
//!
//! Where every row tells whether it is found, the server works the answer out;
//! where footprints have to be compared, or documents asked, it does so for
//! what was found.

use std::collections::{BTreeMap, HashMap};

use datacube_geo::{Crs, Geometry};
use uuid::Uuid;

use super::met::Wanted;
use super::plan::{Place, Plan, Scope};
use super::{PostgisIndex, Session, retried};
use crate::catalog::Duplicates;
use crate::columns::{Column, Key};
use crate::error::Result;
use crate::extent::AreaUnion;
use crate::postgres::Statement;
use crate::query::Query;
use crate::resolve::Resolved;
use crate::time_range::{TimeRange, from_micros};

/// Rows that are looked at together.
const PAGE: i64 = 4096;

/// Product, number, earliest beginning, latest end.
type Sum = (i16, i64, Option<i64>, Option<i64>);

/// The number, earliest beginning and latest end of some rows, by product.
const SUM: &str = "SELECT d.product, count(*) AS n, min(d.begin_us) AS first, \
                   max(d.end_us) AS last";

impl PostgisIndex {
    pub(super) async fn count_of_products(&self, query: &Query) -> Result<Vec<(String, u64)>> {
        let (session, sums) = self.summed(query).await?;
        let mut counts = Vec::with_capacity(sums.len());
        for (product, (n, ..)) in sums {
            if let Some(product) = session.known.product_by_key(product) {
                counts.push((product.name().to_owned(), n.unsigned_abs()));
            }
        }
        counts.sort();
        Ok(counts)
    }

    pub(super) async fn times_of(&self, query: &Query) -> Result<Option<TimeRange>> {
        let (_, sums) = self.summed(query).await?;
        let first = sums.values().filter_map(|sum| sum.1).min();
        let last = sums.values().filter_map(|sum| sum.2).max();
        first
            .zip(last)
            .map(|(first, last)| TimeRange::between(from_micros(first), from_micros(last)))
            .transpose()
    }

    /// The area of all that a query finds.
    pub(super) async fn area_of(&self, query: &Query, crs: &Crs) -> Result<Option<Geometry>> {
        let mut union = AreaUnion::default();
        self.for_each_met(query, Wanted::footprints(), |met| {
            met.record.footprint.iter().try_for_each(|f| union.add(f))
        })
        .await?;
        union.finish(crs)
    }

    /// Datasets that are equal in some fields. Values and ids are kept of all
    /// that is found; documents are read of what is shown.
    pub(super) async fn groups_of_equals(
        &self,
        query: &Query,
        names: &[String],
    ) -> Result<Vec<Duplicates>> {
        let session = self.searching().await?;
        let columns = Column::all(names, query, &session.known.product_list())?;
        let mut groups: HashMap<Vec<Key>, Vec<Uuid>> = HashMap::new();
        self.for_each_met(query, Wanted::for_keys(&columns), |met| {
            let keys: Option<Vec<Key>> = columns.iter().map(|column| met.key(column)).collect();
            if let Some(keys) = keys {
                groups.entry(keys).or_default().push(met.record.id);
            }
            Ok(())
        })
        .await?;
        let mut groups: Vec<Vec<Uuid>> = groups.into_values().filter(|ids| ids.len() > 1).collect();
        groups.iter_mut().for_each(|ids| ids.sort_unstable());
        groups.sort_unstable();
        let mut shown = Vec::with_capacity(groups.len());
        for ids in groups {
            // One that is gone by now is no duplicate of the others.
            let Some(first) = self.read_some(&session, &ids[..1]).await?.pop() else {
                continue;
            };
            let values = columns.iter().map(|column| column.value(&first));
            shown.push(Duplicates::new(
                names.iter().cloned().zip(values).collect(),
                ids,
            ));
        }
        Ok(shown)
    }

    /// The sums over what a query finds, whatever its limit.
    async fn summed(
        &self,
        query: &Query,
    ) -> Result<(Session, BTreeMap<i16, (i64, Option<i64>, Option<i64>)>)> {
        let query = Query {
            limit: None,
            order: Vec::new(),
            ..query.clone()
        };
        let session = self.searching().await?;
        let resolved = Resolved::new(&query, &session.known.product_list())?;
        let mut sums = BTreeMap::new();
        if resolved.is_nothing() {
            return Ok((session, sums));
        }
        let mut add = |rows: Vec<Sum>| {
            for (product, n, first, last) in rows {
                let sum: &mut (i64, Option<i64>, Option<i64>) = sums.entry(product).or_default();
                sum.0 += n;
                sum.1 = sum.1.into_iter().chain(first).min();
                sum.2 = sum.2.into_iter().chain(last).max();
            }
        };
        let scope = Scope::new(&session, &resolved);
        match self.plan(&scope).await? {
            Plan::Gathered(places) => {
                for chunk in places.chunks(20_000) {
                    add(self.sum_of(&session, chunk).await?);
                }
            }
            Plan::Walk(walk) if scope.is_told_by_rows() => {
                let rows: Vec<Sum> = retried!(self, "sum up datasets", connection => {
                    let mut statement = Statement::default();
                    walk.sum(&mut statement, &scope, SUM, " GROUP BY d.product");
                    statement.query().fetch_all(&mut *connection)
                })?;
                add(rows);
            }
            Plan::Walk(walk) => {
                let mut after = None;
                loop {
                    let (places, next) = self.step(&scope, &walk, after, PAGE).await?;
                    add(self.sum_of(&session, &places).await?);
                    if next.is_none() {
                        break;
                    }
                    after = next;
                }
            }
        }
        Ok((session, sums))
    }

    /// The sums over these datasets.
    async fn sum_of(&self, session: &Session, places: &[Place]) -> Result<Vec<Sum>> {
        const OWN: &str = "FROM datacube.dataset AS d WHERE d.id = ANY($1) GROUP BY d.product";
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = places.iter().map(|place| place.id).collect();
        retried!(self, "sum up datasets", connection => {
            let mut statement = Statement::default();
            let list = statement.bind(ids.clone());
            statement.text = if session.is_own {
                format!("{SUM} {}", OWN.replace("$1", &list))
            } else {
                let rows = super::plan::STRANGERS;
                format!("{SUM} FROM {rows} WHERE d.id = ANY({list}) GROUP BY d.product")
            };
            statement.query().fetch_all(&mut *connection)
        })
    }
}
