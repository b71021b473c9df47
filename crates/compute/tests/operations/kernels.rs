//! Kernels on the pixels of an array, by the names of the fixture.

use datacube_compute::DataArray;
use datacube_compute::kernels::arg::{argmax, argmin};
use datacube_compute::kernels::fill::{Direction, Gaps, interpolate_na, push};
use datacube_compute::kernels::geomedian::{Composite, Geomedian, geomedian};
use datacube_compute::kernels::histogram::{Bins, histogram};
use datacube_compute::kernels::interp::{InterpMethod, InterpPlan, interp};
use datacube_compute::kernels::mode::mode;
use datacube_compute::kernels::morphology::{self, Morph, mask_cleanup};
use datacube_compute::kernels::quantile::{median, percentile, quantile};
use datacube_compute::kernels::rolling::{self, Rolling, Window, rolling};
use datacube_compute::kernels::scan::{Scan, Total, scan, start};
use datacube_compute::kernels::{Axis, Sample, Sorter};
use datacube_model::DType;
use serde_json::Value;

use super::Params;

/// The results of kernel `op` as numbers.
pub(crate) fn run(op: &str, array: &DataArray, params: &Params) -> Vec<f64> {
    macro_rules! with {
        ($t:ty) => {
            of::<$t>(op, array, &array.to_vec::<$t>().unwrap(), params)
        };
    }
    match (op, array.dtype()) {
        ("mask_cleanup", _) => cleanup(array, params),
        ("geomedian", _) => composite(array, params),
        (_, DType::Bool) => with!(bool),
        (_, DType::Int16) => with!(i16),
        (_, DType::Int64) => with!(i64),
        (_, DType::UInt8) => with!(u8),
        (_, DType::UInt16) => with!(u16),
        (_, DType::Float32) => with!(f32),
        (_, DType::Float64) => with!(f64),
        (_, other) => panic!("a kernel of {other}"),
    }
}

fn wide<T: Sample>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

fn of<T: Sample>(op: &str, array: &DataArray, src: &[T], params: &Params) -> Vec<f64> {
    let axis = || Axis::of(array.shape(), params.size("axis"));
    let skipna = params.get("skipna") != Some(&Value::Bool(false));
    let limit = params.get("limit").map(|_| params.size("limit"));
    let zero = T::of_f64(0.0);
    match op {
        "median" => {
            let mut out = vec![T::Mean::of_f64(0.0); axis().lanes()];
            median(src, axis(), skipna, &mut out, &mut Sorter::new()).unwrap();
            wide(&out)
        }
        "quantile" => {
            let qs = params.floats("q");
            let method = params.text("method").parse().unwrap();
            let mut out = vec![0.0; axis().lanes() * qs.len()];
            quantile(
                src,
                axis(),
                &qs,
                method,
                skipna,
                &mut out,
                &mut Sorter::new(),
            )
            .unwrap();
            out
        }
        "percentile" => {
            let qs = params.floats("q");
            let nodata = params
                .get("nodata")
                .map(|_| T::of_f64(params.float("nodata")));
            let mut out = vec![zero; axis().lanes() * qs.len()];
            percentile(src, axis(), &qs, nodata, &mut out, &mut Sorter::new()).unwrap();
            wide(&out)
        }
        "mode" => {
            let mut out = vec![zero; axis().lanes()];
            mode(src, axis(), skipna, None, &mut out, &mut Sorter::new()).unwrap();
            wide(&out)
        }
        "argmin" | "argmax" => {
            let mut out = vec![0; axis().lanes()];
            if op == "argmin" {
                argmin(src, axis(), skipna, &mut out).unwrap();
            } else {
                argmax(src, axis(), skipna, &mut out).unwrap();
            }
            out.into_iter().map(|at| at as f64).collect()
        }
        "cumsum" | "cumprod" => {
            let what = if op == "cumsum" {
                Scan::Sum
            } else {
                Scan::Product
            };
            match array.dtype() {
                DType::Float32 => {
                    totals::<T, f32>(src, axis(), what, skipna, |x| x.to_f64() as f32)
                        .into_iter()
                        .map(f64::from)
                        .collect()
                }
                DType::Float64 => totals::<T, f64>(src, axis(), what, skipna, Sample::to_f64),
                _ => totals::<T, i64>(src, axis(), what, skipna, |x| x.to_f64() as i64)
                    .into_iter()
                    .map(|x| x as f64)
                    .collect(),
            }
        }
        "rolling" => {
            let window = Window {
                size: params.size("window"),
                min_periods: params.size("min_periods"),
                center: params.get("center") == Some(&Value::Bool(true)),
            };
            let what = match params.text("what") {
                "sum" => Rolling::Sum,
                "mean" => Rolling::Mean,
                "min" => Rolling::Min,
                _ => Rolling::Max,
            };
            let mut out = vec![0.0; src.len()];
            let mut scratch = rolling::Scratch::default();
            rolling(src, axis(), window, what, &mut out, &mut scratch).unwrap();
            out
        }
        "interp" => {
            let plan =
                InterpPlan::new(&params.floats("from"), &params.floats("at"), method(params));
            let plan = plan.unwrap();
            let mut out = vec![0.0; axis().lanes() * plan.len()];
            interp(src, axis(), &plan, &mut out).unwrap();
            out
        }
        "interpolate_na" => {
            let gaps = Gaps {
                method: method(params),
                limit,
                max_gap: params.get("max_gap").map(|_| params.float("max_gap")),
            };
            let mut out = vec![zero; src.len()];
            interpolate_na(src, axis(), &params.floats("x"), gaps, &mut out).unwrap();
            wide(&out)
        }
        "ffill" | "bfill" => {
            let direction = if op == "ffill" {
                Direction::Forward
            } else {
                Direction::Backward
            };
            let mut out = vec![zero; src.len()];
            push(src, axis(), direction, limit, &mut out).unwrap();
            wide(&out)
        }
        "histogram" => {
            let bins = match params.get("edges") {
                Some(_) => Bins::between(params.floats("edges")),
                None => Bins::even(
                    params.size("bins"),
                    params.float("low"),
                    params.float("high"),
                ),
            };
            let bins = bins.unwrap();
            let mut counts = vec![0; bins.len()];
            histogram(src, &bins, &mut counts).unwrap();
            counts.into_iter().map(|count| count as f64).collect()
        }
        other => panic!("no arm for kernel `{other}`"),
    }
}

