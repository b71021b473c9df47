//! `Datacube`: open an index, find datasets, load them.
//!
//! Every call comes twice: blocking under its plain name, and `async`. The
//! blocking ones may be called anywhere, also inside an async runtime; they run
//! on the process's own and only wait for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use datacube_compute::{
    CancelToken, Compute, Cube, Engine, Event, Observer, RunReport, default_engine,
};
use datacube_geo::GeoBox;
use datacube_index::{ArchiveReport, Index, IndexExt, IndexInfo, InitOptions, InitOutcome, Query};
use datacube_load::{Loader, LoaderOptions, S3Access, StoreRegistry, StoreStats};
use datacube_model::{Dataset, Product};
use futures::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use crate::admin::{self, DefinitionOptions, MatchOptions};
use crate::config::{self, ConfigOptions, Origin, Resolved};
use crate::documents::DocumentOutcome;
use crate::load_options::{DatasetQuery, LoadOptions, ProgressHook};
use crate::opened::Opened;
use crate::stac::StacItems;
use crate::stores::stores;
use crate::{Error, Result, load, runtime};

/// An index, and everything needed to load from it. Cheap to clone.
///
/// ```no_run
/// use datacube::prelude::*;
///
/// let dc = Datacube::open()?;
/// for product in dc.products()? {
///     println!("{}", product.name());
/// }
/// # Ok::<(), datacube::Error>(())
/// ```
#[derive(Clone)]
pub struct Datacube {
    index: Arc<Opened>,
    resolved: Resolved,
    loader: Arc<Loader>,
    engine: Option<Arc<dyn Engine>>,
}

impl Datacube {
    /// The index that ODC's configuration names, else the embedded file in the
    /// user's data folder, which is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration that cannot be used,
    /// [`Error::Index`] when the index cannot be opened.
    pub fn open() -> Result<Self> {
        Self::open_with(ConfigOptions::default())
    }

    /// The index at `url`: `sqlite:PATH` or `memory:`.
    ///
    /// # Errors
    /// As [`Datacube::open`].
    pub fn open_url(url: impl Into<String>) -> Result<Self> {
        Self::open_with(ConfigOptions {
            index: Some(url.into()),
            ..ConfigOptions::default()
        })
    }

    /// The index that `options` lead to.
    ///
    /// # Errors
    /// As [`Datacube::open`].
    pub fn open_with(options: ConfigOptions) -> Result<Self> {
        runtime::block_on(Self::connect(options))
    }

    /// [`Datacube::open_with`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::open`].
    pub async fn open_async(options: ConfigOptions) -> Result<Self> {
        runtime::spawn(Self::connect(options)).await
    }

    async fn connect(options: ConfigOptions) -> Result<Self> {
        let resolved = config::resolve(&options)?;
        // What nobody named is made when it is not there; a name that was given
        // may be mistyped.
        let index = match resolved.origin {
            Origin::Default => datacube_index::open_or_init(&resolved.index_url).await?,
            _ => datacube_index::open(&resolved.index_url).await?,
        };
        let loader = new_loader(stores().clone());
        Ok(Self {
            index: Arc::new(Opened::by_us(index)),
            resolved,
            loader,
            engine: None,
        })
    }

    /// Creates the index that `options` lead to, or brings it up to date, and opens it.
    ///
    /// # Errors
    /// As [`Datacube::open`], and when the index cannot be written.
    pub fn create(options: ConfigOptions) -> Result<(Self, InitOutcome)> {
        Self::create_with(options, &InitOptions::default())
    }

    /// [`Datacube::create`], with a say in what is created.
    ///
    /// # Errors
    /// As [`Datacube::create`].
    pub fn create_with(options: ConfigOptions, init: &InitOptions) -> Result<(Self, InitOutcome)> {
        let init = init.clone();
        runtime::block_on(async move {
            let resolved = config::resolve(&options)?;
            let index = datacube_index::open(&resolved.index_url).await?;
            let outcome = index.init(&init).await?;
            let loader = new_loader(stores().clone());
            Ok((
                Self {
                    index: Arc::new(Opened::by_us(index)),
                    resolved,
                    loader,
                    engine: None,
                },
                outcome,
            ))
        })
    }

