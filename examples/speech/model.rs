//! The network: layers of recurrent cells in both directions or in one, and a linear layer to the classes of CTC. Without
//! layers it is the baseline, which sees one time step alone.

use rand::Rng;
use rewind_autograd::parameters::Path;
use rewind_autograd::{Parameters, Tensor, Var, parameters};
use rewind_examples::{AnyCell, CellKind};
use rewind_rnn::{Bidirectional, Dropout, Linear, Noise, Recurrent, Unroll};

use crate::features::FEATURES;
use crate::phones::CLASSES;

/// The design of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    pub(crate) cell: CellKind,
    /// Layers, each of a cell in every direction.
    pub(crate) layers: usize,
    /// H, units of each cell.
    pub(crate) hidden: usize,
    /// Forward in time only: what is heard depends on nothing that comes later.
    pub(crate) one_way: bool,
    /// The rate of dropout after each layer.
    pub(crate) dropout: f64,
    /// What the initial input weights of the layers above the first are multiplied by. Those layers read small numbers at first, and
    /// much of a training passes before anything but the blank is heard.
    pub(crate) gain: f32,
}

impl Design {
    /// Units of a layer, of all directions.
    pub(crate) fn width(&self) -> usize {
        if self.one_way { self.hidden } else { 2 * self.hidden }
    }

    /// Parameters of the network.
    pub(crate) fn parameters(&self) -> usize {
        let directions = if self.one_way { 1 } else { 2 };
        let layer = |k: usize| directions * self.cell.parameters(self.inputs(k), self.hidden) as usize;
        let readout = (self.inputs(self.layers) + 1) * CLASSES;
        readout + (0..self.layers).map(layer).sum::<usize>()
    }

    /// Features that layer number `k` reads; after the last layer, those that the readout does.
    fn inputs(&self, k: usize) -> usize {
        if k == 0 { FEATURES } else { self.width() }
    }
}

/// A cell in each direction, and dropout of what they say.
type BothWays<P> = (Bidirectional<P, Recurrent<AnyCell<P>>, Recurrent<AnyCell<P>>>, Dropout<P>);

/// A cell that reads forward in time, and dropout of what it says.
pub(crate) type OneWay<P> = (Recurrent<AnyCell<P>>, Dropout<P>);

/// The recurrent layers, the lowest first.
#[derive(Clone, Debug)]
pub(crate) enum Layers<P> {
    BothWays(Vec<BothWays<P>>),
    OneWay(Vec<OneWay<P>>),
}

impl<P> Parameters<P> for Layers<P> {
    type With<Q> = Layers<Q>;

    fn visit_mut_at(&mut self, path: &mut Path, f: &mut dyn FnMut(&str, &mut P)) {
        match self {
            Layers::BothWays(layers) => layers.visit_mut_at(path, f),
            Layers::OneWay(layers) => layers.visit_mut_at(path, f),
        }
    }

    fn map_at<'a, Q>(&'a self, path: &mut Path, f: &mut dyn FnMut(&str, &'a P) -> Q) -> Layers<Q> {
        match self {
            Layers::BothWays(layers) => Layers::BothWays(layers.map_at(path, f)),
            Layers::OneWay(layers) => Layers::OneWay(layers.map_at(path, f)),
        }
    }
}

parameters! {
    /// Features `[T, B, FEATURES]` in, logits `[T, B, CLASSES]` out.
    #[derive(Debug)]
    pub(crate) struct Network<P> {
        pub(crate) layers: Layers<P>,
        pub(crate) readout: Linear<P>,
    }
}

impl Network<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let gain = |k: usize| if k == 0 { 1.0 } else { design.gain };
        let mut cell = |k: usize| AnyCell::new(design.cell, design.inputs(k), design.hidden, gain(k), rng);
        let dropout = || Dropout::new(design.dropout);
        let layers = if design.one_way {
            Layers::OneWay((0..design.layers).map(|k| (Recurrent(cell(k)), dropout())).collect())
        } else {
            Layers::BothWays((0..design.layers).map(|k| (Bidirectional::cells(cell(k), cell(k)), dropout())).collect())
        };
        Network { layers, readout: Linear::new(design.inputs(design.layers), CLASSES, rng) }
    }
}

