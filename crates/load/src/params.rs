//! How one measurement is loaded: its type, its nodata and its resampling.
//!
//! Every choice is a plain value that travels inside a plan, so two plans that
//! would give other pixels never compare equal.

use std::fmt;
use std::str::FromStr;

use datacube_model::{DType, Number, near_names};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fusers::FuseFunction;
use crate::reader::BandInfo;

/// How values between source pixels are found; the names are GDAL's.
///
/// They mean what GDAL's warper makes of them, which has no Gaussian: that one
/// is defined here. A kernel that interpolates is widened where the output is
/// coarser than the source ([`WarpScale`]), so that shrinking does not alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resampling {
    /// The pixel whose area holds the centre of the output pixel.
    #[default]
    Nearest,
    /// Weights that fall linearly over one pixel.
    Bilinear,
    /// Cubic convolution over two pixels, Catmull-Rom (a = -0.5).
    Cubic,
    /// Cubic B-spline over two pixels.
    CubicSpline,
    /// Windowed sinc over three pixels.
    Lanczos,
    /// The area-weighted mean of the source pixels that the output pixel covers.
    Average,
    /// The value that covers most of the output pixel.
    Mode,
    /// A Gaussian with a standard deviation of half an output pixel, or of half
    /// a source pixel where that is larger.
    Gauss,
    /// The largest value that the output pixel touches.
    Max,
    /// The smallest value that the output pixel touches.
    Min,
    /// The median of the values that the output pixel touches.
    Med,
    /// The first quartile of the values that the output pixel touches.
    Q1,
    /// The third quartile of the values that the output pixel touches.
    Q3,
    /// The sum of the source pixels, each by the part of it that the output
    /// pixel covers; the sum over an image stays what it was.
    Sum,
    /// The root of the area-weighted mean of squares.
    Rms,
}

impl Resampling {
    /// Every resampling, in the order of the enum.
    pub const ALL: [Resampling; 15] = [
        Resampling::Nearest,
        Resampling::Bilinear,
        Resampling::Cubic,
        Resampling::CubicSpline,
        Resampling::Lanczos,
        Resampling::Average,
        Resampling::Mode,
        Resampling::Gauss,
        Resampling::Max,
        Resampling::Min,
        Resampling::Med,
        Resampling::Q1,
        Resampling::Q3,
        Resampling::Sum,
        Resampling::Rms,
    ];

    /// The name, such as `cubic_spline`.
    pub fn name(self) -> &'static str {
        match self {
            Resampling::Nearest => "nearest",
            Resampling::Bilinear => "bilinear",
            Resampling::Cubic => "cubic",
            Resampling::CubicSpline => "cubic_spline",
            Resampling::Lanczos => "lanczos",
            Resampling::Average => "average",
            Resampling::Mode => "mode",
            Resampling::Gauss => "gauss",
            Resampling::Max => "max",
            Resampling::Min => "min",
            Resampling::Med => "med",
            Resampling::Q1 => "q1",
            Resampling::Q3 => "q3",
            Resampling::Sum => "sum",
            Resampling::Rms => "rms",
        }
    }

    /// Whether results are source values as they are, never computed ones.
    ///
    /// Classes stay classes only under these. Of flags, only nearest and mode
    /// keep what they mean: the largest of two words of bits says nothing.
    pub fn keeps_values(self) -> bool {
        matches!(
            self,
            Resampling::Nearest
                | Resampling::Mode
                | Resampling::Max
                | Resampling::Min
                | Resampling::Med
                | Resampling::Q1
                | Resampling::Q3
        )
    }
}

impl fmt::Display for Resampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Resampling {
    type Err = Error;

    /// Names are those of [`Resampling::name`], in any case, `-` for `_` too.
    fn from_str(name: &str) -> Result<Self> {
        let normal = name.trim().to_ascii_lowercase().replace('-', "_");
        Resampling::ALL
            .into_iter()
            .find(|resampling| resampling.name() == normal)
            .ok_or_else(|| unknown("resampling", name, &Resampling::ALL.map(Resampling::name)))
    }
}

/// Whether kernels that interpolate widen their support when the output is
/// coarser than the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarpScale {
    /// As GDAL's warper decides by itself, and as odc-stac has it: widened by
    /// the ratio of the windows, so that shrinking does not alias.
    #[default]
    Auto,
    /// Never (`XSCALE=1 YSCALE=1`), as Python's datacube asks GDAL.
    Unit,
}

impl WarpScale {
    /// The name: `auto` or `unit`.
    pub fn name(self) -> &'static str {
        match self {
            WarpScale::Auto => "auto",
            WarpScale::Unit => "unit",
        }
    }
}

impl fmt::Display for WarpScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WarpScale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [WarpScale::Auto, WarpScale::Unit];
        all.into_iter()
            .find(|scale| scale.name() == name)
            .ok_or_else(|| unknown("warp scale", name, &all.map(WarpScale::name)))
    }
}

