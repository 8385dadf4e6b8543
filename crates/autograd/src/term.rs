//! Cotangents as *terms*: what a rule gives back, and how terms add up.
//!
//! A value that is used many times collects one term for each use. Three kinds of term need not be full-size arrays:
//! a product xᵀ·ḡ that is not multiplied yet (a weight used at T time steps then costs one product over all of them), a
//! region (the cotangent of a slice costs the slice's size), and a cotangent of broadcast shape (summed down in place).

use smallvec::SmallVec;

use crate::ops::accumulate::{Regions, SumOfProducts};
use crate::shape::{Shape, broadcast};
use crate::tape::Tape;
use crate::tensor::{as_rows, sum_of_products};
use crate::{Scalar, Tensor, Var};

/// One contribution to the cotangent of an input: what [`Op::vjp`](crate::Op::vjp) gives back.
pub struct Term<'t, T: Scalar>(Kind<Var<'t, T>>);

#[derive(Clone)]
enum Kind<V> {
    Zero,
    Dense(V),
    Summed(V),
    Product(V, V),
    Region { piece: V, axis: usize, start: usize },
}

impl<'t, T: Scalar> Term<'t, T> {
    /// No contribution: the output does not change with this input.
    pub fn zero() -> Self {
        Term(Kind::Zero)
    }

    /// A cotangent of the input's shape.
    pub fn dense(cotangent: Var<'t, T>) -> Self {
        Term(Kind::Dense(cotangent))
    }

    /// A cotangent of a shape that the input was broadcast to; it is summed down to the input's shape.
    pub fn summed(cotangent: Var<'t, T>) -> Self {
        Term(Kind::Summed(cotangent))
    }

    /// The product xᵀ·g, deferred: x `[…, m]`, g `[…, n]` with the same leading axes, for an input of shape `[m, n]`.
    pub fn product(x: Var<'t, T>, g: Var<'t, T>) -> Self {
        Term(Kind::Product(x, g))
    }

    /// `piece` at position `start` of `axis`, and 0 elsewhere.
    pub fn region(piece: Var<'t, T>, axis: usize, start: usize) -> Self {
        Term(Kind::Region { piece, axis, start })
    }

    /// Whether this can be a cotangent of an input of `shape`.
    fn fits(&self, shape: &[usize]) -> bool {
        match &self.0 {
            Kind::Zero => true,
            Kind::Dense(g) => g.has_shape(shape),
            Kind::Summed(g) if g.has_shape(shape) => true,
            Kind::Summed(g) => {
                let g = g.shape();
                broadcast(shape, &g).as_ref() == Some(&g)
            }
            Kind::Product(x, g) => {
                let (x, g) = (x.shape(), g.shape());
                matches!((&x[..], &g[..]), ([lx @ .., m], [lg @ .., n]) if lx == lg && [*m, *n] == *shape)
            }
            Kind::Region { piece, axis, start } => {
                let piece = piece.shape();
                let inside = |k: usize| if k == *axis { start + piece[k] <= shape[k] } else { piece[k] == shape[k] };
                piece.len() == shape.len() && *axis < shape.len() && (0..shape.len()).all(inside)
            }
        }
    }

    fn describe(&self) -> String {
        match &self.0 {
            Kind::Zero => "no term".to_owned(),
            Kind::Dense(g) => format!("a dense term of shape {:?}", g.shape()),
            Kind::Summed(g) => format!("a summed term of shape {:?}", g.shape()),
            Kind::Product(x, g) => format!("a product term of shapes {:?} and {:?}", x.shape(), g.shape()),
            Kind::Region { piece, axis, start } => {
                format!("a region term of shape {:?} at {start} of axis {axis}", piece.shape())
            }
        }
    }

