//! What truncated backpropagation through time keeps of a gradient.

use std::fmt;

use rewind_autograd::{Scalar, Tensor};

use super::Itemised;

/// The gradient of one parameter by BPTT that goes back `steps` steps from each loss, compared with the full gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Truncated {
    /// How many steps each loss goes back: 1 is its own step alone.
    pub steps: usize,
    /// The cosine of the angle between truncated and full gradient; 0 if one of them is zero.
    pub cosine: f64,
    /// |truncated| / |full|.
    pub length: f64,
}

/// The gradients of truncated BPTT of one parameter, by the number of steps: made by [`Itemised::truncation`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Truncation {
    /// The dotted name of the parameter.
    pub parameter: String,
    /// For 1, 2, … steps; the last is the full gradient.
    pub by_steps: Vec<Truncated>,
}

impl Truncation {
    /// The smallest number of steps that keeps `share` of the gradient, such as 0.99, as do all larger numbers: cosine and relative
    /// length differ from 1 by at most 1 - `share`.
    ///
    /// ```
    /// use rewind_rnn::lens::{Truncated, Truncation};
    /// let kept = |(k, length)| Truncated { steps: k + 1, cosine: 1.0, length };
    /// let by_steps = [0.9, 0.99, 1.0].into_iter().enumerate().map(kept).collect();
    /// let truncation = Truncation { parameter: "weight_hh".to_owned(), by_steps };
    /// assert_eq!(truncation.keeps(0.98), Some(2));
    /// ```
    pub fn keeps(&self, share: f64) -> Option<usize> {
        let close = |t: &&Truncated| (t.cosine - 1.0).abs() <= 1.0 - share && (t.length - 1.0).abs() <= 1.0 - share;
        Some(self.by_steps.iter().rev().take_while(close).last()?.steps)
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: truncated BPTT against the full gradient", self.parameter)?;
        writeln!(f, "  steps   cosine   length")?;
        for k in super::table::shown(self.by_steps.len()) {
            let Truncated { steps, cosine, length } = self.by_steps[k];
            writeln!(f, "  {steps:>5}  {cosine:>7.4}  {length:>7.4}")?;
        }
        Ok(())
    }
}

impl<T: Scalar> Itemised<T> {
    /// The gradient of a parameter by BPTT that is truncated after k steps, for every k, against the full one: the items
    /// whose step of use is less than k steps from the loss. Loss number s must belong to time step `steps[s]`. Items outside of all steps
    /// are always kept. Distances are those of numbers, so a decoder after an encoder of T steps begins at T
    /// ([`Unroll::from_step`](crate::Unroll::from_step)).
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::{TanhRnn, lens, unroll};
    ///
    /// let rnn = TanhRnn::<Tensor<f64>>::new(1, 4, &mut StdRng::seed_from_u64(1));
    /// let items = lens::itemised(&rnn, |tape, rnn| {
    ///     let x = tape.constant(Tensor::from_fn(&[20, 1, 1], |t| (t as f64).sin()));
    ///     vec![unroll(rnn, x).last_output().square().sum()]
    /// });
    /// let truncation = items.truncation("weight_hh", &[19]); // the one loss is that of the last step
    /// assert!(truncation.keeps(0.99).is_some_and(|steps| steps < 20)); // the gradient vanishes
    /// ```
    ///
    /// # Panics
    /// If there is not one step for each loss, or no parameter of that name.
    #[track_caller]
    pub fn truncation(&self, parameter: &str, steps: &[usize]) -> Truncation {
        if steps.len() != self.losses() {
            panic!("truncation: {} steps given for {} losses; expected one for each", steps.len(), self.losses());
        }
        let full = self.gradient(parameter);
        let mut by_lag: Vec<Option<Tensor<T>>> = Vec::new();
        for item in self.of(parameter) {
            let lag = item.step.map_or(0, |step| step.abs_diff(steps[item.loss]));
            by_lag.resize(by_lag.len().max(lag + 1), None);
            match &mut by_lag[lag] {
                Some(sum) => sum.add_assign(&item.term),
                None => by_lag[lag] = Some(item.term),
            }
        }
        let mut truncated = Tensor::zeros(full.shape());
        let compare = |(lag, sum): (usize, Option<Tensor<T>>)| {
            sum.iter().for_each(|sum| truncated.add_assign(sum));
            let (length, whole) = (truncated.norm().to_f64(), full.norm().to_f64());
            // Of the unit vectors, since products of very large or small entries have no finite value.
            let pairs = truncated.to_vec().into_iter().zip(full.to_vec());
            let dot: f64 = pairs.map(|(a, b)| a.to_f64() / length * (b.to_f64() / whole)).sum();
            let cosine = if length == 0.0 || whole == 0.0 { 0.0 } else { dot };
            Truncated { steps: lag + 1, cosine, length: if whole == 0.0 { 0.0 } else { length / whole } }
        };
        Truncation { parameter: parameter.to_owned(), by_steps: by_lag.into_iter().enumerate().map(compare).collect() }
    }
}
