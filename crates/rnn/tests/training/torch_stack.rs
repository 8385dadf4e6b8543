//! Whole networks of PyTorch: from files that it wrote, and to files that it reads.

use std::path::PathBuf;

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor};
use rewind_rnn::file::{Metadata, Precision, TensorFile};
use rewind_rnn::torch::{FromTorch, TorchStackLayer, load_stack, save_stack, stack_tensors};
use rewind_rnn::{Bidirectional, Gru, Lstm, ProjectedLstm, Recurrent, ReluRnn, TanhRnn, Unroll};

use super::torch_file::Scratch;

pub(crate) fn fixture(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/torch");
    let folder = std::env::var_os("REWIND_TORCH_NETWORKS").map_or_else(|| PathBuf::from(fixtures), PathBuf::from);
    folder.join(format!("{name}.safetensors"))
}

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

pub(crate) type OneWay<C> = Vec<Recurrent<C>>;
type Both<T, C> = Vec<Bidirectional<Tensor<T>, Recurrent<C>, Recurrent<C>>>;

/// Layers that read so many features, forward in time.
pub(crate) fn one_way<C>(inputs: &[usize], mut cell: impl FnMut(usize) -> C) -> OneWay<C> {
    inputs.iter().map(|&inputs| Recurrent(cell(inputs))).collect()
}

/// Layers that read so many features, in both directions.
pub(crate) fn both_ways<T: Scalar, C: Parameters<Tensor<T>>>(
    inputs: &[usize],
    mut cell: impl FnMut(usize) -> C,
) -> Both<T, C> {
    inputs.iter().map(|&inputs| Bidirectional::cells(cell(inputs), cell(inputs))).collect()
}

/// Looking for each layer among the names of all takes time with the square of their number.
#[test]
fn a_deep_stack_is_read_and_its_surplus_named() {
    const DEPTH: usize = 20_000;
    let names: Vec<_> =
        (0..DEPTH).flat_map(|k| ["weight_ih", "weight_hh"].map(|name| format!("{name}_l{k}"))).collect();
    let mut tensors: Vec<(&str, &[usize])> = names.iter().map(|name| (name.as_str(), &[1, 1][..])).collect();
    let file = Scratch::holding(&tensors);
    let read = |file: &Scratch| OneWay::<TanhRnn<Tensor<f32>>>::load_torch(&file.0, "", Precision::AsStored);
    let mut stack = read(&file).expect("a network");
    assert_eq!(stack.len(), DEPTH);
    load_stack(&file.0, "", &mut stack, Precision::AsStored).expect("the same network");
    tensors.push(("noise_l19999", &[1]));
    let told = read(&Scratch::holding(&tensors)).expect_err("a parameter that no layer has").to_string();
    assert!(told.ends_with("1 thing wrong:\n  `noise_l19999` of shape [1] is not part of the module"), "{told}");
}

/// The outputs of a stack for `x`.
macro_rules! outputs {
    ($stack:expr, $x:expr) => {{
        let tape = Tape::new();
        let x = tape.constant($x.clone());
        Unroll::new().through(&$stack.on(&tape), x).outputs.value()
    }};
}

/// The largest difference of two tensors of one shape.
#[track_caller]
fn distance(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.zip(b, |a, b| (a - b).abs()).to_vec().into_iter().fold(0.0, f64::max)
}

/// What a network that is saved as PyTorch's should hold: the second of two biases that are added is 0.
fn as_saved(file: &TensorFile, name: &str, gru: bool) -> Tensor<f64> {
    let read = |name: &str| file.tensor::<f64>(name, Precision::AsStored).expect("PyTorch wrote it");
    if !name.contains("bias") {
        return read(name);
    }
    let [ih, hh] = ["bias_ih", "bias_hh"].map(|bias| read(&name.replace("bias_ih", bias).replace("bias_hh", bias)));
    let own = if name.contains("bias_ih") { &ih } else { &hh };
    let added = |i: usize| !gru || i < ih.len() / 3 * 2; // not those of n
    Tensor::from_fn(ih.shape(), |i| match (added(i), name.contains("bias_ih")) {
        (true, true) => ih.to_vec()[i] + hh.to_vec()[i],
        (true, false) => 0.0,
        (false, _) => own.to_vec()[i],
    })
}

