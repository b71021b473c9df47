//! What a band is in a picture, in GDAL's words.

use super::ifd::Ifd;
use super::tags;
use crate::error::Result;

/// Every name that a file may give a band.
const NAMES: &[&str] = &[
    "undefined",
    "gray",
    "palette",
    "red",
    "green",
    "blue",
    "alpha",
    "hue",
    "saturation",
    "lightness",
    "cyan",
    "magenta",
    "yellow",
    "black",
    "pan",
    "coastal",
    "rededge",
    "nir",
    "swir",
    "mwir",
    "lwir",
    "tir",
    "other_ir",
    "sar_ka_band",
    "sar_k_band",
    "sar_ku_band",
    "sar_x_band",
    "sar_c_band",
    "sar_s_band",
    "sar_l_band",
    "sar_p_band",
];

/// The name, if it is one.
pub(crate) fn named(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|known| **known == name).copied()
}

/// What each of `samples` bands of so many bits is, by the tags of the TIFF.
///
/// # Source
/// GDAL, the constructor of `GTiffRasterBand`.
pub(crate) fn of_bands(ifd: &Ifd, samples: usize, bits: u16) -> Result<Vec<&'static str>> {
    // A bare TIFF is GDAL's MINISBLACK.
    let base: &[&'static str] = match ifd.uint16(tags::PHOTOMETRIC)?.unwrap_or(1) {
        // Inverted grey, and bits, get a palette of two or more greys.
        0 if samples == 1 && bits <= 16 => &["palette"],
        1 if samples == 1 && bits == 1 => &["palette"],
        0 => &["undefined"],
        2 | 6 => &["red", "green", "blue"],
        3 => &["palette"],
        5 => &["cyan", "magenta", "yellow", "black"],
        8..=10 => &["red", "green", "blue"],
        _ => &["gray"],
    };
    let extra = ifd.uints(tags::EXTRA_SAMPLES)?.unwrap_or_default();
    let first_extra = samples.saturating_sub(extra.len());
    let mut has_alpha = false;
    Ok((0..samples)
        .map(|band_idx| {
            if let Some(&name) = base.get(band_idx) {
                return name;
            }
            let kind = band_idx
                .checked_sub(first_extra)
                .and_then(|at| extra.get(at));
            if matches!(kind, Some(1 | 2)) && !has_alpha {
                has_alpha = true;
                return "alpha";
            }
            "undefined"
        })
        .collect())
}
