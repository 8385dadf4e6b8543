//! Optimisers: one step by hand, moments, schedules, and errors. The definitions are compared with PyTorch's
//! in `reference`.

use rewind_autograd::{OnTape, Parameters, Tape, Tensor, parameters};
use rewind_rnn::optim::{Adagrad, Adam, AdamW, Moments, Optimizer, RmsProp, Settings, Sgd};

parameters! {
    struct Model<P> { layers: Vec<Layer<P>>, scale: P }
}
parameters! {
    struct Layer<P> { weight: P, bias: Option<P> }
}

fn model() -> Model<Tensor<f64>> {
    let layer = |n: usize| Layer {
        weight: Tensor::from_fn(&[n, 2], |i| 0.3 * i as f64 - 0.4),
        bias: (n == 3).then(|| Tensor::full(&[2], 0.2)),
    };
    Model { layers: vec![layer(2), layer(3)], scale: Tensor::scalar(1.5) }
}

/// Gradients that vary from step to step.
fn gradient(step: usize) -> Model<Tensor<f64>> {
    model().map(|_, p| Tensor::from_fn(p.shape(), |i| ((step * 7 + i * 3) as f64).sin()))
}

fn numbers(m: &Model<Tensor<f64>>) -> Vec<f64> {
    m.leaves().iter().flat_map(|p| p.to_vec()).collect()
}

fn after<O: Optimizer<f64>>(optimizer: &mut O, m: &mut Model<Tensor<f64>>, steps: std::ops::Range<usize>) -> Vec<f64> {
    steps.for_each(|step| optimizer.step(m, &gradient(step)).expect("a good step"));
    numbers(m)
}

/// Saves after four steps, resumes with a new optimiser, and compares bits.
fn goes_on_from_its_state<O: Optimizer<f64>>(make: impl Fn() -> O, shuffled: bool) {
    let (mut whole, mut m) = (make(), model());
    let expected = after(&mut whole, &mut m, 0..9);
    let (mut first, mut m) = (make(), model());
    after(&mut first, &mut m, 0..4);
    let mut state = first.moments();
    assert_eq!(state.steps, 4);
    if shuffled {
        state.tensors.sort_by(|(a, _), (b, _)| b.cmp(a));
    }
    let mut second = make();
    second.load_moments(&state).expect("a state of its own");
    assert_eq!(after(&mut second, &mut m, 4..9), expected);
    assert_eq!(second.moments(), whole.moments());
}

#[test]
fn a_saved_state_goes_on_with_the_same_bits() {
    for shuffled in [false, true] {
        goes_on_from_its_state(|| Sgd::new(0.1), shuffled);
        goes_on_from_its_state(|| Sgd::new(0.1).momentum(0.9).nesterov(true), shuffled);
        goes_on_from_its_state(|| RmsProp::new(0.01).alpha(0.9).weight_decay(0.1), shuffled);
        goes_on_from_its_state(|| Adagrad::new(0.1).weight_decay(0.1), shuffled);
        goes_on_from_its_state(|| Adam::new(0.01).betas(0.8, 0.9).weight_decay(0.1), shuffled);
        goes_on_from_its_state(|| AdamW::new(0.01), shuffled);
    }
}

#[test]
fn states_are_named_after_leaf_and_moment() {
    let mut adam = Adam::new(0.1);
    after(&mut adam, &mut model(), 0..1);
    let names: Vec<_> = adam.moments().tensors.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["layers.0.weight.exp_avg", "layers.0.weight.exp_avg_sq"]);
    assert_eq!(names[names.len() - 1], "scale.exp_avg_sq");
    assert_eq!(names.len(), 8);
}

#[test]
fn the_learning_rate_may_change_between_steps() {
    let mut sgd = Sgd::new(0.1);
    let mut m = model();
    let before = numbers(&m);
    let one = after(&mut sgd, &mut m, 0..1);
    sgd.set_learning_rate(0.01);
    assert_eq!(sgd.learning_rate(), 0.01);
    let two = after(&mut sgd, &mut m, 0..1);
    for ((a, b), c) in before.iter().zip(&one).zip(&two) {
        assert!(((a - b) - 10.0 * (b - c)).abs() < 1e-12);
    }
}

