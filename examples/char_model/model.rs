//! The model: a table of character vectors, a recurrent cell, and a readout.

use rand::Rng;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_examples::{AnyCell, CellKind};
use rewind_rnn::{Dropout, Layer, LayerOutputs, Linear, Recurrent, RecurrentDropout, Unroll, init};

parameters! {
    /// A vector for each character: x `[T, B, 1]` holds their places, the outputs are `[T, B, E]`.
    pub(crate) struct Embedding<P> {
        /// `[C, E]`.
        weight: P,
    }
}

impl<'t> Layer<'t, f32> for Embedding<Var<'t, f32>> {
    type State = ();

    fn initial_state(&self, _batch: usize) {}

    fn forward(&self, x: Var<'t, f32>, (): (), _how: Unroll<'_>) -> LayerOutputs<'t, f32, ()> {
        let (steps, batch, width) = (x.shape()[0], x.shape()[1], self.weight.shape()[1]);
        // Places are whole numbers below 2²⁴, which an f32 holds exactly.
        let places: Vec<usize> = x.value().to_vec().into_iter().map(|place| place as usize).collect();
        LayerOutputs::new(self.weight.index_select(0, &places).reshape(&[steps, batch, width]), ())
    }

    fn input_width(&self) -> Option<usize> {
        Some(1)
    }
}

/// Places in, logits out: x `[T, B, 1]` to `[T, B, C]`.
pub(crate) type Model<P> = (Embedding<P>, Recurrent<RecurrentDropout<P, AnyCell<P>>>, Dropout<P>, Linear<P>);

/// The shapes of the parameters of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    pub(crate) kind: CellKind,
    /// C, characters.
    pub(crate) characters: usize,
    /// H, units.
    pub(crate) hidden: usize,
    /// The rate of the dropout before the readout.
    pub(crate) dropout: f64,
    /// The rate of the dropout of what the cell reads of its own output, with one mask a stream and epoch.
    pub(crate) recurrent_dropout: f64,
}

/// The factor of the initial input weights. With the usual ones the pre-activations are so small that the cell is almost
/// linear, and the first hundred updates bring little.
const GAIN: f32 = 4.0;

impl Design {
    /// E, the length of a character's vector.
    fn embedding(self) -> usize {
        self.hidden.min(64)
    }

    /// The number of parameters.
    pub(crate) fn parameters(self) -> u64 {
        let [characters, embedding, hidden] = [self.characters, self.embedding(), self.hidden].map(|size| size as u64);
        characters * embedding + self.kind.parameters(self.embedding(), self.hidden) + (hidden + 1) * characters
    }

    pub(crate) fn model(self, rng: &mut impl Rng) -> Model<Tensor<f32>> {
        let Design { kind, characters, hidden, dropout, recurrent_dropout } = self;
        let embedding = Embedding { weight: init::normal(&[characters, self.embedding()], 1.0, rng) };
        let cell = AnyCell::new(kind, self.embedding(), hidden, GAIN, rng);
        let cell = RecurrentDropout::new(cell, recurrent_dropout);
        (embedding, Recurrent(cell), Dropout::new(dropout), Linear::new(hidden, characters, rng))
    }
}

/// Places as the model reads them, `[T, B, 1]`: `at(t, b)` is the place at step t of stream b.
pub(crate) fn input(steps: usize, streams: usize, at: impl Fn(usize, usize) -> usize) -> Tensor<f32> {
    Tensor::from_fn(&[steps, streams, 1], |i| at(i / streams, i % streams) as f32)
}
