//! Names of nodes by the structure of the program: layer, time step, gate.
//!
//! Scopes are recorded. Layers are inferred from the names of the parameters that a node or its ancestors read, and
//! gates from the named parts of a split (`naming/gate.rs`).

mod gate;

use crate::Scalar;
use crate::graph::Graph;
use crate::scopes::Scopes;
use crate::tape::{OpBox, Tape, Var};

/// The nodes of a tape and their scopes, from which names are inferred.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a, T: Scalar> {
    graph: &'a Graph<OpBox<T>>,
    scopes: &'a Scopes,
}

impl<T: Scalar> Names<'_, T> {
    /// Calls `f` with the names of a tape's nodes.
    pub(crate) fn with<R>(tape: &Tape<T>, f: impl FnOnce(Names<'_, T>) -> R) -> R {
        f(Names { graph: &tape.graph.borrow(), scopes: &tape.scopes.borrow() })
    }

    fn scope_id(self, node: u32) -> u32 {
        self.graph.node(node).map_or(0, |node| node.scope)
    }

    /// The scope of a node, without the level for the parts of a split.
    fn scope_without_parts(self, node: u32) -> u32 {
        self.scopes.without_parts(self.scope_id(node))
    }

    fn is_parameter(self, node: u32) -> bool {
        self.scopes.is_parameter(self.scope_id(node), node)
    }

    /// Layer, scopes and gate of a node, as far as they are known, separated by `/`.
    pub(crate) fn scope_of(self, node: u32) -> String {
        if node as usize >= self.graph.len() {
            return String::new(); // a value that a rule computes is no node
        }
        let path = self.scopes.path(self.scope_id(node));
        if self.is_parameter(node) {
            return path;
        }
        let layer = self.layer_of(node);
        let gate = self.gate_of(node).unwrap_or_default();
        let layer = if common(&layer, &path) == layer { "" } else { &layer };
        [layer, &path, &gate].into_iter().filter(|level| !level.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// The number of the innermost scope `name=number` that a node was recorded in.
    pub(crate) fn step_of(self, node: u32, name: &str) -> Option<usize> {
        Some(self.recording_of(node, name)?.1)
    }

    /// The innermost scope `name=number` that a node was recorded in, which differs each time it is entered, and its number.
    pub(crate) fn recording_of(self, node: u32, name: &str) -> Option<(u32, usize)> {
        self.scopes.numbered(self.scope_id(node), name)
    }

    /// The number of the scope `name=number` around such a scope.
    pub(crate) fn step_around(self, scope: u32, name: &str) -> Option<usize> {
        Some(self.scopes.numbered(self.scopes.parent(scope), name)?.1)
    }

    /// The dotted names of the parameters among the inputs of a node.
    pub(crate) fn parameters_of(self, node: u32) -> Vec<String> {
        let parameters = self.graph.inputs(node).iter().filter(|&&input| self.is_parameter(input));
        parameters.map(|&input| self.scopes.path(self.scope_id(input))).collect()
    }

    /// The module of the parameters that a node reads, or else of those that its nearest ancestors read: a
    /// breadth-first search within the node's scope and those around it, over at most a few dozen nodes.
    fn layer_of(self, node: u32) -> String {
        const MOST_NODES: usize = 64;
        let from = self.scope_without_parts(node);
        let (mut level, mut seen) = (vec![node], vec![node]);
        while !level.is_empty() && seen.len() < MOST_NODES {
            let read: Vec<String> = level.iter().flat_map(|&n| self.parameters_of(n)).collect();
            if let Some(layer) = read.iter().map(|name| module_of(name)).reduce(inner) {
                return layer.to_owned();
            }
            let mut next = Vec::new();
            for &input in level.iter().flat_map(|&n| self.graph.inputs(n)) {
                if !seen.contains(&input) && self.scopes.is_within(from, self.scope_without_parts(input)) {
                    seen.push(input);
                    next.push(input);
                }
            }
            level = next;
        }
        String::new()
    }
}

/// The module of a parameter: its dotted name without the last part.
fn module_of(name: &str) -> &str {
    name.rfind(['.', '/']).map_or("", |at| &name[..at])
}

/// The module of two that lies within the other, or else what their names share: a first state beside a cell is in no other layer.
fn inner<'a>(a: &'a str, b: &'a str) -> &'a str {
    match common(a, b) {
        shared if shared == a => b,
        shared if shared == b => a,
        shared => shared,
    }
}

/// A scope within another.
pub(crate) fn within(outer: &str, inner: &str) -> String {
    [outer, inner].into_iter().filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join("/")
}

/// The longest common prefix of two dotted names, cut between parts.
fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let ends = |s: &str, at: usize| s.len() == at || s[at..].starts_with(['.', '/']);
    let shared = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    (0..=shared).rev().find(|&at| a.is_char_boundary(at) && ends(a, at) && ends(b, at)).map_or("", |at| &a[..at])
}

impl<T: Scalar> Var<'_, T> {
    /// The layer, scopes and gate that this variable was recorded in, as far as they are known: `encoder/t=3/f`; the
    /// dotted name of a parameter.
    ///
    /// - The scopes are those of [`Tape::scope`] and [`Tape::numbered_scope`]; unrolling enters `t=3`.
    /// - The layer is the module of the parameters that this variable reads, or else of those that its nearest
    ///   ancestors within its scopes read.
    /// - The gate is its name in [`split_named`](Var::split_named) (`2 of 4` in [`split`](Var::split)). Within its
    ///   scope, the name follows the value through ops of one input and elementwise ops until it meets another gate or,
    ///   once activated, another value of the step: f, f + p∘c, σ(f + p∘c) and σ(f)∘c with c from the previous step are
    ///   in f; σ(i)∘tanh(g), f∘c + i∘g and o∘tanh(c') are in no gate. What is added to a gate before its activation
    ///   belongs to the gate. A matrix product belongs to none.
    ///
    /// A [quiet](Tape::quiet) tape records no ops, so only scopes are known: neither layer nor gate.
    pub fn scope(self) -> String {
        Names::with(self.tape(), |names| names.scope_of(self.id()))
    }
}
