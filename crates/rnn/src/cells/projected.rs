//! The LSTM whose hidden state is projected to fewer units (Sak et al. 2014).

use rand::Rng;
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::LstmState;
use super::built_in::built_in;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

parameters! {
    /// The LSTM with a recurrent projection (Sak, Senior and Beaufays 2014, "Long short-term memory recurrent neural network
    /// architectures for large scale acoustic modeling"), as PyTorch's `proj_size`:
    ///
    /// ```text
    /// i = sigmoid(x·W_i + h·U_i + b_i)      input gate
    /// f = sigmoid(x·W_f + h·U_f + b_f)      forget gate
    /// g =    tanh(x·W_g + h·U_g + b_g)      candidate
    /// o = sigmoid(x·W_o + h·U_o + b_o)      output gate
    /// c' = f ∘ c + i ∘ g                    cell state
    /// h' = (o ∘ tanh c')·R                  hidden state, of P units
    /// ```
    ///
    /// A cell of P < H has fewer recurrent weights than a cell of H units, and its cell state is as wide. The weights of the four
    /// gates are concatenated along the last axis, in the order i, f, g, o. Input `[B, I]`, h `[B, P]`, c `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{ProjectedLstm, unroll};
    ///
    /// let cell = ProjectedLstm::new(3, 5, 2, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let last = unroll(&cell.on(&tape), tape.zeros(&[7, 4, 3])).last;
    /// assert_eq!((last.hidden.shape().as_slice(), last.cell.shape().as_slice()), (&[4, 2][..], &[4, 5][..]));
    /// ```
    #[derive(PartialEq)]
    pub struct ProjectedLstm<P> {
        /// W, `[I, 4H]`.
        pub weight_ih: P,
        /// U, `[P, 4H]`.
        pub weight_hh: P,
        /// b, `[4H]`.
        pub bias: Option<P>,
        /// R, `[H, P]`.
        pub weight_hr: P,
        /// h_0, `[P]`, if it is learned; zeros otherwise.
        pub initial_hidden: Option<P>,
        /// c_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_cell: Option<P>,
    }
}

impl<T: Scalar> ProjectedLstm<Tensor<T>> {
    /// A cell with `hidden` units, projected to `projected`, for `inputs` features; all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs`, `hidden` or `projected` is 0.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, projected: usize, rng: &mut impl Rng) -> Self {
        check_sizes("ProjectedLstm", inputs, hidden);
        if projected == 0 {
            panic!("ProjectedLstm: {hidden} units projected to 0; expected at least one");
        }
        ProjectedLstm {
            weight_ih: init::uniform_hidden(&[inputs, 4 * hidden], hidden, rng),
            weight_hh: init::uniform_hidden(&[projected, 4 * hidden], hidden, rng),
            bias: Some(init::uniform_hidden(&[4 * hidden], hidden, rng)),
            weight_hr: init::uniform_hidden(&[hidden, projected], hidden, rng),
            initial_hidden: None,
            initial_cell: None,
        }
    }
}

built_in!(ProjectedLstm(3, 5, 2, rng) {
    sizes: [inputs, units, projected],
    x: [inputs],
    state: LstmState,
    learned: { hidden: [projected] = initial_hidden, cell: [units] = initial_cell },
    constant: {},
} gated);

impl<'t, T: Scalar> ProjectedLstm<Var<'t, T>> {
    /// I, H and P, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 3] {
        let [inputs, projected, hidden] = [self.weight_ih, self.weight_hh, self.weight_hr].map(rows);
        check_parameters(
            "ProjectedLstm",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, 4 * hidden]),
                ("weight_hh", Some(self.weight_hh), &[projected, 4 * hidden]),
                ("bias", self.bias, &[4 * hidden]),
                ("weight_hr", Some(self.weight_hr), &[hidden, projected]),
            ],
        );
        [inputs, hidden, projected]
    }

    /// The equations, with `change` of the candidate g.
    fn next(
        &self,
        x: Var<'t, T>,
        LstmState { hidden, cell }: LstmState<'t, T>,
        change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
    ) -> LstmState<'t, T> {
        let gates = affine(&[(x, self.weight_ih), (hidden, self.weight_hh)], self.bias);
        let [i, f, g, o] = gates.split_named(1, &["i", "f", "g", "o"]);
        let cell = f.sigmoid() * cell + i.sigmoid() * change(g.tanh());
        LstmState { hidden: (o.sigmoid() * cell.tanh()).matmul(self.weight_hr), cell }
    }
}
