//! A query made ready to be run: names looked up, types checked, everything in
//! the units of the index.
//!
//! Every index resolves a query here first, so that all of them accept,
//! refuse and mean the same; what is left to them is finding quickly what
//! [`Resolved::accepts`] accepts.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use datacube_model::{Location, Product};
use uuid::Uuid;

use crate::columns::{Column, Key};
use crate::error::{Error, Result};
use crate::fields::{self, FieldClass, SearchFields};
use crate::footprint::Area;
use crate::query::{ArchivedFilter, FieldTest, Query, Scalar, UriMatch};
use crate::record::{IndexedValue, Record};
use crate::time_range::{TimeRange, micros};

/// A query in the terms of an index.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Names of the products in which something may be found, ordered; `None`
    /// where every product may have it.
    pub(crate) products: Option<Vec<String>>,
    pub(crate) ids: Option<BTreeSet<Uuid>>,
    /// Closed ranges of microseconds, ordered and apart from each other; empty
    /// for any time.
    pub(crate) times: Vec<(i64, i64)>,
    pub(crate) area: Option<Area>,
    pub(crate) fields: Vec<(Target, Test)>,
    /// Any of which one of its locations has to match; empty for any place.
    pub(crate) uris: Vec<UriMatch>,
    pub(crate) archived: ArchivedFilter,
    /// What the result is ordered by, before the middle of the time range and
    /// the id.
    pub(crate) order: Vec<SortBy>,
    pub(crate) limit: Option<usize>,
}

/// A field that a result is ordered by; what has no value comes last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortBy {
    pub(crate) column: Column,
    pub(crate) descending: bool,
}

/// Where the value of a field is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Among the values of a record, under this name.
    Stored {
        name: String,
        /// Whether every product in question keeps it ready for search.
        indexed: bool,
        /// Whether its values may have two ends that differ.
        is_range: bool,
    },
    /// The time range of the dataset.
    Time,
    /// When the dataset was indexed.
    IndexedTime,
}

/// A test whose types are right; ranges are closed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Text(String),
    Number(f64, f64),
    Time(i64, i64),
    Bool(bool),
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
}

impl Test {
    /// The text that this asks for.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Test::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of tests that all ask for one.
    pub(crate) fn all_texts(tests: &[Test]) -> Option<Vec<String>> {
        let text = |test: &Test| test.as_text().map(str::to_owned);
        tests.iter().map(text).collect()
    }

    /// The closed ranges of tests that are all of numbers.
    pub(crate) fn all_numbers(tests: &[Test]) -> Option<Vec<(f64, f64)>> {
        let range = |test: &Test| match test {
            Test::Number(low, high) => Some((*low, *high)),
            _ => None,
        };
        tests.iter().map(range).collect()
    }

    /// The closed ranges of tests that are all of times, in microseconds.
    pub(crate) fn all_times(tests: &[Test]) -> Option<Vec<(i64, i64)>> {
        let range = |test: &Test| match test {
            Test::Time(low, high) => Some((*low, *high)),
            _ => None,
        };
        tests.iter().map(range).collect()
    }

    pub(crate) fn accepts(&self, value: Option<&IndexedValue>) -> bool {
        match (self, value) {
            (Test::Any(tests), value) => tests.iter().any(|test| test.accepts(value)),
            (Test::All(tests), value) => tests.iter().all(|test| test.accepts(value)),
            (Test::Not(test), value) => !test.accepts(value),
            (Test::Text(text), Some(IndexedValue::Text(value))) => text == value,
            (Test::Number(low, high), Some(IndexedValue::Number(from, to))) => {
                from <= high && to >= low
            }
            (Test::Time(low, high), Some(IndexedValue::Time(from, to))) => {
                from <= high && to >= low
            }
            (Test::Bool(wanted), Some(IndexedValue::Bool(value))) => wanted == value,
            _ => false,
        }
    }
}

