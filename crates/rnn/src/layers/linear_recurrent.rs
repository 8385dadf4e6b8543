//! Whole sequences through the cells that are linear in their state, h_t = a_t ∘ h_(t-1) + b_t: all time steps at once.

use rewind_autograd::ops::recurrence::linear_recurrence;
use rewind_autograd::{Scalar, Tensor, Var};

use crate::cell::Cell;
use crate::cells::{Lru, MinGru, MinLstm};

/// A cell that is linear in its state: its step is h' = a ∘ h + b, with a and b from x alone. Then [`Scan`](crate::Scan) computes all time
/// steps at once. Implemented by [`MinGru`], [`MinLstm`] and [`Lru`], and by cells of your own:
///
/// ```
/// use rewind_autograd::{OnTape, Scalar, Tape, Tensor, Var, parameters};
/// use rewind_rnn::{Cell, LinearRecurrence, Scan, Unroll};
///
/// parameters! {
///     /// A leaky integrator: h' = f ∘ h + (1 - f) ∘ x with f = sigmoid(leak), leak `[H]`.
///     struct Leaky<P> { leak: P }
/// }
///
/// impl<'t, T: Scalar> LinearRecurrence<'t, T> for Leaky<Var<'t, T>> {
///     fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2] {
///         let f = self.leak.sigmoid();
///         [f.broadcast_to(&x.shape()), f.one_minus() * x]
///     }
/// }
///
/// impl<'t, T: Scalar> Cell<'t, T> for Leaky<Var<'t, T>> {
///     type State = Var<'t, T>;
///     fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
///         let [a, b] = self.coefficients(x);
///         a * h + b
///     }
///     fn initial(&self, batch: usize) -> Var<'t, T> {
///         self.leak.tape().zeros(&[batch, self.leak.shape()[0]])
///     }
/// }
///
/// let leaky = Scan(Leaky { leak: Tensor::<f64>::zeros(&[3]) });
/// let tape = Tape::new();
/// let x = tape.constant(Tensor::full(&[2, 1, 3], 1.0));
/// let outputs = Unroll::new().through(&leaky.on(&tape), x).outputs.value();
/// assert_eq!(outputs.to_vec(), [0.5, 0.5, 0.5, 0.75, 0.75, 0.75]);
/// ```
pub trait LinearRecurrence<'t, T: Scalar>: Cell<'t, T, State = Var<'t, T>> {
    /// a and b of h' = a ∘ h + b, from x `[…, I]`: both `[…, H]`.
    fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2];
}

/// Writes `sequence` for a cell with `sizes` and `coefficients`.
macro_rules! sequence {
    ($cell:ident) => {
        impl<'t, T: Scalar> $cell<Var<'t, T>> {
            /// All time steps at once: x `[T, B, I]` and the first state `[B, H]` give the outputs `[T, B, H]`, 0 after the end of
            /// a sequence, and the state `[B, H]` after the last step of each sequence. The same as the cell
            /// [unrolled](crate::Unroll), up to rounding, in a number of nodes that does not depend on T.
            ///
            /// `lengths` are those of the sequences, from 1 to T; all have T steps if there are none. The time steps after the end
            /// are padding: whatever x is there, even NaN, changes neither a result nor a gradient.
            ///
            /// ```
            /// use rand::{SeedableRng, rngs::StdRng};
            /// use rewind_autograd::{OnTape, Tape};
            #[doc = concat!("use rewind_rnn::{Cell, ", stringify!($cell), "};")]
            ///
            #[doc = concat!("let module = ", stringify!($cell), "::new(3, 5, &mut StdRng::seed_from_u64(1));")]
            /// let tape = Tape::<f32>::new();
            /// let cell = module.on(&tape);
            /// let x = tape.zeros(&[7, 2, 3]); // two sequences, padded to 7 steps
            /// let (outputs, last) = cell.sequence(x, Some(&[7, 4]), cell.initial(2));
            /// assert_eq!(outputs.shape().as_slice(), [7, 2, 5]);
            /// assert_eq!(last.shape().as_slice(), [2, 5]);
            /// ```
            ///
            /// # Panics
            /// If the shape of `x`, of the first state or of a parameter does not fit, there is no time step, or the lengths are
            /// not one for each sequence, from 1 to T.
            #[track_caller]
            pub fn sequence(
                &self,
                x: Var<'t, T>,
                lengths: Option<&[usize]>,
                first: Var<'t, T>,
            ) -> (Var<'t, T>, Var<'t, T>) {
                check(stringify!($cell), self.sizes(), x, lengths, first);
                let running = lengths.and_then(|lengths| running(lengths, x.shape()[0]));
                let running = running.map(|mask| x.tape().constant(mask));
                run(running, self.coefficients(visible(running, x)), first)
            }
        }

        impl<'t, T: Scalar> LinearRecurrence<'t, T> for $cell<Var<'t, T>> {
            fn coefficients(&self, x: Var<'t, T>) -> [Var<'t, T>; 2] {
                $cell::coefficients(self, x)
            }
        }
    };
}

