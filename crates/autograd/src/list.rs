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
