//! First order: what rules compute is forgotten after every node, and terms are added in place.

use std::cell::RefCell;

use super::{Sweep, Wanted, sweep};
use crate::checkpoint::Checkpoint;
use crate::sums::{Kind, Sum, Sums};
use crate::tape::{Scratch, Var};
use crate::{Scalar, Tensor};

/// Is shown every complete cotangent.
pub(crate) type Watch<'w, T> = &'w mut dyn FnMut(u32, &Tensor<T>);

pub(super) struct Values<'s, 't, 'w, T: Scalar> {
    pub(super) scratch: &'s Scratch<'t, T>,
    pub(super) watch: Option<&'s RefCell<Watch<'w, T>>>,
}

impl<T: Scalar> Clone for Values<'_, '_, '_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar> Copy for Values<'_, '_, '_, T> {}

impl<'t, T: Scalar> Sweep<'t, T> for Values<'_, 't, '_, T> {
    type Total = Tensor<T>;
    type Sum = Sum<T>;

    fn seed(self, sum: &mut Sum<T>, total: Tensor<T>) {
        sum.add_dense(total);
    }

    /// What a rule has computed is moved out, not shared: so sums own their elements and add in place.
    #[inline]
    fn add(self, sum: &mut Sum<T>, term: Kind<Var<'t, T>>, input: Var<'t, T>) {
        let take = |v| self.scratch.take(v);
        let term = match term {
            Kind::Zero => return,
            Kind::Dense(g) => return sum.add_dense(take(g)),
            Kind::Summed(g) => Kind::Summed(take(g)),
            Kind::Product(x, g) => Kind::Product(x.value(), take(g)), // x and g may be one variable
            Kind::Slice { part, axis, start } => Kind::Slice { part: take(part), axis, start },
        };
        input.with_shape(|shape| sum.add(term, shape));
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
            let scratch = y.tape().scratch();
            sweep(Values { scratch: &scratch, watch: None }, y, total, Wanted::Leaves, sums);
        });
    }
}
