//! The ops of CTC. Their rules close: each derivative of one is one of the second, with one more direction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rewind_autograd::{Op, Reads, Scalar, Site, Tensor, Term, Var};

use super::lattice::{Emissions, Target, log_likelihood, occupancy};

/// The targets of a batch, one a sequence.
pub(super) type Targets = Arc<[Target]>;

/// y_b = -ln Σ e^(Σ_t x[t, b, π_t]) over the paths π that collapse to the target of sequence b: x `[T, B, C]` → `[B]`. +∞ if there is no
/// path. NaN if an entry of a class of the target is NaN or +∞.
pub(super) fn ctc_loss<T: Scalar>(x: Var<'_, T>, targets: Targets) -> Var<'_, T> {
    let known = x.is_tracked().then(Arc::default);
    x.tape().apply(CtcLoss { targets, known }, &[x])
}

/// [`ctc_loss`]; x̄ = -ȳ_b times the [share of the paths](Occupancy) at each class, 0 if there is none.
struct CtcLoss<T: Scalar> {
    targets: Targets,
    /// Where a gradient may be asked for, the shares are computed with the losses: both begin with the same recursion.
    known: Option<Arc<Known<T>>>,
}

impl<T: Scalar> Op<T> for CtcLoss<T> {
    fn name(&self) -> &'static str {
        "ctc_loss"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let x = inputs[0].to_contiguous();
        let likelihoods: Vec<_> = match &self.known {
            Some(known) => {
                let mut shares = Tensor::zeros(x.shape());
                let one = |(b, target)| write_occupancy(std::slice::from_ref(&x), b, target, &mut shares);
                let likelihoods = self.targets.iter().enumerate().map(one).collect();
                known.set(x, shares);
                likelihoods
            }
            None => {
                let one = |(b, target)| emissions(&x, b, target).map_or(f64::NAN, |e| log_likelihood(target, &e));
                self.targets.iter().enumerate().map(one).collect()
            }
        };
        Tensor::from_vec(likelihoods.into_iter().map(|ln| T::from_f64(0.0 - ln)).collect(), &[self.targets.len()])
    }
    fn vjp<'t>(&self, _: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (targets, known) = (self.targets.clone(), self.known.clone());
        let shares = at.tape().apply(Occupancy { targets, known }, &[at.input(0)]);
        Term::Dense(-(at.cotangent().reshape(&[1, self.targets.len(), 1]) * shares))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// The shares of the last x whose losses were computed.
struct Known<T: Scalar>(Mutex<Option<[Tensor<T>; 2]>>);

impl<T: Scalar> Default for Known<T> {
    fn default() -> Self {
        Known(Mutex::default())
    }
}

impl<T: Scalar> Known<T> {
    fn slot(&self) -> MutexGuard<'_, Option<[Tensor<T>; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, x: Tensor<T>, shares: Tensor<T>) {
        *self.slot() = Some([x, shares]);
    }

    /// The shares of `x`, if it is the very tensor that they were computed from: the same memory, whose contents cannot have changed,
    /// because the tensor here shares it.
    fn shares_of(&self, x: &Tensor<T>) -> Option<Tensor<T>> {
        let slot = self.slot();
        let [own, shares] = slot.as_ref()?;
        let is_same = own.shape() == x.shape() && own.as_slice()?.as_ptr() == x.as_slice()?.as_ptr();
        is_same.then(|| shares.clone())
    }
}

/// y = the share of the weight of all paths that is at class c at step t, differentiated in the directions u_1, …, u_k: inputs x
/// and the u_i, all `[T, B, C]`, as y. It is the gradient of D^k ln Z(x)[u_1, …, u_k], where ln Z is the negative loss: a cumulant of
/// order k + 1. So x̄ is the same with ȳ as one more direction, and ū_i that with ȳ in the place of u_i.
///
/// The cost is that of the loss times 3^k.
struct Occupancy<T: Scalar> {
    targets: Targets,
    /// The values without directions, if they are known.
    known: Option<Arc<Known<T>>>,
}

