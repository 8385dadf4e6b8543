//! Ops that pick positions of an axis by index, and their transpose: embeddings, reorderings of a batch.

use crate::kernels::reduce::BLOCK;
use crate::shape::{Shape, check_axis, count_or_panic};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = the positions `indices` of an axis of x, in that order, repeats allowed; x̄ = ȳ added at those positions.
#[derive(Clone, Debug)]
pub struct IndexSelect {
    axis: usize,
    indices: Vec<usize>,
}

impl<T: Scalar> Op<T> for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].gather(self.axis, &self.indices)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let length = at.input(0).shape()[self.axis];
        let scatter = IndexAdd { axis: self.axis, indices: self.indices.clone(), length };
        Term::dense(at.tape().apply(scatter, &[at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = 0 with x added at the positions `indices` of an axis; x̄ = ȳ at those positions. The transpose of
/// [`IndexSelect`].
#[derive(Clone, Debug)]
pub struct IndexAdd {
    axis: usize,
    indices: Vec<usize>,
    length: usize,
}

impl<T: Scalar> Op<T> for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let x = inputs[0];
        let mut shape = Shape::from_slice(x.shape());
        shape[self.axis] = self.length;
        let mut y = Tensor::zeros(&shape);
        if self.indices.len() <= BLOCK {
            for (from, &to) in self.indices.iter().enumerate() {
                y.add_region(self.axis, to, &x.part(self.axis, from..from + 1));
            }
            return y;
        }
        // A position may come very often: what is added there is gathered first, and then summed as any axis is.
        let mut order: Vec<usize> = (0..self.indices.len()).collect();
        order.sort_by_key(|&from| self.indices[from]);
        for same in order.chunk_by(|&a, &b| self.indices[a] == self.indices[b]) {
            let piece = match same {
                &[from] => x.part(self.axis, from..from + 1),
                _ => x.gather(self.axis, same).sum_axis(self.axis).unsqueeze(self.axis),
            };
            y.add_region(self.axis, self.indices[same[0]], &piece);
        }
        y
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent().index_select(self.axis, &self.indices))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The positions `indices` of `axis`, in that order; a position may come more than once.
    ///
    /// # Panics
    /// If there is no such axis, or an index lies outside.
    #[track_caller]
    pub fn index_select(self, axis: usize, indices: &[usize]) -> Self {
        let mut shape = self.shape();
        check_axis("index_select", &shape, axis);
        if let Some(outside) = indices.iter().find(|&&i| i >= shape[axis]) {
            panic!("index_select: index {outside} does not lie in axis {axis} of shape {:?}", shape.as_slice());
        }
        shape[axis] = indices.len();
        count_or_panic("index_select", &shape);
        self.tape().apply(IndexSelect { axis, indices: indices.to_vec() }, &[self])
    }
}
