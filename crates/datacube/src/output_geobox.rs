//! The grid of the output: one function, one table of precedence.
//!
//! `like` decides everything. Otherwise CRS, pixel size and alignment each come
//! from the caller, else from the product's load hints, else from the grids of
//! the datasets themselves; and the bounds come from the region, else from the
//! datasets' footprints. A pixel size never crosses from one CRS to another: its
//! unit would change and its number would not.

use std::collections::HashMap;

use datacube_geo::{Anchor, BoundingBox, Crs, GeoBox, Geometry, Resolution, Xy};
use datacube_model::LoadHints;

use crate::region::Region;
use crate::{Error, Result};

/// What the grid is decided from.
#[derive(Debug, Default)]
pub(crate) struct GridRequest<'a> {
    /// A grid to take as it is.
    pub(crate) like: Option<&'a GeoBox>,
    /// The caller's CRS.
    pub(crate) output_crs: Option<Crs>,
    /// The caller's pixel size.
    pub(crate) resolution: Option<Resolution>,
    /// The caller's offset of pixel edges, in CRS units.
    pub(crate) align: Option<Xy>,
    /// The caller's region.
    pub(crate) region: Option<&'a Region>,
    /// What the product's document proposes.
    pub(crate) hints: Option<LoadHints>,
    /// The grids that the datasets' measurements have, one for each band and dataset.
    pub(crate) native: Vec<GeoBox>,
    /// The datasets' footprints.
    pub(crate) footprints: Vec<Geometry>,
}

/// Decides the output grid.
///
/// # Errors
/// [`Error::Option`] for options that exclude each other, for a pixel size that
/// is missing or makes no sense in its CRS, and when no CRS can be found;
/// [`Error::Geo`] when region or footprints cannot be projected.
///
/// # Source
/// datacube-core `Datacube.load` for `like`, options and hints; odc-stac's
/// `output_geobox` for the native grid.
pub(crate) fn resolve_output_geobox(request: &GridRequest<'_>) -> Result<GeoBox> {
    if let Some(like) = request.like {
        return check_like(request, like).map(|()| like.clone());
    }
    let grid = choose_grid(request)?;
    if let Some(exact) = &grid.exact {
        return Ok(exact.clone());
    }
    if request.output_crs.is_some() || request.resolution.is_some() {
        grid.crs.check_resolution(grid.resolution)?;
    }
    let geobox = match request.region {
        Some(region) if !region.is_band => {
            GeoBox::from_polygon(&region.polygon, grid.resolution, &grid.crs, grid.anchor)?
        }
        region => {
            let bounds = footprint_bounds(&request.footprints, region, &grid.crs)?;
            GeoBox::from_bbox(bounds, Some(grid.crs), grid.resolution, grid.anchor)?
        }
    };
    Ok(geobox)
}

fn check_like(request: &GridRequest<'_>, like: &GeoBox) -> Result<()> {
    let given = [
        ("output_crs", request.output_crs.is_some()),
        ("resolution", request.resolution.is_some()),
        ("align", request.align.is_some()),
        (
            "a region (x, y, lon, lat, geopolygon)",
            request.region.is_some(),
        ),
    ];
    if let Some((name, _)) = given.iter().find(|(_, is_given)| *is_given) {
        return Err(Error::Option {
            option: "like",
            problem: format!("it fixes the whole grid; leave out {name}, or `like`"),
        });
    }
    if like.crs().is_none() {
        return Err(Error::Option {
            option: "like",
            problem: "its grid has no CRS, so scenes cannot be placed on it".into(),
        });
    }
    Ok(())
}

struct Grid {
    crs: Crs,
    resolution: Resolution,
    anchor: Anchor,
    /// The one grid that all datasets share, when nothing else is asked for.
    exact: Option<GeoBox>,
}

