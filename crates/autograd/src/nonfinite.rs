//! Where a NaN or an infinity came from: [`Var::find_nonfinite`] and its report.

use std::fmt;
use std::panic::Location;

use crate::naming::{Names, within};
use crate::shape::unravel;
use crate::sweep::sweep_values;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// How many time steps or layers an [`Origin`] follows back.
const TRAIL_LENGTH: usize = 8;

/// The most nodes it visits for that.
const MOST_NODES: usize = 1000;

/// Where the first non-finite value arose.
#[derive(Clone, Debug, PartialEq)]
pub enum Pass {
    /// In the forward pass: the op's inputs are finite and its value is not. Or it is a leaf or constant with a
    /// non-finite value.
    Forward,
    /// In the sweep: the op's cotangent is finite, and the term that its rule returns for this input is not.
    Rule {
        /// The number of the input.
        input: usize,
    },
    /// In the sweep: all terms of this node's cotangent are finite, and their sum is not.
    Sum,
}

/// A node of the tape, as a report names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The position on the tape; for a node inside a checkpoint, that of the checkpoint.
    pub position: usize,
    /// The name of its op, `leaf` or `constant`.
    pub op: &'static str,
    /// Its layer, time step and gate, as far as they are known; see [`Var::scope`].
    pub scope: String,
    /// The line of the program that recorded it.
    pub location: &'static Location<'static>,
}

/// The magnitude of a tensor in a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// What it is: `input 0`, `value`, `cotangent`.
    pub what: String,
    /// The node that it belongs to.
    pub place: Place,
    /// Its Euclidean norm.
    pub norm: f64,
    /// Its smallest element.
    pub least: f64,
    /// Its largest element.
    pub most: f64,
    /// Its element at the index of the first non-finite one, if the shapes have that index.
    pub here: Option<f64>,
}

/// The first NaN or infinity that reaches a result or its gradients. Prints as a few lines.
///
/// ```
/// use rewind_autograd::nonfinite::{Origin, Pass, Place, Size};
/// use rewind_autograd::{Tape, Tensor};
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::from_vec(vec![4.0, 0.0], &[2]));
/// let origin: Origin = x.sqrt().find_nonfinite().expect("the slope of sqrt at 0 is infinite");
/// assert_eq!(origin.pass, Pass::Rule { input: 0 }); // the values are finite
/// assert_eq!((origin.value, origin.index), (f64::INFINITY, vec![1]));
/// assert_eq!((origin.count, origin.of), (1, 2));
/// let Place { op, position, .. } = origin.place;
/// assert_eq!((op, position), ("sqrt", 1));
/// let input: &Size = &origin.operands[1]; // after the cotangent
/// assert_eq!((input.what.as_str(), input.least, input.most, input.here), ("input 0", 0.0, 4.0, Some(0.0)));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Forward or in the sweep.
    pub pass: Pass,
    /// The node at fault.
    pub place: Place,
    /// The value: NaN or ±∞.
    pub value: f64,
    /// Its index in the value (in a sweep: in the cotangent of the input), one position per axis: the first non-finite
    /// element.
    pub index: Vec<usize>,
    /// How many elements of that tensor are not finite.
    pub count: usize,
    /// How many elements that tensor has.
    pub of: usize,
    /// Where the infinity became a NaN on its way to the result, if it did.
    pub turned_nan: Option<Place>,
    /// The magnitudes of the operands of the op or rule.
    pub operands: Vec<Size>,
    /// What led there: the magnitudes of the values (in a sweep, cotangents) on the way, the latest first; in each
    /// scope only the nearest.
    pub trail: Vec<Size>,
}

