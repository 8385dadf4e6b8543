//! The model: an encoder reads a sentence from both ends, and a decoder writes its translation word by word.
//!
//! With attention (Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and translate"), the decoder
//! looks at all positions of the sentence before each word; without, it has the summary of the encoder's ends (Cho et al. 2014,
//! "Learning phrase representations using RNN encoder-decoder").

use rand::Rng;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Tensor, Var, parameters};
use rewind_rnn::{Cell, Dropout, Gru, Linear, Noise, Unroll, init};

/// The shapes of the parameters of a model, and its dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    pub(crate) attention: bool,
    /// V_s and V_t, the words of both languages.
    pub(crate) words: [usize; 2],
    /// E, the length of a word's vector.
    pub(crate) embedding: usize,
    /// H, units of each cell.
    pub(crate) hidden: usize,
    /// The rate of dropout after the source vectors, the encoder, and before the readout.
    pub(crate) dropout: f64,
}

impl Design {
    /// The name of the model.
    pub(crate) fn name(self) -> &'static str {
        if self.attention { "attention" } else { "plain" }
    }

    /// The number of parameters.
    pub(crate) fn parameters(self) -> u64 {
        let [sources, targets, embedding, hidden] =
            [self.words[0], self.words[1], self.embedding, self.hidden].map(|n| n as u64);
        let gru = |inputs: u64| 3 * hidden * (inputs + hidden) + 4 * hidden;
        let attention = if self.attention { hidden * (hidden + 2 * hidden + 2) } else { 0 };
        (sources + targets) * embedding
            + 2 * gru(embedding)
            + (2 * hidden + 1) * hidden
            + attention
            + gru(embedding + 2 * hidden)
            + (embedding + 3 * hidden + 1) * embedding
            + (embedding + 1) * targets
    }
}

parameters! {
    /// e_s = v·tanh(q·W + a_s·U + b): how well position s of the sentence fits what the decoder is about to say.
    pub(crate) struct Attention<P> {
        /// W, `[H, H]`.
        pub(crate) query: P,
        /// U, `[2 H, H]`.
        pub(crate) key: P,
        /// b, `[H]`.
        pub(crate) bias: P,
        /// v, `[H, 1]`.
        pub(crate) score: P,
    }
}

parameters! {
    /// Sentences in, logits of the words of their translations out.
    pub(crate) struct Translator<P> {
        /// `[V_s, E]`.
        pub(crate) source: P,
        pub(crate) forward: Gru<P>,
        pub(crate) backward: Gru<P>,
        /// The decoder's first state, from the last outputs of both directions.
        pub(crate) first: Linear<P>,
        pub(crate) attention: Option<Attention<P>>,
        /// `[V_t, E]`.
        pub(crate) target: P,
        pub(crate) decoder: Gru<P>,
        /// From the word before, the state and the context.
        pub(crate) merge: Linear<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

/// The deviation of the initial vectors of words.
const DEVIATION: f64 = 0.1;

impl Translator<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { embedding, hidden, words: [sources, targets], .. } = design;
        let attention = |rng: &mut _| Attention {
            query: init::xavier_uniform(&[hidden, hidden], rng),
            key: init::xavier_uniform(&[2 * hidden, hidden], rng),
            bias: init::zeros(&[hidden]),
            score: init::xavier_uniform(&[hidden, 1], rng),
        };
        Translator {
            source: init::normal(&[sources, embedding], DEVIATION, rng),
            forward: Gru::new(embedding, hidden, rng),
            backward: Gru::new(embedding, hidden, rng),
            first: Linear::new(2 * hidden, hidden, rng),
            attention: design.attention.then(|| attention(rng)),
            target: init::normal(&[targets, embedding], DEVIATION, rng),
            decoder: Gru::new(embedding + 2 * hidden, hidden, rng),
            merge: Linear::new(embedding + 3 * hidden, embedding, rng),
            readout: Linear::new(embedding, targets, rng),
            design,
        }
    }
}

/// A batch of sentences as the encoder has read them.
pub(crate) struct Encoded<'t> {
    /// The outputs of both directions at each position, `[S, B, 2 H]`.
    annotations: Var<'t, f32>,
    /// With attention, a·U + b for each of them, `[S, B, H]`.
    keys: Option<Var<'t, f32>>,
    /// What is added to scores, `[S, B, 1]`: 0, and -∞ at padding.
    mask: Option<Var<'t, f32>>,
    /// The last outputs of both directions, `[B, 2 H]`.
    summary: Var<'t, f32>,
}

