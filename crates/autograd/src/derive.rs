//! Derivatives of every kind, from the vjps of the ops alone.
//!
//! Every function here takes a point, `at`, and a function of it. The point is a module of tensors: a struct of
//! [`parameters!`](crate::parameters!), or an array `[x, w]`. The function gets a tape for constants and the module
//! with variables for leaves, and is called once. Results with the shape of the point are returned as the same module.
//!
//! For y = f(x) with n elements in x and m in y, J = ∂y/∂x `[m, n]`. A *sweep* is one reverse pass over the tape and
//! costs about what f costs. A *recorded* sweep appends its own computation to the tape, which can be swept too:
//!
//! | function | returns | cost besides f |
//! |---|---|---|
//! | [`gradient`] | f and ∇f, m = 1 | 1 sweep |
//! | [`vjp`] | y and ȳ·J | 1 sweep |
//! | [`jvp`] | y and J·ẋ | 1 recorded sweep, 1 sweep over it |
//! | [`jacobian`] | y and J, by rows | m sweeps |
//! | [`jacobian_forward`] | y and J, by columns | 1 recorded sweep, n sweeps over it |
//! | [`hvp`] | ∇f and H·v, m = 1 | 1 recorded sweep, 1 sweep over both |
//! | [`hessian`] | H = ∂²f/∂x² `[n, n]`, m = 1 | 1 recorded sweep, n sweeps over both |
//! | [`per_sample`] | ∇f of every sample of B | f and 1 sweep for each sample |
//! | [`itemised`] | ∇f of several results, by result and time step of use | 1 sweep for each result |
//! | [`partial`] | ∂y/∂h between variables of a tape, others held fixed | m sweeps over what is between them |
//!
//! [`carried`] finds what an unrolled network carries from one time step to the next.
//!
//! Higher orders need no more functions: inside `f`, [`Var::grad`] and [`Var::grad_of`] are ops like any other.
//!
//! ```
//! use rewind_autograd::{Tensor, derive};
//! // The third derivative of x⁵: the second of its first.
//! let x = Tensor::scalar(2.0);
//! let [[third]] = derive::hessian(&[x], |_, &[x]| x.powf(5.0).grad(&[x])[0]);
//! assert!((third.item() - 60.0 * 4.0_f64).abs() < 1e-10);
//! ```

mod carried;
mod items;
mod matrices;
mod partial;
mod samples;

pub use carried::{Carried, CarriedPart, carried};
pub use items::{Itemised, itemised};
pub use matrices::{hessian, jacobian, jacobian_forward};
pub use partial::{Partial, partial};
pub use samples::per_sample;

use crate::parameters::{OnTape, Parameters};
use crate::shape::mismatch;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// A function of a module of parameters: any closure `|tape, x| …` that returns a variable of the tape.
///
/// ```
/// use rewind_autograd::derive::{self, Function};
/// use rewind_autograd::{Module, Tensor};
///
/// /// One step of gradient descent on any function.
/// fn descend<M: Module<f64>>(at: &M, rate: f64, f: impl Function<f64, M>) -> M {
///     let (_, gradient) = derive::gradient(at, f);
///     at.zip(&gradient, |_name, x, g| x.zip(g, |x, g| x - rate * g))
/// }
///
/// let [x] = descend(&[Tensor::scalar(3.0)], 0.25, |_tape, [x]| *x * *x);
/// assert_eq!(x.item(), 1.5);
/// ```
pub trait Function<T: Scalar, M: Parameters<Tensor<T>>>:
    for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>
{
}

impl<T, M, F> Function<T, M> for F
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
{
}

/// f(x) and its gradient ∇f(x), for a scalar function. One sweep.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0], &[3]);
/// let (value, [slope]) = derive::gradient(&[x], |_, &[x]| (x * x).sum());
/// assert_eq!((value, slope.to_vec()), (14.0, vec![2.0, 4.0, 6.0]));
/// ```
///
/// # Panics
/// If the value of `f` does not have exactly one element.
#[track_caller]
pub fn gradient<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, f: impl Function<T, M>) -> (T, M) {
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    check_scalar("gradient", y);
    (y.value().item(), y.backward_to(&variables(&x)).of(&x))
}

