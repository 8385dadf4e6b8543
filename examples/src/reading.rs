//! A recurrent cell that reads a sequence for a classifier, or two of them from both ends.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Tensor, Var, parameters};
use rewind_rnn::Unroll;

use crate::memory::require;
use crate::{AnyCell, CellKind};

/// What of a sequence the readout gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadOut {
    /// The output after the last step, as in the lecture.
    Last,
    /// The mean of the outputs of all steps.
    Mean,
}

impl ReadOut {
    /// The name on the command line and in saved files.
    pub fn name(self) -> &'static str {
        match self {
            ReadOut::Last => "last",
            ReadOut::Mean => "mean",
        }
    }
}

parameters! {
    /// One cell or two: `[T, B, I]` in, `[B, R]` out, with R = H for one cell and 2 H for two.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_examples::{CellKind, ReadOut, Reading};
    ///
    /// let tape = Tape::new();
    /// let reading = Reading::new(CellKind::Lstm, [2, 3], 1.0, true, &mut StdRng::seed_from_u64(1));
    /// let seen = reading.on(&tape).read(tape.zeros(&[7, 2, 2]), &[7, 4], ReadOut::Mean);
    /// assert_eq!(seen.shape().as_slice(), [2, reading.width()]);
    /// ```
    pub struct Reading<P> {
        /// The cell that begins at the first step.
        pub forward: AnyCell<P>,
        /// The cell that begins at the last step of each sequence.
        pub backward: Option<AnyCell<P>>,
        /// H, units of a cell.
        #[setting]
        pub hidden: usize,
    }
}

impl Reading<Tensor<f32>> {
    /// Cells of a kind with I inputs and H units, as [`AnyCell::new`] makes them; two if the sequence is read both ways.
    pub fn new(kind: CellKind, [inputs, hidden]: [usize; 2], gain: f32, both_ways: bool, rng: &mut impl Rng) -> Self {
        let mut cell = || AnyCell::new(kind, inputs, hidden, gain, rng);
        let forward = cell();
        Reading { forward, backward: both_ways.then(cell), hidden }
    }
}

impl<P> Reading<P> {
    /// R, the values that the readout gets.
    pub fn width(&self) -> usize {
        self.hidden * if self.backward.is_some() { 2 } else { 1 }
    }
}

/// Values that training keeps for each unit, sequence and time step, those of the gradients included: a little more than the
/// LSTM was measured to need.
const VALUES: usize = 18;
/// Copies of the parameters at the peak of training: themselves, two moments, gradients of two shards, packed forms.
const COPIES: usize = 12;

impl Reading<Tensor<f32>> {
    /// The number of parameters of a [`Reading::new`] with these arguments.
    pub fn parameters(kind: CellKind, [inputs, hidden]: [usize; 2], both_ways: bool) -> u64 {
        kind.parameters(inputs, hidden) * if both_ways { 2 } else { 1 }
    }
}

impl<P> Reading<P> {
    /// Checks that there is memory to train a model of so many `parameters` on batches of `[steps, batch, I]`.
    ///
    /// # Errors
    ///
    /// If there is not, with advice.
    pub fn require_memory(&self, name: &str, parameters: usize, [steps, batch]: [usize; 2]) -> Result<(), String> {
        let kept = [VALUES, self.width(), steps, batch].iter().fold(1, |product: usize, n| product.saturating_mul(*n));
        let values = kept.saturating_add(COPIES.saturating_mul(parameters));
        let bytes = (values as u64).saturating_mul(size_of::<f32>() as u64);
        let what = format!("training {name} with {} units on {steps} time steps", self.hidden);
        require(&what, bytes, "a smaller --hidden or --batch takes less")
    }
}

impl<'t> Reading<Var<'t, f32>> {
    /// Reads a padded batch `[T, B, I]` with these lengths; `[B, R]`.
    pub fn read(&self, x: Var<'t, f32>, lengths: &[usize], read_out: ReadOut) -> Var<'t, f32> {
        let of = |cell: &AnyCell<_>, how: Unroll<'_>| {
            let unrolled = how.lengths(lengths).run(cell, x);
            match read_out {
                ReadOut::Last => unrolled.last_output(),
                ReadOut::Mean => {
                    // Outputs after the end of a sequence are 0 and add nothing.
                    let outputs: Vec<_> = (0..unrolled.states.len()).map(|t| unrolled.output(t)).collect();
                    let shares = Tensor::from_fn(&[lengths.len(), 1], |b| 1.0 / lengths[b] as f32);
                    stack(&outputs, 0).sum_axis(0) * x.tape().constant(shares)
                }
            }
        };
        let forward = of(&self.forward, Unroll::new());
        match &self.backward {
            Some(backward) => concat(&[forward, of(backward, Unroll::new().backward())], 1),
            None => forward,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use rewind_autograd::{OnTape, Parameters, Tape};

    use super::*;

    #[test]
    fn a_sequence_in_a_padded_batch_is_read_as_it_is_alone() {
        let mut rng = StdRng::seed_from_u64(5);
        for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
            let mut reading = Reading::new(kind, [3, 7], 2.0, true, &mut rng);
            // Biases that are not 0: padding that is read would show.
            reading.visit_mut(|_, p| *p = p.map(|w| w + 0.1));
            let x = Tensor::from_fn(&[5, 2, 3], |_| rng.random_range(-1.0..1.0_f32));
            for read_out in [ReadOut::Last, ReadOut::Mean] {
                let tape = Tape::new();
                let on_tape = reading.on(&tape);
                let both = on_tape.read(tape.constant(x.clone()), &[5, 2], read_out).value();
                let alone = tape.constant(x.slice(0, 0..2).slice(1, 1..2));
                let alone = on_tape.read(alone, &[2], read_out).value();
                for (a, b) in both.index(0, 1).to_vec().iter().zip(alone.to_vec()) {
                    assert!((a - b).abs() < 1e-6, "{kind:?} {read_out:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        let reading = Reading::new(CellKind::Gru, [1, 7], 1.0, true, &mut StdRng::seed_from_u64(5));
        assert_eq!(reading.require_memory("gru", 100, [33, 2]), Ok(()));
        if cfg!(target_os = "linux") {
            let told = reading.require_memory("gru", 100, [usize::MAX / 3, 4096]).unwrap_err();
            assert!(
                told.starts_with("training gru with 7 units on ") && told.contains("--hidden or --batch"),
                "{told}"
            );
        }
    }

    #[test]
    fn both_ways_differ_from_one() {
        let rng = &mut StdRng::seed_from_u64(5);
        let reading = Reading::new(CellKind::Gru, [1, 2], 2.0, true, rng);
        let tape = Tape::new();
        let x = Tensor::from_vec(vec![1.0, 0.0, 0.0], &[3, 1, 1]);
        let reversed = Tensor::from_vec(vec![0.0, 0.0, 1.0], &[3, 1, 1]);
        let mut swapped = reading.clone();
        swapped.forward = reading.backward.clone().unwrap();
        swapped.backward = Some(reading.forward.clone());
        let read = |reading: &Reading<Tensor<f32>>, x| {
            reading.on(&tape).read(tape.constant(x), &[3], ReadOut::Last).value().to_vec()
        };
        let (a, b) = (read(&reading, x), read(&swapped, reversed));
        assert_eq!((&a[..2], &a[2..]), (&b[2..], &b[..2]));
        assert_ne!(a[..2], a[2..]);
    }
}
