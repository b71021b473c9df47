//! STAC items, loaded without an index.
//!
//! [`StacItems`] are items that were understood: one product that has the bands of
//! all of them, and a dataset for each. From there on they go the way that datasets
//! of an index go, with the same options. They come as values, from files, from
//! catalogues and from the search of an API.

mod product;

use std::collections::HashSet;
use std::sync::Arc;

use datacube_compute::Cube;
use datacube_geo::GeoBox;
use datacube_index::{AddOptions, AddOutcome, Index, InitOptions, MemoryIndex};
use datacube_load::Loader;
use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{Dataset, DocumentErrors, LocatedDocument, Location, Looks, Product};
use serde_json::Value;

use crate::load::{self, Entry};
use crate::load_options::{Convention, LoadOptions};
use crate::places::{self, SourceOptions};
use crate::{Datacube, Error, Result, runtime};
use product::ProductBuilder;

/// A cube of STAC items, item collections or lists of them, given as JSON values.
///
/// ```no_run
/// use datacube::{LoadOptions, stac};
/// let items: serde_json::Value = serde_json::from_str(&std::fs::read_to_string("items.json")?)?;
/// let options = LoadOptions::default()
///     .measurements(["red", "nir"])
///     .bbox(15.0, 45.0, 15.2, 45.1)
///     .group_by("solar_day")
///     .lazy();
/// let cube = stac::load([items], options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`StacItems::parse`] and [`Datacube::load_items`].
///
/// # Source
/// odc-stac, `_stac_load.py` (`load`).
pub fn load(items: impl IntoIterator<Item = Value>, options: LoadOptions) -> Result<Cube> {
    StacItems::parse(items)?.load(options)
}

/// STAC items that can be loaded together.
#[derive(Debug, Clone)]
pub struct StacItems {
    product: Arc<Product>,
    entries: Vec<Entry>,
    /// What the measurements are called where all are loaded.
    names: Vec<String>,
    /// Measurements whose nodata in `product` stands in for none.
    unsaid: HashSet<String>,
}

impl StacItems {
    /// Reads items, item collections, and lists of them.
    ///
    /// Assets with a relative address start where the item says that it is.
    ///
    /// # Errors
    /// [`Error::Model`] with everything that is wrong with an item; [`Error::Option`]
    /// when there is no item, or something else among them.
    pub fn parse(items: impl IntoIterator<Item = Value>) -> Result<Self> {
        Self::parse_with(items, &StacConfig::default())
    }

    /// As [`StacItems::parse`], with what items leave out: the `stac_cfg` of odc-stac.
    ///
    /// # Errors
    /// As [`StacItems::parse`].
    pub fn parse_with(items: impl IntoIterator<Item = Value>, config: &StacConfig) -> Result<Self> {
        let mut located = Vec::new();
        for document in items {
            match document {
                Value::Array(items) => {
                    located.extend(items.into_iter().map(|item| LocatedDocument::new("", item)));
                }
                document => located.push(LocatedDocument::new("", document)),
            }
        }
        Self::from_located(located, config)
    }

    /// Fetches the items at addresses: files, folders, objects, catalogues, which
    /// are followed, and APIs, which are searched page by page. Tables of items
    /// (GeoParquet) need the feature `stac-geoparquet`.
    ///
    /// # Errors
    /// The first place that cannot be read; as [`StacItems::parse`].
    pub fn open<P: Into<String>>(
        places: impl IntoIterator<Item = P>,
        options: &SourceOptions,
        config: &StacConfig,
    ) -> Result<Self> {
        let places: Vec<String> = places.into_iter().map(Into::into).collect();
        let (options, config) = (options.clone(), config.clone());
        runtime::block_on(async move {
            let documents = places::fetch_documents(places, &options).await?;
            let located: Result<Vec<LocatedDocument>> =
                documents.into_iter().map(|(_, found)| found).collect();
            let mut located = located?;
            // Beside items there are catalogues and thumbnails' descriptions.
            located.retain(|located| Looks::of(&located.document) == Some(Looks::StacItem));
            Self::from_located(located, &config)
        })
    }

    fn from_located(documents: Vec<LocatedDocument>, config: &StacConfig) -> Result<Self> {
        let mut items: Vec<(Arc<StacItem>, String)> = Vec::new();
        for located in documents.into_iter().flat_map(places::items_of) {
            if Looks::of(&located.document) != Some(Looks::StacItem) {
                return Err(Error::Option {
                    option: "items",
                    problem: format!(
                        "{} is no STAC item: it has type {}",
                        if located.uri.is_empty() {
                            "one"
                        } else {
                            &located.uri
                        },
                        located.document["type"]
                    ),
                });
            }
            let item = StacItem::from_document(located.document).map_err(model)?;
            let uri = match item.own_href() {
                Some(href) if !located.uri.contains("://") => href.to_owned(),
                _ => located.uri,
            };
            items.push((Arc::new(item), uri));
        }
        if items.is_empty() {
            return Err(Error::Option {
                option: "items",
                problem: "there is none".into(),
            });
        }
        let mut builder = ProductBuilder::default();
        for (item, _) in &items {
            builder.add(item, config)?;
        }
        let built = builder.build()?;
        let product = Arc::new(built.product);
        let mut entries = Vec::with_capacity(items.len());
        for (item, uri) in items {
            let dataset = dataset(&item, &product, &uri, config)?;
            entries.push(Entry {
                dataset,
                item: Some(item),
            });
        }
        Ok(StacItems {
            product,
            entries,
            names: built.names,
            unsaid: built.unsaid,
        })
    }

    /// A product with the bands of all items, named after the first collection.
    pub fn product(&self) -> &Arc<Product> {
        &self.product
    }

