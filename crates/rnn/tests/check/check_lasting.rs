//! The second point of the check of a cell or layer: where the state lasts. Carries that are lost in the gradient, and hidden at the given
//! parameters because the recurrence forgets; states that forget a variable.

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Op, Parameters, Scalar, Site, Tensor, Term, Var, parameters};
use rewind_rnn::check::{self, Invalid, Verdict};
use rewind_rnn::{Cell, Layer, LayerOutputs, Reset, State, Unroll};

use crate::common::{gru, lstm, random, tanh};

/// h_t = a_t∘h_(t-1) + u_t over a whole sequence from 0; a and u `[T, B, H]`. The rule works in blocks.
#[derive(Clone, Copy, Debug)]
struct Scan {
    block: usize,
    /// Whether a block hands on what it gets from the block behind it, and not only what is its own.
    hands_on: bool,
}

impl Op<f64> for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let (a, u) = (inputs[0], inputs[1]);
        let size = u.len() / u.shape()[0];
        let (a, mut h) = (a.to_vec(), u.to_vec());
        for k in size..h.len() {
            h[k] += a[k] * h[k - size];
        }
        Tensor::from_vec(h, u.shape())
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (a, h, c) = (at.input(0), at.output(), at.cotangent());
        let steps = h.shape()[0];
        let nothing = c.index(0, 0) * 0.0;
        // The gradient of h_t with and without that which comes from the next block.
        let (mut whole, mut own) = (nothing, nothing);
        let mut gradients = vec![nothing; steps];
        for t in (0..steps).rev() {
            let next = if t + 1 < steps { a.index(0, t + 1) } else { nothing };
            if (t + 1) % self.block == 0 {
                let handed = if self.hands_on { whole } else { own };
                (whole, own) = (c.index(0, t) + next * handed, c.index(0, t));
            } else {
                (whole, own) = (c.index(0, t) + next * whole, c.index(0, t) + next * own);
            }
            let before = if t > 0 { h.index(0, t - 1) } else { nothing };
            gradients[t] = if input == 0 { whole * before } else { whole };
        }
        Term::Dense(stack(&gradients, 0))
    }
}

parameters! {
    /// h_t = a_t∘h_(t-1) + x_t·w with a_t = sigmoid(x_t·v + bias).
    struct Decaying<P> {
        w: P,
        v: P,
        bias: P,
        #[setting]
        scan: Scan,
    }
}

impl<'t> Layer<'t, f64> for Decaying<Var<'t, f64>> {
    type State = ();
    fn initial_state(&self, _batch: usize) {}
    fn forward(&self, x: Var<'t, f64>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, f64, ()> {
        let x = how.in_order(x);
        let a = x.affine(self.v, Some(self.bias)).sigmoid();
        let h = x.tape().apply(self.scan, &[a, x.affine(self.w, None)]);
        LayerOutputs::new(how.masked(how.in_order(h)), ())
    }
    /// It starts from 0, and cannot go on.
    fn is_causal(&self) -> bool {
        false
    }
}

/// Over blocks of four steps, with gates near sigmoid(`bias`).
fn decaying(hands_on: bool, bias: f64) -> Decaying<Tensor<f64>> {
    let bias = random(&[2], 3).map(|b| 0.1 * b + bias);
    Decaying { w: random(&[3, 2], 1), v: random(&[3, 2], 2), bias, scan: Scan { block: 4, hands_on } }
}

const SIZES: [usize; 3] = [12, 2, 3];

