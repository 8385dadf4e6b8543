//! Which ops a model becomes.

use rewind_autograd::{Scalar, Tensor, Var, parameters};
use rewind_onnx::export;
use rewind_rnn::{Bidirectional, Cell, Gru, LayerModule, Lstm, LstmState, Recurrent, ReluRnn, TanhRnn};

use crate::cases::rng;

/// The recurrent ops of a model of 3 features.
fn loops<M: LayerModule<f32>>(model: &M) -> String {
    let exported = export(model, 3).expect("the cell has a form");
    let is_loop = |op: &&str| ["LSTM", "GRU", "RNN", "Scan"].contains(op);
    exported.ops().into_iter().filter(is_loop).collect::<Vec<_>>().join(" ")
}

parameters! {
    /// An LSTM as a user writes it, its parameters under names of his own. With `leak` the forget gate is f² and it is none.
    struct Written<P> {
        w: P,
        u: P,
        #[setting]
        leak: bool,
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Written<Var<'t, T>> {
    type State = LstmState<'t, T>;
    fn step(&self, x: Var<'t, T>, LstmState { hidden, cell }: LstmState<'t, T>) -> LstmState<'t, T> {
        let gates = rewind_autograd::ops::linalg::affine(&[(x, self.w), (hidden, self.u)], None);
        let [i, f, g, o] = gates.split(1);
        let f = if self.leak { f.sigmoid().square() } else { f.sigmoid() };
        let cell = f * cell + i.sigmoid() * g.tanh();
        LstmState { hidden: o.sigmoid() * cell.tanh(), cell }
    }
    fn initial(&self, batch: usize) -> LstmState<'t, T> {
        let zeros = self.u.tape().zeros(&[batch, self.u.shape()[0]]);
        LstmState { hidden: zeros, cell: zeros }
    }
}

#[test]
fn the_built_in_cells_are_ops_of_onnx() {
    let rng = &mut rng();
    assert_eq!(loops(&Recurrent(Lstm::<Tensor<f32>>::new(3, 4, rng))), "LSTM");
    assert_eq!(loops(&Recurrent(Gru::<Tensor<f32>>::new(3, 4, rng))), "GRU");
    assert_eq!(loops(&Recurrent(TanhRnn::<Tensor<f32>>::new(3, 4, rng))), "RNN");
    assert_eq!(loops(&Recurrent(ReluRnn::<Tensor<f32>>::new(3, 4, rng))), "Scan");
}

#[test]
fn two_directions_are_one_op_if_they_are_alike() {
    let rng = &mut rng();
    let mut lstm = |hidden| Lstm::<Tensor<f32>>::new(3, hidden, rng);
    assert_eq!(loops(&Bidirectional::cells(lstm(4), lstm(4))), "LSTM");
    assert_eq!(loops(&Bidirectional::cells(lstm(4), lstm(5))), "LSTM LSTM");
}

#[test]
fn a_cell_is_recognised_by_its_equations() {
    let rng = &mut rng();
    let Lstm { weight_ih: w, weight_hh: u, .. } = Lstm::<Tensor<f32>>::new(3, 4, rng);
    let written = |leak| Recurrent(Written { w: w.clone(), u: u.clone(), leak });
    assert_eq!(loops(&written(false)), "LSTM");
    assert_eq!(loops(&written(true)), "Scan");
}
