//! Figures: planes with axes, titles and a colour bar that they share.

use datacube_geo::{GeoBox, Shape2d};

use super::canvas::{Align, FAINT, INK, Picture};
use super::colours::{Colours, Scale};
use super::plane::Plane;
use super::text::{Style, width};
use super::ticks::{labels, ticks};
use crate::export::{Error, Result};

/// What a gap looks like in a figure: unlike white, and in no colour map.
const GAP: [u8; 3] = [232, 232, 232];
const LABEL: Style = Style {
    size: 19.0,
    bold: false,
};
const PANEL_TITLE: Style = Style {
    size: 20.0,
    bold: true,
};
const TITLE: Style = Style {
    size: 27.0,
    bold: true,
};
const NOTE: Style = Style {
    size: 15.0,
    bold: false,
};
/// Length of a tick, width of a line, and the space around things.
const TICK: i32 = 7;
const LINE: i32 = 2;
const PAD: i32 = 10;
const EDGE: i32 = 24;
const BAR: i32 = 24;
const POINT: i32 = 16;

/// One plane of a figure.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// The values.
    pub plane: &'a Plane,
    /// What is above it, such as the date.
    pub title: &'a str,
}

/// How a figure looks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FigureOptions {
    /// The line above everything. Default: none.
    pub title: String,
    /// What the values are, beside the colour bar. Default: nothing.
    pub label: String,
    /// How values become colours, for all panels together.
    pub colours: Colours,
    /// Panels side by side. Default: as many as make the figure a bit wider than high.
    pub columns: Option<usize>,
    /// Pixels that all panels together may take, across and down. Default 1400 x 1000.
    pub size: (usize, usize),
}

impl Default for FigureOptions {
    fn default() -> Self {
        FigureOptions {
            title: String::new(),
            label: String::new(),
            colours: Colours::default(),
            columns: None,
            size: (1400, 1000),
        }
    }
}

impl FigureOptions {
    /// With this line above everything.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// With this beside the colour bar.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With these colours.
    #[must_use]
    pub fn colours(mut self, colours: Colours) -> Self {
        self.colours = colours;
        self
    }

    /// With so many panels side by side.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = Some(columns);
        self
    }

    /// With so many pixels for all panels together, across and down.
    #[must_use]
    pub fn size(mut self, width: usize, height: usize) -> Self {
        self.size = (width, height);
        self
    }
}

