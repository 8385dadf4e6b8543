//! The mLSTM in chunks is the mLSTM step by step: values, first and second derivatives.

use proptest::prelude::*;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{
    ForgetGate, InChunks, Layer, LayerOutputs, MLstm, MLstmState, Noise, Recurrent, State, Stream, Unroll, check,
    unroll,
};

use crate::common::random;
use crate::xlstm::{BOTH, cast, extreme, extreme_mlstm, mlstm};

/// A case: the sequence, its chunks, and how it is unrolled.
#[derive(Clone, Debug)]
struct Case {
    steps: usize,
    every: usize,
    batch: usize,
    heads: usize,
    width: usize,
    lengths: Option<Vec<usize>>,
    backward: bool,
    /// From a first state that is given and not zero.
    first: bool,
    forget: ForgetGate,
}

impl Case {
    fn new(steps: usize, every: usize, heads: usize) -> Self {
        let width = 3;
        Case {
            steps,
            every,
            batch: 2,
            heads,
            width,
            lengths: None,
            backward: false,
            first: true,
            forget: ForgetGate::Sigmoid,
        }
    }

    fn unroll(&self) -> Unroll<'_> {
        let unroll = self.lengths.as_deref().map_or(Unroll::new(), |lengths| Unroll::new().lengths(lengths));
        if self.backward { unroll.backward() } else { unroll }
    }

    /// The outputs and the parts of the last state but h, which the outputs hold, and h; then the gradient of a weighted sum of them with
    /// respect to all parameters, x and the first state; then the gradient of a weighted sum of that.
    fn values(&self, in_chunks: bool) -> [Vec<Tensor<f64>>; 3] {
        let &Case { steps, every, batch, heads, width, .. } = self;
        let tape = Tape::new();
        let module = mlstm(3, heads * width, heads, self.forget);
        let x = tape.leaf(random(&[steps, batch, 3], 40));
        let first = [&[batch, heads, width, width][..], &[batch, heads, width], &[batch, heads]]
            .map(|shape| tape.leaf(random(shape, 41)));
        let given = MLstmState {
            hidden: tape.zeros(&[batch, heads * width]),
            cell: first[0],
            normaliser: first[1],
            stabiliser: first[2],
        };
        let (how, first_state) = (self.unroll(), self.first.then_some(given));
        let (run, parameters) = if in_chunks {
            run_of(how, &InChunks::new(module, every).on(&tape), x, first_state)
        } else {
            run_of(how, &Recurrent(module).on(&tape), x, first_state)
        };
        let mut values = vec![run.outputs];
        run.last.zip(run.last, &mut |part, _| {
            values.push(part);
            part
        });
        let mut leaves = vec![x];
        leaves.extend(parameters);
        if self.first {
            leaves.extend(first);
        }
        let gradient = weighted(&values, 50).grad(&leaves);
        let second = weighted(&gradient, 70).backward();
        let numbers = |vars: &[Var<'_, f64>]| vars.iter().map(|var| var.value()).collect();
        [numbers(&values), numbers(&gradient), leaves.iter().map(|&leaf| second.get(leaf)).collect()]
    }

    /// All of them must agree to 1e-12 of the largest element of a tensor, or of 1.
    fn assert_equal(&self) {
        let names = ["value", "first derivative", "second derivative"];
        let (chunks, steps) = (self.values(true), self.values(false));
        for (name, (chunks, steps)) in names.iter().zip(chunks.iter().zip(&steps)) {
            assert_eq!(chunks.len(), steps.len());
            for (k, (chunks, steps)) in chunks.iter().zip(steps).enumerate() {
                assert_eq!(chunks.shape(), steps.shape());
                let size = steps.to_vec().iter().fold(1.0_f64, |most, x| most.max(x.abs()));
                let difference = distance(chunks, steps);
                assert!(difference <= 1e-12 * size, "{self:?}: {name} {k} differs by {difference} of {size}");
            }
        }
    }
}

/// What a layer of an mLSTM gives from a given first state or from its own, and its parameters.
fn run_of<'t, L>(
    how: Unroll<'_>,
    layer: &L,
    x: Var<'t, f64>,
    first: Option<MLstmState<'t, f64>>,
) -> (LayerOutputs<'t, f64, MLstmState<'t, f64>>, Vec<Var<'t, f64>>)
where
    L: Layer<'t, f64, State = MLstmState<'t, f64>> + Parameters<Var<'t, f64>>,
{
    let run = match first {
        Some(first) => how.through_from(layer, x, first),
        None => how.through(layer, x),
    };
    (run, layer.leaves().into_iter().copied().collect())
}

/// The largest difference of two elements; NaN counts as infinite.
fn distance<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> f64 {
    let far = |(a, b): (&T, &T)| {
        let far = (a.to_f64() - b.to_f64()).abs();
        if far.is_nan() { f64::INFINITY } else { far }
    };
    a.to_vec().iter().zip(&b.to_vec()).map(far).fold(0.0, f64::max)
}

/// Σ of all elements, each with a weight of its own.
fn weighted<'t>(vars: &[Var<'t, f64>], seed: u64) -> Var<'t, f64> {
    let products = vars.iter().zip(seed..).map(|(&var, seed)| {
        let weights = random(&var.shape(), seed);
        (var * var.tape().constant(weights)).sum()
    });
    products.reduce(|a, b| a + b).expect("there is a value")
}

