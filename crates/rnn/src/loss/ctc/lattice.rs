//! The forward and backward recursions of CTC (Graves et al. 2006, §4.1), over numbers with derivatives.
//!
//! The target, with a blank around every label, has 2·L + 1 positions. A path is at the first or second of them at the first step;
//! at each step it stays, moves to the next position, or skips a blank between two different labels; it ends at one of the last two.
//! Its weight is the product of e^y over its steps, y the entry of its label.
//!
//! A weight at y + Σ ε_i·u_i is a polynomial in the ε_i, of which the products of different ones matter: 2^k coefficients for k
//! directions u_i, that of Π_{i in A} ε_i at the index with the bits A. Its derivative in all directions is the last of them. The
//! coefficients of a position share an exponent, see [`wide`].

use super::wide;

/// Zeros before the first position, for its two predecessors.
const PAD: usize = 2;

/// What CTC needs of a sequence: its steps, and the positions of its target.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) steps: usize,
    /// The classes that occur: the blank, then the labels.
    pub(super) classes: Vec<usize>,
    /// The index in `classes` of every position.
    positions: Vec<usize>,
}

impl Target {
    pub(super) fn new(labels: &[usize], steps: usize, blank: usize) -> Self {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let mut positions = vec![0];
        for label in labels {
            positions.extend([1 + classes.binary_search(label).unwrap_or_default(), 0]);
        }
        classes.insert(0, blank);
        Target { steps, classes, positions }
    }
}

/// The weights e^y of the classes of a target at every step, and the directions of the derivative.
pub(super) struct Emissions {
    classes: usize,
    mantissas: Vec<f64>,
    exponents: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

impl Emissions {
    /// Of entries `[steps, classes]`; `None` if one is NaN or +∞, which is no logarithm of a weight.
    pub(super) fn new(classes: usize, entries: &[f64]) -> Option<Self> {
        if entries.iter().any(|y| y.is_nan() || *y == f64::INFINITY) {
            return None;
        }
        let (mantissas, exponents) = entries.iter().map(|&y| wide::exp(y)).unzip();
        Some(Emissions { classes, mantissas, exponents, directions: Vec::new() })
    }

    /// The same weights, with directions `[steps, classes]`.
    pub(super) fn along(self, directions: Vec<Vec<f64>>) -> Self {
        Emissions { directions, ..self }
    }

