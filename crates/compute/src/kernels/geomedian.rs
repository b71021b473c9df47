//! The geometric median of several bands over time, and how far the dates lie
//! from it.
//!
//! The geometric median of a pixel's spectra is the spectrum with the smallest
//! sum of distances to them: one that keeps the relations between the bands,
//! and that outliers such as missed clouds hardly move. It is found by
//! Weiszfeld's iteration, with Vardi and Zhang's step where it meets a date.
//!
//! # Source
//! geomad 1.0, `pcm.pyx` (what odc-algo 1.2.2 calls: `nangeomedian_pcm`,
//! `smad_pcm`, `emad_pcm`, `bcmad_pcm`); Roberts, Mueller and McIntyre (2017),
//! High-Dimensional Pixel Composites from Earth Observation Time Series.

use super::Sample;
use crate::error::{Error, Result};

/// When the iteration ends, and how pixels are scaled for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geomedian {
    /// Ends when a step is shorter than this, in scaled units.
    pub eps: f64,
    /// Ends after so many steps in any case.
    pub max_iterations: usize,
    /// Pixels are worked on as `value * scale + offset`, and results given back
    /// as pixels.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// The marker of missing pixels, besides NaN.
    pub nodata: Option<f64>,
}

impl Geomedian {
    /// For floats: until a step is shorter than 0.0001, 1000 steps at most.
    pub fn new() -> Geomedian {
        Geomedian {
            eps: 1e-4,
            max_iterations: 1000,
            scale: 1.0,
            offset: 0.0,
            nodata: None,
        }
    }

    /// For integers with this scale: until a step is shorter than a tenth of
    /// a pixel value.
    pub fn scaled(scale: f64, offset: f64) -> Geomedian {
        Geomedian {
            eps: 0.1 * scale.abs(),
            scale,
            offset,
            ..Geomedian::new()
        }
    }
}

impl Default for Geomedian {
    fn default() -> Self {
        Geomedian::new()
    }
}

/// Where the results of [`geomedian`] go, one value a pixel in each.
#[derive(Debug)]
pub struct Composite<'a, R> {
    /// The median, band after band. NaN where no date is valid, or `nodata` in
    /// an integer.
    pub bands: &'a mut [R],
    /// The median over the dates of the cosine distance to the geometric
    /// median: how much the colour changes.
    pub smad: Option<&'a mut [f32]>,
    /// That of the euclidean distance, in units of the pixels: how much the
    /// brightness changes too.
    pub emad: Option<&'a mut [f32]>,
    /// That of the Bray-Curtis distance.
    pub bcmad: Option<&'a mut [f32]>,
    /// How many dates are valid in all bands.
    pub count: Option<&'a mut [u16]>,
}

/// Scratch of [`geomedian`].
#[derive(Debug, Default)]
pub struct Scratch {
    /// Valid dates of a pixel, band after band.
    spectra: Vec<f64>,
    distance: Vec<f64>,
    weight: Vec<f64>,
    median: Vec<f64>,
    next: Vec<f64>,
    values: Vec<f32>,
}

/// The geometric median of each pixel: `bands` has one slice a band, each
/// `dates` times `pixels` values, date after date.
///
/// A date counts where all bands are valid. DIFFERENCE: the iteration starts
/// from the mean of those dates for every pixel, where geomad starts all but
/// the first pixel of a row from 0; both end within `eps` of the same point.
///
/// # Errors
/// No bands, slices whose sizes do not fit.
pub fn geomedian<T: Sample, R: Sample>(
    bands: &[&[T]],
    dates: usize,
    pixels: usize,
    options: &Geomedian,
    mut out: Composite<'_, R>,
    scratch: &mut Scratch,
) -> Result<()> {
    let fits = |len: Option<usize>| len.is_none_or(|len| len == pixels);
    if bands.is_empty()
        || bands.iter().any(|band| band.len() != dates * pixels)
        || out.bands.len() != bands.len() * pixels
        || !fits(out.smad.as_ref().map(|x| x.len()))
        || !fits(out.emad.as_ref().map(|x| x.len()))
        || !fits(out.bcmad.as_ref().map(|x| x.len()))
        || !fits(out.count.as_ref().map(|x| x.len()))
    {
        return Err(Error::Bug(format!(
            "geomedian of {} bands of {dates} x {pixels} values",
            bands.len()
        )));
    }
    let missing = R::of_f64(options.nodata.unwrap_or(f64::NAN));
    for pixel in 0..pixels {
        let valid = load(bands, dates, pixels, pixel, options, scratch);
        if valid > 0 {
            iterate(bands.len(), valid, options, scratch);
        }
        for band in 0..bands.len() {
            out.bands[band * pixels + pixel] = match scratch.median.get(band) {
                Some(&value) if valid > 0 => {
                    let value = (value - options.offset) / options.scale;
                    let integer = !R::of_f64(f64::NAN).is_missing();
                    R::of_f64(if integer {
                        value.round_ties_even()
                    } else {
                        value
                    })
                }
                _ => missing,
            };
        }
        if let Some(count) = &mut out.count {
            count[pixel] = u16::try_from(valid).unwrap_or(u16::MAX);
        }
        if let Some(smad) = &mut out.smad {
            smad[pixel] = spread(valid, scratch, cosine);
        }
        if let Some(emad) = &mut out.emad {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "float32 as geomad gives it"
            )]
            let unit = (1.0 / options.scale) as f32;
            emad[pixel] = spread(valid, scratch, euclidean) * unit;
        }
        if let Some(bcmad) = &mut out.bcmad {
            bcmad[pixel] = spread(valid, scratch, bray_curtis);
        }
    }
    Ok(())
}

