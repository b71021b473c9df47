//! What GDAL writes into TIFF tags of its own: nodata, scale, offset, names.

use datacube_model::{DType, Number};

/// What GDAL_METADATA says of one band.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BandMetadata {
    pub(crate) scale: Option<f64>,
    pub(crate) offset: Option<f64>,
    pub(crate) unit: Option<String>,
    pub(crate) description: Option<String>,
    /// What it is in a picture, in GDAL's words.
    pub(crate) color: Option<String>,
    /// Everything else.
    pub(crate) tags: Vec<(String, String)>,
}

/// What GDAL_METADATA says, as far as it concerns pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata {
    /// One for each band.
    pub(crate) bands: Vec<BandMetadata>,
    /// How an overview was made, `AVERAGE` or `NEAREST`, where it says.
    pub(crate) resampling: Option<String>,
    /// Other items of the file as a whole, as name and value.
    pub(crate) items: Vec<(String, String)>,
}

impl Metadata {
    /// Reads the XML of the tag.
    ///
    /// # Errors
    /// What is wrong with the XML; GDAL then goes on without metadata, and so
    /// may the caller.
    pub(crate) fn parse(xml: &str, n_bands: usize) -> Result<Metadata, String> {
        let mut metadata = Metadata {
            bands: vec![BandMetadata::default(); n_bands],
            ..Metadata::default()
        };
        let document = roxmltree::Document::parse(xml.trim()).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if !root.has_tag_name("GDALMetadata") {
            return Err(format!(
                "its root is <{}>, not <GDALMetadata>",
                root.tag_name().name()
            ));
        }
        for item in root.children().filter(|node| node.has_tag_name("Item")) {
            let (Some(name), Some(text)) = (item.attribute("name"), item.text()) else {
                continue;
            };
            let tag = match item.attribute("domain").unwrap_or_default() {
                "" => (name.to_owned(), text.to_owned()),
                domain => (format!("{domain}:{name}"), text.to_owned()),
            };
            let Some(sample) = item.attribute("sample") else {
                match name {
                    "OVERVIEW_RESAMPLING" | "RESAMPLING" => {
                        metadata.resampling = Some(text.to_owned());
                    }
                    _ => metadata.items.push(tag),
                }
                continue;
            };
            let Some(band) = sample
                .trim()
                .parse()
                .ok()
                .and_then(|at: usize| metadata.bands.get_mut(at))
            else {
                continue;
            };
            let role = item
                .attribute("role")
                .unwrap_or_default()
                .to_ascii_lowercase();
            match role.as_str() {
                "scale" => band.scale = parse_float(text),
                "offset" => band.offset = parse_float(text),
                "unittype" => band.unit = Some(text.to_owned()),
                "description" => band.description = Some(text.to_owned()),
                "colorinterp" => band.color = Some(text.to_ascii_lowercase()),
                _ if name == "RESAMPLING" => metadata.resampling = Some(text.to_owned()),
                _ => band.tags.push(tag),
            }
        }
        Ok(metadata)
    }
}

/// The nodata value of GDAL_NODATA for pixels of `dtype`, or `None` where no
/// such pixel can have it.
///
/// # Source
/// GDAL, `GTiffDataset::OpenOffset` and `GDALAdjustNoDataCloseToFloatMax`.
pub(crate) fn parse_nodata(text: &str, dtype: DType) -> Option<Number> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    if text.is_empty() {
        return None;
    }
    let number = match text.parse::<i128>() {
        Ok(value) => Number::Int(value),
        Err(_) => Number::Float(parse_float(text)?),
    };
    let number = match (number, dtype.integer_range()) {
        (Number::Float(value), Some((low, high))) => whole(value, low, high)?,
        (number, Some(_)) => number,
        (number, None) => Number::Float(rounded_to(dtype, number.as_f64())),
    };
    number.fits(dtype).then_some(number)
}

/// A whole number within `low..=high`.
fn whole(value: f64, low: i128, high: i128) -> Option<Number> {
    if value.fract() != 0.0 || value.abs() > 1e20 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "whole and below 1e20")]
    let value = value as i128;
    (low..=high).contains(&value).then_some(Number::Int(value))
}

