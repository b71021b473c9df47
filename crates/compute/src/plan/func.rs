//! What is done to each pixel, and what type comes out.
//!
//! Functions are strict about their operands: both of one type, and none that
//! needs converting first. Conversions are functions of their own, put in when
//! an array operation is written down (`ops::promote`), so that a plan says
//! everything that happens.

use std::fmt;

use datacube_model::DType;
use serde::{Deserialize, Serialize};

use crate::value::Const;

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Func {
    /// Of one value.
    Unary(Unary),
    /// Of two values.
    Binary(Binary),
    /// Conversion, as numpy's `astype`.
    Cast(DType),
    /// Of a condition and two values: the first where the condition holds.
    Where,
    /// Whether the bits under `mask` are exactly `value`.
    MaskTest {
        /// The bits that count, of the pixel sign-extended to 64.
        mask: u64,
        /// What they have to be.
        value: u64,
    },
}

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unary {
    /// `-x`; wraps for integers.
    Neg,
    /// `~x`: every bit turned, or true for false.
    Not,
    /// `|x|`; the lowest integer is its own.
    Abs,
    /// Square root, of floats.
    Sqrt,
    /// `e ** x`, of floats.
    Exp,
    /// Natural logarithm, of floats.
    Log,
    /// Whether it is NaN; never for integers.
    IsNan,
    /// Whether it is not NaN; always for integers.
    NotNan,
    /// Whether it is an infinity; never for integers.
    IsInf,
    /// Whether it is neither NaN nor an infinity; always for integers.
    IsFinite,
    /// -1, 0 or 1 as it is negative, zero or positive; NaN stays.
    Sign,
    /// The whole number at or below, of floats.
    Floor,
    /// The whole number at or above, of floats.
    Ceil,
    /// The whole number at or nearer to zero, of floats.
    Trunc,
    /// The nearest whole number, the even one of two, of floats.
    Rint,
    /// Cube root, of floats.
    Cbrt,
    /// `2 ** x`, of floats.
    Exp2,
    /// `e ** x - 1`, exact near 0, of floats.
    Expm1,
    /// Logarithm to base 2, of floats.
    Log2,
    /// Logarithm to base 10, of floats.
    Log10,
    /// `log(1 + x)`, exact near 0, of floats.
    Log1p,
    /// Sine of radians, of floats.
    Sin,
    /// Cosine of radians, of floats.
    Cos,
    /// Tangent of radians, of floats.
    Tan,
    /// Angle of a sine, in radians, of floats.
    Arcsin,
    /// Angle of a cosine, in radians, of floats.
    Arccos,
    /// Angle of a tangent, in radians, of floats.
    Arctan,
    /// Hyperbolic sine, of floats.
    Sinh,
    /// Hyperbolic cosine, of floats.
    Cosh,
    /// Hyperbolic tangent, of floats.
    Tanh,
    /// Radians as degrees, of floats.
    Degrees,
    /// Degrees as radians, of floats.
    Radians,
}

/// Functions of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Binary {
    /// `a + b`; wraps; or, for bool.
    Add,
    /// `a - b`; wraps; not for bool.
    Sub,
    /// `a * b`; wraps; and, for bool.
    Mul,
    /// `a / b`, of floats.
    Div,
    /// The floor of `a / b`; 0 where an integer is divided by 0.
    FloorDiv,
    /// What the floored division leaves, with the sign of `b`; 0 for an integer `b` of 0.
    Mod,
    /// `a ** b`; wraps; negative powers of integers are an error.
    Pow,
    /// The smaller; NaN if one of them is.
    Minimum,
    /// The larger; NaN if one of them is.
    Maximum,
    /// `a == b`.
    Eq,
    /// `a != b`.
    Ne,
    /// `a < b`.
    Lt,
    /// `a <= b`.
    Le,
    /// `a > b`.
    Gt,
    /// `a >= b`.
    Ge,
    /// `a & b`, of bool or integers.
    And,
    /// `a | b`, of bool or integers.
    Or,
    /// `a ^ b`, of bool or integers.
    Xor,
    /// What the division truncated towards zero leaves, with the sign of `a`; 0
    /// for an integer `b` of 0.
    Fmod,
    /// The angle of the point `(b, a)`, in radians, of floats.
    Arctan2,
    /// `sqrt(a * a + b * b)` without overflow on the way, of floats.
    Hypot,
    /// `a << b`, of integers; 0 where all bits leave.
    ShiftLeft,
    /// `a >> b`, of integers; the sign alone where all bits leave.
    ShiftRight,
}

