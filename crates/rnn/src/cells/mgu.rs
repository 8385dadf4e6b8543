//! The minimal gated unit (Zhou et al. 2016): a GRU of one gate.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, in_heads};
use super::heads::{self, product};
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

parameters! {
    /// The MGU (Zhou et al. 2016, "Minimal gated unit for recurrent neural networks"):
    ///
    /// ```text
    /// f = sigmoid(x·W_f + h·U_f + b_f)             forget gate
    /// n = tanh(x·W_n + (f ∘ h)·U_n + b_n)          candidate
    /// h' = (1 - f) ∘ h + f ∘ n
    /// ```
    ///
    /// f is the update and the reset gate of a [`Gru`](crate::Gru) in one. Input `[B, I]`, state h `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Mgu, unroll};
    ///
    /// let cell = Mgu::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&cell.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct Mgu<P> {
        /// W_f and W_n, concatenated: `[I, 2H]`.
        pub weight_ih: P,
        /// U_f, `[H, H]`; `[N, H/N, H/N]` in N heads.
        pub weight_hh: P,
        /// U_n, of the same shape: separate, since the gate acts on its input.
        pub weight_hn: P,
        /// b_f and b_n, concatenated: `[2H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> Mgu<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("Mgu", inputs, hidden);
        Mgu {
            weight_ih: init::uniform_hidden(&[inputs, 2 * hidden], hidden, rng),
            weight_hh: init::uniform_hidden(&[hidden, hidden], hidden, rng),
            weight_hn: init::uniform_hidden(&[hidden, hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[2 * hidden], hidden, rng)),
            initial: None,
        }
    }
}

built_in!(Mgu { initial } gated);
in_heads!(Mgu { weight_hh: 1, weight_hn: 1 });

impl<'t, T: Scalar> Mgu<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), heads::units(&self.weight_hh.shape())];
        check_parameters(
            "Mgu",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, 2 * hidden]),
                ("weight_hh", Some(self.weight_hh), &heads::expected(self.weight_hh, hidden, 1)),
                ("weight_hn", Some(self.weight_hn), &heads::expected(self.weight_hn, hidden, 1)),
                ("bias", self.bias, &[2 * hidden]),
            ],
        );
        [inputs, hidden]
    }

    /// The equations, with `change` of the candidate n.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>, change: impl FnOnce(Var<'t, T>) -> Var<'t, T>) -> Var<'t, T> {
        let [f, n] = x.affine(self.weight_ih, self.bias).split_named(1, &["f", "n"]);
        let f = (f + product(h, self.weight_hh)).sigmoid();
        let n = change((n + product(f * h, self.weight_hn)).tanh());
        h + f * (n - h)
    }
}
