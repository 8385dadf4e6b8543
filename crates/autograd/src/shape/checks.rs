//! Checks of shapes, and the wording of every message about them.

use std::fmt;
use std::ops::Range;

use super::{MOST_ELEMENTS, Shape, broadcast, checked_element_count};

/// Shapes as messages show them: `[2, 3] and [4]`.
struct Listed<'a>(&'a [&'a [usize]]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, shape) in self.0.iter().enumerate() {
            match i {
                0 => {}
                _ if i + 1 == self.0.len() => write!(f, " and ")?,
                _ => write!(f, ", ")?,
            }
            write!(f, "{shape:?}")?;
        }
        Ok(())
    }
}

/// Panics at the caller's line: `op: shapes [2, 3] and [4] do not fit: expected …`. The wording of every message about shapes.
///
/// ```should_panic
/// use rewind_autograd::shape::mismatch;
/// let (x, target) = ([2, 3], [4]);
/// if x.as_slice() != target.as_slice() {
///     mismatch("absolute_error", &[&x, &target], "two of the same shape");
/// }
/// ```
///
/// # Panics
/// Always.
#[track_caller]
#[cold]
pub fn mismatch(op: &str, shapes: &[&[usize]], expected: &str) -> ! {
    panic!("{op}: shapes {} do not fit: expected {expected}", Listed(shapes))
}

/// The number of elements, or a panic that names `op` and the shape.
#[inline]
#[track_caller]
pub(crate) fn count_or_panic(op: &str, shape: &[usize]) -> usize {
    match checked_element_count(shape) {
        Some(count) => count,
        None => too_many(op, shape),
    }
}

#[track_caller]
#[cold]
fn too_many(op: &str, shape: &[usize]) -> ! {
    panic!("{op}: shape {shape:?} is too large: expected lengths whose product is at most {MOST_ELEMENTS}")
}

/// The shape that two shapes broadcast to, as [`broadcast`].
///
/// ```
/// use rewind_autograd::shape::broadcast_or_panic;
/// assert_eq!(broadcast_or_panic("my_op", &[5, 1, 3], &[4, 1]).as_slice(), [5, 4, 3]);
/// ```
///
/// # Panics
/// If they do not broadcast, or the result has too many elements. The message names `op` and the shapes.
#[track_caller]
pub fn broadcast_or_panic(op: &str, a: &[usize], b: &[usize]) -> Shape {
    let Some(shape) = broadcast(a, b) else {
        mismatch(op, &[a, b], "lengths that are equal or 1, aligned at the last axis")
    };
    count_or_panic(op, &shape);
    shape
}

/// Checks that `axis` is an axis of `shape`.
///
/// ```
/// rewind_autograd::shape::check_axis("my_op", &[2, 3], 1);
/// ```
///
/// # Panics
/// If it is not. The message names `op`, the axis and the shape.
#[track_caller]
pub fn check_axis(op: &str, shape: &[usize], axis: usize) {
    if axis >= shape.len() {
        panic!("{op}: axis {axis} is not an axis of shape {shape:?}, which has {}", shape.len());
    }
}

/// Whether `range` is within `axis` of `shape`.
#[inline]
pub(crate) fn holds(shape: &[usize], axis: usize, range: &Range<usize>) -> bool {
    range.start <= range.end && shape.get(axis).is_some_and(|&length| range.end <= length)
}

/// Checks that the positions `indices` are in range for `axis` of `shape`.
///
/// ```
/// rewind_autograd::shape::check_indices("my_op", &[2, 3], 1, &[2, 0, 2]);
/// ```
///
/// # Panics
/// If there is no such axis, or an index is out of range. The message names `op`, the index, the axis and the shape.
#[track_caller]
pub fn check_indices(op: &str, shape: &[usize], axis: usize, indices: &[usize]) {
    check_axis(op, shape, axis);
    if let Some(outside) = indices.iter().find(|&&i| i >= shape[axis]) {
        panic!("{op}: index {outside} does not lie in axis {axis} of shape {shape:?}");
    }
}

/// Checks that `range` is within `axis` of `shape`.
///
/// ```
/// rewind_autograd::shape::check_range("my_op", &[2, 3], 1, &(0..2));
/// ```
///
/// # Panics
/// If there is no such axis, or the range is out of bounds. The message names `op`, the range, the axis and the shape.
#[track_caller]
pub fn check_range(op: &str, shape: &[usize], axis: usize, range: &Range<usize>) {
    check_axis(op, shape, axis);
    if !holds(shape, axis, range) {
        panic!("{op}: range {range:?} does not lie within axis {axis} of shape {shape:?}");
    }
}
