//! What is looked for in an index: a value with a builder.
//!
//! Every part narrows the result (they are AND-ed); a part that is left out
//! asks for nothing. Several values of one part are alternatives (OR-ed). A
//! query knows nothing of any index: names and types are checked when it is
//! run, against the products that are there.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Bound, RangeInclusive};

use datacube_geo::Geometry;
use indexmap::IndexMap;
use jiff::Timestamp;
use uuid::Uuid;

use crate::time_range::TimeRange;

/// Which datasets to find, and how many of them.
///
/// ```
/// use datacube_index::{FieldTest, Query};
///
/// let query = Query::new()
///     .product("ls8_c2l2")
///     .time("2020-03".parse()?)
///     .field("cloud_cover", FieldTest::at_most(20.0))
///     .field("platform", FieldTest::any_of(["landsat-8", "landsat-9"]))
///     .limit(100);
/// # assert_eq!(query.limit, Some(100));
/// # Ok::<(), datacube_index::Error>(())
/// ```
///
/// Results come ordered by the middle of their time range, then by id, unless
/// [`Query::order_by`] puts other fields before these, so that the same query over the same datasets gives the same list in every index,
/// and `limit` keeps the earliest.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Query {
    /// Names of products, any of which will do; empty for all.
    pub products: Vec<String>,
    /// Ids, any of which will do; `None` for all, an empty set finds nothing.
    pub ids: Option<BTreeSet<Uuid>>,
    /// Time ranges, any of which a dataset's own range has to meet; empty for all.
    pub times: Vec<TimeRange>,
    /// An area that the dataset's footprint has to share at least a point
    /// with, in any CRS; `None` for all, also for datasets without a footprint.
    pub geometry: Option<Geometry>,
    /// Search fields and what their values have to satisfy.
    pub fields: IndexMap<String, FieldTest>,
    /// Places, any of which one of the dataset's locations has to be; empty
    /// for all. Archived locations count only where archived datasets are
    /// asked for too.
    pub uris: Vec<UriMatch>,
    /// Whether archived datasets are found.
    pub archived: ArchivedFilter,
    /// What the result is ordered by, the first field first; after them, and
    /// without any, the middle of the time range and then the id decide.
    pub order: Vec<Order>,
    /// At most so many datasets, the first in order; `None` for all.
    pub limit: Option<usize>,
}

impl Query {
    /// Every active dataset.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a product to those that are searched.
    #[must_use]
    pub fn product(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !self.products.contains(&name) {
            self.products.push(name);
        }
        self
    }

    /// Adds several products to those that are searched.
    #[must_use]
    pub fn products<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        names.into_iter().fold(self, Query::product)
    }

    /// Adds ids to those that may be found; none at all finds nothing.
    #[must_use]
    pub fn ids(mut self, ids: impl IntoIterator<Item = Uuid>) -> Self {
        self.ids.get_or_insert_default().extend(ids);
        self
    }

    /// Adds a time range; a dataset has to meet one of those that were added.
    #[must_use]
    pub fn time(mut self, range: TimeRange) -> Self {
        self.times.push(range);
        self
    }

    /// Looks only where `geometry` lies; replaces an earlier area.
    ///
    /// The area may be in any CRS. It is carried over to longitude and
    /// latitude with its edges densified, so that an edge that is straight in
    /// its own CRS stays where it was. Longitudes may run past 180 degrees to
    /// cross the antimeridian: 170 to 190 is 20 degrees wide.
    #[must_use]
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = Some(geometry);
        self
    }

    /// Looks only where the search field passes `test`; tests of one field
    /// that are added one by one have to hold all of them.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, test: impl Into<FieldTest>) -> Self {
        let (name, test) = (name.into(), test.into());
        let test = match self.fields.shift_remove(&name) {
            None => test,
            Some(FieldTest::AllOf(mut tests)) => {
                tests.push(test);
                FieldTest::AllOf(tests)
            }
            Some(earlier) => FieldTest::AllOf(vec![earlier, test]),
        };
        self.fields.insert(name, test);
        self
    }

    /// Chooses active (the default), archived or all datasets.
    #[must_use]
    pub fn archived(mut self, filter: ArchivedFilter) -> Self {
        self.archived = filter;
        self
    }

    /// Adds a place to those that may be found.
    #[must_use]
    pub fn uri(mut self, place: UriMatch) -> Self {
        self.uris.push(place);
        self
    }

    /// Orders the result by a field, after those that were added before.
    ///
    /// Any search field will do, and `id`, `product`, `metadata_type`,
    /// `label`, `format`, `creation_time`, `indexed_time`, `archived` (when),
    /// `uri` (the first active location), `lat` and `lon` (the bounds of the
    /// footprint). Text is ordered by its code points; a range by its lower
    /// end, then by its upper. Datasets without a value come last, in either
    /// direction.
    #[must_use]
    pub fn order_by(mut self, order: Order) -> Self {
        self.order.push(order);
        self
    }

    /// Stops after so many datasets.
    #[must_use]
    pub fn limit(mut self, n_datasets: usize) -> Self {
        self.limit = Some(n_datasets);
        self
    }
}