impl Resolved {
    /// Checks a query against the products of an index.
    ///
    /// # Errors
    /// Unknown products and fields, tests of the wrong type, areas that have
    /// no place on the earth.
    pub(crate) fn new(query: &Query, products: &[Arc<Product>]) -> Result<Self> {
        let scope = fields::scope(products, &query.products)?;
        let area = query.geometry.as_ref().map(Area::of_query).transpose()?;
        let unknown = |field: &str| -> Result<Error> {
            Ok(Error::UnknownField {
                field: field.to_owned(),
                products: query.products.clone(),
                known: if scope.is_empty() {
                    Vec::new()
                } else {
                    SearchFields::of(products, &query.products)?.names()
                },
            })
        };
        for field in query.fields.keys() {
            if !scope
                .iter()
                .any(|p| fields::class_in(p.metadata_type(), field).is_some())
            {
                return Err(unknown(field)?);
            }
        }
        // A product that lacks a field has nothing to be found by it.
        let mut having: Vec<&Arc<Product>> = scope
            .into_iter()
            .filter(|product| {
                let has = |field| fields::class_in(product.metadata_type(), field).is_some();
                query.fields.keys().all(|field| has(field))
            })
            .collect();
        let order = query.order.iter().map(|order| {
            Ok(SortBy {
                column: Column::to_order_by(&order.field, query, products)?,
                descending: order.descending,
            })
        });
        let order = order.collect::<Result<Vec<_>>>()?;
        let mut tests = Vec::new();
        for (name, test) in &query.fields {
            let Some(class) = fields::common_class(name, &having)? else {
                continue;
            };
            let test = checked(name, class, test)?;
            let target = match name.as_str() {
                "product" | "metadata_type" => {
                    having.retain(|product| {
                        let metadata_type = product.metadata_type();
                        let is_product = name == "product";
                        let value = if is_product {
                            product.name()
                        } else {
                            metadata_type.name()
                        };
                        test.accepts(Some(&IndexedValue::Text(value.to_owned())))
                    });
                    continue;
                }
                "time" => Target::Time,
                "indexed_time" => Target::IndexedTime,
                _ => {
                    let declared = || having.iter().map(|p| p.metadata_type().field(name));
                    Target::Stored {
                        name: name.clone(),
                        indexed: declared().all(|field| field.is_some_and(|field| field.indexed)),
                        is_range: declared().flatten().any(|field| field.kind.is_range()),
                    }
                }
            };
            tests.push((target, test));
        }
        let products = (having.len() < products.len()).then(|| {
            let mut names: Vec<String> = having.iter().map(|p| p.name().to_owned()).collect();
            names.sort();
            names
        });
        Ok(Resolved {
            products,
            ids: query.ids.clone(),
            times: merged(&query.times)?,
            area,
            fields: tests,
            uris: query.uris.clone(),
            archived: query.archived,
            order,
            limit: query.limit,
        })
    }

