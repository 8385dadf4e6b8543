//! The gradient check of cells: right ones pass, and of wrong ones the op or the line is named.

use rewind_autograd::{Op, Parameters, Scalar, Site, Tensor, Term, Var, parameters};
use rewind_rnn::check::{self, Culprit, Doubt, Pattern, Verdict};
use rewind_rnn::{Cell, Reset};

use crate::common::{gru, lstm, random, tanh};

#[test]
fn cells_of_the_library_are_right_with_padding_and_states_that_are_not_zero() {
    for sizes in [[4, 3, 2], [1, 1, 2], [3, 1, 2]] {
        check::cell(&tanh(2, 3), sizes).assert();
        check::cell(&lstm(2, 3), sizes).assert();
        check::cell(&gru(2, 3, Reset::AfterProduct), sizes).assert();
        check::cell(&gru(2, 3, Reset::BeforeProduct), sizes).assert();
    }
}

#[test]
fn every_entry_of_parameters_inputs_and_states_is_checked() {
    let report = check::cell(&lstm(3, 4), [4, 2, 3]);
    // Weights and bias, learned h_0 and c_0, x, and the values added to h_0 and c_0; twice.
    let entries = (3 * 16 + 4 * 16 + 16) + 2 * 4 + 4 * 2 * 3 + 2 * (2 * 4);
    assert_eq!((report.entries, report.checked), (2 * entries, 2 * entries), "{report}");
}

fn narrow<M: Parameters<Tensor<f64>>>(module: &M) -> M::With<Tensor<f32>> {
    module.map(|_, p| Tensor::from_vec(p.to_vec().iter().map(|&x| x as f32).collect(), p.shape()))
}

#[test]
fn a_few_directions_suffice_and_single_precision_does() {
    check::cell_with(check::fast(), &lstm(3, 4), [8, 2, 3]).assert();
    check::cell_with(check::fast().orders(2), &gru(3, 4, Reset::AfterProduct), [8, 2, 3]).assert();
    let report = check::cell_with(check::full().orders(1), &narrow(&tanh(2, 3)), [3, 2, 2]);
    assert_eq!(report.precision, "f32");
    report.assert();
}

#[test]
fn what_single_precision_cannot_tell_of_a_smooth_cell_is_rounding() {
    let (lstm, gru) = (narrow(&lstm(2, 3)), narrow(&gru(2, 3, Reset::AfterProduct)));
    for (steps, order) in [(8, 1), (8, 2), (40, 1), (40, 2)] {
        let full = check::full().orders(order);
        for report in [check::cell_with(full, &lstm, [steps, 2, 2]), check::cell_with(full, &gru, [steps, 2, 2])] {
            let rounding = report.verdict == Verdict::CannotTell(Doubt::Rounding);
            assert!(rounding || report.passed(), "{steps} steps: {report}");
            assert!(report.fraction() > 0.85, "{steps} steps: {report}");
        }
        check::cell_with(check::fast(), &lstm, [steps, 2, 2]).assert();
        check::cell_with(check::fast(), &gru, [steps, 2, 2]).assert();
    }
}

#[test]
fn an_unstable_cell_is_not_called_wrong() {
    // Large weights: h' = tanh(x·W + h·U) becomes unstable within a few dozen steps.
    let wild = tanh(2, 6).map(|_, p| p.map(|x| 8.0 * x));
    for steps in [10, 40, 80] {
        for check in [check::full().orders(1), check::fast()] {
            let report = check::cell_with(check, &wild, [steps, 1, 2]);
            assert!(!report.is_wrong(), "{steps} steps: {report}");
        }
    }
}

#[test]
#[should_panic(expected = "check::cell: sizes [3, 0, 2] for [T, B, I]")]
fn no_sequence() {
    let _ = check::cell(&tanh(2, 3), [3, 0, 2]);
}

/// tanh, whose rule can be wrong.
#[derive(Clone, Copy, Debug)]
enum Squash {
    Right,
    /// Without the factor 1 - y².
    Straight,
    Negated,
    /// With values taken off the tape.
    Frozen,
    /// Too large by a factor of B.
    TimesBatch,
}

impl<T: Scalar> Op<T> for Squash {
    fn name(&self) -> &'static str {
        "squash"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(T::tanh)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g) = (at.output(), at.cotangent());
        Term::Dense(match self {
            Squash::Right => g * (y * y).one_minus(),
            Squash::Straight => g,
            Squash::Negated => -(g * (y * y).one_minus()),
            Squash::Frozen => g * (y * y).one_minus().detach(),
            Squash::TimesBatch => g * (y * y).one_minus() * T::from_f64(y.shape()[0] as f64),
        })
    }
}

/// What a cell does wrong outside its ops.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leak {
    None,
    /// The state is read without its past.
    DetachedState,
    /// The gate is read without its past.
    DetachedGate,
}

parameters! {
    /// h' = h + f∘(n - h) with f = sigmoid(x·W + h·U), n = squash(x·V + h·R).
    struct Gated<P> {
        w: P,
        u: P,
        v: P,
        r: P,
        #[setting]
        squash: Squash,
        #[setting]
        leak: Leak,
    }
}

