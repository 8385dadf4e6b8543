//! Weights from and to PyTorch's layouts, and from the safetensors files that PyTorch writes: see [`FromTorch`].
//!
//! PyTorch stores the transposes of this crate's weights (gates along the first axis), two biases that are added, and the
//! GRU's recurrent weight as one tensor. The gate orders are the same: i, f, g, o and r, z, n. It has no heads: a recurrent weight
//! of several heads becomes the dense matrix, with zeros outside its blocks.

mod file;
mod projected;

use rewind_autograd::{Scalar, Tensor};

use crate::cells::heads;
use crate::error::{Error, ErrorKind, Result};
use crate::{Gru, Lstm, ReluRnn, Reset, TanhRnn};

pub use file::{FromTorch, LayerName};

/// One layer, in one direction, as `torch.nn.RNN`, `LSTM` and `GRU` name and lay out its parameters; G is 1, 4 or 3.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::Gru;
/// use rewind_rnn::torch::TorchLayer;
///
/// // 2 features, 5 units: three gates along the first axis.
/// let full = |shape: &[usize]| Tensor::<f32>::full(shape, 0.1);
/// let biases = Some((full(&[15]), full(&[15])));
/// let layer = TorchLayer { weight_ih: full(&[15, 2]), weight_hh: full(&[15, 5]), biases };
/// let gru = Gru::from_torch(&layer)?;
/// assert_eq!(gru.weight_ih.shape(), [2, 15]);
/// assert_eq!(gru.weight_hn.shape(), [5, 5]);
/// assert_eq!(gru.to_torch().weight_hh, layer.weight_hh);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TorchLayer<T: Scalar> {
    /// `weight_ih_l*`, `[G·H, I]`.
    pub weight_ih: Tensor<T>,
    /// `weight_hh_l*`, `[G·H, H]`.
    pub weight_hh: Tensor<T>,
    /// `bias_ih_l*` and `bias_hh_l*`, `[G·H]` each; `None` with `bias=False`.
    pub biases: Option<(Tensor<T>, Tensor<T>)>,
}

/// The kinds of cells: their names in messages, and G.
const TANH_RNN: (&str, usize) = ("a tanh-RNN", 1);
const RELU_RNN: (&str, usize) = ("a relu-RNN", 1);
const LSTM: (&str, usize) = ("an LSTM", 4);
const GRU: (&str, usize) = ("a GRU", 3);

/// A parameter whose shape does not fit the others.
struct WrongShape {
    parameter: &'static str,
    cell: &'static str,
    hidden: usize,
    found: Vec<usize>,
    expected: String,
}

impl WrongShape {
    fn of<T: Scalar>(
        parameter: &'static str,
        found: &Tensor<T>,
        cell: &'static str,
        hidden: usize,
        expected: String,
    ) -> Self {
        WrongShape { parameter, cell, hidden, found: found.shape().to_vec(), expected }
    }
}

impl From<WrongShape> for Error {
    fn from(WrongShape { parameter, cell, hidden, found, expected }: WrongShape) -> Self {
        let text = format!("{parameter} has shape {found:?}; {cell} with {hidden} units expects {expected}");
        Error::new(ErrorKind::Shape, text)
    }
}

