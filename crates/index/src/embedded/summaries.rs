//! What can be said of many datasets without reading them: counts, extents,
//! groups of equals.
//!
//! Where no footprint has to be compared SQLite works the answer out; where
//! one has, rows are tested as they come and nothing is kept of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datacube_geo::{Crs, Geometry};
use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::EmbeddedIndex;
use super::definitions::Definitions;
use super::plan::{Plan, Walk};
use super::sorted::column_terms;
use super::sql::Statement;
use crate::catalog::Duplicates;
use crate::columns::Column;
use crate::error::Result;
use crate::extent::AreaUnion;
use crate::footprint::Footprint;
use crate::periods::PeriodCounts;
use crate::query::Query;
use crate::resolve::{Resolved, Target, Test};
use crate::time_range::{TimeRange, from_micros};

/// A query that is about to be summed up.
struct Found {
    resolved: Resolved,
    known: Arc<Definitions>,
    plan: Plan,
}

impl Found {
    /// A table of the given columns of `dataset AS d`, one row for each
    /// dataset; [`Found::is_exact`] tells whether all of them are found.
    fn table(&self, statement: &mut Statement, columns: &str) -> String {
        match &self.plan {
            Plan::Gathered(places) => {
                let list = statement.integers(places.iter().map(|place| place.key));
                format!(
                    "SELECT {columns} FROM {list} AS given \
                     CROSS JOIN dataset AS d ON d.key = given.value"
                )
            }
            Plan::Walk(walk) => {
                let mut rows = statement.row_conditions(&self.resolved, &self.known);
                if let Some(area) = &self.resolved.area {
                    let boxes = statement.box_condition(area.footprint());
                    rows = format!("{rows} AND {boxes}");
                }
                walk.arms(statement, &format!("SELECT {columns}"), &rows, None)
            }
        }
    }

    /// Whether no footprint has to be compared any more.
    fn is_exact(&self) -> bool {
        matches!(self.plan, Plan::Gathered(_)) || self.resolved.area.is_none()
    }

    fn accepts(&self, footprint: Option<&[u8]>) -> bool {
        match (&self.resolved.area, footprint) {
            _ if self.is_exact() => true,
            (Some(area), Some(bytes)) => {
                Footprint::from_wkb(bytes).is_some_and(|footprint| area.meets(&footprint))
            }
            _ => false,
        }
    }
}

impl EmbeddedIndex {
    /// Prepares a summary; `None` when nothing can be found.
    async fn begin_summary(
        &self,
        connection: &mut SqliteConnection,
        query: &Query,
    ) -> Result<Option<Found>> {
        let known = self.current_definitions().await?;
        let mut query = query.clone();
        query.limit = None;
        query.order.clear();
        let resolved = Resolved::new(&query, &known.product_list())?;
        if resolved.is_nothing() {
            return Ok(None);
        }
        let plan = self.plan(connection, &resolved, &known).await?;
        Ok(Some(Found {
            resolved,
            known,
            plan,
        }))
    }