    /// The number of coefficients.
    fn coefficients(&self) -> usize {
        1 << self.directions.len()
    }
}

/// How many coefficients a polynomial has: `N`, or as many as the field says for [`ANY`].
#[derive(Clone, Copy)]
struct Count<const N: usize>(usize);

/// A number of coefficients that the compiler does not know.
const ANY: usize = 0;

impl<const N: usize> Count<N> {
    #[inline(always)]
    fn get(self) -> usize {
        if N == ANY { self.0 } else { N }
    }
}

/// The polynomials of all positions at one step.
struct Row {
    mantissas: Vec<f64>,
    exponents: Vec<f64>,
}

impl Row {
    /// 1 at the first `ones` of the positions, 0 elsewhere.
    fn new(n: usize, positions: usize, ones: usize) -> Self {
        let mut row =
            Row { mantissas: vec![0.0; (PAD + positions) * n], exponents: vec![f64::NEG_INFINITY; PAD + positions] };
        for position in PAD..PAD + ones.min(positions) {
            (row.mantissas[position * n], row.exponents[position]) = (1.0, 0.0);
        }
        row
    }
}

/// ln Σ of the weights of all paths: -∞ if there is none.
pub(super) fn log_likelihood(target: &Target, emissions: &Emissions) -> f64 {
    let count = target.positions.len();
    let mut total = (0.0, f64::NEG_INFINITY);
    recursion(Count::<1>(1), &target.positions, emissions, 0..target.steps, |step, _, after| {
        if step + 1 == target.steps {
            let ends = count.saturating_sub(2)..count;
            let peak = after.exponents[PAD..][ends.clone()].iter().fold(f64::NEG_INFINITY, |a, &b| f64::max(a, b));
            let shifted = |s: usize| after.mantissas[PAD + s] * wide::power_of_two(after.exponents[PAD + s] - peak);
            total = (ends.map(shifted).sum(), peak);
        }
    });
    wide::ln(total.0, total.1)
}

/// The derivative, in all directions, of the share of the paths that are at class c at step t: calls `each` with t and the
/// values of all classes of the target. Without directions, the share itself. `false` if there is no path.
pub(super) fn occupancy(target: &Target, emissions: &Emissions, each: impl FnMut(usize, &[f64])) -> bool {
    match emissions.coefficients() {
        1 => occupancy_of(Count::<1>(1), target, emissions, each),
        2 => occupancy_of(Count::<2>(2), target, emissions, each),
        n => occupancy_of(Count::<ANY>(n), target, emissions, each),
    }
}

fn occupancy_of<const N: usize>(
    count: Count<N>,
    target: &Target,
    emissions: &Emissions,
    mut each: impl FnMut(usize, &[f64]),
) -> bool {
    let n = count.get();
    let Target { steps, ref positions, .. } = *target;
    let length = positions.len();
    let (mut mantissas, mut exponents) = (Vec::with_capacity(steps * length * n), Vec::with_capacity(steps * length));
    recursion(count, positions, emissions, 0..steps, |_, _, after| {
        mantissas.extend_from_slice(&after.mantissas[PAD * n..]);
        exponents.extend_from_slice(&after.exponents[PAD..]);
    });
    // The recursion from the end is the same one over the positions in reverse.
    let reversed: Vec<_> = positions.iter().rev().copied().collect();
    let mut share = Share::new(n, emissions.classes);
    let mut any = true;
    recursion(count, &reversed, emissions, (0..steps).rev(), |step, before, _| {
        let forward = (&mantissas[step * length * n..][..length * n], &exponents[step * length..][..length]);
        any = any && share.compute(count, &reversed, forward, before);
        if any {
            each(step, &share.found);
        }
    });
    any
}

/// The share of the paths at each class of one step.
struct Share {
    /// Σ α·β over the positions of a class, in units of the largest.
    sums: Vec<f64>,
    total: Vec<f64>,
    inverse: Vec<f64>,
    found: Vec<f64>,
}

impl Share {
    fn new(n: usize, classes: usize) -> Self {
        let zeros = |count| vec![0.0; count];
        Share { sums: zeros(classes * n), total: zeros(n), inverse: zeros(n), found: zeros(classes) }
    }

    /// From α of every position, the weight of all ways to it, and β, that of all ways on, in reverse. `false` if no way leads through.
    #[inline(always)]
    fn compute<const N: usize>(
        &mut self,
        count: Count<N>,
        reversed: &[usize],
        alpha: (&[f64], &[f64]),
        beta: &Row,
    ) -> bool {
        let n = count.get();
        let (beta, beta_exponents) = (&beta.mantissas[PAD * n..], &beta.exponents[PAD..]);
        let together = || alpha.1.iter().rev().zip(beta_exponents).map(|(a, b)| a + b);
        let peak = together().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        if peak == f64::NEG_INFINITY {
            return false;
        }
        self.sums.fill(0.0);
        let pairs = alpha.0.chunks_exact(n).rev().zip(beta.chunks_exact(n));
        for ((&class, (alpha, beta)), exponent) in reversed.iter().zip(pairs).zip(together()) {
            let scale = wide::power_of_two(exponent - peak);
            let sum = &mut self.sums[class * n..][..n];
            (0..n).for_each(|set| sum[set] += scale * coefficient(alpha, beta, set));
        }
        // Σ α·β is the same at every step, but for rounding: the shares of a step add to 1 if its own sum divides them.
        self.invert_total(count);
        for (found, sum) in self.found.iter_mut().zip(self.sums.chunks_exact(n)) {
            // A quotient is exact where it is 1.
            *found = if n == 1 { sum[0] / self.total[0] } else { coefficient(sum, &self.inverse, n - 1) };
        }
        true
    }

