//! How many output pixels there are for one source pixel, as GDAL counts them.
//!
//! The number decides how far bilinear and cubic reach. GDAL takes it from the
//! sizes of the two windows, so a rotation between the grids widens the kernel
//! too: the box around a rotated window is larger than the window. It is
//! computed once for the whole of what a source has in common with the output
//! grid, never for a chunk.
//!
//! # Source
//! GDAL 3.12, `alg/gdalwarpoperation.cpp`, `ComputeSourceWindow`, and
//! `alg/gdalwarpkernel.cpp`, `PerformWarp`.

use datacube_geo::{PixelWindow, Shape2d};

/// Points on each side of a window at which GDAL looks.
const STEPS: u32 = 21;

/// The points on the border of an output window that are looked at, in pixels
/// of the whole grid: x and y.
pub(crate) fn border(window: &PixelWindow) -> (Vec<f64>, Vec<f64>) {
    let (left, top) = (float(window.cols.start), float(window.rows.start));
    let (width, height) = (float(window.cols.len()), float(window.rows.len()));
    let step = 1.0 / f64::from(STEPS - 1);
    let mut ratio = 0.0;
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    let mut push = |x: f64, y: f64| {
        xs.push(left + x * width);
        ys.push(top + y * height);
    };
    while ratio <= 1.0 + step * 0.5 {
        push(ratio, 0.0);
        push(ratio, 1.0);
        push(0.0, ratio);
        push(1.0, ratio);
        ratio += step;
    }
    (xs, ys)
}

/// Points over the inside of an output window, and for each its neighbours to
/// the right and below (at the far edges, to the left and above).
pub(crate) fn inside(window: &PixelWindow) -> (Vec<f64>, Vec<f64>) {
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    let along = |n: usize| {
        let points = n.min(10);
        (0..points).map(move |idx| {
            let at = if points == 1 {
                0.0
            } else {
                float(idx * n) / float(points - 1)
            };
            (at, if idx + 1 == points { -1.0 } else { 1.0 })
        })
    };
    let (left, top) = (float(window.cols.start), float(window.rows.start));
    for (y, down) in along(window.rows.len()) {
        for (x, right) in along(window.cols.len()) {
            for (dx, dy) in [(0.0, 0.0), (right, 0.0), (0.0, down)] {
                xs.push(left + x + dx);
                ys.push(top + y + dy);
            }
        }
    }
    (xs, ys)
}

/// Output pixels for one source pixel along one axis, where `positions` are the
/// source positions of the border of a window of `n_out` pixels, and the source
/// has `n_src`. `radius` is the filter's before it is widened.
pub(crate) fn axis_scale(positions: &[f64], n_out: usize, n_src: usize, radius: usize) -> f64 {
    let finite = positions
        .iter()
        .copied()
        .filter(|position| position.is_finite());
    let n_failed = positions.len() - finite.clone().count();
    let low = round_if_close(finite.clone().fold(f64::INFINITY, f64::min));
    let high = round_if_close(finite.fold(f64::NEG_INFINITY, f64::max));
    let (n_out, n_src, radius) = (float(n_out), float(n_src), float(radius));
    if low > high || low > n_src || high < 0.0 || n_out == 0.0 {
        return 1.0;
    }

    // The source window that GDAL would read, and how much of it is there only
    // for the kernel's sake.
    let rough = (n_out / (high - low)).max(1e-3);
    let mut pad = if rough < 0.95 {
        (radius / rough).ceil()
    } else {
        radius
    };
    if n_failed > 0 {
        pad += 10.0;
    }
    let first = low.max(0.0).floor();
    let end = high.ceil().min(n_src);
    let raw = (high - low).min(n_src - first).max(0.0);
    let size = if end - first > 0.9 * n_src {
        n_src
    } else {
        let start = (first - pad).clamp(0.0, n_src);
        (end - start + pad).min(n_src - start).max(0.0)
    };
    if raw <= 0.0 {
        return 1.0;
    }
    let scale = n_out / raw;
    let scale = if size >= n_out && size <= n_out + (size - raw) {
        1.0
    } else {
        scale
    };
    let whole = (1.0 / scale + 0.5).floor();
    if scale < 1.0 && (1.0 / scale - whole).abs() < 0.05 {
        1.0 / whole
    } else {
        scale
    }
}