impl<'t> Cell<'t, f64> for Gated<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        let past = if self.leak == Leak::DetachedState { h.detach() } else { h };
        let f = (x.matmul(self.w) + past.matmul(self.u)).sigmoid();
        let f = if self.leak == Leak::DetachedGate { f.detach() } else { f };
        let n = x.tape().apply(self.squash, &[x.matmul(self.v) + h.matmul(self.r)]);
        h + f * (n - h)
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, self.u.shape()[0]])
    }
}

fn gated(squash: Squash, leak: Leak) -> Gated<Tensor<f64>> {
    let [w, v] = [1, 2].map(|seed| random(&[2, 3], seed));
    let [u, r] = [3, 4].map(|seed| random(&[3, 3], seed));
    Gated { w, u, v, r, squash, leak }
}

#[test]
fn the_op_at_fault_is_named_with_its_pattern() {
    check::cell(&gated(Squash::Right, Leak::None), [3, 2, 2]).assert();
    for (squash, order, pattern) in
        [(Squash::Straight, 1, None), (Squash::Negated, 1, Some(Pattern::Sign)), (Squash::Frozen, 2, None)]
    {
        let report = check::cell(&gated(squash, Leak::None), [3, 2, 2]);
        let suspect = report.suspect().unwrap_or_else(|| panic!("{squash:?}: {report}"));
        assert_eq!((suspect.op, suspect.nodes), ("squash", 3), "{squash:?}: {report}");
        assert!(suspect.location.file().ends_with("check_cells.rs"), "{report}");
        assert_eq!(report.worst.as_ref().map(|worst| worst.order), Some(order), "{squash:?}: {report}");
        if pattern.is_some() {
            assert_eq!(suspect.pattern, pattern, "{report}");
        }
    }
    // `Straight` has an extra term, ȳ·y².
    let report = check::cell(&gated(Squash::Straight, Leak::None), [3, 2, 2]);
    let pattern = report.suspect().and_then(|suspect| suspect.pattern.clone());
    assert!(
        matches!(&pattern, Some(Pattern::Term { factor, product }) if (factor + 1.0).abs() < 1e-6 && product == "ȳ·y·y"),
        "{report}"
    );
}

#[test]
fn the_line_where_the_past_is_cut_off_is_named() {
    let lines: Vec<&str> = include_str!("check_cells.rs").lines().collect();
    for (leak, text) in [(Leak::DetachedState, "h.detach()"), (Leak::DetachedGate, "f.detach()")] {
        let report = check::cell(&gated(Squash::Right, leak), [3, 2, 2]);
        assert_eq!(report.verdict, Verdict::Wrong, "{report}");
        let Some(Culprit::OffTape(off)) = &report.culprit else { panic!("{report}") };
        assert!(lines[off.location.line() as usize - 1].contains(text), "{report}");
    }
}

parameters! {
    /// A cell with a parameter that its step forgets.
    struct Forgetful<P> {
        cell: Gated<P>,
        forgotten: P,
    }
}

impl<'t> Cell<'t, f64> for Forgetful<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        self.cell.step(x, h)
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.cell.initial(batch)
    }
}

#[test]
fn a_parameter_that_nobody_reads_is_not_called_right() {
    let cell = Forgetful { cell: gated(Squash::Right, Leak::None), forgotten: random(&[3], 9) };
    let report = check::cell(&cell, [3, 2, 2]);
    assert_eq!(report.verdict, Verdict::CannotTell(Doubt::IgnoresInput("cell.forgotten".to_owned())), "{report}");
}

#[test]
fn parameters_that_are_zero_are_moved_off_zero() {
    // With U = 0 and R = 0 past steps would act along h alone, and a detached state would not be detected.
    let mut cell = gated(Squash::Right, Leak::DetachedState);
    (cell.u, cell.r) = (Tensor::zeros(&[3, 3]), Tensor::zeros(&[3, 3]));
    assert!(check::cell(&cell, [3, 2, 2]).is_wrong());
}

#[test]
fn the_time_step_and_the_layer_of_the_op_at_fault_are_named() {
    let report = check::cell(&gated(Squash::Negated, Leak::None), [3, 2, 2]);
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert!(suspect.scope.contains("t=0"), "{:?}: {report}", suspect.scope);
    assert!(report.to_string().contains(&format!("squash in {}, recorded at", suspect.scope)), "{report}");
}

#[test]
fn the_smallest_numbers_of_steps_and_sequences_that_fail_are_named() {
    // A negative slope fails at once, a factor of B from two sequences on.
    let sizes = |cell: &Gated<Tensor<f64>>| check::cell(cell, [4, 3, 2]).sizes;
    assert_eq!(sizes(&gated(Squash::Negated, Leak::None)), Some(vec![1, 1, 2]));
    assert_eq!(sizes(&gated(Squash::TimesBatch, Leak::None)), Some(vec![1, 2, 2]));
    assert_eq!(sizes(&gated(Squash::Right, Leak::None)), None);
}
