//! Every operation beside numpy, xarray, scipy, odc-algo, geomad and spyndex:
//! the cases of `fixtures/operations` (`make_operations.py`), values, types,
//! missing pixels and coordinates.
//!
//! A new operation is a `case` there and an arm in [`lazy`] or [`kernels`].
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "numbers of a fixture, exact in their types"
)]

mod kernels;
mod lazy;

use std::collections::BTreeMap;

use datacube_compute::{
    Attrs, Chunks, Coord, CoordValues, Coords, DataArray, Engine, LocalCluster, Serial,
};
use datacube_model::DType;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Fixture {
    inputs: BTreeMap<String, Array>,
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Array {
    dtype: String,
    dims: Vec<String>,
    shape: Vec<usize>,
    values: Vec<Value>,
    coords: Map<String, Value>,
    #[serde(default)]
    attrs: Map<String, Value>,
}

#[derive(Deserialize)]
struct Case {
    op: String,
    inputs: Vec<String>,
    params: Params,
    tolerance: f64,
    expected: Array,
}

/// Parameters of a case.
#[derive(Deserialize)]
#[serde(transparent)]
struct Params(Map<String, Value>);

impl Params {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> &str {
        self.get(name)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("text `{name}`"))
    }

    fn float(&self, name: &str) -> f64 {
        self.get(name)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("number `{name}`"))
    }

    fn size(&self, name: &str) -> usize {
        let value = self.get(name).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("whole number `{name}`")) as usize
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        let list = self.get(name).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("numbers `{name}`"));
        list.iter().map(number).collect()
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.get(name).and_then(Value::as_array);
        let list = list.unwrap_or_else(|| panic!("texts `{name}`"));
        list.iter().map(|text| text.as_str().unwrap()).collect()
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

