//! An index that lives in memory and is gone when it is dropped.
//!
//! It is the plainest reading of the contract: a search walks all datasets in
//! order and keeps those that the query accepts. The other indexes are tested
//! against it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use datacube_model::{Dataset, MetadataType, Product};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, Index, IndexInfo, InitOptions, InitOutcome,
};
use crate::columns::Key;
use crate::differences::{same, same_dataset};
use crate::error::{Error, Kind, Result};
use crate::footprint::Footprint;
use crate::query::Query;
use crate::record::Record;
use crate::resolve::Resolved;
use crate::time_range::micros;

/// How many datasets a search looks at before it lets writers in.
const PAGE: usize = 1024;

const URL: &str = "memory:";

/// An index in memory, with the built-in metadata types.
#[derive(Debug)]
pub struct MemoryIndex {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    metadata_types: BTreeMap<String, MetadataType>,
    products: BTreeMap<String, Arc<Product>>,
    datasets: HashMap<Uuid, Arc<Entry>>,
    /// The order of every search.
    order: BTreeMap<(i64, Uuid), Arc<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    dataset: Dataset,
    record: Record,
    indexed_us: i64,
}

impl Default for MemoryIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryIndex {
    /// An index that holds the built-in metadata types and nothing else.
    pub fn new() -> Self {
        let mut state = State::default();
        state.add_built_in_types();
        MemoryIndex {
            state: RwLock::new(state),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("no method panics while it changes the state")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .expect("no method panics while it changes the state")
    }

    fn resolve(&self, query: &Query) -> Result<Resolved> {
        Resolved::new(query, &self.read().products())
    }

    /// What is found, in an order of its own.
    fn sorted(&self, resolved: &Resolved) -> Vec<Dataset> {
        let state = self.read();
        let found = state
            .order
            .values()
            .filter(|entry| entry.is_found(resolved));
        let mut keyed: Vec<(Vec<Option<Key>>, &Arc<Entry>)> = found
            .map(|entry| {
                let bounds = || entry.record.footprint.as_ref().map(Footprint::bounds);
                let keys = resolved
                    .order
                    .iter()
                    .map(|by| by.column.key_within(&entry.dataset, bounds()));
                (keys.collect(), entry)
            })
            .collect();
        // What is equal stays in the order of all.
        keyed.sort_by(|(a, _), (b, _)| resolved.compare(a, b));
        keyed.truncate(resolved.limit.unwrap_or(usize::MAX));
        let datasets = keyed.into_iter().map(|(_, entry)| entry.dataset.clone());
        datasets.collect()
    }

    /// The next datasets that are found after a place in the order, and the
    /// place to go on from; `None` at the end.
    fn page(
        &self,
        resolved: &Resolved,
        after: Option<(i64, Uuid)>,
        at_most: usize,
    ) -> (Vec<Dataset>, Option<(i64, Uuid)>) {
        use std::ops::Bound;
        let state = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut last = None;
        for (looked_at, (place, entry)) in state.order.range((from, Bound::Unbounded)).enumerate() {
            if looked_at == PAGE || found.len() == at_most {
                return (found, last);
            }
            last = Some(*place);
            if entry.is_found(resolved) {
                found.push(entry.dataset.clone());
            }
        }
        (found, None)
    }
}

impl Entry {
    fn is_found(&self, resolved: &Resolved) -> bool {
        resolved.accepts(
            &self.record,
            self.dataset.archived().is_some(),
            self.indexed_us,
        ) && resolved.accepts_locations(self.dataset.locations())
    }
}

impl State {
    fn products(&self) -> Vec<Arc<Product>> {
        self.products.values().cloned().collect()
    }

    /// Whether any was missing.
    fn add_built_in_types(&mut self) -> bool {
        let before = self.metadata_types.len();
        for built_in in MetadataType::builtin() {
            let name = built_in.name().to_owned();
            self.metadata_types.entry(name).or_insert(built_in);
        }
        self.metadata_types.len() > before
    }

    fn check_metadata_type(&self, given: &MetadataType) -> Result<Added> {
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

    /// Whether a dataset can be added, and is new.
    fn check_dataset(&self, dataset: &Dataset) -> Result<Added> {
        let given = dataset.product();
        let Some(stored) = self.products.get(given.name()) else {
            return Err(Error::NotFound {
                kind: Kind::Product,
                name: given.name().to_owned(),
                known: self.products.keys().cloned().collect(),
            });
        };
        if !Arc::ptr_eq(stored, given) {
            same(
                Kind::Product,
                given.name(),
                stored.document(),
                given.document(),
            )?;
        }
        match self.datasets.get(&dataset.id()) {
            None => Ok(Added::New),
            Some(entry) => same_dataset(dataset.id(), entry.dataset.document(), dataset.document()),
        }
    }

    fn put(&mut self, entry: Entry) {
        let place = (entry.record.center_us(), entry.record.id);
        let entry = Arc::new(entry);
        self.datasets.insert(place.1, Arc::clone(&entry));
        self.order.insert(place, entry);
    }

    /// Changes whether datasets are archived.
    fn mark(
        &mut self,
        ids: &[Uuid],
        change: impl Fn(&Dataset) -> Option<Dataset>,
    ) -> ArchiveReport {
        let mut report = ArchiveReport::default();
        for id in ids {
            let Some(entry) = self.datasets.get(id) else {
                report.unknown.push(*id);
                continue;
            };
            match change(&entry.dataset) {
                Some(dataset) => {
                    let entry = Entry {
                        dataset,
                        ..Entry::clone(entry)
                    };
                    self.put(entry);
                    report.changed.push(*id);
                }
                None => report.unchanged.push(*id),
            }
        }
        report
    }
}

#[async_trait]
impl Index for MemoryIndex {
    fn url(&self) -> &str {
        URL
    }

