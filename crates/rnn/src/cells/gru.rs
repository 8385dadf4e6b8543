//! The gated recurrent unit (Cho et al. 2014), in both forms of its reset gate.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::cell::{Cell, first_state};
use crate::init;
use crate::sizes::{check_learned, check_parameters, check_sizes, check_step, rows};

/// Where the reset gate of a [`Gru`] acts. The two forms have the same parameters and are different functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// n = tanh(x·W_n + b_n + r ∘ (h·U_n + c_n)): after the recurrent product, as in cuDNN and PyTorch.
    #[default]
    AfterProduct,
    /// n = tanh(x·W_n + b_n + (r ∘ h)·U_n + c_n): before the product, as in the paper (Cho et al. 2014, version 1).
    BeforeProduct,
}

parameters! {
    /// The GRU (Cho et al. 2014):
    ///
    /// ```text
    /// r = sigmoid(x·W_r + h·U_r + b_r)                 reset gate
    /// z = sigmoid(x·W_z + h·U_z + b_z)                 update gate
    /// n = tanh(x·W_n + b_n + r ∘ (h·U_n + c_n))        candidate (reset after the product: see Reset)
    /// h' = (1 - z) ∘ n + z ∘ h
    /// ```
    ///
    /// Input `[B, I]`, state h `[B, H]`. z = 1 keeps the old state, as in PyTorch; in the paper z = 0 does.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Gru, Reset, unroll};
    ///
    /// let mut gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// gru.reset = Reset::BeforeProduct;
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&gru.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct Gru<P> {
        /// W_r, W_z and W_n, concatenated: `[I, 3H]`.
        pub weight_ih: P,
        /// U_r and U_z, concatenated: `[H, 2H]`.
        pub weight_hh: P,
        /// U_n, `[H, H]`: separate, since the reset gate acts on its product or on its input.
        pub weight_hn: P,
        /// b_r, b_z and b_n, concatenated: `[3H]`.
        pub bias: Option<P>,
        /// c_n, `[H]`: the bias that the reset gate acts on.
        pub bias_hn: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
        /// Where the reset gate acts.
        #[setting]
        pub reset: Reset,
    }
}

impl<T: Scalar> Gru<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H, reset after the product.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("Gru", inputs, hidden);
        Gru {
            weight_ih: init::uniform_hidden(&[inputs, 3 * hidden], hidden, rng),
            weight_hh: init::uniform_hidden(&[hidden, 2 * hidden], hidden, rng),
            weight_hn: init::uniform_hidden(&[hidden, hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[3 * hidden], hidden, rng)),
            bias_hn: Some(init::uniform_hidden(&[hidden], hidden, rng)),
            initial: None,
            reset: Reset::AfterProduct,
        }
    }

    /// The same cell with a learned first state, initially zero.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::Gru;
    ///
    /// let gru = Gru::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1)).with_learned_state();
    /// assert_eq!(gru.initial, Some(Tensor::zeros(&[5])));
    /// ```
    pub fn with_learned_state(mut self) -> Self {
        self.initial = Some(Tensor::zeros(&self.weight_hh.shape()[..1]));
        self
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Gru<Var<'t, T>> {
    type State = Var<'t, T>;

    #[track_caller]
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        check_step("Gru", self.sizes(), x, &[("h", h)]);
        self.next(x, h)
    }

    fn equations(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        self.next(x, h)
    }

    #[track_caller]
    fn initial(&self, batch: usize) -> Var<'t, T> {
        let [_, hidden] = self.sizes();
        check_learned("Gru", "initial", self.initial, hidden);
        first_state(self.initial, self.weight_hh, batch, hidden)
    }

    #[track_caller]
    fn features(&self) -> Option<usize> {
        Some(self.sizes()[0])
    }
}

impl<'t, T: Scalar> Gru<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), rows(self.weight_hn)];
        check_parameters(
            "Gru",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, 3 * hidden]),
                ("weight_hh", Some(self.weight_hh), &[hidden, 2 * hidden]),
                ("weight_hn", Some(self.weight_hn), &[hidden, hidden]),
                ("bias", self.bias, &[3 * hidden]),
                ("bias_hn", self.bias_hn, &[hidden]),
            ],
        );
        [inputs, hidden]
    }

    /// The equations. Separate from `step`, whose `#[track_caller]` would give every node the line of the caller.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let hidden = rows(self.weight_hn);
        let x = x.affine(self.weight_ih, self.bias);
        let [r, z] = (x.slice(1, 0..2 * hidden) + h.matmul(self.weight_hh)).sigmoid().split_named(1, &["r", "z"]);
        let n = {
            let _candidate = h.tape().scope("n");
            let recurrent = match self.reset {
                Reset::AfterProduct => r * h.affine(self.weight_hn, self.bias_hn),
                Reset::BeforeProduct => (r * h).affine(self.weight_hn, self.bias_hn),
            };
            (x.slice(1, 2 * hidden..3 * hidden) + recurrent).tanh()
        };
        n + z * (h - n)
    }
}
