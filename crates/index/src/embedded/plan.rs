//! How a search goes about it: gather the few that may be found, or walk the
//! order of all.
//!
//! Ids, the R*Tree and the tables of indexed fields name candidates. Where one
//! of them names few, the candidates are tested and their places kept in
//! memory, sorted: never more than [`MAX_CANDIDATES`]. Otherwise the index of
//! the order is walked from place to place; each page goes on after the last
//! place of the page before, and nothing is kept but that.

use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::EmbeddedIndex;
use super::definitions::Definitions;
use super::read::hex_list;
use super::sql::Statement;
use crate::error::Result;
use crate::footprint::{Area, Footprint};
use crate::resolve::{Resolved, Target, Test};

/// The most candidates that are gathered.
pub(super) const MAX_CANDIDATES: i64 = 20_000;

/// Up to so many products are walked side by side; more of them are found on
/// a walk over all.
const MAX_ARMS: usize = 16;

/// Where a dataset stands in the order, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) center_us: i64,
    pub(super) id: Uuid,
    pub(super) key: i64,
}

/// A row of candidates: key, id, middle of the time range, footprint.
type Candidate = (i64, Uuid, i64, Option<Vec<u8>>);

/// How datasets are found.
#[derive(Debug)]
pub(super) enum Plan {
    /// These, in order.
    Gathered(Vec<Place>),
    /// Along the order, within these bounds of the middle of the time range.
    Walk(Walk),
}

/// A walk along the order.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Keys of the products; `None` for all.
    products: Option<Vec<i64>>,
    low: i64,
    high: i64,
}

impl EmbeddedIndex {
    pub(super) async fn plan(
        &self,
        connection: &mut SqliteConnection,
        resolved: &Resolved,
        known: &Definitions,
    ) -> Result<Plan> {
        let products = resolved.products.as_ref().map(|names| {
            names
                .iter()
                .filter_map(|name| Some(known.products.get(name)?.0))
                .collect::<Vec<i64>>()
        });
        if let Some(ids) = &resolved.ids {
            let mut statement = Statement::default();
            let list = statement.text(hex_list(ids));
            let candidates = format!(
                "SELECT key FROM dataset WHERE id IN (SELECT unhex(value) FROM json_each({list}))"
            );
            let gathered = self
                .gather(
                    connection,
                    statement,
                    &candidates,
                    resolved,
                    known,
                    products.as_deref(),
                )
                .await?;
            return Ok(Plan::Gathered(gathered));
        }
        let walk = self.walk(connection, resolved, products.clone()).await?;
        let mut best: Option<(Statement, String)> = None;
        let mut fewest = self.max_candidates + 1;
        for (statement, candidates) in candidate_statements(resolved, known) {
            let n = self
                .count_at_most(connection, statement.clone(), &candidates, fewest)
                .await?;
            if n < fewest {
                fewest = n;
                best = Some((statement, candidates));
            }
        }
        let Some((statement, candidates)) = best else {
            tracing::debug!(?walk, "no condition names few candidates");
            return Ok(Plan::Walk(walk));
        };
        if walk.is_bounded() {
            // A short walk needs no candidates.
            let mut short = Statement::default();
            let text = walk.arms(&mut short, "SELECT 1", "TRUE", None);
            if self.count_at_most(connection, short, &text, fewest).await? < fewest {
                return Ok(Plan::Walk(walk));
            }
        }
        let gathered = self
            .gather(
                connection,
                statement,
                &candidates,
                resolved,
                known,
                products.as_deref(),
            )
            .await?;
        Ok(Plan::Gathered(gathered))
    }

    /// How many rows a statement gives, up to `limit`.
    async fn count_at_most(
        &self,
        connection: &mut SqliteConnection,
        mut statement: Statement,
        text: &str,
        limit: i64,
    ) -> Result<i64> {
        let limit = statement.integer(limit);
        statement.text = format!("SELECT count(*) FROM (SELECT 1 FROM ({text}) LIMIT {limit})");
        let (n,): (i64,) = statement
            .query()
            .fetch_one(connection)
            .await
            .map_err(self.place.failed("search"))?;
        Ok(n)
    }

