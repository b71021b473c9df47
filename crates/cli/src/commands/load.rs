//! `datacube load`: the main job in one command.
//!
//! The cube is built lazily, masked and computed by expression, and streamed to
//! the output chunk by chunk, so a result may be larger than memory. Without an
//! output it is computed and described.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use datacube::compute::{
    Chunks, Compute, Expression, LocalCluster, Observer, ProgressBar, RunReport,
};
use datacube::export;
use datacube::geo::{Crs, Geometry};
use datacube::model::{MaskExpression, MaskRequest};
use datacube::{Cube, DataArray, Datacube, HasGeoBox, LoadOptions, ResamplingSpec, TimeTerm};
use serde_json::json;

use super::memory::Memory;
use crate::args::LoadArgs;
use crate::output;

pub(crate) fn run(dc: &Datacube, args: &LoadArgs) -> Result<ExitCode> {
    let started = Instant::now();
    super::stores::configure(&args.stores)?;
    let memory = Memory::of(args)?;
    let dc = &memory.limit_caches(dc.clone());
    let kind = args.output.as_deref().map(OutputKind::of).transpose()?;
    check_resume(args, kind)?;
    let masks = parse_masks(dc, args)?;
    let expressions = parse_expressions(args)?;
    let options = load_options(dc, args, &masks, &expressions)?;
    let cube = dc.load(options)?;
    let find_seconds = started.elapsed().as_secs_f64();

    let building = Instant::now();
    let result = select(&cube, args, &masks, &expressions)?;
    let build_seconds = building.elapsed().as_secs_f64();
    if args.explain {
        output::line(result.explain()?)?;
        return Ok(ExitCode::SUCCESS);
    }

    let cluster = memory.cluster(args)?;
    let bar = ProgressBar::new();
    let observer: &dyn Observer = if args.json { &() } else { &bar };
    let computing = Instant::now();
    let written = match (&args.output, kind) {
        (Some(path), Some(kind)) => write(&result, kind, path, args, &cluster, observer)?,
        _ => {
            let (computed, report) = Compute::new()
                .engine(&cluster)
                .observer(observer)
                .cube(&result)?;
            if !args.json {
                output::line(computed.to_string())?;
            }
            Written {
                report,
                bytes: None,
            }
        }
    };
    let compute_seconds = computing.elapsed().as_secs_f64();
    for skipped in &written.report.skipped {
        output::note(format!("left out: {skipped}"));
    }
    if args.json {
        let phases = Phases {
            find_seconds,
            build_seconds,
            compute_seconds,
        };
        let total_seconds = started.elapsed().as_secs_f64();
        output::line(summary(&result, args, &written, &phases, total_seconds)?.to_string())?;
    } else if let Some(path) = &args.output {
        let sizes: Vec<String> = result
            .dims()
            .iter()
            .map(|(name, size)| format!("{name} {size}"))
            .collect();
        let RunReport { resumed, tasks, .. } = written.report;
        let resumed = match resumed {
            0 => String::new(),
            _ => format!("; {resumed} of {} chunks were there", resumed + tasks),
        };
        output::line(format!(
            "Wrote {} ({}; {}) in {:.1} s{resumed}",
            path.display(),
            result.names().collect::<Vec<_>>().join(", "),
            sizes.join(", "),
            started.elapsed().as_secs_f64()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is written, told by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputKind {
    Cog,
    Png,
    Zarr,
}

impl OutputKind {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tif" | "tiff") => Ok(Self::Cog),
            Some("png") => Ok(Self::Png),
            Some("zarr") => Ok(Self::Zarr),
            _ => bail!(
                "--output {}: the name has to end in .tif, .png or .zarr, which says what to write",
                path.display()
            ),
        }
    }
}

/// Refuses to resume what cannot be; says so if what could be is begun anew.
fn check_resume(args: &LoadArgs, kind: Option<OutputKind>) -> Result<()> {
    let writes_on = matches!(kind, Some(OutputKind::Cog | OutputKind::Zarr));
    if args.resume && !writes_on {
        bail!("--resume: only an --output to .tif or .zarr can be gone on with");
    }
    if let Some(path) = args
        .output
        .as_deref()
        .filter(|_| writes_on && !args.explain)
    {
        let part = export::part_of(path);
        if !args.resume && part.exists() {
            output::note(format!(
                "{} of an interrupted run is begun anew; --resume would go on with it",
                part.display()
            ));
        }
    }
    Ok(())
}

/// Flags that pixels must have, and the measurement whose bits tell.
struct Mask {
    measurement: String,
    request: MaskRequest,
}

/// Reads `--mask`; without a measurement in front it is the product's first one with flags.
fn parse_masks(dc: &Datacube, args: &LoadArgs) -> Result<Vec<Mask>> {
    let mut masks = Vec::new();
    for text in &args.mask {
        let place = || format!("--mask '{text}'");
        let parsed: MaskExpression = text.parse().with_context(place)?;
        let measurement = match parsed.measurement {
            Some(name) => name,
            None => dc
                .product(&args.product)?
                .flags_measurement()
                .map(|measurement| measurement.name.clone())
                .with_context(|| {
                    format!(
                        "--mask '{text}': no measurement of {} has flags",
                        args.product
                    )
                })?,
        };
        masks.push(Mask {
            measurement,
            request: parsed.request,
        });
    }
    Ok(masks)
}

fn parse_expressions(args: &LoadArgs) -> Result<Vec<(String, Expression)>> {
    args.expr
        .iter()
        .map(|text| {
            let formula = Expression::parse(text).with_context(|| format!("--expr '{text}'"))?;
            let name = formula.name().map(str::to_owned).with_context(|| {
                format!("--expr '{text}': name the result, as in 'ndvi=(nir-red)/(nir+red)'")
            })?;
            Ok((name, formula))
        })
        .collect()
}

fn load_options(
    dc: &Datacube,
    args: &LoadArgs,
    masks: &[Mask],
    expressions: &[(String, Expression)],
) -> Result<LoadOptions> {
    let mut options = LoadOptions::new(&args.product)
        .group_by(&args.group_by)
        .warp_scale(args.warp_scale)
        .overviews(args.overviews)
        .resampling(resampling(&args.resampling)?);
    if let Some([min, max]) = pair(args.x.as_deref()) {
        options = options.x((min, max));
    }
    if let Some([min, max]) = pair(args.y.as_deref()) {
        options = options.y((min, max));
    }
    if let Some(crs) = &args.crs {
        options = options.crs(crs.as_str());
    }
    if let Some([west, east]) = pair(args.lon.as_deref()) {
        options = options.lon((west, east));
    }
    if let Some([min, max]) = pair(args.lat.as_deref()) {
        options = options.lat((min, max));
    }
    if let Some(path) = &args.geopolygon {
        options = options.geopolygon(read_geojson(path)?);
    }
    if let Some(path) = &args.like {
        let path = std::path::absolute(path)?;
        options = options.like(dc.geobox_of(path.to_string_lossy())?);
    }
    match args.time.as_deref() {
        Some([start, end]) => {
            options = options.time(TimeTerm::from((start.as_str(), end.as_str())));
        }
        Some([period]) => options = options.time(period.as_str()),
        _ => {}
    }
    let terms = dc.parse_query(&args.terms.join(" "))?;
    for (name, test) in terms.fields {
        options = options.field(name, test);
    }
    if let Some(limit) = args.limit {
        options = options.limit(limit);
    }
    if let Some(names) = measurements(args, masks, expressions) {
        options = options.measurements(names);
    }
    if let Some(crs) = &args.output_crs {
        options = options.output_crs(crs.as_str());
    }
    match args.resolution.as_deref() {
        Some([size]) => options = options.resolution(*size),
        Some([x, y]) => options = options.resolution_xy(*x, *y),
        _ => {}
    }
    if let Some([x, y]) = pair(args.align.as_deref()) {
        options = options.align(x, y);
    }
    if let Some(signer) = &args.patch_url {
        options = options.patch_url(signer.as_str());
    }
    if args.skip_broken_datasets {
        options = options.skip_broken_datasets(true);
    }
    options.chunks = Some(if args.chunks.is_empty() {
        Chunks::new([("time", 1_usize)]).rest(DEFAULT_CHUNK)
    } else {
        args.chunks.join(",").parse()?
    });
    Ok(options)
}

/// Pixels along a side of a chunk: large enough to read whole blocks, small
/// enough that a few fit into any memory.
const DEFAULT_CHUNK: usize = 2048;

fn pair(values: Option<&[f64]>) -> Option<[f64; 2]> {
    values.and_then(|values| values.try_into().ok())
}

/// The measurements to load: those asked for, else those that are needed, else all.
fn measurements(
    args: &LoadArgs,
    masks: &[Mask],
    expressions: &[(String, Expression)],
) -> Option<Vec<String>> {
    let mut names: Vec<String> = match &args.measurements {
        Some(names) => names.iter().map(|name| name.trim().to_owned()).collect(),
        None if expressions.is_empty() => return None,
        None => Vec::new(),
    };
    let needed = expressions
        .iter()
        .flat_map(|(_, expression)| expression.variables())
        .map(str::to_owned)
        .chain(masks.iter().map(|mask| mask.measurement.clone()));
    for name in needed {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

fn resampling(texts: &[String]) -> Result<ResamplingSpec> {
    let mut spec = ResamplingSpec::default();
    for text in texts {
        let (band, method) = text.split_once('=').unwrap_or(("*", text));
        if let Some(before) = spec
            .0
            .insert(band.trim().to_owned(), method.trim().to_owned())
        {
            bail!("--resampling {text}: `{band}` has `{before}` already");
        }
    }
    Ok(spec)
}

/// The first polygon of a GeoJSON file, in longitude and latitude as the format demands.
fn read_geojson(path: &Path) -> Result<Geometry> {
    let place = || format!("--geopolygon {}", path.display());
    let text = datacube::read_text(path).context("--geopolygon")?;
    let value = serde_json::from_str(&text).with_context(place)?;
    Geometry::from_geojson(&value, Some(Crs::wgs84())).with_context(place)
}

/// Masks applied and expressions computed: the cube that is written.
fn select(
    cube: &Cube,
    args: &LoadArgs,
    masks: &[Mask],
    expressions: &[(String, Expression)],
) -> Result<Cube> {
    let mut clear: Option<DataArray> = None;
    for mask in masks {
        let one = cube.get(&mask.measurement)?.make_mask(&mask.request);
        clear = Some(match clear {
            None => one,
            Some(others) => &others & &one,
        });
    }
    let mut result = cube.clone();
    if let Some(clear) = &clear {
        let is_flags = |name: &str| masks.iter().any(|mask| mask.measurement == name);
        let names: Vec<String> = cube
            .names()
            .filter(|name| !is_flags(name))
            .map(String::from)
            .collect();
        for name in names {
            let masked = cube.get(&name)?.where_(clear);
            result = result.assign(&name, masked)?;
        }
    }
    if !expressions.is_empty() {
        let mut names = Vec::new();
        for (name, expression) in expressions {
            let computed = expression
                .apply(&result)
                .with_context(|| format!("--expr '{name}=...'"))?;
            result = result.assign(name, computed)?;
            names.push(name.as_str());
        }
        return Ok(result.select(&names)?);
    }
    if let Some(wanted) = &args.measurements {
        let wanted: Vec<&str> = wanted.iter().map(|name| name.trim()).collect();
        return Ok(result.select(&wanted)?);
    }
    Ok(result)
}

struct Written {
    report: RunReport,
    /// Size of the output on disk, where it is one file.
    bytes: Option<u64>,
}

fn write(
    result: &Cube,
    kind: OutputKind,
    path: &Path,
    args: &LoadArgs,
    cluster: &LocalCluster,
    observer: &dyn Observer,
) -> Result<Written> {
    let mut options = export::ExportOptions::default()
        .overwrite(args.overwrite)
        .resume(args.resume);
    if let Some(name) = &args.colormap {
        options = options.colormap(name.parse()?);
    }
    options = options.figure(args.figure);
    if let Some([low, high]) = pair(args.range.as_deref()) {
        options = options.range(low, high);
    }
    let report = match kind {
        OutputKind::Cog => export::write_cog(result, path, &options, cluster, observer),
        OutputKind::Png => export::write_png(result, path, &options, cluster, observer),
        OutputKind::Zarr => export::write_zarr(result, path, &options, cluster, observer),
    }
    .map_err(|error| {
        let exists = error.is_exists();
        let error = anyhow::Error::from(error);
        if exists {
            error.context("nothing was written; --overwrite replaces it")
        } else if args.resume && export::part_of(path).exists() {
            error.context("what has been written stays for another --resume")
        } else {
            error
        }
    })?;
    let bytes = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len());
    Ok(Written { report, bytes })
}

struct Phases {
    find_seconds: f64,
    build_seconds: f64,
    compute_seconds: f64,
}

/// One object with everything that a benchmark wants to know.
fn summary(
    result: &Cube,
    args: &LoadArgs,
    written: &Written,
    phases: &Phases,
    total_seconds: f64,
) -> Result<serde_json::Value> {
    let geobox = result.geobox()?;
    let report = &written.report;
    Ok(json!({
        "product": args.product,
        "variables": result.names().collect::<Vec<_>>(),
        "sizes": result.dims(),
        "crs": geobox.crs().map(|crs| crs.as_str().to_owned()),
        "transform": geobox.affine(),
        "output": args.output,
        "output_bytes": written.bytes,
        "seconds": {
            "find": phases.find_seconds,
            "build": phases.build_seconds,
            "compute": phases.compute_seconds,
            "total": total_seconds,
        },
        "seconds_over_all_threads": { "fetch": report.fetch.as_secs_f64(),
            "decode": report.decode.as_secs_f64(),
            "program": report.program.as_secs_f64(),
            "write": report.write.as_secs_f64(),
        },
        "bytes_read": report.read_bytes,
        "requests": report.requests,
        "chunks": report.tasks,
        "chunks_resumed": report.resumed,
        "skipped": report.skipped,
        "peak_buffers": report.peak_pool_bytes,
        "peak_memory": peak_memory(),
    }))
}

/// The most memory that this process ever held, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