impl Binary {
    /// Whether the result is bool.
    pub(crate) fn is_comparison(self) -> bool {
        use Binary::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }

    /// Whether it works on bits.
    pub(crate) fn is_logic(self) -> bool {
        matches!(self, Binary::And | Binary::Or | Binary::Xor)
    }

    /// The comparison that holds for `b, a` where this holds for `a, b`.
    pub(crate) fn swapped(self) -> Binary {
        match self {
            Binary::Lt => Binary::Gt,
            Binary::Le => Binary::Ge,
            Binary::Gt => Binary::Lt,
            Binary::Ge => Binary::Le,
            same => same,
        }
    }

    /// As Python writes it.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::FloorDiv => "//",
            Binary::Mod => "%",
            Binary::Pow => "**",
            Binary::Minimum => "minimum",
            Binary::Maximum => "maximum",
            Binary::Eq => "==",
            Binary::Ne => "!=",
            Binary::Lt => "<",
            Binary::Le => "<=",
            Binary::Gt => ">",
            Binary::Ge => ">=",
            Binary::And => "&",
            Binary::Or => "|",
            Binary::Xor => "^",
            Binary::Fmod => "fmod",
            Binary::Arctan2 => "arctan2",
            Binary::Hypot => "hypot",
            Binary::ShiftLeft => "<<",
            Binary::ShiftRight => ">>",
        }
    }

    /// Whether Python writes it as a function rather than between operands.
    fn is_called(self) -> bool {
        use Binary::{Arctan2, Fmod, Hypot, Maximum, Minimum};
        matches!(self, Minimum | Maximum | Fmod | Arctan2 | Hypot)
    }

    /// Whether it gives floats, of integers too once these are converted.
    pub(crate) fn is_float_only(self) -> bool {
        matches!(self, Binary::Arctan2 | Binary::Hypot)
    }

    /// The verb for error texts.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "subtract",
            Binary::Mul => "multiply",
            Binary::Div | Binary::FloorDiv | Binary::Mod | Binary::Fmod => "divide",
            Binary::Pow => "raise",
            _ => "combine",
        }
    }
}

impl Unary {
    /// As Python writes it.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Unary::Neg => "-",
            Unary::Not => "~",
            Unary::Abs => "abs",
            Unary::Sqrt => "sqrt",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::IsNan => "isnan",
            Unary::NotNan => "notnan",
            Unary::IsInf => "isinf",
            Unary::IsFinite => "isfinite",
            Unary::Sign => "sign",
            Unary::Floor => "floor",
            Unary::Ceil => "ceil",
            Unary::Trunc => "trunc",
            Unary::Rint => "rint",
            Unary::Cbrt => "cbrt",
            Unary::Exp2 => "exp2",
            Unary::Expm1 => "expm1",
            Unary::Log2 => "log2",
            Unary::Log10 => "log10",
            Unary::Log1p => "log1p",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Tan => "tan",
            Unary::Arcsin => "arcsin",
            Unary::Arccos => "arccos",
            Unary::Arctan => "arctan",
            Unary::Sinh => "sinh",
            Unary::Cosh => "cosh",
            Unary::Tanh => "tanh",
            Unary::Degrees => "degrees",
            Unary::Radians => "radians",
        }
    }

    /// Whether the result is bool.
    pub(crate) fn is_question(self) -> bool {
        use Unary::{IsFinite, IsInf, IsNan, NotNan};
        matches!(self, IsNan | NotNan | IsInf | IsFinite)
    }

    /// What a question is answered with for every integer.
    pub(crate) fn of_integers(self) -> bool {
        matches!(self, Unary::NotNan | Unary::IsFinite)
    }

    /// Whether it is defined for integers as they are.
    pub(crate) fn takes_integers(self) -> bool {
        matches!(self, Unary::Neg | Unary::Not | Unary::Abs | Unary::Sign) || self.is_question()
    }
}

