//! Products of rows that will be asked for next.
//!
//! A recurrent step multiplies the rows of its time step by a weight that may be larger than the cache, and all rows of all
//! steps lie one behind the other in one buffer. Who asks for two products of rows that follow each other will ask for the
//! next: they are computed at once, which reads the weight once for many steps. With the same bits: an element is the same sum,
//! in the same order, however many rows there are.

use std::sync::PoisonError;

use super::Tensor;
use crate::Scalar;
use crate::kernels::matmul::{Matrix, STAYS_IN_CACHE, sums_as_several_rows};

/// What was asked for of one buffer of rows and one weight, and what was computed ahead. Kept with the weight's buffer.
pub(crate) struct Ahead<T: Scalar> {
    /// The contents of the buffer of rows.
    rows: u64,
    /// The part of the weight's buffer: offset, shape and strides.
    weight: [usize; 5],
    /// The contents of the buffer of the bias and where it begins there, if there is one.
    bias: Option<(u64, usize)>,
    /// Where in the buffer the rows begin that are expected next.
    next: usize,
    /// Products of the rows that begin there.
    block: Option<(usize, Tensor<T>)>,
}

/// Rows that are multiplied at once.
const ROWS_AHEAD: usize = 128;

/// Buffers of rows that are followed for one weight: one for each shard, as a rule.
const FOLLOWED: usize = 8;

/// What to do about a product.
enum Plan<T: Scalar> {
    Alone,
    Ready(Tensor<T>),
    Compute,
}

impl<T: Scalar> Tensor<T> {
    /// The product `a·b` of this matrix and `other`, plus `bias`, if it was computed ahead or is worth it now. `multiply`
    /// does so for many rows.
    pub(super) fn product_ahead(
        &self,
        other: &Self,
        a: Matrix<'_, T>,
        b: Matrix<'_, T>,
        bias: Option<&Self>,
        multiply: impl FnOnce(Matrix<'_, T>, &mut [T]),
    ) -> Option<Self> {
        let used = self.buffer.used();
        if !T::SHARES
            || b.rows * b.cols < STAYS_IN_CACHE
            || !self.is_contiguous()
            || self.len() == used
            || self.is_empty()
            || !sums_as_several_rows(a, b)
        {
            return None;
        }
        let weight = [other.offset, b.rows, b.cols, b.row_stride, b.col_stride];
        let asked = (self.buffer.version(), weight, bias.map(|bias| (bias.buffer.version(), bias.offset)));
        let entries = || other.buffer.derived().ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let rows_left = (used - self.offset) / a.cols;
        let plan = {
            let mut entries = entries();
            match entries.iter_mut().find(|entry| entry.answers() == asked) {
                Some(entry) => entry.plan(self, a, rows_left),
                None => {
                    if entries.len() == FOLLOWED {
                        entries.remove(0);
                    }
                    let (rows, weight, bias) = asked;
                    entries.push(Ahead { rows, weight, bias, next: self.offset + self.len(), block: None });
                    Plan::Alone
                }
            }
        };
        match plan {
            Plan::Alone => None,
            Plan::Ready(product) => Some(product),
            Plan::Compute => {
                let rows = rows_left.min(ROWS_AHEAD.max(2 * a.rows)) / a.rows * a.rows;
                let data = &self.buffer.data()[self.offset..];
                let many = Matrix::new(data, [rows, a.cols], [a.cols, 1]);
                let block = Tensor::build(&[rows, b.cols], |to| multiply(many, to));
                let own = block.part(0, 0..a.rows);
                if let Some(entry) = entries().iter_mut().find(|entry| entry.answers() == asked) {
                    entry.block = Some((self.offset, block));
                }
                Some(own)
            }
        }
    }
}

impl<T: Scalar> Ahead<T> {
    fn answers(&self) -> (u64, [usize; 5], Option<(u64, usize)>) {
        (self.rows, self.weight, self.bias)
    }

    fn plan(&mut self, x: &Tensor<T>, a: Matrix<'_, T>, rows_left: usize) -> Plan<T> {
        let follows = x.offset == self.next;
        self.next = x.offset + x.len();
        if let Some((first, block)) = &self.block
            && let Some(behind) = x.offset.checked_sub(*first)
            && behind % a.cols == 0
            && behind / a.cols + a.rows <= block.shape()[0]
        {
            let row = behind / a.cols;
            let product = block.part(0, row..row + a.rows);
            if row + a.rows == block.shape()[0] {
                self.block = None;
            }
            return Plan::Ready(product);
        }
        self.block = None;
        if follows && rows_left >= 2 * a.rows { Plan::Compute } else { Plan::Alone }
    }
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    const STEPS: usize = 60;
    const ROWS: usize = 3;
    const DEPTH: usize = 300;

