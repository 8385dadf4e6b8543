//! Derivatives of every kind: products, matrices, higher orders, per-sample gradients, cotangents, and the first NaN.
//!
//! `cargo run --example 07_derivatives`

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, derive, parameters};
use rewind_rnn::{Linear, TanhRnn, init, unroll};

parameters! {
    /// A tanh-RNN and its readout.
    struct Model<P> { rnn: TanhRnn<P>, readout: Linear<P> }
}

/// The mean squared error of the last output of `model` over x `[T, B, I]`; target `[B, 1]`.
fn loss<'t>(model: &Model<Var<'t, f64>>, x: &Tensor<f64>, target: &Tensor<f64>) -> Var<'t, f64> {
    let tape = model.rnn.weight_hh.tape();
    let last = unroll(&model.rnn, tape.constant(x.clone())).last_output();
    model.readout.forward(last).squared_error(tape.constant(target.clone())).mean()
}

/// y = tanh(x·w): x `[I]`, w `[I, O]`, y `[O]`.
fn layer<'t>(x: Var<'t, f64>, w: Var<'t, f64>) -> Var<'t, f64> {
    x.unsqueeze(0).matmul(w).tanh().index(0, 0)
}

/// Functions of arrays: each derivative in one call.
fn of_arrays() {
    let x = Tensor::from_vec(vec![0.5, -1.0], &[2]);
    let w = Tensor::from_vec(vec![1.0, -0.5, 0.3, 0.4, 0.2, -0.6], &[2, 3]);
    let at = [x, w];

    // J has one block for x [3, 2] and one for w [3, 2, 3].
    let (y, [to_x, to_w]) = derive::jacobian(&at, |_, &[x, w]| layer(x, w));
    println!("y {:.3?}; blocks of J {:?} and {:?}", y.to_vec(), to_x.shape(), to_w.shape());

    let cotangent = Tensor::from_vec(vec![1.0, 0.0, -1.0], &[3]);
    let (_, [back, _]) = derive::vjp(&at, &cotangent, |_, &[x, w]| layer(x, w));
    println!("vjp: ȳ·J = {:.5?}, from J {:.5?}", back.to_vec(), cotangent.reshape(&[1, 3]).matmul(&to_x).to_vec());

    let tangent = [Tensor::from_vec(vec![1.0, 2.0], &[2]), Tensor::zeros(&[2, 3])];
    let (_, forward) = derive::jvp(&at, &tangent, |_, &[x, w]| layer(x, w));
    println!("jvp: J·ẋ = {:.5?}, from J {:.5?}", forward.to_vec(), to_x.matmul(&tangent[0].reshape(&[2, 1])).to_vec());

    // The third derivative of x⁵ is 60x²: the Hessian of a function that takes a gradient itself.
    let [[third]] = derive::hessian(&[Tensor::scalar(2.0)], |_, &[x]| x.powf(5.0).grad(&[x])[0]);
    println!("third derivative of x⁵ at 2: {:.1}", third.item());
}

/// Functions of modules: results with the shape of the parameters are modules.
fn of_modules(model: &Model<Tensor<f64>>, x: &Tensor<f64>, target: &Tensor<f64>) {
    let (value, gradient) = derive::gradient(model, |_, model| loss(model, x, target));
    println!("\nloss {value:.6}, norm of its gradient to rnn.weight_hh {:.6}", gradient.rnn.weight_hh.norm());

    // The curvature along the gradient, gᵀ·H·g / gᵀ·g, without H: it limits the length of a step.
    let (g, product) = derive::hvp(model, &gradient, |_, model| loss(model, x, target));
    let dot = |a: &Model<Tensor<f64>>, b: &Model<Tensor<f64>>| -> f64 {
        a.leaves().iter().zip(b.leaves()).map(|(a, b)| a.zip(b, |a, b| a * b).sum()).sum()
    };
    println!("curvature along the gradient {:.6}", dot(&g, &product) / dot(&g, &g));

    let hessian = derive::hessian(model, |_, model| loss(model, x, target));
    let block = &hessian.rnn.weight_hh.readout.weight;
    println!("∂²loss / ∂weight_hh ∂readout: {:?}, norm {:.6}", block.shape(), block.norm());

    // One gradient for every sequence of the batch.
    let samples: Vec<_> = (0..4).map(|b| (x.slice(1, b..b + 1), target.slice(0, b..b + 1))).collect();
    let (losses, gradients) = derive::per_sample(model, &samples, |_, model, (x, target)| loss(model, x, target));
    for (b, own) in losses.iter().enumerate() {
        println!("sequence {b}: loss {own:.4}, norm of its gradient {:.4}", gradients.rnn.weight_hh.index(0, b).norm());
    }
}

