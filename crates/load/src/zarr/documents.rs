//! The documents of a Zarr store: which arrays there are, and what is said of
//! them, in either version of the format.

use std::collections::BTreeMap;

use bytes::Bytes;
use datacube_model::DType;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use zarrs::array::{Array, ArrayMetadata, ArrayToBytesCodecTraits, CodecOptions};

use crate::error::{Error, Result};
use crate::reader::ReadCost;
use crate::store::{FileVersion, Location, StoreRegistry};

/// Largest document.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;
/// Values of a coordinate that are read.
const MAX_COORDINATE: u64 = 1 << 24;

/// What is said of one array.
#[derive(Clone, Debug)]
pub(super) struct ArrayDocument {
    /// `zarr.json` or `.zarray`.
    pub(super) metadata: Value,
    pub(super) attrs: Map<String, Value>,
    /// Names of the dimensions, outermost first.
    pub(super) dims: Vec<String>,
}

impl ArrayDocument {
    fn new(metadata: Value, attrs: Option<Value>) -> Self {
        let attrs = match attrs {
            Some(Value::Object(attrs)) => attrs,
            _ => metadata["attributes"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        let names = match metadata["dimension_names"].as_array() {
            Some(names) => names.clone(),
            // As xarray names them in version 2.
            None => attrs
                .get("_ARRAY_DIMENSIONS")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        };
        let n_dims = metadata["shape"].as_array().map_or(0, Vec::len);
        let dims = match names.is_empty() {
            // Nobody named them; then the last two are rows and columns.
            true => (0..n_dims).map(|at| format!("dim_{at}")).collect(),
            false => names
                .iter()
                .map(|name| name.as_str().unwrap_or_default().to_owned())
                .collect(),
        };
        ArrayDocument {
            metadata,
            attrs,
            dims,
        }
    }

    pub(super) fn is_version_2(&self) -> bool {
        self.metadata["zarr_format"] == json!(2)
    }

    /// The type of its pixels, or what they are that is not supported.
    pub(super) fn dtype(&self) -> Result<DType, String> {
        let name = match self.is_version_2() {
            true => &self.metadata["dtype"],
            false => &self.metadata["data_type"],
        };
        let Some(name) = name.as_str() else {
            return Err(format!("pixels of {name}"));
        };
        Ok(match name.trim_start_matches(['<', '>', '|', '=']) {
            "bool" | "b1" => DType::Bool,
            "int8" | "i1" => DType::Int8,
            "uint8" | "u1" => DType::UInt8,
            "int16" | "i2" => DType::Int16,
            "uint16" | "u2" => DType::UInt16,
            "int32" | "i4" => DType::Int32,
            "uint32" | "u4" => DType::UInt32,
            "int64" | "i8" => DType::Int64,
            "uint64" | "u8" => DType::UInt64,
            "float16" | "f2" => DType::Float16,
            "float32" | "f4" => DType::Float32,
            "float64" | "f8" => DType::Float64,
            _ => return Err(format!("pixels of {name}")),
        })
    }

    /// The compression, as far as one word can say it.
    pub(super) fn compression(&self) -> &'static str {
        let text = match self.is_version_2() {
            true => self.metadata["compressor"].to_string(),
            false => self.metadata["codecs"].to_string(),
        };
        let known = ["blosc", "zstd", "gzip", "zlib", "bz2", "lz4"];
        known
            .into_iter()
            .find(|name| text.contains(&format!("\"{name}\"")))
            .unwrap_or("none")
    }
}

/// A store: its root, and what was read of it once and for all.
pub(super) struct Documents {
    stores: StoreRegistry,
    /// Who signs the addresses of objects, by its name.
    signer: Option<String>,
    root: String,
    version: u8,
    /// The attributes of the root.
    pub(super) attrs: Map<String, Value>,
    /// All arrays, where the store lists them in one document.
    arrays: Option<BTreeMap<String, ArrayDocument>>,
    /// What reading took, until somebody has accounted for it.
    cost: Mutex<ReadCost>,
    is_local: bool,
    /// What was read, and of a store on this machine which version of each file.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    n_bytes: u64,
    files: Vec<(Location, FileVersion)>,
}

impl Documents {
    /// Reads the root's documents.
    pub(super) async fn open(
        stores: StoreRegistry,
        root: &str,
        signer: Option<&str>,
    ) -> Result<Self> {
        let mut documents = Documents {
            stores,
            signer: signer.map(str::to_owned),
            root: root.to_owned(),
            version: 3,
            attrs: Map::new(),
            arrays: None,
            cost: Mutex::default(),
            is_local: false,
            seen: Mutex::default(),
        };
        documents.is_local = documents.locate("zarr.json")?.is_local();
        if let Some(node) = documents.json("zarr.json").await? {
            let listed = node["consolidated_metadata"]["metadata"].as_object();
            documents.arrays = listed.map(|listed| {
                let arrays = listed
                    .iter()
                    .filter(|(_, node)| node["node_type"] == "array");
                arrays
                    .map(|(name, node)| (name.clone(), ArrayDocument::new(node.clone(), None)))
                    .collect()
            });
            documents.attrs = node["attributes"].as_object().cloned().unwrap_or_default();
            if node["node_type"] == "array" {
                let only = ArrayDocument::new(node, None);
                documents.arrays = Some(BTreeMap::from([(String::new(), only)]));
            }
            return Ok(documents);
        }
        documents.version = 2;
        if let Some(all) = documents.json(".zmetadata").await? {
            let listed = all["metadata"].as_object().cloned().unwrap_or_default();
            if let Some(Value::Object(attrs)) = listed.get(".zattrs") {
                documents.attrs = attrs.clone();
            }
            let arrays = listed.iter().filter_map(|(key, node)| {
                let name = key.strip_suffix("/.zarray")?;
                let attrs = listed.get(&format!("{name}/.zattrs")).cloned();
                Some((name.to_owned(), ArrayDocument::new(node.clone(), attrs)))
            });
            documents.arrays = Some(arrays.collect());
            return Ok(documents);
        }
        if let Some(array) = documents.json(".zarray").await? {
            let attrs = documents.json(".zattrs").await?;
            let only = ArrayDocument::new(array, attrs);
            documents.arrays = Some(BTreeMap::from([(String::new(), only)]));
            return Ok(documents);
        }
        if documents.json(".zgroup").await?.is_none() {
            return Err(Error::NotFound {
                uri: format!("{root}/zarr.json"),
            });
        }
        if let Some(Value::Object(attrs)) = documents.json(".zattrs").await? {
            documents.attrs = attrs;
        }
        Ok(documents)
    }

    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// What reading took so far, for the first who asks.
    pub(super) fn take_cost(&self) -> ReadCost {
        std::mem::take(&mut *self.cost.lock())
    }

