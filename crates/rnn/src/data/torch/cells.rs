//! The cells that PyTorch has too, from and to its layouts.

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::{FromTorch, GRU, Kind, LSTM, LayerName, PROJECTED_LSTM, RELU_RNN, RNN, TorchLayer};
use crate::cells::heads;
use crate::error::Result;
use crate::{Gru, Lstm, ProjectedLstm, ReluRnn, Reset, TanhRnn};

/// A cell that PyTorch has too: from and to its layout of one layer in one direction.
///
/// [`TanhRnn`], [`ReluRnn`], [`Lstm`], [`ProjectedLstm`] and [`Gru`] are such cells; see [`load_stack`](super::load_stack).
pub trait TorchCell: FromTorch<Name = LayerName> + Parameters<Tensor<Self::Scalar>> + Clone {
    /// The type of the elements.
    type Scalar: Scalar;

    /// The cell with the weights of a layer.
    ///
    /// # Errors
    /// If the shapes do not belong together.
    fn from_torch(layer: &TorchLayer<Self::Scalar>) -> Result<Self>;

    /// The weights in PyTorch's layout. Learned first states are left out.
    fn to_torch(&self) -> TorchLayer<Self::Scalar>;

    /// A setting with which the cell computes what PyTorch's does not, as the end of a sentence about the cell.
    fn unlike_torch(&self) -> Option<&'static str> {
        None
    }
}

macro_rules! torch_cell {
    ($cell:ident $(, $unlike:item)?) => {
        impl<T: Scalar> TorchCell for $cell<Tensor<T>> {
            type Scalar = T;
            fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
                $cell::from_torch(layer)
            }
            fn to_torch(&self) -> TorchLayer<T> {
                $cell::to_torch(self)
            }
            $($unlike)?
        }
    };
}

torch_cell!(TanhRnn);
torch_cell!(ReluRnn);
torch_cell!(Lstm);
torch_cell!(ProjectedLstm);
torch_cell!(
    Gru,
    fn unlike_torch(&self) -> Option<&'static str> {
        (self.reset == Reset::BeforeProduct).then_some("resets before the product; PyTorch's GRU resets after it")
    }
);

/// A contiguous copy of the transpose.
pub(super) fn transposed<T: Scalar>(weight: &Tensor<T>) -> Tensor<T> {
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

/// Both biases of a layer: the second is 0.
fn both<T: Scalar>(bias: Option<&Tensor<T>>) -> Option<(Tensor<T>, Tensor<T>)> {
    bias.map(|bias| (bias.clone(), Tensor::zeros(bias.shape())))
}

/// Panics if the gradient of a recurrent weight is that of several heads: PyTorch's would be of all elements.
#[track_caller]
fn check_dense<T: Scalar>(cell: &str, weight_hh: &Tensor<T>) {
    if weight_hh.rank() == 3 {
        panic!("gradients_to_torch: the {cell} has heads; expected a dense cell, since PyTorch has none");
    }
}

/// Writes the conversions of a cell whose weights PyTorch transposes as they are: its kind, PyTorch's layer, its first states.
macro_rules! transposes {
    ($cell:ident, $kind:expr, $layer:literal, $learned:literal, [$($initial:ident),+]) => {
        impl<T: Scalar> $cell<Tensor<T>> {
            #[doc = concat!("The cell with the weights of a ", $layer, " layer. Its two biases are added.")]
            ///
            /// # Errors
            /// If the shapes do not belong together.
            pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
                const KIND: Kind = $kind;
                layer.check(KIND)?;
                Ok($cell {
                    weight_ih: transposed(&layer.weight_ih),
                    weight_hh: transposed(&layer.weight_hh),
                    bias: layer.biases.as_ref().map(|(ih, hh)| sum(ih, hh)),
                    $($initial: None,)+
                })
            }

            #[doc = concat!("The weights in the layout of ", $layer, "; its second bias is 0. ", $learned)]
            #[doc = concat!("For gradients use [`gradients_to_torch`](", stringify!($cell), "::gradients_to_torch).")]
            pub fn to_torch(&self) -> TorchLayer<T> {
                TorchLayer {
                    weight_ih: transposed(&self.weight_ih),
                    weight_hh: transposed(&heads::dense(&self.weight_hh)),
                    biases: both(self.bias.as_ref()),
                    weight_hr: None,
                }
            }

            #[doc = concat!("Gradients in the layout of ", $layer, ".")]
            /// b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh = dE/db.
            ///
            /// ```
            /// use rand::{SeedableRng, rngs::StdRng};
            /// use rewind_autograd::{OnTape, Tape, Tensor};
            #[doc = concat!("use rewind_rnn::{", stringify!($cell), ", unroll};")]
            ///
            #[doc = concat!("let module = ", stringify!($cell), "::<Tensor<f64>>::new(3, 5, &mut StdRng::seed_from_u64(1));")]
            /// let tape = Tape::new();
            /// let cell = module.on(&tape);
            /// let outputs = unroll(&cell, tape.constant(Tensor::full(&[7, 2, 3], 0.5))).outputs();
            /// let gradient = outputs.mean().backward().of(&cell);
            /// let (bias_ih, bias_hh) = gradient.gradients_to_torch().biases.expect("the cell has biases");
            /// assert_eq!(bias_ih, bias_hh);
            /// ```
            ///
            /// # Panics
            /// If the recurrent weight is in heads: of PyTorch's dense one, only the gradients of the blocks were computed.
            #[track_caller]
            pub fn gradients_to_torch(&self) -> TorchLayer<T> {
                check_dense(stringify!($cell), &self.weight_hh);
                TorchLayer { biases: self.bias.as_ref().map(|bias| (bias.clone(), bias.clone())), ..self.to_torch() }
            }
        }
    };
}

