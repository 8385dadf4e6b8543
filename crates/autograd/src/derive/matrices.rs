//! Whole Jacobians and Hessians, one sweep a row or column.

use super::{check_scalar, pullback, variables};
use crate::parameters::{OnTape, Parameters};
use crate::sweep::{Wanted, sweep_values};
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// y = f(x) and its Jacobian J = ∂y/∂x, by rows: for every leaf of x a tensor of shape `[shape of y…, shape of leaf…]`.
///
/// One sweep per number in y, over one recording: right for functions with small values. For many outputs of few inputs
/// see [`jacobian_forward`].
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let x = Tensor::from_vec(vec![2.0, 3.0], &[2]);
/// let w = Tensor::from_vec(vec![1.0, 4.0], &[2]);
/// let (y, [to_x, to_w]) = derive::jacobian(&[x, w], |_, &[x, w]| x * w);
/// assert_eq!(y.to_vec(), [2.0, 12.0]);
/// assert_eq!(to_x.shape(), [2, 2]);
/// assert_eq!(to_x.to_vec(), [1.0, 0.0, 0.0, 4.0]);
/// assert_eq!(to_w.to_vec(), [2.0, 0.0, 0.0, 3.0]);
/// ```
#[track_caller]
pub fn jacobian<T, M, F>(at: &M, f: F) -> (Tensor<T>, M)
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
{
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    (y.value(), rows(y, &x))
}

/// y and the Jacobian of [`jacobian`], by columns: the same tensors, at the cost of one recorded sweep and one sweep over it
/// per number in x. Right for large values of few inputs: the state of a network after many steps as a function of one
/// number, say.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let gain = Tensor::scalar(0.5);
/// let (_, [slopes]) = derive::jacobian_forward(&[gain], |tape, &[gain]| {
///     gain * tape.constant(Tensor::from_fn(&[2, 3], |i| i as f64))
/// });
/// assert_eq!(slopes.shape(), [2, 3]);
/// assert_eq!(slopes.to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
/// ```
#[track_caller]
pub fn jacobian_forward<T, M, F>(at: &M, f: F) -> (Tensor<T>, M)
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
{
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    let (cotangent, pulled_back) = pullback(y, &variables(&x));
    let mut columns = pulled_back.into_iter().map(|to_leaf| {
        // Row i of ∂(x̄)/∂(ȳ) is column i of ∂y/∂x.
        let transposed = rows(to_leaf, &[cotangent]);
        let [transposed] = transposed;
        let (leaf, value) = (to_leaf.rank(), y.rank());
        let axes: Vec<usize> = (leaf..leaf + value).chain(0..leaf).collect();
        transposed.permute(&axes).to_contiguous()
    });
    (y.value(), x.map(|_, _| columns.next().expect("one column block per leaf")))
}

/// The Hessian H = ∂²f/∂x² of a function with one number as its value: for every leaf a the module of its blocks,
/// `hessian.a.b` of shape `[shape of a…, shape of b…]`.
///
/// One recorded sweep, then one sweep over both per number in x. For products with few directions see
/// [`hvp`](super::hvp), which costs one.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let (a, b) = (Tensor::scalar(2.0), Tensor::scalar(3.0));
/// let [[aa, ab], [ba, bb]] = derive::hessian(&[a, b], |_, &[a, b]| a * a * b);
/// assert_eq!([aa, ab, ba, bb].map(|block| block.item()), [6.0, 4.0, 4.0, 0.0]);
/// ```
///
/// # Panics
/// If the value of `f` is not one number.
#[track_caller]
pub fn hessian<T, M, F>(at: &M, f: F) -> M::With<M>
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
{
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    check_scalar("hessian", y);
    let mut gradient = y.sum().grad(&variables(&x)).into_iter();
    at.map(|_, _| rows(gradient.next().expect("one gradient per leaf"), &x))
}

/// ∂y/∂x for every leaf of `x`, one sweep per number in y.
fn rows<'t, T: Scalar, M: Parameters<Var<'t, T>>>(y: Var<'t, T>, x: &M) -> M::With<Tensor<T>> {
    let leaves = variables(x);
    let mut wanted: Vec<u32> = leaves.iter().map(|leaf| leaf.id()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let count = y.element_count();
    let mut blocks: Vec<Vec<T>> = leaves.iter().map(|leaf| Vec::with_capacity(count * leaf.element_count())).collect();
    for row in 0..count {
        let seed = Tensor::from_fn(&y.shape(), |k| if k == row { T::ONE } else { T::ZERO });
        let totals = sweep_values(y, seed, Wanted::These(&wanted));
        for (block, leaf) in blocks.iter_mut().zip(&leaves) {
            match totals.binary_search_by_key(&leaf.id(), |(node, _)| *node) {
                Ok(place) => block.extend(totals[place].1.to_vec()),
                Err(_) => block.resize(block.len() + leaf.element_count(), T::ZERO),
            }
        }
    }
    let mut rest = blocks.into_iter().zip(&leaves);
    x.map(|_, _| {
        let (block, leaf) = rest.next().expect("one block per leaf");
        let mut shape = y.shape();
        shape.extend_from_slice(&leaf.shape());
        Tensor::from_vec(block, &shape)
    })
}
