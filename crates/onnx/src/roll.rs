//! Time steps rolled into loops: of the blocks that an unrolled network records, one for each step, one is kept, with what it carries
//! to the next, what it reads of a sequence, and what it reads from outside.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;

use rewind_autograd::Tensor;

use crate::error::{Error, Result};
use crate::record::{Node, Recording, place};

/// What a value is. `E` is a value of a loop's body.
#[derive(Clone, Debug)]
pub(crate) enum What<E> {
    /// The sequence x.
    Input,
    /// A part of the first state.
    State(usize),
    /// A parameter or a constant.
    Tensor(Tensor<f32>),
    /// An op of its inputs.
    Op,
    /// A loop over time steps. Its inputs: the first value of each part that is carried, the sequences, other values.
    Loop(Box<Loop<E>>),
    /// What a value of the body (by its number) is in all time steps of the loop that is the input.
    Sequence(usize),
    /// What a value of the body is in the step that is computed last.
    Final(usize),
    /// In a body: a part that the step before has computed.
    Carried(usize),
    /// In a body: this time step of a sequence.
    Scanned(usize),
    /// In a body: a value from outside the loop.
    Outer(usize),
}

/// A value of a rolled recording. Inputs precede the values that read them.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) what: What<Entry>,
    pub(crate) name: &'static str,
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) shape: Vec<usize>,
    pub(crate) scope: String,
    pub(crate) place: &'static Location<'static>,
}

/// A loop over time.
#[derive(Clone, Debug)]
pub(crate) struct Loop<E> {
    /// Whether the last time step is computed first.
    pub(crate) backward: bool,
    /// For each part that is carried, the value of the body that the next step reads.
    pub(crate) carried: Vec<usize>,
    pub(crate) sequences: usize,
    pub(crate) body: Vec<E>,
}

/// The rolled recording, and where the nodes of the tape are in it.
pub(crate) struct Rolled {
    pub(crate) entries: Vec<Entry>,
    /// The entry of each position of the tape outside of loops, and of results within.
    pub(crate) at: BTreeMap<usize, usize>,
}

/// Rolls up every loop.
pub(crate) fn roll(recording: &Recording) -> Result<Rolled> {
    let blocks = blocks(&recording.nodes);
    let mut roller =
        Roller { recording, rolled: Rolled { entries: Vec::new(), at: BTreeMap::new() }, loops: Vec::new() };
    let mut next = 0;
    for run in blocks {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        (next..first.range.start).try_for_each(|at| roller.outside(at))?;
        next = last.range.end;
        roller.roll(run)?;
    }
    (next..recording.nodes.len()).try_for_each(|at| roller.outside(at))?;
    let lasts = recording.parts.iter().map(|part| part.last);
    for at in recording.results.iter().map(|(_, at)| *at).chain(lasts) {
        let entry = roller.reached(at, at)?;
        roller.rolled.at.insert(at, entry);
    }
    Ok(roller.rolled)
}

/// The nodes of one time step.
#[derive(Clone, Debug)]
struct Block {
    step: usize,
    range: Range<usize>,
}

/// The blocks of each loop, in the order in which they are computed. Steps follow each other without other nodes between them, and go
/// in one direction.
fn blocks(nodes: &[Node]) -> Vec<Vec<Block>> {
    let mut loops: Vec<Vec<Block>> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let Some(step) = node.step else { continue };
        match loops.last_mut().filter(|run| run[run.len() - 1].range.end == at) {
            Some(run) => {
                let last = run.len() - 1;
                if run[last].step == step {
                    run[last].range.end = at + 1;
                    continue;
                }
                let direction = step as isize - run[last].step as isize;
                let fits = last == 0 || run[last].step as isize - run[last - 1].step as isize == direction;
                let block = Block { step, range: at..at + 1 };
                if direction.abs() == 1 && fits { run.push(block) } else { loops.push(vec![block]) }
            }
            None => loops.push(vec![Block { step, range: at..at + 1 }]),
        }
    }
    loops.retain(|run| run.len() > 1);
    loops
}

