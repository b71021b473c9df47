//! Letters: outlines of a font that is part of the program, filled with
//! smooth edges.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};

static SANS: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/sans.ttf"))
        .expect("the font is part of the program")
});
static SANS_BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/sans-bold.ttf"))
        .expect("the font is part of the program")
});

/// Size and weight of letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Height of a line in pixels, from the highest to the lowest letter.
    pub(super) size: f32,
    pub(super) bold: bool,
}

impl Style {
    fn font(self) -> &'static FontRef<'static> {
        if self.bold { &SANS_BOLD } else { &SANS }
    }
}

/// The width of a line of text in pixels.
pub(super) fn width(text: &str, style: Style) -> f32 {
    layout(text, style).1
}

/// Glyphs with the place of each along the line, and the width of all.
fn layout(text: &str, style: Style) -> (Vec<(ab_glyph::GlyphId, f32)>, f32) {
    let font = style.font().as_scaled(PxScale::from(style.size));
    let mut at = 0.0;
    let mut last = None;
    let mut glyphs = Vec::new();
    for c in text.chars() {
        let id = font.glyph_id(c);
        if let Some(last) = last {
            at += font.kern(last, id);
        }
        glyphs.push((id, at));
        at += font.h_advance(id);
        last = Some(id);
    }
    (glyphs, at)
}

/// Hands `dot` every pixel that the text covers, with how much of it (0 to 1).
/// The text begins at `x`; its line goes from `top` to `top + style.size`.
pub(super) fn draw(text: &str, style: Style, x: f32, top: f32, mut dot: impl FnMut(i32, i32, f32)) {
    let font = style.font();
    let baseline = top + font.as_scaled(PxScale::from(style.size)).ascent();
    for (id, at) in layout(text, style).0 {
        let glyph = id.with_scale_and_position(
            style.size,
            ab_glyph::point((x + at).round(), baseline.round()),
        );
        let Some(outline) = font.outline_glyph(glyph) else {
            continue;
        };
        let bounds = outline.px_bounds();
        #[allow(clippy::cast_possible_truncation, reason = "a place on a picture")]
        let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
        outline.draw(|dx, dy, coverage| {
            if let (Ok(dx), Ok(dy)) = (i32::try_from(dx), i32::try_from(dy)) {
                dot(left + dx, top + dy, coverage);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_labels_need() {
        for c in "aZ09 -+.,:°²³µ·×−\u{2009}–äéßñΩμ".chars() {
            for font in [&*SANS, &*SANS_BOLD] {
                assert_ne!(font.glyph_id(c).0, 0, "{c:?} is missing");
            }
        }
    }

    #[test]
    fn longer_text_is_wider() {
        let style = Style {
            size: 20.0,
            bold: false,
        };
        assert!(width("abc", style) > width("ab", style));
        let mut covered = 0;
        draw("x", style, 5.0, 0.0, |_, _, coverage| {
            covered += i32::from(coverage > 0.5)
        });
        assert!(covered > 10);
    }
}