#[test]
fn parameters_are_updated_in_place() {
    let mut adam = Adam::new(0.1);
    let mut m = model();
    let places = |m: &Model<Tensor<f64>>| -> Vec<_> {
        m.leaves().iter().map(|p| p.as_slice().expect("contiguous").as_ptr()).collect()
    };
    let before = places(&m);
    after(&mut adam, &mut m, 0..3);
    assert_eq!(places(&m), before);
}

#[test]
fn tensors_on_a_tape_keep_their_values() {
    let tape = Tape::new();
    let mut m = model();
    let on_tape = m.on(&tape);
    after(&mut Sgd::new(0.1), &mut m, 1..2);
    assert_eq!(on_tape.scale.value().item(), 1.5);
    assert_ne!(m.scale.item(), 1.5);
}

#[test]
fn stretched_gradients_are_read_as_what_they_stand_for() {
    let mut m = model();
    let whole = m.map(|_, p| Tensor::full(p.shape(), 0.5));
    let stretched = m.map(|_, p| Tensor::scalar(0.5).broadcast_to(p.shape()));
    let mut other = model();
    Adam::new(0.1).step(&mut m, &whole).expect("a good step");
    Adam::new(0.1).step(&mut other, &stretched).expect("a good step");
    assert_eq!(numbers(&m), numbers(&other));
}

/// Three steps with a weight decay of 0.1 are those whose gradients have 0.1·w added.
fn decays_by_the_gradient<O: Optimizer<f64>>(mut decayed: O, mut plain: O) {
    let (mut found, mut expected) = (model(), model());
    for step in 0..3 {
        decayed.step(&mut found, &gradient(step)).expect("a good step");
        let weights: Vec<_> = expected.leaves().into_iter().cloned().collect();
        let (mut g, mut weights) = (gradient(step), weights.into_iter());
        g.visit_mut(|_, g| *g = g.zip(&weights.next().expect("one for each"), |g, w| g + 0.1 * w));
        plain.step(&mut expected, &g).expect("a good step");
    }
    assert_eq!(numbers(&found), numbers(&expected));
}

#[test]
fn weight_decay_adds_to_the_gradient_and_that_of_adamw_shrinks_the_weight() {
    decays_by_the_gradient(Sgd::new(0.1).weight_decay(0.1), Sgd::new(0.1));
    decays_by_the_gradient(Sgd::new(0.1).momentum(0.9).weight_decay(0.1), Sgd::new(0.1).momentum(0.9));
    decays_by_the_gradient(RmsProp::new(0.01).weight_decay(0.1), RmsProp::new(0.01));
    decays_by_the_gradient(Adagrad::new(0.1).weight_decay(0.1), Adagrad::new(0.1));
    decays_by_the_gradient(Adam::new(0.01).weight_decay(0.1), Adam::new(0.01));
    let (mut found, mut expected) = (model(), model());
    let (mut adamw, mut adam) = (AdamW::new(0.01).weight_decay(0.1), Adam::new(0.01));
    for step in 0..3 {
        adamw.step(&mut found, &gradient(step)).expect("a good step");
        expected.visit_mut(|_, w| *w = w.map(|w| (1.0 - 0.01 * 0.1) * w));
        adam.step(&mut expected, &gradient(step)).expect("a good step");
    }
    assert_eq!(numbers(&found), numbers(&expected));
}

#[test]
fn a_file_can_tell_the_settings_of_every_optimiser() {
    let assert_settings = |found: Settings, expected: &[(&str, &str)]| {
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    };
    let sgd = Sgd::<f64>::new(0.1).momentum(0.9).nesterov(true);
    assert_settings(sgd.settings(), &[("momentum", "0.9"), ("nesterov", "true"), ("weight_decay", "0.0")]);
    let rmsprop = RmsProp::<f64>::new(0.1).alpha(0.5).weight_decay(0.25);
    assert_settings(rmsprop.settings(), &[("alpha", "0.5"), ("eps", "1e-8"), ("weight_decay", "0.25")]);
    let adagrad = Adagrad::<f64>::new(0.1).eps(0.5);
    assert_settings(adagrad.settings(), &[("eps", "0.5"), ("weight_decay", "0.0")]);
    let adam = [("beta1", "0.5"), ("beta2", "0.999"), ("eps", "1e-8"), ("weight_decay", "0.0")];
    assert_settings(Adam::<f64>::new(0.1).betas(0.5, 0.999).settings(), &adam);
}