    /// The candidates that are to be found, in order.
    async fn gather(
        &self,
        connection: &mut SqliteConnection,
        mut statement: Statement,
        candidates: &str,
        resolved: &Resolved,
        known: &Definitions,
        products: Option<&[i64]>,
    ) -> Result<Vec<Place>> {
        let rows = statement.row_conditions(resolved, known);
        let of_product = statement.product_condition(products);
        let footprint = footprint_column(resolved);
        statement.text = format!(
            "SELECT d.key, d.id, d.center_us, {footprint} FROM ({candidates}) AS c \
             CROSS JOIN dataset AS d ON d.key = c.key WHERE {of_product} AND {rows}"
        );
        let rows: Vec<Candidate> = statement
            .query()
            .fetch_all(&mut *connection)
            .await
            .map_err(self.place.failed("search"))?;
        let mut places: Vec<Place> = rows
            .into_iter()
            .filter_map(|row| tested(row, resolved.area.as_ref()))
            .collect();
        places.sort_unstable();
        if !resolved.order.is_empty() {
            places = self
                .put_in_order(connection, places, resolved, known)
                .await?;
        }
        places.truncate(resolved.limit.unwrap_or(usize::MAX));
        Ok(places)
    }

    pub(super) async fn walk(
        &self,
        connection: &mut SqliteConnection,
        resolved: &Resolved,
        products: Option<Vec<i64>>,
    ) -> Result<Walk> {
        let hull = resolved.times.first().zip(resolved.times.last());
        let (low, high) = hull.map_or((i64::MIN, i64::MAX), |(first, last)| (first.0, last.1));
        self.walk_through(connection, low, high, products).await
    }

    /// The part of a walk on which datasets that meet a time are.
    pub(super) async fn stretch(
        &self,
        connection: &mut SqliteConnection,
        walk: &Walk,
        low: i64,
        high: i64,
    ) -> Result<Walk> {
        let products = walk.products.clone();
        let stretch = self.walk_through(connection, low, high, products).await?;
        Ok(Walk {
            low: stretch.low.max(walk.low),
            high: stretch.high.min(walk.high),
            ..stretch
        })
    }

    async fn walk_through(
        &self,
        connection: &mut SqliteConnection,
        low: i64,
        high: i64,
        products: Option<Vec<i64>>,
    ) -> Result<Walk> {
        if (low, high) == (i64::MIN, i64::MAX) {
            return Ok(Walk {
                products,
                low,
                high,
            });
        }
        // A dataset that meets the times has its middle at most half of its
        // length away from them.
        let mut statement = Statement::default();
        let list = products
            .clone()
            .map(|products| statement.integers(products));
        let of_product = list.map_or_else(|| "TRUE".to_owned(), |list| format!("key IN {list}"));
        statement.text =
            format!("SELECT coalesce(max(longest_us), 0) FROM product WHERE {of_product}");
        let (longest,): (i64,) = statement
            .query()
            .fetch_one(connection)
            .await
            .map_err(self.place.failed("search"))?;
        let beyond = longest / 2 + 1;
        Ok(Walk {
            products,
            low: if low == i64::MIN {
                low
            } else {
                low.saturating_sub(beyond)
            },
            high: if high == i64::MAX {
                high
            } else {
                high.saturating_add(beyond)
            },
        })
    }

    /// The next places along a walk, after `after`, among the next `n_rows`
    /// rows; and where to go on, unless that was the end.
    pub(super) async fn step(
        &self,
        connection: &mut SqliteConnection,
        walk: &Walk,
        resolved: &Resolved,
        known: &Definitions,
        after: Option<Place>,
        n_rows: i64,
    ) -> Result<(Vec<Place>, Option<Place>)> {
        let rows: Vec<Candidate> = walk
            .statement(resolved, known, after, n_rows)
            .query()
            .fetch_all(connection)
            .await
            .map_err(self.place.failed("search"))?;
        let is_end = i64::try_from(rows.len()).is_ok_and(|n| n < n_rows);
        let last = rows.last().map(|(key, id, center_us, _)| Place {
            center_us: *center_us,
            id: *id,
            key: *key,
        });
        let places = rows
            .into_iter()
            .filter_map(|row| tested(row, resolved.area.as_ref()))
            .collect();
        Ok((places, last.filter(|_| !is_end)))
    }

    /// How many rows a walk finds, for queries without an area.
    pub(super) async fn count_walk(
        &self,
        connection: &mut SqliteConnection,
        walk: &Walk,
        resolved: &Resolved,
        known: &Definitions,
    ) -> Result<i64> {
        let mut statement = Statement::default();
        let rows = statement.row_conditions(resolved, known);
        let arms = walk.arms(&mut statement, "SELECT count(*) AS n", &rows, None);
        statement.text = format!("SELECT coalesce(sum(n), 0) FROM ({arms})");
        let (n,): (i64,) = statement
            .query()
            .fetch_one(connection)
            .await
            .map_err(self.place.failed("count datasets"))?;
        Ok(n)
    }
}

impl Walk {
    /// The same walk, product by product where these are all there are and few.
    pub(super) fn by_product(self, known: &Definitions) -> Self {
        let all: Vec<i64> = known.products.values().map(|(key, _)| *key).collect();
        let products = match self.products {
            None if all.len() <= MAX_ARMS => Some(all),
            products => products,
        };
        Walk { products, ..self }
    }

