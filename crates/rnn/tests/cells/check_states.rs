//! The first states of the check of a cell, and padding: empty memories, variables that no step reads, layers that do not mask.

use rewind_autograd::{Op, Parameters, Site, Tensor, Term, Var, parameters};
use rewind_rnn::check::{self, Doubt, Invalid, Pattern, Report, Verdict};
use rewind_rnn::{Cell, ForgetGate, Layer, LayerOutputs, Recurrent, SLstm, Unroll, Zoneout};

use super::common::{random, tanh};
use super::xlstm::{BOTH, cast, mlstm, slstm};

#[track_caller]
fn names(report: &Report) -> Vec<&str> {
    report.assert();
    report.points.iter().map(|point| point.name.as_str()).collect()
}

const SIZES: [usize; 3] = [3, 2, 2];

#[test]
fn a_cell_whose_memory_is_empty_at_first_is_checked_with_and_without_one() {
    for forget in BOTH {
        let mlstm = mlstm(2, 4, 2, forget);
        let report = check::cell(&mlstm, SIZES);
        let points = names(&report);
        assert_eq!(points[0], "at the given parameters; no value depends on the first hidden", "{report}");
        assert_eq!(points[1], "from its own first state, which is empty", "{report}");
        // The parameters, x, and the first cell state, normaliser and stabiliser; twice.
        let parameters = 2 * 16 + 16 + 2 * 4 + 4;
        let entries = parameters + 3 * 2 * 2 + 2 * (2 * 4 + 4 + 2);
        assert_eq!((report.entries, report.checked), (2 * entries, 2 * entries), "{report}");
        check::layer(&(Recurrent(mlstm), Recurrent(tanh(4, 2))), SIZES).assert();

        let learned = slstm(2, 3, forget);
        assert_eq!(names(&check::cell(&learned, SIZES))[0], "at the given parameters");
        let empty = SLstm { initial_hidden: None, initial_cell: None, ..learned };
        let report = check::cell(&empty, SIZES);
        assert_eq!(names(&report)[..2], ["at the given parameters", "from its own first state, which is empty"]);
    }
    // Zoneout keeps a part of the hidden state, which counts then.
    let zoned = Zoneout::new(mlstm(2, 4, 2, ForgetGate::Sigmoid), &[0.2]);
    let report = check::cell(&zoned, SIZES);
    assert!(names(&report).iter().all(|name| !name.contains("no value depends")), "{report}");
}

#[test]
fn in_single_precision_too() {
    let mlstm = mlstm(2, 4, 2, ForgetGate::Exponential).map(|_, p| cast::<f64, f32>(p));
    check::cell_with::<f32, _>(check::full().orders(1), &mlstm, SIZES).assert();
    check::cell_with::<f32, _>(check::fast(), &mlstm, SIZES).assert();
}

/// ln(e^a + e^b), with a rule that overflows at -10³⁰, the mark of an empty memory.
#[derive(Clone, Copy, Debug)]
struct Larger {
    overflows: bool,
}

impl Op<f64> for Larger {
    fn name(&self) -> &'static str {
        "larger"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(inputs[1], |a, b| a.max(b) + (-(a - b).abs()).exp().ln_1p())
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (a, b, g) = (at.input(0), at.input(1), at.cotangent());
        let weight = (b - a).sigmoid();
        // 1, unless the twelfth power overflows: then ∞/∞.
        let one = if self.overflows { a.powf(12.0) / a.powf(12.0) } else { a * 0.0 + 1.0 };
        Term::Dense(g * if input == 0 { weight.one_minus() } else { weight * one })
    }
}

parameters! {
    /// m' = ln(e^m + e^(x·w)), from an empty memory.
    struct Summed<P> {
        w: P,
        #[setting]
        larger: Larger,
    }
}

impl<'t> Cell<'t, f64> for Summed<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, m: Var<'t, f64>) -> Var<'t, f64> {
        x.tape().apply(self.larger, &[m, x.matmul(self.w)])
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.w.tape().constant(Tensor::full(&[batch, 3], -1e30))
    }
}

#[test]
fn a_rule_that_fails_at_the_mark_of_an_empty_memory_is_named() {
    let summed = |overflows| Summed { w: random(&[2, 3], 1), larger: Larger { overflows } };
    check::cell(&summed(false), SIZES).assert();
    for check in [check::full(), check::fast()] {
        let report = check::cell_with(check, &summed(true), SIZES);
        let verdicts: Vec<_> = report.points.iter().map(|point| point.verdict.clone()).collect();
        assert_eq!(verdicts, [Verdict::Right, Verdict::Wrong], "{report}");
        let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
        assert_eq!(suspect.op, "larger", "{report}");
        assert!(suspect.pattern.is_none() || suspect.pattern == Some(Pattern::NotFinite), "{report}");
        assert!(report.to_string().contains("WRONG from its own first state"), "{report}");
    }
}

parameters! {
    /// h' = tanh(x·w): a cell that carries nothing.
    struct Forgetful<P> { w: P }
}

impl<'t> Cell<'t, f64> for Forgetful<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, _h: Var<'t, f64>) -> Var<'t, f64> {
        x.matmul(self.w).tanh()
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.w.tape().zeros(&[batch, 3])
    }
}

#[test]
fn a_cell_that_reads_nothing_of_its_state_is_not_called_right() {
    let report = check::cell(&Forgetful { w: random(&[2, 3], 1) }, SIZES);
    assert_eq!(report.verdict, Verdict::CannotTell(Doubt::IgnoresInput("first_state.0.part".to_owned())), "{report}");
}

/// How a layer treats the end of a sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Padding {
    Masked,
    /// The outputs of padding are not 0.
    Shown,
    /// Outputs are reversed in time with the padding.
    Reversed,
    /// The last state is that after the padding.
    Carried,
}

parameters! {
    /// The running sum of x·w + bias, x `[T, B, I]`.
    struct Running<P> {
        w: P,
        bias: P,
        #[setting]
        padding: Padding,
    }
}

impl<'t> Layer<'t, f64> for Running<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn initial_state(&self, batch: usize) -> Var<'t, f64> {
        self.w.tape().zeros(&[batch, 3])
    }
    fn forward(&self, x: Var<'t, f64>, h: Var<'t, f64>, how: Unroll<'_>) -> LayerOutputs<'t, f64, Var<'t, f64>> {
        let added = x.affine(self.w, Some(self.bias));
        let added = if self.padding == Padding::Carried { added } else { how.masked(added) };
        let sums = added.cumsum(0) + h;
        let last = sums.index(0, x.shape()[0] - 1);
        let outputs = match self.padding {
            Padding::Shown => sums,
            Padding::Reversed => how.masked(sums.flip(0)),
            _ => how.masked(sums),
        };
        LayerOutputs::new(outputs, last)
    }
}

#[test]
fn a_layer_that_does_not_mask_its_padding_is_not_called_right() {
    let running = |padding| Running { w: random(&[2, 3], 1), bias: random(&[3], 2), padding };
    check::layer(&running(Padding::Masked), SIZES).assert();
    for (padding, text) in [
        (Padding::Shown, "outputs after the end of a sequence are 0"),
        (Padding::Reversed, "more padding changes no output"),
        (Padding::Carried, "the last state of a sequence is that at its own end"),
    ] {
        for sizes in [[1, 1, 2], SIZES] {
            let report = check::layer(&running(padding), sizes);
            assert!(matches!(report.verdict, Verdict::Invalid(Invalid::Contract(_))), "{padding:?}: {report}");
            assert!(report.to_string().contains(text), "{padding:?}: {report}");
        }
    }
}