sequence!(MinGru);
sequence!(MinLstm);
sequence!(Lru);

/// x without its padding, whose elements, even NaN, must not reach the gradient of a weight, where they would be multiplied by 0.
pub(super) fn visible<'t, T: Scalar>(running: Option<Var<'t, T>>, x: Var<'t, T>) -> Var<'t, T> {
    running.map_or(x, |running| running.select(x, x.tape().scalar(T::ZERO)))
}

/// Outputs and last state, from the coefficients a and b. Separate from `sequence`, whose `#[track_caller]` would give every node the line of
/// the caller.
pub(super) fn run<'t, T: Scalar>(
    running: Option<Var<'t, T>>,
    [a, b]: [Var<'t, T>; 2],
    first: Var<'t, T>,
) -> (Var<'t, T>, Var<'t, T>) {
    let (tape, last) = (b.tape(), b.shape()[0] - 1);
    let Some(running) = running else {
        let h = linear_recurrence(a, b, first);
        return (h, h.index(0, last));
    };
    let [zero, one] = [T::ZERO, T::ONE].map(|number| tape.scalar(number));
    // After the end of a sequence h' = 1 ∘ h + 0, exactly h.
    let h = linear_recurrence(running.select(a, one), running.select(b, zero), first);
    (running.select(h, zero), h.index(0, last))
}

/// `[T, B, 1]`: 1 for the steps of a sequence, 0 after its end; `None` if all sequences have T steps.
fn running<T: Scalar>(lengths: &[usize], steps: usize) -> Option<Tensor<T>> {
    let batch = lengths.len();
    let step = |i: usize| if i / batch < lengths[i % batch] { T::ONE } else { T::ZERO };
    lengths.iter().any(|&length| length < steps).then(|| Tensor::from_fn(&[steps, batch, 1], step))
}

#[track_caller]
fn check<T: Scalar>(
    cell: &str,
    [inputs, hidden]: [usize; 2],
    x: Var<'_, T>,
    lengths: Option<&[usize]>,
    first: Var<'_, T>,
) {
    let (of_x, of_first) = (x.shape(), first.shape());
    let (steps, batch) = match of_x[..] {
        [steps, batch, width] if steps > 0 && width == inputs && of_first[..] == [batch, hidden] => (steps, batch),
        _ => panic!(
            "{cell}: a sequence takes x [T, B, {inputs}] and a first state [B, {hidden}], of one time step at least; got x {:?} and \
            a first state {:?}",
            of_x.as_slice(),
            of_first.as_slice()
        ),
    };
    let Some(lengths) = lengths else { return };
    if lengths.len() != batch {
        panic!("{cell}: {} lengths for a batch of {batch} sequences", lengths.len());
    }
    if let Some(b) = lengths.iter().position(|length| !(1..=steps).contains(length)) {
        panic!("{cell}: sequence {b} has length {}; expected 1 to {steps}, the time steps of x", lengths[b]);
    }
}
