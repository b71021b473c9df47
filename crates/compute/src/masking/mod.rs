//! Masks: from the flags of a quality band, from nodata.
//!
//! The definition of the flags is the array's `flags_definition` attribute, as
//! products have it. All conditions of one label each become one test of bits,
//! which runs fused with whatever uses the mask.

mod flags;
mod marker;

use std::sync::Arc;

pub use flags::Category;

use datacube_model::{DType, FlagsDefinition, Label, MaskRequest, Number};

use crate::array::DataArray;
use crate::attrs::Attrs;
use crate::cube::Cube;
use crate::error::{Error, Result};
use crate::plan::{Arg, Func, Node, NodeRef};
use crate::value::{Const, Scalar};

/// What can be asked of flags: a [`MaskRequest`], its text, or pairs of flag
/// and label that all have to hold.
pub trait IntoMaskRequest {
    /// The request.
    ///
    /// # Errors
    /// A text that is no request.
    fn into_mask_request(self) -> Result<MaskRequest>;
}

impl IntoMaskRequest for MaskRequest {
    fn into_mask_request(self) -> Result<MaskRequest> {
        Ok(self)
    }
}

impl IntoMaskRequest for &MaskRequest {
    fn into_mask_request(self) -> Result<MaskRequest> {
        Ok(self.clone())
    }
}

/// `cloud=not_high_confidence, water=[land_or_cloud]`.
impl IntoMaskRequest for &str {
    fn into_mask_request(self) -> Result<MaskRequest> {
        self.parse().map_err(flags_error)
    }
}

impl<F: AsRef<str>, L: Clone + Into<Label>> IntoMaskRequest for &[(F, L)] {
    fn into_mask_request(self) -> Result<MaskRequest> {
        let all = self
            .iter()
            .fold(MaskRequest::new(), |request, (flag, label)| {
                request.flag(flag.as_ref(), label.clone())
            });
        Ok(all)
    }
}

impl<F: AsRef<str>, L: Clone + Into<Label>, const N: usize> IntoMaskRequest for &[(F, L); N] {
    fn into_mask_request(self) -> Result<MaskRequest> {
        self.as_slice().into_mask_request()
    }
}

impl<F: AsRef<str>, L: Clone + Into<Label>, const N: usize> IntoMaskRequest for [(F, L); N] {
    fn into_mask_request(self) -> Result<MaskRequest> {
        self.as_slice().into_mask_request()
    }
}

fn flags_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Flags {
        message: error.to_string(),
        source: Arc::new(error),
    }
}