/// The dates of a pixel that are valid in all bands; how many they are.
fn load<T: Sample>(
    bands: &[&[T]],
    dates: usize,
    pixels: usize,
    pixel: usize,
    options: &Geomedian,
    scratch: &mut Scratch,
) -> usize {
    let value = |band: &[T], date: usize| {
        let value = band[date * pixels + pixel].to_f64();
        let missing = value.is_nan() || options.nodata == Some(value);
        (!missing).then_some(value * options.scale + options.offset)
    };
    scratch.weight.clear();
    let whole = (0..dates).filter(|&date| bands.iter().all(|band| value(band, date).is_some()));
    // Dates by number, for a moment, where weights will be.
    #[allow(clippy::cast_precision_loss, reason = "numbers of dates")]
    scratch.weight.extend(whole.map(|date| date as f64));
    scratch.spectra.clear();
    for band in bands {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the numbers of dates from above"
        )]
        let dates = scratch.weight.iter().map(|&date| date as usize);
        scratch
            .spectra
            .extend(dates.filter_map(|date| value(band, date)));
    }
    scratch.weight.len()
}

/// Weiszfeld's iteration over `valid` dates of `n_bands` bands.
fn iterate(n_bands: usize, valid: usize, options: &Geomedian, scratch: &mut Scratch) {
    let Scratch {
        spectra,
        distance,
        weight,
        median,
        next,
        ..
    } = scratch;
    let bands = || spectra.chunks_exact(valid);
    median.clear();
    #[allow(clippy::cast_precision_loss, reason = "numbers of dates")]
    let dates = valid as f64;
    median.extend(bands().map(|band| sum(band) / dates));
    if valid == 1 {
        return;
    }
    distance.resize(valid, 0.0);
    next.resize(n_bands, 0.0);
    for _ in 0..options.max_iterations {
        distance.fill(0.0);
        for (band, &at) in bands().zip(median.iter()) {
            for (distance, &value) in distance.iter_mut().zip(band) {
                let apart = value - at;
                *distance += apart * apart;
            }
        }
        let mut zeros = 0u32;
        for (weight, distance) in weight.iter_mut().zip(distance.iter_mut()) {
            *distance = distance.sqrt();
            let here = *distance == 0.0;
            zeros += u32::from(here);
            *weight = if here { 1.0 } else { 1.0 / *distance };
        }
        if zeros as usize == valid {
            return;
        }
        let total = sum(weight);
        for (next, band) in next.iter_mut().zip(bands()) {
            *next = dot(weight, band) / total;
        }
        if zeros > 0 {
            // Vardi and Zhang: the dates that are met hold the median back.
            let pull = next.iter().zip(median.iter()).map(|(next, at)| {
                let pull = (next - at) * total;
                pull * pull
            });
            let pull = pull.sum::<f64>().sqrt();
            let hold = if pull > 0.0 {
                f64::from(zeros) / pull
            } else {
                0.0
            };
            for (next, at) in next.iter_mut().zip(median.iter()) {
                *next = (1.0 - hold).max(0.0) * *next + hold.min(1.0) * at;
            }
        }
        let step = next
            .iter()
            .zip(median.iter())
            .map(|(next, at)| (next - at) * (next - at));
        let step = step.sum::<f64>().sqrt();
        std::mem::swap(median, next);
        if step < options.eps || step.is_nan() {
            return;
        }
    }
}

/// The sum, by eight sums side by side.
fn sum(values: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += value;
        }
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// The sum of products, by eight sums side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Two sums over the bands of a date and the median.
type Terms = fn(value: f64, median: f64) -> [f64; 3];

/// What becomes of the sums.
type Distance = (Terms, fn([f64; 3]) -> f64);

