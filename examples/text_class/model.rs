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
    /// The values of evidence of a time step, C for the word and C for the pair; 0 without it.
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
/// The initial weight of evidence. That of naive Bayes is 1, as if words came independently; they do not.
const CONFIDENCE: f32 = 0.3;

impl Classifier<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { kind, embedding, hidden, evidence, classes, .. } = design;
        let words = init::normal(&[design.words, embedding], DEVIATION, rng);
        let cells = Reading::new(kind, [embedding + evidence, hidden], GAIN, design.both_ways, rng);
        let read = cells.width();
        let mut readout = Linear::new(read + evidence, classes, rng);
        // The evidence of class c begins to speak for class c: naive Bayes, at a part of its confidence.
        let weight = readout.weight.to_vec();
        readout.weight = Tensor::from_fn(&[read + evidence, classes], |i| match (i / classes).checked_sub(read) {
            Some(value) if value % classes == i % classes => CONFIDENCE,
            Some(_) => 0.0,
            None => weight[i],
        });
        Classifier { words, cells, readout, design }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// The logits `[B, C]` of a padded batch `[T, B, I]`: the places of words, and evidence. Without noise there is no dropout.
    pub(crate) fn logits(&self, x: &Tensor<f32>, lengths: &[usize], noise: Option<Noise>) -> Var<'t, f32> {
        let (tape, Design { evidence, dropout, .. }) = (self.words.tape(), self.design);
        let &[steps, batch, width] = x.shape() else { unreachable!("a batch has three axes") };
        let places: Vec<usize> = x.slice(2, 0..1).to_vec().into_iter().map(|place| place as usize).collect();
        let how = |part| noise.map_or(Unroll::new(), |noise| Unroll::new().noise(noise.part(part)));
        let drop = |part, y| how(part).through(&Dropout::new(dropout).on(tape), y).outputs;
        let vectors = self.words.index_select(0, &places).reshape(&[steps, batch, self.design.embedding]);
        let mut inputs = drop(0, vectors);
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
