//! The writer: arrays in a folder beside the destination and a journal of their
//! chunks, the root metadata last, then the move.

use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::cast_slice;
use datacube_model::{DType, Number};
use half::f16;
use serde_json::{Map, Value, json};
use zarrs::array::codec::ZstdCodec;
use zarrs::array::{Array, ArrayBuilder, ArrayBytes, DataType, FillValue, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::storage::ReadableWritableListableStorage;

use super::cf::{Encoded, coordinate_attrs, encode_labels, variable_attrs};
use super::{ZarrCoordinate, ZarrOptions, ZarrSpec, ZarrVariable};
use crate::export::atomic::check_free;
use crate::export::error::{Error, Result};
use crate::export::gather::{BlockGrid, Gather};
use crate::export::part::{Part, job};

/// The store within its part.
const STORE: &str = "store";

type Storage = dyn zarrs::storage::ReadableWritableListableStorageTraits;

/// Writes a Zarr version 3 store from regions that come in any order and from
/// any thread.
///
/// Hand over every pixel of every variable once with [`write`](Self::write), then
/// call [`finish`](Self::finish). Dropped before that it leaves nothing, unless it
/// is to be resumed; then what it [`holds`](Self::holds) need not come again.
pub struct ZarrWriter {
    path: PathBuf,
    part: Part,
    overwrite: bool,
    variables: Vec<Variable>,
    /// Metadata of every array by name, for the root.
    consolidated: Map<String, Value>,
    attrs: Map<String, Value>,
}

struct Variable {
    spec: ZarrVariable,
    array: Array<Storage>,
    gather: Gather,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZarrSummary {
    /// Arrays, coordinates included.
    pub arrays: usize,
    /// Size of all files.
    pub bytes: u64,
}

impl std::fmt::Debug for ZarrWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self
            .variables
            .iter()
            .map(|variable| &variable.spec.name)
            .collect();
        f.debug_struct("ZarrWriter")
            .field("path", &self.path)
            .field("variables", &names)
            .finish()
    }
}

impl ZarrWriter {
    /// A writer for a store at `path`, which appears when it is finished.
    /// Coordinates and the metadata of all arrays are written at once.
    ///
    /// # Errors
    /// [`Error::Exists`] if something is at `path` and may not be replaced,
    /// [`Error::Busy`] while somebody else writes it, [`Error::OtherJob`] if what is
    /// to be resumed is of another spec or plan, [`Error::Invalid`] if names, shapes
    /// and chunks do not fit together, [`Error::Io`] or [`Error::Zarr`] if the folder
    /// cannot be written to.
    pub fn create(path: &Path, spec: ZarrSpec, options: ZarrOptions) -> Result<Self> {
        check_free(path, options.overwrite)?;
        check_spec(path, &spec)?;
        if !(1..=22).contains(&options.level) {
            let reason = format!("zstd has levels 1 to 22, not {}", options.level);
            return Err(Error::invalid(path.display().to_string(), reason));
        }
        let job = job("zarr", options.plan.as_deref(), stored(&spec, &options));
        let (part, written) = Part::open(path, &job, options.resume)?;
        let folder = part.join(STORE);
        std::fs::create_dir_all(&folder).map_err(Error::io("create", path))?;
        let store: ReadableWritableListableStorage =
            Arc::new(FilesystemStore::new(&folder).map_err(zarr_error(path, "/"))?);
        let mut consolidated = Map::new();
        for coordinate in &spec.coordinates {
            let array = store_coordinate(path, &store, coordinate)?;
            consolidated.insert(coordinate.name.clone(), array);
        }
        let mut variables = Vec::new();
        for variable in spec.variables {
            let beside = auxiliary(&spec.coordinates, &variable.dims);
            let attrs = variable_attrs(&variable.attrs, variable.dtype, variable.nodata, &beside);
            let fill = fill_bytes(variable.dtype, variable.nodata);
            let mut builder = ArrayBuilder::new(
                to_u64(&variable.shape),
                to_u64(&variable.chunks),
                zarr_type(variable.dtype),
                FillValue::new(fill.clone()),
            );
            builder
                .bytes_to_bytes_codecs(vec![Arc::new(ZstdCodec::new(options.level, false))])
                .dimension_names(Some(variable.dims.clone()))
                .attributes(attrs);
            let array = builder
                .build(Arc::clone(&store), &format!("/{}", variable.name))
                .map_err(zarr_error(path, &variable.name))?;
            array
                .store_metadata()
                .map_err(zarr_error(path, &variable.name))?;
            consolidated.insert(variable.name.clone(), metadata_of(&array));
            let grid = BlockGrid::new(variable.shape.clone(), variable.chunks.clone());
            variables.push(Variable {
                array,
                gather: Gather::new(grid, fill),
                spec: variable,
            });
        }
        for entry in written {
            // What is not as it was noted is written again.
            let [number, chunk, bytes] = entry[..] else {
                continue;
            };
            let place = |number: u64| usize::try_from(number).ok();
            let variable: Option<&Variable> = place(number).and_then(|n| variables.get(n));
            if let (Some(variable), Some(chunk)) = (variable, place(chunk))
                && chunk < variable.gather.grid().n_blocks()
                && variable.stored_bytes(&folder, chunk).ok() == Some(bytes)
            {
                variable.gather.was_written(chunk);
            }
        }
        Ok(ZarrWriter {
            path: path.to_owned(),
            part,
            overwrite: options.overwrite,
            variables,
            consolidated,
            attrs: spec.attrs,
        })
    }

