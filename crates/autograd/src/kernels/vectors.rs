//! Vectors of numbers as the tile of a product uses them: those of `rten-simd` in `f32`, and vectors as wide in `f64`, which it does
//! not have.

use rten_simd::Isa;
use rten_simd::ops::{BitOps, NumOps};

use crate::Scalar;

/// The vectors of an instruction set. A value shows that the processor has it.
pub(super) trait Vectors: Copy {
    type Number: Scalar;
    type Vector: Copy;

    /// Numbers in a vector.
    fn len(self) -> usize;
    fn splat(self, x: Self::Number) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a·b + c, rounded once if the processor can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Fetches what lies there into the cache; nothing is read.
    fn prefetch(self, at: *const Self::Number);
    /// # Safety
    /// A vector of numbers can be read.
    unsafe fn load(self, at: *const Self::Number) -> Self::Vector;
    /// Zeros from number `count` on.
    ///
    /// # Safety
    /// The first `count` numbers can be read.
    unsafe fn load_first(self, count: usize, at: *const Self::Number) -> Self::Vector;
    /// # Safety
    /// A vector of numbers can be written.
    unsafe fn store(self, x: Self::Vector, at: *mut Self::Number);
    /// # Safety
    /// The first `count` numbers can be written.
    unsafe fn store_first(self, count: usize, x: Self::Vector, at: *mut Self::Number);
}

/// Vectors of `f32`.
#[derive(Clone, Copy)]
pub(super) struct Single<I>(pub(super) I);

impl<I: Isa> Vectors for Single<I> {
    type Number = f32;
    type Vector = I::F32;

    #[inline(always)]
    fn len(self) -> usize {
        self.0.f32().len()
    }
    #[inline(always)]
    fn splat(self, x: f32) -> I::F32 {
        self.0.f32().splat(x)
    }
    #[inline(always)]
    fn add(self, a: I::F32, b: I::F32) -> I::F32 {
        self.0.f32().add(a, b)
    }
    #[inline(always)]
    fn mul(self, a: I::F32, b: I::F32) -> I::F32 {
        self.0.f32().mul(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: I::F32, b: I::F32, c: I::F32) -> I::F32 {
        self.0.f32().mul_add(a, b, c)
    }
    #[inline(always)]
    fn prefetch(self, at: *const f32) {
        self.0.f32().prefetch(at);
    }
    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> I::F32 {
        // SAFETY: the caller promises that it can be read.
        unsafe { self.0.f32().load_ptr(at) }
    }
    #[inline(always)]
    unsafe fn load_first(self, count: usize, at: *const f32) -> I::F32 {
        let ops = self.0.f32();
        // SAFETY: as above, of the numbers in the mask.
        unsafe { ops.load_ptr_mask(at, ops.first_n_mask(count)) }
    }
    #[inline(always)]
    unsafe fn store(self, x: I::F32, at: *mut f32) {
        // SAFETY: the caller promises that it can be written.
        unsafe { self.0.f32().store_ptr(x, at) }
    }
    #[inline(always)]
    unsafe fn store_first(self, count: usize, x: I::F32, at: *mut f32) {
        let ops = self.0.f32();
        // SAFETY: as above, of the numbers in the mask.
        unsafe { ops.store_ptr_mask(x, at, ops.first_n_mask(count)) }
    }
}

/// Pairs of `f64`, on every processor.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

impl Vectors for Pairs {
    type Number = f64;
    type Vector = [f64; 2];

