//! A model on a tape, as data: its nodes with their ops, settings and shapes.

use std::panic::Location;

use rewind_autograd::{Op, Tape, Tensor, Var};
use rewind_rnn::State;

/// A node of the tape.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The op, or `leaf` or `constant`.
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<(&'static str, String)>,
    /// Positions of earlier nodes.
    pub(crate) inputs: Vec<usize>,
    pub(crate) value: Tensor<f32>,
    /// The time step that recorded it.
    pub(crate) step: Option<usize>,
    /// The dotted name, of a parameter.
    pub(crate) scope: String,
    pub(crate) place: &'static Location<'static>,
}

/// The size of a recording: what the numbers of an unrolled network depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
}

/// A part of the state of a model.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The leaf that the model starts from.
    pub(crate) leaf: usize,
    /// The model's own first state, which is recorded and not read.
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// A recorded model.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) nodes: Vec<Node>,
    pub(crate) x: usize,
    pub(crate) parts: Vec<Part>,
    /// Results by name.
    pub(crate) results: Vec<(String, usize)>,
}

/// The input and the first state of a model that is recorded.
pub(crate) struct Recorder<'t> {
    tape: &'t Tape<f32>,
    noise: u32,
    size: Size,
}

impl<'t> Recorder<'t> {
    pub(crate) fn new(tape: &'t Tape<f32>, size: Size) -> Self {
        Recorder { tape, noise: 0x9e37 ^ size.steps as u32, size }
    }

    /// The input `[T, B, width]`: numbers without a pattern, so that what is computed from their values is told from constants.
    pub(crate) fn input(&mut self, width: usize) -> Var<'t, f32> {
        let shape = [self.size.steps, self.size.batch, width];
        let x = Tensor::from_fn(&shape, |_| self.number());
        self.tape.leaf(x)
    }

    /// Leaves beside the values of `first`, one for each of its parts, to start from.
    pub(crate) fn leaves<S: State<'t, f32>>(&mut self, first: S) -> S {
        first.clone().zip(first, &mut |part, _| {
            let own = part.value().to_vec();
            self.tape.leaf(Tensor::from_fn(&part.shape(), |i| own[i] + self.number() / 8.0))
        })
    }

    /// A number in [-1, 1): a linear congruence (Numerical Recipes).
    fn number(&mut self) -> f32 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.noise >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The variables of a state, in order.
pub(crate) fn parts<'t, S: State<'t, f32>>(state: &S) -> Vec<Var<'t, f32>> {
    let mut parts = Vec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part);
        part
    });
    parts
}

/// The nodes of a tape.
pub(crate) fn nodes(tape: &Tape<f32>) -> Vec<Node> {
    let node = |index| {
        let info = tape.node(index);
        let settings = tape.op(index).map(|op| op.settings()).unwrap_or_default();
        let step = info.scope.split('/').rev().find_map(|level| level.strip_prefix("t=")?.parse().ok());
        let (name, inputs, value) = (info.name, info.inputs, info.value);
        Node { name, settings, inputs, value, step, scope: info.scope, place: info.location }
    };
    (0..tape.len()).map(node).collect()
}

/// `file:line` of the program.
pub(crate) fn place(location: &Location<'_>) -> String {
    format!("{}:{}", location.file(), location.line())
}
