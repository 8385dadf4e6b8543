//! Lists in the memory of a tape, such as lists of its variables.

use std::ops::{Deref, DerefMut};

use bumpalo::Bump;
use bumpalo::collections::{Vec, vec};

/// A growing list in the memory of a tape; used like a `Vec`. Made by [`Tape::list`](crate::Tape::list).
#[derive(Clone, Debug)]
pub struct List<'t, X>(Vec<'t, X>);

impl<'t, X> List<'t, X> {
    /// An empty list with room for `capacity` items.
    pub(crate) fn new_in(memory: &'t Bump, capacity: usize) -> Self {
        List(Vec::with_capacity_in(capacity, memory))
    }

    /// Appends `item`.
    #[inline]
    pub fn push(&mut self, item: X) {
        self.0.push(item);
    }
}

impl<X> Deref for List<'_, X> {
    type Target = [X];
    #[inline]
    fn deref(&self) -> &[X] {
        &self.0
    }
}

impl<X> DerefMut for List<'_, X> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [X] {
        &mut self.0
    }
}

impl<X> Extend<X> for List<'_, X> {
    #[inline]
    fn extend<I: IntoIterator<Item = X>>(&mut self, items: I) {
        self.0.extend(items);
    }
}

impl<'t, X> IntoIterator for List<'t, X> {
    type Item = X;
    type IntoIter = IntoIter<'t, X>;
    #[inline]
    fn into_iter(self) -> IntoIter<'t, X> {
        IntoIter(self.0.into_iter())
    }
}

impl<'l, X> IntoIterator for &'l List<'_, X> {
    type Item = &'l X;
    type IntoIter = std::slice::Iter<'l, X>;
    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'l, X> IntoIterator for &'l mut List<'_, X> {
    type Item = &'l mut X;
    type IntoIter = std::slice::IterMut<'l, X>;
    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

/// The items of a [`List`], in order.
#[derive(Debug)]
pub struct IntoIter<'t, X>(vec::IntoIter<'t, X>);

impl<X> Iterator for IntoIter<'_, X> {
    type Item = X;
    #[inline]
    fn next(&mut self) -> Option<X> {
        self.0.next()
    }
    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<X> DoubleEndedIterator for IntoIter<'_, X> {
    #[inline]
    fn next_back(&mut self) -> Option<X> {
        self.0.next_back()
    }
}

impl<X> ExactSizeIterator for IntoIter<'_, X> {}

/// The length of a list on a tape: of nodes, edges, scopes or bytes of names. Places in it have 32 bits.
///
/// # Panics
/// If the list is longer than 32 bits can say.
#[inline(always)]
#[track_caller]
pub(crate) fn length(length: usize, of: &str) -> u32 {
    match u32::try_from(length) {
        Ok(length) => length,
        Err(_) => too_long(of),
    }
}

#[cold]
#[track_caller]
fn too_long(of: &str) -> ! {
    panic!("tape: there is no room for more {of}; expected {} at most: clear the tape, or record segments", u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::length;

    const MOST: usize = u32::MAX as usize;

    #[test]
    fn a_list_is_as_long_as_32_bits_say() {
        assert_eq!([0, 7, MOST].map(|n| length(n, "nodes")), [0, 7, u32::MAX]);
    }

    #[test]
    #[should_panic(
        expected = "tape: there is no room for more nodes; expected 4294967295 at most: clear the tape, or record segments"
    )]
    fn a_longer_one_is_refused_and_not_cut() {
        length(MOST + 1, "nodes");
    }
}
