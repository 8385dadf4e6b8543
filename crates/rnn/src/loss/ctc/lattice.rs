//! The forward and backward recursions of CTC (Graves et al. 2006, §4.1), over numbers with derivatives.
//!
//! The target, with a blank around every label, has 2·L + 1 positions. A path is at the first or second of them at the first step;
//! at each step it stays, moves to the next position, or skips a blank between two different labels; it ends at one of the last two.
//! Its weight is the product of e^y over its steps, y the entry of its label.
//!
//! A weight at y + Σ ε_i·u_i is a polynomial in the ε_i, of which the products of different ones matter: 2^k coefficients for k
//! directions u_i, that of Π_{i in A} ε_i at the index with the bits A. Its derivative in all directions is the last of them. The
//! coefficients of a position share an exponent, see [`wide`].

use rewind_autograd::Tensor;

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
    let mut total = f64::NEG_INFINITY;
    recursion(Count::<1>(1), &target.positions, emissions, 0..target.steps, |step, _, after| {
        if step + 1 == target.steps {
            total = log_total(1, after);
        }
    });
    total
}

/// ln Σ of the weights of the paths that end at the last two positions, in polynomials of `n` coefficients.
fn log_total(n: usize, last: &Row) -> f64 {
    let ends = last.exponents.len() - PAD..last.exponents.len();
    let peak = last.exponents[ends.clone()].iter().fold(f64::NEG_INFINITY, |a, &b| f64::max(a, b));
    let shifted = |position: usize| last.mantissas[position * n] * wide::power_of_two(last.exponents[position] - peak);
    wide::ln(ends.map(shifted).sum(), peak)
}

/// The derivative, in all directions, of the share of the paths that are at class c at step t: calls `each` with t and the
/// values of all classes of the target, for every step. Without directions, the share itself. Returns the [`log_likelihood`]: if there is
/// no path, it is -∞ and `each` is not called.
pub(super) fn occupancy(target: &Target, emissions: &Emissions, each: impl FnMut(usize, &[f64])) -> f64 {
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
) -> f64 {
    let n = count.get();
    let Target { steps, ref positions, .. } = *target;
    let length = positions.len();
    // The weights of all steps, a row of mantissas and exponents each: in a tensor, whose memory is reused.
    let (width, mut total) = (length * (n + 1), f64::NEG_INFINITY);
    let alphas = Tensor::build(&[steps, width], |rows| {
        recursion(count, positions, emissions, 0..steps, |step, _, after| {
            let (mantissas, exponents) = rows[step * width..][..width].split_at_mut(length * n);
            mantissas.copy_from_slice(&after.mantissas[PAD * n..]);
            exponents.copy_from_slice(&after.exponents[PAD..]);
            if step + 1 == steps {
                total = log_total(n, after);
            }
        });
    });
    let alphas = alphas.as_slice().expect("a new tensor is contiguous");
    // The recursion from the end is the same one over the positions in reverse.
    let reversed: Vec<_> = positions.iter().rev().copied().collect();
    let mut share = Share::new(n, emissions.classes);
    let mut any = true;
    recursion(count, &reversed, emissions, (0..steps).rev(), |step, before, _| {
        let alpha = alphas[step * width..][..width].split_at(length * n);
        any = any && share.compute(count, &reversed, alpha, before);
        if any {
            each(step, &share.found);
        }
    });
    total
}

/// The share of the paths at each class of one step.
struct Share {
    /// Those of α·β, by position.
    exponents: Vec<f64>,
    /// Σ α·β over the positions of a class, in units of the largest.
    sums: Vec<f64>,
    total: Vec<f64>,
    inverse: Vec<f64>,
    found: Vec<f64>,
}

impl Share {
    fn new(n: usize, classes: usize) -> Self {
        let zeros = |count| vec![0.0; count];
        Share {
            exponents: Vec::new(),
            sums: zeros(classes * n),
            total: zeros(n),
            inverse: zeros(n),
            found: zeros(classes),
        }
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
        let (n, length) = (count.get(), reversed.len());
        let (beta, beta_exponents) = (&beta.mantissas[PAD * n..][..length * n], &beta.exponents[PAD..][..length]);
        let (alpha, alpha_exponents) = (&alpha.0[..length * n], &alpha.1[..length]);
        self.exponents.clear();
        self.exponents.extend(alpha_exponents.iter().rev().zip(beta_exponents).map(|(a, b)| a + b));
        let peak = self.exponents.iter().fold(f64::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        if peak == f64::NEG_INFINITY {
            return false;
        }
        self.sums.fill(0.0);
        for (s, (&class, exponent)) in reversed.iter().zip(&self.exponents).enumerate() {
            let scale = wide::power_of_two(exponent - peak);
            let (alpha, beta) = (&alpha[(length - 1 - s) * n..][..n], &beta[s * n..][..n]);
            for (set, sum) in self.sums[class * n..][..n].iter_mut().enumerate() {
                *sum += scale * coefficient(alpha, beta, set);
            }
        }
        // Σ α·β is the same at every step, but for rounding: the shares of a step add to 1 if its own sum divides them.
        self.invert_total(count);
        for (class, found) in self.found.iter_mut().enumerate() {
            let sum = &self.sums[class * n..][..n];
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
        for (i, sum) in sums.iter().enumerate() {
            total[i % n] += sum;
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
    let (n, length) = (count.get(), positions.len());
    let at = step * emissions.classes;
    let mantissas = &emissions.mantissas[at..][..emissions.classes];
    let exponents = &emissions.exponents[at..][..emissions.classes];
    // Slices of one length: then the loop checks no bounds.
    let (sources, cells) = (&from.mantissas[PAD * n..][..length * n], &mut to.mantissas[PAD * n..][..length * n]);
    let (source_exponents, cell_exponents) = (&from.exponents[PAD..][..length], &mut to.exponents[PAD..][..length]);
    for (s, &class) in positions.iter().enumerate() {
        let (mantissa, more) = wide::split(sources[s * n] * mantissas[class]);
        cells[s * n] = mantissa;
        cell_exponents[s] = source_exponents[s] + exponents[class] + more;
        if n == 1 {
            continue;
        }
        let (source, cell) = (&sources[s * n..][..n], &mut cells[s * n..][..n]);
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
    let (n, length) = (count.get(), skips.len());
    let larger = |a: f64, b: f64| if a > b { a } else { b };
    // The two positions before, the one before, and the same. Slices of one length: then the loop checks no bounds.
    let exponents = [0, 1, 2].map(|back| &from.exponents[back..][..length]);
    let mantissas = [0, 1, 2].map(|back| &from.mantissas[back * n..][..length * n]);
    let (cells, cell_exponents) = (&mut to.mantissas[PAD * n..][..length * n], &mut to.exponents[PAD..][..length]);
    for s in 0..length {
        let (skipped, next, same) = (exponents[0][s] + skips[s], exponents[1][s], exponents[2][s]);
        let peak = larger(larger(same, next), skipped);
        let skipped = wide::power_of_two(skipped - peak);
        let next = wide::power_of_two(next - peak);
        let same = wide::power_of_two(same - peak);
        for i in s * n..s * n + n {
            cells[i] = skipped * mantissas[0][i] + next * mantissas[1][i] + same * mantissas[2][i];
        }
        cell_exponents[s] = peak;
    }
}
