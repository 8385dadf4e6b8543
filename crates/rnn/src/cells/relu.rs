//! The basic recurrent network with a rectifier, and its identity-initialised form (IRNN: Le, Jaitly and Hinton 2015).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::affine;
use crate::init;
use crate::sizes::check_sizes;

parameters! {
    /// The relu-RNN: the basic recurrent network (Elman 1990) with a rectifier, as PyTorch's `nonlinearity="relu"`:
    ///
    /// ```text
    /// h' = max(x·W + h·U + b, 0)
    /// ```
    ///
    /// Its states are not bounded: they grow without limit if U amplifies them. Input `[B, I]`, state h `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{ReluRnn, unroll};
    ///
    /// let rnn = ReluRnn::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&rnn.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct ReluRnn<P> {
        /// W, `[I, H]`.
        pub weight_ih: P,
        /// U, `[H, H]`; `[N, H/N, H/N]` in N heads.
        pub weight_hh: P,
        /// b, `[H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> ReluRnn<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("ReluRnn", [inputs, hidden], 1, rng);
        ReluRnn { weight_ih, weight_hh, bias: Some(bias), initial: None }
    }

    /// The IRNN (Le, Jaitly and Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units"): U the
    /// identity, b zero, W normal with standard deviation 0.001. Without input, a state that is not negative stays as it is.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{Cell, ReluRnn};
    ///
    /// let rnn = ReluRnn::identity(3, 2, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::new();
    /// let h = tape.constant(Tensor::from_vec(vec![0.5_f32, 2.0], &[1, 2]));
    /// assert_eq!(rnn.on(&tape).step(tape.zeros(&[1, 3]), h).value(), h.value());
    /// ```
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn identity(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("ReluRnn", inputs, hidden);
        ReluRnn {
            weight_ih: init::normal(&[inputs, hidden], 0.001, rng),
            weight_hh: Tensor::from_fn(&[hidden, hidden], |i| if i / hidden == i % hidden { T::ONE } else { T::ZERO }),
            bias: Some(Tensor::zeros(&[hidden])),
            initial: None,
        }
    }
}

built_in!(ReluRnn { initial });
in_heads!(ReluRnn { weight_hh: 1 });

impl<'t, T: Scalar> ReluRnn<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        check_gates("ReluRnn", 1, [self.weight_ih, self.weight_hh], self.bias)
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        affine(&[(x, self.weight_ih), (h, self.weight_hh)], self.bias).relu()
    }
}