impl<T: Scalar> TorchLayer<T> {
    /// H, after a check that all shapes belong to a cell of `gates` gates.
    fn check(&self, (cell, gates): (&'static str, usize)) -> std::result::Result<usize, WrongShape> {
        let hidden = self.weight_hh.shape().last().copied().unwrap_or(0);
        if hidden == 0 || self.weight_hh.shape() != [gates * hidden, hidden] {
            let expected = format!("[{gates}·H, H] with H at least 1");
            return Err(WrongShape::of("weight_hh", &self.weight_hh, cell, hidden, expected));
        }
        self.check_rows(cell, hidden, gates * hidden)?;
        Ok(hidden)
    }

    /// Checks that the weight of the input and the biases have that many rows.
    fn check_rows(&self, cell: &'static str, hidden: usize, rows: usize) -> std::result::Result<(), WrongShape> {
        if !matches!(self.weight_ih.shape(), &[r, inputs] if r == rows && inputs > 0) {
            let expected = format!("[{rows}, I] with I at least 1");
            return Err(WrongShape::of("weight_ih", &self.weight_ih, cell, hidden, expected));
        }
        for (name, bias) in self.biases.iter().flat_map(|(ih, hh)| [("bias_ih", ih), ("bias_hh", hh)]) {
            if bias.shape() != [rows] {
                return Err(WrongShape::of(name, bias, cell, hidden, format!("[{rows}]")));
            }
        }
        Ok(())
    }

    /// W, U and b of a cell whose gates are all alike. The two biases are added.
    fn to_cell(&self) -> (Tensor<T>, Tensor<T>, Option<Tensor<T>>) {
        let bias = self.biases.as_ref().map(|(ih, hh)| sum(ih, hh));
        (transposed(&self.weight_ih), transposed(&self.weight_hh), bias)
    }

    /// From W, U and b of such a cell; the second bias is 0.
    fn of_cell(weight_ih: &Tensor<T>, weight_hh: &Tensor<T>, bias: Option<&Tensor<T>>) -> Self {
        TorchLayer {
            weight_ih: transposed(weight_ih),
            weight_hh: transposed(&heads::dense(weight_hh)),
            biases: bias.map(|bias| (bias.clone(), Tensor::zeros(bias.shape()))),
        }
    }

    /// From the gradients of W, U and b: both biases have that of b = bias_ih + bias_hh.
    #[track_caller]
    fn of_gradients(cell: &str, weight_ih: &Tensor<T>, weight_hh: &Tensor<T>, bias: Option<&Tensor<T>>) -> Self {
        check_dense(cell, weight_hh);
        let biases = bias.map(|bias| (bias.clone(), bias.clone()));
        TorchLayer { biases, ..Self::of_cell(weight_ih, weight_hh, bias) }
    }
}

/// Panics if the gradient of a recurrent weight is that of several heads: PyTorch's would be of all elements.
#[track_caller]
fn check_dense<T: Scalar>(cell: &str, weight_hh: &Tensor<T>) {
    if weight_hh.rank() == 3 {
        panic!("gradients_to_torch: the {cell} has heads; expected a dense cell, since PyTorch has none");
    }
}

/// A contiguous copy of the transpose.
fn transposed<T: Scalar>(weight: &Tensor<T>) -> Tensor<T> {
    weight.transpose().to_contiguous()
}

fn sum<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
    a.zip(b, |a, b| a + b)
}

/// The tensors concatenated along the first axis.
fn joined<T: Scalar>(parts: &[&Tensor<T>]) -> Tensor<T> {
    let mut shape = parts[0].shape().to_vec();
    shape[0] = parts.iter().map(|part| part.shape()[0]).sum();
    Tensor::from_vec(parts.iter().flat_map(|part| part.to_vec()).collect(), &shape)
}

impl<T: Scalar> TanhRnn<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.RNN` (tanh) layer. Its two biases are added.
    ///
    /// # Errors
    /// If the shapes do not belong together.
    pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
        layer.check(TANH_RNN)?;
        let (weight_ih, weight_hh, bias) = layer.to_cell();
        Ok(TanhRnn { weight_ih, weight_hh, bias, initial: None })
    }

    /// The weights in the layout of `torch.nn.RNN`; its second bias is 0. A learned first state is left out.
    /// For gradients use [`gradients_to_torch`](TanhRnn::gradients_to_torch).
    pub fn to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_cell(&self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }

    /// Gradients in the layout of `torch.nn.RNN`. b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh = dE/db.
    ///
    /// # Panics
    /// If the cell has heads.
    #[track_caller]
    pub fn gradients_to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_gradients("TanhRnn", &self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }
}

impl<T: Scalar> ReluRnn<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.RNN` layer with `nonlinearity="relu"`. Its two biases are added.
    ///
    /// # Errors
    /// If the shapes do not belong together.
    pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
        layer.check(RELU_RNN)?;
        let (weight_ih, weight_hh, bias) = layer.to_cell();
        Ok(ReluRnn { weight_ih, weight_hh, bias, initial: None })
    }

    /// The weights in the layout of `torch.nn.RNN`; its second bias is 0. A learned first state is left out.
    /// For gradients use [`gradients_to_torch`](ReluRnn::gradients_to_torch).
    pub fn to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_cell(&self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }

    /// Gradients in the layout of `torch.nn.RNN`. b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh = dE/db.
    ///
    /// # Panics
    /// If the cell has heads.
    #[track_caller]
    pub fn gradients_to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_gradients("ReluRnn", &self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }
}

