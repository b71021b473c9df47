//! Which members of a plane may touch a window, without looking at all of them.
//!
//! Scenes lie in the coordinate systems of their files. Bringing a million of them
//! onto the output grid would take PROJ minutes, so it is the other way round: the
//! window is brought into each system that the plane has, where boxes around
//! scenes are in an R-tree. What is found there is looked at exactly. The tree of
//! a plane is made when a chunk of that plane is first asked for.

use std::collections::HashMap;

use datacube_geo::{BoundingBox, Crs, GeoBox, PixelWindow};
use parking_lot::Mutex;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::footprint::LONGEST_PIECE_METRES;
use super::scene::{Cover, Scene};

/// A box around a scene with its place among the plane's members.
type Entry = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// What the numbers of a box mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Space {
    /// Pixels of the output grid.
    Output,
    /// The coordinates of a system, or of none.
    World(Option<Crs>),
    /// Longitude and latitude, past 180 where the antimeridian is crossed.
    LonLat,
}

impl Space {
    /// By how much the same place may differ in x: longitudes repeat.
    fn turns(&self) -> &'static [f64] {
        match self {
            Space::LonLat => &[-360.0, 0.0, 360.0],
            _ => &[0.0],
        }
    }
}

/// The members of one plane, by where they lie.
#[derive(Debug)]
pub(super) struct PlaneIndex(Vec<(Space, RTree<Entry>)>);