    /// The datasets that the items are, in their order.
    pub fn datasets(&self) -> impl ExactSizeIterator<Item = &Dataset> {
        self.entries.iter().map(|entry| &entry.dataset)
    }

    /// How many items there are; at least one.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The grid that a load has.
    ///
    /// # Errors
    /// As [`Datacube::load_items`].
    ///
    /// # Source
    /// odc-stac, `_mdtools.py` (`output_geobox`).
    pub fn geobox(&self, options: LoadOptions) -> Result<GeoBox> {
        self.check_bands()?;
        let options = options.convention(Convention::OdcStac);
        let entries = self.wanted(&options)?;
        load::geobox_of(&self.product, &entries, &options)
    }

    /// A cube of the items, see [`Datacube::load_items`].
    ///
    /// # Errors
    /// As [`Datacube::load_items`].
    pub fn load(&self, options: LoadOptions) -> Result<Cube> {
        Datacube::with_index(Arc::new(MemoryIndex::new())).load_items(self, options)
    }

    /// The lazy cube.
    pub(crate) fn plan(&self, loader: &Arc<Loader>, options: &LoadOptions) -> Result<Cube> {
        self.check_bands()?;
        let mut options = options.clone().convention(Convention::OdcStac);
        if options.measurements.is_none() && !self.names.is_empty() {
            options.measurements = Some(self.names.clone());
        }
        let entries = self.wanted(&options)?;
        load::plan_entries(&self.product, &entries, &self.unsaid, loader, &options)
    }

    /// # Errors
    /// [`Error::Option`] that tells what the assets are, where none is a raster.
    fn check_bands(&self) -> Result<()> {
        if !self.product.measurements().is_empty() {
            return Ok(());
        }
        let mut assets: Vec<String> = Vec::new();
        for item in self.entries.iter().filter_map(|entry| entry.item.as_ref()) {
            for (name, asset) in item.document()["assets"].as_object().into_iter().flatten() {
                let kind = asset["type"].as_str().unwrap_or("of no stated type");
                let text = format!("`{name}` ({kind})");
                if !assets.contains(&text) {
                    assets.push(text);
                }
            }
        }
        let n = assets.len();
        assets.truncate(5);
        let more = if n > 5 { ", ..." } else { "" };
        Err(Error::Option {
            option: "items",
            problem: if n == 0 {
                "they have no assets, so there are no pixels to load".into()
            } else {
                format!(
                    "none of their assets is a raster by its type or name: {}{more}; one that is \
                     can be named under `assets` of the STAC configuration",
                    assets.join(", ")
                )
            },
        })
    }

    /// The items that pass `time`, `predicate` and `limit`.
    fn wanted(&self, options: &LoadOptions) -> Result<Vec<Entry>> {
        let query = &options.query;
        if options.datasets.is_some() {
            return Err(Error::Option {
                option: "datasets",
                problem: "items are loaded, not datasets; leave it out".into(),
            });
        }
        let extra = self.product.extra_dimensions();
        if let Some(field) = query.fields.keys().find(|name| !extra.contains_key(*name)) {
            return Err(Error::Option {
                option: "fields",
                problem: format!(
                    "items have no search field `{field}`; ask the API for fewer items, or use \
                     `predicate`"
                ),
            });
        }
        let range = query
            .time
            .as_ref()
            .map(|time| time.resolve())
            .transpose()?
            .flatten();
        let passes = |entry: &&Entry| {
            let instant = entry.instant(options.convention);
            range.as_ref().is_none_or(|range| {
                range.begin().is_none_or(|begin| begin <= instant)
                    && range.end().is_none_or(|end| instant <= end)
            }) && query
                .predicate
                .as_ref()
                .is_none_or(|predicate| predicate(&entry.dataset))
        };
        let limit = query.limit.unwrap_or(usize::MAX);
        let wanted: Vec<Entry> = self
            .entries
            .iter()
            .filter(passes)
            .take(limit)
            .cloned()
            .collect();
        if wanted.is_empty() {
            return Err(Error::NoData {
                query: format!("{} items of `{}`", self.len(), self.product.name()),
                hint: "`time`, `predicate` and `limit` leave none of them".into(),
            });
        }
        Ok(wanted)
    }
}

impl Datacube {
    /// A cube over an index in memory that holds these items.
    ///
    /// They are found by search then, and loaded as datasets are: by the habits of
    /// `datacube.load`, unless options say otherwise.
    ///
    /// # Errors
    /// [`Error::Index`] for two items that are one dataset.
    pub fn from_items(items: &StacItems) -> Result<Self> {
        let index = Arc::new(MemoryIndex::new());
        let cube = Datacube::with_index(index.clone());
        let product = items.product.clone();
        let datasets: Vec<Dataset> = items.datasets().cloned().collect();
        runtime::block_on(async move {
            index.init(&InitOptions::default()).await?;
            index.add_product(&product).await?;
            for outcome in index.add_datasets(datasets, &AddOptions::default()).await? {
                if let AddOutcome::Failed(error) = outcome {
                    return Err(error.into());
                }
            }
            Ok(())
        })?;
        Ok(cube)
    }
}

/// The dataset of an item. A band that it lacks is missing there, no more.
fn dataset(
    item: &StacItem,
    product: &Arc<Product>,
    uri: &str,
    config: &StacConfig,
) -> Result<Dataset> {
    let converted = item
        .dataset_document(Some(product), config)
        .map_err(model)?;
    let mut document = converted.document;
    places::on_server(&mut document, uri);
    let location = uri.contains("://").then(|| Location::new(uri));
    Dataset::from_indexed(document, product.clone(), location).map_err(model)
}

fn model(errors: DocumentErrors) -> Error {
    Error::Model(errors.into())
}
