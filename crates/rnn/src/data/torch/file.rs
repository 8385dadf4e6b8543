//! Modules from a safetensors file that PyTorch wrote.

use std::path::Path;

use rewind_autograd::{Scalar, Tensor};

use super::cells::transposed;
use super::{GRU, Index, Kind, LSTM, Misfit, PROJECTED_LSTM, RELU_RNN, RNN, TorchLayer};
use crate::data::file::{Precision, Problem, TensorFile, TensorInfo, read_finite};
use crate::error::Result;
use crate::{Gru, Linear, Lstm, ProjectedLstm, ReluRnn, TanhRnn};

/// The name of a layer of a `torch.nn.RNN`, `LSTM` or `GRU` in a file: the name of the network in the saved model, the
/// number of the layer, and the direction.
///
/// ```
/// use rewind_rnn::torch::LayerName;
///
/// // encoder.rnn.weight_ih_l1_reverse, encoder.rnn.weight_hh_l1_reverse, ...
/// let second = LayerName::new("encoder.rnn", 1).reverse();
/// assert_eq!(second.parameter("weight_ih"), "encoder.rnn.weight_ih_l1_reverse");
/// // weight_ih_l0, ...: the network itself was saved.
/// assert_eq!(LayerName::new("", 0).parameter("weight_ih"), "weight_ih_l0");
/// // cell.weight_ih, ...: a `torch.nn.LSTMCell` has no layers.
/// assert_eq!(LayerName::cell("cell").parameter("weight_ih"), "cell.weight_ih");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerName {
    network: String,
    layer: Option<usize>,
    reverse: bool,
}

impl LayerName {
    /// Layer `layer`, from 0, of `network`, forward in time. The name of the network is empty if it was saved alone.
    pub fn new(network: &str, layer: usize) -> Self {
        LayerName { network: network.to_owned(), layer: Some(layer), reverse: false }
    }

    /// A `torch.nn.RNNCell`, `LSTMCell` or `GRUCell`.
    pub fn cell(cell: &str) -> Self {
        LayerName { network: cell.to_owned(), layer: None, reverse: false }
    }

    /// The same layer backward in time, of a network with `bidirectional=True`.
    pub fn reverse(self) -> Self {
        LayerName { reverse: true, ..self }
    }

    /// The full name of a parameter such as `weight_ih`.
    pub fn parameter(&self, parameter: &str) -> String {
        joined(&self.network, &format!("{parameter}{}", self.suffix()))
    }

    fn suffix(&self) -> String {
        let layer = self.layer.map_or(String::new(), |layer| format!("_l{layer}"));
        layer + if self.reverse { "_reverse" } else { "" }
    }

    /// Whether it is layer `layer` of its network.
    pub(super) fn is_in_layer(&self, layer: usize) -> bool {
        self.layer == Some(layer)
    }

    /// The tensors of this layer, known here or not.
    fn tensors<'a>(&self, file: &'a TensorFile) -> impl Iterator<Item = &'a TensorInfo> {
        let (covers, tensors) = (self.covers(), file.tensors());
        let mut places = self.places(file.index(), tensors).to_vec();
        places.sort_unstable(); // by name
        places.into_iter().map(|at| &tensors[at]).filter(move |info| covers(&info.name))
    }

    /// The places among which they are: those of its layer, or of its module if it has no number.
    pub(super) fn places<'a>(&self, index: &'a Index, tensors: &[TensorInfo]) -> &'a [usize] {
        let ending = self.suffix();
        index.places(tensors, &self.network, self.layer.map(|_| ending.as_str()))
    }

    /// What tells whether a name is that of a parameter of this layer, known here or not.
    pub(super) fn covers(&self) -> impl Fn(&str) -> bool {
        let (prefix, suffix) = (joined(&self.network, ""), self.suffix());
        move |name| {
            let rest = name.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_suffix(suffix.as_str()));
            rest.is_some_and(|parameter| !parameter.contains('.'))
        }
    }

    /// The number of the layer that a parameter of `network` belongs to, in either direction.
    pub(super) fn layer_of(network: &str, parameter: &str) -> Option<usize> {
        let rest = parameter.strip_prefix(network)?;
        let own = if network.is_empty() { rest } else { rest.strip_prefix('.')? };
        let forward = own.strip_suffix("_reverse").unwrap_or(own);
        let (_, number) = forward.rsplit_once("_l").filter(|_| !own.contains('.'))?;
        number.parse().ok().filter(|layer: &usize| layer.to_string() == number)
    }
}

