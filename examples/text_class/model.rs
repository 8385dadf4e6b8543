//! The classifier: a table of word vectors, a recurrent cell or one in each direction, and a linear layer.

use rand::Rng;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Tensor, Var, parameters};
use rewind_examples::{CellKind, ReadOut, Reading};
use rewind_rnn::{Dropout, Linear, Noise, Unroll, init};

/// The design of a classifier: the shapes of its parameters, and how it reads a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    pub(crate) kind: CellKind,
    /// Whether a second cell reads the text from its end.
    pub(crate) both_ways: bool,
    /// V, words.
    pub(crate) words: usize,
    /// Pairs of neighbours, if they have vectors.
    pub(crate) pairs: Option<usize>,
    /// The values of evidence of a time step, 0 without it.
    pub(crate) evidence: usize,
    /// E, the length of a vector.
    pub(crate) embedding: usize,
    /// H, units of a cell.
    pub(crate) hidden: usize,
    /// C, classes.
    pub(crate) classes: usize,
    pub(crate) read_out: ReadOut,
    /// The rate of the dropout after the vectors and before the readout.
    pub(crate) dropout: f64,
}

parameters! {
    /// Texts in, logits of the classes out.
    pub(crate) struct Classifier<P> {
        /// `[V, E]`.
        pub(crate) words: P,
        /// A vector for each pair of neighbours, added to that of the second word: `[pairs, E]`.
        pub(crate) pairs: Option<P>,
        pub(crate) cells: Reading<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

/// The deviation of the initial vectors: a rare word should change little.
const DEVIATION: f64 = 0.1;
/// The factor of the initial input weights, since the vectors are short.
const GAIN: f32 = 4.0;

impl Classifier<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { kind, embedding, hidden, evidence, .. } = design;
        let mut table = |rows: usize| init::normal(&[rows, embedding], DEVIATION, rng);
        let (words, pairs) = (table(design.words), design.pairs.map(&mut table));
        let cells = Reading::new(kind, [embedding + evidence, hidden], GAIN, design.both_ways, rng);
        let readout = Linear::new(cells.width() + evidence, design.classes, rng);
        Classifier { words, pairs, cells, readout, design }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// The logits `[B, C]` of a padded batch `[T, B, I]`: places of words and pairs, and evidence. Without noise there is no
    /// dropout.
    pub(crate) fn logits(&self, x: &Tensor<f32>, lengths: &[usize], noise: Option<Noise>) -> Var<'t, f32> {
        let (tape, Design { evidence, dropout, .. }) = (self.words.tape(), self.design);
        let &[steps, batch, width] = x.shape() else { unreachable!("a batch has three axes") };
        let vectors = |table: Var<'t, f32>, column: usize| {
            let places: Vec<usize> = x.slice(2, column..column + 1).to_vec().into_iter().map(|p| p as usize).collect();
            table.index_select(0, &places).reshape(&[steps, batch, self.design.embedding])
        };
        let how = |part| noise.map_or(Unroll::new(), |noise| Unroll::new().noise(noise.part(part)));
        let drop = |part, y| how(part).through(&Dropout::new(dropout).on(tape), y).outputs;
        let mut inputs = vectors(self.words, 0);
        if let Some(pairs) = self.pairs {
            inputs = inputs + vectors(pairs, 1);
        }
        inputs = drop(0, inputs);
        // Without evidence, the last columns are none.
        let known = (evidence > 0).then(|| tape.constant(x.slice(2, width - evidence..width)));
        if let Some(known) = known {
            inputs = concat(&[inputs, known], 2);
        }
        let seen = self.cells.read(inputs, lengths, self.design.read_out);
        let read = seen.shape()[1];
        // To a layer, this is a sequence of one step.
        let dropped = drop(1, seen.reshape(&[1, batch, read])).reshape(&[batch, read]);
        // The padding has no evidence.
        let seen = match known {
            Some(known) => concat(&[dropped, known.sum_axis(0)], 1),
            None => dropped,
        };
        self.readout.forward(seen)
    }
}