/// An optimiser of one's own that changes nothing.
struct Frozen(f64);

impl Optimizer<f64> for Frozen {
    fn step<M: Parameters<Tensor<f64>>>(&mut self, _parameters: &mut M, _gradients: &M) -> rewind_rnn::Result<()> {
        Ok(())
    }
    fn learning_rate(&self) -> f64 {
        self.0
    }
    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.0 = learning_rate;
    }
    fn moments(&self) -> Moments<f64> {
        Moments { steps: 0, tensors: Vec::new() }
    }
    fn load_moments(&mut self, _moments: &Moments<f64>) -> rewind_rnn::Result<()> {
        Ok(())
    }
}

#[test]
fn an_optimiser_of_ones_own_has_the_name_of_its_type_and_no_settings() {
    assert_eq!((Frozen(0.1).name(), Frozen(0.1).settings()), ("Frozen".to_owned(), Settings::new()));
    assert_eq!(Optimizer::<f32>::name(&RmsProp::<f32>::new(0.1)), "RmsProp");
}

/// The message of a step that must fail; asserts that it changed nothing.
fn refused(optimizer: &mut impl Optimizer<f64>, m: &mut Model<Tensor<f64>>, g: &Model<Tensor<f64>>) -> String {
    let (before, state) = (numbers(m), optimizer.moments());
    let error = optimizer.step(m, g).expect_err("this step must be refused");
    assert_eq!((numbers(m), optimizer.moments()), (before, state), "a refused step changed something");
    error.to_string()
}

#[test]
fn bad_gradients_change_nothing_and_are_named() {
    for steps in 0..2 {
        let (mut adam, mut m) = (Adam::new(0.1), model());
        after(&mut adam, &mut m, 0..steps);

        let mut g = gradient(0);
        g.layers[1].weight.as_mut_slice()[3] = f64::NAN;
        assert_eq!(
            refused(&mut adam, &mut m, &g),
            "optimiser: the gradient of `layers.1.weight` is NaN at [1, 1]; expected finite numbers"
        );
        let mut g = gradient(0);
        g.layers[1].bias = None;
        assert_eq!(
            refused(&mut adam, &mut m, &g),
            "optimiser: leaf 2 is `layers.1.bias` of the parameters and `scale` of the gradients; expected the same names"
        );
        let mut g = gradient(0);
        g.scale = Tensor::zeros(&[1]);
        assert_eq!(
            refused(&mut adam, &mut m, &g),
            "optimiser: `scale` has shape [1] in the gradients; expected [], as in the parameters"
        );
    }
}

#[test]
fn other_parameters_than_those_of_the_first_step_are_refused() {
    let (mut adam, mut m) = (Adam::new(0.1), model());
    after(&mut adam, &mut m, 0..1);
    m.layers.pop();
    let g = m.clone();
    assert_eq!(
        refused(&mut adam, &mut m, &g),
        "optimiser: leaf 1 is `layers.1.weight` of the optimiser's memory and `scale` of the parameters; expected the \
         same names"
    );
    let mut m = model();
    m.scale = Tensor::zeros(&[4]);
    let g = m.clone();
    let shape = "optimiser: `scale` has shape [4] in the parameters; expected [], as in the optimiser's memory";
    assert_eq!(refused(&mut adam, &mut m, &g), shape);
    // Without moments too.
    let mut sgd = Sgd::new(0.1);
    after(&mut sgd, &mut model(), 0..1);
    assert_eq!(refused(&mut sgd, &mut m, &g), shape);
}

#[test]
fn settings_out_of_range_are_refused() {
    let message = |mut optimizer: Adam<f64>| refused(&mut optimizer, &mut model(), &gradient(0));
    let not_negative = "expected a finite number >= 0";
    assert_eq!(message(Adam::new(f64::NAN)), format!("optimiser: the learning rate is NaN; {not_negative}"));
    assert_eq!(message(Adam::new(-0.1)), format!("optimiser: the learning rate is -0.1; {not_negative}"));
    assert_eq!(message(Adam::new(0.1).eps(-1.0)), format!("optimiser: eps is -1; {not_negative}"));
    assert_eq!(message(Adam::new(0.1).betas(0.9, 1.0)), "optimiser: beta2 is 1; expected a number in [0, 1)");
    assert_eq!(
        refused(&mut Sgd::new(0.1).nesterov(true), &mut model(), &gradient(0)),
        "optimiser: the momentum is 0; expected a number in (0, 1) with Nesterov"
    );
}

