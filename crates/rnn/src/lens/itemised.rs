//! The gradient of a parameter as a sum of items: one for each loss step and each step of use.

use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var, derive};

use super::Table;
use super::spectrum::largest;

/// The gradients of a module, itemised: for every parameter, every loss E_s and every time step t in which the parameter is
/// used, the part of dE_s/dw that flows back to w through its uses in step t.
///
/// `losses` gets a tape and the module on it, and returns the losses E_0, E_1, … whose sum is trained, in the order of
/// time: those of a step in a vector of T, or the loss of a sequence alone. Steps are the scopes `t=…` that unrolling
/// enters, so every cell, layer and stack of this crate has them; a loop of your own enters them with
/// [`numbered_scope`](Tape::numbered_scope)`("t", t)`. What is used outside of all steps, as a readout of a whole sequence is, has one item
/// a loss, whose step is `None`. Uses in steps of one number are one item: a decoder after an encoder of T steps begins at T
/// ([`Unroll::from_step`](crate::Unroll::from_step)).
///
/// Costs one sweep for each loss and about T²/2 cotangents in memory, not T²/2 gradients: an item is multiplied out when it
/// is asked for. With T = 200 steps, a loss at each, H = 64 units and I = 16 features in `f64`, an LSTM takes 0.7 s and 120 MB for one
/// sequence and 1.6 s and 670 MB for a batch of 8; a table takes 1.2 s more (one core of an AMD EPYC, 4th generation, 2026-11-27,
/// `cargo run --release -p rewind-benches --bin lens -- lstm 8`).
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{TanhRnn, lens, unroll};
///
/// let rnn = TanhRnn::<Tensor<f64>>::new(1, 2, &mut StdRng::seed_from_u64(1));
/// let x = Tensor::from_fn(&[3, 1, 1], |t| 0.8 - 0.5 * t as f64); // 3 time steps, 1 sequence, 1 feature
/// let items = lens::itemised(&rnn, |tape, rnn| {
///     let unrolled = unroll(rnn, tape.constant(x.clone()));
///     (0..3).map(|t| (unrolled.output(t) * unrolled.output(t)).sum() * 0.5).collect()
/// });
/// // U is used from step 1 on: the first state is zero, so step 0 gives 0.
/// let norms: Vec<f64> = items.of("weight_hh").filter(|item| item.loss == 2).map(|item| item.norm).collect();
/// assert_eq!((norms.len(), norms[0]), (3, 0.0));
/// assert!(norms[2] > norms[1]); // the gradient vanishes on its way back
/// assert!(items.residual("weight_hh") < 1e-15); // the items sum to what `backward` gives
/// println!("{}", items.table("weight_hh"));
/// ```
///
/// # Panics
/// If a loss has more than one element or does not depend on the module's tape.
#[track_caller]
pub fn itemised<T, M, F>(module: &M, losses: F) -> Itemised<T>
where
    T: Scalar,
    M: Module<T>,
    F: for<'t> FnOnce(&'t Tape<T>, &M::With<Var<'t, T>>) -> Vec<Var<'t, T>>,
{
    let tape = Tape::new();
    let on_tape = module.on(&tape);
    let losses = losses(&tape, &on_tape);
    let variables: Vec<Var<'_, T>> = on_tape.leaves().into_iter().copied().collect();
    let items = derive::itemised(&losses, &variables, "t");
    let total = losses.iter().copied().reduce(|sum, loss| sum + loss);
    let gradients = match total {
        Some(total) => {
            let gradients = total.backward_to(&variables);
            variables.iter().map(|&v| gradients.get(v)).collect()
        }
        None => variables.iter().map(|v| Tensor::zeros(&v.shape())).collect(),
    };
    Itemised { names: on_tape.names(), items, gradients }
}

/// Gradients by parameter, loss and step of use: made by [`itemised()`].
#[derive(Clone)]
pub struct Itemised<T: Scalar> {
    names: Vec<String>,
    items: derive::Itemised<T>,
    gradients: Vec<Tensor<T>>,
}

/// One item of a gradient.
#[derive(Clone, Debug)]
pub struct Item<T: Scalar> {
    /// The number s of the loss.
    pub loss: usize,
    /// The time step t of use; `None` for uses outside of all steps.
    pub step: Option<usize>,
    /// The item itself, of the parameter's shape.
    pub term: Tensor<T>,
    /// Its Euclidean norm.
    pub norm: T,
}

impl<T: Scalar> Itemised<T> {
    /// The dotted names of the parameters.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of losses.
    pub fn losses(&self) -> usize {
        self.items.results()
    }

