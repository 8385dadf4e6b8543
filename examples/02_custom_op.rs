//! An op of your own: its value, its rule, and the proof that the rule is right.
//!
//! `cargo run --example 02_custom_op`

use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var};
use rewind_check as check;

/// y = x·tanh(softplus x) with softplus x = ln(1 + e^x), elementwise (Mish: Misra 2019);
/// x̄ = ȳ·(t + x·(1 - t²)·sigmoid x) with t = tanh(softplus x).
struct Mish;

impl<T: Scalar> Op<T> for Mish {
    fn name(&self) -> &'static str {
        "mish"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        // softplus as max(x, 0) + ln(1 + e^-|x|): e^x alone would overflow.
        let softplus = |x: T| (if x > T::ZERO { x } else { T::ZERO }) + (-x.abs()).exp().ln_1p();
        inputs[0].map(|x| x * softplus(x).tanh())
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (x, g) = (at.input(0), at.cotangent());
        let t = x.softplus().tanh();
        Term::dense(g * (t + x * (t * t).one_minus() * x.sigmoid()))
    }
}

/// Mish of every element of `x`, of any shape.
#[track_caller]
fn mish<'t, T: Scalar>(x: Var<'t, T>) -> Var<'t, T> {
    x.tape().apply(Mish, &[x])
}

/// The same op with a rule that is wrong on purpose.
enum Wrong {
    /// The slope of tanh is 1 - t², and somebody wrote 1 - t.
    Slope,
    /// t leaves the tape as a plain number: the gradient is right, and its derivative is not.
    Frozen,
}

impl Op<f64> for Wrong {
    fn name(&self) -> &'static str {
        "wrong_mish"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        Mish.forward(inputs)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (x, g) = (at.input(0), at.cotangent());
        let t = x.softplus().tanh();
        Term::dense(match self {
            Wrong::Slope => g * (t + x * t.one_minus() * x.sigmoid()),
            Wrong::Frozen => {
                let t = at.tape().constant(t.value());
                g * (t + x * (t * t).one_minus() * x.sigmoid())
            }
        })
    }
}

fn main() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![-3.0, -1.0, 0.0, 1.0, 3.0], &[5]));
    let y = mish(x);
    let slope = y.sum().grad(&[x])[0];
    let bend = slope.sum().grad(&[x])[0];
    println!("x        {:>7.3?}", x.value().to_vec());
    println!("mish x   {:>7.3?}", y.value().to_vec());
    println!("mish' x  {:>7.3?}", slope.value().to_vec());
    println!("mish'' x {:>7.3?}\n", bend.value().to_vec());

    let at = [Tensor::from_vec(vec![-1.7, -0.4, 0.3, 0.9, 2.2, 30.0], &[2, 3])];
    let right = check::function(&at, |_, x| mish(x[0]));
    println!("mish: {right}\n");
    right.assert();

    let slope = check::function(&at, |tape, x| tape.apply(Wrong::Slope, x));
    println!("1 - t for 1 - t²: {slope}\n");
    assert!(!slope.passed());

    let frozen = check::function(&at, |tape, x| tape.apply(Wrong::Frozen, x));
    println!("t taken off the tape: {frozen}");
    assert!(!frozen.passed());
}
