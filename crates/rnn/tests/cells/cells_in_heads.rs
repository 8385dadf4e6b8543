//! Cells in heads: the dense cell with the block-diagonal matrix.

use rewind_autograd::{Module, OnTape, Parameters, Tape, Tensor, Var};
use rewind_rnn::{
    Cell, CoupledLstm, Gru, LayerNormLstm, Lstm, Mgu, PeepholeLstm, ReluRnn, Reset, TanhRnn, Unroll, check,
};

use crate::cells_by_hand::{made, parts, rng};
use crate::common::{random, randomised};

/// Where the element of a head at `[n, k, column]` lies in the dense matrix: the columns of a gate are together.
fn place(shape: &[usize], [n, k, column]: [usize; 3]) -> [usize; 2] {
    let (heads, units) = (shape[0], shape[1]);
    let (gate, unit) = (column / units, column % units);
    [n * units + k, gate * heads * units + n * units + unit]
}

/// Calls `f` with every index of a tensor of heads.
fn each(shape: &[usize], mut f: impl FnMut([usize; 3])) {
    for n in 0..shape[0] {
        for k in 0..shape[1] {
            for column in 0..shape[2] {
                f([n, k, column]);
            }
        }
    }
}

/// The same cell with dense matrices.
fn dense<M: Module<f64>>(module: &M) -> M {
    module.map(|_, p| {
        let &[heads, units, columns] = p.shape() else { return p.clone() };
        let mut all = Tensor::zeros(&[heads * units, heads * columns]);
        each(p.shape(), |at| {
            let [row, column] = place(p.shape(), at);
            all.as_mut_slice()[row * heads * columns + column] = p.at(&at);
        });
        all
    })
}

/// States and gradients of the cell and of the dense one are the same.
fn assert_is_dense<M: Module<f64>>(module: &M)
where
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64> + Parameters<Var<'t, f64>, With<Tensor<f64>> = M>,
{
    let run = |module: &M| {
        let tape = Tape::new();
        let cell = module.on(&tape);
        let unrolled = Unroll::new().lengths(&[4, 2]).run(&cell, tape.constant(random(&[4, 2, 3], 5)));
        let loss = (unrolled.outputs() * tape.constant(random(&unrolled.outputs().shape(), 6))).sum();
        (parts(&unrolled.last), loss.backward().of(&cell))
    };
    let ((states, gradients), (expected, whole)) = (run(module), run(&dense(module)));
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a}, dense {b}");
    let all = |a: &Tensor<f64>, b: &Tensor<f64>| {
        assert_eq!(a.shape(), b.shape());
        a.to_vec().into_iter().zip(b.to_vec()).for_each(|(a, b)| close(a, b));
    };
    states.iter().zip(&expected).for_each(|(a, b)| all(a, b));
    let mut in_heads = 0;
    gradients.zip(&whole, |_, gradient, whole: &Tensor<f64>| {
        if gradient.rank() == 3 {
            in_heads += 1;
            each(gradient.shape(), |at| close(gradient.at(&at), whole.at(&place(gradient.shape(), at))));
        } else {
            all(gradient, whole);
        }
    });
    assert!(in_heads > 0);
}

/// The cell with 1, 2 and H heads; with 2, gradients are checked against differences.
macro_rules! assert_heads {
    ($cell:ident $(, $field:ident = $value:expr)?) => {
        for (hidden, heads) in [(4, 1), (4, 2), (4, 4), (1, 1), (7, 7)] {
            #[allow(unused_mut, reason = "not every cell has a setting")]
            let mut cell = made!($cell, 3, hidden).with_heads(heads, &mut rng());
            $(cell.$field = $value;)?
            assert_eq!(cell.weight_hh.shape()[..2], [heads, hidden / heads]);
            let cell = randomised(&cell, 11);
            assert_is_dense(&cell);
            if heads == 2 {
                check::cell(&cell, [3, 2, 3]).assert();
            }
        }
    };
}

#[test]
fn tanh_and_relu() {
    assert_heads!(TanhRnn);
    assert_heads!(ReluRnn);
}

#[test]
fn lstm() {
    assert_heads!(Lstm);
}

#[test]
fn gru_in_both_forms() {
    assert_heads!(Gru);
    assert_heads!(Gru, reset = Reset::BeforeProduct);
}

#[test]
fn variants_of_the_lstm() {
    assert_heads!(PeepholeLstm);
    assert_heads!(CoupledLstm);
}

#[test]
fn layer_norm() {
    assert_heads!(LayerNormLstm);
}

#[test]
fn mgu() {
    assert_heads!(Mgu);
}

#[test]
fn without_biases() {
    let mut gru = made!(Gru, 3, 4).with_heads(2, &mut rng());
    (gru.bias, gru.bias_hn) = (None, None);
    assert_is_dense(&gru);
    assert_is_dense(&Lstm { bias: None, ..made!(Lstm, 3, 4).with_heads(2, &mut rng()) });
}

#[test]
fn weights_in_different_numbers_of_heads() {
    let mut gru = made!(Gru, 3, 6).with_heads(2, &mut rng());
    gru.weight_hn = random(&[3, 2, 2], 1);
    assert_is_dense(&gru);
    gru.weight_hn = random(&[6, 6], 1);
    assert_is_dense(&gru);
}

#[test]
fn heads_are_drawn_as_cells_of_their_units_and_more_can_be_set_on_them() {
    let lstm = Lstm::<Tensor<f64>>::new(3, 64, &mut rng()).with_heads(16, &mut rng());
    assert_eq!(lstm.weight_hh.shape(), [16, 4, 16]);
    let largest = lstm.weight_hh.to_vec().iter().fold(0.0_f64, |largest, w| largest.max(w.abs()));
    assert!((0.49..=0.5).contains(&largest), "{largest}: in ±1/√4");
    let lstm = lstm.with_learned_state().with_forget_bias(1.0);
    assert_eq!(lstm.initial_cell, Some(Tensor::zeros(&[64])));
    assert_eq!(lstm.bias.as_ref().map(|b| b.slice(0, 64..128)), Some(Tensor::full(&[64], 1.0)));
    // Other numbers of heads can be drawn afterwards.
    assert_eq!(lstm.with_heads(2, &mut rng()).weight_hh.shape(), [2, 32, 128]);
}
