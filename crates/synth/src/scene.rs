//! One scene: where it lies, what it sees, and its files.
//!
//! The geometry has what real archives have and loaders trip on: footprints
//! turned inside their bounding box, two rows of one path that overlap by a
//! tenth, a neighbouring path that is delivered in the next UTM zone, northings
//! below zero in a zone of the north, pixel corners at 15 m modulo 30 m, extents
//! that differ a little from pass to pass, and one solar day on two UTC dates.

use std::path::Path;

use anyhow::{Context as _, Result};
use datacube::export::cog::{Band, CogOptions, CogSpec, CogWriter};
use datacube_geo::{Affine, Crs, CrsTransform, GeoBox, PixelWindow, Shape2d, Xy};
use datacube_model::{DType, Number};
use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use uuid::Uuid;

use crate::land::{Ground, elevation};
use crate::noise::{normal, unit};
use crate::product::{self, BANDS, NODATA, OFFSET, QA_NODATA, QA_SUFFIX, SCALE, SceneFacts, qa};
use crate::sky::Sky;

/// Metres.
const PIXEL: f64 = 30.0;
/// How far footprints are turned, in degrees.
const TURN: f64 = 12.0;
/// Just west of a 6 degree line: the neighbouring path is delivered in the zone
/// to the east.
pub(crate) const CENTRE: Xy = Xy {
    x: 143.85,
    y: -37.6,
};
/// UTM zones of the two paths.
const ZONES: [u32; 2] = [32654, 32655];
/// The first pass; its second row is seen 24 s later, on the next UTC date.
const START: &str = "2020-08-12T23:59:48Z";
/// Part of the sky that clouds cover, pass by pass.
const CLOUDS: [f32; 6] = [0.10, 0.20, 0.02, 0.13, 0.30, 0.06];

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u32,
    /// Rows and columns of a scene.
    pub(crate) size: usize,
    /// Passes, alternately of the two paths.
    pub(crate) passes: u32,
}

/// A scene that has not been made.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pass: u32,
    epsg: u32,
    path: u32,
    row: u32,
    time: Timestamp,
    affine: Affine,
    size: usize,
    seed: u32,
}

/// What was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) label: String,
    pub(crate) epsg: u32,
    pub(crate) time: Timestamp,
    pub(crate) cloud_percent: f64,
    pub(crate) bytes: u64,
}

/// Half the side of a footprint in pixels.
#[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
fn half_side(size: usize) -> f64 {
    let (sin, cos) = TURN.to_radians().sin_cos();
    (size as f64 / (sin + cos) - 24.0) / 2.0
}

impl Plan {
    /// All scenes in order of time.
    pub(crate) fn scenes(&self) -> Result<Vec<Scene>> {
        let start: Timestamp = START.parse().context("the first pass")?;
        let (sin, cos) = TURN.to_radians().sin_cos();
        let side = 2.0 * half_side(self.size);
        let mut scenes = Vec::new();
        for pass in 0..self.passes {
            // Path 93 every 48 days, path 92 in the middle between.
            let day = SignedDuration::from_hours(24 * 24 * i64::from(pass));
            let is_neighbour = pass % 2 == 1;
            if is_neighbour {
                let early = SignedDuration::from_mins(-6);
                let shift = (0.36 * side, -0.06 * side);
                scenes.push(self.scene(pass, ZONES[1], (92, 86), start + day + early, shift)?);
                continue;
            }
            for row in [0, 1] {
                // Rows follow one another along the track and overlap by a tenth.
                let along = if row == 0 { -0.45 } else { 0.45 } * side;
                let time = start + day + SignedDuration::from_secs(24 * i64::from(row));
                let shift = (-sin * along, cos * along);
                scenes.push(self.scene(pass, ZONES[0], (93, 86 + row), time, shift)?);
            }
        }
        Ok(scenes)
    }

    /// A scene whose middle is `shift` pixels right and down of the centre.
    fn scene(
        &self,
        pass: u32,
        epsg: u32,
        (path, row): (u32, u32),
        time: Timestamp,
        shift: (f64, f64),
    ) -> Result<Scene> {
        let to_utm = CrsTransform::new(&Crs::from_epsg(4326)?, &Crs::from_epsg(epsg)?)?;
        let centre = to_utm
            .point(CENTRE)?
            .context("the centre is in its UTM zone")?;
        let jitter =
            |n: i32| f64::from(unit(i32::try_from(pass).unwrap_or(0), n, self.seed)) * 40.0 - 20.0;
        #[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
        let half = self.size as f64 / 2.0;
        let corner = |middle: f64| ((middle / PIXEL).round()) * PIXEL + PIXEL / 2.0;
        let left = corner(centre.x + (shift.0 - half + jitter(1)) * PIXEL);
        let top = corner(centre.y - (shift.1 - half + jitter(2)) * PIXEL);
        Ok(Scene {
            pass,
            epsg,
            path,
            row,
            time,
            affine: Affine {
                a: PIXEL,
                b: 0.0,
                c: left,
                d: 0.0,
                e: -PIXEL,
                f: top,
            },
            size: self.size,
            seed: self.seed,
        })
    }
}

