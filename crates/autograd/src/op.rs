//! The trait of ops, the node that a rule is called for, and the term that it returns.

use std::any::Any;
use std::cell::OnceCell;

use crate::graph::Reads;
use crate::shape::stretches_to;
use crate::tape::{Mode, Tape, Var};
use crate::{Scalar, Tensor};

/// A differentiable operation: a value from values, and one vector-Jacobian product per input.
///
/// Built-in ops and yours take the same route. The rule is written once, with [`Var`]s, and serves every order: for
/// first-order gradients its values are discarded after use, for higher orders they are recorded.
///
/// ```
/// use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var};
///
/// /// y = x² elementwise; x̄ = 2·x·ȳ.
/// struct Square;
///
/// impl<T: Scalar> Op<T> for Square {
///     fn name(&self) -> &'static str {
///         "square"
///     }
///     fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
///         inputs[0].map(|x| x * x)
///     }
///     fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
///         let (x, g) = (at.input(0), at.cotangent());
///         Term::Dense(x * g * T::from_f64(2.0))
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0], &[2]));
/// let y = tape.apply(Square, &[x]).sum();
/// assert_eq!(y.backward().get(x).to_vec(), [2.0, -6.0]);
/// ```
pub trait Op<T: Scalar>: Any + Send + Sync {
    /// The name of the op in messages and reports.
    fn name(&self) -> &'static str;

    /// The value of the output. The method that records the op has checked the shapes.
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T>;

    /// The cotangent of input number `input`, given that of the output: `ȳ · ∂output/∂input`.
    ///
    /// Called once for each input that a gradient flows to. Write it with the methods of [`Var`], never with values
    /// read out of them: what is computed outside the tape has no second derivative.
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T>;

    /// Which values the rules read, besides the cotangent. The tape may release the others (see
    /// [`Tape::release_unread`]); shapes can always be read. A rule that reads more than this says still gets the right
    /// values, but they are recomputed, which is slower; [`Tape::recomputed`] counts them.
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    /// The settings of the op by name, as `Debug` prints them, for a reader of a tape: of a slice `[("axis", "1"), ("start", "0"),
    /// ("end", "5")]`. By default none; [`ops!`](crate::ops!) lists those of a row.
    ///
    /// ```
    /// use rewind_autograd::{Op, Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let y = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0], &[3])).slice(0, 1..3);
    /// let op = tape.op(y.position()).expect("a slice is an op");
    /// assert_eq!(op.settings(), [("axis", "0".to_owned()), ("start", "1".to_owned()), ("end", "3".to_owned())]);
    /// ```
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The node that a rule is called for: its inputs, its output and the cotangent of its output.
///
/// ```
/// use rewind_autograd::{Op, Reads, Site, Tape, Tensor, Term};
///
/// /// y = mean of the inputs, all of one shape; x̄_k = ȳ/n.
/// struct Mean;
/// impl Op<f64> for Mean {
///     fn name(&self) -> &'static str {
///         "mean_of_inputs"
///     }
///     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
///         let mut y = Tensor::zeros(inputs[0].shape());
///         inputs.iter().for_each(|x| y.add_assign(x));
///         y.map(|sum| sum / inputs.len() as f64)
///     }
///     fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
///         Term::Dense(at.cotangent() / at.arity() as f64)
///     }
///     fn reads(&self) -> Reads {
///         Reads::NOTHING
///     }
/// }
///
/// let tape = Tape::new();
/// let x = [1.0, 2.0, 6.0].map(|x| tape.leaf(Tensor::scalar(x)));
/// let y = tape.apply(Mean, &x);
/// assert_eq!(y.value().item(), 3.0);
/// assert_eq!(y.backward().get(x[1]).item(), 1.0 / 3.0);
/// ```
pub struct Site<'t, T: Scalar> {
    tape: &'t Tape<T>,
    node: u32,
    cotangent: Var<'t, T>,
    shared: OnceCell<Var<'t, T>>,
}

