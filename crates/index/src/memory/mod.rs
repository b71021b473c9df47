//! An index that lives in memory and is gone when it is dropped.
//!
//! It is the plainest reading of the contract: a search walks all datasets in
//! order and keeps those that the query accepts. The other indexes are tested
//! against it.

mod state;
mod updating;

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use datacube_model::{Dataset, LineageDirection, LineageRelation, Location, MetadataType, Product};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use uuid::Uuid;

use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, DeleteOptions, DeleteOutcome, Index, IndexInfo,
    InitOptions, InitOutcome, LineageOptions, LineageReport, PurgeOptions, PurgeReport,
    UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated,
};
use crate::columns::Key;
use crate::error::{Error, Kind, Result};
use crate::footprint::Footprint;
use crate::locations;
use crate::query::Query;
use crate::record::Record;
use crate::resolve::Resolved;

use state::{Entry, State};

/// How many datasets a search looks at before it lets writers in.
const PAGE: usize = 1024;

/// Some datasets, and the place in the order to go on from.
type Page = (Vec<Dataset>, Option<(i64, Uuid)>);

const URL: &str = "memory:";

/// An index in memory, with the built-in metadata types.
#[derive(Debug)]
pub struct MemoryIndex {
    /// `None` after [`Index::clear`], until [`Index::init`].
    state: RwLock<Option<State>>,
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
            state: RwLock::new(Some(state)),
        }
    }

    fn slot(&self) -> RwLockReadGuard<'_, Option<State>> {
        self.state
            .read()
            .expect("no method panics while it changes the state")
    }

    fn slot_mut(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state
            .write()
            .expect("no method panics while it changes the state")
    }

    /// Reads something of the state.
    fn read<T>(&self, f: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        self.slot().as_ref().map_or_else(|| Err(nothing()), f)
    }

    /// Changes the state.
    fn write<T>(&self, f: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.slot_mut().as_mut().map_or_else(|| Err(nothing()), f)
    }

    /// Changes the state unless that fails or is only a trial.
    fn attempt<T>(&self, dry_run: bool, f: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.write(|state| {
            let mut next = state.clone();
            let done = f(&mut next)?;
            if !dry_run {
                *state = next;
            }
            Ok(done)
        })
    }

    fn resolve(&self, query: &Query) -> Result<Resolved> {
        Resolved::new(query, &self.products_now()?)
    }

    fn products_now(&self) -> Result<Vec<Arc<Product>>> {
        self.read(|state| Ok(state.product_list()))
    }

    /// Changes the locations of a dataset.
    fn relocate(&self, id: Uuid, f: impl FnOnce(&mut Vec<Location>) -> bool) -> Result<bool> {
        self.write(|state| {
            let Some(entry) = state.datasets.get(&id) else {
                return Err(state.unknown(Kind::Dataset, &id.to_string()));
            };
            let mut places = entry.dataset.locations().to_vec();
            let changed = f(&mut places);
            if changed {
                state.replace(id, Timestamp::now(), |dataset| {
                    dataset.with_locations(places)
                });
            }
            Ok(changed)
        })
    }

    /// What is found, in an order of its own.
    fn sorted(&self, resolved: &Resolved) -> Result<Vec<Dataset>> {
        self.read(|state| Ok(sorted(state, resolved)))
    }

    /// The next datasets that are found after a place in the order, and the
    /// place to go on from; `None` at the end.
    fn page(
        &self,
        resolved: &Resolved,
        after: Option<(i64, Uuid)>,
        at_most: usize,
    ) -> Result<Page> {
        self.read(|state| Ok(page(state, resolved, after, at_most)))
    }
}

fn nothing() -> Error {
    Error::NotInitialised {
        url: URL.to_owned(),
    }
}

