//! Which states a reduction has, by what it is and what it takes.

use datacube_model::DType;

/// Runs code with the types of state and pixel that a reduction has.
macro_rules! with_state {
    ($reduce:expr, $dtype:expr, $s:ident, $w:ident => $code:expr) => {{
        use $crate::reduce::ReduceOp;
        use $crate::reduce::kind::{Kind, kind};
        use $crate::reduce::place::{Extreme, FIRST, LARGEST, LAST, Place, SMALLEST};
        use $crate::reduce::state::{
            FloatProduct, FloatSum, IntProduct, IntSum, Number, Spread, Truths,
        };
        macro_rules! run {
            ($state:ty, $wide:ty) => {{
                type $s = $state;
                #[allow(dead_code, reason = "not every use names the type")]
                type $w = $wide;
                $code
            }};
        }
        macro_rules! kinds {
                                ($wide:ty, $sum:ty, $product:ty) => {
                                    match $reduce.op {
                                        ReduceOp::Sum => run!($sum, $wide),
                                        ReduceOp::Prod => run!($product, $wide),
                                        ReduceOp::Mean => run!(FloatSum, $wide),
                                        ReduceOp::Var | ReduceOp::Std => run!(Spread, $wide),
                                        ReduceOp::Min => run!(Extreme<$wide, false>, $wide),
                                        ReduceOp::Max => run!(Extreme<$wide, true>, $wide),
                                        ReduceOp::ArgMin => run!(Place<$wide, SMALLEST>, $wide),
                                        ReduceOp::ArgMax => run!(Place<$wide, LARGEST>, $wide),
                                        ReduceOp::First => run!(Place<$wide, FIRST>, $wide),
                                        ReduceOp::Last => run!(Place<$wide, LAST>, $wide),
                                        ReduceOp::Count => run!(Number, $wide),
                                        ReduceOp::Any | ReduceOp::All => run!(Truths, $wide),
                                        ReduceOp::Median | ReduceOp::Quantile | ReduceOp::Mode => {
                                            unreachable!("these take all pixels at a time")
                                        }
                                    }
                                };
                            }
        match kind($dtype) {
            Kind::Float => kinds!(f64, FloatSum, FloatProduct),
            Kind::Signed => kinds!(i64, IntSum, IntProduct),
            Kind::Unsigned => kinds!(u64, IntSum, IntProduct),
        }
    }};
}

pub(super) use with_state;

/// Kinds of pixels.
pub(super) enum Kind {
    Float,
    Signed,
    Unsigned,
}

pub(super) fn kind(dtype: DType) -> Kind {
    match dtype {
        dtype if dtype.is_float() => Kind::Float,
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Kind::Unsigned,
        _ => Kind::Signed,
    }
}
