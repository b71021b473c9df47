//! Operations on arrays, by the names of the fixture.

use datacube_compute::kernels::geomedian::Geomedian;
use datacube_compute::kernels::histogram::Bins;
use datacube_compute::kernels::interp::InterpMethod;
use datacube_compute::kernels::morphology::Morph;
use datacube_compute::{
    Coord, CoordLabel, Cube, DataArray, DropNa, Error, Gaps, IndexOptions, Join, Reindex, Select,
    align,
};
use datacube_model::DType;
use serde_json::Value;

use super::Params;

/// Operation `op`; a reduction or other new operation is one more arm.
pub(crate) fn apply(op: &str, inputs: &[&DataArray], params: &Params) -> Result<DataArray, Error> {
    let a = inputs[0];
    let second = || inputs[1].clone();
    if let Some(found) = one(op, a) {
        return Ok(found);
    }
    Ok(match op {
        "arctan2" => a.arctan2(second()),
        "hypot" => a.hypot(second()),
        "fmod" => a.fmod(second()),
        "logical_and" => a.logical_and(second()),
        "logical_or" => a.logical_or(second()),
        "logical_xor" => a.logical_xor(second()),
        "shift_left" => a.shift_left(second()),
        "shift_right" => a.shift_right(second()),
        "add" => a + second(),
        "sub" => a - second(),
        "mul" => a * second(),
        "where" => a.where_(inputs[1]),
        "round" => a.round(params.float("decimals") as i32),
        "isin" => a.isin(params.floats("values").into_iter().map(|v| v as i64)),
        "fillna" => a.fillna(params.float("value") as i64),
        "clip" => a.clip(params.float("low") as i64, params.float("high") as i64),
        "to_float" => a.to_float(
            params.float("scale"),
            params.float("offset"),
            DType::Float32,
        ),
        "to_f32" => a.to_f32(),
        "from_float" => a.from_float(
            params.text("dtype").parse().unwrap(),
            params.float("nodata") as i64,
            params.float("scale"),
            params.float("offset"),
        ),
        "keep_good_only" => a.keep_good_only(inputs[1]),
        "erase_bad" => a.erase_bad(inputs[1]),
        "gap_fill" => a.gap_fill(second()),
        "choose_first_valid" => a.choose_first_valid(params.text("dim"))?,
        "safe_div" => a.safe_div(inputs[1], DType::Float32),
        "enum_to_bool" => match params.get("names") {
            Some(_) => a.enum_to_bool(params.texts("names"), None)?,
            None => a.enum_to_bool(params.floats("values").into_iter().map(|v| v as i64), None)?,
        },
        "index" => {
            let bands = params.texts("bands");
            let named = bands
                .iter()
                .zip(inputs)
                .map(|(band, array)| (*band, (*array).clone()));
            let options = bands
                .iter()
                .fold(IndexOptions::new(), |o, band| o.band(*band, *band));
            Cube::new(named)?.index_with(params.text("name"), &options)?
        }
        _ => labels(op, inputs, params)?,
    })
}

/// Functions of one array without parameters.
fn one(op: &str, a: &DataArray) -> Option<DataArray> {
    Some(match op {
        "abs" => a.abs(),
        "sqrt" => a.sqrt(),
        "exp" => a.exp(),
        "log" => a.log(),
        "sin" => a.sin(),
        "cos" => a.cos(),
        "tan" => a.tan(),
        "arcsin" => a.arcsin(),
        "arccos" => a.arccos(),
        "arctan" => a.arctan(),
        "sinh" => a.sinh(),
        "cosh" => a.cosh(),
        "tanh" => a.tanh(),
        "degrees" => a.degrees(),
        "radians" => a.radians(),
        "cbrt" => a.cbrt(),
        "exp2" => a.exp2(),
        "expm1" => a.expm1(),
        "log2" => a.log2(),
        "log10" => a.log10(),
        "log1p" => a.log1p(),
        "floor" => a.floor(),
        "ceil" => a.ceil(),
        "trunc" => a.trunc(),
        "rint" => a.rint(),
        "sign" => a.sign(),
        "isinf" => a.isinf(),
        "isfinite" => a.isfinite(),
        "isnull" => a.isnull(),
        "notnull" => a.notnull(),
        "square" => a.square(),
        "logical_not" => a.logical_not(),
        _ => return None,
    })
}

