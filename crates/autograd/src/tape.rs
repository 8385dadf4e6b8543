//! Recording: a flat list of nodes in the order in which they were computed.
//!
//! That order is topological by construction, so the reverse pass is a loop over indices and nothing ever recurses over
//! the graph: a tape of a million nodes is swept, and dropped, in constant stack.

use std::cell::RefCell;
use std::panic::Location;

use smallbox::SmallBox;
use smallbox::space::S4;
use smallvec::SmallVec;

use crate::{Op, Scalar, Site, Tensor, Term, Var};

/// An op with its settings, inline in its node if they are small: recording most nodes allocates nothing.
type OpBox<T> = SmallBox<dyn Op<T>, S4>;

/// Values of inputs, as `Op::forward` takes them.
type Values<'a, T> = SmallVec<[&'a Tensor<T>; 8]>;

struct Node<T: Scalar> {
    value: Tensor<T>,
    /// `None` for leaves and constants, and for values that no gradient flows to.
    op: Option<OpBox<T>>,
    /// The inputs are `edges[first_edge..][..arity]` of the tape.
    first_edge: u32,
    arity: u32,
    /// Whether a gradient may flow to this node.
    tracked: bool,
    /// The line of the user's code that recorded the node.
    location: &'static Location<'static>,
}

struct Nodes<T: Scalar> {
    list: Vec<Node<T>>,
    edges: Vec<u32>,
}

/// A record of a computation, to be read backwards.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::scalar(3.0));
/// let y = x * x + x;
/// assert_eq!(y.backward().get(x).item(), 7.0);
/// ```
pub struct Tape<T: Scalar> {
    nodes: RefCell<Nodes<T>>,
    /// A quiet tape computes but remembers no ops: rules of a first-order sweep run on one.
    quiet: bool,
}

impl<T: Scalar> Default for Tape<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a tape tells about one of its nodes.
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
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

