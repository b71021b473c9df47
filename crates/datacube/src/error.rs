//! What can go wrong between a question and its pixels, and what to do about it.

use datacube_model::near_names;
use uuid::Uuid;

/// The result of a facade call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything the facade refuses or fails at.
///
/// Each variant is an outcome that a caller can act on; the text says what was
/// met, where, and what to do. Errors of the layers below are carried whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error("configuration ({place}): {problem}")]
    Config {
        /// File, variable or option that was read.
        place: String,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// An option of the call cannot be used.
    #[error("{option}: {problem}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// A name is not known.
    #[error("{}", unknown(kind, name, place, known))]
    Unknown {
        /// What was named: `product`, `measurement`, ...
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// Where it was looked for, such as "product `ls8_c2l2`".
        place: String,
        /// The names that exist there.
        known: Vec<String>,
    },
    /// The query matches nothing.
    #[error("no datasets match: {query}; {hint}")]
    NoData {
        /// The query, in words.
        query: String,
        /// What the index holds, so that the query can be mended.
        hint: String,
    },
    /// An indexed dataset cannot be used as asked.
    #[error("dataset {dataset}: {problem}")]
    Dataset {
        /// Its id.
        dataset: Uuid,
        /// What is missing or wrong, and what to do.
        problem: String,
    },
    /// A file or folder of documents cannot be used.
    #[error("{path}: {problem}")]
    File {
        /// The file or folder.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A recipe of a virtual product cannot be understood or followed.
    #[error("recipe, {part}: {problem}")]
    Recipe {
        /// The node, key or product.
        part: String,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// A feature that this build does not have.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What can be used instead.
        instead: String,
    },
    /// The process could not run its background work.
    #[error("cannot run in the background: {reason}")]
    Runtime {
        /// What the system said.
        reason: String,
    },
    /// From the geometry layer.
    #[error(transparent)]
    Geo(#[from] datacube_geo::Error),
    /// From the documents layer.
    #[error(transparent)]
    Model(#[from] datacube_model::Error),
    /// From the index.
    #[error(transparent)]
    Index(#[from] datacube_index::Error),
    /// From reading and warping.
    #[error(transparent)]
    Load(#[from] datacube_load::Error),
    /// From the lazy engine.
    #[error(transparent)]
    Compute(#[from] datacube_compute::Error),
    /// From writing or drawing a result.
    #[error(transparent)]
    Export(#[from] crate::export::Error),
}

impl Error {
    /// Whether something that was named does not exist.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Unknown { .. } | Error::NoData { .. } => true,
            Error::Geo(error) => error.is_not_found(),
            Error::Model(error) => error.is_not_found(),
            Error::Index(error) => error.is_not_found(),
            Error::Load(error) => error.is_not_found(),
            Error::Compute(error) => error.is_not_found(),
            _ => false,
        }
    }

    /// Whether trying again, with nothing changed, could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Index(error) => error.is_transient(),
            Error::Load(error) => error.is_transient(),
            Error::Compute(error) => error.is_transient(),
            Error::Export(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// `name` is not one of `known`: the near names first, all of them when they are few.
fn unknown(kind: &str, name: &str, place: &str, known: &[String]) -> String {
    let mut text = format!("no {kind} `{name}` in {place}");
    let near = near_names(name, known.iter().map(String::as_str));
    if !near.is_empty() {
        text += &format!("; did you mean {}?", near.join(" or "));
    }
    match known.len() {
        0 => text += &format!("; there are no {kind}s at all"),
        1..=20 => text += &format!("; it has {}", known.join(", ")),
        count => text += &format!("; it has {count}, among them {}", known[..20].join(", ")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_shown_with_their_neighbours() {
        let known = ["blue", "green", "red", "nir"].map(String::from).to_vec();
        let error = Error::Unknown {
            kind: "measurement",
            name: "redd".into(),
            place: "product `ls8`".into(),
            known,
        };
        assert_eq!(
            error.to_string(),
            "no measurement `redd` in product `ls8`; did you mean red?; it has blue, green, red, nir"
        );
    }

    #[test]
    fn a_result_is_cheap_to_hand_on() {
        // What clippy's `result_large_err` allows in the code of those who use it.
        assert!(size_of::<Error>() < 128, "{} bytes", size_of::<Error>());
    }
}
