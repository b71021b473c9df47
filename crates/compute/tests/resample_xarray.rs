//! Periods and what they come to beside pandas' and xarray's
//! (`fixtures/reduce/make_resample.py`): labels, values, types; and anomalies.

use std::collections::BTreeMap;

use datacube_compute::{
    Coord, CoordValues, Coords, Cube, DataArray, Grouped, LocalCluster, Origin, Resample, Result,
    Side,
};
use datacube_model::DType;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    times: BTreeMap<String, Vec<i64>>,
    cases: Vec<Case>,
    anomalies: Vec<Anomaly>,
}

#[derive(Deserialize)]
struct Case {
    times: String,
    period: String,
    array: String,
    op: String,
    options: BTreeMap<String, String>,
    labels: Vec<i64>,
    dtype: String,
    values: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Anomaly {
    times: String,
    by: String,
    op: String,
    values: Vec<Option<f64>>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/reduce/resample.json")).unwrap()
}

/// 1, 2, 3 at these times.
fn input(times: &[i64], dtype: &str) -> DataArray {
    let dtype = DType::ALL.into_iter().find(|known| known.name() == dtype);
    let coords = Coords::from([("time", Coord::time("time", times.to_vec()))]);
    let values: Vec<f64> = (1..).take(times.len()).map(f64::from).collect();
    let array = DataArray::from_values("a", &["time"], &[times.len()], values, coords).unwrap();
    array.astype(dtype.unwrap())
}

fn side(text: &str) -> Side {
    match text {
        "left" => Side::Left,
        _ => Side::Right,
    }
}

fn origin(text: &str) -> Origin {
    match text {
        "epoch" => Origin::Epoch,
        "start" => Origin::Start,
        "start_day" => Origin::StartDay,
        "end" => Origin::End,
        "end_day" => Origin::EndDay,
        "2000-01-01T07:00" => Origin::At(946_710_000_000_000_000),
        other => panic!("{other}"),
    }
}

fn made(grouped: &Grouped, op: &str) -> Result<DataArray> {
    match op {
        "count" => grouped.count(),
        "any" => grouped.any(),
        "all" => grouped.all(),
        "sum" => grouped.sum(),
        "prod" => grouped.prod(),
        "mean" => grouped.mean(),
        "min" => grouped.min(),
        "max" => grouped.max(),
        "first" => grouped.first(),
        "last" => grouped.last(),
        "median" => grouped.median(),
        "var" => grouped.var(),
        "std" => grouped.std(),
        "quantile" => grouped.quantile(0.3),
        other => panic!("{other}"),
    }
}

fn same(ours: &[f64], theirs: &[Option<f64>]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(ours, theirs)| match theirs {
            Some(theirs) => (ours - theirs).abs() <= 1e-12 * theirs.abs().max(1.0),
            None => ours.is_nan(),
        })
}

#[test]
fn periods_are_those_of_pandas() {
    let fixture = fixture();
    assert!(fixture.cases.len() > 1000);
    let cluster = LocalCluster::builder().n_workers(1).start().unwrap();
    let mut wrong = Vec::new();
    for case in &fixture.cases {
        let what = format!(
            "{} of {} by {} {:?} of {}",
            case.op, case.array, case.period, case.options, case.times
        );
        let mut by = Resample::new(case.period.as_str());
        for (name, value) in &case.options {
            by = match name.as_str() {
                "closed" => by.closed(side(value)),
                "label" => by.label(side(value)),
                "offset" => by.offset(value.as_str()),
                _ => by.origin(origin(value)),
            };
        }
        let array = input(&fixture.times[&case.times], &case.array);
        let found = array
            .resample("time", by)
            .and_then(|grouped| made(&grouped, &case.op))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let CoordValues::Time(labels) = found.coord("time").unwrap().values() else {
            panic!("{what}: no times");
        };
        let theirs = case.dtype.as_str();
        let dtype = found.dtype().name();
        let values = found.astype(DType::Float64).compute_with(&cluster).unwrap();
        let values = values.to_vec::<f64>().unwrap();
        if *labels != case.labels || dtype != theirs || !same(&values, &case.values) {
            wrong.push(format!(
                "{what}: {dtype} {labels:?} {values:?} for {theirs} {:?} {:?}",
                case.labels, case.values
            ));
        }
    }
    let few = &wrong[..wrong.len().min(10)];
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        few.join("\n")
    );
}

