//! The gated recurrent unit (Cho et al. 2014), in both forms of its reset gate.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, in_heads};
use super::heads::{self, affine, product};
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

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
        /// U_r and U_z, concatenated: `[H, 2H]`; `[N, H/N, 2H/N]` in N heads.
        pub weight_hh: P,
        /// U_n, `[H, H]`, or `[N, H/N, H/N]`: separate, since the reset gate acts on its product or on its input.
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
    /// If `inputs` or `hidden` is 0, or above 2^32.
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
}

built_in!(Gru { initial } gated);
in_heads!(Gru { weight_hh: 2, weight_hn: 1 });

impl<'t, T: Scalar> Gru<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), heads::units(&self.weight_hn.shape())];
        check_parameters(
            "Gru",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, 3 * hidden]),
                ("weight_hh", Some(self.weight_hh), &heads::expected(self.weight_hh, hidden, 2)),
                ("weight_hn", Some(self.weight_hn), &heads::expected(self.weight_hn, hidden, 1)),
                ("bias", self.bias, &[3 * hidden]),
                ("bias_hn", self.bias_hn, &[hidden]),
            ],
        );
        [inputs, hidden]
    }

    /// The equations, with `change` of the candidate n.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>, change: impl FnOnce(Var<'t, T>) -> Var<'t, T>) -> Var<'t, T> {
        let hidden = h.shape()[1];
        let x = x.affine(self.weight_ih, self.bias);
        let [r, z] = (x.slice(1, 0..2 * hidden) + product(h, self.weight_hh)).sigmoid().split_named(1, &["r", "z"]);
        let name = h.tape().scope("n");
        let recurrent = match self.reset {
            Reset::AfterProduct => r * affine(&[(h, self.weight_hn)], self.bias_hn),
            Reset::BeforeProduct => affine(&[(r * h, self.weight_hn)], self.bias_hn),
        };
        let n = change((x.slice(1, 2 * hidden..3 * hidden) + recurrent).tanh());
        drop(name);
        n + z * (h - n)
    }
}
