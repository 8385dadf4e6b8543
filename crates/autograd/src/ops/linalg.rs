//! Matrix products, and the affine map that every gate is made of.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.constant(Tensor::from_vec(vec![1.0, 2.0], &[1, 2]));
//! let w = tape.leaf(Tensor::from_vec(vec![3.0, 4.0, 5.0, 6.0], &[2, 2]));
//! let bias = tape.leaf(Tensor::from_vec(vec![100.0, 200.0], &[2]));
//! assert_eq!(x.matmul(w).value().to_vec(), [13.0, 16.0]);
//! assert_eq!(x.affine(w, Some(bias)).value().to_vec(), [113.0, 216.0]); // the same and the bias in one node
//! assert_eq!(x.matmul(w).sum().backward().get(w).to_vec(), [1.0, 1.0, 2.0, 2.0]);
//! ```

use super::table::by_hand;
use crate::shape::{
    MOST_ELEMENTS, Shape, broadcast, broadcasts, checked_element_count, count_or_panic, mismatch, same,
};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = a·b over the last two axes, leading axes broadcast; ā = ȳ·bᵀ, b̄ = aᵀ·ȳ, deferred where b is one matrix.
    pub op matmul = MatMul(a, b) {
        value: match b.rank() {
            2 => by_rows(a, b.shape()[1], |rows| rows.matmul(b)),
            _ => a.batched_matmul(b),
        },
        a: |g, b| match b.rank() {
            2 => Term::Summed(g.matmul_transposed(b)),
            _ => Term::Summed(g.matmul(b.transpose())),
        },
        b: |g, a, b| match b.rank() {
            2 => Term::Product(a, g),
            _ => Term::Summed(a.transpose().matmul(g)),
        },
    }

    /// y = a·bᵀ over the last axis of a and a matrix b; ā = ȳ·b, b̄ = ȳᵀ·a (deferred). The rule of `matmul` uses it: an
    /// explicit bᵀ would be one more node and view for each time step.
    pub op matmul_transposed = MatMulTransposed(a, b) {
        value: by_rows(a, b.shape()[0], |rows| rows.matmul_transposed(b)),
        a: |g, b| g.matmul(b),
        b: |g, a| Term::Product(g, a),
    }
}

/// `product` of a tensor `[…, m]` seen as rows `[n, m]`: `[…, width]`.
fn by_rows<T: Scalar>(a: &Tensor<T>, width: usize, product: impl FnOnce(&Tensor<T>) -> Tensor<T>) -> Tensor<T> {
    if a.rank() == 2 {
        return product(a);
    }
    let y = product(&a.as_rows());
    let mut shape = Shape::from_slice(a.shape());
    *shape.last_mut().expect("a factor has two axes at least") = width;
    y.reshape(&shape)
}

by_hand! {
    AFFINE = "affine";

    /// y = Σ x_k·w_k + bias in one pass; x̄_k = ȳ·w_kᵀ, w̄_k = x_kᵀ·ȳ (deferred), b̄ias = Σ ȳ over the rows.
    ///
    /// Inputs x_1, w_1, x_2, w_2, …, and the bias last if there is one.
    #[derive(Clone, Copy, Debug)]
    pub struct Affine {
        bias: bool,
    }
}

impl<T: Scalar> Op<T> for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let (bias, products) = match inputs {
            [products @ .., bias] if self.bias => (Some(bias), products),
            _ => (None, inputs),
        };
        let width = products[1].shape()[1];
        let mut shape = Shape::from_slice(products[0].shape());
        *shape.last_mut().expect("affine inputs have rank 2 at least") = width;
        Tensor::build(&shape, |to| {
            for (k, pair) in products.chunks_exact(2).enumerate() {
                let (beta, bias) = if k == 0 { (T::ZERO, bias.copied()) } else { (T::ONE, None) };
                pair[0].as_rows().matmul_into(pair[1], beta, bias, to);
            }
        })
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let g = at.cotangent();
        if self.bias && input + 1 == at.arity() {
            Term::Summed(g)
        } else if input.is_multiple_of(2) {
            Term::Dense(g.matmul_transposed(at.input(input + 1)))
        } else {
            Term::Product(at.input(input - 1), g)
        }
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("bias", format!("{:?}", self.bias))]
    }
}

