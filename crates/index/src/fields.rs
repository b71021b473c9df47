//! Which fields can be searched, and what they hold.
//!
//! Some the index knows of every dataset (`id`, `product`, `time`, ...); the
//! others are the search fields of the products' metadata types. For comparing
//! values there are four classes; that a field holds a range rather than one
//! value makes no difference to the question.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datacube_model::{FieldKind, MetadataType, Product};

use crate::error::{Error, Kind, Result};

/// What the values of a search field are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldClass {
    /// Text: equality and lists.
    Text,
    /// Numbers: equality, lists and ranges.
    Number,
    /// Times: periods and ranges.
    Time,
    /// True or false.
    Bool,
    /// An id: equality and lists.
    Id,
    /// Degrees of latitude or longitude, searched as an area.
    Degrees,
    /// Objects and lists, which cannot be compared.
    Object,
}

impl FieldClass {
    pub(crate) fn of(kind: FieldKind) -> Self {
        match kind {
            FieldKind::String => FieldClass::Text,
            FieldKind::Boolean => FieldClass::Bool,
            FieldKind::Datetime | FieldKind::DatetimeRange => FieldClass::Time,
            FieldKind::Object => FieldClass::Object,
            _ => FieldClass::Number,
        }
    }
}

impl fmt::Display for FieldClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldClass::Text => "text",
            FieldClass::Number => "numbers",
            FieldClass::Time => "times",
            FieldClass::Bool => "true or false",
            FieldClass::Id => "ids",
            FieldClass::Degrees => "degrees",
            FieldClass::Object => "objects",
        })
    }
}

/// The fields that the index itself knows of every dataset.
pub(crate) const NATIVE: [(&str, FieldClass); 10] = [
    ("id", FieldClass::Id),
    ("product", FieldClass::Text),
    ("time", FieldClass::Time),
    ("lat", FieldClass::Degrees),
    ("lon", FieldClass::Degrees),
    ("metadata_type", FieldClass::Text),
    ("label", FieldClass::Text),
    ("format", FieldClass::Text),
    ("creation_time", FieldClass::Time),
    ("indexed_time", FieldClass::Time),
];

/// Those that are taken from where the metadata type has them, unless it
/// declares a search field of that name; with the name of the offset.
pub(crate) const SYSTEM_OFFSETS: [(&str, &str); 3] = [
    ("label", "label"),
    ("format", "format"),
    ("creation_time", "creation_dt"),
];

/// Whether the index knows `name` of itself, whatever a metadata type says.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "id" | "product" | "time" | "lat" | "lon" | "metadata_type" | "indexed_time"
    )
}

/// The class of a field in products of a metadata type; `None` where the type
/// does not have it.
pub(crate) fn class_in(metadata_type: &MetadataType, name: &str) -> Option<FieldClass> {
    let native = || {
        NATIVE
            .iter()
            .find(|(native, _)| *native == name)
            .map(|(_, class)| *class)
    };
    if is_reserved(name) {
        return native();
    }
    metadata_type
        .field(name)
        .map(|field| FieldClass::of(field.kind))
        .or_else(native)
}

/// The fields by which some products can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchFields {
    classes: BTreeMap<String, FieldClass>,
}

impl SearchFields {
    /// The fields that at least one of the products named has, of all
    /// `products` of an index; with none named, those of all.
    ///
    /// Where products disagree about what a field holds, the first has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a name that no product has.
    pub fn of(products: &[Arc<Product>], names: &[String]) -> Result<Self> {
        let mut classes: BTreeMap<String, FieldClass> = BTreeMap::new();
        for product in scope(products, names)? {
            let metadata_type = product.metadata_type();
            let declared = metadata_type.fields().keys().map(String::as_str);
            for name in declared.chain(NATIVE.iter().map(|(name, _)| *name)) {
                if let Some(class) = class_in(metadata_type, name) {
                    classes.entry(name.to_owned()).or_insert(class);
                }
            }
        }
        if classes.is_empty() {
            classes.extend(
                NATIVE
                    .iter()
                    .map(|(name, class)| ((*name).to_owned(), *class)),
            );
        }
        Ok(SearchFields { classes })
    }

    /// What the field holds; `None` where there is no such field.
    pub fn class(&self, name: &str) -> Option<FieldClass> {
        self.classes.get(name).copied()
    }

    /// The fields by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FieldClass)> {
        self.classes
            .iter()
            .map(|(name, class)| (name.as_str(), *class))
    }

    /// The names of the fields, in order.
    pub fn names(&self) -> Vec<String> {
        self.classes.keys().cloned().collect()
    }
}

/// The products of those names, all of them when none is named.
///
/// # Errors
/// [`Error::NotFound`] for a name that no product has.
pub(crate) fn scope<'a>(
    products: &'a [Arc<Product>],
    names: &[String],
) -> Result<Vec<&'a Arc<Product>>> {
    if names.is_empty() {
        return Ok(products.iter().collect());
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !products.iter().any(|p| p.name() == *name))
    {
        return Err(Error::NotFound {
            kind: Kind::Product,
            name: unknown.clone(),
            known: products
                .iter()
                .map(|product| product.name().to_owned())
                .collect(),
        });
    }
    Ok(products
        .iter()
        .filter(|p| names.iter().any(|name| p.name() == name))
        .collect())
}

/// The class of a field in all of `products`; `None` where there is no product.
pub(crate) fn common_class(name: &str, products: &[&Arc<Product>]) -> Result<Option<FieldClass>> {
    let mut found: Option<(FieldClass, &Arc<Product>)> = None;
    for product in products {
        let Some(class) = class_in(product.metadata_type(), name) else {
            continue;
        };
        match found {
            Some((first, other)) if first != class => {
                return Err(Error::invalid_query(format!(
                    "search field `{name}` holds {first} in product `{}` and {class} in product \
                     `{}`; search one of them at a time",
                    other.name(),
                    product.name()
                )));
            }
            Some(_) => {}
            None => found = Some((class, product)),
        }
    }
    Ok(found.map(|(class, _)| class))
}
