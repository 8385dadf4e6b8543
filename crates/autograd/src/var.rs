//! The handle that programs compute with, and the gradients they ask it for.

use std::fmt;

use crate::gradients::Gradients;
use crate::shape::{Shape, copied, element_count, mismatch, same};
use crate::sweep::{Wanted, sweep_recorded, sweep_values, sweep_watched};
use crate::tape::Tape;
use crate::{Scalar, Tensor};

/// A value on a tape: a tape reference and a position. `Copy`, so formulas read as formulas.
///
/// A variable cannot outlive its tape:
///
/// ```compile_fail,E0597
/// use rewind_autograd::{Tape, Tensor};
/// let x = {
///     let tape = Tape::new();
///     tape.leaf(Tensor::scalar(1.0))
/// };
/// x.value();
/// ```
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// let tape = Tape::new();
/// let [f, c, i, g] = [0.5, 2.0, 0.25, 1.0].map(|x| tape.leaf(Tensor::scalar(x)));
/// let next = f * c + i * g;
/// assert_eq!(next.value().item(), 1.25);
/// ```
pub struct Var<'t, T: Scalar> {
    tape: &'t Tape<T>,
    index: u32,
}

impl<T: Scalar> Clone for Var<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Scalar> Copy for Var<'_, T> {}

impl<'t, T: Scalar> Var<'t, T> {
    #[inline]
    pub(crate) fn new(tape: &'t Tape<T>, index: u32) -> Self {
        Var { tape, index }
    }

    /// The tape that this variable lives on.
    #[inline]
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// Its position on the tape.
    pub fn position(self) -> usize {
        self.index as usize
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.index
    }

    /// The value; no numbers are copied.
    pub fn value(self) -> Tensor<T> {
        self.tape.value_of(self.index)
    }

    /// The length of every axis.
    #[inline]
    pub fn shape(self) -> Shape {
        self.tape.with_shape(self.index, copied)
    }

    /// Whether the axes have these lengths.
    #[inline]
    pub fn has_shape(self, shape: &[usize]) -> bool {
        self.with_shape(|own| same(own, shape))
    }

    /// Calls `f` with the lengths of the axes, where no copy of them is needed.
    #[inline]
    #[track_caller]
    pub(crate) fn with_shape<R>(self, f: impl FnOnce(&[usize]) -> R) -> R {
        self.tape.with_shape(self.index, f)
    }

    /// Calls `f` with the lengths of this variable's axes and of `other`'s, which may live on another tape.
    #[inline]
    pub(crate) fn with_shapes<R>(self, other: Self, f: impl FnOnce(&[usize], &[usize]) -> R) -> R {
        if std::ptr::eq(self.tape, other.tape) {
            self.tape.with_shapes([self.index, other.index], f)
        } else {
            self.with_shape(|own| other.with_shape(|other| f(own, other)))
        }
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.tape.with_shape(self.index, <[usize]>::len)
    }

    /// The number of elements.
    pub fn element_count(self) -> usize {
        self.tape.with_shape(self.index, element_count)
    }

    /// Whether a gradient may flow through this variable.
    pub fn is_tracked(self) -> bool {
        self.tape.is_tracked(self.index)
    }