    fn sample(shape: &[usize], phase: f32) -> Tensor<f32> {
        Tensor::from_fn(shape, |i| (i as f32 * 0.7 + phase).sin())
    }

    fn bits(x: &Tensor<f32>) -> Vec<u32> {
        x.to_vec().into_iter().map(f32::to_bits).collect()
    }

    /// The rows of a time step, which lie among those of the others, times `w`, against the same rows alone.
    fn assert_as_alone(x: &Tensor<f32>, t: usize, [w, bias]: [&Tensor<f32>; 2], case: &str) {
        let own = x.index(0, t);
        let alone = Tensor::from_vec(own.to_vec(), own.shape());
        let affine = |rows: &Tensor<f32>, bias: Option<&Tensor<f32>>, beta: f32| {
            let mut to = sample(&[ROWS, w.shape()[1]], 4.0);
            rows.matmul_into(w, beta, bias, to.as_mut_slice());
            bits(&to)
        };
        for (bias, beta) in [(None, 0.0), (Some(bias), 0.0), (Some(bias), 1.0)] {
            assert!(affine(&own, bias, beta) == affine(&alone, bias, beta), "{case}: step {t}");
        }
    }

    fn computed_ahead(w: &Tensor<f32>) -> usize {
        let entries = w.buffer.derived().ahead.lock().expect("no thread has panicked");
        entries.iter().filter(|entry| entry.block.is_some()).count()
    }

    #[test]
    fn rows_that_follow_each_other_are_multiplied_at_once_and_right() {
        for threads in [1, 2] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
            pool.install(|| {
                let (x, y) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[STEPS, ROWS, DEPTH], 9.0));
                let (w, bias) = (sample(&[DEPTH, 1000], 1.0), sample(&[1000], 3.0));
                (0..2).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "the first steps"));
                assert_eq!(computed_ahead(&w), 2, "one with the bias and one without");
                (2..STEPS).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "in order"));
                for t in [0, 1, 2, 5, 4, 3, 8, 9, 10, 59] {
                    assert_as_alone(&x, t, [&w, &bias], "out of order");
                    assert_as_alone(&y, t, [&w, &bias], "two sequences in turn");
                }
            });
        }
    }

    #[test]
    fn what_was_computed_ahead_does_not_outlive_a_change() {
        let (mut x, mut w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 1000], 1.0));
        let mut bias = sample(&[1000], 3.0);
        let some = |x: &Tensor<f32>, w: &Tensor<f32>| (0..4).for_each(|t| drop(x.index(0, t).matmul(w)));
        some(&x, &w);
        assert_eq!(computed_ahead(&w), 1);
        w.as_mut_slice()[0] += 1.0;
        assert_eq!(computed_ahead(&w), 0);
        (4..9).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "another weight"));
        some(&x, &w);
        x.as_mut_slice()[4 * ROWS * DEPTH] += 1.0;
        (4..9).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "other rows"));
        bias.as_mut_slice()[0] += 1.0;
        (9..12).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "another bias"));
    }

    #[test]
    fn a_sequence_on_its_own_has_the_bits_of_its_steps_alone() {
        // A large weight that is narrow, which is multiplied by one row as it lies, and a wide one.
        for [depth, width] in [[4100, 65], [300, 1000]] {
            let (x, w) = (sample(&[STEPS, 1, depth], 0.0), sample(&[depth, width], 1.0));
            let columns = sample(&[width, depth], 2.0);
            for t in 0..STEPS {
                let own = x.index(0, t);
                let alone = Tensor::from_vec(own.to_vec(), own.shape());
                assert_eq!(bits(&own.matmul(&w)), bits(&alone.matmul(&w)), "[1, {depth}]·[{depth}, {width}], step {t}");
                let [own, alone] = [own, alone].map(|row| bits(&row.matmul_transposed(&columns)));
                assert_eq!(own, alone, "[1, {depth}]·[{width}, {depth}]ᵀ, step {t}");
            }
        }
    }

    #[test]
    fn a_sequence_that_is_over_leaves_nothing_behind() {
        let (x, w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 1000], 1.0));
        (0..STEPS).for_each(|t| drop(x.index(0, t).matmul(&w)));
        assert_eq!(computed_ahead(&w), 0);
    }
}
