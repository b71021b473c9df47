//! Virtual products: recipes that combine products as they are loaded.
//!
//! A recipe is a tree: products at its leaves, above them transforms of pixels,
//! and products stacked in time (`collate`) or put side by side (`juxtapose`). It
//! is used in three phases, as in Python: [`VirtualProduct::query`] asks the index,
//! [`VirtualProduct::group`] makes time steps and decides the grid, and
//! [`VirtualProduct::fetch`] gives a lazy cube. Only the first needs an index.

mod catalog;
mod combine;
mod options;
mod recipe;
mod transform;

use std::sync::Arc;

use datacube_compute::Cube;
use datacube_geo::GeoBox;
use datacube_model::{Dataset, Product};
use jiff::Timestamp;

pub use catalog::VirtualCatalog;

use crate::group::Group;
use crate::load::{self, Entry};
use crate::load_options::LoadOptions;
use crate::{Datacube, Error, Result};
use combine::Axis;
use options::{check_measurements, merged};
use recipe::Recipe;

/// A recipe for combining products as they are loaded.
///
/// ```
/// use datacube::virtual_product::VirtualProduct;
/// let ndvi = VirtualProduct::from_yaml("
///     transform: expressions
///     output: {ndvi: {formula: (nir - red) / (nir + red), dtype: float32}}
///     input:
///         transform: apply_mask
///         mask_measurement_name: qa
///         preserve_dtype: false
///         input:
///             transform: make_mask
///             mask_measurement_name: qa
///             flags: {cloud: not_high_confidence}
///             input: {product: ls8, measurements: [red, nir, qa]}
/// ")?;
/// assert_eq!(ndvi.products(), ["ls8"]);
/// # Ok::<(), datacube::Error>(())
/// ```
///
/// # Source
/// datacube-core, `datacube/virtual/impl.py`.
#[derive(Debug, Clone)]
pub struct VirtualProduct {
    recipe: Arc<Recipe>,
}

/// The datasets that a recipe needs: what [`VirtualProduct::query`] found.
#[derive(Debug, Clone)]
pub struct VirtualDatasetBag(Bag);

#[derive(Debug, Clone)]
enum Bag {
    Product {
        product: Arc<Product>,
        datasets: Vec<Dataset>,
    },
    Many(Vec<Bag>),
}

impl VirtualDatasetBag {
    /// All datasets, in the order of the recipe's products.
    pub fn datasets(&self) -> Vec<&Dataset> {
        fn gather<'a>(bag: &'a Bag, all: &mut Vec<&'a Dataset>) {
            match bag {
                Bag::Product { datasets, .. } => all.extend(datasets),
                Bag::Many(bags) => bags.iter().for_each(|bag| gather(bag, all)),
            }
        }
        let mut all = Vec::new();
        gather(&self.0, &mut all);
        all
    }
}

/// Datasets in time steps on one grid: what [`VirtualProduct::group`] made.
#[derive(Debug, Clone)]
pub struct VirtualDatasetBox {
    geobox: GeoBox,
    axis: Axis,
}

impl VirtualDatasetBox {
    /// The grid of the result.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// The time steps of the result.
    pub fn times(&self) -> &[Timestamp] {
        self.axis.times()
    }

    /// Sizes along time, y and x.
    pub fn shape(&self) -> [usize; 3] {
        [self.times().len(), self.geobox.rows(), self.geobox.cols()]
    }
}