impl<T: Scalar> Var<'_, T> {
    /// Finds the first NaN or infinity that makes this variable, or the gradient of a leaf, non-finite; `None` if all
    /// are finite. Non-finite values that reach neither, since a mask cuts them off, do not count.
    ///
    /// A debugging tool: it costs two sweeps and reads every element. For a variable with several elements it examines
    /// the gradients of their sum. Nothing is recorded; [released](Tape::release_unread) values are recomputed.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::from_vec(vec![1.0, 3.0], &[2]));
    /// for t in 0..3 {
    ///     let _step = tape.numbered_scope("t", t);
    ///     h = (h - 1.0).sqrt(); // sqrt has no finite slope at 0
    /// }
    /// let report = h.find_nonfinite().expect("sqrt of a negative number");
    /// assert_eq!((report.place.op, report.place.scope.as_str()), ("sqrt", "t=1"));
    /// assert_eq!((report.index, report.operands[0].here), (vec![0], Some(-1.0)));
    /// ```
    ///
    /// # Panics
    /// If the tape is quiet.
    #[track_caller]
    pub fn find_nonfinite(self) -> Option<Origin> {
        self.check_recorded("find_nonfinite");
        if !self.value().all_finite() {
            return Some(in_forward(self));
        }
        in_sweep(self, &Tensor::full(&self.shape(), T::ONE))
    }
}

/// The index, one position per axis, and the value of the first element of `tensor` that is infinite or NaN.
///
/// ```
/// use rewind_autograd::{Tensor, nonfinite::first_nonfinite};
/// let x = Tensor::from_vec(vec![1.0, 2.0, f64::INFINITY, 4.0], &[2, 2]);
/// assert_eq!(first_nonfinite(&x), Some((vec![1, 0], f64::INFINITY)));
/// ```
pub fn first_nonfinite<T: Scalar>(tensor: &Tensor<T>) -> Option<(Vec<usize>, f64)> {
    if tensor.all_finite() {
        return None;
    }
    let numbers = tensor.to_vec();
    let at = numbers.iter().position(|x| !x.is_finite())?;
    Some((unravel(at, tensor.shape()), numbers[at].to_f64()))
}

fn in_forward<T: Scalar>(result: Var<'_, T>) -> Origin {
    let tape = result.tape();
    let origin = |bad: fn(&Tensor<T>) -> bool| {
        // Back along non-finite values only: what a mask cuts off is not on the way.
        let mut on_the_way = vec![false; result.position() + 1];
        on_the_way[result.position()] = true;
        let mut first = result.id();
        for node in (0..=result.id()).rev() {
            if on_the_way[node as usize] && bad(&Var::new(tape, node).value()) {
                first = node;
                inputs(tape, node).for_each(|input| on_the_way[input as usize] = true);
            }
        }
        first
    };
    let node = origin(|x| !x.all_finite());
    if let Some(report) = inside_checkpoint(tape, node, |root| Some(in_forward(root))) {
        return report;
    }
    let is_nan = |x: &Tensor<T>| x.to_vec().iter().any(|x| x.to_f64().is_nan());
    let turned_nan = (is_nan(&result.value()) && !is_nan(&Var::new(tape, node).value()))
        .then(|| place(tape, origin(|x| x.to_vec().iter().any(|x| x.to_f64().is_nan()))));
    let mut report = report(Pass::Forward, place(tape, node), &Var::new(tape, node).value());
    report.turned_nan = turned_nan;
    report.operands = operands(tape, node, &report.index);
    report.trail = trail(tape, node, |n| {
        inputs(tape, n).map(|input| ("value", input, Var::new(tape, input).value())).collect::<Vec<_>>()
    });
    report
}

