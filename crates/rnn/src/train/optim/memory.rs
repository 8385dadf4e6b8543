//! The state of an optimiser between steps.

use rewind_autograd::shape::{Shape, unravel};
use rewind_autograd::{Module, Parameters, Scalar, Tensor};
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Result};
use crate::nonfinite::{NonFinite, all_finite, finite_tensor};

/// The saved part of an optimiser: the number of steps taken, and its moments under `parameter.moment`, such as
/// `cell.weight_ih.exp_avg`. [Settings](super::Optimizer::settings) are not part of it.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::optim::{Adam, Optimizer};
///
/// parameters! { struct One<P> { w: P } }
///
/// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
/// let mut adam = Adam::new(0.1);
/// adam.step(&mut one, &gradient)?;
/// let moments = adam.moments();
/// assert_eq!(moments.steps, 1);
/// assert_eq!(moments.tensors[0].0, "w.exp_avg");
///
/// let mut resumed = Adam::<f64>::new(0.1);
/// resumed.load_moments(&moments)?;
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Moments<T: Scalar> {
    /// How many steps were taken.
    pub steps: u64,
    /// The moments by name, in the order of the leaves when they come from an optimiser, in any order when loaded.
    pub tensors: Vec<(String, Tensor<T>)>,
}

#[derive(Clone, Debug)]
struct Leaf<T: Scalar, const N: usize> {
    name: String,
    shape: Shape,
    moments: [Tensor<T>; N],
}

/// `N` moments for every leaf of a module, allocated at the first step: the base of an optimiser.
///
/// ```
/// use rewind_autograd::{Parameters, Scalar, Tensor, parameters};
/// use rewind_rnn::optim::Memory;
///
/// /// w ← w - rate·sign(m), m ← β·m + (1 - β)·g (Bernstein et al. 2018, "signSGD").
/// struct Signum<T: Scalar> { rate: f64, beta: f64, memory: Memory<T, 1> }
///
/// impl<T: Scalar> Signum<T> {
///     fn step<M: Parameters<Tensor<T>>>(&mut self, w: &mut M, g: &M) -> rewind_rnn::Result<()> {
///         let (rate, beta) = (T::from_f64(self.rate), T::from_f64(self.beta));
///         self.memory.step(w, g, |_step, w, g, [m]| {
///             let m = beta * m + (T::ONE - beta) * g;
///             (if m > T::ZERO { w - rate } else if m < T::ZERO { w + rate } else { w }, [m])
///         })
///     }
/// }
/// let mut signum = Signum { rate: 0.1, beta: 0.9, memory: Memory::new(["momentum"]) };
///
/// parameters! { struct One<P> { w: P } }
///
/// let (mut w, g) = (One { w: Tensor::full(&[2], 1.0) }, One { w: Tensor::full(&[2], 3.0) });
/// signum.step(&mut w, &g)?;
/// assert_eq!(w.w.to_vec(), [0.9, 0.9]);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory<T: Scalar, const N: usize> {
    /// Who keeps it, for messages.
    owner: &'static str,
    kinds: [&'static str; N],
    steps: u64,
    /// `None` before the first step.
    leaves: Option<Vec<Leaf<T, N>>>,
}

/// The leaves of larger modules are listed in memory that is allocated at each step.
const FEW_LEAVES: usize = 32;

pub(in crate::train) const PARAMETERS: &str = "the parameters";
pub(in crate::train) const GRADIENTS: &str = "the gradients";

