//! The cells that a page can show: the built-in ones and those of users, each by a function that makes one of any size.

use std::sync::OnceLock;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{NodeInfo, Parameters, Tape, Tensor, derive};
use rewind_check::Report;
use rewind_rnn::{Gru, Linear, Lstm, RecurrentModule, TanhRnn, init};

use crate::check::checked;
use crate::data::{Network, Text};
use crate::error::{Error, Result};
use crate::network::{Around, Named, network};
use crate::parameters::Letters;
use crate::record::{Model, record, width};
use crate::sequence::Sequence;

/// Sizes and initial values of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setup {
    pub(crate) hidden: usize,
    /// What the recurrent weights are multiplied with.
    pub(crate) scale: f64,
    /// The bias of the gates that keep the state: every gate called f, and z of the GRU.
    pub(crate) forget_bias: Option<f64>,
    pub(crate) seed: u64,
}

/// A cell whose type is forgotten.
trait Family: Send + Sync {
    /// Records a network of one of them.
    fn record(&self, named: &Named, setup: &Setup, sequence: &Sequence, around: Around<'_>) -> Outcome;
    /// Checks a small one.
    fn check(&self, features: usize) -> Report;
}

type Outcome = std::result::Result<Network, String>;

/// A function that makes a cell of I features.
struct Made<F>(F);

impl<C: RecurrentModule<f64>, F: Fn(&Setup, usize, &mut StdRng) -> C + Send + Sync> Family for Made<F> {
    fn record(&self, named: &Named, setup: &Setup, sequence: &Sequence, around: Around<'_>) -> Outcome {
        let rng = &mut StdRng::seed_from_u64(setup.seed);
        let cell = adjusted((self.0)(setup, sequence.features(), rng), setup, sequence)?;
        let readout = readout(width(&cell)?, sequence.outputs(), setup.seed);
        network(named.clone(), &cell, &readout, sequence, around)
    }

    fn check(&self, features: usize) -> Report {
        let setup = Setup { hidden: 3, scale: 1.0, forget_bias: None, seed: 1 };
        checked(&(self.0)(&setup, features, &mut StdRng::seed_from_u64(setup.seed)), features)
    }
}

struct Entry {
    named: Named,
    family: Box<dyn Family>,
    /// The check of a cell that is not built in, once it was asked for.
    report: Option<OnceLock<Report>>,
}

/// Cells by name. Each is made for I features and H units from a seed, so that a page can show it beside others and, served, at other
/// sizes.
///
/// ```
/// use rewind_explorer::Cells;
/// use rewind_rnn::Mgu;
/// let cells = Cells::built_in().with("mgu", "MGU", &[], |inputs, hidden, rng| Mgu::new(inputs, hidden, rng));
/// assert_eq!(cells.names().collect::<Vec<_>>(), ["tanh", "lstm", "gru", "mgu"]);
/// ```
#[derive(Default)]
pub struct Cells {
    entries: Vec<Entry>,
    docs: Vec<(&'static str, &'static str)>,
}

/// The equations of the tanh-RNN.
pub(crate) const TANH: &[&str] = &["h_t = tanh(x_t·W + h_(t-1)·U + b)"];
/// The equations of the LSTM.
pub(crate) const LSTM: &[&str] = &[
    "i = sigmoid(x·W_i + h·U_i + b_i)",
    "f = sigmoid(x·W_f + h·U_f + b_f)",
    "g =    tanh(x·W_g + h·U_g + b_g)",
    "o = sigmoid(x·W_o + h·U_o + b_o)",
    "c' = f ∘ c + i ∘ g",
    "h' = o ∘ tanh c'",
];
/// The equations of the GRU.
pub(crate) const GRU: &[&str] = &[
    "r = sigmoid(x·W_r + h·U_r + b_r)",
    "z = sigmoid(x·W_z + h·U_z + b_z)",
    "n = tanh(x·W_n + b_n + r ∘ (h·U_n + c_n))",
    "h' = (1 - z) ∘ n + z ∘ h",
];
/// Those of readout and loss, of every network.
pub(crate) const READOUT: &[&str] = &["y_t = h_t·V + c", "E_t = ½·|y_t - target_t|²"];

impl Cells {
    /// The cells of the lecture: tanh-RNN, LSTM and GRU.
    pub fn built_in() -> Self {
        Cells::default()
            .and("tanh", "tanh", TANH, |setup, inputs, rng| TanhRnn::new(inputs, setup.hidden, rng))
            .and("lstm", "LSTM", LSTM, |setup, inputs, rng| Lstm::new(inputs, setup.hidden, rng))
            .and("gru", "GRU", GRU, gru)
    }

