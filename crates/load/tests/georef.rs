//! Where pixels are and which of them are valid, against GDAL's answers for the
//! files of `fixtures/georef/make.py`: masks inside and beside a file and its
//! overviews, affines that are not north-up, ground control points, coordinate
//! systems without a code.

#[path = "common/raster.rs"]
mod raster;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Xy};
use datacube_load::{
    Archive, BandParams, Error, Loader, LoaderOptions, MaskKind, PixelBuffer, RasterReader,
    RasterSource, Resampling, Scene,
};
use datacube_model::{DType, Number};
use raster::{digest, open, rasters, read_band};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/georef")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(folder().join("expected.json")).expect("it is here");
    serde_json::from_str(&text).expect("make.py writes JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

async fn reader(name: &str) -> Arc<dyn RasterReader> {
    open(&rasters(), &folder().join(name)).await.expect(name)
}

async fn mask_of(reader: &dyn RasterReader, level: usize, band: u32) -> Option<PixelBuffer> {
    let window = PixelWindow::full(reader.info().levels[level].shape);
    let blocks = reader
        .fetch_mask(level, band, window.clone())
        .await
        .unwrap()?;
    let mut out = PixelBuffer::empty(DType::UInt8);
    reader.decode(&blocks, window, &mut out).unwrap();
    Some(out)
}

#[tokio::test]
async fn masks_and_pixels_are_gdals_in_every_overview() {
    let mut n_masks = 0;
    for (name, gdal) in expected()["files"].as_object().expect("by file") {
        let reader = reader(name).await;
        let overviews = list(&gdal["overviews"]);
        assert_eq!(reader.info().levels.len() - 1, overviews.len(), "{name}");
        for (level, gdal) in std::iter::once(gdal).chain(overviews).enumerate() {
            for (at, hash) in list(&gdal["bands"]).iter().enumerate() {
                let band = u32::try_from(at + 1).expect("few bands");
                let place = format!("{name}, level {level}, band {band}");
                let pixels = read_band(&*reader, level, band).await.expect(&place);
                assert_eq!(digest(&pixels), hash.as_str().unwrap(), "{place}");
                let mask = mask_of(&*reader, level, band).await;
                let has_mask = reader.info().levels[level].has_mask;
                assert_eq!(mask.is_some(), has_mask, "{place}");
                match (mask, gdal["masks"][at].as_str()) {
                    (Some(mask), Some(hash)) => {
                        assert_eq!(digest(&mask), hash, "the mask of {place}");
                        n_masks += 1;
                    }
                    (None, None) => {}
                    // GDAL takes all pixels of such an overview for valid.
                    (None, Some(_)) => assert_eq!((&name[..], level), ("mask_of_full_only.tif", 1)),
                    (Some(_), None) => panic!("{place} has a mask, and GDAL knows none"),
                }
            }
        }
    }
    assert_eq!(n_masks, 15, "masks were compared");
}

#[tokio::test]
async fn where_masks_are_is_told() {
    let check = async |name: &str, kind: MaskKind| {
        assert_eq!(reader(name).await.info().mask, kind, "{name}");
    };
    check("mask_inside.tif", MaskKind::Internal).await;
    check("mask_beside_overviews.tif", MaskKind::Sidecar).await;
    check("mask_by_band.tif", MaskKind::Sidecar).await;
    check("rotated.tif", MaskKind::None).await;
}

#[tokio::test]
async fn affines_and_systems_are_gdals() {
    let mut n_without_a_code = 0;
    for (name, gdal) in expected()["files"].as_object().expect("by file") {
        let reader = reader(name).await;
        let info = reader.info();
        assert_eq!(
            info.n_gcps as u64,
            gdal["n_gcps"].as_u64().unwrap(),
            "{name}"
        );
        let Some(wkt) = gdal["wkt"].as_str() else {
            continue;
        };
        let affine: Vec<f64> = list(&gdal["affine"])
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        let own = info.affine.expect(name);
        assert_eq!(
            [own.a, own.b, own.c, own.d, own.e, own.f],
            affine[..],
            "{name}"
        );
        let centre = own.apply(Xy::new(5.5, 3.5));
        let gdal_centre = [0, 1].map(|at| gdal["centre"][at].as_f64().unwrap());
        assert!((centre.x - gdal_centre[0]).abs() < 1e-8, "{name}");
        assert!((centre.y - gdal_centre[1]).abs() < 1e-8, "{name}");
        let crs = info.crs.as_ref().expect(name);
        assert_eq!(
            *crs,
            Crs::parse(wkt).expect(name),
            "{name}: {}",
            crs.to_wkt()
        );
        if gdal["epsg"].is_null() {
            n_without_a_code += 1;
            let shown = crs.to_string();
            assert!(
                !shown.contains("unnamed") && !shown.contains("unknown"),
                "{shown}"
            );
        }
    }
    assert_eq!(n_without_a_code, 9);
}

#[tokio::test]
async fn a_system_without_a_name_is_shown_by_what_it_is() {
    let check = async |name: &str, shown: &str| {
        let crs = reader(name).await.info().crs.clone().expect(name);
        assert_eq!(crs.to_string(), shown, "{name}");
    };
    check("crs_named.tif", "\"Grid of our town\"").await;
    check(
        "crs_sinusoidal.tif",
        "Sinusoidal on an ellipsoid of 6371007.181 m, without a name",
    )
    .await;
    check(
        "crs_geographic.tif",
        "longitude and latitude on an ellipsoid of 6377000 m, without a name",
    )
    .await;
    check(
        "crs_aea_feet.tif",
        "Albers Equal Area on North American Datum 1983, without a name",
    )
    .await;
}

/// An archive of band 1 of one file.
fn archive(name: &str, geobox: GeoBox) -> Archive {
    let window = PixelWindow::full(geobox.shape());
    let mut builder = Archive::builder(geobox);
    let band = BandParams::new("b", DType::UInt16)
        .with_nodata(Some(Number::Int(9999)))
        .with_resampling(Resampling::Nearest);
    builder.band(band);
    let path = folder().join(name);
    let source = RasterSource::new(path.to_str().expect("UTF-8"));
    let scene = builder.scene(Scene::new(window, vec![Some(source)]));
    builder.plane([scene]);
    builder.build().expect("sound")
}

async fn load(name: &str, geobox: &GeoBox) -> Result<Vec<u16>, Error> {
    let archive = archive(name, geobox.clone());
    let loader = Loader::new(LoaderOptions::default());
    let task = archive.plan_chunk(0, 0, PixelWindow::full(geobox.shape()))?;
    let fetched = loader.fetch(&archive, &task).await?;
    let mut out = vec![0_u16; geobox.shape().pixels()];
    loader.decode(&archive, &task, fetched, bytemuck::cast_slice_mut(&mut out))?;
    Ok(out)
}

#[tokio::test]
async fn gcps_are_refused_with_what_to_do() {
    let geobox = reader("mask_inside.tif").await.info().geobox().unwrap();
    let error = load("gcps.tif", &geobox).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("gcps.tif"), "{text}");
    assert!(
        text.contains("4 ground control points") && text.contains("gdalwarp"),
        "{text}"
    );
}