/// What `look` finds inside a checkpoint, as seen from the checkpoint.
fn inside_checkpoint<T: Scalar>(
    tape: &Tape<T>,
    node: u32,
    look: impl FnOnce(Var<'_, T>) -> Option<Origin>,
) -> Option<Origin> {
    let (op, inside) = (tape.op(node as usize)?, Tape::new());
    let values: Vec<_> = inputs(tape, node).map(|input| inside.leaf(Var::new(tape, input).value())).collect();
    let mut report = look(op.rerun(&inside, &values)?)?;
    let outer = place(tape, node);
    let sizes = report.operands.iter_mut().chain(&mut report.trail).map(|size| &mut size.place);
    for inner in sizes.chain(&mut report.turned_nan).chain([&mut report.place]) {
        (inner.position, inner.scope) = (outer.position, within(&outer.scope, &inner.scope));
    }
    Some(report)
}

fn in_sweep<T: Scalar>(result: Var<'_, T>, seed: &Tensor<T>) -> Option<Origin> {
    let tape = result.tape();
    let tracked: Vec<u32> = (0..=result.id()).filter(|&n| Var::new(tape, n).is_tracked()).collect();
    let totals = sweep_values(result, seed.clone(), Some(&tracked));
    let cotangent = |n: u32| Some(totals[totals.binary_search_by_key(&n, |(node, _)| *node).ok()?].1.clone());
    let mut bad = vec![false; result.position() + 1];
    totals.iter().for_each(|(node, total)| bad[*node as usize] = !total.all_finite());
    // From the leaves up along non-finite cotangents: the last node on the way received the first of them.
    let mut on_the_way = vec![false; bad.len()];
    for node in 0..=result.id() {
        let reached = Var::new(tape, node).is_leaf() || inputs(tape, node).any(|input| on_the_way[input as usize]);
        on_the_way[node as usize] = bad[node as usize] && reached;
    }
    let receiver = on_the_way.iter().rposition(|&on| on)? as u32;
    let consumers: Vec<u32> =
        (receiver + 1..=result.id()).filter(|&n| inputs(tape, n).any(|i| i == receiver)).collect();
    for &node in &consumers {
        let Some(own) = cotangent(node) else { continue };
        for (input, _) in inputs(tape, node).enumerate().filter(|&(_, i)| i == receiver) {
            let term = term(tape, node, input, &own);
            if !term.all_finite() {
                if let Some(report) = inside_checkpoint(tape, node, |root| in_sweep(root, &own)) {
                    return Some(report);
                }
                let mut report = report(Pass::Rule { input }, place(tape, node), &term);
                report.operands = vec![size(tape, "cotangent", node, &own, &report.index)];
                report.operands.extend(operands(tape, node, &report.index));
                report.operands.push(size(tape, "value", node, &Var::new(tape, node).value(), &report.index));
                report.trail = cotangent_trail(result, node, &cotangent);
                return Some(report);
            }
        }
    }
    let mut report = report(Pass::Sum, place(tape, receiver), &cotangent(receiver)?);
    let terms = consumers.iter().filter_map(|&n| Some(size(tape, "cotangent", n, &cotangent(n)?, &report.index)));
    report.operands = terms.collect();
    report.trail = cotangent_trail(result, receiver, &cotangent);
    Some(report)
}

fn cotangent_trail<T: Scalar>(
    result: Var<'_, T>,
    from: u32,
    cotangent: &impl Fn(u32) -> Option<Tensor<T>>,
) -> Vec<Size> {
    let tape = result.tape();
    trail(tape, from, |n| {
        let consumers = (n + 1..=result.id()).filter(|&c| inputs(tape, c).any(|input| input == n));
        consumers.filter_map(|c| Some(("cotangent", c, cotangent(c)?))).collect::<Vec<_>>()
    })
}

/// From node to node, each time to the predecessor with the largest element; the first of every scope on the way.
fn trail<T: Scalar>(
    tape: &Tape<T>,
    from: u32,
    before: impl Fn(u32) -> Vec<(&'static str, u32, Tensor<T>)>,
) -> Vec<Size> {
    let mut scope = Names::with(tape, |names| names.scope_of(from));
    let (mut node, mut trail) = (from, Vec::new());
    for _ in 0..MOST_NODES {
        if trail.len() == TRAIL_LENGTH {
            break;
        }
        let finite = before(node).into_iter().filter(|(_, _, x)| x.all_finite());
        // Computed values first: a parameter has no history.
        let key = |(_, n, x): &(_, u32, Tensor<T>)| (inputs(tape, *n).len() > 0, largest(x));
        let later = |a: &_, b: &_| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1));
        let Some((what, next, x)) = finite.max_by(later) else { break };
        let step = size(tape, what, next, &x, &[]);
        if step.place.scope != scope {
            scope.clone_from(&step.place.scope);
            trail.push(step);
        }
        node = next;
    }
    trail
}

