//! The data of a page, as its scripts read them: plain structs, written as JSON.
//!
//! Norms have four significant digits and values six; a number that is not finite is `null`. Residuals are complete. What is empty may
//! be left out.

use serde::Serialize;

/// All that a page shows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Data {
    pub(crate) version: u32,
    /// Whether a server with the engine stands behind the page.
    pub(crate) served: bool,
    pub(crate) bounds: Option<serde_json::Value>,
    pub(crate) scenes: Vec<Scene>,
    pub(crate) cliff: Option<Cliff>,
}

/// Networks side by side on one sequence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scene {
    pub(crate) id: String,
    pub(crate) title: Text,
    pub(crate) steps: usize,
    /// T × I.
    pub(crate) inputs: Vec<Vec<f64>>,
    /// One for each loss.
    pub(crate) targets: Vec<Vec<f64>>,
    pub(crate) settings: Option<serde_json::Value>,
    pub(crate) networks: Vec<Network>,
}

/// A text in one language or in both.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Both { en: String, fr: String },
}

impl Text {
    pub(crate) fn both(en: &str, fr: &str) -> Self {
        Text::Both { en: en.to_owned(), fr: fr.to_owned() }
    }
}

/// One network, unrolled: its tape, and what flows back on it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) title: Text,
    pub(crate) hidden: usize,
    pub(crate) equations: Vec<String>,
    pub(crate) parts: Vec<String>,
    /// Nodes by part and step.
    pub(crate) states: Vec<Vec<usize>>,
    pub(crate) first: Vec<usize>,
    pub(crate) xs: Vec<usize>,
    pub(crate) ys: Vec<Option<usize>>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) total: f64,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) files: Vec<String>,
    pub(crate) sweeps: Vec<Sweep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sweeps_left_out: Option<String>,
    pub(crate) flow: Flow,
    /// None of large states.
    pub(crate) jacobians: Vec<Jacobian>,
    /// |∂h_s/∂x_t| by s, then by t; nothing of long runs.
    pub(crate) influence: Vec<Vec<f64>>,
    pub(crate) check: Option<Check>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Loss {
    pub(crate) name: String,
    pub(crate) step: usize,
    pub(crate) node: usize,
    pub(crate) value: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// `W`, `U`, `V`, `b`, `c`, `h0`, or nothing.
    pub(crate) letter: &'static str,
    pub(crate) node: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) gates: Vec<String>,
    pub(crate) gradient: Numbers,
    /// |sum of the items - gradient| over the gradient, by the largest entries.
    pub(crate) residual: f64,
    /// The columns of the table of items.
    pub(crate) steps: Vec<Option<usize>>,
    /// By loss, then by column.
    pub(crate) items: Vec<Vec<Option<Numbers>>>,
}

/// A tensor, or of a large one only its norm.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Numbers {
    pub(crate) shape: Vec<usize>,
    pub(crate) norm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<Vec<f64>>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) op: &'static str,
    pub(crate) step: Option<usize>,
    /// Left out of large networks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) scope: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) gate: String,
    /// The dotted name of a parameter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) inputs: Vec<usize>,
    pub(crate) value: Numbers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<usize>,
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) op: &'static str,
    pub(crate) text: String,
}

/// A reverse pass from one loss.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sweep {
    pub(crate) loss: usize,
    pub(crate) events: Vec<Event>,
}

/// What a sweep does at one node.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    pub(crate) node: usize,
    /// The complete cotangent of the node.
    pub(crate) arrives: Numbers,
    pub(crate) leaves: Vec<Leaving>,
    pub(crate) terms: Vec<TermOf>,
}

/// What a rule sends to an input.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Leaving {
    pub(crate) input: usize,
    pub(crate) to: usize,
    pub(crate) tensor: Numbers,
}

/// A contribution to the gradient of a parameter.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TermOf {
    pub(crate) parameter: usize,
    pub(crate) step: Option<usize>,
    /// The norm of the gradient so far, with that of the losses that are played before: the later ones.
    pub(crate) after: f64,
}

/// The gradient of the sum of all losses, on its way through the states.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Flow {
    /// |dE/dpart_t| by part, then by step.
    pub(crate) parts: Vec<Vec<f64>>,
    /// By step t, |dE/dh_(t-1)| / |dE/dh_t|.
    pub(crate) growth: Vec<Option<f64>>,
    /// That of the recurrent weight, if there is one that is square.
    pub(crate) radius: Option<f64>,
    pub(crate) gates: Vec<Gate>,
}

/// A gate over time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gate {
    pub(crate) name: String,
    /// `switch` for a logistic function, `candidate` for a tanh.
    pub(crate) kind: &'static str,
    pub(crate) mean: Vec<Option<f64>>,
    /// The share of units at which the function is nearly flat.
    pub(crate) saturated: Vec<Option<f64>>,
}

/// The singular values of ∂state_j/∂state_(j-1).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Jacobian {
    pub(crate) step: usize,
    pub(crate) largest: f64,
    pub(crate) smallest: f64,
}

/// What the gradient check of a cell found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) passed: bool,
    pub(crate) verdict: &'static str,
    /// The report.
    pub(crate) message: String,
    /// The op at fault, with its place in the network of the check.
    pub(crate) op: Option<&'static str>,
    pub(crate) scope: String,
    pub(crate) gate: String,
    pub(crate) step: Option<usize>,
    /// The same op on the tape of the page.
    pub(crate) node: Option<usize>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    /// What its rule gives, and what differences give.
    pub(crate) gradient: Option<f64>,
    pub(crate) difference: Option<f64>,
    /// What the mistake looks like.
    pub(crate) pattern: Option<String>,
}

/// An error surface with a wall, and two descents on it (Pascanu et al. 2013).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cliff {
    pub(crate) weights: Vec<f64>,
    pub(crate) biases: Vec<f64>,
    /// By bias, then by weight.
    pub(crate) loss: Vec<Vec<f64>>,
    pub(crate) steps: usize,
    pub(crate) rate: f64,
    pub(crate) threshold: f64,
    /// Weight, bias and error of each step.
    pub(crate) plain: Vec<[f64; 3]>,
    pub(crate) clipped: Vec<[f64; 3]>,
}
