//! What the index in memory holds, and every change of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use datacube_model::{Dataset, MetadataType, Product};
use jiff::Timestamp;
use uuid::Uuid;

use crate::catalog::{AddOptions, AddOutcome, Added, ArchiveReport, PurgeOptions, PurgeReport};
use crate::differences::{same, same_dataset};
use crate::error::{Error, Kind, Result};
use crate::maturity::Standing;
use crate::record::Record;
use crate::relations::Relations;
use crate::resolve::Resolved;
use crate::time_range::micros;

/// Everything.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) metadata_types: BTreeMap<String, MetadataType>,
    pub(super) products: BTreeMap<String, Arc<Product>>,
    pub(super) datasets: HashMap<Uuid, Arc<Entry>>,
    /// The order of every search.
    pub(super) order: BTreeMap<(i64, Uuid), Arc<Entry>>,
    pub(super) lineage: Relations,
    pub(super) homes: BTreeMap<Uuid, String>,
}

/// A dataset with what it is found by.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) dataset: Dataset,
    pub(super) record: Record,
    pub(super) indexed_us: i64,
    /// When anything about it last changed.
    pub(super) changed: Timestamp,
}

impl Entry {
    pub(super) fn is_found(&self, resolved: &Resolved) -> bool {
        resolved.accepts(
            &self.record,
            self.dataset.archived().is_some(),
            self.indexed_us,
        ) && resolved.accepts_locations(self.dataset.locations())
    }

    /// The same with another dataset of the same document.
    fn with(&self, dataset: Dataset, changed: Timestamp) -> Self {
        Entry {
            dataset,
            record: self.record.clone(),
            indexed_us: self.indexed_us,
            changed,
        }
    }
}

impl State {
    pub(super) fn product_list(&self) -> Vec<Arc<Product>> {
        self.products.values().cloned().collect()
    }

    /// Whether any was missing.
    pub(super) fn add_built_in_types(&mut self) -> bool {
        let before = self.metadata_types.len();
        for built_in in MetadataType::builtin() {
            let name = built_in.name().to_owned();
            self.metadata_types.entry(name).or_insert(built_in);
        }
        self.metadata_types.len() > before
    }

    pub(super) fn unknown(&self, kind: Kind, name: &str) -> Error {
        let known = match kind {
            Kind::MetadataType => self.metadata_types.keys().cloned().collect(),
            Kind::Product => self.products.keys().cloned().collect(),
            Kind::Dataset => Vec::new(),
        };
        Error::NotFound {
            kind,
            name: name.to_owned(),
            known,
        }
    }

    pub(super) fn check_metadata_type(&self, given: &MetadataType) -> Result<Added> {
        match self.metadata_types.get(given.name()) {
            None => Ok(Added::New),
            Some(stored) => same(
                Kind::MetadataType,
                given.name(),
                stored.document(),
                given.document(),
            ),
        }
    }

    pub(super) fn add_metadata_type(&mut self, given: &MetadataType) -> Result<Added> {
        let added = self.check_metadata_type(given)?;
        if added == Added::New {
            let name = given.name().to_owned();
            self.metadata_types.insert(name, given.clone());
        }
        Ok(added)
    }

    pub(super) fn add_product(&mut self, given: &Product) -> Result<Added> {
        self.check_metadata_type(given.metadata_type())?;
        if let Some(stored) = self.products.get(given.name()) {
            let (stored, given) = (stored.document(), given);
            return same(Kind::Product, given.name(), stored, given.document());
        }
        self.add_metadata_type(given.metadata_type())?;
        self.products
            .insert(given.name().to_owned(), Arc::new(given.clone()));
        Ok(Added::New)
    }

    /// Checks that the product of a dataset is the one that is there.
    pub(super) fn check_product_of(&self, dataset: &Dataset) -> Result<()> {
        let given = dataset.product();
        let Some(stored) = self.products.get(given.name()) else {
            return Err(self.unknown(Kind::Product, given.name()));
        };
        if !Arc::ptr_eq(stored, given) {
            let (stored, given) = (stored.document(), given);
            same(Kind::Product, given.name(), stored, given.document())?;
        }
        Ok(())
    }

