//! Virtual products: recipes that combine products as they are loaded.
//!
//! A recipe is a tree: products at its leaves, above them transforms of pixels,
//! and products stacked in time (`collate`) or put side by side (`juxtapose`). It
//! is used in three phases, as in Python: [`VirtualProduct::query`] asks the index,
//! [`VirtualProduct::group`] makes time steps and decides the grid, and
//! [`VirtualProduct::fetch`] gives a lazy cube. Only the first needs an index.

mod aggregate;
mod catalog;
mod combine;
mod options;
mod recipe;
mod transform;

use std::sync::Arc;

use datacube_compute::{Chunks, Cube};
use datacube_geo::GeoBox;
use datacube_model::{Dataset, Product};
use jiff::Timestamp;

pub use catalog::VirtualCatalog;

use crate::group::Group;
use crate::load::{self, Entry};
use crate::load_options::LoadOptions;
use crate::reproject::{ReprojectOptions, cube_onto, resampling_of};
use crate::{Datacube, Error, Result};
use combine::Axis;
use options::{check_measurements, merged, without_grid, without_region};
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
    /// As [`Datacube::find_datasets`].
    pub fn query(&self, dc: &Datacube, options: &LoadOptions) -> Result<VirtualDatasetBag> {
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
        let mut geobox = None;
        grid(&self.recipe, &bag.0, options, &mut geobox)?;
        let geobox = geobox.ok_or_else(|| Error::NoData {
            query: self.products().join(", "),
            hint: "none of the products has datasets there".into(),
        })?;
        let axis = group(&self.recipe, &bag.0, &geobox, options, false)?;
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
        Recipe::Transform { input, .. }
        | Recipe::Aggregate { input, .. }
        | Recipe::Reproject { input, .. } => query(input, dc, options)?,
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
            widen(common, geobox, &format!("product `{name}`"))
        }
        (Recipe::Transform { input, .. } | Recipe::Aggregate { input, .. }, bag) => {
            grid(input, bag, options, common)
        }
        (
            Recipe::Reproject {
                options: own,
                input,
            },
            bag,
        ) => {
            let searched = input.first_options().map(without_grid).unwrap_or_default();
            let options = merged(own, &merged(&searched, options));
            let bag = VirtualDatasetBag(bag.clone());
            let entries: Vec<Entry> = bag
                .datasets()
                .into_iter()
                .cloned()
                .map(Entry::from)
                .collect();
            if entries.is_empty() && options.like.is_none() {
                return Ok(());
            }
            let geobox = load::grid_around(&entries.iter().collect::<Vec<_>>(), &options)?;
            widen(common, geobox, "reproject")
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

/// Widens `common` to `geobox`, which `part` of the recipe has.
fn widen(common: &mut Option<GeoBox>, geobox: GeoBox, part: &str) -> Result<()> {
    *common = Some(match common.take() {
        None => geobox,
        Some(common) if common == geobox => common,
        Some(common) => common.union(&geobox).map_err(|_| Error::Recipe {
            part: part.to_owned(),
            problem: "its grid does not fit that of the products beside it; give `output_crs` \
                      and `resolution`, or `like`"
                .into(),
        })?,
    });
    Ok(())
}

/// The time steps; with the grids of datasets where something is computed on them.
fn group(
    recipe: &Recipe,
    bag: &Bag,
    geobox: &GeoBox,
    options: &LoadOptions,
    natively: bool,
) -> Result<Axis> {
    let group = |recipe: &Recipe, bag: &Bag| group(recipe, bag, geobox, options, natively);
    match (recipe, bag) {
        (Recipe::Product { options: own, .. }, Bag::Product { product, datasets }) => {
            let options = merged(own, options);
            let entries: Vec<Entry> = datasets.iter().cloned().map(Entry::from).collect();
            let groups: Vec<Group> = load::plan_groups(&entries, geobox, &options)?;
            let grids = match natively {
                true => compute_grids(product, &entries, own, &options)?,
                false => Vec::new(),
            };
            Ok(Axis::product(product.clone(), entries, groups, grids))
        }
        (Recipe::Transform { input, .. }, bag) => group(input, bag),
        (Recipe::Aggregate { input, aggregate }, bag) => {
            let input = group(input, bag)?;
            let starts = aggregate.period.starts(input.times())?;
            Ok(Axis::aggregate(input, &starts))
        }
        (Recipe::Reproject { input, .. }, bag) => {
            Axis::reproject(&self::group(input, bag, geobox, options, true)?)
        }
        (Recipe::Collate { children, .. }, bag) => {
            let axes = pairs(children, bag)?.into_iter();
            let axes = axes.map(|(child, bag)| group(child, bag));
            Ok(Axis::collate(axes.collect::<Result<_>>()?))
        }
        (Recipe::Juxtapose { children }, bag) => {
            let axes = pairs(children, bag)?.into_iter();
            let axes = axes.map(|(child, bag)| group(child, bag));
            Axis::juxtapose(axes.collect::<Result<_>>()?)
        }
        _ => Err(mismatch()),
    }
}

/// The grid on which pixels of each dataset are computed before they are
/// reprojected: the one that the product's part of the recipe names, else its own.
///
/// # Source
/// datacube-core, `virtual/impl.py` (`Product.fetch`, loading natively).
/// DIFFERENCE: there a grid that the recipe names is passed over.
fn compute_grids(
    product: &Product,
    entries: &[Entry],
    own: &LoadOptions,
    options: &LoadOptions,
) -> Result<Vec<GeoBox>> {
    let options = without_region(&merged(own, &without_grid(options)));
    if own.output_crs.is_some() && own.resolution.is_some() && !entries.is_empty() {
        let geobox = load::geobox_of(product, entries, &options)?;
        return Ok(vec![geobox; entries.len()]);
    }
    load::native_grids(product, entries, &options)
}

fn fetch(
    recipe: &Recipe,
    dc: &Datacube,
    axis: &Axis,
    geobox: &GeoBox,
    options: &LoadOptions,
) -> Result<Cube> {
    let fetch_all = |children: &[Recipe], axes: &[Axis]| -> Result<Vec<Cube>> {
        let children = children.iter().zip(axes);
        children
            .map(|(child, axis)| fetch(child, dc, axis, geobox, options))
            .collect()
    };
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
        Recipe::Aggregate { aggregate, input } => {
            let (steps, groups) = axis.as_aggregate().ok_or_else(mismatch)?;
            let cube = fetch(input, dc, steps, geobox, options)?;
            let cube = aggregate.apply(&cube, groups, axis.times())?;
            rechunked(&cube, geobox, options)
        }
        Recipe::Reproject {
            options: own,
            input,
        } => fetch_reprojected(own, input, dc, axis, geobox, options),
        Recipe::Collate {
            children,
            index_name,
        } => {
            let (sources, axes) = axis.as_collate().ok_or_else(mismatch)?;
            let cubes = fetch_all(children, axes)?;
            combine::collate(&cubes, sources, axis.times(), index_name.as_deref())
        }
        Recipe::Juxtapose { children } => {
            let axes = axis.as_juxtapose().ok_or_else(mismatch)?;
            combine::juxtapose(&fetch_all(children, axes)?)
        }
    }
}

