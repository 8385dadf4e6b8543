//! The network: layers of LSTMs in both directions, and a linear layer to the classes of CTC. Without layers it is the
//! baseline, which sees one time step alone.

use rand::Rng;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_rnn::{Bidirectional, Dropout, Linear, Lstm, Noise, Recurrent, Unroll};

use crate::features::FEATURES;
use crate::phones::CLASSES;

/// An LSTM in each direction, and dropout of what they say.
type BothWays<P> = (Bidirectional<P, Recurrent<Lstm<P>>, Recurrent<Lstm<P>>>, Dropout<P>);

/// The design of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    /// Layers, each of two LSTMs.
    pub(crate) layers: usize,
    /// H, units of each LSTM.
    pub(crate) hidden: usize,
    /// The rate of dropout after each layer.
    pub(crate) dropout: f64,
}

parameters! {
    /// Features `[T, B, FEATURES]` in, logits `[T, B, CLASSES]` out.
    #[derive(Debug)]
    pub(crate) struct Network<P> {
        pub(crate) layers: Vec<BothWays<P>>,
        pub(crate) readout: Linear<P>,
    }
}

impl Network<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { layers, hidden, dropout } = design;
        let width = |layer: usize| if layer == 0 { FEATURES } else { 2 * hidden };
        let layer = |k: usize| {
            let mut cell = || Lstm::new(width(k), hidden, rng).with_forget_bias(1.0);
            (Bidirectional::cells(cell(), cell()), Dropout::new(dropout))
        };
        let stack = (0..layers).map(layer).collect();
        Network { layers: stack, readout: Linear::new(width(layers), CLASSES, rng) }
    }
}

impl<'t> Network<Var<'t, f32>> {
    /// The logits of a padded batch. Without noise there is no dropout.
    pub(crate) fn logits(&self, x: Var<'t, f32>, lengths: &[usize], noise: Option<Noise>) -> Var<'t, f32> {
        let plain = Unroll::new().lengths(lengths);
        let how = noise.map_or(plain, |noise| plain.noise(noise));
        let seen = if self.layers.is_empty() { x } else { how.through(&self.layers, x).outputs };
        plain.through(&self.readout, seen).outputs
    }
}
