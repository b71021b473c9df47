//! Tests of fields, in SQL over the documents.
//!
//! Every answer is true, false or, where SQL cannot tell, NULL: values of
//! another type than the field's, numbers written as text, times in unusual
//! forms, and what the model works out for itself (the extent). NULL goes
//! through AND, OR and NOT as "perhaps" does, so a whole condition that is NULL
//! leaves the row to be looked into.

use datacube_model::{FieldKind, FieldSource, MetadataType};

use super::steps::Steps;
use super::times::{instant, path};
use crate::fields::SYSTEM_OFFSETS;
use crate::postgres::Statement;
use crate::resolve::Test;

/// More alternatives than this are compared as a list.
const MAX_ALTERNATIVES: usize = 8;

/// How the value of a field is found in a row; none of it depends on what is
/// asked.
pub(super) enum Column {
    /// `{name}_x`, and whether the document has a text there.
    Text { name: String },
    /// From one to another, both NULL for no value; NULL for the third unless
    /// that is what the document has.
    Ends {
        low: String,
        high: String,
        is_odd: String,
    },
    /// `{name}_x`
    Bool { name: String },
    /// Only the dataset itself tells.
    Unknown,
}

impl Column {
    /// The time range of a row.
    pub(super) fn time() -> Self {
        Column::ends("d.begin_us", "d.end_us", "d.begin_us IS NULL")
    }

    /// When a row was indexed.
    pub(super) fn indexed_time() -> Self {
        let added = "(extract(epoch FROM d.added) * 1000000)::bigint";
        Column::ends(added, added, "FALSE")
    }

    fn ends(low: &str, high: &str, is_odd: &str) -> Self {
        Column::Ends {
            low: low.to_owned(),
            high: high.to_owned(),
            is_odd: is_odd.to_owned(),
        }
    }

    /// A search field of a metadata type, or what the type names for every
    /// dataset; `name` is what its columns are called by.
    pub(super) fn of(
        metadata_type: &MetadataType,
        field: &str,
        name: &str,
        steps: &mut Steps,
    ) -> Self {
        let (kind, source) = match metadata_type.field(field) {
            Some(field) => (field.kind, field.source.clone()),
            None => {
                let system = SYSTEM_OFFSETS.iter().find(|(native, _)| *native == field);
                match system.and_then(|(_, offset)| metadata_type.offset(offset)) {
                    Some(offset) if field == "creation_time" => {
                        (FieldKind::Datetime, FieldSource::Offset(offset.to_vec()))
                    }
                    Some(offset) => return Column::system_text(name, offset, steps),
                    // No document of the type has it.
                    None => return Column::ends("NULL::float8", "NULL::float8", "FALSE"),
                }
            }
        };
        let offsets: Vec<&Vec<String>> = match &source {
            FieldSource::Offset(offset) => vec![offset],
            FieldSource::Range { min, max } => min.iter().chain(max).collect(),
        };
        // The model works that out of geometry and grids, not out of this.
        if offsets.iter().any(|offset| offset[0] == "extent") {
            return Column::Unknown;
        }
        match (kind, &source) {
            (FieldKind::String, FieldSource::Offset(offset)) => {
                let path = path(offset);
                steps.add(0, format!("d.metadata #>> {path} AS {name}_x"));
                steps.add(
                    0,
                    format!("jsonb_typeof(d.metadata #> {path}) = 'string' AS {name}_is_text"),
                );
                let name = name.to_owned();
                Column::Text { name }
            }
            (FieldKind::Boolean, FieldSource::Offset(offset)) => {
                steps.add(0, format!("d.metadata #> {} AS {name}_x", path(offset)));
                let name = name.to_owned();
                Column::Bool { name }
            }
            (FieldKind::Object, _) => Column::Unknown,
            (FieldKind::Datetime | FieldKind::DatetimeRange, source) => {
                Column::range(name, source, &instant_of, "bigint", steps)
            }
            (_, source) => Column::range(name, source, &number_of, "float8", steps),
        }
    }