/// One word further.
pub(crate) struct Step<'t> {
    /// `[B, H]`.
    pub(crate) state: Var<'t, f32>,
    /// `[B, V_t]`.
    pub(crate) logits: Var<'t, f32>,
    /// The weights of the positions, `[S, B, 1]`, which sum to 1; none without attention.
    pub(crate) weights: Option<Var<'t, f32>>,
}

impl<'t> Translator<Var<'t, f32>> {
    /// Reads sentences: `words` `[S, B]` row-major, their places. Without noise there is no dropout.
    pub(crate) fn encode(&self, words: &[usize], lengths: &[usize], noise: Option<Noise>) -> Encoded<'t> {
        let (tape, batch) = (self.source.tape(), lengths.len());
        let steps = words.len() / batch;
        let drop = |part, x| self.dropped(x, noise.map(|noise| noise.part(part)));
        let x = drop(0, self.source.index_select(0, words).reshape(&[steps, batch, self.design.embedding]));
        let forward = Unroll::new().lengths(lengths).run(&self.forward, x);
        let backward = Unroll::new().lengths(lengths).backward().run(&self.backward, x);
        let summary = concat(&[forward.last_output(), backward.last_output()], 1);
        let annotations = drop(1, concat(&[forward.outputs(), backward.outputs()], 2));
        let keys = self.attention.as_ref().map(|attention| {
            let flat = annotations.reshape(&[steps * batch, 2 * self.design.hidden]);
            flat.affine(attention.key, Some(attention.bias)).reshape(&[steps, batch, self.design.hidden])
        });
        let is_padded = lengths.iter().any(|&length| length < steps);
        let mask = |i: usize| if i / batch < lengths[i % batch] { 0.0 } else { f32::NEG_INFINITY };
        let mask = is_padded.then(|| tape.constant(Tensor::from_fn(&[steps, batch, 1], mask)));
        Encoded { annotations, keys, mask, summary }
    }

    /// The decoder's state before the first word, `[B, H]`.
    pub(crate) fn first_state(&self, encoded: &Encoded<'t>) -> Var<'t, f32> {
        self.first.forward(encoded.summary).tanh()
    }

    /// The step after `words`, `[B]`, from `state`. One sentence may be translated in several ways at once: then it is encoded as a batch
    /// of one, and B is that of the words.
    pub(crate) fn step(
        &self,
        encoded: &Encoded<'t>,
        words: &[usize],
        state: Var<'t, f32>,
        noise: Option<Noise>,
    ) -> Step<'t> {
        let batch = words.len();
        let vectors = self.target.index_select(0, words);
        let (context, weights) = match (&self.attention, encoded.keys) {
            (Some(attention), Some(keys)) => {
                let weights = attention.weights(keys, encoded.mask, state);
                ((encoded.annotations * weights).sum_axis(0), Some(weights))
            }
            _ => (encoded.summary.broadcast_to(&[batch, 2 * self.design.hidden]), None),
        };
        let state = self.decoder.step(concat(&[vectors, context], 1), state);
        let merged = self.merge.forward(concat(&[vectors, state, context], 1)).tanh();
        // To a layer, this is a sequence of one step.
        let dropped = self.dropped(merged.reshape(&[1, batch, self.design.embedding]), noise);
        let logits = self.readout.forward(dropped.reshape(&[batch, self.design.embedding]));
        Step { state, logits, weights }
    }

    fn dropped(&self, x: Var<'t, f32>, noise: Option<Noise>) -> Var<'t, f32> {
        match noise {
            Some(noise) => {
                Unroll::new().noise(noise).through(&Dropout::new(self.design.dropout).on(x.tape()), x).outputs
            }
            None => x,
        }
    }
}

