//! Result types, exactly as numpy 2 (NEP 50) and xarray have them.
//!
//! Arrays are strong: two of them meet in the smallest type that holds both.
//! Scalars are weak: they take the array's type and change only its kind.
//! `tests/fixtures/promotion` holds numpy's and xarray's own answers.

use datacube_model::DType;

use crate::error::{Error, Result};
use crate::plan::{Binary, Unary};
use crate::value::{Scalar, complex};

/// An operand as far as types go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// An array of this type.
    Strong(DType),
    /// A scalar.
    Weak(Scalar),
}

impl Kind {
    /// The type that error texts state for it.
    fn shown(self) -> DType {
        match self {
            Kind::Strong(dtype) => dtype,
            Kind::Weak(Scalar::Bool(_)) => DType::Bool,
            Kind::Weak(Scalar::Int(_)) => DType::Int64,
            Kind::Weak(Scalar::Float(_)) => DType::Float64,
        }
    }
}

/// The smallest type that holds the values of both, as numpy's `promote_types`.
pub(crate) fn common(a: DType, b: DType) -> Result<DType> {
    use DType::{Bool, Float16, Float32, Float64, Int16, Int32, Int64, UInt64};
    for dtype in [a, b] {
        if dtype.is_complex() {
            return Err(complex(dtype));
        }
    }
    if a == b || b == Bool {
        return Ok(a);
    }
    if a == Bool {
        return Ok(b);
    }
    let float_for = |dtype: DType| match dtype.size() {
        1 => Float16,
        2 => Float32,
        _ => Float64,
    };
    let wider = |a: DType, b: DType| if a.size() >= b.size() { a } else { b };
    Ok(match (a.is_float(), b.is_float()) {
        (true, true) => wider(a, b),
        (true, false) => wider(a, float_for(b)),
        (false, true) => wider(b, float_for(a)),
        (false, false) => {
            let signed = |dtype: DType| dtype.integer_range().is_some_and(|(low, _)| low < 0);
            match (signed(a), signed(b)) {
                (true, true) | (false, false) => wider(a, b),
                (true, false) | (false, true) => {
                    let (signed, unsigned) = if signed(a) { (a, b) } else { (b, a) };
                    if signed.size() > unsigned.size() {
                        signed
                    } else {
                        match unsigned.size() {
                            1 => Int16,
                            2 => Int32,
                            4 => Int64,
                            _ => {
                                debug_assert_eq!(unsigned, UInt64);
                                Float64
                            }
                        }
                    }
                }
            }
        }
    })
}

/// The type in which an array and a scalar meet.
pub(crate) fn common_kinds(a: Kind, b: Kind) -> Result<DType> {
    match (a, b) {
        (Kind::Strong(a), Kind::Strong(b)) => common(a, b),
        (Kind::Strong(dtype), Kind::Weak(scalar)) | (Kind::Weak(scalar), Kind::Strong(dtype)) => {
            if dtype.is_complex() {
                return Err(complex(dtype));
            }
            Ok(match scalar {
                Scalar::Bool(_) => dtype,
                Scalar::Int(_) if dtype == DType::Bool => DType::Int64,
                Scalar::Int(_) => dtype,
                Scalar::Float(_) if dtype.is_float() => dtype,
                Scalar::Float(_) => DType::Float64,
            })
        }
        (Kind::Weak(_), Kind::Weak(_)) => {
            Err(Error::Bug("an operation on scalars alone".to_owned()))
        }
    }
}

/// How a binary function is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Both operands converted to this type.
    As(DType),
    /// A comparison of int64 with uint64, without a common type: the operand
    /// that is signed is converted to int64, the other to uint64.
    SignedUnsigned {
        /// Whether the signed one is the second operand.
        swap: bool,
    },
    /// A comparison with an integer that no pixel can equal: always so.
    Always(bool),
}

