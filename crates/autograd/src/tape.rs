//! Recording: a flat list of nodes in the order in which they were computed.
//!
//! That order is topological by construction, so the reverse pass is a loop over indices and nothing ever recurses over
//! the graph: a tape of a million nodes is swept, and dropped, in constant stack.

mod access;
mod isolate;
mod lend;
mod list;
mod release;
mod wrap;

use std::cell::{Cell, RefCell};
use std::panic::Location;

use bumpalo::Bump;
use smallbox::SmallBox;
use smallbox::space::S4;
use smallvec::SmallVec;

use crate::scope::Scopes;
use crate::shape::count_or_panic;
use crate::sweep::Slots;
use crate::term::ValueSum;
use crate::{Op, Reads, Scalar, Tensor, Var};

pub(crate) use access::{Sweeping, WayBack};
use lend::Lent;
pub use list::List;

/// An op with its settings, inline in its node if they are small: recording most nodes allocates nothing.
pub(crate) type OpBox<T> = SmallBox<dyn Op<T>, S4>;

/// As many inputs as nearly all ops have at most.
const FEW: usize = 8;

/// Values of inputs, as `Op::forward` takes them.
type Inputs<'a, T> = SmallVec<[&'a Tensor<T>; FEW]>;

/// What is remembered of a node besides its value and its op.
#[derive(Clone, Copy)]
struct Record {
    /// The inputs are `edges[first_edge..][..arity]` of the tape.
    first_edge: u32,
    arity: u32,
    /// Whether a gradient may flow to this node.
    tracked: bool,
    /// Whether it is a variable that gradients are wanted for.
    leaf: bool,
    /// See [`Op::hands_on`].
    hands_on: bool,
    /// Where in the program's structure it was recorded: a place in `Nodes::scopes`.
    scope: u32,
    /// What rules read of the values here; the output of what has no op, which cannot be computed again.
    reads: Reads,
    /// The line of the user's code that recorded the node.
    location: &'static Location<'static>,
}

impl Record {
    fn of_constant(location: &'static Location<'static>) -> Self {
        Record {
            first_edge: 0,
            arity: 0,
            tracked: false,
            leaf: false,
            hands_on: false,
            reads: Reads::OUTPUT,
            scope: 0,
            location,
        }
    }
}

/// The nodes without their values.
#[derive(Default)]
struct Graph {
    records: Vec<Record>,
    edges: Vec<u32>,
    scopes: Scopes,
}

/// What becomes of the results of ops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nodes, which a sweep can read backwards.
    Recording,
    /// Nodes without ops: no gradient flows through them.
    Quiet,
    /// Values that last until a rule has been asked: a first-order sweep is under way.
    Sweeping,
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
    /// The values of all nodes and, behind them, what the rule computes that a sweep is asking at the moment.
    values: RefCell<Vec<Tensor<T>>>,
    graph: RefCell<Graph>,
    /// The op of every node; `None` for leaves and constants, and for values that no gradient flows to. Apart from the
    /// nodes, so that a sweep can hold them while rules compute.
    ops: RefCell<Vec<Option<OpBox<T>>>>,
    /// The ops of nodes whose rules are recording.
    lent: Lent<T>,
    mode: Cell<Mode>,
    recomputed: Cell<usize>,
    /// An empty tape for running a checkpointed region again, kept for its memory.
    inner: RefCell<Option<Box<Tape<T>>>>,
    /// What a sweep sums in, kept for its memory.
    slots: RefCell<Slots<ValueSum<T>>>,
    /// An empty list for the inputs of an op that has many, as a stack of time steps, kept for its memory.
    many: RefCell<Vec<&'static Tensor<T>>>,
    /// The memory of lists of variables.
    lists: Bump,
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
    /// Its layer, time step and gate, as far as they are known: `encoder/t=3/f`; the dotted name if it is a parameter.
    /// See [`Tape::scope`].
    pub scope: String,
    /// The dotted names of the parameters among the inputs: what tells one `affine` from another.
    pub parameters: Vec<String>,
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