/// What moves and selects by label.
fn labels(op: &str, inputs: &[&DataArray], params: &Params) -> Result<DataArray, Error> {
    let a = inputs[0];
    let dim = || params.text("dim");
    Ok(match op {
        "align_first" | "align_second" => {
            let how = match params.text("join") {
                "inner" => Join::Inner,
                "outer" => Join::Outer,
                "left" => Join::Left,
                _ => Join::Right,
            };
            align(inputs, how)?.swap_remove(usize::from(op == "align_second"))
        }
        "reindex" => {
            let how = match params.get("method").and_then(Value::as_str) {
                Some("nearest") => Reindex::new().nearest(),
                Some("pad") => Reindex::new().pad(),
                Some("backfill") => Reindex::new().backfill(),
                _ => Reindex::new(),
            };
            let how = match params.get("tolerance") {
                Some(_) => how.tolerance(params.float("tolerance")),
                None => how,
            };
            let how = match params.get("fill") {
                Some(_) => how.fill(params.float("fill") as i64),
                None => how,
            };
            a.reindex(dim(), &Coord::float(dim(), params.floats("labels")), how)?
        }
        "sel" => a.sel(dim(), select(params))?,
        "rename" => {
            let pairs = params.get("names").unwrap().as_array().unwrap();
            let names: Vec<(&str, &str)> = pairs
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect();
            a.rename(&names)?
        }
        "swap_dims" => {
            let labels: Vec<i64> = params.floats("labels").iter().map(|v| *v as i64).collect();
            let named = a
                .clone()
                .with_coord(params.text("coord"), Coord::int(dim(), labels))?;
            named.swap_dims(dim(), params.text("coord"))?
        }
        "expand_dims" => {
            let coord = params
                .get("labels")
                .map(|_| Coord::text(dim(), params.texts("labels")));
            a.expand_dims(dim(), coord)?
        }
        "squeeze" => a.isel("time", 2..3)?.isel("y", 1..2)?.squeeze()?,
        "transpose" => a.transpose(&params.texts("dims"))?,
        "sortby" => {
            let ascending = params.get("ascending") == Some(&Value::Bool(true));
            a.sortby(params.text("coord"), ascending)?
        }
        "diff" => a.diff(dim(), params.size("n"))?,
        "shift" => a.shift(dim(), params.float("by") as i64)?,
        "head" => a.head(dim(), params.size("n"))?,
        "tail" => a.tail(dim(), params.size("n"))?,
        "thin" => a.thin(dim(), params.size("n"))?,
        "dropna" if params.text("how") == "all" => a.dropna(dim(), DropNa::All)?,
        "dropna" => a.dropna(dim(), DropNa::Any)?,
        _ => kernels(op, inputs, params)?,
    })
}

