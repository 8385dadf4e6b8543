//! Lists that live no longer than a recording, as lists of its variables do.

use super::Tape;
use crate::Scalar;

/// A list whose memory is that of a tape; otherwise a `Vec`. Made by [`Tape::list`].
pub type List<'t, X> = bumpalo::collections::Vec<'t, X>;

/// Lists of variables.
impl<T: Scalar> Tape<T> {
    /// An empty list with room for `capacity` items: variables, states of cells. They borrow the tape, so the list cannot outlive
    /// the recording, and after [`clear`](Tape::clear) the next one gets its memory: a loop that trains allocates none.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor, ops::layout::stack};
    /// let tape = Tape::new();
    /// let mut h = tape.leaf(Tensor::from_vec(vec![0.5, -1.0], &[2]));
    /// let mut states = tape.list(3);
    /// for _ in 0..3 {
    ///     h = h.tanh();
    ///     states.push(h);
    /// }
    /// assert_eq!(stack(&states, 0).shape().as_slice(), [3, 2]);
    /// ```
    pub fn list<X>(&self, capacity: usize) -> List<'_, X> {
        List::with_capacity_in(capacity, &self.workspace.lists)
    }
}