/// Loads the fixture `name` into `fresh`, an untrained stack of its architecture, and without one; both compute what PyTorch computed,
/// and are saved as PyTorch would.
macro_rules! there_and_back {
    ($name:literal, $fresh:expr) => {{
        let file = TensorFile::open(fixture($name)).expect("a fixture");
        let [x, y] = ["x", "y"].map(|name| file.tensor::<f64>(name, Precision::AsStored).expect("it is there"));
        let mut stack = $fresh;
        assert!(distance(&outputs!(stack, x), &y) > 1e-3, "{}: an untrained stack is another function", $name);
        load_stack(fixture($name), "rnn", &mut stack, Precision::AsStored).expect($name);
        assert!(distance(&outputs!(stack, x), &y) < 1e-13, "{}", $name);
        let mut read = $fresh;
        read.clear();
        read.extend(FromTorch::read_torch(&file, "rnn", Precision::AsStored).into_iter().flat_map(|read: Vec<_>| read));
        assert!(read == stack, "{}: found depth and sizes", $name);

        let saved = Scratch::new();
        save_stack(&saved.0, "rnn", &stack).expect("it is PyTorch's");
        let saved = TensorFile::open(&saved.0).expect("it was saved");
        assert_eq!(saved.metadata()["format"], "pt");
        let list = |file: &TensorFile| -> Vec<_> {
            let of_network = file.tensors().iter().filter(|info| info.name.starts_with("rnn."));
            of_network.map(|info| (info.name.clone(), info.shape.clone(), info.dtype.clone())).collect()
        };
        assert_eq!(list(&saved), list(&file), "{}", $name);
        assert_eq!(saved.tensors().len() + 2, file.tensors().len());
        for info in saved.tensors() {
            let value = saved.tensor::<f64>(&info.name, Precision::AsStored).expect("it is listed");
            assert_eq!(value, as_saved(&file, &info.name, $name.starts_with("gru")), "{}: {}", $name, info.name);
        }
    }};
}

#[test]
fn networks_of_torch_compute_what_they_computed_there() {
    let rng = &mut rng();
    there_and_back!("tanh_3_both", both_ways(&[2, 6, 6], |inputs| TanhRnn::<Tensor<f64>>::new(inputs, 3, rng)));
    there_and_back!("tanh_1", one_way(&[2], |inputs| TanhRnn::<Tensor<f64>>::new(inputs, 3, rng)));
    there_and_back!("relu_2", one_way(&[2, 3], |inputs| ReluRnn::<Tensor<f64>>::new(inputs, 3, rng)));
    let mut relu = |inputs| ReluRnn { bias: None, ..ReluRnn::<Tensor<f64>>::new(inputs, 3, rng) };
    there_and_back!("relu_2_both_plain", both_ways(&[2, 6], &mut relu));
    let rng = &mut self::rng();
    there_and_back!("lstm_3_both", both_ways(&[2, 6, 6], |inputs| Lstm::<Tensor<f64>>::new(inputs, 3, rng)));
    there_and_back!("lstm_2_plain", one_way(&[2, 3], |inputs| plain_lstm(inputs, 3, rng)));
    there_and_back!("gru_3", one_way(&[2, 3, 3], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng)));
    there_and_back!("gru_2_both", both_ways(&[2, 6], |inputs| Gru::<Tensor<f64>>::new(inputs, 3, rng)));
    let mut gru = |inputs| Gru { bias: None, bias_hn: None, ..Gru::<Tensor<f64>>::new(inputs, 3, rng) };
    there_and_back!("gru_2_both_plain", both_ways(&[2, 6], &mut gru));
    let rng = &mut self::rng();
    there_and_back!(
        "lstm_2_both_to2",
        both_ways(&[2, 4], |inputs| ProjectedLstm::<Tensor<f64>>::new(inputs, 3, 2, rng))
    );
    let mut projected = |inputs| ProjectedLstm { bias: None, ..ProjectedLstm::<Tensor<f64>>::new(inputs, 3, 2, rng) };
    there_and_back!("lstm_3_to2_plain", one_way(&[2, 2, 2], &mut projected));
}

pub(crate) fn plain_lstm(inputs: usize, hidden: usize, rng: &mut StdRng) -> Lstm<Tensor<f64>> {
    Lstm { bias: None, ..Lstm::new(inputs, hidden, rng) }
}

