//! Pictures: pixels through a colour map, and figures with axes around them.
//!
//! A [`Plane`] is one image of values. [`picture`] and [`rgb`] give the image
//! itself, pixel for pixel, with gaps transparent; [`figure`] draws one plane or
//! several side by side, with axes in units of the CRS, titles and a colour bar.
//! All give a [`Picture`], which becomes a PNG.

mod canvas;
mod colours;
mod figure;
mod image;
mod plane;
mod text;
mod ticks;

pub use canvas::Picture;
pub use colours::{ColourMap, Colours, Scale};
pub use figure::{FigureOptions, Panel, figure};
pub use image::{RgbOptions, picture, rgb};
pub use plane::Plane;
