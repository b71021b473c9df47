//! Pixels marked, filled and converted without losing what marks the missing:
//! odc-algo's pixel tools.

use datacube_model::{DType, Number};

use crate::array::{DataArray, Operand};
use crate::cube::Cube;
use crate::error::{Error, Result};
use crate::value::Scalar;

impl DataArray {
    /// What marks a missing pixel: the `nodata` attribute, else NaN for floats
    /// and 0 for all others.
    ///
    /// # Source
    /// odc-algo, `default_nodata`.
    fn marker(&self) -> Number {
        match self.attrs().nodata() {
            Some(nodata) => nodata,
            None if self.dtype().is_float() => Number::Float(f64::NAN),
            None => Number::Int(0),
        }
    }

    /// The marker as a number beside an array of this type.
    fn marker_scalar(&self) -> Result<Scalar> {
        let marker = self.marker();
        if !marker.fits(self.dtype()) {
            return Err(Error::Invalid(format!(
                "nodata {marker} of {} is no {}; set another one with `Attrs::set_nodata`",
                self.place(),
                self.dtype()
            )));
        }
        Ok(match marker {
            Number::Float(value) if !self.dtype().is_float() => super::whole(value),
            other => Scalar::from(other),
        })
    }

    /// Pixels as physical values: `x * scale + offset` in `dtype`, a float type,
    /// with NaN where they are `nodata`. `nodata` is NaN then.
    ///
    /// Worked out in float64 and rounded once. DIFFERENCE: odc-algo rounds scale
    /// and offset to `dtype` first.
    ///
    /// # Source
    /// odc-algo 1.2.2, `to_float`.
    #[must_use]
    pub fn to_float(&self, scale: f64, offset: f64, dtype: DType) -> DataArray {
        self.defer(|| {
            if !dtype.is_float() {
                return Err(Error::DType {
                    operation: format!("`to_float` of {}", self.place()),
                    dtypes: vec![dtype],
                    reason: "physical values are floats; ask for Float32 or Float64".to_owned(),
                });
            }
            let valid = self.valid_data_mask();
            #[allow(clippy::float_cmp, reason = "the neutral scale and offset are exact")]
            let plain = scale == 1.0 && offset == 0.0;
            let values = if plain {
                self.astype(dtype)
            } else {
                (self.astype(DType::Float64) * scale + offset).astype(dtype)
            };
            let masked = values.where_(&valid).check()?.clone();
            let mut attrs = self.attrs().after_where(dtype);
            if !plain {
                // They have been applied.
                attrs.remove("scale_factor");
                attrs.remove("add_offset");
                attrs.remove("valid_range");
            }
            Ok(self.with_node(masked.node().clone(), self.coords().clone(), attrs))
        })
    }

    /// [`DataArray::to_float`] as float32, unscaled: NaN where pixels are
    /// `nodata`.
    #[must_use]
    pub fn to_f32(&self) -> DataArray {
        self.to_float(1.0, 0.0, DType::Float32)
    }

    /// Floats as pixels of `dtype`: `x * scale + offset`, rounded for integers,
    /// with `nodata` where they are NaN. `nodata` is an attribute then.
    ///
    /// What `to_float(scale, offset)` gave comes back with `1 / scale` and
    /// `-offset / scale`.
    ///
    /// DIFFERENCE: rounded, halves to even, and brought into the range of
    /// `dtype`; odc-algo cuts the fraction off and lets values wrap.
    ///
    /// # Source
    /// odc-algo 1.2.2, `from_float`.
    #[must_use]
    pub fn from_float(
        &self,
        dtype: DType,
        nodata: impl Into<Number>,
        scale: f64,
        offset: f64,
    ) -> DataArray {
        let nodata = nodata.into();
        self.defer(|| {
            if !nodata.fits(dtype) {
                return Err(Error::Invalid(format!(
                    "nodata {nodata} is no {dtype}; choose one that the type holds"
                )));
            }
            let wide = self.astype(DType::Float64);
            #[allow(clippy::float_cmp, reason = "the neutral scale and offset are exact")]
            let scaled = if scale == 1.0 && offset == 0.0 {
                wide
            } else {
                wide * scale + offset
            };
            let rounded = if dtype.is_float() {
                scaled
            } else {
                scaled.rint()
            };
            let marker = match nodata {
                Number::Float(value) if !dtype.is_float() => super::whole(value),
                other => Scalar::from(other),
            };
            let filled = rounded.astype(dtype).where_or(&self.notnull(), marker);
            let filled = filled.check()?.clone();
            let mut attrs = self.attrs().after_cast(dtype);
            attrs.set_nodata(nodata);
            Ok(self.with_node(filled.node().clone(), self.coords().clone(), attrs))
        })
    }

