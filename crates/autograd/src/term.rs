//! Cotangents as *terms*: what a rule gives back, and how terms add up.
//!
//! A value that is used many times collects one term for each use. Three kinds of term need not be full-size arrays:
//! a product xᵀ·ḡ that is not multiplied yet (a weight used at T time steps then costs one product over all of them), a
//! region (the cotangent of a slice costs the slice's size), and a cotangent of broadcast shape (summed down in place).

use smallvec::SmallVec;

use crate::kernels::reduce::BLOCK;
use crate::ops::accumulate::{Regions, SumOfProducts};
use crate::shape::{same, stretches_to};
use crate::tensor::{ROWS_AT_ONCE, sum_of_products};
use crate::{Op, Scalar, Tensor, Var};

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
    #[inline]
    pub fn zero() -> Self {
        Term(Kind::Zero)
    }

    /// A cotangent of the input's shape.
    #[inline]
    pub fn dense(cotangent: Var<'t, T>) -> Self {
        Term(Kind::Dense(cotangent))
    }

    /// A cotangent of a shape that the input was broadcast to; it is summed down to the input's shape.
    #[inline]
    pub fn summed(cotangent: Var<'t, T>) -> Self {
        Term(Kind::Summed(cotangent))
    }

    /// The product xᵀ·g, deferred: x `[…, m]`, g `[…, n]` with the same leading axes, for an input of shape `[m, n]`.
    #[inline]
    pub fn product(x: Var<'t, T>, g: Var<'t, T>) -> Self {
        Term(Kind::Product(x, g))
    }

    /// `piece` at position `start` of `axis`, and 0 elsewhere.
    #[inline]
    pub fn region(piece: Var<'t, T>, axis: usize, start: usize) -> Self {
        Term(Kind::Region { piece, axis, start })
    }

    /// Whether this can be a cotangent of `input`.
    #[inline]
    fn fits(&self, input: Var<'t, T>) -> bool {
        match &self.0 {
            Kind::Zero => true,
            Kind::Dense(g) => same_shape(*g, input),
            Kind::Summed(g) => g.with_shapes(input, |g, shape| stretches_to(shape, g)),
            Kind::Product(x, g) => x.with_shapes(*g, |x, g| {
                let ([lx @ .., m], [lg @ .., n]) = (x, g) else { return false };
                lx == lg && input.with_shape(|shape| *shape == [*m, *n])
            }),
            Kind::Region { piece, axis, start } => piece.with_shapes(input, |piece, shape| {
                let inside = |k: usize| if k == *axis { start + piece[k] <= shape[k] } else { piece[k] == shape[k] };
                piece.len() == shape.len() && *axis < shape.len() && (0..shape.len()).all(inside)
            }),
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

    /// The term, if it can belong to `input`, which is input number `number` of `op`. What need not be summed is dense.
    ///
    /// # Panics
    /// If it cannot.
    #[inline]
    pub(crate) fn checked(self, op: &dyn Op<T>, number: usize, input: Var<'t, T>) -> Self {
        match self.0 {
            Kind::Dense(g) | Kind::Summed(g) if same_shape(g, input) => Term(Kind::Dense(g)),
            _ if self.fits(input) => self,
            _ => {
                let (name, shape) = (op.name(), input.shape());
                panic!("{name}: the rule for input {number} gave {} for an input of shape {shape:?}", self.describe());
            }
        }
    }
}

#[inline(always)]
fn same_shape<'t, T: Scalar>(g: Var<'t, T>, input: Var<'t, T>) -> bool {
    if std::ptr::eq(g.tape(), input.tape()) {
        g.tape().same_shape(g.id(), input.id())
    } else {
        g.shape() == input.shape()
    }
}

