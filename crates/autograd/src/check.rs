//! Gradients against central differences, in `f64`, at orders one and two.
//!
//! For y = f(x) the check draws a fixed weight for every element of y and looks at L(x) = Σ weight·y. First order: the
//! tape's ∇L against (L(x + h) - L(x - h)) / 2h for every entry of every input. Second order: with a fixed direction v
//! it looks at S(x) = Σ v·∇L(x) in the same way, so the rules are checked as differentiable functions too.
//!
//! ```
//! use rewind_autograd::{Tensor, check};
//! let x = Tensor::from_vec(vec![0.3, -0.8, 1.1], &[3]);
//! check::function(&[x], |_tape, x| (x[0].tanh() * x[0]).sum()).assert();
//! ```

use std::fmt;

use crate::parameters::Parameters;
use crate::tape::Tape;
use crate::{Tensor, Var};

/// The relative error that central differences in `f64` may be expected to stay below, with room to spare: truncation
/// and rounding are near 1e-10 each at the step used here.
const TOLERANCE: f64 = 1e-6;

/// The step for an entry of size 1: the cube root of the rounding unit, where truncation and rounding balance.
const STEP: f64 = 6.055e-6;

/// One entry of a gradient, as the tape and as differences have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// 1 for the gradient, 2 for the gradient of a projection of the gradient.
    pub order: u8,
    /// The input: its number, or its dotted name in a module.
    pub input: String,
    /// The place within the input, one position per axis.
    pub index: Vec<usize>,
    /// What the tape says.
    pub analytic: f64,
    /// What central differences say.
    pub numeric: f64,
}

impl Entry {
    /// |analytic - numeric| / max(1, |analytic|, |numeric|); infinite if one of them is not finite.
    pub fn error(&self) -> f64 {
        let (a, n) = (self.analytic, self.numeric);
        let error = (a - n).abs() / a.abs().max(n.abs()).max(1.0);
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a check that nobody looks at checks nothing"]
pub struct Report {
    /// How many entries were compared, both orders together.
    pub entries: usize,
    /// The entry with the largest error, of the first order if that one is wrong; `None` if there was nothing to
    /// compare.
    pub worst: Option<Entry>,
}

impl Report {
    /// Whether every entry is within the tolerance. A check that compared nothing has not passed.
    pub fn passed(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| worst.error() <= TOLERANCE)
    }

    /// Panics with the report unless the check passed.
    ///
    /// # Panics
    /// If an entry is off, or nothing was compared.
    #[track_caller]
    pub fn assert(&self) {
        if !self.passed() {
            panic!("{self}");
        }
    }

    fn add(&mut self, entry: Entry) {
        self.entries += 1;
        // Differences of wrong gradients mislead: what is wrong at the first order is not hidden by the second.
        let worse = |worst: &Entry| {
            let settled = worst.error() > TOLERANCE && entry.order > worst.order;
            !settled && entry.error() > worst.error()
        };
        if self.worst.as_ref().is_none_or(worse) {
            self.worst = Some(entry);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(worst) = &self.worst else {
            return write!(f, "gradient check: nothing was compared: no input has an element");
        };
        let verdict = if self.passed() { "right" } else { "WRONG" };
        let Entry { order, input, index, analytic, numeric } = worst;
        writeln!(f, "gradient check: {verdict}, {} entries compared; the worst:", self.entries)?;
        writeln!(f, "  order {order}, input {input}, index {index:?}")?;
        writeln!(f, "  tape        {analytic:+.12e}")?;
        writeln!(f, "  differences {numeric:+.12e}")?;
        write!(f, "  relative error {:.1e} (tolerance {TOLERANCE:.0e})", worst.error())
    }
}

/// Checks `f` of `inputs`, at both orders.
///
/// `f` gets a tape for constants and one variable per input. It must compute the same thing at every call.
#[track_caller]
pub fn function<F>(inputs: &[Tensor<f64>], f: F) -> Report
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let names = (0..inputs.len()).map(|i| i.to_string()).collect::<Vec<_>>();
    compare(&names, inputs, &f)
}

/// Checks `f` of all parameters of `module`, at both orders; the report names the parameter.
#[track_caller]
pub fn module<M, F>(module: &M, f: F) -> Report
where
    M: Parameters<Tensor<f64>>,
    F: for<'t> Fn(&'t Tape<f64>, &M::With<Var<'t, f64>>) -> Var<'t, f64>,
{
    let inputs: Vec<_> = module.leaves().into_iter().cloned().collect();
    compare(&module.names(), &inputs, &|tape, vars| {
        let mut rest = vars.iter();
        f(tape, &module.map(|_, _| *rest.next().expect("one variable per leaf")))
    })
}

/// Numbers in ±[0.5, 1.5) that follow no pattern: weights of a projection. Never near 0, so that nothing is hidden.
fn direction(shape: &[usize], stream: u64) -> Tensor<f64> {
    let mut state = stream.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    Tensor::from_fn(shape, |_| {
        // splitmix64 (Steele et al. 2014): a check must not depend on anybody's generator.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let size = 0.5 + (z >> 11) as f64 / (1_u64 << 53) as f64;
        if z & 1 == 0 { size } else { -size }
    })
}

fn compare<F>(names: &[String], inputs: &[Tensor<f64>], f: &F) -> Report
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let mut report = Report { entries: 0, worst: None };
    let mut add = |order, input: usize, at, analytic: &[Tensor<f64>], numeric| {
        let index = unravel(at, inputs[input].shape());
        let analytic = analytic[input].at(&index);
        report.add(Entry { order, input: names[input].clone(), index, analytic, numeric });
    };
    let first = gradient(inputs, f);
    differences(inputs, |x| objective(x, f), |input, at, numeric| add(1, input, at, &first, numeric));
    let second = gradient_of_projection(inputs, f);
    differences(inputs, |x| projection(x, f), |input, at, numeric| add(2, input, at, &second, numeric));
    report
}

