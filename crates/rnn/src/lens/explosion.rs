//! Why gradients explode and vanish, with a single unit: a chain of equal factors, and the error surface that it makes.

use std::fmt;

use rewind_autograd::{Tape, Tensor, Var};

use super::table::shown;
use crate::clip::clip_norm;

/// The gradient along a chain of one linear unit, h_t = `factor`·h_(t-1) for `steps` steps: dh_T/dh_t = factor^(T - t), as the tape
/// computes it.
///
/// ```
/// use rewind_rnn::lens::chain;
/// let (growing, fading) = (chain(10.0, 20), chain(0.1, 20));
/// assert!((growing.gradients[0] / 1e20 - 1.0).abs() < 1e-12); // dh_20/dh_0
/// assert!((fading.gradients[0] / 1e-20 - 1.0).abs() < 1e-12);
/// println!("{growing}");
/// ```
pub fn chain(factor: f64, steps: usize) -> Chain {
    let tape = Tape::new();
    let mut states = vec![tape.leaf(Tensor::scalar(1.0))];
    for t in 1..=steps {
        let _step = tape.numbered_scope("t", t);
        states.push(states[t - 1] * factor);
    }
    let gradients = states[steps].backward_to(&states);
    Chain { factor, gradients: states.into_iter().map(|h| gradients.get(h).item()).collect() }
}

/// The gradient along a chain of one unit: made by [`chain`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Chain {
    /// The factor of each step.
    pub factor: f64,
    /// dh_T/dh_t for t = 0 to T.
    pub gradients: Vec<f64>,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.gradients.len() - 1;
        writeln!(f, "dh_{last}/dh_t for h_t = {}·h_(t-1)", self.factor)?;
        for t in shown(self.gradients.len()).into_iter().rev() {
            writeln!(f, "  {t:>5}  {:.1e}", self.gradients[t])?;
        }
        Ok(())
    }
}

/// The error surface with a wall of Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", and
/// gradient descent on it, with and without clipping of the norm. One unit without input:
///
/// ```text
/// h_t = w·σ(h_(t-1)) + b,   h_0 = 0,   t = 1 … 50        E = (σ(h_50) - 0.7)²
/// ```
///
/// For w > 4 the unit has two stable states, and the wall stands where h_0 changes from the basin of one to that of the other, at
/// b = -w/2: there the gradient is that of 50 factors above 1.
///
/// ```
/// use rewind_rnn::lens::{Cliff, cliff};
/// let surface = cliff(&Cliff { grid: [9, 9], ..Cliff::default() });
/// let last = |path: &[rewind_rnn::lens::Descent]| path[path.len() - 1].error;
/// assert!(last(&surface.plain) > 0.4); // thrown off at the wall
/// assert!(last(&surface.clipped) < 0.01);
/// ```
///
/// # Panics
/// If a range is not ascending or its width is not finite, the grid has fewer than two points along an axis, or the threshold is negative or NaN.
#[track_caller]
pub fn cliff(settings: &Cliff) -> Surface {
    let Cliff { w, b, grid, .. } = settings;
    for (name, [low, high], points) in [("w", w, grid[0]), ("b", b, grid[1])] {
        if !(low < high && (high - low).is_finite()) || points < 2 {
            panic!(
                "cliff: {points} points of {name} from {low:?} to {high:?}; expected two at least, of an ascending range of finite width"
            );
        }
    }
    if settings.threshold.is_nan() || settings.threshold < 0.0 {
        panic!("cliff: a threshold of {}; expected 0 or more", settings.threshold);
    }
    let along = |[low, high]: &[f64; 2], points: usize| -> Vec<f64> {
        (0..points).map(|k| low + (high - low) * k as f64 / (points - 1) as f64).collect()
    };
    let (w, b) = (along(w, grid[0]), along(b, grid[1]));
    let error = b.iter().map(|&b| w.iter().map(|&w| at(&mut Tape::quiet(), [w, b]).0).collect()).collect();
    Surface { plain: descend(settings, f64::INFINITY), clipped: descend(settings, settings.threshold), w, b, error }
}

