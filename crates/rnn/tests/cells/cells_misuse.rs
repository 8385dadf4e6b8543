//! Wrong sizes of the cells: the message names cell and parameter, at the caller's line.

use rewind_autograd::{OnTape, Tape, Tensor, Var};
use rewind_rnn::{
    Cell, CoupledLstm, Gru, IndRnn, LayerNormLstm, Lstm, LstmState, MLstm, Mgu, PeepholeLstm, ProjectedLstm,
};
use rewind_rnn::{ReluRnn, TanhRnn, Unroll, unroll};

use crate::cells_by_hand::{made, rng};
use crate::common::{random, randomised};
use crate::refused::refused;

fn of<'t>(tape: &'t Tape<f64>, shape: &[usize]) -> Var<'t, f64> {
    tape.constant(random(shape, 1))
}

const WHY: &str = "by the rows of its weights";

#[test]
fn no_unit_and_no_input() {
    let one = "expected at least one of each";
    refused!(format!("ReluRnn: 3 inputs and 0 hidden units; {one}"), ReluRnn::<Tensor<f64>>::new(3, 0, &mut rng()));
    refused!(format!("ReluRnn: 0 inputs and 2 hidden units; {one}"), {
        ReluRnn::<Tensor<f64>>::identity(0, 2, &mut rng())
    });
    refused!(format!("IndRnn: 3 inputs and 0 hidden units; {one}"), IndRnn::<Tensor<f64>>::new(3, 0, &mut rng()));
    refused!(format!("Mgu: 3 inputs and 0 hidden units; {one}"), Mgu::<Tensor<f64>>::new(3, 0, &mut rng()));
    refused!(format!("PeepholeLstm: 3 inputs and 0 hidden units; {one}"), {
        PeepholeLstm::<Tensor<f64>>::new(3, 0, &mut rng())
    });
    refused!(format!("CoupledLstm: 3 inputs and 0 hidden units; {one}"), {
        CoupledLstm::<Tensor<f64>>::new(3, 0, &mut rng())
    });
    refused!(format!("LayerNormLstm: 3 inputs and 0 hidden units; {one}"), {
        LayerNormLstm::<Tensor<f64>>::new(3, 0, &mut rng())
    });
    refused!(format!("ProjectedLstm: 3 inputs and 0 hidden units; {one}"), {
        ProjectedLstm::<Tensor<f64>>::new(3, 0, 2, &mut rng())
    });
    refused!("ProjectedLstm: 5 units projected to 0; expected at least one", {
        ProjectedLstm::<Tensor<f64>>::new(3, 5, 0, &mut rng())
    });
}

#[test]
fn more_units_or_inputs_than_any_memory_holds() {
    let most = "expected at most 4294967296 of each";
    for many in [(1 << 32) + 1, 1 << 62, usize::MAX] {
        refused!(
            format!("Lstm: 3 inputs and {many} hidden units; {most}"),
            Lstm::<Tensor<f64>>::new(3, many, &mut rng())
        );
        refused!(
            format!("Gru: {many} inputs and 3 hidden units; {most}"),
            Gru::<Tensor<f64>>::new(many, 3, &mut rng())
        );
        refused!(
            format!("IndRnn: 3 inputs and {many} hidden units; {most}"),
            IndRnn::<Tensor<f32>>::new(3, many, &mut rng())
        );
        refused!(
            format!("MLstm: 3 inputs and {many} hidden units; {most}"),
            MLstm::<Tensor<f32>>::new(3, many, 1, &mut rng())
        );
        refused!(format!("ProjectedLstm: 3 inputs and {many} hidden units; {most}"), {
            ProjectedLstm::<Tensor<f64>>::new(3, many, 2, &mut rng())
        });
    }
}

#[test]
fn heads_that_do_not_divide_the_units() {
    for heads in [0, 2, 6] {
        refused!(
            format!("Lstm: {heads} heads for 5 units; expected a number of heads that divides 5"),
            made!(Lstm, 3, 5).with_heads(heads, &mut rng())
        );
    }
    refused!("Gru: 3 heads for 5 units; expected a number of heads that divides 5", {
        made!(Gru, 3, 5).with_heads(3, &mut rng())
    });
    refused!("TanhRnn: 3 heads for 4 units; expected a number of heads that divides 4", {
        made!(TanhRnn, 3, 4).with_heads(2, &mut rng()).with_heads(3, &mut rng())
    });
}

