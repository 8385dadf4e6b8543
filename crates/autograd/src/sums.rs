//! The cotangents of a sweep: sums to which terms are added.
//!
//! A value that is used many times gets a term for each use. Sums work on tensors; nothing here knows the tape.

use crate::kernels::reduce::BLOCK;
use crate::tensor::{rows_at_once, sum_of_products};
use crate::{Scalar, Tensor};

/// The cotangent of one node, summed in place.
///
/// A variable may get a term from each of many time steps. Terms are summed in blocks and the blocks pairwise, so the
/// error grows with the logarithm of the number of terms.
#[derive(Default)]
pub(crate) struct Sum<T: Scalar> {
    /// The block that is being summed.
    block: Option<Tensor<T>>,
    /// How many values were added to each element of the block, without those of slices.
    added: usize,
    /// How many slices were added to the block.
    slices: usize,
    rest: Option<Box<Rest<T>>>,
}

/// What few sums need.
#[derive(Default)]
struct Rest<T: Scalar> {
    /// Deferred products, to be multiplied at once, and the total of their rows.
    products: Vec<(Tensor<T>, Tensor<T>)>,
    rows: usize,
    /// Sums of completed blocks of terms, each of at least twice as many as the next.
    blocks: Vec<Tensor<T>>,
    /// How many blocks these are the sums of.
    completed: usize,
    /// How many slices in the block cover each position of each axis, once there are more than `BLOCK` slices.
    covered: Vec<u8>,
    /// The sum of those parts of the block that were full.
    parts: Sum<T>,
}

impl<T: Scalar> Sum<T> {
    /// The block; zeros at first.
    fn block(&mut self, shape: &[usize]) -> &mut Tensor<T> {
        self.block.get_or_insert_with(|| Tensor::zeros(shape))
    }

    /// Counts `added` more values in each element, and ends the block when it is full.
    fn count(&mut self, added: usize) {
        self.added += added;
        if self.added >= BLOCK {
            self.end_block();
        }
    }

    /// Adds the block to those that are completed; two sums of equally many blocks become one.
    fn end_block(&mut self) {
        (self.added, self.slices) = (0, 0);
        let Some(mut block) = self.block.take() else { return };
        let rest = self.rest.get_or_insert_default();
        for mut earlier in (0..rest.completed.trailing_ones()).map_while(|_| rest.blocks.pop()) {
            earlier.add_assign(&block);
            block = earlier;
        }
        rest.blocks.push(block);
        rest.completed += 1;
        rest.covered.clear();
    }

    /// Adds 0, which flows on like any cotangent: 0·NaN is NaN.
    pub(crate) fn add_zero(&mut self, shape: &[usize]) {
        self.block(shape);
    }

    /// Adds a full array; stores it if the block is empty.
    pub(crate) fn add_dense(&mut self, mut g: Tensor<T>) {
        if let Some(block) = &mut self.block {
            // Adds into a buffer that is not shared: a shared one, such as a view of a sequence's cotangent, would be
            // copied first.
            if block.is_shared() {
                std::mem::swap(block, &mut g);
            }
            block.add_assign(&g);
        } else {
            self.block = Some(g);
        }
        self.count(1);
    }

    /// Adds an array of a shape that `shape`, the node's, was broadcast to.
    pub(crate) fn add_summed(&mut self, g: &Tensor<T>, shape: &[usize]) {
        let added = self.block(shape).add_summed(g);
        self.count(added);
    }

    /// Adds `part` at `start` of `axis` of an array of the node's shape.
    pub(crate) fn add_slice(&mut self, part: &Tensor<T>, (axis, start): (usize, usize), shape: &[usize]) {
        let block = self.block.get_or_insert_with(|| Tensor::zeros(shape));
        block.add_slice(axis, start, part);
        self.slices += 1;
        // Most slices are disjoint, as those of time steps and of gates are. Where so many overlap that a part of the
        // block is full, that part is moved to a sum of such parts: a slice costs its own size, whatever it overlaps.
        if self.slices > BLOCK {
            let rest = self.rest.get_or_insert_default();
            rest.covered.resize(shape.iter().sum(), 0);
            let (range, before) = (start..start + part.shape()[axis], shape[..axis].iter().sum::<usize>());
            let covered = &mut rest.covered[before + range.start..before + range.end];
            covered.iter_mut().for_each(|slices| *slices += 1);
            if covered.contains(&(BLOCK as u8)) {
                covered.fill(0);
                rest.parts.add_slice(&block.take_part(axis, range), (axis, start), shape);
            }
        }
    }

    /// Adds xᵀ·g for x `[…, m]` and g `[…, n]`: later, with other products at once.
    pub(crate) fn add_product(&mut self, x: Tensor<T>, g: Tensor<T>) {
        let (x, g) = (x.into_rows(), g.into_rows());
        let (rows, most) = (x.shape()[0], rows_at_once(x.shape()[1] * g.shape()[1]));
        if self.rest.as_ref().is_some_and(|rest| rest.rows + rows > most) {
            self.multiply();
        }
        let rest = self.rest.get_or_insert_default();
        rest.products.push((x, g));
        rest.rows += rows;
    }

