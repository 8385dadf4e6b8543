//! Loops over slices. The only home of SIMD and of `unsafe`; nothing here knows what a gradient is.
//!
//! What is written by hand for each number type is called through [`Kernels`](crate::scalar::Kernels), a trait that every
//! [`Scalar`](crate::Scalar) has; the other loops are generic functions.

#![allow(unsafe_code)]

mod activation;
mod cache;
pub(crate) mod elementwise;
mod entry;
mod gemm;
mod matmul;
mod packs;
mod prefetch;
mod product;
pub(crate) mod reduce;
mod row;
pub(crate) mod runs;
mod sum_of_products;
mod transpose;

pub(crate) use sum_of_products::ROWS_AT_ONCE;