    /// Names of the listed arrays of two or more dimensions.
    pub(super) fn rasters(&self) -> Vec<&str> {
        let arrays = self.arrays.iter().flatten();
        arrays
            .filter(|(_, document)| document.dims.len() >= 2)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The array that is meant where none is named.
    pub(super) fn only_raster(&self, uri: &str) -> Result<String> {
        let problem = match self.rasters()[..] {
            [only] => return Ok(only.to_owned()),
            [] => "name an array, as in `STORE.zarr/red`; the store does not list those of two \
                   dimensions"
                .to_owned(),
            [first, ..] => format!(
                "name one of the arrays {}, as in `STORE.zarr/{first}`",
                self.rasters().join(", ")
            ),
        };
        Err(Error::invalid_for(uri, problem))
    }

    /// An array by its name; `None` where there is none.
    pub(super) async fn array(&self, name: &str) -> Result<Option<ArrayDocument>> {
        if let Some(arrays) = &self.arrays {
            return Ok(arrays.get(name).cloned());
        }
        if self.version == 3 {
            let node = self.json(&format!("{name}/zarr.json")).await?;
            let node = node.filter(|node| node["node_type"] == "array");
            return Ok(node.map(|node| ArrayDocument::new(node, None)));
        }
        let Some(array) = self.json(&format!("{name}/.zarray")).await? else {
            return Ok(None);
        };
        let attrs = self.json(&format!("{name}/.zattrs")).await?;
        Ok(Some(ArrayDocument::new(array, attrs)))
    }

    /// The array `name` in the group that `beside` is in.
    pub(super) async fn sibling(&self, beside: &str, name: &str) -> Result<Option<ArrayDocument>> {
        self.array(&sibling(beside, name)).await
    }

    /// All values of a coordinate of one dimension, or what is wrong with it.
    pub(super) async fn numbers(
        &self,
        beside: &str,
        name: &str,
        document: &ArrayDocument,
    ) -> Result<Result<Vec<f64>, String>> {
        let array: Array<()> = match opened(&sibling(beside, name), document) {
            Ok(array) => array,
            Err(problem) => return Ok(Err(problem)),
        };
        let &[len] = array.shape() else {
            return Ok(Err(format!("it has {} dimensions", array.shape().len())));
        };
        let dtype = match document.dtype() {
            Ok(dtype) if len <= MAX_COORDINATE => dtype,
            Ok(_) => return Ok(Err(format!("it has {len} values"))),
            Err(what) => return Ok(Err(what)),
        };
        let mut values = Vec::new();
        for chunk_idx in 0..array.chunk_grid_shape().first().copied().unwrap_or(0) {
            let shape = match array.chunk_shape(&[chunk_idx]) {
                Ok(shape) if shape.iter().all(|side| side.get() <= MAX_COORDINATE) => shape,
                Ok(_) => return Ok(Err("its chunks are too large".to_owned())),
                Err(error) => return Ok(Err(error.to_string())),
            };
            let key = array.chunk_key(&[chunk_idx]);
            let Some(stored) = self.read_header(key.as_str()).await? else {
                return Ok(Err("a part of it is not there".to_owned()));
            };
            let decoded = array.codecs().decode(
                stored.to_vec().into(),
                &shape,
                array.data_type(),
                array.fill_value(),
                &CodecOptions::default(),
            );
            let decoded = decoded.map_err(|error| error.to_string());
            match decoded.and_then(|d| d.into_fixed().map_err(|error| error.to_string())) {
                Ok(bytes) => values.extend(to_numbers(&bytes, dtype)),
                Err(problem) => return Ok(Err(problem)),
            }
        }
        values.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(Ok(values))
    }

    /// Where an object of the store is.
    pub(super) fn locate(&self, key: &str) -> Result<Location> {
        let uri = format!("{}/{key}", self.root.trim_end_matches('/'));
        match &self.signer {
            Some(signer) => self.stores.locate_signed(&uri, signer),
            None => self.stores.locate(&uri),
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }

    /// Bytes of all that was read for the header.
    pub(super) fn n_bytes(&self) -> u64 {
        self.seen.lock().n_bytes
    }

    /// Whether the files that were read are still those that are there.
    pub(super) async fn are_unchanged(&self) -> bool {
        let files = self.seen.lock().files.clone();
        for (location, version) in files {
            if location.head().await.ok().as_ref() != Some(&version) {
                return false;
            }
        }
        true
    }

    /// An object that belongs to the header; what it takes is accounted for apart.
    async fn read_header(&self, key: &str) -> Result<Option<Bytes>> {
        let location = self.locate(key)?;
        // Before it is read: what is written meanwhile then shows.
        let version = match self.is_local {
            true => location.head().await.ok(),
            false => None,
        };
        let bytes = read(&location, MAX_DOCUMENT_BYTES).await?;
        let n_bytes = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        *self.cost.lock() += ReadCost {
            bytes: n_bytes,
            requests: 1,
            cached_blocks: 0,
        };
        let mut seen = self.seen.lock();
        seen.n_bytes += n_bytes;
        seen.files
            .extend(version.map(|version| (location, version)));
        Ok(bytes)
    }

    async fn json(&self, key: &str) -> Result<Option<Value>> {
        let Some(bytes) = self.read_header(key).await? else {
            return Ok(None);
        };
        // zarr-python writes NaN, which is no JSON.
        let text = String::from_utf8_lossy(&bytes);
        let value = serde_json::from_str(&text)
            .or_else(|_| serde_json::from_str(&text.replace(": NaN", ": \"NaN\"")));
        value
            .map(Some)
            .map_err(|error| Error::unreadable(&self.root, key, error.to_string()))
    }
}

/// An object of at most `limit` bytes; `None` where it is not there.
pub(super) async fn read(location: &Location, limit: u64) -> Result<Option<Bytes>> {
    match location.read(limit).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn sibling(beside: &str, name: &str) -> String {
    match beside.rsplit_once('/') {
        Some((group, _)) => format!("{group}/{name}"),
        None => name.to_owned(),
    }
}

fn opened(name: &str, document: &ArrayDocument) -> Result<Array<()>, String> {
    let metadata: ArrayMetadata =
        serde_json::from_value(document.metadata.clone()).map_err(|error| error.to_string())?;
    Array::new_with_metadata(std::sync::Arc::new(()), &format!("/{name}"), metadata)
        .map_err(|error| error.to_string())
}

/// Native bytes as numbers.
fn to_numbers(bytes: &[u8], dtype: DType) -> Vec<f64> {
    #[allow(clippy::cast_precision_loss, reason = "coordinates are far below 2^53")]
    fn wide(value: i64) -> f64 {
        value as f64
    }
    match dtype {
        DType::Float64 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from_ne_bytes(b))
            .collect(),
        DType::Float32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(f32::from_ne_bytes(b)))
            .collect(),
        DType::Int64 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| wide(i64::from_ne_bytes(b)))
            .collect(),
        DType::Int32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(i32::from_ne_bytes(b)))
            .collect(),
        DType::Int16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from(i16::from_ne_bytes(b)))
            .collect(),
        // No coordinate of pixels is of another type.
        _ => Vec::new(),
    }
}
