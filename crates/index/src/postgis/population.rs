//! What goes into the tables of `odc` for a dataset, as Python puts it there.
//!
//! The document gets the parts that Python's reader relies on (`extent`,
//! `grid_spatial`); every search field goes to the table of its type, whatever
//! the metadata type says about indexing. A missing text is a row with a null
//! and a missing number or time one with a range that has no ends: without
//! the row, Python would leave the dataset out where the field is listed.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/index/eo3.py` (`prep_eo3`),
//! `datacube/drivers/postgis/{_api,_fields}.py` (`extract_dataset_fields`).

use datacube_geo::Xy;
use datacube_model::{Dataset, FieldKind, FieldValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::sql::MAX_INDEXED_TEXT;
use crate::record::{IndexedValue, Record, system_value};
use crate::time_range::micros;

/// What Python adds to an EO3 document when it indexes it.
const ADDED: [&str; 2] = ["extent", "grid_spatial"];

/// Rows of the three tables of search fields: name and value.
#[derive(Debug, Default)]
pub(super) struct SearchRows {
    pub(super) texts: Vec<(String, Option<String>)>,
    pub(super) numbers: Vec<(String, Option<f64>, Option<f64>)>,
    pub(super) times: Vec<(String, Option<i64>, Option<i64>)>,
}

/// The document as Python stores it, in JSON.
pub(super) fn stored_document(dataset: &Dataset) -> String {
    let document = dataset.document();
    let Some(map) = document.as_object().filter(|map| is_eo3(map)) else {
        return document.to_string();
    };
    let mut stored = map.clone();
    for key in ADDED {
        stored.shift_remove(key);
    }
    if let Some(bounds) = dataset.lonlat_bounds() {
        stored.insert(
            "extent".to_owned(),
            json!({
                "lat": {"begin": bounds.bottom, "end": bounds.top},
                "lon": {"begin": bounds.left, "end": bounds.right},
            }),
        );
    }
    stored.insert("grid_spatial".to_owned(), grid_spatial(dataset));
    Value::Object(stored).to_string()
}

/// A document that Python stored, without what it added.
pub(super) fn as_written(mut document: Value) -> Value {
    if let Value::Object(map) = &mut document
        && is_eo3(map)
    {
        for key in ADDED {
            map.shift_remove(key);
        }
    }
    document
}

fn is_eo3(document: &Map<String, Value>) -> bool {
    document.contains_key("$schema")
}

fn grid_spatial(dataset: &Dataset) -> Value {
    let document = dataset.document();
    let grid = dataset.default_grid();
    let (shape, affine) = (grid.shape(), grid.affine());
    #[allow(clippy::cast_precision_loss, reason = "the size of a raster")]
    let (n_rows, n_cols) = (shape.rows as f64, shape.cols as f64);
    let corner = |col: f64, row: f64| affine.apply(Xy { x: col, y: row });
    let (ul, ur) = (corner(0.0, 0.0), corner(n_cols, 0.0));
    let (lr, ll) = (corner(n_cols, n_rows), corner(0.0, n_rows));
    let point = |at: Xy| json!({"x": at.x, "y": at.y});
    let pair = |at: Xy| json!([at.x, at.y]);
    let valid_data = document
        .get("geometry")
        .filter(|geometry| !geometry.is_null())
        .cloned()
        .unwrap_or_else(|| {
            json!({
                "type": "Polygon",
                "coordinates": [[pair(ul), pair(ur), pair(lr), pair(ll), pair(ul)]],
            })
        });
    json!({"projection": {
        "spatial_reference": document.get("crs"),
        "geo_ref_points": {
            "ul": point(ul), "ur": point(ur), "lr": point(lr), "ll": point(ll),
        },
        "valid_data": valid_data,
    }})
}

impl SearchRows {
    /// The rows of a dataset.
    pub(super) fn of(dataset: &Dataset, record: &Record) -> Self {
        let metadata_type = dataset.product().metadata_type();
        let mut rows = SearchRows::default();
        for (name, offset) in [
            ("creation_time", "creation_dt"),
            ("format", "format"),
            ("label", "label"),
        ] {
            if metadata_type.field(name).is_some() {
                continue;
            }
            let found = metadata_type.system_value(offset, dataset.document());
            match found.and_then(|value| system_value(name, value)) {
                Some(IndexedValue::Time(begin, end)) => rows.time(name, Some(begin), Some(end)),
                Some(IndexedValue::Text(text)) => rows.text(name, Some(text)),
                _ if name == "creation_time" => rows.time(name, None, None),
                _ => rows.text(name, None),
            }
        }
        for (name, field) in metadata_type.fields() {
            match name.as_str() {
                "time" if field.kind == FieldKind::DatetimeRange => {
                    rows.time(name, Some(record.begin_us), Some(record.end_us));
                }
                "lat" | "lon" if field.kind.is_range() => {
                    if let Some(bounds) = dataset.lonlat_bounds() {
                        let (low, high) = if name == "lat" {
                            (bounds.bottom, bounds.top)
                        } else {
                            (bounds.left, bounds.right)
                        };
                        rows.number(name, Some(low), Some(high));
                    }
                }
                _ => rows.field(name, field.kind, dataset.field(name)),
            }
        }
        rows
    }

    fn field(&mut self, name: &str, kind: FieldKind, value: Option<&FieldValue>) {
        let end = |us: Option<Timestamp>| us.map(micros);
        match (kind, value) {
            (FieldKind::String, Some(FieldValue::Text(text))) => {
                self.text(name, Some(text.clone()));
            }
            (FieldKind::String, _) => self.text(name, None),
            (FieldKind::Numeric | FieldKind::Double | FieldKind::Integer, value) => match value {
                Some(FieldValue::Number(number)) => {
                    let number = number.as_f64();
                    // What is no number has no row.
                    if !number.is_nan() {
                        self.number(name, Some(number), Some(number));
                    }
                }
                _ => self.number(name, None, None),
            },
            (FieldKind::Boolean, Some(FieldValue::Bool(value))) => {
                let number = f64::from(u8::from(*value));
                self.number(name, Some(number), Some(number));
            }
            (FieldKind::Datetime, Some(FieldValue::Time(instant))) => {
                self.time(name, Some(micros(*instant)), Some(micros(*instant)));
            }
            (FieldKind::Datetime, _) => self.time(name, None, None),
            (_, Some(FieldValue::NumberRange { begin, end })) => {
                let ends = [begin, end].map(|end| end.as_ref().map(|n| n.as_f64()));
                if !ends.iter().flatten().any(|end| end.is_nan()) {
                    self.number(name, ends[0], ends[1]);
                }
            }
            (_, Some(FieldValue::TimeRange { begin, end: last })) => {
                self.time(name, end(*begin), end(*last));
            }
            // Python has no table for other types, nor for ranges without a value.
            _ => {}
        }
    }

    fn text(&mut self, name: &str, text: Option<String>) {
        // An entry of an index cannot be longer.
        let text = text.filter(|text| text.len() <= MAX_INDEXED_TEXT);
        self.texts.push((name.to_owned(), text));
    }

    fn number(&mut self, name: &str, low: Option<f64>, high: Option<f64>) {
        let finite = |end: Option<f64>| end.filter(|end| end.is_finite());
        let (low, high) = (finite(low), finite(high));
        let (low, high) = match (low, high) {
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            ends => ends,
        };
        self.numbers.push((name.to_owned(), low, high));
    }

    fn time(&mut self, name: &str, begin: Option<i64>, end: Option<i64>) {
        let (begin, end) = match (begin, end) {
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            ends => ends,
        };
        self.times.push((name.to_owned(), begin, end));
    }
}

/// A location as Python splits it: scheme, and the rest.
///
/// # Source
/// datacube-core 1.9.22, `datacube/utils/uris.py` (`split_uri`).
pub(super) fn split_uri(uri: &str) -> (Option<String>, String) {
    match uri.split_once(':') {
        Some((scheme, body)) => (Some(scheme.to_owned()), body.to_owned()),
        None => (None, uri.to_owned()),
    }
}

/// The location of those two parts.
pub(super) fn joined_uri(scheme: Option<String>, body: Option<String>) -> Option<String> {
    let body = body?;
    Some(match scheme {
        Some(scheme) => format!("{scheme}:{body}"),
        None => body,
    })
}

/// The values of a record as `datacube.dataset.fields` has them.
pub(super) fn fields_of(record: &Record) -> String {
    let number = |value: f64| {
        if value.is_finite() {
            json!(value)
        } else {
            // As PostgreSQL reads it.
            json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
        }
    };
    let values: Map<String, Value> = record
        .values
        .iter()
        .map(|(name, value)| {
            let value = match value {
                IndexedValue::Text(text) => json!(text),
                IndexedValue::Bool(value) => json!(value),
                IndexedValue::Number(low, high) => json!([number(*low), number(*high)]),
                IndexedValue::Time(low, high) => json!([low, high]),
            };
            (name.clone(), value)
        })
        .collect();
    Value::Object(values).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_split_as_python_does() {
        for (uri, scheme, body) in [
            ("file:///a/b.yaml", Some("file"), "///a/b.yaml"),
            ("s3://bucket/k#part=1", Some("s3"), "//bucket/k#part=1"),
            ("/data/b.yaml", None, "/data/b.yaml"),
        ] {
            let (a, b) = split_uri(uri);
            assert_eq!((a.as_deref(), b.as_str()), (scheme, body));
            assert_eq!(joined_uri(a, Some(b)).as_deref(), Some(uri));
        }
    }
}
