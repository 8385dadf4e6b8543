//! The nodes of a tape as plain data: what computed each, from which others, where in the program.

use std::panic::Location;

/// Which values the rules of an op read: the result of [`Op::reads`](crate::Op::reads).
///
/// ```
/// use rewind_autograd::Reads;
/// assert!(Reads::ALL.reads_inputs() && Reads::ALL.reads_output());
/// assert!(Reads::INPUTS.reads_inputs() && !Reads::INPUTS.reads_output());
/// assert!(!Reads::OUTPUT.reads_inputs() && Reads::OUTPUT.reads_output());
/// assert!(!Reads::NOTHING.reads_inputs() && !Reads::NOTHING.reads_output());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Bit k for input k; all bits mean all inputs, however many there are.
    inputs: u32,
    output: bool,
}

impl Reads {
    /// All inputs and the output.
    pub const ALL: Reads = Reads { inputs: !0, output: true };
    /// All inputs, as for a product.
    pub const INPUTS: Reads = Reads { inputs: !0, output: false };
    /// The output, as for tanh.
    pub const OUTPUT: Reads = Reads { inputs: 0, output: true };
    /// Neither, as for a sum or a slice.
    pub const NOTHING: Reads = Reads { inputs: 0, output: false };

    /// Input number `k`, one of the first 32.
    pub const fn input(k: u32) -> Reads {
        assert!(k < 32, "Reads::input: only the first 32 inputs can be named; Reads::INPUTS are all");
        Reads { inputs: 1 << k, output: false }
    }

    /// What either of the two reads: `Reads::input(0).and(Reads::OUTPUT)`.
    ///
    /// ```
    /// use rewind_autograd::Reads;
    /// let reads = Reads::input(0).and(Reads::input(2));
    /// assert_eq!([0, 1, 2].map(|k| reads.reads_input(k)), [true, false, true]);
    /// assert!(!reads.reads_output());
    /// ```
    pub const fn and(self, other: Reads) -> Reads {
        Reads { inputs: self.inputs | other.inputs, output: self.output | other.output }
    }

    /// The same for an op of `arity` inputs, in the form that is fastest to look up: all of them are
    /// [`INPUTS`](Reads::INPUTS).
    #[doc(hidden)]
    pub const fn of(self, arity: usize) -> Reads {
        let all = arity <= 32 && self.inputs.trailing_ones() as usize == arity;
        Reads { inputs: if all { !0 } else { self.inputs }, output: self.output }
    }

    /// Whether any input is read.
    pub fn reads_inputs(self) -> bool {
        self.inputs != 0
    }

    /// Whether input number `k` is read.
    pub fn reads_input(self, k: usize) -> bool {
        self.inputs == !0 || (k < 32 && self.inputs >> k & 1 == 1)
    }

    /// Whether the output is read.
    pub fn reads_output(self) -> bool {
        self.output
    }
}

/// A node without its value; `O` is the type of ops.
pub(crate) struct Node<O> {
    /// What computed the value; `None` for a leaf, a constant, and whatever no gradient flows through.
    pub(crate) op: Option<O>,
    /// The inputs are `edges[first_edge..][..arity]` of the graph.
    first_edge: u32,
    arity: u32,
    /// Whether a gradient may flow to it.
    pub(crate) tracked: bool,
    /// Whether a rule reads the value, its own or that of a later node; or it has no op and cannot be computed again.
    pub(crate) is_read: bool,
    /// Its place in the tree of scopes.
    pub(crate) scope: u32,
    /// The line of the user's code that recorded it.
    pub(crate) location: &'static Location<'static>,
}

/// The nodes of a tape, in the order of recording: the inputs of a node stand before it.
pub(crate) struct Graph<O> {
    nodes: Vec<Node<O>>,
    edges: Vec<u32>,
}

impl<O> Default for Graph<O> {
    fn default() -> Self {
        Graph { nodes: Vec::new(), edges: Vec::new() }
    }
}

impl<O> Graph<O> {
    /// The number of nodes.
    pub(crate) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Adds a node whose rules read `reads`.
    ///
    /// # Panics
    /// If there are 2³² edges.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        op: Option<O>,
        inputs: impl Iterator<Item = u32>,
        (tracked, reads): (bool, Reads),
        scope: u32,
        location: &'static Location<'static>,
    ) {
        let first_edge = u32::try_from(self.edges.len()).expect("a tape holds fewer than 2^32 edges");
        self.edges.extend(inputs);
        let inputs = &self.edges[first_edge as usize..];
        for (_, &input) in inputs.iter().enumerate().filter(|&(k, _)| reads.reads_input(k)) {
            self.nodes[input as usize].is_read = true;
        }
        let (arity, is_read) = (inputs.len() as u32, reads.reads_output());
        self.nodes.push(Node { op, first_edge, arity, tracked, is_read, scope, location });
    }

    /// The node at a position, if there is one: what a rule computes in a first-order sweep has none.
    #[inline]
    pub(crate) fn node(&self, node: u32) -> Option<&Node<O>> {
        self.nodes.get(node as usize)
    }

    /// A node to modify.
    pub(crate) fn node_mut(&mut self, node: u32) -> Option<&mut Node<O>> {
        self.nodes.get_mut(node as usize)
    }

    /// The positions of a node's inputs.
    #[inline]
    pub(crate) fn inputs(&self, node: u32) -> &[u32] {
        self.node(node).map_or(&[], |node| &self.edges[node.first_edge as usize..][..node.arity as usize])
    }

    /// The op of a node.
    #[inline]
    pub(crate) fn op(&self, node: u32) -> Option<&O> {
        self.node(node)?.op.as_ref()
    }

    /// Whether a gradient may flow to a node.
    #[inline]
    pub(crate) fn is_tracked(&self, node: u32) -> bool {
        self.node(node).is_some_and(|node| node.tracked)
    }

    /// Removes all nodes; the memory is retained.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.edges.clear();
    }
}
