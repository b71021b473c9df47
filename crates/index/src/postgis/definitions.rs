//! Metadata types, products and spatial indexes, as last read.
//!
//! A search needs them all, and they seldom change. They are read again when
//! the versions of their rows say that somebody, perhaps Python, has changed
//! them; asking for that is one small statement.

use sqlx::postgres::PgConnection;

use crate::error::Result;
use crate::postgres::definitions::{Definitions, Moment, Stored, row};
use crate::postgres::errors::failed;

/// Versions of rows: every change makes another one.
macro_rules! revision {
    ($($more:literal),*) => {
        concat!(
            "SELECT coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' \
                 ORDER BY id)) FROM odc.metadata_type), '') || \
             coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' \
                 ORDER BY id)) FROM odc.product), '') || \
             coalesce((SELECT string_agg(srid::text, ',' ORDER BY srid) \
                 FROM odc.spatial_indicies), '')",
            $($more),*
        )
    };
}

/// The revision of the definitions, and that there may be rows not derived.
pub(super) const REVISION_ALONE: &str = revision!(", FALSE");

/// The revision, and whether there are rows that are not derived.
pub(super) const REVISION_AND_STRANGERS: &str =
    revision!(", EXISTS (SELECT FROM datacube.dataset WHERE NOT is_derived)");

const TYPES: &str = "SELECT id, name, definition, NULL::text FROM odc.metadata_type";
const TYPES_AS_WRITTEN: &str = "SELECT t.id, t.name, t.definition, w.document \
    FROM odc.metadata_type AS t LEFT JOIN datacube.definition AS w \
    ON w.kind = 'metadata_type' AND w.id = t.id";
const PRODUCTS: &str = "SELECT id, name, definition, NULL::text FROM odc.product";
const PRODUCTS_AS_WRITTEN: &str = "SELECT t.id, t.name, t.definition, w.document \
    FROM odc.product AS t LEFT JOIN datacube.definition AS w \
    ON w.kind = 'product' AND w.id = t.id";

/// Reads everything; `is_own` says whether this program's schema is there.
pub(super) async fn read(
    connection: &mut PgConnection,
    url: &str,
    is_own: bool,
) -> Result<Definitions> {
    let failed = failed(url, "read its products");
    let (revision, _): (String, bool) = sqlx::query_as(REVISION_ALONE)
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    // Products first: the types of all that were read are there then.
    let products = if is_own {
        PRODUCTS_AS_WRITTEN
    } else {
        PRODUCTS
    };
    let product_rows: Vec<Stored> = sqlx::query_as(products)
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    let types = if is_own { TYPES_AS_WRITTEN } else { TYPES };
    let type_rows: Vec<Stored> = sqlx::query_as(types)
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    let srids: Vec<i16> = sqlx::query_scalar("SELECT srid FROM odc.spatial_indicies ORDER BY srid")
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    Definitions::of_rows(
        url,
        type_rows.into_iter().map(row),
        product_rows.into_iter().map(row),
        Moment { revision, srids },
    )
}
