//! The value that covers most of an output pixel.
//!
//! Weights are added up per value, in `f32` and in the order of the source
//! rows, as GDAL adds them; among values of equal weight the one that reached
//! it first wins.
//!
//! DIFFERENCE: for types wider than 16 bits GDAL compares a value only when it
//! is met for the second time, so that a value met once never replaces the
//! first one, whatever their weights. Here every type follows GDAL's rule for
//! 8 and 16 bits.
//!
//! # Source
//! GDAL, `alg/gdalwarpkernel.cpp`, `GRA_Mode` in `GWKAverageOrModeThread`.

use std::collections::HashMap;

use crate::warp::cover::{Corners, Cover, Margin};
use crate::warp::sample::Sample;
use crate::warp::window::SourceWindow;

/// Up to so many different values are looked for one after the other.
const FEW: usize = 24;

/// Weights by value, kept from pixel to pixel.
pub(crate) struct Votes<T> {
    values: Vec<(T, f32)>,
    /// Where a value is in `values`, by its bytes; used past [`FEW`].
    places: HashMap<[u8; 8], usize>,
}

impl<T> Default for Votes<T> {
    fn default() -> Self {
        Votes {
            values: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Sample> Votes<T> {
    fn clear(&mut self) {
        self.values.clear();
        self.places.clear();
    }

    /// Adds to a value's weight and returns what it has now.
    fn add(&mut self, value: T, weight: f32) -> f32 {
        let place = if self.values.len() <= FEW {
            self.values.iter().position(|(known, _)| *known == value)
        } else {
            if self.places.is_empty() {
                let values = self.values.iter().enumerate();
                self.places = values.map(|(at, (value, _))| (key(*value), at)).collect();
            }
            self.places.get(&key(value)).copied()
        };
        if let Some(place) = place {
            self.values[place].1 += weight;
            return self.values[place].1;
        }
        if !self.places.is_empty() {
            self.places.insert(key(value), self.values.len());
        }
        self.values.push((value, weight));
        weight
    }
}

/// Equal for equal values; missing ones, NaN among them, are never asked for.
fn key<T: Sample>(value: T) -> [u8; 8] {
    // Negative zero is zero.
    let zero = <T as bytemuck::Zeroable>::zeroed();
    let value = if value == zero { zero } else { value };
    let bytes = bytemuck::bytes_of(&value);
    let mut key = [0; 8];
    key[..bytes.len()].copy_from_slice(bytes);
    key
}

/// The most frequent value by area between two corners, for a row of pixels.
pub(crate) fn mode<T: Sample>(
    src: &SourceWindow<'_, T>,
    margin: Margin,
    corners: Corners<'_>,
    votes: &mut Votes<T>,
    out: &mut [T],
    valid: &mut [u8],
) {
    for (idx, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
        let value = margin
            .covers(&corners, idx, src.full_rows(), src.full_cols())
            .and_then(|(y, x)| mode_over(src, &y, &x, votes));
        *valid = u8::from(value.is_some());
        if let Some(value) = value {
            *out = value;
        }
    }
}

fn mode_over<T: Sample>(
    src: &SourceWindow<'_, T>,
    y: &Cover,
    x: &Cover,
    votes: &mut Votes<T>,
) -> Option<T> {
    let n_rows = usize::try_from(y.end - y.start).ok()?;
    let n_cols = usize::try_from(x.end - x.start).ok()?;
    src.offset(y.start, x.start, n_rows, n_cols)?;
    votes.clear();
    let mut best: Option<T> = None;
    let mut most = 0.0;
    for row in y.start..y.end {
        let row_weight = y.weight(row);
        let skip = usize::try_from(x.start - src.col0()).ok()?;
        let pixels = &src.row(row)?[skip..][..n_cols];
        let missing = src
            .missing_row(row)
            .map(|missing| &missing[skip..][..n_cols]);
        for (at, (col, &pixel)) in (x.start..x.end).zip(pixels).enumerate() {
            if missing.is_some_and(|missing| missing[at] != 0) {
                continue;
            }
            #[allow(
                clippy::cast_possible_truncation,
                reason = "as GDAL, so that ties fall alike"
            )]
            let weight = (row_weight * x.weight(col)) as f32;
            let weight = votes.add(pixel, weight);
            if weight > most {
                most = weight;
                best = Some(pixel);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use datacube_geo::{PixelWindow, Shape2d};

    use super::*;

    fn mode_of<T: Sample>(rows: usize, pixels: &[T], missing: Option<&[u8]>) -> Option<T> {
        let shape = Shape2d {
            rows,
            cols: pixels.len() / rows,
        };
        let src = SourceWindow::new(pixels, missing, &PixelWindow::full(shape), shape);
        let y = Cover::new(0.0, rows as f64, src.full_rows()).unwrap();
        let x = Cover::new(0.0, shape.cols as f64, src.full_cols()).unwrap();
        mode_over(&src, &y, &x, &mut Votes::default())
    }

    #[test]
    fn the_first_to_reach_the_most_wins() {
        assert_eq!(mode_of::<u8>(1, &[1, 2, 2, 1], None), Some(2));
        assert_eq!(mode_of::<u8>(1, &[1, 2, 3], None), Some(1));
        assert_eq!(
            mode_of::<u8>(1, &[1, 2, 2, 1], Some(&[0, 1, 0, 0])),
            Some(1)
        );
        assert_eq!(mode_of::<u8>(1, &[1, 2], Some(&[1, 1])), None);
        assert_eq!(mode_of::<f32>(1, &[0.0, -0.0, 5.0], None), Some(0.0));
    }

    #[test]
    fn many_values_are_counted_as_few_are() {
        let mut pixels: Vec<i32> = (0..400).collect();
        pixels[399] = 77;
        assert_eq!(mode_of(20, &pixels, None), Some(77));
    }

    #[test]
    fn a_value_met_once_can_win_by_its_area() {
        let pixels = [1.5f32, 2.5];
        let shape = Shape2d { rows: 1, cols: 2 };
        let src = SourceWindow::new(&pixels, None, &PixelWindow::full(shape), shape);
        let y = Cover::new(0.0, 1.0, 1).unwrap();
        let x = Cover::new(0.8, 1.8, 2).unwrap();
        assert_eq!(mode_over(&src, &y, &x, &mut Votes::default()), Some(2.5));
    }
}