/// A place where a dataset may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UriMatch {
    /// This location, letter for letter.
    Exact(String),
    /// Any location that begins so.
    Prefix(String),
}

impl UriMatch {
    pub(crate) fn accepts(&self, uri: &str) -> bool {
        match self {
            UriMatch::Exact(wanted) => uri == wanted,
            UriMatch::Prefix(start) => uri.starts_with(start.as_str()),
        }
    }
}

/// A field to order by, and which way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// The field.
    pub field: String,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

impl Order {
    /// The least value first.
    pub fn ascending(field: impl Into<String>) -> Self {
        Order {
            field: field.into(),
            descending: false,
        }
    }

    /// The greatest value first.
    pub fn descending(field: impl Into<String>) -> Self {
        Order {
            field: field.into(),
            descending: true,
        }
    }
}

/// Which datasets are found with regard to their being archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ArchivedFilter {
    /// Only those that are not archived.
    #[default]
    Active,
    /// Only those that are.
    Archived,
    /// Both.
    Any,
}

impl ArchivedFilter {
    pub(crate) fn accepts(self, is_archived: bool) -> bool {
        match self {
            ArchivedFilter::Active => !is_archived,
            ArchivedFilter::Archived => is_archived,
            ArchivedFilter::Any => true,
        }
    }
}

/// One value that a search field is compared with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scalar {
    /// Text, compared letter for letter.
    Text(String),
    /// A number; integers beyond 2^53 are compared as their nearest double.
    Number(f64),
    /// An instant, compared to the microsecond.
    Time(Timestamp),
    /// True or false.
    Bool(bool),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => write!(f, "text `{text}`"),
            Scalar::Number(number) => write!(f, "the number {number}"),
            Scalar::Time(instant) => write!(f, "the time {instant}"),
            Scalar::Bool(value) => write!(f, "`{value}`"),
        }
    }
}

/// What the value of a search field has to satisfy.
///
/// A field may hold one value or a range of them (`time` does); a range passes
/// when it shares a value with what is asked. A dataset that has no value for
/// the field passes no test but [`FieldTest::Not`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldTest {
    /// Is this value, or a range that contains it.
    ///
    /// On a field of times, text is taken as a period: `2020-02` is all of
    /// February.
    Is(Scalar),
    /// Lies between the two, or is a range that overlaps what lies between.
    Between(Bound<Scalar>, Bound<Scalar>),
    /// Passes at least one of the tests.
    AnyOf(Vec<FieldTest>),
    /// Passes all of the tests.
    AllOf(Vec<FieldTest>),
    /// Does not pass the test; datasets that have no value are included.
    Not(Box<FieldTest>),
}

impl FieldTest {
    /// Equal to `value`.
    pub fn is(value: impl Into<Scalar>) -> Self {
        FieldTest::Is(value.into())
    }

    /// From `low` to `high`, both included.
    pub fn between(low: impl Into<Scalar>, high: impl Into<Scalar>) -> Self {
        FieldTest::Between(Bound::Included(low.into()), Bound::Included(high.into()))
    }

