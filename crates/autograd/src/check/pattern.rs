//! A guess at the kind of mistake, from a wrong gradient beside the right one.

use std::fmt;

/// What a wrong gradient looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// It is zero, and should not be.
    Missing,
    /// It should be zero, and is not.
    Leak,
    /// Its sign is wrong.
    Sign,
    /// Its sign is wrong in some places, and it is right in the others.
    SignInPart {
        /// How many entries have the wrong sign.
        entries: usize,
    },
    /// The rule gave a cotangent of another shape than its input's: of a broadcast that is not summed, say.
    WrongShape,
    /// It is this many times what it should be.
    Factor(f64),
    /// Its last two axes are exchanged.
    Transposed,
    /// It is the gradient of another input of the op.
    OfInput(usize),
    /// It lies this many positions too far along an axis.
    Shifted {
        /// The axis.
        axis: usize,
        /// How far.
        by: isize,
    },
    /// It runs backwards along an axis.
    Reversed {
        /// The axis.
        axis: usize,
    },
    /// It is the cotangent summed over this axis, where it should be summed over that.
    WrongAxis {
        /// The axis that was summed over.
        over: usize,
        /// The axis to sum over.
        instead_of: usize,
    },
    /// It is the cotangent at one position of an axis, where it should be the sum over that axis: a broadcast whose
    /// gradient is not summed.
    NotSummed {
        /// The axis.
        axis: usize,
    },
    /// It is the same all along an axis, where it should not be: summed over that axis, or broadcast along it.
    Spread {
        /// The axis.
        axis: usize,
    },
    /// It is right in some places and zero in the others.
    Partly {
        /// How many entries are zero that should not be.
        missing: usize,
    },
    /// It is right where it should not be zero, and not zero where it should be: a mask is missing.
    Unmasked {
        /// How many entries should be zero.
        leaking: usize,
    },
    /// It is right for different variables, and wrong where two inputs of the op are the same one.
    SameVariable,
    /// The op gives another value when it is computed again, as a [`checkpoint`](crate::checkpoint()) is in the sweep.
    Unsteady {
        /// How far the values lie apart.
        difference: f64,
    },
    /// It is infinite or NaN where the inputs and the value are finite.
    NotFinite,
    /// A term is missing (or too much, with a negative factor): this many times the named product.
    Term {
        /// The factor.
        factor: f64,
        /// The product, such as `ȳ·x0`.
        product: String,
    },
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Missing => write!(f, "there is no gradient at all"),
            Pattern::Leak => write!(f, "a gradient where the function is flat"),
            Pattern::Sign => write!(f, "the sign is wrong"),
            Pattern::SignInPart { entries } => {
                write!(f, "the sign is wrong in {entries} entries, the others are right")
            }
            Pattern::WrongShape => {
                write!(f, "a cotangent of another shape than the input: a broadcast not summed down?")
            }
            Pattern::Factor(k) => write!(f, "a factor: {} times what it should be", plain(*k)),
            Pattern::Transposed => write!(f, "transposed: the last two axes are exchanged"),
            Pattern::OfInput(i) => write!(f, "this is the gradient of input {i}"),
            Pattern::Shifted { axis, by } => write!(f, "off by {by} along axis {axis}"),
            Pattern::Reversed { axis } => write!(f, "reversed along axis {axis}"),
            Pattern::WrongAxis { over, instead_of } => {
                write!(f, "summed over axis {over} of the cotangent instead of axis {instead_of}")
            }
            Pattern::NotSummed { axis } => write!(f, "not summed over axis {axis} of the cotangent"),
            Pattern::Spread { axis } => write!(f, "the same all along axis {axis}: summed over it, or broadcast"),
            Pattern::Partly { missing } => {
                write!(f, "a part is missing: zero in {missing} entries, right in the others")
            }
            Pattern::Unmasked { leaking } => {
                write!(f, "a mask is missing: {leaking} entries should be zero, the others are right")
            }
            Pattern::SameVariable => {
                write!(f, "right for different variables, wrong where two inputs of the op are the same one")
            }
            Pattern::Unsteady { difference } => {
                write!(f, "computed again from the same numbers it gives another value: {difference:.1e} apart")
            }
            Pattern::NotFinite => {
                write!(f, "infinite or NaN where the value is finite: times 0 on its way back, that is NaN")
            }
            Pattern::Term { factor, product } if *factor > 0.0 => {
                write!(f, "a term is missing: {} {product}", plain(*factor))
            }
            Pattern::Term { factor, product } => write!(f, "a term too much: {} {product}", plain(-factor)),
        }
    }
}

/// A factor as people write it: 2, 1/3, 0.37, and where it lies beside such a number, with the digits that tell it apart.
fn plain(k: f64) -> String {
    const SURE: f64 = 1e-6;
    let (whole, part) = (k.round(), (1.0 / k).round());
    let beside = |x: f64| (k / x - 1.0).abs();
    if whole != 0.0 && beside(whole) < SURE {
        return format!("{whole}");
    }
    if part.is_finite() && part.abs() > 1.0 && beside(1.0 / part) < SURE {
        return if part < 0.0 { format!("-1/{}", -part) } else { format!("1/{part}") };
    }
    let nearest = [whole, 1.0 / part].into_iter().map(|x| (k - x).abs()).fold(f64::INFINITY, f64::min);
    let digits = (2.0 - nearest.max(1e-12).log10().floor()).clamp(4.0, 12.0) as usize;
    format!("{k:.digits$}")
}

