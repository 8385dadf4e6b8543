//! The cotangents of a sweep: sums to which terms are added.
//!
//! A value that is used many times gets a term for each use. Sums work on tensors; nothing here knows the tape.

use crate::kernels::reduce::BLOCK;
use crate::tensor::{ROWS_AT_ONCE, sum_of_products};
use crate::{Scalar, Tensor};

/// Work that a sum defers. Boxed, since few sums need it.
struct Deferred<T: Scalar> {
    /// Products to be multiplied at once, and the total of their rows.
    pairs: Vec<(Tensor<T>, Tensor<T>)>,
    rows: usize,
    /// Completed blocks of terms: at position i the sum of 2^i blocks, or [`vacant`](Tensor::vacant).
    blocks: Vec<Tensor<T>>,
}

impl<T: Scalar> Default for Deferred<T> {
    fn default() -> Self {
        Deferred { pairs: Vec::new(), rows: 0, blocks: Vec::new() }
    }
}

impl<T: Scalar> Deferred<T> {
    /// Adds a completed block; two sums of equally many blocks become one.
    fn put(&mut self, block: Tensor<T>) {
        let mut sum = block;
        for place in &mut self.blocks {
            if place.is_released() {
                *place = sum;
                return;
            }
            let mut earlier = std::mem::replace(place, Tensor::vacant());
            earlier.add_assign(&sum);
            sum = earlier;
        }
        self.blocks.push(sum);
    }