impl<'t> Attention<Var<'t, f32>> {
    /// The weights `[S, B, 1]` of the positions with these keys `[S, B, H]` for a state `[B, H]`: α = softmax(e) over the positions. At
    /// padding they are exactly 0.
    fn weights(&self, keys: Var<'t, f32>, mask: Option<Var<'t, f32>>, state: Var<'t, f32>) -> Var<'t, f32> {
        let (steps, [batch, hidden]) = (keys.shape()[0], [state.shape()[0], state.shape()[1]]);
        let query = state.matmul(self.query).reshape(&[1, batch, hidden]);
        let fit = (keys + query).tanh().reshape(&[steps * batch, hidden]);
        let scores = fit.matmul(self.score).reshape(&[steps, batch, 1]);
        mask.map_or(scores, |mask| scores + mask).softmax(0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rewind_autograd::{Parameters, Tape};

    use super::*;

    /// A small model with biases that are not 0.
    pub(crate) fn small(attention: bool, words: [usize; 2]) -> Translator<Tensor<f32>> {
        let design = Design { attention, words, embedding: 5, hidden: 7, dropout: 0.3 };
        let mut model = Translator::new(design, &mut ChaCha8Rng::seed_from_u64(3));
        model.visit_mut(|_, p| {
            let values = p.to_vec();
            *p = Tensor::from_fn(p.shape(), |i| values[i] + 0.2 * (i as f32 + 1.0).sin());
        });
        model
    }

    const WORDS: [usize; 2] = [9, 11];

    /// Of two sentences, the second one word shorter than the first: source places `[S, B]`, and what is heard.
    const SOURCE: [usize; 6] = [2, 4, 5, 8, 3, 0];
    const HEARD: [[usize; 2]; 3] = [[0, 0], [2, 10], [7, 3]];

    fn logits<'t>(
        model: &Translator<Var<'t, f32>>,
        words: &[usize],
        lengths: &[usize],
        heard: &[Vec<usize>],
    ) -> Vec<Step<'t>> {
        let encoded = model.encode(words, lengths, None);
        // Beginnings of one sentence share its first state.
        let mut state = model.first_state(&encoded).broadcast_to(&[heard[0].len(), model.design.hidden]);
        let step = |words: &Vec<usize>| {
            let step = model.step(&encoded, words, state, None);
            state = step.state;
            step
        };
        heard.iter().map(step).collect()
    }

    #[test]
    fn a_sentence_in_a_padded_batch_is_translated_as_it_is_alone() {
        for attention in [true, false] {
            let (model, tape) = (small(attention, WORDS), Tape::quiet());
            let on_tape = model.on(&tape);
            let both = logits(&on_tape, &SOURCE, &[3, 2], &HEARD.map(|words| words.to_vec()));
            let alone = logits(&on_tape, &[4, 8], &[2], &HEARD.map(|words| vec![words[1]]));
            for (both, alone) in both.iter().zip(&alone) {
                let (a, b) = (both.logits.value().slice(0, 1..2).to_vec(), alone.logits.value().to_vec());
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
                assert_eq!(both.weights.is_some(), attention);
                if let Some(weights) = both.weights.map(|weights| weights.value().to_vec()) {
                    assert_eq!(weights[5], 0.0); // the padding
                    let sums = [0, 1].map(|b| weights.iter().skip(b).step_by(2).sum::<f32>());
                    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{weights:?}");
                }
            }
            // Several translations of one sentence at once.
            let many = logits(&on_tape, &[4, 8], &[2], &HEARD.map(|words| vec![words[0], words[1], words[1]]));
            for (many, alone) in many.iter().zip(&alone) {
                for row in [1, 2] {
                    let (a, b) = (many.logits.value().slice(0, row..row + 1).to_vec(), alone.logits.value().to_vec());
                    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
                }
            }
        }
    }

    /// Every parameter has a gradient, and it is that of differences: two sentences of unlike lengths, three words each.
    #[test]
    fn gradients_are_those_of_differences() {
        for attention in [true, false] {
            let model = small(attention, WORDS);
            let loss = |tape: &Tape<f32>, model: &Translator<Tensor<f32>>| -> (f64, Translator<Tensor<f32>>) {
                let on_tape = model.on(tape);
                let steps = logits(&on_tape, &SOURCE, &[3, 2], &HEARD.map(|words| words.to_vec()));
                let sum =
                    steps.iter().map(|step| step.logits.square().mean()).reduce(|a, b| a + b).expect("three steps");
                (f64::from(sum.value().item()), sum.backward().of(&on_tape))
            };
            let (_, gradients) = loss(&Tape::new(), &model);
            // Along the gradient itself, the loss rises by its square: one number that every entry has a part in.
            let mut squares = 0.0;
            gradients.visit(|name, g| {
                let square = f64::from(g.norm()).powi(2);
                assert!(square > 0.0, "{name} has no gradient");
                squares += square;
            });
            let step = 1e-2 / squares.sqrt();
            let moved = |by: f64| {
                let mut moved = model.clone();
                let mut all = Vec::new();
                gradients.visit(|_, g| all.push(g.clone()));
                let mut all = all.into_iter();
                moved.visit_mut(|_, p| *p = p.zip(&all.next().expect("a gradient each"), |w, g| w + by as f32 * g));
                loss(&Tape::new(), &moved).0
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((slope / squares - 1.0).abs() < 1e-3, "{attention}: {slope} {squares}");
        }
    }

    #[test]
    fn the_parameters_are_counted() {
        for attention in [true, false] {
            let model = small(attention, WORDS);
            assert_eq!(model.design.parameters(), model.parameter_count() as u64);
        }
    }
}
