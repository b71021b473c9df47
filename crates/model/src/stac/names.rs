//! Names: STAC's may hold anything, those of products and measurements
//! letters, digits and underscores.

/// The name of a measurement, a product or a flag, made of any text.
pub(super) fn measurement(text: &str) -> String {
    let name: String = text
        .trim()
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if name.is_empty() {
        "_".to_owned()
    } else {
        name
    }
}

/// The name of the product of a collection.
pub(super) fn product(collection: &str) -> String {
    measurement(collection).to_lowercase()
}

/// A number as Python's `%g` writes it: six significant digits, no zeros after them.
///
/// # Source
/// Grids are named so in odc-stac, `_mdtools.py` (`_group_geoboxes`).
pub(super) fn short_number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.abs().to_string();
    }
    let text = format!("{value:.5e}");
    let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("a whole exponent");
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        let text = format!("{value:.places$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    } else {
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_does() {
        for (value, expected) in [
            (10.0, "10"),
            (0.5, "0.5"),
            (926.625433, "926.625"),
            (0.000_089_831_528_412, "8.98315e-05"),
            (1e6, "1e+06"),
            (123_456.7, "123457"),
            (0.00025, "0.00025"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.7, "1e+06"),
            (0.0, "0"),
        ] {
            assert_eq!(short_number(value), expected);
        }
    }

    #[test]
    fn names_hold_what_names_may_hold() {
        assert_eq!(product("Sentinel-2 L2A"), "sentinel_2_l2a");
        assert_eq!(measurement("SR_B1.TIF"), "SR_B1_TIF");
        assert_eq!(measurement(" "), "_");
    }
}