impl VirtualProduct {
    /// Reads a recipe as YAML.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the part that cannot be understood.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Self::from_document(&recipe::parse_yaml(text)?)
    }

    /// Reads a recipe as a document.
    ///
    /// # Errors
    /// As [`VirtualProduct::from_yaml`].
    pub fn from_document(document: &serde_json::Value) -> Result<Self> {
        Ok(Self {
            recipe: Arc::new(Recipe::parse(document)?),
        })
    }

    /// Names of the products that it needs, in the order of the recipe.
    pub fn products(&self) -> Vec<&str> {
        self.recipe.products()
    }

    /// The datasets that match: search terms of the recipe and of `options`, of
    /// which the latter go first.
    ///
    /// # Errors
    /// As [`Datacube::find_datasets`]; [`Error::Unsupported`] for a recipe that
    /// needs what is not built, before anything is searched.
    pub fn query(&self, dc: &Datacube, options: &LoadOptions) -> Result<VirtualDatasetBag> {
        self.recipe.check_built()?;
        Ok(VirtualDatasetBag(query(&self.recipe, dc, options)?))
    }

    /// The time steps and the grid. No index is asked.
    ///
    /// Products that are stacked or put side by side share one grid: with a region
    /// or `like` that of the options, else one around all of them.
    ///
    /// # Errors
    /// As [`Datacube::load`]; [`Error::Recipe`] where products would lie on
    /// different grids.
    pub fn group(
        &self,
        bag: &VirtualDatasetBag,
        options: &LoadOptions,
    ) -> Result<VirtualDatasetBox> {
        self.recipe.check_built()?;
        let mut geobox = None;
        grid(&self.recipe, &bag.0, options, &mut geobox)?;
        let geobox = geobox.ok_or_else(|| Error::NoData {
            query: self.products().join(", "),
            hint: "none of the products has datasets there".into(),
        })?;
        let axis = group(&self.recipe, &bag.0, &geobox, options)?;
        Ok(VirtualDatasetBox { geobox, axis })
    }

    /// The lazy cube. No index is asked and nothing is read.
    ///
    /// # Errors
    /// As [`Datacube::load`]; [`Error::Recipe`] where a transform does not fit what
    /// it is applied to.
    pub fn fetch(
        &self,
        dc: &Datacube,
        grouped: &VirtualDatasetBox,
        options: &LoadOptions,
    ) -> Result<Cube> {
        fetch(&self.recipe, dc, &grouped.axis, &grouped.geobox, options)
    }

    /// All three phases. Lazy with [`LoadOptions::chunks`], else computed now.
    ///
    /// # Errors
    /// As the three phases.
    pub fn load(&self, dc: &Datacube, options: &LoadOptions) -> Result<Cube> {
        let bag = self.query(dc, options)?;
        let grouped = self.group(&bag, options)?;
        let cube = self.fetch(dc, &grouped, options)?;
        dc.computed(cube, options)
    }
}

fn query(recipe: &Recipe, dc: &Datacube, options: &LoadOptions) -> Result<Bag> {
    Ok(match recipe {
        Recipe::Product { name, options: own } => {
            let options = merged(own, options);
            check_measurements(name, own, &options)?;
            let mut query = options.query;
            query.product = Some(name.clone());
            Bag::Product {
                product: dc.product(name)?,
                datasets: dc.find_datasets(query)?,
            }
        }
        Recipe::Transform { input, .. } | Recipe::Aggregate { input, .. } => {
            query(input, dc, options)?
        }
        Recipe::Collate { children, .. } | Recipe::Juxtapose { children } => {
            let bags = children.iter().map(|child| query(child, dc, options));
            Bag::Many(bags.collect::<Result<_>>()?)
        }
    })
}

/// The leaves of a bag beside those of its recipe.
fn pairs<'a>(children: &'a [Recipe], bag: &'a Bag) -> Result<Vec<(&'a Recipe, &'a Bag)>> {
    match bag {
        Bag::Many(bags) if bags.len() == children.len() => Ok(children.iter().zip(bags).collect()),
        _ => Err(mismatch()),
    }
}

fn mismatch() -> Error {
    Error::Recipe {
        part: "datasets".into(),
        problem: "they were found or grouped by another recipe".into(),
    }
}

