//! The protocol of layers: what maps a sequence to a sequence.

use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tensor, Var};

use super::{Unroll, Unrolled};
use crate::cell::{Cell, State, parts};
use crate::sizes::{check_input, check_lengths, check_width, name_of};
use crate::transparent;

/// What maps a sequence `[T, B, I]` to a sequence `[T, B, H]`, on a tape.
///
/// A cell unrolled in time is one: [`Recurrent`]. So are [`Linear`](crate::Linear), [`Dropout`](crate::Dropout),
/// [`LayerNorm`](crate::LayerNorm) and [`Bidirectional`](crate::Bidirectional), and stacks of layers: a tuple of unlike ones or a vector of
/// like ones. They nest. [`Unroll::through`] runs a layer; yours is written as the built-in ones are:
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Scalar, Tape, Var, parameters};
/// use rewind_rnn::{Gru, Layer, LayerOutputs, Lstm, Recurrent, Unroll};
///
/// parameters! {
///     /// A highway connection (Srivastava et al. 2015): g ∘ layer(x) + (1 - g) ∘ x with g = sigmoid(x·weight).
///     pub struct Highway<P, L> { layer: L, weight: P }
/// }
///
/// impl<'t, T: Scalar, L: Layer<'t, T>> Layer<'t, T> for Highway<Var<'t, T>, L> {
///     type State = L::State;
///     fn initial_state(&self, batch: usize) -> L::State {
///         self.layer.initial_state(batch)
///     }
///     fn forward(&self, x: Var<'t, T>, state: L::State, how: Unroll<'_>) -> LayerOutputs<'t, T, L::State> {
///         let within = self.layer.forward(x, state, how);
///         let g = x.affine(self.weight, None).sigmoid();
///         within.map(|y| x + g * (y - x))
///     }
/// }
///
/// let rng = &mut StdRng::seed_from_u64(1);
/// let gru = Recurrent(Gru::new(3, 3, rng));
/// let weight = rewind_rnn::init::xavier_uniform(&[3, 3], rng);
/// let network = (Highway { layer: gru, weight }, Recurrent(Lstm::new(3, 5, rng)));
/// let tape = Tape::<f32>::new();
/// let run = Unroll::new().lengths(&[7, 4]).through(&network.on(&tape), tape.zeros(&[7, 2, 3]));
/// assert_eq!(run.outputs.shape().as_slice(), [7, 2, 5]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer on a tape",
    label = "maps no sequence to a sequence",
    note = "a cell becomes a layer by `Recurrent(cell)`; a module of tensors is put on a tape with `layer.on(&tape)`"
)]
pub trait Layer<'t, T: Scalar> {
    /// What is carried through time; `()` if nothing is.
    type State: State<'t, T>;

    /// The state before the first time step, for `batch` sequences.
    fn initial_state(&self, batch: usize) -> Self::State;

    /// The outputs for the sequence `x` `[T, B, I]`, from `state`. `how` has the lengths of the sequences, the direction in time and the
    /// noise of the pass; a layer passes it to those within, the noise in [parts](Unroll::part).
    ///
    /// The contract, which [`check::layer`](crate::check::layer) checks:
    /// - `x` is 0 after the end of each sequence, and so must the outputs be: [`Unroll::masked`] sees to it.
    /// - A sequence has the outputs and the last state in a padded batch that it has alone. Its last state is that at its own end.
    /// - Backward in time, a layer does to every sequence what it does forward to the reversed one: [`Unroll::in_order`] sees to it.
    /// - If the layer [is causal](Layer::is_causal), the output at a time step depends on no later input, and a run over the rest of the
    ///   sequences from the last state of a run over their first steps gives the rest of the outputs.
    /// - Masks of dropout are those of the time step: drawn from [`Unroll::pass_noise`] at [`Unroll::first_step`] + t.
    fn forward(&self, x: Var<'t, T>, state: Self::State, how: Unroll<'_>) -> LayerOutputs<'t, T, Self::State>;

    /// The number I of features that it reads, if it declares it. Then an input of another width is refused with the names of both layers;
    /// with `None`, the default, an op within the layer refuses it.
    fn input_width(&self) -> Option<usize> {
        None
    }

    /// Whether the output at a time step depends on the state and the inputs up to that step alone. Otherwise the layer can run neither
    /// step by step nor in segments. By default `true`: a layer that reads later steps, or cannot go on from its last state, must say
    /// `false`, and a layer around another asks that one.
    fn is_causal(&self) -> bool {
        true
    }
}

/// A module of tensors that is a [`Layer`] on every tape: the bound for code that is generic in a layer, as
/// [`RecurrentModule`](crate::RecurrentModule) is for cells.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::{Gru, LayerModule, Linear, Recurrent, Unroll};
///
/// /// The outputs of a trained network.
/// fn predict<M: LayerModule<f32>>(network: &M, x: &Tensor<f32>, lengths: &[usize]) -> Tensor<f32> {
///     let tape = Tape::quiet();
///     Unroll::new().lengths(lengths).through(&network.on(&tape), tape.constant(x.clone())).outputs.value()
/// }
///
/// let rng = &mut StdRng::seed_from_u64(1);
/// let network = (Recurrent(Gru::new(3, 5, rng)), Linear::new(5, 2, rng));
/// assert_eq!(predict(&network, &Tensor::zeros(&[7, 2, 3]), &[7, 4]).shape(), [7, 2, 2]);
/// ```
pub trait LayerModule<T: Scalar>:
    Module<T> + OnTape<T> + for<'t> Parameters<Tensor<T>, With<Var<'t, T>>: Layer<'t, T>> + Clone + Send + Sync + 'static
{
}