fn choose_grid(request: &GridRequest<'_>) -> Result<Grid> {
    let native = || most_common_grid(&request.native);
    let hints = request.hints.as_ref();
    let Some(crs) = request
        .output_crs
        .clone()
        .or_else(|| hints.map(|hints| hints.crs.clone()))
    else {
        let (first, count) = native().ok_or_else(|| Error::Option {
            option: "output_crs",
            problem: format!(
                "the product proposes none and the datasets {}; give `output_crs` and `resolution`",
                if request.native.is_empty() {
                    "do not say theirs"
                } else {
                    "have different ones"
                }
            ),
        })?;
        let crs = first
            .crs()
            .cloned()
            .expect("grids without a CRS are not counted");
        let all_share = request.native.iter().all(|geobox| geobox == first);
        let nothing_asked = request.resolution.is_none()
            && request.align.is_none()
            && request.region.is_none()
            && count == request.native.len();
        let resolution = request.resolution.unwrap_or_else(|| first.resolution());
        return Ok(Grid {
            crs,
            resolution,
            anchor: choose_anchor(request, resolution, None, Some(first))?,
            exact: (all_share && nothing_asked).then(|| first.clone()),
        });
    };
    let own_hints = hints.filter(|hints| hints.crs == crs);
    let same_crs = native()
        .map(|(grid, _)| grid)
        .filter(|grid| grid.crs() == Some(&crs));
    let resolution = request
        .resolution
        .or_else(|| own_hints.map(|hints| hints.resolution))
        .or_else(|| same_crs.map(GeoBox::resolution))
        .ok_or_else(|| Error::Option {
            option: "resolution",
            problem: format!(
                "{crs} is not the CRS of the product, so its pixel size cannot be taken over; give \
                 one in {}",
                crs.units()[1]
            ),
        })?;
    let anchor = choose_anchor(request, resolution, own_hints, same_crs)?;
    Ok(Grid {
        crs,
        resolution,
        anchor,
        exact: None,
    })
}

/// The caller's alignment, else the hint's, else that of the native pixels if
/// they are kept, else edges at multiples of the resolution.
fn choose_anchor(
    request: &GridRequest<'_>,
    resolution: Resolution,
    hints: Option<&LoadHints>,
    native: Option<&GeoBox>,
) -> Result<Anchor> {
    if let Some(align) = request
        .align
        .or_else(|| hints.and_then(|hints| hints.align))
    {
        let size = resolution.abs();
        if !(0.0..size.x).contains(&align.x) || !(0.0..size.y).contains(&align.y) {
            return Err(Error::Option {
                option: "align",
                problem: format!(
                    "({}, {}) has to be at least 0 and less than the pixel size ({}, {})",
                    align.x, align.y, size.x, size.y
                ),
            });
        }
        return Ok(Anchor::from_align(align, resolution)?);
    }
    let keeps_native = request.resolution.is_none() && hints.is_none();
    Ok(native
        .filter(|_| keeps_native)
        .map_or(Anchor::Edge, GeoBox::anchor))
}

/// The grid whose CRS and pixel size most of `grids` have, and how many have them.
///
/// `None` when none stands out: fewer than a tenth agree, as in odc-stac.
fn most_common_grid(grids: &[GeoBox]) -> Option<(&GeoBox, usize)> {
    let mut counts: HashMap<(String, [u64; 2]), (usize, usize)> = HashMap::new();
    for (position, grid) in grids.iter().enumerate() {
        let Some(crs) = grid.crs() else { continue };
        let resolution = grid.resolution();
        let key = (
            crs.as_str().to_owned(),
            [resolution.x.to_bits(), resolution.y.to_bits()],
        );
        counts.entry(key).or_insert((position, 0)).1 += 1;
    }
    let (position, count) = counts
        .into_values()
        .max_by_key(|&(position, count)| (count, usize::MAX - position))?;
    (count * 10 > grids.len()).then(|| (&grids[position], count))
}

