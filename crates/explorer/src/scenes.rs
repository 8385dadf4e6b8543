//! The scenes of the built-in page, in the order of the lecture.

use rewind_autograd::Tensor;

use crate::cells::{Cells, Setup};
use crate::data::{Scene, Text};
use crate::error::Result;
use crate::sequence::Sequence;

/// Three steps of small networks, a loss at each: every number can be followed.
pub(crate) fn lecture(cells: &Cells) -> Result<Scene> {
    let x = Tensor::from_vec(vec![0.5, -1.0, 1.0, 0.25, -0.75, 0.5], &[3, 2]);
    let targets = Tensor::from_vec(vec![0.5, -0.5, 1.0], &[3, 1]);
    let setup = Setup { hidden: 3, scale: 1.0, forget_bias: Some(1.0), seed: 3 };
    scene("lecture", Text::both("Three steps", "Trois pas"), cells, &setup, &Sequence::new(x, targets)?)
}

/// All cells on one sequence.
fn scene(id: &str, title: Text, cells: &Cells, setup: &Setup, sequence: &Sequence) -> Result<Scene> {
    let names: Vec<&str> = cells.names().collect();
    let networks = names.iter().map(|name| cells.record(name, setup, sequence)).collect::<Result<_>>()?;
    Ok(of(id, title, sequence, networks))
}

/// A scene of recorded networks.
pub(crate) fn of(id: &str, title: Text, sequence: &Sequence, networks: Vec<crate::data::Network>) -> Scene {
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
