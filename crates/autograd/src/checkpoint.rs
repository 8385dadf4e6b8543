//! Functions that are recomputed in the sweep instead of being recorded (Griewank and Walther 2000; Chen et al. 2016).

use std::any::Any;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::graph::Reads;
use crate::op::{Op, Site, Term};
use crate::sums::Sum;
use crate::tape::{Mode, Tape, Var};
use crate::{Scalar, Tensor};

/// y = f(inputs), recomputed in the sweep: the tape stores the inputs and the result only, and the sweep runs f again
/// when it reaches this node.
///
/// A sequence in segments of √T steps, each a checkpoint, needs memory for √T results and one segment; f is computed
/// twice. The gradients have the same bits as without the checkpoint, unless f returns one of its inputs. At higher orders (with [`grad`](Var::grad)), f
/// runs again on the tape itself, so every order works; there, sums may differ in rounding.
///
/// f must compute the same result at every call, from `inputs` alone, and cannot call [`grad`](Var::grad). It cannot use other variables, since it may run
/// on another tape.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, checkpoint};
/// let tape = Tape::new();
/// let w = tape.leaf(Tensor::scalar(0.5));
/// let mut h = tape.leaf(Tensor::scalar(1.0));
/// for _segment in 0..10 {
///     h = checkpoint(&[w, h], |_tape, v| (0..10).fold(v[1], |h, _| (h * v[0]).tanh()));
/// }
/// assert_eq!(tape.len(), 12); // a hundred steps, of which ten are stored
/// h.backward().get(w);
/// ```
///
/// # Panics
/// If there is no input, or the inputs live on different tapes.
#[track_caller]
pub fn checkpoint<'t, T, F>(inputs: &[Var<'t, T>], f: F) -> Var<'t, T>
where
    T: Scalar,
    F: for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T> + Send + Sync + 'static,
{
    let Some(first) = inputs.first() else { panic!("checkpoint: no input given; expected one at least") };
    first.tape().apply(Checkpoint(Arc::new(f)), inputs)
}

/// A function of variables, on any tape.
type Function<T> = dyn for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T> + Send + Sync;

/// y = f(inputs); x̄ = ȳ·∂f/∂x, by a sweep over f, run again.
#[derive(Clone)]
pub(crate) struct Checkpoint<T: Scalar>(Arc<Function<T>>);

/// Something for each of some nodes, by position, ascending. No allocation for the parameters of a cell.
pub(crate) type ByNode<X> = SmallVec<[(u32, X); 8]>;

/// An input of a node, and the place of its sum if it needs a cotangent.
pub(crate) type Input<'t, T> = (Var<'t, T>, Option<usize>);

/// Variables that stand in for a checkpoint's inputs.
type StandIns<'s, T> = SmallVec<[Var<'s, T>; 8]>;

impl<T: Scalar> Checkpoint<T> {
    /// `op`, if it is a checkpoint.
    #[inline]
    pub(crate) fn of(op: &dyn Op<T>) -> Option<&Self> {
        (op as &dyn Any).downcast_ref()
    }

