//! The classifier: a table of word vectors, a recurrent cell or one in each direction, and a linear layer.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{OnTape, Tensor, Var, parameters};
use rewind_examples::{AnyCell, CellKind};
use rewind_rnn::{Dropout, Linear, Noise, Unroll, init};

/// The input of the readout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadOut {
    /// The output after the last word, as in the lecture.
    Last,
    /// The mean of the outputs of all words.
    Mean,
}

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
        pub(crate) forward: AnyCell<P>,
        pub(crate) backward: Option<AnyCell<P>>,
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
        let mut cell = || AnyCell::new(kind, embedding + evidence, hidden, GAIN, rng);
        let forward = cell();
        let backward = design.both_ways.then(&mut cell);
        let seen = hidden * if design.both_ways { 2 } else { 1 } + evidence;
        Classifier { words, pairs, forward, backward, readout: Linear::new(seen, design.classes, rng), design }
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
        let read = |cell: &AnyCell<_>, how: Unroll<'_>| {
            let unrolled = how.lengths(lengths).run(cell, inputs);
            match self.design.read_out {
                ReadOut::Last => unrolled.last_output(),
                // Outputs after the end of a text are 0 and add nothing.
                ReadOut::Mean => {
                    let outputs: Vec<_> = (0..steps).map(|t| unrolled.output(t)).collect();
                    let shares = Tensor::from_fn(&[batch, 1], |b| 1.0 / lengths[b] as f32);
                    stack(&outputs, 0).sum_axis(0) * tape.constant(shares)
                }
            }
        };
        let mut seen = vec![read(&self.forward, Unroll::new())];
        seen.extend(self.backward.as_ref().map(|cell| read(cell, Unroll::new().backward())));
        let width = seen.iter().map(|y| y.shape()[1]).sum();
        let dropped = drop(1, concat(&seen, 1).reshape(&[1, batch, width])).reshape(&[batch, width]);
        // The padding has no evidence.
        let seen = match known {
            Some(known) => concat(&[dropped, known.sum_axis(0)], 1),
            None => dropped,
        };
        self.readout.forward(seen)
    }
}
