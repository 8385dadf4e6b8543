//! Partial derivatives between variables of one tape.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::sweep::sweep_values;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// The partial derivatives of `to` with respect to `from`, variables of one tape: every variable of `from` is held fixed while
/// another changes, also if it was computed from that one. (A gradient of the tape is a total derivative: it goes through.)
///
/// The part of the tape between the two is recorded again, with leaves in the place of `from`.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, derive};
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::scalar(3.0));
/// let y = x * x;
/// let z = x * y; // z = x·y, and in total x³
/// assert_eq!(z.backward().get(x).item(), 27.0);
/// let partial = derive::partial(&[z], &[x, y]);
/// assert_eq!(partial.jacobian().to_vec(), [9.0, 3.0]); // ∂z/∂x = y, ∂z/∂y = x
/// ```
///
/// # Panics
/// If the variables live on different tapes.
#[track_caller]
pub fn partial<'t, T: Scalar>(to: &[Var<'t, T>], from: &[Var<'t, T>]) -> Partial<T> {
    let Some(first) = to.first().or(from.first()) else {
        return Partial { tape: Tape::new(), from: Vec::new(), to: Vec::new() };
    };
    let tape = first.tape();
    if to.iter().chain(from).any(|v| !std::ptr::eq(v.tape(), tape)) {
        panic!("partial: the variables live on different tapes; expected one");
    }
    let between = Between::of(tape, to, from);
    let partial = between.record(&|_| true);
    if between.nodes.len() < FEW {
        return partial;
    }
    // Reading one step of a stack of all steps depends on each of them, and nothing flows there: these nodes are constants.
    let live = between.live(&partial);
    between.record(&|node| live.get(&node).is_none_or(|&live| live))
}

/// So many nodes are swept as fast as it is found out which to leave away.
const FEW: usize = 64;

/// Partial derivatives, made by [`partial`].
pub struct Partial<T: Scalar> {
    tape: Tape<T>,
    from: Vec<u32>,
    to: Vec<u32>,
}

impl<T: Scalar> Partial<T> {
    fn vars<'s>(&'s self, ids: &'s [u32]) -> impl Iterator<Item = Var<'s, T>> {
        ids.iter().map(|&id| Var::new(&self.tape, id))
    }

    /// The vector-Jacobian product: from cotangents of the shapes of `to`, those of `from`.
    ///
    /// # Panics
    /// If the cotangents are not of these shapes.
    #[track_caller]
    pub fn vjp(&self, cotangents: &[Tensor<T>]) -> Vec<Tensor<T>> {
        assert_eq!(cotangents.len(), self.to.len(), "vjp: one cotangent for each variable");
        let mut sums: Vec<Tensor<T>> = self.vars(&self.from).map(|v| Tensor::zeros(&v.shape())).collect();
        for (y, cotangent) in self.vars(&self.to).zip(cotangents) {
            self.pull(y, cotangent, &mut sums);
        }
        sums
    }

    fn pull<'s>(&'s self, y: Var<'s, T>, cotangent: &Tensor<T>, sums: &mut [Tensor<T>]) {
        if !y.is_tracked() {
            return;
        }
        let from: Vec<_> = self.vars(&self.from).collect();
        let gradients = y.backward_from_to(cotangent, &from);
        for (sum, &v) in sums.iter_mut().zip(&from) {
            sum.add_assign(&gradients.get(v));
        }
    }

    /// The Jacobian `[m, n]`: m elements of all of `to`, n of all of `from`, each variable flattened and concatenated. One
    /// sweep for each row.
    pub fn jacobian(&self) -> Tensor<T> {
        let columns: usize = self.vars(&self.from).map(Var::element_count).sum();
        let (mut matrix, mut rows) = (Vec::new(), 0);
        for y in self.vars(&self.to) {
            for row in 0..y.element_count() {
                let seed = Tensor::from_fn(&y.shape(), |k| if k == row { T::ONE } else { T::ZERO });
                let mut sums: Vec<Tensor<T>> = self.vars(&self.from).map(|v| Tensor::zeros(&v.shape())).collect();
                self.pull(y, &seed, &mut sums);
                sums.iter().for_each(|sum| matrix.extend(sum.to_vec()));
                rows += 1;
            }
        }
        Tensor::from_vec(matrix, &[rows, columns])
    }
}

