//! How a search goes about it: gather the few that may be found, or walk the
//! order of all.
//!
//! Ids, the index of places and that of texts name candidates. Where they name
//! few, the candidates are tested and their places in the order kept, sorted:
//! never more than [`MAX_CANDIDATES`]. Otherwise the index of the order is
//! walked from place to place, one page a statement, each going on after the
//! last of the page before; nothing is held between pages, on either side.
//!
//! Without a schema of our own there is no order to walk: all that Python's
//! tables let through is gathered, and what they cannot tell is asked of the
//! documents.

use uuid::Uuid;

use super::types::Outline;
use super::{PostgisIndex, Session, retried};
use crate::error::Result;
use crate::postgres::Statement;
use crate::record::Record;
use crate::resolve::Resolved;

/// The most candidates that are gathered.
const MAX_CANDIDATES: usize = 20_000;

/// Up to so many products are walked side by side; more of them are found on
/// a walk over all.
const MAX_ARMS: usize = 16;

/// Documents that are looked into together.
const LOOK_INTO: usize = 512;

/// Where a dataset stands in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) center_us: i64,
    pub(super) id: Uuid,
}

/// A row that may be found: middle of its time, id, whether it is derived, and
/// then its footprint where the area is asked for.
type Candidate = (i64, Uuid, bool, Option<Outline>);

/// How datasets are found.
#[derive(Debug)]
pub(super) enum Plan {
    /// These, in order.
    Gathered(Vec<Place>),
    /// Along the order, within these bounds of the middle of the time range.
    Walk(Walk),
}

/// A walk along the order.
#[derive(Debug)]
pub(super) struct Walk {
    low: i64,
    high: i64,
}

/// A row of `odc`, as far as Python's tables tell it.
pub(super) const STRANGERS: &str = "(SELECT o.id, o.product_ref AS product, \
        least(t.b, t.e) AS begin_us, greatest(t.b, t.e) AS end_us, \
        least(t.b, t.e) + (greatest(t.b, t.e) - least(t.b, t.e)) / 2 AS center_us, \
        (extract(epoch FROM o.archived) * 1000000)::bigint AS archived_us, \
        (extract(epoch FROM o.added) * 1000000)::bigint AS indexed_us, FALSE AS is_derived \
    FROM odc.dataset AS o LEFT JOIN LATERAL (SELECT \
        coalesce(min(extract(epoch FROM lower(s.search_val)) * 1000000), 0)::bigint AS b, \
        coalesce(max(extract(epoch FROM upper(s.search_val)) * 1000000), 0)::bigint AS e \
        FROM odc.dataset_search_datetime AS s \
        WHERE s.dataset_ref = o.id AND s.search_key = 'time') AS t ON TRUE) AS d";

