//! How arrays and cubes look: text like xarray's, and HTML; and the words that
//! other pages need for that.

mod chunk_picture;
mod cluster;
mod html;
mod text;
mod values;

pub(crate) use cluster::{client_html, cluster_html};
pub use html::escape;
pub(crate) use html::{array_html, cube_html};
pub(crate) use text::{array_text, cube_text};

/// `27.74 MiB`, as dask shows sizes.
pub fn binary_bytes(bytes: u64) -> String {
    scaled(
        bytes,
        1024.0,
        &["B", "kiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
        2,
    )
}

/// `87MB`, as xarray shows sizes.
pub(crate) fn decimal_bytes(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 0).replace(' ', "")
}

#[allow(clippy::cast_precision_loss, reason = "shown to a few digits")]
fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} {}", units[0])
    } else {
        format!("{value:.digits$} {}", units[unit])
    }
}

/// A shape as Python writes a tuple: `(1,)`, `(2, 3)`.
pub(crate) fn tuple(sizes: &[usize]) -> String {
    let parts: Vec<String> = sizes.iter().map(usize::to_string).collect();
    match parts.as_slice() {
        [one] => format!("({one},)"),
        parts => format!("({})", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(binary_bytes(29_088_000), "27.74 MiB");
        assert_eq!(binary_bytes(113_625 * 2), "221.92 kiB");
        assert_eq!(decimal_bytes(87_264_000), "87MB");
        assert_eq!(decimal_bytes(12), "12B");
        assert_eq!(tuple(&[1]), "(1,)");
        assert_eq!(tuple(&[1, 2]), "(1, 2)");
        assert_eq!(tuple(&[]), "()");
    }
}
