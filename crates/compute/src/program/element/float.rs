//! Floats; half precision goes by way of single precision.

use half::f16;

use super::{Element, undefined};

macro_rules! float {
    ($($t:ty),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self / other
            }
            /// # Source
            /// numpy, `npy_floor_divide` and `npy_divmod` in `npy_math_internal.h.src`.
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0.0 {
                    return self / other;
                }
                let rest = self % other;
                let mut quotient = (self - rest) / other;
                if rest != 0.0 && (other < 0.0) != (rest < 0.0) {
                    quotient -= 1.0;
                }
                if quotient == 0.0 {
                    return (0.0 as $t).copysign(self / other);
                }
                let floor = quotient.floor();
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
            /// # Source
            /// numpy, `npy_remainder`, as above.
            #[inline(always)]
            fn modulo(self, other: Self) -> Self {
                let rest = self % other;
                if other == 0.0 || rest.is_nan() {
                    return rest;
                }
                if rest == 0.0 {
                    return (0.0 as $t).copysign(other);
                }
                if (other < 0.0) != (rest < 0.0) { rest + other } else { rest }
            }
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline(always)]
            fn fails_as_exponent(self) -> bool {
                false
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if self < other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                if self > other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn neg(self) -> Self {
                -self
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn log(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
            #[inline(always)]
            fn is_inf(self) -> bool {
                self.is_infinite()
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else if self == 0.0 {
                    0.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn degrees(self) -> Self {
                self * (180.0 / (std::f64::consts::PI as $t))
            }
            #[inline(always)]
            fn radians(self) -> Self {
                self * ((std::f64::consts::PI as $t) / 180.0)
            }
            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                self % other
            }
            #[inline(always)]
            fn arctan2(self, other: Self) -> Self {
                self.atan2(other)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                self.hypot(other)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                self.floor()
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                self.ceil()
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                self.trunc()
            }
            #[inline(always)]
            fn rint(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn cbrt(self) -> Self {
                self.cbrt()
            }
            #[inline(always)]
            fn exp2(self) -> Self {
                self.exp2()
            }
            #[inline(always)]
            fn expm1(self) -> Self {
                self.exp_m1()
            }
            #[inline(always)]
            fn log2(self) -> Self {
                self.log2()
            }
            #[inline(always)]
            fn log10(self) -> Self {
                self.log10()
            }
            #[inline(always)]
            fn log1p(self) -> Self {
                self.ln_1p()
            }
            #[inline(always)]
            fn sin(self) -> Self {
                self.sin()
            }
            #[inline(always)]
            fn cos(self) -> Self {
                self.cos()
            }
            #[inline(always)]
            fn tan(self) -> Self {
                self.tan()
            }
            #[inline(always)]
            fn arcsin(self) -> Self {
                self.asin()
            }
            #[inline(always)]
            fn arccos(self) -> Self {
                self.acos()
            }
            #[inline(always)]
            fn arctan(self) -> Self {
                self.atan()
            }
            #[inline(always)]
            fn sinh(self) -> Self {
                self.sinh()
            }
            #[inline(always)]
            fn cosh(self) -> Self {
                self.cosh()
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                self.tanh()
            }
            undefined! { and(other); or(other); xor(other); shift_left(other); shift_right(other); not() }
        }
    )*};
}

float!(f32, f64);

/// Functions of half precision by way of single precision.
macro_rules! half {
    ($($name:ident($($arg:ident),*));* $(;)?) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            f16::from_f32(Element::$name(self.to_f32() $(, $arg.to_f32())*))
        }
    )*};
}

/// Half precision: each function in single precision, and rounded.
impl Element for f16 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() + other.to_f32())
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() - other.to_f32())
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() * other.to_f32())
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() / other.to_f32())
    }
    #[inline(always)]
    fn floor_div(self, other: Self) -> Self {
        f16::from_f32(Element::floor_div(self.to_f32(), other.to_f32()))
    }
    #[inline(always)]
    fn modulo(self, other: Self) -> Self {
        f16::from_f32(Element::modulo(self.to_f32(), other.to_f32()))
    }
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        f16::from_f32(self.to_f32().powf(exponent.to_f32()))
    }
    #[inline(always)]
    fn fails_as_exponent(self) -> bool {
        false
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        if self < other || f16::is_nan(self) {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if self > other || f16::is_nan(self) {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    fn neg(self) -> Self {
        -self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f16::from_bits(self.to_bits() & 0x7fff)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f16::from_f32(self.to_f32().sqrt())
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f16::from_f32(self.to_f32().exp())
    }
    #[inline(always)]
    fn log(self) -> Self {
        f16::from_f32(self.to_f32().ln())
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.to_bits().into()
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        f16::is_infinite(self)
    }
    half! { sign(); fmod(other); arctan2(other); hypot(other); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians() }
    undefined! { and(other); or(other); xor(other); shift_left(other); shift_right(other); not() }
}