impl<T: Scalar, const N: usize> Memory<T, N> {
    /// An empty memory for moments of these names.
    pub fn new(kinds: [&'static str; N]) -> Self {
        Memory::of("optimiser", kinds)
    }

    /// A memory that `owner` keeps, which is named in messages.
    pub(in crate::train) fn of(owner: &'static str, kinds: [&'static str; N]) -> Self {
        Memory { owner, kinds, steps: 0, leaves: None }
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes a step: for every element w with gradient g and moments m, which are 0 at first, sets
    /// (w, m) ← `update(step, w, g, m)`. The first step is number 1.
    ///
    /// `update` is called twice for each element: all results are checked to be finite before the first one is stored.
    ///
    /// # Errors
    /// As [`Optimizer::step`](super::Optimizer::step), and nothing is changed then.
    pub fn step<M: Parameters<Tensor<T>>>(
        &mut self,
        parameters: &mut M,
        gradients: &M,
        update: impl Fn(u64, T, T, [T; N]) -> (T, [T; N]),
    ) -> Result<()> {
        // Usually both have the leaves of the step before, which is checked without collecting names and shapes.
        let known = self.fits(parameters) && self.fits(gradients);
        if !known {
            same_leaves(self.owner, &described(parameters), PARAMETERS, &described(gradients), GRADIENTS)?;
        }
        all_finite(gradients).map_err(|at| Error::nonfinite(&format!("{}: the gradient of", self.owner), at))?;
        let steps = self.steps + 1;
        if known {
            self.stays_finite(steps, parameters, gradients, &update)?;
        } else {
            let before = self.leaves.clone();
            self.remember(parameters, PARAMETERS)?;
            if let Err(error) = self.stays_finite(steps, parameters, gradients, &update) {
                self.leaves = before;
                return Err(error);
            }
        }
        self.steps = steps;
        let leaves = self.leaves.iter_mut().flatten();
        let mut ordered = SmallVec::<[_; FEW_LEAVES]>::new();
        gradients.visit(|_, g| ordered.push(g));
        let mut rest = ordered.into_iter().zip(leaves);
        parameters.visit_mut(|_, w| {
            let Some((g, leaf)) = rest.next() else { return };
            let g = g.to_contiguous();
            let g = g.as_slice().unwrap_or_default();
            let w = w.as_mut_slice();
            // Slices of one length, so that the loop needs no bounds checks and is vectorised.
            let (count, g) = (w.len(), &g[..w.len()]);
            let mut moments = leaf.moments.each_mut().map(|m| &mut m.as_mut_slice()[..count]);
            for i in 0..count {
                let (next, moved) = update(steps, w[i], g[i], moments.each_ref().map(|m| m[i]));
                w[i] = next;
                for (slot, m) in moments.iter_mut().zip(moved) {
                    slot[i] = m;
                }
            }
        });
        Ok(())
    }

    /// Checks that `update` would leave every parameter and every moment finite. An infinite one would never become finite again.
    fn stays_finite<M: Parameters<Tensor<T>>>(
        &self,
        step: u64,
        parameters: &M,
        gradients: &M,
        update: &impl Fn(u64, T, T, [T; N]) -> (T, [T; N]),
    ) -> Result<()> {
        let mut ordered = SmallVec::<[_; FEW_LEAVES]>::new();
        gradients.visit(|_, g| ordered.push(g));
        let mut rest = ordered.into_iter().zip(self.leaves.iter().flatten());
        let mut result = Ok(());
        parameters.visit(|_, w| {
            let Some((g, leaf)) = rest.next().filter(|_| result.is_ok()) else { return };
            let (w, g, moments) =
                (w.to_contiguous(), g.to_contiguous(), leaf.moments.each_ref().map(Tensor::to_contiguous));
            let w = w.as_slice().unwrap_or_default();
            let (count, g) = (w.len(), &g.as_slice().unwrap_or_default()[..w.len()]);
            let moments = moments.each_ref().map(|m| &m.as_slice().unwrap_or_default()[..count]);
            let next = |i: usize| update(step, w[i], g[i], moments.map(|m| m[i]));
            let finite = |(w, m): (T, [T; N])| m.iter().fold(w.is_finite(), |all, m| all & m.is_finite());
            // Without a branch, so that the loop is vectorised.
            if !(0..count).fold(true, |all, i| all & finite(next(i))) {
                let at = (0..count).find(|&i| !finite(next(i))).unwrap_or_default();
                result = Err(self.overflow(step, leaf, at, g[at], next(at)));
            }
        });
        result
    }

    /// The error of a step after which element `at` of a leaf, or one of its moments, would be infinite or NaN.
    fn overflow(&self, step: u64, leaf: &Leaf<T, N>, at: usize, g: T, (w, m): (T, [T; N])) -> Error {
        let moment = (self.kinds.iter().zip(m)).find(|(_, m)| !m.is_finite());
        let (name, value) = match moment {
            Some((kind, m)) => (format!("{}.{kind}", leaf.name), m.to_f64()),
            None => (leaf.name.clone(), w.to_f64()),
        };
        let index = unravel(at, &leaf.shape);
        let text = format!(
            "{}: step {step} would make `{name}` {value} at {index:?}, where the gradient is {g:?}; expected finite numbers: clip the \
             gradients, scale the loss, or lower the learning rate",
            self.owner
        );
        Error::new(ErrorKind::NonFinite(NonFinite { name, index, value }), text)
    }

    /// Counts a step that changes only the moments: m ← `update(step, x, m)` for every element x of `module`, which is named
    /// `what` in messages.
    pub(in crate::train) fn observe<M: Parameters<Tensor<T>>>(
        &mut self,
        module: &M,
        what: &str,
        update: impl Fn(u64, T, [T; N]) -> [T; N],
    ) -> Result<()> {
        let one = if what == GRADIENTS { "the gradient of" } else { "the parameter" };
        all_finite(module).map_err(|at| Error::nonfinite(&format!("{}: {one}", self.owner), at))?;
        if !self.fits(module) {
            self.remember(module, what)?;
        }
        self.steps += 1;
        let steps = self.steps;
        let mut leaves = self.leaves.iter_mut().flatten();
        module.visit(|_, x| {
            let Some(leaf) = leaves.next() else { return };
            let x = x.to_contiguous();
            let x = x.as_slice().unwrap_or_default();
            let mut moments = leaf.moments.each_mut().map(|m| &mut m.as_mut_slice()[..x.len()]);
            for (i, &x) in x.iter().enumerate() {
                let moved = update(steps, x, moments.each_ref().map(|m| m[i]));
                for (slot, m) in moments.iter_mut().zip(moved) {
                    slot[i] = m;
                }
            }
        });
        Ok(())
    }

    /// Moment number `kind` of every leaf, in the structure of `like`. The tensors share their elements with the memory until
    /// one of the two changes.
    pub(in crate::train) fn module<M: Module<T>>(&self, like: &M, kind: usize) -> Result<M> {
        if self.leaves.is_none() {
            let text = format!("{}: nothing was observed yet; expected at least one module", self.owner);
            return Err(Error::new(ErrorKind::Empty, text));
        }
        let mut sorted = self.clone();
        sorted.remember(like, PARAMETERS)?;
        let mut leaves = sorted.leaves.into_iter().flatten();
        Ok(like.map(|_, tensor| leaves.next().map_or_else(|| tensor.clone(), |leaf| leaf.moments[kind].clone())))
    }

    /// Whether the leaves of `module` are those of the moments, in their order.
    fn fits<M: Parameters<Tensor<T>>>(&self, module: &M) -> bool {
        let Some(leaves) = &self.leaves else { return false };
        let (mut rest, mut fits) = (leaves.iter(), true);
        module.visit(|name, tensor| {
            fits &= rest.next().is_some_and(|leaf| leaf.name == name && *leaf.shape == *tensor.shape());
        });
        fits && rest.next().is_none()
    }

    /// Allocates the moments, or sorts loaded ones into the order of the leaves; later it only checks whether they fit.
    fn remember<M: Parameters<Tensor<T>>>(&mut self, module: &M, what: &str) -> Result<()> {
        let wanted = described(module);
        let Some(leaves) = &mut self.leaves else {
            let fresh = |(name, shape): (String, Shape)| {
                let moments = std::array::from_fn(|_| Tensor::zeros(&shape));
                Leaf { name, shape, moments }
            };
            self.leaves = Some(wanted.into_iter().map(fresh).collect());
            return Ok(());
        };
        let place = |name: &str| wanted.iter().position(|(wanted, _)| wanted == name);
        let in_order = leaves.iter().map(|leaf| &leaf.name).eq(wanted.iter().map(|(name, _)| name));
        if !in_order && leaves.len() == wanted.len() && leaves.iter().all(|leaf| place(&leaf.name).is_some()) {
            // Loaded in another order. Moments that do not fit are left unchanged, and are rejected below.
            leaves.sort_by_key(|leaf| place(&leaf.name));
        }
        let remembered: Vec<_> = leaves.iter().map(|leaf| (leaf.name.clone(), leaf.shape.clone())).collect();
        same_leaves(self.owner, &remembered, &format!("the {}'s memory", self.owner), &wanted, what)
    }

    /// The number of steps and the moments by name. An optimiser that has no moments has no tensors.
    pub fn moments(&self) -> Moments<T> {
        let mut tensors = Vec::new();
        for leaf in self.leaves.iter().flatten() {
            for (kind, moment) in self.kinds.iter().zip(&leaf.moments) {
                tensors.push((format!("{}.{kind}", leaf.name), moment.clone()));
            }
        }
        Moments { steps: self.steps, tensors }
    }

    /// Resumes from saved moments, whose tensors may be in any order.
    ///
    /// # Errors
    /// As [`Optimizer::load_moments`](super::Optimizer::load_moments), and nothing is changed then.
    pub fn load(&mut self, saved: &Moments<T>) -> Result<()> {
        let other_moments = |why: String| other_moments(self.owner, why);
        if saved.steps >= 1 << 63 {
            // The next step increments the count.
            return Err(other_moments(format!("has taken {} steps; expected fewer than 2^63", saved.steps)));
        }
        let mut found: Vec<(String, [Option<Tensor<T>>; N])> = Vec::new();
        for (full, tensor) in &saved.tensors {
            let split = full.rsplit_once('.');
            let Some((name, kind)) = split.and_then(|(name, kind)| Some((name, self.kind(kind)?))) else {
                let expected = self.kinds.map(|kind| format!("`.{kind}`")).join(" or ");
                let expected = if N == 0 { "no tensors".to_owned() } else { format!("names that end in {expected}") };
                return Err(other_moments(format!("holds `{full}`; expected {expected}")));
            };
            finite_tensor(full, tensor)
                .map_err(|at| Error::nonfinite(&format!("{}: the loaded state is damaged:", self.owner), at))?;
            let at = found.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                found.push((name.to_owned(), std::array::from_fn(|_| None)));
                found.len() - 1
            });
            if found[at].1[kind].replace(tensor.clone()).is_some() {
                return Err(other_moments(format!("holds `{full}` twice; expected it once")));
            }
        }
        let mut leaves = Vec::with_capacity(found.len());
        for (name, moments) in found {
            if let Some(missing) = moments.iter().position(Option::is_none) {
                let kind = self.kinds[missing];
                return Err(other_moments(format!("lacks `{name}.{kind}`; expected all moments of `{name}`")));
            }
            let moments = moments.map(|m| m.expect("none is missing"));
            if let Some(other) = moments.iter().find(|m| m.shape() != moments[0].shape()) {
                let (a, b) = (moments[0].shape(), other.shape());
                return Err(other_moments(format!("has moments of shapes {a:?} and {b:?} for `{name}`")));
            }
            let shape = moments.first().map(|m| Shape::from_slice(m.shape())).unwrap_or_default();
            leaves.push(Leaf { name, shape, moments });
        }
        // Before the first step, and where there is no moment, the leaves are unknown. Otherwise a state without tensors is that of
        // a module without leaves, and the next step rejects another one.
        let known = !leaves.is_empty() || N > 0 && saved.steps > 0;
        *self = Memory { owner: self.owner, kinds: self.kinds, steps: saved.steps, leaves: known.then_some(leaves) };
        Ok(())
    }

    fn kind(&self, name: &str) -> Option<usize> {
        self.kinds.iter().position(|&kind| kind == name)
    }
}

