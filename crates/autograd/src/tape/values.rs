//! The values of nodes: read, released where no rule reads them, and recomputed if one is read later.

use std::cell::Ref;
use std::collections::BTreeSet;

use super::{Mode, Tape, Var};
use crate::{Op, Scalar, Tensor};

impl<T: Scalar> Tape<T> {
    /// A value; if it was released, it still has its shape.
    #[inline(always)]
    pub(super) fn tensor(&self, index: u32) -> Ref<'_, Tensor<T>> {
        Ref::map(self.values.borrow(), |values| &values[index as usize])
    }

    /// The value of `op` at the values of `inputs`, each at the position `id`.
    #[inline(always)]
    pub(super) fn forward<O: Op<T> + ?Sized, I: Copy>(&self, op: &O, inputs: &[I], id: impl Fn(I) -> u32) -> Tensor<T> {
        let values = self.values.borrow();
        let value = |&input: &I| &values[id(input) as usize];
        match inputs {
            [x] => op.forward(&[value(x)]),
            [x, y] => op.forward(&[value(x), value(y)]),
            // A stack of time steps, say.
            _ => {
                let mut memory = self.inputs.take();
                let result = op.forward(memory.alloc_slice_fill_iter(inputs.iter().map(value)));
                memory.reset();
                self.inputs.set(memory);
                result
            }
        }
    }

    /// Releases the values recorded since position `start` that no rule reads (see [`Op::reads`](crate::Op::reads)),
    /// except those in `keep`, which later ops will read. The memory of a recurrent network is mostly such values: the
    /// pre-activations of its gates and the terms of its sums.
    ///
    /// Nothing else changes: a released value that is read later is recomputed.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![0.5, -1.0], &[2]));
    /// let start = tape.len();
    /// let sum = x + x; // no rule reads it: that of tanh reads its output
    /// let y = sum.tanh();
    /// tape.release_unread(start, &[y]);
    /// assert_eq!(sum.value().to_vec(), [1.0, -2.0]);
    /// assert_eq!(tape.recomputed(), 1);
    /// ```
    pub fn release_unread(&self, start: usize, keep: &[Var<'_, T>]) {
        if self.mode.get() != Mode::Recording {
            return;
        }
        let graph = self.graph.borrow();
        for (index, value) in self.values.borrow_mut().iter_mut().enumerate().skip(start) {
            let is_read = graph.node(index as u32).is_none_or(|node| node.is_read);
            if !is_read && keep.iter().all(|v| v.position() != index) {
                value.release();
            }
        }
    }

    /// How many released values were recomputed since the tape was made. If a rule reads such a value, its op reads
    /// more than [`Op::reads`](crate::Op::reads) says.
    pub fn recomputed(&self) -> usize {
        self.recomputed.get()
    }

    /// Recomputes a value if it was released.
    #[inline(always)]
    pub(crate) fn restore(&self, index: u32) {
        if self.tensor(index).is_released() {
            self.recompute(index);
        }
    }

    /// Recomputes a released value, and the released values that it depends on.
    #[cold]
    fn recompute(&self, index: u32) {
        let graph = self.graph.borrow();
        // Inputs precede the nodes that read them: from the last node down, each is found once.
        let (mut released, mut order) = (BTreeSet::from([index]), Vec::new());
        while let Some(node) = released.pop_last() {
            order.push(node);
            released.extend(graph.inputs(node).iter().filter(|&&input| self.tensor(input).is_released()));
        }
        for &node in order.iter().rev() {
            let op = graph.op(node).expect("a released value has an op");
            let value = self.forward(&**op, graph.inputs(node), |input| input);
            self.values.borrow_mut()[node as usize] = value;
        }
        self.recomputed.set(self.recomputed.get() + order.len());
    }
}