/// Planes side by side, all on the grid `geobox` and with one colour bar.
///
/// Axes show coordinates of the CRS, or pixels where there is no `geobox` or it
/// is rotated. Large planes are averaged down, small ones enlarged.
///
/// # Errors
/// [`Error::Invalid`] if there is no panel, planes differ in shape among each other
/// or from `geobox`, or the range of colours is empty.
pub fn figure(
    panels: &[Panel<'_>],
    geobox: Option<&GeoBox>,
    options: &FigureOptions,
) -> Result<Picture> {
    let Some(first) = panels.first() else {
        return Err(Error::invalid("a figure", "it has no panel"));
    };
    let shape = first.plane.shape();
    let differs = |other: Shape2d| other.rows != shape.rows || other.cols != shape.cols;
    if panels.iter().any(|panel| differs(panel.plane.shape()))
        || geobox.is_some_and(|geobox| differs(geobox.shape()))
    {
        return Err(Error::invalid(
            "a figure",
            "its planes and grid differ in shape",
        ));
    }
    let planes: Vec<&Plane> = panels.iter().map(|panel| panel.plane).collect();
    let scale = options.colours.resolve(&planes)?;
    let axes = Axes::new(shape, geobox);
    let layout = Layout::new(panels, &axes, &scale, options);
    Ok(layout.draw(panels, &axes, &scale, options))
}

/// Coordinates along the two sides of a panel.
struct Axes {
    /// Left and right, top and bottom.
    x: (f64, f64),
    y: (f64, f64),
    x_name: String,
    y_name: String,
    suffix: &'static str,
    /// Name of the CRS.
    note: String,
    /// Width of a panel over its height.
    aspect: f64,
}

impl Axes {
    #[allow(clippy::cast_precision_loss, reason = "sizes of pictures")]
    fn new(shape: Shape2d, geobox: Option<&GeoBox>) -> Self {
        let (cols, rows) = (shape.cols as f64, shape.rows as f64);
        let affine = geobox
            .map(|geobox| *geobox.affine())
            .filter(|a| a.b == 0.0 && a.d == 0.0);
        let (Some(affine), Some(geobox)) = (affine, geobox) else {
            return Axes {
                x: (0.0, cols),
                y: (0.0, rows),
                x_name: "column [pixel]".into(),
                y_name: "row [pixel]".into(),
                suffix: "",
                note: String::new(),
                aspect: cols / rows,
            };
        };
        let x = (affine.c, affine.c + affine.a * cols);
        let y = (affine.f, affine.f + affine.e * rows);
        let size = ((x.1 - x.0).abs(), (y.1 - y.0).abs());
        match geobox.crs() {
            Some(crs) if crs.is_geographic() => Axes {
                x,
                y,
                x_name: "longitude".into(),
                y_name: "latitude".into(),
                suffix: "°",
                note: crs.name().to_owned(),
                // A degree of longitude is shorter away from the equator.
                aspect: size.0 * ((y.0 + y.1) / 2.0).to_radians().cos().max(0.1) / size.1,
            },
            crs => {
                let [y_dim, x_dim] = crs.map_or(["y", "x"], |crs| crs.dimensions());
                let [y_unit, x_unit] = crs.map(|crs| crs.units()).unwrap_or_default();
                let name = |dim: &str, unit: &str| {
                    if unit.is_empty() {
                        dim.to_owned()
                    } else {
                        format!("{dim} [{unit}]")
                    }
                };
                Axes {
                    x,
                    y,
                    x_name: name(x_dim, &x_unit),
                    y_name: name(y_dim, &y_unit),
                    suffix: "",
                    note: crs.map(|crs| crs.name().to_owned()).unwrap_or_default(),
                    aspect: size.0 / size.1,
                }
            }
        }
    }
}

/// Ticks along a side: where (pixels from its start) and what.
fn side_ticks(ends: (f64, f64), length: i32, n: usize, suffix: &str) -> Vec<(i32, String)> {
    let at = ticks(ends.0.min(ends.1), ends.0.max(ends.1), n);
    let place = |value: f64| {
        let part = (value - ends.0) / (ends.1 - ends.0);
        #[allow(clippy::cast_possible_truncation, reason = "within the picture")]
        {
            (part * f64::from(length)).round() as i32
        }
    };
    at.iter()
        .copied()
        .map(place)
        .zip(labels(&at, suffix))
        .collect()
}

/// Where everything goes.
struct Layout {
    columns: usize,
    panel: (i32, i32),
    /// Distance from the start of one panel to the next.
    step: (i32, i32),
    origin: (i32, i32),
    size: (i32, i32),
    x_ticks: Vec<(i32, String)>,
    y_ticks: Vec<(i32, String)>,
    bar_ticks: Vec<(i32, String)>,
    bar_x: i32,
    bar_y: i32,
    bar_height: i32,
}

#[allow(clippy::cast_possible_truncation, reason = "sizes on a picture")]
fn ceil(value: f32) -> i32 {
    value.ceil() as i32
}

fn widest(ticks: &[(i32, String)], style: Style) -> i32 {
    ticks
        .iter()
        .map(|(_, label)| ceil(width(label, style)))
        .max()
        .unwrap_or(0)
}

impl Layout {
    fn new(panels: &[Panel<'_>], axes: &Axes, scale: &Scale, options: &FigureOptions) -> Self {
        let n = panels.len();
        let side = |n: usize| i32::try_from(n.clamp(64, 16_384)).unwrap_or(1024);
        let (across, down) = (side(options.size.0), side(options.size.1));
        let has_titles = panels.iter().any(|panel| !panel.title.is_empty());
        let title_height = if has_titles {
            ceil(PANEL_TITLE.size) + 6
        } else {
            0
        };
        let gap = if n > 1 { 22 } else { 0 };
        let panel_of = |columns: usize| -> (f64, usize) {
            let rows = n.div_ceil(columns);
            let (c, r) = (columns as f64, rows as f64);
            let room_x = (f64::from(across) - f64::from(gap) * (c - 1.0)) / c;
            let room_y = (f64::from(down) - f64::from(gap + title_height) * (r - 1.0)) / r;
            (room_x.min(room_y * axes.aspect), rows)
        };
        // The number of columns that makes panels largest.
        let columns = options
            .columns
            .map(|columns| columns.clamp(1, n))
            .unwrap_or_else(|| {
                (1..=n)
                    .max_by(|&a, &b| panel_of(a).0.total_cmp(&panel_of(b).0))
                    .expect("there is a panel")
            });
        let (panel_width, rows) = panel_of(columns);
        #[allow(clippy::cast_possible_truncation, reason = "sizes on a picture")]
        let panel = (
            (panel_width.round() as i32).max(8),
            ((panel_width / axes.aspect).round() as i32).max(8),
        );
        let step = (panel.0 + gap, panel.1 + gap + title_height);

        // Ticks whose labels do not touch.
        let few =
            |length: i32, least: i32| usize::try_from(length / least).unwrap_or(0).clamp(2, 6);
        let y_ticks = side_ticks(axes.y, panel.1, few(panel.1, 70), axes.suffix);
        let mut x_ticks = Vec::new();
        for n in (1..=6).rev() {
            x_ticks = side_ticks(axes.x, panel.0, n, axes.suffix);
            let label = widest(&x_ticks, LABEL);
            let free = x_ticks
                .windows(2)
                .all(|pair| pair[1].0 - pair[0].0 > label + 2 * PAD);
            if free && x_ticks.len() <= few(panel.0, 110) {
                break;
            }
        }

        let grid = (
            i32::try_from(columns).unwrap_or(1) * step.0 - gap,
            i32::try_from(rows).unwrap_or(1) * step.1 - gap - title_height,
        );
        let bar_height = grid.1.min(760);
        // Pointed ends say that there are values beyond; ticks belong to the part between.
        let body = bar_height - POINT * (i32::from(scale.above) + i32::from(scale.below));
        let bar_ticks = side_ticks((scale.high, scale.low), body, few(body, 60), "");
        let y_name = ceil(LABEL.size) + PAD;
        let left = EDGE + y_name + widest(&y_ticks, LABEL) + TICK + PAD;
        let title = if options.title.is_empty() {
            0
        } else {
            ceil(TITLE.size) + 2 * PAD
        };
        let top = EDGE + title + title_height;
        let bar_x = left + grid.0 + 30;
        let bar_label = if options.label.is_empty() {
            0
        } else {
            ceil(LABEL.size) + PAD
        };
        let right = bar_x + BAR + TICK + 6 + widest(&bar_ticks, LABEL) + PAD + bar_label + EDGE;
        let note = if axes.note.is_empty() {
            0
        } else {
            ceil(NOTE.size)
        };
        let bottom = top + grid.1 + TICK + 4 + 2 * ceil(LABEL.size) + PAD + note + EDGE;
        let title_end = left + ceil(width(&options.title, TITLE)) + EDGE;
        Layout {
            columns,
            panel,
            step,
            origin: (left, top),
            size: (right.max(title_end), bottom),
            x_ticks,
            y_ticks,
            bar_ticks,
            bar_x,
            bar_y: top + (grid.1 - bar_height) / 2,
            bar_height,
        }
    }

    fn draw(
        &self,
        panels: &[Panel<'_>],
        axes: &Axes,
        scale: &Scale,
        options: &FigureOptions,
    ) -> Picture {
        let pixels = |n: i32| usize::try_from(n).unwrap_or(0);
        let mut sheet = Picture::blank(pixels(self.size.0), pixels(self.size.1));
        let (left, top) = self.origin;
        if !options.title.is_empty() {
            let at = (left as f32, EDGE as f32);
            sheet.text(&options.title, TITLE, at, Align::TOP_LEFT, INK);
        }
        let n = panels.len();
        for (index, panel) in panels.iter().enumerate() {
            let (row, col) = (index / self.columns, index % self.columns);
            let x = left + i32::try_from(col).unwrap_or(0) * self.step.0;
            let y = top + i32::try_from(row).unwrap_or(0) * self.step.1;
            let shape = Shape2d {
                rows: pixels(self.panel.1),
                cols: pixels(self.panel.0),
            };
            let resized = panel.plane.resized(shape);
            sheet.paste(x, y, shape, &scale.paint(resized.values()), GAP);
            sheet.frame(x, y, self.panel.0, self.panel.1, LINE, INK);
            let at = (x as f32, (y - LINE - 4) as f32);
            sheet.text(panel.title, PANEL_TITLE, at, Align::BOTTOM_LEFT, INK);
            // Axes on the outer sides only.
            self.draw_axes(
                &mut sheet,
                (x, y),
                axes,
                index + self.columns >= n,
                col == 0,
            );
        }
        self.draw_bar(&mut sheet, scale, &options.label);
        if !axes.note.is_empty() {
            let right = left + i32::try_from(self.columns).unwrap_or(1) * self.step.0
                - (self.step.0 - self.panel.0);
            let at = (right as f32, (self.size.1 - EDGE) as f32 - NOTE.size);
            sheet.text(&axes.note, NOTE, at, Align::TOP_RIGHT, FAINT);
        }
        sheet
    }

    fn draw_axes(
        &self,
        sheet: &mut Picture,
        (x, y): (i32, i32),
        axes: &Axes,
        is_bottom: bool,
        is_left: bool,
    ) {
        let (width_px, height_px) = self.panel;
        if is_bottom {
            let y = y + height_px + LINE;
            for (at, label) in &self.x_ticks {
                sheet.rectangle(x + at - 1, y, LINE, TICK, INK);
                let at = ((x + at) as f32, (y + TICK + 4) as f32);
                sheet.text(label, LABEL, at, Align::TOP_CENTRE, INK);
            }
            let at = (
                (x + width_px / 2) as f32,
                (y + TICK + 8) as f32 + LABEL.size,
            );
            sheet.text(&axes.x_name, LABEL, at, Align::TOP_CENTRE, INK);
        }
        if is_left {
            for (at, label) in &self.y_ticks {
                sheet.rectangle(x - LINE - TICK, y + at - 1, TICK, LINE, INK);
                let at = ((x - LINE - TICK - 6) as f32, (y + at) as f32);
                sheet.text(label, LABEL, at, Align::MIDDLE_RIGHT, INK);
            }
            let middle = (EDGE + ceil(LABEL.size / 2.0), y + height_px / 2);
            sheet.text_upwards(&axes.y_name, LABEL, middle, INK);
        }
    }

    fn draw_bar(&self, sheet: &mut Picture, scale: &Scale, label: &str) {
        let (x, y, height) = (self.bar_x, self.bar_y, self.bar_height);
        let above = POINT * i32::from(scale.above);
        let (body_top, body_height) = (y + above, height - above - POINT * i32::from(scale.below));
        for row in 0..body_height {
            let part = 1.0 - (f64::from(row) + 0.5) / f64::from(body_height);
            sheet.rectangle(x, body_top + row, BAR, 1, scale.map.at(part));
        }
        for row in 0..POINT {
            let half = BAR * (row + 1) / (2 * POINT);
            let (left, wide) = (x + BAR / 2 - half, 2 * half);
            if scale.above {
                sheet.rectangle(left, y + row, wide, 1, scale.map.at(1.0));
            }
            if scale.below {
                sheet.rectangle(left, y + height - 1 - row, wide, 1, scale.map.at(0.0));
            }
        }
        for (at, text) in &self.bar_ticks {
            let at = body_top + at;
            sheet.rectangle(x + BAR, at - 1, TICK, LINE, INK);
            let place = ((x + BAR + TICK + 6) as f32, at as f32);
            sheet.text(text, LABEL, place, Align::MIDDLE_LEFT, INK);
        }
        let middle = (self.size.0 - EDGE - ceil(LABEL.size / 2.0), y + height / 2);
        sheet.text_upwards(label, LABEL, middle, INK);
    }
}