/// What a mask beside the file calls missing is missing, at full resolution and
/// reduced; an overview that has no mask is not read.
#[tokio::test]
async fn a_load_leaves_out_what_a_mask_beside_calls_missing() {
    for name in ["mask_beside_overviews.tif", "mask_of_full_only.tif"] {
        let reader = reader(name).await;
        let grid = reader.info().geobox().unwrap();
        let mask = mask_of(&*reader, 0, 1).await.expect("it is beside");
        let full = load(name, &grid).await.unwrap();
        for (at, (&valid, &pixel)) in mask.as_bytes().iter().zip(&full).enumerate() {
            let expected = if valid == 1 { at } else { 9999 };
            assert_eq!(usize::from(pixel), expected, "{name}, pixel {at}");
        }
        assert!(full.contains(&9999) && full.contains(&0) == (mask.as_bytes()[0] == 1));
        let half = GeoBox::new(
            (22, 30).into(),
            *grid.affine() * Affine::scale(2.0, 2.0),
            grid.crs().cloned(),
        );
        let half_grid = half.unwrap();
        let half = load(name, &half_grid).await.unwrap();
        let n_missing = half.iter().filter(|&&pixel| pixel == 9999).count();
        assert!(
            (100..250).contains(&n_missing),
            "{name}: {n_missing} of {}",
            half.len()
        );
    }
}

#[tokio::test]
async fn a_mask_that_does_not_fit_is_an_error() {
    let folder_ = tempfile::tempdir().unwrap();
    let path = folder_.path().join("a.tif");
    std::fs::copy(folder().join("rotated.tif"), &path).unwrap();
    let beside = folder_.path().join("a.tif.msk");
    std::fs::copy(folder().join("../codecs/lzma.tif"), &beside).unwrap();
    let rasters = rasters();
    // The same size, one band: whatever it holds, it is the mask.
    assert_eq!(
        open(&rasters, &path).await.unwrap().info().mask,
        MaskKind::Sidecar
    );
    std::fs::write(&beside, b"II*\0 and no more").unwrap();
    let error = open(&rasters, &path).await.unwrap_err();
    assert!(error.to_string().contains("a.tif.msk"), "{error}");
    std::fs::copy(folder().join("mask_by_band.tif.msk"), &beside).unwrap();
    let text = open(&rasters, &path).await.unwrap_err().to_string();
    assert!(
        text.contains("45 x 61 pixels and 1 bands, and has 45 x 61 pixels and 2 bands"),
        "{text}"
    );
}
