//! One node taken to a tape of its own, so that its rule can be looked at without its neighbours.

use super::Tape;
use crate::{Scalar, Tensor, Var};

impl<T: Scalar> Tape<T> {
    /// Moves the op of node `index` of tape `from` to this one, behind new leaves that hold the values of its inputs. Returns
    /// the leaf of every input and the output; `None` if the node has no op. Inputs that are the same variable get one leaf if
    /// `shared`, and one each if not. [`return_op`](Tape::return_op) brings the op back.
    pub(crate) fn borrow_op<'t>(
        &'t self,
        from: &Tape<T>,
        index: usize,
        shared: bool,
    ) -> Option<(Vec<Var<'t, T>>, Var<'t, T>)> {
        let node = index as u32;
        let places: Vec<u32> = (0..from.arity(node)).map(|i| from.input_of(node, i)).collect();
        let values = places.iter().map(|&place| from.value_of(place)).collect::<Vec<_>>();
        let value = from.value_of(node);
        let op = from.ops.borrow_mut()[index].take()?;
        let mut inputs: Vec<Var<'t, T>> = Vec::with_capacity(places.len());
        for (i, value) in values.into_iter().enumerate() {
            let earlier = places[..i].iter().position(|&place| shared && place == places[i]);
            inputs.push(earlier.map_or_else(|| self.leaf(value), |earlier| inputs[earlier]));
        }
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
