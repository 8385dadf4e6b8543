//! Mistakes in cells whose step is one op with a backward pass written by hand.
//!
//! Unrolled over four steps from a state that is not zero, two sequences, three units.

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Site, Tape, Tensor, Term, Var};
use rewind_check as check;

use super::{Custom, Kind, Mistake, Rule, Value};

const STEPS: usize = 4;

/// h' = tanh(x·W + h·U + b). Inputs x `[B, H]`, h `[B, H]`, W and U `[H, H]`, b `[H]`.
fn tanh_step(x: &[&Tensor<f64>]) -> Tensor<f64> {
    let sum = x[0].matmul(x[2]).zip(&x[1].matmul(x[3]), |a, b| a + b);
    sum.zip(x[4], |a, b| (a + b).tanh())
}

/// The right rule: every mistake below changes one line of it.
fn tanh_rule<'t>(input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    let d = before_tanh(at);
    match input {
        0 => Term::Dense(d.matmul(at.input(2).transpose())),
        1 => Term::Dense(d.matmul(at.input(3).transpose())),
        2 => Term::Product(at.input(0), d),
        3 => Term::Product(at.input(1), d),
        _ => Term::Summed(d),
    }
}

fn before_tanh<'t>(at: &Site<'t, f64>) -> Var<'t, f64> {
    let y = at.output();
    at.cotangent() * (y * y).one_minus()
}

/// The LSTM, h and c side by side: state and result `[B, 2H]`. Inputs x `[B, H]`, state, W and U `[H, 4H]`.
fn lstm_step(x: &[&Tensor<f64>]) -> Tensor<f64> {
    let h = x[1].shape()[1] / 2;
    let sums = x[0].matmul(x[2]).zip(&x[1].slice(1, 0..h).matmul(x[3]), |a, b| a + b);
    let gate = |k: usize| sums.slice(1, k * h..(k + 1) * h);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let written = gate(0).map(sigmoid).zip(&gate(2), |i, g| i * g.tanh());
    let kept = gate(1).map(sigmoid).zip(&x[1].slice(1, h..2 * h), |f, c| f * c);
    let cell = kept.zip(&written, |a, b| a + b);
    let hidden = gate(3).map(sigmoid).zip(&cell, |o, c| o * c.tanh());
    let rows = x[0].shape()[0];
    let both = |b: usize| [hidden.index(0, b).to_vec(), cell.index(0, b).to_vec()].concat();
    Tensor::from_vec((0..rows).flat_map(both).collect(), &[rows, 2 * h])
}

/// What the rule of the LSTM computes, with one line changed.
#[derive(Clone, Copy, PartialEq)]
enum Lstm {
    Right,
    ForgetPathLost,
    OutputPathLost,
    GatesSwapped,
    SigmoidSlopeForTanh,
    NewCellForOld,
    CellWithoutTanh,
    CotangentOfCellLost,
    SignOfForget,
}

fn lstm_rule<'t>(line: Lstm, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    let (x, state, w, u) = (at.input(0), at.input(1), at.input(2), at.input(3));
    let [hidden, old] = state.split(1);
    let [i, f, g, o] = (x.matmul(w) + hidden.matmul(u)).split(1);
    let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
    let [_, new] = at.output().split(1);
    let [dh, dc] = at.cotangent().split(1);
    let t = new.tanh();
    let through = if line == Lstm::CellWithoutTanh { dh * o } else { dh * o * (t * t).one_minus() };
    let dc = match line {
        Lstm::CotangentOfCellLost => through,
        _ => dc + through,
    };
    let seen = if line == Lstm::NewCellForOld { new } else { old };
    let slope = |y: Var<'t, f64>| y * y.one_minus();
    let di = dc * g * slope(i);
    let df = dc * seen * slope(f) * if line == Lstm::SignOfForget { -1.0 } else { 1.0 };
    let dg = dc * i * if line == Lstm::SigmoidSlopeForTanh { slope(g) } else { (g * g).one_minus() };
    let d_o = if line == Lstm::OutputPathLost { dh * 0.0 } else { dh * t * slope(o) };
    let gates = if line == Lstm::GatesSwapped { [df, di, dg, d_o] } else { [di, df, dg, d_o] };
    let d = concat(&gates, 1);
    match input {
        0 => Term::Dense(d.matmul(w.transpose())),
        1 => {
            let kept = if line == Lstm::ForgetPathLost { dc * 0.0 } else { dc * f };
            Term::Dense(concat(&[d.matmul(u.transpose()), kept], 1))
        }
        2 => Term::Product(x, d),
        _ => Term::Product(hidden, d),
    }
}

/// h' = (1 - z)∘n + z∘h with z = sigmoid(x·W), n = tanh(h·U): inputs x, h, W, U.
fn gru_step(x: &[&Tensor<f64>]) -> Tensor<f64> {
    let z = x[0].matmul(x[2]).map(|x| 1.0 / (1.0 + (-x).exp()));
    let n = x[1].matmul(x[3]).map(f64::tanh);
    z.zip(&n, |z, n| (1.0 - z) * n).zip(&z.zip(x[1], |z, h| z * h), |a, b| a + b)
}