impl<'t, T: Scalar> Site<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>, node: u32, cotangent: Var<'t, T>) -> Self {
        Site { tape, node, cotangent, shared: OnceCell::new() }
    }

    /// The tape, to make constants on.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    /// How many inputs the node has.
    pub fn arity(&self) -> usize {
        self.tape.graph.borrow().inputs(self.node).len()
    }

    /// Input number `i`.
    pub fn input(&self, i: usize) -> Var<'t, T> {
        Var::new(self.tape, self.tape.graph.borrow().inputs(self.node)[i])
    }

    /// The output of the node.
    pub fn output(&self) -> Var<'t, T> {
        Var::new(self.tape, self.node)
    }

    /// The cotangent of the output, ȳ: of the output's shape.
    pub fn cotangent(&self) -> Var<'t, T> {
        self.cotangent
    }

    /// The same node with another cotangent of its output: for an op that wraps another and changes what flows back.
    pub fn with_cotangent(&self, cotangent: Var<'t, T>) -> Site<'t, T> {
        Site::new(self.tape, self.node, cotangent)
    }

    /// What several rules of this node use, such as a recurrence that runs backwards: computed in the first rule that asks for it.
    /// A node has one such value; all of its rules compute the same.
    ///
    /// ```
    /// use rewind_autograd::{Op, Site, Tape, Tensor, Term};
    ///
    /// /// y = e^(a + b); ā = b̄ = ȳ·y, one product.
    /// struct ExpOfSum;
    /// impl Op<f64> for ExpOfSum {
    ///     fn name(&self) -> &'static str {
    ///         "exp_of_sum"
    ///     }
    ///     fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    ///         inputs[0].zip(inputs[1], |a, b| (a + b).exp())
    ///     }
    ///     fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
    ///         Term::Dense(at.shared(|| at.cotangent() * at.output()))
    ///     }
    /// }
    ///
    /// let tape = Tape::new();
    /// let [a, b] = [0.5, -0.5].map(|x| tape.leaf(Tensor::scalar(x)));
    /// let gradients = tape.apply(ExpOfSum, &[a, b]).backward();
    /// assert_eq!((gradients.get(a).item(), gradients.get(b).item()), (1.0, 1.0));
    /// ```
    pub fn shared(&self, compute: impl FnOnce() -> Var<'t, T>) -> Var<'t, T> {
        let value = *self.shared.get_or_init(compute);
        // A variable for each rule: a sweep of the first order moves the value of a term out of its variable.
        if self.tape.mode.get() == Mode::Sweeping { self.tape.push_value(value.value()) } else { value }
    }
}

/// One contribution to the cotangent of an input: what [`Op::vjp`] returns.
///
/// Three kinds of term are cheaper than a full array: a deferred product xᵀ·ȳ (a weight that is used at T time steps
/// costs one product over all of them), the cotangent of a slice (which costs the size of the slice), and a cotangent
/// of a broadcast shape (which is summed down in place).
#[derive(Clone, Copy)]
pub enum Term<'t, T: Scalar> {
    /// No contribution: the output does not change with this input.
    Zero,
    /// A cotangent of the input's shape.
    Dense(Var<'t, T>),
    /// A cotangent of a shape that the input was broadcast to; it is summed down to the input's shape.
    Summed(Var<'t, T>),
    /// The product xᵀ·g, deferred: x `[…, m]`, g `[…, n]` with the same leading axes, for an input of shape `[m, n]`.
    Product(Var<'t, T>, Var<'t, T>),
    /// The cotangent of a slice.
    Slice {
        /// The cotangent, as large as the slice.
        part: Var<'t, T>,
        /// The axis that is sliced.
        axis: usize,
        /// Where the slice starts; the rest of the input's cotangent is 0.
        start: usize,
    },
}

/// A cotangent of the input's shape, [`Term::Dense`].
impl<'t, T: Scalar> From<Var<'t, T>> for Term<'t, T> {
    fn from(cotangent: Var<'t, T>) -> Self {
        Term::Dense(cotangent)
    }
}

impl<'t, T: Scalar> Term<'t, T> {
    /// Whether this can be a cotangent of `input`. The sweep refuses a term that does not fit.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor, Term};
    /// let tape = Tape::new();
    /// let input = tape.leaf(Tensor::<f64>::zeros(&[3]));
    /// let [rows, part] = [[2, 3], [1, 1]].map(|shape| tape.constant(Tensor::zeros(&shape)));
    /// assert!(Term::Zero.fits(input));
    /// assert!(Term::Summed(rows).fits(input)); // summed over the first axis
    /// assert!(!Term::Dense(rows).fits(input));
    /// assert!(!Term::Slice { part, axis: 0, start: 2 }.fits(input)); // another rank
    /// ```
    pub fn fits(self, input: Var<'t, T>) -> bool {
        let input = input.tensor();
        match self {
            Term::Zero => true,
            Term::Dense(g) => g.tensor().same_shape(&input),
            Term::Summed(g) => stretches_to(input.shape(), g.tensor().shape()),
            Term::Product(x, g) => match (x.tensor().shape(), g.tensor().shape()) {
                ([lx @ .., m], [lg @ .., n]) => lx == lg && *input.shape() == [*m, *n],
                _ => false,
            },
            Term::Slice { part, axis, start } => {
                let (part, shape) = (part.shape(), input.shape());
                let fits =
                    |k: usize| if k == axis { start.saturating_add(part[k]) <= shape[k] } else { part[k] == shape[k] };
                part.len() == shape.len() && axis < shape.len() && (0..shape.len()).all(fits)
            }
        }
    }

    /// The term, if it fits `input`, which is input number `number` of `op`. A summed term of the input's own shape is
    /// dense.
    ///
    /// # Panics
    /// If it does not fit.
    #[inline(always)]
    pub(crate) fn checked(self, op: &dyn Op<T>, number: usize, input: Var<'t, T>) -> Self {
        match self {
            Term::Dense(g) | Term::Summed(g) if g.tensor().same_shape(&input.tensor()) => Term::Dense(g),
            _ if self.fits(input) => self,
            _ => {
                let (name, shape) = (op.name(), input.shape());
                panic!("{name}: the rule for input {number} gave {self:?} for an input of shape {shape:?}");
            }
        }
    }
}
