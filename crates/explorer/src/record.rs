//! A network, recorded: a cell with a readout, unrolled over one sequence with its losses on a tape.

use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, parameters};
use rewind_rnn::{Cell, Linear, RecurrentModule, State};

use crate::sequence::Sequence;

parameters! {
    /// A cell and what reads its output: y_t = h_t·V + c.
    #[derive(PartialEq)]
    pub(crate) struct Model<P, C> {
        pub(crate) cell: C,
        pub(crate) readout: Linear<P>,
    }
}

/// The variables of an unrolled network, those of one sequence.
pub(crate) struct Recorded<'t> {
    /// The parameters by dotted name.
    pub(crate) parameters: Vec<(String, Var<'t, f64>)>,
    /// The names of the parts of the state.
    pub(crate) parts: Vec<String>,
    /// What the readout reads: h after each step.
    pub(crate) outputs: Vec<Var<'t, f64>>,
    /// The parts before the first step.
    pub(crate) first: Vec<Var<'t, f64>>,
    /// The parts after each step.
    pub(crate) states: Vec<Vec<Var<'t, f64>>>,
    pub(crate) xs: Vec<Var<'t, f64>>,
    /// The predictions at the steps that have a loss.
    pub(crate) ys: Vec<Option<Var<'t, f64>>>,
    /// The losses, in the order of time.
    pub(crate) losses: Vec<Var<'t, f64>>,
    /// How many nodes there are up to the last loss.
    pub(crate) nodes: usize,
}

/// Unrolls a model on `tape`, in the scopes `t=0`, `t=1`, …
///
/// # Errors
/// What does not fit: the features of the cell, a shape of its state, or scopes that are called as time steps are.
pub(crate) fn record<'t, C: RecurrentModule<f64>>(
    tape: &'t Tape<f64>,
    model: &Model<Tensor<f64>, C>,
    sequence: &Sequence,
) -> Result<Recorded<'t>, String> {
    let recorded = unrolled(tape, &model.on(tape), sequence, |t| tape.constant(sequence.x().slice(0, t..t + 1)))?;
    check_scopes(tape)?;
    Ok(recorded)
}

/// Unrolls a model that is on `tape`, where `x` gives the input `[1, I]` of a step.
///
/// # Errors
/// As [`record`].
pub(crate) fn unrolled<'t, C: Cell<'t, f64>>(
    tape: &'t Tape<f64>,
    net: &Model<Var<'t, f64>, C>,
    sequence: &Sequence,
    x: impl Fn(usize) -> Var<'t, f64>,
) -> Result<Recorded<'t>, String>
where
    Model<Var<'t, f64>, C>: Parameters<Var<'t, f64>>,
{
    let names = net.names().into_iter().zip(net.leaves().into_iter().copied()).collect();
    check_features(net.cell.features(), sequence)?;
    let mut state = net.cell.initial(1);
    let first = parts(&state);
    let mut recorded = Recorded {
        parameters: names,
        parts: state.part_names(),
        outputs: Vec::new(),
        first,
        states: Vec::new(),
        xs: Vec::new(),
        ys: Vec::new(),
        losses: Vec::new(),
        nodes: 0,
    };
    for t in 0..sequence.steps() {
        let _step = tape.numbered_scope("t", t);
        let x = x(t);
        state = if t == 0 { net.cell.step(x, state) } else { net.cell.equations(x, state) };
        let now = parts(&state);
        check_shapes(&recorded, &now, t)?;
        let h = state.output();
        recorded.outputs.push(h);
        recorded.xs.push(x);
        recorded.states.push(now);
        recorded.ys.push(sequence.target(t).map(|target| {
            let y = net.readout.forward(h);
            let off = y - tape.constant(target);
            recorded.losses.push(off.square().sum() * 0.5);
            y
        }));
    }
    recorded.nodes = tape.len();
    Ok(recorded)
}

/// Whether a cell and its readout fit a sequence.
///
/// # Errors
/// What does not.
pub(crate) fn fits<C: RecurrentModule<f64>>(
    cell: &C,
    readout: &Linear<Tensor<f64>>,
    sequence: &Sequence,
) -> Result<(), String> {
    let model = Model { cell: cell.clone(), readout: readout.clone() };
    record(&Tape::quiet(), &model, sequence).map(drop)
}

/// The width of the output of a cell: H.
///
/// # Errors
/// If the output is no row for each sequence.
pub(crate) fn width<C: RecurrentModule<f64>>(cell: &C) -> Result<usize, String> {
    let tape = Tape::quiet();
    let output = cell.on(&tape).initial(1).output().shape();
    match output[..] {
        [1, hidden] if hidden > 0 => Ok(hidden),
        _ => Err(format!("the output of its first state has shape {output:?} for one sequence; expected [1, H]")),
    }
}

/// The variables of a state, in order.
fn parts<'t, S: State<'t, f64>>(state: &S) -> Vec<Var<'t, f64>> {
    let mut parts = Vec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part);
        part
    });
    parts
}

/// A cell may have a loop of its own; the page places its nodes by their time step.
fn check_scopes(tape: &Tape<f64>) -> Result<(), String> {
    let of_step = |level: &&str| level.starts_with("t=");
    for at in 0..tape.len() {
        let scope = tape.node(at).scope;
        if scope.split('/').filter(of_step).count() > 1 {
            return Err(format!(
                "it enters a scope called `t` within a time step ({scope}); expected another name for a loop of its own"
            ));
        }
    }
    Ok(())
}

fn check_features(taken: Option<usize>, sequence: &Sequence) -> Result<(), String> {
    match taken {
        Some(features) if features != sequence.features() => {
            Err(format!("it takes {features} features; got x {:?}, [T, I]", sequence.x().shape()))
        }
        _ => Ok(()),
    }
}

fn check_shapes(recorded: &Recorded<'_>, now: &[Var<'_, f64>], step: usize) -> Result<(), String> {
    for (name, (before, after)) in recorded.parts.iter().zip(recorded.first.iter().zip(now)) {
        if before.shape() != after.shape() {
            let (before, after) = (before.shape(), after.shape());
            return Err(format!("step {step} gives `{name}` the shape {after:?}; expected {before:?}, that before it"));
        }
    }
    Ok(())
}
