//! The scenes of the built-in page, in the order of the lecture.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_rnn::{Cell, Linear, lens};

use crate::cells::{Cells, Setup, named};
use crate::data::{self, Network, Scene, Text};
use crate::error::{Error, Result};
use crate::network::{Around, network};
use crate::numbers::{norm, value};
use crate::sequence::Sequence;

/// Three steps of small networks, a loss at each: every number can be followed.
pub(crate) fn lecture(cells: &Cells) -> Result<Scene> {
    let x = Tensor::from_vec(vec![0.5, -1.0, 1.0, 0.25, -0.75, 0.5], &[3, 2]);
    let targets = Tensor::from_vec(vec![0.5, -0.5, 1.0], &[3, 1]);
    let setup = Setup { hidden: 3, scale: 1.0, forget_bias: Some(1.0), seed: 3 };
    scene("lecture", Text::both("Three steps", "Trois pas"), cells, &setup, &Sequence::new(x, targets)?)
}

/// One linear unit whose recurrent weight is 10, and one with 0.1: going back a step multiplies the gradient by it. The bias of the readout
/// makes y 1 and the target is 0, so that ∂E/∂y is 1.
pub(crate) fn chain() -> Result<Scene> {
    const LAST: usize = 5;
    let x = Tensor::from_fn(&[LAST + 1, 1], |t| if t == 0 { 1.0 } else { 0.0 });
    let sequence = Sequence::with_losses(x, Tensor::zeros(&[1, 1]), &[LAST])?;
    let unit = |id: &str, factor: f64| {
        let bias = Tensor::full(&[1], 1.0 - factor.powi(LAST as i32));
        let readout = Linear { weight: Tensor::full(&[1, 1], 1.0), bias: Some(bias) };
        let cell = Unit { w: Tensor::full(&[1, 1], 1.0), u: Tensor::full(&[1, 1], factor) };
        let named = named(id, &format!("U = {factor}"), &["h_t = x_t·W + h_(t-1)·U"]);
        let failed = |message| Error::Network { network: id.to_owned(), message };
        network(named, &cell, &readout, &sequence, Around::default()).map_err(failed)
    };
    let networks = vec![unit("times-10", 10.0)?, unit("times-0.1", 0.1)?];
    Ok(of("chain", Text::both("A chain of factors", "Une chaîne de facteurs"), &sequence, networks))
}

parameters! {
    /// One unit without a function: h_t = w·x_t + u·h_(t-1). w and u `[1, 1]`.
    struct Unit<P> { w: P, u: P }
}

impl<'t> Cell<'t, f64> for Unit<Var<'t, f64>> {
    type State = Var<'t, f64>;

    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        affine(&[(x, self.w), (h, self.u)], None)
    }

    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, 1])
    }
}

/// A sequence whose only input comes early and whose only loss is at the end: what does the gradient still know of it?
pub(crate) fn memory(cells: &Cells) -> Result<Scene> {
    const STEPS: usize = 20;
    let x = Tensor::from_fn(&[STEPS, 2], |i| [1.0, -1.0].get(i).copied().unwrap_or(0.0));
    let sequence = Sequence::with_losses(x, Tensor::full(&[1, 1], 1.0), &[STEPS - 1])?;
    let setup = Setup { hidden: 4, scale: 1.0, forget_bias: Some(4.0), seed: 5 };
    let mut scene = scene("memory", Text::both("What is remembered", "Ce qui est retenu"), cells, &setup, &sequence)?;
    // What a wrong gradient still knows means nothing.
    scene.networks.retain(|network| network.check.as_ref().is_none_or(|check| check.passed));
    Ok(scene)
}

/// The wall of an error surface, and descent with and without clipping.
pub(crate) fn wall() -> data::Cliff {
    let settings = lens::Cliff { grid: [48, 48], ..lens::Cliff::default() };
    let surface = lens::cliff(&settings);
    let rounded = |numbers: Vec<f64>| numbers.into_iter().map(value).collect();
    let descent = |path: Vec<lens::Descent>| path.into_iter().map(|p| [p.w, p.b, p.error].map(value)).collect();
    data::Cliff {
        weights: rounded(surface.w),
        biases: rounded(surface.b),
        loss: surface.error.into_iter().map(|row| row.into_iter().map(norm).collect()).collect(),
        steps: 50,
        rate: settings.rate,
        threshold: settings.threshold,
        plain: descent(surface.plain),
        clipped: descent(surface.clipped),
    }
}

/// The most steps of a scene.
pub(crate) const MOST_STEPS: usize = 200;

/// All cells on a sequence of so many steps, with a loss at the last.
pub(crate) fn steps(cells: &Cells, steps: usize) -> Result<Scene> {
    if !(1..=MOST_STEPS).contains(&steps) {
        return Err(Error::Sequence(format!("a scene of {steps} steps; expected 1 to {MOST_STEPS}")));
    }
    let x = drawn(&[steps, 2], 7, 2);
    let sequence = Sequence::with_losses(x, drawn(&[1, 1], 7, 3), &[steps - 1])?;
    let setup = Setup { hidden: 4, scale: 1.0, forget_bias: Some(1.0), seed: 7 };
    let title = Text::both(&format!("{steps} steps"), &format!("{steps} pas"));
    scene("steps", title, cells, &setup, &sequence)
}

/// Values in ±1; another stream draws others from the same seed.
pub(crate) fn drawn(shape: &[usize], seed: u64, stream: u64) -> Tensor<f64> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(16).wrapping_add(stream));
    Tensor::from_fn(shape, |_| rng.random_range(-1.0..1.0))
}

/// All cells on one sequence.
fn scene(id: &str, title: Text, cells: &Cells, setup: &Setup, sequence: &Sequence) -> Result<Scene> {
    let names: Vec<&str> = cells.names().collect();
    let networks = names.iter().map(|name| cells.record(name, setup, sequence)).collect::<Result<_>>()?;
    Ok(of(id, title, sequence, networks))
}

/// A scene of recorded networks.
pub(crate) fn of(id: &str, title: Text, sequence: &Sequence, networks: Vec<Network>) -> Scene {
    Scene {
        id: id.to_owned(),
        title,
        steps: sequence.steps(),
        inputs: rows(sequence.x()),
        targets: rows(sequence.targets()),
        settings: None,
        networks,
    }
}

fn rows(matrix: &Tensor<f64>) -> Vec<Vec<f64>> {
    matrix.to_vec().chunks(matrix.shape()[1]).map(<[f64]>::to_vec).collect()
}