    /// A cube over an index that is open already.
    pub fn with_index(index: Arc<dyn Index>) -> Self {
        let resolved = Resolved {
            index_url: index.url().to_owned(),
            origin: Origin::Argument,
            environment: None,
            settings: config::Settings::default(),
        };
        let loader = new_loader(stores().clone());
        Self {
            index: Arc::new(Opened::by_others(index)),
            resolved,
            loader,
            engine: None,
        }
    }

    /// Eager loads run on `engine`; default: a cluster of all cores.
    #[must_use]
    pub fn with_engine(mut self, engine: Arc<dyn Engine>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Reads through these stores instead of the process's own.
    #[must_use]
    pub fn with_stores(mut self, stores: StoreRegistry) -> Self {
        self.loader = new_loader(stores);
        self
    }

    /// Reads with these options: the stores (instead of the process's own), and
    /// how much memory headers and blocks may take. Caches begin empty.
    #[must_use]
    pub fn with_loader(mut self, options: LoaderOptions) -> Self {
        self.loader = Arc::new(Loader::new(options));
        self
    }

    /// The stores that documents and pixels are read from.
    pub fn stores(&self) -> &StoreRegistry {
        self.loader.stores()
    }

    /// Sets how S3 is reached from now on by this cube and all that share its
    /// stores: without [`Datacube::with_stores`] every cube of the process.
    ///
    /// # Errors
    /// As [`crate::configure_s3_access`].
    pub fn configure_s3_access(&self, access: S3Access) -> Result<()> {
        let options = self.stores().options().with_s3(access);
        Ok(self.stores().configure(options)?)
    }

    /// What was asked of the stores until now: requests, bytes and retries by host.
    pub fn store_stats(&self) -> StoreStats {
        self.loader.store_stats()
    }

    /// The index.
    pub fn index(&self) -> &Arc<dyn Index> {
        self.index.index()
    }

    /// The index, and how to work with it.
    pub(crate) fn opened(&self) -> &Opened {
        &self.index
    }

    /// Lets go of the files that the index holds open, see [`Index::close`].
    ///
    /// The last of the clones of a cube that opened its index does so when it is
    /// dropped; this tells, besides, whether it went well.
    ///
    /// # Errors
    /// [`Error::Index`] when what was written cannot be brought into the file.
    pub fn close(&self) -> Result<()> {
        let cube = self.clone();
        self.index
            .block_on(async move { Ok(cube.index.close().await?) })
    }

    /// Where the index was found, and the settings that came with it.
    pub fn configuration(&self) -> &Resolved {
        &self.resolved
    }

    /// What reads files; plans that came as bytes need it, see [`crate::source_codec`].
    pub fn loader(&self) -> &Arc<Loader> {
        &self.loader
    }

    /// All products, by name.
    ///
    /// # Errors
    /// [`Error::Index`] when the index cannot be read.
    pub fn products(&self) -> Result<Vec<Arc<Product>>> {
        let cube = self.clone();
        self.index
            .block_on(async move { Ok(cube.index.products().await?) })
    }

    /// Adds the product definitions of a YAML or JSON file.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with a definition is in its outcome.
    pub fn add_products(&self, path: impl AsRef<Path>) -> Result<Vec<DocumentOutcome>> {
        self.add_products_with(path.as_ref(), &DefinitionOptions::default())
    }

    /// Adds the dataset documents at `paths`: files, or folders that hold some.
    ///
    /// # Errors
    /// When a path is not there or the index cannot be written. What is wrong
    /// with a document is in its outcome, and does not stop the others.
    pub fn add_datasets<P: Into<PathBuf>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        options: &MatchOptions,
    ) -> Result<Vec<DocumentOutcome>> {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let kept = outcomes.clone();
        self.add_datasets_with(paths, options, move |outcome| {
            kept.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(outcome);
        })?;
        let mut outcomes = outcomes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(std::mem::take(&mut *outcomes))
    }