impl Func {
    /// How many operands it takes.
    pub fn arity(self) -> usize {
        match self {
            Func::Unary(_) | Func::Cast(_) | Func::MaskTest { .. } => 1,
            Func::Binary(_) => 2,
            Func::Where => 3,
        }
    }

    /// The type of the result; `None` where the function does not take such
    /// operands.
    pub fn result(self, operands: &[DType]) -> Option<DType> {
        if operands.len() != self.arity() || operands.iter().any(|dtype| dtype.is_complex()) {
            return None;
        }
        let a = operands[0];
        match self {
            Func::Cast(dtype) => (!dtype.is_complex()).then_some(dtype),
            Func::MaskTest { .. } => a.is_integer().then_some(DType::Bool),
            Func::Where => (a == DType::Bool && operands[1] == operands[2]).then_some(operands[1]),
            Func::Unary(unary) => match unary {
                Unary::Neg => (a != DType::Bool).then_some(a),
                Unary::Not => (!a.is_float()).then_some(a),
                Unary::Abs => Some(a),
                Unary::Sign => (a != DType::Bool).then_some(a),
                question if question.is_question() => Some(DType::Bool),
                _ => a.is_float().then_some(a),
            },
            Func::Binary(binary) => {
                let b = operands[1];
                if binary.is_comparison() {
                    // Signed and unsigned 64 bits have no common integer type.
                    let mixed = (a, b) == (DType::Int64, DType::UInt64);
                    return (a == b || mixed).then_some(DType::Bool);
                }
                let defined = match binary {
                    Binary::And | Binary::Or | Binary::Xor => !a.is_float(),
                    Binary::Div | Binary::Arctan2 | Binary::Hypot => a.is_float(),
                    Binary::ShiftLeft | Binary::ShiftRight => a.is_integer(),
                    Binary::Sub | Binary::FloorDiv | Binary::Mod | Binary::Fmod | Binary::Pow => {
                        a != DType::Bool
                    }
                    _ => true,
                };
                (a == b && defined).then_some(a)
            }
        }
    }

    /// The expression with its operands written out.
    pub(crate) fn text(self, operands: &[String]) -> String {
        match (self, operands) {
            (Func::Unary(unary @ (Unary::Neg | Unary::Not)), [x]) => {
                format!("{}{x}", unary.symbol())
            }
            (Func::Unary(unary), [x]) => format!("{}({x})", unary.symbol()),
            (Func::Binary(binary), [a, b]) if binary.is_called() => {
                format!("{}({a}, {b})", binary.symbol())
            }
            (Func::Binary(binary), [a, b]) => format!("{a} {} {b}", binary.symbol()),
            (Func::Cast(dtype), [x]) => format!("{dtype}({x})"),
            (Func::MaskTest { mask, value }, [x]) => format!("{x} & {mask:#x} == {value:#x}"),
            (func, operands) => format!("{func}({})", operands.join(", ")),
        }
    }
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Func::Unary(unary) => f.write_str(unary.symbol()),
            Func::Binary(binary) => f.write_str(binary.symbol()),
            Func::Cast(dtype) => write!(f, "cast to {dtype}"),
            Func::Where => f.write_str("where"),
            Func::MaskTest { mask, value } => write!(f, "& {mask:#x} == {value:#x}"),
        }
    }
}

/// An operand of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arg {
    /// An input of the node, or an earlier value of the program, by number.
    Value(u32),
    /// The same for every pixel.
    Const(Const),
}