    /// Runs the function at `inputs`, which live on `tape`.
    pub(crate) fn run<'s>(&self, tape: &'s Tape<T>, inputs: &[Var<'s, T>]) -> Var<'s, T> {
        let y = (self.0)(tape, inputs);
        assert!(std::ptr::eq(y.tape(), tape), "checkpoint: the result lives on another tape than the inputs");
        y
    }

    /// First order: runs f on a tape of its own, and `sweep` sweeps it; it returns the places of the sums of its leaves. The sums of
    /// `inputs`, which stand at these places, move into that sweep and back, so the same terms are added in the same order as if
    /// f had been recorded.
    #[cold]
    pub(crate) fn replay_values(
        &self,
        inputs: &[Input<'_, T>],
        sums: &mut [Sum<T>],
        sweep: impl FnOnce(Var<'_, T>, &mut Vec<Sum<T>>) -> ByNode<usize>,
    ) {
        let Some((first, _)) = inputs.first() else { return };
        let mut tape = first.tape().inner.take().unwrap_or_default();
        let mut own = tape.sums.take();
        {
            let vars = stand_ins(inputs, |v| tape.leaf(v.value()), |v| tape.constant(v.value()));
            let y = self.run(&tape, &vars);
            own.resize_with(own.len().max(tape.len()), Sum::default);
            // Inputs behind the result are none of its: f may give one of its inputs back.
            let reached = reached(&vars, inputs);
            for &(var, place) in reached.iter().filter(|(var, _)| *var <= y.id()) {
                std::mem::swap(&mut own[var as usize], &mut sums[place]);
            }
            for (leaf, place) in sweep(y, &mut own) {
                let sum = std::mem::take(&mut own[place]);
                // Nobody can ask for the gradient of a leaf that f has made.
                if let Ok(k) = reached.binary_search_by_key(&leaf, |(var, _)| *var) {
                    sums[reached[k].1] = sum;
                }
            }
        }
        tape.sums.set(own);
        tape.clear();
        first.tape().inner.set(Some(tape));
    }

    /// Recorded: runs f on the tape itself, at aliases of the inputs, and `sweep` returns the gradients of the result with
    /// respect to the variables at some positions. Returns the gradients with the places of their inputs.
    #[cold]
    pub(crate) fn replay_recorded<'t>(
        &self,
        inputs: &[Input<'t, T>],
        sweep: impl FnOnce(Var<'t, T>, &[u32]) -> ByNode<Var<'t, T>>,
    ) -> Vec<(usize, Var<'t, T>)> {
        let Some((first, _)) = inputs.first() else { return Vec::new() };
        let vars = stand_ins(inputs, alias, |v| v);
        let y = self.run(first.tape(), &vars);
        let reached = reached(&vars, inputs);
        let gradients = sweep(y, &reached.iter().map(|(var, _)| *var).collect::<Vec<_>>());
        // Both are in the order of positions; nothing may flow to some.
        let mut gradients = gradients.into_iter().peekable();
        let gradient = |&(var, place): &(u32, usize)| Some((place, gradients.next_if(|(of, _)| *of == var)?.1));
        reached.iter().filter_map(gradient).collect()
    }
}

/// A variable for each input, made by `reached` if a gradient flows to the input, else by `other`. Inputs that are the
/// same variable share one.
fn stand_ins<'t, 's, T: Scalar>(
    inputs: &[Input<'t, T>],
    reached: impl Fn(Var<'t, T>) -> Var<'s, T>,
    other: impl Fn(Var<'t, T>) -> Var<'s, T>,
) -> StandIns<'s, T> {
    let mut vars = StandIns::new();
    for (k, &(input, place)) in inputs.iter().enumerate() {
        vars.push(match inputs[..k].iter().position(|(earlier, _)| earlier.id() == input.id()) {
            Some(earlier) => vars[earlier],
            None if place.is_some() => reached(input),
            None => other(input),
        });
    }
    vars
}

/// The variables to which a gradient flows, with the places of their inputs: by position, each once.
fn reached<T: Scalar>(vars: &StandIns<'_, T>, inputs: &[Input<'_, T>]) -> ByNode<usize> {
    let place_of = |(var, input): (&Var<'_, T>, &Input<'_, T>)| Some((var.id(), input.1?));
    let mut reached: ByNode<usize> = vars.iter().zip(inputs).filter_map(place_of).collect();
    reached.sort_unstable();
    reached.dedup();
    reached
}

/// The same value at a new position, at which a sweep can stop.
fn alias<T: Scalar>(x: Var<'_, T>) -> Var<'_, T> {
    x.reshape(&x.shape())
}

impl<T: Scalar> Op<T> for Checkpoint<T> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let tape = Tape::quiet();
        let vars: Vec<_> = inputs.iter().map(|&x| tape.constant(x.clone())).collect();
        self.run(&tape, &vars).value()
    }
    /// The rule for one input. The sweep does not call it: it runs f again once for all inputs.
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let inputs: Vec<_> = (0..at.arity()).map(|i| at.input(i)).collect();
        if at.tape().mode.get() == Mode::Recording {
            let own: Vec<_> = inputs.iter().map(|&x| alias(x)).collect();
            return Term::Dense(self.run(at.tape(), &own).grad_from(at.cotangent(), &[own[input]])[0]);
        }
        let tape = Tape::new();
        let own: Vec<_> = inputs.iter().map(|x| tape.leaf(x.value())).collect();
        let gradients = self.run(&tape, &own).backward_from(&at.cotangent().value());
        Term::Dense(at.tape().constant(gradients.get(own[input])))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}
