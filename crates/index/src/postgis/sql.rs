//! Conditions of a resolved query as SQL, with their parameters.
//!
//! Values never stand in the text. `d` is a row of `datacube.dataset`, or what
//! stands for one where this program has no schema of its own.

use sqlx::postgres::{PgHasArrayType, Postgres};
use sqlx::{Encode, Type};

use super::geometry;
use crate::footprint::{Footprint, LonLatBox};
use crate::postgres::Statement;
use crate::query::{ArchivedFilter, UriMatch};
use crate::resolve::{Resolved, Target, Test};

/// More boxes than this (over areas and products) are looked for as one.
const MAX_BOXES: usize = 24;

/// More ranges than this are compared as a list.
const MAX_RANGES: usize = 8;

/// Texts longer than this are not among the indexed ones.
pub(super) const MAX_INDEXED_TEXT: usize = 2000;

impl Statement {
    /// What every row has to satisfy, whether it is derived or not: product,
    /// ids, time, locations and being archived; joined by AND, never empty.
    pub(super) fn base_conditions(
        &mut self,
        resolved: &Resolved,
        products: Option<&[i16]>,
        is_own: bool,
    ) -> String {
        let mut all = vec!["TRUE".to_owned()];
        match products {
            None => {}
            Some([product]) => all.push(format!("d.product = {}", self.bind(*product))),
            Some(products) => {
                let list = self.list(products.to_vec());
                all.push(format!("d.product = ANY({list})"));
            }
        }
        if let Some(ids) = &resolved.ids {
            let list = self.list(ids.iter().copied().collect::<Vec<_>>());
            all.push(format!("d.id = ANY({list})"));
        }
        match resolved.archived {
            ArchivedFilter::Active => all.push("d.archived_us IS NULL".to_owned()),
            ArchivedFilter::Archived => all.push("d.archived_us IS NOT NULL".to_owned()),
            ArchivedFilter::Any => {}
        }
        match resolved.times.as_slice() {
            [] => {}
            times if times.len() <= MAX_RANGES => {
                let ranges: Vec<String> = times
                    .iter()
                    .map(|(low, high)| self.overlaps("d.begin_us", "d.end_us", *low, *high))
                    .collect();
                all.push(any(&ranges));
            }
            times => {
                let (lows, highs) = times.iter().copied().unzip();
                all.push(self.meets_one_of("d.begin_us", "d.end_us", lows, highs));
            }
        }
        if !resolved.uris.is_empty() {
            let places: Vec<String> = resolved
                .uris
                .iter()
                .map(|place| self.location_condition(place, resolved.archived, is_own))
                .collect();
            all.push(any(&places));
        }
        all.join(" AND ")
    }

    /// The row has a location that matches.
    fn location_condition(
        &mut self,
        place: &UriMatch,
        archived: ArchivedFilter,
        is_own: bool,
    ) -> String {
        let (wanted, pattern, is_prefix) = match place {
            UriMatch::Exact(uri) => (uri, cut(uri).to_owned(), false),
            UriMatch::Prefix(start) => (start, format!("{}%", escaped(cut(start))), true),
        };
        let (wanted, pattern) = (self.bind(wanted.clone()), self.bind(pattern));
        let matches = |uri: &str, short: &str| {
            if is_prefix {
                format!("{short} LIKE {pattern} AND starts_with({uri}, {wanted})")
            } else {
                format!("{short} = {pattern} AND {uri} = {wanted}")
            }
        };
        let uri = "coalesce(o.uri_scheme::text || ':'::text, ''::text) || o.uri_body::text";
        let only = matches(&format!("({uri})"), &format!("left({uri}, 512)"));
        if !is_own {
            return format!("d.id IN (SELECT o.id FROM odc.dataset AS o WHERE {only})");
        }
        let of_several = matches("l.uri", "left(l.uri, 512)");
        let active = if archived == ArchivedFilter::Active {
            "l.archived_us IS NULL"
        } else {
            "TRUE"
        };
        format!(
            "(d.id IN (SELECT o.id FROM odc.dataset AS o WHERE {only} AND NOT EXISTS \
                 (SELECT FROM datacube.location AS l WHERE l.dataset = o.id)) \
              OR d.id IN (SELECT l.dataset FROM datacube.location AS l \
                 WHERE {of_several} AND {active}))"
        )
    }

    /// What a derived row has to satisfy besides: its fields.
    pub(super) fn field_conditions(&mut self, resolved: &Resolved) -> String {
        let mut all = vec!["TRUE".to_owned()];
        for (target, test) in &resolved.fields {
            let value = match target {
                Target::Time => Value::Ends("d.begin_us", "d.end_us"),
                Target::IndexedTime => Value::Ends("d.indexed_us", "d.indexed_us"),
                Target::Stored { name, is_range, .. } => Value::Field {
                    name: self.bind(name.clone()),
                    is_range: *is_range,
                },
            };
            all.push(self.test(&value, test));
        }
        all.join(" AND ")
    }