impl PlaneIndex {
    /// Of the scenes of a plane, in their order.
    pub(super) fn new<'a>(members: impl Iterator<Item = &'a Scene>) -> Self {
        let mut spaces: Vec<(Space, Vec<Entry>)> = Vec::new();
        let mut latest = 0;
        for (at, scene) in (0_u32..).zip(members) {
            let (space, bounds) = box_of(&scene.cover);
            let Some(bounds) = bounds else { continue };
            // Neighbours in a plane are mostly of one system.
            if spaces.get(latest).is_none_or(|(known, _)| *known != space) {
                let found = spaces.iter().position(|(known, _)| *known == space);
                latest = found.unwrap_or_else(|| {
                    spaces.push((space, Vec::new()));
                    spaces.len() - 1
                });
            }
            let corners = ([bounds.left, bounds.bottom], [bounds.right, bounds.top]);
            let bounds = Rectangle::from_corners(corners.0, corners.1);
            spaces[latest].1.push(Entry::new(bounds, at));
        }
        let trees = spaces.into_iter();
        PlaneIndex(
            trees
                .map(|(space, entries)| (space, RTree::bulk_load(entries)))
                .collect(),
        )
    }

    /// The members that may touch `window`, in their order.
    pub(super) fn candidates(&self, window: &PixelWindow, boxes: &WindowBoxes) -> Vec<u32> {
        let mut found = Vec::new();
        for (space, tree) in &self.0 {
            match boxes.of(space, window) {
                Some(b) => {
                    for turn in space.turns() {
                        let corners = ([b.left + turn, b.bottom], [b.right + turn, b.top]);
                        let envelope = AABB::from_corners(corners.0, corners.1);
                        let touching = tree.locate_in_envelope_intersecting(&envelope);
                        found.extend(touching.map(|entry| entry.data));
                    }
                }
                None => found.extend(tree.iter().map(|entry| entry.data)),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The box around a scene; `None` for one that is nowhere.
fn box_of(cover: &Cover) -> (Space, Option<BoundingBox>) {
    match cover {
        Cover::Window(window) => (Space::Output, pixel_box(window)),
        Cover::Grid(grid) => {
            let bounds = BoundingBox::from_affine(grid.shape(), grid.affine());
            (
                Space::World(grid.crs().cloned()),
                Some(bounds).filter(BoundingBox::is_finite),
            )
        }
        Cover::LonLat(bounds) => (Space::LonLat, Some(*bounds)),
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "grids have fewer than 2^52 pixels a side"
)]
fn pixel_box(window: &PixelWindow) -> Option<BoundingBox> {
    let (rows, cols) = (&window.rows, &window.cols);
    (!window.is_empty()).then(|| {
        // Pixels that only share an edge do not touch.
        let inner =
            |range: &std::ops::Range<usize>| (range.start as f64 + 0.25, range.end as f64 - 0.25);
        BoundingBox::from_ranges(inner(cols), inner(rows))
    })
}

/// Boxes around windows of the output in the systems of scenes, as asked lately:
/// a chunk has the same one in every plane.
#[derive(Debug)]
pub(super) struct WindowBoxes {
    geobox: GeoBox,
    known: Mutex<Boxes>,
}

/// By system and window.
type Boxes = HashMap<(Space, PixelWindow), Option<BoundingBox>>;

/// Boxes that are kept, of some hundred bytes each.
const KNOWN_MAX: usize = 4096;

impl WindowBoxes {
    pub(super) fn new(geobox: GeoBox) -> Self {
        WindowBoxes {
            geobox,
            known: Mutex::default(),
        }
    }

    /// Whether a scene may touch `window`, told without projecting the scene.
    pub(super) fn may_touch(&self, cover: &Cover, window: &PixelWindow) -> bool {
        let (space, bounds) = box_of(cover);
        match (bounds, self.of(&space, window)) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(bounds), Some(window)) => space.turns().iter().any(|turn| {
                let turned = BoundingBox {
                    left: window.left + turn,
                    right: window.right + turn,
                    ..window
                };
                bounds.intersects(&turned)
            }),
        }
    }

    /// The box around `window`; `None` where it cannot be told, so that everything
    /// may touch it.
    fn of(&self, space: &Space, window: &PixelWindow) -> Option<BoundingBox> {
        if *space == Space::Output {
            return pixel_box(window);
        }
        let key = (space.clone(), window.clone());
        if let Some(known) = self.known.lock().get(&key) {
            return *known;
        }
        let bounds = match space {
            Space::World(crs) => self.project(crs.as_ref(), window),
            _ => self.degrees(window),
        };
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key, bounds);
        bounds
    }

    /// The longitudes and latitudes of `window`, and a little more.
    fn degrees(&self, window: &PixelWindow) -> Option<BoundingBox> {
        let padded = window.pad(3, self.geobox.shape());
        let extent = self.geobox.crop(&padded).ok()?.extent();
        let around = extent.lonlat_bounds().ok()??;
        // Between the points of the outline it may bulge.
        let slack = 0.02 * around.span_x().max(around.span_y());
        around.is_finite().then(|| around.buffered(slack, slack))
    }

    /// As [`super::coverage_window`] the other way round, and as careful.
    fn project(&self, crs: Option<&Crs>, window: &PixelWindow) -> Option<BoundingBox> {
        let padded = window.pad(3, self.geobox.shape());
        let chunk = self.geobox.crop(&padded).ok()?;
        if self.geobox.crs() == crs {
            let bounds = BoundingBox::from_affine(chunk.shape(), chunk.affine());
            return Some(bounds.buffered(bounds.span_x() * 0.01, bounds.span_y() * 0.01));
        }
        let (from, to) = (self.geobox.crs()?, crs?);
        let extent = chunk.extent();
        // Outlines say nothing of what is inside where they go around a pole, and
        // little where they are as large as a continent; longitudes repeat.
        let around = extent.lonlat_bounds().ok()??;
        let is_small = around.span_x() < 30.0 && around.span_y() < 30.0;
        if to.is_geographic() || !is_small || around.top > 80.0 || around.bottom < -80.0 {
            return None;
        }
        let unit = if from.is_geographic() {
            super::footprint::METRES_PER_DEGREE
        } else {
            from.unit_in_metres()
        };
        let bounds = extent.bounding_box()?;
        let side = bounds.span_x().max(bounds.span_y());
        let piece = (side / 20.0).min(LONGEST_PIECE_METRES / unit);
        let there = extent.to_crs(to, Some(piece)).ok()?.bounding_box()?;
        // Between the points of the outline it may bulge.
        let slack = 0.02 * there.span_x().max(there.span_y());
        there.is_finite().then(|| there.buffered(slack, slack))
    }
}
