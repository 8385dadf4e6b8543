//! The values of nodes: stored, released where no rule reads them, and recomputed if one is read later.

use std::cell::{Cell, Ref, RefCell};

use bumpalo::Bump;
use smallvec::SmallVec;

use super::{OpBox, Var};
use crate::graph::Graph;
use crate::{Op, Scalar, Tensor};

/// The values of all nodes, by position. In a first-order sweep, those that a rule computes follow.
#[derive(Default)]
pub(crate) struct Values<T: Scalar> {
    tensors: RefCell<Vec<Tensor<T>>>,
    recomputed: Cell<usize>,
    /// Memory for the input list of an op with many inputs.
    inputs: Cell<Bump>,
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
    pub(crate) fn push(&self, value: Tensor<T>) -> u32 {
        let mut tensors = self.tensors.borrow_mut();
        let index = u32::try_from(tensors.len()).expect("a tape holds fewer than 2^32 nodes");
        tensors.push(value);
        index
    }

    #[inline]
    pub(crate) fn truncate(&self, len: u32) {
        self.tensors.borrow_mut().truncate(len as usize);
    }

    /// Moves out a value that is not read again.
    #[inline]
    pub(crate) fn take(&self, index: u32) -> Tensor<T> {
        std::mem::replace(&mut self.tensors.borrow_mut()[index as usize], Tensor::vacant())
    }

    /// A value; if it was released, it still has its shape.
    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> Ref<'_, Tensor<T>> {
        Ref::map(self.tensors.borrow(), |tensors| &tensors[index as usize])
    }

    #[inline]
    pub(super) fn is_released(&self, index: u32) -> bool {
        self.get(index).is_released()
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

    /// Releases the values from position `start` on that no rule reads, except those in `keep`.
    pub(super) fn release_unread(&self, graph: &Graph<OpBox<T>>, start: usize, keep: &[Var<'_, T>]) {
        for (index, value) in self.tensors.borrow_mut().iter_mut().enumerate().skip(start) {
            let is_read = graph.node(index as u32).is_none_or(|node| node.is_read);
            if !is_read && keep.iter().all(|v| v.position() != index) {
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
