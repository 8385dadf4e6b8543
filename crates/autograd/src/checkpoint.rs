//! Regions of a computation that are run again instead of being remembered (Griewank and Walther 2000; Chen et al. 2016).

use crate::tape::Tape;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// A function of variables, on whatever tape they live: what a [`checkpoint`] keeps instead of values.
#[doc(hidden)]
pub trait Region<T: Scalar> {
    /// The function of `inputs`, which live on `tape`.
    fn run<'t>(&self, tape: &'t Tape<T>, inputs: &[Var<'t, T>]) -> Var<'t, T>;
}

/// y = f(inputs), of which only the inputs and the result are kept: the sweep runs f again when its turn comes.
///
/// A sequence in segments of √T steps, each a checkpoint, is read backwards with memory for √T results and one segment; f
/// is computed twice. The same bits come out as without the checkpoint. Differentiated again (with [`grad`](Var::grad)), f
/// is run again on the tape itself, so every order works; there, the sums may differ in rounding.
///
/// f must compute the same thing at every call, from `inputs` alone: no other variable can be used in it, since its tape
/// is not that of the inputs.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, checkpoint};
/// let tape = Tape::new();
/// let w = tape.leaf(Tensor::scalar(0.5));
/// let mut h = tape.leaf(Tensor::scalar(1.0));
/// for _segment in 0..10 {
///     h = checkpoint(&[w, h], |_tape, v| (0..10).fold(v[1], |h, _| (h * v[0]).tanh()));
/// }
/// assert_eq!(tape.len(), 12); // a hundred steps, of which ten are kept
/// h.backward().get(w);
/// ```
///
/// # Panics
/// If there is no input, or they do not live on one tape.
#[track_caller]
pub fn checkpoint<'t, T, F>(inputs: &[Var<'t, T>], f: F) -> Var<'t, T>
where
    T: Scalar,
    F: for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T> + Send + 'static,
{
    let Some(first) = inputs.first() else { panic!("checkpoint: no input given; expected one at least") };
    first.tape().apply(Checkpoint(f), inputs)
}

/// The same value under another position: a place at which a sweep can stop.
pub(crate) fn alias<T: Scalar>(x: Var<'_, T>) -> Var<'_, T> {
    x.reshape(&x.shape())
}

/// y = f(inputs); x̄ = ȳ·∂f/∂x, by a sweep over f, run again.
struct Checkpoint<F>(F);

impl<T, F> Region<T> for Checkpoint<F>
where
    T: Scalar,
    F: for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T> + Send + 'static,
{
    fn run<'t>(&self, tape: &'t Tape<T>, inputs: &[Var<'t, T>]) -> Var<'t, T> {
        let y = (self.0)(tape, inputs);
        assert!(std::ptr::eq(y.tape(), tape), "checkpoint: the result lives on another tape than the inputs");
        y
    }
}

impl<T, F> Op<T> for Checkpoint<F>
where
    T: Scalar,
    F: for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T> + Send + 'static,
{
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let tape = Tape::quiet();
        let vars: Vec<_> = inputs.iter().map(|&x| tape.constant(x.clone())).collect();
        self.run(&tape, &vars).value()
    }
    /// One input alone. The sweep asks for all of them at once, by [`region`](Op::region).
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let inputs: Vec<_> = (0..at.arity()).map(|i| at.input(i)).collect();
        if !at.tape().records_nothing() {
            let own: Vec<_> = inputs.iter().map(|&x| alias(x)).collect();
            return Term::dense(self.run(at.tape(), &own).grad_from(at.cotangent(), &[own[input]])[0]);
        }
        let tape = Tape::new();
        let own: Vec<_> = inputs.iter().map(|x| tape.leaf(x.value())).collect();
        let gradients = self.run(&tape, &own).backward_from(&at.cotangent().value());
        Term::dense(at.tape().constant(gradients.get(own[input])))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
    fn region(&self) -> Option<&dyn Region<T>> {
        Some(self)
    }
}
