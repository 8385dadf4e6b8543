//! Relu networks and projected LSTMs from files with PyTorch's names. `reference` compares what they compute.

use std::path::PathBuf;

use rewind_autograd::Tensor;
use rewind_rnn::file::{Precision, TensorFile};
use rewind_rnn::torch::{FromTorch, LayerName, TorchLayer};
use rewind_rnn::{ErrorKind, Lstm, ProjectedLstm, ReluRnn};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/reference")).join(name)
}

#[test]
fn a_projected_lstm_is_read_whole() {
    let path = fixture("lstm_projection.safetensors");
    let name = LayerName::new("param", 0);
    let lstm = ProjectedLstm::<Tensor<f64>>::load_torch(&path, &name, Precision::AsStored).expect("the file has it");
    let file = TensorFile::open(&path).expect("a fixture");
    let stored = |parameter| file.tensor(&name.parameter(parameter), Precision::AsStored).expect("the file has it");
    let layer = lstm.to_torch();
    assert_eq!((layer.weight_ih, layer.weight_hh), (stored("weight_ih"), stored("weight_hh")));
    assert_eq!(layer.weight_hr, Some(stored("weight_hr")));
    let bias = stored("bias_ih").zip(&stored("bias_hh"), |a, b| a + b);
    assert_eq!(layer.biases.expect("it has biases").0, bias);

    let plain = Lstm::<Tensor<f64>>::load_torch(&path, &name, Precision::AsStored).expect_err("it has a projection");
    assert!(plain.to_string().contains("`param.weight_hr_l0`"), "{plain}");
}

#[test]
fn a_projection_that_is_missing_is_named() {
    let path = fixture("lstm_1layer.safetensors");
    let error = ProjectedLstm::<Tensor<f64>>::load_torch(&path, &LayerName::new("param", 0), Precision::AsStored)
        .expect_err("it has no projection");
    assert!(error.to_string().contains("`param.weight_hr_l0`"), "{error}");
}

#[test]
fn a_relu_rnn_is_read() {
    let path = fixture("rnn_relu.safetensors");
    let name = LayerName::new("param", 0);
    let rnn = ReluRnn::<Tensor<f64>>::load_torch(&path, &name, Precision::AsStored).expect("the file has it");
    let file = TensorFile::open(&path).expect("a fixture");
    let layer = TorchLayer::read(&file, &name, Precision::AsStored).expect("the file has it");
    assert_eq!(rnn, ReluRnn::from_torch(&layer).expect("the shapes fit"));
    assert_eq!(rnn.to_torch().weight_hh, layer.weight_hh);
    let wrong = TorchLayer { weight_hh: Tensor::zeros(&[2, 3]), ..layer };
    let error = ReluRnn::from_torch(&wrong).expect_err("no square");
    assert!(matches!(error.kind(), ErrorKind::Shape), "{error:?}");
    assert_eq!(
        error.to_string(),
        "weight_hh has shape [2, 3]; a relu-RNN with 3 units expects [1·H, H] with H at least 1"
    );
}
