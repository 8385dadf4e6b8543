//! Mistakes with the cells of xLSTM are refused at the caller's line.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Tape, Tensor, Var};
use rewind_rnn::{Cell, ForgetGate, InChunks, MLstm, MLstmState, SLstm, SLstmState, Unroll, unroll};

use crate::common::random;
use crate::refused::refused;
use crate::xlstm::{mlstm, slstm};

fn x<'t>(tape: &'t Tape<f64>, shape: &[usize]) -> Var<'t, f64> {
    tape.constant(random(shape, 1))
}

#[test]
fn sizes_that_make_no_cell() {
    let rng = &mut StdRng::seed_from_u64(1);
    refused!("SLstm: 0 inputs and 5 hidden units; expected at least one of each", SLstm::<Tensor<f32>>::new(0, 5, rng));
    refused!("SLstm: 3 heads for 5 units; expected a number of heads that divides 5", {
        SLstm::<Tensor<f32>>::new(2, 5, rng).with_heads(3, rng)
    });
    for [inputs, hidden, heads] in [[0, 4, 2], [2, 0, 2], [2, 4, 0], [2, 5, 2]] {
        refused!(
            format!(
                "MLstm: {inputs} inputs and {hidden} hidden units in {heads} heads; expected at least one of each, and heads of equal width"
            ),
            MLstm::<Tensor<f32>>::new(inputs, hidden, heads, rng)
        );
    }
}

#[test]
fn an_input_or_a_state_that_does_not_fit() {
    let tape = Tape::new();
    let (slstm, mlstm) = (slstm(3, 5, ForgetGate::Sigmoid).on(&tape), mlstm(3, 8, 2, ForgetGate::Sigmoid).on(&tape));
    refused!("unroll: SLstm takes x [T, B, 3], 3 features; got x [7, 2, 4]", unroll(&slstm, x(&tape, &[7, 2, 4])));
    refused!("unroll: MLstm takes x [T, B, 3], 3 features; got x [7, 2, 4]", unroll(&mlstm, x(&tape, &[7, 2, 4])));
    refused!(
        "SLstm: a step takes x [B, 3], hidden [B, 5], cell [B, 5], normaliser [B, 5], stabiliser [B, 5], with one B; got x [2, 3], \
         hidden [2, 5], cell [2, 5], normaliser [1, 5], stabiliser [2, 5]",
        slstm.step(x(&tape, &[2, 3]), SLstmState { normaliser: x(&tape, &[1, 5]), ..slstm.initial(2) })
    );
    let takes = "MLstm: a step takes x [B, 3], hidden [B, 8], cell [B, 2, 4, 4], normaliser [B, 2, 4], stabiliser [B, 2], with one B";
    refused!(
        format!("{takes}; got x [2, 3], hidden [2, 8], cell [2, 2, 4, 4], normaliser [2, 2, 4], stabiliser [2, 1]"),
        mlstm.step(x(&tape, &[2, 3]), MLstmState { stabiliser: x(&tape, &[2, 1]), ..mlstm.initial(2) })
    );
    refused!(
        format!("{takes}; got x [2, 3], hidden [1, 8], cell [1, 2, 4, 4], normaliser [1, 2, 4], stabiliser [1, 2]"),
        mlstm.step(x(&tape, &[2, 3]), mlstm.initial(1))
    );
    refused!(
        format!("{takes}; got x [2, 3], hidden [2, 8], cell [2, 8], normaliser [2, 2, 4], stabiliser [2, 2]"),
        Unroll::new().through_from(
            &InChunks::new(mlstm.clone(), 2),
            x(&tape, &[4, 2, 3]),
            MLstmState { cell: x(&tape, &[2, 8]), ..mlstm.initial(2) }
        )
    );
}

#[test]
fn parameters_that_do_not_fit() {
    let tape = Tape::new();
    let slstm = slstm(3, 5, ForgetGate::Sigmoid).on(&tape);
    let wrong = SLstm { weight_hh: x(&tape, &[5, 15]), ..slstm.clone() };
    refused!(
        "SLstm: weight_hh has shape [5, 15]; expected [5, 20], by the rows of its weights",
        unroll(&wrong, x(&tape, &[7, 2, 3]))
    );
    let wrong = SLstm { initial_cell: Some(x(&tape, &[1])), ..slstm };
    refused!("SLstm: initial_cell has shape [1]; expected [5], a number for each unit", {
        unroll(&wrong, x(&tape, &[7, 2, 3]))
    });
    let mlstm = mlstm(3, 8, 2, ForgetGate::Sigmoid).on(&tape);
    let wrong = MLstm { bias: Some(x(&tape, &[8])), ..mlstm.clone() };
    refused!("MLstm: bias has shape [8]; expected [32], by its weights", { unroll(&wrong, x(&tape, &[7, 2, 3])) });
    for columns in [6, 0] {
        let wrong = MLstm { weight_gates: x(&tape, &[3, columns]), bias_gates: None, ..mlstm.clone() };
        let heads = columns / 2;
        refused!(
            format!(
                "MLstm: 8 hidden units in {heads} heads, by the columns of its weights; expected heads of equal width"
            ),
            unroll(&wrong, x(&tape, &[7, 2, 3]))
        );
    }
    let wrong = MLstm { weight_gates: x(&tape, &[4]), ..mlstm };
    refused!("MLstm: weight_gates has shape [4]; expected [3, 0], by its weights", {
        unroll(&wrong, x(&tape, &[7, 2, 3]))
    });
}

#[test]
fn chunks_that_cannot_be() {
    let (tape, other) = (Tape::new(), Tape::new());
    let layer = InChunks::new(mlstm(3, 8, 2, ForgetGate::Sigmoid), 2).on(&tape);
    let good = x(&tape, &[7, 2, 3]);
    let none = "InChunks: chunks of 0 time steps; expected at least one in each";
    refused!(none, InChunks::new(layer.cell.clone(), 0));
    refused!(none, Unroll::new().through(&InChunks { every: 0, ..layer.clone() }, good));
    refused!("unroll: x has shape [0, 2, 3]: no time step", Unroll::new().through(&layer, x(&tape, &[0, 2, 3])));
    refused!("InChunks: takes 3 features a step; x gives 4", Unroll::new().through(&layer, x(&tape, &[7, 2, 4])));
    refused!("unroll: 1 lengths for a batch of 2 sequences", Unroll::new().lengths(&[7]).through(&layer, good));
    refused!("through: InChunks or its first state lives on another tape than x", {
        Unroll::new().through(&layer, x(&other, &[7, 2, 3]))
    });
    refused!(
        "MLstm: a step takes x [B, 3], hidden [B, 8], cell [B, 2, 4, 4], normaliser [B, 2, 4], stabiliser [B, 2], with one B; got x [2, 3], \
         hidden [3, 8], cell [3, 2, 4, 4], normaliser [3, 2, 4], stabiliser [3, 2]",
        Unroll::new().through_from(&layer, good, layer.cell.initial(3))
    );
}
