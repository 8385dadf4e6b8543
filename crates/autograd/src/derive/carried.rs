//! What an unrolled network carries from one time step to the next, found by the structure of the tape alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::gradients::HOW_TO_TRACK;
use crate::naming::Names;
use crate::tape::Tape;
use crate::{Scalar, Var};

/// The state that an unrolled network carries through time: what is recorded in one time step and read in the next one. Steps
/// are the innermost [scopes](Tape::numbered_scope) called `step`, such as `"t"`. Only what depends on `wrt` counts, so inputs
/// and parameters are no state, nor are layers below that of a given parameter.
///
/// Whatever the cell is: a tanh-RNN carries one variable, an LSTM two, a stack those of each layer. From step to step, a part of
/// the state is what stands in the same place of the recording, which also gives that of the last step, which nobody reads.
///
/// The steps of one network have one number each. A decoder that goes on where an encoder of T steps has ended begins at step T, and
/// a loop within a step needs scopes of another name.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, derive};
/// let tape = Tape::new();
/// let w = tape.leaf(Tensor::scalar(0.5));
/// let mut h = w;
/// for t in 0..3 {
///     let _step = tape.numbered_scope("t", t);
///     h = (h * w).tanh();
/// }
/// let state = derive::carried(&[w], "t");
/// let [part] = &state.parts[..] else { unreachable!() };
/// assert_eq!(part.steps().collect::<Vec<_>>(), [0, 1, 2]);
/// assert_eq!(part.nodes[2].1.position(), h.position());
/// ```
///
/// # Panics
/// If a variable is a constant or lives on another tape than the first; if a step reads what a step further away than the
/// next one has recorded, lies within another step, or has the number of an earlier step of its chain; if the parts of the state
/// cannot be told apart; or if the steps are hidden in a [checkpoint](crate::checkpoint).
#[track_caller]
pub fn carried<'t, T: Scalar>(wrt: &[Var<'t, T>], step: &str) -> Carried<'t, T> {
    let Some(first) = wrt.first() else { return Carried { parts: Vec::new() } };
    for (k, v) in wrt.iter().enumerate() {
        if !std::ptr::eq(v.tape(), first.tape()) {
            panic!("carried: variable {k} lives on another tape than the first");
        }
        if !v.is_tracked() {
            panic!("carried: variable {k}, {v:?}, is a constant. {HOW_TO_TRACK}");
        }
    }
    let parts = Recordings::of(first.tape(), wrt, step).and_then(|recordings| {
        let parts = recordings.parts(&recordings.reads()?)?;
        recordings.expect_alike(&parts)?;
        Ok(parts)
    });
    match parts {
        Ok(parts) => Carried { parts },
        Err(reason) => panic!("{reason}"),
    }
}

/// The state of an unrolled network by its parts: made by [`carried`].
#[derive(Clone, Debug)]
pub struct Carried<'t, T: Scalar> {
    /// Layer by layer as they were unrolled; within a layer in the order in which a step reads them.
    pub parts: Vec<CarriedPart<'t, T>>,
}

/// One variable of the state, through all time steps.
#[derive(Clone, Debug)]
pub struct CarriedPart<'t, T: Scalar> {
    /// Number and variable of every time step, in the order in which they were computed.
    pub nodes: Vec<(usize, Var<'t, T>)>,
    /// Whether time runs backward: step t reads step t + 1.
    pub backward: bool,
    /// Whether it is read outside of the steps too: the output of a layer.
    pub is_output: bool,
    /// What reads it first in a step: a node of the second step.
    pub reader: Var<'t, T>,
}

impl<'t, T: Scalar> CarriedPart<'t, T> {
    /// The numbers of its time steps.
    pub fn steps(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().map(|&(step, _)| step)
    }

    /// The variable of a step.
    pub fn at(&self, step: usize) -> Option<Var<'t, T>> {
        self.nodes.iter().find(|&&(own, _)| own == step).map(|&(_, v)| v)
    }
}

/// One entry of a time step's scope.
#[derive(Default)]
struct Recording {
    number: usize,
    /// Its nodes that depend on the given variables, ascending.
    nodes: Vec<u32>,
}

/// The nodes that depend on some variables, by the recording of a time step.
struct Recordings<'t, T: Scalar> {
    tape: &'t Tape<T>,
    step: String,
    by_scope: BTreeMap<u32, Recording>,
    scope_of: BTreeMap<u32, u32>,
    /// Nodes of steps that are read outside of all steps, or in another recording of the same step.
    outputs: BTreeSet<u32>,
}

/// The nodes of other steps that a recording reads, in the order of reading, each with its first reader.
type Reads = BTreeMap<u32, Vec<(u32, u32)>>;

