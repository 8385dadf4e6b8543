//! A first state of zeros: `Tape::zeros` is an ordinary constant.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::nonfinite::Pass;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var};
use rewind_rnn::{Cell, Gru, Lstm, Reset, State, TanhRnn, Unroll, check};

use crate::common::{random, randomised};

/// Outputs, and the gradients of all parameters, from the cell's first state or from the same values as a constant.
fn results<M>(module: &M, steps: usize, written_out: bool) -> Vec<Vec<f32>>
where
    M: Parameters<Tensor<f32>, With<Tensor<f32>> = M>,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32> + Parameters<Var<'t, f32>, With<Tensor<f32>> = M>,
{
    let tape = Tape::new();
    let cell = module.on(&tape);
    let x = tape.constant(Tensor::from_fn(&[steps, 7, 3], |i| (i as f32 * 0.7).sin()));
    let own = cell.initial(7);
    let numbers = |part: Var<'_, f32>| tape.constant(part.value().to_contiguous());
    let first = if written_out { own.clone().zip(own, &mut |part, _| numbers(part)) } else { own };
    let y = Unroll::new().run_from(&cell, x, first).outputs();
    let gradients = y.square().sum().backward().of(&cell);
    let mut results = vec![y.value().to_vec()];
    gradients.visit(|_, gradient| results.push(gradient.to_vec()));
    results
}

fn assert_same<M>(name: &str, module: &M)
where
    M: Parameters<Tensor<f32>, With<Tensor<f32>> = M>,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32> + Parameters<Var<'t, f32>, With<Tensor<f32>> = M>,
{
    for steps in [1, 2, 7] {
        let (own, written_out) = (results(module, steps, false), results(module, steps, true));
        assert!(own[0].iter().any(|&y| y != 0.0), "{name}: outputs of a cell with biases are not zero");
        assert_eq!(own, written_out, "{name}, {steps} steps");
    }
}

#[test]
fn zeros_give_the_bits_of_zeros_that_are_written_out() {
    let rng = &mut StdRng::seed_from_u64(4);
    assert_same("tanh", &TanhRnn::new(3, 33, rng));
    assert_same("lstm", &Lstm::new(3, 33, rng));
    let mut gru = Gru::new(3, 33, rng);
    assert_same("gru", &gru);
    gru.reset = Reset::BeforeProduct;
    assert_same("gru, reset before the product", &gru);
}

#[test]
fn gradients_from_zeros_are_right_at_both_orders() {
    let rng = &mut StdRng::seed_from_u64(4);
    let x = random(&[3, 2, 3], 9);
    macro_rules! assert_right {
        ($module:expr) => {
            check::module(&$module, |tape, cell| Unroll::new().run(cell, tape.constant(x.clone())).outputs()).assert()
        };
    }
    assert_right!(randomised(&TanhRnn::new(3, 2, rng), 1));
    assert_right!(randomised(&Lstm::new(3, 2, rng), 2));
    assert_right!(randomised(&Gru::new(3, 2, rng), 3));
}

/// The state of the first step is 0, and 0·NaN is NaN: one step suffices.
#[test]
fn a_nan_in_the_weight_of_the_state_shows_at_the_first_step() {
    let rng = &mut StdRng::seed_from_u64(4);
    let (mut tanh, mut lstm, mut gru) = (TanhRnn::new(3, 5, rng), Lstm::new(3, 5, rng), Gru::new(3, 5, rng));
    macro_rules! assert_found {
        ($module:expr) => {
            $module.weight_hh.as_mut_slice()[7] = f32::NAN;
            let tape = Tape::new();
            let x = tape.constant(Tensor::from_fn(&[1, 2, 3], |i| (i as f32 * 0.7).sin()));
            let loss = Unroll::new().run(&$module.on(&tape), x).outputs().square().sum();
            assert!(loss.value().item().is_nan());
            let report = loss.find_nonfinite().expect("the loss is NaN");
            assert_eq!((&report.pass, report.place.op), (&Pass::Forward, "leaf"), "{report}");
            assert_eq!(report.place.scope.as_str(), "weight_hh", "{report}");
        };
    }
    assert_found!(tanh);
    assert_found!(lstm);
    assert_found!(gru);
}
