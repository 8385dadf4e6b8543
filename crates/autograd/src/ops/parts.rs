//! Ops that take a part of the elements: one time step, one gate. They are views, and the cotangent of a part costs no more than
//! the part.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]));
//! assert_eq!(x.index(0, 1).value().to_vec(), [3.0, 4.0]); // one time step
//! assert_eq!(x.slice(0, 1..3).shape().as_slice(), [2, 2]);
//! assert_eq!(x.slice(0, 1..3).sum().backward().get(x).to_vec(), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
//! ```

use std::ops::Range;

use crate::scopes::Part;
use crate::shape::{check_axis, check_range, holds};
use crate::{Scalar, Scope, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = positions start to end of an axis of x; x̄ = ȳ there, 0 elsewhere.
    pub op slice = Slice(x; axis: usize, start: usize, end: usize) {
        value: x.part(axis, start..end),
        x: |g| Term::Slice { part: g, axis, start },
    }

    /// y = one position of an axis of x, with the axis removed; x̄ = ȳ there, 0 elsewhere.
    pub op index = Index(x; axis: usize, at: usize) {
        value: x.position(axis, at),
        x: |g| Term::Slice { part: g.unsqueeze(axis), axis, start: at },
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The part `range` of `axis`: time steps, gates; a view, and its cotangent costs its own size only.
    ///
    /// # Panics
    /// If there is no such axis or the range does not lie within it.
    #[track_caller]
    pub fn slice(self, axis: usize, range: Range<usize>) -> Self {
        if !holds(self.tensor().shape(), axis, &range) {
            check_range("slice", &self.shape(), axis, &range);
        }
        self.tape().apply(Slice { axis, start: range.start, end: range.end }, &[self])
    }

    /// Position `at` of `axis`, with the axis removed: one time step; a view.
    ///
    /// # Panics
    /// If there is no such axis or position.
    #[track_caller]
    pub fn index(self, axis: usize, at: usize) -> Self {
        if self.tensor().shape().get(axis).is_none_or(|&length| at >= length) {
            check_range("index", &self.shape(), axis, &(at..at.saturating_add(1)));
        }
        self.tape().apply(Index { axis, at }, &[self])
    }

    /// `axis` split into `N` parts of equal length: the gates of a cell.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let gates = tape.leaf(Tensor::from_vec((0..8).map(f64::from).collect(), &[1, 8]));
    /// let [i, f, g, o] = gates.split(1);
    /// assert_eq!(f.value().to_vec(), [2.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis or its length is not a multiple of `N`.
    #[track_caller]
    pub fn split<const N: usize>(self, axis: usize) -> [Self; N] {
        let part = self.part_length("split", axis, N);
        let (of, first) = (N as u32, self.tape().len() as u32);
        let _parts = Scope::enter(self.tape(), |_| Part::Counted { of, first });
        self.parts(axis, part)
    }

    /// [`split`](Var::split) with names for the parts: reports then say `t=3/f` and not `t=3/2 of 4`.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let gates = tape.leaf(Tensor::from_vec((0..8).map(f64::from).collect(), &[1, 8]));
    /// let [i, f, g, o] = gates.split_named(1, &["i", "f", "g", "o"]);
    /// assert_eq!(f.sigmoid().scope(), "f");
    /// assert_eq!((f * g).scope(), ""); // of two gates
    /// ```
    ///
    /// # Panics
    /// As [`split`](Var::split).
    #[track_caller]
    pub fn split_named<const N: usize>(self, axis: usize, names: &'static [&'static str; N]) -> [Self; N] {
        let part = self.part_length("split_named", axis, N);
        let first = self.tape().len() as u32;
        let _parts = Scope::enter(self.tape(), |_| Part::Named { names, first });
        self.parts(axis, part)
    }

    /// The length of each of `n` equal parts of an axis.
    #[inline]
    #[track_caller]
    fn part_length(self, op: &str, axis: usize, n: usize) -> usize {
        let shape = self.shape();
        check_axis(op, &shape, axis);
        if n == 0 || !shape[axis].is_multiple_of(n) {
            panic!("{op}: axis {axis} of shape {:?} does not fall into {n} equal parts", shape.as_slice());
        }
        shape[axis] / n
    }

    #[track_caller]
    fn parts<const N: usize>(self, axis: usize, part: usize) -> [Self; N] {
        let mut parts = [self; N];
        for (i, slot) in parts.iter_mut().enumerate() {
            *slot = self.slice(axis, i * part..(i + 1) * part);
        }
        parts
    }
}
