//! The protocol of a recurrent cell: one time step from an input and a state to the next state.
//!
//! A cell is a struct of parameters and a `step` written with differentiable ops. Nobody writes a backward pass for it:
//! backpropagation through time is the tape of the unrolled steps, read backwards.

use rewind_autograd::{Scalar, Var};
use smallvec::SmallVec;

/// A recurrent cell on a tape.
///
/// Shapes: input `[B, I]`, every part of the state `[B, H]`; B sequences side by side, I features, H units.
///
/// ```
/// use rewind_autograd::{OnTape, Scalar, Tape, Tensor, Var, parameters};
/// use rewind_rnn::{Cell, unroll};
///
/// parameters! {
///     /// Minimal gated unit (Zhou et al. 2016). w_* `[I, H]`, u_* `[H, H]`.
///     pub struct Mgu<P> { w_f: P, u_f: P, w_n: P, u_n: P }
/// }
///
/// impl<'t, T: Scalar> Cell<'t, T> for Mgu<Var<'t, T>> {
///     type State = Var<'t, T>;
///     fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
///         let f = (x.matmul(self.w_f) + h.matmul(self.u_f)).sigmoid();
///         let n = (x.matmul(self.w_n) + (f * h).matmul(self.u_n)).tanh();
///         h + f * (n - h)
///     }
///     fn initial(&self, batch: usize) -> Var<'t, T> {
///         self.u_f.tape().zeros(&[batch, self.u_f.shape()[0]])
///     }
/// }
///
/// let filled = |shape: &[usize]| Tensor::<f32>::full(shape, 0.1);
/// let mgu = Mgu { w_f: filled(&[3, 5]), u_f: filled(&[5, 5]), w_n: filled(&[3, 5]), u_n: filled(&[5, 5]) };
/// let tape = Tape::new();
/// let x = tape.constant(filled(&[7, 2, 3])); // 7 time steps, 2 sequences, 3 features
/// let unrolled = unroll(&mgu.on(&tape), x);
/// assert_eq!(unrolled.outputs().shape().as_slice(), [7, 2, 5]);
/// ```
pub trait Cell<'t, T: Scalar> {
    /// What is carried from step to step: one [`Var`], or a struct of several.
    type State: State<'t, T>;

    /// The state after reading `x` `[B, I]` in state `state`.
    fn step(&self, x: Var<'t, T>, state: Self::State) -> Self::State;

    /// The state before the first time step, for `batch` sequences: zeros, or parameters that are learned.
    fn initial(&self, batch: usize) -> Self::State;
}

/// The state of a cell: one or more variables `[B, H]` that are carried through time.
///
/// Implemented for [`Var`], for pairs of states (two layers, two directions), and for vectors of states.
pub trait State<'t, T: Scalar>: Clone + 't {
    /// The part that the next layer and the read-out see: h.
    fn output(&self) -> Var<'t, T>;

    /// Every variable of the state with the one of `other` at the same place.
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self;
}

impl<'t, T: Scalar> State<'t, T> for Var<'t, T> {
    fn output(&self) -> Var<'t, T> {
        *self
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        f(self, other)
    }
}

/// Two states side by side; the output is that of the second.
impl<'t, T: Scalar, A: State<'t, T>, B: State<'t, T>> State<'t, T> for (A, B) {
    fn output(&self) -> Var<'t, T> {
        self.1.output()
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        (self.0.zip(other.0, f), self.1.zip(other.1, f))
    }
}

/// States of a stack of layers; the output is that of the last.
impl<'t, T: Scalar, S: State<'t, T>> State<'t, T> for Vec<S> {
    fn output(&self) -> Var<'t, T> {
        self.last().expect("a stack has a layer").output()
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        self.into_iter().zip(other).map(|(a, b)| a.zip(b, f)).collect()
    }
}

/// The first state of a part: the learned row `[H]` for every sequence, or zeros `[B, H]` beside `like` (a weight that
/// lives on the tape of the cell).
pub(crate) fn first_state<'t, T: Scalar>(
    learned: Option<Var<'t, T>>,
    like: Var<'t, T>,
    batch: usize,
    hidden: usize,
) -> Var<'t, T> {
    match learned {
        Some(row) => row.broadcast_to(&[batch, hidden]),
        None => like.tape().zeros(&[batch, hidden]),
    }
}

/// The variables of a state, in order.
pub(crate) fn parts<'t, T: Scalar, S: State<'t, T>>(state: &S) -> SmallVec<[Var<'t, T>; 8]> {
    let mut parts = SmallVec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part);
        part
    });
    parts
}