/// Numbers and their shape.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

impl Grid {
    fn largest(&self) -> f64 {
        self.data.iter().fold(0.0, |m, x| f64::max(m, x.abs()))
    }

    /// (outer, length, inner) of an axis.
    fn split(&self, axis: usize) -> (usize, usize, usize) {
        let product = |s: &[usize]| s.iter().product();
        (product(&self.shape[..axis]), self.shape[axis], product(&self.shape[axis + 1..]))
    }

    /// The same numbers with position k of an axis taken from `from(k)`, 0 where there is none.
    fn along(&self, axis: usize, from: impl Fn(usize) -> Option<usize>) -> Vec<f64> {
        let (outer, length, inner) = self.split(axis);
        let mut out = Vec::with_capacity(self.data.len());
        for o in 0..outer {
            for k in 0..length {
                for i in 0..inner {
                    let from = from(k).filter(|&k| k < length);
                    out.push(from.map_or(0.0, |k| self.data[(o * length + k) * inner + i]));
                }
            }
        }
        out
    }

    fn summed(&self, axis: usize) -> Vec<f64> {
        let (outer, length, inner) = self.split(axis);
        let at = |o: usize, i: usize| (0..length).map(|k| self.data[(o * length + k) * inner + i]).sum();
        (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| at(o, i)).collect()
    }

    fn position(&self, axis: usize, k: usize) -> Vec<f64> {
        let (outer, length, inner) = self.split(axis);
        (0..outer)
            .flat_map(|o| (0..inner).map(move |i| (o, i)))
            .map(|(o, i)| self.data[(o * length + k) * inner + i])
            .collect()
    }

    fn transposed(&self) -> Option<Vec<f64>> {
        let &[.., m, n] = &self.shape[..] else { return None };
        if m != n {
            return None;
        }
        let matrices = self.data.chunks_exact(m * n);
        Some(matrices.flat_map(|a| (0..m * n).map(move |k| a[(k % n) * n + k / n])).collect())
    }
}

/// What is known of a rule at one node.
pub(super) struct Evidence {
    /// The gradients by the rule, one for each input of the op.
    pub(super) analytic: Vec<Grid>,
    /// The same by differences.
    pub(super) numeric: Vec<Grid>,
    /// The values of the inputs.
    pub(super) inputs: Vec<Grid>,
    pub(super) output: Grid,
    pub(super) cotangent: Grid,
}

/// Relative to the largest number: what differences are sure of.
const CLOSE: f64 = 1e-5;

fn same(a: &[f64], b: &[f64], size: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= CLOSE * size)
}

/// The pattern of the mistake in the gradient of input number `input`, if it is a known one.
pub(super) fn guess(evidence: &Evidence, input: usize) -> Option<Pattern> {
    let (a, n) = (&evidence.analytic[input], &evidence.numeric[input]);
    let size = a.largest().max(n.largest());
    if !size.is_finite() || size == 0.0 || n.data.iter().chain(&a.data).any(|x| !x.is_finite()) {
        return None;
    }
    if a.largest() <= CLOSE * size {
        return Some(Pattern::Missing);
    }
    if n.largest() <= CLOSE * size {
        return Some(Pattern::Leak);
    }
    if same(&a.data, &n.data, size) {
        return None;
    }
    if let Some(k) = ratio(&a.data, &n.data, size) {
        return Some(if (k + 1.0).abs() < CLOSE { Pattern::Sign } else { Pattern::Factor(k) });
    }
    in_part(a, n, size)
        .or_else(|| rearranged(a, n, size))
        .or_else(|| of_another(evidence, input, size))
        .or_else(|| of_cotangent(evidence, a, n, size))
        .or_else(|| spread(a, n, size))
        .or_else(|| term(evidence, a, n, size))
}

/// k with a = k·b everywhere.
fn ratio(a: &[f64], b: &[f64], size: f64) -> Option<f64> {
    let squares: f64 = b.iter().map(|b| b * b).sum();
    let k = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / squares;
    let scaled: Vec<f64> = b.iter().map(|b| k * b).collect();
    (k.is_finite() && same(a, &scaled, size)).then_some(k)
}

fn rearranged(a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    if n.transposed().is_some_and(|t| same(&a.data, &t, size)) {
        return Some(Pattern::Transposed);
    }
    for axis in (0..n.shape.len()).filter(|&axis| n.shape[axis] > 1) {
        let length = n.shape[axis];
        if length > 2 && same(&a.data, &n.along(axis, |k| Some(length - 1 - k)), size) {
            return Some(Pattern::Reversed { axis });
        }
        for by in [1_isize, -1, 2, -2] {
            if by.unsigned_abs() < length && shifted(a, n, axis, by, size) {
                return Some(Pattern::Shifted { axis, by });
            }
        }
    }
    None
}