    /// As [`Datacube::add_datasets`]; `report` hears of each document as its fate is known.
    ///
    /// # Errors
    /// As [`Datacube::add_datasets`].
    pub fn add_datasets_with(
        &self,
        paths: Vec<PathBuf>,
        options: &MatchOptions,
        mut report: impl FnMut(DocumentOutcome) + Send + 'static,
    ) -> Result<()> {
        let (cube, mut options) = (self.clone(), options.clone());
        options
            .sources
            .stores
            .get_or_insert_with(|| cube.stores().clone());
        self.index.block_on(async move {
            admin::add_datasets(&**cube.index, &paths, &options, &mut report).await
        })
    }

    /// What the index says of itself.
    ///
    /// # Errors
    /// [`Error::Index`] when it cannot be read.
    pub fn check(&self) -> Result<IndexInfo> {
        let cube = self.clone();
        self.index
            .block_on(async move { Ok(cube.index.check().await?) })
    }

    /// The product of that name.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown name, with the near ones.
    pub fn product(&self, name: &str) -> Result<Arc<Product>> {
        let (cube, name) = (self.clone(), name.to_owned());
        self.index
            .block_on(async move { Ok(cube.index.product(&name).await?) })
    }

    /// The datasets of these ids, in their order; `None` for an unknown one.
    ///
    /// # Errors
    /// [`Error::Index`] when the index cannot be read.
    pub fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        let (cube, ids) = (self.clone(), ids.to_vec());
        self.index
            .block_on(async move { Ok(cube.index.datasets(&ids).await?) })
    }

    /// Search terms as text, such as `product = ls8 time in [2020-01, 2020-03]`.
    ///
    /// # Errors
    /// [`Error::Index`] that points at what cannot be understood.
    pub fn parse_query(&self, text: &str) -> Result<Query> {
        let (cube, text) = (self.clone(), text.to_owned());
        self.index
            .block_on(async move { Ok(cube.index.parse_query(&text).await?) })
    }

    /// Calls `each` for every dataset that matches, in the order (centre time, id).
    ///
    /// Datasets are streamed: memory does not grow with their number.
    ///
    /// # Errors
    /// What `each` returns, and [`Error::Index`] as an `E`.
    pub fn search_each<E: From<Error>>(
        &self,
        query: Query,
        mut each: impl FnMut(Dataset) -> Result<(), E>,
    ) -> Result<(), E> {
        let cube = self.clone();
        let (sender, receiver) = std::sync::mpsc::sync_channel(64);
        let searching = self.index.start(async move {
            let mut stream = cube.index.search(&query);
            while let Some(dataset) = stream.next().await {
                // The receiver is gone when `each` failed: nobody wants the rest.
                if tokio::task::block_in_place(|| sender.send(dataset)).is_err() {
                    break;
                }
            }
        })?;
        let done = receiver
            .into_iter()
            .try_for_each(|dataset| each(dataset.map_err(Error::from)?));
        searching.wait();
        done
    }

    /// How many datasets match.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    pub fn count(&self, query: &Query) -> Result<u64> {
        let (cube, query) = (self.clone(), query.clone());
        self.index
            .block_on(async move { Ok(cube.index.count(&query).await?) })
    }

    /// Archives datasets: they stay, but no search finds them.
    ///
    /// # Errors
    /// [`Error::Index`] when the index cannot be written.
    pub fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport> {
        let (cube, ids) = (self.clone(), ids.to_vec());
        self.index
            .block_on(async move { Ok(cube.index.archive(&ids, when).await?) })
    }

    /// Restores archived datasets.
    ///
    /// # Errors
    /// [`Error::Index`] when the index cannot be written.
    pub fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport> {
        let (cube, ids) = (self.clone(), ids.to_vec());
        self.index
            .block_on(async move { Ok(cube.index.restore(&ids).await?) })
    }

    /// Datasets that match, in the order (centre time, id); none is no error.
    ///
    /// # Errors
    /// For an unknown product or field, and for terms that contradict each other.
    pub fn find_datasets(&self, query: DatasetQuery) -> Result<Vec<Dataset>> {
        let cube = self.clone();
        self.index
            .block_on(async move { load::find_datasets(&**cube.index, &query).await })
    }

    /// [`Datacube::find_datasets`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::find_datasets`].
    pub async fn find_datasets_async(&self, query: DatasetQuery) -> Result<Vec<Dataset>> {
        let cube = self.clone();
        self.index
            .spawn(async move { load::find_datasets(&**cube.index, &query).await })
            .await
    }

    /// The grid of a raster file, to load others onto it with [`LoadOptions::like`].
    ///
    /// `uri` is a path or a URI.
    ///
    /// # Errors
    /// [`Error::Load`] when it cannot be read, [`Error::Option`] when it has no
    /// affine or no CRS.
    pub fn geobox_of(&self, uri: impl Into<String>) -> Result<GeoBox> {
        let (cube, uri) = (self.clone(), uri.into());
        self.index.block_on(async move {
            let reader = cube.loader.open(&uri).await?;
            let info = reader.info();
            let refuse = |what: &str| Error::Option {
                option: "like",
                problem: format!("{uri} has no {what}, so nothing can be placed on its grid"),
            };
            let affine = info.affine.ok_or_else(|| refuse("affine"))?;
            let crs = info.crs.clone().ok_or_else(|| refuse("CRS"))?;
            Ok(GeoBox::new(info.shape, affine, Some(crs))?)
        })
    }

    /// A cube of the measurements asked for: `[time, y, x]` on one grid.
    ///
    /// With [`LoadOptions::chunks`] it is lazy and nothing is read yet; without,
    /// it is read into memory now. Pixels that no dataset gives have the
    /// measurement's nodata. Where datasets of one time step overlap, the first
    /// valid pixel in the order (centre time, id) is kept.
    ///
    /// # Errors
    /// For every name or number that cannot be used, each with what could be;
    /// [`Error::NoData`] when nothing matches; [`Error::Compute`] before
    /// anything is read when an eager result would not fit into memory; when a file cannot
    /// be read, unless [`LoadOptions::skip_broken_datasets`] is set.
    ///
    /// # Source
    /// datacube-core, `Datacube.load`.
    pub fn load(&self, options: LoadOptions) -> Result<Cube> {
        Ok(self.load_with_report(options)?.0)
    }

    /// [`Datacube::load`], and what reading took: among other things the sources
    /// that were left out. Of a lazy cube, of which nothing is read yet, the report
    /// is empty; [`Compute`] gives that of its computing.
    ///
    /// # Errors
    /// As [`Datacube::load`].
    pub fn load_with_report(&self, options: LoadOptions) -> Result<(Cube, RunReport)> {
        let cube = self.clone();
        let then = Then::of(&options)?;
        let planned = self.index.block_on(cube.plan(options))?;
        self.finish(planned, &then)
    }

    /// [`Datacube::load`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::load`].
    pub async fn load_async(&self, options: LoadOptions) -> Result<Cube> {
        let cube = self.clone();
        self.index
            .spawn(async move {
                let then = Then::of(&options)?;
                let planned = cube.clone().plan(options).await?;
                let finishing = move || cube.finish(planned, &then);
                let (cube, _) =
                    tokio::task::spawn_blocking(finishing)
                        .await
                        .map_err(|error| Error::Runtime {
                            reason: error.to_string(),
                        })??;
                Ok(cube)
            })
            .await
    }

    /// A cube of STAC items, as [`Datacube::load`] gives it of datasets; no index
    /// is asked.
    ///
    /// What items do not say is decided as odc-stac decides it, see
    /// [`Convention::OdcStac`](crate::Convention::OdcStac). A region bounds the
    /// result; items are left out by `time`, `predicate` and `limit` only.
    ///
    /// # Errors
    /// As [`Datacube::load`]; [`Error::Option`] for tests on search fields, which
    /// items do not have.
    ///
    /// # Source
    /// odc-stac, `_stac_load.py` (`load`).
    pub fn load_items(&self, items: &StacItems, options: LoadOptions) -> Result<Cube> {
        let then = Then::of(&options)?;
        let planned = items.plan(&self.loader, &self.with_settings(options))?;
        Ok(self.finish(planned, &then)?.0)
    }

    /// A planned cube, computed unless `options` want it lazy.
    pub(crate) fn computed(&self, planned: Cube, options: &LoadOptions) -> Result<Cube> {
        let then = Then::of(options)?;
        Ok(self.finish(planned, &then)?.0)
    }

    /// What the configuration says of loads, where `options` do not.
    pub(crate) fn with_settings(&self, mut options: LoadOptions) -> LoadOptions {
        let settings = &self.resolved.settings;
        if options.query.limit.is_none() {
            options.query.limit = settings.dc_load_limit;
        }
        let skip = options
            .skip_broken_datasets
            .unwrap_or(settings.skip_broken_datasets);
        options.skip_broken_datasets = Some(skip);
        options
    }

    /// The lazy cube.
    async fn plan(self, options: LoadOptions) -> Result<Cube> {
        let options = self.with_settings(options);
        load::plan_load(&self.index, &self.loader, &options).await
    }

    /// The cube as the caller wants it.
    fn finish(&self, planned: Cube, then: &Then) -> Result<(Cube, RunReport)> {
        if then.is_lazy {
            return Ok((planned, RunReport::default()));
        }
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => default_engine()?,
        };
        let observer: &dyn Observer = match &then.progress {
            Some(progress) => progress,
            None => &(),
        };
        let mut compute = Compute::new().engine(&*engine).observer(observer);
        if let Some(progress) = &then.progress {
            compute = compute.cancel(progress.cancel.clone());
        }
        let (cube, report) = compute.cube(&planned)?;
        if report.skipped.is_empty() {
            return Ok((cube, report));
        }
        let mut skipped = report.skipped.clone();
        skipped.sort_unstable();
        skipped.dedup();
        let attrs = cube.attrs().clone().with(SKIPPED_ATTR, skipped);
        Ok((cube.with_attrs(attrs), report))
    }
}

