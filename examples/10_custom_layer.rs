//! Custom layers: one around another, and one with a state of its own; put in a deep stack, checked and trained.
//!
//! `cargo run --example 10_custom_layer`

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::loss::{Reduction, binary_cross_entropy_steps};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{
    Bidirectional, Dropout, Gru, Layer, LayerModule, LayerOutputs, Linear, Lstm, Noise, Recurrent, Stream, Unroll,
    check, init,
};

parameters! {
    /// A highway connection around a layer (Srivastava et al. 2015): x and outputs `[T, B, I]`; weight `[I, I]`, bias `[I]`.
    ///
    /// ```text
    /// g = sigmoid(x·W + b)
    /// y = g ∘ layer(x) + (1 - g) ∘ x
    /// ```
    struct Highway<P, L> { layer: L, weight: P, bias: P }
}

impl<'t, T: Scalar, L: Layer<'t, T>> Layer<'t, T> for Highway<Var<'t, T>, L> {
    type State = L::State;

    fn initial_state(&self, batch: usize) -> L::State {
        self.layer.initial_state(batch)
    }

    fn forward(&self, x: Var<'t, T>, state: L::State, how: Unroll<'_>) -> LayerOutputs<'t, T, L::State> {
        let within = self.layer.forward(x, state, how);
        let g = x.affine(self.weight, Some(self.bias)).sigmoid();
        within.map(|y| x + g * (y - x))
    }

    fn input_width(&self) -> Option<usize> {
        self.layer.input_width()
    }

    fn is_causal(&self) -> bool {
        self.layer.is_causal()
    }
}

parameters! {
    /// A causal convolution over time, of K taps: x `[T, B, I]`, outputs `[T, B, H]`; weight `[K·I, H]`, bias `[H]`.
    ///
    /// ```text
    /// y_t = [x_(t-K+1), …, x_t]·W + b
    /// ```
    struct CausalConv<P> { weight: P, bias: P, taps: usize }
}

impl<'t, T: Scalar> Layer<'t, T> for CausalConv<Var<'t, T>> {
    /// The last K - 1 inputs, `[B, K - 1, I]`.
    type State = Var<'t, T>;

    fn initial_state(&self, batch: usize) -> Var<'t, T> {
        self.weight.tape().zeros(&[batch, self.taps - 1, self.weight.shape()[0] / self.taps])
    }

    fn forward(&self, x: Var<'t, T>, state: Var<'t, T>, how: Unroll<'_>) -> LayerOutputs<'t, T, Var<'t, T>> {
        let (shape, before) = (x.shape(), self.taps - 1);
        let (steps, batch, inputs) = (shape[0], shape[1], shape[2]);
        let read = concat(&[state.permute(&[1, 0, 2]), how.in_order(x)], 0); // the inputs before come first
        let taps: Vec<_> = (0..self.taps).map(|k| read.slice(0, k..k + steps)).collect();
        let y = how.in_order(concat(&taps, 2).affine(self.weight, Some(self.bias)));
        // The K - 1 inputs before the end of each sequence, wherever it ends.
        let length = |b: usize| how.sequence_lengths().map_or(steps, |lengths| lengths[b]);
        let row = |i: usize| (length(i / before) + i % before) * batch + i / before;
        let rows: Vec<_> = (0..batch * before).map(row).collect();
        let last = read.reshape(&[(before + steps) * batch, inputs]).index_select(0, &rows);
        LayerOutputs::new(how.masked(y), last.reshape(&[batch, before, inputs]))
    }

    fn input_width(&self) -> Option<usize> {
        Some(self.weight.shape()[0] / self.taps)
    }
}

/// A highway around `layer`, mostly closed at first: b is -1.
fn highway<T: Scalar, L>(layer: L, width: usize, rng: &mut impl Rng) -> Highway<Tensor<T>, L> {
    Highway { layer, weight: init::xavier_uniform(&[width, width], rng), bias: init::constant(&[width], -1.0) }
}

/// A deep network of unlike layers: an LSTM in both directions, dropout, a GRU with a highway around it, and a readout.
fn deep<T: Scalar>([inputs, hidden, outputs]: [usize; 3], rng: &mut impl Rng) -> impl LayerModule<T> {
    let both = Bidirectional::cells(Lstm::new(inputs, hidden, rng), Lstm::new(inputs, hidden, rng));
    let gru = highway(Recurrent(Gru::new(2 * hidden, 2 * hidden, rng)), 2 * hidden, rng);
    (both, Dropout::new(0.1), gru, Linear::new(2 * hidden, outputs, rng))
}

