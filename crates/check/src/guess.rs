//! A guess at the kind of mistake: a wrong gradient compared with the right one.

use rewind_autograd::Tensor;

use crate::pattern::Pattern;

/// What is known of a rule at one node.
pub(crate) struct Evidence {
    /// The gradients by the rule, one for each input of the op.
    pub(crate) analytic: Vec<Tensor<f64>>,
    /// The same by differences.
    pub(crate) numeric: Vec<Tensor<f64>>,
    /// The values of the inputs.
    pub(crate) inputs: Vec<Tensor<f64>>,
    pub(crate) output: Tensor<f64>,
    pub(crate) cotangent: Tensor<f64>,
}

/// The accuracy of differences, relative to the largest element.
const CLOSE: f64 = 1e-5;

/// The pattern of the mistake in the gradient of input number `input`, if it is a known one.
pub(crate) fn guess(evidence: &Evidence, input: usize) -> Option<Pattern> {
    let (a, n) = (&evidence.analytic[input], &evidence.numeric[input]);
    let size = largest(a).max(largest(n));
    if size == 0.0 || !a.all_finite() || !n.all_finite() {
        return None;
    }
    if largest(a) <= CLOSE * size {
        return Some(Pattern::Missing);
    }
    if largest(n) <= CLOSE * size {
        return Some(Pattern::Leak);
    }
    if same(a, n, size) {
        return None;
    }
    if let Some(k) = ratio(a, n, size) {
        return Some(if (k + 1.0).abs() < CLOSE { Pattern::Sign } else { Pattern::Factor(k) });
    }
    in_part(a, n, size)
        .or_else(|| rearranged(a, n, size))
        .or_else(|| of_another(evidence, input, size))
        .or_else(|| of_cotangent(evidence, a, n, size))
        .or_else(|| spread(a, n, size))
        .or_else(|| term(evidence, a, n, size))
}

fn largest(x: &Tensor<f64>) -> f64 {
    x.to_vec().iter().fold(0.0, |m, x| f64::max(m, x.abs()))
}

/// Whether two tensors have the same elements, one by one.
fn same(a: &Tensor<f64>, b: &Tensor<f64>, size: f64) -> bool {
    a.len() == b.len() && a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| (a - b).abs() <= CLOSE * size)
}

/// k with a = k·b everywhere.
fn ratio(a: &Tensor<f64>, b: &Tensor<f64>, size: f64) -> Option<f64> {
    let dot = |a: &Tensor<f64>| a.to_vec().iter().zip(b.to_vec()).map(|(a, b)| a * b).sum::<f64>();
    let k = dot(a) / dot(b);
    (k.is_finite() && same(a, &b.map(|b| k * b), size)).then_some(k)
}

fn rearranged(a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    if matches!(n.shape(), [.., rows, columns] if rows == columns) && same(a, &n.transpose(), size) {
        return Some(Pattern::Transposed);
    }
    for axis in 0..n.rank() {
        let length = n.shape()[axis];
        let mirrored = |k: usize| same(&a.index(axis, k), &n.index(axis, length - 1 - k), size);
        if length > 2 && (0..length).all(mirrored) {
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

/// Whether a at k is n at k - by wherever both exist. Elements shifted past one end are lost, and those at the other
/// end may be anything.
fn shifted(a: &Tensor<f64>, n: &Tensor<f64>, axis: usize, by: isize, size: f64) -> bool {
    let (distance, length) = (by.unsigned_abs(), n.shape()[axis]);
    let (front, back) = (0..length - distance, distance..length);
    let (of_a, of_n) = if by > 0 { (back, front) } else { (front, back) };
    let (a, n) = (a.slice(axis, of_a), n.slice(axis, of_n));
    a.len() > 1 && largest(&a) > CLOSE * size && same(&a, &n, size)
}

fn of_another(evidence: &Evidence, input: usize, size: f64) -> Option<Pattern> {
    let a = &evidence.analytic[input];
    let others = evidence.numeric.iter().enumerate().filter(|(other, _)| *other != input);
    let mut others = others.filter(|(_, n)| n.shape() == a.shape() && same(a, n, size));
    others.next().map(|(other, _)| Pattern::OfInput(other))
}

/// Gradients that are sums of the cotangent, alone or times a value of its shape.
fn of_cotangent(evidence: &Evidence, a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    let c = &evidence.cotangent;
    let values = evidence.inputs.iter().chain([&evidence.output]).filter(|x| x.shape() == c.shape());
    let times = values.map(|x| c.zip(x, |c, x| c * x));
    std::iter::once(c.clone()).chain(times).find_map(|c| summed_wrongly(&c, a, n, size))
}

fn summed_wrongly(c: &Tensor<f64>, a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    let is_sum = |x: &Tensor<f64>, over: usize| ratio(x, &c.sum_axis(over), size).is_some();
    let right = (0..c.rank()).find(|&axis| n.len() > 1 && is_sum(n, axis))?;
    if let Some(over) = (0..c.rank()).find(|&over| over != right && is_sum(a, over)) {
        return Some(Pattern::WrongAxis { over, instead_of: right });
    }
    let one = (0..c.shape()[right]).any(|k| same(a, &c.index(right, k), size));
    one.then_some(Pattern::NotSummed { axis: right })
}

fn in_part(a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    let close = |x: f64, y: f64| (x - y).abs() <= CLOSE * size;
    let (mut missing, mut leaking, mut negated, mut right) = (0, 0, 0, 0);
    for (a, n) in a.to_vec().into_iter().zip(n.to_vec()) {
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

fn spread(a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    let constant = |x: &Tensor<f64>, axis: usize| same(x, &x.slice(axis, 0..1).broadcast_to(x.shape()), size);
    (0..a.rank())
        .find(|&axis| a.shape()[axis] > 1 && constant(a, axis) && !constant(n, axis))
        .map(|axis| Pattern::Spread { axis })
}

/// A term that explains the difference: a multiple of the cotangent, alone or times one or two values of as many elements.
fn term(evidence: &Evidence, a: &Tensor<f64>, n: &Tensor<f64>, size: f64) -> Option<Pattern> {
    let row = |x: &Tensor<f64>| x.reshape(&[x.len()]);
    let times = |x: &Tensor<f64>, y: &Tensor<f64>| x.zip(y, |x, y| x * y);
    let (missing, c) = (row(&n.zip(a, |n, a| n - a)), row(&evidence.cotangent));
    if c.len() != missing.len() {
        return None;
    }
    let inputs = evidence.inputs.iter().enumerate().map(|(i, x)| (format!("·x{i}"), x));
    let values = inputs.chain([("·y".to_owned(), &evidence.output)]).filter(|(_, x)| x.len() == c.len());
    let mut factors = vec![(String::new(), Tensor::full(&[c.len()], 1.0))];
    factors.extend(values.map(|(name, x)| (name, row(x))));
    for (i, (first, x)) in factors.iter().enumerate() {
        for (second, y) in &factors[i..] {
            if let Some(factor) = ratio(&missing, &times(&times(&c, x), y), size) {
                return Some(Pattern::Term { factor, product: format!("ȳ{first}{second}") });
            }
        }
    }
    None
}
