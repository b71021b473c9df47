//! The image itself: a pixel of the picture for each pixel of the plane.

use rayon::prelude::*;

use super::canvas::Picture;
use super::colours::Colours;
use super::plane::{Plane, quantiles};
use crate::export::{Error, Result};

/// One plane through a colour map; gaps are transparent.
///
/// # Errors
/// [`Error::Invalid`] if the range of `colours` is empty.
pub fn picture(plane: &Plane, colours: &Colours) -> Result<Picture> {
    let scale = colours.resolve(&[plane])?;
    Ok(Picture::from_rgba(
        plane.shape(),
        scale.paint(plane.values()),
    ))
}

/// How three planes become red, green and blue.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RgbOptions {
    /// Values that become dark and full. Default: the 0.5 % and 98 % quantiles of
    /// all three planes together, which keeps the balance of colours.
    pub range: Option<(f64, f64)>,
    /// Brightens the middle: `value ^ (1 / gamma)`. Default 1.3, because screens
    /// and eyes want land lighter than its share of the light.
    pub gamma: Option<f64>,
}

impl RgbOptions {
    /// With these values as dark and full.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// With this brightening of the middle.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> Self {
        self.gamma = Some(gamma);
        self
    }
}

/// Three planes of one shape as red, green and blue; transparent where any has a gap.
///
/// # Errors
/// [`Error::Invalid`] if the shapes differ, or range or gamma mean nothing.
pub fn rgb(planes: [&Plane; 3], options: &RgbOptions) -> Result<Picture> {
    let [red, green, blue] = planes;
    if red.shape() != green.shape() || red.shape() != blue.shape() {
        return Err(Error::invalid(
            "an RGB picture",
            "its three planes differ in shape",
        ));
    }
    let (low, high) = options
        .range
        .or_else(|| quantiles(&planes, 0.005, 0.98))
        .unwrap_or((0.0, 1.0));
    let gamma = options.gamma.unwrap_or(1.3);
    if low.is_nan() || high.is_nan() || (options.range.is_some() && low >= high) || gamma <= 0.0 {
        return Err(Error::invalid(
            "an RGB picture",
            format!("range {low} to {high} or gamma {gamma} means nothing"),
        ));
    }
    let span = if high > low { high - low } else { 1.0 };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 0 to 255"
    )]
    let level = |value: f32| {
        let at = ((f64::from(value) - low) / span).clamp(0.0, 1.0);
        (at.powf(1.0 / gamma) * 255.0).round() as u8
    };
    let rgba = (red.values(), green.values(), blue.values())
        .into_par_iter()
        .flat_map_iter(|(&r, &g, &b)| {
            if r.is_nan() || g.is_nan() || b.is_nan() {
                [0; 4]
            } else {
                [level(r), level(g), level(b), 255]
            }
        })
        .collect();
    Ok(Picture::from_rgba(red.shape(), rgba))
}

#[cfg(test)]
mod tests {
    use datacube_geo::Shape2d;

    use super::*;

    #[test]
    fn rgb_is_transparent_where_a_band_has_a_gap() {
        let shape = Shape2d { rows: 1, cols: 2 };
        let plane = |values: [f32; 2]| Plane::new(shape, values.to_vec()).unwrap();
        let (r, g, b) = (
            plane([0.0, 1.0]),
            plane([5.0, f32::NAN]),
            plane([10.0, 3.0]),
        );
        let picture = rgb(
            [&r, &g, &b],
            &RgbOptions::default().range(0.0, 10.0).gamma(1.0),
        )
        .unwrap();
        assert_eq!(picture.rgba(), [0, 128, 255, 255, 0, 0, 0, 0]);
        let other = Plane::new(Shape2d { rows: 2, cols: 1 }, vec![0.0; 2]).unwrap();
        assert!(rgb([&r, &g, &other], &RgbOptions::default()).is_err());
    }
}
