//! Conditions of a resolved query as SQL, with their parameters.
//!
//! Values never stand in the text. Parameters are numbered, so that a
//! condition that is used in several arms of a statement binds them once.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::AssertSqlSafe;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::definitions::Definitions;
use crate::footprint::{Footprint, LonLatBox};
use crate::query::{ArchivedFilter, UriMatch};
use crate::record::sortable;
use crate::resolve::{Resolved, Target, Test};

/// An area of more boxes than this is looked for by the box around them all.
const MAX_BOXES: usize = 16;

/// More ranges than this are compared as a list, for SQLite bounds the number
/// of parameters.
const MAX_RANGES: usize = 64;

/// A statement in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    pub(super) text: String,
    parameters: Vec<Parameter>,
}

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Parameter::Integer(value) => ValueRef::Integer(*value),
            Parameter::Real(value) => ValueRef::Real(*value),
            Parameter::Text(value) => ValueRef::Text(value.as_bytes()),
            Parameter::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

impl Statement {
    /// The values to bind, the first for `?1`.
    pub(super) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Takes a value along; gives the text that stands for it.
    pub(super) fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        format!("?{}", self.parameters.len())
    }

    pub(super) fn integer(&mut self, value: i64) -> String {
        self.bind(Parameter::Integer(value))
    }

    fn real(&mut self, value: f64) -> String {
        self.bind(Parameter::Real(value))
    }

    pub(super) fn text(&mut self, value: impl Into<String>) -> String {
        self.bind(Parameter::Text(value.into()))
    }

    pub(super) fn blob(&mut self, bytes: &[u8]) -> String {
        self.bind(Parameter::Blob(bytes.to_vec()))
    }

    /// A list of integers as a table of one column `value`.
    pub(super) fn integers(&mut self, values: impl IntoIterator<Item = i64>) -> String {
        let list: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        let list = self.text(format!("[{}]", list.join(",")));
        format!("(SELECT value FROM json_each({list}))")
    }

    /// The statement, ready to be run, giving rows as `O`.
    pub(super) fn query<O>(&self) -> QueryAs<'_, Sqlite, O, SqliteArguments>
    where
        O: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
    {
        // Only texts of this crate and numbered parameters get into the text.
        let query = sqlx::query_as(AssertSqlSafe(self.text.clone()));
        self.parameters
            .iter()
            .fold(query, |query, parameter| match parameter {
                Parameter::Integer(value) => query.bind(*value),
                Parameter::Real(value) => query.bind(*value),
                Parameter::Text(value) => query.bind(value.as_str()),
                Parameter::Blob(value) => query.bind(value.as_slice()),
            })
    }

    /// The statement, ready to be run, giving rows as they are.
    pub(super) fn rows(&self) -> Query<'_, Sqlite, SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text.clone()));
        self.parameters
            .iter()
            .fold(query, |query, parameter| match parameter {
                Parameter::Integer(value) => query.bind(*value),
                Parameter::Real(value) => query.bind(*value),
                Parameter::Text(value) => query.bind(value.as_str()),
                Parameter::Blob(value) => query.bind(value.as_slice()),
            })
    }

    /// What a row of `dataset AS d` has to satisfy besides its product and its
    /// exact footprint; joined by AND, never empty.
    pub(super) fn row_conditions(&mut self, resolved: &Resolved, known: &Definitions) -> String {
        let mut all = vec!["TRUE".to_owned()];
        match resolved.archived {
            ArchivedFilter::Active => all.push("d.archived_us IS NULL".to_owned()),
            ArchivedFilter::Archived => all.push("d.archived_us IS NOT NULL".to_owned()),
            ArchivedFilter::Any => {}
        }
        if !resolved.times.is_empty() {
            let ranges: Vec<String> = resolved
                .times
                .iter()
                .map(|(low, high)| self.overlaps("d.begin_us", "d.end_us", *low, *high))
                .collect();
            all.push(any(&ranges));
        }
        for (target, test) in &resolved.fields {
            let value = Value::of(target, known);
            all.push(self.test(&value, test));
        }
        if !resolved.uris.is_empty() {
            let places = self.place_condition(resolved);
            all.push(format!(
                "EXISTS (SELECT 1 FROM location AS l WHERE l.dataset = d.key AND {places})"
            ));
        }
        all.join(" AND ")
    }

    /// What a row of `location AS l` has to satisfy to be one of the places
    /// that are looked for.
    fn place_condition(&mut self, resolved: &Resolved) -> String {
        let places: Vec<String> = resolved
            .uris
            .iter()
            .map(|place| match place {
                UriMatch::Exact(uri) => format!("l.uri = {}", self.text(uri.as_str())),
                UriMatch::Prefix(prefix) => {
                    let from = self.text(prefix.as_str());
                    match after_prefix(prefix) {
                        Some(after) => {
                            format!("(l.uri >= {from} AND l.uri < {})", self.text(after))
                        }
                        None => format!("l.uri >= {from}"),
                    }
                }
            })
            .collect();
        let places = any(&places);
        if resolved.archived == ArchivedFilter::Active {
            format!("{places} AND l.archived_us IS NULL")
        } else {
            places
        }
    }

    /// Keys of datasets that are in one of the places.
    pub(super) fn place_candidates(&mut self, resolved: &Resolved) -> String {
        let places = self.place_condition(resolved);
        format!("SELECT DISTINCT l.dataset AS key FROM location AS l WHERE {places}")
    }

    /// The product of a row; `None` for any.
    pub(super) fn product_condition(&mut self, products: Option<&[i64]>) -> String {
        match products {
            None => "TRUE".to_owned(),
            Some([product]) => format!("d.product = {}", self.integer(*product)),
            Some(products) => {
                format!("d.product IN {}", self.integers(products.iter().copied()))
            }
        }
    }

    /// The box around the footprint of a row meets the area.
    pub(super) fn box_condition(&mut self, area: &Footprint) -> String {
        let boxes: Vec<String> = few_boxes(area)
            .iter()
            .map(|b| {
                let (west, east) = (self.real(b.west), self.real(b.east));
                let (south, north) = (self.real(b.south), self.real(b.north));
                // East of 180 the box of a row is where it would be a turn before.
                format!(
                    "(d.south <= {north} AND d.north >= {south} AND \
                     ((d.west <= {east} AND d.east >= {west}) OR d.east >= {west} + 360.0))"
                )
            })
            .collect();
        any(&boxes)
    }

    /// Keys of datasets whose boxes meet the area, and the times if there are any.
    pub(super) fn box_candidates(&mut self, area: &Footprint, times: &[(i64, i64)]) -> String {
        let hull = times
            .first()
            .zip(times.last())
            .map(|(first, last)| (first.0, last.1));
        let in_time = hull.map(|(low, high)| {
            let mut sides = String::new();
            if high != i64::MAX {
                let high = self.real(super::rows::box_time(high));
                sides.push_str(&format!(" AND first <= {high}"));
            }
            if low != i64::MIN {
                let low = self.real(super::rows::box_time(low));
                sides.push_str(&format!(" AND last >= {low}"));
            }
            sides
        });
        let in_time = in_time.unwrap_or_default();
        let arms: Vec<String> = few_boxes(area)
            .iter()
            .map(|b| {
                let (west, east) = (self.real(b.west), self.real(b.east));
                let (south, north) = (self.real(b.south), self.real(b.north));
                format!(
                    "SELECT key >> 1 AS key FROM footprint_box WHERE west <= {east} AND \
                     east >= {west} AND south <= {north} AND north >= {south}{in_time}"
                )
            })
            .collect();
        // The two boxes of one dataset, and two arms, may give the same key.
        if arms.len() == 1 {
            arms[0].replacen("SELECT", "SELECT DISTINCT", 1)
        } else {
            arms.join(" UNION ")
        }
    }

    /// Keys of datasets whose indexed field passes the test; `None` for tests
    /// that the tables cannot answer.
    pub(super) fn field_candidates(
        &mut self,
        field: i64,
        is_range: bool,
        test: &Test,
    ) -> Option<String> {
        let texts: Option<Vec<&str>> = match test {
            Test::Text(text) => Some(vec![text]),
            Test::Any(tests) if !tests.is_empty() => tests.iter().map(Test::as_text).collect(),
            _ => None,
        };
        if let Some(texts) = texts {
            let (field, list) = (
                self.integer(field),
                self.text(serde_json::Value::from(texts).to_string()),
            );
            return Some(format!(
                "SELECT dataset AS key FROM search_text WHERE field = {field} AND \
                 value IN (SELECT value FROM json_each({list}))"
            ));
        }
        // Of ranges only one end is in order: no short way to those that overlap.
        if is_range {
            return None;
        }
        let (low, high) = match test {
            Test::Number(low, high) => (self.real(*low), self.real(*high)),
            Test::Time(low, high) => (self.integer(*low), self.integer(*high)),
            _ => return None,
        };
        let field = self.integer(field);
        Some(format!(
            "SELECT dataset AS key FROM search_range WHERE field = {field} AND \
             low BETWEEN {low} AND {high}"
        ))
    }

    fn overlaps(&mut self, low_column: &str, high_column: &str, low: i64, high: i64) -> String {
        let mut sides = Vec::new();
        if high != i64::MAX {
            sides.push(format!("{low_column} <= {}", self.integer(high)));
        }
        if low != i64::MIN {
            sides.push(format!("{high_column} >= {}", self.integer(low)));
        }
        if sides.is_empty() {
            "TRUE".to_owned()
        } else {
            format!("({})", sides.join(" AND "))
        }
    }

    /// A test of a value that may be missing: true or false, never null.
    fn test(&mut self, value: &Value, test: &Test) -> String {
        match test {
            Test::Any(tests) => {
                let texts: Option<Vec<&str>> = tests.iter().map(Test::as_text).collect();
                let ranges = (tests.len() > MAX_RANGES)
                    .then(|| range_list(tests))
                    .flatten();
                match (texts, ranges) {
                    (_, Some(ranges)) => {
                        let list = self.text(ranges);
                        format!(
                            "EXISTS (SELECT 1 FROM json_each({list}) AS r WHERE \
                             {} <= r.value ->> 1 AND {} >= r.value ->> 0)",
                            value.low, value.high
                        )
                    }
                    (Some(texts), None) => {
                        let list = self.text(serde_json::Value::from(texts).to_string());
                        let low = &value.low;
                        format!("coalesce({low} IN (SELECT value FROM json_each({list})), FALSE)")
                    }
                    (None, None) => {
                        let tests: Vec<String> =
                            tests.iter().map(|test| self.test(value, test)).collect();
                        any(&tests)
                    }
                }
            }
            Test::All(tests) if tests.is_empty() => "TRUE".to_owned(),
            Test::All(tests) => {
                let tests: Vec<String> = tests.iter().map(|test| self.test(value, test)).collect();
                format!("({})", tests.join(" AND "))
            }
            Test::Not(test) => format!("NOT {}", self.test(value, test)),
            Test::Text(text) => {
                let text = self.text(text.as_str());
                format!("coalesce({} = {text}, FALSE)", value.low)
            }
            Test::Bool(wanted) => {
                let wanted = self.integer((*wanted).into());
                format!("coalesce({} = {wanted}, FALSE)", value.low)
            }
            Test::Number(low, high) => {
                let (low, high) = (self.integer(sortable(*low)), self.integer(sortable(*high)));
                format!(
                    "coalesce({} <= {high} AND {} >= {low}, FALSE)",
                    value.low, value.high
                )
            }
            Test::Time(low, high) => {
                let (low, high) = (self.integer(*low), self.integer(*high));
                format!(
                    "coalesce({} <= {high} AND {} >= {low}, FALSE)",
                    value.low, value.high
                )
            }
        }
    }
}

