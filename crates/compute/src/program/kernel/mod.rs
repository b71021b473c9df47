//! Kernels: one function over one block of pixels, compiled for each type.
//!
//! Each kernel is compiled twice, for the baseline of the target and for AVX2,
//! and the machine decides at run time. Both do the same operations in the same
//! order on each pixel (Rust never contracts a multiplication and an addition
//! into one rounding), so results have the same bits everywhere.

mod functions;
mod loops;

use datacube_model::DType;

use functions::{
    Abs, Add, And, Arccos, Arcsin, Arctan, Arctan2, Cast, Cbrt, Ceil, Cos, Cosh, Degrees, Div, Eq,
    Exp, Exp2, Expm1, Floor, FloorDiv, Fmod, Ge, Gt, Hypot, IsFinite, IsInf, IsNan, Le, Log, Log1p,
    Log2, Log10, Lt, Maximum, Minimum, MixedEq, MixedGe, MixedGt, MixedLe, MixedLt, MixedNe, Mod,
    Mul, Ne, Neg, Not, NotNan, Or, Radians, Rint, ShiftLeft, ShiftRight, Sign, Sin, Sinh, Sqrt,
    Sub, Tan, Tanh, Trunc, Xor,
};
use loops::{
    choose, choose_or, difference as plain_difference, left, map1, map2, mask_test,
    masked_difference, power, right, tree,
};

use super::element::{Element, Truth, with_element};
use crate::plan::{Binary, Func, Unary};

/// Operands that a kernel takes at most.
pub(super) const MAX_ARGS: usize = 4;

/// One call of a kernel: `n` pixels from `args` to `out`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) n: usize,
    pub(super) out: *mut u8,
    pub(super) args: [*const u8; MAX_ARGS],
    /// Parameters of the function: mask and value, or a constant's bits.
    pub(super) params: [u64; 2],
}

/// A compiled kernel; false says that a value was met for which the function
/// has no result.
///
/// # Safety
/// The `args` that the kernel reads and `out` have to be valid for `n` pixels
/// of its types and aligned for them, and `out` may not overlap `args`.
pub(super) type Kernel = unsafe fn(&Call) -> bool;

/// What the machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simd {
    /// What every machine of the target can.
    Baseline,
    /// 256-bit integers and floats.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Simd {
    /// The best that this machine can.
    pub(crate) fn detect() -> Simd {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi2")
        {
            return Simd::Avx2;
        }
        Simd::Baseline
    }
}

impl Call {
    /// Operand `number` as pixels.
    ///
    /// # Safety
    /// The contract of [`Kernel`].
    #[inline(always)]
    unsafe fn arg<T>(&self, number: usize) -> &[T] {
        // SAFETY: the caller vouches for pointer and length.
        unsafe { std::slice::from_raw_parts(self.args[number].cast::<T>(), self.n) }
    }

    /// The result as pixels.
    ///
    /// # Safety
    /// The contract of [`Kernel`].
    #[inline(always)]
    #[allow(
        clippy::mut_from_ref,
        reason = "the memory belongs to the call, not to the struct"
    )]
    unsafe fn result<T>(&self) -> &mut [T] {
        // SAFETY: the caller vouches for pointer and length, and for nobody
        // else using the memory meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.out.cast::<T>(), self.n) }
    }
}

/// The type whose kernel does for `dtype` where only the bits matter.
fn signless(dtype: DType) -> DType {
    match dtype {
        DType::Int8 => DType::UInt8,
        DType::Int16 => DType::UInt16,
        DType::Int32 => DType::UInt32,
        DType::Int64 => DType::UInt64,
        other => other,
    }
}

/// As [`signless`], for functions that only move pixels.
fn carrier(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::UInt8,
        2 => DType::UInt16,
        4 => DType::UInt32,
        _ => DType::UInt64,
    }
}

