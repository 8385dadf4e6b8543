//! The minimal gated recurrent unit (Feng et al. 2024), whose gates do not read the state.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::built_in;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, columns, rows};

parameters! {
    /// The minGRU (Feng et al. 2024, "Were RNNs All We Needed?"):
    ///
    /// ```text
    /// z = sigmoid(x·W_z + b_z)          update gate
    /// n = x·W_n + b_n                   candidate
    /// h' = (1 - z) ∘ h + z ∘ n
    /// ```
    ///
    /// Input `[B, I]`, state h `[B, H]`. z = 0 keeps the old state. Gates and candidate read x alone, so that h' is linear in h, and
    /// [`sequence`](MinGru::sequence) computes all time steps at once. This is the paper's first form: the candidate passes through
    /// no function, and nothing is in logarithms, so that states may have any sign.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{MinGru, unroll};
    ///
    /// let gru = MinGru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&gru.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct MinGru<P> {
        /// W_z and W_n, concatenated: `[I, 2H]`.
        pub weight_ih: P,
        /// b_z and b_n, concatenated: `[2H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> MinGru<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("MinGru", inputs, hidden);
        MinGru {
            weight_ih: init::uniform_hidden(&[inputs, 2 * hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[2 * hidden], hidden, rng)),
            initial: None,
        }
    }
}

built_in!(MinGru { initial });

impl<'t, T: Scalar> MinGru<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    pub(crate) fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), columns(self.weight_ih) / 2];
        check_parameters(
            "MinGru",
            &[("weight_ih", Some(self.weight_ih), &[inputs, 2 * hidden]), ("bias", self.bias, &[2 * hidden])],
        );
        [inputs, hidden]
    }

    /// a and b of h' = a ∘ h + b, from x `[…, I]`.
    pub(crate) fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2] {
        let [z, n] = x.affine(self.weight_ih, self.bias).split_named(x.rank() - 1, &["z", "n"]);
        let z = z.sigmoid();
        [z.one_minus(), z * n]
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let [a, b] = self.coefficients(x);
        a * h + b
    }
}
