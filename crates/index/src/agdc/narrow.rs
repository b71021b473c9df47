//! A resolved query as one statement over the documents.
//!
//! The rows of each product (or, of many products, those of one metadata type)
//! are an arm of the statement, for where a document has what is asked for
//! depends on its type. Conditions that Python's indexes answer stand at the
//! top of an arm, as Python writes them; everything else is worked out in one
//! verdict: found, or, as NULL, perhaps found. Rows come with the middle of
//! their time range, NULL where only the dataset itself tells it.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/drivers/postgres/{_fields,_dynamic}.py`.

use std::collections::BTreeMap;

use datacube_model::{FieldKind, FieldSource, MetadataType};
use uuid::Uuid;

use super::definitions::Known;
use super::degrees;
use super::field::{Column, is_told_by_text, joined};
use super::steps::Steps;
use super::times;
use super::times::path;
use crate::postgres::Statement;
use crate::postgres::document::split_uri;
use crate::query::{ArchivedFilter, UriMatch};
use crate::resolve::{Resolved, Target, Test};

/// Up to so many products have an arm each, and their own indexes.
const MAX_ARMS: usize = 16;

/// Products of one metadata type whose rows are looked for together.
struct Arm<'a> {
    products: Vec<i16>,
    metadata_type: &'a MetadataType,
}

/// A query and what is known of the database.
pub(super) struct Narrow<'a> {
    known: &'a Known,
    resolved: &'a Resolved,
}

impl<'a> Narrow<'a> {
    pub(super) fn new(known: &'a Known, resolved: &'a Resolved) -> Self {
        Narrow { known, resolved }
    }

    /// Whether SQL cannot say of any row that it is found.
    pub(super) fn is_never_sure(&self) -> bool {
        self.resolved.area.is_some()
    }

