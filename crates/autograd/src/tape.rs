//! The tape: a flat list of nodes, in the order in which they were computed.
//!
//! That order is topological by construction, so the reverse pass is a loop over positions and nothing ever recurses over
//! the graph: a tape of a million nodes is swept, and dropped, in constant stack.

mod scope;
mod values;
mod var;

use std::cell::{Cell, RefCell};
use std::panic::Location;

use bumpalo::Bump;
use smallbox::{SmallBox, space::S4};

use crate::graph::{Graph, Line, Node, Reads};
use crate::list::{List, length};
use crate::scopes::{Part, Scopes};
use crate::shape::count_or_panic;
use crate::sums::Sum;
use crate::{Op, Scalar, Tensor};

pub use scope::Scope;
pub use var::Var;

/// An op with its settings, inline in its node if they are small: recording most nodes allocates nothing.
pub(crate) type OpBox<T> = SmallBox<dyn Op<T>, S4>;

/// What happens to the results of ops.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nodes, for a sweep to read.
    #[default]
    Recording,
    /// Nodes without ops: no gradient flows through them.
    Quiet,
    /// Values without nodes, discarded after each node of the sweep: a first-order sweep is running.
    Sweeping,
}

/// A record of a computation, for the reverse pass.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// let mut tape = Tape::new();
/// let x = tape.leaf(Tensor::scalar(3.0));
/// let y = x * x + x;
/// assert_eq!(y.backward().get(x).item(), 7.0);
///
/// tape.clear(); // the next recording reuses the memory
/// assert!(tape.is_empty());
/// ```
#[derive(Default)]
pub struct Tape<T: Scalar> {
    pub(crate) graph: RefCell<Graph<OpBox<T>>>,
    /// The value of each node. In a first-order sweep, those that a rule computes follow.
    pub(crate) values: RefCell<Vec<Tensor<T>>>,
    recomputed: Cell<usize>,
    pub(crate) scopes: RefCell<Scopes>,
    pub(crate) mode: Cell<Mode>,
    /// The sums of a sweep, all empty: their memory is reused. A nested sweep makes its own.
    pub(crate) sums: Cell<Vec<Sum<T>>>,
    /// An empty tape for running the function of a checkpoint again.
    pub(crate) inner: Cell<Option<Box<Tape<T>>>>,
    /// Lists that last as long as a recording.
    lists: Bump,
    /// Memory for the input list of an op with many inputs.
    inputs: Cell<Bump>,
}

