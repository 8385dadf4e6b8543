//! First order: what rules compute is discarded after every node, and terms are added in place.

use std::cell::RefCell;

use super::{Sweep, sweep};
use crate::checkpoint::Checkpoint;
use crate::op::TermKind;
use crate::sums::{Sum, Sums};
use crate::tape::{Scratch, Var};
use crate::{Scalar, Tensor};

/// Gets every complete cotangent, with the position of its node.
pub(crate) type Watch<'w, T> = &'w mut dyn FnMut(u32, &Tensor<T>);

#[derive(Clone, Copy)]
pub(super) struct FirstOrder<'s, 't, 'w, T: Scalar> {
    pub(super) scratch: &'s Scratch<'t, T>,
    pub(super) watch: Option<&'s RefCell<Watch<'w, T>>>,
}

impl<'t, T: Scalar> Sweep<'t, T> for FirstOrder<'_, 't, '_, T> {
    type Total = Tensor<T>;
    type Sum = Sum<T>;

    fn seed(self, sum: &mut Sum<T>, total: Tensor<T>) {
        sum.add_dense(total);
    }

    /// A value that a sum stores is moved out of the rule's values, not shared, so that sums add in place.
    #[inline]
    fn add(self, sum: &mut Sum<T>, term: TermKind<Var<'t, T>>, input: Var<'t, T>) {
        match term {
            TermKind::Zero => {}
            TermKind::Dense(g) if sum.would_store() => sum.add_dense(self.scratch.take(g)),
            TermKind::Dense(g) => g.with_value(|g| sum.add_to_block(g)),
            TermKind::Summed(g) => g.with_value(|g| input.with_shape(|shape| sum.add_summed(g, shape))),
            TermKind::Product(x, g) => sum.add_product(x.value(), self.scratch.take(g)), // x and g may be one variable
            TermKind::Slice { part, axis, start } => {
                part.with_value(|part| input.with_shape(|shape| sum.add_slice(part, (axis, start), shape)));
            }
        }
    }

    #[inline]
    fn show(self, sum: &mut Sum<T>, node: Var<'t, T>) {
        if let Some(watch) = self.watch {
            let total = self.finish(sum, node);
            (watch.borrow_mut())(node.id(), &total);
            sum.add_dense(total);
        }
    }

    #[inline]
    fn finish(self, sum: &mut Sum<T>, node: Var<'t, T>) -> Tensor<T> {
        node.with_shape(|shape| sum.finish(shape))
    }

    #[inline]
    fn variable(self, total: Tensor<T>) -> Var<'t, T> {
        self.scratch.begin(total)
    }

    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        total: Tensor<T>,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut Sums<Sum<T>>,
    ) {
        checkpoint.replay_values(inputs, sums, |y, sums| {
            let scratch = Scratch::on(y.tape());
            sweep(FirstOrder { scratch: &scratch, watch: None }, y, total, None, sums);
        });
    }
}