    /// Σ over the classes and 1 / Σ, as polynomials.
    #[inline(always)]
    fn invert_total<const N: usize>(&mut self, count: Count<N>) {
        let n = count.get();
        let Share { sums, total, inverse, .. } = self;
        total.fill(0.0);
        for sum in sums.chunks_exact(n) {
            total.iter_mut().zip(sum).for_each(|(total, sum)| *total += sum);
        }
        inverse.fill(0.0);
        inverse[0] = 1.0 / total[0];
        for set in 1..n {
            // inverse[set] is still 0.
            inverse[set] = -coefficient(total, inverse, set) * inverse[0];
        }
    }
}

/// The coefficient of `set` in the product of two polynomials.
#[inline(always)]
fn coefficient(a: &[f64], b: &[f64], set: usize) -> f64 {
    let (mut sum, mut part) = (0.0, set);
    loop {
        sum += a[part] * b[set ^ part];
        if part == 0 {
            return sum;
        }
        part = (part - 1) & set;
    }
}

/// Walks the steps in the given order, and calls `each` with the weights of all ways to every position before and after the
/// emission of the step.
#[inline(always)]
fn recursion<const N: usize>(
    count: Count<N>,
    positions: &[usize],
    emissions: &Emissions,
    steps: impl Iterator<Item = usize>,
    mut each: impl FnMut(usize, &Row, &Row),
) {
    // Added to the exponent of the position two before: 0 where a path may skip the blank between.
    let skips: Vec<f64> = (0..positions.len())
        .map(|s| if s % 2 == 1 && s > 1 && positions[s] != positions[s - 2] { 0.0 } else { f64::NEG_INFINITY })
        .collect();
    let mut before = Row::new(count.get(), positions.len(), 2);
    let mut after = Row::new(count.get(), positions.len(), 0);
    for step in steps {
        emit(count, positions, emissions, step, &before, &mut after);
        each(step, &before, &after);
        advance(count, &skips, &after, &mut before);
    }
}

/// `to` = `from` times the weight of each position's class at `step`.
#[inline(always)]
fn emit<const N: usize>(
    count: Count<N>,
    positions: &[usize],
    emissions: &Emissions,
    step: usize,
    from: &Row,
    to: &mut Row,
) {
    let n = count.get();
    let at = step * emissions.classes;
    let mantissas = &emissions.mantissas[at..][..emissions.classes];
    let exponents = &emissions.exponents[at..][..emissions.classes];
    let cells = to.mantissas[PAD * n..].chunks_exact_mut(n).zip(&mut to.exponents[PAD..]);
    let sources = from.mantissas[PAD * n..].chunks_exact(n).zip(&from.exponents[PAD..]);
    for ((&class, (cell, exponent)), (source, &source_exponent)) in positions.iter().zip(cells).zip(sources) {
        let (mantissa, more) = wide::split(source[0] * mantissas[class]);
        cell[0] = mantissa;
        *exponent = source_exponent + exponents[class] + more;
        if n == 1 {
            continue;
        }
        let scale = if mantissa == 0.0 { 0.0 } else { mantissas[class] * wide::power_of_two(-more) };
        (1..n).for_each(|set| cell[set] = source[set] * scale);
        if mantissa == 0.0 {
            continue; // an infinite direction times 0 would be NaN
        }
        for (i, direction) in emissions.directions.iter().enumerate() {
            let (bit, slope) = (1 << i, direction[at + class]);
            for set in (0..n).filter(|set| set & bit != 0) {
                cell[set] += slope * cell[set ^ bit];
            }
        }
    }
}

/// `to` = the sum over the three positions of `from` that lead to each position.
#[inline(always)]
fn advance<const N: usize>(count: Count<N>, skips: &[f64], from: &Row, to: &mut Row) {
    let n = count.get();
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    for (s, &skip) in skips.iter().enumerate() {
        let (skipped, next, same) = (from.exponents[s] + skip, from.exponents[s + 1], from.exponents[s + 2]);
        let peak = larger(larger(same, next), skipped);
        let skipped = wide::power_of_two(skipped - peak);
        let next = wide::power_of_two(next - peak);
        let same = wide::power_of_two(same - peak);
        let source = &from.mantissas[s * n..][..3 * n];
        let cell = &mut to.mantissas[(PAD + s) * n..][..n];
        for set in 0..n {
            cell[set] = skipped * source[set] + next * source[n + set] + same * source[2 * n + set];
        }
        to.exponents[PAD + s] = peak;
    }
}
