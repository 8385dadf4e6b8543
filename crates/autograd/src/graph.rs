//! The nodes of a tape as plain data: what computed each, from which others, where in the program.

use std::panic::Location;

use triomphe::Arc;

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
    /// The inputs are `edges[first_edge..][..arity]` of the block.
    first_edge: u32,
    arity: u32,
    /// Whether a gradient may flow to it.
    pub(crate) tracked: bool,
    /// What the op's rules read; the output where there is no op, since it cannot be computed again.
    pub(crate) reads: Reads,
    /// Its place in the tree of scopes.
    pub(crate) scope: u32,
    /// The line of the user's code that recorded it.
    pub(crate) location: &'static Location<'static>,
}

impl<O> Node<O> {
    /// Whether it is a variable to differentiate with respect to.
    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.tracked && self.op.is_none()
    }
}

/// Nodes recorded without a sweep over them in between.
struct Block<O> {
    /// The position of the first node.
    first: u32,
    nodes: Vec<Node<O>>,
    edges: Vec<u32>,
}

impl<O> Block<O> {
    fn new(first: u32) -> Arc<Self> {
        Arc::new(Block { first, nodes: Vec::new(), edges: Vec::new() })
    }

    /// Moves the nodes of `next`, which follow, behind those of this block.
    fn append(&mut self, next: &mut Self) {
        let edges = self.edges.len() + next.edges.len();
        assert!(u32::try_from(edges).is_ok(), "a tape holds fewer than 2^32 edges");
        let moved = self.edges.len() as u32;
        next.nodes.iter_mut().for_each(|node| node.first_edge += moved);
        self.nodes.append(&mut next.nodes);
        self.edges.append(&mut next.edges);
    }

    #[inline(always)]
    fn inputs(&self, node: &Node<O>) -> &[u32] {
        &self.edges[node.first_edge as usize..][..node.arity as usize]
    }
}

/// A node that is kept while its tape goes on.
pub(crate) struct SharedNode<O> {
    block: Arc<Block<O>>,
    at: usize,
}

impl<O> Clone for SharedNode<O> {
    fn clone(&self) -> Self {
        SharedNode { block: self.block.clone(), at: self.at }
    }
}

impl<O> SharedNode<O> {
    pub(crate) fn op(&self) -> Option<&O> {
        self.block.nodes[self.at].op.as_ref()
    }
}

/// The nodes of a tape, in the order of recording: the inputs of a node stand before it.
///
/// [`share`](Graph::share) gives the nodes that are there to a sweep, which reads them while its rules record: what they record goes to
/// a new block.
pub(crate) struct Graph<O> {
    last: Arc<Block<O>>,
    /// The blocks before it, in order.
    earlier: Vec<Arc<Block<O>>>,
}

impl<O> Default for Graph<O> {
    fn default() -> Self {
        Graph { last: Block::new(0), earlier: Vec::new() }
    }
}