    /// Whether nothing can be found, whatever the index holds.
    pub(crate) fn is_nothing(&self) -> bool {
        self.limit == Some(0)
            || self.products.as_ref().is_some_and(Vec::is_empty)
            || self.ids.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Which of two datasets comes first, by the values of the fields that
    /// the result is ordered by.
    pub(crate) fn compare(&self, a: &[Option<Key>], b: &[Option<Key>]) -> Ordering {
        let each = self.order.iter().zip(a.iter().zip(b));
        each.map(|(by, (a, b))| match (a, b) {
            (Some(a), Some(b)) if by.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            // None comes last.
            (a, b) => b.is_some().cmp(&a.is_some()),
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
    }

    /// Whether a dataset in these places is to be found.
    pub(crate) fn accepts_locations(&self, locations: &[Location]) -> bool {
        self.uris.is_empty()
            || locations
                .iter()
                .filter(|place| place.is_active() || self.archived != ArchivedFilter::Active)
                .any(|place| self.uris.iter().any(|wanted| wanted.accepts(&place.uri)))
    }

    /// Whether a dataset is to be found, as far as its record tells.
    pub(crate) fn accepts(&self, record: &Record, is_archived: bool, indexed_us: i64) -> bool {
        let in_time = || {
            self.times.is_empty()
                || self
                    .times
                    .iter()
                    .any(|(low, high)| record.begin_us <= *high && record.end_us >= *low)
        };
        let of_product = || match &self.products {
            Some(names) => names.binary_search(&record.product).is_ok(),
            None => true,
        };
        let in_fields = || {
            self.fields.iter().all(|(target, test)| match target {
                Target::Stored { name, .. } => test.accepts(record.value(name)),
                Target::Time => {
                    test.accepts(Some(&IndexedValue::Time(record.begin_us, record.end_us)))
                }
                Target::IndexedTime => {
                    test.accepts(Some(&IndexedValue::Time(indexed_us, indexed_us)))
                }
            })
        };
        let in_area = || match (&self.area, &record.footprint) {
            (None, _) => true,
            (Some(area), Some(footprint)) => area.meets(footprint),
            (Some(_), None) => false,
        };
        self.archived.accepts(is_archived)
            && of_product()
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && in_time()
            && in_fields()
            && in_area()
    }
}

/// Overlapping ranges joined.
fn merged(times: &[TimeRange]) -> Result<Vec<(i64, i64)>> {
    let mut ranges: Vec<(i64, i64)> = times.iter().map(TimeRange::micros).collect();
    if let Some((low, high)) = ranges.iter().find(|(low, high)| low > high) {
        return Err(Error::invalid_query(format!(
            "the time range {low} to {high} is reversed"
        )));
    }
    ranges.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match out.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => out.push((low, high)),
        }
    }
    // Everything is the same as no condition.
    if out == [(i64::MIN, i64::MAX)] {
        out.clear();
    }
    Ok(out)
}

/// A test against a field of a class.
pub(crate) fn checked(field: &str, class: FieldClass, test: &FieldTest) -> Result<Test> {
    let all = |tests: &[FieldTest]| -> Result<Vec<Test>> {
        tests
            .iter()
            .map(|test| checked(field, class, test))
            .collect()
    };
    match test {
        FieldTest::AnyOf(tests) => Ok(Test::Any(all(tests)?)),
        FieldTest::AllOf(tests) => Ok(Test::All(all(tests)?)),
        FieldTest::Not(test) => Ok(Test::Not(Box::new(checked(field, class, test)?))),
        FieldTest::Is(value) => equal(field, class, value),
        FieldTest::Between(low, high) => between(field, class, low, high),
    }
}

fn wrong_type(field: &str, class: FieldClass, given: String) -> Error {
    match class {
        FieldClass::Degrees => Error::invalid_query(format!(
            "`{field}` is searched as an area; give the query a geometry in longitude and \
             latitude instead"
        )),
        FieldClass::Id => Error::invalid_query("ids are searched through `Query::ids`".to_owned()),
        _ => Error::WrongFieldType {
            field: field.to_owned(),
            expected: class.to_string(),
            given,
        },
    }
}

fn equal(field: &str, class: FieldClass, value: &Scalar) -> Result<Test> {
    match (class, value) {
        (FieldClass::Text, Scalar::Text(text)) => Ok(Test::Text(text.clone())),
        (FieldClass::Number, Scalar::Number(number)) if !number.is_nan() => {
            Ok(Test::Number(*number + 0.0, *number + 0.0))
        }
        (FieldClass::Time, Scalar::Time(instant)) => {
            let us = micros(*instant);
            Ok(Test::Time(us, us))
        }
        (FieldClass::Time, Scalar::Text(period)) => {
            let (low, high) = period.parse::<TimeRange>()?.micros();
            Ok(Test::Time(low, high))
        }
        (FieldClass::Bool, Scalar::Bool(value)) => Ok(Test::Bool(*value)),
        (class, value) => Err(wrong_type(field, class, value.to_string())),
    }
}

fn between(
    field: &str,
    class: FieldClass,
    low: &Bound<Scalar>,
    high: &Bound<Scalar>,
) -> Result<Test> {
    let shown = |bound: &Bound<Scalar>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => value.to_string(),
        Bound::Unbounded => "no bound".to_owned(),
    };
    let refuse = || wrong_type(field, class, format!("{} to {}", shown(low), shown(high)));
    let test = match class {
        FieldClass::Number => {
            let number = |bound: &Bound<Scalar>, beyond: fn(f64) -> f64, open: f64| match bound {
                Bound::Unbounded => Some(open),
                Bound::Included(Scalar::Number(value)) if !value.is_nan() => Some(*value),
                Bound::Excluded(Scalar::Number(value)) if !value.is_nan() => Some(beyond(*value)),
                _ => None,
            };
            let low = number(low, f64::next_up, f64::NEG_INFINITY).ok_or_else(refuse)?;
            let high = number(high, f64::next_down, f64::INFINITY).ok_or_else(refuse)?;
            // Adding zero makes a negative zero positive.
            (low <= high).then_some(Test::Number(low + 0.0, high + 0.0))
        }
        FieldClass::Time => {
            let low = time_bound(low, true)?.ok_or_else(refuse)?;
            let high = time_bound(high, false)?.ok_or_else(refuse)?;
            (low <= high).then_some(Test::Time(low, high))
        }
        _ => return Err(refuse()),
    };
    test.ok_or_else(|| {
        Error::invalid_query(format!(
            "the range of `{field}` from {} to {} is empty; exchange its ends",
            shown(low),
            shown(high)
        ))
    })
}