impl<'t> Network<Var<'t, f32>> {
    /// The logits of a padded batch. Without noise there is no dropout.
    pub(crate) fn logits(&self, x: Var<'t, f32>, lengths: &[usize], noise: Option<Noise>) -> Var<'t, f32> {
        let plain = Unroll::new().lengths(lengths);
        let how = noise.map_or(plain, |noise| plain.noise(noise));
        let seen = match &self.layers {
            Layers::BothWays(layers) if !layers.is_empty() => how.through(layers, x).outputs,
            Layers::OneWay(layers) if !layers.is_empty() => how.through(layers, x).outputs,
            Layers::BothWays(_) | Layers::OneWay(_) => x,
        };
        plain.through(&self.readout, seen).outputs
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rewind_autograd::{OnTape, Tape};

    use super::*;

    const STEPS: usize = 7;
    const KINDS: [CellKind; 2] = [CellKind::Tanh, CellKind::Lstm];

    fn design(cell: CellKind, one_way: bool) -> Design {
        Design { cell, layers: 2, hidden: 5, one_way, dropout: 0.3, gain: 1.0 }
    }

    fn network(design: Design) -> Network<Tensor<f32>> {
        Network::new(design, &mut StdRng::seed_from_u64(1))
    }

    /// The logits `[T, B, CLASSES]` of a batch.
    fn logits(network: &Network<Tensor<f32>>, x: &Tensor<f32>, lengths: &[usize]) -> Tensor<f32> {
        let tape = Tape::quiet();
        network.on(&tape).logits(tape.constant(x.clone()), lengths, None).value()
    }

    fn sequences(batch: usize) -> Tensor<f32> {
        Tensor::from_fn(&[STEPS, batch, FEATURES], |i| (i as f32 * 0.7).sin())
    }

    #[test]
    fn parameters_are_counted() {
        for one_way in [false, true] {
            for cell in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
                for layers in 0..3 {
                    let design = Design { layers, ..design(cell, one_way) };
                    assert_eq!(network(design).parameter_count(), design.parameters(), "{design:?}");
                }
            }
        }
    }

    #[test]
    fn padding_changes_nothing() {
        for (cell, one_way) in KINDS.into_iter().flat_map(|cell| [(cell, false), (cell, true)]) {
            let (network, x, lengths) = (network(design(cell, one_way)), sequences(3), [STEPS, 4, 1]);
            let together = logits(&network, &x, &lengths);
            for (b, length) in lengths.into_iter().enumerate() {
                let alone = logits(&network, &x.slice(1, b..b + 1).slice(0, 0..length), &[length]);
                let [one, all] = [&alone.index(1, 0), &together.index(1, b).slice(0, 0..length)].map(Tensor::to_vec);
                let furthest = one.iter().zip(&all).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(furthest < 1e-6, "{cell:?}, one way {one_way}, sequence {b}: {furthest}");
            }
        }
    }

    /// The time steps whose logits differ when the input of the last step does.
    fn changed(design: Design) -> Vec<usize> {
        let (network, x) = (network(design), sequences(1));
        let other = Tensor::from_fn(x.shape(), |i| x.to_vec()[i] + if i / FEATURES == STEPS - 1 { 1.0 } else { 0.0 });
        let [a, b] = [&x, &other].map(|x| logits(&network, x, &[STEPS]));
        (0..STEPS).filter(|&t| a.index(0, t).to_vec() != b.index(0, t).to_vec()).collect()
    }

    #[test]
    fn one_way_hears_nothing_that_comes_later() {
        for cell in KINDS {
            assert_eq!(changed(design(cell, true)), [STEPS - 1], "{cell:?}");
            assert_eq!(changed(design(cell, false)), (0..STEPS).collect::<Vec<_>>(), "{cell:?}");
        }
        // The baseline sees one step alone.
        assert_eq!(changed(Design { layers: 0, ..design(CellKind::Lstm, false) }), [STEPS - 1]);
    }

    #[test]
    fn the_design_gives_layers_units_and_cells() {
        let sizes = |cell, one_way| {
            let network = network(design(cell, one_way));
            (network.names()[0].clone(), network.names().len(), network.readout.weight.shape()[0])
        };
        assert_eq!(sizes(CellKind::Lstm, false), ("layers.0.0.forward.weight_ih".to_owned(), 2 * 2 * 3 + 2, 10));
        assert_eq!(sizes(CellKind::Tanh, true), ("layers.0.0.weight_ih".to_owned(), 2 * 3 + 2, 5));
        let first = |gain: f32, leaf: usize| {
            network(Design { gain, ..design(CellKind::Lstm, true) }).leaves()[leaf].to_vec()[0]
        };
        assert_eq!([first(2.0, 0), first(2.0, 3)], [first(1.0, 0), 2.0 * first(1.0, 3)]);
        let gates = |cell| network(design(cell, true)).leaves()[0].shape()[1];
        assert_eq!(KINDS.map(gates), [5, 20]);
    }
}
