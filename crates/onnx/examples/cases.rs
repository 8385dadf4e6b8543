//! Writes models with inputs and expected outputs into a folder, for `runtime/check.py`, which runs them in ONNX Runtime:
//!
//! ```sh
//! cargo run -p rewind-onnx --example cases -- target/onnx
//! python crates/onnx/runtime/check.py target/onnx
//! ```

#[path = "../tests/suite/cases.rs"]
mod cases;
#[path = "../tests/suite/ops.rs"]
mod ops;

use std::error::Error;
use std::path::PathBuf;

use rewind_autograd::Tensor;
use rewind_rnn::file::{self, Metadata};

use cases::{Case, With};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a folder to write to")?);
    std::fs::create_dir_all(&folder)?;
    for case in all() {
        case.model.write(folder.join(&case.name).with_extension("onnx"))?;
        let mut tensors: Vec<(String, Tensor<f32>)> = Vec::new();
        tensors.extend(case.inputs.into_iter().map(|(name, value)| (format!("input/{name}"), value)));
        tensors.extend(case.expected.into_iter().map(|(name, value)| (format!("output/{name}"), value)));
        if let Some(lengths) = case.lengths {
            let lengths: Vec<f32> = lengths.into_iter().map(|length| length as f32).collect();
            tensors.push(("lengths".to_owned(), Tensor::from_vec(lengths.clone(), &[lengths.len()])));
        }
        file::save_tensors(folder.join(&case.name).with_extension("safetensors"), &tensors, &Metadata::new())?;
    }
    Ok(())
}

/// With and without lengths and first states.
fn all() -> Vec<Case> {
    let mut all = cases::others();
    all.push(ops::case());
    for (lengths, states) in [(false, false), (false, true), (true, false), (true, true)] {
        let with = With { lengths, states };
        all.extend(cases::forms(with));
        all.extend(cases::networks(with));
        all.extend(cases::scans(with));
    }
    all
}
