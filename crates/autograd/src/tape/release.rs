//! Values that are not kept, and computed again for who asks.

use smallvec::SmallVec;

use super::{Inputs, Mode, Tape};
use crate::{Scalar, Var};

/// Letting go of values that no rule reads.
impl<T: Scalar> Tape<T> {
    /// Lets go of the values recorded since position `start` that no rule of theirs reads (see
    /// [`Op::reads`](crate::Op::reads)), but for those of `keep`, which later ops will read. The memory of a recurrent
    /// network is mostly such values: the pre-activations of its gates and the terms of its sums.
    ///
    /// Nothing else changes: who asks for such a value after all gets it, computed once more.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![0.5, -1.0], &[2]));
    /// let start = tape.len();
    /// let sum = x + x; // nobody's rule reads it: that of tanh reads its output
    /// let y = sum.tanh();
    /// tape.release_unread(start, &[y]);
    /// assert_eq!(sum.value().to_vec(), [1.0, -2.0]);
    /// ```
    pub fn release_unread(&self, start: usize, keep: &[Var<'_, T>]) {
        if self.mode.get() != Mode::Recording {
            return;
        }
        let graph = self.graph.borrow();
        let (records, edges) = (&graph.records, &graph.edges);
        let mut needed: SmallVec<[bool; 64]> = SmallVec::from_elem(false, records.len().saturating_sub(start));
        let mut need = |node: u32| {
            if let Some(slot) = (node as usize).checked_sub(start).and_then(|i| needed.get_mut(i)) {
                *slot = true;
            }
        };
        keep.iter().for_each(|v| need(v.id()));
        for (node, record) in records.iter().enumerate().skip(start) {
            if record.reads.reads_output() {
                need(node as u32);
            }
            if !record.reads.reads_inputs() {
                continue;
            }
            let inputs = &edges[record.first_edge as usize..][..record.arity as usize];
            for (k, &input) in inputs.iter().enumerate() {
                if record.reads.reads_input(k) {
                    need(input);
                }
            }
        }
        for (value, needed) in self.values.borrow_mut()[start..].iter_mut().zip(&needed) {
            if !needed {
                value.release();
            }
        }
    }

    /// How many values were computed again since the tape was made, because somebody asked for them after they had been let
    /// go of. If that is a rule, its op reads more than it says.
    pub fn recomputed(&self) -> usize {
        self.recomputed.get()
    }

    /// Computes a value again that was let go of, and what it needs for that.
    #[cold]
    pub(crate) fn restore(&self, index: u32) {
        let mut waiting = vec![index];
        while let Some(&node) = waiting.last() {
            let graph = self.graph.borrow();
            let before = waiting.len();
            if self.is_released(node) {
                waiting.extend(graph.inputs(node).iter().filter(|&&input| self.is_released(input)));
            }
            if waiting.len() > before {
                continue;
            }
            waiting.pop();
            if self.is_released(node) {
                let values = self.values.borrow();
                let inputs = graph.inputs(node).iter().map(|&i| &values[i as usize]).collect::<Inputs<'_, T>>();
                let value = self.with_op_found(node, |op| op.forward(&inputs));
                drop(inputs);
                drop(values);
                self.values.borrow_mut()[node as usize] = value;
                self.recomputed.set(self.recomputed.get() + 1);
            }
        }
    }
}