/// The pixels of a scene.
struct Pixels {
    bands: [Vec<u16>; 6],
    qa: Vec<u16>,
}

impl Scene {
    fn label(&self) -> String {
        let day = self.time.strftime("%Y%m%d");
        format!(
            "LC08_L2SP_{:03}{:03}_{day}_{day}_02_T1",
            self.path, self.row
        )
    }

    /// Position in a turned frame around the middle of the scene, in pixels:
    /// across the track and along it.
    #[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
    fn turned(&self, col: f64, row: f64) -> (f64, f64) {
        let (sin, cos) = TURN.to_radians().sin_cos();
        let half = self.size as f64 / 2.0;
        let (x, y) = (col - half, row - half);
        (x * cos + y * sin, -x * sin + y * cos)
    }

    /// The corners of what is valid, in the CRS, counter-clockwise.
    #[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
    fn footprint(&self) -> Vec<[f64; 2]> {
        let (sin, cos) = TURN.to_radians().sin_cos();
        let (h, half) = (half_side(self.size), self.size as f64 / 2.0);
        [(-h, -h), (-h, h), (h, h), (h, -h), (-h, -h)]
            .into_iter()
            .map(|(across, along)| {
                let col = across * cos - along * sin + half;
                let row = across * sin + along * cos + half;
                let at = self.affine.apply(Xy::new(col, row));
                [at.x, at.y]
            })
            .collect()
    }

