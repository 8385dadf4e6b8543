//! One node taken to a tape of its own, so that its rule can be looked at without its neighbours.

use super::Tape;
use crate::{Scalar, Tensor, Var};

impl<T: Scalar> Tape<T> {
    /// Moves the op of node `index` of tape `from` to this one, behind new leaves that hold the values of its inputs. Returns
    /// the leaves and the output; `None` if the node has no op. [`return_op`](Tape::return_op) brings it back.
    pub(crate) fn borrow_op<'t>(&'t self, from: &Tape<T>, index: usize) -> Option<(Vec<Var<'t, T>>, Var<'t, T>)> {
        let node = index as u32;
        let inputs = (0..from.arity(node)).map(|i| from.value_of(from.input_of(node, i))).collect::<Vec<_>>();
        let value = from.value_of(node);
        let op = from.ops.borrow_mut()[index].take()?;
        let inputs: Vec<_> = inputs.into_iter().map(|value| self.leaf(value)).collect();
        let output = self.push(value, Some(op), &inputs, true);
        Some((inputs, output))
    }

    /// Gives the op of `output` back to node `index` of the tape that it was borrowed from.
    pub(crate) fn return_op(&self, output: Var<'_, T>, to: &Tape<T>, index: usize) {
        to.ops.borrow_mut()[index] = self.ops.borrow_mut()[output.position()].take();
    }

    /// Whether the op of node `index` runs a region again.
    pub(crate) fn has_region(&self, index: usize) -> bool {
        self.ops()[index].as_ref().is_some_and(|op| op.region().is_some())
    }

    /// Calls `f` with the result of the region that node `index` runs again, on a tape of its own that begins with `inputs` as
    /// leaves; `None` if the node has no region.
    pub(crate) fn with_region<R>(
        &self,
        index: u32,
        inputs: &[Tensor<T>],
        f: impl FnOnce(&Tape<T>, Var<'_, T>) -> R,
    ) -> Option<R> {
        let ops = self.ops();
        let region = ops[index as usize].as_ref()?.region()?;
        let alone = Tape::new();
        let inputs: Vec<_> = inputs.iter().map(|x| alone.leaf(x.clone())).collect();
        Some(f(&alone, region.run(&alone, &inputs)))
    }

    /// Puts another value in the place of a variable's.
    pub(crate) fn set_value(&self, of: Var<'_, T>, value: Tensor<T>) {
        self.values.borrow_mut()[of.position()] = value;
    }
}