/// The cotangents of a backward pass through time: watched, changed and stopped.
fn cotangents(model: &Model<Tensor<f64>>, x: &Tensor<f64>) {
    let tape = Tape::new();
    let on_tape = model.on(&tape);
    let unrolled = unroll(&on_tape.rnn, tape.constant(x.clone()));
    let result = unrolled.last_output().sum();

    println!("\nnode               scope     norm of its cotangent");
    result.backward_watched(|v, cotangent| {
        let node = tape.node(v.position());
        if node.name == "tanh" {
            println!("#{:<4} {:<12} {:<9} {:.6}", node.index, node.name, node.scope, cotangent.norm());
        }
    });

    // Clamped to ±0.01 at h: a hook that computes is an op.
    let h = unrolled.states[2].map_cotangent(|cotangent| cotangent.clamp(-0.01, 0.01));
    let clipped = h.tanh().sum().backward_to(&[unrolled.states[2]]).get(unrolled.states[2]);
    println!("clipped in flight: {:?}", clipped.slice(0, 0..1).to_vec());

    // Truncated in time: nothing flows back through a detached state.
    let cut = (unrolled.states[2].detach() * 2.0).sum();
    println!("through a detached state a gradient flows: {}", cut.is_tracked());

    // A quiet tape computes the same values and records no op.
    let quiet = Tape::quiet();
    let same = unroll(&model.on(&quiet).rnn, quiet.constant(x.clone())).last_output().sum();
    let ops = |tape: &Tape<f64>| (0..tape.len()).filter(|&i| !tape.node(i).inputs.is_empty()).count();
    println!("recorded ops: {}; on a quiet tape {}", ops(&tape), ops(&quiet));
    assert_eq!(same.value(), result.value());
}

/// The first nonfinite element, and the values that led to it.
fn first_nan(x: &Tensor<f64>) {
    let tape = Tape::new();
    let w = tape.parameter("decoder.gain", Tensor::scalar(-40.0));
    let mut h = tape.constant(x.index(0, 0));
    for t in 0..400 {
        let _step = tape.numbered_scope("t", t);
        h = h * w + 1.0;
    }
    let loss = (h.exp() / h.exp().sum()).sum();
    println!("\nloss {}", loss.value().item());
    if let Some(report) = loss.find_nonfinite() {
        println!("{report}");
    }
}

/// A finite value with an infinite derivative: a norm at 0.
fn first_nan_of_the_sweep() {
    let tape = Tape::new();
    let h = tape.leaf(Tensor::from_vec(vec![0.0, 0.0], &[2]));
    let norm = (h * h).sum().sqrt();
    println!("\nnorm {}, its gradient {:?}", norm.value().item(), norm.backward().get(h).to_vec());
    if let Some(report) = norm.find_nonfinite() {
        println!("{report}");
    }
}

fn main() {
    of_arrays();
    let rng = &mut StdRng::seed_from_u64(1);
    let model = Model { rnn: TanhRnn::<Tensor<f64>>::new(2, 3, rng), readout: Linear::new(3, 1, rng) };
    let x = init::uniform(&[5, 4, 2], 1.0, rng); // T = 5, B = 4, I = 2
    let target = init::uniform(&[4, 1], 1.0, rng);
    of_modules(&model, &x, &target);
    cotangents(&model, &x);
    first_nan(&x);
    first_nan_of_the_sweep();
}
