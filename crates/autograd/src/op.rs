//! The extension point: what an op is, and what its rule gives back.

use crate::checkpoint::Region;
use crate::tape::Tape;
use crate::term::Term;
use crate::{Scalar, Tensor, Var};

/// A differentiable operation: a value from values, and one vector-Jacobian product per input.
///
/// Built-in ops and yours take the same route. The rule is written once, with [`Var`]s, and serves every order: for
/// first-order gradients its values are forgotten after use, for higher orders they are recorded.
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

    /// Which values the rules read, besides the cotangent. An op that says less than everything lets the tape give memory
    /// back (see [`Tape::release_unread`]); shapes can always be read. A rule that reads more than this says gets the same
    /// numbers, in every sweep, and costs time: they are computed again, and [`Tape::recomputed`] counts them.
    fn reads(&self) -> Reads {
        Reads::ALL
    }

    /// Whether every input gets the cotangent of the output as it is, summed to the shape of the input: the rule of a sum. A
    /// sweep then hands it on and does not ask [`vjp`](Op::vjp), which gives `Term::summed(at.cotangent())` for every input.
    ///
    /// ```
    /// use rewind_autograd::{Op, Tape, Tensor, ops::arithmetic::AddOp};
    /// assert!(Op::<f64>::hands_on(&AddOp));
    ///
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0, 2.0, 5.0], &[2, 2]));
    /// let bias = tape.leaf(Tensor::from_vec(vec![0.5, 0.25], &[2]));
    /// let gradients = (x + bias).sum().backward();
    /// assert_eq!(gradients.get(bias).to_vec(), [2.0, 2.0]); // summed to the shape of the bias
    /// ```
    fn hands_on(&self) -> bool {
        false
    }

    /// The function that a checkpoint runs again.
    #[doc(hidden)]
    fn region(&self) -> Option<&dyn Region<T>> {
        None
    }
}

/// Which values the rules of an op read: what [`Op::reads`] gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Bit k for input k; all bits for all inputs, however many there are.
    inputs: u32,
    output: bool,
}

impl Reads {
    /// Inputs and output.
    pub const ALL: Reads = Reads { inputs: !0, output: true };
    /// The inputs alone, as those of a product.
    pub const INPUTS: Reads = Reads { inputs: !0, output: false };
    /// The output alone, as that of tanh.
    pub const OUTPUT: Reads = Reads { inputs: 0, output: true };
    /// Neither, as those of a sum or a slice.
    pub const NOTHING: Reads = Reads { inputs: 0, output: false };

    /// Input number `k` alone, one of the first 32: as the mask of a choice.
    pub const fn input(k: u32) -> Reads {
        Reads { inputs: 1 << k, output: false }
    }

    /// Whether any input is read.
    pub fn reads_inputs(self) -> bool {
        self.inputs != 0
    }

    /// Whether input number `k` is read.
    pub fn reads_input(self, k: usize) -> bool {
        self.inputs == !0 || (k < 32 && self.inputs >> k & 1 == 1)
    }

    /// Whether the output is read.
    pub fn reads_output(self) -> bool {
        self.output
    }
}

/// The node that a rule is asked about: its inputs, its output and the cotangent of its output.
pub struct Site<'t, T: Scalar> {
    tape: &'t Tape<T>,
    node: u32,
    cotangent: Var<'t, T>,
}

impl<'t, T: Scalar> Site<'t, T> {
    #[inline]
    pub(crate) fn new(tape: &'t Tape<T>, node: u32, cotangent: Var<'t, T>) -> Self {
        Site { tape, node, cotangent }
    }

    /// The tape to compute on, for constants.
    #[inline]
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    /// How many inputs the node has.
    pub fn arity(&self) -> usize {
        self.tape.arity(self.node)
    }

    /// Input number `i`.
    #[inline]
    pub fn input(&self, i: usize) -> Var<'t, T> {
        Var::new(self.tape, self.tape.input_of(self.node, i))
    }

    /// The output of the node.
    #[inline]
    pub fn output(&self) -> Var<'t, T> {
        Var::new(self.tape, self.node)
    }

    /// The cotangent of the output, ḡ: of the output's shape.
    #[inline]
    pub fn cotangent(&self) -> Var<'t, T> {
        self.cotangent
    }

    /// The same node with another cotangent of its output: for an op that wraps another and changes what flows back.
    pub fn with_cotangent(&self, cotangent: Var<'t, T>) -> Site<'t, T> {
        Site { cotangent, ..*self }
    }
}
