//! What has no form in ONNX is refused, with what it is and where it was recorded.

use std::fs;

use rewind_autograd::{Scalar, Tensor, Var, ops, parameters};
use rewind_onnx::{Error, Export, Model, Result, export};
use rewind_rnn::{
    Bidirectional, Cell, Gru, Layer, LayerOutputs, Linear, Lstm, MinGru, Recurrent, Scan, TanhRnn, Unroll, unroll,
};

use crate::cases::{FEATURES, rng};

ops! {
    /// y = x·sin x.
    fn x_sin_x = XSinX(x) {
        value: x.map(|x| x * x.sin()),
        x: |g, x| g * (x.sin() + x * x.cos()),
    }
}

fn message(result: Result<Model>) -> String {
    result.expect_err("there is no form in ONNX").to_string()
}

/// The error of a function of x and an RNN.
fn of_function(f: impl for<'t> Fn(&TanhRnn<Var<'t, f32>>, Var<'t, f32>) -> Var<'t, f32>) -> String {
    let rnn = TanhRnn::new(FEATURES, 4, &mut rng());
    message(Export::new().function(&rnn, FEATURES, |rnn, x| vec![("y".to_owned(), f(rnn, x))]))
}

const HERE: &str = "crates/onnx/tests/suite/errors.rs:";

#[test]
fn an_op_without_a_form_is_named_with_its_line() {
    let message = of_function(|_, x| x_sin_x(x));
    assert!(message.starts_with(&format!("op `x_sin_x`, recorded at {HERE}")), "{message}");
    assert!(message.ends_with("has no ONNX form: ONNX has no op for it that this crate knows"), "{message}");
}

#[test]
fn a_value_that_is_computed_outside_of_the_tape_is_refused() {
    let message = of_function(|_, x| x * x.tape().constant(x.value().map(|x| x.abs()).slice(0, 0..1)));
    assert!(message.starts_with("the constant of shape [1, 3, 3] recorded at"), "{message}");
    assert!(message.contains("depends on the input"), "{message}");
    let message = of_function(|_, x| x.max_axis(0).max_axis(0) * x.tape().constant(x.value().index(0, 0).index(0, 0)));
    assert!(message.contains("the constant of shape [3] recorded at"), "{message}");
    assert!(message.contains("has another value for another input"), "{message}");
}

/// A cell that reads the state two steps back, which its own field remembers.
fn older_state<'t>(rnn: &TanhRnn<Var<'t, f32>>, x: Var<'t, f32>) -> Var<'t, f32> {
    let tape = x.tape();
    let mut states = vec![rnn.initial(x.shape()[1]), rnn.initial(x.shape()[1])];
    for t in 0..x.shape()[0] {
        let _step = tape.numbered_scope("t", t);
        let before = states[states.len() - 2];
        states.push(rnn.step(x.index(0, t), before));
    }
    rewind_autograd::ops::layout::stack(&states[2..], 0)
}

#[test]
fn time_steps_that_are_no_loop_are_refused() {
    let message = of_function(older_state);
    assert!(message.contains("reads an older step than the one before it"), "{message}");
    let message = of_function(|rnn, x| unroll(rnn, x).states[2]);
    assert!(message.contains("reads time step 2 from outside of its loop"), "{message}");
    let message = of_function(|rnn, x| {
        let mut h = rnn.initial(x.shape()[1]);
        for t in 0..x.shape()[0] {
            let _step = x.tape().numbered_scope("t", t);
            h = rnn.step(x.index(0, t), h) * if t == 3 { 0.5 } else { 0.25 };
        }
        h
    });
    assert!(
        message.contains(
            "time step 3 records `scale_shift` where time step 0 records `scale_shift`, of another shape or setting"
        ),
        "{message}"
    );
    let message = of_function(|rnn, x| {
        let mut h = rnn.initial(x.shape()[1]);
        for t in 0..x.shape()[0] {
            let _step = x.tape().numbered_scope("t", t);
            h = rnn.step(x.index(0, t), h) + x.tape().scalar(t as f32);
        }
        h
    });
    assert!(message.contains("the constant of shape [] recorded at"), "{message}");
    assert!(message.contains("has another value in each time step"), "{message}");
    let message = of_function(|rnn, x| {
        let (now, mut h) = (x.index(0, 0), rnn.initial(x.shape()[1]));
        for t in 0..4 {
            let _step = x.tape().numbered_scope("t", t);
            h = rnn.step(now, h);
        }
        h
    });
    assert!(message.contains("the loop reads no sequence"), "{message}");
}

#[test]
fn ops_that_depend_on_the_number_of_time_steps_are_refused() {
    let message = of_function(|_, x| (0..x.shape()[0]).map(|t| x.index(0, t)).reduce(|a, b| a + b).unwrap_or(x));
    assert!(message.starts_with(HERE), "{message}");
    assert!(message.contains("the number of ops depends on the number of time steps or sequences"), "{message}");
    let message = of_function(|_, x| x.slice(0, 0..x.shape()[0] / 2));
    assert!(message.contains("a shape of `slice` depends on the number of time steps"), "{message}");
}

parameters! {
    /// Every time step is the one at the other end.
    struct Mirrored<P> { by: P }
}

impl<'t, T: Scalar> Layer<'t, T> for Mirrored<Var<'t, T>> {
    type State = ();
    fn initial_state(&self, _batch: usize) {}
    fn forward(&self, x: Var<'t, T>, (): (), _how: Unroll<'_>) -> LayerOutputs<'t, T, ()> {
        LayerOutputs::new(x.flip(0) * self.by, ())
    }
}

#[test]
fn with_lengths_no_op_may_read_padding() {
    let mirrored = Mirrored { by: Tensor::full(&[FEATURES], 2.0) };
    assert!(export(&mirrored, FEATURES).is_ok());
    let refused = message(Export::new().lengths().layer(&mirrored, FEATURES));
    assert!(refused.starts_with(&format!("op `flip`, recorded at {HERE}")), "{refused}");
    assert!(refused.contains("it reads several time steps, and padding would be among them"), "{refused}");
    let rng = &mut rng();
    let both = Bidirectional::new(
        Scan(MinGru::<Tensor<f32>>::new(FEATURES, 4, rng)),
        Recurrent(Lstm::<Tensor<f32>>::new(FEATURES, 4, rng)),
    );
    assert!(Export::new().lengths().layer(&both, FEATURES).is_ok());
    let backward = Bidirectional::new(both.backward.clone(), both.forward.clone());
    let refused = message(Export::new().lengths().layer(&backward, FEATURES));
    assert!(refused.starts_with("op `flip`"), "{refused}");
}

#[test]
fn a_wrong_width_and_a_path_that_cannot_be_written_are_refused() {
    let rng = &mut rng();
    let model = (Recurrent(Gru::<Tensor<f32>>::new(3, 5, rng)), Linear::new(5, 2, rng));
    assert!(matches!(export(&model, 4), Err(Error::Width { model: 3, input: 4 })));
    let folder = tempfile::tempdir().unwrap();
    let exported = export(&model, 3).unwrap();
    let error = exported.write(folder.path()).unwrap_err().to_string();
    assert_eq!(error, format!("{}: it is a folder; expected a regular file", folder.path().display()));
    let path = folder.path().join("model.onnx");
    fs::write(&path, "old").unwrap();
    exported.write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), exported.to_bytes());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}
