//! What the cells of this crate share: initial values, learned first states, and the steps around their equations.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var};

use super::heads;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

/// W `[I, G·H]`, U `[H, G·H]` and b `[G·H]` of a new cell of G = `gates` gates, uniform in ±1/√H.
///
/// # Panics
/// If `inputs` or `hidden` is 0.
#[track_caller]
pub(crate) fn drawn<T: Scalar>(
    cell: &str,
    [inputs, hidden]: [usize; 2],
    gates: usize,
    rng: &mut impl Rng,
) -> [Tensor<T>; 3] {
    check_sizes(cell, inputs, hidden);
    let columns = gates * hidden;
    [vec![inputs, columns], vec![hidden, columns], vec![columns]].map(|shape| init::uniform_hidden(&shape, hidden, rng))
}

/// I and H of a cell of G = `gates` gates, after a check that its weights fit them: W `[I, G·H]`, U `[H, G·H]` or of several heads,
/// b `[G·H]`.
#[inline]
#[track_caller]
pub(crate) fn check_gates<'t, T: Scalar>(
    cell: &str,
    gates: usize,
    [weight_ih, weight_hh]: [Var<'t, T>; 2],
    bias: Option<Var<'t, T>>,
) -> [usize; 2] {
    let [inputs, hidden] = [rows(weight_ih), heads::units(&weight_hh.shape())];
    check_parameters(
        cell,
        &[
            ("weight_ih", Some(weight_ih), &[inputs, gates * hidden]),
            ("weight_hh", Some(weight_hh), &heads::expected(weight_hh, hidden, gates)),
            ("bias", bias, &[gates * hidden]),
        ],
    );
    [inputs, hidden]
}

/// Writes [`Cell`](crate::Cell) and learned first states for a cell whose state is h, or hidden and cell state, `[B, H]` each:
/// `built_in!(Gru { initial })`, `built_in!(Lstm { initial_hidden, initial_cell })`.
///
/// The cell has two methods: `sizes`, which gives I and H after a check that all parameters fit them, and `next`, the equations.
/// They are separate from `step`, whose `#[track_caller]` would give every node the line of the caller.
macro_rules! built_in {
    ($cell:ident { $initial:ident }) => {
        built_in!(@ $cell, Var<'t, T>, [h: $initial], h);
    };
    ($cell:ident { $hidden:ident, $memory:ident }) => {
        built_in!(@ $cell, $crate::cells::LstmState<'t, T>, [hidden: $hidden, cell: $memory], $crate::cells::LstmState { hidden, cell });
    };
    (@ $cell:ident, $state:ty, [$($part:ident: $initial:ident),+], $($whole:tt)+) => {
        impl<T: Scalar> $cell<Tensor<T>> {
            /// The same cell with a learned first state, initially zero.
            ///
            /// ```
            /// use rand::{SeedableRng, rngs::StdRng};
            /// use rewind_autograd::Tensor;
            #[doc = concat!("use rewind_rnn::", stringify!($cell), ";")]
            ///
            /// let rng = &mut StdRng::seed_from_u64(1);
            #[doc = concat!("let cell = ", stringify!($cell), "::<Tensor<f32>>::new(3, 5, rng).with_learned_state();")]
            $(#[doc = concat!("assert_eq!(cell.", stringify!($initial), ", Some(Tensor::zeros(&[5])));")])+
            /// ```
            pub fn with_learned_state(mut self) -> Self {
                let hidden = $crate::cells::heads::units(self.weight_hh.shape());
                $(self.$initial = Some(Tensor::zeros(&[hidden]));)+
                self
            }
        }

        impl<'t, T: Scalar> $crate::Cell<'t, T> for $cell<Var<'t, T>> {
            type State = $state;

            #[track_caller]
            fn step(&self, x: Var<'t, T>, state: $state) -> $state {
                let $($whole)+ = state;
                $crate::sizes::check_step(stringify!($cell), self.sizes(), x, &[$((stringify!($part), $part)),+]);
                self.next(x, state)
            }

            fn equations(&self, x: Var<'t, T>, state: $state) -> $state {
                self.next(x, state)
            }

            #[track_caller]
            fn initial(&self, batch: usize) -> $state {
                let [_, hidden] = self.sizes();
                $($crate::sizes::check_learned(stringify!($cell), stringify!($initial), self.$initial, hidden);)+
                $(let $part = $crate::cell::first_state(self.$initial, self.weight_hh, batch, hidden);)+
                $($whole)+
            }

            #[track_caller]
            fn features(&self) -> Option<usize> {
                Some(self.sizes()[0])
            }
        }
    };
}

/// Writes `with_heads` for a cell with these recurrent weights, of so many gates each: `in_heads!(Gru { weight_hh: 2, weight_hn: 1 })`.
macro_rules! in_heads {
    ($cell:ident { $($weight:ident: $gates:literal),+ }) => {
        impl<T: Scalar> $cell<Tensor<T>> {
            /// The same cell in `heads` heads (Pöppel et al. 2024, "FlashRNN"): equal groups of units, each of which reads the
            /// states of its own group alone. The recurrent matrix is block-diagonal, and its weight holds the blocks,
            /// `[N, H/N, G·H/N]` for N heads and G gates; all of them are drawn again, uniform in ±1/√(H/N).
            ///
            /// ```
            /// use rand::{SeedableRng, rngs::StdRng};
            /// use rewind_autograd::Tensor;
            #[doc = concat!("use rewind_rnn::", stringify!($cell), ";")]
            ///
            /// let rng = &mut StdRng::seed_from_u64(1);
            #[doc = concat!("let cell = ", stringify!($cell), "::<Tensor<f32>>::new(3, 6, rng).with_heads(2, rng);")]
            $(#[doc = concat!("assert_eq!(cell.", stringify!($weight), ".shape(), [2, 3, ", stringify!($gates), " * 3]);")])+
            /// ```
            ///
            /// # Panics
            /// If the units cannot be divided among the heads.
            #[track_caller]
            pub fn with_heads(mut self, heads: usize, rng: &mut impl rand::Rng) -> Self {
                let hidden = $crate::cells::heads::units(self.weight_hh.shape());
                $(self.$weight = $crate::cells::heads::drawn(stringify!($cell), hidden, heads, $gates, rng);)+
                self
            }
        }
    };
}

pub(crate) use {built_in, in_heads};