impl<T: Scalar> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Self::with_mode(false)
    }

    /// A tape that computes values but keeps no record: for inference, and for the rules of a first-order sweep.
    ///
    /// Every value stays readable until [`clear`](Tape::clear), but no gradient flows through it.
    pub fn quiet() -> Self {
        Self::with_mode(true)
    }

    fn with_mode(quiet: bool) -> Self {
        Tape { nodes: RefCell::new(Nodes { list: Vec::new(), edges: Vec::new() }), quiet }
    }

    /// A variable that gradients are wanted for: an input or a parameter.
    #[track_caller]
    pub fn leaf(&self, value: Tensor<T>) -> Var<'_, T> {
        self.push(value, None, &[], !self.quiet)
    }

    /// A value that no gradient flows to: data, a mask, a target.
    #[track_caller]
    pub fn constant(&self, value: Tensor<T>) -> Var<'_, T> {
        self.push(value, None, &[], false)
    }

    /// A constant of shape `[]`.
    #[track_caller]
    pub fn scalar(&self, value: T) -> Var<'_, T> {
        self.constant(Tensor::scalar(value))
    }

    /// A constant filled with 0.
    #[track_caller]
    pub fn zeros(&self, shape: &[usize]) -> Var<'_, T> {
        self.constant(Tensor::zeros(shape))
    }

    /// Computes `op` of `inputs` and records it. Every op, built-in or yours, passes through here.
    ///
    /// # Panics
    /// If an input lives on another tape, or whatever `op` panics with.
    #[track_caller]
    pub fn apply<'t, O: Op<T>>(&'t self, op: O, inputs: &[Var<'t, T>]) -> Var<'t, T> {
        let mut tracked = false;
        let value = {
            let nodes = self.nodes.borrow();
            let mut values = Values::new();
            for (i, input) in inputs.iter().enumerate() {
                if !std::ptr::eq(input.tape(), self) {
                    panic!("{}: input {i} lives on another tape than this one", op.name());
                }
                let node = &nodes.list[input.id() as usize];
                tracked |= node.tracked;
                values.push(&node.value);
            }
            op.forward(&values)
        };
        if tracked {
            self.push(value, Some(smallbox::smallbox!(op)), inputs, true)
        } else {
            self.push(value, None, &[], false)
        }
    }

    #[track_caller]
    fn push(&self, value: Tensor<T>, op: Option<OpBox<T>>, inputs: &[Var<'_, T>], tracked: bool) -> Var<'_, T> {
        let nodes = &mut *self.nodes.borrow_mut();
        let index = u32::try_from(nodes.list.len()).expect("a tape holds fewer than 2^32 nodes");
        let first_edge = u32::try_from(nodes.edges.len()).expect("a tape holds fewer than 2^32 edges");
        nodes.edges.extend(inputs.iter().map(|v| v.id()));
        let arity = inputs.len() as u32;
        nodes.list.push(Node { value, op, first_edge, arity, tracked, location: Location::caller() });
        Var::new(self, index)
    }

    /// Forgets everything, and keeps the memory for the next recording.
    ///
    /// Variables borrow their tape, so none can be left over:
    ///
    /// ```compile_fail,E0502
    /// use rewind_autograd::{Tape, Tensor};
    /// let mut tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(1.0));
    /// tape.clear();
    /// x.value();
    /// ```
    pub fn clear(&mut self) {
        self.reset();
    }

    /// [`clear`](Tape::clear) for the sweep, which knows that it holds no variable of its scratch tape any more.
    pub(crate) fn reset(&self) {
        let mut nodes = self.nodes.borrow_mut();
        nodes.list.clear();
        nodes.edges.clear();
    }

    /// How many nodes are recorded.
    pub fn len(&self) -> usize {
        self.nodes.borrow().list.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is recorded at position `index`.
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn node(&self, index: usize) -> NodeInfo<T> {
        let nodes = self.nodes.borrow();
        let Some(node) = nodes.list.get(index) else {
            panic!("node: there is no node {index} on a tape of {}", nodes.list.len());
        };
        let name = match &node.op {
            Some(op) => op.name(),
            None if node.tracked => "leaf",
            None => "constant",
        };
        let inputs = nodes.inputs(node).iter().map(|&i| i as usize).collect();
        NodeInfo { index, name, inputs, value: node.value.clone(), location: node.location }
    }
}

/// A hook for those who test checkers.
impl<T: Scalar> Tape<T> {
    /// Puts what `wrap` makes of the op of node `index` in its place: how rules are made wrong on purpose. Leaves and
    /// constants have no op and stay as they are.
    #[doc(hidden)]
    pub fn wrap_op<O: Op<T>>(&self, index: usize, wrap: impl FnOnce(Box<dyn Op<T>>) -> O) {
        let mut nodes = self.nodes.borrow_mut();
        if let Some(op) = nodes.list[index].op.take() {
            nodes.list[index].op = Some(smallbox::smallbox!(wrap(Box::new(Unboxed(op)))));
        }
    }
}

/// An op that was taken out of its node.
struct Unboxed<T: Scalar>(OpBox<T>);

impl<T: Scalar> Op<T> for Unboxed<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.0.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        self.0.vjp(input, at)
    }
}

impl<T: Scalar> Nodes<T> {
    fn inputs(&self, node: &Node<T>) -> &[u32] {
        &self.edges[node.first_edge as usize..][..node.arity as usize]
    }
}

/// What the sweep and the handles read.
impl<T: Scalar> Tape<T> {
    pub(crate) fn value_of(&self, index: u32) -> Tensor<T> {
        self.nodes.borrow().list[index as usize].value.clone()
    }

    pub(crate) fn with_value<R>(&self, index: u32, f: impl FnOnce(&Tensor<T>) -> R) -> R {
        f(&self.nodes.borrow().list[index as usize].value)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn is_tracked(&self, index: u32) -> bool {
        self.nodes.borrow().list[index as usize].tracked
    }

    pub(crate) fn is_leaf(&self, index: u32) -> bool {
        let node = &self.nodes.borrow().list[index as usize];
        node.tracked && node.op.is_none()
    }

    pub(crate) fn arity(&self, index: u32) -> usize {
        self.nodes.borrow().list[index as usize].arity as usize
    }

    pub(crate) fn input_of(&self, index: u32, input: usize) -> u32 {
        let nodes = self.nodes.borrow();
        nodes.inputs(&nodes.list[index as usize])[input]
    }

    /// Calls `f` with the op of a node, if it has one; `recording` says whether `f` records on this very tape.
    pub(crate) fn with_op<R>(&self, index: u32, recording: bool, f: impl FnOnce(&dyn Op<T>) -> R) -> Option<R> {
        if !recording {
            return self.nodes.borrow().list[index as usize].op.as_deref().map(f);
        }
        // The tape may grow under the op, so it is taken out of its node for the call.
        let op = self.nodes.borrow_mut().list[index as usize].op.take()?;
        let result = f(&*op);
        self.nodes.borrow_mut().list[index as usize].op = Some(op);
        Some(result)
    }

    /// Takes a value out of a tape that is about to be emptied.
    pub(crate) fn take_value(&self, index: u32) -> Tensor<T> {
        std::mem::replace(&mut self.nodes.borrow_mut().list[index as usize].value, Tensor::taken())
    }

    /// Whether two values have the same shape.
    pub(crate) fn same_shape(&self, a: u32, b: u32) -> bool {
        let nodes = self.nodes.borrow();
        nodes.list[a as usize].value.shape() == nodes.list[b as usize].value.shape()
    }
}
