//! Loops over slices. The only home of SIMD and of `unsafe`; nothing here knows what a gradient is.

#![allow(unsafe_code)]

mod activation;
pub(crate) mod elementwise;
pub(crate) mod matmul;
pub(crate) mod packs;
pub(crate) mod reduce;
mod row;
pub(crate) mod runs;
pub(crate) mod transpose;