impl DataArray {
    /// Where the flags of a quality band are as asked: a bool array of the same
    /// name, dimensions and coordinates. Without conditions, true everywhere.
    ///
    /// ```
    /// use datacube_compute::{Attrs, Coords, DataArray};
    /// let qa = DataArray::from_values("qa", &["x"], &[3], vec![0u16, 8, 9], Coords::new())?
    ///     .with_attrs(Attrs::new().with("flags_definition", serde_json::json!({
    ///         "cloud": {"bits": 3, "values": {"0": "clear", "1": "cloud"}},
    ///     })));
    /// let clear = qa.make_mask(&[("cloud", "clear")]).compute()?;
    /// assert_eq!(clear.to_vec::<bool>()?, [true, false, false]);
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`make_mask`).
    #[must_use]
    pub fn make_mask(&self, request: impl IntoMaskRequest) -> DataArray {
        self.defer(|| {
            let flags = self.flags()?;
            let test = request
                .into_mask_request()?
                .resolve(&flags)
                .map_err(flags_error)?;
            let mut all: Option<NodeRef> = None;
            for clause in test.clauses() {
                let mut any: Option<NodeRef> = None;
                for bits in clause {
                    let func = Func::MaskTest {
                        mask: bits.mask,
                        value: bits.value,
                    };
                    let hit =
                        Node::elementwise(func, vec![Arg::Value(0)], vec![self.node().clone()])?;
                    any = Some(either(any, hit, crate::plan::Binary::Or)?);
                }
                // A clause without alternatives cannot be met.
                let met = match any {
                    Some(any) => any,
                    None => Node::full(Const::new(false), self.node().schema())?,
                };
                all = Some(either(all, met, crate::plan::Binary::And)?);
            }
            let node = match all {
                Some(all) => all,
                None => Node::full(Const::new(true), self.node().schema())?,
            };
            let mut attrs = Attrs::after_math(&[self.attrs()], DType::Bool, false);
            attrs.remove("units");
            Ok(self.with_node(node, self.coords().clone(), attrs))
        })
    }

    /// What the bits of this band mean; prints as a table.
    ///
    /// # Errors
    /// No `flags_definition` attribute, or one that is wrong.
    pub fn flags(&self) -> Result<FlagsDefinition> {
        self.check()?;
        let definition = self.attrs().get("flags_definition").ok_or_else(|| {
            Error::Invalid(format!(
                "{} has no `flags_definition` among its attributes, so its flags are not known; mask by the quality band that the product defines",
                self.place()
            ))
        })?;
        if !self.dtype().is_integer() {
            return Err(Error::DType {
                operation: format!("reading the flags of {}", self.place()),
                dtypes: vec![self.dtype()],
                reason: "only integers have bits; make the mask before `where_` or arithmetic"
                    .to_owned(),
            });
        }
        FlagsDefinition::from_document(definition.clone()).map_err(flags_error)
    }

    /// Where pixels are valid: not the `nodata` attribute, and not NaN. True
    /// everywhere for integers without a nodata.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`valid_data_mask`).
    /// DIFFERENCE: NaN is never valid, whatever the nodata of a float band.
    #[must_use]
    pub fn valid_data_mask(&self) -> DataArray {
        let mask = match self.attrs().nodata() {
            None => self.notnull(),
            Some(nodata) if nodata.is_nan() => self.notnull(),
            Some(nodata) => {
                let scalar = match nodata {
                    Number::Float(value) if self.dtype().is_integer() => whole(value),
                    other => Scalar::from(other),
                };
                let differs = self.ne(scalar);
                if self.dtype().is_float() {
                    differs & self.notnull()
                } else {
                    differs
                }
            }
        };
        match self.name() {
            Some(name) => mask.named(name),
            None => mask,
        }
    }

    /// The array with NaN where pixels are not valid; its nodata is NaN then.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`mask_invalid_data`).
    #[must_use]
    pub fn mask_invalid_data(&self) -> DataArray {
        self.where_(&self.valid_data_mask())
    }
}

impl Cube {
    /// The mask of the first variable that has flags: see
    /// [`DataArray::make_mask`].
    ///
    /// # Errors
    /// No variable has a `flags_definition`.
    pub fn make_mask(&self, request: impl IntoMaskRequest) -> Result<DataArray> {
        Ok(self.flags_band()?.make_mask(request))
    }

    /// Every variable with NaN where its own pixels are not valid.
    #[must_use]
    pub fn mask_invalid_data(&self) -> Cube {
        self.map(|_, array| array.mask_invalid_data())
    }
}

/// A float that is a whole number, as one, so that comparing stays exact.
#[allow(clippy::cast_possible_truncation, reason = "it has no fraction")]
pub(crate) fn whole(value: f64) -> Scalar {
    if value.fract() == 0.0 && value.abs() < 1e18 {
        Scalar::Int(value as i128)
    } else {
        Scalar::Float(value)
    }
}

fn either(first: Option<NodeRef>, second: NodeRef, op: crate::plan::Binary) -> Result<NodeRef> {
    match first {
        None => Ok(second),
        Some(first) => {
            let args = vec![Arg::Value(0), Arg::Value(1)];
            Node::elementwise(Func::Binary(op), args, vec![first, second])
        }
    }
}
