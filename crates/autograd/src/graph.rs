//! The nodes of a tape as plain data: what computed each, from which others, where in the program.

use std::panic::Location;

use smallvec::SmallVec;
use triomphe::Arc;

/// Which values the rules of an op read: what [`Op::reads`](crate::Op::reads) gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Bit k for input k; all bits for all inputs, however many there are.
    inputs: u32,
    output: bool,
}

impl Reads {
    /// Inputs and output.
    pub const ALL: Reads = Reads { inputs: !0, output: true };
    /// The inputs alone, as those of a product.
    pub const INPUTS: Reads = Reads { inputs: !0, output: false };
    /// The output alone, as that of tanh.
    pub const OUTPUT: Reads = Reads { inputs: 0, output: true };
    /// Neither, as those of a sum or a slice.
    pub const NOTHING: Reads = Reads { inputs: 0, output: false };

    /// Input number `k` alone, one of the first 32: as the mask of a choice.
    pub const fn input(k: u32) -> Reads {
        Reads { inputs: 1 << k, output: false }
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

/// What is remembered of a node besides its value; `O` is an op.
pub(crate) struct Node<O> {
    /// What computed the value; `None` for a leaf, a constant, and whatever no gradient flows through.
    pub(crate) op: Option<O>,
    /// The inputs are `edges[first_edge..][..arity]` of the block.
    first_edge: u32,
    arity: u32,
    /// A gradient may flow to it.
    pub(crate) tracked: bool,
    /// What the op's rules read; the output where there is no op, since it cannot be computed again.
    pub(crate) reads: Reads,
    /// Its place in the tree of scopes.
    pub(crate) scope: u32,
    /// The line of the user's code that recorded it.
    pub(crate) location: &'static Location<'static>,
}

impl<O> Node<O> {
    /// A variable that gradients are wanted for.
    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.tracked && self.op.is_none()
    }
}

/// Nodes that were recorded one after another, without a sweep over them in between.
struct Block<O> {
    /// The position of the first node.
    first: u32,
    nodes: Vec<Node<O>>,
    edges: Vec<u32>,
}

/// The nodes of a tape, in the order of recording: the inputs of a node stand before it.
///
/// A clone shares the nodes that are there. A sweep reads such a clone while its rules record on the tape: what they record
/// goes to a new block.
pub(crate) struct Graph<O> {
    blocks: SmallVec<[Arc<Block<O>>; 1]>,
}

impl<O> Default for Graph<O> {
    fn default() -> Self {
        let mut graph = Graph { blocks: SmallVec::new() };
        graph.begin_block(0);
        graph
    }
}

impl<O> Clone for Graph<O> {
    fn clone(&self) -> Self {
        Graph { blocks: self.blocks.clone() }
    }
}

impl<O> Graph<O> {
    /// How many nodes there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        let last = self.last();
        last.first + last.nodes.len() as u32
    }

    #[inline]
    fn last(&self) -> &Block<O> {
        self.blocks.last().expect("a graph has a block")
    }

    fn begin_block(&mut self, first: u32) {
        self.blocks.push(Arc::new(Block { first, nodes: Vec::new(), edges: Vec::new() }));
    }

    /// Adds a node.
    ///
    /// # Panics
    /// If there are 2³² nodes or edges.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        op: Option<O>,
        inputs: impl Iterator<Item = u32>,
        (tracked, reads): (bool, Reads),
        scope: u32,
        location: &'static Location<'static>,
    ) {
        let next = self.len();
        if !self.blocks.last_mut().is_some_and(|block| Arc::get_mut(block).is_some()) {
            self.begin_block(next);
        }
        let block = self.blocks.last_mut().and_then(Arc::get_mut).expect("a new block is not shared");
        let first_edge = block.edges.len();
        block.edges.extend(inputs);
        let arity = (block.edges.len() - first_edge) as u32;
        let first_edge = u32::try_from(first_edge).expect("a tape holds fewer than 2^32 edges");
        block.nodes.push(Node { op, first_edge, arity, tracked, reads, scope, location });
    }

    /// The block that holds a node.
    #[inline]
    fn block(&self, node: u32) -> &Block<O> {
        match &self.blocks[..] {
            [only] => only,
            blocks => &blocks[blocks.partition_point(|block| block.first <= node) - 1],
        }
    }

    /// The node at a position, if there is one: what a rule computes in a first-order sweep is none.
    #[inline]
    pub(crate) fn node(&self, node: u32) -> Option<&Node<O>> {
        let block = self.block(node);
        block.nodes.get((node - block.first) as usize)
    }

    /// The positions of a node's inputs.
    #[inline]
    pub(crate) fn inputs(&self, node: u32) -> &[u32] {
        let block = self.block(node);
        let node = block.nodes.get((node - block.first) as usize);
        node.map_or(&[], |node| &block.edges[node.first_edge as usize..][..node.arity as usize])
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

    /// A node to be changed, if no sweep reads it.
    pub(crate) fn node_mut(&mut self, node: u32) -> Option<&mut Node<O>> {
        let block = self.blocks.iter_mut().rev().find(|block| block.first <= node)?;
        let block = Arc::get_mut(block)?;
        block.nodes.get_mut((node - block.first) as usize)
    }

    /// Forgets all nodes and keeps the memory of the first block.
    pub(crate) fn clear(&mut self) {
        self.blocks.truncate(1);
        match self.blocks.first_mut().and_then(Arc::get_mut) {
            Some(block) => {
                block.nodes.clear();
                block.edges.clear();
            }
            None => *self = Graph::default(),
        }
    }
}
