//! The ground: hills, rivers, lakes, forest, paddocks and a town, and what it
//! reflects on a day of the year.
//!
//! Everything is a function of a place in metres on one plane, so that scenes of
//! any date, path or UTM zone see the same ground.

use crate::noise::{cell, fractal, unit};

/// Bands in the order of [`crate::product::BANDS`]: blue to shortwave infrared.
pub(crate) type Spectrum = [f32; 6];

const SOIL: Spectrum = [0.082, 0.112, 0.152, 0.215, 0.320, 0.270];
const STRAW: Spectrum = [0.105, 0.160, 0.218, 0.295, 0.370, 0.270];
const LEAVES: Spectrum = [0.022, 0.056, 0.030, 0.410, 0.175, 0.075];
const TREES: Spectrum = [0.016, 0.034, 0.024, 0.265, 0.110, 0.048];
const WATER: Spectrum = [0.046, 0.052, 0.036, 0.018, 0.009, 0.006];
const TOWN: Spectrum = [0.115, 0.130, 0.145, 0.185, 0.205, 0.180];

/// What covers a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cover {
    Water,
    Forest,
    Town,
    Grass,
    /// Green in early spring, straw at harvest.
    Cereal,
    /// Green while it rains.
    Pasture,
    /// Sown in spring, green in summer.
    Irrigated,
    Fallow,
}

/// A place with all that does not change over a season.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    cover: Cover,
    /// How a paddock differs from others of its crop, -1 to 1: earlier or later,
    /// lusher or thinner.
    vigour: f32,
    /// Fine differences of brightness.
    texture: f32,
    /// Share of leaves that hides soil, from 0 to 1, before the season's part.
    thickness: f32,
}

/// Height of the ground in metres.
pub(crate) fn elevation(x: f32, y: f32, seed: u32) -> f32 {
    let hills = fractal(x / 14_000.0, y / 14_000.0, 7, seed);
    // Flat country in the low parts, mountains in the high.
    let lifted = (hills + 0.15).max(0.0);
    180.0 + 60.0 * hills + 900.0 * lifted * lifted
}

/// How far a place is from the middle of a river, in metres.
fn river_distance(x: f32, y: f32, seed: u32) -> f32 {
    // Rivers run along the zero line of a smooth field, bent by a rougher one.
    let bend = |n: u32| 900.0 * fractal(x / 3_500.0, y / 3_500.0, 3, seed.wrapping_add(n));
    let (bx, by) = (x + bend(1), y + bend(2));
    let field = |x: f32, y: f32| fractal(x / 26_000.0, y / 26_000.0, 2, seed);
    let here = field(bx, by);
    let step = 60.0;
    let slope_x = (field(bx + step, by) - here) / step;
    let slope_y = (field(bx, by + step) - here) / step;
    here.abs() / slope_x.hypot(slope_y).max(1e-6)
}

impl Ground {
    /// The ground at a place whose elevation is known.
    pub(crate) fn at(x: f32, y: f32, elevation: f32, seed: u32) -> Self {
        let noise = |scale: f32, octaves, n: u32| {
            fractal(x / scale, y / scale, octaves, seed.wrapping_add(n * 1000))
        };
        let texture = noise(240.0, 3, 3);
        let ground = |cover, thickness, vigour| Ground {
            cover,
            vigour,
            texture,
            thickness,
        };

        let river = river_distance(x, y, seed.wrapping_add(11_000));
        let rough = noise(700.0, 3, 4);
        if elevation < 330.0 && river < 48.0 + 16.0 * rough {
            return ground(Cover::Water, 0.0, 0.0);
        }
        if elevation < 162.0 + 6.0 * rough && noise(9_000.0, 2, 12) > 0.25 {
            return ground(Cover::Water, 0.0, 0.0);
        }
        if river < 170.0 + 110.0 * rough && elevation < 400.0 {
            return ground(Cover::Forest, 0.75, rough);
        }
        if elevation > 360.0 + 110.0 * noise(2_500.0, 4, 5) {
            return ground(Cover::Forest, (0.86 + 0.10 * rough).min(0.97), rough);
        }
        let town = town(x, y, seed.wrapping_add(6_000));
        if town > 0.55 + 0.3 * rough {
            return ground(Cover::Town, 0.22 + 0.10 * rough, 0.0);
        }
        let field = Paddock::at(x, y, seed.wrapping_add(7_000));
        if field.edge < 16.0 {
            // Tracks and hedges.
            return if field.kind < 0.45 {
                ground(Cover::Forest, 0.6, rough)
            } else {
                ground(Cover::Grass, 0.15, rough)
            };
        }
        let grazing = noise(5_000.0, 2, 8);
        let cover = match field.kind + 0.35 * grazing {
            k if k < 0.12 => Cover::Irrigated,
            k if k < 0.24 => Cover::Fallow,
            k if k < 0.62 => Cover::Cereal,
            k if k < 0.90 => Cover::Pasture,
            _ => Cover::Grass,
        };
        ground(cover, 1.0, field.vigour)
    }

    /// Whether it is water.
    pub(crate) fn is_water(&self) -> bool {
        self.cover == Cover::Water
    }