/// The closed end of a range of times; `None` for what is no time.
fn time_bound(bound: &Bound<Scalar>, is_low: bool) -> Result<Option<i64>> {
    let ends = |value: &Scalar| -> Result<Option<(i64, i64)>> {
        match value {
            Scalar::Time(instant) => Ok(Some((micros(*instant), micros(*instant)))),
            Scalar::Text(period) => Ok(Some(period.parse::<TimeRange>()?.micros())),
            _ => Ok(None),
        }
    };
    Ok(match bound {
        Bound::Unbounded => Some(if is_low { i64::MIN } else { i64::MAX }),
        Bound::Included(value) => ends(value)?.map(|(low, high)| if is_low { low } else { high }),
        Bound::Excluded(value) => ends(value)?.map(|(low, high)| {
            if is_low {
                high.saturating_add(1)
            } else {
                low.saturating_sub(1)
            }
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(class: FieldClass, test: impl Into<FieldTest>, value: IndexedValue, passes: bool) {
        let test = test.into();
        let resolved = checked("f", class, &test).unwrap_or_else(|e| panic!("{test:?}: {e}"));
        assert_eq!(resolved.accepts(Some(&value)), passes, "{test:?} {value:?}");
        let negated = checked("f", class, &FieldTest::not(test.clone())).expect("it was right");
        assert_eq!(
            negated.accepts(Some(&value)),
            !passes,
            "not {test:?} {value:?}"
        );
        assert!(!resolved.accepts(None) && negated.accepts(None), "{test:?}");
    }

    #[test]
    fn ranges_overlap_and_values_lie_within() {
        use IndexedValue::Number;
        let class = FieldClass::Number;
        check(class, 20.0, Number(20.0, 20.0), true);
        check(class, 20.0, Number(0.0, 30.0), true);
        check(class, FieldTest::between(0, 20), Number(20.0, 20.0), true);
        check(class, FieldTest::less_than(20), Number(20.0, 20.0), false);
        check(
            class,
            FieldTest::less_than(20),
            Number(19.999, 19.999),
            true,
        );
        check(class, FieldTest::more_than(20), Number(0.0, 20.0), false);
        check(class, FieldTest::more_than(20), Number(0.0, 20.5), true);
        check(class, vec![1, 2, 3], Number(2.0, 2.0), true);
        check(class, vec![1, 2, 3], Number(2.5, 2.5), false);
        check(class, Vec::<i32>::new(), Number(2.5, 2.5), false);
    }

    #[test]
    fn a_period_is_a_range_of_times() {
        let us = |text: &str| micros(text.parse().expect("a timestamp"));
        let at = |text: &str| IndexedValue::Time(us(text), us(text));
        check(
            FieldClass::Time,
            "2020-02",
            at("2020-02-29T23:59:59.999999Z"),
            true,
        );
        check(
            FieldClass::Time,
            "2020-02",
            at("2020-03-01T00:00:00Z"),
            false,
        );
        check(
            FieldClass::Time,
            FieldTest::more_than("2020-02"),
            at("2020-02-29T12:00:00Z"),
            false,
        );
        check(
            FieldClass::Time,
            FieldTest::at_least("2020-02"),
            at("2020-02-01T00:00:00Z"),
            true,
        );
        check(
            FieldClass::Time,
            FieldTest::less_than("2020"),
            at("2020-01-01T00:00:00Z"),
            false,
        );
        check(
            FieldClass::Time,
            FieldTest::at_most("2020"),
            at("2020-12-31T23:00:00Z"),
            true,
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let refused = |class, test: FieldTest| {
            checked("cloud", class, &test)
                .expect_err("it does not fit")
                .to_string()
        };
        assert_eq!(
            refused(FieldClass::Number, "high".into()),
            "search field `cloud` holds numbers, so text `high` cannot be compared with it"
        );
        assert!(refused(FieldClass::Text, 3.into()).contains("holds text"));
        assert!(refused(FieldClass::Text, FieldTest::between("a", "b")).contains("holds text"));
        assert!(refused(FieldClass::Bool, FieldTest::at_least(1)).contains("true or false"));
        assert!(refused(FieldClass::Number, f64::NAN.into()).contains("NaN"));
        assert!(refused(FieldClass::Number, FieldTest::between(2, 1)).contains("exchange"));
        assert!(refused(FieldClass::Time, "soon".into()).contains("no time"));
        assert!(refused(FieldClass::Degrees, 5.into()).contains("geometry"));
        assert!(refused(FieldClass::Object, "x".into()).contains("objects"));
    }

    #[test]
    fn times_are_joined() {
        let ranges = |texts: &[&str]| {
            let times: Vec<TimeRange> = texts.iter().map(|t| t.parse().expect("a time")).collect();
            merged(&times).expect("they are in order").len()
        };
        assert_eq!(ranges(&["2020-02", "2020-01", "2020-04"]), 2);
        assert_eq!(ranges(&["2020", "2020-01"]), 1);
        let all = TimeRange::since(jiff::Timestamp::MIN);
        assert_eq!(merged(&[all]).expect("in order").len(), 1);
    }
}
