//! Inspection of a tape: what is recorded at a position, and its op, which can be applied elsewhere.

use std::any::Any;
use std::panic::Location;

use triomphe::Arc;

use crate::checkpoint::Checkpoint;
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
    /// If there is no such node.
    #[track_caller]
    pub fn node(&self, index: usize) -> NodeInfo<T> {
        assert!(index < self.len(), "node: there is no node {index} on a tape of {}", self.len());
        let (node, here, graph) = (index as u32, Location::caller(), self.graph.borrow());
        // What a rule computes in a first-order sweep has no node.
        let location = graph.node(node).map_or(here, |record| record.location);
        let given = if graph.is_tracked(node) { "leaf" } else { "constant" };
        let name = graph.op(node).map_or(given, |op| op.name());
        let inputs = graph.inputs(node).iter().map(|&input| input as usize).collect();
        drop(graph);
        let (scope, parameters) = Names::with(self, |names| (names.scope_of(node), names.parameters_of(node)));
        NodeInfo { index, name, inputs, value: self.value_of(node), scope, parameters, location }
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