/// Kernels on lazy arrays.
fn kernels(op: &str, inputs: &[&DataArray], params: &Params) -> Result<DataArray, Error> {
    let a = inputs[0];
    let dim = || params.text("dim");
    let bands = || {
        let bands = (0..a.shape()[0]).map(|at| {
            let band = a.isel("band", i64::try_from(at).unwrap())?;
            Ok((format!("b{at}"), band))
        });
        let options = Geomedian {
            eps: 1e-7,
            ..Geomedian::new()
        };
        let cube = Cube::new(bands.collect::<Result<Vec<_>, Error>>()?)?;
        cube.geomedian_with_mads("time", Some(options))
    };
    Ok(match op {
        "mask_cleanup" => {
            let steps = params.get("steps").unwrap().as_array().unwrap();
            let steps: Vec<(Morph, f64)> = steps
                .iter()
                .map(|step| {
                    (
                        step[0].as_str().unwrap().parse().unwrap(),
                        step[1].as_f64().unwrap(),
                    )
                })
                .collect();
            a.mask_cleanup(&steps)?
        }
        "interp" => {
            let method = match params.text("method") {
                "linear" => InterpMethod::Linear,
                _ => InterpMethod::Nearest,
            };
            a.interp(dim(), &Coord::float(dim(), params.floats("at")), method)?
        }
        "interpolate_na" => {
            let gaps = Gaps {
                limit: params.get("limit").map(|_| params.size("limit")),
                max_gap: params.get("max_gap").map(|_| params.float("max_gap")),
                ..Gaps::default()
            };
            match params.get("drop") {
                Some(_) => a
                    .drop_coords(&[params.text("drop")])?
                    .interpolate_na(dim(), gaps)?,
                None => a.interpolate_na(dim(), gaps)?,
            }
        }
        "percentile" => a.percentile(dim(), &params.floats("q"))?,
        "geomedian" => {
            let all = bands()?;
            let names: Vec<&str> = all
                .names()
                .filter(|name| name.starts_with('b') && name.len() == 2)
                .collect();
            all.select(&names)?.to_array("band")?
        }
        "count" => bands()?.get("count")?.clone(),
        "to_array" => {
            let b = inputs[1].isel("time", 0)?.drop_coords(&["time"])?;
            Cube::new([("a", a.clone()), ("b", b)])?.to_array("variable")?
        }
        "histogram" => {
            let bins = Bins::even(
                params.size("bins"),
                params.float("low"),
                params.float("high"),
            )?;
            a.histogram(&bins)?
        }
        _ => along(op, inputs, params)?,
    })
}

/// What finds labels, drops, fills along a dimension, and cubes.
fn along(op: &str, inputs: &[&DataArray], params: &Params) -> Result<DataArray, Error> {
    let a = inputs[0];
    let dim = || params.text("dim");
    let limit = || params.get("limit").map(|_| params.size("limit"));
    let cube = || Cube::new([("a", a.clone()), ("b", inputs[1].clone())]);
    Ok(match op {
        "idxmin" => a.idxmin(dim())?,
        "idxmax" => a.idxmax(dim())?,
        "where_drop" => match params.get("after") {
            Some(_) => {
                let late = (0..5).map(|at| at > params.size("after"));
                let time = a.coord("time")?.clone();
                let late = DataArray::from_values(
                    "late",
                    &["time"],
                    &[5],
                    late.collect::<Vec<bool>>(),
                    [("time", time)].into(),
                )?;
                a.where_drop(&(inputs[1] & late))?
            }
            None => a.where_drop(inputs[1])?,
        },
        "combine_first" => a.combine_first(inputs[1])?,
        "roll" => a.roll(dim(), params.float("by") as i64)?,
        "ffill" => a.ffill(dim(), limit())?,
        "bfill" => a.bfill(dim(), limit())?,
        "cumprod" => (a / params.float("scale")).cumprod(dim())?,
        "cube_dropna" => {
            let how = match params.text("how") {
                "all" => DropNa::All,
                _ => DropNa::Any,
            };
            cube()?.dropna(dim(), how)?.to_array("variable")?
        }
        "cube_where_drop" => cube()?.where_drop(inputs[2])?.to_array("variable")?,
        "cube_quantile" => cube()?
            .quantile(params.float("q"), dim())?
            .to_array("variable")?,
        other => panic!("no arm for operation `{other}`"),
    })
}

fn select(params: &Params) -> Select {
    let label = |name: &str| CoordLabel::Float(params.float(name));
    if params.get("text").is_some() {
        params.text("text").into()
    } else if params.get("between").is_some() {
        let ends = params.texts("between");
        (ends[0], ends[1]).into()
    } else if params.get("range").is_some() {
        let ends = params.floats("range");
        (ends[0]..=ends[1]).into()
    } else if params.get("nearest").is_some() {
        Select::nearest(label("nearest"))
    } else if params.get("pad").is_some() {
        Select::pad(label("pad"))
    } else if params.get("backfill").is_some() {
        Select::backfill(label("backfill"))
    } else {
        Select::pad(params.text("pad_text"))
    }
}
