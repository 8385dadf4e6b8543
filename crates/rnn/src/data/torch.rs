//! Weights from and to PyTorch's layouts and safetensors files: whole networks with [`load_stack`] and [`save_stack`], single layers
//! with [`FromTorch`].
//!
//! PyTorch stores the transposes of this crate's weights (gates along the first axis), two biases that are added, and the
//! GRU's recurrent weight as one tensor. The gate orders are the same: i, f, g, o and r, z, n. It has no heads: a recurrent weight
//! of several heads becomes the dense matrix, with zeros outside its blocks.

mod cells;
mod file;
mod index;
mod stack;

use rewind_autograd::{Scalar, Tensor};

use crate::error::{Error, ErrorKind};

pub use cells::TorchCell;
pub use file::{FromTorch, LayerName};
pub(crate) use index::Index;
pub use stack::{TorchStackLayer, load_stack, save_stack, stack_tensors};

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
/// let layer = TorchLayer { weight_ih: full(&[15, 2]), weight_hh: full(&[15, 5]), biases, weight_hr: None };
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
    /// `weight_hr_l*`, `[P, H]`, of an LSTM with `proj_size=P`; then `weight_hh` is `[4·H, P]`.
    pub weight_hr: Option<Tensor<T>>,
}

/// A kind of cell: its name in messages, its number of gates G, and whether its output is projected.
#[derive(Clone, Copy)]
struct Kind {
    cell: &'static str,
    gates: usize,
    projected: bool,
}

const RNN: Kind = Kind { cell: "a tanh-RNN", gates: 1, projected: false };
const RELU_RNN: Kind = Kind { cell: "a relu-RNN", ..RNN };
const LSTM: Kind = Kind { cell: "an LSTM", gates: 4, projected: false };
const PROJECTED_LSTM: Kind = Kind { cell: "a projected LSTM", projected: true, ..LSTM };
const GRU: Kind = Kind { cell: "a GRU", gates: 3, projected: false };

/// The parameters that do not fit a cell: all of them, but none whose shape depends on another that does not fit.
struct Misfits {
    cell: &'static str,
    hidden: usize,
    all: Vec<Misfit>,
}

enum Misfit {
    Shape { parameter: &'static str, found: Vec<usize>, expected: String },
    Surplus { parameter: &'static str, found: Vec<usize> },
    Missing { parameter: &'static str },
}

impl From<Misfits> for Error {
    fn from(Misfits { cell, hidden, all }: Misfits) -> Self {
        let each = all.into_iter().map(|misfit| match misfit {
            Misfit::Shape { parameter, found, expected } => {
                format!("{parameter} has shape {found:?}; {cell} with {hidden} units expects {expected}")
            }
            Misfit::Surplus { parameter, found } => format!("{parameter} of shape {found:?} is not part of {cell}"),
            Misfit::Missing { parameter } => format!("{parameter} is missing; {cell} has one"),
        });
        Error::new(ErrorKind::Shape, each.collect::<Vec<_>>().join("\n"))
    }
}

impl<T: Scalar> TorchLayer<T> {
    /// Its tensors by the names of PyTorch's parameters, in PyTorch's order.
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor<T>)> {
        let mut all = vec![("weight_ih", &self.weight_ih), ("weight_hh", &self.weight_hh)];
        if let Some((ih, hh)) = &self.biases {
            all.extend([("bias_ih", ih), ("bias_hh", hh)]);
        }
        all.extend(self.weight_hr.as_ref().map(|projection| ("weight_hr", projection)));
        all
    }

    /// H, after a check that all shapes belong to a cell of this kind.
    fn check(&self, kind: Kind) -> std::result::Result<usize, Misfits> {
        let Kind { cell, gates, projected } = kind;
        let wrong = |parameter, found: &Tensor<T>, expected: String| {
            let found = found.shape().to_vec();
            Misfit::Shape { parameter, found, expected }
        };
        let surplus = |found: &Tensor<T>| Misfit::Surplus { parameter: "weight_hr", found: found.shape().to_vec() };
        let mut all: Vec<_> = self.weight_hr.iter().filter(|_| !projected).map(surplus).collect();
        let last = self.weight_hh.shape().last().copied().unwrap_or(0);
        let (outputs, hidden) = match &self.weight_hr {
            None if projected => {
                return Err(Misfits { cell, hidden: last, all: vec![Misfit::Missing { parameter: "weight_hr" }] });
            }
            Some(projection) if projected => match *projection.shape() {
                [outputs, hidden] if outputs * hidden > 0 => (outputs, hidden),
                _ => {
                    let expected = "[P, H], both at least 1".to_owned();
                    return Err(Misfits { cell, hidden: last, all: vec![wrong("weight_hr", projection, expected)] });
                }
            },
            _ if last == 0 || self.weight_hh.shape() != [gates * last, last] => {
                let expected = format!("[{gates}·H, H] with H at least 1");
                all.insert(0, wrong("weight_hh", &self.weight_hh, expected));
                return Err(Misfits { cell, hidden: last, all });
            }
            _ => (last, last),
        };
        let rows = gates * hidden;
        for (parameter, tensor) in self.tensors() {
            match (parameter, tensor.shape()) {
                ("weight_hr", _) => {}
                ("weight_ih", &[found, inputs]) if found == rows && inputs > 0 => {}
                ("weight_ih", _) => all.push(wrong(parameter, tensor, format!("[{rows}, I] with I at least 1"))),
                ("weight_hh", shape) if shape == [rows, outputs] => {}
                ("weight_hh", _) => all.push(wrong(parameter, tensor, format!("[{rows}, {outputs}]"))),
                (_, shape) if shape == [rows] => {}
                _ => all.push(wrong(parameter, tensor, format!("[{rows}]"))),
            }
        }
        if all.is_empty() { Ok(hidden) } else { Err(Misfits { cell, hidden, all }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::heads;
    use crate::{Gru, Lstm, ProjectedLstm, TanhRnn};

    fn layer(gates: usize, hidden: usize, inputs: usize) -> TorchLayer<f64> {
        let rows = gates * hidden;
        let t = |shape: &[usize], k: f64| Tensor::from_fn(shape, |i| (i as f64 * 0.7 + k).sin());
        TorchLayer {
            weight_ih: t(&[rows, inputs], 1.0),
            weight_hh: t(&[rows, hidden], 2.0),
            biases: Some((t(&[rows], 3.0), t(&[rows], 4.0))),
            weight_hr: None,
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
        let none = ProjectedLstm::from_torch(&layer(4, 5, 2)).expect_err("no projection");
        assert_eq!(none.to_string(), "weight_hr is missing; a projected LSTM has one");
        let projected = TorchLayer { weight_hr: Some(Tensor::zeros(&[3, 5])), ..layer(4, 5, 2) };
        let lstm = Lstm::from_torch(&projected).expect_err("a projection");
        assert_eq!(lstm.to_string(), "weight_hr of shape [3, 5] is not part of an LSTM");
        let wide = ProjectedLstm::from_torch(&projected).expect_err("a recurrent weight of 5 columns");
        assert_eq!(wide.to_string(), "weight_hh has shape [20, 5]; a projected LSTM with 5 units expects [20, 3]");
        let row = TorchLayer { weight_hr: Some(Tensor::zeros(&[5])), ..layer(4, 5, 2) };
        let row = ProjectedLstm::from_torch(&row).expect_err("one axis");
        assert_eq!(
            row.to_string(),
            "weight_hr has shape [5]; a projected LSTM with 5 units expects [P, H], both at least 1"
        );
    }
}
