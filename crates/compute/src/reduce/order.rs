//! Reductions that need all pixels at a time: median, quantiles, mode.
//!
//! The pixels of a few dozen results are gathered into columns that stay in the
//! cache, and each column is partitioned, not sorted.

use datacube_model::DType;
use half::f16;

use super::geometry::Geometry;
use super::pixels::{Load, store};
use super::state::{EMPTY, Value, Wide};
use super::{ReduceOp, Role};
use crate::kernels::{self, Axis, Sample, Sorter};
use crate::region::{Region, c_strides};

/// Results that are made together where their pixels are neighbours.
const STRIP: usize = 64;

/// The part `out` of the result from `region` of the input.
pub(super) fn run(
    geometry: Geometry<'_>,
    dtype: DType,
    out: &Region,
    region: &Region,
    pixels: &[u8],
    to: &mut [u8],
) -> Result<(), &'static str> {
    let reduced: Vec<usize> = (0..geometry.shape.len())
        .filter(|&axis| geometry.reduce.roles[axis] != Role::Keep)
        .collect();
    if let [axis] = *reduced
        && geometry.reduce.op == ReduceOp::Median
        && geometry.reduce.roles[axis] == Role::Reduce
    {
        return along_axis(axis, geometry.reduce.skipna, dtype, region, pixels, to);
    }
    match dtype {
        dtype if dtype.is_float() => typed::<f64>(geometry, dtype, out, region, pixels, to),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => {
            typed::<u64>(geometry, dtype, out, region, pixels, to)
        }
        _ => typed::<i64>(geometry, dtype, out, region, pixels, to),
    }
}

/// Medians along one axis.
fn along_axis(
    axis: usize,
    skipna: bool,
    dtype: DType,
    region: &Region,
    pixels: &[u8],
    to: &mut [u8],
) -> Result<(), &'static str> {
    let axis = Axis::of(&region.shape(), axis);
    macro_rules! with {
        ($($dtype:ident: $t:ty),*) => {
            match dtype {
                $(DType::$dtype => medians::<$t>(axis, skipna, pixels, to),)*
                DType::Complex64 | DType::Complex128 => false,
            }
        };
    }
    let made = with!(
        Bool: bool, Int8: i8, Int16: i16, Int32: i32, Int64: i64, UInt8: u8, UInt16: u16,
        UInt32: u32, UInt64: u64, Float16: f16, Float32: f32, Float64: f64
    );
    // Sizes follow from the region, and complex pixels were refused before.
    made.then_some(())
        .ok_or("a median of pixels that do not fit")
}

/// Says whether the sizes fit.
fn medians<T: Sample>(axis: Axis, skipna: bool, pixels: &[u8], to: &mut [u8]) -> bool {
    // SAFETY: every bit pattern is a value of these types but bool, whose bytes
    // are 0 or 1 in every buffer.
    let (before, pixels, after) = unsafe { pixels.align_to::<T>() };
    debug_assert!(before.is_empty() && after.is_empty());
    let mut out = vec![T::Mean::of_f64(0.0); axis.lanes()];
    let made = kernels::quantile::median(pixels, axis, skipna, &mut out, &mut Sorter::new());
    // SAFETY: `Sample` types are plain data without padding.
    let bytes = unsafe {
        std::slice::from_raw_parts(out.as_ptr().cast::<u8>(), size_of_val(out.as_slice()))
    };
    if made.is_err() || bytes.len() != to.len() {
        return false;
    }
    to.copy_from_slice(bytes);
    true
}

