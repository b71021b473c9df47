//! Which product a dataset document belongs to.
//!
//! A product's `metadata` is contained in the documents of its datasets:
//! objects key by key, text without regard to case, all else by equality.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::Product;
use crate::document::{DocPath, DocumentErrors, DocumentKind, Problem, ProblemKind, excerpt};
use crate::error::{Error, Result};
use crate::flags::Label;

/// Why a product is not the one of a document.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The product.
    pub product: String,
    /// Where its `metadata` and the document differ; never empty.
    pub differences: Vec<Difference>,
    /// How many values of its `metadata` the document does have.
    pub n_equal: usize,
}

/// One value of a product's `metadata` that a document does not have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Where it is in the document.
    pub path: DocPath,
    /// What the product asks for.
    pub expected: Value,
    /// What the document has there.
    pub found: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_root() {
            true => f.write_str("the document is ")?,
            false => write!(f, "{} is ", self.path)?,
        }
        match &self.found {
            Some(found) => f.write_str(&excerpt(found))?,
            None => f.write_str("missing")?,
        }
        write!(f, " and not {}", excerpt(&self.expected))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.product)?;
        for (position, difference) in self.differences.iter().take(3).enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{difference}")?;
        }
        match self.differences.len() {
            0..=3 => Ok(()),
            n => write!(f, ", and {} more", n - 3),
        }
    }
}

impl Product {
    /// Why the document does not belong to this product; `None` when it does.
    pub fn mismatch(&self, document: &Value) -> Option<Mismatch> {
        let mut mismatch = Mismatch {
            product: self.name().to_owned(),
            differences: Vec::new(),
            n_equal: 0,
        };
        compare(
            Some(document),
            self.metadata(),
            &DocPath::root(),
            &mut mismatch,
        );
        (!mismatch.differences.is_empty()).then_some(mismatch)
    }
}

/// The one product whose `metadata` the document contains.
///
/// # Errors
/// [`Error::Document`] for what is no mapping, [`Error::NoMatchingProduct`], with what kept each product from matching, the
/// nearest product first, and [`Error::SeveralMatchingProducts`].
///
/// # Source
/// datacube-core, `index/hl.py` (`product_matcher`) and `utils/changes.py` (`contains`).
pub fn match_product(document: &Value, products: &[Arc<Product>]) -> Result<Arc<Product>> {
    if !document.is_object() {
        let found = Problem::new(
            DocPath::root(),
            ProblemKind::WrongType,
            "a dataset document: a mapping of keys",
        )
        .found(document);
        return Err(DocumentErrors::new(DocumentKind::Dataset, None, vec![found]).into());
    }
    let mut mismatches = Vec::new();
    let mut matches = Vec::new();
    for product in products {
        match product.mismatch(document) {
            None => matches.push(product),
            Some(mismatch) => mismatches.push(mismatch),
        }
    }
    match matches.as_slice() {
        [only] => Ok(Arc::clone(only)),
        [] => {
            let name = document["product"]["name"].as_str().unwrap_or_default();
            let likeness = |mismatch: &Mismatch| {
                strsim::normalized_damerau_levenshtein(&mismatch.product, name)
            };
            mismatches.sort_by(|a, b| {
                (a.differences.len().cmp(&b.differences.len()))
                    .then(b.n_equal.cmp(&a.n_equal))
                    .then(likeness(b).total_cmp(&likeness(a)))
                    .then_with(|| a.product.cmp(&b.product))
            });
            Err(Error::NoMatchingProduct {
                dataset: dataset_name(document),
                mismatches,
            })
        }
        _ => Err(Error::SeveralMatchingProducts {
            dataset: dataset_name(document),
            products: matches
                .iter()
                .map(|product| product.name().to_owned())
                .collect(),
        }),
    }
}

/// The id, else the label, of a dataset document.
pub(crate) fn dataset_name(document: &Value) -> String {
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    text("id")
        .or_else(|| text("label"))
        .unwrap_or_else(|| "<without id>".to_owned())
}

fn compare(found: Option<&Value>, wanted: &Value, path: &DocPath, mismatch: &mut Mismatch) {
    let equal = match (found, wanted) {
        (Some(Value::Object(_)), Value::Null) => true,
        (Some(Value::Object(found)), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                compare(found.get(key), wanted, &path.key(key), mismatch);
            }
            return;
        }
        (Some(Value::String(found)), Value::String(wanted)) => {
            found.to_lowercase() == wanted.to_lowercase()
        }
        (Some(found), wanted) => equal(found, wanted),
        (None, _) => false,
    };
    if equal {
        mismatch.n_equal += 1;
    } else {
        mismatch.differences.push(Difference {
            path: path.clone(),
            expected: wanted.clone(),
            found: found.cloned(),
        });
    }
}

/// Python's equality of documents: numbers and booleans by value.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => match (Label::from_value(a), Label::from_value(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{minimal, read};
    use super::*;

    fn product(name: &str, metadata: Value) -> Arc<Product> {
        let mut document = minimal();
        document["name"] = json!(name);
        document["metadata"] = metadata;
        Arc::new(read(document).expect("valid"))
    }

    #[test]
    fn metadata_is_contained() {
        let check = |metadata: Value, document: Value, expected: bool| {
            assert_eq!(
                product("p", metadata.clone()).mismatch(&document).is_none(),
                expected,
                "{metadata} {document}"
            );
        };
        check(json!({}), json!({"a": 1}), true);
        check(
            json!({"a": {"b": "X"}}),
            json!({"a": {"b": "x", "c": 1}}),
            true,
        );
        check(json!({"a": {"b": "x"}}), json!({"a": {"c": "x"}}), false);
        check(json!({"a": 1}), json!({"a": 1.0}), true);
        check(json!({"a": 1}), json!({"a": true}), true);
        check(json!({"a": 1}), json!({"a": "1"}), false);
        check(json!({"a": null}), json!({"a": {}}), true);
        check(json!({"a": null}), json!({}), false);
        check(json!({"a": ["x"]}), json!({"a": ["X"]}), false);
        check(json!({"a": ["x"]}), json!({"a": ["x"]}), true);
    }

    #[test]
    fn exactly_one_product_has_to_match() {
        let products = [
            product("ls8", json!({"product": {"name": "ls8"}})),
            product(
                "ls9",
                json!({"product": {"name": "ls9"}, "properties": {"eo:platform": "landsat-9"}}),
            ),
        ];
        let found = match_product(&json!({"product": {"name": "LS8"}}), &products).expect("ls8");
        assert_eq!(found.name(), "ls8");
        let document = json!({"id": "x", "product": {"name": "ls9"}, "properties": {"eo:platform": "landsat-8"}});
        let error = match_product(&document, &products).expect_err("none");
        assert_eq!(
            error.to_string(),
            "dataset x matches no product; nearest first:\n  \
             ls9: properties.eo:platform is \"landsat-8\" and not \"landsat-9\"\n  \
             ls8: product.name is \"ls9\" and not \"ls8\""
        );
        let text = json!("root:x:0:0 ".repeat(500));
        let error = match_product(&text, &products)
            .expect_err("text")
            .to_string();
        assert!(error.contains("a mapping of keys, found"), "{error}");
        assert!(error.len() < 200, "{error}");
        let both = [products[0].clone(), product("any", json!({}))];
        let error = match_product(&json!({"product": {"name": "ls8"}}), &both).expect_err("two");
        assert!(error.to_string().contains("ls8, any"), "{error}");
        assert!(
            match_product(&document, &[])
                .expect_err("none")
                .to_string()
                .contains("add its product")
        );
    }
}
