//! Which source pixels are missing, and what stands for them.
//!
//! Three values meet: the file's nodata (or, where it has none, the one that
//! the document declares), the measurement's nodata, and the value written
//! where no source has a pixel. A pixel equal to the first is missing; a NaN
//! always is; an integer without nodata never is. Whether a pixel is missing is
//! kept apart from its value while it is resampled, and the measurement's own
//! nodata is written at the end: a file whose nodata differs from the
//! measurement's is thereby converted.

use datacube_model::Number;

use crate::reader::BandInfo;
use crate::source::RasterSource;
use crate::warp::Sample;

/// The nodata of a source: the file's own, else what the document declares.
pub(crate) fn source_nodata(band: &BandInfo, source: &RasterSource) -> Option<Number> {
    band.nodata.or(source.nodata)
}

/// How missing pixels of type `T` are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Missing<T> {
    /// None is.
    Never,
    /// Those of this value.
    Value(T),
    /// NaN, and those of this value where there is one.
    Nan(Option<T>),
}

impl<T: Sample> Missing<T> {
    /// For a source whose nodata is `nodata`; one that `T` cannot hold marks
    /// nothing.
    pub(crate) fn new(nodata: Option<Number>) -> Self {
        let value = nodata
            .and_then(T::from_number)
            .filter(|value| !value.is_nan());
        match (T::IS_FLOAT, value) {
            (true, value) => Missing::Nan(value),
            (false, Some(value)) => Missing::Value(value),
            (false, None) => Missing::Never,
        }
    }

    /// Whether one pixel is missing; what the loops below are checked against.
    #[cfg(test)]
    fn is(&self, pixel: T) -> bool {
        match self {
            Missing::Never => false,
            Missing::Value(value) => pixel == *value,
            Missing::Nan(value) => pixel.is_nan() || value.is_some_and(|value| pixel == value),
        }
    }

    /// Clears `valid` (1 or 0 a pixel) where a pixel is missing.
    pub(crate) fn clear(&self, pixels: &[T], valid: &mut [u8]) {
        match *self {
            Missing::Never => {}
            Missing::Value(value) => clear_where(pixels, valid, |pixel| pixel == value),
            Missing::Nan(None) => clear_where(pixels, valid, T::is_nan),
            Missing::Nan(Some(value)) => {
                clear_where(pixels, valid, |pixel| pixel.is_nan() | (pixel == value));
            }
        }
    }

    /// Writes 1 to `marks` where a pixel is missing and 0 elsewhere, and says
    /// whether any is. `marks` is left as it was when no pixel can be.
    pub(crate) fn mark(&self, pixels: &[T], marks: &mut Vec<u8>) -> bool {
        match *self {
            Missing::Never => false,
            Missing::Value(value) => mark_where(pixels, marks, |pixel| pixel == value),
            Missing::Nan(None) => mark_where(pixels, marks, T::is_nan),
            Missing::Nan(Some(value)) => {
                mark_where(pixels, marks, |pixel| pixel.is_nan() | (pixel == value))
            }
        }
    }
}

#[inline(always)]
fn clear_where<T: Copy>(pixels: &[T], valid: &mut [u8], is_missing: impl Fn(T) -> bool) {
    for (&pixel, valid) in pixels.iter().zip(valid) {
        *valid &= u8::from(!is_missing(pixel));
    }
}

#[inline(always)]
fn mark_where<T: Copy>(pixels: &[T], marks: &mut Vec<u8>, is_missing: impl Fn(T) -> bool) -> bool {
    // A first look without writing: most windows have no missing pixel.
    let any = pixels.chunks(4096).any(|pixels| {
        pixels
            .iter()
            .fold(false, |any, &pixel| any | is_missing(pixel))
    });
    if any {
        marks.clear();
        marks.extend(pixels.iter().map(|&pixel| u8::from(is_missing(pixel))));
    }
    any
}

#[cfg(test)]
mod tests {
    use datacube_model::DType;

    use super::*;

    #[test]
    fn the_files_nodata_wins() {
        let mut band = BandInfo {
            dtype: DType::UInt16,
            nodata: Some(Number::Int(1)),
            scale: 1.0,
            offset: 0.0,
            unit: None,
            description: None,
            color: "gray",
            tags: Vec::new(),
        };
        let source = RasterSource::new("a.tif").with_nodata(Number::Int(0));
        assert_eq!(source_nodata(&band, &source), Some(Number::Int(1)));
        band.nodata = None;
        assert_eq!(source_nodata(&band, &source), Some(Number::Int(0)));
        assert_eq!(source_nodata(&band, &RasterSource::new("a.tif")), None);
    }

    #[test]
    fn what_is_missing() {
        fn check<T: Sample>(nodata: Option<Number>, pixels: &[T], expected: &[u8]) {
            let missing = Missing::<T>::new(nodata);
            let mut marks = vec![7; 2];
            let any = missing.mark(pixels, &mut marks);
            assert_eq!(any, expected.contains(&1));
            assert_eq!(marks, if any { expected } else { &[7, 7] });
            let mut valid = vec![1; pixels.len()];
            missing.clear(pixels, &mut valid);
            for ((&pixel, &valid), &expected) in pixels.iter().zip(&valid).zip(expected) {
                assert_eq!((missing.is(pixel), valid), (expected == 1, 1 - expected));
            }
        }
        check::<u16>(Some(Number::Int(0)), &[0, 1, 65535], &[1, 0, 0]);
        check::<u16>(None, &[0, 1, 65535], &[0, 0, 0]);
        // Nodata that the type cannot hold marks nothing.
        check::<u8>(Some(Number::Int(-9999)), &[0, 241, 255], &[0, 0, 0]);
        check::<u8>(Some(Number::Float(f64::NAN)), &[0, 1, 255], &[0, 0, 0]);
        // NaN is missing whatever the nodata.
        check::<f32>(None, &[0.0, f32::NAN, 1.0], &[0, 1, 0]);
        check::<f32>(
            Some(Number::Int(-9999)),
            &[-9999.0, f32::NAN, 1.0],
            &[1, 1, 0],
        );
        check::<f64>(
            Some(Number::Float(f64::NAN)),
            &[0.0, f64::NAN, 1.0],
            &[0, 1, 0],
        );
        // A nodata written with more digits than the type has still matches.
        check::<f32>(
            Some(Number::Float(-3.4028234663852886e38)),
            &[f32::MIN, 0.0],
            &[1, 0],
        );
    }
}