/// An error if the file has no network of that name, which names those that it has.
pub(super) fn check_network(file: &TensorFile, network: &str) -> Result<()> {
    let networks = file.index().networks();
    if networks.binary_search_by(|found| found.as_str().cmp(network)).is_ok() {
        return Ok(());
    }
    Err(file.mismatch(vec![Problem::NoNetwork { name: network.to_owned(), networks: networks.to_vec() }]))
}

/// `name` in `module`, whose name may be empty.
pub(super) fn joined(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") }
}

/// A module that PyTorch has too, read from a safetensors file under PyTorch's names and from its layouts.
///
/// ```no_run
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::{Precision, TensorFile};
/// use rewind_rnn::torch::{FromTorch, LayerName};
/// use rewind_rnn::{Linear, Lstm};
///
/// // In Python: save_file(model.state_dict(), "model.safetensors")
/// let lstm = Lstm::<Tensor<f32>>::load_torch("model.safetensors", &LayerName::new("rnn", 0), Precision::AsStored)?;
///
/// // Several modules of one file, whatever type of floats it holds.
/// let file = TensorFile::open("model.safetensors")?;
/// let layer = |layer| Lstm::<Tensor<f32>>::read_torch(&file, &LayerName::new("rnn", layer), Precision::Converted);
/// let (first, second) = (layer(0)?, layer(1)?);
/// let readout = Linear::<Tensor<f32>>::read_torch(&file, "head", Precision::Converted)?;
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
pub trait FromTorch: Sized {
    /// The name of the module: [`LayerName`], made of network, layer and direction, for a cell; `str` for a `Vec` of layers, the name of the
    /// network, and for [`Linear`], the prefix of its parameters.
    type Name: ?Sized;

    /// The module of that name in `file`.
    ///
    /// # Errors
    /// If a parameter is missing, has a shape that does not belong to the module, has another type that `precision` does not
    /// convert, or has an infinite or NaN element; or if the layer has parameters that the module does not have, such as the
    /// projection of an LSTM where [`Lstm`] is read.
    fn read_torch(file: &TensorFile, name: &Self::Name, precision: Precision) -> Result<Self>;

    /// The module of that name in the file at `path`.
    ///
    /// # Errors
    /// As [`TensorFile::open`] and [`read_torch`](FromTorch::read_torch).
    fn load_torch(path: impl AsRef<Path>, name: &Self::Name, precision: Precision) -> Result<Self> {
        Self::read_torch(&TensorFile::open(path)?, name, precision)
    }
}

/// A parameter that a layer may have in PyTorch.
pub(super) const PARAMETERS: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

impl<T: Scalar> TorchLayer<T> {
    /// The layer of that name in `file`, for any kind of cell. A layer without biases is one with `bias=False`.
    ///
    /// ```no_run
    /// use rewind_rnn::file::{Precision, TensorFile};
    /// use rewind_rnn::torch::{LayerName, TorchLayer};
    ///
    /// let file = TensorFile::open("model.safetensors")?;
    /// let layer = TorchLayer::<f32>::read(&file, &LayerName::new("rnn", 0), Precision::AsStored)?;
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`FromTorch::read_torch`]; shapes are checked when it is converted to a cell.
    pub fn read(file: &TensorFile, name: &LayerName, precision: Precision) -> Result<Self> {
        check_network(file, &name.network)?;
        let mut problems = Vec::new();
        let mut read = |parameter| match read_finite(file, &name.parameter(parameter), precision) {
            Ok(tensor) => Some(tensor),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let [weight_ih, weight_hh] = ["weight_ih", "weight_hh"].map(&mut read);
        let has_bias = ["bias_ih", "bias_hh"].iter().any(|bias| file.has(&name.parameter(bias)));
        let biases = if has_bias { ["bias_ih", "bias_hh"].map(&mut read) } else { [None, None] };
        let weight_hr = file.has(&name.parameter("weight_hr")).then(|| read("weight_hr")).flatten();
        let known = PARAMETERS.map(|parameter| name.parameter(parameter));
        let others = name.tensors(file).filter(|info| !known.contains(&info.name));
        problems.extend(others.map(|info| {
            let (name, shape) = (info.name.clone(), info.shape.clone());
            Problem::Unexpected { name, shape }
        }));
        match (weight_ih, weight_hh, biases) {
            (Some(weight_ih), Some(weight_hh), [bias_ih, bias_hh]) if problems.is_empty() => {
                Ok(TorchLayer { weight_ih, weight_hh, biases: bias_ih.zip(bias_hh), weight_hr })
            }
            _ => Err(file.mismatch(problems)),
        }
    }
}