fn coord(value: &Value) -> Coord {
    let values = value["values"].as_array().unwrap();
    let whole = || {
        values
            .iter()
            .map(|v| v.as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    let labels = match value["type"].as_str().unwrap() {
        "time" => CoordValues::Time(whole()),
        "int" => CoordValues::Int(whole()),
        "text" => CoordValues::Text(
            values
                .iter()
                .map(|v| v.as_str().unwrap().to_owned())
                .collect(),
        ),
        _ => CoordValues::Float(values.iter().map(number).collect()),
    };
    Coord::new(value["dim"].as_str().unwrap_or("none"), labels)
}

impl Array {
    fn array(&self, name: &str) -> DataArray {
        let coords: Coords = self
            .coords
            .iter()
            .filter(|(_, value)| !value["dim"].is_null())
            .map(|(name, value)| (name.clone(), coord(value)))
            .collect();
        let floats = || self.values.iter().map(number);
        macro_rules! whole {
            ($t:ty) => {
                self.make(name, floats().map(|v| v as $t).collect::<Vec<_>>(), coords)
            };
        }
        let array = match self.dtype.parse::<DType>().unwrap() {
            DType::Bool => self.make(name, floats().map(|v| v != 0.0).collect::<Vec<_>>(), coords),
            DType::Int8 => whole!(i8),
            DType::Int16 => whole!(i16),
            DType::Int32 => whole!(i32),
            DType::Int64 => whole!(i64),
            DType::UInt8 => whole!(u8),
            DType::UInt16 => whole!(u16),
            DType::UInt32 => whole!(u32),
            DType::UInt64 => whole!(u64),
            DType::Float32 => whole!(f32),
            DType::Float64 => whole!(f64),
            other => panic!("an input of {other}"),
        };
        let attrs: Attrs = self.attrs.clone().into_iter().collect();
        array.with_attrs(attrs)
    }

    fn make<T: datacube_compute::Pixel>(
        &self,
        name: &str,
        values: Vec<T>,
        coords: Coords,
    ) -> DataArray {
        DataArray::from_values(name, &self.dims, &self.shape, values, coords).unwrap()
    }
}

/// The pixels of a computed array as numbers; whole ones of 64 bits are small
/// in the fixture.
fn numbers(array: &DataArray) -> Vec<f64> {
    let wide = match array.dtype() {
        DType::Float64 => array.clone(),
        _ => array
            .astype(DType::Float64)
            .compute_with(&Serial::new())
            .unwrap(),
    };
    wide.to_vec::<f64>().unwrap()
}

fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

/// What differs from the expected, if anything.
fn difference(case: &Case, values: &[f64]) -> Option<String> {
    let expected: Vec<f64> = case.expected.values.iter().map(number).collect();
    if values.len() != expected.len() {
        return Some(format!("{} values for {}", values.len(), expected.len()));
    }
    let mut pairs = values.iter().zip(&expected).enumerate();
    let differs = pairs.find(|(_, (a, b))| !close(**a, **b, case.tolerance));
    differs.map(|(at, (found, expected))| format!("value {at} is {found:?}, not {expected:?}"))
}

fn check_lazy(case: &Case, found: &DataArray, engine: &dyn Engine) -> Option<String> {
    let computed = match found.compute_with(engine) {
        Ok(computed) => computed,
        Err(error) => return Some(error.to_string()),
    };
    let expected = &case.expected;
    if computed.dims() != expected.dims && expected.dims != ["dim_0"] {
        return Some(format!(
            "dims {:?}, not {:?}",
            computed.dims(),
            expected.dims
        ));
    }
    if computed.shape() != expected.shape {
        return Some(format!(
            "shape {:?}, not {:?}",
            computed.shape(),
            expected.shape
        ));
    }
    if computed.dtype().to_string() != expected.dtype {
        return Some(format!("{}, not {}", computed.dtype(), expected.dtype));
    }
    for (name, wanted) in &expected.coords {
        // Scalars may be left out or in; labels have to be there.
        if wanted["dim"].is_null() {
            continue;
        }
        match computed.coords().get(name) {
            Some(own) if own.same_labels(&coord(wanted)) => {}
            own => return Some(format!("coordinate {name} is {own:?}")),
        }
    }
    difference(case, &numbers(&computed))
}

/// The array in chunks of two or three pixels along each dimension.
fn chunked(array: &DataArray) -> DataArray {
    let sizes = array
        .dims()
        .iter()
        .enumerate()
        .map(|(axis, dim)| (dim.clone(), 2 + axis % 2 + array.shape()[axis] / 6));
    array.rechunk(&Chunks::new(sizes)).unwrap()
}

#[test]
fn operations_are_those_of_python() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../fixtures/operations/operations.json")).unwrap();
    let arrays: BTreeMap<&str, DataArray> = fixture
        .inputs
        .iter()
        .map(|(name, array)| (name.as_str(), array.array(name)))
        .collect();
    let cluster = LocalCluster::builder()
        .n_workers(1)
        .threads_per_worker(2)
        .start()
        .unwrap();
    let mut wrong = Vec::new();
    for (number, case) in fixture.cases.iter().enumerate() {
        let inputs: Vec<&DataArray> = case
            .inputs
            .iter()
            .map(|name| &arrays[name.as_str()])
            .collect();
        let problem = if let Some(kernel) = case.op.strip_prefix("kernel.") {
            difference(case, &kernels::run(kernel, inputs[0], &case.params))
        } else {
            // On one thread whole, and on several cut into chunks.
            let cut: Vec<DataArray> = inputs.iter().map(|array| chunked(array)).collect();
            let check = |inputs: &[&DataArray], engine: &dyn Engine| match lazy::apply(
                &case.op,
                inputs,
                &case.params,
            ) {
                Ok(found) => check_lazy(case, &found, engine),
                Err(error) => Some(error.to_string()),
            };
            check(&inputs, &Serial::new()).or_else(|| {
                let problem = check(&cut.iter().collect::<Vec<_>>(), &cluster);
                problem.map(|problem| format!("in chunks: {problem}"))
            })
        };
        if let Some(problem) = problem {
            let params = serde_json::to_string(&case.params.0).unwrap();
            wrong.push(format!(
                "{number}: {} of {:?} {params}: {problem}",
                case.op, case.inputs
            ));
        }
    }
    assert!(fixture.cases.len() > 800, "{} cases", fixture.cases.len());
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