    async fn init(&self, options: &InitOptions) -> Result<InitOutcome> {
        let changed = options.default_types && self.write().add_built_in_types();
        Ok(if changed {
            InitOutcome::Updated
        } else {
            InitOutcome::Unchanged
        })
    }

    async fn check(&self) -> Result<IndexInfo> {
        let state = self.read();
        Ok(IndexInfo {
            driver: "memory",
            url: URL.to_owned(),
            schema_version: 1,
            writable: true,
            n_products: state.products.len() as u64,
            n_datasets: state.datasets.len() as u64,
        })
    }

    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added> {
        let mut state = self.write();
        let added = state.check_metadata_type(metadata_type)?;
        if added == Added::New {
            let name = metadata_type.name().to_owned();
            state.metadata_types.insert(name, metadata_type.clone());
        }
        Ok(added)
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        let state = self.read();
        state
            .metadata_types
            .get(name)
            .cloned()
            .ok_or_else(|| Error::NotFound {
                kind: Kind::MetadataType,
                name: name.to_owned(),
                known: state.metadata_types.keys().cloned().collect(),
            })
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        Ok(self.read().metadata_types.values().cloned().collect())
    }

    async fn add_product(&self, product: &Product) -> Result<Added> {
        let mut state = self.write();
        let metadata_type = product.metadata_type();
        let type_added = state.check_metadata_type(metadata_type)?;
        if let Some(stored) = state.products.get(product.name()) {
            return same(
                Kind::Product,
                product.name(),
                stored.document(),
                product.document(),
            );
        }
        if type_added == Added::New {
            let name = metadata_type.name().to_owned();
            state.metadata_types.insert(name, metadata_type.clone());
        }
        state
            .products
            .insert(product.name().to_owned(), Arc::new(product.clone()));
        Ok(Added::New)
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        let state = self.read();
        state
            .products
            .get(name)
            .cloned()
            .ok_or_else(|| Error::NotFound {
                kind: Kind::Product,
                name: name.to_owned(),
                known: state.products.keys().cloned().collect(),
            })
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        Ok(self.read().products())
    }

    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let indexed_at = options.indexed_at.unwrap_or_else(Timestamp::now);
        let records: Vec<Record> = datasets.iter().map(Record::of).collect();
        let mut state = self.write();
        let add = |(dataset, record): (Dataset, Record)| {
            match state.check_dataset(&dataset) {
                Ok(Added::AlreadyThere) => return AddOutcome::AlreadyThere,
                Err(error) => return AddOutcome::Failed(error),
                Ok(Added::New) => {}
            }
            let dataset = dataset.with_indexed(Some(indexed_at));
            state.put(Entry {
                dataset,
                record,
                indexed_us: micros(indexed_at),
            });
            AddOutcome::Added
        };
        Ok(datasets.into_iter().zip(records).map(add).collect())
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        let state = self.read();
        Ok(ids
            .iter()
            .map(|id| state.datasets.get(id).map(|e| e.dataset.clone()))
            .collect())
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        let state = self.read();
        Ok(ids
            .iter()
            .map(|id| state.datasets.contains_key(id))
            .collect())
    }

    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>> {
        let resolved = match self.resolve(query) {
            Ok(resolved) if resolved.is_nothing() => return stream::empty().boxed(),
            Ok(resolved) => resolved,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        if !resolved.order.is_empty() {
            let found = self.sorted(&resolved);
            return stream::iter(found.into_iter().map(Ok)).boxed();
        }
        let left = resolved.limit.unwrap_or(usize::MAX);
        let pages = stream::try_unfold(Some((None, left)), move |state| {
            let next = state.map(|(after, left)| {
                let (found, last) = self.page(&resolved, after, left);
                let left = left - found.len();
                let state = last.filter(|_| left > 0).map(|last| (Some(last), left));
                (stream::iter(found.into_iter().map(Ok)), state)
            });
            async move { Ok(next) }
        });
        pages.try_flatten().boxed()
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        let resolved = self.resolve(query)?;
        if resolved.is_nothing() {
            return Ok(0);
        }
        let state = self.read();
        let limit = resolved.limit.unwrap_or(usize::MAX);
        let found = state
            .order
            .values()
            .filter(|entry| entry.is_found(&resolved));
        Ok(found.take(limit).count() as u64)
    }

    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport> {
        Ok(self.write().mark(ids, |dataset| {
            dataset
                .archived()
                .is_none()
                .then(|| dataset.clone().with_archived(Some(when)))
        }))
    }

    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport> {
        Ok(self.write().mark(ids, |dataset| {
            dataset
                .archived()
                .is_some()
                .then(|| dataset.clone().with_archived(None))
        }))
    }
}
