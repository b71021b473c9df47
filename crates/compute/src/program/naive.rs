//! One function over whole buffers, pixel after pixel: the plain meaning that
//! the kernels are held to.

use datacube_model::DType;
use half::f16;

use super::element::{CastTo, Element, Truth, compare_mixed, with_element};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::plan::{Binary, Func, Unary};
use crate::value::Const;

/// What a power of integers to a negative exponent is called.
pub(crate) const NEGATIVE_POWER: &str = "integers to negative integer powers have no integer value; convert to float first, with `astype`";

/// An operand: as many pixels as the result has, or one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    /// Pixels of this type.
    Pixels(DType, &'a Buffer),
    /// The same everywhere.
    Const(Const),
}

/// Why a function has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The values that were met.
    Value(&'static str),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl Operand<'_> {
    fn dtype(self) -> DType {
        match self {
            Operand::Pixels(dtype, _) => dtype,
            Operand::Const(value) => value.dtype(),
        }
    }

    fn at<T: Memory>(self, index: usize) -> T {
        match self {
            Operand::Pixels(_, buffer) => T::load(buffer, index),
            Operand::Const(value) => T::of_bits(value.bits()),
        }
    }
}

/// A pixel in a buffer.
trait Memory: Copy {
    fn load(buffer: &Buffer, index: usize) -> Self;
    fn store(self, out: &mut [u8], index: usize);
    fn of_bits(bits: u64) -> Self;
}

macro_rules! memory {
    ($($t:ty),*) => {$(
        impl Memory for $t {
            fn load(buffer: &Buffer, index: usize) -> Self {
                buffer.as_pixels::<$t>()[index]
            }
            fn store(self, out: &mut [u8], index: usize) {
                const SIZE: usize = size_of::<$t>();
                out[index * SIZE..][..SIZE].copy_from_slice(&self.to_ne_bytes());
            }
            fn of_bits(bits: u64) -> Self {
                <$t as crate::value::Pixel>::from_bits64(bits)
            }
        }
    )*};
}

memory!(i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64);

impl Memory for Truth {
    fn load(buffer: &Buffer, index: usize) -> Self {
        (buffer[index] != 0).into()
    }
    fn store(self, out: &mut [u8], index: usize) {
        out[index] = self.0;
    }
    fn of_bits(bits: u64) -> Self {
        (bits != 0).into()
    }
}

/// `func` of the operands, `n` pixels.
pub(crate) fn apply(func: Func, operands: &[Operand<'_>], n: usize) -> Result<Buffer, Failure> {
    let dtypes: Vec<DType> = operands.iter().map(|operand| operand.dtype()).collect();
    let dtype = func
        .result(&dtypes)
        .ok_or_else(|| Error::Bug(format!("{func} of {dtypes:?} was to be computed")))?;
    let mut out = Buffer::zeroed(n * dtype.size())?;
    let complex = || Failure::Error(crate::value::complex(dtypes[0]));
    match func {
        Func::Unary(op) => {
            with_element!(dtypes[0], T => unary::<T>(op, operands, n, &mut out), complex => return Err(complex()))
        }
        Func::Binary(op) if dtypes[0] != dtypes[1] => mixed(op, operands, n, &mut out),
        Func::Binary(op) => {
            with_element!(dtypes[0], T => binary::<T>(op, operands, n, &mut out)?, complex => return Err(complex()))
        }
        Func::Cast(to) => with_element!(dtypes[0], S => with_element!(to, D => {
            for i in 0..n {
                let pixel: D = operands[0].at::<S>(i).cast();
                pixel.store(&mut out, i);
            }
        }, complex => return Err(complex())), complex => return Err(complex())),
        Func::Where => with_element!(dtype, T => {
            for i in 0..n {
                let choice = if operands[0].at::<Truth>(i).0 != 0 { operands[1] } else { operands[2] };
                choice.at::<T>(i).store(&mut out, i);
            }
        }, complex => return Err(complex())),
        Func::MaskTest { mask, value } => with_element!(dtypes[0], T => {
            for i in 0..n {
                let hit = operands[0].at::<T>(i).bits() & mask == value;
                Truth::from(hit).store(&mut out, i);
            }
        }, complex => return Err(complex())),
    }
    Ok(out)
}

fn unary<T: Element + Memory>(op: Unary, operands: &[Operand<'_>], n: usize, out: &mut [u8]) {
    for i in 0..n {
        let x = operands[0].at::<T>(i);
        let truth = |value: bool, out: &mut [u8]| Truth::from(value).store(out, i);
        match op {
            Unary::Neg => x.neg().store(out, i),
            Unary::Not => x.not().store(out, i),
            Unary::Abs => x.abs().store(out, i),
            Unary::Sqrt => x.sqrt().store(out, i),
            Unary::Exp => x.exp().store(out, i),
            Unary::Log => x.log().store(out, i),
            Unary::IsNan => truth(x.is_nan(), out),
            Unary::NotNan => truth(!x.is_nan(), out),
            Unary::IsInf => truth(x.is_inf(), out),
            Unary::IsFinite => truth(!x.is_nan() && !x.is_inf(), out),
            Unary::Sign => x.sign().store(out, i),
            Unary::Floor => x.floor().store(out, i),
            Unary::Ceil => x.ceil().store(out, i),
            Unary::Trunc => x.trunc().store(out, i),
            Unary::Rint => x.rint().store(out, i),
            Unary::Cbrt => x.cbrt().store(out, i),
            Unary::Exp2 => x.exp2().store(out, i),
            Unary::Expm1 => x.expm1().store(out, i),
            Unary::Log2 => x.log2().store(out, i),
            Unary::Log10 => x.log10().store(out, i),
            Unary::Log1p => x.log1p().store(out, i),
            Unary::Sin => x.sin().store(out, i),
            Unary::Cos => x.cos().store(out, i),
            Unary::Tan => x.tan().store(out, i),
            Unary::Arcsin => x.arcsin().store(out, i),
            Unary::Arccos => x.arccos().store(out, i),
            Unary::Arctan => x.arctan().store(out, i),
            Unary::Sinh => x.sinh().store(out, i),
            Unary::Cosh => x.cosh().store(out, i),
            Unary::Tanh => x.tanh().store(out, i),
            Unary::Degrees => x.degrees().store(out, i),
            Unary::Radians => x.radians().store(out, i),
        }
    }
}

fn binary<T: Element + Memory>(
    op: Binary,
    operands: &[Operand<'_>],
    n: usize,
    out: &mut [u8],
) -> Result<(), Failure> {
    for i in 0..n {
        let (a, b) = (operands[0].at::<T>(i), operands[1].at::<T>(i));
        let truth = |value: bool, out: &mut [u8]| Truth::from(value).store(out, i);
        match op {
            Binary::Add => a.add(b).store(out, i),
            Binary::Sub => a.sub(b).store(out, i),
            Binary::Mul => a.mul(b).store(out, i),
            Binary::Div => a.div(b).store(out, i),
            Binary::FloorDiv => a.floor_div(b).store(out, i),
            Binary::Mod => a.modulo(b).store(out, i),
            Binary::Pow if b.fails_as_exponent() => return Err(Failure::Value(NEGATIVE_POWER)),
            Binary::Pow => a.pow(b).store(out, i),
            Binary::Minimum => a.minimum(b).store(out, i),
            Binary::Maximum => a.maximum(b).store(out, i),
            Binary::And => a.and(b).store(out, i),
            Binary::Or => a.or(b).store(out, i),
            Binary::Xor => a.xor(b).store(out, i),
            Binary::Fmod => a.fmod(b).store(out, i),
            Binary::Arctan2 => a.arctan2(b).store(out, i),
            Binary::Hypot => a.hypot(b).store(out, i),
            Binary::ShiftLeft => a.shift_left(b).store(out, i),
            Binary::ShiftRight => a.shift_right(b).store(out, i),
            Binary::Eq => truth(a == b, out),
            Binary::Ne => truth(a != b, out),
            Binary::Lt => truth(a < b, out),
            Binary::Le => truth(a <= b, out),
            Binary::Gt => truth(a > b, out),
            Binary::Ge => truth(a >= b, out),
        }
    }
    Ok(())
}

fn mixed(op: Binary, operands: &[Operand<'_>], n: usize, out: &mut [u8]) {
    for i in 0..n {
        let order = compare_mixed(operands[0].at::<i64>(i), operands[1].at::<u64>(i));
        let hit = match op {
            Binary::Eq => order.is_eq(),
            Binary::Ne => order.is_ne(),
            Binary::Lt => order.is_lt(),
            Binary::Le => order.is_le(),
            Binary::Gt => order.is_gt(),
            _ => order.is_ge(),
        };
        Truth::from(hit).store(out, i);
    }
}

/// `func` of constants alone; `None` where it has no value.
pub(crate) fn fold(func: Func, operands: &[Const]) -> Option<Const> {
    let dtypes: Vec<DType> = operands.iter().map(|value| value.dtype()).collect();
    let dtype = func.result(&dtypes)?;
    let operands: Vec<Operand<'_>> = operands
        .iter()
        .map(|&value| Operand::Const(value))
        .collect();
    let out = apply(func, &operands, 1).ok()?;
    macro_rules! read {
        ($t:ty) => {
            Const::new(out.as_pixels::<$t>()[0])
        };
    }
    Some(match dtype {
        DType::Bool => Const::new(out[0] != 0),
        DType::Int8 => read!(i8),
        DType::Int16 => read!(i16),
        DType::Int32 => read!(i32),
        DType::Int64 => read!(i64),
        DType::UInt8 => read!(u8),
        DType::UInt16 => read!(u16),
        DType::UInt32 => read!(u32),
        DType::UInt64 => read!(u64),
        DType::Float16 => read!(f16),
        DType::Float32 => read!(f32),
        DType::Float64 => read!(f64),
        DType::Complex64 | DType::Complex128 => return None,
    })
}
