//! One image of values: any pixel type in, single precision with NaN for gaps out.

use bytemuck::Pod;
use datacube_geo::Shape2d;
use datacube_model::{DType, Number};
use half::f16;
use rayon::prelude::*;

use crate::export::{Error, Result};

/// One image of values, rows first; NaN where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    shape: Shape2d,
    values: Vec<f32>,
}

impl Plane {
    /// From values, rows first; NaN where there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are more or fewer values than `shape` says, or none.
    pub fn new(shape: Shape2d, values: Vec<f32>) -> Result<Self> {
        if values.len() != shape.rows * shape.cols || values.is_empty() {
            return Err(Error::invalid(
                "a picture",
                format!(
                    "{} values for {} x {} pixels",
                    values.len(),
                    shape.rows,
                    shape.cols
                ),
            ));
        }
        Ok(Plane { shape, values })
    }

    /// From the bytes of an array: native endian, rows first, aligned to the type.
    /// Pixels that are `nodata` or NaN are gaps.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `bytes` has not the size that `shape` and `dtype` give,
    /// there are no pixels, or they are complex.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a picture needs no double precision"
    )]
    pub fn from_bytes(
        shape: Shape2d,
        dtype: DType,
        nodata: Option<Number>,
        bytes: &[u8],
    ) -> Result<Self> {
        let values = match dtype {
            DType::Bool | DType::UInt8 => convert::<u8>(bytes, nodata, f32::from),
            DType::Int8 => convert::<i8>(bytes, nodata, f32::from),
            DType::UInt16 => convert::<u16>(bytes, nodata, f32::from),
            DType::Int16 => convert::<i16>(bytes, nodata, f32::from),
            DType::UInt32 => convert::<u32>(bytes, nodata, |v| v as f32),
            DType::Int32 => convert::<i32>(bytes, nodata, |v| v as f32),
            DType::UInt64 => convert::<u64>(bytes, nodata, |v| v as f32),
            DType::Int64 => convert::<i64>(bytes, nodata, |v| v as f32),
            DType::Float16 => convert::<f16>(bytes, nodata, f16::to_f32),
            DType::Float32 => convert::<f32>(bytes, nodata, |v| v),
            DType::Float64 => convert::<f64>(bytes, nodata, |v| v as f32),
            DType::Complex64 | DType::Complex128 => {
                return Err(Error::invalid(
                    "a picture",
                    format!("pixels are {dtype}; take their real part or magnitude first"),
                ));
            }
        };
        Plane::new(shape, values)
    }

    /// Rows and columns.
    pub fn shape(&self) -> Shape2d {
        self.shape
    }

    /// The values, rows first; NaN where there is none.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The least and the greatest value; `None` if all is gap.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        self.quantiles(0.0, 1.0)
    }

    /// Two quantiles (0 to 1) of the values; `None` if all is gap. Large planes
    /// are sampled.
    pub fn quantiles(&self, low: f64, high: f64) -> Option<(f64, f64)> {
        quantiles(&[self], low, high)
    }

    /// The plane on another number of pixels: each is the mean of the values it
    /// covers, or the nearest one where it covers less than one.
    pub(crate) fn resized(&self, shape: Shape2d) -> Plane {
        if shape == self.shape {
            return self.clone();
        }
        let spans = |src: usize, dst: usize| -> Vec<(usize, usize)> {
            (0..dst)
                .map(|at| {
                    let first = at * src / dst;
                    (first, ((at + 1) * src).div_ceil(dst).clamp(first + 1, src))
                })
                .map(|(first, end)| {
                    if dst >= src {
                        (first, first + 1)
                    } else {
                        (first, end)
                    }
                })
                .collect()
        };
        let rows = spans(self.shape.rows, shape.rows);
        let cols = spans(self.shape.cols, shape.cols);
        let values = rows
            .par_iter()
            .flat_map_iter(|&(row, row_end)| {
                cols.iter().map(move |&(col, col_end)| {
                    let (mut sum, mut n) = (0.0f64, 0.0f64);
                    for r in row..row_end {
                        for value in &self.values[r * self.shape.cols..][col..col_end] {
                            if !value.is_nan() {
                                sum += f64::from(*value);
                                n += 1.0;
                            }
                        }
                    }
                    #[allow(clippy::cast_possible_truncation, reason = "it was an f32 before")]
                    {
                        (sum / n) as f32
                    }
                })
            })
            .collect();
        Plane { shape, values }
    }
}

