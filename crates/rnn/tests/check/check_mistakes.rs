//! Mistakes of kinds that have shipped in libraries: a weight that is closed over, a mask that the rule forgets, layers below that get no
//! gradient, a buffer that is reused before it is read. Each is called wrong at its op, time step and layer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rewind_autograd::{Op, Site, Tensor, Term, Var, checkpoint, parameters};
use rewind_rnn::check::{self, Culprit, OffTape, Report, Suspect, Verdict};
use rewind_rnn::{Cell, Layer, LayerOutputs, Noise, Recurrent, Reset, Unroll};

use crate::common::{gru, random, tanh};

#[track_caller]
fn off_tape(report: &Report) -> &OffTape {
    assert_eq!(report.verdict, Verdict::Wrong, "{report}");
    let Some(Culprit::OffTape(off)) = &report.culprit else { panic!("{report}") };
    off
}

#[track_caller]
fn suspect(report: &Report) -> &Suspect {
    assert_eq!(report.verdict, Verdict::Wrong, "{report}");
    report.suspect().unwrap_or_else(|| panic!("{report}"))
}

#[track_caller]
fn assert_line(off: &OffTape, text: &str) {
    let line = include_str!("check_mistakes.rs").lines().nth(off.location.line() as usize - 1);
    assert!(line.is_some_and(|line| line.contains(text)), "{off:?}: {line:?}");
}

/// h·weight, where the weight is no input.
struct Recall {
    weight: Tensor<f64>,
}

impl Op<f64> for Recall {
    fn name(&self) -> &'static str {
        "recall"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].matmul(&self.weight)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        Term::Dense(at.cotangent().matmul(at.tape().constant(self.weight.clone()).transpose()))
    }
}

/// How the weight reaches the carry.
#[derive(Clone, Copy, Debug)]
enum Reach {
    OnTape,
    ByAnOp,
    ByACheckpoint,
    Detached,
}

parameters! {
    /// h' = tanh(x·w + h·w): one weight for the input and for the carry.
    struct Tied<P> {
        w: P,
        #[setting]
        reach: Reach,
    }
}

impl<'t> Cell<'t, f64> for Tied<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        let weight = self.w.value();
        let carried = match self.reach {
            Reach::OnTape => h.matmul(self.w),
            Reach::ByAnOp => h.tape().apply(Recall { weight }, &[h]),
            Reach::ByACheckpoint => checkpoint(&[h], move |tape, h| h[0].matmul(tape.constant(weight.clone()))),
            Reach::Detached => h.matmul(self.w.detach()),
        };
        (x.matmul(self.w) + carried).tanh()
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.w.tape().zeros(&[batch, 3])
    }
}

#[test]
fn a_weight_that_is_closed_over_is_off_the_tape() {
    let tied = |reach| Tied { w: random(&[3, 3], 1), reach };
    check::cell(&tied(Reach::OnTape), [3, 2, 3]).assert();
    for (reach, held_by, line) in [
        (Reach::ByAnOp, Some("recall"), "apply(Recall"),
        (Reach::ByACheckpoint, Some("checkpoint"), "checkpoint(&[h]"),
        (Reach::Detached, None, "w.detach()"),
    ] {
        for check in [check::full(), check::fast()] {
            let report = check::cell_with(check, &tied(reach), [3, 2, 3]);
            let off = off_tape(&report);
            assert_eq!(off.held_by, held_by, "{report}");
            assert!(off.scope.contains("t=0"), "{report}");
            assert_line(off, line);
            assert!(report.to_string().contains(&format!(" in {}, recorded at", off.scope)), "{report}");
        }
        let report = check::cell(&tied(reach), [3, 2, 3]);
        // Of one step too, the gradient of w through the first state is lost; its direct part is right.
        assert_eq!(report.sizes, Some(vec![1, 1, 3]), "{report}");
        let above = (Recurrent(tanh(3, 3)), Recurrent(tied(reach)));
        let report = check::layer(&above, [3, 2, 3]);
        assert!(off_tape(&report).scope.contains("t=0"), "{report}");
    }
}

/// m∘x, and a rule that may forget m.
struct Masked {
    mask: Tensor<f64>,
    forgets: bool,
}

impl Op<f64> for Masked {
    fn name(&self) -> &'static str {
        "masked"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(&self.mask, |x, m| x * m)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let mask = at.tape().constant(self.mask.clone());
        Term::Dense(if self.forgets { at.cotangent() } else { at.cotangent() * mask })
    }
}

/// Zoneout as one op: the old value where `kept` is 1, the new one elsewhere. Inputs new and old.
struct Zoned {
    kept: Tensor<f64>,
    forgets: bool,
}

