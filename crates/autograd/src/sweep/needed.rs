//! Which nodes a sweep computes cotangents for.

use crate::graph::Graph;

/// The nodes that depend on a requested one: only these need a cotangent.
pub(super) struct Needed<'a> {
    /// The positions of the requested nodes, ascending, each once; every leaf if `None`.
    wrt: Option<&'a [u32]>,
    pub(super) lowest: u32,
    /// By node, if nodes are requested. Otherwise all tracked nodes are needed, since each depends on a leaf.
    nodes: Vec<bool>,
}

impl<'a> Needed<'a> {
    pub(super) fn new<O>(graph: &Graph<O>, wrt: Option<&'a [u32]>, last: u32) -> Self {
        let Some(positions) = wrt else { return Needed { wrt, lowest: 0, nodes: Vec::new() } };
        let lowest = positions.first().copied().unwrap_or(0);
        let mut nodes = vec![false; last as usize + 1];
        for &position in positions.iter().filter(|&&position| position <= last) {
            nodes[position as usize] = graph.is_tracked(position);
        }
        for node in lowest..=last {
            if !nodes[node as usize] && graph.is_tracked(node) {
                nodes[node as usize] = graph.inputs(node).iter().any(|&input| nodes[input as usize]);
            }
        }
        Needed { wrt, lowest, nodes }
    }

    #[inline]
    pub(super) fn contains<O>(&self, graph: &Graph<O>, node: u32) -> bool {
        if self.wrt.is_none() { graph.is_tracked(node) } else { self.nodes[node as usize] }
    }

    /// Whether the gradient of a node is requested by its position.
    #[inline]
    pub(super) fn is_requested(&self, node: u32) -> bool {
        self.wrt.is_some_and(|positions| positions.binary_search(&node).is_ok())
    }
}
