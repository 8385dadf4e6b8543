//! Every cell over several time steps against its equations in plain loops over numbers, and against central differences.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Module, OnTape, Parameters, Tape, Tensor, Var};
use rewind_rnn::{Cell, CoupledLstm, Gru, IndRnn, LayerNormLstm, Lstm, Mgu, PeepholeLstm, ProjectedLstm, ReluRnn};
use rewind_rnn::{State, TanhRnn, Unroll, check};

use crate::common::{random, randomised};

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// A cell of every kind, all parameters and first states random.
macro_rules! made {
    ($cell:ident, $($size:expr),+) => {
        randomised(&$cell::new($($size,)+ &mut rng()).with_learned_state(), 7)
    };
}
pub(crate) use made;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// x·w for one row.
fn product(x: &[f64], w: &Tensor<f64>) -> Vec<f64> {
    let &[rows, columns] = w.shape() else { panic!("a weight is a matrix") };
    assert_eq!(rows, x.len());
    (0..columns).map(|j| (0..rows).map(|k| x[k] * w.at(&[k, j])).sum()).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// x·w + h·u + b.
fn affine(x: &[f64], w: &Tensor<f64>, h: &[f64], u: &Tensor<f64>, b: &Option<Tensor<f64>>) -> Vec<f64> {
    let products = sum(&product(x, w), &product(h, u));
    b.as_ref().map_or(products.clone(), |b| sum(&products, &b.to_vec()))
}

/// (a - mean)/√(variance + ε)·gain + bias.
fn norm(a: &[f64], gain: &Tensor<f64>, bias: &Tensor<f64>, epsilon: f64) -> Vec<f64> {
    let n = a.len() as f64;
    let mean = a.iter().sum::<f64>() / n;
    let variance = a.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / n;
    (0..a.len()).map(|j| (a[j] - mean) / (variance + epsilon).sqrt() * gain.at(&[j]) + bias.at(&[j])).collect()
}

/// The parts of a state.
pub(crate) fn parts<'t, S: State<'t, f64>>(state: &S) -> Vec<Tensor<f64>> {
    let mut parts = Vec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part.value());
        part
    });
    parts
}

const STEPS: usize = 4;
const BATCH: usize = 2;

/// The outputs of a cell of one precision, from its learned first state.
fn outputs<T: rewind_autograd::Scalar, M: Module<T>>(module: &M, x: &Tensor<f64>) -> Vec<f64>
where
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    let tape = Tape::new();
    let x = tape.constant(Tensor::from_vec(x.to_vec().into_iter().map(T::from_f64).collect(), x.shape()));
    Unroll::new().run(&module.on(&tape), x).outputs().value().to_vec().into_iter().map(T::to_f64).collect()
}

/// Unrolls `module` over a sequence, and `step` over the same numbers: one row x and the parts of the state to the next parts. Then
/// checks gradients, and outputs in single precision.
fn assert_is<M>(module: &M, inputs: usize, step: impl Fn(&[f64], &[Vec<f64>]) -> Vec<Vec<f64>>)
where
    M: Module<f64> + Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
    M::With<Tensor<f32>>: Module<f32>,
    for<'t> <M::With<Tensor<f32>> as Parameters<Tensor<f32>>>::With<Var<'t, f32>>: Cell<'t, f32>,
{
    let x = random(&[STEPS, BATCH, inputs], 5);
    let tape = Tape::new();
    let cell = module.on(&tape);
    let unrolled = Unroll::new().run(&cell, tape.constant(x.clone()));
    let first = parts(&cell.initial(BATCH));
    assert!(first.iter().all(|part| part.to_vec().iter().any(|&h| h != 0.0)), "first states are not zero");
    for b in 0..BATCH {
        let mut state: Vec<_> = first.iter().map(|part| part.index(0, b).to_vec()).collect();
        for t in 0..STEPS {
            state = step(&x.index(0, t).index(0, b).to_vec(), &state);
            let ours = parts(&unrolled.states[t]);
            assert_eq!(ours.len(), state.len());
            for (ours, by_hand) in ours.iter().zip(&state) {
                let ours = ours.index(0, b).to_vec();
                assert_eq!(ours.len(), by_hand.len());
                for (j, (a, e)) in ours.iter().zip(by_hand).enumerate() {
                    assert!(
                        (a - e).abs() <= 1e-12 * e.abs().max(1.0),
                        "t={t}, sequence {b}, unit {j}: {a}, by hand {e}"
                    );
                }
            }
        }
    }
    let narrow = module.map(|_, p| Tensor::from_vec(p.to_vec().iter().map(|&p| p as f32).collect(), p.shape()));
    let (wide, narrow) = (outputs::<f64, _>(module, &x), outputs::<f32, _>(&narrow, &x));
    let largest = wide.iter().fold(1.0_f64, |largest, y| largest.max(y.abs()));
    for (a, e) in narrow.iter().zip(&wide) {
        assert!((a - e).abs() <= 1e-5 * largest, "{a} in f32, {e} in f64");
    }
}