#[test]
fn anomalies_are_those_of_xarray() {
    let fixture = fixture();
    for case in &fixture.anomalies {
        let array = input(&fixture.times[&case.times], "float64");
        let array = (&array * &array).named("a");
        let groups = array.groupby(&case.by).unwrap();
        let found = match case.op.as_str() {
            "sub" => &groups - &groups.mean().unwrap(),
            _ => &groups / &groups.max().unwrap(),
        };
        assert_eq!(found.dims(), ["time"]);
        assert_eq!(found.name(), Some("a"));
        let labels = found.coord("time").unwrap();
        assert!(labels.same_labels(array.coord("time").unwrap()));
        let values = found.compute().unwrap().to_vec::<f64>().unwrap();
        assert!(
            same(&values, &case.values),
            "{} {}: {values:?}",
            case.by,
            case.op
        );
    }
    assert!(!fixture.anomalies.is_empty());
    let array = input(&fixture.times["passes"], "float64");
    let periods = array.resample("time", "1MS").unwrap();
    let error = (&periods - &periods.mean().unwrap()).check().err().unwrap();
    assert!(error.to_string().contains("time.month"), "{error}");
}

#[test]
fn what_cannot_be_resampled_says_why() {
    let times = &fixture().times["passes"];
    let array = input(times, "int16");
    let check = |by: Resample, why: &str| {
        let error = array.resample("time", by).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    check("1M".into(), "`M` is written `ME`");
    check(Resample::new("ME").offset("6h"), "calendar");
    check(Resample::new("QS").origin(Origin::Epoch), "calendar");
    check(Resample::new("D").offset("MS"), "no length of time");
    check("1ns".into(), "longer");
    let none = array.isel("time", 0..0).unwrap();
    let none = none.resample("time", "W").unwrap().sum().unwrap();
    assert_eq!(none.compute().unwrap().shape(), [0]);
}

#[test]
fn cubes_group_every_variable_that_has_the_dimension() {
    let times = &fixture().times["passes"];
    let a = input(times, "int16");
    let flat = DataArray::from_values("flat", &["x"], &[2], vec![1u8, 2], Coords::new()).unwrap();
    let cube = Cube::new([("a", a.clone()), ("flat", flat.clone())]).unwrap();
    let monthly = cube.resample("time", "1MS").unwrap().mean().unwrap();
    let own = a.resample("time", "1MS").unwrap().mean().unwrap();
    assert!(monthly.get("a").unwrap().equals(&own).unwrap());
    assert!(monthly.get("flat").unwrap().identical(&flat).unwrap());
    let seasons = cube.groupby("time.season").unwrap().max().unwrap();
    let own = a.groupby("time.season").unwrap().max().unwrap();
    assert!(seasons.get("a").unwrap().equals(&own).unwrap());
    let anomalies = &cube.groupby("time.season").unwrap() - &seasons;
    let own = &a.groupby("time.season").unwrap() - &own;
    assert!(anomalies.get("a").unwrap().equals(&own).unwrap());
    assert!(anomalies.get("flat").unwrap().equals(&flat).unwrap());
    let rolled = cube.rolling("time", 3).unwrap().center().sum().unwrap();
    let own = a.rolling("time", 3).unwrap().center().sum().unwrap();
    assert!(rolled.get("a").unwrap().equals(&own).unwrap());
    let coarse = cube.coarsen(&[("time", 2)]).unwrap().mean().unwrap();
    let own = a.coarsen(&[("time", 2)]).unwrap().mean().unwrap();
    assert!(coarse.get("a").unwrap().equals(&own).unwrap());
    assert!(cube.resample("day", "1MS").is_err());
}
