//! Numbers that should have been integers: rounding, alignment and the fitting
//! of an axis onto a pixel grid.
//!
//! Grids of different programs must agree to the pixel, so the rules are those
//! of odc-geo, tolerances included.
//!
//! # Source
//! odc-geo 0.5.3, `odc/geo/math.py`.

/// Splits into a whole number and a remainder within -0.5 to 0.5.
///
/// The sum gives back `x`. A remainder of exactly one half keeps its sign, so
/// 0.5 gives (0, 0.5) and -0.5 gives (0, -0.5). What is not finite is returned
/// as the whole part.
#[must_use]
pub fn split_float(x: f64) -> (f64, f64) {
    if !x.is_finite() {
        return (x, 0.0);
    }
    let part = x % 1.0;
    let whole = x - part;
    if part > 0.5 {
        (whole + 1.0, part - 1.0)
    } else if part < -0.5 {
        (whole - 1.0, part + 1.0)
    } else {
        (whole, part)
    }
}

/// The nearest whole number if it is closer than `tolerance`, else `x`.
#[must_use]
pub fn maybe_int(x: f64, tolerance: f64) -> f64 {
    if !x.is_finite() {
        return x;
    }
    let (whole, part) = split_float(x);
    if part.abs() < tolerance { whole } else { x }
}

/// Whether `x` is closer than `tolerance` to a whole number.
#[must_use]
pub fn is_almost_int(x: f64, tolerance: f64) -> bool {
    x.is_finite() && split_float(x).1.abs() < tolerance
}

/// A scale moved to the whole number, or to the fraction 1/n, that it is
/// within `tolerance` of; else unchanged.
#[must_use]
pub fn snap_scale(scale: f64, tolerance: f64) -> f64 {
    if scale.abs() >= 1.0 - tolerance {
        return maybe_int(scale, tolerance);
    }
    if scale.abs() < tolerance {
        return scale;
    }
    let inverse = 1.0 / scale;
    let snapped = maybe_int(inverse, tolerance);
    if snapped == inverse {
        scale
    } else {
        1.0 / snapped
    }
}

/// The largest multiple of `align` that is not above `x`.
///
/// # Panics
/// When `align` is zero.
#[must_use]
pub const fn align_down(x: i64, align: i64) -> i64 {
    x - x.rem_euclid(align)
}

/// The smallest multiple of `align` that is not below `x`.
///
/// # Panics
/// When `align` is zero.
#[must_use]
pub const fn align_up(x: i64, align: i64) -> i64 {
    align_down(x + (align - 1), align)
}

/// Origin and number of pixels of the one-dimensional grid that covers
/// `low..=high`.
///
/// `step` is the signed pixel size; with a negative one the origin is at the
/// high end. `offset` is where pixel edges lie relative to multiples of the
/// pixel size, as a fraction of a pixel (0: edges on multiples, 0.5: centres);
/// `None` starts the grid exactly at the end of the interval. The grid may fall
/// short of the interval by `tolerance` pixels, so that 29.9999 pixels are 30
/// and not 31. The number of pixels is a whole number of at least one, as a
/// float so that the caller can refuse what does not fit.
#[must_use]
pub fn snap_grid(
    low: f64,
    high: f64,
    step: f64,
    offset: Option<f64>,
    tolerance: f64,
) -> (f64, f64) {
    let size = step.abs();
    let Some(offset) = offset else {
        let n = maybe_int((high - low) / size, tolerance).ceil().max(1.0);
        return (if step > 0.0 { low } else { high }, n);
    };
    let offset = offset * size;
    let first = maybe_int((low - offset) / size, tolerance).floor();
    let last = maybe_int((high - offset) / size, tolerance).ceil();
    let n = (last - first).max(1.0);
    let start = first * size;
    let origin = if step > 0.0 { start } else { start + n * size };
    (origin + offset, n)
}
