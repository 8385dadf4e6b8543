//! The nodes of a tape as plain data: what computed each, from which others, where in the program.

use std::ops::Range;
use std::panic::Location;

use crate::list::length;

/// Which values the rules of an op read: the result of [`Op::reads`](crate::Op::reads).
///
/// ```
/// use rewind_autograd::Reads;
/// assert!(Reads::ALL.reads_input(7) && Reads::ALL.reads_output());
/// assert!(Reads::INPUTS.reads_input(100) && !Reads::INPUTS.reads_output());
/// assert!(!Reads::OUTPUT.reads_input(0) && Reads::OUTPUT.reads_output());
/// assert!(!Reads::NOTHING.reads_input(0) && !Reads::NOTHING.reads_output());
/// ```
// Bit 0 is the output, bit k + 1 input k. The last bit stands for all inputs from number 62 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads(u64);

impl Reads {
    /// All inputs and the output.
    pub const ALL: Reads = Reads(!0);
    /// All inputs, as for a product.
    pub const INPUTS: Reads = Reads(!1);
    /// The output, as for tanh.
    pub const OUTPUT: Reads = Reads(1);
    /// Neither, as for a sum or a slice.
    pub const NOTHING: Reads = Reads(0);

    /// Input number `k`, one of the first 32.
    pub const fn input(k: u32) -> Reads {
        assert!(k < 32, "Reads::input: only the first 32 inputs can be named; Reads::INPUTS are all");
        Reads(2 << k)
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
        Reads(self.0 | other.0)
    }

    /// The same for an op of `arity` inputs: all of them are [`INPUTS`](Reads::INPUTS).
    #[doc(hidden)]
    pub const fn of(self, arity: u32) -> Reads {
        if self.0.count_ones() == arity + (self.0 as u32 & 1) { self.and(Reads::INPUTS) } else { self }
    }

    /// Whether input number `k` is read.
    pub fn reads_input(self, k: usize) -> bool {
        self.0 >> (k + 1).min(63) & 1 == 1
    }

    /// Whether the output is read.
    pub fn reads_output(self) -> bool {
        self.0 & 1 == 1
    }
}

/// A line of the user's code.
pub(crate) type Line = &'static Location<'static>;

/// A node without its value; `O` is the type of ops.
pub(crate) struct Node<O> {
    /// What computed the value; `None` for a leaf, a constant, and whatever no gradient flows through.
    pub(crate) op: Option<O>,
    /// The inputs are at these edges of the graph.
    pub(crate) edges: Range<u32>,
    /// Whether a gradient may flow to it.
    pub(crate) tracked: bool,
    /// Whether a rule reads the value, its own or that of a later node; or it has no op and cannot be computed again.
    pub(crate) is_read: bool,
    /// Its place in the tree of scopes.
    pub(crate) scope: u32,
    /// What recorded it.
    pub(crate) location: Line,
}

/// What edges are in a message.
const EDGES: &str = "inputs of nodes";

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
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds the edges of the next node, whose rules read `reads` of them.
    ///
    /// # Panics
    /// If there are too many edges.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn push_edges(&mut self, inputs: impl Iterator<Item = u32>, reads: Reads) -> Range<u32> {
        let first = length(self.edges.len(), EDGES);
        self.edges.extend(inputs);
        let end = length(self.edges.len(), EDGES);
        for (k, &input) in self.edges[first as usize..].iter().enumerate() {
            self.nodes[input as usize].is_read |= reads.reads_input(k);
        }
        first..end
    }

    pub(crate) fn push(&mut self, node: Node<O>) {
        self.nodes.push(node);
    }

    /// The node at a position, if there is one: what a rule computes in a first-order sweep has none.
    pub(crate) fn node(&self, node: u32) -> Option<&Node<O>> {
        self.nodes.get(node as usize)
    }

    /// A node to modify.
    pub(crate) fn node_mut(&mut self, node: u32) -> Option<&mut Node<O>> {
        self.nodes.get_mut(node as usize)
    }

    /// The positions of a node's inputs.
    pub(crate) fn inputs(&self, node: u32) -> &[u32] {
        self.node(node).map_or(&[], |node| &self.edges[node.edges.start as usize..node.edges.end as usize])
    }

    /// The op of a node.
    pub(crate) fn op(&self, node: u32) -> Option<&O> {
        self.node(node)?.op.as_ref()
    }

    /// Whether a gradient may flow to a node.
    pub(crate) fn is_tracked(&self, node: u32) -> bool {
        self.node(node).is_some_and(|node| node.tracked)
    }

    /// Removes all nodes; the memory is retained.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.edges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = u32::MAX as usize;

    /// A graph of one node and so many edges to it: zeros, which the system stores nowhere until they are read.
    fn with_edges(count: usize) -> Graph<()> {
        let mut edges = vec![0; MOST + 2];
        edges.truncate(count);
        let node =
            Node { op: None, edges: 0..0, tracked: true, is_read: false, scope: 0, location: Location::caller() };
        Graph { nodes: vec![node], edges }
    }

    #[test]
    #[ignore = "reserves 16 GiB of addresses"]
    fn the_last_edge_has_a_place() {
        let mut graph = with_edges(MOST - 2);
        assert_eq!(graph.push_edges([0, 0].into_iter(), Reads::ALL), u32::MAX - 2..u32::MAX);
        assert_eq!(graph.push_edges([].into_iter(), Reads::ALL), u32::MAX..u32::MAX);
        assert!(graph.nodes[0].is_read);
    }

    #[test]
    #[ignore = "reserves 16 GiB of addresses"]
    #[should_panic(expected = "tape: there is no room for more inputs of nodes; expected 4294967295 at most")]
    fn the_edge_after_it_is_refused() {
        with_edges(MOST).push_edges([0].into_iter(), Reads::ALL);
    }
}
