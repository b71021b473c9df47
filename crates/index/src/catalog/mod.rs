//! The contract of an index, and the convenience built on it.
//!
//! An index holds metadata types, products and datasets, by name and by id,
//! where datasets are and what they were made from, and finds datasets again.
//! [`Index`] is what an implementation writes; [`IndexExt`] is what callers
//! like to call and is the same for all of them. Whatever goes over this
//! border is a value of the model: no rows, no connections, no SQL.

pub(crate) mod defaults;
pub(crate) use defaults::shown;
mod ext;
mod options;
mod outcomes;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::{Crs, Geometry};
use datacube_model::{Dataset, LineageDirection, LineageRelation, MetadataType, Product};
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::query::Query;
use crate::time_range::TimeRange;

pub use ext::IndexExt;
pub use options::{
    AddOptions, DeleteOptions, InitOptions, LineageOptions, LocationPolicy, PurgeOptions,
    UpdateDatasetOptions, UpdateOptions,
};
pub(crate) use outcomes::OutlineRow;
pub use outcomes::{
    AddOutcome, Added, ArchiveReport, DeleteOutcome, Duplicates, IndexInfo, InitOutcome,
    LineageReport, Outline, PurgeReport, UpdateOutcome, Updated, User,
};

/// Contract: a store of metadata types, products and datasets.
///
/// - Every method may be called at the same time from any number of tasks, and
///   the index may be changed by other processes meanwhile.
/// - A method that writes does all of what it reports or, when it returns an
///   error, nothing. With `dry_run` it reports the same and writes nothing.
/// - Lists of metadata types and products are ordered by name; datasets that
///   were searched as [`Query`] tells.
/// - Before [`Index::init`] an index that keeps its data somewhere answers
///   everything with [`Error::NotInitialised`].
/// - What an index cannot do by its nature it refuses with
///   [`Error::Unsupported`].
///
/// [`crate::testing`] has the cases that every implementation passes.
#[async_trait]
pub trait Index: Debug + Send + Sync {
    /// The address of the index, fit to be shown: without any password.
    fn url(&self) -> &str;

    /// Makes the index ready for use: creates what is missing, brings an older
    /// one up to date, adds the built-in metadata types that are missing.
    ///
    /// Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the place cannot be written to or holds something else.
    async fn init(&self, options: &InitOptions) -> Result<InitOutcome>;

    /// What the index is and whether it can be used, without changing it.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], or why it cannot be used.
    async fn check(&self) -> Result<IndexInfo>;

    /// Removes everything, the schema too: the index is then as it was before
    /// [`Index::init`].
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn clear(&self) -> Result<()> {
        Err(defaults::unsupported(self.url(), "empty itself"))
    }

    /// Lets go of the files that the index holds open, once what is under way
    /// has ended: all that was written is then in its one file. The index may
    /// still be used, the next call opens it again.
    ///
    /// A stream that is still held is waited for, up to the busy timeout.
    /// Connections to a server are of no account here: they end with the index.
    ///
    /// # Errors
    /// When what was written cannot be brought into the file; it is safe
    /// beside it then, and brought in by the next who opens it.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    // Definitions.

    /// Adds a metadata type; the same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::DifferentDefinition`] when the name is taken by another.
    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added>;

    /// The metadata type of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the names there are.
    async fn metadata_type(&self, name: &str) -> Result<MetadataType>;

    /// All metadata types.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn metadata_types(&self) -> Result<Vec<MetadataType>>;

    /// Replaces the metadata type of the same name. Where fields changed, the
    /// datasets of its products are found by the new ones afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::UnsafeChanges`] without leave for them,
    /// told item by item; a product or dataset in the index that cannot be
    /// read under the new type.
    async fn update_metadata_type(
        &self,
        metadata_type: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        let _ = (metadata_type, options);
        Err(defaults::unsupported(self.url(), "update metadata types"))
    }

    /// Adds a product, and its metadata type where the index lacks it; the
    /// same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::DifferentDefinition`] when the name of the product or of its
    /// metadata type is taken by another.
    async fn add_product(&self, product: &Product) -> Result<Added>;

    /// The product of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the names there are.
    async fn product(&self, name: &str) -> Result<Arc<Product>>;

    /// All products.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn products(&self) -> Result<Vec<Arc<Product>>>;

