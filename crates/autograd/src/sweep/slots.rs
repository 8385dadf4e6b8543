//! What a sweep keeps by node: who gets a cotangent, and the sums of those that are waiting for more terms.

use std::ops::Range;

use super::Wanted;
use crate::Scalar;
use crate::tape::Tape;

/// Which nodes depend on a wanted one: the only ones that a cotangent is worth computing for.
pub(super) struct Reach {
    pub(super) lowest: u32,
    /// By node; `None` where it is the tracked ones, since those depend on some leaf.
    nodes: Option<Vec<bool>>,
}

impl Reach {
    pub(super) fn new<T: Scalar>(tape: &Tape<T>, wanted: Wanted<'_>, last: u32) -> Self {
        let Wanted::These(wanted) = wanted else { return Reach { lowest: 0, nodes: None } };
        let lowest = wanted.first().copied().unwrap_or(0);
        let mut nodes = vec![false; last as usize + 1];
        for &w in wanted.iter().filter(|&&w| w <= last) {
            nodes[w as usize] = tape.is_tracked(w);
        }
        for node in lowest..=last {
            if !nodes[node as usize] && tape.is_tracked(node) {
                nodes[node as usize] = (0..tape.arity(node)).any(|i| nodes[tape.input_of(node, i) as usize]);
            }
        }
        Reach { lowest, nodes: Some(nodes) }
    }

    pub(super) fn contains<T: Scalar>(&self, tape: &Tape<T>, node: u32) -> bool {
        self.nodes.as_ref().map_or_else(|| tape.is_tracked(node), |nodes| nodes[node as usize])
    }

    /// The first of some edges of the tape whose input a cotangent is worth computing for, and that input.
    #[inline]
    pub(super) fn first<T: Scalar>(&self, tape: &Tape<T>, edges: Range<usize>) -> Option<(usize, u32)> {
        match &self.nodes {
            None => tape.find_edge(edges, |_, tracked| tracked),
            Some(nodes) => tape.find_edge(edges, |input, _| nodes[input as usize]),
        }
    }
}

/// The cotangents that are being summed, by node. Few nodes wait at any time, however long the tape. Sums stay where they
/// are, and whoever uses a place next finds the memory of the one before: a second sweep allocates nothing.
pub(crate) struct Slots<S> {
    /// Place in `sums` plus one, or 0.
    place: Vec<u32>,
    sums: Vec<S>,
    /// How many of the sums have been handed out in this sweep.
    used: usize,
    free: Vec<u32>,
    /// The nodes that gradients are wanted for, descending, with the places of their sums.
    found: Vec<(u32, usize)>,
}

impl<S> Default for Slots<S> {
    fn default() -> Self {
        Slots { place: Vec::new(), sums: Vec::new(), used: 0, free: Vec::new(), found: Vec::new() }
    }
}

impl<S: Default> Slots<S> {
    /// For a sweep over so many nodes.
    pub(super) fn begin(&mut self, nodes: usize) {
        self.place.clear();
        self.place.resize(nodes, 0);
        self.free.clear();
        self.found.clear();
        self.used = 0;
    }

    /// The sum of `node`, from nothing on.
    #[inline]
    pub(super) fn entry(&mut self, node: u32) -> &mut S {
        let place = match self.place[node as usize] {
            0 => {
                let place = self.reserve();
                self.place[node as usize] = place as u32 + 1;
                place
            }
            place => place as usize - 1,
        };
        self.sum(place)
    }

    /// The place of `node`, whose turn has come; `None` if no sum waits there.
    #[inline]
    pub(super) fn turn(&mut self, node: u32) -> Option<usize> {
        let place = std::mem::take(&mut self.place[node as usize]);
        (place as usize).checked_sub(1)
    }

    #[inline]
    pub(super) fn sum(&mut self, place: usize) -> &mut S {
        &mut self.sums[place]
    }

    /// A place that nobody uses; its sum is empty.
    #[inline]
    pub(super) fn reserve(&mut self) -> usize {
        if let Some(place) = self.free.pop() {
            return place as usize;
        }
        if self.used == self.sums.len() {
            self.sums.push(S::default());
        }
        self.used += 1;
        self.used - 1
    }

    /// The sum at `place` has been finished.
    #[inline]
    pub(super) fn release(&mut self, place: usize) {
        self.free.push(place as u32);
    }

    /// Keeps the sum at `place` for the end of the sweep.
    pub(super) fn keep(&mut self, node: u32, place: usize) {
        self.found.push((node, place));
    }

    /// How many sums were kept.
    pub(super) fn kept(&self) -> usize {
        self.found.len()
    }

    /// Number `i` of them, in descending order of the nodes: the node and the place.
    pub(super) fn kept_at(&self, i: usize) -> (u32, usize) {
        self.found[i]
    }

    /// Takes the sum of `node` out, if one waits there.
    pub(super) fn take(&mut self, node: u32) -> Option<S> {
        let place = self.turn(node)?;
        self.release(place);
        Some(std::mem::take(self.sum(place)))
    }
}