    /// The same and another cell: `new` makes it for I features and H units. `id` is its name in addresses and settings. Of the
    /// `equations`, one a line, there may be none. Its gradients are [checked](rewind_rnn::check::cell); what is wrong stands at the
    /// node at fault.
    ///
    /// Parameters that multiply the state count as recurrent weights, and gates called `f` as forget gates, whatever the cell is.
    ///
    /// # Panics
    /// If there is a cell of that id.
    #[track_caller]
    pub fn with<C: RecurrentModule<f64>>(
        self,
        id: &str,
        title: &str,
        equations: &[&str],
        new: impl Fn(usize, usize, &mut StdRng) -> C + Send + Sync + 'static,
    ) -> Self {
        if self.names().any(|name| name == id) {
            panic!("Cells: there is a cell `{id}`; expected another id");
        }
        let mut cells = self.and(id, title, equations, move |setup, inputs, rng| new(inputs, setup.hidden, rng));
        cells.entries.last_mut().expect("it was added").report = Some(OnceLock::new());
        cells
    }

    /// The same and another cell, which is not checked.
    pub(crate) fn and<C: RecurrentModule<f64>>(
        mut self,
        id: &str,
        title: &str,
        equations: &[&str],
        new: impl Fn(&Setup, usize, &mut StdRng) -> C + Send + Sync + 'static,
    ) -> Self {
        let named = named(id, title, equations);
        self.entries.push(Entry { named, family: Box::new(Made(new)), report: None });
        self
    }

    /// The docs of ops of your own, as [`ops!`](rewind_autograd::ops!) lists them: their rules stand at their nodes.
    pub fn ops(mut self, docs: &[(&'static str, &'static str)]) -> Self {
        self.docs.extend_from_slice(docs);
        self
    }

    /// The ids.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.named.id.as_str())
    }

    /// Records one of the cells.
    pub(crate) fn record(&self, id: &str, setup: &Setup, sequence: &Sequence) -> Result<Network> {
        let network = |message| Error::Network { network: id.to_owned(), message };
        let Some(entry) = self.entries.iter().find(|entry| entry.named.id == id) else {
            return Err(network(format!("there is no such cell; there are {:?}", self.names().collect::<Vec<_>>())));
        };
        let check = || entry.family.check(sequence.features());
        let report = entry.report.as_ref().map(|report| report.get_or_init(check));
        let around = Around { docs: &self.docs, report };
        entry.family.record(&entry.named, setup, sequence, around).map_err(network)
    }
}

/// A GRU; what keeps its state is z.
fn gru(setup: &Setup, inputs: usize, rng: &mut StdRng) -> Gru<Tensor<f64>> {
    let mut gru = Gru::new(inputs, setup.hidden, rng);
    if let (Some(bias), Some(all)) = (setup.forget_bias, &mut gru.bias) {
        all.as_mut_slice()[setup.hidden..2 * setup.hidden].fill(bias);
    }
    gru
}

pub(crate) fn named(id: &str, title: &str, equations: &[&str]) -> Named {
    let readout: &[&str] = if equations.is_empty() { &[] } else { READOUT };
    let equations = equations.iter().chain(readout).map(|&line| line.to_owned()).collect();
    Named { id: id.to_owned(), title: Text::Plain(title.to_owned()), equations }
}

/// A readout whose bias is not zero.
pub(crate) fn readout(hidden: usize, outputs: usize, seed: u64) -> Linear<Tensor<f64>> {
    let rng = &mut StdRng::seed_from_u64(seed.wrapping_add(1));
    Linear { bias: Some(init::uniform(&[outputs], 0.5, rng)), ..Linear::new(hidden, outputs, rng) }
}

/// The cell with its recurrent weights scaled and the biases of its forget gates set.
fn adjusted<C: RecurrentModule<f64>>(cell: C, setup: &Setup, sequence: &Sequence) -> std::result::Result<C, String> {
    if setup.scale == 1.0 && setup.forget_bias.is_none() {
        return Ok(cell);
    }
    let tape = Tape::new();
    let model = Model { readout: readout(width(&cell)?, sequence.outputs(), setup.seed), cell };
    let recorded = record(&tape, &model, &sequence.beginning())?;
    let nodes: Vec<NodeInfo<f64>> = (0..recorded.nodes).map(|node| tape.node(node)).collect();
    let letters = Letters::new(&recorded, &nodes);
    let variables: Vec<_> = recorded.parameters.iter().map(|&(_, v)| v).collect();
    let items = derive::itemised(&recorded.losses, &variables, "t");
    let mut k = 0;
    let model = model.map(|name, parameter| {
        let letter = letters.of(name, variables[k].position());
        let gates = items.gates(k);
        k += 1;
        match (letter, setup.forget_bias, gates.iter().position(|gate| gate == "f")) {
            ("U", ..) => parameter.map(|weight| setup.scale * weight),
            ("b", Some(bias), Some(f)) => {
                let columns = parameter.len() / gates.len();
                let mut parameter = parameter.to_contiguous();
                parameter.as_mut_slice()[f * columns..(f + 1) * columns].fill(bias);
                parameter
            }
            _ => parameter.clone(),
        }
    });
    Ok(model.cell)
}
