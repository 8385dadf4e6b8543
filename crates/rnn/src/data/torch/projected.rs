//! The LSTM with a projection, which has one weight more than other layers: `weight_hr_l*`.

use rewind_autograd::{Scalar, Tensor};

use super::file::{FromTorch, LayerName, mismatch};
use super::{TorchLayer, WrongShape, transposed};
use crate::ProjectedLstm;
use crate::data::file::{Precision, TensorFile};
use crate::error::Result;

impl<T: Scalar> ProjectedLstm<Tensor<T>> {
    /// The cell with the weights of a `torch.nn.LSTM` layer with `proj_size` P: `weight_hh` is `[4H, P]`, and `weight_hr`, which
    /// other layers do not have, `[P, H]`. The two biases are added.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::ProjectedLstm;
    /// use rewind_rnn::torch::TorchLayer;
    ///
    /// // 3 features, 5 units, projected to 2.
    /// let full = |shape: &[usize]| Tensor::<f32>::full(shape, 0.1);
    /// let layer = TorchLayer { weight_ih: full(&[20, 3]), weight_hh: full(&[20, 2]), biases: None };
    /// let lstm = ProjectedLstm::from_torch(&layer, &full(&[2, 5]))?;
    /// assert_eq!(lstm.weight_hr.shape(), [5, 2]);
    /// assert_eq!(lstm.to_torch(), (layer, full(&[2, 5])));
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not belong together.
    pub fn from_torch(layer: &TorchLayer<T>, weight_hr: &Tensor<T>) -> Result<Self> {
        check(layer, weight_hr)?;
        let (weight_ih, weight_hh, bias) = layer.to_cell();
        let weight_hr = transposed(weight_hr);
        Ok(ProjectedLstm { weight_ih, weight_hh, bias, weight_hr, initial_hidden: None, initial_cell: None })
    }

    /// The weights in the layout of `torch.nn.LSTM`, and `weight_hr`; the second bias is 0. Learned first states are left out.
    /// For gradients use [`gradients_to_torch`](ProjectedLstm::gradients_to_torch).
    pub fn to_torch(&self) -> (TorchLayer<T>, Tensor<T>) {
        let layer = TorchLayer::of_cell(&self.weight_ih, &self.weight_hh, self.bias.as_ref());
        (layer, transposed(&self.weight_hr))
    }

    /// Gradients in the layout of `torch.nn.LSTM`, and that of `weight_hr`. b = bias_ih + bias_hh, so dE/d bias_ih = dE/d bias_hh =
    /// dE/db.
    pub fn gradients_to_torch(&self) -> (TorchLayer<T>, Tensor<T>) {
        let layer = TorchLayer::of_gradients("ProjectedLstm", &self.weight_ih, &self.weight_hh, self.bias.as_ref());
        (layer, transposed(&self.weight_hr))
    }
}

/// From a `torch.nn.LSTM` with `proj_size`.
impl<T: Scalar> FromTorch for ProjectedLstm<Tensor<T>> {
    type Name = LayerName;
    fn read_torch(file: &TensorFile, name: &LayerName, precision: Precision) -> Result<Self> {
        let (layer, [weight_hr]) = TorchLayer::read_with(file, name, precision, ["weight_hr"])?;
        check(&layer, &weight_hr).map_err(|wrong| mismatch(file, name, wrong))?;
        ProjectedLstm::from_torch(&layer, &weight_hr)
    }
}

/// Checks that all shapes belong to one cell.
fn check<T: Scalar>(layer: &TorchLayer<T>, weight_hr: &Tensor<T>) -> std::result::Result<(), WrongShape> {
    const CELL: &str = "a projected LSTM";
    let hidden = weight_hr.shape().last().copied().unwrap_or(0);
    let projected = match *weight_hr.shape() {
        [projected, hidden] if projected > 0 && hidden > 0 => projected,
        _ => {
            let expected = "[P, H] with P and H at least 1".to_owned();
            return Err(WrongShape::of("weight_hr", weight_hr, CELL, hidden, expected));
        }
    };
    if layer.weight_hh.shape() != [4 * hidden, projected] {
        let expected = format!("[{}, {projected}]", 4 * hidden);
        return Err(WrongShape::of("weight_hh", &layer.weight_hh, CELL, hidden, expected));
    }
    layer.check_rows(CELL, hidden, 4 * hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_shapes_are_named() {
        let zeros = |shape: &[usize]| Tensor::<f64>::zeros(shape);
        let layer = TorchLayer {
            weight_ih: zeros(&[20, 3]),
            weight_hh: zeros(&[20, 2]),
            biases: Some((zeros(&[20]), zeros(&[20]))),
        };
        let refused = |layer: &TorchLayer<f64>, weight_hr: &[usize]| {
            ProjectedLstm::from_torch(layer, &zeros(weight_hr)).expect_err("the shapes do not fit").to_string()
        };
        let cell = "a projected LSTM with 5 units expects";
        for shape in [&[5][..], &[0, 5], &[1, 2, 5]] {
            let expected = format!("weight_hr has shape {shape:?}; {cell} [P, H] with P and H at least 1");
            assert_eq!(refused(&layer, shape), expected);
        }
        let none = refused(&layer, &[2, 0]);
        assert!(none.starts_with("weight_hr has shape [2, 0]; a projected LSTM with 0 units expects [P, H]"), "{none}");
        assert_eq!(refused(&layer, &[3, 5]), format!("weight_hh has shape [20, 2]; {cell} [20, 3]"));
        let wide = TorchLayer { weight_ih: zeros(&[5, 3]), ..layer.clone() };
        assert_eq!(refused(&wide, &[2, 5]), format!("weight_ih has shape [5, 3]; {cell} [20, I] with I at least 1"));
        let short = TorchLayer { biases: Some((zeros(&[20]), zeros(&[5]))), ..layer };
        assert_eq!(refused(&short, &[2, 5]), format!("bias_hh has shape [5]; {cell} [20]"));
    }
}