    /// Gives the columns of every dataset that is found to `each`, as
    /// columns 1 and following.
    async fn for_each(
        &self,
        connection: &mut SqliteConnection,
        found: &Found,
        columns: &str,
        mut each: impl FnMut(&SqliteRow) -> sqlx::Result<()>,
    ) -> Result<()> {
        let failed = self.place.failed("sum up datasets");
        let footprint = if found.is_exact() {
            "NULL"
        } else {
            "d.footprint"
        };
        let mut statement = Statement::default();
        statement.text = found.table(&mut statement, &format!("{footprint}, {columns}"));
        let mut rows = statement.rows().fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let footprint: Option<&[u8]> = row.try_get(0).map_err(&failed)?;
            if found.accepts(footprint) {
                each(&row).map_err(&failed)?;
            }
        }
        Ok(())
    }

    pub(super) async fn counts_by_product(&self, query: &Query) -> Result<Vec<(String, u64)>> {
        let mut connection = self.reader().await?;
        let Some(found) = self.begin_summary(&mut connection, query).await? else {
            return Ok(Vec::new());
        };
        let mut counts: HashMap<i64, u64> = HashMap::new();
        if found.is_exact() {
            let mut statement = Statement::default();
            let table = found.table(&mut statement, "d.product AS product");
            statement.text = format!("SELECT product, count(*) FROM ({table}) GROUP BY product");
            let rows: Vec<(i64, i64)> = statement
                .query()
                .fetch_all(&mut *connection)
                .await
                .map_err(self.place.failed("count datasets"))?;
            counts.extend(rows.into_iter().map(|(key, n)| (key, n.unsigned_abs())));
        } else {
            self.for_each(&mut connection, &found, "d.product", |row| {
                *counts.entry(row.try_get(1)?).or_default() += 1;
                Ok(())
            })
            .await?;
        }
        let named = found.known.products.iter();
        Ok(named
            .filter_map(|(name, (key, _))| Some((name.clone(), *counts.get(key)?)))
            .collect())
    }

    pub(super) async fn counts_through_time(
        &self,
        query: &Query,
        periods: &[TimeRange],
    ) -> Result<Vec<u64>> {
        let mut connection = self.reader().await?;
        let Some(found) = self.begin_summary(&mut connection, query).await? else {
            return Ok(vec![0; periods.len()]);
        };
        if let Plan::Walk(walk) = &found.plan
            && found.is_exact()
            && are_apart(periods)
        {
            return self
                .count_each(&mut connection, &found, walk, periods)
                .await;
        }
        let mut counts = PeriodCounts::new(periods);
        self.for_each(&mut connection, &found, "d.begin_us, d.end_us", |row| {
            counts.add(row.try_get(1)?, row.try_get(2)?);
            Ok(())
        })
        .await?;
        Ok(counts.finish())
    }

    /// Counts what meets each period on its own stretch of the order: all of
    /// them together are one walk.
    async fn count_each(
        &self,
        connection: &mut SqliteConnection,
        found: &Found,
        walk: &Walk,
        periods: &[TimeRange],
    ) -> Result<Vec<u64>> {
        let mut counts = Vec::with_capacity(periods.len());
        for period in periods {
            let (low, high) = period.micros();
            let mut within = found.resolved.clone();
            within.fields.push((Target::Time, Test::Time(low, high)));
            let stretch = self.stretch(connection, walk, low, high).await?;
            let n = self
                .count_walk(connection, &stretch, &within, &found.known)
                .await?;
            counts.push(n.unsigned_abs());
        }
        Ok(counts)
    }

    pub(super) async fn times_of(&self, query: &Query) -> Result<Option<TimeRange>> {
        let mut connection = self.reader().await?;
        let Some(found) = self.begin_summary(&mut connection, query).await? else {
            return Ok(None);
        };
        let mut ends: Option<(i64, i64)> = None;
        if found.is_exact() {
            let mut statement = Statement::default();
            let table = found.table(&mut statement, "d.begin_us AS begin_us, d.end_us AS end_us");
            statement.text = format!("SELECT min(begin_us), max(end_us) FROM ({table})");
            let (first, last): (Option<i64>, Option<i64>) = statement
                .query()
                .fetch_one(&mut *connection)
                .await
                .map_err(self.place.failed("sum up datasets"))?;
            ends = first.zip(last);
        } else {
            self.for_each(&mut connection, &found, "d.begin_us, d.end_us", |row| {
                let (begin, end): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                ends = Some(match ends {
                    None => (begin, end),
                    Some((first, last)) => (begin.min(first), end.max(last)),
                });
                Ok(())
            })
            .await?;
        }
        ends.map(|(first, last)| TimeRange::between(from_micros(first), from_micros(last)))
            .transpose()
    }

    pub(super) async fn area_of(&self, query: &Query, crs: &Crs) -> Result<Option<Geometry>> {
        let mut connection = self.reader().await?;
        let Some(found) = self.begin_summary(&mut connection, query).await? else {
            return Ok(None);
        };
        let mut union = AreaUnion::default();
        let mut failed = None;
        self.for_each(&mut connection, &found, "d.footprint", |row| {
            let bytes: Option<&[u8]> = row.try_get(1)?;
            if let Some(footprint) = bytes.and_then(Footprint::from_wkb)
                && failed.is_none()
            {
                failed = union.add(&footprint).err();
            }
            Ok(())
        })
        .await?;
        match failed {
            Some(error) => Err(error),
            None => union.finish(crs),
        }
    }

    pub(super) async fn groups_of_equals(
        &self,
        query: &Query,
        names: &[String],
    ) -> Result<Vec<Duplicates>> {
        let known = self.current_definitions().await?;
        let columns = Column::all(names, query, &known.product_list())?;
        let mut connection = self.reader().await?;
        let Some(found) = self.begin_summary(&mut connection, query).await? else {
            return Ok(Vec::new());
        };
        let terms: Vec<String> = columns
            .iter()
            .flat_map(|column| column_terms(column, &found.known))
            .collect();
        let named: Vec<String> = (0..terms.len()).map(|i| format!("s{i}")).collect();
        let mut groups: Vec<Vec<Uuid>> = if found.is_exact() {
            let selected: Vec<String> = terms
                .iter()
                .zip(&named)
                .map(|(term, name)| format!(", {term} AS {name}"))
                .collect();
            let complete: Vec<String> = named
                .iter()
                .map(|name| format!("AND {name} IS NOT NULL "))
                .collect();
            let by = if named.is_empty() {
                String::new()
            } else {
                format!("GROUP BY {}", named.join(", "))
            };
            let mut statement = Statement::default();
            let table = found.table(&mut statement, &format!("d.id AS id{}", selected.concat()));
            statement.text = format!(
                "SELECT group_concat(hex(id), '') FROM ({table}) WHERE TRUE {}{by} \
                 HAVING count(*) > 1",
                complete.concat()
            );
            let rows: Vec<(String,)> = statement
                .query()
                .fetch_all(&mut *connection)
                .await
                .map_err(self.place.failed("look for duplicates"))?;
            rows.into_iter().map(|(ids,)| ids_of(&ids)).collect()
        } else {
            // Exact values as text: of what differs, the texts differ.
            let key: Vec<String> = terms
                .iter()
                .map(|term| format!(", quote({term})"))
                .collect();
            let n_terms = terms.len();
            let mut groups: BTreeMap<Vec<String>, Vec<Uuid>> = BTreeMap::new();
            let selected = format!("d.id{}", key.concat());
            self.for_each(&mut connection, &found, &selected, |row| {
                let key = (0..n_terms).map(|i| row.try_get(i + 2));
                let key: Vec<String> = key.collect::<sqlx::Result<_>>()?;
                if key.iter().all(|value| value != "NULL") {
                    groups.entry(key).or_default().push(row.try_get(1)?);
                }
                Ok(())
            })
            .await?;
            groups.into_values().filter(|ids| ids.len() > 1).collect()
        };
        drop(connection);
        for ids in &mut groups {
            ids.sort_unstable();
        }
        groups.sort_unstable();
        let firsts: Vec<Uuid> = groups.iter().map(|ids| ids[0]).collect();
        let shown = self.read_by_ids(&firsts).await?;
        let with_values = groups.into_iter().zip(shown).filter_map(|(ids, first)| {
            let first = first?;
            let values = columns.iter().map(|column| column.value(&first));
            Some(Duplicates::new(
                names.iter().cloned().zip(values).collect(),
                ids,
            ))
        });
        Ok(with_values.collect())
    }

    pub(super) async fn last_change_of(&self, product: &str) -> Result<Option<Timestamp>> {
        let known = self.current_definitions().await?;
        let (key, _) = known.product(product)?;
        let mut connection = self.reader().await?;
        let last: Option<i64> =
            sqlx::query_scalar("SELECT max(changed_us) FROM dataset WHERE product = ?1")
                .bind(key)
                .fetch_one(&mut *connection)
                .await
                .map_err(self.place.failed("look for the last change"))?;
        Ok(last.map(from_micros))
    }
}

/// Whether no more than a few of the periods overlap anywhere.
fn are_apart(periods: &[TimeRange]) -> bool {
    let ends: Vec<(i128, i128)> = periods
        .iter()
        .map(|period| {
            let (low, high) = period.micros();
            (low.into(), high.into())
        })
        .collect();
    let low = ends.iter().map(|(low, _)| *low).min().unwrap_or_default();
    let high = ends.iter().map(|(_, high)| *high).max().unwrap_or_default();
    let total: i128 = ends.iter().map(|(low, high)| high - low + 1).sum();
    total <= 4 * (high - low + 1)
}

/// Ids from their hexadecimal digits, one after another.
fn ids_of(digits: &str) -> Vec<Uuid> {
    let each = (0..digits.len()).step_by(32);
    each.filter_map(|start| Uuid::parse_str(digits.get(start..start + 32)?).ok())
        .collect()
}