/// The kernel of `func` on operands of these types; `None` where the function
/// is not defined for them.
pub(super) fn plain(func: Func, operands: &[DType], simd: Simd) -> Option<Kernel> {
    func.result(operands)?;
    let a = operands[0];
    match func {
        Func::Unary(op) => unary(op, a, simd),
        Func::Binary(op) if operands[0] != operands[1] => Some(mixed(op, simd)),
        Func::Binary(op) => binary(op, a, simd),
        Func::Cast(to) => cast(a, to, simd),
        Func::Where => Some(match carrier(operands[1]) {
            DType::UInt8 => choose::<u8>(simd),
            DType::UInt16 => choose::<u16>(simd),
            DType::UInt32 => choose::<u32>(simd),
            _ => choose::<u64>(simd),
        }),
        Func::MaskTest { .. } => Some(match carrier(a) {
            DType::UInt8 => mask_test::<u8>(simd),
            DType::UInt16 => mask_test::<u16>(simd),
            DType::UInt32 => mask_test::<u32>(simd),
            _ => mask_test::<u64>(simd),
        }),
    }
}

fn unary(op: Unary, dtype: DType, simd: Simd) -> Option<Kernel> {
    let dtype = if matches!(op, Unary::Neg | Unary::Not) {
        signless(dtype)
    } else {
        dtype
    };
    with_element!(dtype, T => Some(match op {
        Unary::Neg => map1::<Neg, T, T>(simd),
        Unary::Not => map1::<Not, T, T>(simd),
        Unary::Abs => map1::<Abs, T, T>(simd),
        Unary::Sqrt => map1::<Sqrt, T, T>(simd),
        Unary::Exp => map1::<Exp, T, T>(Simd::Baseline),
        Unary::Log => map1::<Log, T, T>(Simd::Baseline),
        Unary::IsNan => map1::<IsNan, T, Truth>(simd),
        Unary::NotNan => map1::<NotNan, T, Truth>(simd),
        Unary::IsInf => map1::<IsInf, T, Truth>(simd),
        Unary::IsFinite => map1::<IsFinite, T, Truth>(simd),
        Unary::Sign => map1::<Sign, T, T>(simd),
        Unary::Floor => map1::<Floor, T, T>(simd),
        Unary::Ceil => map1::<Ceil, T, T>(simd),
        Unary::Trunc => map1::<Trunc, T, T>(simd),
        Unary::Rint => map1::<Rint, T, T>(simd),
        Unary::Cbrt => map1::<Cbrt, T, T>(Simd::Baseline),
        Unary::Exp2 => map1::<Exp2, T, T>(Simd::Baseline),
        Unary::Expm1 => map1::<Expm1, T, T>(Simd::Baseline),
        Unary::Log2 => map1::<Log2, T, T>(Simd::Baseline),
        Unary::Log10 => map1::<Log10, T, T>(Simd::Baseline),
        Unary::Log1p => map1::<Log1p, T, T>(Simd::Baseline),
        Unary::Sin => map1::<Sin, T, T>(Simd::Baseline),
        Unary::Cos => map1::<Cos, T, T>(Simd::Baseline),
        Unary::Tan => map1::<Tan, T, T>(Simd::Baseline),
        Unary::Arcsin => map1::<Arcsin, T, T>(Simd::Baseline),
        Unary::Arccos => map1::<Arccos, T, T>(Simd::Baseline),
        Unary::Arctan => map1::<Arctan, T, T>(Simd::Baseline),
        Unary::Sinh => map1::<Sinh, T, T>(Simd::Baseline),
        Unary::Cosh => map1::<Cosh, T, T>(Simd::Baseline),
        Unary::Tanh => map1::<Tanh, T, T>(Simd::Baseline),
        Unary::Degrees => map1::<Degrees, T, T>(simd),
        Unary::Radians => map1::<Radians, T, T>(simd),
    }), complex => None)
}