#[test]
fn a_weight_of_heads_that_does_not_fit() {
    let tape = Tape::new();
    let x = of(&tape, &[4, 2, 3]);
    let lstm = made!(Lstm, 3, 4).with_heads(2, &mut rng()).on(&tape);
    // Too few columns, other units than the weight of the input has, no head, and an axis too many.
    for (shape, parameter, expected) in [
        (&[2, 2, 4][..], "weight_hh has shape [2, 2, 4]", "[2, 2, 8]"),
        (&[3, 2, 8], "weight_ih has shape [3, 16]", "[3, 24]"),
        (&[0, 2, 8], "weight_ih has shape [3, 16]", "[3, 0]"),
        (&[4, 2, 2, 8], "weight_hh has shape [4, 2, 2, 8]", "[4, 16]"),
    ] {
        let wrong = Lstm { weight_hh: of(&tape, shape), ..lstm.clone() };
        refused!(format!("Lstm: {parameter}; expected {expected}, {WHY}"), unroll(&wrong, x));
    }
    let gru = made!(Gru, 3, 4).with_heads(2, &mut rng()).on(&tape);
    for (shape, expected) in [(&[4, 4, 8][..], "[4, 1, 2]"), (&[3, 2, 4], "[4, 8]"), (&[8, 16], "[4, 8]")] {
        let wrong = Gru { weight_hh: of(&tape, shape), ..gru.clone() };
        refused!(format!("Gru: weight_hh has shape {shape:?}; expected {expected}, {WHY}"), unroll(&wrong, x));
    }
    refused!("Gru: a step takes x [B, 3], h [B, 4], with one B; got x [2, 3], h [2, 2]", {
        gru.step(of(&tape, &[2, 3]), of(&tape, &[2, 2]))
    });
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let tape = Tape::new();
    let x = of(&tape, &[4, 2, 3]);
    /// The cell with one parameter of another shape, optional or not.
    macro_rules! wrong {
        ($cell:ident { $($field:ident: $shape:expr => $expected:expr),+ $(,)? }) => {$(
            let mut wrong = made!($cell, 3, 5).on(&tape);
            set(&mut wrong.$field, of(&tape, &$shape));
            let (name, field) = (stringify!($cell), stringify!($field));
            let message = format!("{name}: {field} has shape {:?}; expected {:?}, {WHY}", $shape, $expected);
            refused!(message.clone(), unroll(&wrong, x));
            refused!(message, wrong.initial(2));
        )+};
    }
    wrong!(ReluRnn { weight_ih: [3, 1] => [3, 5], weight_hh: [5, 1] => [5, 5], bias: [1] => [5] });
    wrong!(IndRnn { weight_ih: [3, 1] => [3, 5], weight_hh: [5, 5] => [5], bias: [1] => [5] });
    wrong!(Mgu {
        weight_ih: [3, 5] => [3, 10],
        weight_hh: [5, 1] => [5, 5],
        weight_hn: [5, 1] => [5, 5],
        bias: [5] => [10],
    });
    wrong!(PeepholeLstm {
        weight_ih: [3, 4] => [3, 20],
        weight_hh: [5, 4] => [5, 20],
        bias: [5] => [20],
        peephole_i: [1] => [5],
        peephole_f: [15] => [5],
        peephole_o: [5, 5] => [5],
    });
    wrong!(CoupledLstm { weight_ih: [3, 20] => [3, 15], weight_hh: [5, 20] => [5, 15], bias: [1] => [15] });
    wrong!(LayerNormLstm {
        weight_ih: [3, 4] => [3, 20],
        weight_hh: [5, 4] => [5, 20],
        gain_ih: [5] => [20],
        bias_ih: [1] => [20],
        gain_hh: [5] => [20],
        bias_hh: [1] => [20],
        gain_cell: [1] => [5],
        bias_cell: [20] => [5],
    });
}

/// A parameter, or one that a cell may lack.
trait Set<V> {
    fn set(&mut self, value: V);
}

impl<'t> Set<Var<'t, f64>> for Var<'t, f64> {
    fn set(&mut self, value: Var<'t, f64>) {
        *self = value;
    }
}

