//! Differences of a function around a point: along one entry, or along a direction through all inputs.

use rewind_autograd::{Scalar, Tensor};

use crate::elements::{direction, elements};
use crate::report::Invalid;
use crate::sample::{Precision, Sample};

/// The function to take differences of: writes its values at some inputs to a list.
pub(crate) type Subject<'s, T> = dyn FnMut(&[Tensor<T>], &mut Vec<T>) -> Result<(), Invalid> + 's;

/// Takes differences of a subject around a point.
pub(crate) struct Prober<'a, T: Scalar> {
    subject: &'a mut Subject<'a, T>,
    /// The point, in buffers of its own: entries are moved in place.
    pub(crate) inputs: Vec<Tensor<T>>,
    /// The unit of steps of every entry.
    pub(crate) scales: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// The values at the point.
    pub(crate) at: Vec<T>,
    right: Vec<T>,
    left: Vec<T>,
    pub(crate) precision: Precision,
}

impl<'a, T: Scalar> Prober<'a, T> {
    /// `weigh` gives the weights of the subject's values, once these are known.
    pub(crate) fn new(
        subject: &'a mut Subject<'a, T>,
        inputs: &[Tensor<T>],
        weights: Vec<f64>,
    ) -> Result<Self, Invalid> {
        // Copies even of contiguous tensors: views of one buffer must not move together.
        let inputs: Vec<Tensor<T>> = inputs.iter().map(|x| Tensor::from_vec(x.to_vec(), x.shape())).collect();
        let mut at = Vec::new();
        subject(&inputs, &mut at)?;
        let scales = inputs.iter().map(|x| scales(&elements(x))).collect();
        let (right, left) = (Vec::new(), Vec::new());
        Ok(Prober { subject, inputs, scales, weights, at, right, left, precision: Precision::of::<T>() })
    }

    /// Differences along one entry.
    pub(crate) fn entry(&mut self, (input, at): (usize, usize), step: f64) -> Result<Sample, Invalid> {
        let start = self.inputs[input].as_slice().expect("contiguous by construction")[at];
        let x = start.to_f64();
        // The actual step: x ± step is rounded.
        let (up, down) = (T::from_f64(x + step), T::from_f64(x - step));
        self.inputs[input].as_mut_slice()[at] = up;
        let right = (self.subject)(&self.inputs, &mut self.right);
        self.inputs[input].as_mut_slice()[at] = down;
        let left = right.and_then(|()| (self.subject)(&self.inputs, &mut self.left));
        self.inputs[input].as_mut_slice()[at] = start;
        left?;
        self.sample(up.to_f64() - x, x - down.to_f64())
    }

    /// Differences along a direction through all inputs.
    pub(crate) fn along(&mut self, direction: &[Vec<f64>], step: f64) -> Result<Sample, Invalid> {
        let start = self.inputs.clone();
        let moved = |by: f64| -> Vec<Tensor<T>> {
            let shift = |(x, u): (&Tensor<T>, &Vec<f64>)| {
                let from = x.as_slice().expect("contiguous by construction");
                Tensor::from_fn(x.shape(), |k| T::from_f64(from[k].to_f64() + by * u[k]))
            };
            start.iter().zip(direction).map(shift).collect()
        };
        (self.subject)(&moved(step), &mut self.right)?;
        (self.subject)(&moved(-step), &mut self.left)?;
        self.sample(step, step)
    }

    fn sample(&self, up: f64, down: f64) -> Result<Sample, Invalid> {
        for beside in [&self.right, &self.left] {
            if beside.len() != self.at.len() {
                return Err(Invalid::ShapeChanged { at: vec![self.at.len()], beside: beside.len() });
            }
        }
        Ok(Sample::new(&self.at, (&self.right, up), (&self.left, down), &self.weights, &self.precision))
    }

    /// Σ |weight · value|: what derivatives are measured in, over the unit of steps.
    pub(crate) fn size(&self) -> f64 {
        let finite = self.at.iter().zip(&self.weights).map(|(y, w)| (w * y.to_f64()).abs()).filter(|y| y.is_finite());
        finite.sum()
    }

    /// An effect that rounding of the values might have.
    pub(crate) fn rounded(&self) -> f64 {
        64.0 * self.precision.epsilon * self.size()
    }

    /// Whether the values stay the same, to rounding, however far input `i` is moved.
    pub(crate) fn ignores(&mut self, i: usize) -> Result<bool, Invalid> {
        let start = self.inputs[i].clone();
        for (stream, far) in [1.0, 4.0, 0.1, 30.0].into_iter().enumerate() {
            let u = direction::<f64>(start.shape(), 0, stream as u64 + 1);
            let (u, from) = (u.to_vec(), start.to_vec());
            self.inputs[i] =
                Tensor::from_fn(start.shape(), |k| T::from_f64(from[k].to_f64() + far * u[k] * self.scales[i][k]));
            let result = (self.subject)(&self.inputs, &mut self.right);
            self.inputs[i] = start.clone();
            result?;
            let same = |(&a, &b): (&T, &T)| {
                let (a, b) = (a.to_f64(), b.to_f64());
                (a - b).abs() <= 256.0 * self.precision.epsilon * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan())
            };
            if self.right.len() != self.at.len() || !self.at.iter().zip(&self.right).all(same) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The unit of steps of every element: its size, or the typical size of its neighbours if it is smaller.
fn scales(x: &[f64]) -> Vec<f64> {
    let finite: Vec<f64> = x.iter().copied().filter(|x| x.is_finite()).collect();
    // Scaled by the largest: squares of very small and very large elements underflow and overflow.
    let largest = finite.iter().fold(0.0, |m, x| f64::max(m, x.abs()));
    let squares: f64 = finite.iter().map(|x| (x / largest) * (x / largest)).sum();
    let typical = largest * (squares / finite.len().max(1) as f64).sqrt();
    let typical = if typical > 0.0 { typical } else { 1.0 };
    x.iter().map(|x| if x.is_finite() { x.abs().max(typical) } else { typical }).collect()
}
