//! The body of a loop: one time step, with what it reads of the step before, of sequences and from outside.

use super::{Block, Entry, What, is_first_of, same_bits};
use crate::error::{Error, Result};
use crate::record::{Node, place};

/// The body of a loop while its nodes are read. The entries are, in the end: carried parts, sequences and other values, then the nodes.
pub(super) struct Body<'r> {
    nodes: &'r [Node],
    blocks: Vec<Block>,
    /// What the body reads of the step before, by its place in a block, and the node that the first step reads in its stead.
    carried: Vec<(usize, usize)>,
    sequences: Vec<usize>,
    outer: Vec<usize>,
}

/// A body that has been read.
pub(super) struct Read {
    pub(super) blocks: Vec<Block>,
    pub(super) carried: Vec<(usize, usize)>,
    pub(super) sequences: Vec<usize>,
    pub(super) outer: Vec<usize>,
    pub(super) others: usize,
    pub(super) entries: Vec<Entry>,
    /// The entry of each node of a block.
    pub(super) values: Vec<usize>,
}

/// Where an input of a node of the body comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// The same step, at this place of the block.
    Step(usize),
    Carried(usize),
    Sequence(usize),
    Outer(usize),
}

impl<'r> Body<'r> {
    /// The blocks, if they record the same ops.
    pub(super) fn new(nodes: &'r [Node], blocks: Vec<Block>) -> Result<Self> {
        let body = Body { nodes, blocks, carried: Vec::new(), sequences: Vec::new(), outer: Vec::new() };
        let first = &body.blocks[0];
        for block in &body.blocks[1..] {
            let (a, b) = (&nodes[first.range.clone()], &nodes[block.range.clone()]);
            let differs = (0..a.len().max(b.len())).find(|&q| match (a.get(q), b.get(q)) {
                (Some(a), Some(b)) => !alike(a, b),
                _ => true,
            });
            if let Some(q) = differs {
                let node = b.get(q).or(a.get(q)).expect("one of two blocks has the node");
                let names = [a.get(q), b.get(q)].map(|node| node.map_or("nothing", |node| node.name));
                let other = if names[0] == names[1] { ", of another shape or setting" } else { "" };
                let why = format!(
                    "time step {} records `{}` where time step {} records `{}`{other}",
                    block.step, names[1], first.step, names[0]
                );
                return Err(Error::Steps { place: place(node.place), why });
            }
        }
        Ok(body)
    }

