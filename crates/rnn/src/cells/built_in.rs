//! What the cells of this crate share: initial values, learned first states, and the steps around their equations.

use rand::Rng;
use rewind_autograd::{Scalar, Tape, Tensor, Var};

use super::heads;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

/// W `[I, G·H]`, U `[H, G·H]` and b `[G·H]` of a new cell of G = `gates` gates, uniform in ±1/√H.
///
/// # Panics
/// If `inputs` or `hidden` is 0, or above 2^32.
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

/// The first state of a part: the learned row `[H]` for every sequence, or zeros `[B, H]`.
pub(crate) fn first_state<'t, T: Scalar>(
    learned: Option<Var<'t, T>>,
    tape: &'t Tape<T>,
    [batch, hidden]: [usize; 2],
) -> Var<'t, T> {
    match learned {
        Some(row) => row.broadcast_to(&[batch, hidden]),
        None => tape.zeros(&[batch, hidden]),
    }
}

/// The first state of a part that is never learned: every element is `number`.
pub(crate) fn constant_state<'t, T: Scalar>(number: f64, tape: &'t Tape<T>, shape: &[usize]) -> Var<'t, T> {
    if number == 0.0 { tape.zeros(shape) } else { tape.constant(Tensor::full(shape, T::from_f64(number))) }
}