    #[inline(always)]
    fn len(self) -> usize {
        2
    }
    #[inline(always)]
    fn splat(self, x: f64) -> [f64; 2] {
        [x; 2]
    }
    #[inline(always)]
    fn add(self, [a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
        [a + c, b + d]
    }
    #[inline(always)]
    fn mul(self, [a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
        [a * c, b * d]
    }
    #[inline(always)]
    fn mul_add(self, a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> [f64; 2] {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn prefetch(self, _: *const f64) {}
    #[inline(always)]
    unsafe fn load(self, at: *const f64) -> [f64; 2] {
        // SAFETY: the caller promises that it can be read.
        unsafe { at.cast::<[f64; 2]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(self, count: usize, at: *const f64) -> [f64; 2] {
        // SAFETY: the caller promises that the first `count` can be read.
        [0, 1].map(|i| if i < count { unsafe { *at.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, x: [f64; 2], at: *mut f64) {
        // SAFETY: the caller promises that it can be written.
        unsafe { at.cast::<[f64; 2]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_first(self, count: usize, x: [f64; 2], at: *mut f64) {
        for (i, x) in x.into_iter().enumerate().take(count) {
            // SAFETY: the caller promises that the first `count` can be written.
            unsafe { *at.add(i) = x }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use super::Vectors;

    /// Vectors of `f64` by the intrinsics of an instruction set.
    macro_rules! double {
        ($(#[$doc:meta])* $name:ident: $len:literal of $vector:ident, $splat:ident, $add:ident, $mul:ident, $mul_add:ident,
            $load:ident, $store:ident, |$count:ident, $from:ident| $load_first:expr,
            |$number:ident, $x:ident, $to:ident| $store_first:expr) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name(());

            impl $name {
                /// # Safety
                /// The processor has these instructions.
                #[inline(always)]
                pub(in super::super) unsafe fn new() -> Self {
                    $name(())
                }
            }

            impl Vectors for $name {
                type Number = f64;
                type Vector = $vector;

                #[inline(always)]
                fn len(self) -> usize {
                    $len
                }
                #[inline(always)]
                fn splat(self, x: f64) -> $vector {
                    // SAFETY: a value of this type shows that the processor has the instruction.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                fn add(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe { $mul_add(a, b, c) }
                }
                #[inline(always)]
                fn prefetch(self, at: *const f64) {
                    // SAFETY: fetching ahead reads nothing, wherever it points.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
                }
                #[inline(always)]
                unsafe fn load(self, at: *const f64) -> $vector {
                    // SAFETY: as above; the caller promises that it can be read.
                    unsafe { $load(at) }
                }
                #[inline(always)]
                unsafe fn load_first(self, $count: usize, $from: *const f64) -> $vector {
                    // SAFETY: as above, of the numbers in the mask.
                    unsafe { $load_first }
                }
                #[inline(always)]
                unsafe fn store(self, x: $vector, at: *mut f64) {
                    // SAFETY: as above; the caller promises that it can be written.
                    unsafe { $store(at, x) }
                }
                #[inline(always)]
                unsafe fn store_first(self, $number: usize, $x: $vector, $to: *mut f64) {
                    // SAFETY: as above, of the numbers in the mask.
                    unsafe { $store_first }
                }
            }
        };
    }

    double! {
        /// AVX-512 F.
        Avx512: 8 of __m512d, _mm512_set1_pd, _mm512_add_pd, _mm512_mul_pd, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_storeu_pd,
        |count, from| _mm512_maskz_loadu_pd(first_of_8(count), from),
        |count, x, to| _mm512_mask_storeu_pd(to, first_of_8(count), x)
    }

    double! {
        /// AVX2 and FMA.
        Avx2: 4 of __m256d, _mm256_set1_pd, _mm256_add_pd, _mm256_mul_pd, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_storeu_pd,
        |count, from| _mm256_maskload_pd(from, first_of_4(count)),
        |count, x, to| _mm256_maskstore_pd(to, first_of_4(count), x)
    }

    /// The mask of the first `count` of eight numbers.
    #[inline(always)]
    fn first_of_8(count: usize) -> __mmask8 {
        if count < 8 { (1 << count) - 1 } else { !0 }
    }

    /// The mask of the first `count` of four numbers.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn first_of_4(count: usize) -> __m256i {
        let count = if count < 4 { count as i64 } else { 4 };
        // SAFETY: the caller promises it.
        unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3)) }
    }
}
