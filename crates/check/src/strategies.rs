//! Random shapes, tensors and ops for property tests of gradients. Needs the feature `proptest`.
//!
//! ```
//! use proptest::prelude::*;
//! use rewind_check::strategies;
//!
//! proptest! {
//!     # #![proptest_config(ProptestConfig::with_cases(20))]
//!     # /*
//!     #[test]
//!     # */
//!     fn silu_is_right(x in strategies::tensor::<f64>(strategies::shape(3, 4))) {
//!         rewind_check::fast().function(&[x], |_, x| x[0].silu()).assert();
//!     }
//!
//!     # /*
//!     #[test]
//!     # */
//!     fn chains_are_right(x in strategies::of_shape::<f64>(&[3], 0.3..1.5), ops in strategies::ops(3)) {
//!         rewind_check::fast().function(&[x], |_, x| ops.iter().fold(x[0], |y, op| (op.apply)(y))).assert_not_wrong();
//!     }
//!
//!     # /*
//!     #[test]
//!     # */
//!     fn shapes_fit((a, b) in strategies::broadcasting(3, 4), lengths in strategies::lengths(2, 7)) {
//!         prop_assert!(rewind_autograd::shape::broadcast(&a, &b).is_some());
//!         prop_assert!(lengths.iter().all(|length| (1..=7).contains(length)));
//!     }
//! }
//! # silu_is_right();
//! # chains_are_right();
//! # shapes_fit();
//! ```

use std::fmt;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::select;

use rewind_autograd::{Scalar, Tensor, Var};

/// A shape of 0 to `rank` axes, each 1 to `longest` long.
pub fn shape(rank: usize, longest: usize) -> impl Strategy<Value = Vec<usize>> + Clone {
    prop::collection::vec(1..=longest, 0..=rank)
}

/// Two shapes that broadcast together: axes of one are 1 or missing where those of the other are not.
pub fn broadcasting(rank: usize, longest: usize) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    shape(rank, longest).prop_flat_map(|both| {
        let one_of = |both: Vec<usize>| {
            let ones = prop::collection::vec(any::<bool>(), both.len());
            (ones, 0..=both.len()).prop_map(move |(ones, missing)| {
                both.iter().zip(ones).map(|(&n, one)| if one { 1 } else { n }).skip(missing).collect::<Vec<_>>()
            })
        };
        (one_of(both.clone()), Just(both)).prop_flat_map(|(narrow, both)| {
            let pair = (narrow, both);
            any::<bool>().prop_map(move |swap| if swap { (pair.1.clone(), pair.0.clone()) } else { pair.clone() })
        })
    })
}

/// A tensor of a shape that is drawn too, with elements in ±[0.3, 1.5): away from kinks at 0 and from saturation.
pub fn tensor<T: Scalar>(shape: impl Strategy<Value = Vec<usize>>) -> impl Strategy<Value = Tensor<T>> {
    shape.prop_flat_map(|shape| of_shape(&shape, 0.3..1.5))
}

/// A tensor of this shape with elements whose absolute values lie in `sizes`.
pub fn of_shape<T: Scalar>(shape: &[usize], sizes: Range<f64>) -> impl Strategy<Value = Tensor<T>> + use<T> {
    let shape = shape.to_vec();
    let number = (sizes, any::<bool>()).prop_map(|(x, negative)| if negative { -x } else { x });
    let count = shape.iter().product::<usize>();
    prop::collection::vec(number, count).prop_map(move |numbers| Tensor::from_fn(&shape, |k| T::from_f64(numbers[k])))
}

/// The lengths of `batch` sequences in a padded batch of `steps` time steps: 1 to `steps` each.
pub fn lengths(batch: usize, steps: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..=steps, batch)
}

/// An elementwise op by name.
#[derive(Clone, Copy)]
pub struct Elementwise {
    /// The name of the method of [`Var`].
    pub name: &'static str,
    /// The op.
    pub apply: for<'t> fn(Var<'t, f64>) -> Var<'t, f64>,
}

impl fmt::Debug for Elementwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One of the smooth elementwise ops that are defined and finite everywhere: to put before and after an op.
pub fn op() -> impl Strategy<Value = Elementwise> {
    macro_rules! ops {
        ($($name:ident)*) => { vec![$(Elementwise { name: stringify!($name), apply: |x| x.$name() }),*] };
    }
    select(ops!(tanh sigmoid softplus sin cos erf gelu silu one_minus))
}

/// Up to `longest` such ops, to be applied in this order.
pub fn ops(longest: usize) -> impl Strategy<Value = Vec<Elementwise>> {
    prop::collection::vec(op(), 0..=longest)
}
