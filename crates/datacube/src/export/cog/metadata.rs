//! What GDAL keeps beside the pixels, as XML in the tag `GDAL_METADATA`:
//! names of bands, scale and offset, units, and free items.

use std::fmt::Write as _;

use super::{Band, CogSpec, OverviewResampling};

/// The XML, or `None` where there is nothing to say. `overviews` is how they
/// were made, if there are any.
pub(super) fn gdal_metadata(
    spec: &CogSpec,
    overviews: Option<OverviewResampling>,
) -> Option<String> {
    let mut xml = String::from("<GDALMetadata>\n");
    let empty = xml.len();
    for (name, value) in &spec.metadata {
        item(&mut xml, name, None, None, value);
    }
    for (index, band) in spec.bands.iter().enumerate() {
        band_items(&mut xml, index, band);
    }
    if let Some(resampling) = overviews {
        let name = match resampling {
            OverviewResampling::Nearest => "NEAREST",
            OverviewResampling::Average => "AVERAGE",
        };
        writeln!(
            xml,
            "  <Item name=\"OVERVIEW_RESAMPLING\" domain=\"IMAGE_STRUCTURE\">{name}</Item>"
        )
        .expect("a string grows");
    }
    if xml.len() == empty {
        return None;
    }
    xml.push_str("</GDALMetadata>\n");
    Some(xml)
}

fn band_items(xml: &mut String, index: usize, band: &Band) {
    let mut item = |name, role, value: &str| item(xml, name, Some(index), role, value);
    for (name, value) in &band.metadata {
        item(name, None, value);
    }
    if let Some(unit) = &band.unit {
        item("UNITTYPE", Some("unittype"), unit);
    }
    if let Some(description) = &band.description {
        item("DESCRIPTION", Some("description"), description);
    }
    if band.scale.is_some() || band.offset.is_some() {
        item(
            "OFFSET",
            Some("offset"),
            &band.offset.unwrap_or(0.0).to_string(),
        );
        item(
            "SCALE",
            Some("scale"),
            &band.scale.unwrap_or(1.0).to_string(),
        );
    }
}

fn item(xml: &mut String, name: &str, sample: Option<usize>, role: Option<&str>, value: &str) {
    let sample = sample
        .map(|n| format!(" sample=\"{n}\""))
        .unwrap_or_default();
    let role = role
        .map(|role| format!(" role=\"{role}\""))
        .unwrap_or_default();
    // GDAL escapes a value twice and reads it so: once for the item, once for
    // the document around it.
    let value = escape(&escape(value));
    writeln!(
        xml,
        "  <Item name=\"{}\"{sample}{role}>{value}</Item>",
        escape(name)
    )
    .expect("a string grows");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\0' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use datacube_geo::{Affine, GeoBox, Shape2d};
    use datacube_model::DType;

    use super::*;

    #[test]
    fn items_are_those_of_gdal() {
        let affine = Affine {
            a: 1.0,
            b: 0.0,
            c: 0.0,
            d: 0.0,
            e: -1.0,
            f: 0.0,
        };
        let geobox = GeoBox::new(Shape2d { rows: 1, cols: 1 }, affine, None).unwrap();
        let mut spec = CogSpec::new(geobox, DType::UInt8);
        assert_eq!(gdal_metadata(&spec, None), None);
        spec.metadata.insert("ds".into(), "x<y".into());
        spec.bands[0] = Band::named("2020-01-01").unit("K").scale_offset(3.5, 0.0);
        assert_eq!(
            gdal_metadata(&spec, Some(OverviewResampling::Average)).unwrap(),
            "<GDALMetadata>\n  \
             <Item name=\"ds\">x&amp;lt;y</Item>\n  \
             <Item name=\"UNITTYPE\" sample=\"0\" role=\"unittype\">K</Item>\n  \
             <Item name=\"DESCRIPTION\" sample=\"0\" role=\"description\">2020-01-01</Item>\n  \
             <Item name=\"OFFSET\" sample=\"0\" role=\"offset\">0</Item>\n  \
             <Item name=\"SCALE\" sample=\"0\" role=\"scale\">3.5</Item>\n  \
             <Item name=\"OVERVIEW_RESAMPLING\" domain=\"IMAGE_STRUCTURE\">AVERAGE</Item>\n\
             </GDALMetadata>\n"
        );
    }
}
