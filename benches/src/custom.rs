//! An LSTM as a user would write it, from ops alone.

use rand::RngExt;
use rand::rngs::StdRng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};
use rewind_rnn::Cell;

parameters! {
    /// x `[B, I]`, h and c `[B, H]`; w `[I, 4H]`, u `[H, 4H]`, b `[4H]`.
    pub struct CustomLstm<P> { w: P, u: P, b: P }
}

impl<T: Scalar> CustomLstm<Tensor<T>> {
    /// Parameters uniform in ±1/√H.
    pub fn new(inputs: usize, hidden: usize, rng: &mut StdRng) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let mut uniform = |shape: &[usize]| Tensor::from_fn(shape, |_| T::from_f64(rng.random_range(-bound..bound)));
        CustomLstm { w: uniform(&[inputs, 4 * hidden]), u: uniform(&[hidden, 4 * hidden]), b: uniform(&[4 * hidden]) }
    }
}

impl<'t, T: Scalar> Cell<'t, T> for CustomLstm<Var<'t, T>> {
    type State = (Var<'t, T>, Var<'t, T>);

    fn step(&self, x: Var<'t, T>, (c, h): Self::State) -> Self::State {
        let [i, f, g, o] = (x.matmul(self.w) + h.matmul(self.u) + self.b).split(1);
        let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
        (c, o.sigmoid() * c.tanh())
    }

    fn initial(&self, batch: usize) -> Self::State {
        let zeros = self.u.tape().zeros(&[batch, self.u.shape()[0]]);
        (zeros, zeros)
    }
}
