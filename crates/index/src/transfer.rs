//! Copying one index into another.
//!
//! Everything is added as by hand, in batches, and what is there already is
//! left alone: a copy that was interrupted is finished by making it again.
//! Before anything is written all definitions are compared, so that an index
//! with other ones is left as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use datacube_model::changes::{metadata_type_changes, product_changes};
use datacube_model::{Dataset, MetadataType, Product};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::{AddOptions, AddOutcome, Added, Index, LineageOptions, UpdateOptions};
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::query::{ArchivedFilter, Query};

/// Which lineage is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CloneLineage {
    /// All relations and homes, after the datasets.
    #[default]
    With,
    /// None.
    Skip,
    /// Nothing but relations and homes.
    Only,
}

/// How an index is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloneOptions {
    /// Datasets, or relations, of one transaction (default: 1000).
    pub batch_size: usize,
    /// Which lineage is copied (default: all).
    pub lineage: CloneLineage,
    /// Whether archived datasets are copied too (default: no).
    pub archived: bool,
    /// Whether spatial indexes that the other lacks are made there, where it
    /// has such (default: yes).
    pub spatial_indexes: bool,
    /// Whether nothing is written (default: no).
    pub dry_run: bool,
}

impl Default for CloneOptions {
    fn default() -> Self {
        CloneOptions {
            batch_size: 1000,
            lineage: CloneLineage::default(),
            archived: false,
            spatial_indexes: true,
            dry_run: false,
        }
    }
}

impl CloneOptions {
    /// Writes so many datasets, or relations, in one transaction.
    #[must_use]
    pub fn batch_size(mut self, n_items: usize) -> Self {
        self.batch_size = n_items;
        self
    }

    /// Copies this lineage.
    #[must_use]
    pub fn lineage(mut self, lineage: CloneLineage) -> Self {
        self.lineage = lineage;
        self
    }

    /// Copies archived datasets too, or not.
    #[must_use]
    pub fn archived(mut self, archived: bool) -> Self {
        self.archived = archived;
        self
    }

    /// Makes the spatial indexes that the other lacks, or not.
    #[must_use]
    pub fn spatial_indexes(mut self, make: bool) -> Self {
        self.spatial_indexes = make;
        self
    }

    /// Writes nothing; the report tells what would be.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// How far a copy is; what was there already counts as skipped.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CloneReport {
    /// Metadata types that were added, or replaced what no product used.
    pub metadata_types: u64,
    /// Names of metadata types that the other index cannot hold, such as those
    /// of before EO3 in PostGIS.
    pub metadata_types_left_out: Vec<String>,
    /// Products that were added.
    pub products: u64,
    /// Names of products of such types, which were left out with their datasets.
    pub products_left_out: Vec<String>,
    /// Datasets to be copied, as far as that is known.
    pub datasets_in_all: u64,
    /// Datasets that were added.
    pub datasets: u64,
    /// Datasets that were there.
    pub datasets_skipped: u64,
    /// Relations that were added.
    pub relations: u64,
    /// Relations that were there.
    pub relations_skipped: u64,
    /// Homes that were added.
    pub homes: u64,
    /// Spatial indexes that were made.
    pub spatial_indexes: u64,
    /// Datasets that could not be read or added, and why; the others were.
    #[serde(skip)]
    pub failed: Vec<(Uuid, Error)>,
}

/// Copies metadata types, products, datasets, their locations and lineage from
/// one index to another; `progress` is told after each batch how far it is.
///
/// A metadata type that no product of `to` uses is replaced where it differs:
/// a new index has its own version of the built-in ones.
///
/// # Errors
/// [`Error::DifferentDefinition`] when a name means something else in `to`;
/// [`Error::Lineage`] when its relations contradict those of `from`; when
/// either cannot be read or written. What was copied before stays, and the
/// same call goes on from there.
pub async fn clone_index(
    from: &dyn Index,
    to: &dyn Index,
    options: &CloneOptions,
    progress: &mut (dyn FnMut(&CloneReport) + Send),
) -> Result<CloneReport> {
    let mut report = CloneReport::default();
    let batch_size = options.batch_size.max(1);
    if options.lineage != CloneLineage::Only {
        copy_definitions(from, to, options, &mut report).await?;
        if options.spatial_indexes && !options.dry_run {
            copy_spatial_indexes(from, to, &mut report).await?;
        }
        progress(&report);
        copy_datasets(from, to, options, batch_size, &mut report, progress).await?;
    }
    if options.lineage != CloneLineage::Skip {
        copy_lineage(from, to, options, batch_size, &mut report, progress).await?;
    }
    Ok(report)
}

