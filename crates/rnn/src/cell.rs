//! The traits of a recurrent cell: one time step from an input and a state to the next state.
//!
//! A cell is a struct of parameters and a `step` written in differentiable ops. It needs no backward pass: backpropagation
//! through time is the reverse pass over the unrolled steps.

use rewind_autograd::{Module, Parameters, Scalar, Tensor, Var};
use smallvec::SmallVec;

use crate::noise::Noise;

/// A recurrent cell on a tape.
///
/// Shapes: input `[B, I]`, every part of the state `[B, H]` or `[B, …]` (a matrix for each sequence, for example); B sequences, I
/// features, H units. A step keeps the shape of every part: [`unroll`](crate::unroll) rejects a step that changes one, which
/// broadcasting would otherwise hide.
///
/// In a cell that is generic in `T`, a constant is made by [`Scalar::from_f64`] and is the right operand: `h * T::from_f64(0.5)`.
/// (`0.5 * h` compiles for `f32` and `f64`, but Rust cannot express it for every `T`.) `1 - z` is [`one_minus`](Var::one_minus).
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no cell on a tape",
    label = "has no time step",
    note = "a cell is implemented for its struct of variables, `impl<'t, T: Scalar> Cell<'t, T> for Mgu<Var<'t, T>>`; one of tensors is put on a tape with `cell.on(&tape)`"
)]
pub trait Cell<'t, T: Scalar> {
    /// The state that is carried from step to step: one [`Var`], or a struct of several.
    type State: State<'t, T>;

    /// The next state, from the input `x` `[B, I]` and the state before it.
    fn step(&self, x: Var<'t, T>, state: Self::State) -> Self::State;

    /// The state before the first time step, for `batch` sequences: zeros, or learned parameters.
    fn initial(&self, batch: usize) -> Self::State;

    /// The number I of features that a step reads, if the cell declares it: the length of the first axis of the weight that
    /// multiplies x. Then [`unroll`](crate::unroll) rejects an x of another width at its caller's line and names the cell; otherwise
    /// the product within the step does.
    fn features(&self) -> Option<usize> {
        None
    }

    /// [`step`](Cell::step) without checks of shapes; by default `step` itself. [`unroll`](crate::unroll) calls it from the second step
    /// on: the first `step` has checked the parameters and the shapes of `x` and of the state, which are the same in all steps.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Cell, Gru};
    ///
    /// let gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let (cell, x) = (gru.on(&tape), tape.zeros(&[2, 3]));
    /// let h = cell.initial(2);
    /// assert_eq!(cell.equations(x, h).value(), cell.step(x, h).value());
    /// ```
    #[track_caller]
    fn equations(&self, x: Var<'t, T>, state: Self::State) -> Self::State {
        self.step(x, state)
    }

    /// A step of training with noise. A wrapper with randomness, such as zoneout, draws its masks from `noise`, which is that of this
    /// time step, and gives the cell within the noise of a [part](Noise::part). Other cells ignore it.
    #[track_caller]
    fn noisy_step(&self, x: Var<'t, T>, state: Self::State, _noise: Noise) -> Self::State {
        self.step(x, state)
    }
}

