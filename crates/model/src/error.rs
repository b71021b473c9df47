//! What can go wrong with documents, names and flags.

use crate::document::DocumentErrors;
use crate::flags::Label;
use crate::near::owned_near_names;
use crate::product::Mismatch;

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with documents, names and flags.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document that breaks its rules, with everything that is wrong in it.
    #[error(transparent)]
    Document(#[from] DocumentErrors),

    /// Text that is not YAML or JSON.
    #[error("{uri}:{line}:{column}: {message}")]
    Syntax {
        /// Where the text came from.
        uri: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },

    /// A name that is neither a measurement of the product nor an alias of one.
    #[error(
        "no measurement `{found}` in product `{product}`{}; it has {}",
        did_you_mean(near),
        list(known)
    )]
    UnknownMeasurement {
        /// The product.
        product: String,
        /// The name that was asked for.
        found: String,
        /// Close names, nearest first.
        near: Vec<String>,
        /// All measurements.
        known: Vec<String>,
    },

    /// An alias that several measurements of the product carry.
    #[error(
        "`{found}` is an alias of several measurements of product `{product}`: {}; name one of these",
        list(candidates)
    )]
    AmbiguousMeasurement {
        /// The product.
        product: String,
        /// The alias that was asked for.
        found: String,
        /// The measurements that carry it.
        candidates: Vec<String>,
    },

    /// A flag that the definition does not have.
    #[error("no flag `{found}`{}; there are {}", did_you_mean(near), list(known))]
    UnknownFlag {
        /// The flag that was asked for.
        found: String,
        /// Close names, nearest first.
        near: Vec<String>,
        /// All flags.
        known: Vec<String>,
    },

    /// A label that the flag does not have.
    #[error(
        "flag `{flag}` has no value {found}{}; it has {}",
        did_you_mean(&near_labels(found, known)),
        labels(known)
    )]
    UnknownFlagValue {
        /// The flag.
        flag: String,
        /// The label that was asked for.
        found: Label,
        /// All labels of the flag.
        known: Vec<Label>,
    },

    /// A label that several values of the flag carry, where one mask and one
    /// value are asked for.
    #[error(
        "value {label} of flag `{flag}` stands for several codes ({}), which one mask and value cannot test",
        list(&codes.iter().map(i64::to_string).collect::<Vec<_>>())
    )]
    AmbiguousFlagValue {
        /// The flag.
        flag: String,
        /// The label.
        label: Label,
        /// The codes that carry it.
        codes: Vec<i64>,
    },

    /// Two conditions that no pixel can meet together.
    #[error(
        "`{first}` and `{second}` ask for different values of bit {bit}: no pixel can have both"
    )]
    ContradictingFlags {
        /// One condition, as `flag=label`.
        first: String,
        /// The other.
        second: String,
        /// The bit on which they disagree.
        bit: u32,
    },

    /// A mask text that cannot be read.
    #[error(
        "cannot read the mask `{text}` at character {position}: expected {expected}; write for example `qa_pixel: cloud=not_high_confidence, cloud_confidence=[low, medium]`"
    )]
    MaskSyntax {
        /// The whole text.
        text: String,
        /// Where, in characters from 1.
        position: usize,
        /// What should stand there.
        expected: String,
    },

    /// A text that is no time.
    #[error("`{found}` is not a time; write it as 2022-01-21T15:40:10Z")]
    InvalidTime {
        /// The text.
        found: String,
    },

    /// A dataset document that belongs to no product.
    #[error("{}", no_product(dataset, mismatches))]
    NoMatchingProduct {
        /// Id or label of the dataset.
        dataset: String,
        /// Why each product does not match, the nearest first.
        mismatches: Vec<Mismatch>,
    },

    /// A dataset document that belongs to several products.
    #[error(
        "dataset {dataset} matches several products: {}; name the one that is meant",
        list(products)
    )]
    SeveralMatchingProducts {
        /// Id or label of the dataset.
        dataset: String,
        /// The products.
        products: Vec<String>,
    },

    /// A measurement that the dataset's document does not have.
    #[error(
        "dataset {dataset} has no measurement `{found}`{}; it has {}",
        did_you_mean(near),
        list(known)
    )]
    NotInDataset {
        /// Id of the dataset.
        dataset: String,
        /// The measurement that was asked for.
        found: String,
        /// Close names, nearest first.
        near: Vec<String>,
        /// All measurements of the dataset.
        known: Vec<String>,
    },

    /// A dataset that has no location, so that its files cannot be found.
    #[error("dataset {dataset} has no {}location, so the file of measurement `{measurement}` cannot be found", if *archived { "active " } else { "" })]
    NoLocation {
        /// Id of the dataset.
        dataset: String,
        /// The measurement that was asked for.
        measurement: String,
        /// Whether it has archived locations.
        archived: bool,
    },

    /// A lineage that contradicts itself.
    #[error("inconsistent lineage: {message}")]
    Lineage {
        /// What contradicts what.
        message: String,
    },
}

impl Error {
    /// Whether something that was asked for by name does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::UnknownMeasurement { .. }
                | Error::UnknownFlag { .. }
                | Error::UnknownFlagValue { .. }
                | Error::NoMatchingProduct { .. }
                | Error::NotInDataset { .. }
                | Error::NoLocation { .. }
        )
    }

    /// Whether trying again could help; never here, where nothing is read.
    pub fn is_transient(&self) -> bool {
        false
    }
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!(" (did you mean `{}`?)", names.join("` or `")),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn near_labels(found: &Label, known: &[Label]) -> Vec<String> {
    let texts: Vec<String> = known.iter().map(Label::text).collect();
    owned_near_names(&found.text(), texts.iter().map(String::as_str))
}

fn labels(labels: &[Label]) -> String {
    list(&labels.iter().map(Label::to_string).collect::<Vec<_>>())
}

fn no_product(dataset: &str, mismatches: &[Mismatch]) -> String {
    const MOST: usize = 5;
    if mismatches.is_empty() {
        return format!(
            "dataset {dataset} matches no product: there are none to match; add its product first"
        );
    }
    let mut text = format!("dataset {dataset} matches no product; nearest first:");
    for mismatch in mismatches.iter().take(MOST) {
        text += &format!("\n  {mismatch}");
    }
    if mismatches.len() > MOST {
        text += &format!("\n  and {} more products", mismatches.len() - MOST);
    }
    text
}