/// A loop that has been rolled up: its blocks and its entry.
struct Known {
    blocks: Vec<Block>,
    entry: usize,
    /// The value of the body for each node of a block.
    values: Vec<usize>,
}

impl Known {
    /// The number of the block that holds a node, and its place there.
    fn find(&self, at: usize) -> Option<(usize, usize)> {
        let k = self.blocks.iter().position(|block| block.range.contains(&at))?;
        Some((k, at - self.blocks[k].range.start))
    }

    fn backward(&self) -> bool {
        self.blocks[0].step > self.blocks[1].step
    }
}

struct Roller<'r> {
    recording: &'r Recording,
    rolled: Rolled,
    loops: Vec<Known>,
}

impl Roller<'_> {
    fn push(&mut self, entry: Entry) -> usize {
        self.rolled.entries.push(entry);
        self.rolled.entries.len() - 1
    }

    /// A node outside of every loop.
    fn outside(&mut self, at: usize) -> Result<()> {
        let node = &self.recording.nodes[at];
        if let Some(entry) = self.sequence(node) {
            self.rolled.at.insert(at, entry);
            return Ok(());
        }
        let part = self.recording.parts.iter().position(|part| part.leaf == at);
        let mut entry = Entry::of(node);
        entry.what = match part {
            _ if at == self.recording.x => What::Input,
            Some(part) => What::State(part),
            None if node.inputs.is_empty() => What::Tensor(node.value.clone()),
            None => What::Op,
        };
        entry.inputs = node.inputs.iter().map(|&input| self.reached(input, at)).collect::<Result<_>>()?;
        let entry = self.push(entry);
        self.rolled.at.insert(at, entry);
        self.first_of(entry);
        Ok(())
    }

    /// A difference to the first element of the last axis, whose value is a constant of the tape, as in layer normalisation: the constant
    /// becomes a slice.
    fn first_of(&mut self, reader: usize) {
        let entries = &self.rolled.entries;
        let [of, constant] = entries[reader].inputs[..] else { return };
        if entries[reader].name != "sub" || constant < of {
            return;
        }
        let at = |entry| self.rolled.at.iter().find_map(|(&at, &e)| (e == entry).then_some(at));
        if let (Some(a), Some(b)) = (at(of), at(constant))
            && is_first_of(&self.recording.nodes[a], &self.recording.nodes[b])
        {
            let rank = entries[of].shape.len();
            self.rolled.entries[constant].becomes_first_of(of, rank - 1);
        }
    }

    /// The entry of a stack of one value of all steps of a loop, in the order of time.
    fn sequence(&mut self, node: &Node) -> Option<usize> {
        let is_first_axis = node.settings.iter().any(|(name, value)| *name == "axis" && value == "0");
        if node.name != "stack" || !is_first_axis {
            return None;
        }
        let known = self.loops.iter().find(|known| known.find(node.inputs[0]).is_some())?;
        let (_, offset) = known.find(node.inputs[0])?;
        let mut expected: Vec<usize> = known.blocks.iter().map(|block| block.range.start + offset).collect();
        if known.backward() {
            expected.reverse();
        }
        if expected != node.inputs {
            return None;
        }
        let (what, inputs) = (What::Sequence(known.values[offset]), vec![known.entry]);
        Some(self.push(Entry { what, inputs, ..Entry::of(node) }))
    }

    /// The entry that stands for node `at`, which the node `reader` outside of its loop reads.
    fn reached(&mut self, at: usize, reader: usize) -> Result<usize> {
        if let Some(&entry) = self.rolled.at.get(&at) {
            return Ok(entry);
        }
        let found = self.loops.iter().find_map(|known| Some((known, known.find(at)?)));
        let Some((known, (block, offset))) = found else { unreachable!("inputs precede the nodes that read them") };
        let node = &self.recording.nodes[at];
        if block + 1 != known.blocks.len() {
            let why = format!(
                "`{}` reads time step {} from outside of its loop",
                self.recording.nodes[reader].name, known.blocks[block].step
            );
            return Err(Error::Steps { place: place(self.recording.nodes[reader].place), why });
        }
        let (what, inputs) = (What::Final(known.values[offset]), vec![known.entry]);
        let entry = self.push(Entry { what, inputs, ..Entry::of(node) });
        self.rolled.at.insert(at, entry);
        Ok(entry)
    }

    /// A loop.
    fn roll(&mut self, blocks: Vec<Block>) -> Result<()> {
        let ends = self.recording.parts.iter().map(|part| (part.last, part.leaf));
        let body = Body::new(&self.recording.nodes, blocks)?.read(ends)?;
        let firsts = body.carried.iter().map(|&(_, first)| first);
        let read: Vec<usize> = firsts.chain(body.sequences).chain(body.outer).collect();
        let reader = body.blocks[0].range.start;
        let inputs = read.iter().map(|&at| self.reached(at, reader)).collect::<Result<Vec<_>>>()?;
        let carried: Vec<usize> = body.carried.iter().map(|&(next, _)| body.values[next]).collect();
        let known = Known { blocks: body.blocks, entry: 0, values: body.values };
        let sequences = inputs.len() - carried.len() - body.others;
        let what = What::Loop(Box::new(Loop { backward: known.backward(), carried, sequences, body: body.entries }));
        let node = &self.recording.nodes[reader];
        let entry = Entry { what, name: "loop", settings: Vec::new(), inputs, shape: Vec::new(), ..Entry::of(node) };
        let entry = self.push(entry);
        self.loops.push(Known { entry, ..known });
        Ok(())
    }
}

