//! A picture of red, green, blue and opacity, and what is drawn on it.

use std::path::Path;

use datacube_geo::Shape2d;

use super::text::{Style, draw, width};
use crate::export::{Result, write_file};

/// A colour, opaque.
pub(super) type Rgb = [u8; 3];

pub(super) const INK: Rgb = [38, 38, 38];
pub(super) const FAINT: Rgb = [120, 120, 120];

/// A finished picture: four bytes a pixel, red, green, blue and opacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    shape: Shape2d,
    rgba: Vec<u8>,
}

impl Picture {
    pub(super) fn from_rgba(shape: Shape2d, rgba: Vec<u8>) -> Self {
        assert_eq!(
            rgba.len(),
            shape.rows * shape.cols * 4,
            "four bytes a pixel"
        );
        Picture { shape, rgba }
    }

    /// A white sheet.
    pub(super) fn blank(width: usize, height: usize) -> Self {
        Picture {
            shape: Shape2d {
                rows: height,
                cols: width,
            },
            rgba: vec![255; width * height * 4],
        }
    }

    /// Rows and columns.
    pub fn shape(&self) -> Shape2d {
        self.shape
    }

    /// The pixels, rows first, four bytes each.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }

    /// The picture as a PNG file in memory.
    ///
    /// # Errors
    /// [`Error::Png`](crate::export::Error::Png) if it has more than 2^31 pixels a side.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, side(self.shape.cols), side(self.shape.rows));
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgba)?;
        writer.finish()?;
        Ok(out)
    }

    /// Writes the picture as a PNG file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`](crate::export::Error::Exists) if the file is there and
    /// `overwrite` is not set, [`Error::Io`](crate::export::Error::Io) if it cannot
    /// be written, and those of [`Picture::to_png`].
    pub fn save(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        write_file(path.as_ref(), &self.to_png()?, overwrite)
    }

    /// Lays a colour over a pixel, `opacity` 0 to 1; outside the picture nothing happens.
    fn blend(&mut self, x: i32, y: i32, colour: Rgb, opacity: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x >= self.shape.cols || y >= self.shape.rows {
            return;
        }
        let opacity = opacity.clamp(0.0, 1.0);
        let pixel = &mut self.rgba[(y * self.shape.cols + x) * 4..][..4];
        for (old, new) in pixel.iter_mut().zip(colour) {
            let mixed = f32::from(*old) * (1.0 - opacity) + f32::from(new) * opacity;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 255"
            )]
            {
                *old = mixed.round() as u8;
            }
        }
        pixel[3] = 255;
    }

    /// A filled rectangle.
    pub(super) fn rectangle(&mut self, x: i32, y: i32, width: i32, height: i32, colour: Rgb) {
        for y in y..y + height {
            for x in x..x + width {
                self.blend(x, y, colour, 1.0);
            }
        }
    }

    /// The border of a rectangle, `line` pixels wide, just outside of it.
    pub(super) fn frame(
        &mut self,
        x: i32,
        y: i32,
        width: i32,
        height: i32,
        line: i32,
        colour: Rgb,
    ) {
        self.rectangle(x - line, y - line, width + 2 * line, line, colour);
        self.rectangle(x - line, y + height, width + 2 * line, line, colour);
        self.rectangle(x - line, y, line, height, colour);
        self.rectangle(x + width, y, line, height, colour);
    }

    /// Another picture, four bytes a pixel, over a background colour.
    pub(super) fn paste(&mut self, x: i32, y: i32, shape: Shape2d, rgba: &[u8], behind: Rgb) {
        for (row, line) in rgba.chunks_exact(shape.cols * 4).enumerate() {
            for (col, pixel) in line.chunks_exact(4).enumerate() {
                let (Ok(dx), Ok(dy)) = (i32::try_from(col), i32::try_from(row)) else {
                    continue;
                };
                self.blend(x + dx, y + dy, behind, 1.0);
                let opacity = f32::from(pixel[3]) / 255.0;
                self.blend(x + dx, y + dy, [pixel[0], pixel[1], pixel[2]], opacity);
            }
        }
    }

    /// A line of text; `x` and `y` are its anchor, see [`Align`].
    pub(super) fn text(
        &mut self,
        text: &str,
        style: Style,
        (x, y): (f32, f32),
        align: Align,
        colour: Rgb,
    ) {
        let left = x - width(text, style) * align.0;
        let top = y - style.size * align.1;
        draw(text, style, left, top, |x, y, coverage| {
            self.blend(x, y, colour, coverage)
        });
    }

    /// A line of text that reads upwards; `x` and `y` are its middle.
    pub(super) fn text_upwards(
        &mut self,
        text: &str,
        style: Style,
        (x, y): (i32, i32),
        colour: Rgb,
    ) {
        let (half_width, half_size) = (width(text, style) / 2.0, style.size / 2.0);
        draw(
            text,
            style,
            -half_width,
            -half_size,
            |along, down, coverage| {
                self.blend(x + down, y - along, colour, coverage);
            },
        );
    }
}

/// Which point of a text its anchor is: parts of its width and height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Align(f32, f32);

impl Align {
    pub(super) const TOP_LEFT: Align = Align(0.0, 0.0);
    pub(super) const BOTTOM_LEFT: Align = Align(0.0, 1.0);
    pub(super) const TOP_CENTRE: Align = Align(0.5, 0.0);
    pub(super) const TOP_RIGHT: Align = Align(1.0, 0.0);
    pub(super) const MIDDLE_LEFT: Align = Align(0.0, 0.5);
    pub(super) const MIDDLE_RIGHT: Align = Align(1.0, 0.5);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_holds_the_picture() {
        let shape = Shape2d { rows: 2, cols: 3 };
        let rgba: Vec<u8> = (0..24).collect();
        let picture = Picture::from_rgba(shape, rgba.clone());
        let png = picture.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        assert_eq!(pixels, rgba);
    }

    #[test]
    fn drawing_outside_does_nothing() {
        let mut picture = Picture::blank(4, 4);
        let before = picture.clone();
        picture.rectangle(-5, -5, 3, 3, INK);
        picture.rectangle(4, 0, 9, 9, INK);
        assert_eq!(picture, before);
        picture.rectangle(3, 3, 9, 9, INK);
        assert_eq!(picture.rgba()[60..], [38, 38, 38, 255]);
    }
}
