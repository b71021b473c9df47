//! Colour maps, and which values their two ends stand for.

use std::fmt;
use std::str::FromStr;

use datacube_model::near_names;

use super::plane::{Plane, quantiles};
use crate::export::Error;

/// A colour map by its usual name; `_r` at the end turns it round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourMap {
    name: &'static str,
    reversed: bool,
}

/// Name, colours, and whether the colours themselves run the other way than the
/// name says.
const MAPS: [(&str, colorous::Gradient, bool); 28] = [
    ("viridis", colorous::VIRIDIS, false),
    ("magma", colorous::MAGMA, false),
    ("inferno", colorous::INFERNO, false),
    ("plasma", colorous::PLASMA, false),
    ("cividis", colorous::CIVIDIS, false),
    ("turbo", colorous::TURBO, false),
    ("cubehelix", colorous::CUBEHELIX, false),
    ("gray", colorous::GREYS, true),
    ("greys", colorous::GREYS, false),
    ("blues", colorous::BLUES, false),
    ("greens", colorous::GREENS, false),
    ("oranges", colorous::ORANGES, false),
    ("purples", colorous::PURPLES, false),
    ("reds", colorous::REDS, false),
    ("bugn", colorous::BLUE_GREEN, false),
    ("gnbu", colorous::GREEN_BLUE, false),
    ("pubu", colorous::PURPLE_BLUE, false),
    ("ylgn", colorous::YELLOW_GREEN, false),
    ("ylgnbu", colorous::YELLOW_GREEN_BLUE, false),
    ("ylorbr", colorous::YELLOW_ORANGE_BROWN, false),
    ("ylorrd", colorous::YELLOW_ORANGE_RED, false),
    ("brbg", colorous::BROWN_GREEN, false),
    ("piyg", colorous::PINK_GREEN, false),
    ("prgn", colorous::PURPLE_GREEN, false),
    ("rdbu", colorous::RED_BLUE, false),
    ("rdylbu", colorous::RED_YELLOW_BLUE, false),
    ("rdylgn", colorous::RED_YELLOW_GREEN, false),
    ("spectral", colorous::SPECTRAL, false),
];

impl ColourMap {
    /// The default: even steps for the eye and for readers who see few colours.
    pub const VIRIDIS: ColourMap = ColourMap {
        name: "viridis",
        reversed: false,
    };
    /// Red over yellow to green, as vegetation indices are shown.
    pub const RDYLGN: ColourMap = ColourMap {
        name: "rdylgn",
        reversed: false,
    };
    /// Blue over white to red, for values on both sides of zero.
    pub const RDBU_R: ColourMap = ColourMap {
        name: "rdbu",
        reversed: true,
    };
    /// Black to white.
    pub const GRAY: ColourMap = ColourMap {
        name: "gray",
        reversed: false,
    };

    /// The names that are understood.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MAPS.iter().map(|(name, ..)| *name)
    }

    /// The colour at `position` between 0 and 1, as red, green, blue.
    pub fn at(&self, position: f64) -> [u8; 3] {
        let (_, gradient, backwards) = MAPS
            .iter()
            .find(|(name, ..)| *name == self.name)
            .expect("names come from the table");
        let position = position.clamp(0.0, 1.0);
        let turned = self.reversed != *backwards;
        let colour = gradient.eval_continuous(if turned { 1.0 - position } else { position });
        [colour.r, colour.g, colour.b]
    }
}

impl FromStr for ColourMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.trim().to_ascii_lowercase().replace("grey", "gray");
        let (base, reversed) = match lower.strip_suffix("_r") {
            Some(base) => (base, true),
            None => (lower.as_str(), false),
        };
        let base = if base == "grays" { "greys" } else { base };
        if let Some(name) = ColourMap::names().find(|name| *name == base) {
            return Ok(ColourMap { name, reversed });
        }
        let all: Vec<_> = ColourMap::names().collect();
        let hint = match near_names(base, all.iter().copied()).first() {
            Some(name) => format!("did you mean {name}? "),
            None => String::new(),
        };
        Err(Error::invalid(
            "a picture",
            format!(
                "there is no colour map `{text}`; {hint}there are {}, each also with _r turned round",
                all.join(", ")
            ),
        ))
    }
}

impl fmt::Display for ColourMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.reversed { "_r" } else { "" })
    }
}

/// How values become colours; what is not given is chosen by the values.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Colours {
    /// The colour map. Default: blue to red around zero where values lie on both
    /// sides of it, else viridis.
    pub map: Option<ColourMap>,
    /// The values at its ends. Default: the 2 % and 98 % quantiles, which leaves
    /// outliers to the end colours.
    pub range: Option<(f64, f64)>,
    /// Take the least and the greatest value as ends instead of the quantiles.
    pub full_range: bool,
}

