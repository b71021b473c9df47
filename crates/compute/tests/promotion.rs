//! Result types and values, held to numpy's and xarray's own answers
//! (`fixtures/promotion/make_promotion.py`).

use datacube_compute::{Coords, DataArray, Error, LocalCluster, Operand, Scalar, Serial};
use datacube_model::DType;
use half::f16;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/promotion/promotion.json")).unwrap()
}

fn dtype(name: &str) -> DType {
    name.parse().unwrap()
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

fn whole(value: &Value) -> i128 {
    match value {
        Value::Bool(value) => i128::from(*value),
        other => other
            .as_i64()
            .map(i128::from)
            .or(other.as_u64().map(i128::from))
            .unwrap(),
    }
}

/// An array of these values.
fn array(dtype: DType, values: &[Value]) -> DataArray {
    macro_rules! ints {
        ($t:ty) => {
            make(
                values
                    .iter()
                    .map(|v| <$t>::try_from(whole(v)).unwrap())
                    .collect::<Vec<_>>(),
            )
        };
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the samples are exact in their type"
    )]
    match dtype {
        DType::Bool => make(
            values
                .iter()
                .map(|v| v.as_bool().unwrap())
                .collect::<Vec<_>>(),
        ),
        DType::Int8 => ints!(i8),
        DType::Int16 => ints!(i16),
        DType::Int32 => ints!(i32),
        DType::Int64 => ints!(i64),
        DType::UInt8 => ints!(u8),
        DType::UInt16 => ints!(u16),
        DType::UInt32 => ints!(u32),
        DType::UInt64 => ints!(u64),
        DType::Float16 => make(
            values
                .iter()
                .map(|v| f16::from_f64(number(v)))
                .collect::<Vec<_>>(),
        ),
        DType::Float32 => make(values.iter().map(|v| number(v) as f32).collect::<Vec<_>>()),
        DType::Float64 => make(values.iter().map(number).collect::<Vec<_>>()),
        DType::Complex64 | DType::Complex128 => unreachable!("not in the fixture"),
    }
}

fn make<T: datacube_compute::Pixel>(values: Vec<T>) -> DataArray {
    let n = values.len();
    DataArray::from_values("a", &["x"], &[n], values, Coords::new()).unwrap()
}

fn ones(dtype: DType) -> DataArray {
    array(
        DType::Bool,
        &[Value::Bool(true), Value::Bool(true), Value::Bool(true)],
    )
    .astype(dtype)
}

fn binary(op: &str, a: &Operand, b: &Operand) -> DataArray {
    match (a, b) {
        (Operand::Array(a), b) => match op {
            "add" => a + b.clone(),
            "sub" => a - b.clone(),
            "mul" => a * b.clone(),
            "div" => a / b.clone(),
            "floor_div" => a.floor_div(b.clone()),
            "mod" => a % b.clone(),
            "pow" => a.pow(b.clone()),
            "minimum" => a.minimum(b.clone()),
            "maximum" => a.maximum(b.clone()),
            "eq" => a.eq(b.clone()),
            "ne" => a.ne(b.clone()),
            "lt" => a.lt(b.clone()),
            "le" => a.le(b.clone()),
            "gt" => a.gt(b.clone()),
            "ge" => a.ge(b.clone()),
            "and" => a & b.clone(),
            "or" => a | b.clone(),
            "xor" => a ^ b.clone(),
            other => panic!("{other}"),
        },
        (Operand::Scalar(Scalar::Int(a)), Operand::Array(b)) => {
            let a = i64::try_from(*a).unwrap();
            left(op, b, |b, op| match op {
                "add" => a + b,
                "sub" => a - b,
                "mul" => a * b,
                "div" => a / b,
                "mod" => a % b,
                "and" => a & b,
                "or" => a | b,
                _ => a ^ b,
            })
        }
        (Operand::Scalar(Scalar::Float(a)), Operand::Array(b)) => left(op, b, |b, op| match op {
            "add" => *a + b,
            "sub" => *a - b,
            "mul" => *a * b,
            "div" => *a / b,
            "mod" => *a % b,
            "and" => *a & b,
            "or" => *a | b,
            _ => *a ^ b,
        }),
        (Operand::Scalar(Scalar::Bool(a)), Operand::Array(b)) => left(op, b, |b, op| match op {
            "add" => *a + b,
            "sub" => *a - b,
            "mul" => *a * b,
            "div" => *a / b,
            "mod" => *a % b,
            "and" => *a & b,
            "or" => *a | b,
            _ => *a ^ b,
        }),
        _ => panic!("two scalars"),
    }
}

