//! Round numbers for axes, and how they are written.

/// The round positions between `low` and `high`, about `n` of them.
///
/// Steps are 1, 2, 2.5 or 5 times a power of ten.
pub(super) fn ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 || n == 0 {
        return Vec::new();
    }
    let rough = span / n as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil();
    std::iter::successors(Some(first), |at| Some(at + 1.0))
        .map(|at| at * step)
        .take_while(|at| *at <= high + step * 1e-9)
        .map(|at| if at.abs() < step * 1e-6 { 0.0 } else { at })
        .take(4 * n + 4)
        .collect()
}

/// The labels of ticks, all with the same number of decimals.
pub(super) fn labels(ticks: &[f64], suffix: &str) -> Vec<String> {
    let decimals = (0..=9)
        .find(|&decimals| {
            let scale = 10f64.powi(decimals);
            ticks
                .iter()
                .all(|tick| (tick * scale - (tick * scale).round()).abs() < 1e-4)
        })
        .unwrap_or(9);
    let decimals = usize::try_from(decimals).unwrap_or(9);
    ticks
        .iter()
        .map(|tick| format!("{}{suffix}", grouped(&format!("{tick:.decimals$}"))))
        .collect()
}

/// Groups of three digits apart by a thin space from five digits on, and a real
/// minus sign.
fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("\u{2212}", rest),
        None => ("", number),
    };
    let (whole, fraction) = rest
        .split_once('.')
        .map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && whole.len() > 4 {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (low, high, n, expected) in [
            (0.0, 1.0, 5, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (-0.31, 0.92, 4, vec![0.0, 0.5]),
            (
                720_015.0,
                751_000.0,
                4,
                vec![720_000.0, 730_000.0, 740_000.0, 750_000.0][1..].to_vec(),
            ),
        ] {
            let found = ticks(low, high, n);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(
                found
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| (a - b).abs() < 1e-9),
                "{found:?}"
            );
        }
        assert!(ticks(1.0, 1.0, 5).is_empty());
        assert!(ticks(f64::NAN, 1.0, 5).is_empty());
    }

    #[test]
    fn labels_share_their_decimals() {
        assert_eq!(labels(&[0.0, 0.25, 0.5], ""), ["0.00", "0.25", "0.50"]);
        assert_eq!(
            labels(&[-4_160_000.0], ""),
            ["\u{2212}4\u{2009}160\u{2009}000"]
        );
        assert_eq!(labels(&[143.5, 144.0], "°"), ["143.5°", "144.0°"]);
        assert_eq!(labels(&[1000.0], ""), ["1000"]);
    }
}
