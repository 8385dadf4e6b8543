//! Ops that stand around other ops: how tests make rules wrong on purpose.

use super::{OpBox, Tape};
use crate::checkpoint::Region;
use crate::{Op, Reads, Scalar, Site, Tensor, Term};

/// A hook for those who test checkers.
impl<T: Scalar> Tape<T> {
    /// Puts what `wrap` makes of the op of node `index` in its place: how rules are made wrong on purpose. Leaves and
    /// constants have no op and stay as they are.
    #[doc(hidden)]
    pub fn wrap_op<O: Op<T>>(&self, index: usize, wrap: impl FnOnce(Box<dyn Op<T>>) -> O) {
        let slot = &mut self.ops.borrow_mut()[index];
        if let Some(op) = slot.take() {
            let wrapped = wrap(Box::new(Unboxed(op)));
            self.graph.borrow_mut().records[index].hands_on = wrapped.hands_on();
            *slot = Some(smallbox::smallbox!(wrapped));
        }
    }
}

/// An op that was taken out of its node.
struct Unboxed<T: Scalar>(OpBox<T>);

impl<T: Scalar> Op<T> for Unboxed<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.0.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        self.0.vjp(input, at)
    }
    fn reads(&self) -> Reads {
        self.0.reads()
    }
    fn hands_on(&self) -> bool {
        self.0.hands_on()
    }
    fn region(&self) -> Option<&dyn Region<T>> {
        self.0.region()
    }
}
