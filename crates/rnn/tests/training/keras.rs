//! Layers of Keras: their arrays, read into cells that compute what Keras computed, and back.

use std::path::Path;

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_rnn::file::{Precision, Problem, TensorFile};
use rewind_rnn::keras::KerasLayer;
use rewind_rnn::{ErrorKind, Gru, Lstm, LstmState, Reset, Unroll};

/// What Keras had and computed, in this crate's order of axes: sequences `[T, B, …]`.
struct Fixture(TensorFile);

impl Fixture {
    fn open(name: &str) -> Self {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/keras");
        let folder = std::env::var_os("REWIND_KERAS").unwrap_or_else(|| fixtures.into());
        Fixture(TensorFile::open(Path::new(&folder).join(format!("{name}.safetensors"))).expect("a fixture"))
    }
    fn get(&self, name: &str) -> Tensor<f64> {
        self.0.tensor(name, Precision::AsStored).expect("it is there")
    }
    fn sequence(&self, name: &str) -> Tensor<f64> {
        self.get(name).permute(&[1, 0, 2]).to_contiguous()
    }
    fn layer(&self) -> KerasLayer<f64> {
        let bias = self.0.tensors().iter().any(|info| info.name == "bias").then(|| self.get("bias"));
        KerasLayer { kernel: self.get("kernel"), recurrent_kernel: self.get("recurrent_kernel"), bias }
    }
}

#[track_caller]
fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_within(1e-13, found, expected);
}

#[track_caller]
fn assert_within(tolerance: f64, found: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(found.shape(), expected.shape());
    for (found, expected) in found.to_vec().into_iter().zip(expected.to_vec()) {
        assert!((found - expected).abs() < tolerance, "{found}; Keras has {expected}");
    }
}

#[test]
fn an_lstm_computes_what_keras_computed() {
    for (name, has_bias) in [("lstm", true), ("lstm_plain", false)] {
        let file = Fixture::open(name);
        let lstm = Lstm::from_keras(&file.layer()).expect("the shapes fit");
        assert_eq!(lstm.bias.is_some(), has_bias);
        let tape = Tape::new();
        let first = LstmState { hidden: tape.constant(file.get("h0")), cell: tape.constant(file.get("c0")) };
        let run = Unroll::new().run_from(&lstm.on(&tape), tape.constant(file.sequence("x")), first);
        assert_close(&run.outputs().value(), &file.sequence("y"));
        assert_close(&run.last.hidden.value(), &file.get("hn"));
        assert_close(&run.last.cell.value(), &file.get("cn"));
        assert_eq!(lstm.to_keras().expect("it is Keras'"), file.layer());
    }
}

#[test]
fn a_gru_computes_what_keras_computed() {
    let (after, before) = (Reset::AfterProduct, Reset::BeforeProduct);
    for (name, reset, other) in [
        ("gru_after", after, before),
        ("gru_before", before, after),
        ("gru_after_plain", after, before),
        ("gru_before_plain", before, after),
    ] {
        let file = Fixture::open(name);
        let layer = file.layer();
        let gru = Gru::from_keras(&layer, reset).expect("the shapes fit");
        let outputs = |gru: &Gru<Tensor<f64>>| {
            let tape = Tape::new();
            let (x, h) = (tape.constant(file.sequence("x")), tape.constant(file.get("h0")));
            let run = Unroll::new().run_from(&gru.on(&tape), x, h);
            (run.outputs().value(), run.last.value())
        };
        let (y, last) = outputs(&gru);
        // Without a fused loop, Keras rounds its products to float32.
        let tolerance = if reset == before { 1e-6 } else { 1e-13 };
        assert_within(tolerance, &y, &file.sequence("y"));
        assert_within(tolerance, &last, &file.get("hn"));
        let apart = outputs(&Gru { reset: other, ..gru.clone() }).0.zip(&y, |a, b| (a - b).abs());
        let apart = apart.to_vec().into_iter().fold(0.0, f64::max);
        assert!(apart > 1e-2, "{name}: the two forms are different functions");

        // Back: the same function, and the same arrays except for how two added biases are split.
        let back = gru.to_keras().expect("it is Keras'");
        assert_eq!((&back.kernel, &back.recurrent_kernel), (&layer.kernel, &layer.recurrent_kernel));
        assert_eq!(Gru::from_keras(&back, reset).expect("the shapes fit"), gru);
        match (&layer.bias, reset) {
            (Some(bias), Reset::AfterProduct) => {
                let back = back.bias.expect("there is one");
                let rows = |bias: &Tensor<f64>| bias.index(0, 0).zip(&bias.index(0, 1), |a, b| a + b);
                assert_eq!(rows(&back), rows(bias));
                assert_eq!(back.slice(1, 6..9), bias.slice(1, 6..9), "those of n stay separate");
            }
            _ => assert_eq!(back.bias, layer.bias),
        }
    }
}