/// Panics if the product of `a` and `b`, whose last axis is `width` of the shape of `b`, has more elements than a
/// tensor may have.
#[inline]
#[track_caller]
fn check_result<'t, T: Scalar>(op: &str, a: Var<'t, T>, b: Var<'t, T>, width: impl Fn(&[usize]) -> usize) {
    // If `b` is a matrix, the size is rows times width: no shape has to be built.
    let (a, b) = (a.tensor(), b.tensor());
    let (a, b) = (a.shape(), b.shape());
    if let ([rows @ .., _], [_, _]) = (a, b)
        && checked_element_count(rows).is_some_and(|rows| rows.max(1).saturating_mul(width(b)) <= MOST_ELEMENTS)
    {
        return;
    }
    let leads = (&a[..a.len() - 2], &b[..b.len() - 2]);
    let mut shape =
        if leads.1.is_empty() { Shape::from_slice(leads.0) } else { broadcast(leads.0, leads.1).unwrap_or_default() };
    shape.extend([a[a.len() - 2], width(b)]);
    count_or_panic(op, &shape);
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The matrix product over the last two axes, `[…, m, k]·[…, k, n] → […, m, n]`; leading axes broadcast.
    ///
    /// # Panics
    /// If one of them has fewer than two axes, or the shapes do not match.
    #[track_caller]
    pub fn matmul(self, other: Var<'t, T>) -> Self {
        let fits = match (self.tensor().shape(), other.tensor().shape()) {
            ([_, k], [l, _]) => k == l,
            ([la @ .., _, k], [lb @ .., l, _]) => k == l && broadcasts(la, lb),
            _ => false,
        };
        if !fits {
            let expected = "[…, m, k] and […, k, n], leading axes equal or 1";
            mismatch("matmul", &[&self.shape(), &other.shape()], expected);
        }
        check_result("matmul", self, other, |b| b[b.len() - 1]);
        self.tape().apply(MatMul, &[self, other])
    }

    /// The matrix product with the transpose of a matrix, `[…, m, k]·[n, k]ᵀ → […, m, n]`: for weights that are stored
    /// as `[outputs, inputs]`, as in PyTorch.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.constant(Tensor::from_vec(vec![1.0, 2.0], &[1, 2]));
    /// let w = tape.leaf(Tensor::from_vec(vec![3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[3, 2]));
    /// let y = x.matmul_transposed(w);
    /// assert_eq!(y.value().to_vec(), [11.0, 17.0, 23.0]);
    /// assert_eq!(y.sum().backward().get(w).to_vec(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If this has fewer than two axes, `other` is no matrix, or the last axes differ.
    #[track_caller]
    pub fn matmul_transposed(self, other: Var<'t, T>) -> Self {
        let fits = matches!((self.tensor().shape(), other.tensor().shape()), ([.., _, k], [_, l]) if k == l);
        if !fits {
            mismatch("matmul_transposed", &[&self.shape(), &other.shape()], "[…, m, k] and [n, k]");
        }
        check_result("matmul_transposed", self, other, |b| b[0]);
        self.tape().apply(MatMulTransposed, &[self, other])
    }

    /// x·w + bias: x `[…, m]`, w `[m, n]`, bias `[n]` → `[…, n]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn affine(self, w: Var<'t, T>, bias: Option<Var<'t, T>>) -> Self {
        affine(&[(self, w)], bias)
    }
}

/// Σ x_k·w_k + bias, several products in one pass: x_k `[…, m_k]` (the leading axes of all are the same), w_k
/// `[m_k, n]`, bias `[n]` → `[…, n]`. The pre-activation of every gate:
///
/// ```
/// use rewind_autograd::{Tape, Tensor, ops::linalg::affine};
/// let tape = Tape::<f32>::new();
/// let (x, h) = (tape.zeros(&[8, 3]), tape.zeros(&[8, 5]));
/// let (w, u, b) = (tape.zeros(&[3, 20]), tape.zeros(&[5, 20]), tape.zeros(&[20]));
/// assert_eq!(affine(&[(x, w), (h, u)], Some(b)).shape().as_slice(), [8, 20]);
/// ```
///
/// # Panics
/// If there is no product, or the shapes do not match.
#[track_caller]
pub fn affine<'t, T: Scalar>(products: &[(Var<'t, T>, Var<'t, T>)], bias: Option<Var<'t, T>>) -> Var<'t, T> {
    let Some(&(first, w)) = products.first() else {
        panic!("affine: no product given; expected one (x, w) at least");
    };
    let (lead, width) = (first.shape(), w.tensor().shape().last().copied().unwrap_or(0));
    for &(x, w) in products {
        let fits = matches!((x.tensor().shape(), w.tensor().shape()), ([lx @ .., k], [l, n])
            if !lx.is_empty() && k == l && *n == width && same(lx, &lead[..lead.len() - 1]));
        if !fits {
            let expected = "x […, m] and w [m, n], the leading axes and n the same for every product";
            mismatch("affine", &[&x.shape(), &w.shape()], expected);
        }
    }
    if let Some(bias) = bias
        && !bias.has_shape(&[width])
    {
        mismatch("affine", &[&bias.shape(), &[width]], "a bias of the second shape");
    }
    check_result("affine", first, w, |w| w[1]);
    let mut inputs: smallvec::SmallVec<[Var<'t, T>; 5]> = products.iter().flat_map(|&(x, w)| [x, w]).collect();
    inputs.extend(bias);
    first.tape().apply(Affine { bias: bias.is_some() }, &inputs)
}
