//! Weights from PyTorch and Keras, and back: single cells, stacks of layers and directions, the arrays of a Keras layer.
//!
//! `cargo run --example 12_pytorch`; `docs/pytorch.md` explains it. It reads files that PyTorch and Keras wrote, from `crates/fixtures`.

use std::error::Error;
use std::path::{Path, PathBuf};

use rand::{SeedableRng, rngs::StdRng};
use rewind_rnn::autograd::{OnTape, Tape, Tensor};
use rewind_rnn::file::{self, Metadata, Precision, TensorFile};
use rewind_rnn::keras::KerasLayer;
use rewind_rnn::torch::{self, FromTorch, LayerName, TorchLayer};
use rewind_rnn::{Bidirectional, Gru, LayerModule, Linear, Lstm, ProjectedLstm, Recurrent, Reset, Unroll};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/fixtures").join(name)
}

/// The outputs of a network for x `[T, B, I]`, from states of zeros.
fn outputs<M: LayerModule<f64>>(network: &M, x: &Tensor<f64>) -> Tensor<f64> {
    let tape = Tape::quiet();
    Unroll::new().through(&network.on(&tape), tape.constant(x.clone())).outputs.value()
}

/// Panics if the two differ by more than rounding.
fn assert_same(ours: &Tensor<f64>, theirs: &Tensor<f64>) {
    assert_eq!(ours.shape(), theirs.shape());
    let largest = ours.zip(theirs, |a, b| (a - b).abs()).to_vec().into_iter().fold(0.0, f64::max);
    assert!(largest < 1e-13, "the outputs differ by {largest}");
}

/// Layer by layer: `model.rnn = nn.LSTM(2, 3, num_layers=2, bias=False)`.
fn cells() -> Result<(), Box<dyn Error>> {
    let file = TensorFile::open(fixture("torch/lstm_2_plain.safetensors"))?;
    println!("{file}");
    let cell = |layer| Lstm::<Tensor<f64>>::read_torch(&file, &LayerName::new("rnn", layer), Precision::AsStored);
    let network = (Recurrent(cell(0)?), Recurrent(cell(1)?));

    // The fixture also has an input and what PyTorch computed from it.
    let x = file.tensor("x", Precision::AsStored)?;
    let y = file.tensor("y", Precision::AsStored)?;
    assert_same(&outputs(&network, &x), &y);
    Ok(())
}

/// A layer of both directions.
type Both<C> = Bidirectional<Tensor<f64>, Recurrent<C>, Recurrent<C>>;

/// All at once: `model.rnn = nn.GRU(2, 3, num_layers=2, bidirectional=True)`.
fn stacks(out: &Path) -> Result<(), Box<dyn Error>> {
    let path = fixture("torch/gru_2_both.safetensors");
    let rng = &mut StdRng::seed_from_u64(1);
    let mut layer = |inputs| Bidirectional::cells(Gru::new(inputs, 3, rng), Gru::new(inputs, 3, rng));
    // The second layer reads both directions of the first.
    let mut stack: Vec<Both<Gru<Tensor<f64>>>> = vec![layer(2), layer(6)];
    torch::load_stack(&path, "rnn", &mut stack, Precision::AsStored)?;

    // Or as deep and as wide as the file says.
    let found: Vec<Both<Gru<Tensor<f64>>>> = Vec::load_torch(&path, "rnn", Precision::AsStored)?;
    assert_eq!(found, stack);

    let file = TensorFile::open(&path)?;
    let x = file.tensor("x", Precision::AsStored)?;
    assert_same(&outputs(&stack, &x), &file.tensor("y", Precision::AsStored)?);

    // Back, for `model.rnn.load_state_dict(load_file("rnn.safetensors"))`: the network alone has no name.
    torch::save_stack(out.join("rnn.safetensors"), "", &stack)?;
    // With a readout, for a model with `self.rnn` and `self.head`.
    let head = Linear::<Tensor<f64>>::new(6, 4, rng);
    let mut tensors = torch::stack_tensors("rnn", &stack)?;
    tensors.push(("head.weight".to_owned(), head.weight.transpose().to_contiguous()));
    tensors.extend(head.bias.clone().map(|bias| ("head.bias".to_owned(), bias)));
    file::save_tensors(out.join("model.safetensors"), &tensors, &Metadata::new())?;

    let again: Vec<Both<Gru<Tensor<f64>>>> =
        Vec::load_torch(out.join("model.safetensors"), "rnn", Precision::AsStored)?;
    assert_same(&outputs(&again, &x), &outputs(&stack, &x));
    let read = Linear::<Tensor<f64>>::load_torch(out.join("model.safetensors"), "head", Precision::AsStored)?;
    assert_eq!(read, head);
    Ok(())
}

