//! What a check found: a plain struct for programs. `display.rs` prints it.

use std::panic::Location;

use crate::pattern::Pattern;

/// What a check says about a gradient.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every requested entry agrees with differences; empty inputs have none.
    Right,
    /// At least one entry disagrees, and the disagreement does not depend on the step.
    Wrong,
    /// Nothing was found wrong, but differences cannot decide some entries.
    CannotTell(Doubt),
    /// The function cannot be checked at all.
    Invalid(Invalid),
}

/// Why differences cannot decide an entry.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_check::{Doubt, Verdict};
/// let x = Tensor::from_vec(vec![0.0, 1.0], &[2]);
/// let report = rewind_check::function(&[x], |_tape, x| x[0].abs());
/// assert_eq!(report.verdict, Verdict::CannotTell(Doubt::Kink));
/// assert!(report.fraction() < 1.0);
/// report.assert_not_wrong(); // doubt passes here, and fails in `assert`
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Doubt {
    /// The function has a kink or a jump closer than the smallest step: the derivatives from both sides differ.
    Kink,
    /// Rounding of the function hides the derivative at every step.
    Rounding,
    /// The value does not change with this input, however far it is moved: a sum over a softmax, a value that never
    /// reached the tape.
    IgnoresInput(String),
    /// The function is infinite or NaN at the point or beside it.
    NonFinite,
    /// The differences settle at no step: the function changes within the shortest one, as an unstable recursion does
    /// after many steps, or a wave far from 0. Every op alone is right, and no value left the tape.
    Unsettled,
    /// The differences settle at another value than the tape's, but every op alone is right and no value left the tape:
    /// so the gradient is not wrong. The function changes within the steps that can be told from rounding, or an op
    /// rounds its value inside.
    Unexplained,
    /// Steps, changes of the value or derivatives are too small or too large for this precision. Every op that can be
    /// judged alone is right, and no value left the tape.
    OutOfRange,
    /// There is no input.
    Nothing,
}

/// Why a function cannot be checked.
///
/// ```
/// use std::cell::Cell;
/// use rewind_autograd::Tensor;
/// use rewind_check::{Invalid, Verdict};
/// let calls = Cell::new(0.0);
/// let report = rewind_check::function(&[Tensor::scalar(1.0)], |_tape, x| {
///     calls.set(calls.get() + 1.0);
///     x[0] * calls.get()
/// });
/// assert!(matches!(report.verdict, Verdict::Invalid(Invalid::NotDeterministic { .. })));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Invalid {
    /// Called twice with the same inputs it gave two values that differ by this much.
    NotDeterministic {
        /// The largest difference between two elements at the same place, infinite if one of them is NaN; NaN if the shapes
        /// differ.
        difference: f64,
    },
    /// Its shape changes when an input is moved.
    ShapeChanged {
        /// The shape at the point.
        at: Vec<usize>,
        /// The number of elements beside it.
        beside: usize,
    },
    /// It panicked, or the reverse pass did; with the message.
    Panicked(String),
    /// What it consists of breaks a rule, so that its gradients are not worth checking: a state that forgets one of its parts, for the check of
    /// a cell; with the reason.
    Broken(String),
    /// It does not keep the rules that hold for its kind, whatever its gradients are: the contract of a layer, for the check of one.
    Contract(Vec<Breach>),
}

/// A rule, other than that of gradients, that is not kept.
///
/// ```
/// use rewind_check::{Breach, Invalid};
/// let breach = Breach {
///     rule: "outputs after the end of a sequence are 0",
///     place: "outputs, sequence 1, step 4, index [0]".to_owned(),
///     found: "+2.5e-1".to_owned(),
///     expected: "0".to_owned(),
///     advice: "mask the outputs",
/// };
/// assert_eq!(
///     Invalid::Contract(vec![breach]).to_string(),
///     "a rule is not kept: outputs after the end of a sequence are 0
///     outputs, sequence 1, step 4, index [0]: +2.5e-1; expected 0
///     mask the outputs"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: &'static str,
    /// The first place where it is not kept, and in which run.
    pub place: String,
    /// The value there.
    pub found: String,
    /// What the rule demands.
    pub expected: String,
    /// What is likely to be wrong, and what to do.
    pub advice: &'static str,
}

