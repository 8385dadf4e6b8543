//! The entry points of differentiation: gradients as values, or recorded so that they can be differentiated again.

use crate::checkpoint::ByNode;
use crate::parameters::Parameters;
use crate::shape::mismatch;
use crate::sweep::{sweep_recorded, sweep_values};
use crate::tape::{Mode, Tape, Var};
use crate::{Scalar, Tensor};

impl<'t, T: Scalar> Var<'t, T> {
    /// The gradients of this scalar with respect to every leaf.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let (x, y) = (tape.leaf(Tensor::scalar(3.0)), tape.leaf(Tensor::scalar(4.0)));
    /// let gradients = (x * y * y).backward();
    /// assert_eq!((gradients.get(x).item(), gradients.get(y).item()), (16.0, 24.0));
    /// ```
    ///
    /// # Panics
    /// If this variable has more than one element: then [`backward_from`](Var::backward_from) needs a seed. If the tape
    /// is [quiet](Tape::quiet).
    #[track_caller]
    pub fn backward(self) -> Gradients<'t, T> {
        self.sweep("backward", None, None)
    }

    /// The vector-Jacobian product with `seed`, ∂(Σ seed·self)/∂leaf for every leaf.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0], &[2]));
    /// let seed = Tensor::from_vec(vec![1.0, 10.0], &[2]);
    /// assert_eq!((x * x).backward_from(&seed).get(x).to_vec(), [2.0, -60.0]);
    /// ```
    ///
    /// # Panics
    /// If the seed has another shape than this variable, or the tape is quiet.
    #[track_caller]
    pub fn backward_from(self, seed: &Tensor<T>) -> Gradients<'t, T> {
        self.sweep("backward_from", Some(seed), None)
    }

    /// The gradients of this scalar with respect to `wrt`, which may be any variables of the tape: the hidden state at
    /// every time step, say.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(3.0));
    /// let h = x * 2.0; // no leaf
    /// let gradients = (h * h).backward_to(&[h]);
    /// assert_eq!(gradients.get(h).item(), 12.0);
    /// ```
    ///
    /// # Panics
    /// If this variable has more than one element, a variable of `wrt` lives on another tape or is a constant, or the tape is
    /// quiet.
    #[track_caller]
    pub fn backward_to(self, wrt: &[Var<'t, T>]) -> Gradients<'t, T> {
        self.sweep("backward_to", None, Some(wrt))
    }

    /// The vector-Jacobian product with `seed`, with respect to `wrt`, which may be any variables of the tape.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![1.0, 3.0], &[2]));
    /// let h = x * x;
    /// let gradients = (h * 2.0).backward_from_to(&Tensor::from_vec(vec![1.0, 0.5], &[2]), &[h]);
    /// assert_eq!(gradients.get(h).to_vec(), [2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the seed has another shape than this variable, a variable of `wrt` lives on another tape or is a constant, or the tape is
    /// quiet.
    #[track_caller]
    pub fn backward_from_to(self, seed: &Tensor<T>, wrt: &[Var<'t, T>]) -> Gradients<'t, T> {
        self.sweep("backward_from_to", Some(seed), Some(wrt))
    }

    /// The gradients of every leaf, or of `wrt`. The seed is 1 if none is given.
    #[track_caller]
    pub(crate) fn sweep(self, op: &str, seed: Option<&Tensor<T>>, wrt: Option<&[Var<'t, T>]>) -> Gradients<'t, T> {
        let positions = self.check(op, seed.map(Tensor::shape), wrt.unwrap_or_default());
        let wanted = wrt.map(|_| positions);
        let seed = seed.map_or_else(|| Tensor::full(&self.shape(), T::ONE), Tensor::clone);
        Gradients { tape: self.tape(), totals: sweep_values(self, seed, wanted.as_deref()), wanted }
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
    /// If this variable has more than one element, a variable of `wrt` lives on another tape or is a constant, or the tape is
    /// quiet.
    #[track_caller]
    pub fn grad(self, wrt: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.sweep_recorded("grad", None, wrt)
    }

    /// The vector-Jacobian product with `seed`, recorded: differentiable in the inputs and in the seed.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0], &[2]));
    /// let seed = tape.leaf(Tensor::from_vec(vec![1.0, 10.0], &[2]));
    /// let [vjp] = (x * x).grad_from(seed, &[x])[..] else { unreachable!() };
    /// assert_eq!(vjp.value().to_vec(), [2.0, -60.0]);
    /// assert_eq!(vjp.sum().backward().get(seed).to_vec(), [2.0, -6.0]); // linear in the seed
    /// ```
    ///
    /// # Panics
    /// If the seed has another shape than this variable, a variable lives on another tape, one of `wrt` is a constant, or the
    /// tape is quiet.
    #[track_caller]
    pub fn grad_from(self, seed: Var<'t, T>, wrt: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        self.sweep_recorded("grad_from", Some(seed), wrt)
    }

    #[track_caller]
    fn sweep_recorded(self, op: &str, seed: Option<Var<'t, T>>, wrt: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        let wanted = self.check(op, seed.map(Var::shape).as_deref(), wrt);
        if seed.is_some_and(|seed| !std::ptr::eq(seed.tape(), self.tape())) {
            panic!("{op}: the seed lives on another tape than this one");
        }
        let seed = seed.unwrap_or_else(|| self.tape().constant(Tensor::full(&self.shape(), T::ONE)));
        let totals = sweep_recorded(self, seed, &wanted);
        wrt.iter().map(|v| find(&totals, *v).copied().unwrap_or_else(|| self.tape().zeros(&v.shape()))).collect()
    }

    /// Refuses a tape that records nothing, on which every gradient would be 0.
    #[track_caller]
    pub(crate) fn check_recorded(self, op: &str) {
        match self.tape().mode.get() {
            Mode::Recording => {}
            Mode::Quiet => panic!("{op}: the tape is quiet and keeps no record to read backwards"),
            Mode::Sweeping => {
                panic!("{op}: a sweep over this tape is under way; a rule gives its term and sweeps nothing")
            }
        }
    }

    /// Checks what a sweep is asked for: a seed of this variable's shape, or none for a scalar, and variables of this tape that
    /// gradients flow to. Returns the positions of `wrt`, ascending, each once.
    #[track_caller]
    fn check(self, op: &str, seed: Option<&[usize]>, wrt: &[Var<'t, T>]) -> Vec<u32> {
        self.check_recorded(op);
        let shape = self.shape();
        match seed {
            Some(seed) if !shape.eq(seed) => mismatch(op, &[seed, &shape], "a seed of the variable's shape"),
            None if self.element_count() != 1 => {
                let with_seed = if op == "grad" { "grad_from" } else { "backward_from" };
                panic!("{op}: shape {:?} is not a scalar; {with_seed} takes a seed of that shape", shape.as_slice());
            }
            _ => {}
        }
        for (i, v) in wrt.iter().enumerate() {
            if !std::ptr::eq(v.tape(), self.tape()) {
                panic!("{op}: variable {i} lives on another tape than this one");
            }
            if !v.is_tracked() {
                panic!("{op}: variable {i}, {v:?}, is a constant. {HOW_TO_TRACK}");
            }
        }
        let mut positions: Vec<u32> = wrt.iter().map(|v| v.id()).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// Advice for a constant that a gradient was requested for.
pub(crate) const HOW_TO_TRACK: &str = "No gradient flows to it, nor to what is computed from constants alone; record what it depends on with `Tape::leaf`";

/// The result of a sweep for `v`.
fn find<'a, T: Scalar, X>(totals: &'a ByNode<X>, v: Var<'_, T>) -> Option<&'a X> {
    let place = totals.binary_search_by_key(&v.id(), |(node, _)| *node).ok()?;
    Some(&totals[place].1)
}

/// Gradients by variable: of every leaf, or of the requested variables.
///
/// ```
/// use rewind_autograd::{Gradients, OnTape, Tape, Tensor, parameters};
/// parameters! { struct Line<P> { slope: P, offset: P } }
/// let line = Line { slope: Tensor::scalar(2.0), offset: Tensor::scalar(1.0) };
/// let tape = Tape::new();
/// let on_tape = line.on(&tape);
/// let gradients: Gradients<'_, f64> = (on_tape.slope * 5.0 + on_tape.offset).backward();
/// assert_eq!(gradients.get(on_tape.slope).item(), 5.0);
/// let all: Line<Tensor<f64>> = gradients.of(&on_tape); // the gradients of a module
/// assert_eq!(all.offset.item(), 1.0);
/// ```
pub struct Gradients<'t, T: Scalar> {
    tape: &'t Tape<T>,
    pub(crate) totals: ByNode<Tensor<T>>,
    /// The requested positions, ascending; `None` for every leaf.
    pub(crate) wanted: Option<Vec<u32>>,
}

impl<'t, T: Scalar> Gradients<'t, T> {
    /// The gradient with respect to `v`, of its shape; 0 where the result does not depend on it.
    ///
    /// # Panics
    /// If `v` lives on another tape, is a constant, or was not requested.
    #[track_caller]
    pub fn get(&self, v: Var<'t, T>) -> Tensor<T> {
        match self.find(v) {
            Ok(gradient) => gradient,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The gradients of all parameters of a module, in the same structure.
    ///
    /// # Panics
    /// As [`get`](Gradients::get).
    #[track_caller]
    pub fn of<M: Parameters<Var<'t, T>>>(&self, module: &M) -> M::With<Tensor<T>> {
        // Panics here: inside a closure, the message would name the closure's line.
        let mut refused = None;
        module.visit(|_, &v| refused = refused.take().or_else(|| self.find(v).err()));
        if let Some(reason) = refused {
            panic!("{reason}");
        }
        module.map(|_, &v| self.get(v))
    }

    /// The gradient with respect to `v`, or why there is none.
    fn find(&self, v: Var<'t, T>) -> Result<Tensor<T>, String> {
        if !std::ptr::eq(v.tape(), self.tape) {
            return Err("gradients: the variable lives on another tape than these gradients".to_owned());
        }
        let zeros = || Tensor::zeros(&v.shape()); // nothing flows to it, or it was recorded after the result
        match (find(&self.totals, v), &self.wanted) {
            (Some(total), _) => Ok(total.clone()),
            (None, Some(wanted)) if wanted.binary_search(&v.id()).is_ok() => Ok(zeros()),
            (None, None) if v.is_leaf() => Ok(zeros()),
            _ if !v.is_tracked() => Err(format!("gradients: {v:?} is a constant. {HOW_TO_TRACK}")),
            _ if v.is_leaf() => Err(format!("gradients: {v:?} was not asked for; name it in backward_to")),
            _ => Err(format!("gradients: {v:?} is no leaf; ask for it by name with backward_to")),
        }
    }
}
