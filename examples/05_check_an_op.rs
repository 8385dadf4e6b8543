//! A new op with two mistakes in its rule, and the reports that find them. `docs/check_a_gradient.md` explains it.
//!
//! `cargo run --example 05_check_an_op`

use rewind_autograd::{Op, Site, Tape, Tensor, Term, Var};
use rewind_check::{self as check, Report};

/// y = gain ∘ u with u = x/r, r = √(mean x² + 1e-5) over the last axis (RMSNorm: Zhang and Sennrich 2019).
/// x `[B, n]`, gain `[n]`.
///
/// With v = gain ∘ ȳ: x̄ = (v - u·mean(u ∘ v))/r; ḡain = Σ_B ȳ ∘ u.
#[derive(Clone, Copy)]
struct RmsNorm {
    draft: Draft,
}

/// The drafts of the rule.
#[derive(Clone, Copy, PartialEq)]
enum Draft {
    First,
    Second,
    Last,
}

const EPS: f64 = 1e-5;

impl Op<f64> for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let (x, n) = (inputs[0], inputs[0].shape()[1] as f64);
        let r = x.map(|x| x * x).sum_axis(1).map(|s| (s / n + EPS).sqrt()).unsqueeze(1);
        x.zip(&r, |x, r| x / r).zip(inputs[1], |u, gain| gain * u)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (x, gain, g) = (at.input(0), at.input(1), at.cotangent());
        let r = ((x * x).mean_axis(1) + EPS).sqrt().unsqueeze(1);
        let r = if self.draft == Draft::Second { at.tape().constant(r.value()) } else { r };
        let u = x / r;
        match input {
            0 => {
                let v = gain * g;
                Term::Dense((v - u * (u * v).mean_axis(1).unsqueeze(1)) / r)
            }
            _ if self.draft == Draft::First => Term::Dense((g * u).mean_axis(0)),
            _ => Term::Summed(g * u),
        }
    }
}

#[track_caller]
fn rms_norm<'t>(draft: Draft, x: Var<'t, f64>, gain: Var<'t, f64>) -> Var<'t, f64> {
    x.tape().apply(RmsNorm { draft }, &[x, gain])
}

/// A layer that uses the op: weight `[3, 4]`, gain `[4]`, x `[2, 3]`.
fn layer<'t>(draft: Draft, inputs: &[Var<'t, f64>]) -> Var<'t, f64> {
    let (x, weight, gain) = (inputs[0], inputs[1], inputs[2]);
    let h = x.matmul(weight).tanh();
    rms_norm(draft, h, gain).sigmoid()
}

fn report(draft: Draft) -> Report {
    let inputs = [check::sample(&[2, 3], 1), check::sample(&[3, 4], 2), check::sample(&[4], 3)];
    check::function(&inputs, |_tape: &Tape<f64>, inputs| layer(draft, inputs))
}

/// The smallest sizes at which the gradient is wrong: B rows of n elements.
fn smallest() -> Report {
    check::full().shrink(
        &[4, 5],
        |sizes| vec![check::sample(sizes, 1), check::sample(&sizes[1..], 2)],
        |_tape, inputs| rms_norm(Draft::First, inputs[0], inputs[1]),
    )
}

fn main() {
    println!("{}\n", report(Draft::First));
    println!("{}\n", smallest());
    println!("{}\n", report(Draft::Second));
    println!("{}", report(Draft::Last));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rewind_check::{Verdict, strategies};

    use super::*;

    fn any_rows() -> impl Strategy<Value = Tensor<f64>> {
        (1..4_usize, 2..5_usize).prop_flat_map(|(rows, n)| strategies::of_shape(&[rows, n], 0.1..2.0))
    }

    proptest! {
        #[test]
        fn rms_norm_is_right_wherever_it_is_asked(x in any_rows(), before in strategies::op()) {
            let gain = check::sample(&x.shape()[1..], 1);
            check::fast().orders(2).function(&[x, gain], |_, v| rms_norm(Draft::Last, (before.apply)(v[0]), v[1])).assert();
        }
    }

    #[test]
    fn the_mistakes_are_found() {
        assert_eq!(report(Draft::Last).verdict, Verdict::Right);
        for draft in [Draft::First, Draft::Second] {
            let report = report(draft);
            assert!(report.is_wrong() && report.suspect().is_some_and(|suspect| suspect.op == "rms_norm"), "{report}");
        }
        assert_eq!(smallest().sizes, Some(vec![2, 1]));
    }

    #[test]
    fn the_page_shows_these_reports() {
        let page = include_str!("../docs/check_a_gradient.md");
        for report in [report(Draft::First), smallest(), report(Draft::Second)] {
            let text = format!("```text\n{report}\n```\n");
            assert!(page.contains(&text), "not in the page:\n{text}");
        }
        // Of what is right, the last digits are rounding, which may differ between processors.
        let right = report(Draft::Last).to_string();
        let head: String = right.lines().take(2).map(|line| format!("{line}\n")).collect();
        assert!(page.contains(&head), "not in the page:\n{head}");
    }
}