/// The value that a pixel of a floating-point type has when it is written.
fn rounded_to(dtype: DType, value: f64) -> f64 {
    let largest = f64::from(f32::MAX);
    match dtype {
        // Printed with too few digits, the largest float reads as one that is
        // larger still.
        DType::Float32 if (value.abs() - largest).abs() < 1e-10 * largest => {
            largest.copysign(value)
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "rounding is what is asked for"
        )]
        DType::Float32 if value.abs() <= largest => f64::from(value as f32),
        DType::Float16 if value.abs() <= 65504.0 => half::f16::from_f64(value).to_f64(),
        _ => value,
    }
}

/// A number as C's `strtod` reads it: what follows it is ignored.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let (sign, unsigned) = match lower.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    if unsigned.starts_with("nan")
        || unsigned.starts_with("1.#qnan")
        || unsigned.starts_with("1.#ind")
    {
        return Some(f64::NAN);
    }
    if unsigned.starts_with("inf") || unsigned.starts_with("1.#inf") {
        return Some(sign * f64::INFINITY);
    }
    let end = lower
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e')))
        .unwrap_or(lower.len());
    // The longest part that is a number.
    (1..=end).rev().find_map(|end| lower[..end].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodata_as_gdal_reads_it() {
        let check = |text: &str, dtype: DType, expected: Option<Number>| {
            assert_eq!(parse_nodata(text, dtype), expected, "{text} as {dtype}");
        };
        check("0", DType::UInt16, Some(Number::Int(0)));
        check(" -9999 ", DType::Int16, Some(Number::Int(-9999)));
        check("-9999", DType::UInt8, None);
        check("255.0", DType::UInt8, Some(Number::Int(255)));
        check("0.5", DType::UInt8, None);
        check("nan", DType::Float32, Some(Number::Float(f64::NAN)));
        check("-nan(ind)", DType::Float64, Some(Number::Float(f64::NAN)));
        check("nan", DType::UInt16, None);
        check(
            "-inf",
            DType::Float32,
            Some(Number::Float(f64::NEG_INFINITY)),
        );
        check(
            "18446744073709551615",
            DType::UInt64,
            Some(Number::Int(u64::MAX.into())),
        );
        check(
            "-9223372036854775808",
            DType::Int64,
            Some(Number::Int(i64::MIN.into())),
        );
        check(
            "-3.40282346638529011e+38",
            DType::Float32,
            Some(Number::Float((-f32::MAX).into())),
        );
        check(
            "-3.402823466e+38",
            DType::Float32,
            Some(Number::Float((-f32::MAX).into())),
        );
        check("0.1", DType::Float32, Some(Number::Float(0.1_f32.into())));
        check("1e40", DType::Float32, None);
        check("-99999 m", DType::Int32, Some(Number::Int(-99999)));
        check("", DType::Int32, None);
        check("none", DType::Int32, None);
    }

    #[test]
    fn scale_offset_and_names() {
        let xml = r#"<GDALMetadata>
            <Item name="SCALE" sample="1" role="scale">0.5</Item>
            <Item name="OFFSET" sample="1" role="offset">-10 </Item>
            <Item name="DESCRIPTION" sample="0" role="description">red &amp; more</Item>
            <Item name="UNITTYPE" sample="0" role="unittype">m</Item>
            <Item name="SCALE" sample="9" role="scale">7</Item>
            <Item name="TIFFTAG_X">y</Item>
            <Item name="WAVE" sample="1">865</Item>
            <Item name="COLORINTERP" sample="1" role="colorinterp">Alpha</Item>
            <Item name="CLOUDS" domain="EO">7</Item>
        </GDALMetadata>"#;
        let metadata = Metadata::parse(xml, 2).unwrap();
        assert_eq!(metadata.bands[0].description.as_deref(), Some("red & more"));
        assert_eq!(metadata.bands[0].unit.as_deref(), Some("m"));
        assert_eq!(
            (metadata.bands[1].scale, metadata.bands[1].offset),
            (Some(0.5), Some(-10.0))
        );
        let tag = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            metadata.items,
            [tag("TIFFTAG_X", "y"), tag("EO:CLOUDS", "7")]
        );
        assert_eq!(metadata.bands[1].tags, [tag("WAVE", "865")]);
        assert_eq!(metadata.bands[1].color.as_deref(), Some("alpha"));
        assert!(Metadata::parse("<a><b></a>", 1).is_err());
        assert!(Metadata::parse("<a/>", 1).unwrap_err().contains("<a>"));
    }
}
