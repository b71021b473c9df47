//! Copying pixels instead of warping them, where that is exact.
//!
//! In one CRS, at one pixel size, a nearest neighbour is a copy at whole-pixel
//! offsets, whatever the sub-pixel shift; other kernels are copies only when
//! there is next to no shift. Either is checked at both ends of the overlap, so
//! that a pixel size which is off by a millionth cannot drift away over ten
//! thousand pixels.

use super::SCALE_TOLERANCE;
use crate::snap::split_float;
use crate::{Affine, PixelWindow, Shape2d, Xy};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Positions this close to the border of two pixels are on it.
const ON_BORDER: f64 = 1e-6;

/// When a source may be pasted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasteRule {
    /// Wherever the paste has what nearest neighbour has.
    Nearest(Tie),
    /// Where no pixel is shifted by more than this many source pixels.
    Shift(f64),
    /// Nowhere.
    Never,
}

impl PasteRule {
    /// For nearest neighbour, ties as ODC breaks them.
    pub const NEAREST: Self = Self::Nearest(Tie::Odc);

    /// For all other kernels: a hundredth of a pixel, as in ODC.
    pub const KERNEL: Self = Self::Shift(0.01);
}

/// Which of two source pixels is the nearest when a destination pixel lies
/// exactly between them, as on a grid that is half a pixel off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// ODC's way: the shift from the destination's origin to the source's is
    /// rounded towards zero. That is the pixel up-left of the tie where the
    /// destination begins inside of the source, and the one down-right where
    /// the source begins inside of the destination.
    #[default]
    Odc,
    /// Always the pixel up-left of the tie.
    UpLeft,
}

/// A source whose pixels can be copied: destination pixel (row, column) is
/// source pixel (row + `offset.y`, column + `offset.x`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paste {
    /// Source pixel minus destination pixel.
    pub offset: Xy<i64>,
    /// What the paste hides: how far, in source pixels, the place that a
    /// destination pixel asks for lies right of and below the centre of the
    /// pixel that it gets. Within half a pixel.
    pub hidden_shift: Xy,
    /// Destination pixels that are pasted.
    pub dst_window: PixelWindow,
}

impl Paste {
    /// The paste for a map from destination to source pixels, if `rule` allows
    /// one.
    pub(super) fn decide(
        map: &Affine,
        src: Shape2d,
        dst: Shape2d,
        rule: PasteRule,
    ) -> Option<Self> {
        let whole = |v: f64| (v - 1.0).abs() <= SCALE_TOLERANCE;
        if rule == PasteRule::Never || !map.is_axis_aligned() || !(whole(map.a) && whole(map.e)) {
            return None;
        }
        let cols = Axis::decide(map.a, map.c, src.cols, dst.cols, rule)?;
        let rows = Axis::decide(map.e, map.f, src.rows, dst.rows, rule)?;
        Some(Self {
            offset: Xy::new(cols.offset, rows.offset),
            hidden_shift: Xy::new(cols.hidden, rows.hidden),
            dst_window: PixelWindow::new(rows.dst, cols.dst),
        })
    }

    /// All source pixels that are pasted.
    #[must_use]
    pub fn src_window(&self) -> PixelWindow {
        self.src_of(&self.dst_window)
    }

    /// Source pixels that the pasted ones of `window` are copied from.
    #[must_use]
    pub fn src_of(&self, window: &PixelWindow) -> PixelWindow {
        let window = window.intersect(&self.dst_window);
        let shift = |r: &Range<usize>, by: i64| {
            let moved = |v: usize| {
                i64::try_from(v)
                    .ok()
                    .and_then(|v| usize::try_from(v + by).ok())
                    .expect("pasted pixels lie inside of the source")
            };
            if r.is_empty() {
                return 0..0;
            }
            moved(r.start)..moved(r.end)
        };
        if window.is_empty() {
            return PixelWindow::default();
        }
        PixelWindow::new(
            shift(&window.rows, self.offset.y),
            shift(&window.cols, self.offset.x),
        )
    }
}

struct Axis {
    offset: i64,
    hidden: f64,
    dst: Range<usize>,
}

impl Axis {
    /// For `source = scale * destination + shift` along one axis.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with the size of both grids first"
    )]
    fn decide(scale: f64, shift: f64, src: usize, dst: usize, rule: PasteRule) -> Option<Self> {
        let (src, dst) = (i64::try_from(src).ok()?, i64::try_from(dst).ok()?);
        if shift.is_nan() || shift.abs() > (src + dst + 1) as f64 * 2.0 {
            return None;
        }
        let offset = match rule {
            PasteRule::Nearest(Tie::UpLeft) => {
                let up_left = (shift - 0.5).ceil();
                // 0.5 below by rounding is 0.5.
                if (shift - 0.5 - (up_left - 1.0)).abs() < ON_BORDER {
                    up_left - 1.0
                } else {
                    up_left
                }
            }
            _ => {
                let (whole, part) = split_float(shift);
                if part.abs() > 0.5 - ON_BORDER && (part < 0.0) != (shift < 0.0) {
                    // A tie that rounding pushed over the border.
                    whole + part.signum()
                } else {
                    whole
                }
            }
        };
        let offset = offset as i64;
        let start = (-offset).clamp(0, dst);
        let end = (src - offset).clamp(start, dst);
        // From the centre of the pixel that is pasted to the place asked for.
        let hidden = |i: i64| {
            let centre = i as f64 + 0.5;
            scale * centre + shift - (centre + offset as f64)
        };
        let limit = match rule {
            PasteRule::Nearest(_) => 0.5 + ON_BORDER,
            PasteRule::Shift(limit) => limit,
            PasteRule::Never => return None,
        };
        let last = (end - 1).max(start);
        let worst = hidden(start).abs().max(hidden(last).abs());
        if worst > limit {
            return None;
        }
        let mut middle = hidden((start + last) / 2);
        if scale == 1.0 {
            middle = shift - offset as f64;
        }
        Some(Self {
            offset,
            hidden: middle,
            dst: usize::try_from(start).ok()?..usize::try_from(end).ok()?,
        })
    }
}
