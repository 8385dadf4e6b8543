//! Where a node stands in the structure of the program: its layer, its time step, its gate.
//!
//! A node keeps one number, a place in the tape's tree of scopes, and the text is made only when somebody asks. A time
//! step is one entry of that tree, so naming it costs nanoseconds and, once the tape has its memory, no allocation. The
//! layer is not recorded at all: it is read off the names of the parameters that the node, or those it comes from, read.

mod gate;

use crate::tape::Tape;
use crate::{Scalar, Var};

/// What one level of the tree says.
#[derive(Clone, Copy)]
enum Part {
    /// `text[start..end]` of the tree.
    Name { start: u32, end: u32 },
    /// The dotted name of the parameter at position `node`.
    Parameter { start: u32, end: u32, node: u32 },
    /// `name=number`: a time step.
    Numbered { name: &'static str, number: u32 },
    /// The nodes from position `first` on are the parts of one, called by these names.
    Named { names: &'static [&'static str], first: u32 },
    /// The nodes from position `first` on are the `of` parts of one.
    Counted { of: u32, first: u32 },
}

#[derive(Clone, Copy)]
struct Entry {
    parent: u32,
    part: Part,
}

/// The scopes of a tape: a tree in which every entry knows its parent. 0 is the tape itself; entry k is `entries[k - 1]`.
#[derive(Default)]
pub(crate) struct Scopes {
    entries: Vec<Entry>,
    text: String,
    current: u32,
    /// Whether any node has been recorded as a part of another.
    parts: bool,
}

impl Scopes {
    pub(crate) fn current(&self) -> u32 {
        self.current
    }

    /// Forgets all scopes and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.text.clear();
        self.current = 0;
        self.parts = false;
    }

    /// Makes `scope` the current one; returns the one before.
    pub(crate) fn set(&mut self, scope: u32) -> u32 {
        std::mem::replace(&mut self.current, scope)
    }

    /// Whether any node has a name as a part of another.
    fn has_parts(&self) -> bool {
        self.parts
    }

    fn enter(&mut self, part: Part) -> u32 {
        self.parts |= matches!(part, Part::Named { .. } | Part::Counted { .. });
        self.entries.push(Entry { parent: self.current, part });
        let entered = u32::try_from(self.entries.len()).expect("a tape holds fewer than 2^32 scopes");
        self.set(entered)
    }

    fn write(&mut self, name: &str) -> (u32, u32) {
        let place = |at: usize| u32::try_from(at).expect("the names on a tape are shorter than 4 GiB");
        let start = place(self.text.len());
        self.text.push_str(name);
        (start, place(self.text.len()))
    }

    fn entry(&self, scope: u32) -> Option<Entry> {
        Some(self.entries[(scope as usize).checked_sub(1)?])
    }

    /// The scope without the level that numbers the parts of a node.
    fn home(&self, scope: u32) -> u32 {
        match self.entry(scope) {
            Some(Entry { parent, part: Part::Named { .. } | Part::Counted { .. } }) => parent,
            _ => scope,
        }
    }

    /// Whether `outer` is `scope` or one of the scopes around it. Scopes are entered after those around them.
    fn is_within(&self, mut scope: u32, outer: u32) -> bool {
        while scope > outer {
            scope = self.entry(scope).map_or(0, |entry| entry.parent);
        }
        scope == outer
    }

    /// The name of a node as a part of another: `f`, `2 of 4`.
    fn part(&self, scope: u32, node: u32) -> Option<String> {
        match self.entry(scope)?.part {
            Part::Named { names, first } => names.get((node - first) as usize).map(|&name| name.to_owned()),
            Part::Counted { of, first } => Some(node - first + 1).filter(|&k| k <= of).map(|k| format!("{k} of {of}")),
            _ => None,
        }
    }

    fn is_parameter(&self, scope: u32, node: u32) -> bool {
        matches!(self.entry(scope), Some(Entry { part: Part::Parameter { node: own, .. }, .. }) if own == node)
    }

    /// The names of all levels, the outermost first, without the parts of nodes.
    fn path(&self, mut scope: u32) -> String {
        let mut levels = Vec::new();
        while let Some(Entry { parent, part }) = self.entry(scope) {
            match part {
                Part::Name { start, end } | Part::Parameter { start, end, .. } => {
                    levels.push(self.text[start as usize..end as usize].to_owned());
                }
                Part::Numbered { name, number } => levels.push(format!("{name}={number}")),
                Part::Named { .. } | Part::Counted { .. } => {}
            }
            scope = parent;
        }
        levels.reverse();
        levels.join("/")
    }
}

/// While it lives, whatever the tape records belongs to a scope. Made by [`Tape::scope`] and [`Tape::numbered_scope`].
#[must_use = "a scope ends where its guard is dropped"]
pub struct Scope<'t, T: Scalar> {
    tape: &'t Tape<T>,
    outer: u32,
}

impl<T: Scalar> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        self.tape.set_scope(self.outer);
    }
}

