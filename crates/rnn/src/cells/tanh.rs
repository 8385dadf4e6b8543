//! The basic recurrent network (Elman 1990): one hidden layer that reads its previous output.

use rand::Rng;
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::cell::{Cell, first_state};
use crate::init;
use crate::sizes::{check_learned, check_parameters, check_sizes, check_step, rows};

parameters! {
    /// The tanh-RNN (Elman 1990):
    ///
    /// ```text
    /// h_t = tanh(x_t·W + h_(t-1)·U + b)
    /// ```
    ///
    /// The same W, U and b at every time step. Input `[B, I]`, state h `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{TanhRnn, unroll};
    ///
    /// let rnn = TanhRnn::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&rnn.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct TanhRnn<P> {
        /// W, `[I, H]`.
        pub weight_ih: P,
        /// U, `[H, H]`.
        pub weight_hh: P,
        /// b, `[H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> TanhRnn<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("TanhRnn", inputs, hidden);
        TanhRnn {
            weight_ih: init::uniform_hidden(&[inputs, hidden], hidden, rng),
            weight_hh: init::uniform_hidden(&[hidden, hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[hidden], hidden, rng)),
            initial: None,
        }
    }

    /// The same cell with a learned first state, initially zero.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::TanhRnn;
    ///
    /// let rnn = TanhRnn::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1)).with_learned_state();
    /// assert_eq!(rnn.initial, Some(Tensor::zeros(&[5])));
    /// ```
    pub fn with_learned_state(mut self) -> Self {
        self.initial = Some(Tensor::zeros(&self.weight_hh.shape()[..1]));
        self
    }
}

impl<'t, T: Scalar> Cell<'t, T> for TanhRnn<Var<'t, T>> {
    type State = Var<'t, T>;

    #[track_caller]
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        check_step("TanhRnn", self.sizes(), x, &[("h", h)]);
        self.next(x, h)
    }

    fn equations(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        self.next(x, h)
    }

    #[track_caller]
    fn initial(&self, batch: usize) -> Var<'t, T> {
        let [_, hidden] = self.sizes();
        check_learned("TanhRnn", "initial", self.initial, hidden);
        first_state(self.initial, self.weight_hh, batch, hidden)
    }

    #[track_caller]
    fn features(&self) -> Option<usize> {
        Some(self.sizes()[0])
    }
}

impl<'t, T: Scalar> TanhRnn<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), rows(self.weight_hh)];
        check_parameters(
            "TanhRnn",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, hidden]),
                ("weight_hh", Some(self.weight_hh), &[hidden, hidden]),
                ("bias", self.bias, &[hidden]),
            ],
        );
        [inputs, hidden]
    }

    /// The equations. Separate from `step`, whose `#[track_caller]` would give every node the line of the caller.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        affine(&[(x, self.weight_ih), (h, self.weight_hh)], self.bias).tanh()
    }
}