fn convert<T: Pod + PartialEq + num_traits::FromPrimitive + Sync + Send>(
    bytes: &[u8],
    nodata: Option<Number>,
    to_f32: impl Fn(T) -> f32 + Sync,
) -> Vec<f32> {
    let nodata = nodata.and_then(|nodata| match nodata {
        Number::Int(value) => T::from_i128(value),
        Number::Float(value) => T::from_f64(value),
    });
    let value = |pixel: T| {
        if Some(pixel) == nodata {
            f32::NAN
        } else {
            to_f32(pixel)
        }
    };
    match bytemuck::try_cast_slice::<u8, T>(bytes) {
        Ok(pixels) => pixels.par_iter().map(|&pixel| value(pixel)).collect(),
        // Not aligned: copy pixel by pixel. A length that does not fit leaves
        // the last pixel out, which the caller sees.
        Err(_) => bytes
            .chunks_exact(size_of::<T>())
            .map(|chunk| value(bytemuck::pod_read_unaligned(chunk)))
            .collect(),
    }
}

/// Two quantiles (0 to 1) over all values of several planes.
pub(crate) fn quantiles(planes: &[&Plane], low: f64, high: f64) -> Option<(f64, f64)> {
    const SAMPLE: usize = 1 << 20;
    let total: usize = planes.iter().map(|plane| plane.values.len()).sum();
    // A step that shares no factor with common row lengths, so that a sample is
    // no column.
    let exact = low <= 0.0 && high >= 1.0;
    let step = if exact {
        1
    } else {
        (total / SAMPLE).max(1) | 1
    };
    let mut sample: Vec<f32> = planes
        .iter()
        .flat_map(|plane| plane.values.iter().step_by(step))
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let last = sample.len().checked_sub(1)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position"
    )]
    let mut pick = |quantile: f64| {
        let at = ((quantile.clamp(0.0, 1.0) * last as f64).round() as usize).min(last);
        f64::from(*sample.select_nth_unstable_by(at, f32::total_cmp).1)
    };
    Some((pick(low), pick(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_nan_whatever_the_type() {
        let shape = Shape2d { rows: 1, cols: 3 };
        let bytes: Vec<u8> = [7u16, 0, 9]
            .into_iter()
            .flat_map(u16::to_ne_bytes)
            .collect();
        let plane = Plane::from_bytes(shape, DType::UInt16, Some(Number::Int(0)), &bytes).unwrap();
        assert_eq!(plane.values()[0].to_bits(), 7f32.to_bits());
        assert!(plane.values()[1].is_nan());
        assert_eq!(plane.extremes(), Some((7.0, 9.0)));
        assert!(Plane::from_bytes(shape, DType::UInt16, None, &bytes[..5]).is_err());
        assert!(Plane::from_bytes(shape, DType::Complex64, None, &[0; 24]).is_err());
    }

    #[test]
    fn resizing_averages_or_repeats() {
        let plane = Plane::new(
            Shape2d { rows: 2, cols: 2 },
            vec![1.0, 3.0, f32::NAN, f32::NAN],
        )
        .unwrap();
        let small = plane.resized(Shape2d { rows: 2, cols: 1 });
        assert_eq!(small.values()[0].to_bits(), 2f32.to_bits());
        assert!(small.values()[1].is_nan());
        let large = plane.resized(Shape2d { rows: 2, cols: 4 });
        assert_eq!(large.values()[..4], [1.0, 1.0, 3.0, 3.0]);
    }

    #[test]
    fn quantiles_leave_gaps_out() {
        let values: Vec<f32> = (0..=100u8).map(f32::from).chain([f32::NAN; 9]).collect();
        let plane = Plane::new(Shape2d { rows: 1, cols: 110 }, values).unwrap();
        assert_eq!(plane.quantiles(0.02, 0.98), Some((2.0, 98.0)));
        let gap = Plane::new(Shape2d { rows: 1, cols: 1 }, vec![f32::NAN]).unwrap();
        assert_eq!(gap.extremes(), None);
    }
}
