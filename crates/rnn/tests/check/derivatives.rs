//! Derivatives of every kind against those of PyTorch, and BPTT against forward mode through time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, derive, parameters};
use rewind_rnn::{Cell, Lstm, LstmState, Reset, unroll};
use safetensors::SafeTensors;

use crate::common::{gru, lstm, random, tanh};

parameters! {
    /// tanh(x·w + b)·v.
    struct Mlp<P> { w: P, b: P, v: P }
}

/// One file of the fixtures.
struct Case(BTreeMap<String, Tensor<f64>>);

impl Case {
    fn read(name: &str) -> Case {
        let folder = std::env::var_os("REWIND_DERIVATIVES").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/derivatives"),
            PathBuf::from,
        );
        let path = folder.join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        let tensors = file.iter().map(|(name, view)| {
            let numbers = view.data().chunks_exact(8).map(number).collect();
            (name.to_owned(), Tensor::from_vec(numbers, view.shape()))
        });
        Case(tensors.collect())
    }

    fn tensor(&self, name: &str) -> &Tensor<f64> {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The module whose leaves are `prefix.…`.
    fn module<M: Parameters<(), With<Tensor<f64>> = N>, N>(&self, structure: &M, prefix: &str) -> N {
        structure.map(|name, _| self.tensor(&format!("{prefix}.{name}")).clone())
    }

    /// Every leaf of `found` against `prefix.name`.
    #[track_caller]
    fn assert_module<M: Parameters<Tensor<f64>>>(&self, prefix: &str, found: &M) {
        found.visit(|name, found| {
            let name = format!("{prefix}.{name}");
            assert_close(found, self.tensor(&name), &name);
        });
    }
}

#[track_caller]
fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for (a, b) in found.to_vec().into_iter().zip(expected.to_vec()) {
        assert!((a - b).abs() <= 1e-10 * b.abs().max(1.0), "{what}: {a}, expected {b}");
    }
}

/// The loss of the fixtures.
fn distance<'t>(y: Var<'t, f64>, target: &Tensor<f64>) -> Var<'t, f64> {
    y.squared_error(y.tape().constant(target.clone())).sum()
}

/// Compares everything in a file. `f` is the function of the fixtures, `part` slices one sample of x or of the target.
fn assert_all<M, S, F>(case: &Case, structure: &S, f: F, part: fn(&Tensor<f64>, usize) -> Tensor<f64>, batch: usize)
where
    S: Parameters<(), With<Tensor<f64>> = M>,
    M: Parameters<Tensor<f64>> + Clone,
    F: for<'t> Fn(&'t Tape<f64>, &M::With<Var<'t, f64>>, &Tensor<f64>) -> Var<'t, f64>,
{
    let at = case.module(structure, "at");
    let (x, target) = (case.tensor("in.x"), case.tensor("in.target"));
    let (value, pulled) = derive::vjp(&at, case.tensor("cotangent"), |tape, p| f(tape, p, x));
    assert_close(&value, case.tensor("value"), "value");
    case.assert_module("vjp", &pulled);
    let (value, pushed) = derive::jvp(&at, &case.module(structure, "tangent"), |tape, p| f(tape, p, x));
    assert_close(&value, case.tensor("value"), "value of the jvp");
    assert_close(&pushed, case.tensor("jvp"), "jvp");
    case.assert_module("jacobian", &derive::jacobian(&at, |tape, p| f(tape, p, x)).1);
    case.assert_module("jacobian", &derive::jacobian_forward(&at, |tape, p| f(tape, p, x)).1);

    let direction = case.module(structure, "direction");
    let (value, gradient) = derive::gradient(&at, |tape, p| distance(f(tape, p, x), target));
    assert_close(&Tensor::from_vec(vec![value], &[1]), case.tensor("loss"), "loss");
    case.assert_module("gradient", &gradient);
    let (gradient, product) = derive::hvp(&at, &direction, |tape, p| distance(f(tape, p, x), target));
    case.assert_module("gradient", &gradient);
    case.assert_module("hvp", &product);
    derive::hessian(&at, |tape, p| distance(f(tape, p, x), target))
        .visit(|name, blocks| case.assert_module(&format!("hessian.{name}"), blocks));

    // The third order: the gradient of direction·H·direction.
    let (_, third) = derive::gradient(&at, |tape, p| {
        let wrt: Vec<_> = p.leaves().into_iter().copied().collect();
        let mut scalar = distance(f(tape, p, x), target);
        for _ in 0..2 {
            let terms = scalar.grad(&wrt).into_iter().zip(direction.leaves());
            let terms = terms.map(|(g, d)| (g * tape.constant(d.clone())).sum());
            scalar = terms.reduce(|a, b| a + b).expect("there are leaves");
        }
        scalar
    });
    case.assert_module("third", &third);

    let samples: Vec<_> = (0..batch).map(|b| (part(x, b), part(target, b))).collect();
    let (losses, gradients) = derive::per_sample(&at, &samples, |tape, p, (x, target)| distance(f(tape, p, x), target));
    assert!((losses.iter().sum::<f64>() - case.tensor("loss").item()).abs() < 1e-12);
    case.assert_module("per_sample", &gradients);
}

