//! Which members of a plane touch a window, without looking at all of them.
//!
//! One R-tree over boxes of three sides: plane, row, column. It is made when it
//! is first asked, and serves planes of any number of members at once.

use std::ops::Range;

use datacube_geo::PixelWindow;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::Archive;

/// A scene's window in a plane, with its place among the plane's members.
pub(super) type Entry = GeomWithData<Rectangle<[i64; 3]>, u32>;

/// Scenes' windows as boxes over (plane, row, column).
#[derive(Clone)]
pub(super) struct PlaneIndex(RTree<Entry>);

impl PlaneIndex {
    /// All members of all planes.
    pub(super) fn new(archive: &Archive) -> Self {
        let mut entries = Vec::new();
        for (plane, members) in archive.planes.iter().enumerate() {
            for (at, &scene) in (0..).zip(members) {
                let window = archive.scene(scene).map(|scene| &scene.window);
                if let Some((low, high)) = window.and_then(|w| corners(plane..plane + 1, w)) {
                    entries.push(Entry::new(Rectangle::from_corners(low, high), at));
                }
            }
        }
        PlaneIndex(RTree::bulk_load(entries))
    }

    /// The members of a range of planes that touch `window`, in no order.
    pub(super) fn touching(
        &self,
        planes: Range<usize>,
        window: &PixelWindow,
    ) -> impl Iterator<Item = &Entry> {
        let envelope = corners(planes, window).map(|(low, high)| AABB::from_corners(low, high));
        envelope
            .into_iter()
            .flat_map(|envelope| self.0.locate_in_envelope_intersecting(&envelope))
    }
}

/// The lowest and highest pixel of a box, both within it; `None` when empty.
fn corners(planes: Range<usize>, window: &PixelWindow) -> Option<([i64; 3], [i64; 3])> {
    let ends = |range: &Range<usize>| {
        let last = range
            .end
            .checked_sub(1)
            .filter(|&last| last >= range.start)?;
        Some((i64::try_from(range.start).ok()?, i64::try_from(last).ok()?))
    };
    let (plane, row, col) = (ends(&planes)?, ends(&window.rows)?, ends(&window.cols)?);
    Some(([plane.0, row.0, col.0], [plane.1, row.1, col.1]))
}

/// The plane that an entry is of.
pub(super) fn plane_of(entry: &Entry) -> Option<usize> {
    usize::try_from(entry.geom().lower()[0]).ok()
}
