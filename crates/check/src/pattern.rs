//! The kinds of mistakes that a wrong gradient can look like.

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
    /// The rule returned a cotangent whose shape is not its input's: a broadcast is not summed, say.
    WrongShape,
    /// It is this many times what it should be.
    Factor(f64),
    /// Its last two axes are exchanged.
    Transposed,
    /// It is the gradient of another input of the op.
    OfInput(usize),
    /// It is shifted by this many positions along an axis.
    Shifted {
        /// The axis.
        axis: usize,
        /// How far.
        by: isize,
    },
    /// It is reversed along an axis.
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
    /// The op returns another value when it is recomputed, as a [`checkpoint`](rewind_autograd::checkpoint()) is in the sweep.
    Unsteady {
        /// The largest difference between the values.
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

/// A factor in its usual form: 2, 1/3, 0.37; close to such a number, with the digits that distinguish it.
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