/// Which of a file's reduced images may stand in for the full resolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overviews {
    /// For nearest, the coarsest one that is not coarser than the output; every
    /// other resampling reads full resolution, because how an overview was made
    /// would show in the result.
    #[default]
    Auto,
    /// For every resampling, the coarsest one that is not coarser than the
    /// output: less to read, and the answer depends on how the file was written.
    NearestFiner,
    /// None.
    Off,
}

impl Overviews {
    /// The name: `auto`, `nearest_finer` or `off`.
    pub fn name(self) -> &'static str {
        match self {
            Overviews::Auto => "auto",
            Overviews::NearestFiner => "nearest_finer",
            Overviews::Off => "off",
        }
    }
}

impl fmt::Display for Overviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Overviews {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Overviews::Auto, Overviews::NearestFiner, Overviews::Off];
        all.into_iter()
            .find(|overviews| overviews.name() == name)
            .ok_or_else(|| unknown("use of overviews", name, &all.map(Overviews::name)))
    }
}

/// How the members of a plane become one image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fuse {
    /// Each pixel is taken from the first member, in the plane's order, that is
    /// valid there. Reading stops when every pixel is.
    #[default]
    FirstValid,
    /// The fuse function of that name, see [`Fuse::named`].
    Named(String),
    /// A function of this process; a plan that has one does not leave it.
    Custom(FuseFunction),
}

/// Which values come out: those that files store, or what they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scaling {
    /// What is stored.
    #[default]
    Stored,
    /// Stored value times scale plus offset, both as each file's header states
    /// them; a file that states none is taken as it is.
    File,
    /// The same with a scale and offset that are given, whatever files state.
    Given {
        /// What stored values are multiplied by.
        scale: f64,
        /// What is added to that.
        offset: f64,
    },
}

impl Scaling {
    /// Scale and offset for a band; `None` where values stay as they are.
    pub(crate) fn of(self, band: &BandInfo) -> Option<(f64, f64)> {
        let (scale, offset) = match self {
            Scaling::Stored => return None,
            Scaling::File => (band.scale, band.offset),
            Scaling::Given { scale, offset } => (scale, offset),
        };
        ((scale, offset) != (1.0, 0.0)).then_some((scale, offset))
    }
}

/// How one measurement is loaded.
///
/// ```
/// use datacube_load::{BandParams, Resampling};
/// use datacube_model::{DType, Number};
/// let red = BandParams::new("red", DType::UInt16)
///     .with_nodata(Number::Int(0))
///     .with_resampling(Resampling::Bilinear);
/// assert_eq!(red.fill(), Number::Int(0));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BandParams {
    /// The measurement's name, for errors.
    pub name: String,
    /// The type of the pixels that come out.
    pub dtype: DType,
    /// The value that marks missing pixels in what comes out.
    pub nodata: Option<Number>,
    /// How values between source pixels are found; default nearest.
    pub resampling: Resampling,
    /// Whether kernels widen when shrinking; default as GDAL.
    pub warp_scale: WarpScale,
    /// Which overviews may be read; default for nearest only.
    pub overviews: Overviews,
    /// How members of a plane become one image; default first valid.
    pub fuse: Fuse,
    /// Whether scale and offset are applied, before resampling; default no.
    /// Missing pixels are told by their stored value, and are NaN or `nodata`
    /// in what comes out.
    #[serde(default)]
    pub scaling: Scaling,
}

impl BandParams {
    /// A measurement without nodata, nearest, everything else at its default.
    pub fn new(name: impl Into<String>, dtype: DType) -> Self {
        BandParams {
            name: name.into(),
            dtype,
            nodata: None,
            resampling: Resampling::default(),
            warp_scale: WarpScale::default(),
            overviews: Overviews::default(),
            fuse: Fuse::default(),
            scaling: Scaling::default(),
        }
    }

    /// Sets the value that marks missing pixels in what comes out.
    #[must_use]
    pub fn with_nodata(mut self, nodata: impl Into<Option<Number>>) -> Self {
        self.nodata = nodata.into();
        self
    }

    /// Sets the resampling.
    #[must_use]
    pub fn with_resampling(mut self, resampling: Resampling) -> Self {
        self.resampling = resampling;
        self
    }

    /// Sets whether kernels widen when shrinking.
    #[must_use]
    pub fn with_warp_scale(mut self, warp_scale: WarpScale) -> Self {
        self.warp_scale = warp_scale;
        self
    }

    /// Sets which overviews may be read.
    #[must_use]
    pub fn with_overviews(mut self, overviews: Overviews) -> Self {
        self.overviews = overviews;
        self
    }

    /// Sets how members of a plane become one image.
    #[must_use]
    pub fn with_fuse(mut self, fuse: Fuse) -> Self {
        self.fuse = fuse;
        self
    }