const fn distance_of(terms: Terms, end: fn([f64; 3]) -> f64) -> Distance {
    (terms, end)
}

fn cosine() -> Distance {
    distance_of(
        |x, m| [x * m, x * x, m * m],
        |[xm, xx, mm]| 1.0 - xm / (xx.sqrt() * mm.sqrt()),
    )
}

fn euclidean() -> Distance {
    distance_of(
        |x, m| [(x - m) * (x - m), 0.0, 0.0],
        |[square, ..]| square.sqrt(),
    )
}

fn bray_curtis() -> Distance {
    distance_of(
        |x, m| [(x - m).abs(), (x + m).abs(), 0.0],
        |[apart, both, _]| apart / both,
    )
}

/// The median over the valid dates of their distance to the geometric median.
#[allow(
    clippy::cast_possible_truncation,
    reason = "float32 as geomad gives it"
)]
fn spread(valid: usize, scratch: &mut Scratch, distance: fn() -> Distance) -> f32 {
    if valid == 0 {
        return f32::NAN;
    }
    let (terms, end) = distance();
    scratch.values.clear();
    for date in 0..valid {
        let mut sums = [0.0; 3];
        for (band, &median) in scratch.spectra.chunks_exact(valid).zip(&scratch.median) {
            let found = terms(band[date], median);
            sums = [sums[0] + found[0], sums[1] + found[1], sums[2] + found[2]];
        }
        scratch.values.push(end(sums) as f32);
    }
    // Distances to a median of zeros are not defined, and left out.
    scratch.values.retain(|value| !value.is_nan());
    scratch.values.sort_unstable_by(f32::total_cmp);
    let values = &scratch.values;
    match values.len() {
        0 => f32::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => values[n / 2 - 1].middle(values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(bands: &[&[f32]], dates: usize, options: &Geomedian) -> (Vec<f32>, u16) {
        let mut found = vec![0.0f32; bands.len()];
        let mut count = [0];
        let out = Composite {
            bands: &mut found,
            smad: None,
            emad: None,
            bcmad: None,
            count: Some(&mut count),
        };
        geomedian(bands, dates, 1, options, out, &mut Scratch::default()).unwrap();
        (found, count[0])
    }

    #[test]
    fn the_fermat_point_of_a_triangle() {
        // Equilateral: the centre.
        let high = 0.75f32.sqrt();
        let fine = Geomedian {
            eps: 1e-9,
            ..Geomedian::new()
        };
        let (found, count) = median(&[&[0.0, 1.0, 0.5], &[0.0, 0.0, high]], 3, &fine);
        assert!(
            (found[0] - 0.5).abs() < 1e-6 && (found[1] - high / 3.0).abs() < 1e-6,
            "{found:?}"
        );
        assert_eq!(count, 3);
        // An angle above 120 degrees: that corner.
        let (found, _) = median(&[&[0.0, 2.0, 1.0], &[0.0, 0.0, 0.1]], 3, &fine);
        assert!(
            (found[0] - 1.0).abs() < 1e-3 && (found[1] - 0.1).abs() < 1e-3,
            "{found:?}"
        );
    }

    #[test]
    fn dates_with_a_gap_do_not_count() {
        let nan = f32::NAN;
        let options = Geomedian::new();
        let (found, count) = median(&[&[1.0, nan, 3.0], &[1.0, 2.0, nan]], 3, &options);
        assert_eq!((found, count), (vec![1.0, 1.0], 1));
        let (found, count) = median(&[&[nan], &[1.0]], 1, &options);
        assert!(found.iter().all(|x| x.is_nan()));
        assert_eq!(count, 0);
    }

    #[test]
    fn integers_come_back_as_integers() {
        let options = Geomedian {
            nodata: Some(-999.0),
            ..Geomedian::scaled(1e-4, 0.0)
        };
        let bands: [&[i16]; 2] = [
            &[1000, -999, 3000, 2000, -999, -999],
            &[1000, 0, 3000, 2000, 5, -999],
        ];
        let (mut found, mut smad, mut emad) = ([0i16; 4], [0.0; 2], [0.0; 2]);
        let out = Composite {
            bands: &mut found,
            smad: Some(&mut smad),
            emad: Some(&mut emad),
            bcmad: None,
            count: None,
        };
        geomedian(&bands, 3, 2, &options, out, &mut Scratch::default()).unwrap();
        assert_eq!(found, [2000; 4]);
        assert!(smad.iter().all(|x| x.abs() < 1e-6), "{smad:?}");
        assert!((emad[0] - 1000.0 * 2.0f32.sqrt()).abs() < 0.1, "{emad:?}");
        assert_eq!(emad[1], 0.0);
    }
}
