//! Networks of PyTorch and Keras: tensors of any names and shapes.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::Tensor;
use rewind_fuzz::{Bound, Folder, seed_up_to, tensors};
use rewind_rnn::file::{self, Metadata, Precision, TensorFile};
use rewind_rnn::keras::KerasLayer;
use rewind_rnn::torch::{FromTorch, LayerName, TorchLayer, TorchStackLayer, load_stack, save_stack};
use rewind_rnn::{Bidirectional, Gru, Linear, Lstm, ProjectedLstm, Recurrent, ReluRnn, Reset, TanhRnn};

type Weights = Tensor<f32>;
type BothWays = Bidirectional<Weights, Recurrent<Gru<Weights>>, Recurrent<Gru<Weights>>>;

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    let bytes = tensors::file(data);
    let path = FOLDER.file("a.safetensors", &bytes);
    Bound::TEN.check(bytes.len(), || read(&path));
});

fn lstm(seed: u64) -> Recurrent<Lstm<Weights>> {
    Recurrent(Lstm::new(2, 2, &mut StdRng::seed_from_u64(seed)))
}

fn both_ways(inputs: usize) -> BothWays {
    let rng = &mut StdRng::seed_from_u64(1);
    Bidirectional::cells(Gru::new(inputs, 1, rng), Gru::new(inputs, 1, rng))
}

fn seeds() {
    let path = FOLDER.path().join("seed.safetensors");
    save_stack(&path, "rnn", &[lstm(1), lstm(2)]).expect("PyTorch has it");
    seed_up_to(tensors::LARGE, "lstm", tensors::described(&path));
    save_stack(&path, "", &[both_ways(3), both_ways(2)]).expect("PyTorch has it");
    seed_up_to(tensors::LARGE, "gru", tensors::described(&path));
    let projected = ProjectedLstm::<Weights>::new(2, 3, 1, &mut StdRng::seed_from_u64(1));
    save_stack(&path, "rnn", &[Recurrent(projected)]).expect("PyTorch has it");
    seed_up_to(tensors::LARGE, "projected", tensors::described(&path));
    for (name, gates, bias) in [("lstm", 4, &[8][..]), ("gru", 3, &[2, 6])] {
        let [kernel, recurrent] = [[3, 2 * gates], [2, 2 * gates]].map(|shape| Tensor::full(&shape, 0.5_f32));
        let named = [("kernel", kernel), ("recurrent_kernel", recurrent), ("bias", Tensor::full(bias, 0.5))];
        let named = named.map(|(name, tensor)| (name.to_owned(), tensor));
        file::save_tensors(&path, &named, &Metadata::new()).expect("TMPDIR can be written to");
        seed_up_to(tensors::LARGE, &format!("keras-{name}"), tensors::described(&path));
    }
    seed_up_to(tensors::LARGE, "linear", "rnn.weight|F32|2 3\nrnn.bias|F32|2\n");
}

fn read(path: &Path) {
    let Ok(file) = TensorFile::open(path) else { return };
    for network in ["", "rnn"] {
        for name in [LayerName::new(network, 0), LayerName::new(network, 1).reverse(), LayerName::cell(network)] {
            modules(&file, &name);
        }
        told(Linear::<Weights>::read_torch(&file, network, Precision::Converted));
        stacks::<Recurrent<Lstm<Weights>>>(&file, network, &[lstm(3), lstm(4)]);
        stacks::<BothWays>(&file, network, &[both_ways(3), both_ways(2)]);
        told(Vec::<Recurrent<ProjectedLstm<Weights>>>::read_torch(&file, network, Precision::Converted));
    }
    let tensor = |name: &str| file.tensor::<f32>(name, Precision::Converted);
    if let (Ok(kernel), Ok(recurrent_kernel)) = (tensor("kernel"), tensor("recurrent_kernel")) {
        keras(&KerasLayer { kernel, recurrent_kernel, bias: tensor("bias").ok() });
    }
}

/// A result is there, or its error can be told.
fn told<R>(result: rewind_rnn::Result<R>) -> Option<R> {
    result.map_err(|error| error.to_string()).ok()
}

fn modules(file: &TensorFile, name: &LayerName) {
    let precision = Precision::Converted;
    told(TanhRnn::<Weights>::read_torch(file, name, precision));
    told(ReluRnn::<Weights>::read_torch(file, name, precision));
    told(ProjectedLstm::<Weights>::read_torch(file, name, precision));
    let layer = told(TorchLayer::<f32>::read(file, name, precision));
    // The second bias becomes 0, all else is as it was.
    if let (Some(lstm), Some(layer)) = (told(Lstm::<Weights>::read_torch(file, name, precision)), &layer) {
        assert_eq!(
            (lstm.to_torch().weight_ih, lstm.to_torch().weight_hh),
            (layer.weight_ih.clone(), layer.weight_hh.clone())
        );
    }
    if let (Some(gru), Some(layer)) = (told(Gru::<Weights>::read_torch(file, name, precision)), &layer) {
        assert_eq!(
            (gru.to_torch().weight_ih, gru.to_torch().weight_hh),
            (layer.weight_ih.clone(), layer.weight_hh.clone())
        );
    }
}

fn stacks<L: TorchStackLayer<Cell: rewind_rnn::torch::TorchCell<Scalar = f32>>>(
    file: &TensorFile,
    network: &str,
    like: &[L],
) {
    told(Vec::<L>::read_torch(file, network, Precision::Converted));
    told(load_stack(file.path(), network, &mut like.to_vec(), Precision::Converted));
}

fn keras(layer: &KerasLayer<f32>) {
    if let Some(lstm) = told(Lstm::from_keras(layer)) {
        assert_eq!(lstm.to_keras().expect("no first state is learned"), *layer);
    }
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        if let Some(gru) = told(Gru::from_keras(layer, reset)) {
            let again = gru.to_keras().expect("no first state is learned");
            assert_eq!((&again.kernel, &again.recurrent_kernel), (&layer.kernel, &layer.recurrent_kernel));
        }
    }
}
