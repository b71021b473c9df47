//! Integers, which wrap as numpy's do, and bools.

use super::{Element, Truth, undefined};

macro_rules! integer {
    ($($t:ty: $signed:literal),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(other);
                // Truncated; one less where the signs differ and something is left.
                let inexact = quotient.wrapping_mul(other) != self;
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let differ = $signed && ((self < 0) != (other < 0));
                if inexact && differ { quotient.wrapping_sub(1) } else { quotient }
            }
            #[inline(always)]
            fn modulo(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(other);
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let differ = $signed && rest != 0 && ((rest < 0) != (other < 0));
                if differ { rest.wrapping_add(other) } else { rest }
            }
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                let (mut base, mut left, mut power) = (self, exponent as u64, 1 as Self);
                if exponent.fails_as_exponent() {
                    return 0;
                }
                while left > 0 {
                    if left & 1 == 1 {
                        power = power.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                power
            }
            #[inline(always)]
            fn fails_as_exponent(self) -> bool {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let negative = self < 0;
                negative
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                Ord::min(self, other)
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                Ord::max(self, other)
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn neg(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn abs(self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                if $signed && self < 0 { self.wrapping_neg() } else { self }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                self as i64 as u64
            }
            #[inline(always)]
            fn is_inf(self) -> bool {
                false
            }
            #[inline(always)]
            fn sign(self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let negative = self < 0;
                if negative { (0 as $t).wrapping_sub(1) } else { Self::from(self > 0) }
            }
            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }
            #[inline(always)]
            fn shift_left(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|by| self.checked_shl(by)).unwrap_or(0)
            }
            #[inline(always)]
            fn shift_right(self, by: Self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let all_gone = if self < 0 { (0 as $t).wrapping_sub(1) } else { 0 };
                u32::try_from(by).ok().and_then(|by| self.checked_shr(by)).unwrap_or(all_gone)
            }
            undefined! { div(other); arctan2(other); hypot(other); sqrt(); exp(); log(); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians() }
        }
    )*};
}

integer!(i8: true, i16: true, i32: true, i64: true, u8: false, u16: false, u32: false, u64: false);

impl Element for Truth {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.or(other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn fails_as_exponent(self) -> bool {
        false
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.or(other)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Truth(self.0 & other.0)
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Truth(self.0 | other.0)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Truth(self.0 ^ other.0)
    }
    #[inline(always)]
    fn not(self) -> Self {
        Truth(self.0 ^ 1)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.0.into()
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        false
    }
    undefined! {
        sub(other); div(other); floor_div(other); modulo(other); pow(other); fmod(other); arctan2(other);
        hypot(other); shift_left(other); shift_right(other); neg(); sqrt(); exp(); log(); sign(); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians()
    }
}
