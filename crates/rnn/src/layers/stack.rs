//! Stacks: tuples of unlike layers, vectors of like ones. Each layer reads the outputs of the one before it.

use rewind_autograd::{Scalar, Var};

use crate::sizes::{check_rows, check_width, name_of};
use crate::time::{Layer, LayerOutputs, Unroll};

/// The layers of a stack that have run.
struct Chain<'t, T: Scalar> {
    outputs: Var<'t, T>,
    layers: Vec<Var<'t, T>>,
    /// The last of them, for messages: its number and its name.
    below: Option<(usize, &'static str)>,
}

impl<'t, T: Scalar> Chain<'t, T> {
    fn new(x: Var<'t, T>) -> Self {
        Chain { outputs: x, layers: Vec::new(), below: None }
    }

    /// Runs layer number `k`; returns its last state.
    #[track_caller]
    fn run<L: Layer<'t, T>>(&mut self, (k, layer): (usize, &L), state: L::State, how: Unroll<'_>) -> L::State {
        if let Some((number, name)) = self.below {
            let width = self.outputs.shape()[2];
            let (own, below) = (format!("layer {k}, {}", name_of::<L>()), format!("layer {number}, {name},"));
            check_width(layer.input_width(), width, &own, &below);
        }
        check_rows(|| format!("layer {k}, {}:", name_of::<L>()), &state, self.outputs);
        let run = layer.forward(self.outputs, state, how.part(k));
        self.outputs = run.outputs;
        self.layers.extend(run.layers);
        self.below = Some((k, name_of::<L>()));
        run.last
    }

    fn finish<S>(self, last: S) -> LayerOutputs<'t, T, S> {
        LayerOutputs { outputs: self.outputs, last, layers: self.layers }
    }
}

macro_rules! stacks_of_unlike_layers {
    ($($first:tt $first_layer:ident $(, $k:tt $layer:ident)*;)*) => {$(
        /// A stack of unlike layers, the lowest first.
        impl<'t, T, $first_layer, $($layer),*> Layer<'t, T> for ($first_layer, $($layer),*)
        where
            T: Scalar,
            $first_layer: Layer<'t, T>,
            $($layer: Layer<'t, T>,)*
        {
            type State = ($first_layer::State, $($layer::State),*);

            #[track_caller]
            fn initial_state(&self, batch: usize) -> Self::State {
                (self.$first.initial_state(batch), $(self.$k.initial_state(batch)),*)
            }

            #[track_caller]
            fn forward(&self, x: Var<'t, T>, state: Self::State, how: Unroll<'_>) -> LayerOutputs<'t, T, Self::State> {
                let mut chain = Chain::new(x);
                let first = chain.run(($first, &self.$first), state.$first, how);
                let last = (first, $(chain.run(($k, &self.$k), state.$k, how)),*);
                chain.finish(last)
            }

            fn input_width(&self) -> Option<usize> {
                self.$first.input_width()
            }

            fn is_causal(&self) -> bool {
                self.$first.is_causal() $(&& self.$k.is_causal())*
            }
        }
    )*};
}

stacks_of_unlike_layers! {
    0 A, 1 B;
    0 A, 1 B, 2 C;
    0 A, 1 B, 2 C, 3 D;
    0 A, 1 B, 2 C, 3 D, 4 E;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H;
}

/// A stack of like layers, the lowest first.
///
/// # Panics
/// If there is no layer.
impl<'t, T: Scalar, L: Layer<'t, T>> Layer<'t, T> for Vec<L> {
    type State = Vec<L::State>;

    #[track_caller]
    fn initial_state(&self, batch: usize) -> Self::State {
        self.iter().map(|layer| layer.initial_state(batch)).collect()
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, state: Self::State, how: Unroll<'_>) -> LayerOutputs<'t, T, Self::State> {
        if self.is_empty() {
            panic!("stack: there is no layer; expected one at least");
        }
        if state.len() != self.len() {
            panic!("stack: a state of {} layers for a stack of {}", state.len(), self.len());
        }
        let mut chain = Chain::new(x);
        let mut last = Vec::with_capacity(self.len());
        for (k, (layer, state)) in self.iter().zip(state).enumerate() {
            last.push(chain.run((k, layer), state, how));
        }
        chain.finish(last)
    }

    fn input_width(&self) -> Option<usize> {
        self.first()?.input_width()
    }

    fn is_causal(&self) -> bool {
        self.iter().all(L::is_causal)
    }
}
