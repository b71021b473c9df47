//! Kernels with their support settled.

use crate::params::Resampling;
use crate::warp::area::Reduction;
use crate::warp::cover::Margin;
use crate::warp::taps::{Filter, TapRule};

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
    Sum(Margin),
    /// What the output pixel covers, made one value.
    Reduced {
        reduction: Reduction,
        margin: Margin,
    },
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
    pub(crate) fn new(resampling: Resampling, scale: (f64, f64)) -> Self {
        let filter = |filter| Kernel::Widened {
            filter,
            scales: (scale.0.min(1.0), scale.1.min(1.0)),
        };
        let widened = |wide, plain| {
            if scale.0 >= WIDEN_BELOW && scale.1 >= WIDEN_BELOW {
                plain
            } else {
                filter(wide)
            }
        };
        let margin = Margin::new(scale.0, scale.1);
        let reduced = |reduction| Kernel::Reduced { reduction, margin };
        match resampling {
            Resampling::Nearest => Kernel::Nearest,
            Resampling::Bilinear => widened(Filter::Bilinear, Kernel::Bilinear),
            Resampling::Cubic => widened(Filter::Cubic, Kernel::Cubic),
            Resampling::CubicSpline => filter(Filter::CubicSpline),
            Resampling::Lanczos => filter(Filter::Lanczos),
            Resampling::Gauss => filter(Filter::Gauss),
            Resampling::Average => Kernel::Average(margin),
            Resampling::Mode => Kernel::Mode(margin),
            Resampling::Sum => Kernel::Sum(margin),
            Resampling::Rms => reduced(Reduction::RootMeanSquare),
            Resampling::Max => reduced(Reduction::Largest),
            Resampling::Min => reduced(Reduction::Smallest),
            Resampling::Q1 => reduced(Reduction::Quarter(1)),
            Resampling::Med => reduced(Reduction::Quarter(2)),
            Resampling::Q3 => reduced(Reduction::Quarter(3)),
        }
    }

    /// How many source pixels (x, y) the kernel reaches beyond the positions of
    /// the output pixels it is asked for.
    pub(crate) fn reach(&self) -> (usize, usize) {
        match *self {
            Kernel::Cubic => (2, 2),
            Kernel::Widened { filter, scales } => {
                let reach = |scale| TapRule::Widened { filter, scale }.sides().1;
                (reach(scales.0), reach(scales.1))
            }
            _ => (1, 1),
        }
    }

    /// How many taps (x, y) a position has at most; 0 for kernels that look
    /// missing pixels up one by one.
    pub(crate) fn n_taps(&self) -> (usize, usize) {
        match *self {
            Kernel::Average(margin) => margin.most_taps(),
            Kernel::Bilinear => (2, 2),
            Kernel::Cubic => (4, 4),
            Kernel::Widened { filter, scales } => {
                let taps = |scale| TapRule::Widened { filter, scale }.max_taps();
                (taps(scales.0), taps(scales.1))
            }
            _ => (0, 0),
        }
    }

    /// Which points of an output pixel the kernel asks for.
    pub(crate) fn points(&self) -> Points {
        match self {
            Kernel::Nearest | Kernel::Bilinear | Kernel::Cubic | Kernel::Widened { .. } => {
                Points::Centre
            }
            Kernel::Average(_) | Kernel::Mode(_) | Kernel::Reduced { .. } => Points::TwoCorners,
            Kernel::Sum(_) => Points::AllCorners,
        }
    }
}

/// Which points of an output pixel a kernel works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    Centre,
    /// Upper left and lower right.
    TwoCorners,
    AllCorners,
}
