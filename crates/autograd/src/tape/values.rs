//! The values of nodes: stored, released where no rule reads them, and recomputed if one is read later.

use std::cell::{Cell, RefCell};

use bumpalo::Bump;
use smallvec::SmallVec;

use super::OpBox;
use crate::graph::Graph;
use crate::{Op, Scalar, Tensor};

/// The values of all nodes, by position. In a first-order sweep, those that a rule computes follow.
pub(super) struct Values<T: Scalar> {
    tensors: RefCell<Vec<Tensor<T>>>,
    recomputed: Cell<usize>,
    /// Memory for the input list of an op with many inputs.
    inputs: Cell<Bump>,
}

impl<T: Scalar> Default for Values<T> {
    fn default() -> Self {
        Values { tensors: RefCell::default(), recomputed: Cell::new(0), inputs: Cell::default() }
    }
}

impl<T: Scalar> Values<T> {
    pub(super) fn len(&self) -> usize {
        self.tensors.borrow().len()
    }

    pub(super) fn clear(&mut self) {
        self.tensors.get_mut().clear();
    }

    /// Adds a value; returns its position.
    #[inline(always)]
    pub(super) fn push(&self, value: Tensor<T>) -> u32 {
        let mut tensors = self.tensors.borrow_mut();
        let index = u32::try_from(tensors.len()).expect("a tape holds fewer than 2^32 nodes");
        tensors.push(value);
        index
    }

    #[inline]
    pub(super) fn truncate(&self, len: u32) {
        self.tensors.borrow_mut().truncate(len as usize);
    }

    /// Moves out a value that is not read again.
    #[inline]
    pub(super) fn take(&self, index: u32) -> Tensor<T> {
        std::mem::replace(&mut self.tensors.borrow_mut()[index as usize], Tensor::vacant())
    }

    /// Calls `f` with all values; one that was released still has its shape.
    #[inline(always)]
    pub(super) fn with<R>(&self, f: impl FnOnce(&[Tensor<T>]) -> R) -> R {
        f(&self.tensors.borrow())
    }

    #[inline]
    pub(super) fn is_released(&self, index: u32) -> bool {
        self.tensors.borrow()[index as usize].is_released()
    }

    /// The value of `op` at the values of `inputs`, each at the position `id`.
    #[inline(always)]
    pub(super) fn forward<O: Op<T> + ?Sized, I: Copy>(&self, op: &O, inputs: &[I], id: impl Fn(I) -> u32) -> Tensor<T> {
        const FEW: usize = 8;
        let tensors = self.tensors.borrow();
        let value = |&input: &I| &tensors[id(input) as usize];
        match inputs {
            [x] => op.forward(&[value(x)]),
            [x, y] => op.forward(&[value(x), value(y)]),
            _ if inputs.len() <= FEW => op.forward(&inputs.iter().map(value).collect::<SmallVec<[&Tensor<T>; FEW]>>()),
            // A stack of time steps, say.
            _ => {
                let mut memory = self.inputs.take();
                let value = op.forward(memory.alloc_slice_fill_iter(inputs.iter().map(value)));
                memory.reset();
                self.inputs.set(memory);
                value
            }
        }
    }

    /// Releases the values from position `start` on that no rule there reads, except those in `keep`.
    pub(super) fn release_unread(&self, graph: &Graph<OpBox<T>>, start: usize, keep: impl Iterator<Item = u32>) {
        let mut needed: SmallVec<[bool; 64]> = SmallVec::from_elem(false, (graph.len() as usize).saturating_sub(start));
        let mut need = |node: u32| {
            if let Some(needed) = (node as usize).checked_sub(start).and_then(|i| needed.get_mut(i)) {
                *needed = true;
            }
        };
        keep.for_each(&mut need);
        for index in start as u32..graph.len() {
            let (node, inputs) = graph.node_and_inputs(index);
            if node.reads.reads_output() {
                need(index);
            }
            if node.reads.reads_inputs() {
                let read = inputs.iter().enumerate().filter(|&(k, _)| node.reads.reads_input(k));
                read.for_each(|(_, &input)| need(input));
            }
        }
        for (value, needed) in self.tensors.borrow_mut().iter_mut().skip(start).zip(&needed) {
            if !needed {
                value.release();
            }
        }
    }

    /// How many values were recomputed.
    pub(super) fn recomputed(&self) -> usize {
        self.recomputed.get()
    }

    /// Recomputes a released value, and the released values that it depends on.
    #[cold]
    pub(super) fn restore(&self, graph: &Graph<OpBox<T>>, index: u32) {
        let mut waiting = vec![index];
        while let Some(&node) = waiting.last() {
            let before = waiting.len();
            if self.is_released(node) {
                waiting.extend(graph.inputs(node).iter().filter(|&&input| self.is_released(input)));
            }
            if waiting.len() > before {
                continue;
            }
            waiting.pop();
            if self.is_released(node) {
                let op = graph.op(node).expect("a released value has an op");
                let value = self.forward(&**op, graph.inputs(node), |input| input);
                self.tensors.borrow_mut()[node as usize] = value;
                self.recomputed.set(self.recomputed.get() + 1);
            }
        }
    }
}
