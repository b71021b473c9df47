//! `cargo xtask demo`: the main job end to end, with the real command.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, command, root, target};
use crate::setup;

const PRODUCT: &str = "landsat8_c2l2_sr";

/// 24 km around the middle of the archive, on the grid of its first zone.
const REGION: [&str; 13] = [
    "--lon",
    "143.715",
    "143.985",
    "--lat",
    "-37.705",
    "-37.495",
    "--output-crs",
    "EPSG:32654",
    "--resolution",
    "30",
    "--group-by",
    "solar_day",
    "--overwrite",
];

/// Bright clouds, their rims and shadows, thin cirrus, and what was not seen.
const MASK: &str = "qa_pixel: nodata=false, cloud=not_high_confidence, \
                    dilated_cloud=not_dilated, cloud_shadow=not_high_confidence, \
                    cirrus=not_high_confidence";

/// NDVI of reflectance. Reflectance is count x 2.75e-5 - 0.2: the factor cancels,
/// the offset does not, and appears as 2 x 0.2 / 2.75e-5.
const NDVI: &str = "ndvi=(nir08-red)/(nir08+red-14545.4545)";

/// What was done, and how long it took.
struct Log {
    steps: Vec<(String, Duration)>,
}

impl Log {
    fn step<T>(&mut self, text: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {text}");
        let started = Instant::now();
        let result = action().with_context(|| format!("the step \"{text}\" failed"))?;
        self.steps.push((text.to_owned(), started.elapsed()));
        Ok(result)
    }

    fn print(&self) {
        let width = self
            .steps
            .iter()
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or(0);
        println!("\n{:<width$}   seconds", "step");
        println!("{}", "-".repeat(width + 10));
        for (text, time) in &self.steps {
            println!("{text:<width$} {:>9.2}", time.as_secs_f64());
        }
        let total: Duration = self.steps.iter().map(|(_, time)| *time).sum();
        println!("{}", "-".repeat(width + 10));
        println!("{:<width$} {:>9.2}", "together", total.as_secs_f64());
    }
}

struct Options {
    folder: PathBuf,
    release: bool,
}

fn parse(args: &[String]) -> Result<Options> {
    let mut folder = None;
    let mut release = false;
    for arg in args {
        match arg.as_str() {
            "--release" => release = true,
            option if option.starts_with('-') => bail!("demo has no option {option}"),
            path if folder.is_none() => {
                folder = Some(std::path::absolute(path).with_context(|| format!("`{path}`"))?);
            }
            other => bail!("one folder is enough, what is `{other}`?"),
        }
    }
    Ok(Options {
        folder: folder.unwrap_or_else(|| target().join("demo")),
        release,
    })
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let Options { folder, release } = parse(args)?;
    setup::ensure()?;
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let archive = folder.join("archive");
    let index = folder.join("index.db");
    let program = |name: &str| {
        let profile = if release { "release" } else { "debug" };
        target()
            .join(profile)
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    };
    let datacube = || {
        command(program("datacube"))
            .arg("--index")
            .arg(format!("sqlite:{}", index.display()))
    };
    let output = |name: &str| folder.join(name);
    let mut log = Log { steps: Vec::new() };

    log.step("build the datacube command and the synthesiser", || {
        let profile: &[&str] = if release { &["--release"] } else { &[] };
        cargo()
            .args(["build", "-p", "datacube-cli", "-p", "datacube-synth"])
            .args(profile)
            .run()
    })?;
    log.step("synthesise scenes (kept for the next run)", || {
        command(program("datacube-synth")).arg(&archive).run()
    })?;
    log.step("index: create it, add the product, add the scenes", || {
        remove(&index)?;
        datacube().args(["system", "init"]).run()?;
        datacube()
            .args(["product", "add"])
            .arg(archive.join("product.yaml"))
            .run()?;
        datacube()
            .args(["dataset", "add"])
            .arg(archive.join("scenes"))
            .run()
    })?;
    let load = |extra: &[&str], path: &Path| {
        datacube()
            .args(["load", PRODUCT])
            .args(REGION)
            .args(extra)
            .arg("--output")
            .arg(path)
            .arg("--json")
            .read()
    };
    let season = [
        "--time", "2020-08", "2020-12", "--mask", MASK, "--expr", NDVI,
    ];
    let bilinear = [
        "--resampling",
        "*=bilinear",
        "--resampling",
        "qa_pixel=nearest",
    ];
    let ndvi: Vec<&str> = season.iter().chain(&bilinear).copied().collect();
    let report = log.step("load, mask, NDVI to a COG", || {
        load(&ndvi, &output("ndvi.tif"))
    })?;
    log.step("load, mask, NDVI to a picture", || {
        load(&ndvi, &output("ndvi.png"))
    })?;
    log.step("one day in true colour to a picture", || {
        let colours = [
            "--measurements",
            "red,green,blue",
            "--time",
            "2020-09-29",
            "2020-09-30",
        ];
        let colours: Vec<&str> = colours
            .into_iter()
            .chain(["--resampling", "bilinear"])
            .collect();
        load(&colours, &output("true-colour.png"))
    })?;

    log.print();
    if let Some(summary) = describe(&report) {
        println!("\nThe COG took {summary}.");
    }
    let shown = |path: PathBuf| {
        let path = path
            .strip_prefix(root())
            .map(Path::to_owned)
            .unwrap_or(path);
        path.display().to_string()
    };
    println!("\nLook at:");
    println!(
        "  {:<32} NDVI of each solar day, clouds masked",
        shown(output("ndvi.png"))
    );
    println!(
        "  {:<32} one day as the eye would see it",
        shown(output("true-colour.png"))
    );
    println!(
        "  {:<32} NDVI as a Cloud Optimised GeoTIFF, one band a day",
        shown(output("ndvi.tif"))
    );
    println!("\nAsk the index yourself:");
    println!(
        "  {} --index sqlite:{} dataset search 'cloud_cover < 10'",
        shown(program("datacube")),
        shown(index.clone())
    );
    Ok(())
}

/// Removes an index file and what SQLite keeps beside it.
fn remove(index: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = index.as_os_str().to_owned();
        path.push(suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A few numbers of the report that `load --json` prints.
fn describe(report: &str) -> Option<String> {
    let megabytes = number(report, "bytes_read")? / 1e6;
    let requests = number(report, "requests")?;
    let peak = number(report, "peak_memory")? / 1e6;
    Some(format!(
        "{megabytes:.1} MB in {requests:.0} reads, and at most {peak:.0} MB of memory"
    ))
}

/// The first number that stands behind a name in a JSON text.
fn number(json: &str, name: &str) -> Option<f64> {
    let start = json.find(&format!("\"{name}\":"))? + name.len() + 3;
    let text = json[start..].trim_start();
    let end = text.find([',', '}', '\n']).unwrap_or(text.len());
    text[..end].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_reports() {
        let report = r#"{"bytes_read": 12500000, "requests":7,"peak_memory":1e8}"#;
        assert_eq!(
            describe(report).as_deref(),
            Some("12.5 MB in 7 reads, and at most 100 MB of memory")
        );
        assert_eq!(describe("{}"), None);
    }

    #[test]
    fn arguments_are_a_folder_and_a_profile() {
        let parse =
            |args: &[&str]| parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let options = parse(&["--release", "/tmp/there"]).unwrap();
        assert!(options.release && options.folder == Path::new("/tmp/there"));
        assert!(parse(&[]).unwrap().folder.ends_with("demo"));
        assert!(parse(&["--fast"]).is_err());
        assert!(parse(&["a", "b"]).is_err());
    }
}