    /// Whether an earlier run has left anything.
    pub fn resumes(&self) -> bool {
        self.variables
            .iter()
            .any(|variable| variable.gather.resumes())
    }

    /// Whether all pixels of `region` of variable number `variable` are written.
    pub fn holds(&self, variable: usize, region: &[Range<usize>]) -> bool {
        self.variables
            .get(variable)
            .is_some_and(|variable| variable.gather.holds(region))
    }

    /// Takes the pixels of `region` of variable number `variable` (in the order
    /// of the spec): C order, native endian.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the region is not inside the variable, `pixels` has
    /// not its size, or pixels come a second time; [`Error::Zarr`] if the disk
    /// is full.
    pub fn write(&self, variable: usize, region: &[Range<usize>], pixels: &[u8]) -> Result<()> {
        let place = variable;
        let Some(variable) = self.variables.get(place) else {
            return Err(Error::invalid(
                format!("variable number {place}"),
                format!("`{}` has {}", self.path.display(), self.variables.len()),
            ));
        };
        let name = &variable.spec.name;
        variable
            .gather
            .add(&format!("`{name}`"), region, pixels, |number, chunk| {
                let position = to_u64(&variable.gather.grid().position(number));
                variable
                    .array
                    .store_chunk(&position, ArrayBytes::new_flen(chunk.bytes()))
                    .map_err(zarr_error(&self.path, name))?;
                let bytes = variable
                    .stored_bytes(&self.part.join(STORE), number)
                    .map_err(Error::io("write", &self.path))?;
                self.part.note(&[place as u64, number as u64, bytes])
            })
    }

    /// Writes the root and puts the store in place.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if pixels are missing, [`Error::Io`] if the disk is
    /// full, [`Error::Exists`] if something appeared at the destination meanwhile.
    pub fn finish(self) -> Result<ZarrSummary> {
        for Variable { spec, gather, .. } in &self.variables {
            let missing = gather.missing(0..gather.grid().n_blocks());
            if missing > 0 {
                let expected = spec.shape.iter().product::<usize>();
                return Err(Error::Incomplete {
                    path: self.path.clone(),
                    what: format!("`{}`", spec.name),
                    got: (expected - missing) as u64,
                    expected: expected as u64,
                });
            }
        }
        let arrays = self.consolidated.len();
        let root = json!({
            "zarr_format": 3,
            "node_type": "group",
            "attributes": self.attrs,
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": false,
                "metadata": self.consolidated,
            },
        });
        let folder = self.part.join(STORE);
        let root_file = folder.join("zarr.json");
        let text = serde_json::to_vec_pretty(&root).expect("JSON values can be written");
        std::fs::write(&root_file, text).map_err(Error::io("write", &self.path))?;
        let bytes = size_of(&folder).map_err(Error::io("read", &self.path))?;
        self.part.commit(STORE, self.overwrite)?;
        Ok(ZarrSummary { arrays, bytes })
    }
}