/// The expressions of the two ends of a value.
struct Value {
    low: String,
    high: String,
}

impl Value {
    fn of(target: &Target, known: &Definitions) -> Self {
        let same = |column: &str| Value {
            low: column.to_owned(),
            high: column.to_owned(),
        };
        match target {
            Target::Time => Value {
                low: "d.begin_us".to_owned(),
                high: "d.end_us".to_owned(),
            },
            Target::IndexedTime => same("d.indexed_us"),
            Target::Stored { name, .. } => match known.extra.fields.get(name) {
                // A single value is stored as itself, a range as a list.
                Some(key) => {
                    let (low, high) = field_ends(*key);
                    Value { low, high }
                }
                None => same("NULL"),
            },
        }
    }
}

/// The expressions of the two ends of a stored value.
pub(super) fn field_ends(key: i64) -> (String, String) {
    let end =
        |i: u8| format!("coalesce(d.fields ->> '$.\"{key}\"[{i}]', d.fields ->> '$.\"{key}\"')");
    (end(0), end(1))
}

/// The first text after all that begin with `prefix`; `None` where there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // What follows the last letter, or what follows the surrogates.
        let next = match u32::from(last) + 1 {
            0xD800 => Some('\u{E000}'),
            code => char::from_u32(code),
        };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// Joined by OR, as a tree that is as flat as can be: SQLite bounds its depth.
fn any(conditions: &[String]) -> String {
    match conditions {
        [] => "FALSE".to_owned(),
        [one] => one.clone(),
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!("({} OR {})", any(left), any(right))
        }
    }
}

/// Ranges of numbers or times as a JSON list of pairs; `None` for other tests.
fn range_list(tests: &[Test]) -> Option<String> {
    let ranges = Test::all_times(tests).or_else(|| {
        let numbers = Test::all_numbers(tests)?.into_iter();
        Some(numbers.map(|(a, b)| (sortable(a), sortable(b))).collect())
    })?;
    let pairs: Vec<String> = ranges.iter().map(|(a, b)| format!("[{a},{b}]")).collect();
    Some(format!("[{}]", pairs.join(",")))
}

fn few_boxes(area: &Footprint) -> Vec<LonLatBox> {
    let boxes = area.search_boxes();
    if boxes.len() <= MAX_BOXES {
        boxes
    } else {
        area.search_bounds()
    }
}