    /// The sum of `last`, which may be [`vacant`](Tensor::vacant), and of all blocks, which are removed.
    fn total(&mut self, last: Tensor<T>) -> Tensor<T> {
        let mut total = last;
        for place in self.blocks.iter_mut().filter(|place| !place.is_released()) {
            let mut block = std::mem::replace(place, Tensor::vacant());
            if !total.is_released() {
                block.add_assign(&total);
            }
            total = block;
        }
        total
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
    /// The block; zeros at first.
    #[inline]
    fn block(&mut self, shape: &[usize]) -> &mut Tensor<T> {
        if self.dense.is_released() {
            self.dense = Tensor::zeros(shape);
        }
        &mut self.dense
    }

    /// Counts `added` more values in each element.
    #[inline]
    fn count(&mut self, added: usize) {
        self.added += added;
        if self.added >= BLOCK {
            self.put_aside();
        }
    }

    /// Ends the block.
    #[cold]
    fn put_aside(&mut self) {
        self.added = 0;
        let block = std::mem::replace(&mut self.dense, Tensor::vacant());
        self.deferred.get_or_insert_default().put(block);
    }

    /// Whether [`add_dense`](Sum::add_dense) would store the next array rather than add it; then it should not share
    /// its buffer.
    #[inline]
    pub(crate) fn would_store(&self) -> bool {
        self.dense.is_released() || self.dense.is_shared()
    }

    /// Adds a full array; stores it if the sum is empty.
    #[inline]
    pub(crate) fn add_dense(&mut self, g: Tensor<T>) {
        if self.dense.is_released() {
            (self.dense, self.added) = (g, 1);
            return;
        }
        // Adds into a buffer that is not shared: a shared one, such as a view of a sequence's cotangent, would be
        // copied first.
        let sum = if self.dense.is_shared() { std::mem::replace(&mut self.dense, g) } else { g };
        self.add_to_block(&sum);
    }

    /// Adds a full array to the earlier ones.
    #[inline]
    pub(crate) fn add_to_block(&mut self, g: &Tensor<T>) {
        self.dense.add_assign(g);
        self.count(1);
    }

    /// Adds an array of a shape that `shape`, the node's, was broadcast to.
    #[inline]
    pub(crate) fn add_summed(&mut self, g: &Tensor<T>, shape: &[usize]) {
        let added = self.block(shape).add_summed(g);
        self.count(added);
    }

    /// Adds `part` at `start` of `axis` of an array of the node's shape.
    #[inline]
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
    #[inline]
    pub(crate) fn add_product(&mut self, x: Tensor<T>, g: Tensor<T>) {
        self.defer(x.into_rows(), g.into_rows());
    }

    /// Stores a product, to be multiplied with others at once.
    fn defer(&mut self, x: Tensor<T>, g: Tensor<T>) {
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

    /// Returns the cotangent, of shape `shape`, and leaves an empty sum that retains its memory.
    #[inline]
    pub(crate) fn finish(&mut self, shape: &[usize]) -> Tensor<T> {
        if self.deferred.is_some() {
            self.finish_deferred();
        }
        (self.added, self.of_slices) = (0, 0);
        if self.dense.is_released() {
            return Tensor::zeros(shape);
        }
        std::mem::replace(&mut self.dense, Tensor::vacant())
    }

    /// Adds the deferred products and the completed blocks to the block.
    #[inline(never)]
    fn finish_deferred(&mut self) {
        self.multiply();
        if let Some(deferred) = &mut self.deferred {
            self.dense = deferred.total(std::mem::replace(&mut self.dense, Tensor::vacant()));
        }
    }
}

/// The sums of a sweep, by node. Few nodes have an unfinished sum at any time, however long the tape. The next node
/// reuses the place of a finished sum and its memory, so a second sweep allocates nothing.
pub(crate) struct Sums<S> {
    /// By node: the index in `sums` plus one, or 0.
    places: Vec<u32>,
    sums: Vec<S>,
    /// How many places this sweep has used.
    used: usize,
    free: Vec<u32>,
    /// The nodes whose gradients are requested, descending, with the places of their sums.
    retained: Vec<(u32, u32)>,
}

impl<S> Default for Sums<S> {
    fn default() -> Self {
        Sums { places: Vec::new(), sums: Vec::new(), used: 0, free: Vec::new(), retained: Vec::new() }
    }
}

impl<S: Default> Sums<S> {
    /// Begins a sweep over `nodes` nodes.
    pub(crate) fn begin(&mut self, nodes: usize) {
        self.places.clear();
        self.places.resize(nodes, 0);
        self.free.clear();
        self.retained.clear();
        self.used = 0;
    }

    /// The sum of `node`, if it has a term.
    #[inline]
    pub(crate) fn waiting(&mut self, node: u32) -> Option<&mut S> {
        let place = self.places[node as usize].checked_sub(1)?;
        Some(&mut self.sums[place as usize])
    }

    /// The sum of `node`, empty at first.
    #[inline]
    pub(crate) fn of(&mut self, node: u32) -> &mut S {
        let place = match self.places[node as usize] {
            0 => {
                let place = self.reserve();
                self.places[node as usize] = place + 1;
                place
            }
            place => place - 1,
        };
        &mut self.sums[place as usize]
    }

    /// A place that no node uses; its sum is empty.
    #[inline]
    fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            if self.used == self.sums.len() {
                self.sums.push(S::default());
            }
            self.used += 1;
            self.used as u32 - 1
        })
    }

    /// Frees the place of `node`, whose sum is finished.
    #[inline]
    pub(crate) fn release(&mut self, node: u32) {
        let place = std::mem::take(&mut self.places[node as usize]);
        self.free.push(place - 1);
    }

    /// Retains the sum of `node`, a new one if it has been released, until the end of the sweep.
    pub(crate) fn retain(&mut self, node: u32) -> &mut S {
        self.of(node);
        let place = std::mem::take(&mut self.places[node as usize]) - 1;
        self.retained.push((node, place));
        &mut self.sums[place as usize]
    }

    /// Moves out the sum of `node`, if it has one.
    pub(crate) fn take(&mut self, node: u32) -> Option<S> {
        let sum = std::mem::take(self.waiting(node)?);
        self.release(node);
        Some(sum)
    }

    /// The nodes whose sums were retained, ascending, each with its sum.
    pub(crate) fn retained<R>(&mut self, mut f: impl FnMut(u32, &mut S) -> R) -> impl Iterator<Item = R> {
        let sums = &mut self.sums;
        self.retained.iter().rev().map(move |&(node, place)| f(node, &mut sums[place as usize]))
    }
}