    /// Sets whether scale and offset are applied.
    #[must_use]
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.scaling = scaling;
        self
    }

    /// The value of pixels that no source gives: the nodata; without one NaN
    /// for floats, and 0 for integers and bool.
    pub fn fill(&self) -> Number {
        self.nodata.unwrap_or(if self.dtype.is_float() {
            Number::Float(f64::NAN)
        } else {
            Number::Int(0)
        })
    }

    /// Whether these parameters can be used at all.
    pub(crate) fn check(&self) -> Result<()> {
        self.fuser()?;
        if self.dtype.is_complex() {
            return Err(Error::Unsupported {
                uri: None,
                what: format!("measurement `{}` of {}", self.name, self.dtype),
                supported: "real pixel types".to_owned(),
            });
        }
        if self.dtype == DType::Bool && !self.resampling.keeps_values() {
            return Err(Error::invalid(format!(
                "measurement `{}` is bool, which resampling `{}` cannot interpolate; use nearest \
                 or mode",
                self.name, self.resampling
            )));
        }
        if self.scaling != Scaling::Stored && !self.dtype.is_float() {
            return Err(Error::invalid(format!(
                "measurement `{}` is loaded as {}, which cannot hold what scale and offset make \
                 of its values; load it as float32 or float64",
                self.name, self.dtype
            )));
        }
        if let Scaling::Given { scale, offset } = self.scaling
            && !(scale.is_finite() && offset.is_finite())
        {
            return Err(Error::invalid(format!(
                "measurement `{}` has scale {scale} and offset {offset}; both have to be finite",
                self.name
            )));
        }
        match self.nodata {
            Some(nodata) if !nodata.fits(self.dtype) => Err(Error::invalid(format!(
                "measurement `{}` cannot hold its nodata {nodata} in {}",
                self.name, self.dtype
            ))),
            _ => Ok(()),
        }
    }
}

/// The error for a name that is none of `known`, with the nearest one.
fn unknown(what: &str, found: &str, known: &[&str]) -> Error {
    let near = near_names(found, known.iter().copied());
    let hint = near
        .first()
        .map_or_else(String::new, |name| format!(", did you mean `{name}`?"));
    let known = known.join(", ");
    Error::invalid(format!(
        "unknown {what} `{found}`{hint}; it has to be one of {known}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for resampling in Resampling::ALL {
            assert_eq!(resampling.name().parse::<Resampling>().unwrap(), resampling);
            let json = serde_json::to_string(&resampling).unwrap();
            assert_eq!(json, format!("\"{resampling}\""));
        }
        assert_eq!(
            "Cubic-Spline".parse::<Resampling>().unwrap(),
            Resampling::CubicSpline
        );
        assert_eq!("unit".parse::<WarpScale>().unwrap(), WarpScale::Unit);
        assert_eq!(
            "nearest_finer".parse::<Overviews>().unwrap(),
            Overviews::NearestFiner
        );
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_near_one() {
        let error = "bilinaer".parse::<Resampling>().unwrap_err().to_string();
        assert!(error.contains("did you mean `bilinear`?"), "{error}");
        let error = "zzz".parse::<Resampling>().unwrap_err().to_string();
        assert!(
            !error.contains("did you mean") && error.contains("q3"),
            "{error}"
        );
        assert!(
            "exact"
                .parse::<Overviews>()
                .unwrap_err()
                .to_string()
                .contains("nearest_finer")
        );
    }

    #[test]
    fn fill_follows_nodata_then_type() {
        let check = |dtype, nodata: Option<Number>, expected: Number| {
            assert_eq!(
                BandParams::new("a", dtype).with_nodata(nodata).fill(),
                expected
            );
        };
        check(DType::Int16, Some(Number::Int(-999)), Number::Int(-999));
        check(DType::Int16, None, Number::Int(0));
        check(DType::Float32, None, Number::Float(f64::NAN));
        check(DType::Float32, Some(Number::Int(-9999)), Number::Int(-9999));
        check(DType::Bool, None, Number::Int(0));
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_read() {
        let refused = |params: BandParams| params.check().unwrap_err().to_string();
        let byte = BandParams::new("qa", DType::UInt8);
        assert!(byte.check().is_ok());
        assert!(
            byte.clone()
                .with_resampling(Resampling::Gauss)
                .check()
                .is_ok()
        );
        let error = refused(byte.with_nodata(Number::Int(-1)));
        assert!(
            error.contains("measurement `qa` cannot hold its nodata -1 in uint8"),
            "{error}"
        );
        assert!(refused(BandParams::new("z", DType::Complex64)).contains("complex64"));
        let scaled = BandParams::new("red", DType::UInt16).with_scaling(Scaling::File);
        assert!(refused(scaled).contains("load it as float32"));
        let scaling = Scaling::Given {
            scale: f64::NAN,
            offset: 0.0,
        };
        let scaled = BandParams::new("red", DType::Float32).with_scaling(scaling);
        assert!(refused(scaled).contains("both have to be finite"));
        let flag = BandParams::new("f", DType::Bool).with_resampling(Resampling::Average);
        assert!(refused(flag).contains("cannot interpolate"));
    }
}
