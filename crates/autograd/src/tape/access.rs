//! What the sweep and the handles read of a tape, and the mode in which rules compute on it.

use std::cell::Ref;
use std::ops::Range;

use super::{Mode, OpBox, Tape};
use crate::scope::Scopes;
use crate::sweep::Slots;
use crate::term::ValueSum;
use crate::{Reads, Scalar, Tensor, Var};

/// Where a sweep goes on from a node.
#[derive(Default)]
pub(crate) struct WayBack {
    /// Where its inputs stand in the list of all edges.
    pub(crate) edges: Range<usize>,
    /// Whether it is a variable that gradients are wanted for.
    pub(crate) leaf: bool,
    /// Whether the inputs get its cotangent as it is.
    pub(crate) hands_on: bool,
}

/// What the sweep and the handles read.
impl<T: Scalar> Tape<T> {
    #[inline]
    pub(crate) fn value_of(&self, index: u32) -> Tensor<T> {
        if self.is_released(index) {
            self.restore(index);
        }
        self.values.borrow()[index as usize].clone()
    }

    /// Calls `f` with a value.
    #[inline]
    pub(crate) fn with_value<R>(&self, index: u32, f: impl FnOnce(&Tensor<T>) -> R) -> R {
        if self.is_released(index) {
            self.restore(index);
        }
        f(&self.values.borrow()[index as usize])
    }

    /// Calls `f` with the shape of a value, whose numbers may have been let go of.
    #[inline]
    pub(crate) fn with_shape<R>(&self, index: u32, f: impl FnOnce(&[usize]) -> R) -> R {
        f(self.values.borrow()[index as usize].shape())
    }

    /// Calls `f` with the shapes of two values.
    #[inline]
    pub(crate) fn with_shapes<R>(&self, [a, b]: [u32; 2], f: impl FnOnce(&[usize], &[usize]) -> R) -> R {
        let values = self.values.borrow();
        f(values[a as usize].shape(), values[b as usize].shape())
    }

    pub(crate) fn with_scopes<R>(&self, f: impl FnOnce(&mut Scopes) -> R) -> R {
        f(&mut self.graph.borrow_mut().scopes)
    }

    pub(crate) fn scope_id(&self, index: u32) -> u32 {
        self.graph.borrow().records.get(index as usize).map_or(0, |record| record.scope)
    }

    /// Whether ops compute values that are no nodes.
    pub(crate) fn is_sweeping(&self) -> bool {
        self.mode.get() == Mode::Sweeping
    }

    pub(crate) fn records_nothing(&self) -> bool {
        self.mode.get() != Mode::Recording
    }

    #[inline]
    pub(crate) fn is_tracked(&self, index: u32) -> bool {
        self.graph.borrow().is_tracked(index)
    }

    pub(crate) fn is_leaf(&self, index: u32) -> bool {
        self.way_back(index).leaf
    }

    #[inline]
    pub(crate) fn arity(&self, index: u32) -> usize {
        self.graph.borrow().inputs(index).len()
    }

    #[inline]
    pub(crate) fn input_of(&self, index: u32, input: usize) -> u32 {
        self.graph.borrow().inputs(index)[input]
    }

    /// The name of the op of a node, if it has one.
    pub(crate) fn op_name(&self, index: u32) -> Option<&'static str> {
        Some(self.ops.borrow().get(index as usize)?.as_ref()?.name())
    }

    /// Whether the rules of a node's op read a value: not those of a linear one.
    pub(crate) fn reads_a_value(&self, index: u32) -> bool {
        self.graph.borrow().records.get(index as usize).is_some_and(|record| record.reads != Reads::NOTHING)
    }

    /// Where a sweep goes on from a node.
    #[inline]
    pub(crate) fn way_back(&self, node: u32) -> WayBack {
        let graph = self.graph.borrow();
        let Some(record) = graph.records.get(node as usize) else { return WayBack::default() };
        let (first, leaf, hands_on) = (record.first_edge as usize, record.leaf, record.hands_on);
        WayBack { edges: first..first + record.arity as usize, leaf, hands_on }
    }

    /// The first of some edges whose input `wanted` takes, and that input. `wanted` is told the input and whether a gradient may
    /// flow there.
    #[inline]
    pub(crate) fn find_edge(&self, edges: Range<usize>, wanted: impl Fn(u32, bool) -> bool) -> Option<(usize, u32)> {
        if edges.is_empty() {
            return None;
        }
        let graph = self.graph.borrow();
        let mut inputs = edges.clone().zip(graph.edges[edges].iter().copied());
        inputs.find(|&(_, input)| wanted(input, graph.is_tracked(input)))
    }

    /// The ops of all nodes, for a sweep that records nothing.
    pub(crate) fn ops(&self) -> Ref<'_, [Option<OpBox<T>>]> {
        Ref::map(self.ops.borrow(), Vec::as_slice)
    }

    /// Calls `f` with an empty tape that is kept for such calls.
    pub(crate) fn with_inner<R>(&self, f: impl FnOnce(&Tape<T>) -> R) -> R {
        let mut inner = self.inner.borrow_mut().take().unwrap_or_default();
        let result = f(&inner);
        inner.clear();
        *self.inner.borrow_mut() = Some(inner);
        result
    }

    /// Whether the numbers of a value were let go of.
    #[inline]
    pub(super) fn is_released(&self, index: u32) -> bool {
        self.values.borrow()[index as usize].is_released()
    }

    /// What a sweep sums in; a sweep inside of this one gets its own.
    pub(crate) fn take_slots(&self) -> Slots<ValueSum<T>> {
        self.slots.take()
    }

    pub(crate) fn keep_slots(&self, slots: Slots<ValueSum<T>>) {
        self.slots.replace(slots);
    }

    /// Whether two values have the same shape.
    #[inline(always)]
    pub(crate) fn same_shape(&self, a: u32, b: u32) -> bool {
        let values = self.values.borrow();
        values[a as usize].same_shape(&values[b as usize])
    }

    /// Lets ops compute values that are no nodes, until the guard is dropped.
    pub(crate) fn sweeping(&self) -> Sweeping<'_, T> {
        let before = self.mode.replace(Mode::Sweeping);
        Sweeping { tape: self, before, nodes: self.graph.borrow().records.len() as u32 }
    }
}

/// A tape whose ops compute values for a rule; when it is dropped (a rule may panic), the tape is as before.
pub(crate) struct Sweeping<'t, T: Scalar> {
    tape: &'t Tape<T>,
    before: Mode,
    nodes: u32,
}

impl<'t, T: Scalar> Sweeping<'t, T> {
    /// A value that lasts until [`forget`](Sweeping::forget).
    #[inline]
    pub(crate) fn push(&self, value: Tensor<T>) -> Var<'t, T> {
        self.tape.push_value(value)
    }

    /// Whether a value is one of those that last until [`forget`](Sweeping::forget).
    #[inline]
    pub(crate) fn owns(&self, index: u32) -> bool {
        index >= self.nodes
    }

    /// Takes out a value that would be forgotten.
    #[inline]
    pub(crate) fn take(&self, index: u32) -> Tensor<T> {
        std::mem::replace(&mut self.tape.values.borrow_mut()[index as usize], Tensor::taken())
    }

    /// Forgets all values that are no nodes.
    #[inline]
    pub(crate) fn forget(&self) {
        self.tape.values.borrow_mut().truncate(self.nodes as usize);
    }
}

impl<T: Scalar> Drop for Sweeping<'_, T> {
    fn drop(&mut self) {
        self.forget();
        self.tape.mode.set(self.before);
    }
}