/// Names for nodes. Most programs need none of these: [`OnTape::on`](crate::OnTape::on) names the parameters, unrolling
/// names the time steps, and [`Var::split_named`] the gates.
impl<T: Scalar> Tape<T> {
    /// Until the guard is dropped, nodes are recorded in the scope `name`, within the current one.
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
        self.enter(|scopes| {
            let (start, end) = scopes.write(name);
            Part::Name { start, end }
        })
    }

    /// As [`scope`](Tape::scope), with the name `name=number`: a time step, `t=3`. Costs one entry in a list.
    pub fn numbered_scope(&self, name: &'static str, number: usize) -> Scope<'_, T> {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.enter(|_| Part::Numbered { name, number })
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
    pub fn parameter(&self, name: &str, value: crate::Tensor<T>) -> Var<'_, T> {
        let node = self.len() as u32;
        let _parameter = self.enter(|scopes| {
            let (start, end) = scopes.write(name);
            Part::Parameter { start, end, node }
        });
        self.leaf(value)
    }

    /// The next nodes are the parts of one; ends like any scope.
    pub(crate) fn named_parts(&self, names: &'static [&'static str]) -> Scope<'_, T> {
        let first = self.len() as u32;
        self.enter(|_| Part::Named { names, first })
    }

    /// The next `of` nodes are the parts of one; ends like any scope.
    pub(crate) fn counted_parts(&self, of: usize) -> Scope<'_, T> {
        let (of, first) = (of as u32, self.len() as u32);
        self.enter(|_| Part::Counted { of, first })
    }

    /// Comes back to the current scope when it is dropped.
    pub(crate) fn current_scope(&self) -> Scope<'_, T> {
        Scope { tape: self, outer: self.with_scopes(|scopes| scopes.current()) }
    }

    /// What rules compute in a first-order sweep is forgotten, and so would its scope be.
    fn enter(&self, part: impl FnOnce(&mut Scopes) -> Part) -> Scope<'_, T> {
        let sweeping = self.is_sweeping();
        let outer = self.with_scopes(|scopes| {
            if sweeping {
                return scopes.current();
            }
            let part = part(scopes);
            scopes.enter(part)
        });
        Scope { tape: self, outer }
    }

    pub(crate) fn set_scope(&self, scope: u32) {
        self.with_scopes(|scopes| scopes.set(scope));
    }

    /// Layer, scopes and gate of a node, as far as they are known, separated by `/`.
    pub(crate) fn scope_of(&self, node: u32) -> String {
        if node as usize >= self.len() {
            return String::new(); // what a rule computes, and no node
        }
        let scope = self.scope_id(node);
        let (path, parameter) = self.with_scopes(|s| (s.path(scope), s.is_parameter(scope, node)));
        if parameter {
            return path;
        }
        let layer = self.layer_of(node);
        let gate = self.gate_of(node).unwrap_or_default();
        let layer = if common(&layer, &path) == layer { "" } else { &layer };
        [layer, &path, &gate].into_iter().filter(|level| !level.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// The dotted names of the parameters among the inputs of a node.
    pub(crate) fn parameters_of(&self, node: u32) -> Vec<String> {
        let inputs = (0..self.arity(node)).map(|i| self.input_of(node, i));
        let scopes = inputs.map(|input| (self.scope_id(input), input)).collect::<Vec<_>>();
        self.with_scopes(|s| {
            let parameters = scopes.iter().filter(|&&(scope, input)| s.is_parameter(scope, input));
            parameters.map(|&(scope, _)| s.path(scope)).collect()
        })
    }

    /// The module of the parameters that a node reads, or else of those that were read last on the way to it: a search by
    /// distance, within the node's scope and those around it, over no more than a few dozen nodes.
    fn layer_of(&self, node: u32) -> String {
        const LOOKED_AT: usize = 64;
        let home = |n: u32| {
            let scope = self.scope_id(n);
            self.with_scopes(|s| s.home(scope))
        };
        let from = home(node);
        let (mut level, mut seen) = (vec![node], vec![node]);
        while !level.is_empty() && seen.len() < LOOKED_AT {
            let read: Vec<String> = level.iter().flat_map(|&n| self.parameters_of(n)).collect();
            if let Some(layer) = read.iter().map(|name| module_of(name)).reduce(common) {
                return layer.to_owned();
            }
            let mut next = Vec::new();
            for input in level.iter().flat_map(|&n| (0..self.arity(n)).map(move |i| self.input_of(n, i))) {
                let outer = home(input);
                if !seen.contains(&input) && self.with_scopes(|s| s.is_within(from, outer)) {
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

/// A scope within another.
pub(crate) fn within(outer: &str, inner: &str) -> String {
    [outer, inner].into_iter().filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join("/")
}

/// The longest beginning, in whole parts, that two dotted names share.
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
    /// - The layer is the module of the parameters that this variable reads, or else of those that were read last on the
    ///   way to it within its scopes.
    /// - The gate is its name in [`split_named`](Var::split_named) (`2 of 4` in [`split`](Var::split)). It follows the value through
    ///   ops of one input and through elementwise ops, within its scope, until it meets another: f, f + p∘c, σ(f + p∘c) and σ(f)∘c
    ///   with c from before are in f; σ(i)∘tanh(g) is in no gate, nor is what an activated gate meets later: f∘c + i∘g, o∘tanh(c').
    ///   What is added to a gate before its activation belongs to it, be it a product or another value of the step. A product
    ///   of matrices belongs to none.
    ///
    /// A [quiet](Tape::quiet) tape keeps no ops, so it knows scopes alone: neither layer nor gate.
    pub fn scope(self) -> String {
        self.tape().scope_of(self.id())
    }
}
