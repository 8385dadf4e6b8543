//! The classifier: a table of word vectors, a recurrent cell or one in each direction, and a linear layer.

use rand::Rng;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Tensor, Var, parameters};
use rewind_examples::memory::require;
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

/// The most words: a batch has the place of a word as an `f32`, which is exact up to here.
const MOST_WORDS: usize = 1 << f32::MANTISSA_DIGITS;

impl Design {
    /// Checks that each word can have a vector: whether its place can be written, and whether there is memory.
    ///
    /// # Errors
    ///
    /// If not, with advice.
    pub(crate) fn require_vectors(&self) -> Result<(), String> {
        let Design { words, embedding, .. } = *self;
        if words > MOST_WORDS {
            return Err(format!("{words} distinct words; expected {MOST_WORDS} at most: --least leaves rare ones out"));
        }
        let bytes = (words as u64).saturating_mul((embedding * size_of::<f32>()) as u64);
        require(
            &format!("a vector for each of {words} words"),
            bytes,
            "a smaller --embedding or a larger --least takes less",
        )
    }
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

impl Design {
    /// The parameters of its classifier.
    pub(crate) fn parameters(self) -> u64 {
        let Design { kind, both_ways, embedding, hidden, evidence, .. } = self;
        let cells = Reading::parameters(kind, [embedding + evidence, hidden], both_ways);
        let read = if both_ways { 2 * hidden } else { hidden } + evidence;
        [[self.words, embedding], [read + 1, self.classes]].iter().fold(cells, |sum, [a, b]| sum + (a * b) as u64)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_place_and_a_vector() {
        let design = Design {
            kind: CellKind::Gru,
            both_ways: false,
            words: MOST_WORDS,
            evidence: 0,
            embedding: 1,
            hidden: 3,
            classes: 2,
            read_out: ReadOut::Last,
            dropout: 0.0,
        };
        assert_eq!([MOST_WORDS - 1, MOST_WORDS].map(|place| place as f32 as usize), [MOST_WORDS - 1, MOST_WORDS]);
        assert_eq!(design.require_vectors(), Ok(()));
        let told = Design { words: MOST_WORDS + 1, ..design }.require_vectors().unwrap_err();
        assert_eq!(told, "16777217 distinct words; expected 16777216 at most: --least leaves rare ones out");
        if cfg!(target_os = "linux") {
            let told = Design { embedding: 1 << 30, ..design }.require_vectors().unwrap_err();
            assert!(
                told.starts_with("a vector for each of 16777216 words takes about ") && told.contains("--least"),
                "{told}"
            );
        }
    }
}
