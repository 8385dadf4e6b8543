//! The reverse pass: one loop from the result down to the first variable that a gradient is wanted for.

use crate::op::Site;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::term::{RecordedSum, Term, ValueSum, ValueTerm};
use crate::{Scalar, Tensor, Var};

/// The two kinds of sweep: numbers out, or variables that can be differentiated again. The rules are the same.
trait Sweep<'t, T: Scalar> {
    /// Whether rules record on the tape that is swept.
    const RECORDS: bool;
    /// A finished cotangent.
    type Total: Clone;
    /// A cotangent that is still being summed.
    type Sum: Default;
    /// A term, in the form in which it may outlive its node's turn.
    type Term;

    /// The tape that rules compute on.
    fn tape(&self) -> &'t Tape<T>;
    /// A finished cotangent as a variable of that tape.
    fn cotangent(&self, total: Self::Total) -> Var<'t, T>;
    fn start(&self, seed: Self::Total) -> Self::Sum;
    fn keep(&self, term: Term<'t, T>) -> Self::Term;
    fn end_of_node(&self);
    fn add(&self, sum: &mut Self::Sum, term: Self::Term, shape: &[usize]);
    fn finish(&self, sum: Self::Sum, shape: &[usize]) -> Self::Total;
}

/// First order: rules run on a scratch tape that is emptied after every node, and terms are added in place.
struct Values<'t, T: Scalar> {
    scratch: &'t Tape<T>,
}

impl<'t, T: Scalar> Sweep<'t, T> for Values<'t, T> {
    const RECORDS: bool = false;
    type Total = Tensor<T>;
    type Sum = ValueSum<T>;
    type Term = ValueTerm<T>;

    fn tape(&self) -> &'t Tape<T> {
        self.scratch
    }
    fn cotangent(&self, total: Tensor<T>) -> Var<'t, T> {
        self.scratch.constant(total)
    }
    fn start(&self, seed: Tensor<T>) -> ValueSum<T> {
        ValueSum::of(seed)
    }
    /// Terms leave the scratch tape: so sums own their numbers and add in place. The cotangent itself, which is the first
    /// node there, may be a term of several inputs and is shared.
    fn keep(&self, term: Term<'t, T>) -> ValueTerm<T> {
        let own = |v: Var<'t, T>| std::ptr::eq(v.tape(), self.scratch) && v.id() != 0;
        term.into_values(|v| if own(v) { self.scratch.take_value(v.id()) } else { v.value() })
    }
    fn end_of_node(&self) {
        self.scratch.reset();
    }
    fn add(&self, sum: &mut ValueSum<T>, term: ValueTerm<T>, shape: &[usize]) {
        sum.add(term, shape);
    }
    fn finish(&self, sum: ValueSum<T>, shape: &[usize]) -> Tensor<T> {
        sum.finish(shape)
    }
}

/// Any order: rules run on the recording tape itself.
struct Recorded<'t, T: Scalar> {
    tape: &'t Tape<T>,
}

