//! Reductions, groups, windows and scans beside xarray's
//! (`fixtures/reduce/make_reduce.py`): values, types, dimensions.

use datacube_compute::{
    Coord, Coords, DataArray, LocalCluster, ReduceOp, Reduction, Result, Serial,
};
use datacube_model::DType;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Fixture {
    time: Vec<i64>,
    arrays: std::collections::BTreeMap<String, Vec<Option<f64>>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    array: String,
    call: Vec<Value>,
    dims: Vec<String>,
    shape: Vec<usize>,
    dtype: String,
    values: Vec<Option<f64>>,
}

fn op(value: &Value) -> ReduceOp {
    match value.as_str().unwrap() {
        "sum" => ReduceOp::Sum,
        "prod" => ReduceOp::Prod,
        "mean" => ReduceOp::Mean,
        "min" => ReduceOp::Min,
        "max" => ReduceOp::Max,
        "var" => ReduceOp::Var,
        "std" => ReduceOp::Std,
        "count" => ReduceOp::Count,
        "any" => ReduceOp::Any,
        "all" => ReduceOp::All,
        "median" => ReduceOp::Median,
        "first" => ReduceOp::First,
        other => panic!("{other}"),
    }
}

fn input(fixture: &Fixture, dtype: &str) -> DataArray {
    let values: Vec<f64> = (fixture.arrays[dtype].iter())
        .map(|value| value.unwrap_or(f64::NAN))
        .collect();
    let coords = Coords::from([
        ("time", Coord::time("time", fixture.time.clone())),
        ("x", Coord::float("x", vec![0.0, 30.0, 60.0, 90.0, 120.0])),
    ]);
    let shape = [14, 3, 5];
    let array = DataArray::from_values("a", &["time", "y", "x"], &shape, values, coords).unwrap();
    let array = array.astype(named(dtype));
    array.compute_with(&Serial::new()).unwrap()
}

fn named(dtype: &str) -> DType {
    let found = DType::ALL.into_iter().find(|known| known.name() == dtype);
    found.unwrap_or_else(|| panic!("{dtype}"))
}

fn call(case: &Case, array: &DataArray) -> Result<DataArray> {
    let arg = |number: usize| &case.call[number];
    let dims = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let text = |number: usize| arg(number).as_str().unwrap();
    match case.name.as_str() {
        "reduce" => {
            let dims = dims(arg(1));
            let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
            let ddof = u32::try_from(arg(3).as_u64().unwrap()).unwrap();
            let reduction = Reduction::new(op(arg(0)))
                .skipna(arg(2).as_bool().unwrap())
                .ddof(ddof);
            array.reduce(reduction, &dims[..])
        }
        "quantile" => {
            let dims = dims(arg(1));
            let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
            let parts: Vec<f64> = serde_json::from_value(arg(0).clone()).unwrap();
            array.quantiles(parts, &dims[..])
        }
        "argmin" | "argmax" => {
            let full = if array.dtype().is_float() {
                array.where_or(&array.notnull(), 0.0)
            } else {
                array.clone()
            };
            match case.name.as_str() {
                "argmin" => full.argmin("time"),
                _ => full.argmax("time"),
            }
        }
        "cumsum" => array.cumsum("time"),
        "ffill" => array.ffill("time", None),
        "bfill" => array.bfill("time", Some(2)),
        "rolling" => {
            let size = usize::try_from(arg(1).as_u64().unwrap()).unwrap();
            let rolling = array.rolling("time", size)?;
            let rolling = if arg(2).as_bool().unwrap() {
                rolling.center().min_periods(2)
            } else {
                rolling
            };
            rolling.reduce(op(arg(0)))
        }
        "coarsen" => array.coarsen(&[("y", 2), ("x", 2)])?.reduce(op(arg(0))),
        "groupby" => array.groupby(text(0))?.reduce(op(arg(1))),
        "resample" => array.resample("time", text(0))?.reduce(op(arg(1))),
        other => panic!("{other}"),
    }
}

#[test]
fn results_are_xarrays() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("fixtures/reduce/reduce.json")).unwrap();
    assert!(fixture.cases.len() > 300);
    let cluster = LocalCluster::builder().n_workers(2).start().unwrap();
    for case in &fixture.cases {
        let what = format!("{} {:?} of {}", case.name, case.call, case.array);
        let array = input(&fixture, &case.array);
        let made = call(case, &array).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(made.dims(), case.dims, "{what}");
        assert_eq!(made.shape(), case.shape, "{what}");
        assert_eq!(made.dtype(), named(&case.dtype), "{what}");
        let made = made.astype(DType::Float64).compute_with(&cluster).unwrap();
        let made = made.to_vec::<f64>().unwrap();
        // Theirs are summed in the type of the pixels.
        let tolerance = if case.array == "float32" { 2e-5 } else { 1e-11 };
        for (i, (ours, theirs)) in made.iter().zip(&case.values).enumerate() {
            let theirs = theirs.unwrap_or(f64::NAN);
            let close = (ours - theirs).abs() <= tolerance * theirs.abs().max(100.0);
            let same = close || *ours == theirs || (ours.is_nan() && theirs.is_nan());
            assert!(same, "{what}: pixel {i} is {ours}, and xarray's {theirs}");
        }
    }
}