transposes!(TanhRnn, RNN, "`torch.nn.RNN` (tanh)", "A learned first state is left out.", [initial]);
transposes!(ReluRnn, RELU_RNN, "`torch.nn.RNN` (relu)", "A learned first state is left out.", [initial]);
transposes!(Lstm, LSTM, "`torch.nn.LSTM`", "Learned first states are left out.", [initial_hidden, initial_cell]);

impl<T: Scalar> ProjectedLstm<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.LSTM` layer with `proj_size`. Its two biases are added.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::ProjectedLstm;
    /// use rewind_rnn::torch::TorchLayer;
    ///
    /// let full = |shape: &[usize]| Tensor::<f32>::full(shape, 0.1);
    /// let (weight_ih, weight_hh, weight_hr) = (full(&[20, 3]), full(&[20, 2]), Some(full(&[2, 5])));
    /// let cell = ProjectedLstm::from_torch(&TorchLayer { weight_ih, weight_hh, biases: None, weight_hr })?;
    /// assert_eq!((cell.weight_hh.shape(), cell.weight_hr.shape()), (&[2, 20][..], &[5, 2][..]));
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not belong together, or there is no projection.
    pub fn from_torch(layer: &TorchLayer<T>) -> Result<Self> {
        layer.check(PROJECTED_LSTM)?;
        Ok(ProjectedLstm {
            weight_ih: transposed(&layer.weight_ih),
            weight_hh: transposed(&layer.weight_hh),
            bias: layer.biases.as_ref().map(|(ih, hh)| sum(ih, hh)),
            weight_hr: transposed(layer.weight_hr.as_ref().expect("the check found the projection")),
            initial_hidden: None,
            initial_cell: None,
        })
    }

    /// The weights in the layout of `torch.nn.LSTM` with `proj_size`; its second bias is 0. Learned first states are left out.
    /// For gradients use [`gradients_to_torch`](ProjectedLstm::gradients_to_torch).
    pub fn to_torch(&self) -> TorchLayer<T> {
        TorchLayer {
            weight_ih: transposed(&self.weight_ih),
            weight_hh: transposed(&self.weight_hh),
            biases: both(self.bias.as_ref()),
            weight_hr: Some(transposed(&self.weight_hr)),
        }
    }

    /// Gradients in the layout of `torch.nn.LSTM` with `proj_size`. b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh = dE/db.
    pub fn gradients_to_torch(&self) -> TorchLayer<T> {
        TorchLayer { biases: self.bias.as_ref().map(|bias| (bias.clone(), bias.clone())), ..self.to_torch() }
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
            weight_hh: joined(
                &[&self.weight_hh, &self.weight_hn].map(|weight| transposed(&heads::dense(weight))).each_ref(),
            ),
            biases: has_bias.then(|| {
                let bias_hn = self.bias_hn.clone().unwrap_or_else(|| zeros(hidden));
                (self.bias.clone().unwrap_or_else(|| zeros(3 * hidden)), joined(&[&zeros(2 * hidden), &bias_hn]))
            }),
            weight_hr: None,
        }
    }

    /// Gradients in the layout of `torch.nn.GRU`. Those of r and z are the same in bias_ih and bias_hh. Those of n differ,
    /// since the reset gate acts on the second: dE/db_n and dE/dc_n. They equal PyTorch's only if the reset gate acts after
    /// the product, the only form in PyTorch.
    ///
    /// # Panics
    /// - If the cell has only one of the two biases: PyTorch has both or none, and the gradient of the other was not computed.
    /// - If the recurrent weights are in heads: of PyTorch's dense one, only the gradients of the blocks were computed.
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