#[derive(Clone, Copy, PartialEq)]
enum Gru {
    Right,
    UpdateSign,
    KeptLost,
    CandidateNotGated,
}

fn gru_rule<'t>(line: Gru, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    let (x, h, w, u, c) = (at.input(0), at.input(1), at.input(2), at.input(3), at.cotangent());
    let (z, n) = (x.matmul(w).sigmoid(), h.matmul(u).tanh());
    let dz = c * if line == Gru::UpdateSign { n - h } else { h - n } * z * z.one_minus();
    let dn = c * if line == Gru::CandidateNotGated { n * 0.0 + 1.0 } else { z.one_minus() } * (n * n).one_minus();
    match input {
        0 => Term::Dense(dz.matmul(w.transpose())),
        1 if line == Gru::KeptLost => Term::Dense(dn.matmul(u.transpose())),
        1 => Term::Dense(dn.matmul(u.transpose()) + c * z),
        2 => Term::Product(x, dz),
        _ => Term::Product(h, dn),
    }
}

/// A running state over steps with a mask: h' = m∘tanh(x + h) + (1 - m)∘h; inputs x, h, m `[B, 1]`.
fn masked_step(x: &[&Tensor<f64>]) -> Tensor<f64> {
    let next = x[0].zip(x[1], |x, h| (x + h).tanh());
    let on = next.zip(x[2], |n, m| if m > 0.0 { n } else { 0.0 });
    on.zip(&x[1].zip(x[2], |h, m| if m > 0.0 { 0.0 } else { h }), |a, b| a + b)
}

/// The whole sequence as one op: h_t = tanh(x_t + h_(t-1)·a) elementwise over `[T, B]`, with x `[T, B]` and a `[B]`.
fn scan(x: &[&Tensor<f64>]) -> Tensor<f64> {
    let mut h = Tensor::zeros(&x[0].shape()[1..]);
    let step = |t: usize| {
        h = h.zip(x[1], |h, a| h * a).zip(&x[0].index(0, t), |r, x| (r + x).tanh());
        h.to_vec()
    };
    Tensor::from_vec((0..x[0].shape()[0]).flat_map(step).collect(), x[0].shape())
}

#[derive(Clone, Copy, PartialEq)]
enum Scan {
    Right,
    OwnStateForLast,
    CutAfterOneStep,
    LastStepOnly,
}

fn scan_rule<'t>(line: Scan, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    let (a, h, c) = (at.input(1), at.output(), at.cotangent());
    let steps = h.shape()[0];
    let mut back = c.index(0, 0) * 0.0;
    let (mut dx, mut da) = (Vec::new(), back);
    for t in (0..steps).rev() {
        let now = h.index(0, t);
        let from_later = if line == Scan::CutAfterOneStep { back * 0.0 } else { back };
        let d = (c.index(0, t) + from_later) * (now * now).one_minus();
        let last = match (line, t) {
            (Scan::OwnStateForLast, _) => now,
            (_, 0) => now * 0.0,
            _ => h.index(0, t - 1),
        };
        if line != Scan::LastStepOnly || t + 1 == steps {
            da = da + d * last;
        }
        back = d * a;
        dx.push(d.unsqueeze(0));
    }
    dx.reverse();
    Term::Dense(if input == 0 { concat(&dx, 0) } else { da })
}

/// The state after every step of an unrolled cell, from a first state that is an input: x_1 … x_T in the first input.
fn unrolled(op: Custom) -> super::Function {
    Box::new(move |tape: &Tape<f64>, v: &[Var<'_, f64>]| {
        let (x, mut h) = (v[0], v[1]);
        let mut sum: Option<Var<'_, f64>> = None;
        for t in 0..STEPS {
            let now = x.index(0, t) * 0.7;
            let inputs: Vec<_> = [now, h].into_iter().chain(v[2..].iter().copied()).collect();
            h = tape.apply(op, &inputs);
            let seen = h * h + h;
            sum = Some(sum.map_or(seen, |sum| sum + seen));
        }
        sum.expect("there are steps")
    })
}

fn cell(kind: Kind, name: &'static str, value: Value, rule: Rule, shapes: &[&[usize]]) -> Mistake {
    let inputs = shapes.iter().enumerate().map(|(i, shape)| check::sample(shape, 80 + i as u64)).collect();
    let order = if kind == Kind::SecondOrder { 2 } else { 1 };
    Mistake { kind, op: name, order, inputs, f: unrolled(Custom { name, value, rule }) }
}

const TANH: [&[usize]; 5] = [&[STEPS, 2, 3], &[2, 3], &[3, 3], &[3, 3], &[3]];
const LSTM: [&[usize]; 4] = [&[STEPS, 2, 3], &[2, 6], &[3, 12], &[3, 12]];
const GRU: [&[usize]; 4] = [&[STEPS, 2, 3], &[2, 3], &[3, 3], &[3, 3]];
const MASKED: [&[usize]; 3] = [&[STEPS, 2, 3], &[2, 3], &[2, 1]];
const SCAN: [&[usize]; 2] = [&[STEPS, 3], &[3]];

