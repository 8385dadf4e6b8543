//! Where a tensor's numbers live: reference-counted buffers that go back to a free list instead of to the allocator.
//!
//! A training step asks for the same sizes again and again. Fresh memory costs a page fault for every 4 KiB touched,
//! which is more than most elementwise ops cost, so buffers are kept, by size, on the thread that made them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Scalar;
use crate::kernels::matmul::PackCache;

/// One buffer, and the packed forms that the matrix kernel made of it.
pub(crate) struct Storage<T: Scalar> {
    data: Vec<T>,
    packs: PackCache<T>,
    /// The thread whose free list it goes back to; `None` for a buffer that no free list handed out. Taking back more than
    /// was handed out would let the lists grow without end.
    home: Option<usize>,
}

/// Buffers waiting to be used again, by size class.
pub struct FreeList<T: Scalar> {
    classes: Vec<Vec<Arc<Storage<T>>>>,
}

/// The free lists of a number type. Implemented for the two scalars.
pub trait Pooled: Sized {
    /// This thread's list; `None` while the thread is being torn down.
    fn with_free_list<R>(f: impl FnOnce(&mut FreeList<Self>) -> R) -> Option<R>
    where
        Self: Scalar;
    /// Buffers that were dropped on another thread than the one that made them. Any thread takes from here before it
    /// allocates, so results that cross threads in every step do not pile up.
    fn shared_free_list() -> &'static Mutex<FreeList<Self>>
    where
        Self: Scalar;
}

/// Size classes: four steps to every power of two, so at most a fifth of a buffer is unused (and untouched).
fn class_of(len: usize) -> usize {
    if len <= 4 {
        return len;
    }
    let power = (len - 1).ilog2() as usize;
    let quarter = (len - 1) >> (power - 2);
    power * 4 + quarter - 7
}

fn class_len(class: usize) -> usize {
    if class <= 4 {
        return class;
    }
    let (power, quarter) = (class.div_ceil(4), (class + 3) % 4 + 4);
    (quarter + 1) << (power - 2)
}

impl<T: Scalar> FreeList<T> {
    pub(crate) const fn new() -> Self {
        FreeList { classes: Vec::new() }
    }

    fn take(&mut self, class: usize) -> Option<Arc<Storage<T>>> {
        self.classes.get_mut(class)?.pop()
    }

    fn put(&mut self, class: usize, storage: Arc<Storage<T>>) {
        if self.classes.len() <= class {
            self.classes.resize_with(class + 1, Vec::new);
        }
        self.classes[class].push(storage);
    }
}

fn this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static ID: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    ID.try_with(|id| *id).unwrap_or(usize::MAX)
}

/// A shared handle on a [`Storage`] that gives the buffer back to the free list when the last handle is dropped.
pub(crate) struct Buffer<T: Scalar>(Option<Arc<Storage<T>>>);

impl<T: Scalar> Buffer<T> {
    /// A buffer of at least `len` numbers whose content is whatever was there before: the caller writes all of it.
    pub(crate) fn dirty(len: usize) -> Self {
        let class = class_of(len);
        let recycled = T::with_free_list(|list| list.take(class))
            .flatten()
            .or_else(|| T::shared_free_list().lock().unwrap_or_else(PoisonError::into_inner).take(class));
        let new = || Storage::new(vec![T::ZERO; class_len(class)], Some(this_thread()));
        Buffer(Some(recycled.unwrap_or_else(new)))
    }

    /// No buffer: what is left where one was taken out.
    pub(crate) fn none() -> Self {
        Buffer(None)
    }

    /// Takes over the numbers of `data` without a copy.
    pub(crate) fn from_vec(data: Vec<T>) -> Self {
        Buffer(Some(Storage::new(data, None)))
    }

    fn storage(&self) -> &Arc<Storage<T>> {
        self.0.as_ref().expect("a buffer holds its storage until it is dropped")
    }

    pub(crate) fn data(&self) -> &[T] {
        &self.storage().data
    }

    /// The numbers, if nobody else holds them. Packed forms are forgotten, since the numbers are about to change.
    pub(crate) fn data_mut(&mut self) -> Option<&mut [T]> {
        let storage = Arc::get_mut(self.0.as_mut()?)?;
        storage.packs.clear();
        Some(&mut storage.data)
    }

    pub(crate) fn is_unique(&self) -> bool {
        Arc::strong_count(self.storage()) == 1
    }

    pub(crate) fn packs(&self) -> &PackCache<T> {
        &self.storage().packs
    }
}

impl<T: Scalar> Storage<T> {
    fn new(data: Vec<T>, home: Option<usize>) -> Arc<Self> {
        Arc::new(Storage { data, packs: PackCache::default(), home })
    }
}

impl<T: Scalar> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Buffer(self.0.clone())
    }
}

impl<T: Scalar> Drop for Buffer<T> {
    fn drop(&mut self) {
        let Some(mut storage) = self.0.take() else { return };
        // A count of one cannot rise again: nobody else holds a handle to clone.
        let Some(last) = (Arc::strong_count(&storage) == 1).then(|| Arc::get_mut(&mut storage)).flatten() else {
            return;
        };
        let Some(home) = last.home else { return };
        let class = class_of(last.data.len());
        last.packs.clear();
        if home == this_thread() {
            T::with_free_list(|list| list.put(class, storage));
        } else {
            T::shared_free_list().lock().unwrap_or_else(PoisonError::into_inner).put(class, storage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_asked_for() {
        let mut last = 0;
        for len in 0..5000 {
            let class = class_of(len);
            assert!(class >= last && class <= last + 1, "classes must rise one by one: {len}");
            last = class;
            let room = class_len(class);
            assert!(room >= len && room * 4 <= len.max(1) * 5 + 4, "{len} gets {room}");
            assert_eq!(class_of(room), class, "a class must hold its own length: {len}");
        }
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let first = Buffer::<f64>::dirty(1000);
        let address = first.data().as_ptr();
        drop(first);
        assert_eq!(Buffer::<f64>::dirty(990).data().as_ptr(), address);
    }

    #[test]
    fn buffers_that_no_list_handed_out_do_not_pile_up() {
        // A length that is also that of a class: data of the user's comes in ever new vectors of such lengths.
        let waiting = || f64::with_free_list(|list| list.classes.iter().map(Vec::len).sum::<usize>());
        let before = waiting();
        for _ in 0..10 {
            drop(Buffer::from_vec(vec![0.0_f64; 4096]));
        }
        assert_eq!(waiting(), before);
    }

    #[test]
    fn buffers_that_cross_threads_do_not_pile_up() {
        // Dropped here, made there: the next allocation of the other thread must find it in the shared list.
        let there = std::thread::spawn(|| Buffer::<f64>::dirty(77_777)).join().expect("the thread ends well");
        let address = there.data().as_ptr() as usize;
        drop(there);
        let again = std::thread::spawn(|| Buffer::<f64>::dirty(77_777).data().as_ptr() as usize);
        assert_eq!(again.join().expect("the thread ends well"), address);
    }
}
