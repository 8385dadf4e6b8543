//! The cotangents of a sweep: sums to which terms are added.
//!
//! A value that is used many times gets a term for each use. Sums work on tensors; nothing here knows the tape.

use crate::kernels::reduce::BLOCK;
use crate::tensor::{ROWS_AT_ONCE, sum_of_products};
use crate::{Scalar, Tensor};

/// Work that a sum defers. Boxed, since few sums need it.
#[derive(Default)]
struct Deferred<T: Scalar> {
    /// Products to be multiplied at once, and the total of their rows.
    pairs: Vec<(Tensor<T>, Tensor<T>)>,
    rows: usize,
    /// Sums of completed blocks of terms, each of at least twice as many as the next.
    blocks: Vec<Tensor<T>>,
    /// How many blocks these are the sums of.
    completed: usize,
}

impl<T: Scalar> Deferred<T> {
    /// Adds a completed block; two sums of equally many blocks become one.
    fn put(&mut self, mut block: Tensor<T>) {
        for mut earlier in (0..self.completed.trailing_ones()).map_while(|_| self.blocks.pop()) {
            earlier.add_assign(&block);
            block = earlier;
        }
        self.blocks.push(block);
        self.completed += 1;
    }

    /// The sum of `last`, which may be [`vacant`](Tensor::vacant), and of all blocks, which are removed.
    fn total(&mut self, last: Tensor<T>) -> Tensor<T> {
        self.completed = 0;
        self.blocks.drain(..).rev().fold(last, |total, mut block| {
            if !total.is_released() {
                block.add_assign(&total);
            }
            block
        })
    }
}

/// The cotangent of one node in a first-order sweep, summed in place.
///
/// A variable may get a term from each of many time steps. Terms are summed in blocks and the blocks pairwise, so the
/// error grows with the logarithm of the number of terms.
pub(crate) struct Sum<T: Scalar> {
    /// The block that is being summed; [`vacant`](Tensor::vacant) until its first term.
    dense: Tensor<T>,
    /// How many values each element of the block is the sum of.
    added: usize,
    /// How many elements of slices have been added since `added` last grew.
    of_slices: usize,
    deferred: Option<Box<Deferred<T>>>,
}

impl<T: Scalar> Default for Sum<T> {
    fn default() -> Self {
        Sum { dense: Tensor::vacant(), added: 0, of_slices: 0, deferred: None }
    }
}

impl<T: Scalar> Sum<T> {
    /// Whether there is no term.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let idle = |deferred: &Deferred<T>| deferred.pairs.is_empty() && deferred.blocks.is_empty();
        self.dense.is_released() && self.deferred.as_deref().is_none_or(idle)
    }

    /// The block; zeros at first.
    fn block(&mut self, shape: &[usize]) -> &mut Tensor<T> {
        if self.dense.is_released() {
            self.dense = Tensor::zeros(shape);
        }
        &mut self.dense
    }

    /// Counts `added` more values in each element, and ends the block when it is full.
    fn count(&mut self, added: usize) {
        self.added += added;
        if self.added >= BLOCK {
            self.added = 0;
            let block = std::mem::replace(&mut self.dense, Tensor::vacant());
            self.deferred.get_or_insert_default().put(block);
        }
    }

    /// Adds 0, which flows on like any cotangent: 0·NaN is NaN.
    pub(crate) fn add_zero(&mut self, shape: &[usize]) {
        if self.is_empty() {
            self.block(shape);
        }
    }

    /// Adds a full array; stores it if the block is empty.
    pub(crate) fn add_dense(&mut self, mut g: Tensor<T>) {
        if self.dense.is_released() {
            (self.dense, self.added) = (g, 1);
            return;
        }
        // Adds into a buffer that is not shared: a shared one, such as a view of a sequence's cotangent, would be copied first.
        if self.dense.is_shared() {
            std::mem::swap(&mut self.dense, &mut g);
        }
        self.dense.add_assign(&g);
        self.count(1);
    }

    /// Adds an array of a shape that `shape`, the node's, was broadcast to.
    pub(crate) fn add_summed(&mut self, g: &Tensor<T>, shape: &[usize]) {
        let added = self.block(shape).add_summed(g);
        self.count(added);
    }

    /// Adds `part` at `start` of `axis` of an array of the node's shape.
    pub(crate) fn add_slice(&mut self, part: &Tensor<T>, (axis, start): (usize, usize), shape: &[usize]) {
        let sum = self.block(shape);
        let whole = sum.len();
        sum.add_slice(axis, start, part);
        self.of_slices += part.len();
        // Disjoint slices add one value to each element. So one is counted whenever the slices could have covered every
        // element.
        if self.of_slices >= whole {
            self.of_slices = 0;
            self.count(1);
        }
    }

    /// Adds xᵀ·g for x `[…, m]` and g `[…, n]`: later, with other products at once.
    pub(crate) fn add_product(&mut self, x: Tensor<T>, g: Tensor<T>) {
        let (x, g) = (x.into_rows(), g.into_rows());
        let rows = x.shape()[0];
        if self.deferred.as_ref().is_some_and(|deferred| deferred.rows + rows > ROWS_AT_ONCE) {
            self.multiply();
        }
        let deferred = self.deferred.get_or_insert_default();
        deferred.pairs.push((x, g));
        deferred.rows += rows;
    }

    /// Multiplies the deferred products.
    fn multiply(&mut self) {
        let Some(deferred) = &mut self.deferred else { return };
        let pairs = &deferred.pairs;
        let Some((x, g)) = pairs.first() else { return };
        if self.dense.is_released() {
            let shape = [x.shape()[1], g.shape()[1]];
            self.dense = Tensor::build(&shape, |to| sum_of_products(pairs, T::ZERO, to));
        } else {
            sum_of_products(pairs, T::ONE, self.dense.as_mut_slice());
        }
        deferred.pairs.clear();
        deferred.rows = 0;
        self.count(1);
    }

    /// Returns the sum of the terms, of which there is one at least, and leaves an empty sum that retains its memory.
    #[inline]
    pub(crate) fn finish(&mut self) -> Tensor<T> {
        self.multiply();
        let last = std::mem::replace(&mut self.dense, Tensor::vacant());
        (self.added, self.of_slices) = (0, 0);
        match &mut self.deferred {
            Some(deferred) => deferred.total(last),
            None => last,
        }
    }
}