#[test]
fn a_perceptron_has_the_derivatives_of_pytorch() {
    let case = Case::read("mlp");
    let structure = Mlp { w: (), b: (), v: () };
    fn f<'t>(tape: &'t Tape<f64>, p: &Mlp<Var<'t, f64>>, x: &Tensor<f64>) -> Var<'t, f64> {
        let y = tape.constant(x.clone()).affine(p.w, Some(p.b)).tanh().matmul(p.v.unsqueeze(1));
        y.index(1, 0)
    }
    assert_all(&case, &structure, f, |x, b| x.slice(0, b..b + 1), 3);
}

#[test]
fn an_unrolled_lstm_has_the_derivatives_of_pytorch() {
    let case = Case::read("lstm");
    let structure =
        Lstm { weight_ih: (), weight_hh: (), bias: Some(()), initial_hidden: Some(()), initial_cell: Some(()) };
    fn f<'t>(tape: &'t Tape<f64>, p: &Lstm<Var<'t, f64>>, x: &Tensor<f64>) -> Var<'t, f64> {
        unroll(p, tape.constant(x.clone())).outputs()
    }
    assert_all(&case, &structure, f, |x, b| x.slice(1, b..b + 1), 2);
}

parameters! {
    /// One time step as a function: of the cell, and of the state before it in one tensor.
    struct Step<P, M> {
        #[module]
        cell: M,
        state: P,
    }
}

/// ½·Σ h², a loss at every step; its gradient by real-time recurrent learning (Williams and Zipser 1989), one step at a
/// time and forward only, and by backpropagation through time. `first` and `step` are the cell's own, with the state as
/// one variable; `slope` is the derivative of the loss of a step with respect to that variable.
fn assert_forward_mode_agrees<M, F, S>(module: &M, first: F, step: S, slope: fn(&Tensor<f64>) -> Tensor<f64>)
where
    M: Parameters<Tensor<f64>> + Clone,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
    F: for<'t> Fn(&'t Tape<f64>, &M::With<Var<'t, f64>>, usize) -> Var<'t, f64>,
    S: for<'t> Fn(&M::With<Var<'t, f64>>, Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>,
{
    let (steps, batch) = (5, 2);
    let x = random(&[steps, batch, 3], 30);
    let tape = Tape::new();
    let cell = module.on(&tape);
    let h = unroll(&cell, tape.constant(x.clone())).outputs();
    let expected = ((h * h).sum() * 0.5).backward().of(&cell);

    // ∂s_t/∂θ for every parameter, [elements of s, elements of θ]: of the first state, then step by step.
    let rows = |block: &Tensor<f64>, of: usize| block.reshape(&[of, block.len() / of]);
    let (mut s, direct) = derive::jacobian(module, |tape, cell| first(tape, cell, batch));
    let mut influence: Vec<_> = direct.leaves().into_iter().map(|block| rows(block, s.len())).collect();
    let mut gradient: Vec<_> = module.leaves().into_iter().map(|p| Tensor::zeros(&[1, p.len()])).collect();
    for t in 0..steps {
        let at = Step { cell: module.clone(), state: s };
        let (next, direct) = derive::jacobian(&at, |tape, at| step(&at.cell, tape.constant(x.index(0, t)), at.state));
        let through = rows(&direct.state, next.len());
        for ((influence, direct), gradient) in influence.iter_mut().zip(direct.cell.leaves()).zip(&mut gradient) {
            *influence = through.matmul(influence);
            influence.add_assign(&rows(direct, next.len()));
            gradient.add_assign(&slope(&next).reshape(&[1, next.len()]).matmul(influence));
        }
        s = next;
    }
    for ((name, gradient), expected) in module.names().iter().zip(gradient).zip(expected.leaves()) {
        assert!(expected.norm() > 0.0, "{name} has a gradient");
        assert_close(&gradient.reshape(expected.shape()), expected, name);
    }
}

#[test]
fn forward_mode_through_time_gives_the_gradient_of_bptt() {
    assert_forward_mode_agrees(&tanh(3, 4), |_, cell, b| cell.initial(b), |cell, x, h| cell.step(x, h), Tensor::clone);
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        let gru = gru(3, 4, reset);
        assert_forward_mode_agrees(&gru, |_, cell, b| cell.initial(b), |cell, x, h| cell.step(x, h), Tensor::clone);
    }
    fn flat<'t>(state: LstmState<'t, f64>) -> Var<'t, f64> {
        concat(&[state.hidden, state.cell], 1)
    }
    assert_forward_mode_agrees(
        &lstm(3, 4),
        |_, cell, batch| flat(cell.initial(batch)),
        |cell, x, state| {
            let [hidden, memory] = state.split(1);
            flat(cell.step(x, LstmState { hidden, cell: memory }))
        },
        // The loss depends on h, the first half, and not on c.
        |s| Tensor::from_fn(s.shape(), |i| if i % 8 < 4 { s.to_vec()[i] } else { 0.0 }),
    );
}
