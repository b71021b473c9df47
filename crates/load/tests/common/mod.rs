//! What several tests load with: rasters in memory, a loader over them.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test includes this and uses a part"
)]

pub(crate) mod remote;

use std::sync::Arc;

use datacube_geo::{GeoBox, PixelWindow};
use datacube_load::{
    Archive, BandParams, Loader, LoaderOptions, MemoryRasters, Pixel, RasterSource, ReadStats,
    Result, Scene,
};

/// A loader over rasters in memory.
pub(crate) fn loader(rasters: &MemoryRasters) -> Loader {
    Loader::with_opener(Arc::new(rasters.clone()), LoaderOptions::default())
}

/// An archive of one plane whose members are these sources, all of which may
/// touch the whole grid.
pub(crate) fn archive(
    geobox: &GeoBox,
    params: BandParams,
    sources: impl IntoIterator<Item = RasterSource>,
) -> Archive {
    let mut builder = Archive::builder(geobox.clone());
    builder.band(params);
    let whole = PixelWindow::full(geobox.shape());
    let members: Vec<u32> = sources
        .into_iter()
        .map(|source| builder.scene(Scene::new(whole.clone(), vec![Some(source)])))
        .collect();
    builder.plane(members);
    builder.build().expect("the test's archive is sound")
}

/// Fetches and decodes `window` of the first band of a plane.
pub(crate) fn try_load<T: Pixel>(
    loader: &Loader,
    archive: &Archive,
    plane: usize,
    window: PixelWindow,
) -> Result<(Vec<T>, ReadStats)> {
    let mut out = vec![T::zeroed(); window.pixels()];
    let task = archive.plan_chunk(0, plane, window)?;
    let fetched = block_on(loader.fetch(archive, &task))?;
    let stats = loader.decode(archive, &task, fetched, bytemuck::cast_slice_mut(&mut out))?;
    Ok((out, stats))
}

/// As [`try_load`], of the whole first plane.
pub(crate) fn load<T: Pixel>(loader: &Loader, archive: &Archive) -> Vec<T> {
    let whole = PixelWindow::full(archive.geobox().shape());
    try_load(loader, archive, 0, whole).expect("loads").0
}

/// Waits for a future.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}