    /// Whether a dataset can be added, and is new.
    fn check_dataset(&self, dataset: &Dataset) -> Result<Added> {
        self.check_product_of(dataset)?;
        match self.datasets.get(&dataset.id()) {
            None => Ok(Added::New),
            Some(entry) => same_dataset(dataset.id(), entry.dataset.document(), dataset.document()),
        }
    }

    pub(super) fn add(
        &mut self,
        dataset: Dataset,
        record: Record,
        options: &AddOptions,
        now: Timestamp,
    ) -> AddOutcome {
        match self.check_dataset(&dataset) {
            Ok(Added::AlreadyThere) => return AddOutcome::AlreadyThere,
            Err(error) => return AddOutcome::Failed(error),
            Ok(Added::New) => {}
        }
        let outdated = match self.outdated(&dataset, options.archive_less_mature) {
            Ok(outdated) => outdated,
            Err(error) => return AddOutcome::Failed(error),
        };
        if options.with_lineage {
            let relations = dataset.lineage().relations(dataset.id());
            if let Err(error) = self.lineage.merge(&relations, false) {
                return AddOutcome::Failed(error);
            }
        }
        self.mark(&outdated, Some(now), now);
        let indexed = options.indexed(&dataset, now);
        self.put(Entry {
            dataset: dataset.with_indexed(Some(indexed)),
            record,
            indexed_us: micros(indexed),
            changed: indexed,
        });
        AddOutcome::Added
    }

    /// The active datasets of the same scene that are less mature, in order.
    pub(super) fn outdated(
        &self,
        dataset: &Dataset,
        leniency: Option<Duration>,
    ) -> Result<Vec<Uuid>> {
        let Some(leniency) = leniency.filter(|_| !dataset.is_archived()) else {
            return Ok(Vec::new());
        };
        let standing = Standing::of(dataset)?;
        let mut outdated = Vec::new();
        for entry in self.order.values() {
            let other = &entry.dataset;
            if other.is_archived() || other.product().name() != dataset.product().name() {
                continue;
            }
            if let Some(other) = Standing::of_other(other)
                && standing.outdates(&other, leniency)?
            {
                outdated.push(other.id);
            }
        }
        Ok(outdated)
    }

    pub(super) fn put(&mut self, entry: Entry) {
        self.remove(entry.record.id);
        let place = (entry.record.center_us(), entry.record.id);
        let entry = Arc::new(entry);
        self.datasets.insert(place.1, Arc::clone(&entry));
        self.order.insert(place, entry);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<Entry>> {
        let entry = self.datasets.remove(&id)?;
        self.order.remove(&(entry.record.center_us(), id));
        Some(entry)
    }

    /// Puts another state of a dataset in its place.
    pub(super) fn replace(&mut self, id: Uuid, now: Timestamp, f: impl FnOnce(Dataset) -> Dataset) {
        if let Some(entry) = self.datasets.get(&id) {
            let entry = entry.with(f(entry.dataset.clone()), now);
            self.put(entry);
        }
    }

    /// Marks datasets as archived, or as active.
    pub(super) fn mark(
        &mut self,
        ids: &[Uuid],
        archived: Option<Timestamp>,
        now: Timestamp,
    ) -> ArchiveReport {
        let mut report = ArchiveReport::default();
        for id in ids {
            match self.datasets.get(id) {
                None => report.unknown.push(*id),
                Some(entry) if entry.dataset.is_archived() == archived.is_some() => {
                    report.unchanged.push(*id);
                }
                Some(_) => {
                    self.replace(*id, now, |dataset| dataset.with_archived(archived));
                    report.changed.push(*id);
                }
            }
        }
        report
    }

    pub(super) fn purge(&mut self, ids: &[Uuid], options: &PurgeOptions) -> PurgeReport {
        let mut report = PurgeReport::default();
        for id in ids {
            match self.datasets.get(id) {
                None => report.unknown.push(*id),
                Some(entry) if !entry.dataset.is_archived() && !options.with_active => {
                    report.active.push(*id);
                }
                Some(_) => {
                    self.purge_one(*id);
                    report.purged.push(*id);
                }
            }
        }
        report
    }

    pub(super) fn purge_one(&mut self, id: Uuid) {
        self.remove(id);
        self.homes.remove(&id);
        self.lineage.remove_sources_of(id);
    }
}