impl<T: Scalar> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tape that computes values but records no ops: for inference.
    ///
    /// Every value stays readable until [`clear`](Tape::clear), but no gradient flows through it.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::quiet();
    /// let x = tape.leaf(Tensor::scalar(3.0));
    /// assert_eq!((x * x).value().item(), 9.0);
    /// assert!(!(x * x).is_tracked());
    /// ```
    pub fn quiet() -> Self {
        Tape { mode: Cell::new(Mode::Quiet), ..Self::default() }
    }

    /// A variable to differentiate with respect to: an input or a parameter.
    #[track_caller]
    pub fn leaf(&self, value: Tensor<T>) -> Var<'_, T> {
        self.push(value, None, &[], self.mode.get() == Mode::Recording, Location::caller())
    }

    /// A [`leaf`](Tape::leaf) that carries the dotted name of a parameter.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let w = tape.parameter("encoder.weight_hh", Tensor::from_vec(vec![0.5, 0.1, -0.3, 0.2], &[2, 2]));
    /// let h = tape.constant(Tensor::full(&[1, 2], 1.0));
    /// let y = h.matmul(w);
    /// assert_eq!(w.scope(), "encoder.weight_hh");
    /// assert_eq!(y.scope(), "encoder"); // the layer of the parameter that it reads
    /// assert_eq!(tape.node(y.position()).parameters, ["encoder.weight_hh"]);
    /// ```
    #[track_caller]
    pub fn parameter(&self, name: &str, value: Tensor<T>) -> Var<'_, T> {
        self.parameter_at(name, value, Location::caller())
    }

    /// A parameter that the line `location` of the user's code brings.
    pub(crate) fn parameter_at(&self, name: &str, value: Tensor<T>, location: Line) -> Var<'_, T> {
        let _scope = Scope::enter(self, |scopes| Part::Parameter { name: scopes.write(name), node: self.len() as u32 });
        self.push(value, None, &[], self.mode.get() == Mode::Recording, location)
    }

    /// A value that no gradient flows to: data, a mask, a target.
    #[track_caller]
    pub fn constant(&self, value: Tensor<T>) -> Var<'_, T> {
        self.push(value, None, &[], false, Location::caller())
    }

    /// A constant of shape `[]`.
    #[track_caller]
    pub fn scalar(&self, value: T) -> Var<'_, T> {
        self.constant(Tensor::scalar(value))
    }

    /// A constant filled with 0, such as the initial state of a recurrent network. It takes the memory of one element.
    ///
    /// # Panics
    /// If the shape holds more elements than [`MOST_ELEMENTS`](crate::shape::MOST_ELEMENTS).
    #[track_caller]
    pub fn zeros(&self, shape: &[usize]) -> Var<'_, T> {
        count_or_panic("zeros", shape);
        self.constant(Tensor::scalar(T::ZERO).broadcast_to(shape))
    }

    /// Computes `op` of `inputs` and records it. Every op, built-in or yours, is recorded here.
    ///
    /// # Panics
    /// If an input lives on another tape, or whatever `op` panics with.
    #[track_caller]
    pub fn apply<'t, O: Op<T>>(&'t self, op: O, inputs: &[Var<'t, T>]) -> Var<'t, T> {
        for (i, input) in inputs.iter().enumerate() {
            assert!(std::ptr::eq(input.tape(), self), "{}: input {i} lives on another tape than this one", op.name());
            self.restore(input.id());
        }
        let value = self.forward(&op, inputs, Var::id);
        if self.mode.get() == Mode::Recording && inputs.iter().any(|input| input.is_tracked()) {
            return self.push(value, Some(smallbox::smallbox!(op)), inputs, true, Location::caller());
        }
        self.push(value, None, &[], false, Location::caller())
    }

    /// Adds a value, and the node that it belongs to; in a first-order sweep, the value alone.
    #[inline(always)]
    #[track_caller]
    fn push(
        &self,
        value: Tensor<T>,
        op: Option<OpBox<T>>,
        inputs: &[Var<'_, T>],
        tracked: bool,
        location: Line,
    ) -> Var<'_, T> {
        if self.mode.get() != Mode::Sweeping {
            let reads = op.as_ref().map_or(Reads::OUTPUT, |op| op.reads());
            let mut graph = self.graph.borrow_mut();
            let edges = graph.push_edges(inputs.iter().map(|v| v.id()), reads);
            let (is_read, scope) = (reads.reads_output(), self.scopes.borrow().current());
            graph.push(Node { op, edges, tracked, is_read, scope, location });
        }
        self.push_value(value)
    }

    /// # Panics
    /// If there are too many nodes.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_value(&self, value: Tensor<T>) -> Var<'_, T> {
        let mut values = self.values.borrow_mut();
        // With this one, so that the length of the list has 32 bits too, and not only the places in it.
        let count = length(values.len() + 1, "nodes");
        values.push(value);
        Var::new(self, count - 1)
    }

    /// Removes all nodes, and retains the memory for the next recording.
    ///
    /// Variables borrow their tape, so none can be used afterwards:
    ///
    /// ```compile_fail,E0502
    /// use rewind_autograd::{Tape, Tensor};
    /// let mut tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(1.0));
    /// tape.clear();
    /// x.value();
    /// ```
    pub fn clear(&mut self) {
        self.values.get_mut().clear();
        self.graph.get_mut().clear();
        self.scopes.get_mut().clear();
        self.lists.reset();
    }

    /// The number of nodes; within a rule, plus the values that rules have computed for the current node.
    pub fn len(&self) -> usize {
        self.values.borrow().len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Until the guard is dropped, nodes are recorded in the scope `name`, within the current one.
    ///
    /// Most programs need not name anything: [`OnTape::on`](crate::OnTape::on) names the parameters, unrolling the time
    /// steps, and [`Var::split_named`] the gates. [`Var::scope`] tells where a variable was recorded.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::scalar(0.5));
    /// {
    ///     let _encoder = tape.scope("encoder");
    ///     for t in 0..3 {
    ///         let _step = tape.numbered_scope("t", t);
    ///         h = h.tanh();
    ///     }
    /// }
    /// let y = h * h;
    /// assert_eq!((h.scope().as_str(), y.scope().as_str()), ("encoder/t=2", ""));
    /// ```
    pub fn scope(&self, name: &str) -> Scope<'_, T> {
        Scope::enter(self, |scopes| Part::Name(scopes.write(name)))
    }

    /// As [`scope`](Tape::scope), with the name `name=number`: a time step, `t=3`. Costs one entry in a list.
    pub fn numbered_scope(&self, name: &'static str, number: usize) -> Scope<'_, T> {
        Scope::enter(self, |_| Part::Numbered { name, number })
    }

    /// An empty list with room for `capacity` items: variables, states of cells. They borrow the tape, so the list
    /// cannot outlive the recording, and after [`clear`](Tape::clear) the next list reuses its memory: a training loop
    /// allocates none.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor, ops::layout::stack};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::from_vec(vec![0.5, -1.0], &[2]));
    /// let mut states = tape.list(3);
    /// for _ in 0..3 {
    ///     h = h.tanh();
    ///     states.push(h);
    /// }
    /// assert_eq!(stack(&states, 0).shape().as_slice(), [3, 2]);
    /// ```
    pub fn list<X>(&self, capacity: usize) -> List<'_, X> {
        List::new_in(&self.lists, capacity)
    }
}