/// The rows that a query is about, and what it needs to know of them.
pub(super) struct Scope<'a> {
    pub(super) session: &'a Session,
    pub(super) resolved: &'a Resolved,
    products: Option<Vec<i16>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(session: &'a Session, resolved: &'a Resolved) -> Self {
        let products = resolved
            .products
            .as_ref()
            .map(|names| session.known.keys_of(names));
        Scope {
            session,
            resolved,
            products,
        }
    }

    /// Whether more is asked than every row tells, derived or not.
    fn asks_for_details(&self) -> bool {
        self.resolved.area.is_some() || !self.resolved.fields.is_empty()
    }

    /// Whether the rows of a walk tell by themselves what is found.
    pub(super) fn is_told_by_rows(&self) -> bool {
        self.resolved.area.is_none() && !(self.session.has_strangers && self.asks_for_details())
    }

    fn footprint_column(&self) -> &'static str {
        if self.resolved.area.is_some() && self.session.is_own {
            "d.footprint"
        } else {
            "NULL::geometry"
        }
    }

    /// What derived rows have to satisfy beyond the base.
    fn details(&self, statement: &mut Statement) -> String {
        let fields = statement.field_conditions(self.resolved);
        match &self.resolved.area {
            Some(area) => {
                let place = statement.place_condition(
                    area.footprint(),
                    &self.resolved.times,
                    self.products.as_deref(),
                );
                format!("{fields} AND {place}")
            }
            None => fields,
        }
    }

    /// The statement that names candidates, up to some number; `None` where
    /// nothing narrows the search down to few.
    fn candidates(&self) -> Option<Statement> {
        let mut statement = Statement::default();
        let columns = format!(
            "SELECT d.center_us, d.id, d.is_derived, {}",
            self.footprint_column()
        );
        let base =
            statement.base_conditions(self.resolved, self.products.as_deref(), self.session.is_own);
        if !self.session.is_own {
            let near = self
                .resolved
                .area
                .as_ref()
                .filter(|_| {
                    self.session
                        .known
                        .extra
                        .srids
                        .contains(&super::geometry::LONLAT)
                })
                .and_then(|area| statement.python_extent_condition(area.footprint()))
                .unwrap_or_else(|| "TRUE".to_owned());
            statement.text = format!("{columns} FROM {STRANGERS} WHERE {base} AND {near}");
            return Some(statement);
        }
        let texts = statement.indexed_texts(self.resolved);
        let is_narrow = self.resolved.ids.is_some()
            || self.resolved.area.is_some()
            || !self.resolved.uris.is_empty()
            || texts.is_some();
        if !is_narrow {
            return None;
        }
        let texts = texts.unwrap_or_else(|| "TRUE".to_owned());
        let details = self.details(&mut statement);
        let mut text = format!(
            "{columns} FROM datacube.dataset AS d \
             WHERE {base} AND d.is_derived AND {details} AND {texts}"
        );
        if self.session.has_strangers {
            text.push_str(&format!(
                " UNION ALL SELECT d.center_us, d.id, FALSE, NULL::geometry \
                 FROM datacube.dataset AS d WHERE {base} AND NOT d.is_derived"
            ));
        }
        if self.resolved.ids.is_none() {
            let limit = i64::try_from(MAX_CANDIDATES).unwrap_or(i64::MAX) + 1;
            text = format!("{text} LIMIT {limit}");
        }
        statement.text = text;
        Some(statement)
    }

    /// What the rows of a walk have to satisfy.
    fn walked(&self, statement: &mut Statement) -> String {
        let base = statement.base_conditions(self.resolved, None, true);
        let details = self.details(statement);
        if self.session.has_strangers {
            format!("{base} AND (NOT d.is_derived OR ({details}))")
        } else {
            format!("{base} AND {details}")
        }
    }
}

impl PostgisIndex {
    pub(super) async fn plan(&self, scope: &Scope<'_>) -> Result<Plan> {
        if let Some(statement) = scope.candidates() {
            let rows: Vec<Candidate> = retried!(self, "search", connection => {
                statement.clone().query().fetch_all(&mut *connection)
            })?;
            let is_bounded = scope.session.is_own && scope.resolved.ids.is_none();
            if !is_bounded || rows.len() <= MAX_CANDIDATES {
                let mut places = self.tested(scope, rows).await?;
                places.sort_unstable();
                return Ok(Plan::Gathered(places));
            }
        }
        self.walk(scope).await.map(Plan::Walk)
    }

