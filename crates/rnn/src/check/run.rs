//! What the check runs: a cell or a layer over a padded batch, from a first state that the check moves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var, parameters};

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
    /// One variable of the first state, `[B, H]`.
    pub(super) struct Part<P> {
        /// What is added to the module's own; `None` if it starts from its own.
        pub(super) part: Option<P>,
        /// Whether `part` takes the place of the module's own, which is so large that what is added to it is rounded away: -10³⁰, the
        /// mark of an empty memory.
        pub(super) replaces: bool,
        /// The name in the state.
        pub(super) name: String,
    }
}

/// What a run gives.
pub(super) struct Ran<'t, T: Scalar> {
    /// All that is checked.
    pub(super) values: Vec<Var<'t, T>>,
    /// Those of a layer, `[T, B, H]`. Of a cell, they are a part of the state.
    pub(super) outputs: Option<Var<'t, T>>,
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

    /// The variables of the module's own first state, by name.
    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<(String, Var<'t, T>)>;

    /// Runs the module over x, from its own first state and what the run adds to it.
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

    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<(String, Var<'t, T>)> {
        named(&module.initial(batch))
    }

    fn run<'t>(run: &Run<Var<'t, T>, M::With<Var<'t, T>>>, how: Unroll<'_>, then: Then) -> Ran<'t, T> {
        let blank = run.cell.initial(run.x.shape()[1]);
        let mut unrolled = how.run_from(&run.cell, run.x, plus(blank.clone(), &run.first_state));
        if then != Then::Stop {
            unrolled = how.run_from(&run.cell, run.x, state_to_go_on(unrolled.last, blank, then));
        }
        let last = parts(&unrolled.last).into_vec();
        Ran { values: unrolled.states.iter().flat_map(parts).collect(), outputs: None, last }
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

    fn first<'t>(module: &M::With<Var<'t, T>>, batch: usize) -> Vec<(String, Var<'t, T>)> {
        named(&module.initial_state(batch))
    }

    fn run<'t>(run: &Run<Var<'t, T>, M::With<Var<'t, T>>>, how: Unroll<'_>, then: Then) -> Ran<'t, T> {
        let blank = run.cell.initial_state(run.x.shape()[1]);
        let mut through = how.through_from(&run.cell, run.x, plus(blank.clone(), &run.first_state));
        if then != Then::Stop {
            through = how.through_from(&run.cell, run.x, state_to_go_on(through.last, blank, then));
        }
        let last = parts(&through.last).into_vec();
        let outputs = through.outputs;
        Ran { values: std::iter::once(outputs).chain(last.iter().copied()).collect(), outputs: Some(outputs), last }
    }

    fn pairs_up(module: &M::With<Var<'_, T>>, batch: usize) -> bool {
        pairs_up(&module.initial_state(batch))
    }
}

/// The variables of a state and their names.
fn named<'t, T: Scalar, S: State<'t, T>>(state: &S) -> Vec<(String, Var<'t, T>)> {
    state.part_names().into_iter().zip(parts(state)).collect()
}

/// The module's own first state with that which the check moves.
fn plus<'t, T: Scalar, S: State<'t, T>>(own: S, added: &[Part<Var<'t, T>>]) -> S {
    let mut added = added.iter();
    own.clone().zip(own, &mut |own, _| {
        let added = added.next().expect("one for each part");
        match added.part {
            Some(part) if added.replaces => part,
            Some(part) => own + part,
            None => own,
        }
    })
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
    /// The module at `[T, B, I]`; x and what is added to the first state are of this size. A variable of the first state that no value
    /// depends on, such as an output that is no input of the next step, stays as it is: its gradient is that of nothing. If no variable
    /// counts, all are moved: the report then says so.
    pub(super) fn sampled<K: Kind<T, M>>(module: &M, sizes: [usize; 3], size: f64, noise: Option<Noise>) -> Self {
        let mut stream = 100;
        let mut sample = |shape: &[usize]| {
            stream += 1;
            rewind_check::sample(shape, stream)
        };
        let size = T::from_f64(size);
        let x = sample(&sizes).map(|x| size * x);
        let tape = Tape::quiet();
        let first_state = K::first(&module.on(&tape), sizes[1]).into_iter().map(|(name, own)| Part {
            part: Some(sample(&own.shape()).map(|x| size * x)),
            replaces: own.value().to_vec().iter().any(|&own| own + T::ONE == own),
            name,
        });
        let first_state = first_state.collect();
        let zero = |p: &Tensor<T>| p.to_vec().iter().all(|&p| p == T::ZERO);
        let cell = module.map(|_, p| if zero(p) { sample(p.shape()) } else { p.clone() });
        let mut run = Run { cell, x, first_state };
        let unread: Vec<bool> = (0..run.first_state.len()).map(|part| run.is_unread::<K>(part, noise)).collect();
        if !unread.iter().all(|&unread| unread) {
            run.first_state.iter_mut().zip(unread).filter(|(_, unread)| *unread).for_each(|(part, _)| part.part = None);
        }
        run
    }

    /// Whether no value depends on a variable of the first state, however far that is moved.
    fn is_unread<K: Kind<T, M>>(&self, part: usize, noise: Option<Noise>) -> bool {
        // What panics is found by the check, which reports it.
        let values = |run: &Self| catch_unwind(AssertUnwindSafe(|| run.values::<K>(noise, Then::Stop))).ok();
        let Some(here) = values(self) else { return false };
        [1.0, 4.0, 0.1, 30.0].into_iter().enumerate().all(|(stream, far)| {
            let mut moved = self.map(|_, p| p.clone());
            let elsewhere = |p: &Tensor<T>| rewind_check::sample::<T>(p.shape(), 900 + stream as u64);
            let part = &mut moved.first_state[part].part;
            *part = part.as_ref().map(|p| elsewhere(p).map(|x| T::from_f64(far) * x));
            values(&moved).is_some_and(|there| same_bits(&here, &there))
        })
    }

    /// The same from the module's own first state.
    pub(super) fn at_its_own_state(mut self) -> Self {
        self.first_state.iter_mut().for_each(|part| part.part = None);
        self
    }

    /// What is moved of the first state.
    pub(super) fn moved_parts(&self) -> impl Iterator<Item = &Tensor<T>> {
        self.first_state.iter().filter_map(|part| part.part.as_ref())
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

/// Whether all elements are the same, NaN included.
pub(super) fn same_bits<T: Scalar>(a: &[Tensor<T>], b: &[Tensor<T>]) -> bool {
    let same = |(a, b): (T, T)| a == b || a.to_f64().is_nan() && b.to_f64().is_nan();
    let tensors = |(a, b): (&Tensor<T>, &Tensor<T>)| a.to_vec().into_iter().zip(b.to_vec()).all(same);
    a.len() == b.len() && a.iter().zip(b).all(tensors)
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