impl<T: Scalar> fmt::Debug for Partial<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partial derivatives of {} variables with respect to {}", self.to.len(), self.from.len())
    }
}

/// The nodes between two sets of variables.
struct Between<'t, T: Scalar> {
    tape: &'t Tape<T>,
    from: Vec<u32>,
    to: Vec<u32>,
    /// Those that depend on `from` and that `to` depends on, ascending.
    nodes: Vec<u32>,
}

impl<'t, T: Scalar> Between<'t, T> {
    fn of(tape: &'t Tape<T>, to: &[Var<'t, T>], from: &[Var<'t, T>]) -> Self {
        let [from, to] = [from, to].map(|vars| vars.iter().map(|v| v.id()).collect::<Vec<_>>());
        let lowest = from.iter().copied().min().unwrap_or(0);
        let highest = to.iter().copied().max().unwrap_or(0).max(lowest);
        let (graph, at) = (tape.graph.borrow(), |node: u32| (node - lowest) as usize);
        let held: BTreeSet<u32> = from.iter().copied().collect();
        let mut dependent = vec![false; at(highest) + 1];
        for node in lowest..=highest {
            let by_input = |&input: &u32| input >= lowest && dependent[at(input)];
            dependent[at(node)] =
                held.contains(&node) || graph.op(node).is_some() && graph.inputs(node).iter().any(by_input);
        }
        let mut needed = vec![false; dependent.len()];
        to.iter().filter(|&&node| node >= lowest).for_each(|&node| needed[at(node)] = true);
        let mut nodes = Vec::new();
        for node in (lowest..=highest).rev() {
            if !needed[at(node)] || !dependent[at(node)] || held.contains(&node) {
                continue;
            }
            nodes.push(node);
            graph.inputs(node).iter().filter(|&&input| input >= lowest).for_each(|&input| needed[at(input)] = true);
        }
        nodes.reverse();
        Between { tape, from, to, nodes }
    }

    /// Records the nodes that are `wanted` again, with leaves for `from` and constants for all others.
    fn record(&self, wanted: &dyn Fn(u32) -> bool) -> Partial<T> {
        let tape = Tape::new();
        let value = |node: u32| Var::new(self.tape, node).value();
        let (from, to) = {
            let mut known: BTreeMap<u32, Var<'_, T>> = BTreeMap::new();
            for &node in &self.from {
                known.entry(node).or_insert_with(|| tape.leaf(value(node)));
            }
            for &node in self.nodes.iter().filter(|&&node| wanted(node)) {
                let inputs = self.tape.graph.borrow().inputs(node).to_vec();
                let inputs: Vec<_> = inputs
                    .into_iter()
                    .map(|input| *known.entry(input).or_insert_with(|| tape.constant(value(input))))
                    .collect();
                let op = self.tape.op(node as usize).expect("a node between two others has an op");
                known.insert(node, tape.apply(op, &inputs));
            }
            let mut place = |&node: &u32| known.entry(node).or_insert_with(|| tape.constant(value(node))).id();
            (self.from.iter().map(&mut place).collect(), self.to.iter().map(&mut place).collect())
        };
        Partial { tape, from, to }
    }

    /// By node, whether anything flows to it from the elements of `to`, each weighted by another number.
    fn live(&self, partial: &Partial<T>) -> BTreeMap<u32, bool> {
        let mut live: BTreeMap<u32, bool> = self.nodes.iter().map(|&node| (node, false)).collect();
        // The tape holds the nodes in their order, between constants.
        let own: Vec<u32> =
            (0..partial.tape.len() as u32).filter(|&id| partial.tape.graph.borrow().op(id).is_some()).collect();
        for y in partial.vars(&partial.to).filter(|y| y.is_tracked()) {
            // Multiples of the golden ratio: no sum of them is 0 by chance.
            let seed =
                Tensor::from_fn(&y.shape(), |k| T::from_f64(0.5 + (0.618_033_988_749_895 * (k + 1) as f64).fract()));
            let below: Vec<u32> = own.iter().copied().take_while(|&id| id <= y.id()).collect();
            for (id, cotangent) in sweep_values(y, seed, Some(&below)) {
                let flows = cotangent.to_vec().into_iter().any(|g| g != T::ZERO);
                let place = own.binary_search(&id).expect("it was asked for");
                live.entry(self.nodes[place]).and_modify(|live| *live |= flows);
            }
        }
        live
    }
}
