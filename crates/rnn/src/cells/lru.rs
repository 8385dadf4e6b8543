//! The linear recurrent unit (Orvieto et al. 2023), in its real form.

use rand::{Rng, RngExt};
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::built_in;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, columns, rows};

parameters! {
    /// The linear recurrent unit (Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences") with real
    /// eigenvalues:
    ///
    /// ```text
    /// λ = exp(-exp ν)                   in (0, 1): how much of its state a unit keeps at each step
    /// γ = √(1 - λ²)                     normalisation: white noise gives states of its own variance
    /// h' = λ ∘ h + γ ∘ (x·W)
    /// ```
    ///
    /// Input `[B, I]`, state h `[B, H]`. λ is the same at all time steps, and [`sequence`](Lru::sequence) computes them at once.
    ///
    /// The paper's eigenvalues are complex, λ = exp(-exp ν + iθ), its γ is a parameter of its own with this first value, and its output
    /// is the real part of a further product. Here every phase θ is 0: a unit is a decaying average of its inputs, which forgets at a
    /// rate of its own but cannot oscillate, and γ follows λ. The output is h; a [`Linear`](crate::Linear) layer after it takes the
    /// place of the paper's output matrix C.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Lru, unroll};
    ///
    /// let lru = Lru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&lru.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct Lru<P> {
        /// W, `[I, H]`.
        pub weight_ih: P,
        /// ν, `[H]`: the logarithm of the rate of decay, λ = exp(-exp ν).
        pub log_rate: P,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> Lru<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, λ between 0.9 and 0.999. W is normal with variance 1/I.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        Self::with_decay(inputs, hidden, [0.9, 0.999], rng)
    }

    /// [`new`](Lru::new) with λ between `least` and `most`, λ² uniform as in the paper. A unit averages over about 1/(1 - λ) steps.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::Lru;
    ///
    /// let lru = Lru::<Tensor<f64>>::with_decay(3, 5, [0.5, 0.6], &mut StdRng::seed_from_u64(1));
    /// assert!(lru.log_rate.to_vec().iter().all(|v| (0.5..=0.6).contains(&(-v.exp()).exp())));
    /// ```
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or the bounds are not 0 < least <= most < 1.
    #[track_caller]
    pub fn with_decay(inputs: usize, hidden: usize, [least, most]: [f64; 2], rng: &mut impl Rng) -> Self {
        check_sizes("Lru", inputs, hidden);
        if !(0.0 < least && least <= most && most < 1.0) {
            panic!("Lru: λ from {least} to {most}; expected bounds with 0 < least <= most < 1");
        }
        let mut log_rate = || {
            let square = least * least + (most * most - least * least) * rng.random::<f64>();
            T::from_f64((-0.5 * square.ln()).ln())
        };
        let log_rate = Tensor::from_fn(&[hidden], |_| log_rate());
        Lru { weight_ih: init::normal(&[inputs, hidden], (inputs as f64).sqrt().recip(), rng), log_rate, initial: None }
    }
}

built_in!(Lru { initial });

impl<'t, T: Scalar> Lru<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    pub(crate) fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), columns(self.weight_ih)];
        check_parameters(
            "Lru",
            &[("weight_ih", Some(self.weight_ih), &[inputs, hidden]), ("log_rate", Some(self.log_rate), &[hidden])],
        );
        [inputs, hidden]
    }

    /// a and b of h' = a ∘ h + b, from x `[…, I]`: λ `[H]`, and γ ∘ (x·W).
    pub(crate) fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2] {
        let rate = within_range(self.log_rate).exp();
        let gamma = (-(rate * T::from_f64(-2.0)).exp_m1()).sqrt(); // 1 - λ² without a difference that cancels
        [(-rate).exp(), gamma * x.matmul(self.weight_ih)]
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let [a, b] = self.coefficients(x);
        a * h + b
    }
}

/// ν, clamped to where neither exp ν nor what its derivatives are multiplied by is 0 or infinite. Beyond, λ and γ are 0 or 1 to the last
/// place, or γ is below 1e-18, and the derivatives are 0 or as small; unclamped, 0·∞ would make them NaN.
fn within_range<T: Scalar>(log_rate: Var<'_, T>) -> Var<'_, T> {
    let least = if T::NAME == "f32" { -87.0 } else { -708.0 };
    let [least, most] = [least, 20.0].map(T::from_f64);
    let fits = |v: &[T]| v.iter().all(|&v| least <= v && v <= most);
    if log_rate.value().as_slice().is_some_and(fits) { log_rate } else { log_rate.clamp(least, most) }
}
