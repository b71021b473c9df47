//! What the oracle says of a dataset, beside what an index answers.

use datacube_geo::{BoundingBox, Crs};
use datacube_index::{Index, IndexExt, Query};
use datacube_model::Dataset;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// Degrees by which ranges may be wider here.
///
/// DIFFERENCE: ODC projects the corners of an outline; here its edges are
/// made of many points first, so that the range holds all of it.
const WIDER: f64 = 0.05;

/// Something that is not as the oracle has it.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) id: Uuid,
    pub(crate) what: String,
    pub(crate) text: String,
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("a number, not {value}"))
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}

fn edges(b: BoundingBox) -> [f64; 4] {
    [b.left, b.bottom, b.right, b.top]
}

fn near(ours: &[f64], theirs: &[f64], tolerance: f64) -> bool {
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(a, b)| (a - b).abs() <= tolerance)
}

/// Everything that the row of the oracle says of a dataset, and the index says
/// otherwise.
pub(crate) async fn differences(index: &dyn Index, row: &Value) -> Vec<Difference> {
    let id: Uuid = row["id"].as_str().expect("an id").parse().expect("an id");
    let dataset = index.dataset(id).await.expect("it is there");
    let mut found = Vec::new();
    let mut check = |what: &str, is_same: bool, ours: String, theirs: &Value| {
        if !is_same {
            found.push(Difference {
                id,
                what: what.to_owned(),
                text: format!("{what} is {ours}, and for the oracle {theirs}"),
            });
        }
    };
    let theirs = |key: &str| -> Vec<f64> {
        row[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(number)
            .collect()
    };
    let crs = Crs::parse(row["crs"].as_str().expect("a CRS")).expect("a CRS");
    check(
        "crs",
        *dataset.crs() == crs,
        dataset.crs().to_string(),
        &row["crs"],
    );
    let (begin, end) = dataset.time_range();
    let range = (time(&row["time"][0]), time(&row["time"][1]));
    check(
        "time",
        (begin, end) == range,
        format!("{begin} {end}"),
        &row["time"],
    );
    let center = dataset.center_time();
    let same = center == time(&row["center_time"]);
    check("center_time", same, center.to_string(), &row["center_time"]);
    let bounds = edges(dataset.bounds());
    let same = near(&bounds, &theirs("native_bounds"), 1e-6);
    check(
        "native_bounds",
        same,
        format!("{bounds:?}"),
        &row["native_bounds"],
    );
    let area = dataset.extent().area();
    let same = (area - number(&row["extent_area"])).abs() <= 1e-9 * area;
    check("extent_area", same, area.to_string(), &row["extent_area"]);
    let kind = dataset.extent().to_geojson()["type"].clone();
    check(
        "extent_type",
        kind == row["extent_type"],
        kind.to_string(),
        &row["extent_type"],
    );
    let lonlat = edges(dataset.lonlat_bounds().expect("on Earth"));
    let same = near(&lonlat, &theirs("extent_lonlat"), WIDER);
    check(
        "extent_lonlat",
        same,
        format!("{lonlat:?}"),
        &row["extent_lonlat"],
    );

    // What the index works out of what it keeps.
    let only = Query::new().ids([id]);
    let times = index
        .temporal_extent(&only)
        .await
        .expect("read")
        .expect("it has a time");
    let same = (times.begin(), times.end()) == (Some(range.0), Some(range.1));
    check("temporal_extent", same, format!("{times:?}"), &row["time"]);
    let area = index
        .spatial_extent(&only, &Crs::wgs84())
        .await
        .expect("read");
    let area = edges(
        area.expect("it is somewhere")
            .bounding_box()
            .expect("an area"),
    );
    // What the reference has in its spatial index, where it has that.
    let key = ["spatial_4326", "extent_lonlat"]
        .into_iter()
        .find(|key| !row[key].is_null())
        .expect("one of them");
    let same = near(&area, &theirs(key), WIDER);
    check(key, same, format!("{area:?}"), &row[key]);
    fields(index, row, &dataset, &mut check).await;
    found
}

/// The search fields, as a search returns them.
async fn fields(
    index: &dyn Index,
    row: &Value,
    dataset: &Dataset,
    check: &mut impl FnMut(&str, bool, String, &Value),
) {
    let search = row["search"].as_object().expect("an object");
    let names: Vec<String> = search.keys().cloned().collect();
    let only = Query::new().ids([dataset.id()]);
    let rows: Vec<Vec<Value>> = index
        .search_returning(&only, &names)
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{dataset}: {error}"));
    let [values] = rows.as_slice() else {
        panic!("one dataset, not {rows:?}")
    };
    for ((name, theirs), ours) in search.iter().zip(values) {
        let text = theirs.as_str().expect("text");
        let same = match (name.as_str(), ours) {
            ("lat" | "lon", ours) => {
                let range: Vec<f64> = text
                    .split(['=', ',', ')'])
                    .filter_map(|part| part.parse().ok())
                    .collect();
                let own = [number(&ours["begin"]), number(&ours["end"])];
                near(&own, &range, WIDER) && own[0] <= range[0] + 1e-9 && own[1] >= range[1] - 1e-9
            }
            // Cut short in the oracle, which has it whole under `time`.
            ("time", ours) => {
                (time(&ours["begin"]), time(&ours["end"]))
                    == (time(&row["time"][0]), time(&row["time"][1]))
            }
            (_, Value::Null) => text == "None",
            ("region_code", ours) => ours == text,
            (_, Value::String(ours)) if ours == "NaN" => text == "nan",
            (_, Value::String(ours)) => ours == text,
            (_, Value::Number(ours)) => ours.as_f64() == text.parse().ok(),
            _ => false,
        };
        check(
            &format!("search.{name}"),
            same,
            ours.to_string(),
            &json!(text),
        );
    }
}
