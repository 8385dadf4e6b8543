//! Where a tensor's numbers live: reference-counted buffers that go back to a free list instead of to the allocator.
//!
//! A training step asks for the same sizes again and again. Fresh memory costs a page fault for every 4 KiB touched,
//! which is more than most elementwise ops cost, so buffers are kept, by size, on the thread that made them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use triomphe::{Arc, UniqueArc};

use crate::Scalar;
use crate::kernels::packs::PackCache;
use crate::tensor::Ahead;

/// One buffer. Small, since every value on a tape has one: it takes one line of the cache.
pub(crate) struct Storage<T: Scalar> {
    /// The numbers, from `start` on.
    data: Box<[T]>,
    /// How many of the numbers belong to the tensor that the buffer was made for.
    used: usize,
    /// Tells these contents from all others; 0 until somebody wants to know.
    version: AtomicU64,
    /// The free list it goes back to; 0 for a buffer that no free list handed out. Taking back more than was handed out
    /// would let the lists grow without end.
    home: u32,
    /// Its size class there.
    class: u16,
    /// Where the first line of the cache begins, in a buffer of a free list.
    start: u16,
    derived: OnceLock<Box<Derived<T>>>,
}

/// What was made of the numbers of a buffer, and holds until they change. Buffers of weights have some, most have none.
pub(crate) struct Derived<T: Scalar> {
    /// The packed forms that the matrix kernel made.
    pub(crate) packs: PackCache<T>,
    /// Products computed ahead with this buffer as the weight.
    pub(crate) ahead: Mutex<Vec<Ahead<T>>>,
}

/// The home of buffers that no free list handed out; lists count from 1.
const NO_LIST: u32 = 0;

/// Bytes of a line of the cache. A vector of AVX-512 fills one: to load or store those that lie across two takes twice as long.
const LINE: usize = 64;

/// Size classes: those of every length that a machine of 64 bits can hold.
const CLASSES: usize = 4 * 62;

/// Buffers waiting to be used again, by size class.
pub struct FreeList<T: Scalar> {
    /// Tells the lists of different threads apart; 0 until the first buffer is made.
    id: u32,
    classes: [Vec<UniqueArc<Storage<T>>>; CLASSES],
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
#[inline]
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
        FreeList { id: NO_LIST, classes: [const { Vec::new() }; CLASSES] }
    }

    fn id(&mut self) -> u32 {
        static LAST: AtomicU32 = AtomicU32::new(NO_LIST);
        if self.id == NO_LIST {
            self.id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        }
        self.id
    }

    #[inline]
    fn take(&mut self, class: usize) -> Option<UniqueArc<Storage<T>>> {
        self.classes[class].pop()
    }

    #[inline]
    fn put(&mut self, storage: UniqueArc<Storage<T>>) {
        let class = storage.class as usize;
        self.classes[class].push(storage);
    }
}

fn lock_shared<T: Scalar>() -> std::sync::MutexGuard<'static, FreeList<T>> {
    T::shared_free_list().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shared handle on a [`Storage`] that gives the buffer back to the free list when the last handle is dropped.
pub(crate) struct Buffer<T: Scalar>(Option<Arc<Storage<T>>>);

impl<T: Scalar> Buffer<T> {
    /// A buffer of at least `len` numbers, of which `fill` gets the first `len`. They are whatever was there before: it
    /// writes all of them.
    #[inline]
    pub(crate) fn filled(len: usize, fill: impl FnOnce(&mut [T])) -> Self {
        let class = class_of(len);
        let mut storage = T::with_free_list(|list| list.take(class)).flatten().unwrap_or_else(|| Self::fresh(class));
        storage.used = len;
        fill(&mut storage.numbers_mut()[..len]);
        Buffer(Some(storage.shareable()))
    }

    #[cold]
    fn fresh(class: usize) -> UniqueArc<Storage<T>> {
        lock_shared().take(class).unwrap_or_else(|| {
            let home = T::with_free_list(FreeList::id).unwrap_or(NO_LIST);
            Storage::aligned(home, class)
        })
    }

    /// No buffer: what is left where one was taken out.
    pub(crate) fn none() -> Self {
        Buffer(None)
    }

    /// Takes over the numbers of `data`; without a copy, if it has no room to spare.
    pub(crate) fn from_vec(data: Vec<T>) -> Self {
        Buffer(Some(Storage::new(data, NO_LIST, 0, 0).shareable()))
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    fn storage(&self) -> &Arc<Storage<T>> {
        self.0.as_ref().expect("numbers are only taken out of a tensor that is not read any more")
    }

    #[inline]
    pub(crate) fn data(&self) -> &[T] {
        let storage = self.storage();
        &storage.data[usize::from(storage.start)..]
    }

    /// The numbers, if nobody else holds them. Packed forms hold no longer, since the numbers are about to change.
    pub(crate) fn data_mut(&mut self) -> Option<&mut [T]> {
        let storage = Arc::get_mut(self.0.as_mut()?)?;
        storage.changes(Derived::retire);
        Some(storage.numbers_mut())
    }

    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        self.storage().is_unique()
    }