    /// Replaces the product of the same name. Where its metadata type changed
    /// (which is unsafe), its datasets are found by the fields of the new one
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the product and for its metadata type;
    /// [`Error::DifferentDefinition`] where the index has another definition
    /// of that type; [`Error::UnsafeChanges`] without leave for them; a
    /// dataset in the index that cannot be read under the new definition.
    async fn update_product(&self, product: &Product, options: &UpdateOptions) -> Result<Updated> {
        let _ = (product, options);
        Err(defaults::unsupported(self.url(), "update products"))
    }

    /// Deletes products with everything that belongs to them, all in one
    /// transaction; what became of each is told in the order of `names`.
    ///
    /// A product that is not there, or has active datasets without
    /// [`DeleteOptions::with_active`], is reported in its place and keeps no
    /// other from being deleted. Archived datasets go with their product, as
    /// by [`Index::purge`].
    ///
    /// # Errors
    /// When the index as a whole cannot be written.
    async fn delete_products(
        &self,
        names: &[String],
        options: &DeleteOptions,
    ) -> Result<Vec<DeleteOutcome>> {
        let _ = (names, options);
        Err(defaults::unsupported(self.url(), "delete products"))
    }

    // Datasets.

    /// Adds datasets, all in one transaction; what became of each is told in
    /// the order of `datasets`.
    ///
    /// A dataset that cannot be added (its product is not in the index, or has
    /// another definition there; its id is taken by another document; its
    /// lineage contradicts what is known) is reported in its place and keeps
    /// no other from being added. One that is there with the same document is
    /// left as it is, its locations, its lineage and whether it is archived
    /// included.
    ///
    /// # Errors
    /// When the index as a whole cannot be written; then none was added.
    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>>;

    /// How many batches of datasets are best added at once, each by a call of
    /// [`Index::add_datasets`]; 1 where there is one writer.
    fn writers(&self) -> usize {
        1
    }