/// Widens `common` to the grid of each product.
fn grid(
    recipe: &Recipe,
    bag: &Bag,
    options: &LoadOptions,
    common: &mut Option<GeoBox>,
) -> Result<()> {
    match (recipe, bag) {
        (Recipe::Product { name, options: own }, Bag::Product { product, datasets }) => {
            let options = merged(own, options);
            if datasets.is_empty() && options.like.is_none() {
                return Ok(());
            }
            let entries: Vec<Entry> = datasets.iter().cloned().map(Entry::from).collect();
            let geobox = load::geobox_of(product, &entries, &options)?;
            *common = Some(match common.take() {
                None => geobox,
                Some(common) if common == geobox => common,
                Some(common) => common.union(&geobox).map_err(|_| Error::Recipe {
                    part: format!("product `{name}`"),
                    problem: "its grid does not fit that of the products beside it; give \
                              `output_crs` and `resolution`, or `like`"
                        .into(),
                })?,
            });
            Ok(())
        }
        (Recipe::Transform { input, .. } | Recipe::Aggregate { input, .. }, bag) => {
            grid(input, bag, options, common)
        }
        (Recipe::Collate { children, .. } | Recipe::Juxtapose { children }, bag) => {
            for (child, bag) in pairs(children, bag)? {
                grid(child, bag, options, common)?;
            }
            Ok(())
        }
        _ => Err(mismatch()),
    }
}

fn group(recipe: &Recipe, bag: &Bag, geobox: &GeoBox, options: &LoadOptions) -> Result<Axis> {
    match (recipe, bag) {
        (Recipe::Product { options: own, .. }, Bag::Product { product, datasets }) => {
            let options = merged(own, options);
            let entries: Vec<Entry> = datasets.iter().cloned().map(Entry::from).collect();
            let groups: Vec<Group> = load::plan_groups(&entries, geobox, &options)?;
            Ok(Axis::product(product.clone(), entries, groups))
        }
        (Recipe::Transform { input, .. } | Recipe::Aggregate { input, .. }, bag) => {
            group(input, bag, geobox, options)
        }
        (Recipe::Collate { children, .. }, bag) => {
            let axes = pairs(children, bag)?;
            let axes = axes
                .into_iter()
                .map(|(child, bag)| group(child, bag, geobox, options));
            Ok(Axis::collate(axes.collect::<Result<_>>()?))
        }
        (Recipe::Juxtapose { children }, bag) => {
            let axes = pairs(children, bag)?;
            let axes = axes
                .into_iter()
                .map(|(child, bag)| group(child, bag, geobox, options));
            Axis::juxtapose(axes.collect::<Result<_>>()?)
        }
        _ => Err(mismatch()),
    }
}

fn fetch(
    recipe: &Recipe,
    dc: &Datacube,
    axis: &Axis,
    geobox: &GeoBox,
    options: &LoadOptions,
) -> Result<Cube> {
    match recipe {
        Recipe::Product { name, options: own } => {
            let options = dc.with_settings(merged(own, options));
            check_measurements(name, own, &options)?;
            let (product, entries, groups) = axis.as_product().ok_or_else(mismatch)?;
            load::plan_grouped(product, entries, groups, geobox, dc.loader(), &options)
        }
        Recipe::Transform { transform, input } => {
            transform.apply(&fetch(input, dc, axis, geobox, options)?)
        }
        Recipe::Aggregate { .. } => {
            recipe.check_built()?;
            Err(mismatch())
        }
        Recipe::Collate {
            children,
            index_name,
        } => {
            let (sources, axes) = axis.as_collate().ok_or_else(mismatch)?;
            let mut cubes = Vec::with_capacity(children.len());
            for (child, axis) in children.iter().zip(axes) {
                cubes.push(fetch(child, dc, axis, geobox, options)?);
            }
            combine::collate(&cubes, sources, axis.times(), index_name.as_deref())
        }
        Recipe::Juxtapose { children } => {
            let axes = axis.as_juxtapose().ok_or_else(mismatch)?;
            let mut cubes = Vec::with_capacity(children.len());
            for (child, axis) in children.iter().zip(axes) {
                cubes.push(fetch(child, dc, axis, geobox, options)?);
            }
            combine::juxtapose(&cubes)
        }
    }
}
