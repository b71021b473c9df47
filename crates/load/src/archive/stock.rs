//! The scenes and planes of an archive, shared by all that is cut out of it, and
//! what was found out about them on the way.

use std::sync::{Arc, OnceLock};

use datacube_geo::{GeoBox, PixelWindow};

use super::catalog::SceneCatalog;
use super::place;
use super::plane_index::{PlaneIndex, WindowBoxes};
use super::scene::{Cover, Scene};
use crate::plan::SourceRead;

/// Planes of up to so many scenes are looked through one by one.
const SCAN_PLANE: usize = 64;

/// Scenes and planes on one output grid.
pub(super) struct Stock {
    geobox: GeoBox,
    scenes: Vec<Scene>,
    /// Who knows the files of the scenes, where they do not have them themselves.
    catalog: Option<Arc<dyn SceneCatalog>>,
    planes: Vec<Vec<u32>>,
    /// Of each scene that does not say it itself, once it was asked for.
    windows: Vec<OnceLock<Box<PixelWindow>>>,
    /// Of each plane of many scenes, once it was asked for.
    indices: Vec<OnceLock<Box<PlaneIndex>>>,
    boxes: WindowBoxes,
}

impl Stock {
    pub(super) fn new(
        geobox: GeoBox,
        scenes: Vec<Scene>,
        catalog: Option<Arc<dyn SceneCatalog>>,
        planes: Vec<Vec<u32>>,
    ) -> Self {
        Stock {
            catalog,
            windows: std::iter::repeat_with(OnceLock::new)
                .take(scenes.len())
                .collect(),
            indices: std::iter::repeat_with(OnceLock::new)
                .take(planes.len())
                .collect(),
            boxes: WindowBoxes::new(geobox.clone()),
            geobox,
            scenes,
            planes,
        }
    }

    pub(super) fn scenes(&self) -> &[Scene] {
        &self.scenes
    }

    pub(super) fn catalog(&self) -> Option<&Arc<dyn SceneCatalog>> {
        self.catalog.as_ref()
    }

    pub(super) fn planes(&self) -> &[Vec<u32>] {
        &self.planes
    }

    /// The output pixels that a scene may give.
    pub(super) fn window(&self, scene: u32) -> PixelWindow {
        let at = place(scene);
        match self.scenes.get(at).map(|scene| &scene.cover) {
            None => PixelWindow::default(),
            Some(Cover::Window(window)) => window.clone(),
            // It may be anywhere until it has been looked up.
            Some(cover @ Cover::LonLat(_)) => match self.windows[at].get() {
                Some(found) => (**found).clone(),
                None => cover.window(&self.geobox),
            },
            Some(cover) => self.window_of(scene, cover),
        }
    }

    /// The output pixels that a scene may give, which is known to have this cover.
    pub(super) fn window_of(&self, scene: u32, cover: &Cover) -> PixelWindow {
        let find = || cover.window(&self.geobox);
        match self.windows.get(place(scene)) {
            Some(window) => (**window.get_or_init(|| Box::new(find()))).clone(),
            None => find(),
        }
    }

    /// The scenes of a plane that touch `window`, in fuse order.
    pub(super) fn touching(
        &self,
        plane: usize,
        window: &PixelWindow,
    ) -> impl Iterator<Item = SourceRead> + '_ {
        let members = self.planes.get(plane).map_or(&[][..], Vec::as_slice);
        let found: Vec<u32> = if window.is_empty() {
            Vec::new()
        } else if members.len() <= SCAN_PLANE {
            let near = members.iter().copied().filter(|&scene| {
                let cover = &self.scenes[place(scene)].cover;
                self.boxes.may_touch(cover, window)
            });
            near.collect()
        } else {
            let scenes = members.iter().map(|&scene| &self.scenes[place(scene)]);
            let index = self.indices[plane].get_or_init(|| Box::new(PlaneIndex::new(scenes)));
            let places = index.candidates(window, &self.boxes);
            places.iter().map(|&at| members[place(at)]).collect()
        };
        let window = window.clone();
        found.into_iter().filter_map(move |scene| {
            let part = self.window(scene).intersect(&window);
            (!part.is_empty()).then_some(SourceRead {
                scene,
                window: part,
            })
        })
    }

    /// How many planes have their tree.
    #[cfg(test)]
    pub(super) fn n_indexed(&self) -> usize {
        let made = self.indices.iter().filter(|index| index.get().is_some());
        made.count()
    }
}
