//! The gradient with respect to the states, gates, spectral radii, and the influence of inputs.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_rnn::{Bidirectional, Gru, Linear, Lstm, Noise, Recurrent, TanhRnn, Unroll, Zoneout, lens, unroll};

use super::{random, randomised, rng, step_losses};

const STEPS: usize = 7;

/// Against a sweep that asks for the states by hand.
#[test]
fn the_gradient_of_every_state() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()).with_learned_state(), 5);
    let x = random(&[STEPS, 2, 3], 9);
    let flow = lens::flow(&lstm, |tape, lstm| step_losses(unroll(lstm, tape.constant(x.clone())).outputs()));
    let tape = Tape::new();
    let cell = lstm.on(&tape);
    let run = unroll(&cell, tape.constant(x.clone()));
    let states: Vec<_> = run.states.iter().flat_map(|state| [state.hidden, state.cell]).collect();
    let total = step_losses(run.outputs()).into_iter().reduce(|a, b| a + b).expect("a loss");
    let gradients = total.backward_to(&states);
    assert_eq!(flow.states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), ["h", "c"]);
    for (k, state) in flow.states.iter().enumerate() {
        assert_eq!(state.steps, (0..STEPS).collect::<Vec<_>>());
        for t in 0..STEPS {
            let norm = gradients.get(states[2 * t + k]).norm();
            assert!((state.norms[t] - norm).abs() < 1e-14 && norm > 0.0, "{} {t}", state.name);
        }
        assert!((state.growth()[2] - state.norms[2] / state.norms[3]).abs() < 1e-15);
    }
}

/// Against the definition, gate by gate.
#[test]
fn gates_and_their_saturation() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let lstm = Lstm { weight_ih: lstm.weight_ih.map(|w| 4.0 * w), ..lstm };
    let x = random(&[STEPS, 2, 3], 9);
    let flow = lens::flow(&lstm, |tape, lstm| vec![unroll(lstm, tape.constant(x.clone())).last_output().sum()]);
    let names: Vec<_> = flow.gates.iter().map(|gate| (gate.name.as_str(), gate.activation.as_str())).collect();
    assert_eq!(names, [("f", "sigmoid"), ("g", "tanh"), ("i", "sigmoid"), ("o", "sigmoid")]);
    // The first step reads no state: its gates are functions of x alone.
    let bias = lstm.bias.clone().expect("a bias");
    let gates = x.index(0, 0).matmul(&lstm.weight_ih).zip(&bias.reshape(&[1, 16]).broadcast_to(&[2, 16]), |a, b| a + b);
    for (gate, place) in flow.gates.iter().zip([1, 2, 0, 3]) {
        let own = gates.slice(1, place * 4..place * 4 + 4).to_vec();
        let own: Vec<f64> = own.iter().map(|z| if place == 2 { z.tanh() } else { 1.0 / (1.0 + (-z).exp()) }).collect();
        let saturated = |x: &&f64| if place == 2 { x.abs() > 0.9 } else { **x < 0.1 || **x > 0.9 };
        assert!((gate.mean[0] - own.iter().sum::<f64>() / 8.0).abs() < 1e-12, "{}", gate.name);
        assert_eq!(gate.saturated[0], own.iter().filter(saturated).count() as f64 / 8.0, "{}", gate.name);
        assert_eq!(gate.steps.len(), STEPS);
    }
    assert!(flow.gates.iter().any(|gate| gate.saturated.iter().any(|&share| share > 0.0 && share < 1.0)));
}

#[test]
fn layers_directions_and_recurrent_weights() {
    let rng = &mut rng();
    let stack = (
        Bidirectional::cells(Lstm::<Tensor<f64>>::new(3, 4, rng), Gru::new(3, 5, rng)),
        Recurrent(TanhRnn::new(9, 3, rng)),
        Linear::new(3, 2, rng),
    );
    let stack = randomised(&stack, 5);
    let x = random(&[STEPS, 3, 3], 9);
    let flow = lens::flow(&stack, |tape, stack| {
        step_losses(Unroll::new().lengths(&[7, 3, 5]).through(stack, tape.constant(x.clone())).outputs)
    });
    let states: Vec<_> =
        flow.states.iter().map(|state| (state.name.as_str(), state.backward, state.steps.len())).collect();
    assert_eq!(
        states,
        [("0.forward/h", false, 7), ("0.forward/c", false, 7), ("0.backward/h", true, 7), ("1/h", false, 7)]
    );
    assert_eq!(flow.states[2].steps[0], 6);
    let weights: Vec<_> =
        flow.weights.iter().map(|w| (w.parameter.as_str(), w.gate.as_deref().unwrap_or("-"))).collect();
    assert_eq!(
        weights,
        [
            ("0.forward.weight_hh", "i"),
            ("0.forward.weight_hh", "f"),
            ("0.forward.weight_hh", "g"),
            ("0.forward.weight_hh", "o"),
            ("0.backward.weight_hh", "r"),
            ("0.backward.weight_hh", "z"),
            ("0.backward.weight_hn", "-"),
            ("1.weight_hh", "-"),
        ]
    );
    let own = lens::spectral_radius(&stack.1.0.weight_hh);
    assert_eq!(flow.weights[7].radius, own);
    assert_eq!(flow.weights[1].radius, lens::spectral_radius(&stack.0.forward.0.weight_hh.slice(1, 4..8)));
    let text = flow.to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn one_step_carries_nothing() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x = random(&[1, 2, 3], 9);
    let flow = lens::flow(&rnn, |tape, rnn| vec![unroll(rnn, tape.constant(x.clone())).last_output().sum()]);
    assert!(flow.states.is_empty());
    assert_eq!(flow.to_string(), "no state is carried from one time step to the next\n");
}