/// Attribute of a cube that was loaded at once: the sources that were left out.
pub const SKIPPED_ATTR: &str = "skipped_sources";

/// What becomes of a cube once it is planned.
struct Then {
    is_lazy: bool,
    progress: Option<ProgressObserver>,
}

impl Then {
    fn of(options: &LoadOptions) -> Result<Self> {
        let is_lazy = options.chunks.is_some();
        if is_lazy && options.progress.is_some() {
            return Err(Error::Option {
                option: "progress",
                problem: "a lazy load reads nothing yet; give `Compute::observer` a \
                          `ProgressBar` when it is computed"
                    .into(),
            });
        }
        let hears = options.progress.clone();
        Ok(Then {
            is_lazy,
            progress: hears.map(|hears| ProgressObserver {
                hears,
                cancel: CancelToken::new(),
                done: AtomicUsize::new(0),
                total: AtomicUsize::new(0),
            }),
        })
    }
}

/// Counts tasks for a caller's function.
struct ProgressObserver {
    hears: ProgressHook,
    /// Used where the function says that it is enough.
    cancel: CancelToken,
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Observer for ProgressObserver {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::JobStarted { tasks, .. } => self.total.store(*tasks, Ordering::Relaxed),
            Event::TaskDone { .. } => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                if (self.hears.0)(done, self.total.load(Ordering::Relaxed)).is_break() {
                    self.cancel.cancel();
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Datacube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datacube")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Datacube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datacube({})", self.index.url())
    }
}

fn new_loader(stores: StoreRegistry) -> Arc<Loader> {
    Arc::new(Loader::new(LoaderOptions::default().stores(stores)))
}
