//! How much each output depends on each input.

use std::fmt;

use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var};

/// The influence |∂y_s/∂x_t| of every time step of the input on every one of the output: the Frobenius norm over batch, features and
/// outputs (after the pictures of Graves 2012, "Supervised sequence labelling with recurrent neural networks").
///
/// `outputs` gets a tape, the module on it and x `[T, B, I]`, and returns y `[S, …]`, whose first axis is time, such as
/// [`Unrolled::outputs`](crate::Unrolled::outputs).
///
/// A NaN in one step of y shows in all rows if y is a stack of its steps: the sweep multiplies it by 0, which is NaN.
///
/// Costs one sweep for each element of y: S·B·O for y `[S, B, O]`. Take one sequence, B = 1.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{TanhRnn, lens, unroll};
///
/// let rnn = TanhRnn::<Tensor<f64>>::new(1, 4, &mut StdRng::seed_from_u64(1));
/// let x = Tensor::from_fn(&[8, 1, 1], |t| (t as f64).sin());
/// let influence = lens::influence(&rnn, &x, |_tape, rnn, x| unroll(rnn, x).outputs());
/// assert_eq!(influence.norms[3][5], 0.0); // nothing depends on the future
/// assert!(influence.norms[7][7] > influence.norms[7][0]); // the first input is forgotten
/// println!("{influence}");
/// ```
///
/// # Panics
/// If x has no first axis, or y is on another tape.
#[track_caller]
pub fn influence<T, M, F>(module: &M, x: &Tensor<T>, outputs: F) -> Influence
where
    T: Scalar,
    M: Module<T>,
    F: for<'t> FnOnce(&'t Tape<T>, &M::With<Var<'t, T>>, Var<'t, T>) -> Var<'t, T>,
{
    let tape = Tape::new();
    let on_tape = module.on(&tape);
    let x = tape.leaf(x.clone());
    let y = outputs(&tape, &on_tape, x);
    let (steps, inputs) = match (y.shape().first(), x.shape().first()) {
        (Some(&steps), Some(&inputs)) => (steps, inputs),
        _ => panic!("influence: x has shape {:?}, y {:?}; expected time as the first axis", x.shape(), y.shape()),
    };
    let mut squares = vec![vec![0.0; inputs]; steps];
    if !y.is_tracked() {
        return Influence { norms: squares };
    }
    let width = y.element_count().checked_div(steps).unwrap_or(0);
    for element in 0..y.element_count() {
        let seed = Tensor::from_fn(&y.shape(), |k| if k == element { T::ONE } else { T::ZERO });
        let gradient = y.backward_from_to(&seed, &[x]).get(x);
        for (t, norm) in squares[element / width].iter_mut().enumerate() {
            *norm = f64::hypot(*norm, gradient.index(0, t).norm().to_f64());
        }
    }
    Influence { norms: squares }
}

/// The influence of inputs on outputs: made by [`influence`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Influence {
    /// |∂y_s/∂x_t|: a row for each step s of the output, a column for each step t of the input.
    pub norms: Vec<Vec<f64>>,
}

/// From nothing to the largest, each a factor of √10 more than the one before.
const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// How many rows and columns are printed at most.
const MOST: usize = 64;

impl fmt::Display for Influence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.norms.iter().flatten().copied();
        let largest = all().filter(|norm| norm.is_finite()).fold(0.0, f64::max);
        let shade = |norm: f64| match norm {
            _ if !norm.is_finite() => '!',
            0.0 => SHADES[0],
            _ => {
                let below = (2.0 * (largest / norm).log10()).floor() as usize;
                SHADES[9_usize.saturating_sub(below).max(usize::from(below < 9))]
            }
        };
        let columns = super::table::spaced(self.norms.first().map_or(0, Vec::len), MOST);
        let rows = super::table::spaced(self.norms.len(), MOST);
        writeln!(
            f,
            "|∂y_s/∂x_t|: s downwards, t across; @ is {largest:.1e}, each of @%#*+=-:. a factor of √10 more than the next"
        )?;
        for s in rows {
            let line: String = columns.iter().map(|&t| shade(self.norms[s][t])).collect();
            writeln!(f, "  {s:>5} {}", line.trim_end())?;
        }
        if all().any(|norm| !norm.is_finite()) {
            writeln!(f, "  ! is NaN or infinite")?;
        }
        Ok(())
    }
}