/// Which derivatives are compared.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_check::Mode;
/// let x = [Tensor::from_vec(vec![0.3_f32, -0.8], &[2])];
/// let report = rewind_check::fast().projections(3).seed(7).function(&x, |_tape, x| x[0].tanh());
/// assert_eq!(report.mode, Mode::Fast { projections: 3 });
/// assert_eq!(rewind_check::full().orders(1).function(&x, |_tape, x| x[0].tanh()).mode, Mode::Full);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every entry of every input.
    Full,
    /// Random directions through all inputs at once.
    Fast {
        /// The number of directions.
        projections: usize,
    },
}

/// One entry of a gradient, as the tape and as differences have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// 1 for the gradient, 2 for the gradient of a projection of the gradient, and so on.
    pub order: usize,
    /// The input: its number, or its dotted name in a module.
    pub input: String,
    /// The place within the input, one position per axis.
    pub index: Vec<usize>,
    /// What the tape says.
    pub analytic: f64,
    /// What differences say.
    pub numeric: f64,
    /// One unit in the last place at the size of this entry, in the precision of the check.
    pub ulp: f64,
}

impl Entry {
    /// |analytic - numeric|; infinite if one of them is not finite.
    pub fn absolute(&self) -> f64 {
        let error = (self.analytic - self.numeric).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    }

    /// The absolute error over the larger of the two; 0 if both are 0.
    pub fn relative(&self) -> f64 {
        let size = self.analytic.abs().max(self.numeric.abs());
        if self.absolute() == 0.0 {
            0.0
        } else if size.is_finite() {
            self.absolute() / size
        } else {
            f64::INFINITY
        }
    }

    /// The absolute error in units in the last place.
    pub fn ulps(&self) -> f64 {
        self.absolute() / self.ulp
    }
}

/// The error of one entry at one step size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepError {
    /// The step.
    pub step: f64,
    /// |analytic - difference quotient| at that step.
    pub error: f64,
}

/// A node whose own rule is wrong at the values it had.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Its position on the tape; that of the checkpoint, if it lies inside one.
    pub node: usize,
    /// The op's name.
    pub op: &'static str,
    /// Layer, gate and time step, where they are known; empty otherwise.
    pub scope: String,
    /// The line that recorded it.
    pub location: &'static Location<'static>,
    /// The worst entry of its rule: the input is that of the op.
    pub worst: Option<Entry>,
    /// What the mistake looks like, where it looks like one that is known.
    pub pattern: Option<Pattern>,
    /// The message, if the rule panicked.
    pub panic: Option<String>,
    /// How many nodes of the tape have a wrong rule of this name, this one included.
    pub nodes: usize,
    /// How many nodes were checked alone.
    pub examined: usize,
}

/// A value that depends on the inputs without a record on the tape.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_check::{Culprit, OffTape};
/// let report = rewind_check::function(&[Tensor::scalar(2.0)], |_tape, x| x[0] * x[0].detach());
/// assert!(matches!(report.culprit, Some(Culprit::OffTape(OffTape { node: 1, rule_of: None, .. }))));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OffTape {
    /// Its position on the tape, where it is a constant; that of the checkpoint, if it lies inside one.
    pub node: usize,
    /// Layer, gate and time step of what reads it, where they are known; empty otherwise.
    pub scope: String,
    /// The line that recorded it.
    pub location: &'static Location<'static>,
    /// The op whose rule recorded it; `None` for the function itself.
    pub rule_of: Option<&'static str>,
    /// The op that holds the value, if it is no constant of the tape: the value is not among the inputs of that op.
    pub held_by: Option<&'static str>,
}

/// A point that a check chose itself, and what it found there.
///
/// ```
/// use rewind_check::{Point, Verdict};
/// let point = Point { name: "where the state lasts".to_owned(), verdict: Verdict::Right };
/// assert_eq!(point.to_string(), "right where the state lasts");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which point it is.
    pub name: String,
    /// What was found there.
    pub verdict: Verdict,
}

/// Where a wrong gradient comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Culprit {
    /// The first op on the tape whose rule is wrong.
    Op(Suspect),
    /// Every op alone is right, but a value left the tape (by `detach`, by `value`, or stored from an earlier call) and
    /// came back as a constant, or within an op that holds it.
    OffTape(OffTape),
}