fn described<T: Scalar, M: Parameters<Tensor<T>>>(module: &M) -> Vec<(String, Shape)> {
    let mut leaves = Vec::new();
    module.visit(|name, tensor| leaves.push((name.to_owned(), Shape::from_slice(tensor.shape()))));
    leaves
}

/// Saved moments that are not those of this owner, and why.
fn other_moments(owner: &str, why: String) -> Error {
    Error::new(ErrorKind::Moments, format!("{owner}: the loaded state {why}"))
}

/// Names first, then shapes, each in order.
fn same_leaves(
    owner: &str,
    wanted: &[(String, Shape)],
    expected: &str,
    found: &[(String, Shape)],
    other: &str,
) -> Result<()> {
    let name = |leaves: &[(String, Shape)], at: usize| {
        leaves.get(at).map_or_else(|| "none".to_owned(), |(name, _)| format!("`{name}`"))
    };
    for at in 0..wanted.len().max(found.len()) {
        let (w, f) = (name(wanted, at), name(found, at));
        if w != f {
            let text = format!("{owner}: leaf {at} is {w} of {expected} and {f} of {other}; expected the same names");
            return Err(Error::new(ErrorKind::Shape, text));
        }
    }
    for ((name, wanted), (_, found)) in wanted.iter().zip(found) {
        if wanted != found {
            let (wanted, found) = (wanted.as_slice(), found.as_slice());
            let text =
                format!("{owner}: `{name}` has shape {found:?} in {other}; expected {wanted:?}, as in {expected}");
            return Err(Error::new(ErrorKind::Shape, text));
        }
    }
    Ok(())
}
