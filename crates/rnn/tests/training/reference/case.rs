//! One reference file: its metadata, its tensors, and the comparison with them.

use std::collections::HashMap;
use std::path::Path;

use rewind_autograd::{Scalar, Tensor};
use safetensors::{Dtype, SafeTensors};

/// The result of comparing a reference file: nothing, or a message.
pub(crate) type Found = Result<(), String>;

#[derive(Clone)]
enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
}

/// One file, read.
#[derive(Clone)]
pub(crate) struct Case {
    /// The file's name without its ending, such as `lstm_2layer`.
    pub(crate) name: String,
    metadata: HashMap<String, String>,
    tensors: HashMap<String, (Vec<usize>, Values)>,
}

impl Case {
    pub(crate) fn read(path: &Path) -> Result<Case, String> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let explain = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let bytes = std::fs::read(path).map_err(|e| explain(&e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| explain(&e))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| explain(&e))?;
        let mut tensors = HashMap::new();
        for (tensor, view) in file.iter() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => Values::F32(data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
                Dtype::F64 => Values::F64(data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()),
                Dtype::I64 => Values::I64(data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()),
                other => return Err(explain(&format!("{tensor} holds {other:?}"))),
            };
            tensors.insert(tensor.to_owned(), (view.shape().to_vec(), values));
        }
        Ok(Case { name, metadata: header.metadata().clone().unwrap_or_default(), tensors })
    }

    /// A metadata string.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The numbers in a metadata string, in order: `0.9,0.999` has two, `0.01 (L2, added to the gradient)` one before
    /// its bracket.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, String> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let numbers = text.split('(').next().unwrap_or_default().split(',');
        let parsed: Result<_, _> = numbers.map(|n| n.trim().parse()).collect();
        parsed.map(Some).map_err(|e| format!("metadata {key} = {text:?}: {e}"))
    }

    /// The number in a metadata string, if there is that key.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        Ok(self.numbers(key)?.and_then(|numbers| numbers.first().copied()))
    }

    /// The number in a metadata string that must be there.
    pub(crate) fn needed(&self, key: &str) -> Result<f64, String> {
        self.number(key)?.ok_or_else(|| format!("metadata {key} is missing"))
    }

    /// Whether the case is one of `f32`.
    pub(crate) fn is_f32(&self) -> bool {
        self.tensors.values().any(|(_, values)| matches!(values, Values::F32(_)))
    }

    /// Names of all tensors that begin with `prefix`, sorted.
    pub(crate) fn names(&self, prefix: &str) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.keys().filter(|n| n.starts_with(prefix)).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A tensor of real numbers.
    pub(crate) fn tensor<T: Scalar>(&self, name: &str) -> Result<Tensor<T>, String> {
        let numbers = match self.tensors.get(name) {
            Some((_, Values::F32(xs))) => xs.iter().map(|&x| T::from_f64(x.into())).collect(),
            Some((_, Values::F64(xs))) => xs.iter().map(|&x| T::from_f64(x)).collect(),
            Some((_, Values::I64(_))) => return Err(format!("tensor {name} holds whole numbers")),
            None => return Err(format!("tensor {name} is missing")),
        };
        Ok(Tensor::from_vec(numbers, &self.tensors[name].0))
    }

    /// A tensor of whole numbers, in row-major order.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>, String> {
        match self.tensors.get(name) {
            Some((_, Values::I64(xs))) => Ok(xs.clone()),
            Some(_) => Err(format!("tensor {name} holds real numbers")),
            None => Err(format!("tensor {name} is missing")),
        }
    }

    /// Compares with tensor `name`: the same shape, and every element within 1e-9 (`f64`) or 1e-4 (`f32`) of it,
    /// relative to the largest element of the tensor.
    pub(crate) fn compare<T: Scalar>(&self, name: &str, found: &Tensor<T>) -> Found {
        let expected = self.tensor::<T>(name)?;
        if expected.shape() != found.shape() {
            return Err(format!("{name} has shape {:?}; expected {:?}", found.shape(), expected.shape()));
        }
        let tolerance = if T::NAME == "f32" { 1e-4 } else { 1e-9 };
        let (expected, found) = (expected.to_vec(), found.to_vec());
        let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.to_f64().abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest };
        for (i, (e, f)) in expected.iter().zip(&found).enumerate() {
            let (e, f) = (e.to_f64(), f.to_f64());
            let error = (e - f).abs() / scale;
            if !(e == f || error <= tolerance) {
                return Err(format!("{name}, element {i}: {f}; expected {e} within {tolerance}, is {error:.1e} off"));
            }
        }
        Ok(())
    }

    /// The case with one element of one tensor made wrong by the fraction `by`, which a test must detect.
    pub(crate) fn spoiled(&self, name: &str, by: f64) -> Case {
        let mut case = self.clone();
        let Some((_, values)) = case.tensors.get_mut(name) else { panic!("no tensor {name}") };
        // The largest one: an error there is one of that size relative to the tensor.
        match values {
            Values::F64(xs) => {
                if let Some(x) = xs.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs())) {
                    *x = if *x == 0.0 { by } else { *x * (1.0 + by) };
                }
            }
            Values::F32(xs) => {
                if let Some(x) = xs.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs())) {
                    *x = if *x == 0.0 { by as f32 } else { *x * (1.0 + by as f32) };
                }
            }
            Values::I64(_) => panic!("tensor {name} holds whole numbers"),
        }
        case
    }
}