    fn is_bounded(&self) -> bool {
        self.low != i64::MIN || self.high != i64::MAX
    }

    /// The statement for the next rows of the walk.
    pub(super) fn statement(
        &self,
        resolved: &Resolved,
        known: &Definitions,
        after: Option<Place>,
        n_rows: i64,
    ) -> Statement {
        let footprint = footprint_column(resolved);
        let columns = format!(
            "SELECT d.key AS key, d.id AS id, d.center_us AS center_us, {footprint} AS footprint"
        );
        let mut statement = self.in_order(&columns, resolved, known, after);
        let limit = statement.integer(n_rows);
        statement.text = format!("{} LIMIT {limit}", statement.text);
        statement
    }

    /// The statement for the outlines of all rows of the walk, whose boxes meet the area
    /// if there is one; the key is the last column.
    pub(super) fn outlines(&self, resolved: &Resolved, known: &Definitions) -> Statement {
        let columns = "SELECT d.id AS id, d.center_us AS center_us, \
             d.west, d.south, d.east, d.north, d.key";
        self.in_order(columns, resolved, known, None)
    }

    fn in_order(
        &self,
        columns: &str,
        resolved: &Resolved,
        known: &Definitions,
        after: Option<Place>,
    ) -> Statement {
        let mut statement = Statement::default();
        let mut rows = statement.row_conditions(resolved, known);
        if let Some(area) = &resolved.area {
            rows = format!("{rows} AND {}", statement.box_condition(area.footprint()));
        }
        let arms = self.arms(&mut statement, columns, &rows, after);
        statement.text = format!("{arms} ORDER BY center_us, id");
        statement
    }

    /// One SELECT for each product, or one for all, joined by UNION ALL: with
    /// an ORDER BY over them SQLite merges the arms as it goes.
    pub(super) fn arms(
        &self,
        statement: &mut Statement,
        columns: &str,
        rows: &str,
        after: Option<Place>,
    ) -> String {
        let from = match after {
            Some(place) => {
                let center = statement.integer(place.center_us);
                let id = statement.blob(place.id.as_bytes());
                format!("(d.center_us, d.id) > ({center}, {id})")
            }
            None => format!("d.center_us >= {}", statement.integer(self.low)),
        };
        let to = format!("d.center_us <= {}", statement.integer(self.high));
        let arm = |index: &str, of_product: &str| {
            format!(
                "{columns} FROM dataset AS d INDEXED BY {index} \
                 WHERE {of_product} AND {from} AND {to} AND {rows}"
            )
        };
        match &self.products {
            Some(products) if products.len() <= MAX_ARMS => {
                let arms: Vec<String> = products
                    .iter()
                    .map(|product| {
                        let of_product = statement.product_condition(Some(&[*product]));
                        arm("dataset_product_order", &of_product)
                    })
                    .collect();
                arms.join(" UNION ALL ")
            }
            products => {
                let of_product = statement.product_condition(products.as_deref());
                arm("dataset_order", &of_product)
            }
        }
    }
}

/// The place of a candidate, unless it lies outside of the area.
fn tested(row: Candidate, area: Option<&Area>) -> Option<Place> {
    let (key, id, center_us, footprint) = row;
    if let Some(area) = area {
        let footprint = Footprint::from_wkb(&footprint?)?;
        if !area.meets(&footprint) {
            return None;
        }
    }
    Some(Place { center_us, id, key })
}

fn footprint_column(resolved: &Resolved) -> &'static str {
    if resolved.area.is_some() {
        "d.footprint"
    } else {
        "NULL"
    }
}

/// The ways to name candidates.
fn candidate_statements(resolved: &Resolved, known: &Definitions) -> Vec<(Statement, String)> {
    let mut all = Vec::new();
    if !resolved.uris.is_empty() {
        let mut statement = Statement::default();
        let candidates = statement.place_candidates(resolved);
        all.push((statement, candidates));
    }
    if let Some(area) = &resolved.area {
        let mut statement = Statement::default();
        let candidates = statement.box_candidates(area.footprint(), &resolved.times);
        all.push((statement, candidates));
    }
    for (target, test) in &resolved.fields {
        let Target::Stored {
            name,
            indexed: true,
            is_range,
        } = target
        else {
            continue;
        };
        let Some(field) = known.extra.fields.get(name) else {
            continue;
        };
        let tests = match test {
            Test::All(tests) => tests.as_slice(),
            test => std::slice::from_ref(test),
        };
        for test in tests {
            let mut statement = Statement::default();
            if let Some(candidates) = statement.field_candidates(*field, *is_range, test) {
                all.push((statement, candidates));
            }
        }
    }
    all
}
