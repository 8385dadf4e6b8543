//! Exported models in tract.

use rewind_autograd::Tensor;
use tract_onnx::prelude::*;

use crate::cases::{self, Case, With};

/// The outputs of a model in tract, in their order.
fn run(case: &Case) -> TractResult<Vec<Tensor<f32>>> {
    assert!(case.lengths.is_none(), "tract reads no lengths");
    let bytes = case.model.to_bytes();
    let mut model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
    let mut inputs = tvec!();
    for (k, (name, value)) in case.inputs.iter().enumerate() {
        assert_eq!(case.model.inputs()[k], name);
        model = model.with_input_fact(k, f32::fact(value.shape()).into())?;
        let array = tract_ndarray::ArrayD::from_shape_vec(value.shape(), value.to_vec())?;
        inputs.push(array.into_tensor().into());
    }
    let outputs = model.into_optimized()?.into_runnable()?.run(inputs)?;
    let tensor = |output: &TValue| -> TractResult<Tensor<f32>> {
        let view = output.to_plain_array_view::<f32>()?;
        Ok(Tensor::from_vec(view.iter().copied().collect(), view.shape()))
    };
    outputs.iter().map(tensor).collect()
}

/// The largest difference to what is expected.
fn worst(case: &Case) -> Result<f32, String> {
    let found = run(case).map_err(|error| format!("{error:?}"))?;
    let mut worst: f32 = 0.0;
    for (found, (name, expected)) in found.iter().zip(&case.expected) {
        if found.shape() != expected.shape() {
            return Err(format!("{name} has shape {:?}; expected {:?}", found.shape(), expected.shape()));
        }
        for (a, b) in found.to_vec().iter().zip(expected.to_vec()) {
            worst = if (a - b).is_nan() { f32::INFINITY } else { worst.max((a - b).abs()) };
        }
    }
    Ok(worst)
}

fn check(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        match worst(&case) {
            Ok(difference) if difference < 1e-5 => {}
            Ok(difference) => wrong.push(format!("{}: differs by {difference}", case.name)),
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cells_that_are_ops_of_onnx() {
    check(cases::forms(With::default()));
}

#[test]
fn stacks_and_directions() {
    check(cases::networks(With::default()));
}

#[test]
fn cells_as_scans() {
    check(cases::scans(With::default()));
}

#[test]
fn first_states() {
    let with = With { states: true, lengths: false };
    check(cases::forms(with).into_iter().chain(cases::networks(with)).chain(cases::scans(with)).collect());
}

#[test]
fn functions_and_linear_recurrences() {
    check(cases::others());
}

#[test]
fn every_op() {
    check(vec![crate::ops::case()]);
}
