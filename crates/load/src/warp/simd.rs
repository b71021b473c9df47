//! Loops compiled twice: for every machine, and for those with AVX2.
//!
//! The choice is made when a row is computed. Both versions do the same
//! operations in the same order on each element (Rust never fuses a multiply
//! and an add by itself), so they give the same bits.

/// Declares a function that runs its body in the widest version that the
/// machine has.
macro_rules! widest {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$($generic:ident : $bound:path),*>(
            $($arg:ident : $type:ty),* $(,)?
        ) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "as many as the function that is compiled twice")]
        $vis fn $name<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? {
            #[allow(clippy::too_many_arguments, reason = "as many as the function that is compiled twice")]
            #[inline(always)]
            fn body<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments, reason = "as many as the function that is compiled twice")]
                #[target_feature(enable = "avx2")]
                fn avx2<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the machine has what the function is compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use widest;
