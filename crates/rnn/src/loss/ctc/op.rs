//! The ops of CTC. Their rules close: each derivative of one is one of the second, with one more direction.

use std::sync::Arc;

use rewind_autograd::{Op, Reads, Scalar, Site, Tensor, Term, Var, ops};

use super::lattice::{Emissions, Target, log_likelihood, occupancy};

/// The targets of a batch, one a sequence.
pub(super) type Targets = Arc<[Target]>;

ops! {
    /// y_b = -ln Σ e^(Σ_t x[t, b, π_t]) over the paths π that collapse to the target of sequence b: x `[T, B, C]` → `[B]`; x̄ = -ȳ_b
    /// times the [share of the paths](Occupancy) at each class. +∞ if there is no path, with x̄ = 0. NaN if an entry of a class of
    /// the target is NaN or +∞.
    pub(super) fn ctc_loss = CtcLoss(x; &targets: Targets) {
        value: {
            let x = x.to_contiguous();
            let mut losses = targets.iter().enumerate().map(|(b, target)| {
                let emissions = emissions(&x, b, target);
                T::from_f64(emissions.map_or(f64::NAN, |e| 0.0 - log_likelihood(target, &e)))
            });
            Tensor::build(&[targets.len()], |to| to.iter_mut().zip(&mut losses).for_each(|(to, loss)| *to = loss))
        },
        x: |g, x| {
            let shares = g.tape().apply(Occupancy { targets: targets.clone() }, &[x]);
            -(g.reshape(&[1, targets.len(), 1]) * shares)
        },
    }
}

/// y = the share of the weight of all paths that is at class c at step t, differentiated in the directions u_1, …, u_k: inputs x
/// and the u_i, all `[T, B, C]`, as y. It is the gradient of D^k ln Z(x)[u_1, …, u_k], where ln Z is the negative loss: a cumulant of
/// order k + 1. So x̄ is the same with ȳ as one more direction, and ū_i that with ȳ in the place of u_i.
///
/// The cost is that of the loss times 3^k.
pub(super) struct Occupancy {
    targets: Targets,
}

impl<T: Scalar> Op<T> for Occupancy {
    fn name(&self) -> &'static str {
        "ctc_occupancy"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let inputs: Vec<_> = inputs.iter().map(|input| input.to_contiguous()).collect();
        let mut y = Tensor::zeros(inputs[0].shape());
        for (b, target) in self.targets.iter().enumerate() {
            write_occupancy(&inputs, b, target, &mut y);
        }
        y
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let mut inputs: Vec<Var<'t, T>> = (0..at.arity()).map(|i| at.input(i)).collect();
        match input {
            0 => inputs.push(at.cotangent()),
            i => inputs[i] = at.cotangent(),
        }
        Term::Dense(at.tape().apply(Occupancy { targets: self.targets.clone() }, &inputs))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// The entries of the classes of a target at its steps, `[steps, classes]`, of sequence `b` of `x`.
fn entries<T: Scalar>(x: &Tensor<T>, b: usize, target: &Target) -> Vec<f64> {
    let &[_, batch, width] = x.shape() else { unreachable!("the shape is checked where the op is recorded") };
    let all = x.as_slice().expect("the input is contiguous");
    let row = |t: usize| &all[(t * batch + b) * width..][..width];
    (0..target.steps).flat_map(|t| target.classes.iter().map(move |&class| row(t)[class].to_f64())).collect()
}

fn emissions<T: Scalar>(x: &Tensor<T>, b: usize, target: &Target) -> Option<Emissions> {
    Emissions::new(target.classes.len(), &entries(x, b, target))
}

/// Writes what belongs to sequence `b`.
fn write_occupancy<T: Scalar>(inputs: &[Tensor<T>], b: usize, target: &Target, y: &mut Tensor<T>) {
    let (batch, width) = (y.shape()[1], y.shape()[2]);
    let elements = y.as_mut_slice();
    let Some(own) = emissions(&inputs[0], b, target) else {
        (0..target.steps).for_each(|t| elements[(t * batch + b) * width..][..width].fill(T::from_f64(f64::NAN)));
        return;
    };
    let count = target.classes.len();
    let mut directions: Vec<_> = inputs[1..].iter().map(|u| entries(u, b, target)).collect();
    if !directions.is_empty() {
        // A constant added to a direction at one step scales all paths alike. Without the mean, covariances cancel less.
        occupancy(target, &own, |t, shares| {
            for u in &mut directions {
                let row = &mut u[t * count..][..count];
                let mean: f64 = row.iter().zip(shares).map(|(u, share)| u * share).sum();
                row.iter_mut().for_each(|u| *u -= mean);
            }
        });
    }
    let own = own.along(directions);
    occupancy(target, &own, |t, values| {
        let row = &mut elements[(t * batch + b) * width..][..width];
        target.classes.iter().zip(values).for_each(|(&class, &value)| row[class] = T::from_f64(value));
    });
}
