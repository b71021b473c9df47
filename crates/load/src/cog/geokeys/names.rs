//! Names out of citations.
//!
//! GDAL writes "GCS Name = x|Datum = y|Ellipsoid = z|Primem = w||" where a
//! system has no code; PROJ finds the right shift between datums by their names.

/// What a citation of a geographic system names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct GeographicNames {
    pub(super) system: Option<String>,
    pub(super) datum: Option<String>,
    pub(super) ellipsoid: Option<String>,
    pub(super) prime_meridian: Option<String>,
}

impl GeographicNames {
    /// Reads a citation; one without names in it is the system's name.
    pub(super) fn parse(citation: &str) -> GeographicNames {
        let mut names = GeographicNames::default();
        if !citation.contains(" = ") {
            names.system = quotable(citation);
            return names;
        }
        for part in citation.split('|') {
            let Some((what, name)) = part.split_once('=') else {
                continue;
            };
            let name = quotable(name);
            match what.trim() {
                "GCS Name" => names.system = name,
                "Datum" => names.datum = name,
                "Ellipsoid" => names.ellipsoid = name,
                "Primem" => names.prime_meridian = name,
                _ => {}
            }
        }
        names
    }
}

/// A name that can stand between the quotes of WKT.
pub(super) fn quotable(name: &str) -> Option<String> {
    let name: String = name
        .trim()
        .chars()
        .filter(|&c| c != '"' && !c.is_control())
        .take(200)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The WKT that some writers hide in a citation.
pub(super) fn wkt_in(citation: &str) -> Option<&str> {
    let at = citation.find("ESRI PE String =")?;
    let wkt = citation[at + "ESRI PE String =".len()..].trim();
    (!wkt.is_empty()).then_some(wkt.trim_end_matches('|'))
}

/// The unit that a citation of ERDAS IMAGINE names.
pub(super) fn imagine_unit(citation: &str) -> Option<&str> {
    if !citation.starts_with("IMAGINE GeoTIFF Support") {
        return None;
    }
    let line = citation
        .lines()
        .find_map(|line| line.trim().strip_prefix("Units ="))?;
    Some(line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations() {
        let names = GeographicNames::parse("GCS Name = a b|Datum = D\"x|Primem = Greenwich||");
        assert_eq!(names.system.as_deref(), Some("a b"));
        assert_eq!(names.datum.as_deref(), Some("Dx"));
        assert_eq!(names.ellipsoid, None);
        assert_eq!(
            GeographicNames::parse("WGS 84").system.as_deref(),
            Some("WGS 84")
        );
        assert_eq!(wkt_in("ESRI PE String = PROJCS[..]||"), Some("PROJCS[..]"));
        assert_eq!(wkt_in("something"), None);
        let imagine = "IMAGINE GeoTIFF Support\nUnits = us_survey_feet\nGeoTIFF Units = meters";
        assert_eq!(imagine_unit(imagine), Some("us_survey_feet"));
        assert_eq!(imagine_unit("Units = feet"), None);
    }
}
