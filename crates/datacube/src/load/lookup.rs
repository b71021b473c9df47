//! Loads of so many datasets that their documents are read as chunks need them.
//!
//! The index tells when and where each dataset is; time steps are made of that, and
//! an archive of boxes. The files of a dataset are looked up when a chunk comes near
//! it, so that memory and time go with what is loaded and not with what there is.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_compute::Cube;
use datacube_geo::{GeoBox, PixelWindow};
use datacube_index::{Index, Outline};
use datacube_load::{BoxError, Cover, Loader, Scene, SceneCatalog};
use datacube_model::{Dataset, Product};
use futures::TryStreamExt;
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::archive;
use super::bands::{Variable, resolve_variables};
use super::entry::Entry;
use super::{cube, index_query, plan_geobox, region_query, searched, without_extra_dimensions};
use crate::group::{GroupBy, Grouping, solar_day};
use crate::load_options::{Convention, Documents, LoadOptions, WithProperties};
use crate::opened::Opened;
use crate::region::resolve_region;
use crate::{Error, Result};

/// From so many datasets on, documents are looked up where that can be.
const LOOK_UP_FROM: usize = 20_000;

/// Scenes whose files are kept, of about a kilobyte each.
const SCENES_KEPT: NonZeroUsize = NonZeroUsize::new(32_768).expect("it is not zero");

/// Documents of one question to the index.
const BATCH: usize = 1000;

/// How far the middle of a box may be from that of the footprint, in degrees on the
/// ground: more than indexes and documents differ.
const OFF_DEG: f64 = 1e-3;

/// The lazy cube of a load whose documents are looked up; `None` for one whose
/// documents are to be read at once.
///
/// # Errors
/// As [`super::plan_load`]; [`Error::Option`] where documents are to be looked up and
/// something cannot be told without them.
pub(super) async fn plan(
    opened: &Arc<Opened>,
    product: &Arc<Product>,
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Option<Cube>> {
    let is_wanted = options.documents == Documents::AsNeeded;
    if options.documents == Documents::AtOnce {
        return Ok(None);
    }
    if let Some(problem) = obstacle(options) {
        return match is_wanted {
            true => Err(Error::Option {
                option: "documents",
                problem: problem.into(),
            }),
            false => Ok(None),
        };
    }
    let region = resolve_region(&region_query(options))?;
    let is_bounded = region.as_ref().is_some_and(|region| !region.is_band);
    if !is_bounded && options.like.is_none() {
        return match is_wanted {
            true => Err(Error::Option {
                option: "documents",
                problem: "the extent of the result would be that of the documents; read them at \
                          once, or give a region in x and y, or `like`"
                    .into(),
            }),
            false => Ok(None),
        };
    }
    let variables = resolve_variables(product, options, &HashSet::new())?;
    // Datasets are asked for the grid only where this is not told without them.
    let geobox = match plan_geobox(product, &[], &variables, options) {
        Ok(geobox) => geobox,
        Err(_) if !is_wanted => return Ok(None),
        Err(error) => return Err(error),
    };
    let index: &dyn Index = &***opened;
    let query = without_extra_dimensions(&searched(options), product);
    let query = index_query(&query, resolve_region(&query)?.as_ref())?;
    // Those within an area are counted one by one: no further than needed.
    let some = query.clone().limit(LOOK_UP_FROM);
    if !is_wanted && index.count(&some).await? < LOOK_UP_FROM as u64 {
        return Ok(None);
    }
    let group_by = options.group_by.clone().unwrap_or_default();
    let mut builder = archive::begin(geobox.clone(), &variables, options, loader.stores())?;
    // Millions of them: each is looked at once, while the index goes on, and what is
    // kept of it is little.
    let mut grouping = Grouping::new(&group_by);
    let (mut ids, mut unsure) = (Vec::new(), Vec::new());
    // In the order of time and id, which is that of fusing.
    let mut outlines = index.outlines(&query);
    while let Some(outline) = outlines.try_next().await? {
        let position = ids.len();
        ids.push(outline.id);
        let by_day = matches!(group_by, GroupBy::SolarDay);
        let longitude = by_day.then(|| sure_longitude(&outline)).flatten();
        match grouping.name(position, outline.center_time, longitude, None) {
            Ok(name) => grouping.push(position, outline.center_time, name),
            Err(_) => unsure.push((position, outline.center_time)),
        }
        let cover = match outline.bounds {
            Some(bounds) => Cover::LonLat(bounds),
            None => Cover::Window(PixelWindow::full(geobox.shape())),
        };
        builder.scene(Scene {
            cover,
            sources: Arc::default(),
        });
    }
    drop(outlines);
    if ids.is_empty() {
        // Told with what there is instead.
        return Ok(None);
    }
    ask_documents(index, &ids, &unsure, &mut grouping).await?;
    let groups = grouping.finish();
    archive::add_planes(&mut builder, &groups);
    builder.catalog(Arc::new(IndexCatalog {
        opened: Arc::clone(opened),
        product: Arc::clone(product),
        options: options.clone(),
        output: geobox,
        ids,
        known: Mutex::new(LruCache::new(SCENES_KEPT)),
    }));
    let archive = builder.build()?;
    cube::build(&archive, &[], &groups, &variables, loader, options).map(Some)
}

/// What of the result cannot be told without documents, and what to do about it.
fn obstacle(options: &LoadOptions) -> Option<&'static str> {
    let by_time = matches!(
        options.group_by,
        None | Some(GroupBy::Time | GroupBy::SolarDay | GroupBy::None)
    );
    if options.datasets.is_some() {
        Some("the datasets are given, with their documents; leave `documents` out")
    } else if options.query.predicate.is_some() {
        Some("a predicate looks at documents; read them at once, or search by fields")
    } else if options.with_properties != WithProperties::None {
        Some("properties come from documents; read them at once, or load without properties")
    } else if !by_time {
        Some("what datasets are grouped by is in documents; read them at once, or group by time")
    } else if options.convention != Convention::OpenDataCube {
        Some("odc-stac's habits go by what documents say; read them at once")
    } else {
        None
    }
}