/// Scalars on the left: operators only.
fn left(op: &str, b: &DataArray, make: impl Fn(&DataArray, &str) -> DataArray) -> DataArray {
    assert!(["add", "sub", "mul", "div", "mod", "and", "or", "xor"].contains(&op));
    make(b, op)
}

fn unary(op: &str, a: &DataArray) -> DataArray {
    match op {
        "neg" => -a,
        "not" => !a,
        "abs" => a.abs(),
        "sqrt" => a.sqrt(),
        "exp" => a.exp(),
        "log" => a.log(),
        "isnan" => a.isnull(),
        "notnan" => a.notnull(),
        other => panic!("{other}"),
    }
}

fn scalar(name: &str) -> Scalar {
    match name {
        "int 2" => 2.into(),
        "int -1" => (-1).into(),
        "int 300" => 300.into(),
        "int 2**40" => (1i64 << 40).into(),
        "float 2.5" => 2.5.into(),
        "bool True" => true.into(),
        other => panic!("{other}"),
    }
}

/// The type of the result, or the name of the exception that Python raises.
fn outcome(result: &DataArray) -> String {
    match result.error() {
        None => result.dtype().name().to_owned(),
        Some(Error::ScalarOutOfRange { .. }) => "!OverflowError".to_owned(),
        Some(Error::DType { operation, .. }) if operation.contains("** -1") => {
            "!ValueError".to_owned()
        }
        Some(Error::DType { .. }) => "!TypeError".to_owned(),
        Some(other) => panic!("{other}"),
    }
}

struct Checked {
    count: usize,
    wrong: Vec<String>,
}

impl Checked {
    fn check(&mut self, what: String, found: &str, expected: &str) {
        self.count += 1;
        // numpy names integers that overflow and types that do not fit
        // differently between functions; what matters is that it refuses.
        let numpy = match expected {
            "!UFuncTypeError" | "!UFuncNoLoopError" | "!UFuncBinaryResolutionError" => "!TypeError",
            other => other,
        };
        if found != numpy {
            self.wrong
                .push(format!("{what}: {found}, numpy has {expected}"));
        }
    }

    fn finish(self, at_least: usize) {
        assert!(
            self.wrong.is_empty(),
            "{} wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert!(self.count >= at_least, "only {} were checked", self.count);
    }
}

fn map(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.as_str(), value))
}

#[test]
fn types_are_numpys() {
    let fixture = fixture();
    let types = &fixture["types"];
    let mut checked = Checked {
        count: 0,
        wrong: Vec::new(),
    };
    for (op, table) in map(&types["binary"]) {
        for (a, row) in map(table) {
            for (b, expected) in map(row) {
                let result = binary(op, &ones(dtype(a)).into(), &ones(dtype(b)).into());
                checked.check(
                    format!("{a} {op} {b}"),
                    &outcome(&result),
                    expected.as_str().unwrap(),
                );
            }
        }
    }
    for (op, table) in map(&types["scalar_right"]) {
        for (a, row) in map(table) {
            for (s, expected) in map(row) {
                let result = binary(op, &ones(dtype(a)).into(), &scalar(s).into());
                checked.check(
                    format!("{a} {op} {s}"),
                    &outcome(&result),
                    expected.as_str().unwrap(),
                );
            }
        }
    }
    for (op, table) in map(&types["scalar_left"]) {
        if !["add", "sub", "mul", "div", "mod", "and", "or", "xor"].contains(&op) {
            continue;
        }
        for (a, row) in map(table) {
            for (s, expected) in map(row) {
                let result = binary(op, &scalar(s).into(), &ones(dtype(a)).into());
                checked.check(
                    format!("{s} {op} {a}"),
                    &outcome(&result),
                    expected.as_str().unwrap(),
                );
            }
        }
    }
    for (op, row) in map(&types["unary"]) {
        for (a, expected) in map(row) {
            let result = unary(op, &ones(dtype(a)));
            checked.check(
                format!("{op} {a}"),
                &outcome(&result),
                expected.as_str().unwrap(),
            );
        }
    }
    checked.finish(18 * 144 + 18 * 72 + 8 * 72 + 8 * 12);
}

