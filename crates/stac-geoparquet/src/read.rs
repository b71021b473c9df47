//! From a file to items, group by group.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_json::LineDelimitedWriter;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;
use serde_json::{Map, Value};

use crate::{Error, JSON_COLUMNS, METADATA_KEY, Result, row, schema, wkb};

/// The items of a file: a file on disk or bytes in memory.
///
/// Files of other writers are read as well: what they call a column is a
/// property of the item, or one of its own keys where the specification says so.
///
/// # Errors
/// [`Error::Parquet`] for what is no Parquet file, [`Error::Layout`] for one
/// without `id` and `geometry`.
pub fn read_items<R: ChunkReader + 'static>(file: R) -> Result<Items> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    for column in ["id", "geometry"] {
        if builder.schema().field_with_name(column).is_err() {
            return Err(Error::Layout {
                problem: format!("there is no column `{column}`"),
            });
        }
    }
    let about: Value = builder
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .and_then(|all| {
            all.iter()
                .find(|entry| entry.key == METADATA_KEY)?
                .value
                .as_deref()
        })
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let names = |key: &str| -> Vec<String> {
        let list = about[key].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Ok(Items {
        json: names(JSON_COLUMNS),
        reader: builder.build()?,
        ready: VecDeque::new(),
    })
}

/// The items of a file, in its order.
#[derive(Debug)]
pub struct Items {
    reader: ParquetRecordBatchReader,
    json: Vec<String>,
    ready: VecDeque<Value>,
}

impl Items {
    fn items_of(&self, batch: &RecordBatch) -> Result<VecDeque<Value>> {
        let geometry = batch.schema().index_of("geometry")?;
        let geometries = geometries(batch.column(geometry))?;
        let others: Vec<usize> = (0..batch.num_columns())
            .filter(|column| *column != geometry)
            .collect();
        let mut lines = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut lines);
        writer.write(&in_utc(&batch.project(&others)?)?)?;
        writer.finish()?;
        let rows = serde_json::Deserializer::from_slice(&lines).into_iter::<Map<String, Value>>();
        rows.zip(geometries)
            .map(|(row, geometry)| {
                let mut row = Value::Object(row.map_err(|error| Error::Layout {
                    problem: error.to_string(),
                })?);
                schema::decode(&mut row, "", &self.json);
                let Value::Object(row) = row else {
                    unreachable!("it was an object")
                };
                Ok(row::to_item(row, geometry))
            })
            .collect()
    }
}

/// The table with its times in a zone that is an offset and not a name, which
/// is UTC in both cases: the numbers are the same.
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column: ArrayRef = match column.data_type() {
            DataType::Timestamp(unit, Some(_)) => match unit {
                TimeUnit::Second => Arc::new(
                    column
                        .as_primitive::<TimestampSecondType>()
                        .clone()
                        .with_timezone(schema::UTC),
                ),
                TimeUnit::Millisecond => Arc::new(
                    column
                        .as_primitive::<TimestampMillisecondType>()
                        .clone()
                        .with_timezone(schema::UTC),
                ),
                TimeUnit::Microsecond => Arc::new(
                    column
                        .as_primitive::<TimestampMicrosecondType>()
                        .clone()
                        .with_timezone(schema::UTC),
                ),
                TimeUnit::Nanosecond => Arc::new(
                    column
                        .as_primitive::<TimestampNanosecondType>()
                        .clone()
                        .with_timezone(schema::UTC),
                ),
            },
            _ => column.clone(),
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// The geometries of a column, as GeoJSON.
fn geometries(column: &dyn Array) -> Result<Vec<Value>> {
    let of = |bytes: Option<&[u8]>| match bytes {
        None => Ok(Value::Null),
        Some(bytes) => wkb::read(bytes).map_err(|problem| Error::Layout {
            problem: format!("geometry: {problem}"),
        }),
    };
    match column.data_type() {
        DataType::Binary => column.as_binary::<i32>().iter().map(of).collect(),
        DataType::LargeBinary => column.as_binary::<i64>().iter().map(of).collect(),
        DataType::BinaryView => column.as_binary_view().iter().map(of).collect(),
        other => Err(Error::Layout {
            problem: format!("the column `geometry` is {other} and not binary"),
        }),
    }
}

impl Iterator for Items {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            let batch = match self.reader.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error.into())),
            };
            match self.items_of(&batch) {
                Ok(items) => self.ready = items,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
