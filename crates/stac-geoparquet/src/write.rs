//! From items to a file.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_json::reader::{Decoder, ReaderBuilder};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::schema::Columns;
use crate::{Error, JSON_COLUMNS, METADATA_KEY, Result, SPECIFICATION, row, wkb};

/// Items that become rows at once.
const BATCH: usize = 1024;
/// Rows of a group, the unit that a reader skips.
const GROUP: usize = 64 * 1024;

/// Writes items to a file, one after the other.
pub struct ItemWriter<W: Write + Send> {
    columns: Columns,
    schema: Arc<Schema>,
    rows: Arc<Schema>,
    writer: ArrowWriter<W>,
    waiting: Vec<Value>,
    geometries: Vec<Option<Vec<u8>>>,
    n_items: usize,
}

impl<W: Write + Send> ItemWriter<W> {
    /// A writer of items with these columns; what an item has beside them is not written.
    ///
    /// # Errors
    /// [`Error::Layout`] for columns of no items, [`Error::Parquet`] when `out`
    /// cannot be written.
    pub fn new(out: W, columns: Columns) -> Result<Self> {
        let (fields, json) = columns.fields()?;
        let rows = Arc::new(Schema::new(fields.clone()));
        let mut all: Vec<Arc<Field>> = fields.iter().cloned().collect();
        all.push(Arc::new(Field::new("geometry", DataType::Binary, true)));
        let schema = Arc::new(Schema::new(all));
        let has_bbox = fields.iter().any(|field| field.name() == "bbox");
        let about = json!({"version": SPECIFICATION, JSON_COLUMNS: json});
        let metadata = vec![
            KeyValue::new("geo".to_owned(), geo(has_bbox).to_string()),
            KeyValue::new(METADATA_KEY.to_owned(), about.to_string()),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP))
            .set_key_value_metadata(Some(metadata))
            .build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
        Ok(ItemWriter {
            columns,
            schema,
            rows,
            writer,
            waiting: Vec::new(),
            geometries: Vec::new(),
            n_items: 0,
        })
    }

    /// Writes an item.
    ///
    /// # Errors
    /// [`Error::Item`] for what is no item or has a geometry that is none;
    /// [`Error::Arrow`] for values that do not fit the columns.
    pub fn write(&mut self, item: &Value) -> Result<()> {
        let row = row::of_item(item, self.n_items)?;
        let geometry = match &item["geometry"] {
            Value::Null => None,
            geometry => Some(wkb::write(geometry).map_err(|problem| Error::Item {
                item: item["id"].as_str().unwrap_or("?").to_owned(),
                problem,
            })?),
        };
        self.waiting.push(self.columns.encode(row));
        self.geometries.push(geometry);
        self.n_items += 1;
        if self.waiting.len() >= BATCH {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut decoder: Decoder = ReaderBuilder::new(self.rows.clone())
            .with_batch_size(self.waiting.len())
            .build_decoder()?;
        decoder.serialize(&self.waiting)?;
        let batch = decoder.flush()?.expect("there are rows");
        let mut geometries = BinaryBuilder::new();
        self.geometries
            .iter()
            .for_each(|geometry| geometries.append_option(geometry.as_deref()));
        let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
        arrays.push(Arc::new(geometries.finish()));
        self.writer
            .write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        self.waiting.clear();
        self.geometries.clear();
        Ok(())
    }

    /// Writes what is left and the end of the file; gives back how many items there are.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self) -> Result<usize> {
        self.flush()?;
        self.writer.close()?;
        Ok(self.n_items)
    }
}

impl<W: Write + Send> std::fmt::Debug for ItemWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ItemWriter")
            .field("n_items", &self.n_items)
            .finish_non_exhaustive()
    }
}

/// What GeoParquet 1.1 wants to know.
fn geo(has_bbox: bool) -> Value {
    let mut column = json!({"encoding": "WKB", "geometry_types": []});
    if has_bbox {
        let edge = |name: &str| json!(["bbox", name]);
        column["covering"] = json!({"bbox": {"xmin": edge("xmin"), "ymin": edge("ymin"), "xmax": edge("xmax"), "ymax": edge("ymax")}});
    }
    json!({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})
}

/// Writes items as a file; gives back how many.
///
/// # Errors
/// As [`ItemWriter`].
pub fn write_items<W: Write + Send>(items: &[Value], out: W) -> Result<usize> {
    let mut writer = ItemWriter::new(out, Columns::of(items)?)?;
    items.iter().try_for_each(|item| writer.write(item))?;
    writer.finish()
}
