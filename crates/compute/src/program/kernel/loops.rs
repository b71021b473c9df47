//! Loops over the pixels of a block, each compiled for what the machine can do.

use super::functions::{Add, Div, MaskWord, Pow, Sub, Word};
use super::{Call, Kernel, Simd};
use crate::program::element::{CastTo, Element, Truth};

/// Compiles a block function twice; the name gives back the one to use.
macro_rules! multiversion {
    ($name:ident[$baseline:ident, $avx2:ident]<$($g:ident),*> where ($($bounds:tt)*) |$call:ident| $body:block) => {
        #[inline(always)]
        unsafe fn $baseline<$($g),*>($call: &Call) -> bool where $($bounds)* $body

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        unsafe fn $avx2<$($g),*>($call: &Call) -> bool where $($bounds)* {
            // SAFETY: the caller keeps the contract of `Kernel`.
            unsafe { $baseline::<$($g),*>($call) }
        }

        pub(super) fn $name<$($g),*>(simd: Simd) -> Kernel where $($bounds)* {
            match simd {
                Simd::Baseline => $baseline::<$($g),*>,
                #[cfg(target_arch = "x86_64")]
                Simd::Avx2 => $avx2::<$($g),*>,
            }
        }
    };
}

/// A function of one pixel.
pub(super) trait Map1<A, R> {
    fn f(a: A) -> R;
}

/// A function of two pixels.
pub(super) trait Map2<A, B, R> {
    fn f(a: A, b: B) -> R;
}

// The loops take slices as parameters: that tells the compiler that they do
// not overlap.

#[inline(always)]
fn loop1<O: Map1<A, R>, A: Copy, R>(out: &mut [R], a: &[A]) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = O::f(a);
    }
}

#[inline(always)]
fn loop2<O: Map2<A, B, R>, A: Copy, B: Copy, R>(out: &mut [R], a: &[A], b: &[B]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = O::f(a, b);
    }
}

#[inline(always)]
fn loop_choose<T: Copy>(out: &mut [T], condition: &[Truth], a: &[T], b: &[T]) {
    for (((out, condition), &a), &b) in out.iter_mut().zip(condition).zip(a).zip(b) {
        *out = if condition.0 != 0 { a } else { b };
    }
}

#[inline(always)]
fn loop_choose_or<S: CastTo<D> + Copy, D: Copy>(
    out: &mut [D],
    condition: &[Truth],
    a: &[S],
    other: D,
) {
    for ((out, condition), &a) in out.iter_mut().zip(condition).zip(a) {
        let a = a.cast();
        *out = if condition.0 != 0 { a } else { other };
    }
}

#[inline(always)]
fn normalised_difference<T: Element>(a: T, b: T) -> T {
    Div::f(Sub::f(a, b), Add::f(a, b))
}

#[inline(always)]
fn loop_difference<S: CastTo<D> + Copy, D: Element>(out: &mut [D], a: &[S], b: &[S]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = normalised_difference(a.cast(), b.cast());
    }
}

#[inline(always)]
fn loop_masked_difference<S: CastTo<D> + Copy, D: Element>(
    out: &mut [D],
    condition: &[Truth],
    a: &[S],
    b: &[S],
    other: D,
) {
    let hidden = normalised_difference(other, other);
    for (((out, condition), &a), &b) in out.iter_mut().zip(condition).zip(a).zip(b) {
        let seen = normalised_difference(a.cast(), b.cast());
        *out = if condition.0 != 0 { seen } else { hidden };
    }
}

#[inline(always)]
fn loop_mask<T: MaskWord>(out: &mut [Truth], a: &[T], mask: T, value: T) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = a.test(mask, value);
    }
}

#[inline(always)]
fn loop_tree<L: Map2<T, T, T>, M: Map2<T, T, T>, R: Map2<T, T, T>, T: Copy>(
    out: &mut [T],
    (a, b): (&[T], &[T]),
    (c, d): (&[T], &[T]),
) {
    for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = M::f(L::f(a, b), R::f(c, d));
    }
}

