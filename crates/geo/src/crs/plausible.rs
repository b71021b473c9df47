//! Pixel sizes that can only be a mistake of units.
//!
//! Asking for 30 (metres) in a CRS of degrees gives a world of 12 by 6 pixels,
//! or one pixel, and no error; so does 0.00025 (degrees) in a CRS of metres the
//! other way round. No instrument makes such pixels.

use super::Crs;
use crate::{CrsKind, Error, Resolution, Result};

/// Coarser than any global grid of degrees.
const MAX_DEGREES: f64 = 10.0;
/// Finer than a millimetre on the ground.
const MIN_METRES: f64 = 1e-3;
/// A twentieth of the way around the earth.
const MAX_METRES: f64 = 2e6;

impl Crs {
    /// Checks that a pixel size makes sense in the units of this CRS.
    ///
    /// # Errors
    /// [`Error::InvalidResolution`] for zero and for what is not finite;
    /// [`Error::ImplausibleResolution`] for 10 degrees or more, and for less
    /// than a millimetre or more than 2000 km, with the pixel size in words and
    /// what was probably meant.
    pub fn check_resolution(&self, resolution: Resolution) -> Result<()> {
        let size = resolution.abs();
        if !(size.is_finite() && size.x > 0.0 && size.y > 0.0) {
            return Err(Error::InvalidResolution {
                resolution,
                reason: "both pixel sizes must be finite and not zero".to_owned(),
            });
        }
        let largest = size.x.max(size.y);
        let smallest = size.x.min(size.y);
        let metres = self.unit_in_metres();
        let (words, advice) = match self.kind() {
            CrsKind::Geographic if largest >= MAX_DEGREES => (
                format!("{largest} degrees, some {}", length(largest * metres)),
                format!(
                    "for pixels of {largest} m give about {} degrees, or choose a CRS of metres \
                     (a UTM zone, say)",
                    significant(largest / metres)
                ),
            ),
            CrsKind::Projected if largest * metres > MAX_METRES => (
                length(largest * metres),
                "no image has pixels so large; the unit of this CRS is the metre or near it"
                    .to_owned(),
            ),
            _ if smallest * metres < MIN_METRES => {
                let advice = if self.kind() == CrsKind::Projected {
                    format!(
                        "if these are degrees, give about {} instead",
                        significant(smallest * Self::wgs84().unit_in_metres() / metres)
                    )
                } else {
                    "no image has pixels so small".to_owned()
                };
                (length(smallest * metres), advice)
            }
            _ => return Ok(()),
        };
        Err(Error::ImplausibleResolution {
            resolution,
            crs: self.to_string(),
            size: words,
            advice,
        })
    }
}

fn length(metres: f64) -> String {
    if metres >= 1000.0 {
        format!("{} km", significant(metres / 1000.0))
    } else if metres >= 1.0 {
        format!("{} m", significant(metres))
    } else {
        format!("{} mm", significant(metres * 1000.0))
    }
}

/// Two significant digits, without an exponent where that is short.
fn significant(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let digits = 1.0 - x.abs().log10().floor();
    let scale = 10f64.powf(digits);
    (x * scale).round() / scale
}