#[test]
fn heads_are_saved_as_the_dense_network_that_computes_the_same() {
    let rng = &mut rng();
    let x = Tensor::from_fn(&[5, 2, 2], |i| (i as f64 * 0.7).sin());
    macro_rules! same {
        ($cell:ident) => {
            let heads = one_way(&[2, 6], |inputs| $cell::<Tensor<f64>>::new(inputs, 6, rng).with_heads(3, rng));
            let file = Scratch::new();
            save_stack(&file.0, "", &heads).expect("a dense network");
            let dense: OneWay<$cell<Tensor<f64>>> =
                FromTorch::load_torch(&file.0, "", Precision::AsStored).expect("it was saved");
            assert_eq!(dense[1].0.weight_hh.rank(), 2);
            assert!(distance(&outputs!(heads, x), &outputs!(dense, x)) < 1e-14);
        };
    }
    same!(TanhRnn);
    same!(ReluRnn);
    same!(Lstm);
    same!(Gru);
}

#[test]
fn networks_of_any_size_survive_the_way_to_torch_and_back() {
    fn back<L: TorchStackLayer + PartialEq>(stack: Vec<L>, mut fresh: Vec<L>) {
        let file = Scratch::new();
        save_stack(&file.0, "a.b", &stack).expect("it is PyTorch's");
        assert!(fresh != stack);
        load_stack(&file.0, "a.b", &mut fresh, Precision::AsStored).expect("it was saved");
        assert!(fresh == stack, "bit for bit");
    }
    let rng = &mut rng();
    macro_rules! all {
        ($scalar:ty, $inputs:expr, $hidden:expr, $depth:expr, [$($cell:ident $(, $projected:expr)?);+]) => {$(
            let outputs = [$hidden $(, $projected)?].into_iter().min().expect("one at least");
            let [one, two] = [1, 2].map(|n| [&[$inputs], &vec![n * outputs; $depth - 1][..]].concat());
            let mut cell = |inputs| $cell::<Tensor<$scalar>>::new(inputs, $hidden, $($projected,)? rng);
            back(one_way(&one, &mut cell), one_way(&one, &mut cell));
            back(both_ways(&two, &mut cell), both_ways(&two, &mut cell));
        )+};
    }
    for (inputs, hidden, depth) in [(1, 1, 1), (7, 33, 2), (33, 7, 4)] {
        all!(f64, inputs, hidden, depth, [TanhRnn; ReluRnn; Lstm; Gru]);
        all!(f32, inputs, hidden + 1, depth, [TanhRnn; ReluRnn; Lstm; Gru; ProjectedLstm, 1 + hidden / 3]);
    }
}

#[test]
fn several_networks_share_a_file() {
    let rng = &mut rng();
    let encoder = both_ways(&[2, 6], |inputs| Lstm::<Tensor<f32>>::new(inputs, 3, rng));
    let decoder = one_way(&[6], |inputs| Gru::<Tensor<f32>>::new(inputs, 4, rng));
    let mut tensors = stack_tensors("model.encoder", &encoder).expect("it is PyTorch's");
    tensors.extend(stack_tensors("model.decoder", &decoder).expect("it is PyTorch's"));
    let file = Scratch::new();
    rewind_rnn::file::save_tensors(&file.0, &tensors, &Metadata::new()).expect("names of their own");
    let mut again = both_ways(&[2, 6], |inputs| Lstm::<Tensor<f32>>::new(inputs, 3, rng));
    load_stack(&file.0, "model.encoder", &mut again, Precision::AsStored).expect("its own part of the file");
    assert!(again == encoder);
    let open = TensorFile::open(&file.0).expect("a file");
    assert!(open.tensors().iter().all(|info| info.dtype == "f32"));
    // Both directions with the same values are a network too.
    let mut twins = both_ways(&[2], |inputs| Lstm::<Tensor<f32>>::new(inputs, 3, rng));
    twins[0].backward = twins[0].forward.clone();
    save_stack(&file.0, "", &twins).expect("it is PyTorch's");
    load_stack(&file.0, "", &mut again[..1], Precision::AsStored).expect("it was saved");
    assert!(again[0].forward == again[0].backward);
}
