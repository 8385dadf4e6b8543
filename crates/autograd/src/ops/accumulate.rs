//! The op by which a recorded sweep sums the terms of a cotangent: one node, however many time steps it sums over.

use smallvec::SmallVec;

use super::table::by_hand;
use crate::shape::Shape;
use crate::sums::Sum;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// What an input of [`SumOfTerms`] is in its term.
#[derive(Clone, Copy, Debug)]
enum Part {
    Dense,
    Summed,
    /// Axis and start of a slice.
    Slice(usize, usize),
    /// x of a product xᵀ·g; the next input is g.
    Left,
    /// g of a product; the input before is x.
    Right,
}

by_hand! {
    SUM_OF_TERMS = "sum_of_terms";

    /// y = the sum of terms, in the order and with the rounding of a first-order sweep. The cotangent of a dense term is ȳ, of a
    /// summed one ȳ broadcast, of a slice its slice of ȳ; those of a product xᵀ·g are x̄ = g·ȳᵀ, ḡ = x·ȳ.
    #[derive(Clone, Debug)]
    struct SumOfTerms {
        shape: Shape,
        /// What each input is.
        parts: SmallVec<[Part; 2]>,
    }
}

/// The sum of `terms` of the cotangent of `input`: one node at most.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, Term, ops::accumulate::sum_of_terms};
/// let tape = Tape::new();
/// let (a, b) = (tape.leaf(Tensor::full(&[1, 2], 3.0)), tape.leaf(Tensor::full(&[1, 2], 10.0)));
/// let input = tape.zeros(&[2, 2]);
/// let sum = sum_of_terms(input, &[Term::Product(a, b), Term::Slice { part: a, axis: 0, start: 1 }]);
/// assert_eq!(sum.value().to_vec(), [30.0, 30.0, 33.0, 33.0]);
/// ```
///
/// # Panics
/// If a term does not [fit](Term::fits), or the variables live on different tapes.
#[track_caller]
pub fn sum_of_terms<'t, T: Scalar>(input: Var<'t, T>, terms: &[Term<'t, T>]) -> Var<'t, T> {
    if let Some(term) = terms.iter().find(|term| !term.fits(input)) {
        panic!("sum_of_terms: {term:?} does not fit an input of shape {:?}", input.shape());
    }
    let mut sum = SumOfTerms { shape: input.shape(), parts: SmallVec::new() };
    let mut inputs: SmallVec<[Var<'t, T>; 8]> = SmallVec::new();
    let mut push = |part, v| {
        sum.parts.push(part);
        inputs.push(v);
    };
    for &term in terms {
        match term {
            Term::Zero => {}
            Term::Dense(g) => push(Part::Dense, g),
            Term::Summed(g) => push(Part::Summed, g),
            Term::Slice { part, axis, start } => push(Part::Slice(axis, start), part),
            Term::Product(x, g) => {
                push(Part::Left, x);
                push(Part::Right, g);
            }
        }
    }
    match (&sum.parts[..], &inputs[..]) {
        ([], _) => input.tape().zeros(&sum.shape),
        ([Part::Dense], [g]) => *g,
        ([Part::Summed], [g]) => g.sum_to(&sum.shape),
        ([Part::Dense, Part::Dense], [f, g]) => *f + *g,
        (_, inputs) => input.tape().apply(sum, inputs),
    }
}

impl<T: Scalar> Op<T> for SumOfTerms {
    fn name(&self) -> &'static str {
        "sum_of_terms"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (mut sum, shape) = (Sum::default(), &self.shape);
        for (k, (&input, part)) in inputs.iter().zip(&self.parts).enumerate() {
            match *part {
                Part::Dense => sum.add_dense(input.clone()),
                Part::Summed => sum.add_summed(input, shape),
                Part::Slice(axis, start) => sum.add_slice(input, (axis, start), shape),
                Part::Left => sum.add_product(input.clone(), inputs[k + 1].clone()),
                Part::Right => {}
            }
        }
        sum.finish().unwrap_or_else(|| Tensor::zeros(shape))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (x, c) = (at.input(input), at.cotangent());
        // A vector is one row.
        let rows = |v: Var<'t, T>| if v.rank() == 1 { v.unsqueeze(0) } else { v };
        Term::Dense(match self.parts[input] {
            Part::Dense => c,
            Part::Summed => c.broadcast_to(&x.shape()),
            Part::Slice(axis, start) => c.slice(axis, start..start + x.shape()[axis]),
            Part::Left => rows(at.input(input + 1)).matmul_transposed(c).reshape(&x.shape()),
            Part::Right => rows(at.input(input - 1)).matmul(c).reshape(&x.shape()),
        })
    }
    fn reads(&self) -> Reads {
        if self.parts.iter().any(|part| matches!(part, Part::Left)) { Reads::INPUTS } else { Reads::NOTHING }
    }
}
