//! Binary morphology with a disk: dilation, erosion, opening, closing.
//!
//! A pixel is dilated where a set pixel lies within the radius, centre to
//! centre. The work is that of the pixels, whatever the radius: down and up
//! each column the distance to the nearest set pixel is counted, and each such
//! distance `d` covers `sqrt(r² - d²)` pixels to either side in its row.
//!
//! # Source
//! odc-algo 1.2.2, `mask_cleanup` and `binary_*`, on scikit-image's
//! `isotropic_*`: distances of `scipy.ndimage.distance_transform_edt` against
//! the radius. What lies beyond the edges is neither set nor clear: edges erode
//! nothing.

use std::str::FromStr;

use crate::error::{Error, Result};

/// What is done to a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Morph {
    /// Set where a set pixel is within the radius.
    Dilation,
    /// Set where no clear pixel is within the radius.
    Erosion,
    /// Erosion, then dilation: what is too small for the disk goes.
    Opening,
    /// Dilation, then erosion: gaps too small for the disk go.
    Closing,
}

impl Morph {
    const ALL: [(&'static str, Morph); 4] = [
        ("dilation", Morph::Dilation),
        ("erosion", Morph::Erosion),
        ("opening", Morph::Opening),
        ("closing", Morph::Closing),
    ];

    /// odc-algo's name.
    pub fn name(self) -> &'static str {
        Morph::ALL
            .iter()
            .find(|(_, morph)| *morph == self)
            .map_or("", |(name, _)| name)
    }

    /// How many pixels around one a result of it depends on.
    pub fn reach(self, radius: f64) -> usize {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of pixels"
        )]
        let once = radius.max(0.0).floor() as usize;
        match self {
            Morph::Dilation | Morph::Erosion => once,
            Morph::Opening | Morph::Closing => 2 * once,
        }
    }
}

impl FromStr for Morph {
    type Err = Error;

    fn from_str(name: &str) -> Result<Morph> {
        let found = Morph::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, morph)| *morph).ok_or_else(|| {
            let names = Morph::ALL.iter().map(|(name, _)| *name);
            Error::unknown_name("operation", name, "a mask's clean-up", names)
        })
    }
}

/// How many pixels around one the result of all steps depends on: the overlap
/// that chunks need.
///
/// DIFFERENCE: odc-algo overlaps by the sum of the radii, which is too little
/// for openings and closings, so that its results depend on the chunks.
pub fn reach(steps: &[(Morph, f64)]) -> usize {
    steps
        .iter()
        .map(|(morph, radius)| morph.reach(*radius))
        .sum()
}

/// Scratch of [`mask_cleanup`].
#[derive(Debug, Default)]
pub struct Scratch {
    distance: Vec<u16>,
    cover: Vec<i32>,
    half_width: Vec<usize>,
}

/// The steps one after the other on each plane of `rows` x `cols` pixels of
/// `mask`, in place; without steps nothing changes, and a radius of 0 is no
/// step.
///
/// DIFFERENCE: a plane without a set pixel dilates to itself, and one without
/// a clear pixel erodes to itself. odc-algo measures there to a pixel that does
/// not exist, above the first, and sets or clears pixels near the corner.
///
/// # Errors
/// A mask that is no whole number of planes, a radius that is negative, not
/// finite or above 32767 pixels.
pub fn mask_cleanup(
    mask: &mut [bool],
    rows: usize,
    cols: usize,
    steps: &[(Morph, f64)],
    scratch: &mut Scratch,
) -> Result<()> {
    let plane = rows * cols;
    if plane == 0 || !mask.len().is_multiple_of(plane) {
        return if mask.is_empty() {
            Ok(())
        } else {
            Err(Error::Bug(format!(
                "{} pixels in planes of {rows} x {cols}",
                mask.len()
            )))
        };
    }
    for &(morph, radius) in steps {
        if !(0.0..=32767.0).contains(&radius) {
            return Err(Error::Invalid(format!(
                "{} with a radius of {radius} pixels; radii lie between 0 and 32767",
                morph.name()
            )));
        }
        if radius == 0.0 {
            continue;
        }
        scratch.widths(radius);
        for plane in mask.chunks_exact_mut(plane) {
            match morph {
                Morph::Dilation => spread(plane, cols, true, scratch),
                Morph::Erosion => spread(plane, cols, false, scratch),
                Morph::Opening => {
                    spread(plane, cols, false, scratch);
                    spread(plane, cols, true, scratch);
                }
                Morph::Closing => {
                    spread(plane, cols, true, scratch);
                    spread(plane, cols, false, scratch);
                }
            }
        }
    }
    Ok(())
}

impl Scratch {
    /// How far a pixel at each distance in its column reaches in a row.
    fn widths(&mut self, radius: f64) {
        self.half_width.clear();
        let square = |x: usize| {
            #[allow(clippy::cast_precision_loss, reason = "squares of some thousand")]
            let x = x as f64;
            x * x
        };
        // From the widest, at no distance, to the narrowest.
        let reach = Morph::Dilation.reach(radius);
        let mut width = reach;
        for distance in 0..=reach {
            while (square(distance) + square(width)).sqrt() > radius {
                width -= 1;
            }
            self.half_width.push(width);
        }
    }
}