    /// The array where `good` holds, its `nodata` elsewhere: NaN for floats
    /// without one, 0 for others. The type stays.
    ///
    /// # Source
    /// odc-algo 1.2.2, `keep_good_only`.
    #[must_use]
    pub fn keep_good_only(&self, good: &DataArray) -> DataArray {
        self.defer(|| {
            let kept = self.where_or(good, self.marker_scalar()?);
            Ok(kept.check()?.clone().with_attrs(self.attrs().clone()))
        })
    }

    /// The array with its `nodata` where `bad` holds; as
    /// [`DataArray::keep_good_only`] otherwise.
    ///
    /// # Source
    /// odc-algo 1.2.2, `erase_bad`.
    #[must_use]
    pub fn erase_bad(&self, bad: &DataArray) -> DataArray {
        self.keep_good_only(&!bad.astype(DType::Bool))
    }

    /// The array with the pixels of `fallback` where its own are missing:
    /// `nodata` or NaN, or 0 in integers without a nodata.
    ///
    /// # Source
    /// odc-algo 1.2.2, `gap_fill`.
    #[must_use]
    pub fn gap_fill(&self, fallback: impl Into<Operand>) -> DataArray {
        let fallback = fallback.into();
        self.defer(|| {
            let marker = self.marker();
            let mut there = self.notnull();
            if !marker.is_nan() {
                there = there & self.ne(self.marker_scalar()?);
            }
            let filled = self.where_or(&there, fallback);
            Ok(filled.check()?.clone().with_attrs(self.attrs().clone()))
        })
    }

    /// The first pixel along `dim` that is not missing, as
    /// [`DataArray::gap_fill`] counts; missing where none is there. For mosaics
    /// of some scenes.
    ///
    /// # Errors
    /// No such dimension, or one without pixels.
    ///
    /// # Source
    /// odc-algo 1.2.2, `choose_first_valid`.
    pub fn choose_first_valid(&self, dim: &str) -> Result<DataArray> {
        let len = self.len_of(dim)?;
        if len == 0 {
            return Err(Error::Invalid(format!(
                "dimension `{dim}` of {} has no pixels to choose from",
                self.place()
            )));
        }
        let mut chosen = self.isel(dim, 0)?;
        chosen = chosen.drop_index(dim);
        for at in 1..len {
            let at = i64::try_from(at).map_err(|error| Error::Bug(error.to_string()))?;
            let next = self.isel(dim, at)?.drop_index(dim);
            chosen = chosen.gap_fill(next).check()?.clone();
        }
        Ok(chosen)
    }

    /// Without what is left of the labels of a dimension that is gone.
    fn drop_index(&self, dim: &str) -> DataArray {
        let on_it = self.coords().iter().filter(|(name, _)| *name != dim);
        let coords = on_it.map(|(name, coord)| (name.to_owned(), coord.clone()));
        self.with_node(self.node().clone(), coords.collect(), self.attrs().clone())
    }

    /// `self / divisor` in `dtype`, a float type, with NaN where the divisor
    /// is 0.
    ///
    /// # Source
    /// odc-algo 1.2.2, `safe_div`.
    #[must_use]
    pub fn safe_div(&self, divisor: &DataArray, dtype: DType) -> DataArray {
        let quotient = self.astype(dtype) / divisor.astype(dtype);
        quotient.where_(&divisor.ne(0))
    }
}

impl Cube {
    /// [`DataArray::to_float`] of every variable.
    #[must_use]
    pub fn to_float(&self, scale: f64, offset: f64, dtype: DType) -> Cube {
        self.map(|_, array| array.to_float(scale, offset, dtype))
    }

    /// [`DataArray::to_f32`] of every variable.
    #[must_use]
    pub fn to_f32(&self) -> Cube {
        self.map(|_, array| array.to_f32())
    }

    /// [`DataArray::from_float`] of every variable.
    #[must_use]
    pub fn from_float(
        &self,
        dtype: DType,
        nodata: impl Into<Number>,
        scale: f64,
        offset: f64,
    ) -> Cube {
        let nodata = nodata.into();
        self.map(|_, array| array.from_float(dtype, nodata, scale, offset))
    }

    /// [`DataArray::keep_good_only`] of every variable, each with its own
    /// nodata.
    #[must_use]
    pub fn keep_good_only(&self, good: &DataArray) -> Cube {
        self.map(|_, array| array.keep_good_only(good))
    }

    /// [`DataArray::erase_bad`] of every variable, each with its own nodata.
    #[must_use]
    pub fn erase_bad(&self, bad: &DataArray) -> Cube {
        self.map(|_, array| array.erase_bad(bad))
    }
}