/// What is computed on the grids of the datasets, brought onto `geobox`.
///
/// # Source
/// datacube-core, `virtual/impl.py` (`Reproject`).
fn fetch_reprojected(
    own: &LoadOptions,
    input: &Recipe,
    dc: &Datacube,
    axis: &Axis,
    geobox: &GeoBox,
    options: &LoadOptions,
) -> Result<Cube> {
    let (sources, inputs) = axis.as_reproject().ok_or_else(mismatch)?;
    let mut natively = without_grid(options);
    // The engine asks for the pixels that it needs, whatever the chunks.
    natively.chunks = Some(Chunks::whole());
    let names = match own.resampling.is_empty() {
        true => &options.resampling,
        false => &own.resampling,
    };
    let mut cubes = Vec::with_capacity(inputs.len());
    for (grid, axis) in inputs {
        let cube = fetch(input, dc, axis, grid, &natively)?;
        if let Some(name) = own
            .resampling
            .keys()
            .find(|name| *name != "*" && cube.get(name).is_err())
        {
            return Err(Error::Unknown {
                kind: "measurement",
                name: name.clone(),
                place: "the resampling of `reproject`".into(),
                known: cube.names().map(str::to_owned).collect(),
            });
        }
        cubes.push(cube_onto(&cube, grid, geobox, |variable| {
            let array = cube.get(variable)?;
            let mut dims = array.dims().to_vec();
            let n = dims.len();
            for (dim, name) in dims[n.saturating_sub(2)..]
                .iter_mut()
                .zip(geobox.dimensions())
            {
                name.clone_into(dim);
            }
            Ok(ReprojectOptions {
                resampling: resampling_of(names, variable)?,
                warp_scale: options.warp_scale,
                chunks: Some(load::chunks_for(options.chunks.as_ref(), &dims)?),
            })
        })?);
    }
    match cubes.as_slice() {
        [] => Err(Error::NoData {
            query: input.products().join(", "),
            hint: "no time step has a dataset to compute from".into(),
        }),
        [cube] => Ok(cube.clone()),
        cubes => combine::collate(cubes, sources, axis.times(), None),
    }
}

/// The cube cut as a load would be.
fn rechunked(cube: &Cube, geobox: &GeoBox, options: &LoadOptions) -> Result<Cube> {
    let mut arrays = Vec::with_capacity(cube.len());
    for (name, array) in cube.variables() {
        let dims = array.dims();
        let array = match geobox
            .dimensions()
            .iter()
            .all(|dim| dims.iter().any(|own| own == dim))
        {
            true => array.rechunk(&load::chunks_for(options.chunks.as_ref(), dims)?)?,
            false => array.clone(),
        };
        arrays.push((name.to_owned(), array));
    }
    Ok(Cube::new(arrays)?.with_attrs(cube.attrs().clone()))
}