    /// `low` or more.
    pub fn at_least(low: impl Into<Scalar>) -> Self {
        FieldTest::Between(Bound::Included(low.into()), Bound::Unbounded)
    }

    /// `high` or less.
    pub fn at_most(high: impl Into<Scalar>) -> Self {
        FieldTest::Between(Bound::Unbounded, Bound::Included(high.into()))
    }

    /// More than `low`.
    pub fn more_than(low: impl Into<Scalar>) -> Self {
        FieldTest::Between(Bound::Excluded(low.into()), Bound::Unbounded)
    }

    /// Less than `high`.
    pub fn less_than(high: impl Into<Scalar>) -> Self {
        FieldTest::Between(Bound::Unbounded, Bound::Excluded(high.into()))
    }

    /// Passes at least one of `tests`; plain values are tests for equality.
    pub fn any_of<T: Into<FieldTest>>(tests: impl IntoIterator<Item = T>) -> Self {
        FieldTest::AnyOf(tests.into_iter().map(Into::into).collect())
    }

    /// Does not pass `test`.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is a constructor beside the others"
    )]
    pub fn not(test: impl Into<FieldTest>) -> Self {
        FieldTest::Not(Box::new(test.into()))
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Scalar::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Scalar::Text(text)
    }
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Self {
        Scalar::Number(number)
    }
}

impl From<i32> for Scalar {
    fn from(number: i32) -> Self {
        Scalar::Number(number.into())
    }
}

impl From<i64> for Scalar {
    #[allow(clippy::cast_precision_loss, reason = "documented on `Scalar::Number`")]
    fn from(number: i64) -> Self {
        Scalar::Number(number as f64)
    }
}

impl From<Timestamp> for Scalar {
    fn from(instant: Timestamp) -> Self {
        Scalar::Time(instant)
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Scalar::Bool(value)
    }
}

impl<T: Into<Scalar>> From<T> for FieldTest {
    fn from(value: T) -> Self {
        FieldTest::Is(value.into())
    }
}

impl<T: Into<Scalar>> From<RangeInclusive<T>> for FieldTest {
    fn from(range: RangeInclusive<T>) -> Self {
        let (low, high) = range.into_inner();
        FieldTest::between(low, high)
    }
}

impl<T: Into<Scalar>> From<Vec<T>> for FieldTest {
    fn from(values: Vec<T>) -> Self {
        FieldTest::any_of(values.into_iter().map(|value| FieldTest::Is(value.into())))
    }
}

impl From<TimeRange> for FieldTest {
    fn from(range: TimeRange) -> Self {
        let bound = |end: Option<Timestamp>| match end {
            Some(instant) => Bound::Included(Scalar::Time(instant)),
            None => Bound::Unbounded,
        };
        FieldTest::Between(bound(range.begin()), bound(range.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_one_field_are_all_required() {
        let query = Query::new()
            .field("gsd", FieldTest::at_least(10.0))
            .field("gsd", FieldTest::less_than(30))
            .field("gsd", FieldTest::not(20.0));
        let FieldTest::AllOf(tests) = &query.fields["gsd"] else {
            panic!("{query:?}")
        };
        assert_eq!(tests.len(), 3);
    }

    #[test]
    fn values_lists_and_ranges_convert() {
        assert_eq!(
            FieldTest::from("x"),
            FieldTest::Is(Scalar::Text("x".to_owned()))
        );
        assert_eq!(
            FieldTest::from(vec!["x", "y"]),
            FieldTest::any_of(["x", "y"])
        );
        assert_eq!(FieldTest::from(0.0..=20.0), FieldTest::between(0.0, 20.0));
    }

    #[test]
    fn no_ids_is_not_any_id() {
        assert_eq!(Query::new().ids, None);
        assert_eq!(Query::new().ids([]).ids, Some(BTreeSet::new()));
    }

    #[test]
    fn products_are_named_once() {
        assert_eq!(Query::new().products(["a", "b", "a"]).products, ["a", "b"]);
    }
}