    /// Multiplies the deferred products.
    fn multiply(&mut self) {
        let Some(Rest { products, rows, .. }) = self.rest.as_deref_mut() else { return };
        let Some((x, g)) = products.first() else { return };
        if let Some(block) = &mut self.block {
            sum_of_products(products, T::ONE, block.as_mut_slice());
        } else {
            let shape = [x.shape()[1], g.shape()[1]];
            self.block = Some(Tensor::build(&shape, |to| sum_of_products(products, T::ZERO, to)));
        }
        products.clear();
        *rows = 0;
        self.count(1);
    }

    /// Returns the sum of the terms, if there is one, and leaves an empty sum that retains its memory.
    pub(crate) fn finish(&mut self) -> Option<Tensor<T>> {
        self.multiply();
        (self.added, self.slices) = (0, 0);
        let last = self.block.take();
        let Some(rest) = &mut self.rest else { return last };
        rest.completed = 0;
        rest.covered.clear();
        rest.parts.finish().into_iter().chain(rest.blocks.drain(..).rev()).fold(last, |total, mut block| {
            total.iter().for_each(|total| block.add_assign(total));
            Some(block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of slices of one element, and whether parts of the block were full.
    fn of_slices(shape: &[usize], places: impl IntoIterator<Item = (usize, usize)>) -> (Tensor<f32>, bool) {
        let mut sum = Sum::default();
        for (axis, start) in places {
            let mut part = shape.to_vec();
            part[axis] = 1;
            sum.add_slice(&Tensor::full(&part, 0.1), (axis, start), shape);
        }
        let full = sum.rest.as_ref().is_some_and(|rest| rest.parts.block.is_some());
        (sum.finish().expect("slices were added"), full)
    }

    #[test]
    fn slices_that_do_not_lie_on_each_other_are_one_pass() {
        let steps = 5000;
        assert!(!of_slices(&[steps, 3], (0..steps).map(|t| (0, t))).1);
        assert!(!of_slices(&[steps, 3], (0..steps).rev().flat_map(|t| [(0, t), (0, t)])).1, "each read twice");
        let ends = (0..steps).flat_map(|t| [(0, t), (0, steps - 1 - t)]);
        assert!(!of_slices(&[steps, 3], ends).1, "from both ends");
        assert!(!of_slices(&[7, 3], (0..63 * 7).map(|i| (0, i % 7))).1, "fewer than a block of each");
    }

    #[test]
    fn slices_that_overlap_are_summed_in_blocks() {
        let assert_close = |found: f32, reads: usize, what: &str| {
            let off = (f64::from(found) / (f64::from(0.1_f32) * reads as f64) - 1.0).abs();
            assert!(off <= 8.0 * f64::from(f32::EPSILON), "{what}: off by {off:.1e}");
        };
        for shape in [&[4096, 1][..], &[7, 33]] {
            for (axis, reads) in [(0, 60_000), (1, 5000)] {
                let (sum, full) = of_slices(shape, (0..reads).map(|_| (axis, 0)));
                assert!(full);
                assert_close(sum.at(&[0, 0]), reads, &format!("{shape:?}, axis {axis}"));
                assert_eq!(sum.at(&[6, 0]), if axis == 0 { 0.0 } else { sum.at(&[0, 0]) });
            }
        }
        let (sum, _) = of_slices(&[7, 33], (0..60_000).map(|i| (i % 2, 0)));
        assert_close(sum.at(&[0, 0]), 60_000, "one axis and the other in turn");
        assert_close(sum.at(&[0, 1]), 30_000, "one of the two");
    }

    /// What a sum holds is memory of the sweep: of a weight at T time steps, not T products, and of few terms one array.
    #[test]
    fn a_sum_holds_one_array_and_products_of_a_block_of_rows() {
        let mut few = Sum::default();
        (1..BLOCK).for_each(|_| few.add_dense(Tensor::full(&[3], 1.0_f32)));
        assert!(few.rest.is_none());

        for ([m, n], at_once) in [([2, 1], 256), ([1024, 256], 512)] {
            let (mut sum, mut most) = (Sum::default(), 0);
            for _ in 0..300 {
                sum.add_product(Tensor::full(&[4, m], 1.0_f32), Tensor::full(&[4, n], 0.5));
                let waiting = sum.rest.iter().flat_map(|rest| &rest.products).map(|(x, _)| x.shape()[0]).sum();
                most = most.max(waiting);
            }
            assert_eq!(most, at_once, "[{m}, {n}]");
            assert_eq!(sum.finish().expect("products were added").to_vec(), vec![600.0; m * n], "[{m}, {n}]");
        }
    }

    #[test]
    fn infinities_move_with_their_part() {
        let mut sum = Sum::default();
        for i in 0..1000 {
            let part = Tensor::full(&[1], if i == 3 { f64::INFINITY } else { 1.0 });
            sum.add_slice(&part, (0, i % 2), &[3]);
        }
        assert_eq!(sum.finish().expect("slices were added").to_vec(), [500.0, f64::INFINITY, 0.0]);
        assert!(sum.finish().is_none(), "what is left is empty");
    }
}