/// The value y = f(x) and the vector-Jacobian product ȳ·J: x̄_i = Σ_k ȳ_k·∂y_k/∂x_i. The cotangent ȳ has the shape of
/// y, x̄ that of x. One sweep, however large y is.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let x = Tensor::from_vec(vec![2.0, 3.0], &[2]);
/// let cotangent = Tensor::from_vec(vec![1.0, 10.0], &[2]);
/// let (y, [pulled_back]) = derive::vjp(&[x], &cotangent, |_, &[x]| x * x);
/// assert_eq!(y.to_vec(), [4.0, 9.0]);
/// assert_eq!(pulled_back.to_vec(), [4.0, 60.0]);
/// ```
///
/// # Panics
/// If the cotangent has another shape than y.
#[track_caller]
pub fn vjp<T: Scalar, M: Parameters<Tensor<T>>>(
    at: &M,
    cotangent: &Tensor<T>,
    f: impl Function<T, M>,
) -> (Tensor<T>, M) {
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    if cotangent.shape() != y.shape().as_slice() {
        mismatch("vjp", &[cotangent.shape(), &y.shape()], "a cotangent of the shape of the value");
    }
    let sum = (y * tape.constant(cotangent.clone())).sum();
    (y.value(), sum.backward_to(&variables(&x)).of(&x))
}

/// y = f(x) and the Jacobian-vector product J·ẋ: ẏ_k = Σ_i ∂y_k/∂x_i·ẋ_i, the derivative of y in the direction ẋ. The
/// tangent ẋ has the shape of x, ẏ that of y.
///
/// There are no forward-mode rules: ȳ·J is linear in ȳ, and *its* vjp with respect to ȳ is J·ẋ (Townsend 2017). So a
/// jvp is a vjp of a vjp. It costs about as much as two, and needs the memory of the full tape.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let x = Tensor::from_vec(vec![2.0, 3.0], &[2]);
/// let tangent = Tensor::from_vec(vec![1.0, 10.0], &[2]);
/// let (y, pushed) = derive::jvp(&[x], &[tangent], |_, &[x]| (x * x).sum());
/// assert_eq!((y.item(), pushed.item()), (13.0, 64.0));
/// ```
///
/// # Panics
/// If the tangent differs from the point in structure or shapes.
#[track_caller]
pub fn jvp<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, tangent: &M, f: impl Function<T, M>) -> (Tensor<T>, Tensor<T>) {
    check_direction("jvp", at, tangent);
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    let (cotangent, pulled_back) = pullback(y, &variables(&x));
    let pushed = along(&tape, &pulled_back, tangent).backward_to(&[cotangent]).get(cotangent);
    (y.value(), pushed)
}

/// The gradient ∇f of a scalar function and the Hessian-vector product H·v = ∇(∇f·v) (Pearlmutter 1994). Both have the
/// shape of x; H itself is never formed.
///
/// ```
/// use rewind_autograd::{Tensor, derive};
/// let x = Tensor::from_vec(vec![2.0, 3.0], &[2]);
/// let v = Tensor::from_vec(vec![1.0, -1.0], &[2]);
/// // f = a²·b: ∇f = (2ab, a²), H = [[2b, 2a], [2a, 0]].
/// let ([slope], [bend]) = derive::hvp(&[x], &[v], |_, &[x]| x.index(0, 0) * x.index(0, 0) * x.index(0, 1));
/// assert_eq!((slope.to_vec(), bend.to_vec()), (vec![12.0, 4.0], vec![2.0, 4.0]));
/// ```
///
/// # Panics
/// If the value of `f` does not have exactly one element, or the direction differs from the point in structure or
/// shapes.
#[track_caller]
pub fn hvp<T: Scalar, M: Parameters<Tensor<T>>>(at: &M, direction: &M, f: impl Function<T, M>) -> (M, M) {
    check_direction("hvp", at, direction);
    let tape = Tape::new();
    let x = at.on(&tape);
    let y = f(&tape, &x);
    check_scalar("hvp", y);
    let gradient = y.sum().grad(&variables(&x));
    let product = along(&tape, &gradient, direction).backward_to(&variables(&x)).of(&x);
    let mut rest = gradient.into_iter();
    // Mapping the module on the tape to tensors gives type `M` again.
    (x.map(|_, _| rest.next().expect("one gradient per leaf").value()), product)
}

