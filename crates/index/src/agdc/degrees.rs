//! Where a row lies, by the degrees that Python noted in its document.
//!
//! Python works them out once, when a dataset is indexed, and draws edges from
//! corner to corner, so that they narrow a search down and no more: whether a
//! footprint meets an area is decided on the dataset itself.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/index/eo3.py` (`eo3_lonlat_bbox`),
//! `datacube/drivers/postgres/_fields.py` (`DoubleRangeDocField`).

use datacube_model::{FieldKind, FieldSource, MetadataType};

use super::field::joined;
use super::steps::Steps;
use super::times::path;
use crate::footprint::{Footprint, LonLatBox};

/// More boxes than this are looked for as one.
const MAX_BOXES: usize = 8;

/// How far the degrees that Python noted of a dataset may be from the true
/// ones: it draws edges from corner to corner, whose true course bends away.
/// Here for the largest datasets there are; see [`BEND`] for each row's own.
const MOST_DEG: f64 = 5.0;

/// Beyond this latitude the corners tell nothing about the longitudes.
const POLAR_DEG: f64 = 70.0;

/// How far the true outline of a row may reach beyond the degrees noted of it:
/// the more, the longer its edges.
const BEND: &str = "0.05 + 0.1 * greatest(d.north - d.south, d.east - d.west)";

/// The condition that Python's index of places answers: it may lie in the area;
/// `None` where the type has no such fields.
pub(super) fn indexed(metadata_type: &MetadataType, area: &Footprint) -> Option<String> {
    let boxes = boxes_of(area);
    let lat = range_of(metadata_type, "lat")?;
    let lon = range_of(metadata_type, "lon")?;
    let boxes = boxes.iter().map(|bounds| {
        let latitudes = lat.meets(bounds.south - MOST_DEG, bounds.north + MOST_DEG);
        match longitudes(bounds) {
            None => latitudes,
            Some(ranges) => {
                let ranges: Vec<String> = ranges
                    .iter()
                    .map(|(west, east)| lon.meets(west - MOST_DEG, east + MOST_DEG))
                    .collect();
                format!("({latitudes} AND {})", joined(&ranges, " OR ", "TRUE"))
            }
        }
    });
    let boxes: Vec<String> = boxes.collect();
    Some(joined(&boxes, " OR ", "TRUE"))
}

/// Whether a row may lie in the area, by the degrees that Python noted of
/// it; `None` where it notes none for the type.
pub(super) fn near(
    metadata_type: &MetadataType,
    area: &Footprint,
    steps: &mut Steps,
) -> Option<String> {
    let ends = |name: &str| match &metadata_type.field(name)?.source {
        FieldSource::Range { min, max } => {
            Some((least_of("least", min), least_of("greatest", max)))
        }
        FieldSource::Offset(_) => None,
    };
    let ((south, north), (west, east)) = (ends("lat")?, ends("lon")?);
    for (value, name) in [
        (south, "south"),
        (north, "north"),
        (west, "west"),
        (east, "east"),
    ] {
        steps.add(0, format!("{value} AS {name}"));
    }
    steps.add(1, format!("{BEND} AS bend"));
    let boxes = boxes_of(area);
    let meets = boxes.iter().map(|bounds| {
        let latitudes = format!(
            "d.south - d.bend <= {:?} AND d.north + d.bend >= {:?}",
            bounds.north, bounds.south
        );
        match longitudes(bounds) {
            None => format!("({latitudes})"),
            Some(ranges) => {
                let ranges: Vec<String> = ranges
                    .iter()
                    .map(|(west, east)| {
                        format!("(d.west - d.bend <= {east:?} AND d.east + d.bend >= {west:?})")
                    })
                    .collect();
                format!("({latitudes} AND {})", joined(&ranges, " OR ", "TRUE"))
            }
        }
    });
    let meets: Vec<String> = meets.collect();
    // Nothing noted: not met is not known either.
    Some(format!(
        "(CASE WHEN NOT {} THEN FALSE END)",
        joined(&meets, " OR ", "TRUE")
    ))
}

