//! What a dataset document says, read once.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use datacube_geo::{BoundingBox, Crs, GeoBox};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::extent::{self, Extent};
use super::source::{self, MeasurementPath};
use super::{Location, grid, time};
use crate::document::{
    DocPath, DocumentErrors, DocumentKind, EO3_SCHEMA, Looks, Node, Problem, ProblemKind, Report,
};
use crate::lineage::{self, Lineage};
use crate::metadata_type::{FieldValue, get_in};
use crate::product::{self, Product};

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is to belong to its product as that is now.
    New,
    /// It was right when it was indexed; its product may have grown since.
    Indexed,
}

/// A dataset document and what it says.
pub(super) struct Content {
    pub(super) document: Value,
    pub(super) product: Arc<Product>,
    pub(super) id: Uuid,
    pub(super) crs: Crs,
    pub(super) grids: IndexMap<String, GeoBox>,
    pub(super) extent: Extent,
    pub(super) measurements: IndexMap<String, MeasurementPath>,
    pub(super) time: (Timestamp, Timestamp),
    pub(super) fields: Fields,
    pub(super) lineage: Lineage,
    pub(super) warnings: Vec<Problem>,
}

impl Content {
    pub(super) fn read(
        document: Value,
        product: Arc<Product>,
        state: State,
    ) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let parts = match unsupported(&document) {
            Some(problem) => {
                report.problem(problem);
                None
            }
            None => Parts::read(&Node::root(&document, &report), &product, state),
        };
        let name = ["id", "label"]
            .iter()
            .find_map(|key| document.get(key)?.as_str())
            .map(str::to_owned);
        let warnings = report.finish(DocumentKind::Dataset, name)?;
        let parts = parts.expect("a dataset was read, for nothing is wrong with it");
        Ok(Content {
            id: parts.id,
            crs: parts.crs,
            grids: parts.grids,
            extent: parts.extent,
            measurements: parts.measurements,
            time: parts.time,
            fields: parts.fields,
            lineage: parts.lineage,
            warnings,
            document,
            product,
        })
    }

    /// The locations that the document names itself.
    pub(super) fn own_locations(&self) -> Vec<Location> {
        let value = self
            .document
            .get("locations")
            .or_else(|| self.document.get("location"));
        match value {
            Some(Value::String(uri)) => vec![Location::new(uri.as_str())],
            Some(Value::Array(uris)) => uris
                .iter()
                .filter_map(Value::as_str)
                .map(Location::new)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Why a document is no EO3 dataset at all.
fn unsupported(document: &Value) -> Option<Problem> {
    if let Some(problem) = Looks::other_than(document, Looks::Eo3Dataset) {
        return Some(problem);
    }
    let Some(schema) = document.get("$schema") else {
        if !document.is_object() {
            return Some(
                Problem::new(DocPath::root(), ProblemKind::WrongType, "an object").found(document),
            );
        }
        let expected = format!(
            "`{EO3_SCHEMA}`; documents without it are in a layout before EO3, which is not read"
        );
        return Some(Problem::new(
            DocPath::root().key("$schema"),
            ProblemKind::Unsupported,
            expected,
        ));
    };
    let right = schema == EO3_SCHEMA;
    let path = DocPath::root().key("$schema");
    (!right).then(|| {
        Problem::new(path, ProblemKind::Unsupported, format!("`{EO3_SCHEMA}`")).found(schema)
    })
}

struct Parts {
    id: Uuid,
    crs: Crs,
    grids: IndexMap<String, GeoBox>,
    extent: Extent,
    measurements: IndexMap<String, MeasurementPath>,
    time: (Timestamp, Timestamp),
    fields: Fields,
    lineage: Lineage,
}

impl Parts {
    fn read(node: &Node<'_>, product: &Product, state: State) -> Option<Self> {
        node.map()?;
        let id = node
            .require("id", "the id of the dataset, a UUID")
            .and_then(|node| lineage::uuid(&node));
        if !product.metadata_type().is_eo3_compatible() {
            let expected = format!(
                "a product whose metadata type is of EO3 documents; `{}` of product `{}` is not ({})",
                product.metadata_type().name(),
                product.name(),
                product.metadata_type().eo3_problems()[0]
            );
            let problem = Problem::new(DocPath::root(), ProblemKind::Conflict, expected);
            node.report().problem(problem.found_text("an EO3 document"));
        }
        let crs = node
            .require("crs", "the CRS of the grids")
            .and_then(|node| product::crs(&node));
        let grids = node.require(
            "grids",
            "the grids of the measurements, one of them called `default`",
        );
        let grid_names: Vec<&str> = grids
            .iter()
            .flat_map(Node::entries)
            .map(|(name, _)| name)
            .collect();
        let grids = grids.and_then(|node| grid::read(&node, crs.as_ref()));
        let geometry = node.get("geometry").filter(|node| !node.value.is_null());
        let extent = match (&crs, &grids) {
            (Some(crs), Some(grids)) => extent::read(geometry.as_ref(), crs, grids),
            _ => None,
        };
        let measurements = source::read(node, &grid_names, product, state);
        if let Some(properties) = node.require(
            "properties",
            "the properties of the dataset, `datetime` among them",
        ) {
            properties.map();
        }
        let time = time::read(node, product.metadata_type());
        let fields = Fields::read(node, product);
        let lineage = node
            .get("lineage")
            .map_or(Some(Lineage::default()), |node| lineage::read(&node));
        locations(node);
        Some(Parts {
            id: id?,
            crs: crs?,
            grids: grids?,
            extent: extent?,
            measurements: measurements?,
            time: time?,
            fields,
            lineage: lineage?,
        })
    }
}

/// The search fields that have a value, in the order of the metadata type.
///
/// `extent` is found as if the document had it in the layout before EO3, for
/// that is where metadata types look for longitudes and latitudes. As long as
/// nobody has asked for the degrees, nobody has for these fields.
pub(super) struct Fields {
    /// Those that the document has itself.
    written: IndexMap<String, FieldValue>,
    all: OnceLock<IndexMap<String, FieldValue>>,
}

impl Fields {
    fn read(node: &Node<'_>, product: &Product) -> Self {
        let fault = |problem: Problem| {
            let known = node
                .report()
                .problems()
                .iter()
                .any(|other| other.path == problem.path);
            if !known {
                node.report().problem(problem);
            }
        };
        // Any degrees tell whether they are of the types of their fields.
        let degrees = BoundingBox::new(0.0, 0.0, 0.0, 0.0);
        let mut written = extract(node.value, product, Some(degrees), fault);
        let fields = product.metadata_type().fields();
        written.retain(|name, _| !fields[name].offsets().any(|offset| is_of_extent(offset)));
        Fields {
            written,
            all: OnceLock::new(),
        }
    }
}

/// Whether a field is looked for where datasets before EO3 had their extent.
fn is_of_extent(offset: &[String]) -> bool {
    offset.first().is_some_and(|key| key == "extent")
}

/// The values of fields in a document, those of an extent in that extent.
fn extract(
    document: &Value,
    product: &Product,
    degrees: Option<BoundingBox>,
    fault: impl Fn(Problem),
) -> IndexMap<String, FieldValue> {
    let derived = degrees.map(|bounds| {
        json!({"extent": {
            "lon": {"begin": bounds.left, "end": bounds.right},
            "lat": {"begin": bounds.bottom, "end": bounds.top},
        }})
    });
    let find = |offset: &Vec<String>| {
        if is_of_extent(offset) {
            get_in(derived.as_ref()?, offset).cloned().map(Cow::Owned)
        } else {
            get_in(document, offset).map(Cow::Borrowed)
        }
    };
    let mut values = IndexMap::new();
    for (name, field) in product.metadata_type().fields() {
        match field.extract_with(find) {
            Ok(Some(value)) => {
                values.insert(name.clone(), value);
            }
            Ok(None) => {}
            Err(problem) => fault(problem),
        }
    }
    values
}

impl Content {
    pub(super) fn field(&self, name: &str) -> Option<&FieldValue> {
        let field = self.product.metadata_type().field(name)?;
        if field.offsets().any(|offset| is_of_extent(offset)) {
            self.fields().get(name)
        } else {
            self.fields.written.get(name)
        }
    }

    pub(super) fn fields(&self) -> &IndexMap<String, FieldValue> {
        // What cannot be read was told when the document was.
        self.fields.all.get_or_init(|| {
            extract(
                &self.document,
                &self.product,
                self.extent.degrees().bounds,
                |_| {},
            )
        })
    }
}

/// Checks `location` and `locations`.
fn locations(node: &Node<'_>) {
    for key in ["location", "locations"] {
        match node.get(key) {
            Some(node) if node.value.is_array() => {
                node.strings();
            }
            Some(node) if !node.value.is_null() => {
                node.string();
            }
            _ => {}
        }
    }
}