    /// A text that counts only where it is one.
    fn system_text(name: &str, offset: &[String], steps: &mut Steps) -> Self {
        let path = path(offset);
        steps.add(
            0,
            format!(
                "CASE WHEN jsonb_typeof(d.metadata #> {path}) = 'string' \
                 THEN d.metadata #>> {path} END AS {name}_x"
            ),
        );
        steps.add(0, format!("TRUE AS {name}_is_text"));
        Column::Text {
            name: name.to_owned(),
        }
    }

    /// From the least of some values to the greatest of others.
    fn range(
        name: &str,
        source: &FieldSource,
        value: &dyn Fn(&[String]) -> String,
        of_type: &str,
        steps: &mut Steps,
    ) -> Self {
        let (min, max) = match source {
            FieldSource::Offset(offset) => (std::slice::from_ref(offset), [].as_slice()),
            FieldSource::Range { min, max } => (min.as_slice(), max.as_slice()),
        };
        let mut is_odd = Vec::new();
        for (nth, offset) in min.iter().chain(max).enumerate() {
            let path = path(offset);
            steps.add(0, format!("{} AS {name}_v{nth}", value(offset)));
            steps.add(
                0,
                format!(
                    "coalesce(jsonb_typeof(d.metadata #> {path}), 'null') <> 'null' \
                     AS {name}_h{nth}"
                ),
            );
            is_odd.push(format!("(d.{name}_h{nth} AND d.{name}_v{nth} IS NULL)"));
        }
        let of = |function: &str, from: usize, to: usize| {
            let values: Vec<String> = (from..to).map(|nth| format!("d.{name}_v{nth}")).collect();
            format!("{function}({})", values.join(", "))
        };
        let low = of("least", 0, min.len());
        let (low, high) = if max.is_empty() {
            (low.clone(), low)
        } else {
            let high = of("greatest", min.len(), min.len() + max.len());
            let (first, last) = if of_type == "bigint" {
                (i64::MIN.to_string(), i64::MAX.to_string())
            } else {
                ("-Infinity".to_owned(), "Infinity".to_owned())
            };
            // An end that is missing is open, unless both are.
            let end = |own: &str, open: &str| {
                format!(
                    "CASE WHEN coalesce({low}, {high}) IS NOT NULL \
                     THEN coalesce({own}, '{open}'::{of_type}) END"
                )
            };
            (end(&low, &first), end(&high, &last))
        };
        steps.add(1, format!("{low} AS {name}_low"));
        steps.add(1, format!("{high} AS {name}_high"));
        steps.add(1, format!("({}) AS {name}_is_odd", is_odd.join(" OR ")));
        Column::Ends {
            low: format!("d.{name}_low"),
            high: format!("d.{name}_high"),
            is_odd: format!("d.{name}_is_odd"),
        }
    }

    /// What a row has to satisfy: true, false or NULL for perhaps.
    pub(super) fn condition(&self, statement: &mut Statement, test: &Test) -> String {
        match test {
            Test::Not(test) => format!("(NOT {})", self.condition(statement, test)),
            Test::All(tests) => {
                let all: Vec<String> = tests.iter().map(|t| self.condition(statement, t)).collect();
                joined(&all, " AND ", "TRUE")
            }
            Test::Any(tests) => self.any(statement, tests),
            Test::Text(text) => self.text(statement, std::slice::from_ref(text)),
            Test::Number(low, high) => {
                let ends = (statement.bind(*low), statement.bind(*high));
                self.meets(&ends.0, &ends.1)
            }
            Test::Time(low, high) => {
                let ends = (statement.bind(*low), statement.bind(*high));
                self.meets(&ends.0, &ends.1)
            }
            Test::Bool(wanted) => match self {
                Column::Bool { name } => format!(
                    "(CASE coalesce(jsonb_typeof(d.{name}_x), 'null') WHEN 'null' THEN FALSE \
                     WHEN 'boolean' THEN d.{name}_x = '{wanted}'::jsonb END)"
                ),
                Column::Unknown => "NULL::boolean".to_owned(),
                _ => "FALSE".to_owned(),
            },
        }
    }