#[test]
fn spectral_radii() {
    let close = |found: f64, expected: f64| assert!((found - expected).abs() <= 1e-12 * expected, "{found} {expected}");
    // A cycle: |λ| = 1 for every eigenvalue, on which iterations for eigenvalues may not converge.
    let cycle = Tensor::from_fn(&[7, 7], |k| if (k / 7 + 1) % 7 == k % 7 { 1.0 } else { 0.0 });
    close(lens::spectral_radius(&cycle), 1.0);
    for scale in [1e-300, 1e300] {
        close(lens::spectral_radius(&cycle.map(|x| x * scale)), scale);
    }
    // Triangular: its diagonal, whatever is above.
    let triangular = Tensor::from_fn(&[33, 33], |k| match (k / 33, k % 33) {
        (i, j) if i == j => (i as f64 - 20.0) / 10.0,
        (i, j) if i < j => 0.5,
        _ => 0.0,
    });
    assert!((lens::spectral_radius(&triangular) - 2.0).abs() < 1e-9, "{}", lens::spectral_radius(&triangular));
    assert_eq!(lens::spectral_radius(&Tensor::from_vec(vec![0.0, 1.0, 0.0, 0.0], &[2, 2])), 0.0); // nilpotent
    assert_eq!(lens::spectral_radius(&Tensor::<f64>::zeros(&[0, 0])), 0.0);
    assert_eq!(lens::spectral_radius(&Tensor::from_vec(vec![-0.5_f32], &[1, 1])), 0.5);
    assert!(lens::spectral_radius(&Tensor::from_vec(vec![f64::NAN], &[1, 1])).is_nan());
}

#[test]
#[should_panic(expected = "spectral_radius: shape [2, 8]; expected a square matrix [n, n]")]
fn the_radius_of_no_square() {
    lens::spectral_radius(&Tensor::<f64>::zeros(&[2, 8]));
}

/// Against central differences, of every pair of steps.
#[test]
fn influence_is_the_norm_of_the_jacobian() {
    let both = Bidirectional::cells(TanhRnn::<Tensor<f64>>::new(2, 3, &mut rng()), Lstm::new(2, 2, &mut rng()));
    let both = randomised(&both, 5);
    let x: Tensor<f64> = random(&[4, 2, 2], 9);
    let influence = lens::influence(&both, &x, |_, both, x| Unroll::new().through(both, x).outputs);
    let run = |x: Tensor<f64>| {
        let tape = Tape::quiet();
        Unroll::new().through(&both.on(&tape), tape.constant(x)).outputs.value()
    };
    for t in 0..4 {
        let mut squares = [0.0; 4];
        for k in t * 4..t * 4 + 4 {
            let shifted = |by: f64| run(Tensor::from_fn(x.shape(), |i| x.to_vec()[i] + if i == k { by } else { 0.0 }));
            let slope = shifted(1e-5).zip(&shifted(-1e-5), |a, b| (a - b) / 2e-5);
            (0..4).for_each(|s| squares[s] += slope.index(0, s).norm().powi(2));
        }
        for (s, square) in squares.iter().enumerate() {
            assert!((influence.norms[s][t] - square.sqrt()).abs() < 1e-8, "({s}, {t})");
            assert!(influence.norms[s][t] > 0.0);
        }
    }
    let forward = lens::influence(&both.forward, &x, |_, rnn, x| Unroll::new().through(rnn, x).outputs);
    assert_eq!(forward.norms[1][2], 0.0);
    let printed = forward.to_string();
    let shades: Vec<_> = printed.lines().skip(1).map(|line| line.chars().skip(8).count()).collect();
    assert_eq!(shades, [1, 2, 3, 4], "{printed}"); // a triangle
    assert!(printed.contains('@'));
}

/// Matrices far from normal, whose powers grow long before they fade, and rows and columns of unlike magnitude.
#[test]
fn the_spectral_radius_of_matrices_far_from_normal() {
    for (diagonal, beside) in [(0.5, 1.0), (0.01, 1.0), (0.9, 0.1), (0.9, 1e200)] {
        for n in [1, 2, 12, 33, 100] {
            let element = |i: usize| match (i / n, i % n) {
                (row, column) if row == column => diagonal,
                (row, column) if row + 1 == column => beside,
                _ => 0.0,
            };
            let radius = lens::spectral_radius(&Tensor::<f64>::from_fn(&[n, n], element));
            assert!((radius - diagonal).abs() < 1e-12, "{diagonal}·I + {beside}·shift, n = {n}: {radius}");
        }
    }
    let unlike = Tensor::from_vec(vec![0.0, 1e200, 1e-200, 0.0], &[2, 2]);
    assert!(lens::spectral_radius(&unlike).is_nan(), "no number rather than a wrong one");
}