    /// Replaces the documents of datasets, all in one transaction; what became
    /// of each is told in the order of `datasets`.
    ///
    /// A dataset is known by its id. Its locations are put before those that
    /// are there, which are dealt with by [`LocationPolicy`]; it stays
    /// archived if it was. The relations of the old document that the new one
    /// does not have are removed, the new ones recorded. One that is not
    /// there, that would change its product, or whose change is unsafe
    /// ([`Error::UnsafeChanges`]) is reported in its place.
    ///
    /// # Errors
    /// When the index as a whole cannot be written; then none was updated.
    async fn update_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        let _ = (datasets, options);
        Err(defaults::unsupported(self.url(), "update datasets"))
    }

    /// The datasets of those ids, archived ones included, in the order of
    /// `ids`; `None` where there is none.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>>;

    /// Which of the ids the index holds, archived ones included, in the order
    /// of `ids`.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>>;

    /// Marks datasets as archived at `when`; those that are archived already
    /// keep their time.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport>;

    /// Makes archived datasets active again.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport>;

    /// Removes datasets for good, with their locations, their home and the
    /// relations to what they were made from; what says that others were made
    /// from them stays. Active ones only with [`PurgeOptions::with_active`].
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn purge(&self, ids: &[Uuid], options: &PurgeOptions) -> Result<PurgeReport> {
        let _ = (ids, options);
        Err(defaults::unsupported(self.url(), "remove datasets"))
    }

    // Where datasets are.

    /// Adds a location after the others of a dataset, or before them; one that
    /// is there becomes active, and the first if so asked. Tells whether
    /// anything changed.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such dataset.
    async fn add_location(&self, id: Uuid, uri: &str, first: bool) -> Result<bool> {
        let _ = (id, uri, first);
        Err(defaults::unsupported(self.url(), "change locations"))
    }

    /// Removes a location of a dataset, active or archived; tells whether it
    /// was there.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such dataset.
    async fn remove_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        let _ = (id, uri);
        Err(defaults::unsupported(self.url(), "change locations"))
    }

    /// Marks an active location of a dataset as archived, so that nothing is
    /// read from it; tells whether there was one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such dataset.
    async fn archive_location(&self, id: Uuid, uri: &str, when: Timestamp) -> Result<bool> {
        let _ = (id, uri, when);
        Err(defaults::unsupported(self.url(), "change locations"))
    }

    /// Makes an archived location of a dataset active again; tells whether
    /// there was one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such dataset.
    async fn restore_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        let _ = (id, uri);
        Err(defaults::unsupported(self.url(), "change locations"))
    }

    // Searching.

    /// The datasets that satisfy the query, in its order, as they are read:
    /// the memory in use does not grow with the number of datasets found.
    ///
    /// A dataset that cannot be read is [`Error::Dataset`] or
    /// [`Error::Corrupt`] in its place; after the former the stream goes on.
    ///
    /// Names, types and areas are checked before the first dataset is read;
    /// the stream then begins with the error. Datasets that are added, or
    /// archived, while the stream is read may or may not be in it; all others
    /// are in it once.
    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>>;

    /// How many datasets [`Index::search`] would give.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn count(&self, query: &Query) -> Result<u64>;

    /// What some fields hold for each dataset that [`Index::search`] would
    /// give, in that order; null where a dataset has no value.
    ///
    /// Besides the search fields of the products there are `id`, `product`,
    /// `metadata_type`, `label`, `format`, `creation_time`, `indexed_time`,
    /// `archived` (a time), `uri` (the first active location), `time`, `lat`
    /// and `lon`. Times are texts (`2020-02-03T04:05:06Z`), ranges objects
    /// with `begin` and `end`.
    ///
    /// The stream begins with [`Error::UnknownField`] for a field that none of
    /// the products has.
    fn search_returning<'a>(
        &'a self,
        query: &Query,
        fields: &[String],
    ) -> BoxStream<'a, Result<Vec<Value>>> {
        defaults::search_returning(self, query.clone(), fields.to_vec())
    }

    /// When and where each dataset is that [`Index::search`] would give, in that
    /// order. No document is read where the index knows it without. The stream may hold a
    /// connection for as long as it lives: take all of it, or drop it, before waiting
    /// for others.
    fn outlines<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Outline>> {
        defaults::outlines(self, query)
    }

    /// How many datasets of each product a query finds: products by name,
    /// those with none left out. The query's `limit` is not regarded.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn count_by_product(&self, query: &Query) -> Result<Vec<(String, u64)>> {
        defaults::count_by_product(self, query).await
    }

    /// How many of the datasets that a query finds meet each of some periods,
    /// which may overlap. The query's `limit` is not regarded.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn count_through_time(&self, query: &Query, periods: &[TimeRange]) -> Result<Vec<u64>> {
        defaults::count_through_time(self, query, periods).await
    }

    /// Datasets, of those that a query finds, that have equal values in all of
    /// `fields`: the groups of two or more. A dataset without a value in one
    /// of them is like no other. Groups are ordered by their least id, as the
    /// ids in a group are. The query's `limit` is not regarded.
    ///
    /// # Errors
    /// [`Error::UnknownField`]; as the first item of [`Index::search`].
    async fn duplicates(&self, query: &Query, fields: &[String]) -> Result<Vec<Duplicates>> {
        defaults::duplicates(self, query, fields).await
    }

    /// From the earliest beginning to the latest end of what a query finds;
    /// `None` when it finds nothing. The query's `limit` is not regarded.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn temporal_extent(&self, query: &Query) -> Result<Option<TimeRange>> {
        defaults::temporal_extent(self, query).await
    }

    /// The union of the footprints of what a query finds, in a CRS; `None`
    /// when nothing has a footprint there. In longitude and latitude it is cut
    /// at the antimeridian. The query's `limit` is not regarded.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn spatial_extent(&self, query: &Query, crs: &Crs) -> Result<Option<Geometry>> {
        defaults::spatial_extent(self, query, crs).await
    }

    /// When a dataset of the product was last added, updated, archived or
    /// restored; `None` when it has no datasets.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the names there are.
    async fn last_change(&self, product: &str) -> Result<Option<Timestamp>> {
        let _ = product;
        Err(defaults::unsupported(self.url(), "note its changes"))
    }

    // Lineage.

    /// The relations that lead from datasets to what they were made from, or
    /// to what was made from them, at most `max_depth` steps away (`None`: as
    /// far as they go). Each relation once, ordered by (derived, classifier,
    /// source).
    ///
    /// Relations may be of datasets that the index does not hold.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        let _ = (ids, direction, max_depth);
        Err(defaults::unsupported(self.url(), "keep lineage"))
    }

    /// Records relations: all of them or, on an error, none.
    ///
    /// # Errors
    /// [`Error::Lineage`] when datasets would be made from themselves, by
    /// whatever detour, or a pair is known under another classifier and
    /// [`LineageOptions::allow_updates`] is not given.
    async fn add_lineage(
        &self,
        relations: &[LineageRelation],
        options: &LineageOptions,
    ) -> Result<LineageReport> {
        let _ = (relations, options);
        Err(defaults::unsupported(self.url(), "keep lineage"))
    }

    /// Removes the relations that [`Index::lineage`] would give; tells how
    /// many those were.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn remove_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<u64> {
        let _ = (ids, direction, max_depth);
        Err(defaults::unsupported(self.url(), "keep lineage"))
    }

    /// Every relation, ordered by (derived, classifier, source), as they are
    /// read.
    fn all_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        defaults::failing(defaults::unsupported(self.url(), "keep lineage"))
    }

    /// In which other index each dataset is at home, as was noted; in the
    /// order of `ids`.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        let _ = ids;
        Err(defaults::unsupported(self.url(), "keep homes of datasets"))
    }

    /// Notes in which index datasets are at home, whether this one holds them
    /// or not; tells for how many that is new.
    ///
    /// # Errors
    /// [`Error::Lineage`] when another home is noted for one and
    /// `allow_updates` is false; then nothing is noted.
    async fn set_home(&self, ids: &[Uuid], home: &str, allow_updates: bool) -> Result<u64> {
        let _ = (ids, home, allow_updates);
        Err(defaults::unsupported(self.url(), "keep homes of datasets"))
    }

    /// Forgets where datasets are at home; tells of how many it knew.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn clear_homes(&self, ids: &[Uuid]) -> Result<u64> {
        let _ = ids;
        Err(defaults::unsupported(self.url(), "keep homes of datasets"))
    }

    // What a server has.

    /// The CRSs in which the index keeps footprints ready for searching; it
    /// finds areas in any other through longitude and latitude.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn spatial_indexes(&self) -> Result<Vec<Crs>> {
        Ok(vec![Crs::wgs84()])
    }

    /// Keeps footprints ready in another CRS; tells whether that is new. What
    /// is in the index is brought in by [`Index::update_spatial_index`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it would be of no use.
    async fn create_spatial_index(&self, crs: &Crs) -> Result<bool> {
        let _ = crs;
        Err(defaults::one_spatial_index(self.url()))
    }

    /// Brings the footprints of datasets into spatial indexes (none named:
    /// all of them), those of some products or ids (none named: of all);
    /// tells how many datasets that were.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a product; [`Error::Unsupported`].
    async fn update_spatial_index(
        &self,
        crses: &[Crs],
        products: &[String],
        ids: &[Uuid],
    ) -> Result<u64> {
        let _ = (crses, products, ids);
        Err(defaults::one_spatial_index(self.url()))
    }

    /// No longer keeps footprints in a CRS; tells whether it did.
    ///
    /// # Errors
    /// [`Error::Unsupported`], for the last one too.
    async fn drop_spatial_index(&self, crs: &Crs) -> Result<bool> {
        let _ = crs;
        Err(defaults::one_spatial_index(self.url()))
    }

    /// Who may use the index.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the index has no users of its own.
    async fn users(&self) -> Result<Vec<User>> {
        Err(defaults::no_users(self.url()))
    }

    /// Makes a user with a role: `user` reads, `manage` writes, `admin` also
    /// makes and clears the index.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the index has no users of its own.
    async fn create_user(
        &self,
        role: &str,
        name: &str,
        password: &str,
        description: Option<&str>,
    ) -> Result<()> {
        let _ = (role, name, password, description);
        Err(defaults::no_users(self.url()))
    }

    /// Gives a role to users.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the index has no users of its own.
    async fn grant(&self, role: &str, names: &[String]) -> Result<()> {
        let _ = (role, names);
        Err(defaults::no_users(self.url()))
    }

    /// Removes users.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the index has no users of its own.
    async fn delete_users(&self, names: &[String]) -> Result<()> {
        let _ = names;
        Err(defaults::no_users(self.url()))
    }
}