/// Boxes to look in, one around all where there are many; those near a pole
/// reach all the way.
fn boxes_of(area: &Footprint) -> Vec<LonLatBox> {
    let mut boxes = area.search_boxes();
    if boxes.len() > MAX_BOXES {
        boxes = area.search_bounds();
    }
    for bounds in &mut boxes {
        if bounds.north > POLAR_DEG - MOST_DEG {
            bounds.north = 90.0;
            bounds.south = bounds.south.min(POLAR_DEG - MOST_DEG);
        }
        if bounds.south < MOST_DEG - POLAR_DEG {
            bounds.south = -90.0;
            bounds.north = bounds.north.max(MOST_DEG - POLAR_DEG);
        }
    }
    boxes
}

/// The longitudes of a box, as they may be noted: within a turn of each other.
/// `None` for any, near a pole.
fn longitudes(bounds: &LonLatBox) -> Option<Vec<(f64, f64)>> {
    if bounds.north >= 90.0 || bounds.south <= -90.0 || bounds.east - bounds.west >= 360.0 {
        return None;
    }
    Some(
        [0.0, 360.0, -360.0]
            .into_iter()
            .map(|turn| (bounds.west + turn, bounds.east + turn))
            .filter(|(west, east)| *west <= 360.0 && *east >= -360.0)
            .collect(),
    )
}

fn least_of(function: &str, offsets: &[Vec<String>]) -> String {
    let numbers: Vec<String> = offsets
        .iter()
        .map(|offset| {
            let path = path(offset);
            format!(
                "CASE WHEN jsonb_typeof(d.metadata #> {path}) = 'number' \
                 THEN (d.metadata #>> {path})::float8 END"
            )
        })
        .collect();
    format!("{function}({})", numbers.join(", "))
}

/// A range of numbers as Python indexes it.
struct IndexedRange {
    value: String,
    function: &'static str,
}

fn range_of(metadata_type: &MetadataType, name: &str) -> Option<IndexedRange> {
    let field = metadata_type.field(name)?;
    let FieldSource::Range { min, max } = &field.source else {
        return None;
    };
    let (function, of_type) = match field.kind {
        FieldKind::DoubleRange => ("agdc.float8range", "double precision"),
        FieldKind::NumericRange => ("numrange", "numeric"),
        _ => return None,
    };
    let end = |select: &str, offsets: &[Vec<String>]| {
        let values: Vec<String> = offsets
            .iter()
            .map(|offset| format!("CAST(d.metadata #>> {} AS {of_type})", path(offset)))
            .collect();
        match values.as_slice() {
            [only] => only.clone(),
            _ => format!("{select}({})", values.join(", ")),
        }
    };
    Some(IndexedRange {
        value: format!(
            "{function}({}, {}, '[]')",
            end("least", min),
            end("greatest", max)
        ),
        function,
    })
}

impl IndexedRange {
    fn meets(&self, low: f64, high: f64) -> String {
        format!(
            "{} && {}({low:?}, {high:?}, '[]')",
            self.value, self.function
        )
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(west: f64, south: f64, east: f64, north: f64) -> LonLatBox {
        LonLatBox {
            west,
            south,
            east,
            north,
        }
    }

    #[test]
    fn longitudes_may_be_noted_a_turn_away() {
        let found = longitudes(&bounds(170.0, -20.0, 180.0, -10.0)).expect("not at a pole");
        assert_eq!(found, [(170.0, 180.0), (-190.0, -180.0)]);
        let found = longitudes(&bounds(-180.0, -20.0, -170.0, -10.0)).expect("not at a pole");
        assert_eq!(found, [(-180.0, -170.0), (180.0, 190.0)]);
        assert_eq!(longitudes(&bounds(0.0, 60.0, 1.0, 90.0)), None);
        assert_eq!(longitudes(&bounds(-180.0, 0.0, 180.0, 1.0)), None);
    }
}
