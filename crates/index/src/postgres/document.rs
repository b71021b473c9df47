//! A dataset's document and location as Python's drivers store them.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/index/eo3.py` (`prep_eo3`),
//! `datacube/utils/uris.py` (`split_uri`).

use datacube_geo::Xy;
use datacube_model::Dataset;
use serde_json::{Map, Value, json};

/// What Python adds to an EO3 document when it indexes it.
const ADDED: [&str; 2] = ["extent", "grid_spatial"];

/// The document as Python stores it, in JSON.
pub(crate) fn stored_document(dataset: &Dataset) -> String {
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
pub(crate) fn as_written(mut document: Value) -> Value {
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

/// A location as Python splits it: scheme, and the rest.
///
/// # Source
/// datacube-core 1.9.22, `datacube/utils/uris.py` (`split_uri`).
pub(crate) fn split_uri(uri: &str) -> (Option<String>, String) {
    match uri.split_once(':') {
        Some((scheme, body)) => (Some(scheme.to_owned()), body.to_owned()),
        None => (None, uri.to_owned()),
    }
}

/// The location of those two parts.
pub(crate) fn joined_uri(scheme: Option<String>, body: Option<String>) -> Option<String> {
    let body = body?;
    Some(match scheme {
        Some(scheme) => format!("{scheme}:{body}"),
        None => body,
    })
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
