//! The extension point: what an op is, and what its rule gives back.

use crate::tape::Tape;
use crate::term::Term;
use crate::{Scalar, Tensor, Var};

/// A differentiable operation: a value from values, and one vector-Jacobian product per input.
///
/// Built-in ops and yours take the same route. The rule is written once, with [`Var`]s, and serves every order: for
/// first-order gradients it runs on a quiet scratch tape, for higher orders on the recording tape.
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
///         Term::dense(x * g * T::from_f64(2.0))
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0], &[2]));
/// let y = tape.apply(Square, &[x]).sum();
/// assert_eq!(y.backward().get(x).to_vec(), [2.0, -6.0]);
/// ```
pub trait Op<T: Scalar>: Send + 'static {
    /// The name of the op in messages and reports.
    fn name(&self) -> &'static str;

    /// The value of the output. Shapes have been checked before: by the method that records the op.
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T>;

    /// The cotangent of input number `input`, given that of the output: `ḡ · ∂output/∂input`.
    ///
    /// Called once for each input that a gradient flows to. Write it with the methods of [`Var`], never with numbers
    /// taken out of them: what is computed outside the tape has no second derivative.
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T>;
}

/// The node that a rule is asked about: its inputs, its output and the cotangent of its output.
pub struct Site<'t, T: Scalar> {
    /// The tape that holds the node.
    recorded: &'t Tape<T>,
    /// The tape that the rule computes on: the same one for higher orders, a scratch tape for the first.
    tape: &'t Tape<T>,
    node: u32,
    cotangent: Var<'t, T>,
}

impl<'t, T: Scalar> Site<'t, T> {
    pub(crate) fn new(recorded: &'t Tape<T>, tape: &'t Tape<T>, node: u32, cotangent: Var<'t, T>) -> Self {
        Site { recorded, tape, node, cotangent }
    }

    /// The tape to compute on, for constants.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    /// How many inputs the node has.
    pub fn arity(&self) -> usize {
        self.recorded.arity(self.node)
    }

    /// Input number `i`.
    pub fn input(&self, i: usize) -> Var<'t, T> {
        self.import(self.recorded.input_of(self.node, i))
    }

    /// The output of the node.
    pub fn output(&self) -> Var<'t, T> {
        self.import(self.node)
    }

    /// The cotangent of the output, ḡ: of the output's shape.
    pub fn cotangent(&self) -> Var<'t, T> {
        self.cotangent
    }

    /// The same node with another cotangent of its output: for an op that wraps another and changes what flows back.
    pub fn with_cotangent(&self, cotangent: Var<'t, T>) -> Site<'t, T> {
        Site { cotangent, ..*self }
    }

    fn import(&self, index: u32) -> Var<'t, T> {
        if std::ptr::eq(self.recorded, self.tape) {
            Var::new(self.tape, index)
        } else {
            self.tape.constant(self.recorded.value_of(index))
        }
    }
}