    /// The node at place `q` of block `k`.
    fn at(&self, k: usize, q: usize) -> &'r Node {
        &self.nodes[self.blocks[k].range.start + q]
    }

    /// The entries. `ends` are the last values of the parts of the model's state and their first ones: what is a state is carried, even if
    /// no step reads it, since at the end of a sequence it stays as it is.
    pub(super) fn read(mut self, ends: impl Iterator<Item = (usize, usize)>) -> Result<Read> {
        let length = self.blocks[0].range.len();
        let mut sources: Vec<Option<From>> = Vec::with_capacity(length); // of what stands for the node itself
        let mut inputs: Vec<Vec<From>> = Vec::with_capacity(length);
        for q in 0..length {
            sources.push(self.step_of_sequence(q).map(|of| From::Sequence(place_of(&mut self.sequences, of))));
            let arity = if sources[q].is_some() { 0 } else { self.at(0, q).inputs.len() };
            inputs.push((0..arity).map(|j| self.source(q, j)).collect::<Result<_>>()?);
        }
        let last = self.blocks[self.blocks.len() - 1].range.clone();
        for (at, first) in ends.filter(|(at, _)| last.contains(at)) {
            place_of(&mut self.carried, (at - last.start, first));
        }
        let [parts, sequences, others] = [self.carried.len(), self.sequences.len(), self.outer.len()];
        let leaves = parts + sequences + others;
        let mut next = leaves;
        let values: Vec<usize> = sources
            .iter()
            .map(|source| match source {
                Some(From::Sequence(s)) => parts + s,
                _ => {
                    next += 1;
                    next - 1
                }
            })
            .collect();
        let index = |from: &From| match *from {
            From::Step(q) => values[q],
            From::Carried(c) => c,
            From::Sequence(s) => parts + s,
            From::Outer(o) => parts + sequences + o,
        };
        let mut entries = self.leaves();
        for q in (0..length).filter(|&q| sources[q].is_none()) {
            entries.push(self.entry(q, inputs[q].iter().map(index).collect()));
        }
        for q in 0..length {
            self.check_constant(q, &values, &mut entries)?;
        }
        let Body { blocks, carried, sequences, outer, .. } = self;
        Ok(Read { blocks, carried, sequences, outer, others, entries, values })
    }

    /// The sequence of which node `q` takes the time step of its block.
    fn step_of_sequence(&self, q: usize) -> Option<usize> {
        let first = self.blocks.iter().map(|block| block.step).min()?;
        let of = *self.at(0, q).inputs.first()?;
        let takes = |(k, block): (usize, &Block)| {
            let node = self.at(k, q);
            let at = (block.step - first).to_string();
            node.name == "index" && node.inputs == [of] && node.settings == [("axis", "0".to_owned()), ("at", at)]
        };
        let is_whole = self.nodes[of].value.shape().first() == Some(&self.blocks.len());
        (is_whole && self.blocks.iter().enumerate().all(takes)).then_some(of)
    }

    /// Where input `j` of node `q` comes from, the same in all steps.
    fn source(&mut self, q: usize, j: usize) -> Result<From> {
        let read: Vec<usize> = (0..self.blocks.len()).map(|k| self.at(k, q).inputs[j]).collect();
        let offset = |k: usize, at: usize| self.blocks[k].range.contains(&at).then(|| at - self.blocks[k].range.start);
        if let Some(own) = offset(0, read[0])
            && read.iter().enumerate().all(|(k, &at)| offset(k, at) == Some(own))
        {
            return Ok(From::Step(own));
        }
        let outside = |at: usize| (0..self.blocks.len()).all(|k| offset(k, at).is_none());
        if outside(read[0]) && read.iter().all(|&at| at == read[0]) {
            return Ok(From::Outer(place_of(&mut self.outer, read[0])));
        }
        if let Some(before) = offset(0, read[1])
            && outside(read[0])
            && (1..read.len()).all(|k| offset(k - 1, read[k]) == Some(before))
        {
            return Ok(From::Carried(place_of(&mut self.carried, (before, read[0]))));
        }
        let node = self.at(1, q);
        let why = format!("`{}` reads an older step than the one before it, or another value in each step", node.name);
        Err(Error::Steps { place: place(node.place), why })
    }

    /// The entries of what the body reads.
    fn leaves(&self) -> Vec<Entry> {
        let parts = self
            .carried
            .iter()
            .enumerate()
            .map(|(c, &(next, _))| Entry { what: What::Carried(c), ..Entry::of(self.at(1, next)) });
        let sequences = self.sequences.iter().enumerate().map(|(s, &of)| {
            let mut entry = Entry { what: What::Scanned(s), ..Entry::of(&self.nodes[of]) };
            entry.shape.remove(0);
            entry
        });
        let outer =
            self.outer.iter().enumerate().map(|(o, &of)| Entry { what: What::Outer(o), ..Entry::of(&self.nodes[of]) });
        parts.chain(sequences).chain(outer).collect()
    }

    fn entry(&self, q: usize, inputs: Vec<usize>) -> Entry {
        let node = self.at(1, q);
        let what = if node.inputs.is_empty() { What::Tensor(node.value.clone()) } else { What::Op };
        Entry { what, inputs, ..Entry::of(node) }
    }

    /// A constant must have one value in all steps, unless it is the first element of what it is subtracted from.
    fn check_constant(&self, q: usize, values: &[usize], entries: &mut [Entry]) -> Result<()> {
        let node = self.at(1, q);
        if !matches!(entries[values[q]].what, What::Tensor(_)) {
            return Ok(());
        }
        let steps = || 0..self.blocks.len();
        let position = |k: usize, q: usize| self.blocks[k].range.start + q;
        let is_difference =
            |&r: &usize| self.at(1, r).name == "sub" && self.at(1, r).inputs.get(1) == Some(&position(1, q));
        for r in (q..self.blocks[0].range.len()).filter(is_difference) {
            if steps().all(|k| is_first_of(&self.nodes[self.at(k, r).inputs[0]], self.at(k, q))) {
                let of = entries[values[r]].inputs[0];
                let axis = entries[of].shape.len() - 1;
                entries[values[q]].becomes_first_of(of, axis);
                return Ok(());
            }
        }
        if steps().all(|k| same_bits(&self.at(k, q).value, &node.value)) {
            return Ok(());
        }
        let why = "has another value in each time step".to_owned();
        Err(Error::Constant { shape: node.value.shape().to_vec(), place: place(node.place), why })
    }
}

/// Whether two steps have recorded the same node, but for the time step that it takes of a sequence.
fn alike(a: &Node, b: &Node) -> bool {
    let settings = a.settings == b.settings || (a.name == "index" && a.settings[0] == b.settings[0]);
    a.name == b.name && a.inputs.len() == b.inputs.len() && a.value.shape() == b.value.shape() && settings
}

/// The place of an item in a list, to which it is added if it is new.
fn place_of<X: PartialEq>(list: &mut Vec<X>, item: X) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
