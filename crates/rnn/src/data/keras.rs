//! Weights from and to the layouts of Keras: see [`KerasLayer`].
//!
//! Keras multiplies as this crate does, and its LSTM has the same gates in the same order (Keras calls them i, f, c, o). Its GRU has
//! them in the order z, r, h for our r, z, n, as one tensor, and two biases if the reset gate acts after the product.

use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::cells::heads;
use crate::error::{Error, ErrorKind, Problem, Result, problem};
use crate::{Gru, Lstm, Reset};

/// The arrays of a Keras layer, in the order of `layer.get_weights()`; G is 4 for `keras.layers.LSTM`, 3 for `GRU`.
///
/// A Keras layer reads `[B, T, I]`, batch first; this crate reads `[T, B, I]`. The layer's activations must be the default ones, tanh and
/// sigmoid: the arrays do not say so.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::keras::KerasLayer;
/// use rewind_rnn::{Gru, Reset};
///
/// // 2 features, 5 units, reset_after=True: the bias of x·W, and that of h·U.
/// let full = |shape: &[usize]| Tensor::<f32>::full(shape, 0.1);
/// let (kernel, recurrent_kernel, bias) = (full(&[2, 15]), full(&[5, 15]), Some(full(&[2, 15])));
/// let layer = KerasLayer { kernel, recurrent_kernel, bias };
/// let gru = Gru::from_keras(&layer, Reset::AfterProduct)?;
/// assert_eq!(gru.weight_hn.shape(), [5, 5]);
/// assert_eq!(gru.to_keras()?.recurrent_kernel, layer.recurrent_kernel);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KerasLayer<T: Scalar> {
    /// `kernel`, `[I, G·H]`.
    pub kernel: Tensor<T>,
    /// `recurrent_kernel`, `[H, G·H]`.
    pub recurrent_kernel: Tensor<T>,
    /// `bias`, `[G·H]`, or `[2, 3H]` of a GRU with `reset_after=True`; `None` with `use_bias=False`.
    pub bias: Option<Tensor<T>>,
}

impl<T: Scalar> KerasLayer<T> {
    /// H, after a check that all shapes belong to a layer of `gates` gates with `biases` biases.
    fn check(&self, layer: &str, gates: usize, biases: usize) -> Result<usize> {
        let hidden = self.recurrent_kernel.shape().first().copied().unwrap_or(0);
        let columns = gates * hidden;
        let mut problems = Vec::new();
        let mut wrong = |name: &str, tensor: &Tensor<T>, expected: String| {
            problems.push(Problem::Layout { name: name.to_owned(), found: tensor.shape().to_vec(), expected });
        };
        if hidden == 0 || self.recurrent_kernel.shape() != [hidden, columns] {
            wrong("recurrent_kernel", &self.recurrent_kernel, format!("[H, {gates}·H] with H at least 1"));
        } else {
            if !matches!(*self.kernel.shape(), [inputs, found] if inputs > 0 && found == columns) {
                wrong("kernel", &self.kernel, format!("[I, {columns}] with I at least 1"));
            }
            let expected = [biases, columns];
            let expected = if biases == 1 { &expected[1..] } else { &expected };
            if let Some(bias) = self.bias.as_ref().filter(|bias| bias.shape() != expected) {
                wrong("bias", bias, format!("{expected:?}"));
            }
        }
        if problems.is_empty() {
            return Ok(hidden);
        }
        Err(Error::new(ErrorKind::Shape, format!("keras: {layer} does not fit, {}", problem::listed(&problems))))
    }
}

/// The error of a cell that Keras cannot have: one with learned first states.
fn check_first_states<T: Scalar, M: Parameters<Tensor<T>>>(cell: &M) -> Result<()> {
    let mut problems = Vec::new();
    cell.visit(|name, tensor| {
        if name.starts_with("initial") {
            let difference = format!("of shape {:?} has no counterpart in Keras", tensor.shape());
            problems.push(Problem::Unlike { name: name.to_owned(), difference });
        }
    });
    if problems.is_empty() {
        return Ok(());
    }
    let why = format!("keras: the cell is no layer of Keras, {}", problem::listed(&problems));
    Err(Error::new(ErrorKind::Refused(problems), why))
}

/// The columns of a tensor `[…, G·H]`, gate by gate in another order; gates may be left out.
fn gates<T: Scalar>(tensor: &Tensor<T>, hidden: usize, order: &[usize]) -> Tensor<T> {
    let mut shape = tensor.shape().to_vec();
    let last = shape.len() - 1;
    let old = std::mem::replace(&mut shape[last], order.len() * hidden);
    let (new, values) = (shape[last], tensor.to_vec());
    Tensor::from_fn(&shape, |i| values[i / new * old + order[i % new / hidden] * hidden + i % hidden])
}

