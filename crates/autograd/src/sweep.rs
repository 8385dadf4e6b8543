//! The reverse pass: one loop from the result down to the first variable that a gradient is wanted for.

mod inputs;
mod slots;

use std::cell::{Ref, RefCell};
use std::ops::Range;

use smallvec::SmallVec;

use crate::checkpoint::{Region, alias};
use crate::op::Site;
use crate::tape::{OpBox, Sweeping, Tape, WayBack};
use crate::term::{RecordedSum, Source, Term, ValueSum};
use crate::{Op, Scalar, Tensor, Var};

use inputs::Inputs;
use slots::Reach;
pub(crate) use slots::Slots;

/// The variables that gradients are wanted for.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Every leaf of the tape.
    Leaves,
    /// Those at these positions, ascending, each once.
    These(&'a [u32]),
}

/// Gradients by position, ascending; those that nothing flows to are missing. Without an allocation for the parameters of a
/// cell.
pub(crate) type Totals<X> = SmallVec<[(u32, X); 8]>;

/// The two kinds of sweep: numbers out, or variables that can be differentiated again. The rules are the same.
trait Sweep<'t, T: Scalar> {
    /// A finished cotangent.
    type Total: Clone;
    /// A cotangent that is still being summed.
    type Sum: Default;

    /// Adds a finished cotangent.
    fn seed(&self, sum: &mut Self::Sum, total: Self::Total);
    /// Adds a rule's term to the cotangent of `input`. Nobody reads the term or, if `last`, the output's cotangent after it.
    fn add(&self, sum: &mut Self::Sum, term: Term<'t, T>, input: Var<'t, T>, cotangent: Var<'t, T>, last: bool);
    /// Adds the cotangent of a node whose op [hands it on](Op::hands_on) to that of an input.
    fn hand_on(&self, sum: &mut Self::Sum, total: Self::Total, input: Var<'t, T>);
    /// Takes the cotangent out of its sum, which is empty then.
    fn finish(&self, sum: &mut Self::Sum, node: Var<'t, T>) -> Self::Total;
    /// Empty slots, and where they go when the sweep is over.
    fn slots(&self) -> Slots<Self::Sum>;
    fn give_back(&self, slots: Slots<Self::Sum>);
    /// A finished cotangent as a variable, for the rules.
    fn cotangent(&self, total: Self::Total) -> Var<'t, T>;
    /// Calls `f` with the op of a node, if it has one, and forgets the cotangent.
    fn ask(&self, node: u32, f: impl FnOnce(&dyn Op<T>));
    /// A node's turn has come.
    fn turn(&self, node: u32);
    /// Whether somebody wants to see every finished cotangent.
    fn is_watched(&self) -> bool;
    /// Shows a finished cotangent.
    fn watch(&self, node: u32, total: &Self::Total);
    /// Runs the region of a checkpoint again and sweeps it, into the sums of its `inputs`.
    fn replay(
        &self,
        region: &dyn Region<T>,
        cotangent: Var<'t, T>,
        inputs: &Inputs<'_, 't, T>,
        sums: &mut Slots<Self::Sum>,
    );
}

/// Who sees every finished cotangent.
type Watch<'w, T> = &'w mut dyn FnMut(u32, &Tensor<T>);

/// First order: what rules compute is forgotten after every node, and terms are added in place.
struct Values<'t, 'w, T: Scalar> {
    tape: &'t Tape<T>,
    watch: Option<RefCell<Watch<'w, T>>>,
    ops: Ref<'t, [Option<OpBox<T>>]>,
    sweeping: Sweeping<'t, T>,
}

impl<'t, T: Scalar> Sweep<'t, T> for Values<'t, '_, T> {
    type Total = Tensor<T>;
    type Sum = ValueSum<T>;

    fn seed(&self, sum: &mut ValueSum<T>, total: Tensor<T>) {
        sum.add_dense(total);
    }
    fn add(&self, sum: &mut ValueSum<T>, term: Term<'t, T>, input: Var<'t, T>, cotangent: Var<'t, T>, last: bool) {
        sum.add(
            term,
            input,
            &Passing {
                tape: self.tape,
                sweeping: &self.sweeping,
                kept: if last { None } else { Some(cotangent.id()) },
            },
        );
    }
    fn hand_on(&self, sum: &mut ValueSum<T>, total: Tensor<T>, input: Var<'t, T>) {
        sum.add_handed_on(total, input);
    }
    fn finish(&self, sum: &mut ValueSum<T>, node: Var<'t, T>) -> Tensor<T> {
        sum.finish(node)
    }
    fn slots(&self) -> Slots<ValueSum<T>> {
        self.tape.take_slots()
    }
    fn give_back(&self, slots: Slots<ValueSum<T>>) {
        self.tape.keep_slots(slots);
    }
    fn cotangent(&self, total: Tensor<T>) -> Var<'t, T> {
        self.sweeping.push(total)
    }
    fn ask(&self, node: u32, f: impl FnOnce(&dyn Op<T>)) {
        if let Some(op) = &self.ops[node as usize] {
            f(&**op);
        }
        self.sweeping.forget();
    }
    fn turn(&self, _: u32) {}
    fn is_watched(&self) -> bool {
        self.watch.is_some()
    }
    fn watch(&self, node: u32, total: &Tensor<T>) {
        if let Some(watch) = &self.watch {
            (watch.borrow_mut())(node, total);
        }
    }
    /// On a tape of its own. The sums go on from where they are, so that the same numbers are added in the same order as if
    /// the region had been recorded.
    #[cold]
    fn replay(
        &self,
        region: &dyn Region<T>,
        cotangent: Var<'t, T>,
        inputs: &Inputs<'_, 't, T>,
        sums: &mut Slots<ValueSum<T>>,
    ) {
        self.tape.with_inner(|tape| {
            let vars = inputs.each(|v| tape.leaf(v.value()), |v| tape.constant(v.value()));
            let y = region.run(tape, &vars);
            let kind = Values::of(tape);
            let mut inner = kind.slots();
            inner.begin(y.id() as usize + 1);
            for (v, own) in inputs.vars.iter().zip(&vars) {
                if let Some(sum) = sums.take(v.id()) {
                    *inner.entry(own.id()) = sum;
                }
            }
            sweep(&kind, y, cotangent.value(), Wanted::Leaves, &mut inner);
            for i in 0..inner.kept() {
                let (leaf, at) = inner.kept_at(i);
                let place = vars.iter().position(|own| own.id() == leaf).expect("the leaves are the inputs");
                *sums.entry(inputs.vars[place].id()) = std::mem::take(inner.sum(at));
            }
            kind.give_back(inner);
        });
    }
}

/// What a rule has computed is taken, not shared: so sums own their numbers and add in place.
struct Passing<'a, 't, T: Scalar> {
    tape: &'t Tape<T>,
    sweeping: &'a Sweeping<'t, T>,
    /// A value that will be read again.
    kept: Option<u32>,
}

impl<'t, T: Scalar> Source<'t, T> for Passing<'_, 't, T> {
    #[inline]
    fn take(&self, v: Var<'t, T>) -> Tensor<T> {
        let own = std::ptr::eq(v.tape(), self.tape) && self.sweeping.owns(v.id());
        if own && self.kept != Some(v.id()) { self.sweeping.take(v.id()) } else { v.value() }
    }
    #[inline]
    fn read<R>(&self, v: Var<'t, T>, f: impl FnOnce(&Tensor<T>) -> R) -> R {
        v.tape().with_value(v.id(), f)
    }
}

impl<'t, T: Scalar> Values<'t, '_, T> {
    fn of(tape: &'t Tape<T>) -> Self {
        Values { tape, ops: tape.ops(), sweeping: tape.sweeping(), watch: None }
    }
}