/// A cell from the layer of that name.
fn cell<T: Scalar, C>(
    file: &TensorFile,
    name: &LayerName,
    precision: Precision,
    kind: Kind,
    from_torch: impl FnOnce(&TorchLayer<T>) -> Result<C>,
) -> Result<C> {
    let layer = TorchLayer::read(file, name, precision)?;
    layer.check(kind).map_err(|misfits| {
        let units = format!("{} of {} units", misfits.cell, misfits.hidden);
        let problems = misfits.all.into_iter().map(|misfit| match misfit {
            Misfit::Shape { parameter, found, expected } => {
                Problem::Layout { name: name.parameter(parameter), found, expected: format!("{expected} for {units}") }
            }
            Misfit::Surplus { parameter, found } => {
                Problem::Unexpected { name: name.parameter(parameter), shape: found }
            }
            Misfit::Missing { parameter } => file.lacks(name.parameter(parameter)),
        });
        file.mismatch(problems.collect())
    })?;
    from_torch(&layer)
}

macro_rules! from_torch {
    ($($cell:ident, $kind:expr, $from:literal;)+) => {$(
        #[doc = $from]
        impl<T: Scalar> FromTorch for $cell<Tensor<T>> {
            type Name = LayerName;
            fn read_torch(file: &TensorFile, name: &LayerName, precision: Precision) -> Result<Self> {
                cell(file, name, precision, $kind, $cell::from_torch)
            }
        }
    )+};
}

from_torch! {
    TanhRnn, RNN, "From a `torch.nn.RNN` with `nonlinearity=\"tanh\"`; a file does not record the nonlinearity.";
    ReluRnn, RELU_RNN, "From a `torch.nn.RNN` with `nonlinearity=\"relu\"`; a file does not record the nonlinearity.";
    Lstm, LSTM, "From a `torch.nn.LSTM` without a projection.";
    ProjectedLstm, PROJECTED_LSTM, "From a `torch.nn.LSTM` with `proj_size`.";
    Gru, GRU, "From a `torch.nn.GRU`.";
}

/// From a `torch.nn.Linear`, whose weight is the transpose, `[O, I]`. A layer without a bias is one with `bias=False`.
impl<T: Scalar> FromTorch for Linear<Tensor<T>> {
    type Name = str;
    fn read_torch(file: &TensorFile, name: &str, precision: Precision) -> Result<Self> {
        let mut problems = Vec::new();
        let mut read = |parameter: &str, fits: &dyn Fn(&[usize]) -> bool, expected: String| {
            let name = joined(name, parameter);
            let tensor: std::result::Result<Tensor<T>, _> = read_finite(file, &name, precision);
            let found = tensor.and_then(|tensor| {
                let found = tensor.shape().to_vec();
                if fits(&found) { Ok(tensor) } else { Err(Problem::Layout { name, found, expected }) }
            });
            found.map_err(|problem| problems.push(problem)).ok()
        };
        let is_matrix = |shape: &[usize]| matches!(shape, [outputs, inputs] if outputs * inputs > 0);
        let weight = read("weight", &is_matrix, "[O, I], outputs and inputs".to_owned());
        // Without a valid weight, the number of outputs is unknown.
        let outputs = weight.as_ref().map(|weight| weight.shape()[0]);
        let is_row = |shape: &[usize]| shape.len() == 1 && outputs.is_none_or(|outputs| shape == [outputs]);
        let expected = outputs.map_or("[O]".to_owned(), |outputs| format!("[{outputs}], as the weight has rows"));
        let bias = file.has(&joined(name, "bias")).then(|| read("bias", &is_row, expected)).flatten();
        match weight {
            Some(weight) if problems.is_empty() => Ok(Linear { weight: transposed(&weight), bias }),
            _ => Err(file.mismatch(problems)),
        }
    }
}