    /// The box of a row, in place, time and product, meets the area.
    pub(super) fn place_condition(
        &mut self,
        area: &Footprint,
        times: &[(i64, i64)],
        products: Option<&[i16]>,
    ) -> String {
        let mut boxes = area.search_boxes();
        let mut spans: Vec<(i16, i16)> = match products {
            None => vec![(i16::MIN, i16::MAX)],
            Some(products) => products
                .iter()
                .map(|product| (*product, *product))
                .collect(),
        };
        if 2 * boxes.len() * spans.len() > MAX_BOXES {
            let low = spans.iter().map(|span| span.0).min().unwrap_or(i16::MIN);
            let high = spans.iter().map(|span| span.1).max().unwrap_or(i16::MAX);
            spans = vec![(low, high)];
        }
        if 2 * boxes.len() > MAX_BOXES {
            boxes = area.search_bounds();
        }
        let hull = times.first().zip(times.last());
        let (begin, end) = hull.map_or((i64::MIN, i64::MAX), |(a, b)| (a.0, b.1));
        let mut all = Vec::new();
        for span in spans {
            for bounds in &boxes {
                // East of 180 the box of a row is where it would be a turn before.
                for shift in [0.0, 360.0] {
                    let bounds = LonLatBox {
                        west: bounds.west + shift,
                        east: bounds.east + shift,
                        ..*bounds
                    };
                    let place = self.bind(geometry::place(&bounds, (begin, end), span));
                    all.push(format!("d.place &&& ST_GeomFromEWKB({place})"));
                }
            }
        }
        any(&all)
    }

    /// The extent that Python indexed comes near the area; `None` where it may
    /// be wrong: Python's extents are not to be trusted near the poles.
    pub(super) fn python_extent_condition(&mut self, area: &Footprint) -> Option<String> {
        let boxes: Vec<LonLatBox> = area.search_bounds();
        if boxes.iter().any(|b| b.north > 75.0 || b.south < -75.0) {
            return None;
        }
        let boxes: Vec<String> = boxes
            .iter()
            .map(|b| {
                let margin = 0.5 + (b.east - b.west).max(b.north - b.south) * 0.05;
                let [west, south, east, north] = [
                    b.west - margin,
                    b.south - margin,
                    b.east + margin,
                    b.north + margin,
                ]
                .map(|value| self.bind(value));
                format!("s.extent && ST_MakeEnvelope({west}, {south}, {east}, {north}, 4326)")
            })
            .collect();
        Some(format!(
            "EXISTS (SELECT FROM odc.spatial_4326 AS s WHERE s.dataset_ref = d.id AND {})",
            any(&boxes)
        ))
    }