/// The same depth, forward in time alone.
fn forward_alone<T: Scalar>([inputs, hidden, outputs]: [usize; 3], rng: &mut impl Rng) -> impl LayerModule<T> {
    let gru = highway(Recurrent(Gru::new(2 * hidden, 2 * hidden, rng)), 2 * hidden, rng);
    (Recurrent(Lstm::new(inputs, 2 * hidden, rng)), Dropout::new(0.1), gru, Linear::new(2 * hidden, outputs, rng))
}

/// How many symbols there are.
const SYMBOLS: usize = 4;

/// Random sequences of symbols, x `[T, B, SYMBOLS]` one-hot, and at every step whether the symbol comes again later, `[T, B, 1]`.
fn sequences(lengths: &[usize], rng: &mut StdRng) -> (Tensor<f32>, Tensor<f32>) {
    let (steps, batch) = (lengths.iter().copied().max().unwrap_or(1), lengths.len());
    let symbols: Vec<usize> = (0..steps * batch).map(|_| rng.random_range(0..SYMBOLS)).collect();
    let symbol = |t: usize, b: usize| symbols[t * batch + b];
    let again = |t: usize, b: usize| (t + 1..lengths[b]).any(|later| symbol(later, b) == symbol(t, b));
    let one_hot = |i: usize| symbol(i / SYMBOLS / batch, i / SYMBOLS % batch) == i % SYMBOLS;
    let number = |is: bool| if is { 1.0 } else { 0.0 };
    let x = Tensor::from_fn(&[steps, batch, SYMBOLS], |i| number(one_hot(i)));
    (x, Tensor::from_fn(&[steps, batch, 1], |i| number(again(i / batch, i % batch))))
}

/// Trains a network to tell at every step whether the symbol comes again; returns the share of right answers on new sequences.
fn train<M: LayerModule<f32>>(mut network: M, rng: &mut StdRng) -> Result<f64, rewind_rnn::Error> {
    let mut adam = Adam::new(0.02);
    let lengths = [12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5];
    let mut tape = Tape::new();
    for _ in 0..200 {
        let (x, target) = sequences(&lengths, rng);
        let gradients = {
            let on_tape = network.on(&tape);
            let how = Unroll::new().lengths(&lengths).noise(Noise::draw(rng));
            let logits = how.through(&on_tape, tape.constant(x)).outputs;
            let losses = binary_cross_entropy_steps(logits, &target, &lengths, Reduction::Mean)?;
            losses.total.backward().of(&on_tape)
        };
        tape.clear();
        adam.step(&mut network, &gradients)?;
    }
    // Without noise, dropout is off.
    let (x, target) = sequences(&lengths, rng);
    let tape = Tape::quiet();
    let logits = Unroll::new().lengths(&lengths).through(&network.on(&tape), tape.constant(x)).outputs.value();
    let batch = lengths.len();
    let steps = (0..logits.len()).filter(|i| i / batch < lengths[i % batch]);
    let (logits, target) = (logits.to_vec(), target.to_vec());
    let (right, all) =
        steps.fold((0, 0), |(right, all), i| (right + u32::from((logits[i] > 0.0) == (target[i] == 1.0)), all + 1));
    Ok(f64::from(right) / f64::from(all))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rng = &mut StdRng::seed_from_u64(1);

    // Every parameter of every layer, the input and the first states, at orders one and two, over a padded batch with dropout.
    let report = check::layer(&deep([3, 2, 1], rng), [3, 2, 3]); // T, B, I
    println!("{report}\n");
    report.assert();

    // A convolution of three taps: padded, in both directions, cut in two, and step by step.
    let taps = 3;
    let conv = CausalConv { weight: check::sample(&[taps * 3, 2], 2), bias: check::sample(&[2], 3), taps };
    check::layer(&conv, [4, 2, 3]).assert();
    let x: Tensor<f64> = check::sample(&[9, 1, 3], 1);
    let tape = Tape::quiet();
    let whole = Unroll::new().through(&conv.on(&tape), tape.constant(x.clone())).outputs.value();
    let mut stream = Stream::new(conv, 1);
    for t in 0..9 {
        assert_eq!(stream.step(&x.index(0, t)), whole.index(0, t).to_contiguous());
    }

    let sizes = [SYMBOLS, 16, 1];
    println!("Does the symbol come again? The share of right answers at all steps:");
    println!("  forward in time  {:.3}", train(forward_alone(sizes, rng), rng)?);
    println!("  both directions  {:.3}", train(deep(sizes, rng), rng)?);
    Ok(())
}
