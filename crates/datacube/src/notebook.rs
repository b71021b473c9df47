//! How values show themselves in a Rust notebook.
//!
//! evcxr, the Rust kernel of Jupyter, calls `evcxr_display` on the value of a
//! cell and takes what it finds between two marks on standard output: tables for
//! cubes, arrays, clusters and clients, a picture for a [`Picture`] or a graph.
//!
//! A notebook depends on `datacube-notebook`, which is this crate as one library for all
//! cells: `:dep datacube = { package = "datacube-notebook", path = "..." }`. Depending on
//! this crate itself, each cell has a copy of its own, and what one has opened is refused
//! by the next with [`OtherCopy`](datacube_compute::OtherCopy).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use datacube_compute::{Client, Cube, DataArray, LocalCluster, Svg, default_engine};

use crate::export::{ExportOptions, Result, draw};
use crate::plot::Picture;

/// Something that a notebook shows in its own way.
///
/// ```
/// use datacube::compute::{Coord, Coords, DataArray};
/// use datacube::notebook::Show as _;
/// let x = Coords::from([("x", Coord::float("x", vec![0.5, 1.5]))]);
/// let red = DataArray::from_values("red", &["x"], &[2], vec![3u16, 4], x)?;
/// assert!(red.mime().starts_with("text/html"));
/// assert!(red.content().contains("red"));
/// # Ok::<(), datacube::compute::Error>(())
/// ```
pub trait Show {
    /// The kind of content, as a notebook names it.
    fn mime(&self) -> &'static str;

    /// The content; base64 where it is not text.
    fn content(&self) -> String;

    /// Called by the notebook's kernel on the value of a cell.
    #[allow(clippy::print_stdout, reason = "this is how a kernel is told")]
    fn evcxr_display(&self) {
        println!(
            "EVCXR_BEGIN_CONTENT {}\n{}\nEVCXR_END_CONTENT",
            self.mime(),
            self.content()
        );
    }
}

impl Show for Cube {
    fn mime(&self) -> &'static str {
        "text/html"
    }

    fn content(&self) -> String {
        self.to_html()
    }
}

impl Show for DataArray {
    fn mime(&self) -> &'static str {
        "text/html"
    }

    fn content(&self) -> String {
        self.to_html()
    }
}

impl Show for LocalCluster {
    fn mime(&self) -> &'static str {
        "text/html"
    }

    fn content(&self) -> String {
        self.to_html()
    }
}

impl Show for Client {
    fn mime(&self) -> &'static str {
        "text/html"
    }

    fn content(&self) -> String {
        self.to_html()
    }
}

/// What `visualize()` gives.
impl Show for Svg {
    fn mime(&self) -> &'static str {
        "image/svg+xml"
    }

    fn content(&self) -> String {
        self.as_str().to_owned()
    }
}

impl Show for Picture {
    fn mime(&self) -> &'static str {
        "image/png"
    }

    /// Empty if there is not the memory to encode it.
    fn content(&self) -> String {
        self.to_png()
            .map_or_else(|_| String::new(), |png| BASE64_STANDARD.encode(&png))
    }
}

/// Computing something for a picture of it.
pub trait Plot {
    /// A figure with axes, title and colour bar, computed with the default engine.
    ///
    /// # Errors
    /// Those of [`draw`], and if the default engine cannot be started.
    fn plot(&self) -> Result<Picture> {
        self.plot_with(&ExportOptions::default().figure(true))
    }

    /// A picture with these colours, title, and axes or none.
    ///
    /// # Errors
    /// Those of [`Plot::plot`].
    fn plot_with(&self, options: &ExportOptions) -> Result<Picture>;
}

impl Plot for Cube {
    fn plot_with(&self, options: &ExportOptions) -> Result<Picture> {
        let engine = default_engine()?;
        let (picture, _) = draw(self, options, &*engine, &())?;
        Ok(picture)
    }
}

impl Plot for DataArray {
    fn plot_with(&self, options: &ExportOptions) -> Result<Picture> {
        let name = self.name().unwrap_or("values").to_owned();
        Cube::new([(name, self.clone())])?.plot_with(options)
    }
}

#[cfg(test)]
mod tests {
    use datacube_compute::{Coord, Coords};

    use super::*;

    #[test]
    fn an_array_shows_as_a_table_and_as_a_picture() {
        let coords = Coords::from([
            ("y", Coord::float("y", vec![2.5, 1.5])),
            ("x", Coord::float("x", vec![0.5, 1.5, 2.5])),
        ]);
        let values = vec![0.1f32, 0.2, f32::NAN, 0.4, 0.5, 0.6];
        let ndvi = DataArray::from_values("ndvi", &["y", "x"], &[2, 3], values, coords)
            .expect("an array of two rows");
        assert!(ndvi.content().contains("ndvi"));
        let plain = ndvi
            .plot_with(&ExportOptions::default())
            .expect("a picture");
        assert_eq!((plain.shape().rows, plain.shape().cols), (2, 3));
        let figure = ndvi.plot().expect("a figure");
        assert!(figure.shape().rows > 100, "axes and a colour bar around it");
        assert_eq!(figure.mime(), "image/png");
        assert!(
            figure.content().starts_with("iVBORw0KGgo"),
            "a PNG begins so"
        );
    }
}