impl<T: Scalar> Op<T> for Occupancy<T> {
    fn name(&self) -> &'static str {
        "ctc_occupancy"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        if let (&[x], Some(known)) = (inputs, &self.known)
            && let Some(shares) = known.shares_of(x)
        {
            return shares;
        }
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
        Term::Dense(at.tape().apply(Occupancy { targets: self.targets.clone(), known: None }, &inputs))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// The entries of the classes of a target at its steps, `[steps, classes]`, of sequence `b` of `x`.
fn entries<T: Scalar>(x: &Tensor<T>, b: usize, target: &Target) -> Vec<f64> {
    let &[_, batch, width] = x.shape() else { unreachable!("the shape is checked where the op is recorded") };
    let all = x.as_slice().expect("the input is contiguous");
    let mut entries = Vec::with_capacity(target.steps * target.classes.len());
    for t in 0..target.steps {
        let row = &all[(t * batch + b) * width..][..width];
        entries.extend(target.classes.iter().map(|&class| row[class].to_f64()));
    }
    entries
}

fn emissions<T: Scalar>(x: &Tensor<T>, b: usize, target: &Target) -> Option<Emissions> {
    Emissions::new(target.classes.len(), &entries(x, b, target))
}

/// Writes what belongs to sequence `b`, of which there are zeros; returns ln Σ of the weights of its paths.
fn write_occupancy<T: Scalar>(inputs: &[Tensor<T>], b: usize, target: &Target, y: &mut Tensor<T>) -> f64 {
    let (batch, width) = (y.shape()[1], y.shape()[2]);
    let elements = y.as_mut_slice();
    let Some(own) = emissions(&inputs[0], b, target) else {
        (0..target.steps).for_each(|t| elements[(t * batch + b) * width..][..width].fill(T::from_f64(f64::NAN)));
        return f64::NAN;
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_shares_serve_the_tensor_that_they_were_computed_from_and_no_other() {
        let targets: Targets = [Target::new(&[1, 2], 3, 0), Target::new(&[2], 3, 0)].into();
        let known = Arc::default();
        let loss = CtcLoss { targets: targets.clone(), known: Some(Arc::clone(&known)) };
        let with = Occupancy { targets: targets.clone(), known: Some(known) };
        let without = Occupancy { targets, known: None };
        let tensor = |rate: f64| Tensor::from_fn(&[3, 2, 3], |i| (i as f64 * rate).sin());
        let (x, other) = (tensor(0.7), tensor(1.3));
        loss.forward(&[&x]);
        // Both are held, or the memory of the first would serve the second.
        let shares = [with.forward(&[&x]), with.forward(&[&x])];
        let [first, second] = shares.each_ref().map(|shares| shares.as_slice().map(<[f64]>::as_ptr));
        assert_eq!(first, second, "the known shares");
        let mut changed = x.clone();
        changed.as_mut_slice()[0] = 2.0;
        for x in [&x, &other, &changed, &x.to_contiguous(), &x.reshape(&[3, 2, 3])] {
            assert_eq!(with.forward(&[x]), without.forward(&[x]));
        }
        assert_ne!(with.forward(&[&x]), with.forward(&[&changed]));
        loss.forward(&[&other]);
        assert_eq!(with.forward(&[&x]), without.forward(&[&x]), "the known shares are now those of another tensor");
    }

    /// The shares of two sequences of seven steps, in these directions.
    fn shares(inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let targets: Targets = [Target::new(&[1, 2, 2], 7, 0), Target::new(&[2], 7, 0)].into();
        Occupancy { targets, known: None }.forward(inputs)
    }

    #[test]
    fn a_sequence_of_nan_has_shares_of_nan_and_the_others_have_theirs() {
        let x = Tensor::from_fn(&[7, 2, 3], |i| -(i as f64 * 0.7).sin().abs());
        let mut spoiled = x.clone();
        spoiled.as_mut_slice()[(3 * 2 + 1) * 3] = f64::NAN; // step 3 of the second sequence
        let found = shares(&[&spoiled]);
        assert_eq!(found.slice(1, 0..1), shares(&[&x]).slice(1, 0..1));
        assert!(found.slice(1, 1..2).to_vec().iter().all(|share| share.is_nan()), "{found:?}");
    }

    #[test]
    fn what_all_classes_of_a_direction_have_in_common_costs_no_digits() {
        let x = Tensor::from_fn(&[7, 2, 3], |i| -(i as f64 * 0.7).sin().abs());
        let direction = Tensor::from_fn(&[7, 2, 3], |i| (i * 37 % 64) as f64 / 1024.0);
        let shifted = direction.map(|u| u + 2_f64.powi(30)); // without rounding
        let found = shares(&[&x, &shifted]).zip(&shares(&[&x, &direction]), |a, b| (a - b).abs()).to_vec();
        assert!(found.iter().all(|&off| off < 1e-13), "{found:?}");
    }

    #[test]
    fn the_loss_with_its_shares_is_the_loss_alone() {
        for (labels, steps) in [(vec![], 1), (vec![1], 1), (vec![1, 1], 2), (vec![1, 2, 2], 7)] {
            let targets: Targets = [Target::new(&labels, steps, 0)].into();
            let x = Tensor::from_fn(&[steps, 1, 3], |i| -(i as f64 * 0.7).sin().abs());
            let [with, alone] = [Some(Arc::default()), None]
                .map(|known| CtcLoss { targets: targets.clone(), known }.forward(&[&x]).to_vec());
            assert_eq!(with, alone, "{labels:?}"); // +∞ where there is no path
        }
    }
}