/// Matrices or rows side by side.
fn beside<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
    let mut shape = a.shape().to_vec();
    let last = shape.len() - 1;
    let (left, right) = (shape[last], b.shape()[last]);
    shape[last] = left + right;
    let (a, b, width) = (a.to_vec(), b.to_vec(), left + right);
    Tensor::from_fn(&shape, |i| {
        let (row, column) = (i / width, i % width);
        if column < left { a[row * left + column] } else { b[row * right + column - left] }
    })
}

impl<T: Scalar> Lstm<Tensor<T>> {
    /// The cell with the weights of a `keras.layers.LSTM`.
    ///
    /// # Errors
    /// If the shapes do not belong together; all that do not are named.
    pub fn from_keras(layer: &KerasLayer<T>) -> Result<Self> {
        layer.check("an LSTM", 4, 1)?;
        Ok(Lstm {
            weight_ih: layer.kernel.clone(),
            weight_hh: layer.recurrent_kernel.clone(),
            bias: layer.bias.clone(),
            initial_hidden: None,
            initial_cell: None,
        })
    }

    /// The arrays for `set_weights` of a `keras.layers.LSTM`; of several heads, the recurrent kernel is 0 outside the blocks.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::Lstm;
    ///
    /// let lstm = Lstm::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// assert_eq!(Lstm::from_keras(&lstm.to_keras()?)?, lstm);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If first states are learned: Keras has none in a layer.
    pub fn to_keras(&self) -> Result<KerasLayer<T>> {
        check_first_states(self)?;
        Ok(KerasLayer {
            kernel: self.weight_ih.clone(),
            recurrent_kernel: heads::dense(&self.weight_hh),
            bias: self.bias.clone(),
        })
    }
}

impl<T: Scalar> Gru<Tensor<T>> {
    /// The cell with the weights of a `keras.layers.GRU`, with [`Reset::AfterProduct`] for `reset_after=True` (the default of Keras) and
    /// [`Reset::BeforeProduct`] for `False`. After the product, the two biases of r and z are added; those of n stay separate.
    ///
    /// # Errors
    /// If the shapes do not belong together; all that do not are named. The bias has two rows only if the reset gate acts after the
    /// product.
    pub fn from_keras(layer: &KerasLayer<T>, reset: Reset) -> Result<Self> {
        let (name, biases) = match reset {
            Reset::AfterProduct => ("a GRU with reset_after=True", 2),
            Reset::BeforeProduct => ("a GRU with reset_after=False", 1),
        };
        let hidden = layer.check(name, 3, biases)?;
        let [z, r, n] = [0, 1, 2];
        let bias = layer.bias.as_ref().map(|bias| match reset {
            Reset::BeforeProduct => (gates(bias, hidden, &[r, z, n]), None),
            Reset::AfterProduct => {
                let [input, recurrent] = [0, 1].map(|row| bias.index(0, row));
                let both =
                    |order: &[usize]| gates(&input, hidden, order).zip(&gates(&recurrent, hidden, order), |a, b| a + b);
                (beside(&both(&[r, z]), &gates(&input, hidden, &[n])), Some(gates(&recurrent, hidden, &[n])))
            }
        });
        let (bias, bias_hn) = bias.map_or((None, None), |(bias, bias_hn)| (Some(bias), bias_hn));
        Ok(Gru {
            weight_ih: gates(&layer.kernel, hidden, &[r, z, n]),
            weight_hh: gates(&layer.recurrent_kernel, hidden, &[r, z]),
            weight_hn: gates(&layer.recurrent_kernel, hidden, &[n]),
            bias,
            bias_hn,
            initial: None,
            reset,
        })
    }

    /// The arrays for `set_weights` of a `keras.layers.GRU` whose `reset_after` says where the reset gate acts. After the product, the
    /// second bias of r and z is 0; before it, there is one bias, and b_n and c_n are added.
    ///
    /// # Errors
    /// If the first state is learned: Keras has none in a layer.
    pub fn to_keras(&self) -> Result<KerasLayer<T>> {
        check_first_states(self)?;
        let hidden = heads::units(self.weight_hn.shape());
        let [r, z, n] = [0, 1, 2];
        let zeros = |n| Tensor::zeros(&[n]);
        let has_bias = self.bias.is_some() || self.bias_hn.is_some();
        let bias = has_bias.then(|| {
            let ours = self.bias.clone().unwrap_or_else(|| zeros(3 * hidden));
            let recurrent = beside(&zeros(2 * hidden), &self.bias_hn.clone().unwrap_or_else(|| zeros(hidden)));
            let input = gates(&ours, hidden, &[z, r, n]);
            match self.reset {
                Reset::BeforeProduct => input.zip(&recurrent, |a, b| a + b),
                Reset::AfterProduct => {
                    Tensor::from_vec([input.to_vec(), recurrent.to_vec()].concat(), &[2, 3 * hidden])
                }
            }
        });
        let recurrent = heads::dense(&self.weight_hh);
        Ok(KerasLayer {
            kernel: gates(&self.weight_ih, hidden, &[z, r, n]),
            recurrent_kernel: beside(&gates(&recurrent, hidden, &[z, r]), &heads::dense(&self.weight_hn)),
            bias,
        })
    }
}
