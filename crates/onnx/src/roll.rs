//! Time steps rolled into loops: of the blocks that an unrolled network records, one for each step, one is kept, with what it carries
//! to the next, what it reads of a sequence, and what it reads from outside.

mod body;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::Location;

use rewind_autograd::Tensor;

use crate::error::{Error, Result};
use crate::record::{Node, Recording, place};

use body::Body;

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