#[test]
fn one_bias_of_two_and_heads_are_the_same_function_in_keras() {
    let rng = &mut StdRng::seed_from_u64(1);
    let x = Tensor::from_fn(&[5, 2, 2], |i| (i as f64 * 0.7).sin());
    let outputs = |gru: &Gru<Tensor<f64>>| {
        let tape = Tape::new();
        Unroll::new().run(&gru.on(&tape), tape.constant(x.clone())).outputs().value()
    };
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        let whole = Gru { reset, ..Gru::<Tensor<f64>>::new(2, 6, rng) };
        let one = Gru { bias: None, ..whole.clone() };
        let other = Gru { bias_hn: None, ..whole.clone() };
        let heads = whole.clone().with_heads(3, rng);
        for gru in [whole, one, other, heads] {
            let again = Gru::from_keras(&gru.to_keras().expect("it is Keras'"), reset).expect("the shapes fit");
            assert_close(&outputs(&again), &outputs(&gru));
        }
    }
    let lstm = Lstm::<Tensor<f64>>::new(2, 6, rng).with_heads(3, rng);
    let again = Lstm::from_keras(&lstm.to_keras().expect("it is Keras'")).expect("the shapes fit");
    let tape = Tape::new();
    let x = tape.constant(x);
    let outputs = |lstm: Lstm<Tensor<f64>>| Unroll::new().run(&lstm.on(&tape), x).outputs().value();
    assert_close(&outputs(again), &outputs(lstm));
}

#[test]
fn arrays_that_do_not_fit_are_named() {
    let layer = |kernel: &[usize], recurrent_kernel: &[usize], bias: &[usize]| KerasLayer {
        kernel: Tensor::<f32>::zeros(kernel),
        recurrent_kernel: Tensor::zeros(recurrent_kernel),
        bias: Some(Tensor::zeros(bias)),
    };
    let lstm = |layer: KerasLayer<f32>| Lstm::from_keras(&layer).expect_err("it does not fit");
    let gru = |layer: KerasLayer<f32>, reset| Gru::from_keras(&layer, reset).expect_err("it does not fit").to_string();

    let error = lstm(layer(&[2, 15], &[5, 15], &[15]));
    assert!(matches!(error.kind(), ErrorKind::Shape));
    assert_eq!(
        error.to_string(),
        "keras: an LSTM does not fit, 1 thing wrong:\n  `recurrent_kernel` has shape [5, 15]; expected [H, 4·H] with H at \
         least 1"
    );
    assert_eq!(
        lstm(layer(&[20, 2], &[5, 20], &[2, 20])).to_string(),
        "keras: an LSTM does not fit, 2 things wrong:\n  `kernel` has shape [20, 2]; expected [I, 20] with I at least 1\n  \
         `bias` has shape [2, 20]; expected [20]"
    );
    for shape in [&[][..], &[0, 0], &[20], &[1, 5, 20]] {
        assert!(lstm(layer(&[2, 20], shape, &[20])).to_string().contains("`recurrent_kernel` has shape"), "{shape:?}");
    }
    for shape in [&[][..], &[20], &[0, 20], &[1, 2, 20]] {
        assert!(lstm(layer(shape, &[5, 20], &[20])).to_string().contains("`kernel` has shape"), "{shape:?}");
    }
    // The form of the bias says where the reset gate acts.
    assert_eq!(
        gru(layer(&[2, 15], &[5, 15], &[15]), Reset::AfterProduct),
        "keras: a GRU with reset_after=True does not fit, 1 thing wrong:\n  `bias` has shape [15]; expected [2, 15]"
    );
    assert_eq!(
        gru(layer(&[2, 15], &[5, 15], &[2, 15]), Reset::BeforeProduct),
        "keras: a GRU with reset_after=False does not fit, 1 thing wrong:\n  `bias` has shape [2, 15]; expected [15]"
    );
}

#[test]
fn a_learned_first_state_is_not_left_out_without_a_word() {
    let rng = &mut StdRng::seed_from_u64(1);
    let lstm = Lstm::<Tensor<f64>>::new(2, 3, rng).with_learned_state().to_keras().expect_err("Keras has none");
    assert_eq!(
        lstm.to_string(),
        "keras: the cell is no layer of Keras, 2 things wrong:\n  `initial_hidden` of shape [3] has no counterpart in Keras\n  \
         `initial_cell` of shape [3] has no counterpart in Keras"
    );
    let gru = Gru::<Tensor<f64>>::new(2, 3, rng).with_learned_state().to_keras().expect_err("Keras has none");
    let ErrorKind::Refused(problems) = gru.kind() else { panic!("{gru:?}") };
    assert!(matches!(&problems[..], [Problem::Unlike { name, .. }] if name == "initial"));
}
