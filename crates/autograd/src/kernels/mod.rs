//! Loops over slices. SIMD and `unsafe` occur here only; nothing here knows what a gradient is.
//!
//! Loops written by hand for each element type are called through [`Kernels`](crate::scalar::Kernels), a trait that
//! every [`Scalar`](crate::Scalar) implements; the others are generic functions.

#![allow(unsafe_code)]

mod activation;
mod cache;
pub(crate) mod elementwise;
mod entry;
mod gemm;
mod matmul;
mod packs;
mod panels;
mod prefetch;
mod product;
pub(crate) mod recurrence;
pub(crate) mod reduce;
pub(crate) mod runs;
mod sum_of_products;
mod tile;
mod transpose;
mod vectors;

pub(crate) use sum_of_products::rows_at_once;