fn typed<W: Wide + Load + Ordered>(
    geometry: Geometry<'_>,
    dtype: DType,
    out: &Region,
    region: &Region,
    pixels: &[u8],
    to: &mut [u8],
) -> Result<(), &'static str> {
    let reduce = geometry.reduce;
    let strides = c_strides(&region.shape());
    let size = dtype.size();
    let result = reduce.op.result(dtype).unwrap_or(dtype);
    let leading = reduce.leading();
    // Quantiles of each pixel lie a whole result apart.
    let parts: Vec<f64> = match out.ranges().first() {
        Some(range) if leading == 1 => reduce.quantiles[range.clone()]
            .iter()
            .map(|&bits| f64::from_bits(bits))
            .collect(),
        _ => Vec::new(),
    };
    let plane: usize = out.ranges()[leading..]
        .iter()
        .map(ExactSizeIterator::len)
        .product();
    // For each axis of the result, where the members of each of its pixels lie.
    let mut wanted = out.ranges()[leading..].iter();
    let mut members: Vec<Vec<Vec<usize>>> = Vec::new();
    for (axis, role) in reduce.roles.iter().enumerate() {
        let range = &region.ranges()[axis];
        let offset = |at: usize| (at - range.start) * strides[axis];
        members.push(match role {
            Role::Reduce => vec![range.clone().map(offset).collect()],
            Role::Keep => {
                let wanted = wanted.next().cloned().unwrap_or(0..0);
                wanted.map(|at| vec![offset(at)]).collect()
            }
            Role::Group(groups) => {
                let wanted = wanted.next().cloned().unwrap_or(0..0);
                let mut lists = vec![Vec::new(); wanted.len()];
                for at in range.clone() {
                    if let Some(group) = groups.of(at).filter(|group| wanted.contains(group)) {
                        lists[group - wanted.start].push(offset(at));
                    }
                }
                lists
            }
        });
    }
    let together = matches!(reduce.roles.last(), Some(Role::Keep));
    let inner = if together {
        members.pop().map_or(1, |last| last.len())
    } else {
        1
    };
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let rows: usize = counts.iter().product();
    let mut columns: Vec<W> = Vec::new();
    let mut strip = [W::ZERO; STRIP];
    let mut index = vec![0usize; counts.len()];
    for row in 0..rows {
        let mut offsets = vec![0usize];
        for (lists, &i) in members.iter().zip(&index) {
            let list = &lists[i];
            if let [one] = list.as_slice() {
                for offset in &mut offsets {
                    *offset += one;
                }
            } else {
                offsets = offsets
                    .iter()
                    .flat_map(|outer| list.iter().map(move |offset| outer + offset))
                    .collect();
            }
        }
        let depth = offsets.len();
        for start in (0..inner).step_by(STRIP) {
            let n = STRIP.min(inner - start);
            columns.clear();
            columns.resize(n * depth, W::ZERO);
            for (k, offset) in offsets.iter().enumerate() {
                let from = (offset + start) * size;
                W::load(dtype, &pixels[from..from + n * size], &mut strip[..n]);
                for (i, &x) in strip[..n].iter().enumerate() {
                    columns[i * depth + k] = x;
                }
            }
            for i in 0..n {
                let column = &mut columns[i * depth..(i + 1) * depth];
                let at = row * inner + start + i;
                let mut put = |number: usize, value: Value| {
                    let at = (number * plane + at) * result.size();
                    store(value, result, &mut to[at..at + result.size()]);
                };
                let column = match valid(column, reduce.skipna) {
                    Some(column) => column,
                    None => &mut [],
                };
                match reduce.op {
                    ReduceOp::Median => put(0, Value::Float(median(column))),
                    ReduceOp::Mode => put(0, mode(column, dtype)?),
                    _ => {
                        column.sort_unstable_by(W::order);
                        for (number, &part) in parts.iter().enumerate() {
                            put(number, Value::Float(quantile(column, part, dtype)));
                        }
                    }
                }
            }
        }
        for axis in (0..counts.len()).rev() {
            index[axis] += 1;
            if index[axis] < counts[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(())
}

/// A total order.
trait Ordered {
    fn order(a: &Self, b: &Self) -> std::cmp::Ordering;
}

impl Ordered for f64 {
    fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
        a.total_cmp(b)
    }
}

impl Ordered for i64 {
    fn order(a: &i64, b: &i64) -> std::cmp::Ordering {
        a.cmp(b)
    }
}

impl Ordered for u64 {
    fn order(a: &u64, b: &u64) -> std::cmp::Ordering {
        a.cmp(b)
    }
}

/// The pixels that count; `None` where a NaN makes the result NaN.
fn valid<W: Wide>(column: &mut [W], skipna: bool) -> Option<&mut [W]> {
    let mut kept = 0;
    for i in 0..column.len() {
        let x = column[i];
        if x.is_nan() {
            if !skipna {
                return None;
            }
        } else {
            column[kept] = x;
            kept += 1;
        }
    }
    Some(&mut column[..kept])
}

fn median<W: Wide + Ordered>(column: &mut [W]) -> f64 {
    if column.is_empty() {
        return f64::NAN;
    }
    let middle = column.len() / 2;
    let odd = column.len() % 2 == 1;
    let (below, &mut upper, _) = column.select_nth_unstable_by(middle, W::order);
    if odd {
        return upper.float();
    }
    (largest(below).float() + upper.float()) / 2.0
}

fn largest<W: Wide + Ordered>(values: &[W]) -> W {
    let mut largest = values[0];
    for &x in &values[1..] {
        if W::order(&x, &largest).is_gt() {
            largest = x;
        }
    }
    largest
}

/// # Source
/// numpy, `lib/_function_base_impl.py`, `_quantile` and `_lerp`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index within the column; differences of float32 are float32"
)]
fn quantile<W: Wide>(sorted: &[W], part: f64, dtype: DType) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = part * last as f64;
    let below = (place.floor() as usize).min(last);
    let (a, b) = (sorted[below].float(), sorted[(below + 1).min(last)].float());
    let t = place - below as f64;
    let difference = match dtype {
        DType::Float32 => f64::from((b - a) as f32),
        DType::Float16 => f16::from_f64(b - a).to_f64(),
        _ => b - a,
    };
    if a == b {
        a
    } else if t >= 0.5 {
        b - difference * (1.0 - t)
    } else {
        a + difference * t
    }
}

fn mode<W: Wide + Ordered>(column: &mut [W], dtype: DType) -> Result<Value, &'static str> {
    if column.is_empty() {
        return if dtype.is_float() {
            Ok(Value::Float(f64::NAN))
        } else {
            Err(EMPTY)
        };
    }
    column.sort_unstable_by(W::order);
    let mut best = (0, column[0]);
    let (mut run, mut value) = (0, column[0]);
    for &x in column.iter() {
        if x == value {
            run += 1;
        } else {
            (run, value) = (1, x);
        }
        if run > best.0 {
            best = (run, value);
        }
    }
    Ok(best.1.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [7u64]), 7.0);
        assert!(median::<f64>(&mut []).is_nan());
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.25, DType::Float64), 1.5);
        assert_eq!(quantile(&[1u64, 2, 4], 1.0, DType::UInt8), 4.0);
        assert!(matches!(
            mode(&mut [3i64, 1, 3, 1, 2], DType::Int8),
            Ok(Value::Int(1))
        ));
    }
}