/// A cell whose state moves towards a candidate as far as a gate lets it: c' = f ∘ c + i ∘ g in an LSTM with the candidate g,
/// h' = z ∘ h + (1 - z) ∘ n in a GRU with the candidate n. [`CandidateDropout`](crate::CandidateDropout) masks it and leaves what the
/// cell remembers alone. Implemented by the LSTMs, [`Gru`](crate::Gru) and [`Mgu`](crate::Mgu), and by cells of your own:
///
/// ```
/// use rewind_autograd::{OnTape, Scalar, Tape, Tensor, Var, parameters};
/// use rewind_rnn::{CandidateDropout, Cell, GatedCell, Noise, Unroll};
///
/// parameters! {
///     /// h' = h + f ∘ (n - h) with f = sigmoid(x·W_f) and n = tanh(x·W_n). w_* `[I, H]`.
///     struct Simple<P> { w_f: P, w_n: P }
/// }
///
/// impl<'t, T: Scalar> GatedCell<'t, T> for Simple<Var<'t, T>> {
///     fn step_with_candidate(
///         &self,
///         x: Var<'t, T>,
///         h: Var<'t, T>,
///         change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
///     ) -> Var<'t, T> {
///         let n = change(x.matmul(self.w_n).tanh());
///         h + x.matmul(self.w_f).sigmoid() * (n - h)
///     }
/// }
///
/// impl<'t, T: Scalar> Cell<'t, T> for Simple<Var<'t, T>> {
///     type State = Var<'t, T>;
///     fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
///         self.step_with_candidate(x, h, |n| n)
///     }
///     fn initial(&self, batch: usize) -> Var<'t, T> {
///         self.w_f.tape().zeros(&[batch, self.w_f.shape()[1]])
///     }
/// }
///
/// let filled = || Tensor::<f32>::full(&[3, 5], 0.1);
/// let cell = CandidateDropout::new(Simple { w_f: filled(), w_n: filled() }, 0.25);
/// let tape = Tape::new();
/// let unrolled = Unroll::new().noise(Noise::new(1)).run(&cell.on(&tape), tape.constant(Tensor::full(&[7, 2, 3], 1.0)));
/// assert_eq!(unrolled.outputs().shape().as_slice(), [7, 2, 5]);
/// ```
pub trait GatedCell<'t, T: Scalar>: Cell<'t, T> {
    /// [`step`](Cell::step) with `change` of the candidate in its place. The shape stays `[B, H]`, and with the identity the step is
    /// that of the cell.
    fn step_with_candidate(
        &self,
        x: Var<'t, T>,
        state: Self::State,
        change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
    ) -> Self::State;
}

/// A module of tensors that is a [`Cell`] on every tape: the bound for code that is generic in a cell. Every cell that is defined
/// with `parameters!` implements it.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{Parameters, Scalar, Tensor};
/// use rewind_rnn::{Gru, RecurrentModule, Shards, unroll};
///
/// /// One step of gradient descent on Σ h², the batch in shards.
/// fn shrink<T: Scalar, C: RecurrentModule<T>>(cell: C, shards: &Shards<T>, batch: &[Tensor<T>]) -> C {
///     let step = shards.gradients(&cell, batch, |tape, cell, x| {
///         let outputs = unroll(cell, tape.constant(x.clone())).outputs();
///         (outputs * outputs).sum() * T::from_f64(0.5)
///     });
///     cell.zip(&step.gradients, |_name, p, g| p.zip(g, |p, g| p - T::from_f64(0.1) * g))
/// }
///
/// let gru = Gru::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1));
/// let shards = Shards::new(2).expect("threads can be started");
/// let batch = [Tensor::full(&[7, 2, 3], 0.5), Tensor::full(&[7, 1, 3], -0.5)];
/// let shrunk: Gru<_> = shrink(gru, &shards, &batch);
/// assert_eq!(shrunk.weight_hn.shape(), [5, 5]);
/// ```
pub trait RecurrentModule<T: Scalar>:
    Module<T> + for<'t> Parameters<Tensor<T>, With<Var<'t, T>>: Cell<'t, T>> + Clone + Send + Sync + 'static
{
}

impl<T: Scalar, M> RecurrentModule<T> for M
where
    M: Module<T> + Clone + Send + Sync + 'static,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
}

/// The state of a cell: one or more variables `[B, H]`, or `[B, …]`, that are carried through time.
///
/// Implemented for [`Var`], for tuples of states (unlike layers, two directions), and for vectors of states (like layers).
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::State;
///
/// let tape = Tape::new();
/// let h = |value: f64| tape.constant(Tensor::full(&[2, 3], value)); // B = 2, H = 3
/// let state = (h(1.0), h(2.0)); // two layers
/// assert_eq!(state.output().value(), state.1.value()); // the output is that of the last layer
/// let sum = state.zip((h(10.0), h(20.0)), &mut |a, b| a + b);
/// assert_eq!(sum.1.value(), Tensor::full(&[2, 3], 22.0));
/// assert_eq!(sum.part_names(), ["0.h", "1.h"]);
/// ```
///
/// A state (h, c) is a struct, since the output of a pair is its second part:
///
/// ```
/// use rewind_autograd::{Scalar, Var};
/// use rewind_rnn::State;
///
/// #[derive(Clone, Copy)]
/// struct HiddenAndCell<'t, T: Scalar> { h: Var<'t, T>, c: Var<'t, T> }
///
/// impl<'t, T: Scalar> State<'t, T> for HiddenAndCell<'t, T> {
///     fn output(&self) -> Var<'t, T> {
///         self.h
///     }
///     fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
///         HiddenAndCell { h: f(self.h, other.h), c: f(self.c, other.c) } // every variable, or padding would not reach it
///     }
/// }
/// ```
pub trait State<'t, T: Scalar>: Clone + 't {
    /// The part that the next layer and the readout read: h.
    fn output(&self) -> Var<'t, T>;