    /// The same value as a constant: no gradient flows back through it.
    #[track_caller]
    pub fn detach(self) -> Var<'t, T> {
        self.tape.constant(self.value())
    }

    /// The gradients of this scalar with respect to every leaf.
    ///
    /// # Panics
    /// If this variable holds more than one number: then [`backward_from`](Var::backward_from) needs a seed. If the tape
    /// is [quiet](Tape::quiet).
    #[track_caller]
    pub fn backward(self) -> Gradients<'t, T> {
        self.check_scalar("backward", "backward_from");
        self.backward_from(&Tensor::full(&self.shape(), T::ONE))
    }

    /// The vector-Jacobian product with `seed`, ∂(Σ seed·self)/∂leaf for every leaf.
    ///
    /// # Panics
    /// If the seed has another shape than this variable, or the tape is quiet.
    #[track_caller]
    pub fn backward_from(self, seed: &Tensor<T>) -> Gradients<'t, T> {
        self.check_seed("backward_from", seed.shape());
        let totals = sweep_values(self, seed.clone(), Wanted::Leaves);
        Gradients::of_leaves(self.tape, totals)
    }

    /// [`backward`](Var::backward), with `watch` called for the cotangent of every variable that a gradient flows through,
    /// when it is complete: from the result to the leaves, in the reverse order of recording, the same at every run. What
    /// should *change* a cotangent is [`map_cotangent`](Var::map_cotangent).
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::scalar(1.0));
    /// for t in 0..3 {
    ///     let _step = tape.numbered_scope("t", t);
    ///     h = h * 0.5;
    /// }
    /// let mut seen = Vec::new();
    /// h.backward_watched(|v, cotangent| seen.push((v.scope(), cotangent.norm())));
    /// assert_eq!(seen[0], ("t=2".to_owned(), 1.0));
    /// assert_eq!(seen[2], ("t=0".to_owned(), 0.25)); // ∂L/∂h_0: it vanishes
    /// ```
    ///
    /// # Panics
    /// As [`backward`](Var::backward).
    #[track_caller]
    pub fn backward_watched(self, mut watch: impl FnMut(Var<'t, T>, &Tensor<T>)) -> Gradients<'t, T> {
        self.check_scalar("backward_watched", "backward_from");
        let seed = Tensor::full(&self.shape(), T::ONE);
        let watch = |node, total: &_| watch(Var::new(self.tape, node), total);
        Gradients::of_leaves(self.tape, sweep_watched(self, seed, Wanted::Leaves, watch))
    }

    /// The gradients of this scalar with respect to `wrt`, which may be any variables of the tape: the hidden state at
    /// every time step, say.
    ///
    /// # Panics
    /// If this variable holds more than one number, a variable of `wrt` lives on another tape or is a constant, or the tape is
    /// quiet.
    #[track_caller]
    pub fn backward_to(self, wrt: &[Var<'t, T>]) -> Gradients<'t, T> {
        self.check_scalar("backward_to", "backward_from");
        let wanted = ascending(self.positions("backward_to", wrt));
        let totals = sweep_values(self, Tensor::full(&self.shape(), T::ONE), Wanted::These(&wanted));
        Gradients::of_some(self.tape, wanted, totals)
    }

    /// The gradients of this scalar with respect to `wrt`, recorded on the tape so that they can be differentiated
    /// again.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(2.0));
    /// let first = (x * x * x).grad(&[x])[0];
    /// let second = first.grad(&[x])[0];
    /// assert_eq!((first.value().item(), second.value().item()), (12.0, 12.0));
    /// ```
    ///
    /// # Panics
    /// If this variable holds more than one number, a variable of `wrt` lives on another tape or is a constant, or the tape is
    /// quiet.
    #[track_caller]
    pub fn grad(self, wrt: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.check_scalar("grad", "grad_from");
        self.positions("grad", wrt);
        self.grad_from(self.tape.constant(Tensor::full(&self.shape(), T::ONE)), wrt)
    }

    /// The vector-Jacobian product with `seed`, recorded: differentiable in the inputs and in the seed.
    ///
    /// # Panics
    /// If the seed has another shape than this variable, a variable lives on another tape, one of `wrt` is a constant, or the
    /// tape is quiet.
    #[track_caller]
    pub fn grad_from(self, seed: Var<'t, T>, wrt: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.check_seed("grad_from", &seed.shape());
        if !std::ptr::eq(seed.tape, self.tape) {
            panic!("grad_from: the seed lives on another tape than this one");
        }
        let wanted = ascending(self.positions("grad_from", wrt));
        let totals = sweep_recorded(self, seed, Wanted::These(&wanted));
        let total = |v: &Var<'t, T>| totals.iter().find(|(node, _)| *node == v.index).map(|(_, total)| *total);
        wrt.iter().map(|v| total(v).unwrap_or_else(|| self.tape.zeros(&v.shape()))).collect()
    }

    /// What to do about a constant that a gradient is wanted for.
    #[cold]
    pub(crate) fn how_to_track(self) -> &'static str {
        "No gradient flows to it, nor to what is computed from constants alone; record what it depends on with `Tape::leaf`"
    }

    /// A quiet tape would answer 0 to everything.
    #[track_caller]
    pub(crate) fn check_recorded(self, op: &str) {
        if self.tape.records_nothing() {
            panic!("{op}: the tape is quiet and keeps no record to read backwards");
        }
    }

    #[track_caller]
    fn check_scalar(self, op: &str, with_seed: &str) {
        self.check_recorded(op);
        if self.element_count() != 1 {
            panic!("{op}: shape {:?} is not a scalar; {with_seed} takes a seed of that shape", self.shape().as_slice());
        }
    }

    #[track_caller]
    fn check_seed(self, op: &str, seed: &[usize]) {
        self.check_recorded(op);
        if seed != self.shape().as_slice() {
            mismatch(op, &[seed, &self.shape()], "a seed of the variable's shape");
        }
    }

    #[track_caller]
    fn positions(self, op: &str, vars: &[Var<'t, T>]) -> Vec<u32> {
        for (i, v) in vars.iter().enumerate() {
            if !std::ptr::eq(v.tape, self.tape) {
                panic!("{op}: variable {i} lives on another tape than this one");
            }
            if !v.is_tracked() {
                panic!("{op}: variable {i}, {v:?}, is a constant. {}", v.how_to_track());
            }
        }
        vars.iter().map(|v| v.index).collect()
    }
}

/// Positions in ascending order, each once.
fn ascending(mut positions: Vec<u32>) -> Vec<u32> {
    positions.sort_unstable();
    positions.dedup();
    positions
}

impl<T: Scalar> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.tape.node(self.position());
        write!(f, "Var #{} {} {:?}", self.index, node.name, node.value)
    }
}