impl<'t> Set<Var<'t, f64>> for Option<Var<'t, f64>> {
    fn set(&mut self, value: Var<'t, f64>) {
        *self = Some(value);
    }
}

fn set<V>(field: &mut impl Set<V>, value: V) {
    field.set(value);
}

#[test]
fn an_input_or_a_state_of_the_wrong_size() {
    let tape = Tape::new();
    let (sequence, x) = (of(&tape, &[4, 2, 4]), of(&tape, &[2, 3]));
    let (one, two) = (of(&tape, &[1, 5]), of(&tape, &[2, 5]));
    macro_rules! hidden {
        ($($cell:ident),+) => {$(
            let cell = made!($cell, 3, 5).on(&tape);
            let name = stringify!($cell);
            refused!(format!("unroll: {name} takes x [T, B, 3], 3 features; got x [4, 2, 4]"), unroll(&cell, sequence));
            refused!(
                format!("{name}: a step takes x [B, 3], h [B, 5], with one B; got x [2, 3], h [1, 5]"),
                cell.step(x, one)
            );
            let narrow = rewind_rnn::$cell { initial: Some(of(&tape, &[1])), ..cell };
            refused!(format!("{name}: initial has shape [1]; expected [5], a number for each unit"), narrow.initial(2));
        )+};
    }
    hidden!(ReluRnn, IndRnn, Mgu);
    macro_rules! hidden_and_cell {
        ($($cell:ident),+) => {$(
            let cell = made!($cell, 3, 5).on(&tape);
            let name = stringify!($cell);
            refused!(format!("unroll: {name} takes x [T, B, 3], 3 features; got x [4, 2, 4]"), unroll(&cell, sequence));
            let takes = "a step takes x [B, 3], hidden [B, 5], cell [B, 5], with one B";
            refused!(
                format!("{name}: {takes}; got x [2, 3], hidden [2, 5], cell [1, 5]"),
                cell.step(x, LstmState { hidden: two, cell: one })
            );
            let narrow = rewind_rnn::$cell { initial_cell: Some(of(&tape, &[1])), ..cell };
            refused!(
                format!("{name}: initial_cell has shape [1]; expected [5], a number for each unit"),
                narrow.initial(2)
            );
        )+};
    }
    hidden_and_cell!(PeepholeLstm, CoupledLstm, LayerNormLstm);
}

#[test]
fn a_projection_that_does_not_fit() {
    let tape = Tape::new();
    let x = of(&tape, &[4, 3, 3]);
    let cell = made!(ProjectedLstm, 3, 5, 2).on(&tape);
    let wrong = ProjectedLstm { weight_hh: of(&tape, &[5, 20]), ..cell.clone() };
    refused!(format!("ProjectedLstm: weight_hr has shape [5, 2]; expected [5, 5], {WHY}"), unroll(&wrong, x));
    let wrong = ProjectedLstm { weight_hr: of(&tape, &[2, 2]), ..cell.clone() };
    refused!(format!("ProjectedLstm: weight_ih has shape [3, 20]; expected [3, 8], {WHY}"), unroll(&wrong, x));
    let wrong = ProjectedLstm { bias: Some(of(&tape, &[5])), ..cell.clone() };
    refused!(format!("ProjectedLstm: bias has shape [5]; expected [20], {WHY}"), unroll(&wrong, x));
    let state = LstmState { hidden: of(&tape, &[3, 5]), cell: of(&tape, &[3, 5]) };
    refused!(
        "ProjectedLstm: a step takes x [B, 3], hidden [B, 2], cell [B, 5], with one B; got x [3, 3], hidden [3, 5], cell \
         [3, 5] at t=0",
        Unroll::new().run_from(&cell, x, state)
    );
    refused!(
        "unroll: ProjectedLstm takes x [T, B, 3], 3 features; got x [4, 3, 2]",
        unroll(&cell, of(&tape, &[4, 3, 2]))
    );
    let wrong = ProjectedLstm { initial_hidden: Some(of(&tape, &[5])), ..cell.clone() };
    refused!("ProjectedLstm: initial_hidden has shape [5]; expected [2], a number for each unit", unroll(&wrong, x));
    let wrong = ProjectedLstm { initial_cell: Some(of(&tape, &[2])), ..cell };
    refused!("ProjectedLstm: initial_cell has shape [2]; expected [5], a number for each unit", wrong.initial(3));
}
