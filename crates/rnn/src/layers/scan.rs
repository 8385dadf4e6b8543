//! Cells that are linear in their state as layers: all time steps in one op.

use rewind_autograd::{Scalar, Var};

use super::linear_recurrent::{LinearRecurrence, run, visible};
use crate::sizes::{check_rows, name_of};
use crate::time::{Layer, LayerOutputs, Unroll};
use crate::transparent;

transparent! {
    /// A cell that is linear in its state ([`LinearRecurrence`]) as a layer that computes all time steps at once. The outputs are those of
    /// [`Recurrent`](crate::Recurrent) over the same cell, up to rounding, in a number of nodes that does not depend on T. The parameters
    /// are those of the cell, under the same names.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Linear, MinGru, Scan, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let network = (Scan(MinGru::new(3, 5, rng)), Scan(MinGru::new(5, 5, rng)), Linear::new(5, 2, rng));
    /// let tape = Tape::<f32>::new();
    /// let run = Unroll::new().lengths(&[1000, 700]).through(&network.on(&tape), tape.zeros(&[1000, 2, 3]));
    /// assert_eq!(run.outputs.shape().as_slice(), [1000, 2, 2]);
    /// ```
    #[derive(PartialEq)]
    pub struct Scan<C>(pub C);
}

impl<'t, T: Scalar, C: LinearRecurrence<'t, T>> Layer<'t, T> for Scan<C> {
    type State = Var<'t, T>;

    #[track_caller]
    fn initial_state(&self, batch: usize) -> Var<'t, T> {
        self.0.initial(batch)
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, state: Var<'t, T>, how: Unroll<'_>) -> LayerOutputs<'t, T, Var<'t, T>> {
        // Backward in time the padding comes first, and leaves the first state as it is.
        let in_order = |v: Var<'t, T>| if how.backward { v.flip(0) } else { v };
        let mask = how.mask(x).map(in_order);
        let coefficients = self.0.coefficients(visible(mask, in_order(x)));
        check_first(name_of::<C>, state, x, coefficients[1]);
        let (outputs, last) = run(mask, coefficients, state);
        LayerOutputs::new(in_order(outputs), last)
    }

    #[track_caller]
    fn input_width(&self) -> Option<usize> {
        self.0.features()
    }
}

/// Panics at the caller's line unless the first state is `[B, H]`, for x `[T, B, I]` and b `[T, B, H]`.
#[track_caller]
fn check_first<'t, T: Scalar>(name: fn() -> &'static str, first: Var<'t, T>, x: Var<'t, T>, b: Var<'t, T>) {
    check_rows(|| format!("unroll: {}", name()), &first, x);
    let (shape, of_b) = (first.shape(), b.shape());
    if shape[..] != of_b[1..] {
        let (name, expected) = (name(), &of_b[1..]);
        panic!("unroll: {name} starts from part `h` of the state as {:?}; expected {expected:?}", shape.as_slice());
    }
}
