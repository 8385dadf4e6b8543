//! Prefetched products of rows.
//!
//! A recurrent step multiplies the rows of its time step by a weight that may be larger than the cache, and the rows of
//! all steps are contiguous in one buffer. After products of two consecutive blocks of rows, the products of the next
//! steps are computed at once, which reads the weight once for many steps. The bits are the same: each element is the
//! same sum, in the same order, however many rows there are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gemm::Gemm;
use super::matmul::STAYS_IN_CACHE;
use crate::matrix::{Matrix, Operand};
use crate::storage::Buffer;

/// The products with the matrices of one buffer.
pub(crate) struct Prefetched<T: Gemm>(Mutex<Vec<RowStream<T>>>);

/// A buffer whose rows, block after block, are multiplied by one matrix.
struct RowStream<T: Gemm> {
    product: Key,
    /// Where the rows that are expected next begin in the buffer.
    next: usize,
    /// Products of the rows that begin there.
    block: Option<Block<T>>,
}

/// The contents of the buffer of rows; the part of the weight's buffer: offset, shape and strides; the contents of the buffer of
/// the bias, where it begins there and its stride, if there is one.
type Key = (u64, [usize; 5], Option<(u64, usize, usize)>);

struct Block<T: Gemm> {
    /// Where in the buffer its rows begin, and how many there are.
    first: usize,
    rows: usize,
    products: Buffer<T>,
}

/// Rows that are multiplied at once.
const ROWS: usize = 128;

/// The most streams that are tracked for one weight: one for each shard, as a rule.
const MOST_STREAMS: usize = 8;

enum Plan<T: Gemm> {
    Alone,
    /// Prefetched, in this buffer from this element on.
    Ready(Buffer<T>, usize),
    Compute,
}

/// Whether prefetching products with `b` pays.
pub(super) fn is_worth_it<T: Gemm>(b: Matrix<'_, T>) -> bool {
    b.rows * b.cols >= STAYS_IN_CACHE
}

impl<T: Gemm> Prefetched<T> {
    /// Writes `a·b + bias` to `to`, if it was prefetched or is now computed together with the next products; returns
    /// whether it was. `multiply` computes the product of many rows.
    pub(super) fn product(
        &self,
        a: &Operand<'_, T>,
        b: &Operand<'_, T>,
        bias: Option<&Operand<'_, T>>,
        to: &mut [T],
        multiply: impl FnOnce(Matrix<'_, T>, &mut [T]),
    ) -> bool {
        let (left, right) = (a.matrix, b.matrix);
        let (used, len) = (a.buffer.used(), left.rows * left.cols);
        if left.as_slice().is_none() || len == used || len == 0 {
            return false;
        }
        let weight = [b.offset, right.rows, right.cols, right.row_stride, right.col_stride];
        let bias = bias.map(|bias| (bias.buffer.version(), bias.offset, bias.matrix.col_stride));
        let product = (a.buffer.version(), weight, bias);
        let rows_left = (used - a.offset) / left.cols;
        match self.plan(product, a, rows_left) {
            Plan::Alone => return false,
            Plan::Ready(products, first) => to.copy_from_slice(&products.data()[first..][..to.len()]),
            Plan::Compute => {
                let rows = rows_left.min(ROWS.max(2 * left.rows)) / left.rows * left.rows;
                let many = Matrix::row_major(&a.buffer.data()[a.offset..], rows, left.cols);
                let products = Buffer::filled(rows * right.cols, |to| multiply(many, to));
                to.copy_from_slice(&products.data()[..to.len()]);
                self.keep(product, Block { first: a.offset, rows, products });
            }
        }
        true
    }

    /// Discards all products: the contents have changed.
    pub(super) fn clear(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn streams(&self) -> MutexGuard<'_, Vec<RowStream<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, product: Key, a: &Operand<'_, T>, rows_left: usize) -> Plan<T> {
        let mut streams = self.streams();
        if let Some(same) = streams.iter_mut().find(|stream| stream.product == product) {
            return same.plan(a, rows_left);
        }
        if streams.len() == MOST_STREAMS {
            streams.remove(0);
        }
        streams.push(RowStream { product, next: end_of(a), block: None });
        Plan::Alone
    }

    fn keep(&self, product: Key, block: Block<T>) {
        if let Some(stream) = self.streams().iter_mut().find(|stream| stream.product == product) {
            stream.block = Some(block);
        }
    }

    /// The number of prefetched blocks.
    #[cfg(test)]
    pub(crate) fn blocks(&self) -> usize {
        self.streams().iter().filter(|stream| stream.block.is_some()).count()
    }
}

impl<T: Gemm> Default for Prefetched<T> {
    fn default() -> Self {
        Prefetched(Mutex::default())
    }
}

fn end_of<T: Gemm>(a: &Operand<'_, T>) -> usize {
    a.offset + a.matrix.rows * a.matrix.cols
}

impl<T: Gemm> RowStream<T> {
    fn plan(&mut self, a: &Operand<'_, T>, rows_left: usize) -> Plan<T> {
        let Matrix { rows, cols, .. } = a.matrix;
        let follows = a.offset == self.next;
        self.next = end_of(a);
        if let Some(block) = &self.block
            && let Some(distance) = a.offset.checked_sub(block.first)
            && distance % cols == 0
            && distance / cols + rows <= block.rows
        {
            let (row, products) = (distance / cols, block.products.clone());
            let width = products.used() / block.rows;
            if row + rows == block.rows {
                self.block = None;
            }
            return Plan::Ready(products, row * width);
        }
        self.block = None;
        if follows && rows_left >= 2 * rows { Plan::Compute } else { Plan::Alone }
    }
}
