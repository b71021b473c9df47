//! Spatial indexes: extents in some CRSs, for Python's searches.
//!
//! Our own searches go by footprints in longitude and latitude and need none
//! of them; they are kept right for those who search through Python.

use std::sync::Arc;

use datacube_geo::Crs;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::geometry::{self, LONLAT};
use super::read::Stored;
use super::schema::run;
use super::{Lock, PostgisIndex};
use crate::error::{Error, Result};
use crate::footprint::Footprint;
use crate::postgres::Definitions;

/// Datasets of one round.
const PAGE: i64 = 500;

impl PostgisIndex {
    /// The number by which Python knows a CRS.
    fn srid(&self, crs: &Crs) -> Result<i16> {
        crs.epsg()
            .and_then(|epsg| i16::try_from(epsg).ok())
            .ok_or_else(|| Error::Unsupported {
                url: self.address.url.clone(),
                what: format!(
                    "keep footprints in {crs}: its tables tell CRSs by EPSG numbers up to {}",
                    i16::MAX
                ),
            })
    }

    pub(super) async fn indexed_crses(&self) -> Result<Vec<Crs>> {
        let known = self.session().await?.known;
        let crses = known
            .extra
            .srids
            .iter()
            .filter_map(|srid| u32::try_from(*srid).ok())
            .filter_map(|epsg| Crs::from_epsg(epsg).ok());
        Ok(crses.collect())
    }

    pub(super) async fn add_spatial_index(&self, crs: &Crs) -> Result<bool> {
        self.ensure_own().await?;
        self.make_spatial_index(self.srid(crs)?).await
    }

    pub(super) async fn remove_spatial_index(&self, crs: &Crs) -> Result<bool> {
        let srid = self.srid(crs)?;
        if srid == LONLAT {
            return Err(Error::Unsupported {
                url: self.address.url.clone(),
                what: "do without footprints in longitude and latitude: Python searches by them"
                    .to_owned(),
            });
        }
        let failed = self.failed("drop a spatial index");
        let ready = self.ready().await?;
        let mut transaction = self.begin("drop a spatial index").await?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        if ready.has_roles {
            run(&mut transaction, "SET LOCAL ROLE odc_admin".to_owned())
                .await
                .map_err(&failed)?;
        }
        let done = sqlx::query("DELETE FROM odc.spatial_indicies WHERE srid = $1")
            .bind(srid)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        run(
            &mut transaction,
            format!(
                "SET LOCAL client_min_messages = warning; DROP TABLE IF EXISTS odc.spatial_{srid}"
            ),
        )
        .await
        .map_err(&failed)?;
        self.end(transaction, false, "drop a spatial index").await?;
        Ok(done.rows_affected() > 0)
    }

    /// Brings extents into spatial indexes; tells of how many datasets.
    pub(super) async fn fill_spatial_indexes(
        &self,
        crses: &[Crs],
        products: &[String],
        ids: &[Uuid],
    ) -> Result<u64> {
        self.ensure_own().await?;
        let known = self.session().await?.known;
        let mut srids = Vec::new();
        for crs in crses {
            let srid = self.srid(crs)?;
            if !known.extra.srids.contains(&srid) {
                return Err(Error::Unsupported {
                    url: self.address.url.clone(),
                    what: format!(
                        "keep footprints in {crs} yet; `datacube spindex create {srid}` lets it"
                    ),
                });
            }
            srids.push(srid);
        }
        if srids.is_empty() {
            srids.clone_from(&known.extra.srids);
        }
        for name in products {
            known.product(name)?;
        }
        let product_ids = known.keys_of(products);
        let everything = products.is_empty() && ids.is_empty();
        let (mut n_datasets, mut after) = (0_u64, Uuid::nil());
        loop {
            let failed = self.failed("update a spatial index");
            let mut transaction = self.begin("update a spatial index").await?;
            let page: Vec<Uuid> = sqlx::query_scalar(
                "SELECT id FROM odc.dataset WHERE id > $1 \
                 AND ($2 OR product_ref = ANY($3) OR id = ANY($4)) ORDER BY id LIMIT $5",
            )
            .bind(after)
            .bind(everything)
            .bind(&product_ids)
            .bind(ids)
            .bind(PAGE)
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
            let Some(last) = page.last() else {
                return Ok(n_datasets);
            };
            after = *last;
            n_datasets += page.len() as u64;
            let stored = Stored::read(&mut transaction, &page, true)
                .await
                .map_err(&failed)?;
            let (known, url, srids_there) =
                (Arc::clone(&known), self.address.url.clone(), srids.clone());
            let made = tokio::task::spawn_blocking(move || {
                extents_of(&stored, &known, &url, &srids_there)
            });
            let extents = made.await.expect("making extents does not panic")?;
            for (srid, (ids, extents)) in srids.iter().zip(extents) {
                sqlx::query(AssertSqlSafe(format!(
                    "INSERT INTO odc.spatial_{srid} (dataset_ref, extent) \
                     SELECT id, ST_GeomFromEWKB(extent) \
                     FROM unnest($1::uuid[], $2::bytea[]) AS r (id, extent) \
                     ON CONFLICT (dataset_ref) DO UPDATE SET extent = excluded.extent"
                )))
                .bind(ids)
                .bind(extents)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            }
            self.end(transaction, false, "update a spatial index")
                .await?;
        }
    }
}

/// Ids of datasets, and their extents in one CRS.
type Extents = (Vec<Uuid>, Vec<Vec<u8>>);

/// Ids with their extents, for each SRID.
fn extents_of(
    stored: &[Stored],
    known: &Definitions,
    url: &str,
    srids: &[i16],
) -> Result<Vec<Extents>> {
    let mut out: Vec<Extents> = vec![Default::default(); srids.len()];
    for stored in stored {
        let dataset = stored.dataset(known, url)?;
        let Some(footprint) = Footprint::of_dataset(&dataset) else {
            continue;
        };
        for (srid, (ids, extents)) in srids.iter().zip(&mut out) {
            if let Some(extent) = geometry::extent(&dataset, &footprint, *srid) {
                ids.push(stored.id);
                extents.push(extent);
            }
        }
    }
    Ok(out)
}
