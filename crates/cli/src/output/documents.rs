//! Whole documents: definitions and datasets as they are stored.

use datacube::model::to_yaml;
use serde_json::Value;

use super::{line, raw};
use crate::args::DocumentFormat;

/// A document, or several: YAML separated by `---`, JSON as one object or an
/// array, JSON lines.
pub(crate) fn documents(values: &[Value], format: DocumentFormat) -> anyhow::Result<()> {
    match format {
        DocumentFormat::Yaml => {
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    line("---")?;
                }
                raw(to_yaml(value).as_bytes())?;
            }
            Ok(())
        }
        DocumentFormat::Json => match values {
            [value] => line(pretty(value)?),
            values => line(pretty(values)?),
        },
        DocumentFormat::Jsonl => values
            .iter()
            .try_for_each(|value| line(serde_json::to_string(value)?)),
    }
}

/// JSON with the indentation that ODC uses.
pub(super) fn pretty<T: serde::Serialize + ?Sized>(value: &T) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, formatter,
    ))?;
    Ok(String::from_utf8(bytes)?)
}
