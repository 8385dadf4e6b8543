//! The mLSTM in chunks is the mLSTM step by step: values, first and second derivatives.

use proptest::prelude::*;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{ForgetGate, MLstm, MLstmState, State, Unroll, unroll};

use crate::cells::random;
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
        let cell = mlstm(3, heads * width, heads, self.forget).on(&tape);
        let x = tape.leaf(random(&[steps, batch, 3], 40));
        let first = [&[batch, heads, width, width][..], &[batch, heads, width], &[batch, heads]]
            .map(|shape| tape.leaf(random(shape, 41)));
        let given = MLstmState {
            hidden: tape.zeros(&[batch, heads * width]),
            cell: first[0],
            normaliser: first[1],
            stabiliser: first[2],
        };
        let (outputs, last) = match (in_chunks, self.first) {
            (true, true) => chunks_of(self.unroll().in_chunks_from(every, &cell, x, given)),
            (true, false) => chunks_of(self.unroll().in_chunks(every, &cell, x)),
            (false, true) => steps_of(self.unroll().run_from(&cell, x, given)),
            (false, false) => steps_of(self.unroll().run(&cell, x)),
        };
        let mut values = vec![outputs];
        last.zip(last, &mut |part, _| {
            values.push(part);
            part
        });
        let mut leaves = vec![x];
        cell.visit(|_, &parameter| leaves.push(parameter));
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

fn chunks_of<'t>(chunks: rewind_rnn::Chunks<'t, f64>) -> (Var<'t, f64>, MLstmState<'t, f64>) {
    (chunks.outputs, chunks.last)
}

fn steps_of<'t>(unrolled: rewind_rnn::Unrolled<'t, f64, MLstmState<'t, f64>>) -> (Var<'t, f64>, MLstmState<'t, f64>) {
    (unrolled.outputs(), unrolled.last)
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
    let cell = mlstm(3, 6, 2, ForgetGate::Sigmoid);
    let x = random(&[9, 2, 3], 40);
    let spoilt =
        Tensor::from_fn(&[9, 2, 3], |at| if at / 6 >= 4 && at / 3 % 2 == 1 { f64::NAN } else { x.to_vec()[at] });
    let results = [x, spoilt].map(|x| {
        let tape = Tape::new();
        let on_tape = cell.on(&tape);
        let chunks = Unroll::new().lengths(&[9, 4]).in_chunks(4, &on_tape, tape.constant(x));
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
        Some(every) => Unroll::new().in_chunks(every, &cell, x).outputs,
        None => unroll(&cell, x).outputs(),
    };
    let (mut all, gradients) = (Vec::new(), outputs.square().sum().backward());
    gradients.of(&cell).visit(|_, g| all.push(g.clone()));
    (outputs.value(), all)
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