fn binary(op: Binary, dtype: DType, simd: Simd) -> Option<Kernel> {
    use Binary as B;
    let bits_only = matches!(
        op,
        B::Add | B::Sub | B::Mul | B::And | B::Or | B::Xor | B::Eq | B::Ne
    );
    let dtype = if bits_only { signless(dtype) } else { dtype };
    with_element!(dtype, T => Some(match op {
        B::Add => map2::<Add, T, T, T>(simd),
        B::Sub => map2::<Sub, T, T, T>(simd),
        B::Mul => map2::<Mul, T, T, T>(simd),
        B::Div => map2::<Div, T, T, T>(simd),
        B::FloorDiv => map2::<FloorDiv, T, T, T>(Simd::Baseline),
        B::Mod => map2::<Mod, T, T, T>(Simd::Baseline),
        B::Pow => power::<T>,
        B::Minimum => map2::<Minimum, T, T, T>(simd),
        B::Maximum => map2::<Maximum, T, T, T>(simd),
        B::And => map2::<And, T, T, T>(simd),
        B::Or => map2::<Or, T, T, T>(simd),
        B::Xor => map2::<Xor, T, T, T>(simd),
        B::Fmod => map2::<Fmod, T, T, T>(Simd::Baseline),
        B::Arctan2 => map2::<Arctan2, T, T, T>(Simd::Baseline),
        B::Hypot => map2::<Hypot, T, T, T>(Simd::Baseline),
        B::ShiftLeft => map2::<ShiftLeft, T, T, T>(simd),
        B::ShiftRight => map2::<ShiftRight, T, T, T>(simd),
        B::Eq => map2::<Eq, T, T, Truth>(simd),
        B::Ne => map2::<Ne, T, T, Truth>(simd),
        B::Lt => map2::<Lt, T, T, Truth>(simd),
        B::Le => map2::<Le, T, T, Truth>(simd),
        B::Gt => map2::<Gt, T, T, Truth>(simd),
        B::Ge => map2::<Ge, T, T, Truth>(simd),
    }), complex => None)
}

fn mixed(op: Binary, simd: Simd) -> Kernel {
    match op {
        Binary::Eq => map2::<MixedEq, i64, u64, Truth>(simd),
        Binary::Ne => map2::<MixedNe, i64, u64, Truth>(simd),
        Binary::Lt => map2::<MixedLt, i64, u64, Truth>(simd),
        Binary::Le => map2::<MixedLe, i64, u64, Truth>(simd),
        Binary::Gt => map2::<MixedGt, i64, u64, Truth>(simd),
        _ => map2::<MixedGe, i64, u64, Truth>(simd),
    }
}

fn cast(from: DType, to: DType, simd: Simd) -> Option<Kernel> {
    let whole = |dtype: DType| dtype == DType::Bool || dtype.is_integer();
    let to = if whole(from) { signless(to) } else { to };
    let narrowing = whole(from) && whole(to) && to != DType::Bool && to.size() <= from.size();
    let from = if narrowing { signless(from) } else { from };
    with_element!(from, S => with_element!(to, D => Some(map1::<Cast, S, D>(simd)),
        complex => None), complex => None)
}

/// `where(condition, x, constant)` with `x` converted on the way: the kernel,
/// for the pairs of types that masking makes.
pub(super) fn masked(from: DType, to: DType, simd: Simd) -> Option<Kernel> {
    if from == to {
        return Some(match carrier(from) {
            DType::UInt8 => choose_or::<u8, u8>(simd),
            DType::UInt16 => choose_or::<u16, u16>(simd),
            DType::UInt32 => choose_or::<u32, u32>(simd),
            _ => choose_or::<u64, u64>(simd),
        });
    }
    Some(match (from, to) {
        (DType::Int8, DType::Float32) => choose_or::<i8, f32>(simd),
        (DType::UInt8, DType::Float32) => choose_or::<u8, f32>(simd),
        (DType::Int16, DType::Float32) => choose_or::<i16, f32>(simd),
        (DType::UInt16, DType::Float32) => choose_or::<u16, f32>(simd),
        (DType::Int32, DType::Float64) => choose_or::<i32, f64>(simd),
        (DType::UInt32, DType::Float64) => choose_or::<u32, f64>(simd),
        _ => return None,
    })
}

/// `(a - b) / (a + b)` of bands that are converted on the way; `masked`: of
/// `where(condition, a, constant)` and `where(condition, b, constant)`.
pub(super) fn difference(from: DType, to: DType, masked: bool, simd: Simd) -> Option<Kernel> {
    macro_rules! of {
        ($from:ty, $to:ty) => {
            if masked {
                masked_difference::<$from, $to>(simd)
            } else {
                plain_difference::<$from, $to>(simd)
            }
        };
    }
    Some(match (from, to) {
        (DType::Int8, DType::Float32) => of!(i8, f32),
        (DType::UInt8, DType::Float32) => of!(u8, f32),
        (DType::Int16, DType::Float32) => of!(i16, f32),
        (DType::UInt16, DType::Float32) => of!(u16, f32),
        (DType::Float32, DType::Float32) => of!(f32, f32),
        (DType::Int16, DType::Float64) => of!(i16, f64),
        (DType::UInt16, DType::Float64) => of!(u16, f64),
        (DType::Int32, DType::Float64) => of!(i32, f64),
        (DType::UInt32, DType::Float64) => of!(u32, f64),
        (DType::Float64, DType::Float64) => of!(f64, f64),
        _ => return None,
    })
}