fn largest<T: Scalar>(x: &Tensor<T>) -> f64 {
    x.to_vec().into_iter().map(|x| x.to_f64().abs()).fold(0.0, f64::max)
}

fn inputs<T: Scalar>(tape: &Tape<T>, node: u32) -> std::vec::IntoIter<u32> {
    tape.graph.borrow().inputs(node).to_vec().into_iter()
}

/// The term that the rule of a node returns for one input, at the cotangent `cotangent`.
fn term<T: Scalar>(tape: &Tape<T>, node: u32, input: usize, cotangent: &Tensor<T>) -> Tensor<T> {
    let (op, alone) = (tape.op(node as usize).expect("a consumer has an op"), Tape::new());
    let inputs: Vec<_> = inputs(tape, node).map(|input| alone.leaf(Var::new(tape, input).value())).collect();
    alone.apply(op, &inputs).backward_from(cotangent).get(inputs[input])
}

fn place<T: Scalar>(tape: &Tape<T>, node: u32) -> Place {
    let info = tape.node(node as usize);
    Place { position: info.index, op: info.name, scope: info.scope, location: info.location }
}

fn operands<T: Scalar>(tape: &Tape<T>, node: u32, index: &[usize]) -> Vec<Size> {
    let name = |i| format!("input {i}");
    inputs(tape, node)
        .enumerate()
        .map(|(i, input)| size(tape, &name(i), input, &Var::new(tape, input).value(), index))
        .collect()
}

fn size<T: Scalar>(tape: &Tape<T>, what: &str, node: u32, x: &Tensor<T>, index: &[usize]) -> Size {
    let numbers: Vec<f64> = x.to_vec().into_iter().map(Scalar::to_f64).collect();
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let norm = Tensor::joint_norm([x]);
    let inside = index.len() == x.rank() && index.iter().zip(x.shape()).all(|(i, n)| i < n);
    let here = inside.then(|| x.at(index).to_f64());
    Size { what: what.to_owned(), place: place(tape, node), norm, least, most, here }
}

fn report<T: Scalar>(pass: Pass, place: Place, x: &Tensor<T>) -> Origin {
    let (index, value) = first_nonfinite(x).expect("a report is made of a number that is not finite");
    let count = x.to_vec().iter().filter(|x| !x.is_finite()).count();
    let (turned_nan, operands, trail) = (None, Vec::new(), Vec::new());
    Origin { pass, place, value, index, count, of: x.len(), turned_nan, operands, trail }
}

impl fmt::Display for Place {
    /// `sqrt at encoder/t=3 (src/main.rs:12)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.op)?;
        if !self.scope.is_empty() {
            write!(f, " at {}", self.scope)?;
        }
        write!(f, " ({}:{})", self.location.file(), self.location.line())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { what, place, norm, least, most, here } = self;
        write!(f, "{what:<9}  norm {norm:<9.3e}  {least:+.3e} to {most:+.3e}")?;
        if let Some(here) = here {
            write!(f, ", there {here:+.3e}")?;
        }
        write!(f, "  {place}")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { pass, place, value, index, count, of, .. } = self;
        let what = match pass {
            Pass::Forward => "the value".to_owned(),
            Pass::Rule { input } => format!("the gradient that goes to input {input}"),
            Pass::Sum => "the sum of finite gradients".to_owned(),
        };
        write!(f, "not finite: {what} of {place} is {value}")?;
        if *of > 1 {
            write!(f, " at {index:?}, {count} of {of} numbers")?;
        }
        if let Some(nan) = &self.turned_nan {
            write!(f, "\n  it became NaN in {nan}")?;
        }
        for operand in &self.operands {
            write!(f, "\n  {operand}")?;
        }
        if !self.trail.is_empty() {
            write!(f, "\n  how it came to that, the latest first:")?;
        }
        for step in &self.trail {
            write!(f, "\n    {step}")?;
        }
        Ok(())
    }
}
