//! A cube as a picture: the pixels of one plane, or several side by side.

use std::path::Path;

use datacube_compute::{Compute, CoordValue, Cube, DataArray, Engine, Observer, RunReport};
use datacube_geo::Shape2d;

use super::{ExportOptions, leading, text_attr};
use crate::HasGeoBox as _;
use crate::export::error::{Error, Result};
use crate::plot::{
    Colours, FigureOptions, Panel, Picture, Plane, RgbOptions, figure, picture, rgb,
};

/// Computes a cube with `engine` and draws a picture of it.
///
/// One plane of one variable is drawn pixel for pixel through a colour map, gaps
/// transparent; several times become a figure, side by side, with axes, dates and
/// one colour bar. Three variables of one time named red, green and blue (in any
/// order) become one picture in these colours.
///
/// # Errors
/// [`Error::Invalid`] for other combinations of variables, [`Error::Compute`] if
/// computing fails.
pub fn draw(
    cube: &Cube,
    options: &ExportOptions,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<(Picture, RunReport)> {
    // Refused before anything is computed.
    let subject = Subject::of(cube)?;
    let (cube, report) = Compute::new()
        .engine(engine)
        .observer(observer)
        .cube(cube)?;
    let picture = match subject {
        Subject::Colours(names) => {
            let mut bands = Vec::new();
            for name in names {
                bands.extend(planes(name, cube.get(name)?)?);
            }
            let [(red, _), (green, _), (blue, _)] = bands.as_slice() else {
                return Err(Error::invalid("a picture", "an RGB has three planes"));
            };
            let rgb_options = match options.colours.range {
                Some((low, high)) => RgbOptions::default().range(low, high),
                None => RgbOptions::default(),
            };
            rgb([red, green, blue], &rgb_options)?
        }
        Subject::Variable => {
            let Some((name, array)) = cube.variables().next() else {
                return Err(Error::invalid("a picture", "there is no variable"));
            };
            draw_planes(name, array, &planes(name, array)?, options)?
        }
    };
    Ok((picture, report))
}

/// [`draw`]s a cube and writes the picture to a file.
///
/// # Errors
/// Those of [`draw`], and [`Error::Exists`] if the file is there.
pub fn write_png(
    cube: &Cube,
    path: impl AsRef<Path>,
    options: &ExportOptions,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<RunReport> {
    let path = path.as_ref();
    // Refused before anything is computed.
    crate::export::atomic::check_free(path, options.overwrite)?;
    let (picture, report) = draw(cube, options, engine, observer)?;
    picture.save(path, options.overwrite)?;
    Ok(report)
}

/// What a picture is of.
enum Subject {
    Variable,
    /// Variables for red, green and blue.
    Colours([&'static str; 3]),
}

impl Subject {
    fn of(cube: &Cube) -> Result<Self> {
        const COLOURS: [&str; 3] = ["red", "green", "blue"];
        let mut n_planes = 0;
        for (name, array) in cube.variables() {
            n_planes += leading(name, array)?.map_or(1, |(_, len)| len);
        }
        let names: Vec<&str> = cube.names().collect();
        match names[..] {
            [_] if n_planes > 0 => Ok(Subject::Variable),
            [_, _, _] if n_planes == 3 && COLOURS.iter().all(|name| names.contains(name)) => {
                Ok(Subject::Colours(COLOURS))
            }
            _ => Err(Error::invalid(
                format!("a picture of {}", names.join(", ")),
                format!(
                    "a picture shows one variable, or one time of red, green and blue; these are \
                     {n_planes} planes of {} variables",
                    names.len()
                ),
            )),
        }
    }
}

/// The planes of a computed variable, each with its label.
fn planes(name: &str, array: &DataArray) -> Result<Vec<(Plane, String)>> {
    let lead = leading(name, array)?;
    let shape = array.shape();
    let shape = Shape2d::new(shape[shape.len() - 2], shape[shape.len() - 1]);
    let bytes = array.bytes()?;
    let size = (shape.pixels() * array.dtype().size()).max(1);
    let labels = lead.map(|(dim, len)| labels(array, dim, len));
    bytes
        .chunks_exact(size)
        .enumerate()
        .map(|(step, bytes)| {
            let plane = Plane::from_bytes(shape, array.dtype(), array.attrs().nodata(), bytes)?;
            let label = labels
                .as_ref()
                .map(|labels| labels[step].clone())
                .unwrap_or_default();
            Ok((plane, label))
        })
        .collect()
}

/// Labels along a dimension; times as dates, with the time of day only where two
/// share a date.
fn labels(array: &DataArray, dim: &str, len: usize) -> Vec<String> {
    let Some(coord) = array.coords().get(dim) else {
        return (0..len).map(|step| format!("{dim} {step}")).collect();
    };
    let texts: Vec<String> = (0..len)
        .map(|step| coord.values().get(step).to_string())
        .collect();
    if !(len > 0 && matches!(coord.values().get(0), CoordValue::Time(_))) {
        return texts;
    }
    let dates: Vec<&str> = texts
        .iter()
        .map(|text| text.split('T').next().unwrap_or(text))
        .collect();
    let is_unique = dates
        .iter()
        .enumerate()
        .all(|(at, date)| !dates[..at].contains(date));
    texts
        .iter()
        .zip(&dates)
        .map(|(text, date)| {
            let whole_seconds = text.split('.').next().unwrap_or(text);
            if is_unique {
                (*date).to_owned()
            } else {
                whole_seconds.replace('T', " ")
            }
        })
        .collect()
}

fn draw_planes(
    name: &str,
    array: &DataArray,
    planes: &[(Plane, String)],
    options: &ExportOptions,
) -> Result<Picture> {
    let mut colours = options.colours.clone();
    colours.map = colours.map.or(Colours::for_variable(name).map);
    if let ([(plane, _)], false) = (planes, options.figure) {
        return picture(plane, &colours);
    }
    let panels: Vec<Panel<'_>> = planes
        .iter()
        .map(|(plane, title)| Panel { plane, title })
        .collect();
    let title = options
        .title
        .clone()
        .or_else(|| text_attr(array, "long_name"))
        .unwrap_or_else(|| {
            if colours.map.is_some() {
                name.to_uppercase()
            } else {
                name.to_owned()
            }
        });
    let figure_options = FigureOptions::default()
        .title(title)
        .label(text_attr(array, "units").unwrap_or_default())
        .colours(colours);
    // Axes in pixels where the grid is unknown.
    figure(&panels, array.geobox().ok().as_ref(), &figure_options)
}
