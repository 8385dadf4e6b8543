//! Data cached with the buffer of a right-hand matrix: packed forms of it, and prefetched products with it.

use super::gemm::Gemm;
use super::packs::PackCache;
use super::prefetch::Prefetched;
use crate::storage::{Derived, pooled};

/// Packed forms and prefetched products of the matrices in one buffer.
pub struct MatrixCache<T: Gemm> {
    pub(crate) packs: PackCache<T>,
    pub(crate) prefetched: Prefetched<T>,
}

impl<T: Gemm> Default for MatrixCache<T> {
    fn default() -> Self {
        MatrixCache { packs: PackCache::default(), prefetched: Prefetched::default() }
    }
}

impl<T: Gemm> Derived for MatrixCache<T> {
    #[cold]
    fn retire(&mut self) {
        self.packs.retire();
        self.prefetched.clear();
    }

    #[cold]
    fn clear(&mut self) {
        self.packs.clear();
        self.prefetched.clear();
    }
}

pooled!(f32, MatrixCache<f32>);
pooled!(f64, MatrixCache<f64>);
