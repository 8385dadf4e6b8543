//! The bytes of a safetensors file, written so that the same content gives the same bytes (the `safetensors` crate writes its
//! metadata in the order of a hash map).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::ops::Range;

use half::{bf16, f16};
use rewind_autograd::shape::{checked_element_count, unravel};
use rewind_autograd::{Scalar, Tensor};
use safetensors::Dtype;

use super::header::Header;
use super::{Metadata, Precision, Problem, TensorInfo, checksum};

/// The name that the header reserves for the metadata.
pub(super) const METADATA: &str = "__metadata__";

/// The longest header that is read or written, in bytes: that of the `safetensors` crate.
const LONGEST_HEADER: usize = 100_000_000;

/// 8 bytes of header length, a JSON header padded with spaces to a multiple of 8, the elements in little-endian order. The
/// [checksum](super::checksum()) joins the metadata.
///
/// # Errors
/// If the header would be longer than one that can be read.
pub(super) fn encode<T: Scalar>(tensors: &BTreeMap<&str, &Tensor<T>>, mut metadata: Metadata) -> io::Result<Vec<u8>> {
    let (mut elements, mut places) = (Vec::new(), Vec::with_capacity(tensors.len()));
    for tensor in tensors.values() {
        let start = elements.len();
        for x in tensor.to_vec() {
            match T::NAME {
                // Exact: the number is an f32 on its way through f64.
                "f32" => elements.extend((x.to_f64() as f32).to_le_bytes()),
                _ => elements.extend(x.to_f64().to_le_bytes()),
            }
        }
        places.push(start..elements.len());
    }
    let listed = || tensors.iter().zip(&places).map(|((name, tensor), place)| (*name, tensor.shape(), place));
    let entries = listed().map(|(name, shape, place)| (name, T::NAME, shape, &elements[place.clone()]));
    let sum = checksum::of(&metadata, entries);
    metadata.insert(checksum::KEY.to_owned(), sum);

    let entries: Vec<_> = metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut header = format!("{{{}:{{{}}}", quoted(METADATA), entries.join(","));
    let dtype = T::NAME.to_uppercase();
    for (name, shape, Range { start, end }) in listed() {
        header += &format!(
            ",{}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}",
            quoted(name)
        );
    }
    header.push('}');
    let padded = header.len().next_multiple_of(8);
    if padded > LONGEST_HEADER {
        let why = format!("names, shapes and metadata take {padded} bytes; expected at most {LONGEST_HEADER}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(8 + padded, b' ');
    bytes.extend(elements);
    Ok(bytes)
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

/// The header of a file.
pub(super) struct Parsed {
    /// In the order of their names.
    pub(super) tensors: Vec<TensorInfo>,
    /// The type and the range of bytes of every tensor.
    pub(super) places: Vec<(Dtype, Range<usize>)>,
    pub(super) metadata: Metadata,
}

/// Reads the header of a complete file, or returns why it is malformed.
///
/// The `safetensors` crate checks types, shapes and offsets against each other. The sum that compares them with the
/// length of the file can overflow there, so it is done here.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let (length, rest) = bytes.split_first_chunk().ok_or("there is no room for the header length")?;
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().filter(|&n| n <= LONGEST_HEADER).and_then(|n| rest.get(..n));
    let header = header.ok_or_else(|| format!("the header is said to be {length} bytes long"))?;
    let data = &rest[header.len()..];
    let header = Header::read(header).map_err(|e| format!("invalid header: {e}"))?;
    let (names, listed, metadata) = header.checked().map_err(|e| format!("invalid header: {e}"))?;
    if listed.data_len() != data.len() {
        return Err(format!("{} bytes of numbers are listed, {} are there", listed.data_len(), data.len()));
    }
    let start = bytes.len() - data.len();
    let (mut tensors, mut places) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
    for name in names {
        let info = listed.info(&name).expect("the names are those of what is listed");
        // The other axes of a tensor without elements may have any length: they do not add to the length of the file.
        if checked_element_count(&info.shape).is_none() {
            return Err(format!("`{name}` has shape {:?}, more than memory can hold", info.shape));
        }
        places.push((info.dtype, start + info.data_offsets.0..start + info.data_offsets.1));
        tensors.push(TensorInfo { name, shape: info.shape.clone(), dtype: info.dtype.to_string().to_lowercase() });
    }
    Ok(Parsed { tensors, places, metadata })
}

/// The tensor in `data` with elements of type `T`, or why it cannot be read.
pub(super) fn decode<T: Scalar>(
    name: &str,
    dtype: Dtype,
    shape: &[usize],
    data: &[u8],
    precision: Precision,
) -> Result<Tensor<T>, Problem> {
    let convert = precision == Precision::Converted;
    let exact = |wide: Vec<T>| Ok(Tensor::from_vec(wide, shape));
    match dtype {
        Dtype::F32 if convert || T::NAME == "f32" => {
            exact(each(data, |bytes| T::from_f64(f32::from_le_bytes(bytes).into())))
        }
        Dtype::F64 if T::NAME == "f64" => exact(each(data, |bytes| T::from_f64(f64::from_le_bytes(bytes)))),
        Dtype::F16 if convert => exact(each(data, |bytes| T::from_f64(f16::from_le_bytes(bytes).to_f64()))),
        Dtype::BF16 if convert => exact(each(data, |bytes| T::from_f64(bf16::from_le_bytes(bytes).to_f64()))),
        Dtype::F64 if convert => {
            let wide = each(data, f64::from_le_bytes);
            let narrow: Vec<T> = wide.iter().map(|&x| T::from_f64(x)).collect();
            let lost = |(x, y): (&f64, &T)| x.is_finite() && !y.is_finite();
            match wide.iter().zip(&narrow).position(lost) {
                Some(at) => {
                    let (name, index) = (name.to_owned(), unravel(at, shape));
                    Err(Problem::Range { name, index, value: wide[at], expected: T::NAME })
                }
                None => exact(narrow),
            }
        }
        other => {
            let (name, found) = (name.to_owned(), other.to_string().to_lowercase());
            let expected = if convert { "f16, bf16, f32 or f64" } else { T::NAME };
            Err(Problem::Type { name, found, expected })
        }
    }
}

/// The elements of `data`, each converted by `number`.
fn each<const SIZE: usize, R>(data: &[u8], number: impl Fn([u8; SIZE]) -> R) -> Vec<R> {
    data.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
}
