//! What a sweep keeps by node: who gets a cotangent, and the sums of those that are waiting for more terms.

use super::Wanted;
use crate::Scalar;
use crate::tape::Tape;

/// Which nodes depend on a wanted one: the only ones that a cotangent is worth computing for.
pub(super) struct Reach {
    pub(super) first: u32,
    /// By node; `None` where it is the tracked ones, since those depend on some leaf.
    nodes: Option<Vec<bool>>,
}

impl Reach {
    pub(super) fn new<T: Scalar>(tape: &Tape<T>, wanted: Wanted<'_>, last: u32) -> Self {
        let Wanted::These(wanted) = wanted else { return Reach { first: 0, nodes: None } };
        let first = wanted.first().copied().unwrap_or(0);
        let mut nodes = vec![false; last as usize + 1];
        for &w in wanted.iter().filter(|&&w| w <= last) {
            nodes[w as usize] = tape.is_tracked(w);
        }
        for node in first..=last {
            if !nodes[node as usize] && tape.is_tracked(node) {
                nodes[node as usize] = (0..tape.arity(node)).any(|i| nodes[tape.input_of(node, i) as usize]);
            }
        }
        Reach { first, nodes: Some(nodes) }
    }

    pub(super) fn contains<T: Scalar>(&self, tape: &Tape<T>, node: u32) -> bool {
        self.nodes.as_ref().map_or_else(|| tape.is_tracked(node), |nodes| nodes[node as usize])
    }
}

impl Reach {
    /// The first input of a node, from number `from` on, that a cotangent is worth computing for, and its number.
    #[inline]
    pub(super) fn input<T: Scalar>(&self, tape: &Tape<T>, node: u32, from: usize) -> Option<(usize, u32)> {
        match &self.nodes {
            None => tape.find_input(node, from, |_, tracked| tracked),
            Some(nodes) => tape.find_input(node, from, |input, _| nodes[input as usize]),
        }
    }
}

/// The cotangents that are being summed, by node. Few nodes wait at any time, however long the tape.
pub(super) struct Slots<S> {
    /// Place in `sums` plus one, or 0.
    place: Vec<u32>,
    sums: Vec<S>,
    free: Vec<u32>,
}

impl<S: Default> Slots<S> {
    pub(super) fn new(nodes: usize) -> Self {
        Slots { place: vec![0; nodes], sums: Vec::new(), free: Vec::new() }
    }

    /// Whether a sum waits for the turn of `node`.
    #[inline]
    pub(super) fn waits(&self, node: u32) -> bool {
        self.place[node as usize] != 0
    }

    /// The sum of `node`, from nothing on.
    #[inline]
    pub(super) fn entry(&mut self, node: u32) -> &mut S {
        let place = &mut self.place[node as usize];
        if *place == 0 {
            *place = self.free.pop().unwrap_or_else(|| {
                self.sums.push(S::default());
                self.sums.len() as u32
            });
        }
        &mut self.sums[*place as usize - 1]
    }

    /// The sum of `node`, which [waits](Slots::waits).
    #[inline]
    pub(super) fn take(&mut self, node: u32) -> S {
        let place = std::mem::take(&mut self.place[node as usize]);
        self.free.push(place);
        std::mem::take(&mut self.sums[place as usize - 1])
    }
}