/// Where the numbers of a term's variables are.
pub(crate) trait Source<'t, T: Scalar> {
    /// The value of `v`, without a second owner where that can be.
    fn take(&self, v: Var<'t, T>) -> Tensor<T>;
    /// What `f` makes of the value of `v`.
    fn read<R>(&self, v: Var<'t, T>, f: impl FnOnce(&Tensor<T>) -> R) -> R;
}

/// What few sums need, so that the others stay small.
struct More<T: Scalar> {
    /// Products that wait to be multiplied at once, and their rows.
    pairs: Vec<(Tensor<T>, Tensor<T>)>,
    rows: usize,
    /// Blocks of terms that were put aside: at place i the sum of 2^i blocks, or [`taken`](Tensor::taken).
    blocks: Vec<Tensor<T>>,
}

impl<T: Scalar> Default for More<T> {
    fn default() -> Self {
        More { pairs: Vec::new(), rows: 0, blocks: Vec::new() }
    }
}

impl<T: Scalar> More<T> {
    /// Puts a block aside; two sums of as many blocks become one.
    fn put(&mut self, block: Tensor<T>) {
        let mut sum = block;
        for place in &mut self.blocks {
            if place.is_released() {
                *place = sum;
                return;
            }
            let mut earlier = std::mem::replace(place, Tensor::taken());
            earlier.add_assign(&sum);
            sum = earlier;
        }
        self.blocks.push(sum);
    }

    /// The sum of `last`, which may be [`taken`](Tensor::taken), and of all blocks; none is left.
    fn total(&mut self, last: Tensor<T>) -> Tensor<T> {
        let mut total = last;
        for place in self.blocks.iter_mut().filter(|place| !place.is_released()) {
            let mut block = std::mem::replace(place, Tensor::taken());
            if !total.is_released() {
                block.add_assign(&total);
            }
            total = block;
        }
        total
    }
}

/// The cotangent of one node in a first-order sweep, summed in place as terms come in.
///
/// A variable may have a term for each of many time steps. After a block of terms their sum is put aside and the next block
/// begins; blocks are added pairwise. So the error grows with the logarithm of the number of terms.
pub(crate) struct ValueSum<T: Scalar> {
    /// The block that is being summed; [`taken`](Tensor::taken) until its first term.
    dense: Tensor<T>,
    /// How many numbers each element of the block is the sum of.
    added: usize,
    /// How many elements of regions have been added since `added` last grew.
    of_regions: usize,
    more: Option<Box<More<T>>>,
}

impl<T: Scalar> Default for ValueSum<T> {
    fn default() -> Self {
        ValueSum { dense: Tensor::taken(), added: 0, of_regions: 0, more: None }
    }
}

impl<T: Scalar> ValueSum<T> {
    /// Whether no term has been added to the block.
    #[inline]
    fn is_empty(&self) -> bool {
        self.dense.is_released()
    }

    /// The block, from zeros on.
    #[inline]
    fn dense_of(&mut self, input: Var<'_, T>) -> &mut Tensor<T> {
        if self.is_empty() {
            self.dense = input.with_shape(Tensor::zeros);
        }
        &mut self.dense
    }

    /// So many numbers more were added to each element.
    #[inline]
    fn count(&mut self, added: usize) {
        self.added += added;
        if self.added >= BLOCK {
            self.put_aside();
        }
    }

    /// Ends the block.
    #[cold]
    fn put_aside(&mut self) {
        self.added = 0;
        let block = std::mem::replace(&mut self.dense, Tensor::taken());
        self.more.get_or_insert_default().put(block);
    }

    /// Adds a full-size cotangent.
    #[inline]
    pub(crate) fn add_dense(&mut self, g: Tensor<T>) {
        if self.is_empty() {
            (self.dense, self.added) = (g, 1);
            return;
        }
        if self.dense.is_shared() {
            // Into numbers that nobody else holds: those of a view, as a part of a sequence's cotangent is, would be copied first.
            let sum = std::mem::replace(&mut self.dense, g);
            self.dense.add_assign(&sum);
        } else {
            self.dense.add_assign(&g);
        }
        self.count(1);
    }

    /// Adds a cotangent of a shape that `input` was broadcast to.
    #[inline]
    fn add_summed(&mut self, g: &Tensor<T>, input: Var<'_, T>) {
        let added = self.dense_of(input).add_summed(g);
        self.count(added);
    }

    /// Adds a cotangent of `input`'s shape, or of one that it was broadcast to.
    #[inline]
    pub(crate) fn add_handed_on(&mut self, g: Tensor<T>, input: Var<'_, T>) {
        if input.with_shape(|shape| same(shape, g.shape())) {
            self.add_dense(g);
        } else {
            let fits = input.with_shape(|shape| stretches_to(shape, g.shape()));
            assert!(
                fits,
                "an op that hands on its cotangent (Op::hands_on), of shape {:?}, has an input of shape {:?}: expected one that \
                 stretches to it",
                g.shape(),
                input.shape(),
            );
            self.add_summed(&g, input);
        }
    }

    /// Adds a [checked](Term::checked) term of `input`'s cotangent, its numbers from `source`.
    #[inline]
    pub(crate) fn add<'t>(&mut self, term: Term<'t, T>, input: Var<'t, T>, source: &impl Source<'t, T>) {
        match term.0 {
            Kind::Zero => {}
            Kind::Dense(g) if self.is_empty() => (self.dense, self.added) = (source.take(g), 1),
            Kind::Dense(g) if self.dense.is_shared() => self.add_dense(source.take(g)),
            Kind::Dense(g) => {
                source.read(g, |g| self.dense.add_assign(g));
                self.count(1);
            }
            Kind::Summed(g) => source.read(g, |g| self.add_summed(g, input)),
            Kind::Region { piece, axis, start } => {
                let sum = self.dense_of(input);
                let whole = sum.len();
                let part = source.read(piece, |piece| {
                    sum.add_region(axis, start, piece);
                    piece.len()
                });
                self.of_regions += part;
                // Parts side by side are no sum; only when they could cover the whole again does every element count.
                if self.of_regions >= whole {
                    self.of_regions = 0;
                    self.count(1);
                }
            }
            // A variable that comes twice is taken once.
            Kind::Product(x, g) if x.id() == g.id() => {
                let x = source.take(x).into_rows();
                self.defer(x.clone(), x);
            }
            Kind::Product(x, g) => self.defer(source.take(x).into_rows(), source.take(g).into_rows()),
        }
    }

    fn defer(&mut self, x: Tensor<T>, g: Tensor<T>) {
        if x.is_known_zero() {
            return;
        }
        let rows = x.shape()[0];
        if self.more.as_ref().is_some_and(|more| more.rows + rows > ROWS_AT_ONCE) {
            self.multiply();
        }
        let more = self.more.get_or_insert_default();
        more.pairs.push((x, g));
        more.rows += rows;
    }

    fn multiply(&mut self) {
        let Some(more) = &mut self.more else { return };
        let pairs = &more.pairs;
        let Some((x, g)) = pairs.first() else { return };
        if self.dense.is_released() {
            let shape = [x.shape()[1], g.shape()[1]];
            self.dense = Tensor::build(&shape, |to| sum_of_products(pairs, T::ZERO, to));
        } else {
            sum_of_products(pairs, T::ONE, self.dense.as_mut_slice());
        }
        more.pairs.clear();
        more.rows = 0;
        self.count(1);
    }

    /// Takes the cotangent of `node` out, and leaves an empty sum with the memory for the next.
    #[inline]
    pub(crate) fn finish(&mut self, node: Var<'_, T>) -> Tensor<T> {
        if self.more.is_some() {
            self.finish_more();
        }
        (self.added, self.of_regions) = (0, 0);
        if self.is_empty() {
            node.with_shape(Tensor::zeros)
        } else {
            std::mem::replace(&mut self.dense, Tensor::taken())
        }
    }

    /// Adds to the block what else there is.
    #[inline(never)]
    fn finish_more(&mut self) {
        self.multiply();
        if let Some(more) = &mut self.more {
            self.dense = more.total(std::mem::replace(&mut self.dense, Tensor::taken()));
        }
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
    pub(crate) fn add(&mut self, term: Term<'t, T>) {
        self.0.push(term.0);
    }

    /// Adds a cotangent of `input`'s shape, or of one that it was broadcast to. What need not be summed is dense: to sum it would be
    /// a node.
    pub(crate) fn add_handed_on(&mut self, g: Var<'t, T>, input: Var<'t, T>) {
        self.add(if same_shape(g, input) { Term::dense(g) } else { Term::summed(g) });
    }

    pub(crate) fn finish(self, node: Var<'t, T>) -> Var<'t, T> {
        let (tape, shape) = (node.tape(), node.shape());
        let mut products = Vec::new();
        let mut pieces = Vec::new();
        let mut regions = Regions::new(shape.clone());
        let mut terms: SmallVec<[Var<'t, T>; 8]> = SmallVec::new();
        for kind in self.0 {
            match kind {
                Kind::Zero => {}
                Kind::Dense(g) => terms.push(g),
                Kind::Summed(g) => terms.push(g.sum_to(&shape)),
                Kind::Product(x, g) => products.extend([x, g]),
                Kind::Region { piece, axis, start } => {
                    pieces.push(piece);
                    regions.push(axis, start);
                }
            }
        }
        if !products.is_empty() {
            terms.push(tape.apply(SumOfProducts, &products));
        }
        if !pieces.is_empty() {
            terms.push(tape.apply(regions, &pieces));
        }
        sum_of(&terms).unwrap_or_else(|| tape.zeros(&shape))
    }
}

/// The sum of some variables: one after another in blocks, and the blocks pairwise.
fn sum_of<'t, T: Scalar>(terms: &[Var<'t, T>]) -> Option<Var<'t, T>> {
    if terms.len() > BLOCK {
        let (first, second) = terms.split_at(terms.len() / 2);
        return Some(sum_of(first)? + sum_of(second)?);
    }
    terms.iter().copied().reduce(|sum, term| sum + term)
}