/// The scale along x, taken from point to point: what counts where the box
/// around a window says nothing, as for a window over the antimeridian of a
/// source in longitudes.
///
/// `xs` are the source positions of the points of [`inside`].
pub(crate) fn scale_from_points(xs: &[f64]) -> Option<f64> {
    let mut scales: Vec<f64> = xs
        .chunks_exact(3)
        .map(|x| 1.0 / (x[1] - x[0]).abs().max((x[2] - x[0]).abs()))
        .filter(|scale| scale.is_finite())
        .collect();
    scales.sort_by(f64::total_cmp);
    // Those over the discontinuity are far too small.
    let least = scales.last()? / 10.0;
    let kept: Vec<f64> = scales.into_iter().filter(|&scale| scale > least).collect();
    Some(kept.iter().sum::<f64>() / float(kept.len()))
}

/// Whether the box around the source window says nothing about the scale.
pub(crate) fn is_suspicious(x_scale: f64, y_scale: f64) -> bool {
    y_scale / x_scale > 100.0
}

fn round_if_close(x: f64) -> f64 {
    if (x.round() - x).abs() < 1e-6 {
        x.round()
    } else {
        x
    }
}

/// Image sizes as floats.
#[allow(
    clippy::cast_precision_loss,
    reason = "images have fewer than 2^52 pixels a side"
)]
fn float(n: usize) -> f64 {
    n as f64
}

/// The scale of a window of `out` pixels on both axes, from its border.
pub(crate) fn window_scale(
    xs: &[f64],
    ys: &[f64],
    out: Shape2d,
    src: Shape2d,
    radius: usize,
) -> (f64, f64) {
    (
        axis_scale(xs, out.cols, src.cols, radius),
        axis_scale(ys, out.rows, src.rows, radius),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_the_same_size_are_not_scaled() {
        assert_eq!(axis_scale(&[0.5, 50.5], 50, 100, 1), 1.0);
        // 2 % more source pixels than output pixels still count as the same.
        assert_eq!(axis_scale(&[10.0, 61.0], 50, 100, 2), 1.0);
    }

    #[test]
    fn shrinking_snaps_to_whole_numbers() {
        let check = |low: f64, high: f64, n_out: usize, expected: f64| {
            let found = axis_scale(&[low, high], n_out, 1000, 1);
            assert!(
                (found - expected).abs() < 1e-12,
                "{low}..{high} to {n_out}: {found}"
            );
        };
        check(0.0, 370.0, 100, 100.0 / 370.0);
        check(0.0, 401.0, 100, 0.25);
        check(100.0, 104.0, 10, 2.5);
        check(-50.0, 320.0, 100, 100.0 / 370.0);
    }

    #[test]
    fn nothing_in_common_is_not_scaled() {
        assert_eq!(axis_scale(&[2000.0, 2100.0], 10, 1000, 1), 1.0);
        assert_eq!(axis_scale(&[f64::NAN; 4], 10, 1000, 1), 1.0);
        assert_eq!(axis_scale(&[5.0, 5.0], 10, 1000, 1), 1.0);
    }

    #[test]
    fn the_border_is_walked_in_21_steps() {
        let (xs, ys) = border(&PixelWindow::new(10..30, 5..105));
        assert_eq!((xs.len(), ys.len()), (84, 84));
        assert!(xs.iter().all(|x| (5.0..=105.0 + 1e-9).contains(x)));
        assert!(ys.iter().all(|y| (10.0..=30.0 + 1e-9).contains(y)));
    }

    #[test]
    fn a_jump_does_not_count() {
        let smooth = [0.0, 0.5, 0.0];
        let jump = [0.0, 36000.0, 0.0];
        let xs: Vec<f64> = [smooth, smooth, jump, smooth].concat();
        assert_eq!(scale_from_points(&xs), Some(2.0));
        assert!(is_suspicious(0.01, 2.0) && !is_suspicious(0.5, 2.0));
    }
}