/// The cells without a mistake: they must pass, or the mistakes prove nothing.
pub(crate) fn right() -> Vec<Mistake> {
    vec![
        cell(Kind::Sign, "tanh_step", tanh_step, tanh_rule, &TANH),
        cell(Kind::Sign, "lstm_step", lstm_step, |i, at| lstm_rule(Lstm::Right, i, at), &LSTM),
        cell(Kind::Sign, "gru_step", gru_step, |i, at| gru_rule(Gru::Right, i, at), &GRU),
        sequence(Kind::Sign, "scan", |i, at| scan_rule(Scan::Right, i, at)),
    ]
}

fn sequence(kind: Kind, name: &'static str, rule: Rule) -> Mistake {
    super::mistake(kind, Custom { name, value: scan, rule }, &SCAN)
}

pub(crate) fn mistakes() -> Vec<Mistake> {
    let tanh = |kind, name, rule: Rule| cell(kind, name, tanh_step, rule, &TANH);
    let lstm = |kind, name, rule: Rule| cell(kind, name, lstm_step, rule, &LSTM);
    let gru = |kind, name, rule: Rule| cell(kind, name, gru_step, rule, &GRU);
    vec![
        tanh(Kind::OffByOne, "tanh_step_own_state", |i, at| match i {
            3 => Term::Product(at.output(), before_tanh(at)),
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::MissingTerm, "tanh_step_without_slope", |i, at| match i {
            1 => Term::Dense(at.cotangent().matmul(at.input(3).transpose())),
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::BroadcastNotSummed, "tanh_step_first_bias", |i, at| match i {
            4 => Term::Dense(before_tanh(at).index(0, 0)),
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::MissingTerm, "tanh_step_cut", |i, at| match i {
            1 => Term::Zero,
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::WrongInput, "tanh_step_weights_swapped", |i, at| match i {
            2 => Term::Product(at.input(1), before_tanh(at)),
            3 => Term::Product(at.input(0), before_tanh(at)),
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::Transposed, "tanh_step_state_transposed", |i, at| match i {
            1 => Term::Dense(before_tanh(at).matmul(at.input(3))),
            _ => tanh_rule(i, at),
        }),
        tanh(Kind::SecondOrder, "tanh_step_slope_off_tape", |i, at| match i {
            1 => {
                let y = at.output().detach();
                Term::Dense((at.cotangent() * (y * y).one_minus()).matmul(at.input(3).transpose()))
            }
            _ => tanh_rule(i, at),
        }),
        lstm(Kind::MissingTerm, "lstm_forget_path_lost", |i, at| lstm_rule(Lstm::ForgetPathLost, i, at)),
        lstm(Kind::MissingTerm, "lstm_output_path_lost", |i, at| lstm_rule(Lstm::OutputPathLost, i, at)),
        lstm(Kind::WrongInput, "lstm_gates_swapped", |i, at| lstm_rule(Lstm::GatesSwapped, i, at)),
        lstm(Kind::Factor, "lstm_sigmoid_slope_for_tanh", |i, at| lstm_rule(Lstm::SigmoidSlopeForTanh, i, at)),
        lstm(Kind::OffByOne, "lstm_new_cell_for_old", |i, at| lstm_rule(Lstm::NewCellForOld, i, at)),
        lstm(Kind::MissingTerm, "lstm_cell_without_tanh", |i, at| lstm_rule(Lstm::CellWithoutTanh, i, at)),
        lstm(Kind::MissingTerm, "lstm_cotangent_of_cell_lost", |i, at| lstm_rule(Lstm::CotangentOfCellLost, i, at)),
        lstm(Kind::Sign, "lstm_sign_of_forget", |i, at| lstm_rule(Lstm::SignOfForget, i, at)),
        gru(Kind::Sign, "gru_update_sign", |i, at| gru_rule(Gru::UpdateSign, i, at)),
        gru(Kind::MissingTerm, "gru_kept_lost", |i, at| gru_rule(Gru::KeptLost, i, at)),
        gru(Kind::Factor, "gru_candidate_not_gated", |i, at| gru_rule(Gru::CandidateNotGated, i, at)),
        cell(
            Kind::MissingMask,
            "masked_step_without_mask",
            masked_step,
            |i, at| {
                let y = (at.input(0) + at.input(1)).tanh();
                if i == 2 { Term::Zero } else { Term::Dense(at.cotangent() * (y * y).one_minus()) }
            },
            &MASKED,
        ),
        sequence(Kind::OffByOne, "scan_own_state_for_last", |i, at| scan_rule(Scan::OwnStateForLast, i, at)),
        sequence(Kind::MissingTerm, "scan_cut_after_one_step", |i, at| scan_rule(Scan::CutAfterOneStep, i, at)),
        sequence(Kind::BroadcastNotSummed, "scan_last_step_only", |i, at| scan_rule(Scan::LastStepOnly, i, at)),
    ]
}
