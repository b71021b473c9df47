//! What can go wrong in an index, each outcome with what to do about it.
//!
//! A message names what was met, where, what was expected and the next step,
//! because it is what the command line prints. Callers ask the predicates
//! ([`Error::is_not_found`], [`Error::is_transient`]) rather than match text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use datacube_model::Changes;
use uuid::Uuid;

/// PostgreSQL: two transactions in each other's way, a server that stops or
/// starts, or has no connection left.
const TRANSIENT_CODES: [&str; 6] = ["40001", "40P01", "53300", "57P01", "57P02", "57P03"];

/// The result of an index operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed index operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or id that the index does not hold.
    #[error("{}", not_found_text(*.kind, .name, .known))]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The name or id that was given.
        name: String,
        /// What the index does hold under that kind; empty where listing it
        /// would be of no use (datasets).
        known: Vec<String>,
    },

    /// There is no index at this place yet.
    #[error("there is no index at {url} yet; `datacube --index {url} system init` makes one")]
    NotInitialised {
        /// The address of the index.
        url: String,
    },

    /// The index was made by an older version of this program.
    #[error(
        "the index at {url} has schema version {found}, this program works with {expected}; \
         `datacube --index {url} system init` brings it up to date (copy the file first if \
         an older program still needs it)"
    )]
    SchemaTooOld {
        /// The address of the index.
        url: String,
        /// The version in the file.
        found: i64,
        /// The version that this program writes.
        expected: i64,
    },

    /// The index was made by a newer version of this program.
    #[error(
        "the index at {url} has schema version {found}, this program knows versions up to \
         {expected}; use a newer datacube to read it"
    )]
    SchemaTooNew {
        /// The address of the index.
        url: String,
        /// The version in the file.
        found: i64,
        /// The newest version that this program knows.
        expected: i64,
    },

    /// The tables of Python's Open Data Cube are of a version that this program
    /// does not know.
    #[error(
        "the schema `odc` at {url} has alembic revision {found}, this program works with \
         {expected}; `datacube system init` of Python's datacube 1.9.22 brings it there"
    )]
    ForeignSchema {
        /// The address of the index.
        url: String,
        /// The revision in the database.
        found: String,
        /// The revision that this program works with.
        expected: String,
    },

    /// The database has no index in the tables that were asked for, and
    /// perhaps one in others.
    #[error("{}", other_schema_text(.url, *.wanted, *.found))]
    OtherSchema {
        /// The address of the index.
        url: String,
        /// The tables that were asked for.
        wanted: Schema,
        /// Those that there are.
        found: Option<Schema>,
    },

    /// The user of the database may not do it.
    #[error(
        "the user of {url} may not {action}: {reason}; an administrator of the index grants \
         more with `datacube user grant`"
    )]
    Forbidden {
        /// The address of the index.
        url: String,
        /// Such as `add datasets`.
        action: &'static str,
        /// What the database said.
        reason: String,
    },

    /// The server does not let the user in.
    #[error("cannot log in to {url}: {reason}")]
    Login {
        /// The address of the index.
        url: String,
        /// What the server said, and what to look at.
        reason: String,
    },

    /// Nobody answers at the address.
    #[error(
        "nothing answers at {url}: {reason}; check that the server runs, and the host, port or \
         socket folder of the address (PGHOST and PGPORT where it names none)"
    )]
    Unreachable {
        /// The address of the index.
        url: String,
        /// What the system said.
        reason: String,
    },

    /// The server cannot be spoken to as safely as was asked.
    #[error("cannot speak with the server of {url} by TLS: {reason}")]
    Tls {
        /// The address of the index.
        url: String,
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// A user or role that is not as it should be.
    #[error("{reason}")]
    Users {
        /// What is wrong, and what would be right.
        reason: String,
    },

    /// The file is something else.
    #[error(
        "{} is not a datacube index: {reason}; give another path, nothing was changed",
        .path.display()
    )]
    NotAnIndex {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },

    /// An index URL that cannot be understood.
    #[error(
        "invalid index URL `{url}`: {reason}; expected `postgresql://USER@HOST/DATABASE`, `sqlite:PATH` or `memory:`"
    )]
    InvalidUrl {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },

    /// Another process holds the index for longer than the busy timeout.
    #[error(
        "the index at {url} is locked by another writer and stayed so for {:.1} s; try again \
         when it has finished",
        .waited.as_secs_f64()
    )]
    Locked {
        /// The address of the index.
        url: String,
        /// How long was waited.
        waited: Duration,
    },

    /// The index can be read but not written.
    #[error("the index at {url} is read-only: {reason}")]
    ReadOnly {
        /// The address of the index.
        url: String,
        /// Why, and what would change it.
        reason: String,
    },

    /// The disk is full.
    #[error(
        "there is no space left for the index at {url}: {reason}; nothing of this change was \
         kept, what was there before can be read; free some space and do it again"
    )]
    NoSpace {
        /// The address of the index.
        url: String,
        /// Which file could not grow, or what the server said.
        reason: String,
    },

    /// A definition differs from the one that the index holds under its name.
    #[error(
        "{kind} `{name}` is in the index with another definition; it differs in {}; give it \
         another name, or update the one in the index",
        differences_text(.differences)
    )]
    DifferentDefinition {
        /// Metadata type or product.
        kind: Kind,
        /// Its name.
        name: String,
        /// What differs, one path each: `measurements[0].dtype: "int16" in the index, "uint8" given`.
        differences: Vec<String>,
    },

    /// A document differs from the one that the index holds under its id.
    #[error(
        "dataset {id} is in the index with another document; it differs in {}; a changed \
         dataset needs a new id, or an update of the one in the index",
        differences_text(.differences)
    )]
    DifferentDocument {
        /// The id that both claim.
        id: Uuid,
        /// What differs, one path each.
        differences: Vec<String>,
    },

    /// An update that would make unsafe changes, without leave for them.
    #[error("{}", unsafe_changes_text(*.kind, .name, .changes))]
    UnsafeChanges {
        /// What was to be updated.
        kind: Kind,
        /// Its name or id.
        name: String,
        /// All changes, safe ones too, each with its verdict.
        changes: Box<Changes>,
    },

    /// Something in the index that could not be read after an update.
    #[error(
        "{kind} `{name}` in the index would not be right any more: {reason}; nothing was changed"
    )]
    Breaks {
        /// What would break.
        kind: Kind,
        /// Its name or id.
        name: String,
        /// What would be wrong with it.
        reason: String,
    },

    /// A product that still has active datasets.
    #[error(
        "product `{name}` has {n_active} active datasets; archive them first, or delete them \
         with it"
    )]
    InUse {
        /// The product.
        name: String,
        /// How many active datasets it has.
        n_active: u64,
    },

    /// A dataset that is no more mature than one that is there.
    #[error(
        "dataset {id} is `{maturity}`, and dataset {existing} of the same product, region and \
         time is `{existing_maturity}` already; archive that one first if this one is better"
    )]
    LessMature {
        /// The dataset that was given.
        id: Uuid,
        /// Its maturity.
        maturity: String,
        /// The dataset that is there.
        existing: Uuid,
        /// Its maturity.
        existing_maturity: String,
    },

    /// Relations or homes that contradict each other.
    #[error("inconsistent lineage: {reason}")]
    Lineage {
        /// What contradicts what, and what would resolve it.
        reason: String,
    },

    /// Something that this kind of index does not do.
    #[error("the index at {url} does not {what}")]
    Unsupported {
        /// The address of the index.
        url: String,
        /// What was asked for, such as `have users of its own`.
        what: String,
    },

    /// Footprints that could not be joined, or carried over to a CRS.
    #[error("cannot work out the area of the datasets: {source}")]
    Extent {
        /// What the geometry says.
        source: Box<datacube_geo::Error>,
    },

    /// A search field that none of the products has.
    #[error("{}", unknown_field_text(.field, .products, .known))]
    UnknownField {
        /// The field as given.
        field: String,
        /// The products that were searched; empty for all.
        products: Vec<String>,
        /// The fields that there are.
        known: Vec<String>,
    },

    /// A test that does not fit the type of its field.
    #[error("search field `{field}` holds {expected}, so {given} cannot be compared with it")]
    WrongFieldType {
        /// The field.
        field: String,
        /// What it holds, such as `numbers`.
        expected: String,
        /// What was asked, such as ``text `high` ``.
        given: String,
    },

    /// A query that contradicts itself or cannot be evaluated.
    #[error("invalid query: {reason}")]
    InvalidQuery {
        /// What is wrong and what would be right.
        reason: String,
    },

    /// A search expression that cannot be read.
    #[error("{}", expression_text(.text, *.position, .reason))]
    Expression {
        /// The whole expression.
        text: String,
        /// Where it goes wrong, in characters from 0.
        position: usize,
        /// What was expected there.
        reason: String,
    },

    /// A dataset that cannot be indexed, or a stored one that cannot be read.
    #[error("dataset {id}: {reason}")]
    Dataset {
        /// The dataset.
        id: Uuid,
        /// What is wrong with it.
        reason: String,
        /// The error of the model or of the geometry, where there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// Something that the index stored does not read back.
    #[error("the index at {url} holds {what} that cannot be read: {reason}")]
    Corrupt {
        /// The address of the index.
        url: String,
        /// Such as ``product `ls8` ``.
        what: String,
        /// What the reader said.
        reason: String,
    },

    /// A file or folder of the index cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// Such as `make the folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The database refused a statement.
    #[error("the index at {url} failed to {action}: {source}")]
    Database {
        /// The address of the index.
        url: String,
        /// Such as `add datasets`.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
}

impl Error {
    /// Whether something that was asked for by name or id is not there, the
    /// index itself included.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::NotFound { .. } | Error::NotInitialised { .. } | Error::OtherSchema { .. }
        )
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Locked { .. } => true,
            Error::Database { source, .. } => {
                matches!(source, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_))
                    || source
                        .as_database_error()
                        .and_then(|error| error.code())
                        .is_some_and(|code| TRANSIENT_CODES.contains(&code.as_ref()))
            }
            _ => false,
        }
    }

    pub(crate) fn other_home(id: Uuid, known: &str, home: &str) -> Self {
        Error::Lineage {
            reason: format!(
                "dataset {id} is at home in `{known}`, not in `{home}`; allow updates to replace \
                 what is known"
            ),
        }
    }

    pub(crate) fn invalid_query(reason: impl Into<String>) -> Self {
        Error::InvalidQuery {
            reason: reason.into(),
        }
    }
}

