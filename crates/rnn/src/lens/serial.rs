//! Tensors as {shape, values}, for serialisation.

use rewind_autograd::{Scalar, Tensor};
use serde::Serializer;
use serde::ser::SerializeStruct;

pub(super) fn tensor<T: Scalar, S: Serializer>(tensor: &Tensor<T>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Tensor", 2)?;
    fields.serialize_field("shape", tensor.shape())?;
    fields.serialize_field("values", &tensor.to_vec().into_iter().map(T::to_f64).collect::<Vec<_>>())?;
    fields.end()
}