    fn any(&self, statement: &mut Statement, tests: &[Test]) -> String {
        let texts = Test::all_texts(tests);
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            return self.text(statement, &texts);
        }
        if tests.len() > MAX_ALTERNATIVES {
            let numbers = Test::all_numbers(tests);
            if let Some(numbers) = numbers {
                let (lows, highs): (Vec<f64>, Vec<f64>) = numbers.into_iter().unzip();
                let lists = (statement.list(lows), statement.list(highs));
                return self.meets_one_of(&lists.0, &lists.1);
            }
            let times = Test::all_times(tests);
            if let Some(times) = times {
                return self.times(statement, &times);
            }
        }
        let any: Vec<String> = tests.iter().map(|t| self.condition(statement, t)).collect();
        joined(&any, " OR ", "FALSE")
    }

    /// Meets one of some closed ranges of microseconds.
    pub(super) fn times(&self, statement: &mut Statement, times: &[(i64, i64)]) -> String {
        let (lows, highs): (Vec<i64>, Vec<i64>) = times.iter().copied().unzip();
        let lists = (statement.list(lows), statement.list(highs));
        self.meets_one_of(&lists.0, &lists.1)
    }

    fn text(&self, statement: &mut Statement, texts: &[String]) -> String {
        let Column::Text { name } = self else {
            return match self {
                Column::Unknown => "NULL::boolean".to_owned(),
                _ => "FALSE".to_owned(),
            };
        };
        let list = statement.list(texts.to_vec());
        let is_one = format!("coalesce(d.{name}_x = ANY({list}), FALSE)");
        if texts.iter().all(|text| is_told_by_text(text)) {
            return is_one;
        }
        format!("(CASE WHEN d.{name}_is_text IS NOT FALSE THEN {is_one} END)")
    }

    fn meets(&self, low: &str, high: &str) -> String {
        self.within(&|from, to| format!("{from} <= {high} AND {to} >= {low}"))
    }

    fn meets_one_of(&self, lows: &str, highs: &str) -> String {
        self.within(&|from, to| {
            format!(
                "EXISTS (SELECT FROM unnest({lows}, {highs}) AS w (low, high) \
                 WHERE {from} <= w.high AND {to} >= w.low)"
            )
        })
    }

    fn within(&self, test: &dyn Fn(&str, &str) -> String) -> String {
        match self {
            Column::Ends { low, high, is_odd } => format!(
                "(CASE WHEN NOT ({is_odd}) THEN coalesce({}, FALSE) END)",
                test(low, high)
            ),
            Column::Unknown => "NULL::boolean".to_owned(),
            _ => "FALSE".to_owned(),
        }
    }
}

/// Whether what PostgreSQL writes for a value is this text exactly when that is
/// what the model reads. The two write some numbers, and all lists and objects,
/// in different ways.
pub(super) fn is_told_by_text(text: &str) -> bool {
    let is_plain = text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
    let is_number = serde_json::from_str::<serde_json::Number>(text).is_ok();
    is_plain || !(is_number || text.starts_with(['{', '[']))
}

/// The number at a place; NULL for what is none.
fn number_of(offset: &[String]) -> String {
    let path = path(offset);
    format!(
        "(CASE WHEN jsonb_typeof(d.metadata #> {path}) = 'number' \
         THEN (d.metadata #>> {path})::float8 END)"
    )
}

/// The instant at a place, in microseconds; NULL for what is none.
fn instant_of(offset: &[String]) -> String {
    instant(&format!("(d.metadata #>> {})", path(offset)))
}

/// Conditions joined, or what none of them means.
pub(super) fn joined(conditions: &[String], by: &str, none: &str) -> String {
    match conditions {
        [] => none.to_owned(),
        [only] => only.clone(),
        several => format!("({})", several.join(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_written_in_one_way_only() {
        for (text, is_told) in [
            ("landsat-8", true),
            ("090084", true),
            ("89080", true),
            ("-5", true),
            ("1.5", false),
            ("1e3", false),
            ("nan", true),
            ("[1, 2]", false),
            ("true", true),
            ("", true),
        ] {
            assert_eq!(is_told_by_text(text), is_told, "{text}");
        }
    }
}