impl<T: Scalar> Lstm<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.LSTM` layer. Its two biases are added.
    ///
    /// # Errors
    /// If the shapes do not belong together.
    pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
        layer.check(LSTM)?;
        let (weight_ih, weight_hh, bias) = layer.to_cell();
        Ok(Lstm { weight_ih, weight_hh, bias, initial_hidden: None, initial_cell: None })
    }

    /// The weights in the layout of `torch.nn.LSTM`; its second bias is 0. Learned first states are left out.
    /// For gradients use [`gradients_to_torch`](Lstm::gradients_to_torch).
    pub fn to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_cell(&self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }

    /// Gradients in the layout of `torch.nn.LSTM`. b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh = dE/db.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{Lstm, unroll};
    ///
    /// let lstm = Lstm::<Tensor<f64>>::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::new();
    /// let cell = lstm.on(&tape);
    /// let outputs = unroll(&cell, tape.constant(Tensor::full(&[7, 2, 3], 0.5))).outputs();
    /// let gradient = outputs.mean().backward().of(&cell);
    /// let (bias_ih, bias_hh) = gradient.gradients_to_torch().biases.expect("an LSTM has biases");
    /// assert_eq!(bias_ih, bias_hh);
    /// ```
    ///
    /// # Panics
    /// If the cell has heads.
    #[track_caller]
    pub fn gradients_to_torch(&self) -> TorchLayer<T> {
        TorchLayer::of_gradients("Lstm", &self.weight_ih, &self.weight_hh, self.bias.as_ref())
    }
}