impl Colours {
    /// Chosen by the name of a variable: vegetation indices (`ndvi`, `evi`, ...)
    /// from red to green.
    pub fn for_variable(name: &str) -> Self {
        const VEGETATION: [&str; 7] = ["ndvi", "evi", "savi", "msavi", "gndvi", "ndre", "nirv"];
        let name = name.to_ascii_lowercase();
        let is_vegetation = name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| VEGETATION.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())));
        Colours {
            map: is_vegetation.then_some(ColourMap::RDYLGN),
            ..Colours::default()
        }
    }

    /// With this map.
    #[must_use]
    pub fn map(mut self, map: ColourMap) -> Self {
        self.map = Some(map);
        self
    }

    /// With these values at the ends.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// From the least to the greatest value.
    #[must_use]
    pub fn full_range(mut self, full_range: bool) -> Self {
        self.full_range = full_range;
        self
    }

    /// Map and ends for these planes together.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the range given is empty or not finite.
    pub fn resolve(&self, planes: &[&Plane]) -> Result<Scale, Error> {
        let (least, greatest) = quantiles(planes, 0.0, 1.0).unwrap_or((0.0, 1.0));
        let (mut low, mut high) = match self.range {
            Some((low, high)) if low < high && (high - low).is_finite() => (low, high),
            Some((low, high)) => {
                return Err(Error::invalid(
                    "a picture",
                    format!("its range goes from {low} to {high}; the first has to be the smaller"),
                ));
            }
            None if self.full_range => (least, greatest),
            None => quantiles(planes, 0.02, 0.98).unwrap_or((0.0, 1.0)),
        };
        let straddles = low < 0.0 && high > 0.0;
        let map = self.map.unwrap_or(if straddles {
            ColourMap::RDBU_R
        } else {
            ColourMap::VIRIDIS
        });
        if self.map.is_none() && self.range.is_none() && straddles {
            high = high.max(-low);
            low = -high;
        }
        if low >= high {
            // All values are the same: put them in the middle.
            let half = (low.abs() * 0.1).max(0.5);
            (low, high) = (low - half, high + half);
        }
        Ok(Scale {
            map,
            low,
            high,
            below: least < low,
            above: greatest > high,
        })
    }
}

/// A colour map with the values of its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The colours.
    pub map: ColourMap,
    /// The value of the first colour.
    pub low: f64,
    /// The value of the last colour.
    pub high: f64,
    /// Whether there are values below `low`.
    pub below: bool,
    /// Whether there are values above `high`.
    pub above: bool,
}

impl Scale {
    /// The colours of values, four bytes each; NaN is transparent.
    pub(crate) fn paint(&self, values: &[f32]) -> Vec<u8> {
        use rayon::prelude::*;
        const STEPS: usize = 1024;
        let table: Vec<[u8; 3]> = (0..=STEPS)
            .map(|step| self.map.at(step as f64 / STEPS as f64))
            .collect();
        let factor = STEPS as f64 / (self.high - self.low);
        values
            .par_iter()
            .flat_map_iter(|&value| {
                if value.is_nan() {
                    return [0; 4];
                }
                let step = ((f64::from(value) - self.low) * factor).clamp(0.0, STEPS as f64);
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped"
                )]
                let [r, g, b] = table[step.round() as usize];
                [r, g, b, 255]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use datacube_geo::Shape2d;

    use super::*;

    fn plane(values: &[f32]) -> Plane {
        Plane::new(
            Shape2d {
                rows: 1,
                cols: values.len(),
            },
            values.to_vec(),
        )
        .unwrap()
    }

    #[test]
    fn names_are_found_and_wrong_ones_explained() {
        assert_eq!("RdYlGn".parse::<ColourMap>().unwrap(), ColourMap::RDYLGN);
        assert_eq!("RdBu_r".parse::<ColourMap>().unwrap(), ColourMap::RDBU_R);
        assert_eq!("grey".parse::<ColourMap>().unwrap(), ColourMap::GRAY);
        assert_eq!(ColourMap::GRAY.at(0.0), [0, 0, 0]);
        assert_eq!("Greys".parse::<ColourMap>().unwrap().at(1.0), [0, 0, 0]);
        let text = "virdis".parse::<ColourMap>().unwrap_err().to_string();
        assert!(text.contains("did you mean viridis?"), "{text}");
        for name in ColourMap::names() {
            assert_eq!(name.parse::<ColourMap>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn the_scale_follows_the_values() {
        let both = plane(&[-0.25, 0.0, 0.5]);
        let scale = Colours::default()
            .full_range(true)
            .resolve(&[&both])
            .unwrap();
        assert_eq!(
            (scale.map, scale.low, scale.high),
            (ColourMap::RDBU_R, -0.5, 0.5)
        );
        let ndvi = Colours::for_variable("ndvi_mean")
            .full_range(true)
            .resolve(&[&both])
            .unwrap();
        assert_eq!(
            (ndvi.map, ndvi.low, ndvi.high),
            (ColourMap::RDYLGN, -0.25, 0.5)
        );
        let flat = Colours::default().resolve(&[&plane(&[3.0, 3.0])]).unwrap();
        assert!(flat.low < 3.0 && flat.high > 3.0);
        let given = Colours::default()
            .range(0.0, 0.25)
            .resolve(&[&both])
            .unwrap();
        assert!(given.below && given.above);
        assert!(
            Colours::default()
                .range(1.0, 1.0)
                .resolve(&[&both])
                .is_err()
        );
    }

    #[test]
    fn gaps_are_transparent() {
        let scale = Colours::default()
            .range(0.0, 1.0)
            .resolve(&[&plane(&[0.0])])
            .unwrap();
        let painted = scale.paint(&[f32::NAN, -5.0, 5.0]);
        assert_eq!(painted[..4], [0, 0, 0, 0]);
        assert_eq!(painted[4..7], ColourMap::VIRIDIS.at(0.0));
        assert_eq!(painted[8..11], ColourMap::VIRIDIS.at(1.0));
    }
}
