//! Cells that are linear in their state as layers: all time steps in one op.

use rewind_autograd::parameters::Path;
use rewind_autograd::{Parameters, Scalar, Var};

use super::linear_recurrent::{LinearRecurrence, run};
use crate::time::{Layer, LayerOutputs, Unroll};

/// A cell that is linear in its state ([`LinearRecurrence`]) as a layer that computes all time steps at once. The outputs are those of [`Recurrent`](crate::Recurrent) over the same cell, up to rounding, in a number of nodes
/// that does not depend on T.
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
#[derive(Clone, Debug, PartialEq)]
pub struct Scan<C>(pub C);

/// The parameters are those of the cell, under the same names.
impl<P, C: Parameters<P>> Parameters<P> for Scan<C> {
    type With<Q> = Scan<C::With<Q>>;

    fn visit_mut_at(&mut self, path: &mut Path, f: &mut dyn FnMut(&str, &mut P)) {
        self.0.visit_mut_at(path, f);
    }

    fn map_at<'a, Q>(&'a self, path: &mut Path, f: &mut dyn FnMut(&str, &'a P) -> Q) -> Self::With<Q> {
        Scan(self.0.map_at(path, f))
    }
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
        let (outputs, last) = run(in_order(x), mask, state, |x| self.0.coefficients(x));
        LayerOutputs::new(in_order(outputs), last)
    }

    #[track_caller]
    fn input_width(&self) -> Option<usize> {
        self.0.features()
    }
}
