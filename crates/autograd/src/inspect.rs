//! Inspection of a tape: what is recorded at a position, and its op, which can be applied elsewhere.

use std::any::Any;
use std::fmt;
use std::panic::Location;

use triomphe::Arc;

use crate::checkpoint::Checkpoint;
use crate::gradients::Gradients;
use crate::graph::Reads;
use crate::naming::Names;
use crate::op::{Op, Site, Term};
use crate::tape::{OpBox, Tape, Var};
use crate::{Scalar, Tensor};

/// A node of a tape, as [`Tape::node`] describes it.
#[derive(Clone, Debug)]
pub struct NodeInfo<T: Scalar> {
    /// The position on the tape.
    pub index: usize,
    /// The op's name; `"leaf"` or `"constant"` where there is none.
    pub name: &'static str,
    /// The positions of the inputs, all smaller than `index`.
    pub inputs: Vec<usize>,
    /// The value.
    pub value: Tensor<T>,
    /// Its layer, time step and gate, as far as they are known: `encoder/t=3/f`; the dotted name if it is a parameter.
    /// See [`Tape::scope`].
    pub scope: String,
    /// The dotted names of the parameters among the inputs: they tell one `affine` from another.
    pub parameters: Vec<String>,
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

/// The op of a node: an op that is applied like any other. Given by [`Tape::op`].
#[derive(Clone)]
pub struct NodeOp<T: Scalar>(Arc<OpBox<T>>);

impl<T: Scalar> NodeOp<T> {
    pub(crate) fn is_checkpoint(&self) -> bool {
        Checkpoint::of(&**self.0).is_some()
    }

    /// Runs the function of a [`checkpoint`](crate::checkpoint()) on another tape, whose nodes can then be inspected;
    /// `None` if the op is no checkpoint.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor, checkpoint};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(2.0));
    /// let y = checkpoint(&[x], |_, v| (v[0] * v[0]).sin());
    /// let inside = Tape::new();
    /// let result = tape.op(y.position()).and_then(|op| op.rerun(&inside, &[inside.leaf(x.value())]));
    /// assert_eq!(result.map(|y| y.value()), Some(y.value()));
    /// assert_eq!(inside.node(1).name, "mul");
    /// ```
    pub fn rerun<'t>(&self, tape: &'t Tape<T>, inputs: &[Var<'t, T>]) -> Option<Var<'t, T>> {
        Some(Checkpoint::of(&**self.0)?.run(tape, inputs))
    }
}

impl<T: Scalar> Op<T> for NodeOp<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.0.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        self.0.vjp(input, at)
    }
    fn reads(&self) -> Reads {
        self.0.reads()
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        self.0.settings()
    }
}

/// Inspection.
impl<T: Scalar> Tape<T> {
    /// What is recorded at position `index`.
    ///
    /// ```
    /// use rewind_autograd::{NodeInfo, Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(2.0));
    /// let y = x.sin() * x;
    /// let node: NodeInfo<f64> = tape.node(y.position());
    /// assert_eq!((node.name, node.inputs), ("mul", vec![1, 0]));
    /// ```
    ///
    /// # Panics
    /// If there is no such node; or if a rule asks, in a first-order sweep, for a value that an earlier rule of its node has computed.
    #[track_caller]
    pub fn node(&self, index: usize) -> NodeInfo<T> {
        assert!(index < self.len(), "node: there is no node {index} on a tape of {}", self.len());
        let (node, here, graph) = (index as u32, Location::caller(), self.graph.borrow());
        // What a rule computes in a first-order sweep has no node.
        let location = graph.node(node).map_or(here, |record| record.location);
        let given = if graph.is_tracked(node) { "leaf" } else { "constant" };
        let name = graph.op(node).map_or(given, |op| op.name());
        if graph.op(node).is_none() && Var::new(self, node).tensor().is_released() {
            panic!(
                "node: the value at {index} is gone: an earlier rule of the same node computed it, and it is part of a cotangent"
            );
        }
        let inputs = graph.inputs(node).iter().map(|&input| input as usize).collect();
        drop(graph);
        let (scope, parameters) = Names::with(self, |names| (names.scope_of(node), names.parameters_of(node)));
        NodeInfo { index, name, inputs, value: Var::new(self, node).value(), scope, parameters, location }
    }

    /// The op of the node at position `index`; `None` for a leaf, a constant, and a value that no gradient flows through.
    ///
    /// ```
    /// use rewind_autograd::{NodeOp, Op, Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(2.0));
    /// let y = x.exp();
    /// let exp: NodeOp<f64> = tape.op(y.position()).expect("exp is an op");
    /// assert_eq!(exp.forward(&[&Tensor::scalar(0.0)]).item(), 1.0);
    /// ```
    ///
    /// # Panics
    /// If a rule asks for it while a sweep of the first order over this tape runs.
    #[track_caller]
    pub fn op(&self, index: usize) -> Option<NodeOp<T>> {
        self.shared_op(u32::try_from(index).ok()?).map(NodeOp)
    }

