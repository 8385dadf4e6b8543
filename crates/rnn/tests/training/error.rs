//! The kind and the source of an error.

use std::error::Error as _;
use std::io;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Tensor, parameters};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::file::{self, Metadata, Problem};
use rewind_rnn::loss::{CrossEntropy, cross_entropy};
use rewind_rnn::optim::{Adam, Moments, Optimizer, Sgd};
use rewind_rnn::torch::TorchLayer;
use rewind_rnn::{Error, ErrorKind, Lstm, NonFinite, clip};

parameters! {
    #[derive(Debug)]
    struct One<P> { w: P }
}

fn one(value: f64) -> One<Tensor<f64>> {
    One { w: Tensor::full(&[2], value) }
}

macro_rules! assert_kind {
    ($result:expr, $kind:pat) => {
        let error: Error = $result.expect_err("this must be refused");
        assert!(matches!(error.kind(), $kind), "{error:?}");
    };
}

#[test]
fn every_module_says_what_kind_of_thing_went_wrong() {
    let rng = &mut StdRng::seed_from_u64(1);
    assert_kind!(plan(&[3, 2], 0, rng), ErrorKind::Setting);
    assert_kind!(plan(&[3, 0], 2, rng), ErrorKind::Empty);
    let two = [Tensor::full(&[3, 2], 0.5), Tensor::full(&[3, 1], 0.5)];
    assert_kind!(PaddedBatch::new(&two), ErrorKind::Shape);
    assert_kind!(PaddedBatch::gather(&two, &[2]), ErrorKind::Index);

    assert_kind!(clip::clip_norm(&mut one(1.0), -1.0), ErrorKind::Setting);
    assert_kind!(clip::clip_value(&mut one(f64::NAN), 1.0), ErrorKind::NonFinite(NonFinite { .. }));
    assert_kind!(Sgd::new(-1.0).step(&mut one(1.0), &one(1.0)), ErrorKind::Setting);
    assert_kind!(Sgd::new(1.0).step(&mut one(1.0), &One { w: Tensor::zeros(&[3]) }), ErrorKind::Shape);
    assert_kind!(Adam::new(1.0).step(&mut one(1.0), &one(f64::INFINITY)), ErrorKind::NonFinite(_));
    let foreign = Moments { steps: 1, tensors: vec![("w.velocity".to_owned(), Tensor::<f64>::zeros(&[2]))] };
    assert_kind!(Adam::new(1.0).load_moments(&foreign), ErrorKind::Moments);

    let tape = rewind_autograd::Tape::<f64>::new();
    let logits = tape.zeros(&[1, 3]);
    assert_kind!(cross_entropy(logits, &[3], CrossEntropy::default()), ErrorKind::Target);
    assert_kind!(cross_entropy(logits, &[None], CrossEntropy::default()), ErrorKind::Empty);
    let [weight_ih, weight_hh] = two;
    let layer = TorchLayer { weight_ih, weight_hh, biases: None, weight_hr: None };
    assert_kind!(Lstm::from_torch(&layer), ErrorKind::Shape);
}

#[test]
fn an_error_leads_to_the_one_that_it_comes_from() {
    let missing = std::env::temp_dir().join("rewind-no-such-folder").join("model.safetensors");
    let error = file::load(&missing, &mut one(0.0)).expect_err("there is no such file");
    let ErrorKind::Read(reason) = error.kind() else { panic!("{error:?}") };
    assert_eq!(reason.kind(), io::ErrorKind::NotFound);
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::NotFound));

    let error = file::save(&missing, &one(f64::NAN), &Metadata::new()).expect_err("NaN is not saved");
    assert!(matches!(error.kind(), ErrorKind::Refused(problems) if matches!(problems[..], [Problem::NonFinite(_)])));
    assert!(error.source().is_none());

    let error = clip::joint_norm(&one(f64::NAN)).expect_err("a gradient is NaN");
    let source = error.source().and_then(|source| source.downcast_ref::<NonFinite>());
    assert_eq!(source.map(|at| (at.name.as_str(), at.index.as_slice())), Some(("w", &[0][..])));
}

#[test]
fn an_error_travels_between_threads() {
    fn travels<E: std::error::Error + Send + Sync + 'static>() {}
    travels::<Error>();
    assert!(size_of::<Error>() == size_of::<usize>(), "a result is no larger for it");
}

#[test]
fn a_main_that_returns_an_error_shows_its_message() {
    let error = plan(&[3, 2], 0, &mut StdRng::seed_from_u64(1)).expect_err("a size of 0");
    assert_eq!(format!("{error:?}"), "batch: batch size 0; expected at least 1");
    let boxed: Box<dyn std::error::Error> = error.into(); // as `?` in `fn main() -> Result<(), Box<dyn Error>>`
    assert_eq!(format!("{boxed:?}"), boxed.to_string());
}
