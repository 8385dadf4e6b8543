//! Custom ops: a value, a rule for each input, and the check that the rules are right.
//!
//! `cargo run --example 02_custom_op`

use rewind_autograd::shape::mismatch;
use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var, ops};
use rewind_check as check;

ops! {
    /// y = x·tanh(softplus x) with softplus x = ln(1 + e^x), elementwise (Mish: Misra 2019);
    /// x̄ = ȳ·(t + x·(1 - t²)·sigmoid x) with t = tanh(softplus x).
    fn mish = Mish(x) {
        value: {
            // softplus as max(x, 0) + ln(1 + e^-|x|): e^x alone would overflow.
            let softplus = |x: T| (if x > T::ZERO { x } else { T::ZERO }) + (-x.abs()).exp().ln_1p();
            x.map(|x| x * softplus(x).tanh())
        },
        x: |g, x| {
            let t = x.softplus().tanh();
            g * (t + x * (t * t).one_minus() * x.sigmoid())
        },
    }

    /// y = d²/2 where |d| <= δ, and δ·(|d| - δ/2) elsewhere, with d = x - target, elementwise (Huber 1964);
    /// x̄ = ȳ·min(max(d, -δ), δ), and the negative of it for the target.
    fn huber = Huber<T>(x, target; delta: T) {
        check: if x.shape() != target.shape() {
            mismatch("huber", &[&x.shape(), &target.shape()], "two variables of the same shape")
        },
        value: x.zip(target, |x, target| {
            let (d, half) = ((x - target).abs(), T::from_f64(0.5));
            if d <= delta { half * d * d } else { delta * (d - half * delta) }
        }),
        x: |g, x, target| g * (x - target).clamp(-delta, delta),
        target: |g, x, target| -(g * (x - target).clamp(-delta, delta)),
    }

    /// Mish with a wrong rule: 1 - t instead of 1 - t², the derivative of tanh.
    fn wrong_mish = WrongMish(x) {
        value: Mish.forward(&[x]),
        x: |g, x| {
            let t = x.softplus().tanh();
            g * (t + x * t.one_minus() * x.sigmoid())
        },
    }
}

/// y = Σ c_k·x_k for any number of inputs of one shape, with one weight c_k each; x̄_k = c_k·ȳ.
struct Blend<T> {
    weights: Vec<T>,
}

impl<T: Scalar> Op<T> for Blend<T> {
    fn name(&self) -> &'static str {
        "blend"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut sum = Tensor::zeros(inputs[0].shape());
        for (x, &weight) in inputs.iter().zip(&self.weights) {
            sum.add_assign(&x.map(|x| weight * x));
        }
        sum
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense(at.cotangent() * self.weights[input])
    }
}

/// Σ c_k·x_k.
///
/// # Panics
/// If there is no variable, there are more or fewer weights, or the shapes differ.
#[track_caller]
fn blend<'t, T: Scalar>(vars: &[Var<'t, T>], weights: &[T]) -> Var<'t, T> {
    assert!(!vars.is_empty() && vars.len() == weights.len(), "blend: {} weights for {}", weights.len(), vars.len());
    for v in vars {
        if v.shape() != vars[0].shape() {
            mismatch("blend", &[&vars[0].shape(), &v.shape()], "one shape for all");
        }
    }
    vars[0].tape().apply(Blend { weights: weights.to_vec() }, vars)
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

    let x = Tensor::from_vec(vec![-1.7, -0.4, 0.3, 0.9, 2.2, 30.0], &[2, 3]);
    let other = Tensor::from_vec(vec![0.3, -0.6, 4.0, 0.7, 2.1, 9.0], &[2, 3]);
    check::function(std::slice::from_ref(&x), |_, v| mish(v[0])).assert();
    check::function(&[x.clone(), other.clone()], |_, v| huber(v[0], v[1], 1.0)).assert();
    check::function(&[x.clone(), other], |_, v| blend(v, &[0.25, -3.0])).assert();
    println!("mish, huber and blend are right, to second order\n");

    let report = check::function(&[x], |_, v| wrong_mish(v[0]));
    println!("1 - t for 1 - t²: {report}");
    assert!(!report.passed());
}
