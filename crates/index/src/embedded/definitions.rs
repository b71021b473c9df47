//! Metadata types, products and the keys of search fields, as last read.
//!
//! A search needs them all, and they seldom change. They are read again when
//! the file's catalogue revision says that somebody, perhaps another process,
//! has changed them; asking for the revision is one small statement.

use std::collections::HashMap;

use datacube_model::MetadataType;
use sqlx::sqlite::SqliteConnection;

use super::errors::Place;
use crate::definitions::{self, Row};
use crate::error::Result;
use crate::fields;

/// What the catalogue tables held at one revision.
pub(super) type Definitions = definitions::Definitions<i64, Moment>;

/// What else is known of the moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) revision: i64,
    /// The keys of search fields by name.
    pub(super) fields: HashMap<String, i64>,
}

/// The revision of the catalogue.
pub(super) async fn revision(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT revision FROM catalog")
        .fetch_one(connection)
        .await
}

/// Reads everything; the connection should be in a transaction, so that it is
/// of one moment.
pub(super) async fn read(connection: &mut SqliteConnection, place: &Place) -> Result<Definitions> {
    let failed = place.failed("read its products");
    let revision = revision(&mut *connection).await.map_err(&failed)?;
    let types: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT key, name, document FROM metadata_type ORDER BY name")
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
    let products: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT key, name, document FROM product ORDER BY name")
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
    let fields: Vec<(String, i64)> = sqlx::query_as("SELECT name, key FROM search_field")
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    let row = |(key, name, text): (i64, String, String)| Row {
        key,
        name,
        document: serde_json::from_str(&text).map_err(|error| error.to_string()),
    };
    let moment = Moment {
        revision,
        fields: fields.into_iter().collect(),
    };
    Definitions::of_rows(
        &place.url,
        types.into_iter().map(row),
        products.into_iter().map(row),
        moment,
    )
}

/// The names under which values of datasets of a metadata type are stored.
pub(super) fn stored_fields(metadata_type: &MetadataType) -> impl Iterator<Item = &str> {
    let declared = metadata_type.fields().keys().map(String::as_str);
    declared
        .filter(|name| !fields::is_reserved(name))
        .chain(fields::SYSTEM_OFFSETS.iter().map(|(name, _)| *name))
}
