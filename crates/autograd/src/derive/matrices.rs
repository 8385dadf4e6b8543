//! Full Jacobians and Hessians, one sweep per row or column.

use super::{Function, check_scalar, pullback, variables};
use crate::parameters::{OnTape, Parameters};
use crate::shape::{MOST_ELEMENTS, checked_element_count};
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// y = f(x) and its Jacobian J = ∂y/∂x, by rows: for every leaf of x a tensor of shape `[shape of y…, shape of leaf…]`.
///
/// One sweep per element of y, over one recording: for functions with few outputs. With many outputs and few inputs,
/// use [`jacobian_forward`].
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
///
/// # Panics
/// If there is no memory for a matrix of that size.
#[track_caller]
pub fn jacobian<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, f: impl Function<T, M>) -> (Tensor<T>, M) {
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    let blocks = reserve("jacobian", y, &variables(&x));
    (y.value(), rows(y, &x, blocks))
}

/// The same as [`jacobian`], computed by columns: one recorded sweep, and one sweep over it per element of x. For many
/// outputs of few inputs: the state of a network after many steps as a function of a scalar, say.
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
///
/// # Panics
/// If there is no memory for a matrix of that size.
#[track_caller]
pub fn jacobian_forward<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, f: impl Function<T, M>) -> (Tensor<T>, M) {
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    let leaves = variables(&x);
    let blocks = reserve("jacobian_forward", y, &leaves);
    let (cotangent, pulled_back) = pullback(y, &leaves);
    let mut columns = pulled_back.into_iter().zip(blocks).map(|(to_leaf, block)| {
        // Row i of ∂(x̄)/∂(ȳ) is column i of ∂y/∂x.
        let [transposed] = rows(to_leaf, &[cotangent], vec![block]);
        let (leaf, value) = (to_leaf.rank(), y.rank());
        let axes: Vec<usize> = (leaf..leaf + value).chain(0..leaf).collect();
        transposed.permute(&axes).to_contiguous()
    });
    (y.value(), x.map(|_, _| columns.next().expect("one column block per leaf")))
}

/// The Hessian H = ∂²f/∂x² of a scalar function: for every leaf a, a module of blocks `hessian.a.b` of shape `[shape of
/// a…, shape of b…]`.
///
/// One recorded sweep, then one sweep over both per element of x. For products with a few directions use
/// [`hvp`](super::hvp), which takes one such sweep.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let (a, b) = (Tensor::scalar(2.0), Tensor::scalar(3.0));
/// let [[aa, ab], [ba, bb]] = derive::hessian(&[a, b], |_, &[a, b]| a * a * b);
/// assert_eq!([aa, ab, ba, bb].map(|block| block.item()), [6.0, 4.0, 4.0, 0.0]);
/// ```
///
/// # Panics
/// If the value of `f` does not have exactly one element, or there is no memory for a matrix of that size.
#[track_caller]
pub fn hessian<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, f: impl Function<T, M>) -> M::With<M> {
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    check_scalar("hessian", y);
    let leaves = variables(&x);
    let mut blocks = Vec::with_capacity(leaves.len());
    for &leaf in &leaves {
        blocks.push(reserve("hessian", leaf, &leaves));
    }
    let mut rest = y.sum().grad(&leaves).into_iter().zip(blocks);
    at.map(|_, _| {
        let (gradient, blocks) = rest.next().expect("one gradient per leaf");
        rows(gradient, &x, blocks)
    })
}

/// Reserves memory for ∂y/∂x of every one of `x`, before anything of that size is computed: a failed allocation would
/// abort the program without a message.
#[track_caller]
fn reserve<T: Scalar>(name: &str, y: Var<'_, T>, x: &[Var<'_, T>]) -> Vec<Vec<T>> {
    let mut blocks = Vec::with_capacity(x.len());
    for leaf in x {
        let (value, input) = (y.shape(), leaf.shape());
        let mut block = Vec::new();
        let count = checked_element_count(&[&value[..], &input].concat());
        if count.is_none_or(|count| block.try_reserve_exact(count).is_err()) {
            let count = y.element_count() as u128 * leaf.element_count() as u128;
            panic!(
                "{name}: shapes {:?} and {:?} make a matrix of {count} numbers; \
                 expected at most {MOST_ELEMENTS}, and memory for them",
                value.as_slice(),
                input.as_slice()
            );
        }
        blocks.push(block);
    }
    blocks
}

/// ∂y/∂x for every leaf of `x`, one sweep per element of y, in the memory of `blocks`.
fn rows<'t, T: Scalar, M: Parameters<Var<'t, T>>>(y: Var<'t, T>, x: &M, mut blocks: Vec<Vec<T>>) -> M::With<Tensor<T>> {
    let leaves = variables(x);
    let count = y.element_count();
    for row in 0..count {
        let seed = Tensor::from_fn(&y.shape(), |k| if k == row { T::ONE } else { T::ZERO });
        let gradients = y.backward_from_to(&seed, &leaves);
        for (block, leaf) in blocks.iter_mut().zip(&leaves) {
            block.extend(gradients.get(*leaf).to_vec());
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