/// The kinds of things that an index holds by name or id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A metadata type.
    MetadataType,
    /// A product.
    Product,
    /// A dataset.
    Dataset,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::MetadataType => "metadata type",
            Kind::Product => "product",
            Kind::Dataset => "dataset",
        })
    }
}

/// The tables in which Python's Open Data Cube keeps an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Schema {
    /// `odc`, of the driver `postgis`.
    Odc,
    /// `agdc`, of the drivers `postgres`, `legacy` and `default`.
    Agdc,
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Schema::Odc => "PostGIS index (schema `odc`)",
            Schema::Agdc => "legacy index (schema `agdc`)",
        })
    }
}

/// The names of `known` that `name` was likely meant to be, nearest first.
pub(crate) fn near_names<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    datacube_model::near_names(name, known.iter().map(String::as_str))
}

/// `a, b and 3 more`: a list that stays readable.
pub(crate) fn listed<S: AsRef<str>>(items: &[S], at_most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(at_most).map(AsRef::as_ref).collect();
    match items.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn not_found_text(kind: Kind, name: &str, known: &[String]) -> String {
    let mut text = format!("no {kind} `{name}` in the index");
    if kind == Kind::Dataset {
        return text;
    }
    if known.is_empty() {
        let command = if kind == Kind::Product {
            "product"
        } else {
            "metadata"
        };
        text.push_str(&format!(
            "; it has no {kind} yet, `datacube {command} add FILE` adds one"
        ));
        return text;
    }
    let near = near_names(name, known);
    if near.is_empty() {
        text.push_str(&format!("; it has {}", listed(known, 12)));
    } else {
        text.push_str(&format!("; did you mean {}?", near.join(" or ")));
    }
    text
}

fn unknown_field_text(field: &str, products: &[String], known: &[String]) -> String {
    let place = match products {
        [] => "any product of the index".to_owned(),
        [product] => format!("product `{product}`"),
        products => format!("any of the products {}", listed(products, 6)),
    };
    let mut text = format!("no search field `{field}` in {place}");
    if let Some(near) = near_names(field, known).first() {
        text.push_str(&format!(", did you mean `{near}`?"));
    }
    if known.is_empty() {
        text.push_str("; there is no product to search yet");
    } else {
        text.push_str(&format!(" (there are {})", listed(known, 40)));
    }
    text
}

fn other_schema_text(url: &str, wanted: Schema, found: Option<Schema>) -> String {
    let advice = match (wanted, found) {
        (_, Some(found @ Schema::Agdc)) => format!(
            "but a {found}: `driver=agdc` in its URL, or `index_driver: postgres` in ODC's \
             configuration, reads that one, and `datacube system clone` copies it into an index \
             that can be changed; `system init` with `driver=postgis` makes a new index beside it"
        ),
        (_, Some(found)) => format!(
            "but a {found}: `driver=postgis` in its URL, or `index_driver: postgis` in ODC's \
             configuration, is for that one"
        ),
        (_, None) => "nor any other; this program reads legacy indexes and does not make them: \
                      `system init` with `driver=postgis` in the URL makes a new index"
            .to_owned(),
    };
    format!("the database at {url} has no {wanted}, {advice}")
}

fn differences_text(differences: &[String]) -> String {
    match differences {
        [] => "nothing that can be shown".to_owned(),
        [one] => one.clone(),
        several => format!("{} places: {}", several.len(), {
            let shown: Vec<&str> = several.iter().take(5).map(String::as_str).collect();
            let more = several.len() - shown.len();
            if more == 0 {
                shown.join("; ")
            } else {
                format!("{}; and {more} more", shown.join("; "))
            }
        }),
    }
}

/// How many changes are not safe, then each of them in a line.
fn unsafe_changes_text(kind: Kind, name: &str, changes: &Changes) -> String {
    const MOST: usize = 20;
    let lines: Vec<String> = changes.unsafe_().map(|c| format!("\n  {c}")).collect();
    let more = lines.len().saturating_sub(MOST);
    let n_changes = match lines.len() {
        1 => "1 unsafe change".to_owned(),
        n => format!("{n} unsafe changes"),
    };
    let mut text = format!(
        "{kind} `{name}` has {n_changes}, which an update makes only when they are allowed:{}",
        lines[..lines.len() - more].concat()
    );
    if more > 0 {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

/// The reason with the expression under it and a caret at the place.
fn expression_text(text: &str, position: usize, reason: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!(
        "invalid expression at character {}: {reason}\n  {line}\n  {}^",
        position + 1,
        " ".repeat(position)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        let known: Vec<String> = ["ls8_c2l2", "ls9_c2l2", "s2_l2a"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let error = Error::NotFound {
            kind: Kind::Product,
            name: "ls8_c2l".to_owned(),
            known: known.clone(),
        };
        assert!(
            error.to_string().contains("did you mean ls8_c2l2"),
            "{error}"
        );
        let error = Error::NotFound {
            kind: Kind::Product,
            name: "zzz".to_owned(),
            known,
        };
        assert!(
            error
                .to_string()
                .contains("it has ls8_c2l2, ls9_c2l2, s2_l2a"),
            "{error}"
        );
        assert!(error.is_not_found() && !error.is_transient());
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = Error::Expression {
            text: "time in [2020".to_owned(),
            position: 13,
            reason: "expected `,`".to_owned(),
        };
        let text = error.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2].find('^'), Some(2 + 13));
    }
}