/// How `op` is done on these operands.
pub(crate) fn binary(op: Binary, a: Kind, b: Kind) -> Result<Plan> {
    let undefined = |reason: &str| {
        Err(Error::DType {
            operation: format!("`{}`", op.symbol()),
            dtypes: vec![a.shown(), b.shown()],
            reason: reason.to_owned(),
        })
    };
    if op.is_comparison()
        && let Some(plan) = exact_comparison(op, a, b)
    {
        return Ok(plan);
    }
    let dtype = common_kinds(a, b)?;
    Ok(Plan::As(match op {
        _ if op.is_logic() && dtype.is_float() => {
            return undefined(
                "bits are those of integers and bool; compare first, or convert with `astype`",
            );
        }
        Binary::Sub if dtype == DType::Bool => {
            return undefined("use `^` (either but not both), or convert with `astype`");
        }
        Binary::ShiftLeft | Binary::ShiftRight if dtype.is_float() => {
            return undefined("only integers have bits to shift; convert with `astype`");
        }
        Binary::Div if !dtype.is_float() => DType::Float64,
        float if float.is_float_only() && !dtype.is_float() => float_of(dtype),
        Binary::FloorDiv
        | Binary::Mod
        | Binary::Fmod
        | Binary::Pow
        | Binary::ShiftLeft
        | Binary::ShiftRight
            if dtype == DType::Bool =>
        {
            DType::Int8
        }
        _ => dtype,
    }))
}

/// Comparisons of integers are exact, whatever their types.
fn exact_comparison(op: Binary, a: Kind, b: Kind) -> Option<Plan> {
    let signed = |dtype: DType| dtype.integer_range().is_some_and(|(low, _)| low < 0);
    match (a, b) {
        (Kind::Strong(a), Kind::Strong(b)) if a.is_integer() && b.is_integer() => {
            if signed(a) && b == DType::UInt64 {
                Some(Plan::SignedUnsigned { swap: false })
            } else if a == DType::UInt64 && signed(b) {
                Some(Plan::SignedUnsigned { swap: true })
            } else {
                None
            }
        }
        (Kind::Strong(dtype), Kind::Weak(Scalar::Int(value))) => beyond(op, dtype, value),
        (Kind::Weak(Scalar::Int(value)), Kind::Strong(dtype)) => beyond(op.swapped(), dtype, value),
        _ => None,
    }
}

/// What `pixel op value` is where no pixel of `dtype` can be `value`.
fn beyond(op: Binary, dtype: DType, value: i128) -> Option<Plan> {
    let dtype = if dtype == DType::Bool {
        DType::Int64
    } else {
        dtype
    };
    let (low, high) = dtype.integer_range()?;
    let above = value > high;
    if !above && value >= low {
        return None;
    }
    Some(Plan::Always(match op {
        Binary::Eq => false,
        Binary::Lt | Binary::Le => above,
        Binary::Gt | Binary::Ge => !above,
        _ => true,
    }))
}

/// The type that the operand of a unary function is converted to.
pub(crate) fn unary(op: Unary, dtype: DType) -> Result<DType> {
    let undefined = |reason: &str| {
        Err(Error::DType {
            operation: format!("`{}`", op.symbol()),
            dtypes: vec![dtype],
            reason: reason.to_owned(),
        })
    };
    if dtype.is_complex() {
        return Err(complex(dtype));
    }
    Ok(match op {
        Unary::Neg if dtype == DType::Bool => {
            return undefined("use `!` (not), or convert with `astype`");
        }
        Unary::Not if dtype.is_float() => {
            return undefined(
                "bits are those of integers and bool; compare first, or convert with `astype`",
            );
        }
        Unary::Sign if dtype == DType::Bool => {
            return undefined("truth has no sign; convert with `astype`");
        }
        op if !op.takes_integers() && !dtype.is_float() => float_of(dtype),
        _ => dtype,
    })
}

/// The float type in which numpy computes functions of an integer.
fn float_of(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::Float16,
        2 => DType::Float32,
        _ => DType::Float64,
    }
}

/// The type that masking gives: one that can be NaN.
///
/// DIFFERENCE: xarray 2026.9 makes float64 of bool, by way of Python objects;
/// float32 holds it as well in half the memory.
pub(crate) fn masked(dtype: DType) -> Result<DType> {
    if dtype.is_complex() {
        return Err(complex(dtype));
    }
    Ok(match dtype {
        float if float.is_float() => float,
        small if small.size() <= 2 => DType::Float32,
        _ => DType::Float64,
    })
}