/// Groups datasets of which a box cannot tell the solar day by what their documents say.
async fn ask_documents(
    index: &dyn Index,
    ids: &[Uuid],
    unsure: &[(usize, Timestamp)],
    grouping: &mut Grouping<'_>,
) -> Result<()> {
    for batch in unsure.chunks(BATCH) {
        let wanted: Vec<Uuid> = batch.iter().map(|&(position, _)| ids[position]).collect();
        let datasets = index.datasets(&wanted).await?;
        for (&(position, instant), dataset) in batch.iter().zip(datasets) {
            let longitude = dataset.and_then(|dataset| dataset.mid_longitude());
            let name = grouping.name(position, instant, longitude, None);
            let name = name.map_err(|why| why.of(&ids[position]))?;
            grouping.insert(position, instant, name);
        }
    }
    Ok(())
}

/// The middle of the box, where the solar day is the same a little beside it too;
/// around a pole the box says nothing.
fn sure_longitude(outline: &Outline) -> Option<f64> {
    let bounds = outline.bounds.filter(|bounds| bounds.span_x() < 180.0)?;
    let middle = bounds.center().x;
    let middle = if middle > 180.0 {
        middle - 360.0
    } else {
        middle
    };
    let latitude = bounds.bottom.abs().max(bounds.top.abs()).min(89.5);
    let off = OFF_DEG / latitude.to_radians().cos();
    let day = |longitude| solar_day(outline.center_time, longitude);
    let is_sure = day(middle - off) == day(middle + off) && middle.abs() + off < 180.0;
    is_sure.then_some(middle)
}

/// The datasets of a load, by their places in it.
#[derive(Debug)]
struct IndexCatalog {
    opened: Arc<Opened>,
    product: Arc<Product>,
    options: LoadOptions,
    output: GeoBox,
    ids: Vec<Uuid>,
    known: Mutex<LruCache<u32, Scene>>,
}

impl IndexCatalog {
    fn id(&self, scene: u32) -> Option<Uuid> {
        self.ids.get(usize::try_from(scene).ok()?).copied()
    }

    /// Asks the index.
    async fn read(&self, wanted: &[u32]) -> Result<Vec<(u32, Scene)>> {
        let variables = resolve_variables(&self.product, &self.options, &HashSet::new())?;
        let mut read = Vec::with_capacity(wanted.len());
        for batch in wanted.chunks(BATCH) {
            let ids: Vec<Uuid> = batch.iter().filter_map(|&scene| self.id(scene)).collect();
            let (opened, asked) = (Arc::clone(&self.opened), ids.clone());
            let datasets = self
                .opened
                .spawn(async move { Ok(opened.datasets(&asked).await?) })
                .await?;
            for ((&scene, id), dataset) in batch.iter().zip(ids).zip(datasets) {
                read.push((scene, self.scene(id, dataset, &variables)?));
            }
        }
        Ok(read)
    }

    fn scene(
        &self,
        id: Uuid,
        dataset: Option<Dataset>,
        variables: &[Variable<'_>],
    ) -> Result<Scene> {
        let dataset = dataset.ok_or_else(|| Error::Dataset {
            dataset: id,
            problem: "it was in the index when the load was planned and is not any more; load \
                      anew"
                .into(),
        })?;
        archive::scene(
            &Entry::from(dataset),
            variables,
            &self.options,
            &self.output,
        )
    }
}

#[async_trait]
impl SceneCatalog for IndexCatalog {
    async fn scenes(&self, scenes: &[u32]) -> Result<Vec<Scene>, BoxError> {
        let mut found: HashMap<u32, Scene> = HashMap::with_capacity(scenes.len());
        let mut missing = Vec::new();
        {
            let mut known = self.known.lock();
            for scene in scenes {
                match known.get(scene) {
                    Some(there) => {
                        found.insert(*scene, there.clone());
                    }
                    None => missing.push(*scene),
                }
            }
        }
        let read = self.read(&missing).await?;
        let mut known = self.known.lock();
        for (scene, there) in read {
            known.put(scene, there.clone());
            found.insert(scene, there);
        }
        let in_order = scenes.iter().map(|scene| {
            let there = found.get(scene).cloned();
            there.ok_or_else(|| BoxError::from(format!("there is no scene {scene} in the load")))
        });
        in_order.collect()
    }

    fn identity(&self) -> Vec<u8> {
        let mut digest = Sha256::new();
        digest.update(self.opened.url());
        digest.update(self.product.name());
        digest.update(format!("{:?}", self.options.measurements));
        // A function is the same only as itself.
        let patch = self.options.patch_url_with.as_ref();
        let patch = patch.map_or(0, |patch| Arc::as_ptr(&patch.0).cast::<()>().addr());
        digest.update(patch.to_le_bytes());
        for id in &self.ids {
            digest.update(id.as_bytes());
        }
        digest.finalize().to_vec()
    }
}