    async fn walk(&self, scope: &Scope<'_>) -> Result<Walk> {
        let times = &scope.resolved.times;
        let hull = times.first().zip(times.last());
        let (low, high) = hull.map_or((i64::MIN, i64::MAX), |(first, last)| (first.0, last.1));
        if (low, high) == (i64::MIN, i64::MAX) {
            return Ok(Walk { low, high });
        }
        // A dataset that meets the times has its middle at most half of its
        // length away from them. Each product's longest is at the end of an index.
        let products: Vec<i16> = match &scope.products {
            Some(products) => products.clone(),
            None => scope.session.known.products.values().map(|p| p.0).collect(),
        };
        let longest: Option<i64> = retried!(self, "search", connection => {
            sqlx::query_scalar(
                "SELECT max(l.longest) FROM unnest($1::int2[]) AS p (id) CROSS JOIN LATERAL \
                 (SELECT max(d.end_us - d.begin_us) AS longest FROM datacube.dataset AS d \
                  WHERE d.product = p.id) AS l",
            )
            .bind(&products)
            .fetch_one(&mut *connection)
        })?;
        let beyond = longest.unwrap_or(0) / 2 + 1;
        Ok(Walk {
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
        scope: &Scope<'_>,
        walk: &Walk,
        after: Option<Place>,
        n_rows: i64,
    ) -> Result<(Vec<Place>, Option<Place>)> {
        let rows: Vec<Candidate> = retried!(self, "search", connection => {
            walk.statement(scope, after, n_rows).query().fetch_all(&mut *connection)
        })?;
        let is_end = i64::try_from(rows.len()).is_ok_and(|n| n < n_rows);
        let last = rows.last().map(|row| Place {
            center_us: row.0,
            id: row.1,
        });
        let mut places = self.tested(scope, rows).await?;
        places.sort_unstable();
        Ok((places, last.filter(|_| !is_end)))
    }

    /// How many rows a walk finds, for queries that rows answer by themselves.
    pub(super) async fn count_walk(&self, scope: &Scope<'_>, walk: &Walk) -> Result<Option<u64>> {
        if !scope.is_told_by_rows() {
            return Ok(None);
        }
        let n: i64 = retried!(self, "count datasets", connection => {
            let mut statement = Statement::default();
            let rows = scope.walked(&mut statement);
            let arms = walk.arms(&mut statement, scope, "SELECT count(*) AS n", &rows, None, "");
            statement.text = format!("SELECT coalesce(sum(n), 0)::bigint FROM ({arms}) AS arms");
            async { statement.query::<(i64,)>().fetch_one(&mut *connection).await.map(|(n,)| n) }
        })?;
        Ok(Some(n.unsigned_abs()))
    }

    /// The places of candidates that lie in the area; those of which only the
    /// document can tell are asked there.
    async fn tested(&self, scope: &Scope<'_>, rows: Vec<Candidate>) -> Result<Vec<Place>> {
        let mut places = Vec::with_capacity(rows.len());
        let mut strangers = Vec::new();
        let look_into = scope.asks_for_details();
        for (center_us, id, is_derived, outline) in rows {
            let place = Place { center_us, id };
            if !is_derived && look_into {
                strangers.push(place);
                continue;
            }
            let is_in = match &scope.resolved.area {
                Some(area) if is_derived => outline
                    .and_then(|outline| outline.0)
                    .is_some_and(|footprint| area.meets(&footprint)),
                _ => true,
            };
            if is_in {
                places.push(place);
            }
        }
        for chunk in strangers.chunks(LOOK_INTO) {
            let ids: Vec<Uuid> = chunk.iter().map(|place| place.id).collect();
            let datasets = self.read_some(scope.session, &ids).await?;
            for dataset in datasets {
                let record = Record::of(&dataset);
                let indexed_us = dataset.indexed().map_or(0, crate::time_range::micros);
                let is_archived = dataset.archived().is_some();
                if scope.resolved.accepts(&record, is_archived, indexed_us)
                    && let Some(place) = chunk.iter().find(|place| place.id == dataset.id())
                {
                    places.push(*place);
                }
            }
        }
        Ok(places)
    }
}

impl Walk {
    /// The statement that sums up all rows of the walk.
    pub(super) fn sum(
        &self,
        statement: &mut Statement,
        scope: &Scope<'_>,
        columns: &str,
        tail: &str,
    ) {
        let rows = scope.walked(statement);
        statement.text = self.arms(statement, scope, columns, &rows, None, tail);
    }

    /// The statement for the next rows of the walk.
    fn statement(&self, scope: &Scope<'_>, after: Option<Place>, n_rows: i64) -> Statement {
        let mut statement = Statement::default();
        let rows = scope.walked(&mut statement);
        let columns = format!(
            "SELECT d.center_us, d.id, d.is_derived, {}",
            scope.footprint_column()
        );
        let tail = format!(" ORDER BY d.center_us, d.id LIMIT {n_rows}");
        let arms = self.arms(&mut statement, scope, &columns, &rows, after, &tail);
        statement.text =
            format!("SELECT * FROM ({arms}) AS arms ORDER BY center_us, id LIMIT {n_rows}");
        statement
    }

    /// One SELECT for each product, or one for all, joined by UNION ALL.
    fn arms(
        &self,
        statement: &mut Statement,
        scope: &Scope<'_>,
        columns: &str,
        rows: &str,
        after: Option<Place>,
        tail: &str,
    ) -> String {
        let mut bounds = Vec::new();
        match after {
            Some(place) => {
                let center = statement.bind(place.center_us);
                let id = statement.bind(place.id);
                bounds.push(format!("(d.center_us, d.id) > ({center}, {id})"));
            }
            None if self.low != i64::MIN => {
                bounds.push(format!("d.center_us >= {}", statement.bind(self.low)));
            }
            None => {}
        }
        if self.high != i64::MAX {
            bounds.push(format!("d.center_us <= {}", statement.bind(self.high)));
        }
        bounds.push(rows.to_owned());
        let bounds = bounds.join(" AND ");
        let arm = |of_product: &str| {
            format!("({columns} FROM datacube.dataset AS d WHERE {of_product} AND {bounds}{tail})")
        };
        match &scope.products {
            None => arm("TRUE"),
            Some(products) if products.len() <= MAX_ARMS => {
                let arms: Vec<String> = products
                    .iter()
                    .map(|product| arm(&format!("d.product = {}", statement.bind(*product))))
                    .collect();
                arms.join(" UNION ALL ")
            }
            Some(products) => {
                let list = statement.bind(products.clone());
                arm(&format!("d.product = ANY({list})"))
            }
        }
    }
}
