//! The factors of one item of a gradient: the path from a loss back through the states to the use of a parameter.

use std::fmt;

use rewind_autograd::derive::{self, Carried, Partial};
use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::spectrum::{largest, stretch};

/// The path of item (`loss`, `step`) of a parameter, by its factors:
///
/// ```text
/// ∂E_s/∂h_s · ∂h_s/∂h_(s-1) · … · ∂h_(t+1)/∂h_t · ∂⁺h_t/∂w
/// ```
///
/// with h_t all that is carried out of step t, such as h and c of an LSTM or the states of a stack: found by the structure of the
/// recording, whatever the cell ([`derive::carried`]). Only what depends on the parameter is a state, so that of a layer below it
/// is none. s is the step that the loss reads; `loss` is its number among those that the closure returns, as for
/// [`itemised`](super::itemised()). In a layer that goes backward in time, the factors go from s up to t.
///
/// Costs one sweep over a step for each element of the state and each factor: (s - t)·B·H, where H counts all parts of the state.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Lstm, lens, unroll};
///
/// let lstm = Lstm::<Tensor<f64>>::new(1, 4, &mut StdRng::seed_from_u64(1));
/// let x = Tensor::from_fn(&[6, 1, 1], |t| (t as f64).sin());
/// let path = lens::path(&lstm, "weight_hh", 0, 2, |tape, lstm| {
///     vec![unroll(lstm, tape.constant(x.clone())).last_output().square().sum()]
/// });
/// assert_eq!(path.factors.iter().map(|factor| factor.step).collect::<Vec<_>>(), [5, 4, 3]);
/// assert_eq!(path.factors[0].jacobian.shape(), [8, 8]); // h and c
/// assert!(path.residual() < 1e-12); // their product is the item
/// println!("{path}");
/// ```
///
/// # Panics
/// - If there is no such parameter or loss, or nothing flows from the loss to a use of the parameter in that step.
/// - If the network is no chain of states: both directions of time feed each other, the loss reads several steps at once, or a
///   step reads another one than that beside it. The product of the factors is compared with the item, so that no other structure
///   gives a wrong path.
#[track_caller]
pub fn path<T, M, F>(module: &M, parameter: &str, loss: usize, step: usize, losses: F) -> Path<T>
where
    T: Scalar,
    M: Module<T>,
    F: for<'t> FnOnce(&'t Tape<T>, &M::With<Var<'t, T>>) -> Vec<Var<'t, T>>,
{
    let tape = Tape::new();
    let on_tape = module.on(&tape);
    let losses = losses(&tape, &on_tape);
    let names = on_tape.names();
    let Some(number) = names.iter().position(|name| name == parameter) else {
        panic!("path: there is no parameter `{parameter}`; there are {names:?}")
    };
    let Some(&error) = losses.get(loss) else { panic!("path: there is no loss {loss}; there are {}", losses.len()) };
    let search = Search { error, weight: *on_tape.leaves()[number], parameter, loss, step };
    match search.find() {
        Ok(path) => path,
        Err(reason) => panic!("path: {reason}"),
    }
}

/// One factor of a [`Path`].
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(bound = ""))]
pub struct Factor<T: Scalar> {
    /// The step j whose state is differentiated.
    pub step: usize,
    /// ∂h_j/∂h_(j-1), of all parts of the state and all sequences: `[n, n]`, each part flattened, in the order of
    /// [`Path::parts`]. Backward in time, ∂h_j/∂h_(j+1).
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serial::tensor"))]
    pub jacobian: Tensor<T>,
    /// Its largest singular value: the most that it stretches a gradient.
    pub largest: f64,
    /// Its smallest singular value.
    pub smallest: f64,
}

/// The factors of one item of a gradient: made by [`path`].
#[derive(Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(bound = ""))]
pub struct Path<T: Scalar> {
    /// The dotted name of the parameter.
    pub parameter: String,
    /// The number of the loss.
    pub loss: usize,
    /// The time step t of use.
    pub step: usize,
    /// The shapes of the parts of the state of step t.
    pub parts: Vec<Vec<usize>>,
    /// ∂E_s/∂h_s, `[1, n]`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serial::tensor"))]
    pub error: Tensor<T>,
    /// The Jacobians from s back to t; none if s = t.
    pub factors: Vec<Factor<T>>,
    /// The item itself, as the tape gives it: of the parameter's shape.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serial::tensor"))]
    pub term: Tensor<T>,
    /// ∂⁺h_t/∂w: of the parts of h_t with respect to the parameter and to the state before.
    #[cfg_attr(feature = "serde", serde(skip))]
    immediate: Partial<T>,
}