    /// Makes the pixels and writes files and document to a folder of their own
    /// in `folder`.
    pub(crate) fn make(&self, folder: &Path) -> Result<Made> {
        let label = self.label();
        let day = self.time.strftime("%Y/%m/%d").to_string();
        let folder = folder
            .join(format!("{:03}/{:03}", self.path, self.row))
            .join(day)
            .join(&label);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let pixels = self.pixels()?;

        let mut files: Vec<(&str, &[u16], u16)> = BANDS
            .iter()
            .zip(&pixels.bands)
            .map(|((_, suffix, _), band)| (*suffix, band.as_slice(), NODATA))
            .collect();
        files.push((QA_SUFFIX, &pixels.qa, QA_NODATA));
        let bytes = files
            .par_iter()
            .map(|(suffix, band, nodata)| {
                let path = folder.join(format!("{label}_{suffix}.TIF"));
                self.write(&path, band, *nodata)
            })
            .sum::<Result<u64>>()?;

        let valid = pixels.qa.iter().filter(|&&bits| bits != QA_NODATA).count();
        let cloudy = pixels
            .qa
            .iter()
            .filter(|&&bits| bits & qa::CLOUD != 0)
            .count();
        #[allow(clippy::cast_precision_loss, reason = "a percentage")]
        let cloud_cover = (cloudy as f64 / valid.max(1) as f64 * 1e4).round() / 100.0;
        let name = format!("{}/{label}/{}/{}", product::PRODUCT, self.seed, self.size);
        let document = product::dataset(&SceneFacts {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()),
            label: &label,
            epsg: self.epsg,
            path: self.path,
            row: self.row,
            time: self.time,
            size: self.size,
            affine: self.affine.to_array(),
            footprint: &self.footprint(),
            cloud_cover,
        });
        let path = folder.join(format!("{label}.odc-metadata.yaml"));
        std::fs::write(&path, format!("---\n{}", yaml_serde::to_string(&document)?))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(Made {
            label,
            epsg: self.epsg,
            time: self.time,
            cloud_percent: cloud_cover,
            bytes,
        })
    }

    fn write(&self, path: &Path, pixels: &[u16], nodata: u16) -> Result<u64> {
        let shape = Shape2d::new(self.size, self.size);
        let geobox = GeoBox::new(shape, self.affine, Some(Crs::from_epsg(self.epsg)?))?;
        let is_qa = nodata == QA_NODATA;
        let band = if is_qa {
            Band::default()
        } else {
            Band::default().scale_offset(SCALE, OFFSET)
        };
        let spec = CogSpec::new(geobox, DType::UInt16)
            .nodata(Some(Number::Int(nodata.into())))
            .categorical(is_qa)
            .bands(vec![band]);
        let writer =
            CogWriter::create(path, spec, CogOptions::default().block(256).overwrite(true))?;
        writer.write(0, &PixelWindow::full(shape), bytemuck::cast_slice(pixels))?;
        Ok(writer.finish()?.bytes)
    }

    /// Metres east and north of the centre, on the plane of the first zone, of
    /// every pixel of a row, as single precision.
    fn places(&self) -> Result<Places> {
        const STEP: usize = 32;
        let n = self.size / STEP + 2;
        let zone = Crs::from_epsg(ZONES[0])?;
        let origin = CrsTransform::new(&Crs::from_epsg(4326)?, &zone)?
            .point(CENTRE)?
            .context("the centre is in its UTM zone")?;
        let (mut xs, mut ys) = (Vec::with_capacity(n * n), Vec::with_capacity(n * n));
        for row in 0..n {
            for col in 0..n {
                #[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
                let pixel = Xy::new((col * STEP) as f64 + 0.5, (row * STEP) as f64 + 0.5);
                let at = self.affine.apply(pixel);
                xs.push(at.x);
                ys.push(at.y);
            }
        }
        CrsTransform::new(&Crs::from_epsg(self.epsg)?, &zone)?.transform(&mut xs, &mut ys)?;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "within 100 km of the centre"
        )]
        let relative = |values: Vec<f64>, origin: f64| {
            values
                .into_iter()
                .map(|value| (value - origin) as f32)
                .collect::<Vec<f32>>()
        };
        Ok(Places {
            n,
            x: relative(xs, origin.x),
            y: relative(ys, origin.y),
        })
    }

    fn pixels(&self) -> Result<Pixels> {
        let n = self.size;
        let places = self.places()?;
        let heights: Vec<f32> = (0..n * n)
            .into_par_iter()
            .map(|at| {
                let (x, y) = places.at(at / n, at % n);
                elevation(x, y, self.seed)
            })
            .collect();
        let cover = CLOUDS[self.pass as usize % CLOUDS.len()];
        let sky = Sky::new(cover, self.seed.wrapping_add(7919 * (self.pass + 1)));
        let day = f32::from(self.time.to_zoned(jiff::tz::TimeZone::UTC).day_of_year());
        let noise_seed = self.seed.wrapping_add(self.row * 31 + self.pass * 1009);

        let h = half_side(n);
        let measured: Vec<([u16; 6], u16)> = (0..n * n)
            .into_par_iter()
            .map(|at| {
                let (row, col) = (at / n, at % n);
                #[allow(clippy::cast_precision_loss, reason = "a few thousand pixels")]
                let (across, along) = self.turned(col as f64 + 0.5, row as f64 + 0.5);
                if across.abs() >= h || along.abs() >= h {
                    return ([NODATA; 6], QA_NODATA);
                }
                // Footprints do not reach the edge, so there are pixels all around.
                let east = (heights[at + 1] - heights[at - 1]) / 60.0;
                let north = (heights[at - n] - heights[at + n]) / 60.0;
                // The sun stands in the north-east: slopes that face it are brighter.
                let light = (1.0 - 1.3 * (east + north)).clamp(0.5, 1.5);
                let (x, y) = places.at(row, col);
                let ground = Ground::at(x, y, heights[at], self.seed);
                let spectrum = ground.reflectance(day).map(|band| band * light);
                let noise = |band: u32| {
                    let place = |n: usize| i32::try_from(n).unwrap_or(0);
                    normal(place(col), place(row), noise_seed.wrapping_add(band << 16))
                };
                measure(spectrum, ground.is_water(), &sky, (x, y), noise)
            })
            .collect();
        let bands =
            std::array::from_fn(|band| measured.iter().map(|(bands, _)| bands[band]).collect());
        Ok(Pixels {
            bands,
            qa: measured.iter().map(|(_, bits)| *bits).collect(),
        })
    }
}

