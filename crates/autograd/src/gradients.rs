//! The entry points of differentiation: gradients as values, or recorded so that they can be differentiated again.

use crate::parameters::Parameters;
use crate::shape::mismatch;
use crate::sweep::{Totals, sweep_recorded, sweep_values};
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

    /// [`backward`](Var::backward), which also calls `watch` with every variable that a gradient flows through and its
    /// complete cotangent, from the result to the leaves, in the reverse order of recording. To *change* a cotangent,
    /// use [`map_cotangent`](Var::map_cotangent).
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
    /// `watch` is called when the sweep is over: until then, all cotangents are in memory.
    ///
    /// # Panics
    /// As [`backward`](Var::backward).
    #[track_caller]
    pub fn backward_watched(self, mut watch: impl FnMut(Var<'t, T>, &Tensor<T>)) -> Gradients<'t, T> {
        let nodes = (0..=self.id()).map(|node| Var::new(self.tape(), node));
        let tracked: Vec<_> = nodes.filter(|v| v.is_tracked()).collect();
        let mut gradients = self.sweep("backward_watched", None, Some(&tracked));
        for (node, cotangent) in gradients.totals.iter().rev() {
            watch(Var::new(self.tape(), *node), cotangent);
        }
        gradients.wanted = None;
        gradients
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
    fn sweep(self, op: &str, seed: Option<&Tensor<T>>, wrt: Option<&[Var<'t, T>]>) -> Gradients<'t, T> {
        self.check_seed(op, seed.map(Tensor::shape));
        let seed = seed.map_or_else(|| Tensor::full(&self.shape(), T::ONE), Tensor::clone);
        #[expect(clippy::manual_map, reason = "from a closure, a panic would not name the caller's line")]
        let wanted = match wrt {
            Some(wrt) => Some(self.positions(op, wrt)),
            None => None,
        };
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
        self.check_seed(op, seed.map(Var::shape).as_deref());
        if seed.is_some_and(|seed| !std::ptr::eq(seed.tape(), self.tape())) {
            panic!("{op}: the seed lives on another tape than this one");
        }
        let wanted = self.positions(op, wrt);
        let seed = seed.unwrap_or_else(|| self.tape().constant(Tensor::full(&self.shape(), T::ONE)));
        let totals = sweep_recorded(self, seed, &wanted);
        wrt.iter().map(|v| find(&totals, *v).copied().unwrap_or_else(|| self.tape().zeros(&v.shape()))).collect()
    }

    /// Advice for a constant that a gradient was requested for.
    #[cold]
    pub(crate) fn how_to_track(self) -> &'static str {
        "No gradient flows to it, nor to what is computed from constants alone; record what it depends on with `Tape::leaf`"
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

    /// Refuses a seed of another shape, and a variable that needs a seed if there is none.
    #[track_caller]
    fn check_seed(self, op: &str, seed: Option<&[usize]>) {
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
    }

    /// The positions of `vars`, ascending, each once.
    #[track_caller]
    fn positions(self, op: &str, vars: &[Var<'t, T>]) -> Vec<u32> {
        for (i, v) in vars.iter().enumerate() {
            if !std::ptr::eq(v.tape(), self.tape()) {
                panic!("{op}: variable {i} lives on another tape than this one");
            }
            if !v.is_tracked() {
                panic!("{op}: variable {i}, {v:?}, is a constant. {}", v.how_to_track());
            }
        }
        let mut positions: Vec<u32> = vars.iter().map(|v| v.id()).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// The result of a sweep for `v`.
fn find<'a, T: Scalar, X>(totals: &'a Totals<X>, v: Var<'_, T>) -> Option<&'a X> {
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
    totals: Totals<Tensor<T>>,
    /// The requested positions, ascending; `None` for every leaf.
    wanted: Option<Vec<u32>>,
}

impl<'t, T: Scalar> Gradients<'t, T> {
    /// The gradient with respect to `v`, of its shape; 0 where the result does not depend on it.
    ///
    /// # Panics
    /// If `v` lives on another tape, is a constant, or was not requested.
    #[track_caller]
    pub fn get(&self, v: Var<'t, T>) -> Tensor<T> {
        match self.find(v) {
            Some(gradient) => gradient,
            None => self.refuse(v),
        }
    }

    /// The gradients of all parameters of a module, in the same structure.
    ///
    /// # Panics
    /// As [`get`](Gradients::get).
    #[track_caller]
    pub fn of<M: Parameters<Var<'t, T>>>(&self, module: &M) -> M::With<Tensor<T>> {
        // Panics after the walk: inside the closure, the message would name the closure's line.
        let mut missing = None;
        let gradients = module.map(|_, &v| {
            self.find(v).unwrap_or_else(|| {
                missing.get_or_insert(v);
                Tensor::zeros(&[0])
            })
        });
        match missing {
            Some(v) => self.refuse(v),
            None => gradients,
        }
    }

    /// The gradient with respect to `v`, if it was requested.
    fn find(&self, v: Var<'t, T>) -> Option<Tensor<T>> {
        if !std::ptr::eq(v.tape(), self.tape) {
            return None;
        }
        if let Some(total) = find(&self.totals, v) {
            return Some(total.clone());
        }
        // Nothing flows to it, or it was recorded after the result.
        let asked_for = match &self.wanted {
            Some(wanted) => wanted.binary_search(&v.id()).is_ok(),
            None => v.is_leaf(),
        };
        asked_for.then(|| Tensor::zeros(&v.shape()))
    }

    #[cold]
    #[track_caller]
    fn refuse(&self, v: Var<'t, T>) -> ! {
        if !std::ptr::eq(v.tape(), self.tape) {
            panic!("gradients: the variable lives on another tape than these gradients");
        }
        if !v.is_tracked() {
            panic!("gradients: {v:?} is a constant. {}", v.how_to_track());
        }
        match self.wanted {
            Some(_) if v.is_leaf() => {
                panic!("gradients: {v:?} was not asked for; name it in backward_to")
            }
            _ => panic!("gradients: {v:?} is no leaf; ask for it by name with backward_to"),
        }
    }
}
