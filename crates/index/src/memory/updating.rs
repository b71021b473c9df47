//! Updates of definitions and datasets, and the deletion of products.

use std::sync::Arc;

use datacube_model::changes::{metadata_type_changes, product_changes};
use datacube_model::{Changes, Dataset, MetadataType, Product};
use jiff::Timestamp;
use uuid::Uuid;

use super::state::{Entry, State};
use crate::catalog::{
    Added, DeleteOptions, DeleteOutcome, UpdateDatasetOptions, UpdateOptions, UpdateOutcome,
};
use crate::error::{Error, Kind, Result};
use crate::locations;
use crate::record::Record;
use crate::updates::{breaks, permitted, permitted_in_dataset};

impl State {
    /// Replaces a metadata type; tells what that changed.
    pub(super) fn update_metadata_type(
        &mut self,
        given: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Changes> {
        let name = given.name();
        let Some(stored) = self.metadata_types.get(name) else {
            return Err(self.unknown(Kind::MetadataType, name));
        };
        let changes = metadata_type_changes(stored.document(), given.document());
        let changes = permitted(Kind::MetadataType, name, changes, options.allow_unsafe)?;
        if changes.is_empty() {
            return Ok(changes);
        }
        self.metadata_types.insert(name.to_owned(), given.clone());
        let types: Vec<MetadataType> = self.metadata_types.values().cloned().collect();
        for product in self.product_list() {
            if product.metadata_type().name() != name {
                continue;
            }
            let read = Product::from_document(product.document().clone(), &types)
                .map_err(|error| breaks(Kind::Product, product.name(), &error))?;
            self.put_product(Arc::new(read))?;
        }
        Ok(changes)
    }

    /// Replaces a product; tells what that changed.
    pub(super) fn update_product(
        &mut self,
        given: &Product,
        options: &UpdateOptions,
    ) -> Result<Changes> {
        let name = given.name();
        let Some(stored) = self.products.get(name) else {
            return Err(self.unknown(Kind::Product, name));
        };
        let metadata_type = given.metadata_type();
        if self.check_metadata_type(metadata_type)? == Added::New {
            return Err(self.unknown(Kind::MetadataType, metadata_type.name()));
        }
        let changes = product_changes(stored.document(), given.document());
        let changes = permitted(Kind::Product, name, changes, options.allow_unsafe)?;
        if !changes.is_empty() {
            self.put_product(Arc::new(given.clone()))?;
        }
        Ok(changes)
    }

    /// Puts a product in the place of the one of its name, and reads its
    /// datasets anew.
    fn put_product(&mut self, product: Arc<Product>) -> Result<()> {
        let entries: Vec<Arc<Entry>> = self
            .order
            .values()
            .filter(|entry| entry.dataset.product().name() == product.name())
            .cloned()
            .collect();
        for entry in entries {
            let old = &entry.dataset;
            let dataset = Dataset::from_indexed(
                old.document().clone(),
                Arc::clone(&product),
                old.locations().to_vec(),
            );
            let dataset =
                dataset.map_err(|error| breaks(Kind::Dataset, &old.id().to_string(), &error))?;
            self.put(Entry {
                record: Record::of(&dataset),
                dataset: dataset
                    .with_archived(old.archived())
                    .with_indexed(old.indexed()),
                indexed_us: entry.indexed_us,
                changed: entry.changed,
            });
        }
        self.products.insert(product.name().to_owned(), product);
        Ok(())
    }

    /// Replaces one dataset.
    pub(super) fn update_dataset(
        &mut self,
        given: &Dataset,
        options: &UpdateDatasetOptions,
        now: Timestamp,
    ) -> UpdateOutcome {
        match self.updated_dataset(given, options, now) {
            Ok(None) => UpdateOutcome::Unchanged,
            Ok(Some(changes)) => UpdateOutcome::Updated(changes),
            Err(error) => UpdateOutcome::Failed(error),
        }
    }

    fn updated_dataset(
        &mut self,
        given: &Dataset,
        options: &UpdateDatasetOptions,
        now: Timestamp,
    ) -> Result<Option<Changes>> {
        let id = given.id();
        let Some(stored) = self.datasets.get(&id).cloned() else {
            return Err(self.unknown(Kind::Dataset, &id.to_string()));
        };
        let old = &stored.dataset;
        let changes = permitted_in_dataset(old, given, &options.allow_any)?;
        self.check_product_of(given)?;
        let places = locations::updated(old.locations(), given.locations(), options.locations, now);
        if changes.is_empty() && places == old.locations() {
            return Ok(None);
        }
        let new = if changes.is_empty() { old } else { given };
        let new = new
            .clone()
            .with_locations(places)
            .with_archived(old.archived())
            .with_indexed(old.indexed());
        let outdated = self.outdated(&new, options.archive_less_mature)?;
        let (before, after) = (old.lineage().relations(id), new.lineage().relations(id));
        self.lineage.restate(&before, &after)?;
        self.mark(&outdated, Some(now), now);
        self.put(Entry {
            record: Record::of(&new),
            dataset: new,
            indexed_us: stored.indexed_us,
            changed: now,
        });
        Ok(Some(changes))
    }

    pub(super) fn delete_product(&mut self, name: &str, options: &DeleteOptions) -> DeleteOutcome {
        if !self.products.contains_key(name) {
            return DeleteOutcome::Failed(self.unknown(Kind::Product, name));
        }
        let of_product = |entry: &&Arc<Entry>| entry.dataset.product().name() == name;
        let all: Vec<(Uuid, bool)> = self
            .order
            .values()
            .filter(of_product)
            .map(|entry| (entry.record.id, entry.dataset.is_archived()))
            .collect();
        let n_active = all.iter().filter(|(_, is_archived)| !is_archived).count() as u64;
        if n_active > 0 && !options.with_active {
            return DeleteOutcome::Failed(Error::InUse {
                name: name.to_owned(),
                n_active,
            });
        }
        for (id, _) in &all {
            self.purge_one(*id);
        }
        self.products.remove(name);
        DeleteOutcome::Deleted {
            n_datasets: all.len() as u64,
        }
    }
}