/// The box around all footprints in `crs`, cut to the band if one was asked for.
fn footprint_bounds(
    footprints: &[Geometry],
    band: Option<&Region>,
    crs: &Crs,
) -> Result<BoundingBox> {
    let union_in = |crs: &Crs| -> Result<Option<BoundingBox>> {
        let mut union: Option<BoundingBox> = None;
        for footprint in footprints {
            if let Some(bbox) = footprint.to_crs(crs, None)?.bounding_box() {
                union = Some(union.map_or(bbox, |all| all.union(&bbox)));
            }
        }
        Ok(union)
    };
    let nothing = || Error::Option {
        option: "region",
        problem: "the datasets have no footprint that could bound the result; give x and y, lon \
                  and lat, or a polygon"
            .into(),
    };
    let Some(band) = band else {
        return union_in(crs)?.ok_or_else(nothing);
    };
    let band_crs = band.polygon.crs().expect("a region has a CRS");
    let bounds = union_in(band_crs)?.ok_or_else(nothing)?;
    let cut = band
        .polygon
        .bounding_box()
        .and_then(|bbox| bbox.intersection(&bounds))
        .ok_or_else(nothing)?;
    let cut = Geometry::from_bbox(cut, Some(band_crs.clone()))?;
    cut.to_crs(crs, None)?.bounding_box().ok_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datacube_geo::{Affine, Shape2d};

    fn utm() -> Crs {
        Crs::from_epsg(32655).expect("a code that PROJ knows")
    }

    fn grid(left: f64, top: f64, size: f64) -> GeoBox {
        let affine = Affine::from_origin(left, top, Resolution::square(size));
        GeoBox::new(Shape2d::new(100, 100), affine, Some(utm())).expect("a grid")
    }

    fn region(left: f64, bottom: f64, right: f64, top: f64, crs: Crs) -> Region {
        let bbox = BoundingBox {
            left,
            bottom,
            right,
            top,
        };
        let polygon = Geometry::from_bbox(bbox, Some(crs)).expect("a box");
        Region {
            polygon,
            is_band: false,
        }
    }

    fn corner(geobox: &GeoBox) -> (f64, f64, f64) {
        let bbox = geobox.bounding_box();
        (bbox.left, bbox.top, geobox.resolution().x)
    }

    #[test]
    fn the_native_grid_is_taken_as_it_is() {
        let native = grid(600_015.0, 6_100_005.0, 30.0);
        let request = GridRequest {
            native: vec![native.clone(), native.clone()],
            footprints: vec![native.extent()],
            ..GridRequest::default()
        };
        assert_eq!(resolve_output_geobox(&request).expect("a grid"), native);
    }

    #[test]
    fn precedence() {
        let native = vec![grid(600_015.0, 6_100_005.0, 30.0); 3];
        let area = region(600_100.0, 6_099_000.0, 600_900.0, 6_099_900.0, utm());
        let base = || GridRequest {
            native: native.clone(),
            footprints: vec![native[0].extent()],
            region: Some(&area),
            ..GridRequest::default()
        };
        // Native pixels keep their 15 m offset.
        let chosen = resolve_output_geobox(&base()).expect("a grid");
        assert_eq!(corner(&chosen), (600_075.0, 6_099_915.0, 30.0));
        // A pixel size of one's own starts at multiples of it.
        let own = GridRequest {
            resolution: Some(Resolution::square(100.0)),
            ..base()
        };
        let chosen = resolve_output_geobox(&own).expect("a grid");
        assert_eq!(corner(&chosen), (600_100.0, 6_099_900.0, 100.0));
        // So it does where an alignment says so.
        let aligned = GridRequest {
            align: Some(Xy::new(10.0, 10.0)),
            ..base()
        };
        let chosen = resolve_output_geobox(&aligned).expect("a grid");
        assert_eq!(corner(&chosen), (600_100.0, 6_099_910.0, 30.0));
        // The same CRS named is no other grid.
        let named = GridRequest {
            output_crs: Some(utm()),
            ..base()
        };
        let chosen = resolve_output_geobox(&named).expect("a grid");
        assert_eq!(corner(&chosen), (600_075.0, 6_099_915.0, 30.0));
    }

    #[test]
    fn a_pixel_size_does_not_change_its_unit() {
        let native = vec![grid(600_015.0, 6_100_005.0, 30.0)];
        let request = GridRequest {
            output_crs: Some(Crs::wgs84()),
            footprints: vec![native[0].extent()],
            native,
            ..GridRequest::default()
        };
        let message = resolve_output_geobox(&request).unwrap_err().to_string();
        assert!(message.contains("give one in degrees"), "{message}");
        let request = GridRequest {
            resolution: Some(Resolution::square(30.0)),
            ..request
        };
        let message = resolve_output_geobox(&request).unwrap_err().to_string();
        assert!(message.contains("30 degrees"), "{message}");
    }

    #[test]
    fn like_excludes_the_rest() {
        let like = grid(600_000.0, 6_100_000.0, 60.0);
        let request = GridRequest {
            like: Some(&like),
            ..GridRequest::default()
        };
        assert_eq!(resolve_output_geobox(&request).expect("a grid"), like);
        let request = GridRequest {
            align: Some(Xy::new(0.0, 0.0)),
            ..request
        };
        let message = resolve_output_geobox(&request).unwrap_err().to_string();
        assert!(message.contains("leave out align"), "{message}");
    }

    #[test]
    fn a_band_is_bounded_by_the_datasets() {
        let native = vec![grid(600_015.0, 6_100_005.0, 30.0)];
        let mut band = region(-180.0, 55.02, 180.0, 55.03, Crs::wgs84());
        band.is_band = true;
        let request = GridRequest {
            footprints: vec![native[0].extent()],
            native,
            region: Some(&band),
            ..GridRequest::default()
        };
        let geobox = resolve_output_geobox(&request).expect("a grid");
        assert!(
            geobox.cols() < 110 && geobox.rows() < 110,
            "{:?}",
            geobox.shape()
        );
    }
}