/// The message of a step in single precision that must fail; asserts that it changed nothing.
fn overflows(optimizer: &mut impl Optimizer<f32>, weight: f32, gradient: f32) -> String {
    let one = |x: f32| Layer { weight: Tensor::from_vec(vec![0.5, x], &[1, 2]), bias: Some(Tensor::zeros(&[1])) };
    let (mut m, g) = (one(weight), one(gradient));
    let state = optimizer.moments();
    let error = optimizer.step(&mut m, &g).expect_err("this step must be refused");
    assert!(matches!(error.kind(), rewind_rnn::ErrorKind::NonFinite(_)));
    assert_eq!((m.leaves(), optimizer.moments()), (one(weight).leaves(), state), "a refused step changed something");
    error.to_string()
}

#[test]
fn a_step_that_would_overflow_is_refused_and_changes_nothing() {
    let step = |step: u64, name: &str, value: &str, g: &str| {
        format!(
            "optimiser: step {step} would make `{name}` {value} at [0, 1], where the gradient is {g}; expected finite \
             numbers: clip the gradients, scale the loss, or lower the learning rate"
        )
    };
    let second = "weight.exp_avg_sq";
    // The square of a gradient, and once after a good step, whose moments stay.
    assert_eq!(overflows(&mut Adam::new(0.1), 1.0, 1e21), step(1, second, "inf", "1e21"));
    assert_eq!(overflows(&mut AdamW::new(0.1), 1.0, -1e21), step(1, second, "inf", "-1e21"));
    assert_eq!(overflows(&mut RmsProp::new(0.1), 1.0, 1e21), step(1, "weight.square_avg", "inf", "1e21"));
    assert_eq!(overflows(&mut Adagrad::new(0.1), 1.0, 2e19), step(1, "weight.sum", "inf", "2e19"));
    assert_eq!(overflows(&mut Sgd::new(1e30), 1.0, 1e10), step(1, "weight", "-inf", "10000000000.0"));
    let one = |x: f32| Layer { weight: Tensor::from_vec(vec![0.5, x], &[1, 2]), bias: Some(Tensor::zeros(&[1])) };
    let mut sgd = Sgd::new(1e-3).momentum(0.9);
    sgd.step(&mut one(1.0), &one(3e38)).expect("the momentum is the gradient at first");
    assert_eq!(overflows(&mut sgd, 1.0, 3e38), step(2, "weight.momentum", "inf", "3e38"));
    sgd.step(&mut one(1.0), &one(-3e38)).expect("a refused step has no effect on later ones");
}

#[test]
fn settings_out_of_the_range_of_the_elements_are_refused() {
    let message = |mut optimizer: Adam<f32>| {
        let one = || Layer { weight: Tensor::<f32>::zeros(&[2, 1]), bias: None };
        optimizer.step(&mut one(), &one()).expect_err("this step must be refused").to_string()
    };
    let range = "as f32; expected 0 or a number in its range";
    assert_eq!(message(Adam::new(0.1).eps(1e-50)), format!("optimiser: eps is 1e-50, which is 0 {range}"));
    assert_eq!(message(Adam::new(1e39)), format!("optimiser: the learning rate is 1e39, which is inf {range}"));
    assert_eq!(
        message(Adam::new(0.1).weight_decay(1e-46)),
        format!("optimiser: the weight decay is 1e-46, which is 0 {range}")
    );
    assert_eq!(
        message(Adam::new(0.1).betas(0.9, 0.999_999_999)),
        "optimiser: beta2 is 0.999999999; expected a number in [0, 1) that is not rounded to 1 as f32"
    );
    let mut m = model();
    after(&mut Adam::new(0.1).eps(0.0).betas(0.9, 0.999_999_999), &mut m, 0..1);
}