#[inline(always)]
fn loop_left<L: Map2<T, T, T>, M: Map2<T, T, T>, T: Copy>(
    out: &mut [T],
    (a, b): (&[T], &[T]),
    c: &[T],
) {
    for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = M::f(L::f(a, b), c);
    }
}

#[inline(always)]
fn loop_right<M: Map2<T, T, T>, R: Map2<T, T, T>, T: Copy>(
    out: &mut [T],
    a: &[T],
    (b, c): (&[T], &[T]),
) {
    for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *out = M::f(a, R::f(b, c));
    }
}

multiversion!(map1[map1_baseline, map1_avx2]<O, A, R> where (O: Map1<A, R>, A: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop1::<O, A, R>(call.result(), call.arg(0)) };
    true
});

multiversion!(map2[map2_baseline, map2_avx2]<O, A, B, R> where (O: Map2<A, B, R>, A: Copy, B: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop2::<O, A, B, R>(call.result(), call.arg(0), call.arg(1)) };
    true
});

multiversion!(choose[choose_baseline, choose_avx2]<T> where (T: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_choose::<T>(call.result(), call.arg(0), call.arg(1), call.arg(2)) };
    true
});

multiversion!(choose_or[choose_or_baseline, choose_or_avx2]<S, D> where (S: CastTo<D> + Copy, D: Word) |call| {
    let other = D::of_bits(call.params[0]);
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_choose_or::<S, D>(call.result(), call.arg(0), call.arg(1), other) };
    true
});

multiversion!(difference[difference_baseline, difference_avx2]<S, D> where (S: CastTo<D> + Copy, D: Element) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_difference::<S, D>(call.result(), call.arg(0), call.arg(1)) };
    true
});

multiversion!(masked_difference[masked_difference_baseline, masked_difference_avx2]<S, D> where (S: CastTo<D> + Copy, D: Element + Word) |call| {
    let other = D::of_bits(call.params[0]);
    // SAFETY: the contract of `Kernel`.
    unsafe {
        loop_masked_difference::<S, D>(call.result(), call.arg(0), call.arg(1), call.arg(2), other);
    };
    true
});

multiversion!(mask_test[mask_test_baseline, mask_test_avx2]<T> where (T: MaskWord) |call| {
    let (mask, value) = (T::of_bits(call.params[0]), T::of_bits(call.params[1]));
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_mask::<T>(call.result(), call.arg(0), mask, value) };
    true
});

multiversion!(tree[tree_baseline, tree_avx2]<L, M, R, T> where (L: Map2<T, T, T>, M: Map2<T, T, T>, R: Map2<T, T, T>, T: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe {
        let (left, right) = ((call.arg(0), call.arg(1)), (call.arg(2), call.arg(3)));
        loop_tree::<L, M, R, T>(call.result(), left, right);
    }
    true
});

multiversion!(left[left_baseline, left_avx2]<L, M, T> where (L: Map2<T, T, T>, M: Map2<T, T, T>, T: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_left::<L, M, T>(call.result(), (call.arg(0), call.arg(1)), call.arg(2)) };
    true
});

multiversion!(right[right_baseline, right_avx2]<M, R, T> where (M: Map2<T, T, T>, R: Map2<T, T, T>, T: Copy) |call| {
    // SAFETY: the contract of `Kernel`.
    unsafe { loop_right::<M, R, T>(call.result(), call.arg(0), (call.arg(1), call.arg(2))) };
    true
});

/// Powers: slow in any case, and the only function without a result for some
/// values.
pub(super) unsafe fn power<T: Element>(call: &Call) -> bool {
    // SAFETY: the contract of `Kernel`.
    let (out, a, b) = unsafe { (call.result::<T>(), call.arg::<T>(0), call.arg::<T>(1)) };
    loop2::<Pow, T, T, T>(out, a, b);
    !b.iter().any(|exponent| exponent.fails_as_exponent())
}