impl<T: Scalar> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Self::with_mode(Mode::Recording)
    }

    /// A tape that computes values but keeps no record: for inference.
    ///
    /// Every value stays readable until [`clear`](Tape::clear), but no gradient flows through it.
    pub fn quiet() -> Self {
        Self::with_mode(Mode::Quiet)
    }

    fn with_mode(mode: Mode) -> Self {
        Tape {
            values: RefCell::new(Vec::new()),
            graph: RefCell::new(Graph::default()),
            ops: RefCell::new(Vec::new()),
            lent: Lent::default(),
            mode: Cell::new(mode),
            recomputed: Cell::new(0),
            inner: RefCell::new(None),
            slots: RefCell::default(),
            many: RefCell::default(),
            lists: Bump::new(),
        }
    }

    /// A variable that gradients are wanted for: an input or a parameter.
    #[track_caller]
    pub fn leaf(&self, value: Tensor<T>) -> Var<'_, T> {
        if self.mode.get() == Mode::Recording { self.push(value, None, &[], true) } else { self.constant(value) }
    }

    /// A value that no gradient flows to: data, a mask, a target.
    #[track_caller]
    pub fn constant(&self, value: Tensor<T>) -> Var<'_, T> {
        if self.mode.get() == Mode::Sweeping { self.push_value(value) } else { self.push(value, None, &[], false) }
    }

    /// A constant of shape `[]`.
    #[track_caller]
    pub fn scalar(&self, value: T) -> Var<'_, T> {
        self.constant(Tensor::scalar(value))
    }

    /// A constant filled with 0, as the first state of a recurrent network.
    ///
    /// It is one number, stretched. A [matrix product](Var::matmul) of it with a weight is known to be 0 and is not computed, nor
    /// is its share of the weight's gradient: also where a weight is infinite or NaN, so that 0·∞ would be NaN.
    ///
    /// # Panics
    /// If the shape holds more numbers than [`MOST_ELEMENTS`](crate::shape::MOST_ELEMENTS).
    #[track_caller]
    pub fn zeros(&self, shape: &[usize]) -> Var<'_, T> {
        count_or_panic("zeros", shape);
        self.constant(Tensor::scalar(T::ZERO).broadcast_to(shape))
    }

    /// Computes `op` of `inputs` and records it. Every op, built-in or yours, passes through here.
    ///
    /// # Panics
    /// If an input lives on another tape, or whatever `op` panics with.
    #[track_caller]
    pub fn apply<'t, O: Op<T>>(&'t self, op: O, inputs: &[Var<'t, T>]) -> Var<'t, T> {
        let tracked = self.inspect(inputs, || op.name());
        let value = {
            let values = self.values.borrow();
            let value = |v: &Var<'t, T>| &values[v.id() as usize];
            match inputs {
                [x] => op.forward(&[value(x)]),
                [x, y] => op.forward(&[value(x), value(y)]),
                _ if inputs.len() <= FEW => op.forward(&inputs.iter().map(value).collect::<Inputs<'_, T>>()),
                _ => {
                    let mut list = recycled(self.many.take());
                    list.extend(inputs.iter().map(value));
                    let value = op.forward(&list);
                    self.many.replace(recycled(list));
                    value
                }
            }
        };
        match self.mode.get() {
            Mode::Sweeping => self.push_value(value),
            Mode::Recording if tracked => self.push(value, Some(smallbox::smallbox!(op)), inputs, true),
            _ => self.push(value, None, &[], false),
        }
    }

    /// Makes sure that the values of `inputs` are there; whether a gradient may flow to one of them.
    #[inline]
    #[track_caller]
    fn inspect(&self, inputs: &[Var<'_, T>], op: impl Fn() -> &'static str) -> bool {
        let (mut tracked, mut released) = (false, false);
        let (values, graph) = (self.values.borrow(), self.graph.borrow());
        for (i, input) in inputs.iter().enumerate() {
            if !std::ptr::eq(input.tape(), self) {
                panic!("{}: input {i} lives on another tape than this one", op());
            }
            tracked |= graph.is_tracked(input.id());
            released |= values[input.id() as usize].is_released();
        }
        if released {
            drop((values, graph));
            inputs.iter().for_each(|input| self.restore(input.id()));
        }
        tracked
    }

    #[inline(always)]
    #[track_caller]
    fn push(&self, value: Tensor<T>, op: Option<OpBox<T>>, inputs: &[Var<'_, T>], tracked: bool) -> Var<'_, T> {
        {
            let graph = &mut *self.graph.borrow_mut();
            let first_edge = u32::try_from(graph.edges.len()).expect("a tape holds fewer than 2^32 edges");
            graph.edges.extend(inputs.iter().map(|v| v.id()));
            let (arity, leaf) = (inputs.len() as u32, tracked && op.is_none());
            let (reads, hands_on) = op.as_ref().map_or((Reads::OUTPUT, false), |op| (op.reads(), op.hands_on()));
            let (scope, location) = (graph.scopes.current(), Location::caller());
            graph.records.push(Record { first_edge, arity, tracked, leaf, hands_on, scope, reads, location });
            self.ops.borrow_mut().push(op);
        }
        self.push_value(value)
    }

    #[inline(always)]
    fn push_value(&self, value: Tensor<T>) -> Var<'_, T> {
        let mut values = self.values.borrow_mut();
        let index = u32::try_from(values.len()).expect("a tape holds fewer than 2^32 nodes");
        values.push(value);
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
        self.values.get_mut().clear();
        let graph = self.graph.get_mut();
        graph.records.clear();
        graph.edges.clear();
        graph.scopes.clear();
        self.ops.get_mut().clear();
        self.lists.reset();
    }

    /// How many nodes are recorded; in a rule, with the values that last until it has been asked.
    pub fn len(&self) -> usize {
        self.values.borrow().len()
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
        let graph = self.graph.borrow();
        let passing = Record::of_constant(Location::caller());
        let record = match graph.records.get(index) {
            Some(record) => record,
            None if index < self.len() => &passing,
            None => panic!("node: there is no node {index} on a tape of {}", self.len()),
        };
        let name = match self.ops.borrow().get(index).and_then(Option::as_ref) {
            Some(op) => op.name(),
            None if record.tracked => "leaf",
            None => "constant",
        };
        let inputs = graph.edges[record.first_edge as usize..][..record.arity as usize].iter();
        let inputs = inputs.map(|&i| i as usize).collect();
        let location = record.location;
        drop(graph);
        let node = index as u32;
        let (value, scope, parameters) = (self.value_of(node), self.scope_of(node), self.parameters_of(node));
        NodeInfo { index, name, inputs, value, scope, parameters, location }
    }
}

/// An empty list in the memory of `list`, for borrows that last as long as one likes.
fn recycled<'a, X>(mut list: Vec<&X>) -> Vec<&'a X> {
    list.clear();
    // To collect what a list gives keeps its memory, and an empty one gives nothing that would have to be converted.
    list.into_iter().map(|_| unreachable!("the list is empty")).collect()
}

impl Graph {
    #[inline]
    fn inputs(&self, node: u32) -> &[u32] {
        // What is no node has no inputs.
        let record = self.records.get(node as usize);
        record.map_or(&[], |record| &self.edges[record.first_edge as usize..][..record.arity as usize])
    }

    #[inline]
    fn is_tracked(&self, node: u32) -> bool {
        self.records.get(node as usize).is_some_and(|record| record.tracked)
    }
}