impl<T: Scalar> Path<T> {
    /// What arrives at the state of step t, the product of all factors but the last: `[1, n]`.
    pub fn arriving(&self) -> Tensor<T> {
        self.factors.iter().fold(self.error.clone(), |row, factor| row.matmul(&factor.jacobian))
    }

    /// The immediate derivative ∂⁺h_t/∂w as a matrix `[n, elements of w]`: the state before is held fixed. One sweep over the
    /// step for each of its n rows.
    pub fn immediate(&self) -> Tensor<T> {
        self.immediate.jacobian().slice(1, 0..self.term.len())
    }

    /// The product of all factors, of the parameter's shape.
    pub fn product(&self) -> Tensor<T> {
        let (arriving, mut start) = (self.arriving(), 0);
        let cotangents = self.parts.iter().map(|shape| {
            let length: usize = shape.iter().product();
            start += length;
            arriving.slice(1, start - length..start).reshape(shape)
        });
        self.immediate.vjp(&cotangents.collect::<Vec<_>>()).swap_remove(0)
    }

    /// The norms of the row from ∂E_s/∂h_s on, after each factor: the gradient on its way back.
    pub fn norms(&self) -> Vec<f64> {
        let mut row = self.error.clone();
        let mut norms = vec![row.norm().to_f64()];
        for factor in &self.factors {
            row = row.matmul(&factor.jacobian);
            norms.push(row.norm().to_f64());
        }
        norms
    }

    /// The largest difference between the product of the factors and the item, relative to the largest entry of the item.
    pub fn residual(&self) -> f64 {
        let difference = largest(&self.product().zip(&self.term, |a, b| a - b));
        if difference == 0.0 { 0.0 } else { difference / largest(&self.term) }
    }
}

impl<T: Scalar> fmt::Display for Path<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parameter, loss, step) = (&self.parameter, self.loss, self.step);
        writeln!(f, "E_{loss} → {parameter} in step {step}, |item| {:.1e}", self.term.norm().to_f64())?;
        writeln!(f, "  factor          largest σ  smallest σ  |row|")?;
        let norms = self.norms();
        writeln!(f, "  {:<14}  {:>9}  {:>10}  {:.1e}", format!("∂E_{loss}/∂h"), "", "", norms[0])?;
        for k in super::table::shown(self.factors.len()) {
            let Factor { step, largest, smallest, .. } = self.factors[k];
            let before = if step > self.step { step - 1 } else { step + 1 };
            let name = format!("∂h_{step}/∂h_{before}");
            writeln!(f, "  {name:<14}  {largest:>9.3}  {smallest:>10.1e}  {:.1e}", norms[k + 1])?;
        }
        Ok(())
    }
}

/// What a path is searched for.
struct Search<'a, 't, T: Scalar> {
    error: Var<'t, T>,
    weight: Var<'t, T>,
    parameter: &'a str,
    loss: usize,
    step: usize,
}

