//! Bytes: a safetensors file, written so that the same content gives the same bytes (the `safetensors` crate writes its
//! metadata in the order of a hash map).

use std::collections::BTreeMap;
use std::fmt::Write;

use rewind_autograd::{Scalar, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The name that the header keeps for the metadata.
pub(super) const METADATA: &str = "__metadata__";

/// 8 bytes of header length, a JSON header padded with spaces to a multiple of 8, the numbers in little-endian order.
pub(super) fn encode<T: Scalar>(tensors: &BTreeMap<&str, &Tensor<T>>, metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let dtype = if size_of::<T>() == 4 { "F32" } else { "F64" };
    let entries: Vec<_> = metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut header = format!("{{{}:{{{}}}", quoted(METADATA), entries.join(","));
    let mut numbers = Vec::new();
    for (name, tensor) in tensors {
        let start = numbers.len();
        for x in tensor.to_vec() {
            match dtype {
                // Exact: the number is an f32 on its way through f64.
                "F32" => numbers.extend((x.to_f64() as f32).to_le_bytes()),
                _ => numbers.extend(x.to_f64().to_le_bytes()),
            }
        }
        let (shape, end) = (tensor.shape(), numbers.len());
        header += &format!(
            ",{}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}",
            quoted(name)
        );
    }
    header.push('}');
    let padded = header.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(8 + padded, b' ');
    bytes.extend(numbers);
    bytes
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String does not fail.
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// The tensor, or the name of the type it holds if that is not `T`.
pub(super) fn decode<T: Scalar>(view: &TensorView<'_>) -> Result<Tensor<T>, String> {
    let numbers: Vec<T> = match view.dtype() {
        Dtype::F32 if T::NAME == "f32" => {
            view.data().as_chunks().0.iter().map(|&b| T::from_f64(f32::from_le_bytes(b).into())).collect()
        }
        Dtype::F64 if T::NAME == "f64" => {
            view.data().as_chunks().0.iter().map(|&b| T::from_f64(f64::from_le_bytes(b))).collect()
        }
        other => return Err(format!("{other:?}").to_lowercase()),
    };
    Ok(Tensor::from_vec(numbers, view.shape()))
}