    /// Conditions that the index of texts answers; they ask for less than
    /// [`Self::field_conditions`] does. `None` where there is none.
    pub(super) fn indexed_texts(&mut self, resolved: &Resolved) -> Option<String> {
        let mut all = Vec::new();
        for (target, test) in &resolved.fields {
            let Target::Stored { name, .. } = target else {
                continue;
            };
            let tests = match test {
                Test::All(tests) => tests.as_slice(),
                test => std::slice::from_ref(test),
            };
            for test in tests {
                let texts: Option<Vec<&str>> = match test {
                    Test::Text(text) => Some(vec![text]),
                    Test::Any(tests) if !tests.is_empty() => {
                        tests.iter().map(Test::as_text).collect()
                    }
                    _ => None,
                };
                let Some(texts) =
                    texts.filter(|texts| texts.iter().all(|text| text.len() <= MAX_INDEXED_TEXT))
                else {
                    continue;
                };
                let key = self.bind(name.clone());
                let list = self.list(texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
                all.push(format!(
                    "d.id IN (SELECT s.dataset_ref FROM odc.dataset_search_string AS s \
                     WHERE s.search_key = {key} AND s.search_val = ANY({list}))"
                ));
            }
        }
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    fn overlaps(&mut self, low_column: &str, high_column: &str, low: i64, high: i64) -> String {
        let mut sides = Vec::new();
        if high != i64::MAX {
            sides.push(format!("{low_column} <= {}", self.bind(high)));
        }
        if low != i64::MIN {
            sides.push(format!("{high_column} >= {}", self.bind(low)));
        }
        if sides.is_empty() {
            "TRUE".to_owned()
        } else {
            format!("({})", sides.join(" AND "))
        }
    }

    fn meets_one_of<T>(&mut self, low: &str, high: &str, lows: Vec<T>, highs: Vec<T>) -> String
    where
        Vec<T>: for<'q> Encode<'q, Postgres> + Type<Postgres>,
        T: PgHasArrayType,
    {
        let (lows, highs) = (self.list(lows), self.list(highs));
        format!(
            "EXISTS (SELECT FROM unnest({lows}, {highs}) AS r (low, high) \
             WHERE {low} <= r.high AND {high} >= r.low)"
        )
    }

    /// A test of a value that may be missing: true or false, never null.
    fn test(&mut self, value: &Value, test: &Test) -> String {
        match test {
            Test::Any(tests) => self.any_test(value, tests),
            Test::All(tests) if tests.is_empty() => "TRUE".to_owned(),
            Test::All(tests) => {
                let tests: Vec<String> = tests.iter().map(|test| self.test(value, test)).collect();
                format!("({})", tests.join(" AND "))
            }
            Test::Not(test) => format!("NOT {}", self.test(value, test)),
            Test::Text(text) => {
                let text = self.bind(text.clone());
                format!("coalesce({} = {text}, FALSE)", value.text())
            }
            Test::Bool(wanted) => {
                let wanted = self.bind(*wanted);
                format!("coalesce({} = {wanted}::text, FALSE)", value.text())
            }
            Test::Number(low, high) => {
                let (low, high) = (self.bind(*low), self.bind(*high));
                value.guarded("float8", |from, to| {
                    format!("{from} <= {high} AND {to} >= {low}")
                })
            }
            Test::Time(low, high) => {
                let (low, high) = (self.bind(*low), self.bind(*high));
                value.guarded("numeric", |from, to| {
                    format!("{from} <= {high} AND {to} >= {low}")
                })
            }
        }
    }

    fn any_test(&mut self, value: &Value, tests: &[Test]) -> String {
        let texts = Test::all_texts(tests);
        if let Some(texts) = texts {
            let list = self.list(texts);
            return format!("coalesce({} = ANY({list}), FALSE)", value.text());
        }
        if tests.len() > MAX_RANGES {
            let numbers = Test::all_numbers(tests);
            let is_single = matches!(
                value,
                Value::Field {
                    is_range: false,
                    ..
                }
            );
            if let Some(ranges) = &numbers
                && is_single
                && ranges
                    .iter()
                    .all(|(low, high)| low.to_bits() == high.to_bits())
            {
                // The server looks these up in a table made of the list.
                let list = self.list(ranges.iter().map(|(low, _)| *low).collect::<Vec<f64>>());
                return value.guarded("float8", |from, _| format!("{from} = ANY({list})"));
            }
            if let Some(ranges) = numbers {
                let (lows, highs) = ranges.into_iter().unzip();
                return value.guarded("float8", |from, to| {
                    self.meets_one_of(from, to, lows, highs)
                });
            }
            let times = Test::all_times(tests);
            if let Some(ranges) = times {
                let (lows, highs) = ranges.into_iter().unzip();
                return value.guarded("numeric", |from, to| {
                    self.meets_one_of(from, to, lows, highs)
                });
            }
        }
        let tests: Vec<String> = tests.iter().map(|test| self.test(value, test)).collect();
        any(&tests)
    }
}

/// Where a value stands.
enum Value {
    /// In two columns.
    Ends(&'static str, &'static str),
    /// In `d.fields`.
    Field {
        /// The parameter that holds the name.
        name: String,
        /// Whether the two ends may differ.
        is_range: bool,
    },
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Ends(low, _) => (*low).to_owned(),
            Value::Field { name, .. } => format!("(d.fields ->> {name})"),
        }
    }

    /// A condition on both ends; false where there is no such value. What has
    /// another type in rows of other products is not cast.
    fn guarded(&self, cast: &str, condition: impl FnOnce(&str, &str) -> String) -> String {
        match self {
            Value::Ends(low, high) => format!("({})", condition(low, high)),
            Value::Field { name, .. } => {
                let end = |i: u8| format!("(d.fields -> {name} ->> {i})::{cast}");
                format!(
                    "(CASE WHEN jsonb_typeof(d.fields -> {name}) = 'array' THEN {} ELSE FALSE END)",
                    condition(&end(0), &end(1))
                )
            }
        }
    }
}

/// As much of a location as the indexes hold.
fn cut(uri: &str) -> &str {
    uri.char_indices()
        .nth(512)
        .map_or(uri, |(at, _)| &uri[..at])
}

/// Text for LIKE that means itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Joined by OR.
pub(super) fn any(conditions: &[String]) -> String {
    match conditions {
        [] => "FALSE".to_owned(),
        [one] => one.clone(),
        several => format!("({})", several.join(" OR ")),
    }
}