#[test]
fn any_number_of_steps_in_chunks_of_any_size() {
    for (steps, every) in [(1, 1), (1, 7), (7, 1), (7, 7), (8, 3), (33, 7), (34, 33), (33, 100)] {
        Case::new(steps, every, 2).assert_equal();
    }
}

#[test]
fn one_head_to_four_and_both_forget_gates() {
    for heads in 1..=4 {
        for forget in BOTH {
            Case { forget, width: 5 - heads, ..Case::new(9, 4, heads) }.assert_equal();
            Case { forget, width: 1, first: false, ..Case::new(9, 4, heads) }.assert_equal();
        }
    }
}

#[test]
fn padding_and_the_other_direction() {
    for backward in [false, true] {
        for first in [false, true] {
            for lengths in [vec![9, 4], vec![1, 9], vec![5, 5]] {
                Case { lengths: Some(lengths), backward, first, ..Case::new(9, 4, 2) }.assert_equal();
            }
            Case { backward, first, ..Case::new(9, 4, 2) }.assert_equal();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn chunks_are_steps(
        [steps, every, batch, heads, width] in [1_usize..10, 1..12, 1..4, 1..4, 1..5],
        ends in prop::collection::vec(0_usize..10, 3),
        [padded, backward, first, sigmoid] in prop::array::uniform4(any::<bool>()),
    ) {
        let lengths = padded.then(|| ends[..batch].iter().map(|end| 1 + end % steps).collect());
        let forget = BOTH[usize::from(sigmoid)];
        Case { steps, every, batch, heads, width, lengths, backward, first, forget }.assert_equal();
    }
}

#[test]
fn what_padding_holds_changes_nothing() {
    let layer = InChunks::new(mlstm(3, 6, 2, ForgetGate::Sigmoid), 4);
    let x = random(&[9, 2, 3], 40);
    let spoilt =
        Tensor::from_fn(&[9, 2, 3], |at| if at / 6 >= 4 && at / 3 % 2 == 1 { f64::NAN } else { x.to_vec()[at] });
    let results = [x, spoilt].map(|x| {
        let tape = Tape::new();
        let on_tape = layer.on(&tape);
        let chunks = Unroll::new().lengths(&[9, 4]).through(&on_tape, tape.constant(x));
        let gradients = (chunks.outputs.square().sum() + chunks.last.cell.sum()).backward().of(&on_tape);
        (chunks.outputs.value(), chunks.last.hidden.value(), gradients)
    });
    assert!(results[0] == results[1]);
}

/// The outputs, and the gradient of Σ h² with respect to all parameters.
fn trained<T: Scalar>(cell: &MLstm<Tensor<T>>, x: &Tensor<T>, every: Option<usize>) -> (Tensor<T>, Vec<Tensor<T>>) {
    let tape = Tape::new();
    let (cell, x) = (cell.on(&tape), tape.constant(x.clone()));
    let outputs = match every {
        Some(every) => Unroll::new().through(&InChunks::new(cell.clone(), every), x).outputs,
        None => unroll(&cell, x).outputs(),
    };
    let gradients = outputs.square().sum().backward().of(&cell);
    (outputs.value(), gradients.leaves().into_iter().cloned().collect())
}

#[test]
fn gates_of_a_thousand_over_a_thousand_steps() {
    for forget in BOTH {
        let (cell, x) = (extreme_mlstm(forget), extreme(&[1000, 2, 4]));
        let (expected, expected_gradients) = trained(&cell, &x, None);
        for every in [1, 33, 256] {
            let (outputs, gradients) = trained(&cell, &x, Some(every));
            assert!(distance(&outputs, &expected) < 1e-9, "{forget:?}, {every}: {}", distance(&outputs, &expected));
            for (found, expected) in gradients.iter().zip(&expected_gradients) {
                let size = expected.to_vec().iter().fold(1.0_f64, |most, x| most.max(x.abs()));
                assert!(distance(found, expected) < 1e-9 * size, "{forget:?}, {every}: {}", distance(found, expected));
            }
            let (outputs, gradients) = trained(&cell.map(|_, p| cast::<f64, f32>(p)), &cast(&x), Some(every));
            assert!(distance(&cast::<f32, f64>(&outputs), &expected) < 1e-3, "{forget:?}, {every}");
            assert!(gradients.iter().all(Tensor::all_finite));
        }
    }
}

#[test]
fn single_precision_is_close() {
    let (cell, x) =
        (mlstm(3, 6, 2, ForgetGate::Sigmoid).map(|_, p| cast::<f64, f32>(p)), cast(&random(&[33, 2, 3], 9)));
    let (expected, _) = trained(&cell, &x, None);
    for every in [1, 7, 33] {
        assert!(distance(&trained(&cell, &x, Some(every)).0, &expected) < 1e-5);
    }
}

/// A first state of two sequences and two heads of width 2 that is not empty.
fn given(tape: &Tape<f64>) -> MLstmState<'_, f64> {
    let filled = |shape: &[usize]| tape.constant(random(shape, 41));
    MLstmState {
        hidden: filled(&[2, 4]),
        cell: filled(&[2, 2, 2, 2]),
        normaliser: filled(&[2, 2, 2]),
        stabiliser: filled(&[2, 2]),
    }
}

/// From a given first state: of the stabiliser of an empty one the outputs do not depend, nor of any h.
#[test]
fn the_layer_agrees_with_differences() {
    for (steps, lengths, every) in [(5, [5, 3], 2), (4, [4, 4], 7), (3, [1, 3], 1)] {
        let (module, x) = (InChunks::new(mlstm(3, 4, 2, ForgetGate::Sigmoid), every), random(&[steps, 2, 3], 40));
        let how = Unroll::new().lengths(&lengths);
        check::module(&module, |tape, layer| {
            let run = how.through_from(layer, tape.constant(x.clone()), given(tape));
            concat(&[run.outputs.reshape(&[steps * 8]), run.last.normaliser.reshape(&[8])], 0)
        })
        .assert();
        let whole = Unroll::new();
        check::function(&[x], |tape, x| whole.through_from(&module.on(tape), x[0], given(tape)).last.output()).assert();
    }
}

/// Values, first and second derivatives of a stack of two, in segments and as a whole; chunks that do not divide segments, and sequences
/// that end before a segment begins.
#[test]
fn chunks_in_segments_and_stacks_are_those_of_the_whole_sequence() {
    let stack = |every| {
        (
            InChunks::new(mlstm(3, 4, 2, ForgetGate::Sigmoid), every),
            InChunks::new(mlstm(4, 6, 3, ForgetGate::Exponential), 2),
        )
    };
    let (lengths, x) = ([13, 5, 1, 8], random(&[13, 4, 3], 5));
    let steps = {
        let (a, b) = stack(1);
        (Recurrent(a.cell), Recurrent(b.cell))
    };
    let derivatives = |loss: Var<'_, f64>, last: MLstmState<'_, f64>, leaves: &[Var<'_, f64>]| -> Vec<Tensor<f64>> {
        let mut values = vec![loss];
        last.zip(last, &mut |part, _| {
            values.push(part);
            part
        });
        let gradient = weighted(&values, 50).grad(leaves);
        let second = weighted(&gradient, 70).backward();
        let all = values.iter().chain(&gradient).map(|var| var.value());
        all.chain(leaves.iter().map(|&leaf| second.get(leaf))).collect()
    };
    let how = Unroll::new().lengths(&lengths).noise(Noise::new(1));
    let expected = {
        let tape = Tape::new();
        let (layer, x) = (steps.on(&tape), tape.leaf(x.clone()));
        let run = how.through(&layer, x);
        let leaves: Vec<_> = layer.leaves().into_iter().copied().chain([x]).collect();
        derivatives(run.outputs.square().sum(), run.last.1, &leaves)
    };
    for (every, segment) in [(4, 5), (3, 13), (7, 1), (1, 4), (20, 20)] {
        let module = stack(every);
        let tape = Tape::new();
        let (layer, x) = (module.on(&tape), tape.leaf(x.clone()));
        let segments = how.through_in_segments(segment, &module, &layer, x, |_, _, outputs| outputs.square().sum());
        let leaves: Vec<_> = layer.leaves().into_iter().copied().chain([x]).collect();
        let found = derivatives(segments.loss(), segments.last.1, &leaves);
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let size = expected.to_vec().iter().fold(1.0_f64, |most, x| most.max(x.abs()));
            let difference = distance(found, expected);
            assert!(
                difference <= 1e-12 * size,
                "every {every}, segments of {segment}: {k} differs by {difference} of {size}"
            );
        }
    }
}

#[test]
fn chunks_in_a_stream_go_on_from_the_state() {
    let (module, x) = (InChunks::new(mlstm(3, 4, 2, ForgetGate::Sigmoid), 4), random(&[13, 2, 3], 3));
    let tape = Tape::new();
    let whole =
        Unroll::new().through(&Recurrent(module.cell.clone()).on(&tape), tape.constant(x.clone())).outputs.value();
    let mut stream = Stream::new(module, 2);
    for range in [0..1, 1..8, 8..10, 10..13] {
        let found = stream.steps(&x.slice(0, range.clone()));
        assert!(distance(&found, &whole.slice(0, range)) < 1e-13);
    }
}