impl<'t, T: Scalar> Sweep<'t, T> for Recorded<'t, T> {
    const RECORDS: bool = true;
    type Total = Var<'t, T>;
    type Sum = RecordedSum<'t, T>;
    type Term = Term<'t, T>;

    fn tape(&self) -> &'t Tape<T> {
        self.tape
    }
    fn cotangent(&self, total: Var<'t, T>) -> Var<'t, T> {
        total
    }
    fn start(&self, seed: Var<'t, T>) -> RecordedSum<'t, T> {
        RecordedSum::of(seed)
    }
    fn keep(&self, term: Term<'t, T>) -> Term<'t, T> {
        term
    }
    fn end_of_node(&self) {}
    fn add(&self, sum: &mut RecordedSum<'t, T>, term: Term<'t, T>, _shape: &[usize]) {
        sum.add(term);
    }
    fn finish(&self, sum: RecordedSum<'t, T>, shape: &[usize]) -> Var<'t, T> {
        sum.finish(self.tape, shape)
    }
}

/// The gradients of `wanted` (ascending positions, each once) as numbers; `None` where nothing flows.
pub(crate) fn sweep_values<T: Scalar>(from: Var<'_, T>, seed: Tensor<T>, wanted: &[u32]) -> Vec<Option<Tensor<T>>> {
    let scratch = Tape::quiet();
    sweep(&Values { scratch: &scratch }, from.tape(), from.id(), seed, wanted)
}

/// The gradients of `wanted` (ascending positions, each once) as variables of the tape; `None` where nothing flows.
pub(crate) fn sweep_recorded<'t, T: Scalar>(
    from: Var<'t, T>,
    seed: Var<'t, T>,
    wanted: &[u32],
) -> Vec<Option<Var<'t, T>>> {
    sweep(&Recorded { tape: from.tape() }, from.tape(), from.id(), seed, wanted)
}

fn sweep<'t, T: Scalar, S: Sweep<'t, T>>(
    kind: &S,
    recorded: &'t Tape<T>,
    from: u32,
    seed: S::Total,
    wanted: &[u32],
) -> Vec<Option<S::Total>> {
    let mut totals = vec![None; wanted.len()];
    let reached = reach(recorded, wanted, from);
    if !reached[from as usize] {
        return totals;
    }
    let mut slots = Slots::<S::Sum>::new(reached.len());
    *slots.entry(from) = kind.start(seed);
    let first = wanted.first().copied().unwrap_or(0);
    for node in (first..=from).rev() {
        let Some(sum) = slots.take(node) else { continue };
        let total = kind.finish(sum, &shape_of(recorded, node));
        if let Ok(place) = wanted.binary_search(&node) {
            totals[place] = Some(total.clone());
        }
        recorded.with_op(node, S::RECORDS, |op| {
            let site = Site::new(recorded, kind.tape(), node, kind.cotangent(total));
            for i in 0..recorded.arity(node) {
                let input = recorded.input_of(node, i);
                if reached[input as usize] {
                    let (term, shape) = (op.vjp(i, &site), shape_of(recorded, input));
                    term.check(op.name(), i, &shape);
                    kind.add(slots.entry(input), kind.keep(term), &shape);
                }
            }
        });
        kind.end_of_node();
    }
    totals
}

/// Which nodes up to `last` depend on a wanted one: the only ones that a cotangent is worth computing for.
fn reach<T: Scalar>(tape: &Tape<T>, wanted: &[u32], last: u32) -> Vec<bool> {
    let mut reached = vec![false; last as usize + 1];
    for &w in wanted.iter().filter(|&&w| w <= last) {
        reached[w as usize] = tape.is_tracked(w);
    }
    for node in wanted.first().copied().unwrap_or(0)..=last {
        if !reached[node as usize] && tape.is_tracked(node) {
            reached[node as usize] = (0..tape.arity(node)).any(|i| reached[tape.input_of(node, i) as usize]);
        }
    }
    reached
}

fn shape_of<T: Scalar>(tape: &Tape<T>, node: u32) -> Shape {
    Var::new(tape, node).shape()
}

/// The cotangents that are being summed, by node. Few nodes wait at any time, however long the tape.
struct Slots<S> {
    /// Place in `sums` plus one, or 0.
    place: Vec<u32>,
    sums: Vec<Option<S>>,
    free: Vec<u32>,
}

impl<S: Default> Slots<S> {
    fn new(nodes: usize) -> Self {
        Slots { place: vec![0; nodes], sums: Vec::new(), free: Vec::new() }
    }

    fn entry(&mut self, node: u32) -> &mut S {
        let place = &mut self.place[node as usize];
        if *place == 0 {
            *place = self.free.pop().unwrap_or_else(|| {
                self.sums.push(None);
                self.sums.len() as u32
            });
        }
        self.sums[*place as usize - 1].get_or_insert_default()
    }

    fn take(&mut self, node: u32) -> Option<S> {
        match std::mem::take(&mut self.place[node as usize]) {
            0 => None,
            place => {
                self.free.push(place);
                self.sums[place as usize - 1].take()
            }
        }
    }
}