#[test]
fn a_module_without_leaves_has_a_state_that_can_be_loaded() {
    parameters! { struct Nothing<P> { weight: Option<P> } }
    let (mut adam, mut nothing) = (Adam::<f64>::new(0.1), Nothing { weight: None });
    let none = Nothing { weight: None };
    adam.step(&mut nothing, &none).expect("nothing to change");
    let mut resumed = Adam::new(0.1);
    resumed.load_moments(&adam.moments()).expect("its own state");
    resumed.step(&mut nothing, &none).expect("nothing to change");
    assert_eq!(resumed.moments(), Moments { steps: 2, tensors: Vec::new() });
    // Its state is no state of a module with leaves, whether the resumed optimiser has taken a step or not.
    let mut fresh = Adam::new(0.1);
    fresh.load_moments(&adam.moments()).expect("its own state");
    for mut optimizer in [resumed, fresh] {
        assert_eq!(
            refused(&mut optimizer, &mut model(), &gradient(0)),
            "optimiser: leaf 0 is none of the optimiser's memory and `layers.0.weight` of the parameters; expected the same names"
        );
    }
}

#[test]
fn moments_of_other_leaves_are_refused_in_the_order_of_their_file() {
    parameters! { struct Leaves<P> { a: P, b: P, c: Option<P> } }
    // A name that is no leaf; and fewer leaves than there are.
    for (names, more) in [(["b", "c"], None), (["b", "a"], Some(Tensor::scalar(3.0)))] {
        let leaves = || Leaves { a: Tensor::scalar(1.0), b: Tensor::scalar(2.0), c: more.clone() };
        let moments = |name: &str| [format!("{name}.exp_avg"), format!("{name}.exp_avg_sq")];
        // Of a run that was saved before its first step.
        let tensors = names.into_iter().flat_map(moments).map(|name| (name, Tensor::scalar(0.5))).collect();
        let saved = Moments { steps: 0, tensors };
        let mut adam = Adam::new(0.1);
        adam.load_moments(&saved).expect("whole in itself");
        let error = adam.step(&mut leaves(), &leaves()).expect_err("other leaves").to_string();
        assert_eq!(
            error,
            "optimiser: leaf 0 is `b` of the optimiser's memory and `a` of the parameters; expected the same names"
        );
        assert_eq!(adam.moments(), saved, "a refused step changed something");
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let mut adam = Adam::new(0.1);
    let mut m = model();
    after(&mut adam, &mut m, 0..2);
    let good = adam.moments();
    let mut message = |change: &dyn Fn(&mut Moments<f64>)| {
        let mut state = good.clone();
        change(&mut state);
        let error: rewind_rnn::Error = adam.load_moments(&state).expect_err("this state must be refused");
        assert_eq!(adam.moments(), good, "a refused state changed something");
        error.to_string()
    };
    assert_eq!(
        message(&|s| s.tensors[0].0 = "scale.square_avg".to_owned()),
        "optimiser: the loaded state holds `scale.square_avg`; expected names that end in `.exp_avg` or `.exp_avg_sq`"
    );
    assert_eq!(
        message(&|s| drop(s.tensors.pop())),
        "optimiser: the loaded state lacks `scale.exp_avg_sq`; expected all moments of `scale`"
    );
    assert_eq!(
        message(&|s| s.tensors.push(s.tensors[0].clone())),
        "optimiser: the loaded state holds `layers.0.weight.exp_avg` twice; expected it once"
    );
    assert_eq!(
        message(&|s| s.tensors[0].1 = Tensor::full(&[2, 2], f64::INFINITY)),
        "optimiser: the loaded state is damaged: `layers.0.weight.exp_avg` is inf at [0, 0]; expected finite numbers"
    );
    assert_eq!(
        message(&|s| s.tensors[1].1 = Tensor::zeros(&[3])),
        "optimiser: the loaded state has moments of shapes [2, 2] and [3] for `layers.0.weight`"
    );

    // The next step rejects the moments of another module.
    let mut other = Adam::new(0.1);
    let pruned = Moments { steps: 1, tensors: good.tensors[2..].to_vec() };
    other.load_moments(&pruned).expect("whole in itself");
    assert!(refused(&mut other, &mut m, &gradient(0)).contains("optimiser: leaf 0 is"));
}
