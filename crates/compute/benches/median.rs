//! Median and quantiles over 100 dates, geometric median and mask clean-up on
//! pixels in memory, one core, beside numpy's, bottleneck's (where there) and
//! scipy's in the same run.
//!
//! `cargo bench -p datacube-compute --bench median`; numpy is that of
//! `$DATACUBE_PYTHON`, else of `python3`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::process::Command;
use std::time::{Duration, Instant};

use datacube_compute::kernels::geomedian::{Composite, Geomedian, geomedian};
use datacube_compute::kernels::morphology::{self, Morph, mask_cleanup};
use datacube_compute::kernels::quantile::{QuantileMethod, median, quantile};
use datacube_compute::kernels::{Axis, Sample, Sorter};

const DATES: usize = 100;
const PIXELS: usize = 256 * 256;
const SECONDS: f64 = 1.0;

/// Numbers between 0 and 1, the same as in the script.
fn noise(n: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut x = seed;
    (0..n).map(move |_| {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (x >> 40) as f64 / (1u64 << 24) as f64
    })
}

fn best(mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    let end = Instant::now() + Duration::from_secs_f64(SECONDS);
    while Instant::now() < end || best == Duration::MAX {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best.as_secs_f64()
}

fn report(what: &str, ours: f64, theirs: Option<f64>, pixels: usize) {
    let rate = pixels as f64 / 1e6 / ours;
    let beside = theirs.map_or(String::new(), |theirs| {
        format!("  theirs {:8.2} ms  {:7.1} x", theirs * 1e3, theirs / ours)
    });
    println!(
        "{what:44} {:8.2} ms {rate:8.2} Mpixel/s{beside}",
        ours * 1e3
    );
}

fn medians<T: Sample>(what: &str, pixels: &[T], skipna: bool, theirs: Option<f64>) {
    let axis = Axis::of(&[DATES, PIXELS], 0);
    let mut out = vec![T::Mean::of_f64(0.0); PIXELS];
    let mut scratch = Sorter::new();
    let time = best(|| median(pixels, axis, skipna, &mut out, &mut scratch).unwrap());
    std::hint::black_box(&out);
    report(what, time, theirs, PIXELS);
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples"
)]
fn main() {
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/median_numpy.py");
    let out = Command::new(python)
        .args([script, &DATES.to_string(), &PIXELS.to_string()])
        .output();
    let theirs: serde_json::Value = out
        .ok()
        .and_then(|out| serde_json::from_slice(&out.stdout).ok())
        .unwrap_or_default();
    let of = |name: &str| theirs[name].as_f64();
    println!(
        "{DATES} dates x {PIXELS} pixels, one core; theirs: {}",
        theirs["versions"].as_str().unwrap_or("not run")
    );

    let whole: Vec<f32> = noise(DATES * PIXELS, 1).map(|x| x as f32).collect();
    let gaps: Vec<f32> = whole
        .iter()
        .zip(noise(DATES * PIXELS, 2))
        .map(|(&x, gap)| if gap < 0.3 { f32::NAN } else { x })
        .collect();
    let counts: Vec<u16> = whole.iter().map(|x| (x * 10_000.0) as u16).collect();
    let double: Vec<f64> = gaps.iter().map(|&x| f64::from(x)).collect();
    medians("nanmedian float32, 30 % NaN", &gaps, true, of("nanmedian"));
    medians("  beside bottleneck", &gaps, true, of("bottleneck"));
    medians(
        "nanmedian float64, 30 % NaN",
        &double,
        true,
        of("nanmedian64"),
    );
    medians("median float32, no NaN", &whole, true, of("median"));
    medians("median uint16", &counts, true, of("median16"));

    let axis = Axis::of(&[DATES, PIXELS], 0);
    let mut out = vec![0.0; 3 * PIXELS];
    let mut scratch = Sorter::new();
    let qs = [0.1, 0.5, 0.9];
    let time = best(|| {
        let method = QuantileMethod::Linear;
        quantile(&gaps, axis, &qs, method, true, &mut out, &mut scratch).unwrap();
    });
    report("nanquantile 10, 50, 90 %", time, of("nanquantile"), PIXELS);

    const BANDS: usize = 6;
    let few = PIXELS / 64;
    let bands: Vec<Vec<f32>> = (0..BANDS)
        .map(|band| {
            noise(DATES * few, 10 + band as u64)
                .map(|x| x as f32)
                .collect()
        })
        .collect();
    let bands: Vec<&[f32]> = bands.iter().map(Vec::as_slice).collect();
    let (mut median, mut smad) = (vec![0.0f32; BANDS * few], vec![0.0; few]);
    let mut scratch = morphology::Scratch::default();
    let mut work = Default::default();
    let time = best(|| {
        let out = Composite {
            bands: &mut median,
            smad: Some(&mut smad),
            emad: None,
            bcmad: None,
            count: None,
        };
        geomedian(&bands, DATES, few, &Geomedian::new(), out, &mut work).unwrap();
    });
    report(
        "geomedian of 6 bands, with smad",
        time,
        of("geomedian"),
        few,
    );

    const SIDE: usize = 2048;
    let mask: Vec<bool> = noise(SIDE * SIDE, 7).map(|x| x < 0.02).collect();
    let steps = [(Morph::Opening, 2.0), (Morph::Dilation, 5.0)];
    let time = best(|| {
        let mut mask = mask.clone();
        mask_cleanup(&mut mask, SIDE, SIDE, &steps, &mut scratch).unwrap();
        std::hint::black_box(mask);
    });
    report(
        "mask clean-up: opening 2, dilation 5",
        time,
        of("cleanup"),
        SIDE * SIDE,
    );
}