/// Any order: what rules compute is recorded.
struct Recorded<'t, T: Scalar> {
    tape: &'t Tape<T>,
}

impl<'t, T: Scalar> Sweep<'t, T> for Recorded<'t, T> {
    type Total = Var<'t, T>;
    type Sum = RecordedSum<'t, T>;

    fn seed(&self, sum: &mut RecordedSum<'t, T>, total: Var<'t, T>) {
        sum.add(Term::dense(total));
    }
    fn add(&self, sum: &mut RecordedSum<'t, T>, term: Term<'t, T>, _: Var<'t, T>, _: Var<'t, T>, _: bool) {
        sum.add(term);
    }
    fn hand_on(&self, sum: &mut RecordedSum<'t, T>, total: Var<'t, T>, input: Var<'t, T>) {
        sum.add_handed_on(total, input);
    }
    fn finish(&self, sum: &mut RecordedSum<'t, T>, node: Var<'t, T>) -> Var<'t, T> {
        std::mem::take(sum).finish(node)
    }
    fn slots(&self) -> Slots<RecordedSum<'t, T>> {
        Slots::default()
    }
    fn give_back(&self, _: Slots<RecordedSum<'t, T>>) {}
    fn cotangent(&self, total: Var<'t, T>) -> Var<'t, T> {
        total
    }
    fn ask(&self, node: u32, f: impl FnOnce(&dyn Op<T>)) {
        self.tape.with_op_taken(node, f);
    }
    /// What a rule records belongs where the node does that it differentiates.
    fn turn(&self, node: u32) {
        self.tape.set_scope(self.tape.scope_id(node));
    }
    fn is_watched(&self) -> bool {
        false
    }
    fn watch(&self, _: u32, _: &Var<'t, T>) {}
    /// On the tape itself, from aliases of the inputs on, at which the sweep of the region ends.
    #[cold]
    fn replay(
        &self,
        region: &dyn Region<T>,
        cotangent: Var<'t, T>,
        inputs: &Inputs<'_, 't, T>,
        sums: &mut Slots<RecordedSum<'t, T>>,
    ) {
        let vars = inputs.each(alias, |v| v);
        let y = region.run(self.tape, &vars);
        let mut wanted: SmallVec<[u32; 8]> =
            vars.iter().map(|v| v.id()).filter(|&id| !inputs.vars.iter().any(|v| v.id() == id)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for (alias, total) in sweep_recorded(y, cotangent, Wanted::These(&wanted)) {
            let place = vars.iter().position(|own| own.id() == alias).expect("what is wanted are the inputs");
            sums.entry(inputs.vars[place].id()).add(Term::dense(total));
        }
    }
}

/// The gradients as numbers.
pub(crate) fn sweep_values<T: Scalar>(from: Var<'_, T>, seed: Tensor<T>, wanted: Wanted<'_>) -> Totals<Tensor<T>> {
    finished(&Values::of(from.tape()), from, seed, wanted)
}

/// [`sweep_values`], with `watch` called for every cotangent when it is complete.
pub(crate) fn sweep_watched<T: Scalar>(
    from: Var<'_, T>,
    seed: Tensor<T>,
    wanted: Wanted<'_>,
    mut watch: impl FnMut(u32, &Tensor<T>),
) -> Totals<Tensor<T>> {
    finished(&Values { watch: Some(RefCell::new(&mut watch)), ..Values::of(from.tape()) }, from, seed, wanted)
}

/// What the rule of a node gives for input number `number`, if the node's cotangent is `cotangent`.
pub(crate) fn term_value<T: Scalar>(tape: &Tape<T>, node: u32, number: usize, cotangent: Tensor<T>) -> Tensor<T> {
    let sweep = Values::of(tape);
    let input = Var::new(tape, tape.input_of(node, number));
    let mut sum = ValueSum::default();
    sweep.ask(node, |op| {
        let cotangent = tape.constant(cotangent);
        let term = op.vjp(number, &Site::new(tape, node, cotangent)).checked(op, number, input);
        sweep.add(&mut sum, term, input, cotangent, true);
    });
    sum.finish(input)
}

/// The gradients as variables of the tape.
pub(crate) fn sweep_recorded<'t, T: Scalar>(
    from: Var<'t, T>,
    seed: Var<'t, T>,
    wanted: Wanted<'_>,
) -> Totals<Var<'t, T>> {
    let tape = from.tape();
    let _scope = tape.current_scope();
    finished(&Recorded { tape }, from, seed, wanted)
}

fn finished<'t, T: Scalar, S: Sweep<'t, T>>(
    kind: &S,
    from: Var<'t, T>,
    seed: S::Total,
    wanted: Wanted<'_>,
) -> Totals<S::Total> {
    let mut slots = kind.slots();
    slots.begin(from.id() as usize + 1);
    sweep(kind, from, seed, wanted, &mut slots);
    let kept = (0..slots.kept()).rev();
    let finish = |i: usize| {
        let (node, place) = slots.kept_at(i);
        (node, kind.finish(slots.sum(place), Var::new(from.tape(), node)))
    };
    let totals = kept.map(finish).collect();
    kind.give_back(slots);
    totals
}

/// Sweeps from `from` down, and keeps the sums of what is wanted in `slots`, which may hold sums to go on from.
fn sweep<'t, T: Scalar, S: Sweep<'t, T>>(
    kind: &S,
    from: Var<'t, T>,
    seed: S::Total,
    wanted: Wanted<'_>,
    slots: &mut Slots<S::Sum>,
) {
    let tape = from.tape();
    let reach = Reach::new(tape, wanted, from.id());
    if reach.contains(tape, from.id()) {
        kind.seed(slots.entry(from.id()), seed);
    }
    for node in (reach.lowest..=from.id()).rev() {
        let Some(place) = slots.turn(node) else { continue };
        let WayBack { edges, leaf, hands_on } = tape.way_back(node);
        let is_wanted = match wanted {
            Wanted::Leaves => leaf,
            Wanted::These(wanted) => wanted.binary_search(&node).is_ok(),
        };
        if is_wanted && matches!(wanted, Wanted::Leaves) && !kind.is_watched() {
            // Not finished: the sum of a region's input goes on outside.
            slots.keep(node, place);
            continue;
        }
        kind.turn(node);
        let total = kind.finish(slots.sum(place), Var::new(tape, node));
        slots.release(place);
        kind.watch(node, &total);
        if is_wanted {
            let place = slots.reserve();
            kind.seed(slots.sum(place), total.clone());
            slots.keep(node, place);
        }
        if hands_on {
            hand_on(kind, total, edges, tape, &reach, slots);
            continue;
        }
        // Here, and not where it is used: a value that a closure takes along is moved twice more.
        let cotangent = kind.cotangent(total);
        kind.ask(node, |op| {
            if let Some(region) = op.region() {
                return kind.replay(region, cotangent, &Inputs::of(tape, node, &reach), slots);
            }
            let site = Site::new(tape, node, cotangent);
            let mut next = reach.first(tape, edges.clone());
            while let Some((edge, input)) = next {
                next = reach.first(tape, edge + 1..edges.end);
                let (number, input) = (edge - edges.start, Var::new(tape, input));
                let term = op.vjp(number, &site).checked(op, number, input);
                kind.add(slots.entry(input.id()), term, input, cotangent, next.is_none());
            }
        });
    }
}

/// Gives a cotangent to every input as it is; the last one takes it.
#[inline]
fn hand_on<'t, T: Scalar, S: Sweep<'t, T>>(
    kind: &S,
    total: S::Total,
    edges: Range<usize>,
    tape: &'t Tape<T>,
    reach: &Reach,
    slots: &mut Slots<S::Sum>,
) {
    let Some((mut edge, mut input)) = reach.first(tape, edges.clone()) else { return };
    while let Some(next) = reach.first(tape, edge + 1..edges.end) {
        kind.hand_on(slots.entry(input), total.clone(), Var::new(tape, input));
        (edge, input) = next;
    }
    kind.hand_on(slots.entry(input), total, Var::new(tape, input));
}