    /// What it reflects on day `day` of the year (southern hemisphere).
    pub(crate) fn reflectance(&self, day: f32) -> Spectrum {
        if self.is_water() {
            return WATER.map(|band| band * (1.0 + 0.12 * self.texture));
        }
        let bell = |peak: f32, width: f32| {
            let t = (day - peak - 9.0 * self.vigour) / width;
            (-t * t).exp()
        };
        let rise = |start: f32| 1.0 / (1.0 + (-(day - start - 12.0 * self.vigour) / 9.0).exp());
        // Green leaves, and dry ones, over the soil.
        let (green, dry) = match self.cover {
            Cover::Forest => (self.thickness, 0.0),
            Cover::Town => (self.thickness * (0.5 + 0.5 * bell(265.0, 70.0)), 0.0),
            Cover::Cereal => (0.06 + 0.88 * bell(264.0, 48.0), 0.75 * rise(318.0)),
            Cover::Pasture => (0.22 + 0.55 * bell(256.0, 62.0), 0.55 * rise(322.0)),
            Cover::Grass => (0.14 + 0.34 * bell(254.0, 56.0), 0.45 * rise(305.0)),
            Cover::Irrigated => (0.07 + 0.86 * rise(308.0), 0.0),
            Cover::Fallow => (0.06 + 0.05 * bell(250.0, 40.0), 0.15),
            Cover::Water => (0.0, 0.0),
        };
        let green = (green * (1.0 + 0.14 * self.vigour) + 0.05 * self.texture).clamp(0.0, 0.98);
        let dry = (1.0 - green) * dry;
        let leaves = if self.cover == Cover::Forest {
            TREES
        } else {
            LEAVES
        };
        let soil = if self.cover == Cover::Town {
            TOWN
        } else {
            SOIL
        };
        let bright = 1.0 + 0.16 * self.texture + 0.10 * self.vigour;
        let mut out = [0.0; 6];
        for (band, value) in out.iter_mut().enumerate() {
            let bare = soil[band] * (1.0 - green - dry) * bright;
            *value = bare + STRAW[band] * dry * bright + leaves[band] * green;
        }
        out
    }
}

/// A rectangular field.
struct Paddock {
    /// Metres to the nearest border.
    edge: f32,
    /// 0 to 1: what grows there.
    kind: f32,
    /// -1 to 1: how it differs from others.
    vigour: f32,
}

impl Paddock {
    fn at(x: f32, y: f32, seed: u32) -> Self {
        // The survey grid of a district: slightly turned, blocks of 1.6 km cut in
        // two again and again, each time the other way.
        const SIDE: f32 = 1_600.0;
        let (sin, cos) = (-0.12f32).sin_cos();
        let (u, v) = ((x * cos - y * sin) / SIDE, (x * sin + y * cos) / SIDE);
        let ((block_x, mut u), (block_y, mut v)) = (cell(u), cell(v));
        let (mut width, mut height) = (SIDE, SIDE);
        let mut seed = seed;
        let mut key = 0i32;
        for depth in 0..4 {
            let luck = unit(block_x, block_y ^ (key << 8), seed);
            if depth > 0 && luck < 0.22 {
                break;
            }
            let cut = 0.35 + 0.3 * unit(block_x ^ (key << 8), block_y, seed.wrapping_add(1));
            let (along, length) = if width >= height {
                (&mut u, &mut width)
            } else {
                (&mut v, &mut height)
            };
            let second = *along >= cut;
            let (offset, part) = if second { (cut, 1.0 - cut) } else { (0.0, cut) };
            *along = (*along - offset) / part;
            *length *= part;
            key = key * 2 + 1 + i32::from(second);
            seed = seed.wrapping_add(17);
        }
        let draw = |n: u32| {
            unit(
                block_x ^ (key << 12),
                block_y ^ (key << 4),
                seed.wrapping_add(n),
            )
        };
        Paddock {
            edge: (u.min(1.0 - u) * width).min(v.min(1.0 - v) * height),
            kind: draw(5),
            vigour: 2.0 * draw(6) - 1.0,
        }
    }
}

/// How much of a town a place is: 1 in its middle, 0 outside.
fn town(x: f32, y: f32, seed: u32) -> f32 {
    const SIDE: f32 = 13_000.0;
    let ((cx, fx), (cy, fy)) = (cell(x / SIDE), cell(y / SIDE));
    if unit(cx, cy, seed) > 0.55 {
        return 0.0;
    }
    let centre = |n| 0.25 + 0.5 * unit(cx, cy, seed.wrapping_add(n));
    let radius = 700.0 + 1_300.0 * unit(cx, cy, seed.wrapping_add(3));
    let distance = ((fx - centre(1)) * SIDE).hypot((fy - centre(2)) * SIDE);
    (1.3 - distance / radius).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ndvi(cover: Cover, day: f32) -> f32 {
        let ground = Ground {
            cover,
            vigour: 0.0,
            texture: 0.0,
            thickness: 0.85,
        };
        let [_, _, red, nir, ..] = ground.reflectance(day);
        (nir - red) / (nir + red)
    }

    #[test]
    fn the_season_passes() {
        // Late September and mid December.
        let (spring, summer) = (270.0, 350.0);
        assert!(ndvi(Cover::Cereal, spring) > 0.75 && ndvi(Cover::Cereal, summer) < 0.35);
        assert!(ndvi(Cover::Irrigated, spring) < 0.35 && ndvi(Cover::Irrigated, summer) > 0.7);
        assert!((ndvi(Cover::Forest, spring) - ndvi(Cover::Forest, summer)).abs() < 0.02);
        assert!(ndvi(Cover::Water, spring) < 0.0);
    }

    #[test]
    fn there_is_something_of_everything() {
        let mut seen = std::collections::HashMap::new();
        for i in 0..60_000i32 {
            let (x, y) = (unit(i, 0, 1) * 40_000.0, unit(i, 1, 1) * 40_000.0);
            let ground = Ground::at(x, y, elevation(x, y, 1), 1);
            *seen.entry(format!("{:?}", ground.cover)).or_insert(0u32) += 1;
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
        assert!(seen["Water"] > 200 && seen["Water"] < 12_000, "{seen:?}");
    }
}
