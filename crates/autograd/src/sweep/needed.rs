//! Which nodes a sweep computes cotangents for.

use crate::graph::Graph;

/// The variables whose gradients are requested.
#[derive(Clone, Copy)]
pub(crate) enum Wrt<'a> {
    /// Every leaf of the tape.
    Leaves,
    /// The nodes at these positions, ascending, each once.
    Nodes(&'a [u32]),
}

impl<'a> Wrt<'a> {
    /// Those at some positions, or else every leaf.
    pub(crate) fn of(positions: Option<&'a [u32]>) -> Self {
        positions.map_or(Wrt::Leaves, Wrt::Nodes)
    }

    /// Whether the gradient of a node is requested by its position.
    #[inline]
    pub(super) fn includes(self, node: u32) -> bool {
        matches!(self, Wrt::Nodes(positions) if positions.binary_search(&node).is_ok())
    }
}

/// The nodes that depend on a requested one: only these need a cotangent.
pub(super) struct Needed {
    pub(super) lowest: u32,
    /// By node; `None` for all tracked nodes, each of which depends on a leaf.
    nodes: Option<Vec<bool>>,
}

impl Needed {
    pub(super) fn new<O>(graph: &Graph<O>, wrt: Wrt<'_>, last: u32) -> Self {
        let Wrt::Nodes(wanted) = wrt else { return Needed { lowest: 0, nodes: None } };
        let lowest = wanted.first().copied().unwrap_or(0);
        let mut nodes = vec![false; last as usize + 1];
        for &w in wanted.iter().filter(|&&w| w <= last) {
            nodes[w as usize] = graph.is_tracked(w);
        }
        for node in lowest..=last {
            if !nodes[node as usize] && graph.is_tracked(node) {
                nodes[node as usize] = graph.inputs(node).iter().any(|&input| nodes[input as usize]);
            }
        }
        Needed { lowest, nodes: Some(nodes) }
    }

    #[inline]
    pub(super) fn contains<O>(&self, graph: &Graph<O>, node: u32) -> bool {
        self.nodes.as_ref().map_or_else(|| graph.is_tracked(node), |nodes| nodes[node as usize])
    }
}
