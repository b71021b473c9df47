//! Kernels with their support settled.

use crate::error::{Error, Result};
use crate::params::Resampling;
use crate::warp::cover::Margin;
use crate::warp::taps::{Filter, widened_radius};

/// A kernel with its support settled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    Nearest,
    Bilinear,
    Cubic,
    /// A filter widened by 1 / scale; scales are (x, y) and at most 1.
    Widened {
        filter: Filter,
        scales: (f64, f64),
    },
    Average(Margin),
    Mode(Margin),
}

/// A filter is widened when the output has fewer pixels than this for one
/// source pixel, on either axis.
///
/// # Source
/// GDAL, `alg/gdalwarpkernel.cpp`, `bUse4SamplesFormula`.
const WIDEN_BELOW: f64 = 0.95;

impl Kernel {
    /// The kernel of `resampling`, where the output has `scale` (x, y) pixels
    /// for one source pixel.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a resampling that is not built.
    pub(crate) fn new(resampling: Resampling, scale: (f64, f64)) -> Result<Self> {
        let widened = |filter, plain| {
            if scale.0 >= WIDEN_BELOW && scale.1 >= WIDEN_BELOW {
                plain
            } else {
                Kernel::Widened {
                    filter,
                    scales: (scale.0.min(1.0), scale.1.min(1.0)),
                }
            }
        };
        let margin = Margin::new(scale.0, scale.1);
        match resampling {
            Resampling::Nearest => Ok(Kernel::Nearest),
            Resampling::Bilinear => Ok(widened(Filter::Bilinear, Kernel::Bilinear)),
            Resampling::Cubic => Ok(widened(Filter::Cubic, Kernel::Cubic)),
            Resampling::Average => Ok(Kernel::Average(margin)),
            Resampling::Mode => Ok(Kernel::Mode(margin)),
            other => Err(other.check_supported().err().unwrap_or_else(|| {
                Error::Internal(format!(
                    "resampling `{other}` is supported and has no kernel"
                ))
            })),
        }
    }

    /// How many source pixels (x, y) the kernel reaches beyond the positions of
    /// the output pixels it is asked for.
    pub(crate) fn reach(&self) -> (usize, usize) {
        match *self {
            Kernel::Nearest | Kernel::Average(_) | Kernel::Mode(_) => (1, 1),
            Kernel::Bilinear => (1, 1),
            Kernel::Cubic => (2, 2),
            Kernel::Widened { filter, scales } => (
                widened_radius(filter, scales.0),
                widened_radius(filter, scales.1),
            ),
        }
    }

    /// How many taps (x, y) a position has at most; 0 for kernels that look
    /// missing pixels up one by one.
    pub(crate) fn n_taps(&self) -> (usize, usize) {
        match *self {
            Kernel::Nearest | Kernel::Mode(_) => (0, 0),
            Kernel::Average(margin) => margin.most_taps(),
            Kernel::Bilinear => (2, 2),
            Kernel::Cubic => (4, 4),
            Kernel::Widened { .. } => {
                let (x, y) = self.reach();
                (2 * x, 2 * y)
            }
        }
    }

    /// Whether the kernel works on the corners of output pixels, not on their
    /// centres.
    pub(crate) fn covers_area(&self) -> bool {
        matches!(self, Kernel::Average(_) | Kernel::Mode(_))
    }
}