impl<'t, T: Scalar> Recordings<'t, T> {
    /// # Errors
    /// If a step lies within another one, or in a checkpoint.
    fn of(tape: &'t Tape<T>, wrt: &[Var<'t, T>], step: &str) -> Result<Self, String> {
        let mut dependent: BTreeSet<u32> = wrt.iter().map(|v| v.id()).collect();
        let (mut by_scope, mut scope_of) = (BTreeMap::<u32, Recording>::new(), BTreeMap::new());
        let (lowest, mut outside) = (dependent.first().copied().unwrap_or(0), Vec::new());
        Names::with(tape, |names| {
            let graph = tape.graph.borrow();
            for node in lowest..graph.len() as u32 {
                if graph.op(node).is_none() || !graph.inputs(node).iter().any(|input| dependent.contains(input)) {
                    continue;
                }
                dependent.insert(node);
                let Some((scope, number)) = names.recording_of(node, step) else {
                    outside.push(node);
                    continue;
                };
                if let Some(around) = names.step_around(scope, step) {
                    return Err(format!(
                        "carried: step {step}={number} lies within step {step}={around}; \
                         expected scopes of another name for a loop within a step"
                    ));
                }
                let recording = by_scope.entry(scope).or_default();
                recording.number = number;
                recording.nodes.push(node);
                scope_of.insert(node, scope);
            }
            Ok(())
        })?;
        if outside.into_iter().any(|node| tape.op(node as usize).is_some_and(|op| op.is_checkpoint())) {
            return Err("carried: what depends on the variables is hidden in a checkpoint; \
                 expected a tape that has recorded all steps, such as that of an unrolling without segments"
                .to_owned());
        }
        let mut recordings = Recordings { tape, step: step.to_owned(), by_scope, scope_of, outputs: BTreeSet::new() };
        recordings.outputs = recordings.read_outside(&dependent);
        Ok(recordings)
    }

    fn read_outside(&self, nodes: &BTreeSet<u32>) -> BTreeSet<u32> {
        let mut outputs = BTreeSet::new();
        for &node in nodes {
            let (scope, number) = (self.scope_of.get(&node), self.number(node));
            let is_outside = |input: &u32| {
                self.scope_of.get(input).is_some_and(|own| Some(own) != scope)
                    && (number.is_none() || self.number(*input) == number)
            };
            outputs.extend(self.inputs(node).into_iter().filter(is_outside));
        }
        outputs
    }

    fn inputs(&self, node: u32) -> Vec<u32> {
        self.tape.graph.borrow().inputs(node).to_vec()
    }

    fn name(&self, node: u32) -> &'static str {
        self.tape.graph.borrow().op(node).map_or("leaf", |op| op.name())
    }

    fn number(&self, node: u32) -> Option<usize> {
        Some(self.by_scope[self.scope_of.get(&node)?].number)
    }

    fn reads(&self) -> Result<Reads, String> {
        let mut reads = Reads::new();
        for (&scope, recording) in &self.by_scope {
            for &node in &recording.nodes {
                for input in self.inputs(node) {
                    let Some(number) = self.number(input).filter(|&number| number != recording.number) else {
                        continue;
                    };
                    if number.abs_diff(recording.number) != 1 {
                        let (step, own) = (&self.step, recording.number);
                        return Err(format!(
                            "carried: {} in step {step}={own} reads {} of step {step}={number}; \
                             expected that a step reads the step beside it, as a chain of states does, and that a network which goes \
                             on where another has ended numbers its steps on: numbered_scope(\"{step}\", …), Unroll::from_step",
                            self.name(node),
                            self.name(input)
                        ));
                    }
                    let list = reads.entry(scope).or_default();
                    if list.iter().all(|&(known, _)| known != input) {
                        list.push((input, node));
                    }
                }
            }
        }
        Ok(reads)
    }

    /// Links what a recording reads to what the recording before it has read: to what stands in the same place as what it reads
    /// itself, or, where the two have recorded different ops, as the first step may, to what is read in the same order.
    fn parts(&self, reads: &Reads) -> Result<Vec<CarriedPart<'t, T>>, String> {
        let mut parts: Vec<CarriedPart<'t, T>> = Vec::new();
        // The parts that each recording reads; and the recordings whose state is read.
        let (mut of_recording, mut sources) = (BTreeMap::<u32, Vec<usize>>::new(), BTreeSet::new());
        for (&scope, list) in reads {
            sources.extend(list.iter().map(|(node, _)| self.scope_of[node]));
            let before =
                list.iter().map(|(node, _)| self.scope_of[node]).find(|source| of_recording.contains_key(source));
            let known = before.map(|before| of_recording[&before].clone()).unwrap_or_default();
            let mut links = self.links(list, &known, &parts);
            for (link, &(node, reader)) in links.iter_mut().zip(list) {
                let (v, number) = (Var::new(self.tape, node), self.by_scope[&self.scope_of[&node]].number);
                let backward = self.by_scope[&scope].number < number;
                match *link {
                    Some(part) => {
                        let (last, _) = *parts[part].nodes.last().expect("a part has a node");
                        let next = if parts[part].backward { last.checked_sub(1) } else { Some(last + 1) };
                        if next != Some(number) || parts[part].backward != backward {
                            return Err(self.numbered_anew(last, number, self.by_scope[&scope].number));
                        }
                        parts[part].nodes.push((number, v));
                    }
                    None => {
                        let reader = Var::new(self.tape, reader);
                        parts.push(CarriedPart { nodes: vec![(number, v)], backward, is_output: false, reader });
                        *link = Some(parts.len() - 1);
                    }
                }
            }
            of_recording.insert(scope, links.into_iter().flatten().collect());
        }
        for (&scope, own) in of_recording.iter().filter(|(scope, _)| !sources.contains(scope)) {
            for &part in own {
                let (_, before) = *parts[part].nodes.last().expect("a part has a node");
                if let Some(node) = self.corresponding(before.id(), scope) {
                    parts[part].nodes.push((self.by_scope[&scope].number, Var::new(self.tape, node)));
                }
            }
        }
        for part in &mut parts {
            part.is_output = part.nodes.iter().any(|(_, v)| self.outputs.contains(&v.id()));
        }
        Ok(parts)
    }

    /// For each node that a recording reads, its part among the `known` ones: those that the recording before has read.
    fn links(&self, list: &[(u32, u32)], known: &[usize], parts: &[CarriedPart<'t, T>]) -> Vec<Option<usize>> {
        let mut links = vec![None; list.len()];
        let mut in_order = Vec::new();
        for &part in known {
            let (_, before) = *parts[part].nodes.last().expect("a part has a node");
            let places: Vec<_> =
                list.iter().map(|&(node, _)| self.corresponding(before.id(), self.scope_of[&node])).collect();
            match (0..list.len()).find(|&k| places[k] == Some(list[k].0)) {
                Some(k) => links[k] = Some(part),
                None if places.iter().all(Option::is_none) => in_order.push((part, before)),
                None => {} // the part ends here
            }
        }
        let mut in_order = in_order.into_iter().peekable();
        for (link, &(node, _)) in links.iter_mut().zip(list).filter(|(link, _)| link.is_none()) {
            let fits = |(_, before): &(usize, Var<'t, T>)| before.has_shape(&Var::new(self.tape, node).shape());
            *link = in_order.next_if(fits).map(|(part, _)| part);
        }
        links
    }

    fn numbered_anew(&self, last: usize, number: usize, reader: usize) -> String {
        let step = &self.step;
        format!(
            "carried: a chain of states goes from step {step}={last} to {step}={number}, which step {step}={reader} reads; \
             expected that a network which goes on where another has ended numbers its steps on: \
             numbered_scope(\"{step}\", …), Unroll::from_step"
        )
    }

    /// All steps must compute a part by the same op.
    ///
    /// # Errors
    /// If the ops of a part differ.
    fn expect_alike(&self, parts: &[CarriedPart<'t, T>]) -> Result<(), String> {
        for part in parts {
            for pair in part.nodes.windows(2) {
                let [(before, own), (after, other)] =
                    [pair[0], pair[1]].map(|(step, v)| (step, self.name(self.computed(v.id()))));
                if own != other {
                    let step = &self.step;
                    return Err(format!(
                        "carried: one part of the state was computed by {own} in step {step}={before} and by {other} in step {step}={after}; \
                         expected that all steps read the parts of the state in one order"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The node of a recording that stands in the place of `node` in its own, which is that of the step before.
    fn corresponding(&self, node: u32, scope: u32) -> Option<u32> {
        let before = self.scope_of[&node];
        let [own, other] = [before, scope].map(|scope| self.computing(&self.by_scope[&scope].nodes));
        let names = |nodes: &[u32]| nodes.iter().map(|&node| self.name(node)).collect::<Vec<_>>();
        let place = own.iter().position(|&own| own == self.computed(node))?;
        // What a step records after its state, such as its loss, may differ.
        if names(own.get(..=place)?) != names(other.get(..=place)?) {
            return None;
        }
        let found = other[place];
        // The last choice between it and the state before.
        let chosen = |later: u32| {
            self.is_choice(later) && self.inputs(later)[1..].contains(&node) && self.computed(later) == found
        };
        let found = self.by_scope[&scope].nodes.iter().rev().copied().find(|&later| chosen(later)).unwrap_or(found);
        Var::new(self.tape, found).has_shape(&Var::new(self.tape, node).shape()).then_some(found)
    }

    /// What a step has computed for a state. Where sequences have ended, and in zoneout, a mask chooses between it and the state
    /// before, which is of no other step or of the one before.
    fn computed(&self, mut node: u32) -> u32 {
        while self.is_choice(node) {
            let scope = self.scope_of.get(&node);
            let own: Vec<u32> =
                self.inputs(node)[1..].iter().copied().filter(|input| self.scope_of.get(input) == scope).collect();
            let &[computed] = &own[..] else { break };
            node = computed;
        }
        node
    }

    /// Whether a node chooses between two by a mask.
    fn is_choice(&self, node: u32) -> bool {
        self.name(node) == "where"
    }

    fn computing(&self, nodes: &[u32]) -> Vec<u32> {
        nodes.iter().copied().filter(|&node| !self.is_choice(node)).collect()
    }
}