impl Variable {
    /// The size of a chunk's file in the store at `folder`; 0 where there is none,
    /// because all its pixels are missing.
    fn stored_bytes(&self, folder: &Path, chunk: usize) -> std::io::Result<u64> {
        let key = self
            .array
            .chunk_key(&to_u64(&self.gather.grid().position(chunk)));
        match std::fs::metadata(folder.join(key.as_str())) {
            Ok(file) => Ok(file.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// What two runs have to have in common for one to go on with the other's chunks.
fn stored(spec: &ZarrSpec, options: &ZarrOptions) -> Value {
    let variables = spec.variables.iter().map(|variable| {
        let stored = json!({
            "dims": variable.dims,
            "shape": variable.shape,
            "chunks": variable.chunks,
            "dtype": variable.dtype.name(),
            "nodata": variable.nodata.map(|nodata| nodata.to_string()),
            "attributes": variable.attrs,
        });
        (variable.name.clone(), stored)
    });
    let coordinates = spec.coordinates.iter().map(|coordinate| {
        let stored = json!({
            "dim": coordinate.dim,
            "labels": format!("{:?}", coordinate.labels),
            "attributes": coordinate.attrs,
        });
        (coordinate.name.clone(), stored)
    });
    json!({
        // A journal knows variables by their place.
        "names": spec.variables.iter().map(|variable| &variable.name).collect::<Vec<_>>(),
        "variables": variables.collect::<Map<_, _>>(),
        "coordinates": coordinates.collect::<Map<_, _>>(),
        "attributes": spec.attrs,
        "level": options.level,
    })
}

/// The coordinates of a variable that are no index: CF wants them named.
fn auxiliary<'a>(coordinates: &'a [ZarrCoordinate], dims: &[String]) -> Vec<&'a str> {
    coordinates
        .iter()
        .filter(|coordinate| match &coordinate.dim {
            Some(dim) => *dim != coordinate.name && dims.contains(dim),
            None => true,
        })
        .map(|coordinate| coordinate.name.as_str())
        .collect()
}

fn size_of(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            size_of(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

fn zarr_error<E: Display>(path: &Path, node: &str) -> impl FnOnce(E) -> Error {
    let (path, node) = (path.to_owned(), node.to_owned());
    move |error| Error::Zarr {
        path,
        node,
        message: error.to_string(),
    }
}

fn to_u64(sizes: &[usize]) -> Vec<u64> {
    sizes.iter().map(|&size| size as u64).collect()
}

fn metadata_of(array: &Array<Storage>) -> Value {
    serde_json::to_value(array.metadata()).expect("metadata is JSON")
}

fn check_spec(path: &Path, spec: &ZarrSpec) -> Result<()> {
    let mut names = std::collections::HashSet::new();
    let all = spec
        .coordinates
        .iter()
        .map(|coordinate| &coordinate.name)
        .chain(spec.variables.iter().map(|variable| &variable.name));
    for name in all {
        let what = format!("`{name}` to {}", path.display());
        if name.is_empty() || name.starts_with("__") || name.contains('/') || name == "zarr.json" {
            return Err(Error::invalid(what, "this is no name for a Zarr array"));
        }
        if !names.insert(name) {
            return Err(Error::invalid(what, "the name is used twice"));
        }
    }
    for variable in &spec.variables {
        let what = format!("`{}` to {}", variable.name, path.display());
        let ZarrVariable {
            dims,
            shape,
            chunks,
            ..
        } = variable;
        if dims.len() != shape.len() || chunks.len() != shape.len() {
            return Err(Error::invalid(
                what,
                format!(
                    "dimensions {dims:?}, shape {shape:?} and chunks {chunks:?} differ in number"
                ),
            ));
        }
        if chunks.contains(&0) {
            return Err(Error::invalid(
                what,
                format!("chunks {chunks:?} hold no pixel"),
            ));
        }
        if let Some(nodata) = variable
            .nodata
            .filter(|nodata| !nodata.fits(variable.dtype))
        {
            let reason = format!("nodata {nodata} is no value of {}", variable.dtype);
            return Err(Error::invalid(what, reason));
        }
        for coordinate in &spec.coordinates {
            let Some(axis) = dims
                .iter()
                .position(|dim| Some(dim) == coordinate.dim.as_ref())
            else {
                continue;
            };
            if coordinate.labels.len() != shape[axis] {
                return Err(Error::invalid(
                    what,
                    format!(
                        "{} labels of `{}` for {} pixels",
                        coordinate.labels.len(),
                        coordinate.name,
                        shape[axis]
                    ),
                ));
            }
        }
    }
    Ok(())
}

impl super::Labels {
    fn len(&self) -> usize {
        match self {
            super::Labels::Time(values) | super::Labels::Int(values) => values.len(),
            super::Labels::Float(values) => values.len(),
            super::Labels::Text(values) => values.len(),
        }
    }
}

/// Writes a coordinate in one chunk; gives its metadata.
fn store_coordinate(
    path: &Path,
    store: &ReadableWritableListableStorage,
    coordinate: &ZarrCoordinate,
) -> Result<Value> {
    let (encoded, encoding) = encode_labels(&coordinate.labels, coordinate.dim.is_none());
    let mut attrs = coordinate_attrs(&coordinate.name, &coordinate.attrs);
    attrs.extend(encoding);
    let shape: Vec<u64> = match coordinate.dim {
        Some(_) => vec![coordinate.labels.len() as u64],
        None => vec![],
    };
    // One chunk; an empty coordinate still needs a chunk size.
    let chunk: Vec<u64> = shape.iter().map(|&n| n.max(1)).collect();
    let (zarr_type, fill) = match &encoded {
        Encoded::Double(_) => (data_type::float64(), FillValue::from(f64::NAN)),
        Encoded::Long(_) => (data_type::int64(), FillValue::from(i64::MIN)),
        Encoded::Int(_) => (data_type::int32(), FillValue::from(i32::MIN)),
        Encoded::Text(_) => (data_type::string(), FillValue::from("")),
    };
    let mut builder = ArrayBuilder::new(shape.clone(), chunk, zarr_type, fill);
    builder.dimension_names(Some(coordinate.dim.iter().cloned().collect::<Vec<_>>()));
    builder.attributes(attrs);
    let array = builder
        .build(Arc::clone(store), &format!("/{}", coordinate.name))
        .map_err(zarr_error(path, &coordinate.name))?;
    array
        .store_metadata()
        .map_err(zarr_error(path, &coordinate.name))?;
    if shape != [0] {
        let origin = vec![0; shape.len()];
        match encoded {
            Encoded::Double(values) => array.store_chunk(&origin, values),
            Encoded::Long(values) => array.store_chunk(&origin, values),
            Encoded::Int(value) => array.store_chunk(&origin, vec![value]),
            Encoded::Text(values) => array.store_chunk(&origin, values),
        }
        .map_err(zarr_error(path, &coordinate.name))?;
    }
    Ok(metadata_of(&array))
}

fn zarr_type(dtype: DType) -> DataType {
    match dtype {
        DType::Bool => data_type::bool(),
        DType::Int8 => data_type::int8(),
        DType::Int16 => data_type::int16(),
        DType::Int32 => data_type::int32(),
        DType::Int64 => data_type::int64(),
        DType::UInt8 => data_type::uint8(),
        DType::UInt16 => data_type::uint16(),
        DType::UInt32 => data_type::uint32(),
        DType::UInt64 => data_type::uint64(),
        DType::Float16 => data_type::float16(),
        DType::Float32 => data_type::float32(),
        DType::Float64 => data_type::float64(),
        DType::Complex64 => data_type::complex64(),
        DType::Complex128 => data_type::complex128(),
    }
}

/// One pixel of nodata, or of NaN for floats and 0 for others, in native bytes.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "create checked that nodata fits its type"
)]
fn fill_bytes(dtype: DType, nodata: Option<Number>) -> Vec<u8> {
    let floating = dtype.is_float() || dtype.is_complex();
    let value = nodata.unwrap_or(if floating {
        Number::Float(f64::NAN)
    } else {
        Number::Int(0)
    });
    let float = value.as_f64();
    let int = match value {
        Number::Int(int) => int,
        Number::Float(float) => float as i128,
    };
    match dtype {
        DType::Bool => vec![u8::from(int != 0)],
        DType::Int8 => (int as i8).to_ne_bytes().to_vec(),
        DType::Int16 => (int as i16).to_ne_bytes().to_vec(),
        DType::Int32 => (int as i32).to_ne_bytes().to_vec(),
        DType::Int64 => (int as i64).to_ne_bytes().to_vec(),
        DType::UInt8 => (int as u8).to_ne_bytes().to_vec(),
        DType::UInt16 => (int as u16).to_ne_bytes().to_vec(),
        DType::UInt32 => (int as u32).to_ne_bytes().to_vec(),
        DType::UInt64 => (int as u64).to_ne_bytes().to_vec(),
        DType::Float16 => f16::from_f64(float).to_ne_bytes().to_vec(),
        DType::Float32 => (float as f32).to_ne_bytes().to_vec(),
        DType::Float64 => float.to_ne_bytes().to_vec(),
        DType::Complex64 => cast_slice(&[float as f32, 0.0]).to_vec(),
        DType::Complex128 => cast_slice(&[float, 0.0]).to_vec(),
    }
}
