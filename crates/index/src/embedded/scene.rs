//! Archiving what a new dataset makes out of date.

use std::sync::Arc;
use std::time::Duration;

use datacube_model::Dataset;
use jiff::Timestamp;
use uuid::Uuid;

use super::add::Longest;
use super::definitions::Definitions;
use super::rows::Row;
use super::sql::Statement;
use super::{EmbeddedIndex, Transaction};
use crate::error::{Error, Result};
use crate::maturity::Standing;
use crate::time_range::micros;

/// A dataset that has had its day.
pub(super) enum Outdated {
    /// The key of one in the file.
    Stored(i64, Uuid),
    /// The place of one among the rows that are yet to be written.
    Pending(usize),
}

impl EmbeddedIndex {
    /// The active datasets of the scene of a new one that are less mature;
    /// the inner error when one is not.
    pub(super) async fn outdated(
        &self,
        transaction: &mut Transaction<'_>,
        known: &Definitions,
        row: &Row,
        leniency: Duration,
        longest: &Longest,
        pending: &[Row],
    ) -> Result<Result<Vec<Outdated>>> {
        if row.dataset.is_archived() {
            return Ok(Ok(Vec::new()));
        }
        let standing = match Standing::of(&row.dataset) {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(error)),
        };
        let longest = longest.get(&row.product).copied().unwrap_or_default();
        let mut others = self
            .of_scene(
                transaction,
                known,
                row.product,
                &standing,
                leniency,
                longest,
            )
            .await?;
        for (place, row) in pending.iter().enumerate() {
            if row.dataset.is_archived() {
                continue;
            }
            if let Some(other) = Standing::of_other(&row.dataset) {
                let order = (row.record.center_us(), other.id);
                others.push((order, other, Outdated::Pending(place)));
            }
        }
        others.sort_by_key(|(order, ..)| *order);
        let mut outdated = Vec::new();
        for (_, other, which) in others {
            match standing.outdates(&other, leniency) {
                Ok(true) => outdated.push(which),
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(outdated))
    }

    /// The active datasets in the file that may be of a scene, with their
    /// place in the order.
    async fn of_scene(
        &self,
        transaction: &mut Transaction<'_>,
        known: &Definitions,
        product: i64,
        standing: &Standing,
        leniency: Duration,
        longest: i64,
    ) -> Result<Vec<((i64, Uuid), Standing, Outdated)>> {
        let failed = self.place.failed("look for less mature datasets");
        let noted: i64 = sqlx::query_scalar("SELECT longest_us FROM product WHERE key = ?1")
            .bind(product)
            .fetch_one(&mut **transaction)
            .await
            .map_err(&failed)?;
        let beyond = noted.max(longest) / 2 + 1;
        let (low, high) = standing.times(leniency);
        let mut statement = Statement::default();
        let of_product = statement.product_condition(Some(&[product]));
        let (first, last) = (
            statement.integer(low.saturating_sub(beyond)),
            statement.integer(high.saturating_add(beyond)),
        );
        let (low, high) = (statement.integer(low), statement.integer(high));
        let has_region = known
            .product_by_key(product)
            .is_some_and(|product| product.metadata_type().field("region_code").is_some());
        let in_region = match known.extra.fields.get("region_code").filter(|_| has_region) {
            Some(field) => {
                let region = statement.text(standing.region.as_str());
                format!("AND d.fields ->> '$.\"{field}\"' = {region}")
            }
            None => String::new(),
        };
        statement.text = format!(
            "SELECT d.key, d.id, d.center_us, t.text \
             FROM dataset AS d INDEXED BY dataset_product_order \
             CROSS JOIN document AS t ON t.dataset = d.key \
             WHERE {of_product} AND d.center_us BETWEEN {first} AND {last} \
             AND d.begin_us <= {high} AND d.end_us >= {low} AND d.archived_us IS NULL {in_region}"
        );
        let rows: Vec<(i64, Uuid, i64, String)> = statement
            .query()
            .fetch_all(&mut **transaction)
            .await
            .map_err(&failed)?;
        let mut found = Vec::with_capacity(rows.len());
        for (key, id, center_us, text) in rows {
            let corrupt = |reason: String| Error::Corrupt {
                url: self.place.url.clone(),
                what: format!("the document of dataset {id}"),
                reason,
            };
            let product = known
                .product_by_key(product)
                .ok_or_else(|| corrupt("its product is not there".to_owned()))?;
            let document = serde_json::from_str(&text).map_err(|e| corrupt(e.to_string()))?;
            let dataset = Dataset::from_indexed(document, Arc::clone(product), Vec::new())
                .map_err(|e| corrupt(e.to_string()))?;
            if let Some(other) = Standing::of_other(&dataset) {
                found.push(((center_us, id), other, Outdated::Stored(key, id)));
            }
        }
        Ok(found)
    }

    /// Archives what has had its day; gives the ids of what is in the file.
    pub(super) async fn retire(
        &self,
        transaction: &mut Transaction<'_>,
        outdated: &[Outdated],
        now: Timestamp,
        pending: &mut [Row],
    ) -> Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for which in outdated {
            match which {
                Outdated::Pending(place) => {
                    let row = &mut pending[*place];
                    row.dataset = row.dataset.clone().with_archived(Some(now));
                }
                Outdated::Stored(key, id) => {
                    sqlx::query(
                        "UPDATE dataset SET archived_us = ?1, changed_us = ?1 WHERE key = ?2",
                    )
                    .bind(micros(now))
                    .bind(key)
                    .execute(&mut **transaction)
                    .await
                    .map_err(self.place.failed("archive less mature datasets"))?;
                    ids.push(*id);
                }
            }
        }
        Ok(ids)
    }
}