impl Entry {
    fn of(node: &Node) -> Self {
        Entry {
            what: What::Op,
            name: node.name,
            settings: node.settings.clone(),
            inputs: Vec::new(),
            shape: node.value.shape().to_vec(),
            scope: node.scope.clone(),
            place: node.place,
        }
    }

    /// A slice of `of`: the first position of its last axis.
    fn becomes_first_of(&mut self, of: usize, axis: usize) {
        self.what = What::Op;
        self.name = "slice";
        self.inputs = vec![of];
        self.settings = vec![("axis", axis.to_string()), ("start", "0".to_owned()), ("end", "1".to_owned())];
    }
}

/// Whether a constant has the value of the first position of the last axis of another node.
fn is_first_of(of: &Node, constant: &Node) -> bool {
    let rank = of.value.rank();
    constant.name == "constant"
        && rank > 0
        && of.value.shape()[rank - 1] > 1
        && constant.value.rank() == rank
        && constant.value.shape()[rank - 1] == 1
        && same_bits(&of.value.slice(rank - 1, 0..1), &constant.value)
}

pub(crate) fn same_bits(a: &Tensor<f32>, b: &Tensor<f32>) -> bool {
    a.shape() == b.shape() && a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The body of a loop while its nodes are read. The entries are, in the end: carried parts, sequences and other values, then the nodes.
struct Body<'r> {
    nodes: &'r [Node],
    blocks: Vec<Block>,
    /// What the body reads of the step before, by its place in a block, and the node that the first step reads in its stead.
    carried: Vec<(usize, usize)>,
    sequences: Vec<usize>,
    outer: Vec<usize>,
}

/// A body that has been read.
struct Read {
    blocks: Vec<Block>,
    carried: Vec<(usize, usize)>,
    sequences: Vec<usize>,
    outer: Vec<usize>,
    others: usize,
    entries: Vec<Entry>,
    /// The entry of each node of a block.
    values: Vec<usize>,
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
    fn new(nodes: &'r [Node], blocks: Vec<Block>) -> Result<Self> {
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
    fn read(mut self, ends: impl Iterator<Item = (usize, usize)>) -> Result<Read> {
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