    /// The term as numbers, each variable by `value`. A variable that comes twice is asked for once.
    pub(crate) fn into_values(self, value: impl Fn(Var<'t, T>) -> Tensor<T>) -> ValueTerm<T> {
        ValueTerm(match self.0 {
            Kind::Zero => Kind::Zero,
            Kind::Dense(g) => Kind::Dense(value(g)),
            Kind::Summed(g) => Kind::Summed(value(g)),
            Kind::Product(x, g) if x.id() == g.id() => {
                let x = value(x);
                Kind::Product(x.clone(), x)
            }
            Kind::Product(x, g) => Kind::Product(value(x), value(g)),
            Kind::Region { piece, axis, start } => Kind::Region { piece: value(piece), axis, start },
        })
    }

    /// Panics if the rule of `op` gave a term that cannot belong to an input of `shape`.
    pub(crate) fn check(&self, op: &str, input: usize, shape: &[usize]) {
        if !self.fits(shape) {
            panic!("{op}: the rule for input {input} gave {} for an input of shape {shape:?}", self.describe());
        }
    }
}

/// A term of a first-order sweep.
pub(crate) struct ValueTerm<T: Scalar>(Kind<Tensor<T>>);

/// Rows of pending products after which they are multiplied: enough for full speed, and a bound on what waits.
const PENDING_ROWS: usize = 4096;

/// The cotangent of one node in a first-order sweep, summed in place as terms come in.
pub(crate) struct ValueSum<T: Scalar> {
    dense: Option<Tensor<T>>,
    products: Vec<(Tensor<T>, Tensor<T>)>,
    rows: usize,
}

impl<T: Scalar> Default for ValueSum<T> {
    fn default() -> Self {
        ValueSum { dense: None, products: Vec::new(), rows: 0 }
    }
}

impl<T: Scalar> ValueSum<T> {
    pub(crate) fn of(seed: Tensor<T>) -> Self {
        ValueSum { dense: Some(seed), ..Self::default() }
    }

    pub(crate) fn add(&mut self, term: ValueTerm<T>, shape: &[usize]) {
        let zeros = || Tensor::zeros(shape);
        match term.0 {
            Kind::Zero => {}
            Kind::Dense(g) => match &mut self.dense {
                None => self.dense = Some(g),
                Some(sum) => sum.add_assign(&g),
            },
            Kind::Summed(g) if g.shape() == shape => self.add(ValueTerm(Kind::Dense(g)), shape),
            Kind::Summed(g) => self.dense.get_or_insert_with(zeros).add_summed(&g),
            Kind::Product(x, g) => {
                let (x, g) = (as_rows(&x), as_rows(&g));
                self.rows += x.shape()[0];
                self.products.push((x, g));
                if self.rows >= PENDING_ROWS {
                    self.multiply(shape);
                }
            }
            Kind::Region { piece, axis, start } => {
                self.dense.get_or_insert_with(zeros).add_region(axis, start, &piece);
            }
        }
    }

    fn multiply(&mut self, shape: &[usize]) {
        if self.products.is_empty() {
            return;
        }
        let beta = if self.dense.is_some() { T::ONE } else { T::ZERO };
        let pairs: SmallVec<[_; 64]> = self.products.iter().map(|(x, g)| (x, g)).collect();
        match &mut self.dense {
            Some(sum) => sum_of_products(&pairs, beta, sum.as_mut_slice()),
            None => self.dense = Some(Tensor::build(shape, |to| sum_of_products(&pairs, beta, to))),
        }
        drop(pairs);
        self.products.clear();
        self.rows = 0;
    }

    pub(crate) fn finish(mut self, shape: &[usize]) -> Tensor<T> {
        self.multiply(shape);
        self.dense.unwrap_or_else(|| Tensor::zeros(shape))
    }
}

/// The cotangent of one node in a sweep that is recorded: terms wait, and are summed by ops when the node's turn comes.
pub(crate) struct RecordedSum<'t, T: Scalar>(Vec<Kind<Var<'t, T>>>);

impl<T: Scalar> Default for RecordedSum<'_, T> {
    fn default() -> Self {
        RecordedSum(Vec::new())
    }
}

impl<'t, T: Scalar> RecordedSum<'t, T> {
    pub(crate) fn of(seed: Var<'t, T>) -> Self {
        RecordedSum(vec![Kind::Dense(seed)])
    }

    pub(crate) fn add(&mut self, term: Term<'t, T>) {
        self.0.push(term.0);
    }

    pub(crate) fn finish(self, tape: &'t Tape<T>, shape: &[usize]) -> Var<'t, T> {
        let mut products = Vec::new();
        let mut pieces = Vec::new();
        let mut regions = Regions::new(Shape::from_slice(shape));
        let mut sum: Option<Var<'t, T>> = None;
        let mut plus = |v: Var<'t, T>| sum = Some(sum.map_or(v, |s| s + v));
        for kind in self.0 {
            match kind {
                Kind::Zero => {}
                Kind::Dense(g) => plus(g),
                Kind::Summed(g) => plus(g.sum_to(shape)),
                Kind::Product(x, g) => products.extend([x, g]),
                Kind::Region { piece, axis, start } => {
                    pieces.push(piece);
                    regions.push(axis, start);
                }
            }
        }
        if !products.is_empty() {
            plus(tape.apply(SumOfProducts, &products));
        }
        if !pieces.is_empty() {
            plus(tape.apply(regions, &pieces));
        }
        sum.unwrap_or_else(|| tape.zeros(shape))
    }
}
