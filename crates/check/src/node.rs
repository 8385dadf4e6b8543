//! One node of a tape in isolation: its op at given values.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rewind_autograd::{NodeInfo, NodeOp, Op, Scalar, Site, Tape, Tensor, Term, Var};

use crate::caught::catch;
use crate::elements::direction;

/// A node with an op, and the values it had on its tape.
pub(crate) struct Node<T: Scalar> {
    pub(crate) info: NodeInfo<T>,
    op: NodeOp<T>,
    /// The values of the inputs.
    inputs: Vec<Tensor<T>>,
}

/// How a rule panicked.
#[derive(Clone)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    /// Whether it returned a term that does not fit its input.
    pub(crate) wrong_shape: bool,
}

/// The nodes with an op that the roots are computed from, ascending.
pub(crate) fn ancestors<T: Scalar>(tape: &Tape<T>, roots: &[usize]) -> Vec<Node<T>> {
    let infos: Vec<NodeInfo<T>> = (0..tape.len()).map(|index| tape.node(index)).collect();
    let mut needed = vec![false; infos.len()];
    roots.iter().for_each(|&root| needed[root] = true);
    let mut nodes = Vec::new();
    for info in infos.iter().rev().filter(|info| !info.inputs.is_empty()) {
        if let Some(op) = tape.op(info.index).filter(|_| needed[info.index]) {
            info.inputs.iter().for_each(|&input| needed[input] = true);
            let inputs = info.inputs.iter().map(|&input| infos[input].value.clone()).collect();
            nodes.push(Node { info: info.clone(), op, inputs });
        }
    }
    nodes.reverse();
    nodes
}

impl<T: Scalar> Node<T> {
    /// Whether two inputs are the same variable.
    pub(crate) fn repeats(&self) -> bool {
        self.leaves(true).len() < self.inputs.len()
    }

    /// The inputs that become leaves: all of them, or if `shared` the first of each variable.
    pub(crate) fn leaves(&self, shared: bool) -> Vec<usize> {
        let inputs = &self.info.inputs;
        (0..inputs.len()).filter(|&i| !shared || !inputs[..i].contains(&inputs[i])).collect()
    }

    /// The values of the leaves.
    pub(crate) fn values(&self, shared: bool) -> Vec<Tensor<T>> {
        self.leaves(shared).into_iter().map(|i| self.inputs[i].clone()).collect()
    }

    /// A cotangent of its output.
    pub(crate) fn cotangent(&self, seed: u64) -> Tensor<T> {
        direction(self.info.value.shape(), seed, 1 << 40)
    }

    /// Calls `f` with the op between leaves and output; returns how it panics, if it does. If `shared`, inputs that are
    /// the same variable are the same leaf.
    pub(crate) fn alone<R>(&self, shared: bool, f: impl FnOnce(&Alone<'_, T>) -> R) -> Result<R, Panicked> {
        let (leaves, inputs) = (self.leaves(shared), &self.info.inputs);
        let leaf_of = |i: usize| leaves.iter().position(|&leaf| leaf == i || shared && inputs[leaf] == inputs[i]);
        let leaf_of = (0..inputs.len()).map(|i| leaf_of(i).expect("every input is a leaf")).collect();
        let alone = Alone { op: &self.op, leaf_of, misfit: Arc::default() };
        catch(|| f(&alone)).map_err(|message| Panicked { message, wrong_shape: alone.misfit.load(Ordering::Relaxed) })
    }

    /// Calls `f` with the result of a checkpoint's function at `inputs`, on a tape that begins with them as leaves; `None` if the
    /// node is no checkpoint, and the message if the function panics.
    pub(crate) fn rerun<R>(
        &self,
        inputs: &[Tensor<T>],
        f: impl FnOnce(&Tape<T>, Var<'_, T>) -> R,
    ) -> Result<Option<R>, String> {
        let tape = Tape::new();
        let leaves: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
        catch(|| self.op.rerun(&tape, &leaves).map(|y| f(&tape, y)))
    }
}

/// An op between leaves and output.
pub(crate) struct Alone<'a, T: Scalar> {
    op: &'a NodeOp<T>,
    /// Which leaf each input of the op is.
    leaf_of: Vec<usize>,
    /// Whether the rule returned a term that does not fit its input.
    misfit: Arc<AtomicBool>,
}

impl<T: Scalar> Alone<'_, T> {
    /// The value of the op at these leaves.
    pub(crate) fn value(&self, leaves: &[Tensor<T>]) -> Tensor<T> {
        let inputs: Vec<&Tensor<T>> = self.leaf_of.iter().map(|&leaf| &leaves[leaf]).collect();
        self.op.forward(&inputs)
    }

    /// Records the node on `tape`, with a value that is known; returns leaves and output.
    pub(crate) fn record<'t>(
        &self,
        tape: &'t Tape<T>,
        leaves: &[Tensor<T>],
        value: Tensor<T>,
    ) -> (Vec<Var<'t, T>>, Var<'t, T>) {
        let leaves: Vec<_> = leaves.iter().map(|x| tape.leaf(x.clone())).collect();
        let inputs: Vec<_> = self.leaf_of.iter().map(|&leaf| leaves[leaf]).collect();
        let known = Known { op: self.op.clone(), value, misfit: Arc::clone(&self.misfit) };
        (leaves, tape.apply(known, &inputs))
    }

    /// The terms of the rule, for every leaf.
    pub(crate) fn rule(&self, leaves: &[Tensor<T>], value: Tensor<T>, cotangent: &Tensor<T>) -> Vec<Tensor<T>> {
        let tape = Tape::new();
        let (leaves, output) = self.record(&tape, leaves, value);
        let gradients = output.backward_from(cotangent);
        leaves.iter().map(|&leaf| gradients.get(leaf)).collect()
    }
}

/// An op with a known value, which is not recomputed: an op that stores something from its last value must not be
/// helped by our calls.
struct Known<T: Scalar> {
    op: NodeOp<T>,
    value: Tensor<T>,
    misfit: Arc<AtomicBool>,
}

impl<T: Scalar> Op<T> for Known<T> {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward(&self, _: &[&Tensor<T>]) -> Tensor<T> {
        self.value.clone()
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let term = self.op.vjp(input, at);
        if !term.fits(at.input(input)) {
            self.misfit.store(true, Ordering::Relaxed);
        }
        term
    }
}