/// What a check found.
///
/// ```
/// use rewind_autograd::{Op, Scalar, Site, Tensor, Term};
/// use rewind_check::{Culprit, Pattern, Suspect, Verdict};
///
/// /// y = x², with a rule that lacks the factor 2.
/// #[derive(Clone)]
/// struct Square;
/// impl<T: Scalar> Op<T> for Square {
///     fn name(&self) -> &'static str {
///         "square"
///     }
///     fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
///         inputs[0].map(|x| x * x)
///     }
///     fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
///         Term::Dense(at.input(0) * at.cotangent())
///     }
/// }
///
/// let report = rewind_check::op(Square, &[Tensor::from_vec(vec![0.5, -2.0], &[2])]);
/// assert_eq!(report.verdict, Verdict::Wrong);
/// assert!(report.is_wrong() && !report.passed());
/// assert!(report.steps.iter().all(|step| step.error > 0.1)); // the error does not vanish with the step
/// let worst = report.worst.as_ref().expect("an entry is wrong");
/// assert!((worst.relative() - 0.5).abs() < 1e-6 && worst.absolute() > 0.1 && worst.ulps() > 1e6);
/// let suspect: &Suspect = report.suspect().expect("an op is at fault");
/// assert!(matches!(&report.culprit, Some(Culprit::Op(op)) if op == suspect));
/// assert_eq!(suspect.op, "square");
/// assert!(matches!(suspect.pattern, Some(Pattern::Factor(k)) if (k - 0.5).abs() < 1e-6));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a check that nobody looks at checks nothing"]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// How many entries were compared, all orders together.
    pub entries: usize,
    /// How many of them were decided, right or wrong.
    pub checked: usize,
    /// How many disagreed at the first step size.
    pub disagreeing: usize,
    /// Which derivatives were compared.
    pub mode: Mode,
    /// The highest order that was requested.
    pub orders: usize,
    /// `"f32"` or `"f64"`.
    pub precision: &'static str,
    /// An error of this size, relative to the largest entry of its input, would have been detected everywhere that was
    /// checked.
    pub resolution: f64,
    /// The seed of all directions and weights.
    pub seed: u64,
    /// The shapes of the inputs.
    pub shapes: Vec<Vec<usize>>,
    /// The points that a check chose itself, as that of a cell does, in the order in which they were checked; the report is that of the first
    /// wrong one, or else of the first. Empty if the point was given.
    pub points: Vec<Point>,
    /// The smallest sizes that fail, if they were searched for: [`shrunk`](crate::shrunk), or the check of a cell.
    pub sizes: Option<Vec<usize>>,
    /// The entry that disagrees most, or else one that could not be decided, or else the one that agrees least.
    pub worst: Option<Entry>,
    /// How the error of the worst entry varies with the step, if that was examined.
    pub steps: Vec<StepError>,
    /// Where a wrong gradient comes from.
    pub culprit: Option<Culprit>,
}

impl Report {
    /// Whether everything was compared and agrees: also where the inputs are empty, and the function and its gradient could be
    /// computed. A check without any input has not passed.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Right
    }

    /// Whether an entry is wrong beyond doubt.
    pub fn is_wrong(&self) -> bool {
        self.verdict == Verdict::Wrong
    }

    /// The fraction of the entries that were decided, from 0 to 1; for empty inputs 1 if the check passed, and 0 if
    /// not.
    pub fn fraction(&self) -> f64 {
        if self.entries == 0 { f64::from(self.passed()) } else { self.checked as f64 / self.entries as f64 }
    }

    /// Panics with the report unless the check passed.
    ///
    /// # Panics
    /// If the verdict is not [`Verdict::Right`].
    #[track_caller]
    pub fn assert(&self) {
        if !self.passed() {
            panic!("{self}");
        }
    }

    /// Panics with the report if something is wrong or the function is invalid; doubt passes. For random points, which
    /// may lie on a kink.
    ///
    /// # Panics
    /// If the verdict is [`Verdict::Wrong`] or [`Verdict::Invalid`].
    #[track_caller]
    pub fn assert_not_wrong(&self) {
        if matches!(self.verdict, Verdict::Wrong | Verdict::Invalid(_)) {
            panic!("{self}");
        }
    }

    /// The op at fault, if there is one.
    pub fn suspect(&self) -> Option<&Suspect> {
        match &self.culprit {
            Some(Culprit::Op(suspect)) => Some(suspect),
            _ => None,
        }
    }
}