/// How the operations of two steps hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// `(a . b) . (c . d)`: left, middle, right.
    Tree(Binary, Binary, Binary),
    /// `(a . b) . c`: inner, outer.
    Left(Binary, Binary),
    /// `a . (b . c)`: outer, inner.
    Right(Binary, Binary),
}

/// The kernel that does several operations of floats in one pass, which keeps
/// what lies between them in registers of the machine.
pub(super) fn joined(pair: Pair, dtype: DType, simd: Simd) -> Option<Kernel> {
    match dtype {
        DType::Float32 => joined_of::<f32>(pair, simd),
        DType::Float64 => joined_of::<f64>(pair, simd),
        _ => None,
    }
}

fn joined_of<T: Element>(pair: Pair, simd: Simd) -> Option<Kernel> {
    macro_rules! with_op {
        ($op:expr, $o:ident => $code:expr) => {
            match $op {
                Binary::Add => {
                    type $o = Add;
                    $code
                }
                Binary::Sub => {
                    type $o = Sub;
                    $code
                }
                Binary::Mul => {
                    type $o = Mul;
                    $code
                }
                Binary::Div => {
                    type $o = Div;
                    $code
                }
                _ => return None,
            }
        };
    }
    Some(match pair {
        Pair::Tree(l, m, r) => {
            with_op!(l, L => with_op!(m, M => with_op!(r, R => tree::<L, M, R, T>(simd))))
        }
        Pair::Left(l, m) => with_op!(l, L => with_op!(m, M => left::<L, M, T>(simd))),
        Pair::Right(m, r) => with_op!(m, M => with_op!(r, R => right::<M, R, T>(simd))),
    })
}

/// Mask and value as the bits of `dtype`; `None` where no pixel can match.
///
/// Bits beyond the type are those of the pixel sign-extended: for a signed
/// type all equal to its highest bit, for others 0.
pub(super) fn narrow_mask(mask: u64, value: u64, dtype: DType) -> Option<(u64, u64)> {
    let width = 8 * dtype.size();
    if value & !mask != 0 {
        return None;
    }
    if width == 64 {
        return Some((mask, value));
    }
    let low = (1u64 << width) - 1;
    let (high_mask, high_value) = (mask & !low, value & !low);
    let (mut mask, mut value) = (mask & low, value & low);
    let signed = dtype.integer_range().is_some_and(|(lowest, _)| lowest < 0);
    if high_mask != 0 && signed {
        let sign = 1u64 << (width - 1);
        let wanted = match high_value {
            0 => 0,
            all if all == high_mask => sign,
            _ => return None,
        };
        if mask & sign != 0 && value & sign != wanted {
            return None;
        }
        mask |= sign;
        value |= wanted;
    } else if high_value != 0 {
        return None;
    }
    Some((mask, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_narrow_as_sign_extension_does() {
        for dtype in [DType::UInt8, DType::Int8] {
            for pixel in 0..=255u64 {
                let signed = dtype == DType::Int8 && pixel >= 128;
                let wide = if signed { pixel | !255 } else { pixel };
                for (mask, value) in [
                    (1, 1),
                    (0, 0),
                    (0x180, 0x180),
                    (0x180, 0x80),
                    (0x180, 0x100),
                    (0x100, 0),
                    (u64::MAX, u64::MAX),
                    (u64::MAX, 5),
                    (8, 9),
                ] {
                    let narrow = narrow_mask(mask, value, dtype)
                        .is_some_and(|(mask, value)| pixel & mask == value);
                    assert_eq!(
                        narrow,
                        wide & mask == value,
                        "{dtype} {pixel} {mask:#x} {value:#x}"
                    );
                }
            }
        }
    }
}