    /// Middle of the time range, id, and whether the row is surely found; those
    /// whose middle is not known first, then in order, after a place in it.
    pub(super) fn in_order(&self, after: Option<(i64, Uuid)>) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        let beyond = match after {
            Some((center_us, id)) => {
                let (center_us, id) = (statement.bind(center_us), statement.bind(id));
                format!("WHERE (f.center_us, f.id) > ({center_us}, {id})")
            }
            None => String::new(),
        };
        statement.text = format!(
            "SELECT f.center_us, f.id, f.is_sure FROM ({rows}) AS f {beyond} \
             ORDER BY f.center_us NULLS FIRST, f.id"
        );
        statement
    }

    /// The ids of rows that are found or, `None` for sure, of those that may
    /// be; as [`Self::in_order`] in everything else.
    pub(super) fn unsure(&self) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        statement.text = format!(
            "SELECT f.center_us, f.id, f.is_sure FROM ({rows}) AS f WHERE f.is_sure IS NULL"
        );
        statement
    }

    /// Sums over all rows: how many are surely found, how many may be, the
    /// earliest beginning and the latest end of the sure ones.
    pub(super) fn summed(&self) -> Statement {
        let mut statement = Statement::default();
        let rows = self.rows(&mut statement);
        statement.text = format!(
            "SELECT count(*) FILTER (WHERE f.is_sure), \
                    count(*) FILTER (WHERE f.is_sure IS NULL OR f.begin_us IS NULL), \
                    min(f.begin_us) FILTER (WHERE f.is_sure), \
                    max(f.end_us) FILTER (WHERE f.is_sure) \
             FROM ({rows}) AS f"
        );
        statement
    }

    /// All rows that may be found: id, time range and its middle, verdict.
    fn rows(&self, statement: &mut Statement) -> String {
        let arms: Vec<String> = self
            .arms()
            .iter()
            .map(|arm| self.arm(statement, arm))
            .collect();
        match arms.as_slice() {
            [] => "SELECT NULL::bigint AS center_us, NULL::bigint AS begin_us, \
                   NULL::bigint AS end_us, NULL::uuid AS id, NULL::boolean AS is_sure WHERE FALSE"
                .to_owned(),
            arms => arms.join(" UNION ALL "),
        }
    }

    fn arms(&self) -> Vec<Arm<'a>> {
        let of_type = |name: &str| {
            let (_, metadata_type) = self.known.definitions.metadata_types.get(name)?;
            Some(metadata_type)
        };
        let products = self
            .known
            .definitions
            .products
            .iter()
            .filter(|(name, _)| match &self.resolved.products {
                Some(names) => names.binary_search(name).is_ok(),
                None => true,
            })
            .filter_map(|(_, (id, product))| Some((*id, of_type(product.metadata_type().name())?)));
        let products: Vec<(i16, &MetadataType)> = products.collect();
        if products.len() <= MAX_ARMS {
            let one = |(product, metadata_type)| Arm {
                products: vec![product],
                metadata_type,
            };
            return products.into_iter().map(one).collect();
        }
        let mut arms: BTreeMap<&str, Arm<'a>> = BTreeMap::new();
        for (product, metadata_type) in products {
            let arm = arms.entry(metadata_type.name()).or_insert_with(|| Arm {
                products: Vec::new(),
                metadata_type,
            });
            arm.products.push(product);
        }
        arms.into_values().collect()
    }

    fn arm(&self, statement: &mut Statement, arm: &Arm<'_>) -> String {
        let resolved = self.resolved;
        let mut rows = Vec::new();
        match arm.products.as_slice() {
            // In the text, so that the server knows which of Python's indexes it may use.
            [product] => rows.push(format!("d.dataset_type_ref = {product}")),
            products => {
                let list = statement.list(products.to_vec());
                rows.push(format!("d.dataset_type_ref = ANY({list})"));
            }
        }
        match resolved.archived {
            ArchivedFilter::Active => rows.push("d.archived IS NULL".to_owned()),
            ArchivedFilter::Archived => rows.push("d.archived IS NOT NULL".to_owned()),
            ArchivedFilter::Any => {}
        }
        if let Some(ids) = &resolved.ids {
            let list = statement.list(ids.iter().copied().collect::<Vec<_>>());
            rows.push(format!("d.id = ANY({list})"));
        }
        if !resolved.uris.is_empty() {
            rows.push(self.located(statement));
        }
        rows.extend(self.indexed(statement, arm));

        let mut steps = Steps::default();
        times::columns(arm.metadata_type, &mut steps);
        let mut verdict = Vec::new();
        if !resolved.times.is_empty() {
            verdict.push(Column::time().times(statement, &resolved.times));
        }
        for (nth, (target, test)) in resolved.fields.iter().enumerate() {
            let column = match target {
                Target::Time => Column::time(),
                Target::IndexedTime => Column::indexed_time(),
                Target::Stored { name, .. } => {
                    Column::of(arm.metadata_type, name, &format!("f{nth}"), &mut steps)
                }
            };
            verdict.push(column.condition(statement, test));
        }
        if let Some(area) = &resolved.area {
            let near = degrees::near(arm.metadata_type, area.footprint(), &mut steps);
            verdict.push(near.unwrap_or_else(|| "NULL::boolean".to_owned()));
        }
        format!(
            "SELECT v.* FROM (SELECT d.begin_us + (d.end_us - d.begin_us) / 2 AS center_us, \
                    d.begin_us, d.end_us, d.id, {verdict} AS is_sure \
             FROM ({rows}) AS d OFFSET 0) AS v WHERE v.is_sure IS NOT FALSE",
            verdict = joined(&verdict, " AND ", "TRUE"),
            rows = steps.rows(&rows.join(" AND ")),
        )
    }

    /// The row has a location that matches.
    fn located(&self, statement: &mut Statement) -> String {
        let mut any = Vec::new();
        for place in &self.resolved.uris {
            let (wanted, function) = match place {
                UriMatch::Exact(uri) => (uri, "="),
                UriMatch::Prefix(start) => (start, "starts_with"),
            };
            let condition = match (split_uri(wanted), function) {
                ((Some(scheme), body), "=") => format!(
                    "(l.uri_scheme = {} AND l.uri_body = {})",
                    statement.bind(scheme),
                    statement.bind(body)
                ),
                ((Some(scheme), body), _) => format!(
                    "(l.uri_scheme = {} AND starts_with(l.uri_body, {}))",
                    statement.bind(scheme),
                    statement.bind(body)
                ),
                ((None, _), "=") => "FALSE".to_owned(),
                ((None, start), _) => {
                    format!(
                        "starts_with(l.uri_scheme || ':', {})",
                        statement.bind(start)
                    )
                }
            };
            any.push(condition);
        }
        let active = match self.resolved.archived {
            ArchivedFilter::Active => "l.archived IS NULL AND ",
            _ => "",
        };
        format!(
            "d.id IN (SELECT l.dataset_ref FROM agdc.dataset_location AS l WHERE {active}{})",
            joined(&any, " OR ", "FALSE")
        )
    }

    /// Conditions in Python's words, for its indexes of active datasets. The
    /// casts in them may fail on odd values, of which there are none where
    /// there is an index.
    fn indexed(&self, statement: &mut Statement, arm: &Arm<'_>) -> Vec<String> {
        let mut all = Vec::new();
        let ([product], ArchivedFilter::Active) = (arm.products.as_slice(), self.resolved.archived)
        else {
            return all;
        };
        let has_index = |field: &str| {
            let field = arm.metadata_type.field(field);
            field.is_some_and(|field| match &field.source {
                FieldSource::Offset(offset) => {
                    self.known.has_index(*product, std::iter::once(offset))
                }
                FieldSource::Range { min, max } => {
                    self.known.has_index(*product, min.iter().chain(max))
                }
            })
        };
        if has_index("time")
            && let Some((low, high)) = self.time_hull()
        {
            all.extend(times::indexed(arm.metadata_type, low, high));
        }
        if let Some(area) = &self.resolved.area
            && has_index("lat")
            && has_index("lon")
        {
            all.extend(degrees::indexed(arm.metadata_type, area.footprint()));
        }
        for (target, test) in &self.resolved.fields {
            let (Target::Stored { name, .. }, Some(texts)) = (target, texts_of(test)) else {
                continue;
            };
            let field = arm.metadata_type.field(name);
            let Some(FieldSource::Offset(offset)) = field.map(|field| &field.source) else {
                continue;
            };
            let is_text = field.is_some_and(|field| field.kind == FieldKind::String);
            if is_text && has_index(name) && texts.iter().all(|text| is_told_by_text(text)) {
                let value = format!("(d.metadata #>> {})", path(offset));
                all.push(match texts.as_slice() {
                    [only] => format!("{value} = {}", statement.bind(only.clone())),
                    _ => format!("{value} = ANY({})", statement.list(texts)),
                });
            }
        }
        all
    }

    /// What every time that is asked for lies between.
    fn time_hull(&self) -> Option<(i64, i64)> {
        let mut hull: Option<(i64, i64)> = None;
        let mut narrow = |low: i64, high: i64| {
            hull = Some(match hull {
                Some((from, to)) => (from.max(low), to.min(high)),
                None => (low, high),
            });
        };
        if let (Some(first), Some(last)) = (self.resolved.times.first(), self.resolved.times.last())
        {
            narrow(first.0, last.1);
        }
        for (target, test) in &self.resolved.fields {
            if let (Target::Time, Test::Time(low, high)) = (target, test) {
                narrow(*low, *high);
            }
        }
        // Ranges that do not meet may still both meet a long dataset.
        hull.map(|(low, high)| (low.min(high), low.max(high)))
    }
}

/// The texts of which a value has to be one.
fn texts_of(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Text(text) => Some(vec![text.clone()]),
        Test::Any(tests) if !tests.is_empty() => Test::all_texts(tests),
        _ => None,
    }
}