fn totals<T: Sample, A: Total>(
    src: &[T],
    axis: Axis,
    what: Scan,
    skipna: bool,
    total: impl Fn(T) -> A,
) -> Vec<A> {
    let mut out = vec![A::ZERO; src.len()];
    let mut carry = start(what, axis);
    scan(src, axis, what, skipna, total, &mut carry, &mut out).unwrap();
    out
}

fn method(params: &Params) -> InterpMethod {
    match params.text("method") {
        "linear" => InterpMethod::Linear,
        _ => InterpMethod::Nearest,
    }
}

fn cleanup(array: &DataArray, params: &Params) -> Vec<f64> {
    let mut mask = array.to_vec::<bool>().unwrap();
    let steps: Vec<(Morph, f64)> = params
        .get("steps")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step[0].as_str().unwrap().parse().unwrap(),
                step[1].as_f64().unwrap(),
            )
        })
        .collect();
    let [_, rows, cols] = array.shape() else {
        panic!("planes")
    };
    mask_cleanup(
        &mut mask,
        *rows,
        *cols,
        &steps,
        &mut morphology::Scratch::default(),
    )
    .unwrap();
    wide(&mask)
}

fn composite(array: &DataArray, params: &Params) -> Vec<f64> {
    let [n_bands, dates, pixels] = array.shape() else {
        panic!("bands, dates, pixels")
    };
    let (dates, pixels) = (*dates, *pixels);
    let values = array.to_vec::<f32>().unwrap();
    let bands: Vec<&[f32]> = values.chunks_exact(dates * pixels).collect();
    let mut found = vec![0.0f32; n_bands * pixels];
    let mut spread = [vec![0.0f32; pixels], vec![0.0; pixels], vec![0.0; pixels]];
    let mut count = vec![0u16; pixels];
    let [smad, emad, bcmad] = &mut spread;
    let out = Composite {
        bands: &mut found,
        smad: Some(smad),
        emad: Some(emad),
        bcmad: Some(bcmad),
        count: Some(&mut count),
    };
    let options = Geomedian {
        eps: 1e-7,
        ..Geomedian::new()
    };
    geomedian(
        &bands,
        dates,
        pixels,
        &options,
        out,
        &mut Default::default(),
    )
    .unwrap();
    match params.text("what") {
        "bands" => wide(&found),
        "smad" => wide(&spread[0]),
        "emad" => wide(&spread[1]),
        "bcmad" => wide(&spread[2]),
        _ => wide(&count),
    }
}