/// Calls the body with every pair of sizes I and H.
fn at_sizes(f: impl Fn(usize, usize)) {
    for (inputs, hidden) in [(1, 1), (3, 1), (1, 7), (7, 33)] {
        f(inputs, hidden);
    }
}

#[test]
fn tanh_rnn() {
    at_sizes(|inputs, hidden| {
        let m = made!(TanhRnn, inputs, hidden);
        assert_is(&m, inputs, |x, s| {
            vec![affine(x, &m.weight_ih, &s[0], &m.weight_hh, &m.bias).into_iter().map(f64::tanh).collect()]
        });
    });
}

#[test]
fn relu_rnn() {
    at_sizes(|inputs, hidden| {
        for bias in [true, false] {
            let mut m = made!(ReluRnn, inputs, hidden);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                vec![affine(x, &m.weight_ih, &s[0], &m.weight_hh, &m.bias).into_iter().map(|a| a.max(0.0)).collect()]
            });
        }
    });
}

#[test]
fn ind_rnn() {
    at_sizes(|inputs, hidden| {
        for bias in [true, false] {
            let mut m = made!(IndRnn, inputs, hidden);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                let b = |j: usize| m.bias.as_ref().map_or(0.0, |b| b.at(&[j]));
                let a = product(x, &m.weight_ih);
                vec![(0..hidden).map(|j| (a[j] + m.weight_hh.at(&[j]) * s[0][j] + b(j)).max(0.0)).collect()]
            });
        }
    });
}

#[test]
fn mgu() {
    at_sizes(|inputs, hidden| {
        for bias in [true, false] {
            let mut m = made!(Mgu, inputs, hidden);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                let b = |j: usize| m.bias.as_ref().map_or(0.0, |b| b.at(&[j]));
                let (a, h) = (product(x, &m.weight_ih), &s[0]);
                let u = product(h, &m.weight_hh);
                let f: Vec<_> = (0..hidden).map(|j| sigmoid(a[j] + u[j] + b(j))).collect();
                let u = product(&(0..hidden).map(|j| f[j] * h[j]).collect::<Vec<_>>(), &m.weight_hn);
                let n: Vec<_> = (0..hidden).map(|j| (a[hidden + j] + u[j] + b(hidden + j)).tanh()).collect();
                vec![(0..hidden).map(|j| (1.0 - f[j]) * h[j] + f[j] * n[j]).collect()]
            });
        }
    });
}

/// The two parts of a state from those of every unit.
fn units(hidden: usize, unit: impl Fn(usize) -> (f64, f64)) -> Vec<Vec<f64>> {
    let (h, c): (Vec<_>, Vec<_>) = (0..hidden).map(unit).unzip();
    vec![h, c]
}

#[test]
fn peephole_lstm() {
    at_sizes(|inputs, n| {
        for bias in [true, false] {
            let mut m = made!(PeepholeLstm, inputs, n);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                let a = affine(x, &m.weight_ih, &s[0], &m.weight_hh, &m.bias);
                units(n, |j| {
                    let i = sigmoid(a[j] + m.peephole_i.at(&[j]) * s[1][j]);
                    let f = sigmoid(a[n + j] + m.peephole_f.at(&[j]) * s[1][j]);
                    let c = f * s[1][j] + i * a[2 * n + j].tanh();
                    (sigmoid(a[3 * n + j] + m.peephole_o.at(&[j]) * c) * c.tanh(), c)
                })
            });
        }
    });
}

#[test]
fn coupled_lstm() {
    at_sizes(|inputs, n| {
        for bias in [true, false] {
            let mut m = made!(CoupledLstm, inputs, n);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                let a = affine(x, &m.weight_ih, &s[0], &m.weight_hh, &m.bias);
                units(n, |j| {
                    let f = sigmoid(a[j]);
                    let c = f * s[1][j] + (1.0 - f) * a[n + j].tanh();
                    (sigmoid(a[2 * n + j]) * c.tanh(), c)
                })
            });
        }
    });
}

#[test]
fn layer_norm_lstm() {
    at_sizes(|inputs, n| {
        for epsilon in [1e-5, 0.5] {
            let mut m = made!(LayerNormLstm, inputs, n);
            m.epsilon = epsilon;
            assert_is(&m, inputs, |x, s| {
                let a = sum(
                    &norm(&product(x, &m.weight_ih), &m.gain_ih, &m.bias_ih, epsilon),
                    &norm(&product(&s[0], &m.weight_hh), &m.gain_hh, &m.bias_hh, epsilon),
                );
                let cell = |j: usize| sigmoid(a[n + j]) * s[1][j] + sigmoid(a[j]) * a[2 * n + j].tanh();
                let c: Vec<_> = (0..n).map(cell).collect();
                let normalised = norm(&c, &m.gain_cell, &m.bias_cell, epsilon);
                units(n, |j| (sigmoid(a[3 * n + j]) * normalised[j].tanh(), c[j]))
            });
        }
    });
}