async fn copy_definitions(
    from: &dyn Index,
    to: &dyn Index,
    options: &CloneOptions,
    report: &mut CloneReport,
) -> Result<()> {
    let (types, products) = (from.metadata_types().await?, from.products().await?);
    // All of them before the first is written.
    let (known, known_products) = (to.metadata_types().await?, to.products().await?);
    let find = |name: &str| known.iter().find(|known| known.name() == name);
    let mut outdated: Vec<&MetadataType> = Vec::new();
    for metadata_type in &types {
        let name = metadata_type.name();
        let Some(stored) = find(name) else { continue };
        let (stored, given) = (stored.document(), metadata_type.document());
        if metadata_type_changes(stored, given).is_empty() {
            continue;
        }
        let is_used = |product: &Arc<Product>| product.metadata_type().name() == name;
        if known_products.iter().any(is_used) {
            same(Kind::MetadataType, name, stored, given)?;
        }
        outdated.push(metadata_type);
    }
    for product in &products {
        let stored = known_products
            .iter()
            .find(|known| known.name() == product.name());
        if let Some(stored) = stored {
            let (stored, given) = (stored.document(), product.document());
            if !product_changes(stored, given).is_empty() {
                same(Kind::Product, product.name(), stored, given)?;
            }
        }
    }
    let missing: Vec<&MetadataType> = types
        .iter()
        .filter(|given| find(given.name()).is_none())
        .collect();
    if options.dry_run {
        let is_new = |product: &&Arc<Product>| {
            let mut names = known_products.iter().map(|known| known.name());
            !names.any(|name| name == product.name())
        };
        report.metadata_types = number(missing.len() + outdated.len());
        report.products = number(products.iter().filter(is_new).count());
        return Ok(());
    }
    for metadata_type in outdated {
        let replace = UpdateOptions::default().allow_unsafe(true);
        to.update_metadata_type(metadata_type, &replace).await?;
        report.metadata_types += 1;
    }
    for metadata_type in missing {
        match to.add_metadata_type(metadata_type).await {
            Ok(Added::New) => report.metadata_types += 1,
            Ok(Added::AlreadyThere) => {}
            Err(Error::Unsupported { .. }) => {
                let name = metadata_type.name();
                let of_type = products.iter().filter(|p| p.metadata_type().name() == name);
                let products = of_type.map(|product| product.name().to_owned());
                report.products_left_out.extend(products);
                report.metadata_types_left_out.push(name.to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    for product in &products {
        let is_left_out = |name: &String| name == product.name();
        if report.products_left_out.iter().any(is_left_out) {
            continue;
        }
        if to.add_product(product).await? == Added::New {
            report.products += 1;
        }
    }
    Ok(())
}

async fn copy_spatial_indexes(
    from: &dyn Index,
    to: &dyn Index,
    report: &mut CloneReport,
) -> Result<()> {
    let known = to.spatial_indexes().await?;
    for crs in from.spatial_indexes().await? {
        if known.contains(&crs) {
            continue;
        }
        match to.create_spatial_index(&crs).await {
            Ok(true) => report.spatial_indexes += 1,
            // It finds areas in any CRS without.
            Ok(false) | Err(Error::Unsupported { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn copy_datasets(
    from: &dyn Index,
    to: &dyn Index,
    options: &CloneOptions,
    batch_size: usize,
    report: &mut CloneReport,
    progress: &mut (dyn FnMut(&CloneReport) + Send),
) -> Result<()> {
    let filter = if options.archived {
        ArchivedFilter::Any
    } else {
        ArchivedFilter::Active
    };
    let query = Query::new().archived(filter);
    report.datasets_in_all = from.count(&query).await?;
    let mut found = from.search(&query);
    loop {
        let (batch, is_end) = next_batch(&mut found, batch_size, report).await?;
        if batch.is_empty() && is_end {
            return Ok(());
        }
        let ids: Vec<Uuid> = batch.iter().map(Dataset::id).collect();
        if options.dry_run {
            let there = to.has(&ids).await?;
            let n_there = there.iter().filter(|there| **there).count();
            report.datasets_skipped += number(n_there);
            report.datasets += number(there.len() - n_there);
            progress(report);
            continue;
        }
        copy_batch(to, batch, report).await?;
        if options.lineage != CloneLineage::Skip {
            report.homes += copy_homes(from, to, ids).await?;
        }
        progress(report);
    }
}

/// The next datasets, and whether those are the last; one that cannot be read
/// keeps no other from being copied.
async fn next_batch(
    found: &mut BoxStream<'_, Result<Dataset>>,
    at_most: usize,
    report: &mut CloneReport,
) -> Result<(Vec<Dataset>, bool)> {
    let mut batch = Vec::new();
    while batch.len() < at_most {
        match found.next().await {
            None => return Ok((batch, true)),
            Some(Ok(dataset)) => batch.push(dataset),
            Some(Err(error)) => match error {
                Error::Dataset { id, .. } => report.failed.push((id, error)),
                other => return Err(other),
            },
        }
    }
    Ok((batch, false))
}

/// Adds datasets that are not there yet.
async fn copy_batch(to: &dyn Index, batch: Vec<Dataset>, report: &mut CloneReport) -> Result<()> {
    let ids: Vec<Uuid> = batch.iter().map(Dataset::id).collect();
    // Lineage is copied for itself, with what others say.
    let how = AddOptions::default().with_lineage(false).keep_indexed(true);
    let outcomes = to.add_datasets(batch, &how).await?;
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        match outcome {
            AddOutcome::Added => report.datasets += 1,
            AddOutcome::AlreadyThere => report.datasets_skipped += 1,
            AddOutcome::Failed(error) => report.failed.push((id, error)),
        }
    }
    Ok(())
}

async fn copy_lineage(
    from: &dyn Index,
    to: &dyn Index,
    options: &CloneOptions,
    batch_size: usize,
    report: &mut CloneReport,
    progress: &mut (dyn FnMut(&CloneReport) + Send),
) -> Result<()> {
    let mut found = from.all_lineage().try_chunks(batch_size);
    while let Some(batch) = found.try_next().await.map_err(|error| error.1)? {
        let how = LineageOptions::default().dry_run(options.dry_run);
        let added = to.add_lineage(&batch, &how).await?;
        report.relations += added.added;
        report.relations_skipped += added.unchanged;
        let ids: BTreeSet<Uuid> = batch
            .iter()
            .flat_map(|relation| [relation.derived, relation.source])
            .collect();
        if !options.dry_run {
            report.homes += copy_homes(from, to, ids.into_iter().collect()).await?;
        }
        progress(report);
    }
    Ok(())
}

/// Copies what is known of the homes of datasets.
async fn copy_homes(from: &dyn Index, to: &dyn Index, ids: Vec<Uuid>) -> Result<u64> {
    let mut homes: Vec<(String, Uuid)> = from
        .homes(&ids)
        .await?
        .into_iter()
        .zip(ids)
        .filter_map(|(home, id)| Some((home?, id)))
        .collect();
    homes.sort();
    let mut n_new = 0;
    for of_one in homes.chunk_by(|a, b| a.0 == b.0) {
        let ids: Vec<Uuid> = of_one.iter().map(|(_, id)| *id).collect();
        n_new += to.set_home(&ids, &of_one[0].0, false).await?;
    }
    Ok(n_new)
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
