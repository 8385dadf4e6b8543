//! A model as values for every size: recorded twice, rolled, merged.

use rewind_autograd::{Module, Tape, Var};
use rewind_rnn::{Layer, LayerModule, Unroll};

use crate::error::{Error, Result};
use crate::merge::{Value, merge};
use crate::record::{self, Part, Recorder, Recording, Size};
use crate::roll::roll;

/// The sizes of the two recordings. No two of T, T - 1, B and T·B change by the same numbers.
const SIZES: [Size; 2] = [Size { steps: 5, batch: 3 }, Size { steps: 7, batch: 2 }];

/// A model.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) values: Vec<Value>,
    pub(crate) parts: Vec<StatePart>,
    /// Results by name.
    pub(crate) results: Vec<(String, usize)>,
}

/// A part of the state of a model.
#[derive(Clone, Debug)]
pub(crate) struct StatePart {
    pub(crate) name: String,
    /// The model's own first state.
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Network {
    /// A layer, from x to `y`.
    pub(crate) fn of_layer<M: LayerModule<f32>>(model: &M, width: usize) -> Result<Self> {
        if let Some(own) = model.on(&Tape::quiet()).input_width().filter(|&own| own != width) {
            return Err(Error::Width { model: own, input: width });
        }
        Network::recorded(|size| {
            let tape = Tape::new();
            let on_tape = model.on(&tape);
            let mut recorder = Recorder::new(&tape, size);
            let x = recorder.input(width);
            let first = on_tape.initial_state(size.batch);
            let leaves = recorder.leaves(first.clone());
            let run = Unroll::new().through_from(&on_tape, x, leaves.clone());
            let ends = [record::parts(&first), record::parts(&leaves), record::parts(&run.last)];
            let part = |(k, name): (usize, String)| {
                let [first, leaf, last] = [0, 1, 2].map(|end: usize| ends[end][k].position());
                Part { name, leaf, first, last }
            };
            let names = if ends[0].is_empty() { Vec::new() } else { rewind_rnn::State::part_names(&first) };
            let parts = names.into_iter().enumerate().map(part).collect();
            let results = vec![("y".to_owned(), run.outputs.position())];
            Recording { nodes: record::nodes(&tape), x: x.position(), parts, results }
        })
    }

    /// A function of x with the parameters of a module.
    pub(crate) fn of_function<M, F>(module: &M, width: usize, f: F) -> Result<Self>
    where
        M: Module<f32>,
        F: for<'t> Fn(&M::With<Var<'t, f32>>, Var<'t, f32>) -> Vec<(String, Var<'t, f32>)>,
    {
        Network::recorded(|size| {
            let tape = Tape::new();
            let on_tape = rewind_autograd::OnTape::on(module, &tape);
            let x = Recorder::new(&tape, size).input(width);
            let results = f(&on_tape, x).into_iter().map(|(name, v)| (name, v.position())).collect();
            Recording { nodes: record::nodes(&tape), x: x.position(), parts: Vec::new(), results }
        })
    }

    fn recorded(record: impl Fn(Size) -> Recording) -> Result<Self> {
        let recordings = SIZES.map(record);
        let [a, b] = [roll(&recordings[0])?, roll(&recordings[1])?];
        let values = merge(SIZES, &a.entries, &b.entries)?;
        let part =
            |part: &Part| StatePart { name: part.name.clone(), first: a.at[&part.first], last: a.at[&part.last] };
        let parts = recordings[0].parts.iter().map(part).collect();
        let results = recordings[0].results.iter().map(|(name, at)| (name.clone(), a.at[at])).collect();
        Ok(Network { values, parts, results })
    }
}