impl<O> Graph<O> {
    /// The number of nodes.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.last.first + self.last.nodes.len() as u32
    }

    /// Adds a node.
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
        if !self.last.is_unique() {
            self.begin_block();
        }
        let block = Arc::get_mut(&mut self.last).expect("a new block is not shared");
        let first_edge = u32::try_from(block.edges.len()).expect("a tape holds fewer than 2^32 edges");
        block.edges.extend(inputs);
        let arity = block.edges.len() as u32 - first_edge;
        block.nodes.push(Node { op, first_edge, arity, tracked, reads, scope, location });
    }

    #[cold]
    fn begin_block(&mut self) {
        let next = Block::new(self.len());
        self.earlier.push(std::mem::replace(&mut self.last, next));
    }

    /// The nodes that are there, to be read while others are added. Blocks that no sweep reads any more become one again, so
    /// that there are as many as sweeps within each other, however many came one after another.
    pub(crate) fn share(&mut self) -> Self {
        while let Some(mut before) = self.earlier.pop() {
            match (Arc::get_mut(&mut before), Arc::get_mut(&mut self.last)) {
                (Some(block), Some(last)) => {
                    block.append(last);
                    self.last = before;
                }
                _ => {
                    self.earlier.push(before);
                    break;
                }
            }
        }
        Graph { last: self.last.clone(), earlier: self.earlier.clone() }
    }

    /// A node that there is, to be kept.
    pub(crate) fn share_node(&self, node: u32) -> SharedNode<O> {
        let block = self.block(node).clone();
        let at = (node - block.first) as usize;
        SharedNode { block, at }
    }

    /// The block that holds a node.
    #[inline(always)]
    fn block(&self, node: u32) -> &Arc<Block<O>> {
        if node >= self.last.first { &self.last } else { self.earlier_block(node) }
    }

    #[cold]
    fn earlier_block(&self, node: u32) -> &Arc<Block<O>> {
        &self.earlier[self.earlier.partition_point(|block| block.first <= node) - 1]
    }

    /// The node at a position, if there is one: what a rule computes in a first-order sweep has none.
    #[inline]
    pub(crate) fn node(&self, node: u32) -> Option<&Node<O>> {
        let block = self.block(node);
        block.nodes.get((node - block.first) as usize)
    }

    /// An existing node, and the positions of its inputs.
    #[inline(always)]
    pub(crate) fn node_and_inputs(&self, node: u32) -> (&Node<O>, &[u32]) {
        let block = self.block(node);
        let node = &block.nodes[(node - block.first) as usize];
        (node, block.inputs(node))
    }

    /// The positions of a node's inputs.
    #[inline]
    pub(crate) fn inputs(&self, node: u32) -> &[u32] {
        let block = self.block(node);
        block.nodes.get((node - block.first) as usize).map_or(&[], |node| block.inputs(node))
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

    /// A node to modify, if no sweep is reading it.
    pub(crate) fn node_mut(&mut self, node: u32) -> Option<&mut Node<O>> {
        let blocks = std::iter::once(&mut self.last).chain(self.earlier.iter_mut().rev());
        let block = Arc::get_mut(blocks.into_iter().find(|block| block.first <= node)?)?;
        block.nodes.get_mut((node - block.first) as usize)
    }

    /// Removes all nodes; the first block retains its memory.
    pub(crate) fn clear(&mut self) {
        if let Some(first) = self.earlier.drain(..).next() {
            self.last = first;
        }
        match Arc::get_mut(&mut self.last) {
            Some(block) => {
                block.nodes.clear();
                block.edges.clear();
            }
            None => *self = Graph::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(graph: &mut Graph<u32>, inputs: &[u32]) {
        let op = graph.len();
        graph.push(Some(op), inputs.iter().copied(), (true, Reads::ALL), 0, Location::caller());
    }

    #[test]
    fn sweeps_one_after_another_leave_one_block() {
        let mut graph = Graph::default();
        for round in 0..50 {
            push(&mut graph, &[]);
            let shared = graph.share();
            assert!(shared.earlier.is_empty(), "round {round}");
            let before = graph.len() - 1;
            push(&mut graph, &[before]);
            assert_eq!((graph.earlier.len(), shared.len() + 1), (1, graph.len()), "round {round}");
        }
        for node in 0..graph.len() {
            let inputs: &[u32] = if node % 2 == 0 { &[] } else { &[node - 1] };
            assert_eq!((graph.op(node), graph.inputs(node)), (Some(&node), inputs));
        }
    }

    #[test]
    fn what_is_shared_stays_as_it_was() {
        let mut graph = Graph::default();
        push(&mut graph, &[]);
        let (outer, node) = (graph.share(), graph.share_node(0));
        push(&mut graph, &[0]);
        let inner = graph.share();
        push(&mut graph, &[0, 1]);
        assert_eq!((outer.len(), inner.len(), graph.len()), (1, 2, 3));
        assert_eq!((inner.inputs(1), graph.inputs(2)), (&[0][..], &[0, 1][..]));
        graph.clear();
        assert_eq!((graph.len(), node.op(), inner.op(1)), (0, Some(&0), Some(&1)));
        assert!(graph.node_mut(0).is_none());
    }
}