fn leaves<'t>(tape: &'t Tape<f64>, inputs: &[Tensor<f64>]) -> Vec<Var<'t, f64>> {
    inputs.iter().map(|x| tape.leaf(x.clone())).collect()
}

/// L = Σ weight·f(x).
fn weighted<'t>(y: Var<'t, f64>) -> Var<'t, f64> {
    (y * y.tape().constant(direction(&y.shape(), 0))).sum()
}

fn objective<F>(inputs: &[Tensor<f64>], f: &F) -> f64
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    // Not a quiet tape: f may ask for gradients itself (a penalty on a gradient, say).
    let tape = Tape::new();
    weighted(f(&tape, &leaves(&tape, inputs))).value().item()
}

fn gradient<F>(inputs: &[Tensor<f64>], f: &F) -> Vec<Tensor<f64>>
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let tape = Tape::new();
    let x = leaves(&tape, inputs);
    let gradients = weighted(f(&tape, &x)).backward();
    x.iter().map(|&x| gradients.get(x)).collect()
}

/// S = Σ v·∇L(x), by a first-order sweep.
fn projection<F>(inputs: &[Tensor<f64>], f: &F) -> f64
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let gradients = gradient(inputs, f);
    gradients.iter().enumerate().map(|(i, g)| g.zip(&direction(g.shape(), i as u64 + 1), |g, v| g * v).sum()).sum()
}

/// ∇S, by a sweep over a recorded sweep.
fn gradient_of_projection<F>(inputs: &[Tensor<f64>], f: &F) -> Vec<Tensor<f64>>
where
    F: for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>,
{
    let tape = Tape::new();
    let x = leaves(&tape, inputs);
    let gradients = weighted(f(&tape, &x)).grad(&x);
    let mut projected = tape.scalar(0.0);
    for (i, &g) in gradients.iter().enumerate() {
        projected = projected + (g * tape.constant(direction(&g.shape(), i as u64 + 1))).sum();
    }
    let second = projected.backward();
    x.iter().map(|&x| second.get(x)).collect()
}

/// Calls `each(input, element, difference quotient)` for every element of every input.
fn differences(inputs: &[Tensor<f64>], f: impl Fn(&[Tensor<f64>]) -> f64, mut each: impl FnMut(usize, usize, f64)) {
    let mut moved = inputs.to_vec();
    for input in 0..inputs.len() {
        let start = inputs[input].to_vec();
        for (at, &x) in start.iter().enumerate() {
            let step = STEP * x.abs().max(1.0);
            let mut value_at = |x: f64| {
                let mut numbers = start.clone();
                numbers[at] = x;
                moved[input] = Tensor::from_vec(numbers, inputs[input].shape());
                f(&moved)
            };
            // The step that was really taken: x ± step is rounded.
            let (right, left) = (x + step, x - step);
            let quotient = (value_at(right) - value_at(left)) / (right - left);
            each(input, at, quotient);
        }
        moved[input] = inputs[input].clone();
    }
}

fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}
