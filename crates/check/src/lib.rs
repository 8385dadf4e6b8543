//! Gradients against differences: a check that says what is wrong, and where.
//!
//! For y = f(x) the check draws a fixed weight for every element of y and looks at L(x) = Σ weight·y. First order: the
//! tape's ∇L against (L(x + h) - L(x - h)) / 2h for every entry of every input. Second order: with fixed directions v
//! it looks at S(x) = Σ v·∇L(x) in the same way, so the rules are checked as differentiable functions too; and so on.
//!
//! ```
//! use rewind_autograd::Tensor;
//! let x = Tensor::from_vec(vec![0.3, -0.8, 1.1], &[3]);
//! rewind_check::function(&[x], |_tape, x| (x[0].tanh() * x[0]).sum()).assert();
//! ```
//!
//! The answer is a [`Report`] with a [`Verdict`]: right, wrong, cannot tell (and why), or invalid. Entries that disagree at
//! the first step are compared again at many steps. The error of a wrong rule does not change with h; truncation falls with
//! h², rounding rises as h falls, and at a kink the derivatives from both sides stay apart. Where the function changes within
//! the shortest step, differences settle nowhere, and the check cannot tell. If something is wrong, every node of the tape is
//! checked alone, and the report names the first op at fault with the line that recorded it.
//!
//! [`full`] and [`fast`] start a [`Check`] with other settings:
//!
//! ```
//! use rewind_autograd::Tensor;
//! let x = Tensor::from_vec(vec![0.3_f32, -0.8, 1.1], &[3]);
//! rewind_check::fast().orders(1).seed(7).function(&[x], |_tape, x| x[0].softmax(0)).assert();
//! ```
//!
//! The check uses the public interface of [`rewind_autograd`] alone: [`Tape::node`] and [`Tape::op`] to look at a node, and the
//! sweeps of [`Var`].

mod caught;
mod compare;
mod display;
mod elements;
mod guess;
mod judge;
mod node;
mod objective;
mod off_tape;
mod origin;
mod pattern;
mod prober;
mod report;
mod run;
mod sample;
mod settings;
#[cfg(feature = "proptest")]
pub mod strategies;
mod suspect;

use rewind_autograd::{Op, Parameters, Scalar, Tape, Tensor, Var};

pub use pattern::Pattern;
pub use report::{Breach, Culprit, Doubt, Entry, Invalid, Mode, OffTape, Point, Report, StepError, Suspect, Verdict};
pub use settings::{Check, shrunk};

/// Every entry of every input, at orders one and two: 2·n evaluations of the function for n entries, and as many of its
/// gradient.
///
/// ```
/// use rewind_autograd::Tensor;
/// let report = rewind_check::full().orders(3).function(&[Tensor::scalar(0.7_f64)], |_, x| x[0].sin());
/// assert_eq!((report.passed(), report.checked), (true, 3)); // one entry at three orders
/// ```
pub fn full() -> Check {
    Check::new(Mode::Full, 2)
}

/// Random directions through all inputs at once, at order one: a few evaluations in all, however large the inputs.
/// Every direction has entries of both signs, and weights of its own for the outputs; inputs of small gradients weigh
/// as much as others. It misses an error that is small compared with the gradient of its input: below about 1e-6 of its
/// norm in `f64`, and up to a few times that with several inputs. If a direction disagrees or cannot tell, every entry
/// is compared, to say which.
///
/// ```
/// rewind_check::fast().function(&[rewind_check::sample::<f64>(&[50, 20], 1)], |_, x| x[0].tanh()).assert();
/// ```
pub fn fast() -> Check {
    Check::new(Mode::Fast { projections: 3 }, 1)
}

/// Checks `f` of `inputs`, every entry, at both orders.
///
/// `f` gets a tape for constants and one variable per input. It must compute the same value at every call, to the last bit.
/// The check is in `f64`, where differences tell most; [`Check::function`] takes either precision.
///
/// ```
/// use rewind_autograd::Tensor;
/// let x = Tensor::from_vec(vec![0.3, -0.8, 1.1], &[3]);
/// rewind_check::function(&[x], |tape, x| x[0] * tape.scalar(2.0)).assert();
/// ```
pub fn function<F>(inputs: &[Tensor<f64>], f: F) -> Report
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    full().function(inputs, f)
}

/// Checks `f` of all parameters of `module`, every entry, at both orders; the report names the parameter.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// parameters! { struct Line<P> { slope: P, offset: P } }
///
/// let line = Line { slope: Tensor::scalar(3.0), offset: Tensor::scalar(1.0) };
/// rewind_check::module(&line, |_, line| (line.slope * 2.0 + line.offset).tanh()).assert();
/// ```
pub fn module<M, F>(module: &M, f: F) -> Report
where
    M: Parameters<Tensor<f64>>,
    F: for<'t> Fn(&'t Tape<f64>, &M::With<Var<'t, f64>>) -> Var<'t, f64>,
{
    full().module(module, f)
}

/// Checks one op at `inputs`, every entry, at both orders.
///
/// ```
/// use rewind_autograd::ops::activation::Tanh;
/// rewind_check::op(Tanh, &[rewind_check::sample(&[2, 3], 1)]).assert();
/// ```
pub fn op<O: Op<f64> + Clone>(op: O, inputs: &[Tensor<f64>]) -> Report {
    full().op(op, inputs)
}

/// Values in ±[0.5, 1.5) without a pattern, the same for the same seed: a point to check at, away from kinks at 0.
///
/// ```
/// let x = rewind_check::sample::<f64>(&[2, 3], 1);
/// assert!(x.to_vec().iter().all(|x| (0.5..1.5).contains(&x.abs())));
/// ```
pub fn sample<T: Scalar>(shape: &[usize], seed: u64) -> Tensor<T> {
    elements::direction(shape, seed, 1 << 56)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