#[test]
fn a_carry_that_blocks_do_not_hand_on_is_seen_where_the_state_lasts_and_not_where_it_decays() {
    let lost = decaying(false, -8.0);
    // Every entry at both orders, at the parameters of the layer alone: the carry decays to 1e-15 within a block.
    let x = random(&SIZES, 4);
    let at_its_own = |layer: &Decaying<Tensor<f64>>| {
        check::module(layer, |tape, layer| Unroll::new().through(layer, tape.constant(x.clone())).outputs)
    };
    at_its_own(&lost).assert();
    assert!(at_its_own(&decaying(false, 1.0)).is_wrong(), "the mistake shows if the gates are open");

    check::layer(&decaying(true, -8.0), SIZES).assert();
    for check in [check::full(), check::fast()] {
        let report = check::layer_with(check, &lost, SIZES);
        assert_eq!(report.points[0].verdict, Verdict::Right, "{report}");
        assert_eq!(report.points[1].verdict, Verdict::Wrong, "{report}");
        let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
        assert_eq!((suspect.op, suspect.scope.as_str()), ("scan", "cell"), "{report}");
        // One step of a third block.
        assert_eq!(report.sizes, Some(vec![9, 1, 3]), "{report}");
        let text = report.to_string();
        assert!(
            text.contains("\n  right at the given parameters\n  WRONG where the state lasts: after 24 steps"),
            "{text}"
        );
    }
}

/// f∘h + n, with a rule that may lose h.
#[derive(Clone, Copy, Debug)]
struct Leak {
    loses: bool,
}

impl<T: Scalar> Op<T> for Leak {
    fn name(&self) -> &'static str {
        "leak"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |f, h| f * h).zip(inputs[2], |a, n| a + n)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let g = at.cotangent();
        match input {
            0 => Term::Dense(g * at.input(1)),
            1 if self.loses => Term::Zero,
            1 => Term::Dense(g * at.input(0)),
            _ => Term::Dense(g),
        }
    }
}

parameters! {
    /// h' = f∘h + (1 - f)∘tanh(x·w) with f = sigmoid(x·v + bias).
    struct Leaky<P> {
        w: P,
        v: P,
        bias: P,
        #[setting]
        leak: Leak,
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Leaky<Var<'t, T>> {
    type State = Var<'t, T>;
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let f = x.affine(self.v, Some(self.bias)).sigmoid();
        let n = f.one_minus() * x.affine(self.w, None).tanh();
        x.tape().apply(self.leak, &[f, h, n])
    }
    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.w.tape().zeros(&[batch, 3])
    }
}

fn narrow<M: Parameters<Tensor<f64>>>(module: &M) -> M::With<Tensor<f32>> {
    module.map(|_, p| Tensor::from_vec(p.to_vec().iter().map(|&x| x as f32).collect(), p.shape()))
}

#[test]
fn single_precision_sees_a_lost_carry_where_the_state_lasts() {
    let leaky = |loses| Leaky {
        w: random(&[2, 3], 1),
        v: random(&[2, 3], 2),
        bias: Tensor::full(&[3], -9.0),
        leak: Leak { loses },
    };
    let fast = check::fast().orders(1);
    check::cell_with::<f32, _>(fast, &narrow(&leaky(false)), [4, 2, 2]).assert();
    let report = check::cell_with::<f32, _>(fast, &narrow(&leaky(true)), [4, 2, 2]);
    assert_eq!(report.points[0].verdict, Verdict::Right, "{report}");
    assert_eq!(report.points[1].verdict, Verdict::Wrong, "{report}");
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(suspect.op, "leak", "{report}");
    assert!(suspect.scope.contains("t=0"), "{report}");
    assert_eq!(report.sizes, Some(vec![1, 1, 2]), "{report}");
}

/// How much of a change of the first state is left, by the name of the point.
fn left(report: &check::Report) -> f64 {
    let name = &report.points.last().unwrap_or_else(|| panic!("{report}")).name;
    let number = name.split(" steps, ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{name}"))
}

/// The module with what has one axis moved: biases that close gates.
fn shifted<M: Parameters<Tensor<f64>, With<Tensor<f64>> = M>>(module: &M, by: f64) -> M {
    module.map(|_, p| if p.rank() == 1 { p.map(|p| p + by) } else { p.clone() })
}