impl<T: Scalar, M> LayerModule<T> for M
where
    M: Module<T> + Clone + Send + Sync + 'static,
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
}

/// The outputs of a layer for a sequence.
#[derive(Clone, Debug)]
pub struct LayerOutputs<'t, T: Scalar, S> {
    /// The output at each time step, `[T, B, H]`; 0 after the end of a sequence.
    pub outputs: Var<'t, T>,
    /// The state after the last step of each sequence (after its first, backward in time): of a stack, a tuple or vector of those of its
    /// layers.
    pub last: S,
    /// The outputs of the layers within, the lowest first; the last is `outputs`.
    pub layers: Vec<Var<'t, T>>,
}

impl<'t, T: Scalar, S> LayerOutputs<'t, T, S> {
    /// The outputs and the last state of a layer that has no layers within.
    pub fn new(outputs: Var<'t, T>, last: S) -> Self {
        LayerOutputs { outputs, last, layers: vec![outputs] }
    }

    /// The same with `f` of the outputs, for a layer around another.
    pub fn map(mut self, f: impl FnOnce(Var<'t, T>) -> Var<'t, T>) -> Self {
        self.outputs = f(self.outputs);
        self.layers.push(self.outputs);
        self
    }
}

transparent! {
    /// A cell as a layer: unrolled over the sequence. The parameters are those of the cell, under the same names.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Gru, Recurrent, Unroll, unroll};
    ///
    /// let gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let (cell, x) = (gru.on(&tape), tape.zeros(&[7, 2, 3]));
    /// let run = Unroll::new().through(&Recurrent(cell.clone()), x);
    /// assert_eq!(run.outputs.value(), unroll(&cell, x).outputs().value());
    /// ```
    #[derive(PartialEq)]
    pub struct Recurrent<C>(pub C);
}

impl<'t, T: Scalar, C: Cell<'t, T>> Layer<'t, T> for Recurrent<C> {
    type State = C::State;

    #[track_caller]
    fn initial_state(&self, batch: usize) -> C::State {
        self.0.initial(batch)
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, state: C::State, how: Unroll<'_>) -> LayerOutputs<'t, T, C::State> {
        let unrolled: Unrolled<'t, T, C::State> = how.run_from(&self.0, x, state);
        let outputs = unrolled.outputs();
        LayerOutputs::new(outputs, unrolled.last)
    }

    #[track_caller]
    fn input_width(&self) -> Option<usize> {
        self.0.features()
    }
}

impl Unroll<'_> {
    /// Runs a layer over `x` `[T, B, I]`, from its own first state.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Dropout, Gru, Linear, Lstm, Noise, Recurrent, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let network = (Recurrent(Lstm::new(3, 5, rng)), Dropout::new(0.2), Recurrent(Gru::new(5, 4, rng)), Linear::new(4, 2, rng));
    /// let tape = Tape::<f32>::new();
    /// let on_tape = network.on(&tape);
    /// let how = Unroll::new().lengths(&[7, 4]).noise(Noise::draw(rng)); // without noise, dropout is off
    /// let run = how.through(&on_tape, tape.zeros(&[7, 2, 3]));
    /// assert_eq!(run.outputs.shape().as_slice(), [7, 2, 2]);
    /// assert_eq!(run.last.0.cell.shape().as_slice(), [2, 5]); // of the LSTM
    /// assert_eq!(run.layers.len(), 4);
    /// let next = how.through_from(&on_tape, tape.zeros(&[7, 2, 3]), run.last); // goes on
    /// assert_eq!(next.outputs.shape(), run.outputs.shape());
    /// ```
    ///
    /// # Panics
    /// - If `x` does not have three axes, there is no time step, or the lengths are not one for each sequence, from 1 to T.
    /// - If a layer reads another number of features than the one before it gives; both are named.
    /// - As [`run`](Unroll::run), for every cell.
    #[track_caller]
    pub fn through<'t, T: Scalar, L: Layer<'t, T>>(self, layer: &L, x: Var<'t, T>) -> LayerOutputs<'t, T, L::State> {
        let [_, batch, _] = check_input(x);
        self.through_from(layer, x, layer.initial_state(batch))
    }

    /// Runs a layer over `x` `[T, B, I]`, from `state`: the last state of an earlier run, say.
    ///
    /// # Panics
    /// As [`through`](Unroll::through).
    #[track_caller]
    pub fn through_from<'t, T: Scalar, L: Layer<'t, T>>(
        self,
        layer: &L,
        x: Var<'t, T>,
        state: L::State,
    ) -> LayerOutputs<'t, T, L::State> {
        let [steps, batch, width] = check_input(x);
        if let Some(lengths) = self.lengths.filter(|_| !self.is_segment) {
            check_lengths(lengths, steps, batch);
        }
        check_width(layer.input_width(), width, name_of::<L>(), "x");
        if parts(&state).iter().any(|part| !std::ptr::eq(part.tape(), x.tape())) {
            panic!("through: {} or its first state lives on another tape than x", name_of::<L>());
        }
        layer.forward(self.masked(x), state, self)
    }
}