    /// Applies `f` to every variable of the state and the corresponding one of `other`.
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self;

    /// The names of the variables in messages, in the order of [`zip`](State::zip), such as `hidden` and `cell`. By default
    /// they are numbered from 0.
    fn part_names(&self) -> Vec<String> {
        (0..parts(self).len()).map(|part| part.to_string()).collect()
    }

    /// Whether parts are in a unit that another part holds and that changes from step to step, as the c of an sLSTM is in units of e^m.
    /// Such a part has no meaning beside one of another step, so [`Zoneout`](crate::Zoneout) does not mix them. By default false.
    fn has_units(&self) -> bool {
        false
    }
}

impl<'t, T: Scalar> State<'t, T> for Var<'t, T> {
    fn output(&self) -> Var<'t, T> {
        *self
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        f(self, other)
    }
    fn part_names(&self) -> Vec<String> {
        vec!["h".to_owned()]
    }
}

/// The state of a layer that carries nothing through time.
///
/// # Panics
/// [`output`](State::output): there is none.
impl<'t, T: Scalar> State<'t, T> for () {
    #[track_caller]
    fn output(&self) -> Var<'t, T> {
        panic!("State: a layer that carries nothing through time has no output in its state")
    }
    fn zip(self, (): Self, _f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {}
}

/// Tuples of states; the output is that of the last.
macro_rules! tuples_of_states {
    ($($($k:tt $state:ident),+ => $last:tt;)+) => {$(
        impl<'t, T: Scalar, $($state: State<'t, T>),+> State<'t, T> for ($($state,)+) {
            fn output(&self) -> Var<'t, T> {
                self.$last.output()
            }
            fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
                ($(self.$k.zip(other.$k, f),)+)
            }
            fn part_names(&self) -> Vec<String> {
                [$(within($k, &self.$k)),+].concat()
            }
            fn has_units(&self) -> bool {
                $(self.$k.has_units())||+
            }
        }
    )+};
}

tuples_of_states! {
    0 A, 1 B => 1;
    0 A, 1 B, 2 C => 2;
    0 A, 1 B, 2 C, 3 D => 3;
    0 A, 1 B, 2 C, 3 D, 4 E => 4;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F => 5;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G => 6;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H => 7;
}

/// States of a stack of layers; the output is that of the last.
///
/// # Panics
/// [`zip`](State::zip), if the stacks are not equally deep.
impl<'t, T: Scalar, S: State<'t, T>> State<'t, T> for Vec<S> {
    fn output(&self) -> Var<'t, T> {
        self.last().expect("a stack has a layer").output()
    }
    #[track_caller]
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        if self.len() != other.len() {
            panic!("State: stacks of {} and of {} states do not pair up", self.len(), other.len());
        }
        self.into_iter().zip(other).map(|(a, b)| a.zip(b, f)).collect()
    }
    fn part_names(&self) -> Vec<String> {
        self.iter().enumerate().flat_map(|(layer, state)| within(layer, state)).collect()
    }
    fn has_units(&self) -> bool {
        self.iter().any(S::has_units)
    }
}

/// The names of the variables of a state that is part `number` of another.
fn within<'t, T: Scalar>(number: usize, state: &impl State<'t, T>) -> Vec<String> {
    state.part_names().into_iter().map(|name| format!("{number}.{name}")).collect()
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

/// The state with these variables in the place of those of `blank`, in order.
///
/// # Panics
/// If they are fewer.
pub(crate) fn with_parts<'t, T: Scalar, S: State<'t, T>>(blank: S, parts: &[Var<'t, T>]) -> S {
    let mut parts = parts.iter();
    blank.clone().zip(blank, &mut |_, _| *parts.next().expect("a variable for each part of the state"))
}