    /// The op of a node, to be held while the tape goes on. The node keeps an op that refers to it; a checkpoint, which a sweep
    /// recognizes, is cloned.
    #[track_caller]
    pub(crate) fn shared_op(&self, node: u32) -> Option<Arc<OpBox<T>>> {
        let Ok(mut graph) = self.graph.try_borrow_mut() else {
            panic!("op: a sweep over this tape is under way; a rule cannot have the ops of its nodes")
        };
        let op = &mut graph.node_mut(node)?.op;
        let known: &dyn Any = &**op.as_ref()?;
        if let Some(NodeOp(shared)) = known.downcast_ref() {
            return Some(shared.clone());
        }
        if let Some(checkpoint) = known.downcast_ref::<Checkpoint<T>>() {
            return Some(Arc::new(smallbox::smallbox!(checkpoint.clone())));
        }
        let shared = Arc::new(op.take()?);
        *op = Some(smallbox::smallbox!(NodeOp(shared.clone())));
        Some(shared)
    }

    /// Replaces the op of node `index` by `wrap` of it: for tests in which a rule is wrong on purpose. Leaves and
    /// constants have no op and do not change.
    ///
    /// ```
    /// use rewind_autograd::{Op, Site, Tape, Tensor, Term};
    ///
    /// /// An op with its sign wrong in the reverse pass.
    /// struct Flipped(Box<dyn Op<f64>>);
    /// impl Op<f64> for Flipped {
    ///     fn name(&self) -> &'static str {
    ///         self.0.name()
    ///     }
    ///     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    ///         self.0.forward(inputs)
    ///     }
    ///     fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    ///         self.0.vjp(input, &at.with_cotangent(-at.cotangent()))
    ///     }
    /// }
    ///
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(3.0));
    /// let y = x * x;
    /// tape.wrap_op(y.position(), Flipped);
    /// assert_eq!(y.backward().get(x).item(), -6.0);
    /// ```
    #[doc(hidden)]
    pub fn wrap_op<O: Op<T>>(&self, index: usize, wrap: impl FnOnce(Box<dyn Op<T>>) -> O) {
        assert!(index < self.len(), "wrap_op: there is no node {index} on a tape of {}", self.len());
        if let Some(op) = self.op(index) {
            let wrapped = wrap(Box::new(op));
            let node = &mut self.graph.borrow_mut();
            node.node_mut(index as u32).expect("it has an op").op = Some(smallbox::smallbox!(wrapped));
        }
    }
}

/// Inspection of a sweep.
impl<'t, T: Scalar> Var<'t, T> {
    /// [`backward`](Var::backward), which also calls `watch` with every variable that a gradient flows through and its
    /// complete cotangent, from the result to the leaves, in the reverse order of recording. To *change* a cotangent,
    /// use [`map_cotangent`](Var::map_cotangent).
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::scalar(1.0));
    /// for t in 0..3 {
    ///     let _step = tape.numbered_scope("t", t);
    ///     h = h * 0.5;
    /// }
    /// let mut seen = Vec::new();
    /// h.backward_watched(|v, cotangent| seen.push((v.scope(), cotangent.norm())));
    /// assert_eq!(seen[0], ("t=2".to_owned(), 1.0));
    /// assert_eq!(seen[2], ("t=0".to_owned(), 0.25)); // ∂L/∂h_0: it vanishes
    /// ```
    ///
    /// `watch` is called when the sweep is over: until then, all cotangents are in memory.
    ///
    /// # Panics
    /// As [`backward`](Var::backward).
    #[track_caller]
    pub fn backward_watched(self, mut watch: impl FnMut(Var<'t, T>, &Tensor<T>)) -> Gradients<'t, T> {
        let nodes = (0..=self.id()).map(|node| Var::new(self.tape(), node));
        let tracked: Vec<_> = nodes.filter(|v| v.is_tracked()).collect();
        let mut gradients = self.sweep("backward_watched", None, Some(&tracked));
        for (node, cotangent) in gradients.totals.iter().rev() {
            watch(Var::new(self.tape(), *node), cotangent);
        }
        gradients.wanted = None;
        gradients
    }
}

impl<T: Scalar> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = if self.is_tracked() { "leaf" } else { "constant" };
        let name = self.tape().graph.borrow().op(self.id()).map_or(given, |op| op.name());
        write!(f, "Var #{} {name} {:?}", self.id(), self.value())
    }
}

/// Its kind and its shapes.
impl<T: Scalar> fmt::Debug for Term<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Zero => write!(f, "no term"),
            Term::Dense(g) => write!(f, "a dense term of shape {:?}", g.shape()),
            Term::Summed(g) => write!(f, "a summed term of shape {:?}", g.shape()),
            Term::Product(x, g) => write!(f, "a product term of shapes {:?} and {:?}", x.shape(), g.shape()),
            Term::Slice { part, axis, start } => {
                write!(f, "a slice term of shape {:?} at {start} of axis {axis}", part.shape())
            }
        }
    }
}
