//! Where `compute()` stands, and what that costs: the five ways of the Open Data Cube's
//! notebook "ODC and Dask (LocalCluster)".
//!
//! ```sh
//! cargo xtask demo                                   # makes target/demo/archive
//! cargo run --release --example placements [ARCHIVE]
//! ```
//!
//! Every way gives the same masked NDVI; the later `compute()` stands, and the less is
//! asked for, the less is read.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::time::Instant;

use datacube::prelude::*;

/// NDVI of reflectance, of what is clear.
fn ndvi(clear: &Cube) -> Result<DataArray, datacube::compute::Error> {
    let reflectance = |name| clear.get(name).map(|count| count * 2.75e-5 - 0.2);
    let (red, nir) = (reflectance("red")?, reflectance("nir08")?);
    Ok(((&nir - &red) / (&nir + &red)).named("ndvi"))
}

fn masked(cube: &Cube) -> Result<Cube, datacube::compute::Error> {
    let mask = cube.get("qa_pixel")?.make_mask(
        "nodata=false, cloud=not_high_confidence, dilated_cloud=not_dilated, \
         cloud_shadow=not_high_confidence, cirrus=not_high_confidence",
    );
    Ok(cube.where_(&mask))
}

/// Runs one of the ways, on caches that are empty, and prints what it took.
fn measure(
    archive: &str,
    name: &str,
    way: impl Fn(&Datacube, LoadOptions) -> Result<DataArray, Box<dyn std::error::Error>>,
) -> Result<DataArray, Box<dyn std::error::Error>> {
    let dc = Datacube::open_url("memory:")?;
    dc.add_products(format!("{archive}/product.yaml"))?;
    dc.add_datasets([format!("{archive}/scenes")], &MatchOptions::default())?;
    let options = LoadOptions::new("landsat8_c2l2_sr")
        .lon((143.715, 143.985))
        .lat((-37.705, -37.495))
        .output_crs("EPSG:32654")
        .resolution(30.0)
        .resampling([("qa_pixel", "nearest"), ("*", "bilinear")])
        .group_by("solar_day");
    // The stores are those of the process.
    let read = || {
        let hosts = dc.store_stats().hosts;
        let each = hosts.values().map(|host| (host.requests, host.bytes));
        each.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    };
    let (before, start) = (read(), Instant::now());
    let found = way(&dc, options)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = read();
    let (requests, bytes) = (after.0 - before.0, after.1 - before.1);
    println!(
        "{name:<36} {seconds:7.3} s  {requests:5} requests  {:7.2} MiB",
        bytes as f64 / f64::from(1 << 20)
    );
    Ok(found)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let archive = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/demo/archive".to_owned());
    let measure = |name, way: fn(&Datacube, LoadOptions) -> _| measure(&archive, name, way);
    let loaded = measure("load, then compute", |dc, options| {
        let cube = dc.load(options.lazy())?.compute()?;
        let clear = masked(&cube)?.compute()?;
        Ok(ndvi(&clear)?.compute()?)
    })?;
    let at_mask = measure("compute at the mask", |dc, options| {
        let clear = masked(&dc.load(options.lazy())?)?.compute()?;
        Ok(ndvi(&clear)?.compute()?)
    })?;
    let at_ndvi = measure("compute at the NDVI", |dc, options| {
        Ok(ndvi(&masked(&dc.load(options.lazy())?)?)?.compute()?)
    })?;
    let selected = measure("compute at the NDVI, three selected", |dc, options| {
        let options = options.measurements(["red", "nir08", "qa_pixel"]);
        Ok(ndvi(&masked(&dc.load(options.lazy())?)?)?.compute()?)
    })?;
    let two = measure("two dates of it", |dc, options| {
        let options = options.measurements(["red", "nir08", "qa_pixel"]);
        let ndvi = ndvi(&masked(&dc.load(options.lazy())?)?)?;
        Ok(ndvi.isel("time", 0..2)?.compute()?)
    })?;
    let bits = |array: &DataArray| -> Result<Vec<u32>, Box<dyn std::error::Error>> {
        Ok(array
            .to_vec::<f32>()?
            .into_iter()
            .map(f32::to_bits)
            .collect())
    };
    let expected = bits(&loaded)?;
    for other in [&at_mask, &at_ndvi, &selected] {
        assert!(bits(other)? == expected, "the ways differ");
    }
    let two = bits(&two)?;
    assert!(expected.starts_with(&two), "two dates of it differ");
    println!("all give the same {} pixels", expected.len());
    Ok(())
}