#[test]
fn masking_types_are_xarrays() {
    let fixture = fixture();
    let types = &fixture["types"];
    let mut checked = Checked {
        count: 0,
        wrong: Vec::new(),
    };
    let condition = ones(DType::Bool);
    for (a, expected) in map(&types["where"]) {
        // DIFFERENCE: xarray makes float64 of bool, by way of objects.
        let expected = if a == "bool" {
            "float32"
        } else {
            expected.as_str().unwrap()
        };
        let result = ones(dtype(a)).where_(&condition);
        checked.check(format!("{a} where"), &outcome(&result), expected);
    }
    for (a, row) in map(&types["where_other"]) {
        for (b, expected) in map(row) {
            let result = ones(dtype(a)).where_or(&condition, ones(dtype(b)));
            checked.check(
                format!("{a} where or {b}"),
                &outcome(&result),
                expected.as_str().unwrap(),
            );
        }
    }
    for (a, row) in map(&types["where_scalar"]) {
        for (s, expected) in map(row) {
            let result = ones(dtype(a)).where_or(&condition, Operand::Scalar(scalar(s)));
            let found = outcome(&result);
            // DIFFERENCE: xarray lets an integer that does not fit wrap.
            let expected = if found == "!OverflowError" {
                let range = dtype(a).integer_range().unwrap();
                let Scalar::Int(value) = scalar(s) else {
                    panic!("{s} overflowed {a}")
                };
                assert!(value < range.0 || value > range.1);
                "!OverflowError"
            } else {
                expected.as_str().unwrap()
            };
            checked.check(format!("{a} where or {s}"), &found, expected);
        }
    }
    checked.finish(12 + 144 + 72);
}

/// Compares pixels with numpy's; `loose` for functions that numpy rounds
/// differently.
fn compare(checked: &mut Checked, what: &str, result: &DataArray, expected: &Value, loose: bool) {
    let values: Vec<f64> = result
        .astype(DType::Float64)
        .compute()
        .unwrap()
        .to_vec()
        .unwrap();
    let exact: Vec<i128> = match result.dtype() {
        DType::Int64 => result
            .to_vec::<i64>()
            .unwrap()
            .into_iter()
            .map(i128::from)
            .collect(),
        DType::UInt64 => result
            .to_vec::<u64>()
            .unwrap()
            .into_iter()
            .map(i128::from)
            .collect(),
        _ => Vec::new(),
    };
    let expected = expected.as_array().unwrap();
    assert_eq!(values.len(), expected.len(), "{what}");
    for (i, (found, numpys)) in values.iter().zip(expected).enumerate() {
        if numpys.is_null() {
            continue;
        }
        checked.count += 1;
        let fine = if exact.is_empty() {
            let numpys = number(numpys);
            let scale = match result.dtype() {
                DType::Float16 => 1e-3,
                DType::Float32 => 1e-6,
                _ => 1e-14,
            };
            let near = loose && (found - numpys).abs() <= scale * numpys.abs();
            let zeros = *found == 0.0 && numpys == 0.0;
            let same_sign = found.is_sign_negative() == numpys.is_sign_negative();
            near || (found.is_nan() && numpys.is_nan())
                || (*found == numpys && (!zeros || same_sign || what.contains("imum")))
        } else {
            exact[i] == whole(numpys)
        };
        if !fine {
            checked
                .wrong
                .push(format!("{what} at {i}: {found}, numpy has {numpys}"));
        }
    }
}