/// Writes [`Cell`](crate::Cell) and learned first states for a cell with two methods: `sizes`, which gives its sizes after a check that
/// all parameters fit them, and `next`, the equations. They are separate from `step`, whose `#[track_caller]` would give every node the
/// line of the caller.
///
/// If the state is h, or hidden and cell state, `[B, H]` each, the fields of the learned first states are enough:
/// `built_in!(TanhRnn { initial })`, `built_in!(Lstm { initial_hidden, initial_cell })`. For another state, name the sizes, and for
/// every part the shape of its rows and where it starts: at a parameter if it is learned, or always at a number, a function of the
/// cell. The first state is on the tape of `weight_ih`, which every cell has.
///
/// ```text
/// built_in!(SLstm(3, 5, rng) {                // arguments of `new`, for an example
///     sizes: [inputs, units],                 // what `sizes` returns
///     x: [inputs],
///     state: SLstmState,
///     learned: { hidden: [units] = initial_hidden, cell: [units] = initial_cell },
///     constant: { normaliser: [units] = Self::first_normaliser, stabiliser: [units] = Self::first_stabiliser },
/// });
/// ```
///
/// With `gated` at the end, the cell is a [`GatedCell`](crate::GatedCell), and `next` takes a function that it applies to its
/// candidate.
macro_rules! built_in {
    ($cell:ident { $initial:ident } $($gated:ident)?) => {
        built_in!(@all $cell (3, 5, rng) [$($gated)?] [inputs, units], inputs, Var<'t, T>, [h],
            { h: [units] = $initial }, {});
    };
    ($cell:ident { $hidden:ident, $memory:ident } $($gated:ident)?) => {
        built_in!($cell(3, 5, rng) {
            sizes: [inputs, units],
            x: [inputs],
            state: LstmState,
            learned: { hidden: [units] = $hidden, cell: [units] = $memory },
            constant: {},
        } $($gated)?);
    };
    ($cell:ident $arguments:tt {
        sizes: $sizes:pat,
        x: [$inputs:ident],
        state: $state:ident,
        learned: { $($part:ident: [$width:ident] = $initial:ident),* $(,)? },
        constant: { $($other:ident: [$($row:expr),+] = $number:expr),* $(,)? },
    } $($gated:ident)?) => {
        built_in!(@all $cell $arguments [$($gated)?] $sizes, $inputs, $crate::$state<'t, T>, [$crate::$state { $($part,)* $($other,)* }],
            { $($part: [$width] = $initial),* }, { $($other: [$($row),+] = $number),* });
    };

    (@all $cell:ident $arguments:tt $gated:tt $sizes:pat, $inputs:ident, $state:ty, [$($whole:tt)+],
        { $($part:ident: [$width:ident] = $initial:ident),* }, { $($other:ident: [$($row:expr),+] = $number:expr),* }) => {
        built_in!(@learned $cell $arguments $sizes, { $($initial: $width),* });
        built_in!(@gated $gated $cell $state);

        #[allow(unused_variables, reason = "not every method needs all sizes")]
        impl<'t, T: Scalar> $cell<Var<'t, T>> {
            /// Panics at the caller's line unless x and all parts of the state have the shapes that the parameters require.
            #[inline]
            #[track_caller]
            pub(crate) fn check_step(&self, x: Var<'t, T>, state: $state) {
                let ($sizes, $($whole)+) = (self.sizes(), state);
                let parts = [$((stringify!($part), $part, &[$width][..]),)* $((stringify!($other), $other, &[$($row),+][..]),)*];
                $crate::sizes::check_step(stringify!($cell), $inputs, x, &parts);
            }
        }

        #[allow(unused_variables, reason = "not every method needs all sizes")]
        impl<'t, T: Scalar> $crate::Cell<'t, T> for $cell<Var<'t, T>> {
            type State = $state;

            #[track_caller]
            fn step(&self, x: Var<'t, T>, state: $state) -> $state {
                self.check_step(x, state);
                built_in!(@next $gated self, x, state)
            }

            fn equations(&self, x: Var<'t, T>, state: $state) -> $state {
                built_in!(@next $gated self, x, state)
            }

            #[track_caller]
            fn initial(&self, batch: usize) -> $state {
                let $sizes = self.sizes();
                let tape = self.weight_ih.tape();
                $($crate::sizes::check_learned(stringify!($cell), stringify!($initial), self.$initial, $width);)*
                $(let $part = $crate::cells::built_in::first_state(self.$initial, tape, [batch, $width]);)*
                $(let $other = {
                    let number: fn(&Self) -> f64 = $number;
                    $crate::cells::built_in::constant_state(number(self), tape, &[batch, $($row),+])
                };)*
                $($whole)+
            }

            #[track_caller]
            fn features(&self) -> Option<usize> {
                let $sizes = self.sizes();
                Some($inputs)
            }
        }
    };

    (@learned $cell:ident $arguments:tt $sizes:pat, {}) => {};
    (@learned $cell:ident $arguments:tt $sizes:pat, { $($initial:ident: $width:ident),+ }) => {
        impl<T: Scalar> $cell<Tensor<T>> {
            /// The same cell with a learned first state, initially zero.
            ///
            /// ```
            /// use rand::{SeedableRng, rngs::StdRng};
            /// use rewind_autograd::Tensor;
            #[doc = concat!("use rewind_rnn::", stringify!($cell), ";")]
            ///
            /// let rng = &mut StdRng::seed_from_u64(1);
            #[doc = concat!("let cell = ", stringify!($cell), "::<Tensor<f32>>::new", stringify!($arguments), ".with_learned_state();")]
            $(#[doc = concat!("assert!(cell.", stringify!($initial), ".is_some_and(|row| row.norm() == 0.0));")])+
            /// ```
            ///
            /// # Panics
            /// If the parameters do not fit each other.
            #[allow(unused_variables, reason = "not all sizes are those of a state")]
            #[track_caller]
            pub fn with_learned_state(mut self) -> Self {
                let $sizes = rewind_autograd::OnTape::on(&self, &rewind_autograd::Tape::quiet()).sizes();
                $(self.$initial = Some(Tensor::zeros(&[$width]));)+
                self
            }
        }
    };

    (@next [] $self:ident, $x:ident, $state:ident) => {
        $self.next($x, $state)
    };
    (@next [gated] $self:ident, $x:ident, $state:ident) => {
        $self.next($x, $state, |candidate| candidate)
    };

    (@gated [] $cell:ident $state:ty) => {};
    (@gated [gated] $cell:ident $state:ty) => {
        impl<'t, T: Scalar> $crate::GatedCell<'t, T> for $cell<Var<'t, T>> {
            #[track_caller]
            fn step_with_candidate(
                &self,
                x: Var<'t, T>,
                state: $state,
                change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
            ) -> $state {
                self.check_step(x, state);
                self.next(x, state, change)
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