#[test]
fn projected_lstm() {
    for (inputs, n, projected) in [(1, 1, 1), (3, 7, 2), (2, 1, 3), (7, 33, 7)] {
        for bias in [true, false] {
            let mut m = made!(ProjectedLstm, inputs, n, projected);
            m.bias = m.bias.filter(|_| bias);
            assert_is(&m, inputs, |x, s| {
                let a = affine(x, &m.weight_ih, &s[0], &m.weight_hh, &m.bias);
                let cell = |j: usize| sigmoid(a[n + j]) * s[1][j] + sigmoid(a[j]) * a[2 * n + j].tanh();
                let c: Vec<_> = (0..n).map(cell).collect();
                let h: Vec<_> = (0..n).map(|j| sigmoid(a[3 * n + j]) * c[j].tanh()).collect();
                vec![product(&h, &m.weight_hr), c]
            });
        }
    }
}

#[test]
fn gradients_agree_with_differences_at_both_orders() {
    for sizes in [[4, 3, 2], [1, 1, 2], [3, 1, 2]] {
        check::cell(&made!(ReluRnn, 2, 3), sizes).assert();
        check::cell(&made!(IndRnn, 2, 3), sizes).assert();
        check::cell(&made!(Mgu, 2, 3), sizes).assert();
        check::cell(&made!(PeepholeLstm, 2, 3), sizes).assert();
        check::cell(&made!(CoupledLstm, 2, 3), sizes).assert();
        check::cell(&made!(LayerNormLstm, 2, 3), sizes).assert();
        check::cell(&made!(ProjectedLstm, 2, 3, 2), sizes).assert();
    }
}

#[test]
fn gradients_of_cells_without_biases_are_right_too() {
    let sizes = [3, 2, 2];
    check::cell(&ReluRnn { bias: None, ..made!(ReluRnn, 2, 3) }, sizes).assert();
    check::cell(&IndRnn { bias: None, ..made!(IndRnn, 2, 3) }, sizes).assert();
    check::cell(&Mgu { bias: None, ..made!(Mgu, 2, 3) }, sizes).assert();
    check::cell(&PeepholeLstm { bias: None, ..made!(PeepholeLstm, 2, 3) }, sizes).assert();
    check::cell(&CoupledLstm { bias: None, ..made!(CoupledLstm, 2, 3) }, sizes).assert();
    check::cell(&ProjectedLstm { bias: None, ..made!(ProjectedLstm, 2, 3, 2) }, sizes).assert();
}

#[test]
fn new_cells_have_the_initial_values_of_their_papers() {
    let irnn = ReluRnn::<Tensor<f64>>::identity(50, 20, &mut rng());
    assert_eq!(irnn.weight_hh, Tensor::from_fn(&[20, 20], |i| if i % 21 == 0 { 1.0 } else { 0.0 }));
    assert_eq!(irnn.bias, Some(Tensor::zeros(&[20])));
    let deviation = (irnn.weight_ih.to_vec().iter().map(|w| w * w).sum::<f64>() / 1000.0).sqrt();
    assert!((deviation - 0.001).abs() < 1e-4, "{deviation}");

    let u = IndRnn::<Tensor<f64>>::new(2, 1000, &mut rng()).weight_hh.to_vec();
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    assert!((u.iter().sum::<f64>() / 1000.0 - 0.5).abs() < 0.05);

    let norm = LayerNormLstm::<Tensor<f64>>::new(2, 3, &mut rng());
    assert_eq!([norm.gain_ih, norm.gain_hh], [(); 2].map(|()| Tensor::full(&[12], 1.0)));
    assert_eq!([norm.bias_ih, norm.bias_hh], [(); 2].map(|()| Tensor::zeros(&[12])));
    assert_eq!((norm.gain_cell, norm.bias_cell), (Tensor::full(&[3], 1.0), Tensor::zeros(&[3])));
}

/// The names of gates in the second of two time steps.
fn gates<M: Module<f64>>(module: &M) -> Vec<String>
where
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let tape = Tape::new();
    let cell = module.on(&tape);
    Unroll::new().run(&cell, tape.constant(random(&[2, 2, 3], 3)));
    let scopes = (0..tape.len()).map(|at| tape.node(at).scope);
    let mut names: Vec<_> = scopes.filter_map(|scope| scope.strip_prefix("t=1/").map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn nodes_know_their_gate() {
    assert_eq!(gates(&made!(Mgu, 3, 2)), ["f", "n"]);
    assert_eq!(gates(&made!(PeepholeLstm, 3, 2)), ["f", "g", "i", "o"]);
    assert_eq!(gates(&made!(CoupledLstm, 3, 2)), ["f", "g", "o"]);
    assert_eq!(gates(&made!(LayerNormLstm, 3, 2)), ["f", "g", "i", "o"]);
    assert_eq!(gates(&made!(ProjectedLstm, 3, 2, 2)), ["f", "g", "i", "o"]);
    assert_eq!(gates(&made!(Lstm, 3, 2).with_heads(2, &mut rng())), ["f", "g", "i", "o"]);
    assert_eq!(gates(&made!(Gru, 3, 2).with_heads(2, &mut rng())), ["n", "r", "z"]);
}
