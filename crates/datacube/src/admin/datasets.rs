//! Datasets: counted, compared, located and removed.

use datacube_geo::{Crs, Geometry};
use datacube_index::{Duplicates, PurgeOptions, PurgeReport, Query, TimeRange};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::{Datacube, Error, Result};

both! {
    /// Removes datasets for good: archived ones, active ones only when `options` say so.
    ///
    /// # Errors
    /// [`Error::Index`] when the index cannot be written; then nothing was removed.
    purge / purge_async (
        index,
        ids: &[Uuid] = ids.to_vec(),
        options: &PurgeOptions = options.clone(),
    ) -> PurgeReport {
        Ok(index.purge(&ids, &options).await?)
    }

    /// How many datasets of each product match: products by name, those with
    /// none left out.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    count_by_product / count_by_product_async (
        index,
        query: &Query = query.clone(),
    ) -> Vec<(String, u64)> {
        Ok(index.count_by_product(&query).await?)
    }

    /// How many of the datasets that match meet each of the periods.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    count_through_time / count_through_time_async (
        index,
        query: &Query = query.clone(),
        periods: &[TimeRange] = periods.to_vec(),
    ) -> Vec<u64> {
        Ok(index.count_through_time(&query, &periods).await?)
    }

    /// From the earliest beginning to the latest end of the datasets that
    /// match; `None` when none does.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    temporal_extent / temporal_extent_async (
        index,
        query: &Query = query.clone(),
    ) -> Option<TimeRange> {
        Ok(index.temporal_extent(&query).await?)
    }

    /// The union of the footprints of the datasets that match, in a CRS;
    /// `None` when there is nothing.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    spatial_extent / spatial_extent_async (
        index,
        query: &Query = query.clone(),
        crs: &Crs = crs.clone(),
    ) -> Option<Geometry> {
        Ok(index.spatial_extent(&query, &crs).await?)
    }

    /// Groups of two or more datasets, of those that match, that are equal in
    /// all of `fields`.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown field and when the index cannot be read.
    duplicates / duplicates_async (
        index,
        query: &Query = query.clone(),
        fields: &[String] = fields.to_vec(),
    ) -> Vec<Duplicates> {
        Ok(index.duplicates(&query, &fields).await?)
    }

    /// When a dataset of the product was last added, updated, archived or restored.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown product.
    last_change / last_change_async (index, product: &str = product.to_owned()) -> Option<Timestamp> {
        Ok(index.last_change(&product).await?)
    }

    /// Adds a location to a dataset, before the others when it is to be read
    /// first; tells whether anything changed.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown dataset.
    add_location / add_location_async (
        index,
        id: Uuid,
        uri: &str = uri.to_owned(),
        first: bool,
    ) -> bool {
        Ok(index.add_location(id, &uri, first).await?)
    }

    /// Removes a location of a dataset; tells whether it was there.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown dataset.
    remove_location / remove_location_async (
        index,
        id: Uuid,
        uri: &str = uri.to_owned(),
    ) -> bool {
        Ok(index.remove_location(id, &uri).await?)
    }

    /// Archives a location of a dataset, so that nothing is read from it;
    /// tells whether there was an active one.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown dataset.
    archive_location / archive_location_async (
        index,
        id: Uuid,
        uri: &str = uri.to_owned(),
        when: Timestamp,
    ) -> bool {
        Ok(index.archive_location(id, &uri, when).await?)
    }

    /// Makes an archived location of a dataset active again; tells whether
    /// there was one.
    ///
    /// # Errors
    /// [`Error::Index`] for an unknown dataset.
    restore_location / restore_location_async (
        index,
        id: Uuid,
        uri: &str = uri.to_owned(),
    ) -> bool {
        Ok(index.restore_location(id, &uri).await?)
    }
}

impl Datacube {
    /// Calls `each` with the values of `fields` for every dataset that
    /// matches, in the order of the query; null where a dataset has none.
    ///
    /// Rows are streamed: memory does not grow with their number.
    ///
    /// # Errors
    /// What `each` returns, and [`Error::Index`] as an `E`.
    pub fn search_returning_each<E: From<Error>>(
        &self,
        query: Query,
        fields: &[String],
        mut each: impl FnMut(Vec<Value>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (index, fields) = (self.index().clone(), fields.to_vec());
        let (sender, receiver) = std::sync::mpsc::sync_channel(64);
        let searching = self.opened().start(async move {
            let mut rows = index.search_returning(&query, &fields);
            while let Some(row) = rows.next().await {
                // The receiver is gone when `each` failed: nobody wants the rest.
                if tokio::task::block_in_place(|| sender.send(row)).is_err() {
                    break;
                }
            }
        })?;
        let done = receiver
            .into_iter()
            .try_for_each(|row| each(row.map_err(Error::from)?));
        searching.wait();
        done
    }
}
