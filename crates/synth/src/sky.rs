//! Clouds, their shadows, cirrus and haze of one pass.
//!
//! Both rows of a pass see the same sky; each pass sees another one.

use crate::noise::{fractal, unit};

/// The sky over the area at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sky {
    seed: u32,
    /// Clouds are where the field is above this.
    threshold: f32,
    /// Reflectance that haze adds to blue.
    pub(crate) haze: f32,
    cirrus_threshold: f32,
}

/// What the sky does to one pixel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Air {
    /// 0 to 1: how much of the ground a cloud hides.
    pub(crate) opacity: f32,
    pub(crate) is_cloud: bool,
    /// Thin edge of a cloud: seen with less confidence.
    pub(crate) is_edge: bool,
    /// Close to a cloud.
    pub(crate) is_dilated: bool,
    pub(crate) is_cirrus: bool,
    /// Reflectance that cirrus adds.
    pub(crate) veil: f32,
}

impl Sky {
    /// A sky of which clouds cover about the part `cover` (0 to 1).
    pub(crate) fn new(cover: f32, seed: u32) -> Self {
        let mut sky = Sky {
            seed,
            threshold: 0.0,
            haze: 0.012 * unit(1, 2, seed),
            cirrus_threshold: if unit(3, 4, seed) < 0.5 { 0.62 } else { 0.95 },
        };
        // The threshold is the quantile of a sample of the field.
        let mut sample: Vec<f32> = (0..4096i32)
            .map(|i| sky.field(unit(i, 5, seed) * 60_000.0, unit(i, 6, seed) * 60_000.0))
            .collect();
        sample.sort_by(f32::total_cmp);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let at = ((1.0 - cover.clamp(0.0, 0.99)) * 4095.0) as usize;
        sky.threshold = sample[at];
        sky
    }

    fn field(&self, x: f32, y: f32) -> f32 {
        let seed = self.seed.wrapping_add(100);
        let groups = fractal(x / 11_000.0, y / 11_000.0, 2, seed);
        let billows = fractal(x / 2_600.0, y / 2_600.0, 5, seed.wrapping_add(10));
        0.65 * groups + 0.6 * billows
    }

    /// The air over a place in metres.
    pub(crate) fn over(&self, x: f32, y: f32) -> Air {
        let excess = self.field(x, y) - self.threshold;
        let seed = self.seed.wrapping_add(300);
        let cirrus = fractal((x + 0.6 * y) / 16_000.0, (y - 0.3 * x) / 5_000.0, 4, seed);
        Air {
            opacity: (excess * 7.0 + 0.25).clamp(0.0, 1.0) * f32::from(u8::from(excess > -0.03)),
            is_cloud: excess > 0.0,
            is_edge: excess > -0.03 && excess <= 0.0,
            is_dilated: excess > -0.10 && excess <= 0.0,
            is_cirrus: cirrus > self.cirrus_threshold,
            veil: ((cirrus - self.cirrus_threshold + 0.12) * 0.16).clamp(0.0, 0.05),
        }
    }

    /// Whether a cloud stands between a place and the sun, which is in the
    /// north-east: clouds a kilometre and a half up throw shadows south-westwards.
    pub(crate) fn shades(&self, x: f32, y: f32) -> bool {
        self.field(x + 750.0, y + 960.0) > self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_is_what_was_asked_for() {
        for cover in [0.02, 0.3, 0.6] {
            let sky = Sky::new(cover, 42);
            let clouds = (0..5000i32)
                .filter(|&i| {
                    sky.over(unit(i, 8, 2) * 60_000.0, unit(i, 9, 2) * 60_000.0)
                        .is_cloud
                })
                .count();
            #[allow(clippy::cast_precision_loss, reason = "a small count")]
            let part = clouds as f32 / 5000.0;
            assert!((part - cover).abs() < 0.04, "{part} instead of {cover}");
        }
    }
}
