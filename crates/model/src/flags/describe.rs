//! Flags as a table for people.

use std::fmt;

use serde::Serialize;

use super::{FlagsDefinition, Label};

/// One row of the table of flags.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FlagDescription {
    /// The flag.
    pub flag: String,
    /// Its bits, in the order of the document.
    pub bits: Vec<u32>,
    /// Code and label of each value.
    pub values: Vec<(i64, Label)>,
    /// What it is about; empty where the document does not say.
    pub description: String,
}

impl FlagsDefinition {
    /// The table of flags, lowest bit first.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`describe_variable_flags`).
    pub fn describe(&self) -> Vec<FlagDescription> {
        let mut rows: Vec<_> = self.flags().iter().collect();
        rows.sort_by_key(|(_, flag)| flag.shift());
        rows.into_iter()
            .map(|(name, flag)| FlagDescription {
                flag: name.clone(),
                bits: flag.bits.clone(),
                values: flag.values.clone(),
                description: flag.description.clone().unwrap_or_default(),
            })
            .collect()
    }
}

/// The table of flags as text, in the layout of ODC: name, description, bits,
/// code and meaning, one line a code.
impl fmt::Display for FlagsDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 5] = ["Flag name", "Description", "Bit. No", "Value", "Meaning"];
        let mut rows: Vec<[String; 5]> = vec![HEAD.map(str::to_owned)];
        for row in self.describe() {
            let bits = match row.bits.as_slice() {
                [bit] if self.flags()[&row.flag].single => bit.to_string(),
                bits => format!("{bits:?}"),
            };
            for (position, (code, label)) in row.values.iter().enumerate() {
                let (name, description) = if position == 0 {
                    (row.flag.clone(), row.description.clone())
                } else {
                    Default::default()
                };
                rows.push([
                    name,
                    description,
                    bits.clone(),
                    code.to_string(),
                    label.text(),
                ]);
            }
        }
        let widths: Vec<usize> = (0..HEAD.len())
            .map(|column| {
                rows.iter()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for (position, row) in rows.iter().enumerate() {
            if position > 0 && !row[0].is_empty() {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(f, "{}", rule.join("-+-"))?;
            }
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            writeln!(f, "{}", cells.join(" | ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::qa_pixel;

    #[test]
    fn the_table_has_a_line_for_each_code() {
        let text = qa_pixel().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Flag name         | Description | Bit. No  | Value | Meaning"
        );
        assert_eq!(
            lines[2],
            "nodata            | Fill        | 0        | 0     | false"
        );
        assert_eq!(
            lines[3],
            "                  |             | 0        | 1     | true"
        );
        assert!(
            text.contains("cloud_confidence  |             | [8, 9]   | 0     | none"),
            "{text}"
        );
        assert_eq!(qa_pixel().describe()[3].bits, [8, 9]);
    }
}
