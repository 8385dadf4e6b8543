//! The interface of the kernels, implemented for each element type.

use super::elementwise::{self, simd};
use super::packs::Packable;
use super::{activation, product, sum_of_products};
use crate::matrix::{AsMatrix, Matrix, Operand};
use crate::scalar::Kernels;

macro_rules! products {
    () => {
        fn product(
            a: Operand<'_, Self>,
            b: Operand<'_, Self>,
            beta: Self,
            bias: Option<Operand<'_, Self>>,
            to: &mut [Self],
        ) {
            product::product(a, b, beta, bias, to);
        }
        fn single_product(a: Matrix<'_, Self>, b: Matrix<'_, Self>, to: &mut [Self]) {
            product::in_depth(a, Packable::once(b), 0.0, None, to, product::multiply);
        }
        fn sum_of_products<M: AsMatrix<Self>>(pairs: &[(M, M)], beta: Self, to: &mut [Self]) {
            sum_of_products::sum_of_products(pairs, beta, to);
        }
    };
}

impl Kernels for f32 {
    products!();
    fn exp_slice(from: &[f32], to: &mut [f32]) {
        simd(rten_vecmath::Exp {}, from, to);
    }
    fn tanh_slice(from: &[f32], to: &mut [f32]) {
        simd(activation::Tanh, from, to);
    }
    fn sigmoid_slice(from: &[f32], to: &mut [f32]) {
        simd(activation::Sigmoid, from, to);
    }
    fn softplus_slice(from: &[f32], to: &mut [f32]) {
        simd(activation::Softplus, from, to);
    }
}

impl Kernels for f64 {
    products!();
    fn exp_slice(from: &[f64], to: &mut [f64]) {
        elementwise::each(from, to, f64::exp);
    }
    fn tanh_slice(from: &[f64], to: &mut [f64]) {
        elementwise::each(from, to, f64::tanh);
    }
    fn sigmoid_slice(from: &[f64], to: &mut [f64]) {
        // exp of a negative number only: no overflow on either side.
        elementwise::each(from, to, |x| if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) });
    }
    fn softplus_slice(from: &[f64], to: &mut [f64]) {
        elementwise::each(from, to, |x| (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p());
    }
}
