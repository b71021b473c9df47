//! Makes a small archive of Landsat-like scenes out of noise: COGs, EO3
//! documents and the product definition, the same in every run.
//!
//! Nothing is downloaded and no real imagery is read. A folder that holds the
//! archive already is left as it is.

mod land;
mod noise;
mod product;
mod scene;
mod sky;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rayon::prelude::*;
use serde_json::{Value, json};

use scene::{CENTRE, Made, Plan};

const HELP: &str = "\
Makes a small archive of Landsat-like scenes: COGs, EO3 documents, a product definition.

Usage: datacube-synth FOLDER [--seed N] [--size PIXELS] [--passes N] [--force]

  --seed N       another world (default 7)
  --size PIXELS  rows and columns of a scene (default 1200)
  --passes N     overpasses, 24 days apart, alternately one with two scenes in
                 UTM zone 54 and one with a scene in zone 55 (default 6)
  --force        make it again even if it is there

It writes FOLDER/product.yaml, FOLDER/scenes/**/*.TIF with a *.odc-metadata.yaml
beside them, and at last FOLDER/archive.json, which says what was made.";

/// Changes when the same arguments would give another archive.
const VERSION: u32 = 2;

struct Args {
    folder: PathBuf,
    plan: Plan,
    force: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Args>> {
    let mut folder = None;
    let mut plan = Plan {
        seed: 7,
        size: 1200,
        passes: 6,
    };
    let mut force = false;
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u32> {
            let text = args
                .next()
                .with_context(|| format!("{arg} needs a number"))?;
            text.parse()
                .with_context(|| format!("{arg} needs a number, not `{text}`"))
        };
        match arg.as_str() {
            "-h" | "--help" => return Ok(None),
            "--force" => force = true,
            "--seed" => plan.seed = number()?,
            "--size" => plan.size = number()? as usize,
            "--passes" => plan.passes = number()?,
            other if other.starts_with('-') => bail!("unknown option {other}\n\n{HELP}"),
            path if folder.is_none() => folder = Some(PathBuf::from(path)),
            other => bail!("one folder is enough, what is `{other}`?\n\n{HELP}"),
        }
    }
    if !(64..=8192).contains(&plan.size) || plan.passes == 0 {
        bail!("scenes have 64 to 8192 pixels a side, and there is at least one pass");
    }
    let folder = folder.with_context(|| format!("no folder was given\n\n{HELP}"))?;
    Ok(Some(Args {
        folder,
        plan,
        force,
    }))
}

fn recipe(plan: &Plan) -> Value {
    json!({"version": VERSION, "seed": plan.seed, "size": plan.size, "passes": plan.passes})
}

/// Whether the folder holds what `plan` would make.
fn is_made(stamp: &Path, plan: &Plan) -> bool {
    std::fs::read(stamp)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .is_some_and(|stamp| stamp["recipe"] == recipe(plan))
}

#[allow(clippy::print_stdout, reason = "the one place that talks to the user")]
fn main() -> Result<()> {
    let Some(Args {
        folder,
        plan,
        force,
    }) = parse(std::env::args().skip(1))?
    else {
        println!("{HELP}");
        return Ok(());
    };
    let stamp = folder.join("archive.json");
    if !force && is_made(&stamp, &plan) {
        println!("the archive in {} is there already", folder.display());
        return Ok(());
    }
    let started = Instant::now();
    let scenes_folder = folder.join("scenes");
    // Another archive's scenes must not stay among these.
    for old in [&stamp, &scenes_folder] {
        let removed = if old.is_dir() {
            std::fs::remove_dir_all(old)
        } else {
            std::fs::remove_file(old)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", old.display()));
            }
            _ => {}
        }
    }
    std::fs::create_dir_all(&scenes_folder)
        .with_context(|| format!("creating {}", scenes_folder.display()))?;
    let product = folder.join("product.yaml");
    std::fs::write(
        &product,
        format!("---\n{}", yaml_serde::to_string(&product::definition())?),
    )
    .with_context(|| format!("writing {}", product.display()))?;

    let made: Vec<Made> = plan
        .scenes()?
        .par_iter()
        .map(|scene| {
            let made = scene.make(&scenes_folder)?;
            println!(
                "{}  EPSG:{}  {}  cloud {:4.1} %",
                made.label,
                made.epsg,
                made.time.strftime("%Y-%m-%d %H:%M:%S UTC"),
                made.cloud_percent
            );
            Ok(made)
        })
        .collect::<Result<_>>()?;
    let bytes: u64 = made.iter().map(|scene| scene.bytes).sum();
    let summary = json!({
        "recipe": recipe(&plan),
        "product": product::PRODUCT,
        "centre": {"longitude": CENTRE.x, "latitude": CENTRE.y},
        "bytes": bytes,
        "scenes": made.iter().map(|scene| &scene.label).collect::<Vec<_>>(),
    });
    std::fs::write(&stamp, serde_json::to_vec_pretty(&summary)?)
        .with_context(|| format!("writing {}", stamp.display()))?;
    println!(
        "{} scenes, {} MB, in {:.1} s",
        made.len(),
        bytes / 1_000_000,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