/// What is transposed, added and kept apart in a GRU.
fn layouts() -> Result<(), Box<dyn Error>> {
    let file = TensorFile::open(fixture("torch/gru_3.safetensors"))?;
    let layer = TorchLayer::<f64>::read(&file, &LayerName::new("rnn", 0), Precision::AsStored)?;
    let gru = Gru::from_torch(&layer)?;
    let (bias_ih, bias_hh) = layer.biases.as_ref().ok_or("the GRU has biases")?;
    let bias = gru.bias.as_ref().ok_or("so has ours")?;

    assert_eq!(layer.weight_ih.shape(), [9, 2]); // [3·H, I]: r, z, n one below the other
    assert_eq!(gru.weight_ih.shape(), [2, 9]); // [I, 3·H]: r, z, n side by side
    assert_eq!(gru.weight_ih, layer.weight_ih.transpose().to_contiguous());
    assert_eq!((gru.weight_hh.shape(), gru.weight_hn.shape()), (&[3, 6][..], &[3, 3][..])); // r, z; n
    let added = bias_ih.zip(bias_hh, |ih, hh| ih + hh);
    assert_eq!(bias.slice(0, 0..6), added.slice(0, 0..6)); // of r and z: one bias
    assert_eq!(bias.slice(0, 6..9), bias_ih.slice(0, 6..9)); // of n: two, since the reset gate acts on the second
    assert_eq!(gru.bias_hn, Some(bias_hh.slice(0, 6..9).to_contiguous()));

    // `nn.LSTM(2, 3, num_layers=3, proj_size=2, bias=False)`: h has 2 units, c has 3.
    let path = fixture("torch/lstm_3_to2_plain.safetensors");
    let projected: Vec<Recurrent<ProjectedLstm<Tensor<f64>>>> = Vec::load_torch(path, "rnn", Precision::AsStored)?;
    assert_eq!(projected[0].0.weight_hr.shape(), [3, 2]);
    Ok(())
}

/// The arrays of `keras.layers.GRU(3)`, in the order of `layer.get_weights()`.
fn keras() -> Result<(), Box<dyn Error>> {
    let file = TensorFile::open(fixture("keras/gru_after.safetensors"))?;
    let array = |name| file.tensor::<f64>(name, Precision::AsStored);
    let layer = KerasLayer {
        kernel: array("kernel")?,
        recurrent_kernel: array("recurrent_kernel")?,
        bias: Some(array("bias")?),
    };
    let gru = Gru::from_keras(&layer, Reset::AfterProduct)?; // reset_after=True, the default of Keras

    // Keras reads batch first, `[B, T, I]`.
    let time_first = |name| -> rewind_rnn::Result<_> { Ok(array(name)?.permute(&[1, 0, 2]).to_contiguous()) };
    let tape = Tape::quiet();
    let (x, h_0) = (tape.constant(time_first("x")?), tape.constant(array("h0")?));
    let y = Unroll::new().run_from(&gru.on(&tape), x, h_0).outputs().value();
    assert_same(&y, &time_first("y")?);
    assert_eq!(gru.to_keras()?.recurrent_kernel, layer.recurrent_kernel);
    Ok(())
}

/// What does not fit is said, all of it, and nothing is loaded.
fn mistakes() -> Result<(), Box<dyn Error>> {
    let path = fixture("torch/lstm_2_plain.safetensors");
    let name = LayerName::new("encoder", 0);
    let wrong_name = Lstm::<Tensor<f64>>::load_torch(&path, &name, Precision::AsStored).expect_err("it is `rnn`");
    println!("\n{wrong_name}");
    let name = LayerName::new("rnn", 0);
    let wrong_cell = Gru::<Tensor<f64>>::load_torch(&path, &name, Precision::AsStored).expect_err("it is an LSTM");
    println!("{wrong_cell}");
    let wrong_type = Lstm::<Tensor<f32>>::load_torch(&path, &name, Precision::AsStored).expect_err("it is of f64");
    println!("{wrong_type}");
    Lstm::<Tensor<f32>>::load_torch(&path, &name, Precision::Converted)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    cells()?;
    stacks(folder.path())?;
    layouts()?;
    keras()?;
    mistakes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_the_page_says_holds() {
        super::main().expect("every claim of the example holds");
    }
}