    /// What was made of the numbers.
    pub(crate) fn derived(&self) -> &Derived<T> {
        let new = || Box::new(Derived { packs: PackCache::default(), ahead: Mutex::new(Vec::new()) });
        self.storage().derived.get_or_init(new)
    }

    /// How many of the numbers are a tensor's.
    pub(crate) fn used(&self) -> usize {
        self.storage().used
    }

    /// A number that tells these contents from all others.
    pub(crate) fn version(&self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let own = &self.storage().version;
        match own.load(Ordering::Relaxed) {
            0 => {
                let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
                own.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|other| other, |_| new)
            }
            known => known,
        }
    }
}

impl<T: Scalar> Storage<T> {
    fn new(data: Vec<T>, home: u32, class: u16, start: u16) -> UniqueArc<Self> {
        let (used, version, derived) = (data.len(), AtomicU64::new(0), OnceLock::new());
        UniqueArc::new(Storage { data: data.into(), used, version, home, class, start, derived })
    }

    /// Zeros that begin with a line of the cache.
    fn aligned(home: u32, class: usize) -> UniqueArc<Self> {
        let len = class_len(class);
        let room = LINE / size_of::<T>();
        let data = vec![T::ZERO; len + room];
        let start = data.as_ptr().align_offset(LINE).min(room);
        Storage::new(data, home, class as u16, start as u16)
    }

    #[inline]
    fn numbers_mut(&mut self) -> &mut [T] {
        &mut self.data[usize::from(self.start)..]
    }

    /// The numbers are about to change: nothing that was made of them holds any more, and what there is goes through `end`.
    #[inline]
    fn changes(&mut self, end: impl FnOnce(&mut Derived<T>)) {
        *self.version.get_mut() = 0;
        if let Some(derived) = self.derived.get_mut() {
            end(derived);
        }
    }
}

impl<T: Scalar> Derived<T> {
    /// Other numbers will be in the buffer, of the same weight as a rule: the memory of the packed forms is kept for theirs.
    #[cold]
    fn retire(&mut self) {
        self.packs.retire();
        self.ahead.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The buffer is nobody's any more.
    #[cold]
    fn clear(&mut self) {
        self.retire();
        self.packs.clear();
    }
}

impl<T: Scalar> Clone for Buffer<T> {
    #[inline]
    fn clone(&self) -> Self {
        Buffer(self.0.clone())
    }
}

impl<T: Scalar> Drop for Buffer<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(storage) = self.0.take() {
            give_back(storage);
        }
    }
}

/// Nobody else holds a handle to clone, or the last of them does all this. Apart from `drop`, which is often called on nothing
/// and should save no registers then.
#[inline(never)]
fn give_back<T: Scalar>(storage: Arc<Storage<T>>) {
    let Ok(mut storage) = Arc::try_unique(storage) else { return };
    if storage.home == NO_LIST {
        return;
    }
    storage.changes(Derived::clear);
    let home = storage.home;
    let mut storage = Some(storage);
    T::with_free_list(|list| {
        if list.id == home
            && let Some(storage) = storage.take()
        {
            list.put(storage);
        }
    });
    if let Some(storage) = storage {
        give_to_all(storage);
    }
}

/// A buffer of another thread's.
#[cold]
fn give_to_all<T: Scalar>(storage: UniqueArc<Storage<T>>) {
    lock_shared().put(storage);
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
    fn the_head_of_a_buffer_is_a_line_of_the_cache() {
        let count = size_of::<usize>(); // of references, which stands in front
        assert_eq!(count + size_of::<Storage<f32>>(), 64);
    }

    #[test]
    fn the_numbers_begin_with_a_line_of_the_cache() {
        for len in [0, 1, 7, 33, 1000, 100_000] {
            let (first, second) = (Buffer::<f32>::filled(len, |_| ()), Buffer::<f64>::filled(len, |_| ()));
            let addresses = [first.data().as_ptr().addr(), second.data().as_ptr().addr()];
            assert_eq!(addresses.map(|address| address % LINE), [0, 0], "{len} numbers");
            assert!(first.data().len() >= len && second.data().len() >= len, "{len} numbers");
        }
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let first = Buffer::<f64>::filled(1000, |_| ());
        let address = first.data().as_ptr();
        drop(first);
        assert_eq!(Buffer::<f64>::filled(990, |_| ()).data().as_ptr(), address);
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
        let there = std::thread::spawn(|| Buffer::<f64>::filled(77_777, |_| ())).join().expect("the thread ends well");
        let address = there.data().as_ptr() as usize;
        drop(there);
        let again = std::thread::spawn(|| Buffer::<f64>::filled(77_777, |_| ()).data().as_ptr() as usize);
        assert_eq!(again.join().expect("the thread ends well"), address);
    }
}
