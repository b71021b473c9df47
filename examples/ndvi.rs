//! Masked NDVI by solar day, from a folder of scenes to a picture.
//!
//! ```sh
//! cargo xtask demo                      # makes target/demo/archive
//! cargo run --example ndvi [ARCHIVE]
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use datacube::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let archive = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/demo/archive".to_owned());
    let dc = Datacube::open_url("memory:")?;
    dc.add_products(format!("{archive}/product.yaml"))?;
    dc.add_datasets([format!("{archive}/scenes")], &MatchOptions::default())?;

    let cube = dc.load(
        LoadOptions::new("landsat8_c2l2_sr")
            .lon((143.715, 143.985))
            .lat((-37.705, -37.495))
            .measurements(["red", "nir08", "qa_pixel"])
            .output_crs("EPSG:32654")
            .resolution(30.0)
            .resampling([("qa_pixel", "nearest"), ("*", "bilinear")])
            .group_by("solar_day")
            .lazy(),
    )?;
    let clear = cube.get("qa_pixel")?.make_mask(
        "nodata=false, cloud=not_high_confidence, dilated_cloud=not_dilated, \
         cloud_shadow=not_high_confidence, cirrus=not_high_confidence",
    );
    let red = cube.get("red")?.where_(&clear) * 2.75e-5 - 0.2;
    let nir = cube.get("nir08")?.where_(&clear) * 2.75e-5 - 0.2;
    let ndvi = ((&nir - &red) / (&nir + &red)).named("ndvi").compute()?;

    let values = ndvi.values::<f32>()?;
    for (day, plane) in values.outer_iter().enumerate() {
        let seen: Vec<f64> = plane
            .iter()
            .filter(|value| !value.is_nan())
            .map(|&value| f64::from(value))
            .collect();
        println!(
            "day {day}: {:.0} % seen, mean {:.3}",
            100.0 * seen.len() as f64 / plane.len() as f64,
            seen.iter().sum::<f64>() / seen.len() as f64
        );
    }
    ndvi.plot()?.save("ndvi.png", true)?;
    Ok(())
}