/// Whether a at k is n at k - by wherever both are there. What is pushed over the end is lost, and what comes in at the
/// other end may be anything.
fn shifted(a: &Grid, n: &Grid, axis: usize, by: isize, size: f64) -> bool {
    let length = a.shape[axis];
    let (moved, there) = (n.along(axis, |k| k.checked_add_signed(-by)), |k: usize| k.checked_add_signed(-by));
    let inner: usize = a.shape[axis + 1..].iter().product();
    let both = |i: usize| there(i / inner % length).is_some_and(|k| k < length);
    let pairs: Vec<(f64, f64)> = (0..moved.len()).filter(|&i| both(i)).map(|i| (a.data[i], moved[i])).collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    ours.len() > 1 && ours.iter().any(|x| x.abs() > CLOSE * size) && same(&ours, &theirs, size)
}

fn of_another(evidence: &Evidence, input: usize, size: f64) -> Option<Pattern> {
    let a = &evidence.analytic[input];
    let others = evidence.numeric.iter().enumerate().filter(|(other, _)| *other != input);
    let mut others = others.filter(|(_, n)| n.shape == a.shape && same(&a.data, &n.data, size));
    others.next().map(|(other, _)| Pattern::OfInput(other))
}

/// Gradients that are sums of the cotangent, alone or times a value of its shape.
fn of_cotangent(evidence: &Evidence, a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    let c = &evidence.cotangent;
    let values = evidence.inputs.iter().chain([&evidence.output]).filter(|x| x.shape == c.shape);
    let times =
        |x: &Grid| Grid { shape: c.shape.clone(), data: c.data.iter().zip(&x.data).map(|(c, x)| c * x).collect() };
    std::iter::once(c.clone()).chain(values.map(times)).find_map(|c| summed_wrongly(&c, a, n, size))
}

fn summed_wrongly(c: &Grid, a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    let axes = 0..c.shape.len();
    let right = axes.clone().find(|&axis| n.data.len() > 1 && ratio(&n.data, &c.summed(axis), size).is_some())?;
    for over in axes.filter(|&over| over != right) {
        if ratio(&a.data, &c.summed(over), size).is_some() {
            return Some(Pattern::WrongAxis { over, instead_of: right });
        }
    }
    let one = (0..c.shape[right]).any(|k| same(&a.data, &c.position(right, k), size));
    one.then_some(Pattern::NotSummed { axis: right })
}

fn in_part(a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    let close = |x: f64, y: f64| (x - y).abs() <= CLOSE * size;
    let (mut missing, mut leaking, mut negated, mut right) = (0, 0, 0, 0);
    for (&a, &n) in a.data.iter().zip(&n.data) {
        match () {
            () if close(a, n) => right += usize::from(n.abs() > CLOSE * size),
            () if close(a, 0.0) => missing += 1,
            () if close(n, 0.0) => leaking += 1,
            () if close(a, -n) => negated += 1,
            () => return None,
        }
    }
    match (missing, leaking, negated) {
        _ if right == 0 => None,
        (0, leaking, 0) => Some(Pattern::Unmasked { leaking }),
        (missing, 0, 0) => Some(Pattern::Partly { missing }),
        (0, 0, entries) => Some(Pattern::SignInPart { entries }),
        _ => None,
    }
}

fn spread(a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    let constant = |g: &Grid, axis: usize| same(&g.data, &g.along(axis, |_| Some(0)), size);
    (0..a.shape.len())
        .find(|&axis| a.shape[axis] > 1 && constant(a, axis) && !constant(n, axis))
        .map(|axis| Pattern::Spread { axis })
}

/// A term that explains the difference: a multiple of the cotangent, alone or times a value of the same shape.
fn term(evidence: &Evidence, a: &Grid, n: &Grid, size: f64) -> Option<Pattern> {
    let missing: Vec<f64> = n.data.iter().zip(&a.data).map(|(n, a)| n - a).collect();
    let c = &evidence.cotangent;
    if c.data.len() != missing.len() {
        return None;
    }
    let inputs = evidence.inputs.iter().enumerate().map(|(i, x)| (format!("x{i}"), x));
    let mut factors: Vec<(String, Vec<f64>)> = vec![(String::new(), vec![1.0; missing.len()])];
    for (name, x) in inputs.chain([("y".to_owned(), &evidence.output)]) {
        if x.data.len() == missing.len() {
            factors.push((format!("·{name}"), x.data.clone()));
        }
    }
    for (i, (first, x)) in factors.iter().enumerate() {
        for (second, y) in &factors[i..] {
            let product: Vec<f64> = c.data.iter().zip(x).zip(y).map(|((c, x), y)| c * x * y).collect();
            if let Some(factor) = ratio(&missing, &product, size) {
                return Some(Pattern::Term { factor, product: format!("ȳ{first}{second}") });
            }
        }
    }
    None
}
