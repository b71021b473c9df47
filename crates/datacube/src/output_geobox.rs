//! The grid of the output: one function, one table of precedence.
//!
//! `like` decides everything. Otherwise CRS, pixel size and alignment each come
//! from the caller, else from the product's load hints, else from the grids of
//! the datasets themselves; and the bounds come from the region, else from the
//! datasets' footprints. A pixel size crosses from one CRS to another only where
//! both have the same unit: else its number would mean something else.

use std::collections::HashMap;
use std::hash::Hash;

use datacube_geo::{Anchor, BoundingBox, Crs, GeoBox, Geometry, Resolution, Xy};
use datacube_model::LoadHints;

use crate::load_options::CrsSpec;
use crate::region::{Region, resolve_crs};
use crate::{Error, Result};

/// What the grid is decided from.
#[derive(Debug, Default)]
pub(crate) struct GridRequest<'a> {
    /// A grid to take as it is.
    pub(crate) like: Option<&'a GeoBox>,
    /// The caller's CRS; `utm` for the zone of what is loaded.
    pub(crate) output_crs: Option<CrsSpec>,
    /// The caller's pixel size.
    pub(crate) resolution: Option<Resolution>,
    /// The caller's offset of pixel edges, in CRS units.
    pub(crate) align: Option<Xy>,
    /// The caller's place of pixel edges, in parts of a pixel.
    pub(crate) anchor: Option<Anchor>,
    /// Whether a pixel size of the caller's keeps the place of the datasets' pixel edges.
    pub(crate) keeps_anchor: bool,
    /// The caller's region.
    pub(crate) region: Option<&'a Region>,
    /// What the product's document proposes.
    pub(crate) hints: Option<LoadHints>,
    /// The grid of each dataset: the finest of the measurements that are loaded.
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
    let output_crs = request
        .output_crs
        .as_ref()
        .map(|spec| resolve_output_crs(spec, request))
        .transpose()?;
    let grid = choose_grid(request, output_crs.as_ref())?;
    if let Some(exact) = &grid.exact {
        return Ok(exact.clone());
    }
    if output_crs.is_some() || request.resolution.is_some() {
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

/// The CRS that the caller names; `utm` is the zone in the middle of the region,
/// else of the datasets.
fn resolve_output_crs(spec: &CrsSpec, request: &GridRequest<'_>) -> Result<Crs> {
    let is_utm = matches!(spec, CrsSpec::Text(text) if text.trim().eq_ignore_ascii_case("utm"));
    if !is_utm {
        return resolve_crs(spec);
    }
    let bounds = match request.region {
        Some(region) if !region.is_band => region.polygon.lonlat_bounds()?,
        _ => {
            let mut all: Option<BoundingBox> = None;
            for footprint in &request.footprints {
                if let Some(bounds) = footprint.lonlat_bounds()? {
                    all = Some(all.map_or(bounds, |all| all.union(&bounds)));
                }
            }
            all
        }
    };
    let centre = bounds
        .map(|bounds| bounds.center())
        .ok_or_else(|| Error::Option {
            option: "output_crs",
            problem:
                "`utm` takes the zone of what is loaded, and neither a region nor a footprint \
                  says where that is"
                    .into(),
        })?;
    Ok(Crs::utm_for(centre.x, centre.y)?)
}

fn check_like(request: &GridRequest<'_>, like: &GeoBox) -> Result<()> {
    let given = [
        ("output_crs", request.output_crs.is_some()),
        ("resolution", request.resolution.is_some()),
        ("align", request.align.is_some()),
        ("anchor", request.anchor.is_some()),
        (
            "a region (x, y, lon, lat, bbox, geopolygon)",
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

fn choose_grid(request: &GridRequest<'_>, output_crs: Option<&Crs>) -> Result<Grid> {
    let native = Native::of(&request.native);
    let hints = request.hints.as_ref();
    let Some(crs) = output_crs.or_else(|| hints.map(|hints| &hints.crs)) else {
        let native = native.ok_or_else(|| Error::Option {
            option: "output_crs",
            problem: "the product proposes none and the datasets do not say theirs; give \
                      `output_crs` and `resolution`"
                .into(),
        })?;
        let nothing_asked = request.resolution.is_none()
            && request.align.is_none()
            && request.anchor.is_none()
            && request.region.is_none();
        let resolution = request.resolution.unwrap_or(native.resolution);
        return Ok(Grid {
            anchor: choose_anchor(request, resolution, None, Some(native.anchor))?,
            exact: native.shared.filter(|_| nothing_asked).cloned(),
            crs: native.crs.clone(),
            resolution,
        });
    };
    let own_hints = hints.filter(|hints| hints.crs == *crs);
    let same_unit = |other: &Crs| {
        other == crs
            || (!other.is_geographic()
                && !crs.is_geographic()
                && (other.unit_in_metres() - crs.unit_in_metres()).abs() < 1e-9)
    };
    let resolution = request
        .resolution
        .or_else(|| {
            let hints = hints.filter(|hints| same_unit(&hints.crs))?;
            Some(hints.resolution)
        })
        .or_else(|| {
            let native = native.as_ref().filter(|native| same_unit(native.crs))?;
            Some(native.resolution)
        })
        .ok_or_else(|| Error::Option {
            option: "resolution",
            problem: format!(
                "{crs} is not the CRS of the product, so its pixel size cannot be taken over; give \
                 one in {}",
                crs.units()[1]
            ),
        })?;
    let anchor = native
        .as_ref()
        .filter(|native| native.crs == crs || request.keeps_anchor)
        .map(|native| native.anchor);
    Ok(Grid {
        crs: crs.clone(),
        resolution,
        anchor: choose_anchor(request, resolution, own_hints, anchor)?,
        exact: None,
    })
}

/// The caller's alignment, else the hint's, else that of the native pixels if
/// they are kept, else edges at multiples of the resolution.
fn choose_anchor(
    request: &GridRequest<'_>,
    resolution: Resolution,
    hints: Option<&LoadHints>,
    native: Option<Anchor>,
) -> Result<Anchor> {
    if let Some(anchor) = request.anchor {
        if request.align.is_some() {
            return Err(Error::Option {
                option: "anchor",
                problem: "`align` says the same in units of the CRS; give one of them".into(),
            });
        }
        return Ok(anchor);
    }
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
    let all_given = request.resolution.is_some() && request.output_crs.is_some();
    let keeps_native = if request.keeps_anchor {
        !all_given
    } else {
        request.resolution.is_none() && hints.is_none()
    };
    Ok(native.filter(|_| keeps_native).unwrap_or(Anchor::Edge))
}

/// What the grids of the datasets have in common.
struct Native<'a> {
    crs: &'a Crs,
    resolution: Resolution,
    anchor: Anchor,
    /// The one grid that all have.
    shared: Option<&'a GeoBox>,
}

impl<'a> Native<'a> {
    /// The one grid that all share, else the CRS, pixel size and place of pixel
    /// edges that most have, else (where those are no more than a tenth) the CRS
    /// and pixel size that most have. `None` where no grid has a CRS.
    ///
    /// # Source
    /// odc-stac, `_mdtools.py` (`_most_common_gbox`).
    fn of(grids: &'a [GeoBox]) -> Option<Self> {
        let mut with_crs = grids.iter().filter_map(|grid| Some((grid, grid.crs()?)));
        let (first, crs) = with_crs.next()?;
        let native = |grid: &'a GeoBox, crs: &'a Crs, anchor: Anchor| Native {
            crs,
            resolution: grid.resolution(),
            anchor,
            shared: None,
        };
        if grids.iter().all(|grid| grid == first) {
            return Some(Native {
                shared: Some(first),
                ..native(first, crs, first.anchor())
            });
        }
        let size_of = |grid: &GeoBox| {
            let resolution = grid.resolution();
            let crs = grid.crs().map_or("", Crs::as_str).to_owned();
            (crs, [resolution.x.to_bits(), resolution.y.to_bits()])
        };
        let grids: Vec<&GeoBox> = grids.iter().filter(|grid| grid.crs().is_some()).collect();
        let (best, count) = most_common(&grids, |grid| {
            let anchor = match grid.anchor() {
                Anchor::Offset(offset) => Some([offset.x.to_bits(), offset.y.to_bits()]),
                Anchor::Center => Some([0.5_f64.to_bits(); 2]),
                Anchor::Edge => Some([0; 2]),
                Anchor::Floating => None,
            };
            (size_of(grid), anchor)
        })?;
        if count * 10 > grids.len() {
            return Some(native(best, best.crs()?, best.anchor()));
        }
        let (best, _) = most_common(&grids, |grid| size_of(grid))?;
        Some(native(best, best.crs()?, Anchor::Edge))
    }
}

/// The first grid with the most common key, and how many have that.
fn most_common<'a, K: Eq + Hash>(
    grids: &[&'a GeoBox],
    key: impl Fn(&GeoBox) -> K,
) -> Option<(&'a GeoBox, usize)> {
    let mut counts: HashMap<K, (usize, usize)> = HashMap::new();
    for (position, grid) in grids.iter().enumerate() {
        counts.entry(key(grid)).or_insert((position, 0)).1 += 1;
    }
    let (position, count) = counts
        .into_values()
        .max_by_key(|&(position, count)| (count, usize::MAX - position))?;
    Some((grids[position], count))
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
            if let Some(bbox) = footprint.bounds_in(crs)? {
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
            output_crs: Some(utm().into()),
            ..base()
        };
        let chosen = resolve_output_geobox(&named).expect("a grid");
        assert_eq!(corner(&chosen), (600_075.0, 6_099_915.0, 30.0));
    }

    #[test]
    fn a_pixel_size_does_not_change_its_unit() {
        let native = vec![grid(600_015.0, 6_100_005.0, 30.0)];
        let request = GridRequest {
            output_crs: Some(Crs::wgs84().into()),
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
    fn most_datasets_decide_where_they_differ() {
        let chosen = |native: Vec<GeoBox>, keeps_anchor: bool, resolution: Option<f64>| {
            let area = region(600_100.0, 6_099_000.0, 600_900.0, 6_099_900.0, utm());
            let request = GridRequest {
                native,
                region: Some(&area),
                resolution: resolution.map(Resolution::square),
                keeps_anchor,
                ..GridRequest::default()
            };
            corner(&resolve_output_geobox(&request).expect("a grid"))
        };
        let (centre, edge) = (
            grid(600_015.0, 6_100_005.0, 30.0),
            grid(600_000.0, 6_100_020.0, 30.0),
        );
        let most = vec![edge.clone(), centre.clone(), centre.clone()];
        assert_eq!(
            chosen(most.clone(), false, None),
            (600_075.0, 6_099_915.0, 30.0)
        );
        // As odc-stac, a pixel size of one's own keeps the place of edges.
        assert_eq!(
            chosen(most.clone(), true, Some(60.0)),
            (600_090.0, 6_099_930.0, 60.0)
        );
        assert_eq!(
            chosen(most, false, Some(60.0)),
            (600_060.0, 6_099_900.0, 60.0)
        );
        // Twelve places of edges, none with more than a tenth: edges at multiples.
        let offsets = (0..12).map(|at| grid(600_001.0 + f64::from(at), 6_100_000.0, 30.0));
        assert_eq!(
            chosen(offsets.collect(), false, None),
            (600_090.0, 6_099_900.0, 30.0)
        );
    }

    #[test]
    fn utm_is_the_zone_of_what_is_loaded() {
        let area = region(143.2, -37.2, 143.3, -37.1, Crs::wgs84());
        let request = GridRequest {
            output_crs: Some("utm".into()),
            native: vec![grid(600_015.0, 6_100_005.0, 30.0)],
            region: Some(&area),
            ..GridRequest::default()
        };
        let geobox = resolve_output_geobox(&request).expect("a grid");
        assert_eq!(geobox.crs().and_then(Crs::epsg), Some(32754));
        // Metres stay metres.
        assert_eq!(geobox.resolution().x, 30.0);
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