impl Op<f64> for Zoned {
    fn name(&self) -> &'static str {
        "zoned"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let new = inputs[0].zip(&self.kept, |x, kept| x * (1.0 - kept));
        new.zip(&inputs[1].zip(&self.kept, |x, kept| x * kept), |a, b| a + b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let kept = at.tape().constant(self.kept.clone());
        match input {
            0 if self.forgets => Term::Dense(at.cotangent()),
            0 => Term::Dense(at.cotangent() * kept.one_minus()),
            _ if self.forgets => Term::Zero,
            _ => Term::Dense(at.cotangent() * kept),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Drops {
    Carry,
    State,
}

parameters! {
    /// h' = tanh(x·v + h·u) with recurrent dropout or zoneout of its own in training.
    struct Noisy<P> {
        v: P,
        u: P,
        #[setting]
        drops: Drops,
        #[setting]
        forgets: bool,
    }
}

impl<'t> Cell<'t, f64> for Noisy<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        (x.matmul(self.v) + h.matmul(self.u)).tanh()
    }
    fn noisy_step(&self, x: Var<'t, f64>, h: Var<'t, f64>, noise: Noise) -> Var<'t, f64> {
        let forgets = self.forgets;
        match self.drops {
            Drops::Carry => {
                let mask = noise.of_sequence().mask(&h.shape(), 0.5);
                self.step(x, h.tape().apply(Masked { mask, forgets }, &[h]))
            }
            Drops::State => {
                let kept = noise.mask(&h.shape(), 0.5).map(|m: f64| m / 2.0);
                h.tape().apply(Zoned { kept, forgets }, &[self.step(x, h), h])
            }
        }
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, 3])
    }
}

#[test]
fn a_mask_that_the_rule_forgets_is_named_in_its_step_and_layer() {
    for (drops, op) in [(Drops::Carry, "masked"), (Drops::State, "zoned")] {
        let noisy = |forgets| Noisy { v: random(&[3, 3], 2), u: random(&[3, 3], 3), drops, forgets };
        check::layer(&Recurrent(noisy(false)), [3, 2, 3]).assert();
        let right = check::cell(&noisy(false), [3, 2, 3]);
        right.assert();
        assert_eq!(
            right.points.iter().map(|point| point.name.as_str()).take(2).collect::<Vec<_>>(),
            ["at the given parameters, without noise", "at the given parameters, with noise"],
            "{right}"
        );
        for check in [check::full(), check::fast()] {
            let report = check::layer_with(check, &(Recurrent(tanh(3, 3)), Recurrent(noisy(true))), [3, 2, 3]);
            let found = suspect(&report);
            assert_eq!((found.op, found.nodes), (op, 3), "{report}");
            assert!(found.scope.contains("t=0"), "{report}");
            // A cell is run without noise first: there, it has no mask.
            let report = check::cell_with(check, &noisy(true), [3, 2, 3]);
            let verdicts: Vec<_> = report.points.iter().map(|point| point.verdict.clone()).collect();
            assert_eq!((suspect(&report).op, verdicts), (op, vec![Verdict::Right, Verdict::Wrong]), "{report}");
            assert!(report.to_string().contains("WRONG at the given parameters, with noise"), "{report}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Below {
    Right,
    /// The rule gives no gradient to x.
    Nothing,
    /// It gives one without the gain.
    Straight,
    /// x is detached.
    Detached,
}

/// y = gain∘x: x `[T, B, H]`, gain `[H]`.
struct Gain {
    below: Below,
}

impl Op<f64> for Gain {
    fn name(&self) -> &'static str {
        "gain"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(inputs[1], |x, gain| x * gain)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let g = at.cotangent();
        match input {
            0 if self.below == Below::Nothing => Term::Zero,
            0 if self.below == Below::Straight => Term::Dense(g),
            0 => Term::Dense(g * at.input(1)),
            _ => Term::Summed(g * at.input(0)),
        }
    }
}

parameters! {
    struct Gained<P> {
        gain: P,
        #[setting]
        below: Below,
    }
}

impl<'t> Layer<'t, f64> for Gained<Var<'t, f64>> {
    type State = ();
    fn initial_state(&self, _batch: usize) {}
    fn forward(&self, x: Var<'t, f64>, (): (), _how: Unroll<'_>) -> LayerOutputs<'t, f64, ()> {
        let x = if self.below == Below::Detached { x.detach() } else { x };
        LayerOutputs::new(x.tape().apply(Gain { below: self.below }, &[x, self.gain]), ())
    }
}