impl<'t, T: Scalar> Search<'_, 't, T> {
    #[track_caller]
    fn find(&self) -> Result<Path<T>, String> {
        let Search { parameter, loss, step, .. } = *self;
        let items = derive::itemised(&[self.error], &[self.weight], "t");
        let nothing = || {
            let flows = |step: &usize| items.item(0, 0, Some(*step)).is_some_and(|item| largest(&item) != 0.0);
            let steps: Vec<_> = items.steps(0).into_iter().flatten().filter(flows).collect();
            format!("nothing flows from E_{loss} to `{parameter}` through step {step}; it does through steps {steps:?}")
        };
        let term = items.item(0, 0, Some(step)).ok_or_else(nothing)?;
        let carried = derive::carried(&[self.weight], "t");
        let backward = self.direction(&carried)?;
        let end = self.end(&carried, backward).unwrap_or(step);
        let found = self.through(&carried, backward, end, term.clone());
        // A loss may read more of its own step than what is carried on, such as the output of a cell whose state is its memory
        // alone: then the loss itself is the state at the end of the path.
        let found = match found {
            Some(path) if !path.is_product() && end == step => {
                self.assemble(vec![(step, vec![self.error])], &carried, backward, term)
            }
            Some(path) => path,
            None if largest(&term) == 0.0 => return Err(nothing()),
            None => self.assemble(vec![(step, vec![self.error])], &carried, backward, term),
        };
        if found.is_product() {
            return Ok(found);
        }
        let steps = self.read(&carried);
        Err(format!(
            "the product of the factors along one chain of states is not the item ({loss}, {step}) of `{parameter}`: they differ by \
             {:.1e} of it. Found: E_{loss} reads the states of steps {steps:?}; expected one step, and steps that read the state of \
             the step before alone",
            found.residual()
        ))
    }

    /// The one direction of time in which the parameter's state goes.
    fn direction(&self, carried: &Carried<'t, T>) -> Result<bool, String> {
        let backward = carried.parts.iter().filter(|part| part.backward).count();
        match (carried.parts.len() - backward, backward) {
            (_, 0) => Ok(false),
            (0, _) => Ok(true),
            (forward, backward) => Err(format!(
                "what depends on `{}` is no chain: {forward} variables are carried forward in time and {backward} backward, \
                 and feed each other; expected one direction, as in a layer by itself or in the topmost of a stack",
                self.parameter
            )),
        }
    }

    /// The steps whose states the loss reads without passing through another state.
    fn read(&self, carried: &Carried<'t, T>) -> Vec<usize> {
        let nodes: Vec<_> = carried.parts.iter().flat_map(|part| part.nodes.iter().copied()).collect();
        let vars: Vec<_> = nodes.iter().map(|&(_, v)| v).collect();
        let gradients = derive::partial(&[self.error], &vars).vjp(&[self.one()]);
        let read = nodes.iter().zip(gradients).filter(|(_, gradient)| largest(gradient) != 0.0);
        let steps: std::collections::BTreeSet<_> = read.map(|((step, _), _)| *step).collect();
        steps.into_iter().collect()
    }

    fn one(&self) -> Tensor<T> {
        Tensor::full(&self.error.shape(), T::ONE)
    }

    /// The step s that the loss reads: the last one in the order of computing.
    fn end(&self, carried: &Carried<'t, T>, backward: bool) -> Option<usize> {
        let steps = self.read(carried);
        if backward { steps.first().copied() } else { steps.last().copied() }
    }

    /// The path from the state of step `end` to that of the step of use; `None` if that lies behind.
    fn through(&self, carried: &Carried<'t, T>, backward: bool, end: usize, term: Tensor<T>) -> Option<Path<T>> {
        let steps: Vec<usize> = match backward {
            false if end >= self.step => (self.step..=end).rev().collect(),
            true if end <= self.step => (end..=self.step).collect(),
            _ => return None,
        };
        let states: Vec<_> = steps.into_iter().map(|step| (step, state(carried, step))).collect();
        if states.iter().any(|(_, state)| state.is_empty()) {
            return None;
        }
        Some(self.assemble(states, carried, backward, term))
    }

    fn assemble(
        &self,
        states: Vec<(usize, Vec<Var<'t, T>>)>,
        carried: &Carried<'t, T>,
        backward: bool,
        term: Tensor<T>,
    ) -> Path<T> {
        let (_, last) = &states[0];
        let pieces = derive::partial(&[self.error], last).vjp(&[self.one()]);
        let row = pieces.iter().flat_map(Tensor::to_vec).collect::<Vec<_>>();
        let length = row.len();
        let mut factors = Vec::with_capacity(states.len() - 1);
        for pair in states.windows(2) {
            let [(step, state), (_, before)] = pair else { continue };
            let jacobian = derive::partial(state, before).jacobian();
            let (largest, smallest) = stretch(&jacobian);
            factors.push(Factor { step: *step, jacobian, largest, smallest });
        }
        let (step, first) = states.last().expect("a path has a state");
        let before = if backward { Some(step + 1) } else { step.checked_sub(1) };
        let mut held = vec![self.weight];
        held.extend(before.map(|before| state(carried, before)).unwrap_or_default());
        Path {
            parameter: self.parameter.to_owned(),
            loss: self.loss,
            step: self.step,
            parts: first.iter().map(|v| v.shape().to_vec()).collect(),
            error: Tensor::from_vec(row, &[1, length]),
            factors,
            term,
            immediate: derive::partial(first, &held),
        }
    }
}

/// All that is carried out of a step.
fn state<'t, T: Scalar>(carried: &Carried<'t, T>, step: usize) -> Vec<Var<'t, T>> {
    carried.parts.iter().filter_map(|part| part.at(step)).collect()
}

impl<T: Scalar> Path<T> {
    /// Whether the factors give the item up to rounding, or are not finite.
    fn is_product(&self) -> bool {
        // Below it, numbers of this type lose their digits.
        let is_single = T::from_f64(f64::MIN_POSITIVE) == T::ZERO;
        let smallest = if is_single { f32::MIN_POSITIVE.into() } else { f64::MIN_POSITIVE };
        let product = self.product();
        if !product.all_finite() || !self.term.all_finite() {
            return product.all_finite() == self.term.all_finite();
        }
        let difference = largest(&product.zip(&self.term, |a, b| a - b));
        difference <= T::EPSILON.to_f64().sqrt() * largest(&self.term).max(largest(&product)) + smallest
    }
}