/// What arrives at the sensor from one pixel, and what quality assessment says of it.
fn measure(
    ground: [f32; 6],
    is_water: bool,
    sky: &Sky,
    (x, y): (f32, f32),
    noise: impl Fn(u32) -> f32,
) -> ([u16; 6], u16) {
    const CLOUD: [f32; 6] = [0.60, 0.61, 0.62, 0.66, 0.45, 0.35];
    let air = sky.over(x, y);
    let is_shaded = sky.shades(x, y);
    let in_shadow = is_shaded && !air.is_cloud && !air.is_dilated;

    let mut pixels = [0; 6];
    for ((number, band), pixel) in (0u8..).zip(0..6).zip(&mut pixels) {
        let blueness = 1.0 - f32::from(number) / 6.0;
        let mut value = ground[band] * if is_shaded { 0.48 } else { 1.0 };
        value += sky.haze * blueness;
        value += air.veil;
        value = value * (1.0 - air.opacity) + CLOUD[band] * air.opacity;
        value += noise(number.into()) * (0.0012 + 0.006 * value);
        let count = ((f64::from(value) - OFFSET) / SCALE)
            .round()
            .clamp(1.0, 65_455.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        {
            *pixel = count as u16;
        }
    }

    let mut bits = 0;
    let mut set = |condition: bool, bit: u16| {
        if condition {
            bits |= bit;
        }
    };
    set(air.is_dilated, qa::DILATED_CLOUD);
    set(air.is_cirrus, qa::CIRRUS);
    set(air.is_cloud, qa::CLOUD);
    set(in_shadow, qa::CLOUD_SHADOW);
    set(!air.is_cloud && !air.is_dilated, qa::CLEAR);
    set(is_water && !air.is_cloud, qa::WATER);
    let confidence: u16 = match (air.is_cloud, air.is_edge) {
        (true, _) => 3,
        (false, true) => 2,
        _ => 1,
    };
    bits |= confidence << qa::CLOUD_CONFIDENCE;
    bits |= if in_shadow { 3 } else { 1 } << qa::SHADOW_CONFIDENCE;
    bits |= 1 << qa::SNOW_CONFIDENCE;
    bits |= if air.is_cirrus { 3 } else { 1 } << qa::CIRRUS_CONFIDENCE;
    (pixels, bits)
}

/// Places of pixels, exact at every 32nd and interpolated between.
struct Places {
    n: usize,
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Places {
    #[allow(clippy::cast_precision_loss, reason = "below 32")]
    fn at(&self, row: usize, col: usize) -> (f32, f32) {
        let (r, c) = (row / 32, col / 32);
        let (v, u) = ((row % 32) as f32 / 32.0, (col % 32) as f32 / 32.0);
        let mix = |values: &[f32]| {
            let top = values[r * self.n + c] * (1.0 - u) + values[r * self.n + c + 1] * u;
            let low =
                values[(r + 1) * self.n + c] * (1.0 - u) + values[(r + 1) * self.n + c + 1] * u;
            top * (1.0 - v) + low * v
        };
        (mix(&self.x), mix(&self.y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_its_difficulties() {
        let plan = Plan {
            seed: 1,
            size: 400,
            passes: 4,
        };
        let scenes = plan.scenes().unwrap();
        assert_eq!(scenes.len(), 6);
        // One solar day on two UTC dates; two zones; northings below zero.
        let days: Vec<_> = scenes
            .iter()
            .map(|s| s.time.strftime("%j").to_string())
            .collect();
        assert_ne!(days[0], days[1]);
        assert_eq!(scenes[2].epsg, 32655);
        assert!(
            scenes
                .iter()
                .all(|s| s.affine.f < 0.0 && (s.affine.c - 15.0) % 30.0 == 0.0)
        );
        // The footprint is turned and lies within the image.
        let ring = scenes[0].footprint();
        let size = 400.0 * PIXEL;
        assert!(ring.iter().all(|[x, y]| {
            let (dx, dy) = (x - scenes[0].affine.c, scenes[0].affine.f - y);
            (0.0..=size).contains(&dx) && (0.0..=size).contains(&dy)
        }));
        assert!((ring[0][0] - ring[1][0]).abs() > 100.0);
    }

    #[test]
    fn making_a_scene_twice_gives_the_same_files() {
        let scene = &Plan {
            seed: 3,
            size: 96,
            passes: 1,
        }
        .scenes()
        .unwrap()[0];
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let made: Vec<_> = folders
            .iter()
            .map(|f| scene.make(f.path()).unwrap())
            .collect();
        assert_eq!(made[0].bytes, made[1].bytes);
        let read = |folder: &Path| {
            let scene = folder.join("093/086/2020/08/12").join(&made[0].label);
            let mut names: Vec<_> = std::fs::read_dir(scene)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            names.sort();
            names
                .into_iter()
                .map(|name| std::fs::read(name).unwrap())
                .collect::<Vec<_>>()
        };
        let files = read(folders[0].path());
        assert_eq!(files.len(), 8);
        assert_eq!(files, read(folders[1].path()));
    }
}
