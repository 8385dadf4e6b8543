//! Recurrent networks as ONNX files, for runtimes that know nothing of Rust.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_rnn::autograd::Tensor;
//! use rewind_rnn::{Bidirectional, Linear, Lstm};
//!
//! let rng = &mut StdRng::seed_from_u64(1);
//! let model = (Bidirectional::cells(Lstm::<Tensor<f32>>::new(3, 5, rng), Lstm::new(3, 5, rng)), Linear::new(10, 2, rng));
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.onnx");
//! rewind_onnx::export(&model, 3)?.write(path)?; // 3 features a time step
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The file has the input `x` `[time, batch, features]`, the outputs `y` `[time, batch, …]` and, for each part of the state, `last.…`; the
//! number of time steps and sequences is free. [`Export`] adds lengths of padded sequences and first states.
//!
//! A model is recorded on a tape, twice, at unlike sizes. The time steps are rolled up to loops; a loop whose ops are those of an LSTM, a
//! GRU or a tanh-RNN becomes that op of ONNX, and any other one a `Scan` whose body is one step, with a node or a few for each op of the
//! tape. So a cell or a layer of your own needs no further code. What has no form in ONNX is an [`Error`] that names the op and its line.

mod emit;
mod error;
mod forms;
mod graph;
mod merge;
mod network;
mod ops;
mod proto;
mod record;
mod roll;

use std::path::Path;

use prost::Message;
use rewind_autograd::{Module, Var};
use rewind_rnn::{LayerModule, file};

pub use error::{Error, Result};

use emit::Settings;
use network::Network;
use proto::{IR_VERSION, ModelProto, OPSET, OperatorSetIdProto};

/// A layer as an ONNX file, for sequences of `features` numbers a time step: [`Export::layer`] with default settings.
///
/// # Errors
/// As [`Export::layer`].
pub fn export<M: LayerModule<f32>>(model: &M, features: usize) -> Result<Model> {
    Export::new().layer(model, features)
}

/// Settings of an export.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_onnx::Export;
/// use rewind_rnn::autograd::Tensor;
/// use rewind_rnn::{Gru, Recurrent};
///
/// let gru = Recurrent(Gru::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1)));
/// let model = Export::new().lengths().states().layer(&gru, 3)?;
/// assert_eq!(model.inputs(), ["x", "first.h", "lengths"]);
/// assert_eq!(model.outputs(), ["y", "last.h"]);
/// # Ok::<(), rewind_onnx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Export(Settings);

impl Export {
    /// One length for all sequences, from the model's own first state.
    pub fn new() -> Self {
        Self::default()
    }

    /// An input `lengths`, `[batch]` of 32-bit integers: the length of each sequence of a padded batch, from 1 to the number of time steps,
    /// as [`Unroll::lengths`](rewind_rnn::Unroll::lengths) has it. Outputs are 0 after the end of a sequence, and its last state is that at
    /// its end.
    pub fn lengths(mut self) -> Self {
        self.0.lengths = true;
        self
    }

    /// An input `first.…` for each part of the state, to go on from the last state of an earlier run.
    pub fn states(mut self) -> Self {
        self.0.states = true;
        self
    }

    /// A layer as an ONNX file, for sequences of `features` numbers a time step. Dropout and zoneout are off, as in a trained network.
    ///
    /// # Errors
    /// If the model declares another number of features; or, with its line, for an op without a form in ONNX, a value that is computed
    /// outside of the tape from the input, time steps that are unlike each other, and, with [`lengths`](Export::lengths), an op outside of a
    /// loop that reads several time steps.
    ///
    /// # Panics
    /// As the model does, if it declares no number of features and does not take so many.
    pub fn layer<M: LayerModule<f32>>(self, model: &M, features: usize) -> Result<Model> {
        self.model(&Network::of_layer(model, features)?)
    }

    /// A function of x `[time, batch, features]` with the parameters of a module, such as a cell, its last output and a readout: its results
    /// are the outputs of the file, under their names. With [`lengths`](Export::lengths), the last output is that at the end of each sequence.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_onnx::Export;
    /// use rewind_rnn::autograd::Tensor;
    /// use rewind_rnn::{Linear, Lstm, unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let classifier = (Lstm::<Tensor<f32>>::new(3, 5, rng), Linear::new(5, 2, rng));
    /// let model = Export::new().function(&classifier, 3, |(lstm, readout), x| {
    ///     let class = readout.forward(unroll(lstm, x).last_output()).softmax(1);
    ///     vec![("class".to_owned(), class)]
    /// })?;
    /// assert_eq!(model.outputs(), ["class"]);
    /// # Ok::<(), rewind_onnx::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`layer`](Export::layer).
    pub fn function<M, F>(self, module: &M, features: usize, f: F) -> Result<Model>
    where
        M: Module<f32>,
        F: for<'t> Fn(&M::With<Var<'t, f32>>, Var<'t, f32>) -> Vec<(String, Var<'t, f32>)>,
    {
        self.model(&Network::of_function(module, features, f)?)
    }

    fn model(self, network: &Network) -> Result<Model> {
        let opset = OperatorSetIdProto { domain: String::new(), version: OPSET };
        Ok(Model(ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![opset],
            producer_name: "rewind".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(emit::graph(network, self.0)?),
        }))
    }
}

/// A model in the form of ONNX.
#[derive(Clone, Debug)]
pub struct Model(ModelProto);

impl Model {
    /// The contents of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// Writes the file: under a temporary name, which is renamed when it is complete.
    ///
    /// # Errors
    /// If it cannot be written; then what was at `path` is unchanged.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        file::replace(path, &self.to_bytes()).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// The names of the inputs.
    pub fn inputs(&self) -> Vec<&str> {
        self.0.graph.iter().flat_map(|graph| &graph.input).map(|input| input.name.as_str()).collect()
    }

    /// The names of the outputs.
    pub fn outputs(&self) -> Vec<&str> {
        self.0.graph.iter().flat_map(|graph| &graph.output).map(|output| output.name.as_str()).collect()
    }

    /// The ops of the graph in their order; those of the body of a `Scan` follow it.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_rnn::autograd::Tensor;
    /// use rewind_rnn::{Linear, Recurrent, TanhRnn};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let model = (Recurrent(TanhRnn::<Tensor<f32>>::new(3, 5, rng)), Linear::new(5, 2, rng));
    /// let ops = rewind_onnx::export(&model, 3)?.ops().join(" ");
    /// assert_eq!(ops, "RNN Squeeze Squeeze MatMul Add Identity Identity");
    /// # Ok::<(), rewind_onnx::Error>(())
    /// ```
    pub fn ops(&self) -> Vec<&str> {
        self.0.graph.iter().flat_map(ops_of).collect()
    }
}

/// The ops of a graph, with those of the bodies of its nodes.
fn ops_of(graph: &proto::GraphProto) -> Vec<&str> {
    let mut ops = Vec::new();
    for node in &graph.node {
        ops.push(node.op_type.as_str());
        ops.extend(node.attribute.iter().flat_map(|attribute| &attribute.g).flat_map(ops_of));
    }
    ops
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The page of the repository; it is no part of the package.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/onnx.md")]
struct Page;