impl<'t, T: Scalar> Var<'t, T> {
    /// [`grad`](Var::grad) with respect to all parameters of a module, in the same structure: recorded, so that it can be
    /// differentiated again.
    ///
    /// ```
    /// use rewind_autograd::{OnTape, Tape, Tensor, parameters};
    ///
    /// parameters! { struct Line<P> { slope: P, offset: P } }
    ///
    /// let tape = Tape::new();
    /// let line = Line { slope: Tensor::scalar(3.0), offset: Tensor::scalar(1.0) }.on(&tape);
    /// let loss = (line.slope * 2.0 + line.offset).powf(2.0);
    /// let first: Line<_> = loss.grad_of(&line);
    /// let penalty = first.slope * first.slope + first.offset * first.offset; // |∇loss|²
    /// let second = penalty.backward().of(&line);
    /// assert_eq!((first.slope.value().item(), second.slope.item()), (28.0, 560.0));
    /// ```
    ///
    /// # Panics
    /// As [`grad`](Var::grad).
    #[track_caller]
    pub fn grad_of<M: Parameters<Var<'t, T>>>(self, module: &M) -> M::With<Var<'t, T>> {
        let mut rest = self.grad(&variables(module)).into_iter();
        module.map(|_, _| rest.next().expect("one gradient per leaf"))
    }
}

/// A cotangent of `y`, and the vjp of y at it for every one of `x`, recorded: a linear function of the cotangent. The
/// derivative of a linear function is the same everywhere, so the cotangent is 0.
fn pullback<'t, T: Scalar>(y: Var<'t, T>, x: &[Var<'t, T>]) -> (Var<'t, T>, Vec<Var<'t, T>>) {
    let cotangent = y.tape().leaf(Tensor::zeros(&y.shape()));
    (cotangent, y.grad_from(cotangent, x))
}

/// Σ v·direction over all leaves.
fn along<'t, T, M>(tape: &'t Tape<T>, vars: &[Var<'t, T>], direction: &M) -> Var<'t, T>
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
{
    let terms = vars.iter().zip(direction.leaves());
    let terms = terms.map(|(&v, d)| (v * tape.constant(d.clone())).sum());
    terms.reduce(|sum, term| sum + term).unwrap_or_else(|| tape.scalar(T::ZERO))
}

fn variables<'t, T: Scalar, M: Parameters<Var<'t, T>>>(module: &M) -> Vec<Var<'t, T>> {
    module.leaves().into_iter().copied().collect()
}

#[track_caller]
fn check_scalar<T: Scalar>(name: &str, y: Var<'_, T>) {
    if y.element_count() != 1 {
        panic!("{name}: the function has a value of shape {:?}; expected one number", y.shape().as_slice());
    }
}

#[track_caller]
fn check_direction<T: Scalar, M: Parameters<Tensor<T>>>(name: &str, at: &M, direction: &M) {
    let (names, own) = (at.names(), direction.names());
    if names != own {
        panic!("{name}: the point has leaves {names:?}, the direction {own:?}; expected the same");
    }
    for ((leaf, x), v) in names.iter().zip(at.leaves()).zip(direction.leaves()) {
        if x.shape() != v.shape() {
            panic!("{name}: `{leaf}` has shape {:?}, its direction {:?}; expected the same", x.shape(), v.shape());
        }
    }
}