impl<T: Scalar> Gru<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.GRU` layer, reset after the product. The two biases of r and z are added;
    /// those of n stay separate, since the reset gate acts on one of them.
    ///
    /// # Errors
    /// If the shapes do not belong together.
    pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
        let hidden = layer.check(GRU)?;
        let (rz, n) = (0..2 * hidden, 2 * hidden..3 * hidden);
        let biases = layer.biases.as_ref();
        Ok(Gru {
            weight_ih: transposed(&layer.weight_ih),
            weight_hh: transposed(&layer.weight_hh.slice(0, rz.clone())),
            weight_hn: transposed(&layer.weight_hh.slice(0, n.clone())),
            bias: biases.map(|(ih, hh)| {
                joined(&[&sum(&ih.slice(0, rz.clone()), &hh.slice(0, rz.clone())), &ih.slice(0, n.clone())])
            }),
            bias_hn: biases.map(|(_, hh)| hh.slice(0, n.clone()).to_contiguous()),
            initial: None,
            reset: Reset::AfterProduct,
        })
    }

    /// The weights in the layout of `torch.nn.GRU`, with 0 for the second bias of r and z. PyTorch computes the same
    /// function only if the reset gate acts after the product; a learned first state is left out. For gradients use
    /// [`gradients_to_torch`](Gru::gradients_to_torch).
    pub fn to_torch(&self) -> TorchLayer<T> {
        let hidden = heads::units(self.weight_hn.shape());
        let zeros = |n| Tensor::zeros(&[n]);
        let has_bias = self.bias.is_some() || self.bias_hn.is_some();
        TorchLayer {
            weight_ih: transposed(&self.weight_ih),
            weight_hh: {
                let [rz, n] = [&self.weight_hh, &self.weight_hn].map(|weight| transposed(&heads::dense(weight)));
                joined(&[&rz, &n])
            },
            biases: has_bias.then(|| {
                let bias_hn = self.bias_hn.clone().unwrap_or_else(|| zeros(hidden));
                (self.bias.clone().unwrap_or_else(|| zeros(3 * hidden)), joined(&[&zeros(2 * hidden), &bias_hn]))
            }),
        }
    }

    /// Gradients in the layout of `torch.nn.GRU`. Those of r and z are the same in bias_ih and bias_hh. Those of n differ,
    /// since the reset gate acts on the second: dE/db_n and dE/dc_n. They equal PyTorch's only if the reset gate acts after
    /// the product, the only form in PyTorch.
    ///
    /// # Panics
    /// If the cell has heads, or only one of the two biases: PyTorch has both or none, and the gradient of the other was not
    /// computed.
    #[track_caller]
    pub fn gradients_to_torch(&self) -> TorchLayer<T> {
        check_dense("Gru", &self.weight_hh);
        check_dense("Gru", &self.weight_hn);
        let biases = match (&self.bias, &self.bias_hn) {
            (Some(bias), Some(bias_hn)) => {
                let rz = bias.slice(0, 0..2 * bias_hn.len());
                Some((bias.clone(), joined(&[&rz, bias_hn])))
            }
            (None, None) => None,
            (bias, _) => {
                let (has, lacks) = if bias.is_some() { ("bias", "bias_hn") } else { ("bias_hn", "bias") };
                panic!(
                    "gradients_to_torch: the GRU has `{has}` and no `{lacks}`; expected both or none, as in PyTorch"
                );
            }
        };
        TorchLayer { biases, ..self.to_torch() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(gates: usize, hidden: usize, inputs: usize) -> TorchLayer<f64> {
        let rows = gates * hidden;
        let t = |shape: &[usize], k: f64| Tensor::from_fn(shape, |i| (i as f64 * 0.7 + k).sin());
        TorchLayer {
            weight_ih: t(&[rows, inputs], 1.0),
            weight_hh: t(&[rows, hidden], 2.0),
            biases: Some((t(&[rows], 3.0), t(&[rows], 4.0))),
        }
    }

    #[test]
    fn there_and_back_is_the_same_function() {
        // The split of a sum of two biases is not kept, all else is.
        let gru = Gru::from_torch(&layer(3, 5, 2)).expect("the shapes fit");
        let again = Gru::from_torch(&gru.to_torch()).expect("the shapes fit");
        assert_eq!(gru.bias, again.bias);
        assert_eq!((gru.weight_hh, gru.weight_hn, gru.bias_hn), (again.weight_hh, again.weight_hn, again.bias_hn));
        let lstm = Lstm::from_torch(&layer(4, 5, 2)).expect("the shapes fit");
        assert_eq!(lstm.bias, Lstm::from_torch(&lstm.to_torch()).expect("the shapes fit").bias);
        let rnn = TanhRnn::from_torch(&layer(1, 5, 2)).expect("the shapes fit");
        assert_eq!(rnn.weight_ih, TanhRnn::from_torch(&rnn.to_torch()).expect("the shapes fit").weight_ih);
    }

    #[test]
    fn a_cell_of_heads_is_the_dense_one_there() {
        let weight = |n: usize, k: usize, gates: usize| Tensor::from_fn(&[n, k, gates * k], |i| (i as f64).cos());
        let mut gru = Gru::from_torch(&layer(3, 6, 2)).expect("the shapes fit");
        (gru.weight_hh, gru.weight_hn) = (weight(2, 3, 2), weight(3, 2, 1));
        let mut lstm = Lstm::from_torch(&layer(4, 6, 2)).expect("the shapes fit");
        lstm.weight_hh = weight(3, 2, 4);
        let mut rnn = TanhRnn::from_torch(&layer(1, 6, 2)).expect("the shapes fit");
        rnn.weight_hh = weight(6, 1, 1);
        let again = Gru::from_torch(&gru.to_torch()).expect("the shapes fit");
        assert_eq!([again.weight_hh, again.weight_hn], [gru.weight_hh, gru.weight_hn].map(|w| heads::dense(&w)));
        let again = Lstm::from_torch(&lstm.to_torch()).expect("the shapes fit");
        assert_eq!(again.weight_hh, heads::dense(&lstm.weight_hh));
        let again = TanhRnn::from_torch(&rnn.to_torch()).expect("the shapes fit");
        assert_eq!(again.weight_hh, heads::dense(&rnn.weight_hh));
    }

    #[test]
    #[should_panic(expected = "gradients_to_torch: the Gru has heads; expected a dense cell, since PyTorch has none")]
    fn gradients_of_heads_are_not_those_of_a_dense_gru() {
        let mut gru = Gru::from_torch(&layer(3, 6, 2)).expect("the shapes fit");
        gru.weight_hn = Tensor::zeros(&[2, 3, 3]);
        gru.gradients_to_torch();
    }

    #[test]
    #[should_panic(expected = "gradients_to_torch: the Lstm has heads; expected a dense cell, since PyTorch has none")]
    fn gradients_of_heads_are_not_those_of_a_dense_lstm() {
        let mut lstm = Lstm::from_torch(&layer(4, 6, 2)).expect("the shapes fit");
        lstm.weight_hh = Tensor::zeros(&[2, 3, 12]);
        lstm.gradients_to_torch();
    }

    #[test]
    #[should_panic(expected = "the GRU has `bias` and no `bias_hn`; expected both or none, as in PyTorch")]
    fn a_gradient_that_was_not_computed_is_not_made_up() {
        let mut gradient = Gru::from_torch(&layer(3, 5, 2)).expect("the shapes fit");
        gradient.bias_hn = None;
        gradient.gradients_to_torch();
    }

    #[test]
    fn wrong_shapes_are_named() {
        let lstm = Lstm::from_torch(&layer(3, 5, 2)).expect_err("three gates are no LSTM");
        assert_eq!(
            lstm.to_string(),
            "weight_hh has shape [15, 5]; an LSTM with 5 units expects [4·H, H] with H at least 1"
        );
        let mut short = layer(3, 5, 2);
        short.biases = Some((Tensor::zeros(&[15]), Tensor::zeros(&[5])));
        let gru = Gru::from_torch(&short).expect_err("a bias of one gate");
        assert_eq!(gru.to_string(), "bias_hh has shape [5]; a GRU with 5 units expects [15]");
    }
}