/// In zoneout a mask chooses between the new state and the old one, in padding another does: the state is what was chosen.
#[test]
fn the_states_of_zoneout() {
    let cell = Zoneout::new(Lstm::<Tensor<f64>>::new(3, 4, &mut rng()), &[0.4, 0.0]);
    let cell = randomised(&cell, 5);
    let (x, noise) = (random(&[STEPS, 3, 3], 9), Noise::draw(&mut rng()));
    for how in [Unroll::new(), Unroll::new().noise(noise), Unroll::new().noise(noise).lengths(&[7, 2, 5])] {
        let flow = lens::flow(&cell, |tape, cell| step_losses(how.run(cell, tape.constant(x.clone())).outputs()));
        let tape = Tape::new();
        let on_tape = cell.on(&tape);
        let run = how.run(&on_tape, tape.constant(x.clone()));
        let total = step_losses(run.outputs()).into_iter().reduce(|a, b| a + b).expect("a loss");
        let states: Vec<_> = run.states.iter().flat_map(|state| [state.hidden, state.cell]).collect();
        let gradients = total.backward_to(&states);
        assert_eq!(flow.states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), ["cell/h", "cell/c"]);
        for (k, state) in flow.states.iter().enumerate() {
            assert_eq!(state.steps, (0..STEPS).collect::<Vec<_>>());
            for t in 0..STEPS {
                let norm = gradients.get(states[2 * t + k]).norm();
                assert!((state.norms[t] - norm).abs() < 1e-14, "{} {t}: {} {norm}", state.name, state.norms[t]);
            }
        }
    }
}

/// One chain of states, through both networks.
#[test]
fn a_decoder_that_goes_on_where_an_encoder_has_ended() {
    let rng = &mut rng();
    let pair = randomised(&(Gru::<Tensor<f64>>::new(3, 4, rng), Gru::<Tensor<f64>>::new(2, 4, rng)), 5);
    let (source, target) = (random(&[3, 2, 3], 9), random(&[4, 2, 2], 8));
    let read = |step: usize| {
        let (source, target) = (source.clone(), target.clone());
        lens::flow(&pair, move |tape, (encoder, decoder)| {
            let last = unroll(encoder, tape.constant(source)).last;
            let how = Unroll::new().from_step(step).lengths(&[4, 2]);
            let decoded = how.run_from(decoder, tape.constant(target), last);
            step_losses(decoded.outputs())
        })
    };
    let flow = read(3);
    let names: Vec<_> = flow.states.iter().map(|state| (state.name.as_str(), state.steps.clone())).collect();
    assert_eq!(names, [("0/h", vec![0, 1, 2]), ("1/h", vec![3, 4, 5, 6])]);
    let weights: Vec<_> = flow.weights.iter().map(|weight| weight.parameter.as_str()).collect();
    assert_eq!(weights, ["0.weight_hh", "0.weight_hh", "0.weight_hn", "1.weight_hh", "1.weight_hh", "1.weight_hn"]);
    let tape = Tape::new();
    let (encoder, decoder) = pair.on(&tape);
    let encoded = unroll(&encoder, tape.constant(source.clone()));
    let decoded = Unroll::new().lengths(&[4, 2]).run_from(&decoder, tape.constant(target.clone()), encoded.last);
    let total = step_losses(decoded.outputs()).into_iter().reduce(|a, b| a + b).expect("a loss");
    let states: Vec<_> = encoded.states.iter().chain(&decoded.states).copied().collect();
    let gradients = total.backward_to(&states);
    let norms = flow.states.iter().flat_map(|state| &state.norms);
    for (norm, state) in norms.zip(states) {
        assert!((norm - gradients.get(state).norm()).abs() < 1e-14);
    }
    let anew = std::panic::catch_unwind(|| read(0)).expect_err("both networks count from 0");
    let told = anew.downcast_ref::<String>().expect("a message");
    assert!(told.contains("numbers its steps on"), "{told}");
}

#[test]
#[should_panic(
    expected = "hidden in a checkpoint; expected a tape that has recorded all steps, such as that of an unrolling without segments"
)]
fn states_in_segments() {
    let rnn = Recurrent(randomised(&TanhRnn::<Tensor<f64>>::new(3, 4, &mut rng()), 5));
    let x = random(&[STEPS, 2, 3], 9);
    lens::flow(&rnn, |tape, on_tape| {
        let x = tape.constant(x.clone());
        vec![Unroll::new().through_in_segments(3, &rnn, on_tape, x, |_, _, outputs| outputs.square().sum()).loss()]
    });
}