#[test]
fn the_states_of_all_cells_last_at_the_second_point() {
    let after = Reset::AfterProduct;
    for report in [
        check::cell(&tanh(2, 3), [3, 2, 2]),
        check::cell(&lstm(2, 3), [3, 2, 2]),
        check::cell(&gru(2, 3, after), [3, 2, 2]),
        check::cell(&gru(2, 3, Reset::BeforeProduct), [3, 2, 2]),
        check::cell(&shifted(&lstm(2, 3), -3.0), [3, 2, 2]),
        check::cell(&shifted(&gru(2, 3, after), -3.0), [3, 2, 2]),
        check::cell(&tanh(2, 3).map(|_, p| p.map(|p| 0.05 * p)), [3, 2, 2]),
    ] {
        report.assert();
        assert_eq!(report.points.last().map(|point| &point.verdict), Some(&Verdict::Right), "{report}");
        // After 18 steps: of each step, 0.77 at least is left.
        assert!((0.01..20.0).contains(&left(&report)), "{report}");
    }
}

#[test]
fn a_layer_that_takes_no_more_steps_than_were_given_is_checked_with_those() {
    parameters! {
        /// x plus an embedding of the time step: x `[T, B, H]`, embedding `[4, H]`.
        struct Places<P> { embedding: P }
    }
    impl<'t> Layer<'t, f64> for Places<Var<'t, f64>> {
        type State = ();
        fn initial_state(&self, _batch: usize) {}
        fn forward(&self, x: Var<'t, f64>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, f64, ()> {
            let (first, steps) = (how.first_step(), x.shape()[0]);
            let places = self.embedding.slice(0, first..first + steps).unsqueeze(1);
            LayerOutputs::new(how.masked(how.in_order(how.in_order(x) + places)), ())
        }
    }
    let report = check::layer(&Places { embedding: random(&[4, 3], 1) }, [4, 2, 3]);
    report.assert();
    assert!(report.points[1].name.contains("over 4 steps"), "{report}");
}

/// What is wrong with `zip`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Zip {
    Right,
    Forgets,
    Drops,
    Crosses,
}

#[derive(Clone, Copy)]
struct Two<'t> {
    h: Var<'t, f64>,
    c: Var<'t, f64>,
    zip: Zip,
}

impl<'t> State<'t, f64> for Two<'t> {
    fn output(&self) -> Var<'t, f64> {
        self.h
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>) -> Self {
        match self.zip {
            Zip::Right => Two { h: f(self.h, other.h), c: f(self.c, other.c), ..self },
            Zip::Forgets => Two { h: f(self.h, other.h), ..self },
            Zip::Drops => {
                f(self.c, other.c);
                Two { h: f(self.h, other.h), ..self }
            }
            Zip::Crosses => Two { h: f(self.h, other.c), c: f(self.c, other.h), ..self },
        }
    }
}

parameters! {
    /// c' = (c + tanh(x·w))/2, h' = tanh(c'·u).
    struct Paired<P> {
        w: P,
        u: P,
        #[setting]
        zip: Zip,
    }
}

impl<'t> Cell<'t, f64> for Paired<Var<'t, f64>> {
    type State = Two<'t>;
    fn step(&self, x: Var<'t, f64>, state: Two<'t>) -> Two<'t> {
        let c = (state.c + x.matmul(self.w).tanh()) * 0.5;
        Two { h: (c.matmul(self.u) + state.h * 0.3).tanh(), c, zip: self.zip }
    }
    fn initial(&self, batch: usize) -> Two<'t> {
        let zeros = || self.u.tape().zeros(&[batch, 3]);
        Two { h: zeros(), c: zeros(), zip: self.zip }
    }
}

#[test]
fn a_state_that_forgets_a_variable_is_not_called_right() {
    let paired = |zip| Paired { w: random(&[2, 3], 1), u: random(&[3, 3], 2), zip };
    check::cell(&paired(Zip::Right), [3, 2, 2]).assert();
    for (zip, text) in [
        (Zip::Forgets, "State::zip of the cell forgets a variable"),
        (Zip::Drops, "State::zip of the cell forgets a variable"),
        (Zip::Crosses, "State::zip of the cell pairs a variable with another"),
    ] {
        for sizes in [[1, 1, 2], [3, 2, 2]] {
            let report = check::cell(&paired(zip), sizes);
            let Verdict::Invalid(Invalid::Broken(reason)) = &report.verdict else { panic!("{zip:?}: {report}") };
            assert!(reason.starts_with(text), "{zip:?}: {report}");
        }
    }
}