/// Settings of [`cliff`]. By default, descent that is not clipped is thrown off at the wall after some twenty steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Cliff {
    /// The range of w.
    pub w: [f64; 2],
    /// The range of b.
    pub b: [f64; 2],
    /// How many values of w, and how many of b.
    pub grid: [usize; 2],
    /// Where descent starts: w and b.
    pub start: [f64; 2],
    /// The learning rate.
    pub rate: f64,
    /// The norm that gradients are clipped to.
    pub threshold: f64,
    /// How many steps of descent.
    pub steps: usize,
}

impl Default for Cliff {
    fn default() -> Self {
        Cliff {
            w: [2.0, 6.0],
            b: [-8.0, 0.0],
            grid: [41, 81],
            start: [5.0, -2.3],
            rate: 0.3,
            threshold: 1.0,
            steps: 100,
        }
    }
}

/// One point of a descent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Descent {
    /// The weight.
    pub w: f64,
    /// The bias.
    pub b: f64,
    /// E at this point.
    pub error: f64,
    /// The norm of its gradient, before clipping.
    pub norm: f64,
}

/// An error surface, and two descents on it: made by [`cliff`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Surface {
    /// The values of w.
    pub w: Vec<f64>,
    /// The values of b.
    pub b: Vec<f64>,
    /// E: a row for each b, a column for each w.
    pub error: Vec<Vec<f64>>,
    /// Gradient descent as it is, from the start on.
    pub plain: Vec<Descent>,
    /// Gradient descent with clipped norms.
    pub clipped: Vec<Descent>,
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<38}  clipped", "      without clipping")?;
        writeln!(f, "step       w       b        E  |grad E|       w       b        E  |grad E|")?;
        for k in shown(self.plain.len().max(self.clipped.len())) {
            // A descent ends where its gradient is not finite.
            let row = |path: &[Descent]| match path.get(k) {
                Some(Descent { w, b, error, norm }) => {
                    format!("{w:>7.3} {b:>7.3}  {:>7}  {:>8}", format!("{error:.1e}"), format!("{norm:.1e}"))
                }
                None => " ".repeat(33),
            };
            writeln!(f, "{}", format!("{k:>4} {} {}", row(&self.plain), row(&self.clipped)).trim_end())?;
        }
        Ok(())
    }
}

/// E at (w, b), and its gradient: 0 on a quiet tape.
fn at(tape: &mut Tape<f64>, [w, b]: [f64; 2]) -> (f64, [Tensor<f64>; 2]) {
    const STEPS: usize = 50;
    tape.clear();
    let [w, b] = [w, b].map(|x| tape.leaf(Tensor::scalar(x)));
    let mut h = tape.scalar(0.0);
    for t in 1..=STEPS {
        let _step = tape.numbered_scope("t", t);
        h = w * h.sigmoid() + b;
    }
    let off: Var<'_, f64> = h.sigmoid() - 0.7;
    let error = off * off;
    if !error.is_tracked() {
        return (error.value().item(), [Tensor::scalar(0.0), Tensor::scalar(0.0)]);
    }
    let gradients = error.backward();
    (error.value().item(), [gradients.get(w), gradients.get(b)])
}

fn descend(settings: &Cliff, threshold: f64) -> Vec<Descent> {
    let (mut tape, [mut w, mut b]) = (Tape::new(), settings.start);
    let mut path = Vec::with_capacity(settings.steps + 1);
    for _ in 0..=settings.steps {
        let (error, mut gradient) = at(&mut tape, [w, b]);
        // A gradient that is not finite ends the descent where it is.
        let norm = clip_norm(&mut gradient, threshold).unwrap_or(f64::NAN);
        path.push(Descent { w, b, error, norm });
        if norm.is_nan() {
            break;
        }
        let [to_w, to_b] = gradient;
        w -= settings.rate * to_w.item();
        b -= settings.rate * to_b.item();
    }
    path
}