fn sorted(state: &State, resolved: &Resolved) -> Vec<Dataset> {
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

fn page(state: &State, resolved: &Resolved, after: Option<(i64, Uuid)>, at_most: usize) -> Page {
    use std::ops::Bound;
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

#[async_trait]
impl Index for MemoryIndex {
    fn url(&self) -> &str {
        URL
    }

    async fn init(&self, options: &InitOptions) -> Result<InitOutcome> {
        let mut slot = self.slot_mut();
        let was_there = slot.is_some();
        let state = slot.get_or_insert_default();
        let changed = options.default_types && state.add_built_in_types();
        Ok(match (was_there, changed) {
            (false, _) => InitOutcome::Created,
            (true, true) => InitOutcome::Updated,
            (true, false) => InitOutcome::Unchanged,
        })
    }

    async fn check(&self) -> Result<IndexInfo> {
        self.read(|state| {
            Ok(IndexInfo {
                driver: "memory",
                url: URL.to_owned(),
                schema_version: 1,
                writable: true,
                n_products: state.products.len() as u64,
                n_datasets: state.datasets.len() as u64,
            })
        })
    }

    async fn clear(&self) -> Result<()> {
        self.write(|_| Ok(()))?;
        *self.slot_mut() = None;
        Ok(())
    }

    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added> {
        self.write(|state| state.add_metadata_type(metadata_type))
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        self.read(|state| {
            let found = state.metadata_types.get(name).cloned();
            found.ok_or_else(|| state.unknown(Kind::MetadataType, name))
        })
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        self.read(|state| Ok(state.metadata_types.values().cloned().collect()))
    }

    async fn update_metadata_type(
        &self,
        metadata_type: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        let changes = self.attempt(options.dry_run, |state| {
            state.update_metadata_type(metadata_type, options)
        })?;
        let written = !changes.is_empty() && !options.dry_run;
        Ok(Updated::new(changes, written))
    }

    async fn add_product(&self, product: &Product) -> Result<Added> {
        self.write(|state| state.add_product(product))
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        self.read(|state| {
            let found = state.products.get(name).cloned();
            found.ok_or_else(|| state.unknown(Kind::Product, name))
        })
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        self.products_now()
    }

    async fn update_product(&self, product: &Product, options: &UpdateOptions) -> Result<Updated> {
        let changes = self.attempt(options.dry_run, |state| {
            state.update_product(product, options)
        })?;
        let written = !changes.is_empty() && !options.dry_run;
        Ok(Updated::new(changes, written))
    }

    async fn delete_products(
        &self,
        names: &[String],
        options: &DeleteOptions,
    ) -> Result<Vec<DeleteOutcome>> {
        self.attempt(options.dry_run, |state| {
            let outcomes = names.iter().map(|name| state.delete_product(name, options));
            Ok(outcomes.collect())
        })
    }

    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let now = options.indexed_at.unwrap_or_else(Timestamp::now);
        let records: Vec<Record> = datasets.iter().map(Record::of).collect();
        self.write(|state| {
            let given = datasets.into_iter().zip(records);
            Ok(given
                .map(|(dataset, record)| state.add(dataset, record, options, now))
                .collect())
        })
    }

    async fn update_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        let now = Timestamp::now();
        self.attempt(options.dry_run, |state| {
            let outcomes = datasets
                .iter()
                .map(|dataset| state.update_dataset(dataset, options, now));
            Ok(outcomes.collect())
        })
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        self.read(|state| {
            let found = |id| state.datasets.get(id).map(|entry| entry.dataset.clone());
            Ok(ids.iter().map(found).collect())
        })
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        self.read(|state| {
            Ok(ids
                .iter()
                .map(|id| state.datasets.contains_key(id))
                .collect())
        })
    }

    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport> {
        self.write(|state| Ok(state.mark(ids, Some(when), Timestamp::now())))
    }

    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport> {
        self.write(|state| Ok(state.mark(ids, None, Timestamp::now())))
    }

    async fn purge(&self, ids: &[Uuid], options: &PurgeOptions) -> Result<PurgeReport> {
        self.attempt(options.dry_run, |state| Ok(state.purge(ids, options)))
    }

    async fn add_location(&self, id: Uuid, uri: &str, first: bool) -> Result<bool> {
        self.relocate(id, |places| locations::add(places, uri, first))
    }

    async fn remove_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        self.relocate(id, |places| locations::remove(places, uri))
    }

    async fn archive_location(&self, id: Uuid, uri: &str, when: Timestamp) -> Result<bool> {
        self.relocate(id, |places| locations::mark(places, uri, Some(when)))
    }

    async fn restore_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        self.relocate(id, |places| locations::mark(places, uri, None))
    }

    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>> {
        let resolved = match self.resolve(query) {
            Ok(resolved) if resolved.is_nothing() => return stream::empty().boxed(),
            Ok(resolved) => resolved,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        if !resolved.order.is_empty() {
            return match self.sorted(&resolved) {
                Ok(found) => stream::iter(found.into_iter().map(Ok)).boxed(),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            };
        }
        let left = resolved.limit.unwrap_or(usize::MAX);
        let pages = stream::try_unfold(Some((None, left)), move |state| {
            let next = state.map(|(after, left)| {
                let (found, last) = self.page(&resolved, after, left)?;
                let left = left - found.len();
                let state = last.filter(|_| left > 0).map(|last| (Some(last), left));
                Ok((stream::iter(found.into_iter().map(Ok)), state))
            });
            async move { next.transpose() }
        });
        pages.try_flatten().boxed()
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        let resolved = self.resolve(query)?;
        if resolved.is_nothing() {
            return Ok(0);
        }
        self.read(|state| {
            let limit = resolved.limit.unwrap_or(usize::MAX);
            let found = state
                .order
                .values()
                .filter(|entry| entry.is_found(&resolved));
            Ok(found.take(limit).count() as u64)
        })
    }

    async fn last_change(&self, product: &str) -> Result<Option<Timestamp>> {
        self.read(|state| {
            if !state.products.contains_key(product) {
                return Err(state.unknown(Kind::Product, product));
            }
            let entries = state
                .order
                .values()
                .filter(|entry| entry.record.product == product);
            Ok(entries.map(|entry| entry.changed).max())
        })
    }

    async fn lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        self.read(|state| Ok(state.lineage.walk(ids, direction, max_depth)))
    }

    async fn add_lineage(
        &self,
        relations: &[LineageRelation],
        options: &LineageOptions,
    ) -> Result<LineageReport> {
        self.attempt(options.dry_run, |state| {
            let merged = state.lineage.merge(relations, options.allow_updates)?;
            Ok(merged.report())
        })
    }

    async fn remove_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<u64> {
        self.write(|state| {
            let found = state.lineage.walk(ids, direction, max_depth);
            state.lineage.undo(&found);
            Ok(found.len() as u64)
        })
    }

    fn all_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        match self.read(|state| Ok(state.lineage.all())) {
            Ok(all) => stream::iter(all.into_iter().map(Ok)).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        self.read(|state| Ok(ids.iter().map(|id| state.homes.get(id).cloned()).collect()))
    }

    async fn set_home(&self, ids: &[Uuid], home: &str, allow_updates: bool) -> Result<u64> {
        self.write(|state| {
            let other = ids.iter().find_map(|id| {
                let known = state.homes.get(id)?;
                (known != home).then_some((*id, known))
            });
            if let Some((id, known)) = other.filter(|_| !allow_updates) {
                return Err(Error::other_home(id, known, home));
            }
            let new = ids
                .iter()
                .filter(|id| state.homes.insert(**id, home.to_owned()).as_deref() != Some(home));
            Ok(new.count() as u64)
        })
    }

    async fn clear_homes(&self, ids: &[Uuid]) -> Result<u64> {
        self.write(|state| {
            let known = ids.iter().filter(|id| state.homes.remove(id).is_some());
            Ok(known.count() as u64)
        })
    }
}
