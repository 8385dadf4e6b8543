//! What the check runs: a cell or a layer over a padded batch, from a first state that the check moves.

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var, parameters};

use crate::cell::{Cell, State, parts, with_parts};
use crate::noise::Noise;
use crate::time::{Layer, Unroll};

parameters! {
    /// The inputs of the check.
    pub(super) struct Run<P, M> {
        #[module]
        pub(super) cell: M,
        pub(super) x: P,
        pub(super) first_state: Vec<Part<P>>,
    }
}

parameters! {
    /// The value that is added to one variable of the first state, `[B, H]`.
    pub(super) struct Part<P> { pub(super) part: P }
}

/// What a run gives.
pub(super) struct Ran<'t, T: Scalar> {
    /// All that is checked.
    pub(super) values: Vec<Var<'t, T>>,
    /// The variables of the last state.
    pub(super) last: Vec<Var<'t, T>>,
}

/// Whether a run goes on from its last state, over the same x.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Then {
    Stop,
    GoOn,
    /// From a state that is put together again from the variables that `zip` visits.
    GoOnRebuilt,
}

/// Cells or layers.
pub(super) trait Kind<T: Scalar, M: Module<T>> {
    /// Its name in messages.
    const NAME: &'static str;

    /// The variables of the module's own first state.
    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<Var<'t, T>>;

    /// Runs the module over x, from its own first state plus `added`.
    fn run<'t>(run: &Run<Var<'t, T>, M::With<Var<'t, T>>>, how: Unroll<'_>, then: Then) -> Ran<'t, T>;

    /// Whether `zip` applies its function to corresponding variables of two states.
    fn pairs_up(module: &M::With<Var<'_, T>>, batch: usize) -> bool;
}

/// A cell: the value is the state after every step.
pub(super) enum Cells {}

impl<T: Scalar, M: Module<T>> Kind<T, M> for Cells
where
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    const NAME: &'static str = "cell";

    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<Var<'t, T>> {
        parts(&module.initial(batch)).into_vec()
    }

    fn run<'t>(run: &Run<Var<'t, T>, M::With<Var<'t, T>>>, how: Unroll<'_>, then: Then) -> Ran<'t, T> {
        let blank = run.cell.initial(run.x.shape()[1]);
        let mut unrolled = how.run_from(&run.cell, run.x, plus(blank.clone(), &run.first_state));
        if then != Then::Stop {
            unrolled = how.run_from(&run.cell, run.x, state_to_go_on(unrolled.last, blank, then));
        }
        let last = parts(&unrolled.last).into_vec();
        Ran { values: unrolled.states.iter().flat_map(parts).collect(), last }
    }

    fn pairs_up(module: &M::With<Var<'_, T>>, batch: usize) -> bool {
        pairs_up(&module.initial(batch))
    }
}

/// A layer: the value is the outputs and the last state.
pub(super) enum Layers {}

impl<T: Scalar, M: Module<T>> Kind<T, M> for Layers
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    const NAME: &'static str = "layer";

    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<Var<'t, T>> {
        parts(&module.initial_state(batch)).into_vec()
    }

    fn run<'t>(run: &Run<Var<'t, T>, M::With<Var<'t, T>>>, how: Unroll<'_>, then: Then) -> Ran<'t, T> {
        let blank = run.cell.initial_state(run.x.shape()[1]);
        let mut through = how.through_from(&run.cell, run.x, plus(blank.clone(), &run.first_state));
        if then != Then::Stop {
            through = how.through_from(&run.cell, run.x, state_to_go_on(through.last, blank, then));
        }
        let last = parts(&through.last).into_vec();
        Ran { values: std::iter::once(through.outputs).chain(last.iter().copied()).collect(), last }
    }

    fn pairs_up(module: &M::With<Var<'_, T>>, batch: usize) -> bool {
        pairs_up(&module.initial_state(batch))
    }
}

/// The module's own first state plus that which the check moves.
fn plus<'t, T: Scalar, S: State<'t, T>>(own: S, added: &[Part<Var<'t, T>>]) -> S {
    let mut added = added.iter();
    own.clone().zip(own, &mut |part, _| part + added.next().expect("one for each part").part)
}

fn state_to_go_on<'t, T: Scalar, S: State<'t, T>>(last: S, blank: S, then: Then) -> S {
    if then == Then::GoOn {
        return last;
    }
    with_parts(blank, &parts(&last))
}

fn pairs_up<'t, T: Scalar, S: State<'t, T>>(state: &S) -> bool {
    let mut same = true;
    state.clone().zip(state.clone(), &mut |a, b| {
        same &= a.position() == b.position();
        a
    });
    same
}

impl<T: Scalar, M: Module<T>> Run<Tensor<T>, M> {
    /// The module at `[T, B, I]`; x and what is added to the first state are of this size.
    pub(super) fn sampled<K: Kind<T, M>>(module: &M, sizes: [usize; 3], size: f64) -> Self {
        let mut stream = 100;
        let mut sample = |shape: &[usize]| {
            stream += 1;
            rewind_check::sample(shape, stream)
        };
        let size = T::from_f64(size);
        let x = sample(&sizes).map(|x| size * x);
        let tape = Tape::quiet();
        let first = K::first(&module.on(&tape), sizes[1]);
        let first_state = first.into_iter().map(|v| Part { part: sample(&v.shape()).map(|x| size * x) }).collect();
        let zero = |p: &Tensor<T>| p.to_vec().iter().all(|&p| p == T::ZERO);
        let cell = module.map(|_, p| if zero(p) { sample(p.shape()) } else { p.clone() });
        Run { cell, x, first_state }
    }

    /// The values of a run on a tape of its own.
    pub(super) fn values<K: Kind<T, M>>(&self, noise: Option<Noise>, then: Then) -> Vec<Tensor<T>> {
        let tape = Tape::quiet();
        let ran = K::run(&self.on(&tape), how(&self.lengths(), noise), then);
        ran.values.iter().map(|v| v.value()).collect()
    }

    /// Different lengths, up to all steps.
    pub(super) fn lengths(&self) -> Vec<usize> {
        lengths(self.x.shape())
    }
}

/// Different lengths, up to all steps, for an input `[T, B, I]`.
pub(super) fn lengths(shape: &[usize]) -> Vec<usize> {
    (0..shape[1]).map(|b| shape[0] - b % shape[0]).collect()
}

pub(super) fn how(lengths: &[usize], noise: Option<Noise>) -> Unroll<'_> {
    Unroll { noise, ..Unroll::new().lengths(lengths) }
}

/// All elements of some variables, in one row.
pub(super) fn row<'t, T: Scalar>(vars: Vec<Var<'t, T>>) -> Var<'t, T> {
    let rows: Vec<_> = vars.into_iter().map(|part| part.reshape(&[part.element_count()])).collect();
    concat(&rows, 0)
}