fn is_loose(op: &str, out: &str) -> bool {
    matches!(op, "exp" | "log" | "pow") && out.starts_with("float")
}

#[test]
fn values_are_numpys() {
    let fixture = fixture();
    let cluster = LocalCluster::builder().n_workers(1).start().unwrap();
    let serial = Serial::new();
    let mut checked = Checked {
        count: 0,
        wrong: Vec::new(),
    };
    let samples = |name: &str| fixture["samples"][name].as_array().unwrap().clone();
    for case in fixture["values"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str();
        let (op, a, out) = (
            text("op").unwrap(),
            text("a").unwrap(),
            text("out").unwrap(),
        );
        let x = samples(a);
        let result = match (op, text("b")) {
            ("cast", _) => array(dtype(a), &x).astype(dtype(out)),
            (op, None) => unary(op, &array(dtype(a), &x)),
            (op, Some(b)) => {
                let y = samples(b);
                let (n, m) = (x.len(), y.len());
                let xs: Vec<Value> = (0..n * m).map(|i| x[i / m].clone()).collect();
                // numpy was given 0 for a negative exponent of integers.
                let whole_power = op == "pow" && !a.starts_with("float") && b.starts_with("int");
                let ys: Vec<Value> = (0..n * m)
                    .map(|i| y[i % m].clone())
                    .map(|y| {
                        if whole_power && whole(&y) < 0 {
                            0.into()
                        } else {
                            y
                        }
                    })
                    .collect();
                binary(
                    op,
                    &array(dtype(a), &xs).into(),
                    &array(dtype(b), &ys).into(),
                )
            }
        };
        let what = format!("{op} {a} {}", text("b").unwrap_or(""));
        assert_eq!(outcome(&result), out, "{what}");
        for result in [
            result.compute_with(&serial).unwrap(),
            result.compute_with(&cluster).unwrap(),
        ] {
            compare(&mut checked, &what, &result, &case["r"], is_loose(op, out));
        }
    }
    for case in fixture["scalars"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let (op, a, out) = (text("op"), text("a"), text("out"));
        let k: Scalar = match &case["k"] {
            Value::Number(k) if k.is_f64() => k.as_f64().unwrap().into(),
            k => Scalar::Int(whole(k)),
        };
        let result = binary(op, &array(dtype(a), &samples(a)).into(), &k.into());
        let what = format!("{a} {op} {k}");
        assert_eq!(outcome(&result), out, "{what}");
        for result in [
            result.compute_with(&serial).unwrap(),
            result.compute_with(&cluster).unwrap(),
        ] {
            compare(&mut checked, &what, &result, &case["r"], is_loose(op, out));
        }
    }
    checked.finish(40_000);
}

#[test]
fn negative_powers_of_integers_fail_when_they_are_met() {
    let base = make(vec![2i32, 3, 4]);
    let exponent = make(vec![1i32, -1, 2]);
    let cluster = LocalCluster::builder().n_workers(1).start().unwrap();
    for error in [
        base.pow(&exponent)
            .compute_with(&Serial::new())
            .unwrap_err(),
        base.pow(&exponent).compute_with(&cluster).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("negative integer powers"),
            "{error}"
        );
    }
    assert_eq!(
        base.pow(3)
            .compute_with(&cluster)
            .unwrap()
            .to_vec::<i32>()
            .unwrap(),
        [8, 27, 64]
    );
}

#[test]
fn complex_pixels_are_refused_in_words() {
    let error = ones(DType::Float32).astype(DType::Complex64);
    assert!(
        error.error().unwrap().to_string().contains("amplitude"),
        "{error}"
    );
}
