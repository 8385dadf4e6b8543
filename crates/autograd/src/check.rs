//! Gradients against differences: the check that says what is wrong, and where.
//!
//! For y = f(x) the check draws a fixed weight for every element of y and looks at L(x) = Σ weight·y. First order: the
//! tape's ∇L against (L(x + h) - L(x - h)) / 2h for every entry of every input. Second order: with fixed directions v
//! it looks at S(x) = Σ v·∇L(x) in the same way, so the rules are checked as differentiable functions too; and so on.
//!
//! ```
//! use rewind_autograd::{Tensor, check};
//! let x = Tensor::from_vec(vec![0.3, -0.8, 1.1], &[3]);
//! check::function(&[x], |_tape, x| (x[0].tanh() * x[0]).sum()).assert();
//! ```
//!
//! The answer is a [`Report`] with a [`Verdict`]: right, wrong, cannot tell (and why), or invalid. Entries that disagree at
//! the first step are looked at again at many steps: the error of a wrong rule does not move with h, truncation falls with
//! h², rounding rises as h falls, and at a kink the derivatives from both sides stay apart; of a function that changes within
//! the shortest step, differences settle nowhere, and cannot tell. If something is wrong, every node of the tape is checked
//! alone, and the report names the first op at fault with the line that recorded it.
//!
//! [`full`] and [`fast`] start a [`Check`] with other settings:
//!
//! ```
//! use rewind_autograd::{Tensor, check};
//! let x = Tensor::from_vec(vec![0.3_f32, -0.8, 1.1], &[3]);
//! check::fast().orders(1).seed(7).function(&[x], |_tape, x| x[0].softmax(0)).assert();
//! ```

mod alone;
mod culprit;
mod differences;
mod display;
mod judge;
mod objective;
mod off_tape;
mod pattern;
mod prober;
mod report;
mod run;
mod shrink;
mod steps;
#[cfg(feature = "proptest")]
pub mod strategies;

use crate::parameters::Parameters;
use crate::tape::Tape;
use crate::{Op, Scalar, Tensor, Var};
use objective::Function;
use run::{Run, catch};

pub use pattern::Pattern;
pub use report::{Culprit, Doubt, Entry, Invalid, Mode, OffTape, Report, StepError, Suspect, Verdict};
pub use shrink::shrunk;

/// Settings of a check: every entry or random directions, up to which order, and the seed of what is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    mode: Mode,
    orders: usize,
    seed: u64,
}

/// Every entry of every input, at orders one and two: 2·n evaluations of the function for n entries, and as many of its
/// gradient.
pub fn full() -> Check {
    Check { mode: Mode::Full, orders: 2, seed: 0 }
}

/// Random directions through all inputs at once, at order one: a few evaluations in all, however large the inputs. Every
/// direction has entries of both signs, and weights of its own for the outputs; inputs of small gradients weigh as much as
/// others. What it cannot see is an error that is small beside the gradient of its input: below about 1e-6 of its norm in
/// `f64`, and up to a few times that with several inputs. If a direction disagrees or cannot tell, every entry is compared,
/// to say which.
pub fn fast() -> Check {
    Check { mode: Mode::Fast { projections: 3 }, orders: 1, seed: 0 }
}

/// Checks `f` of `inputs`, every entry, at both orders.
///
/// `f` gets a tape for constants and one variable per input. It must compute the same thing at every call, to the last bit. The check is in
/// `f64`, where differences tell most; [`Check::function`] takes either precision.
pub fn function<F>(inputs: &[Tensor<f64>], f: F) -> Report
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    full().function(inputs, f)
}

/// Checks `f` of all parameters of `module`, every entry, at both orders; the report names the parameter.
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
/// use rewind_autograd::{Tensor, check, ops::activation::Tanh};
/// check::op(Tanh, &[check::sample(&[2, 3], 1)]).assert();
/// ```
pub fn op<O: Op<f64> + Clone>(op: O, inputs: &[Tensor<f64>]) -> Report {
    full().op(op, inputs)
}

/// Numbers in ±[0.5, 1.5) without a pattern, the same for the same seed: a point to check at, away from kinks at 0.
pub fn sample<T: Scalar>(shape: &[usize], seed: u64) -> Tensor<T> {
    objective::direction(shape, seed, 1 << 56)
}

impl Check {
    /// Compares derivatives up to this order: 1 for gradients, 2 for gradients of gradients, and so on.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn orders(self, orders: usize) -> Self {
        assert!(orders > 0, "orders: 0 compares nothing; expected 1 at least");
        Check { orders, ..self }
    }

    /// Another seed for weights and directions.
    pub fn seed(self, seed: u64) -> Self {
        Check { seed, ..self }
    }

    /// So many random directions instead of every entry.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn projections(self, projections: usize) -> Self {
        assert!(projections > 0, "projections: 0 compare nothing; expected 1 at least");
        Check { mode: Mode::Fast { projections }, ..self }
    }

    /// Checks `f` of `inputs`; see [`function()`].
    pub fn function<T: Scalar, F>(&self, inputs: &[Tensor<T>], f: F) -> Report
    where
        F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
    {
        let names = (0..inputs.len()).map(|i| i.to_string()).collect::<Vec<_>>();
        self.run(&names, &[], inputs, &f)
    }

    /// Checks `f` of all parameters of `module`; see [`module()`].
    pub fn module<T: Scalar, M, F>(&self, module: &M, f: F) -> Report
    where
        M: Parameters<Tensor<T>>,
        F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
    {
        let inputs: Vec<_> = module.leaves().into_iter().cloned().collect();
        let names = module.names();
        self.run(&names, &names, &inputs, &|tape, vars| {
            let mut rest = vars.iter();
            f(tape, &module.map(|_, _| *rest.next().expect("one variable per leaf")))
        })
    }

    /// Checks one op at `inputs`; see [`op()`].
    pub fn op<T: Scalar, O: Op<T> + Clone>(&self, op: O, inputs: &[Tensor<T>]) -> Report {
        self.function(inputs, |tape, x| tape.apply(op.clone(), x))
    }

    fn run<T: Scalar>(
        &self,
        names: &[String],
        parameters: &[String],
        inputs: &[Tensor<T>],
        f: &Function<'_, T>,
    ) -> Report {
        let mut report = Report {
            verdict: Verdict::Right,
            entries: 0,
            checked: 0,
            disagreeing: 0,
            mode: self.mode,
            orders: self.orders,
            precision: T::NAME,
            resolution: 0.0,
            seed: self.seed,
            shapes: inputs.iter().map(|x| x.shape().to_vec()).collect(),
            sizes: None,
            worst: None,
            steps: Vec::new(),
            culprit: None,
        };
        if inputs.is_empty() {
            report.verdict = Verdict::CannotTell(Doubt::Nothing);
            return report;
        }
        for order in 1..=self.orders {
            let run = Run { check: *self, names, parameters, inputs, f, order };
            match catch(|| run.compare(&mut report)) {
                Ok(Ok(())) => {}
                Ok(Err(invalid)) => report.verdict = Verdict::Invalid(invalid),
                Err(message) => report.verdict = Verdict::Invalid(Invalid::Panicked(message)),
            }
            // Differences of wrong gradients mislead: what is wrong at one order is not compared at the next.
            if matches!(report.verdict, Verdict::Wrong | Verdict::Invalid(_)) {
                break;
            }
        }
        report
    }
}