    /// The time steps in which a parameter is used, ascending; first `None`, if it is used outside of all.
    ///
    /// # Panics
    /// If there is no parameter of that name; so do all methods that take one.
    #[track_caller]
    pub fn steps(&self, parameter: &str) -> Vec<Option<usize>> {
        self.items.steps(self.number(parameter))
    }

    /// The names of the gates that a parameter's columns belong to, in order: `["i", "f", "g", "o"]`. None without gates, and none where the
    /// columns do not stand in the order of one [split](rewind_autograd::Var::split_named), such as those of the `weight_ih` of a GRU, of
    /// which r and z are split after the sum with h·U, and n is not.
    #[track_caller]
    pub fn gates(&self, parameter: &str) -> &[String] {
        self.items.gates(self.number(parameter))
    }

    /// All items of a parameter, by loss, then by step.
    #[track_caller]
    pub fn of(&self, parameter: &str) -> impl Iterator<Item = Item<T>> {
        let (number, steps) = (self.number(parameter), self.items.steps(self.number(parameter)));
        (0..self.losses()).flat_map(move |loss| {
            let item = |&step: &Option<usize>| {
                let term = self.items.item(number, loss, step)?;
                Some(Item { loss, step, norm: term.norm(), term })
            };
            steps.iter().filter_map(item).collect::<Vec<_>>()
        })
    }

    /// The item (`loss`, `step`) of a parameter; zeros if nothing flows that way.
    #[track_caller]
    pub fn term(&self, parameter: &str, loss: usize, step: Option<usize>) -> Tensor<T> {
        let number = self.number(parameter);
        self.items.item(number, loss, step).unwrap_or_else(|| self.zeros(number))
    }

    /// The part of an item that flows through sequence `b` of the batch. For uses within a time step, whose first axis is
    /// the batch.
    #[track_caller]
    pub fn term_of_sequence(&self, parameter: &str, loss: usize, step: usize, b: usize) -> Tensor<T> {
        let number = self.number(parameter);
        self.items.item_of_row(number, loss, Some(step), b).unwrap_or_else(|| self.zeros(number))
    }

    /// The columns of an item that belong to a gate: of shape `[…, H]` for a parameter `[…, G·H]` of G gates.
    ///
    /// # Panics
    /// If the parameter has no gate of that name; the message lists those it has.
    #[track_caller]
    pub fn term_of_gate(&self, parameter: &str, loss: usize, step: Option<usize>, gate: &str) -> Tensor<T> {
        let gates = self.gates(parameter);
        let Some(k) = gates.iter().position(|name| name == gate) else {
            panic!("lens: `{parameter}` has no gate `{gate}`; it has {gates:?}")
        };
        let term = self.term(parameter, loss, step);
        let last = term.rank() - 1;
        let columns = term.shape()[last] / gates.len();
        term.slice(last, k * columns..(k + 1) * columns)
    }

    /// The gradient of the sum of all losses, as the tape computes it in one sweep.
    #[track_caller]
    pub fn gradient(&self, parameter: &str) -> &Tensor<T> {
        &self.gradients[self.number(parameter)]
    }

    /// The sum of all items.
    #[track_caller]
    pub fn sum(&self, parameter: &str) -> Tensor<T> {
        let mut sum = self.zeros(self.number(parameter));
        self.of(parameter).for_each(|item| sum.add_assign(&item.term));
        sum
    }

    /// The largest difference between the sum of the items and the tape's gradient, relative to the largest entry of the
    /// gradient; NaN if one of them has a NaN.
    #[track_caller]
    pub fn residual(&self, parameter: &str) -> f64 {
        let gradient = self.gradient(parameter);
        let difference = largest(&self.sum(parameter).zip(gradient, |a, b| a - b));
        if difference == 0.0 { 0.0 } else { difference / largest(gradient) }
    }

    /// The norms of a parameter's items as a table: losses downwards, steps of use across.
    #[track_caller]
    pub fn table(&self, parameter: &str) -> Table {
        let (number, steps) = (self.number(parameter), self.steps(parameter));
        let norm = |loss, step| self.items.item(number, loss, step).map(|term| term.norm().to_f64());
        let rows = (0..self.losses()).map(|loss| steps.iter().map(|&step| norm(loss, step)).collect()).collect();
        Table { parameter: parameter.to_owned(), steps, rows, gradient: self.gradients[number].norm().to_f64() }
    }

    fn zeros(&self, number: usize) -> Tensor<T> {
        Tensor::zeros(self.gradients[number].shape())
    }

    #[track_caller]
    fn number(&self, parameter: &str) -> usize {
        match self.names.iter().position(|name| name == parameter) {
            Some(number) => number,
            None => panic!("lens: there is no parameter `{parameter}`; there are {:?}", self.names),
        }
    }
}
