//! Ops that pick positions of an axis by index, and their transpose: embeddings, reorderings of a batch.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let embedding = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2])); // two tokens
//! let sequence = embedding.index_select(0, &[1, 0, 1]);
//! assert_eq!(sequence.value().to_vec(), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
//! assert_eq!(sequence.sum().backward().get(embedding).to_vec(), [1.0, 1.0, 2.0, 2.0]);
//! ```

use crate::kernels::reduce::BLOCK;
use crate::shape::{Shape, check_indices, count_or_panic};
use crate::{Scalar, Tensor, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = the positions `indices` of an axis of x, in that order, repeats allowed; x̄ = ȳ added at those positions.
    pub op index_select = IndexSelect(x; axis: usize; &indices: Vec<usize>) {
        value: x.gather(axis, indices),
        x: |g, x: shape| g.tape().apply(IndexAdd { axis, length: x[axis], indices: indices.clone() }, &[g]),
    }

    /// y = 0 with x added at the positions `indices` of an axis of `length`; x̄ = ȳ at those positions. The transpose of
    /// [`IndexSelect`].
    pub op index_add = IndexAdd(x; axis: usize, length: usize; &indices: Vec<usize>) {
        value: index_add(x, axis, length, indices),
        x: |g| g.index_select(axis, indices),
    }
}

fn index_add<T: Scalar>(x: &Tensor<T>, axis: usize, length: usize, indices: &[usize]) -> Tensor<T> {
    let mut shape = Shape::from_slice(x.shape());
    shape[axis] = length;
    let mut y = Tensor::zeros(&shape);
    if indices.len() <= BLOCK {
        for (from, &to) in indices.iter().enumerate() {
            y.add_slice(axis, to, &x.part(axis, from..from + 1));
        }
        return y;
    }
    // A position may occur very often: the terms for it are gathered first, and then summed like any axis.
    let mut order: Vec<usize> = (0..indices.len()).collect();
    order.sort_by_key(|&from| indices[from]);
    for same in order.chunk_by(|&a, &b| indices[a] == indices[b]) {
        let piece = match same {
            &[from] => x.part(axis, from..from + 1),
            _ => x.gather(axis, same).sum_axis(axis).unsqueeze(axis),
        };
        y.add_slice(axis, indices[same[0]], &piece);
    }
    y
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The positions `indices` of `axis`, in that order; positions may repeat.
    ///
    /// # Panics
    /// If there is no such axis, or an index is out of range.
    #[track_caller]
    pub fn index_select(self, axis: usize, indices: &[usize]) -> Self {
        let mut shape = self.shape();
        check_indices("index_select", &shape, axis, indices);
        shape[axis] = indices.len();
        count_or_panic("index_select", &shape);
        self.tape().apply(IndexSelect { axis, indices: indices.to_vec() }, &[self])
    }
}
