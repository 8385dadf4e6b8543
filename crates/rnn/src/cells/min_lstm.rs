//! The minimal long short-term memory (Feng et al. 2024), whose gates do not read the state.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::built_in;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, columns, rows};

parameters! {
    /// The minLSTM (Feng et al. 2024, "Were RNNs All We Needed?"):
    ///
    /// ```text
    /// f = sigmoid(x·W_f + b_f)          forget gate
    /// i = sigmoid(x·W_i + b_i)          input gate
    /// n = x·W_n + b_n                   candidate
    /// h' = f/(f + i) ∘ h + i/(f + i) ∘ n
    /// ```
    ///
    /// Input `[B, I]`, state h `[B, H]`. Gates and candidate read x alone, so that h' is linear in h, and
    /// [`sequence`](MinLstm::sequence) computes all time steps at once. The normalised gates sum to 1, so that the scale of the
    /// state does not depend on time. This is the paper's first form: the candidate passes through no function, and nothing is in
    /// logarithms, so that states may have any sign.
    ///
    /// f/(f + i) is computed as sigmoid(ln f - ln i), which is defined where both gates underflow to 0.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{MinLstm, unroll};
    ///
    /// let lstm = MinLstm::new(3, 5, &mut StdRng::seed_from_u64(1)).with_forget_bias(1.0);
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&lstm.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct MinLstm<P> {
        /// W_f, W_i and W_n, concatenated: `[I, 3H]`.
        pub weight_ih: P,
        /// b_f, b_i and b_n, concatenated: `[3H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> MinLstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("MinLstm", inputs, hidden);
        MinLstm {
            weight_ih: init::uniform_hidden(&[inputs, 3 * hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[3 * hidden], hidden, rng)),
            initial: None,
        }
    }

    /// The same cell with every bias of the forget gate set to `bias`: the larger, the longer a new cell remembers.
    pub fn with_forget_bias(mut self, bias: T) -> Self {
        let hidden = self.weight_ih.shape()[1] / 3;
        let all = self.bias.get_or_insert_with(|| Tensor::zeros(&[3 * hidden]));
        all.as_mut_slice()[..hidden].fill(bias);
        self
    }
}

built_in!(MinLstm { initial });

impl<'t, T: Scalar> MinLstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    pub(crate) fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), columns(self.weight_ih) / 3];
        check_parameters(
            "MinLstm",
            &[("weight_ih", Some(self.weight_ih), &[inputs, 3 * hidden]), ("bias", self.bias, &[3 * hidden])],
        );
        [inputs, hidden]
    }

    /// a and b of h' = a ∘ h + b, from x `[…, I]`.
    pub(crate) fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2] {
        let [f, i, n] = x.affine(self.weight_ih, self.bias).split_named(x.rank() - 1, &["f", "i", "n"]);
        let ratio = (-i).softplus() - (-f).softplus(); // ln f - ln i, since ln(sigmoid v) = -softplus(-v)
        [ratio.sigmoid(), (-ratio).sigmoid() * n]
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let [a, b] = self.coefficients(x);
        a * h + b
    }
}
