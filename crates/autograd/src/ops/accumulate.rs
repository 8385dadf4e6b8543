//! The ops by which a recorded sweep sums terms: deferred products, and slices. Each is one node, however many time
//! steps it sums over.

use smallvec::SmallVec;

use crate::kernels::reduce::BLOCK;
use crate::shape::{Shape, element_count};
use crate::tensor::sum_of_products;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = Σ_k x_kᵀ·g_k. Inputs x_1, g_1, x_2, g_2, …, `[…, m]` and `[…, n]`; y `[m, n]`.
/// x̄_k = g_k·ȳᵀ, ḡ_k = x_k·ȳ.
#[derive(Clone, Copy, Debug)]
pub struct SumOfProducts;

impl<T: Scalar> Op<T> for SumOfProducts {
    fn name(&self) -> &'static str {
        "sum_of_products"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let rows = |x: &Tensor<T>| x.clone().into_rows();
        let pairs: Vec<_> = inputs.chunks_exact(2).map(|pair| (rows(pair[0]), rows(pair[1]))).collect();
        let (x, g) = &pairs[0];
        Tensor::build(&[x.shape()[1], g.shape()[1]], |to| sum_of_products(&pairs, T::ZERO, to))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        // A vector is one row.
        let rows = |v: Var<'t, T>| if v.rank() == 1 { v.unsqueeze(0) } else { v };
        let c = at.cotangent();
        let term = match input % 2 {
            0 => rows(at.input(input + 1)).matmul_transposed(c),
            _ => rows(at.input(input - 1)).matmul(c),
        };
        Term::dense(term.reshape(&at.input(input).shape()))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = 0 with every input added at its slice; each cotangent is its slice of ȳ.
#[derive(Clone, Debug)]
pub struct SumOfSlices {
    shape: Shape,
    /// Axis and start of every input's slice.
    places: SmallVec<[(usize, usize); 1]>,
}

impl SumOfSlices {
    pub(crate) fn new(shape: Shape) -> Self {
        SumOfSlices { shape, places: SmallVec::new() }
    }

    pub(crate) fn push(&mut self, axis: usize, start: usize) {
        self.places.push((axis, start));
    }

    /// Pieces that could cover every element many times are summed in halves, so that the error grows with the
    /// logarithm of their number.
    fn sum<T: Scalar>(&self, pieces: &[&Tensor<T>], places: &[(usize, usize)]) -> Tensor<T> {
        let (added, len) = (pieces.iter().map(|piece| piece.len()).sum::<usize>(), element_count(&self.shape));
        if pieces.len() > BLOCK && added / BLOCK > len {
            let half = pieces.len() / 2;
            let mut first = self.sum(&pieces[..half], &places[..half]);
            first.add_assign(&self.sum(&pieces[half..], &places[half..]));
            return first;
        }
        let mut y = Tensor::zeros(&self.shape);
        for (piece, &(axis, start)) in pieces.iter().zip(places) {
            y.add_slice(axis, start, piece);
        }
        y
    }
}

impl<T: Scalar> Op<T> for SumOfSlices {
    fn name(&self) -> &'static str {
        "sum_of_slices"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.sum(inputs, &self.places)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (axis, start) = self.places[input];
        let length = at.input(input).shape()[axis];
        Term::dense(at.cotangent().slice(axis, start..start + length))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}