/// Sets every pixel to `value` that lies within the radius of one that is.
fn spread(plane: &mut [bool], cols: usize, value: bool, scratch: &mut Scratch) {
    let far = u16::try_from(scratch.half_width.len()).unwrap_or(u16::MAX);
    let distance = &mut scratch.distance;
    distance.clear();
    distance.resize(plane.len(), far);

    // Down: how far above, in its column, is the nearest pixel of the value?
    nearest(distance, plane.chunks_exact(cols), cols, value, far);
    // Up: or below? The row is done then, and can be covered.
    let mut below = vec![far; cols];
    scratch.cover.resize(cols + 1, 0);
    for (row, above) in plane
        .chunks_exact_mut(cols)
        .rev()
        .zip(distance.chunks_exact(cols).rev())
    {
        for ((below, &above), &pixel) in below.iter_mut().zip(above).zip(row.iter()) {
            let next = if pixel == value {
                0
            } else {
                (*below + 1).min(far)
            };
            *below = next.min(above);
        }
        // `below` is the nearest either way here, and no pixel further up is
        // nearer to it than that by way of this one.
        if below.iter().all(|&distance| distance >= far) {
            continue;
        }
        scratch.cover.fill(0);
        for (col, &distance) in below.iter().enumerate() {
            if let Some(&width) = scratch.half_width.get(usize::from(distance)) {
                scratch.cover[col.saturating_sub(width)] += 1;
                scratch.cover[(col + width + 1).min(cols)] -= 1;
            }
        }
        let mut covered = 0;
        for (pixel, &change) in row.iter_mut().zip(&scratch.cover) {
            covered += change;
            if covered > 0 {
                *pixel = value;
            }
        }
    }
}

fn nearest<'a>(
    distance: &mut [u16],
    rows: impl Iterator<Item = &'a [bool]>,
    cols: usize,
    value: bool,
    far: u16,
) {
    let mut above = vec![far; cols];
    for (to, row) in distance.chunks_exact_mut(cols).zip(rows) {
        for ((above, to), &pixel) in above.iter_mut().zip(to).zip(row) {
            *above = if pixel == value {
                0
            } else {
                (*above + 1).min(far)
            };
            *to = *above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition.
    fn plain(mask: &[bool], rows: usize, cols: usize, radius: f64, value: bool) -> Vec<bool> {
        let at = |row: usize, col: usize| mask[row * cols + col];
        (0..rows * cols)
            .map(|i| {
                let (row, col) = (i / cols, i % cols);
                let hit = (0..rows * cols).any(|j| {
                    let (y, x) = ((j / cols).abs_diff(row), (j % cols).abs_diff(col));
                    mask[j] == value && ((y * y + x * x) as f64).sqrt() <= radius
                });
                if hit { value } else { at(row, col) }
            })
            .collect()
    }

    fn noise(n: usize, seed: u64, one_in: u64) -> Vec<bool> {
        let mut x = seed;
        (0..n)
            .map(|_| {
                x = x
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (x >> 33).is_multiple_of(one_in)
            })
            .collect()
    }

    #[test]
    fn disks_of_every_radius() {
        let mut scratch = Scratch::default();
        for (rows, cols) in [(1, 1), (1, 17), (17, 1), (13, 19)] {
            for radius in [1.0, 1.5, 2.0, 3.0, 5.0, 7.3, 40.0] {
                for one_in in [2, 9, 60, 100_000] {
                    let mask = noise(rows * cols, rows as u64 + one_in, one_in);
                    for (morph, value) in [(Morph::Dilation, true), (Morph::Erosion, false)] {
                        let mut found = mask.clone();
                        mask_cleanup(&mut found, rows, cols, &[(morph, radius)], &mut scratch)
                            .unwrap();
                        let expected = plain(&mask, rows, cols, radius, value);
                        assert_eq!(found, expected, "{rows}x{cols} {morph:?} {radius} {one_in}");
                    }
                }
            }
        }
    }

    #[test]
    fn opening_and_closing_are_both_steps() {
        let mask = noise(400, 5, 3);
        let mut scratch = Scratch::default();
        for (morph, first) in [(Morph::Opening, false), (Morph::Closing, true)] {
            let mut found = mask.clone();
            mask_cleanup(&mut found, 20, 20, &[(morph, 1.0)], &mut scratch).unwrap();
            let once = plain(&mask, 20, 20, 1.0, first);
            assert_eq!(found, plain(&once, 20, 20, 1.0, !first));
        }
        assert_eq!(reach(&[(Morph::Opening, 2.0), (Morph::Dilation, 5.5)]), 9);
    }

    #[test]
    fn planes_do_not_touch() {
        let mut mask = vec![false; 8];
        mask[3] = true;
        mask_cleanup(
            &mut mask,
            2,
            2,
            &[(Morph::Dilation, 9.0)],
            &mut Scratch::default(),
        )
        .unwrap();
        assert_eq!(mask, [true, true, true, true, false, false, false, false]);
        let mut one = [true];
        assert!(
            mask_cleanup(
                &mut one,
                1,
                1,
                &[(Morph::Erosion, -1.0)],
                &mut Scratch::default()
            )
            .is_err()
        );
        assert!("dilate".parse::<Morph>().is_err());
    }
}
