//! Two layers over one sequence, in both directions of time (Schuster and Paliwal 1997).

use std::marker::PhantomData;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Parameters, Scalar, Tensor, Var, parameters};

use crate::sizes::name_of;
use crate::time::{Layer, LayerOutputs, Recurrent, Unroll};

/// How the outputs of the two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Concatenated along the last axis, forward first: `[T, B, H_f + H_b]`.
    #[default]
    Concatenate,
    /// Added: `[T, B, H]`, both of width H.
    Sum,
}

parameters! {
    /// A bidirectional network (Schuster and Paliwal 1997): `forward` reads the sequence from its first step, `backward` from its last, and
    /// the outputs of each time step are merged. In a padded batch, `backward` starts at the last step of each sequence.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Bidirectional, Gru, Lstm, Merge, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let both = Bidirectional::cells(Lstm::new(3, 5, rng), Lstm::new(3, 5, rng));
    /// let sum = Bidirectional::cells(Gru::new(10, 4, rng), Gru::new(10, 4, rng)).with_merge(Merge::Sum);
    /// let tape = Tape::<f32>::new();
    /// let run = Unroll::new().lengths(&[7, 4]).through(&(both, sum).on(&tape), tape.zeros(&[7, 2, 3]));
    /// assert_eq!(run.layers[4].shape().as_slice(), [7, 2, 4]);
    /// assert_eq!(run.layers[2].shape().as_slice(), [7, 2, 10]);
    /// ```
    #[derive(PartialEq)]
    pub struct Bidirectional<P, F, B> {
        /// The layer that reads forward in time.
        pub forward: F,
        /// The layer that reads backward in time.
        pub backward: B,
        /// How their outputs become one.
        pub merge: Merge,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar, F: Parameters<Tensor<T>>, B: Parameters<Tensor<T>>> Bidirectional<Tensor<T>, F, B> {
    /// Two layers with parameters of their own; outputs are concatenated.
    ///
    /// # Panics
    /// If the two are one module, a copy of it included: their parameters have the same values.
    #[track_caller]
    pub fn new(forward: F, backward: B) -> Self {
        let (ours, theirs) = (forward.leaves(), backward.leaves());
        let varied =
            |leaves: &[&Tensor<T>]| leaves.iter().any(|p| p.to_vec().windows(2).any(|pair| pair[0] != pair[1]));
        if varied(&ours) && ours == theirs {
            panic!(
                "Bidirectional: the same module was given for both directions; expected one with parameters of its own for each"
            );
        }
        Bidirectional::of(forward, backward)
    }

    /// [`new`](Bidirectional::new) without a look at the values.
    pub(crate) fn of(forward: F, backward: B) -> Self {
        Bidirectional { forward, backward, merge: Merge::Concatenate, leaf: PhantomData }
    }

    /// The same layer with another merge.
    pub fn with_merge(self, merge: Merge) -> Self {
        Bidirectional { merge, ..self }
    }
}

impl<T: Scalar, F: Parameters<Tensor<T>>, B: Parameters<Tensor<T>>>
    Bidirectional<Tensor<T>, Recurrent<F>, Recurrent<B>>
{
    /// Two cells, unrolled in the two directions.
    ///
    /// # Panics
    /// As [`new`](Bidirectional::new).
    #[track_caller]
    pub fn cells(forward: F, backward: B) -> Self {
        Bidirectional::new(Recurrent(forward), Recurrent(backward))
    }
}

impl<'t, T, F, B> Layer<'t, T> for Bidirectional<Var<'t, T>, F, B>
where
    T: Scalar,
    F: Layer<'t, T> + Parameters<Var<'t, T>>,
    B: Layer<'t, T> + Parameters<Var<'t, T>>,
{
    type State = (F::State, B::State);

    #[track_caller]
    fn initial_state(&self, batch: usize) -> Self::State {
        (self.forward.initial_state(batch), self.backward.initial_state(batch))
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, state: Self::State, how: Unroll<'_>) -> LayerOutputs<'t, T, Self::State> {
        self.check();
        let forward = self.forward.forward(x, state.0, how.part(0));
        let backward = self.backward.forward(x, state.1, how.part(1).reversed());
        let (f, b) = (forward.outputs, backward.outputs);
        let outputs = match self.merge {
            Merge::Concatenate => concat(&[f, b], 2),
            Merge::Sum if f.has_shape(&b.shape()) => f + b,
            Merge::Sum => {
                let [f_width, b_width] = [f, b].map(|y| y.shape()[2]);
                let (f, b) = (name_of::<F>(), name_of::<B>());
                panic!(
                    "Bidirectional: {f} forward gives {f_width} features, {b} backward {b_width}; a sum needs as many of each"
                )
            }
        };
        let layers = [forward.layers, backward.layers, vec![outputs]].concat();
        LayerOutputs { outputs, last: (forward.last, backward.last), layers }
    }

    fn input_width(&self) -> Option<usize> {
        self.forward.input_width().or_else(|| self.backward.input_width())
    }

    fn is_causal(&self) -> bool {
        false
    }
}

impl<'t, T, F, B> Bidirectional<Var<'t, T>, F, B>
where
    T: Scalar,
    F: Layer<'t, T> + Parameters<Var<'t, T>>,
    B: Layer<'t, T> + Parameters<Var<'t, T>>,
{
    #[track_caller]
    fn check(&self) {
        let (ours, theirs) = (self.forward.leaves(), self.backward.leaves());
        let same = |a: Var<'t, T>, b: Var<'t, T>| std::ptr::eq(a.tape(), b.tape()) && a.position() == b.position();
        if ours.iter().any(|&&a| theirs.iter().any(|&&b| same(a, b))) {
            panic!("Bidirectional: the directions share a parameter; expected parameters of their own for each");
        }
        if let (Some(f), Some(b)) = (self.forward.input_width(), self.backward.input_width())
            && f != b
        {
            let (forward, backward) = (name_of::<F>(), name_of::<B>());
            panic!(
                "Bidirectional: {forward} forward takes {f} features a step, {backward} backward {b}; both read one sequence"
            );
        }
    }
}