#[test]
fn a_layer_that_gives_those_below_no_gradient_is_named() {
    let gained = |below, seed| Gained { gain: random(&[3], seed), below };
    check::layer(&vec![gained(Below::Right, 1), gained(Below::Right, 2), gained(Below::Right, 3)], [3, 2, 3]).assert();
    for below in [Below::Nothing, Below::Straight, Below::Detached] {
        for place in 0..3 {
            let stack: Vec<_> =
                (0..3).map(|k| gained(if k == place { below } else { Below::Right }, k as u64)).collect();
            for check in [check::full(), check::fast()] {
                let report = check::layer_with(check, &stack, [3, 2, 3]);
                let scope = if below == Below::Detached {
                    let off = off_tape(&report);
                    assert_line(off, "x.detach()");
                    &off.scope
                } else {
                    assert_eq!((suspect(&report).op, suspect(&report).nodes), ("gain", 1), "{report}");
                    &suspect(&report).scope
                };
                assert_eq!(scope, &format!("cell.{place}"), "{below:?}: {report}");
                assert_eq!(report.sizes, Some(vec![1, 1, 3]), "{report}");
            }
        }
        // Between cells: the one below gets nothing.
        let stack = (Recurrent(tanh(3, 3)), (gained(below, 1), Recurrent(gru(3, 2, Reset::AfterProduct))));
        let report = check::layer(&stack, [3, 2, 3]);
        assert!(report.to_string().contains("in cell.1.0, recorded at"), "{below:?}: {report}");
    }
}

/// Memory that the steps of a cell share: as many slots as there are, one after another.
#[derive(Clone, Debug)]
struct Scratch {
    slots: Arc<Mutex<Vec<Option<Tensor<f64>>>>>,
    taken: Arc<AtomicUsize>,
}

impl Scratch {
    fn new(slots: usize) -> Self {
        Scratch { slots: Arc::new(Mutex::new(vec![None; slots])), taken: Arc::default() }
    }
}

/// tanh, whose rule reads the value from a slot.
struct Kept {
    scratch: Scratch,
    slot: usize,
}

impl Op<f64> for Kept {
    fn name(&self) -> &'static str {
        "kept_tanh"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let y = inputs[0].map(f64::tanh);
        self.scratch.slots.lock().expect("no panic before")[self.slot] = Some(y.clone());
        y
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let y = self.scratch.slots.lock().expect("no panic before")[self.slot].clone().expect("the value comes first");
        Term::Dense(at.cotangent() * at.tape().constant(y.map(|y| 1.0 - y * y)))
    }
}

parameters! {
    /// h' = tanh(x·v + h·u).
    struct Reusing<P> {
        v: P,
        u: P,
        #[setting]
        scratch: Scratch,
    }
}

impl<'t> Cell<'t, f64> for Reusing<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        let scratch = self.scratch.clone();
        let slots = scratch.slots.lock().expect("no panic before").len();
        let slot = scratch.taken.fetch_add(1, Ordering::Relaxed) % slots;
        x.tape().apply(Kept { scratch, slot }, &[x.matmul(self.v) + h.matmul(self.u)])
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.u.tape().zeros(&[batch, 3])
    }
}

#[test]
fn a_buffer_that_is_reused_before_it_is_read_is_named_in_the_first_step_that_lost_it() {
    let reusing = |slots| Reusing { v: random(&[3, 3], 4), u: random(&[3, 3], 5), scratch: Scratch::new(slots) };
    // At order one, it is right if no slot is taken twice. (Its rule takes values off the tape: that is for order two.)
    for check in [check::full().orders(1), check::fast()] {
        check::cell_with(check, &reusing(100), [3, 2, 3]).assert();
        let report = check::cell_with(check, &reusing(1), [3, 2, 3]);
        let found = suspect(&report);
        assert_eq!((found.op, found.nodes), ("kept_tanh", 2), "{report}");
        assert!(found.scope.contains("t=0"), "{report}");
        assert_eq!(report.sizes, Some(vec![2, 1, 3]), "{report}");
        // Slots for more steps than were given: only longer sequences show that they are too few.
        let report = check::cell_with(check, &reusing(4), [3, 2, 3]);
        assert_eq!(report.points[0].verdict, Verdict::Right, "{report}");
        let found = suspect(&report);
        assert_eq!((found.op, found.nodes), ("kept_tanh", 18 - 4), "{report}");
        assert!(found.scope.contains("t=0"), "{report}");
        assert_eq!(report.sizes, Some(vec![5, 1, 3]), "{report}");
    }
}
