//! Storage of elements: reference-counted buffers that return to a free list instead of to the allocator.
//!
//! A training step asks for the same sizes again and again. Fresh memory costs a page fault for every 4 KiB touched,
//! which is more than most elementwise ops cost, so each thread retains the buffers that it made, by size.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use triomphe::{Arc, UniqueArc};

/// One buffer. Every value on a tape has one, so its header is one cache line.
pub(crate) struct Storage<T: Pooled> {
    /// The elements, from `start` on.
    data: Box<[T]>,
    /// How many of the elements belong to the tensor that the buffer was made for.
    used: usize,
    /// Identifies these contents; 0 until it is first read.
    version: AtomicU64,
    /// The free list it returns to; 0 for a buffer that came from none. Taking in such buffers would let the lists grow
    /// without bound.
    free_list: u32,
    /// Its size class there.
    class: u16,
    /// Where the first cache line begins, in a buffer of a free list.
    start: u16,
    /// Present in buffers of weights, absent in most.
    derived: OnceLock<Box<T::Derived>>,
}

/// Data derived from the contents of a buffer, and cached with it until they change. Storage only says when that is.
pub trait Derived: Default + Send + Sync {
    /// The contents are about to change, as a rule to new values of the same weight: memory may be retained for the
    /// data derived from those.
    fn retire(&mut self);
    /// The buffer is released.
    fn clear(&mut self);
}

/// The list of buffers that came from none; the ids of lists start at 1.
const NO_LIST: u32 = 0;

/// Bytes of a cache line. A vector of AVX-512 fills one; a load or store across two takes twice as long.
const CACHE_LINE: usize = 64;

/// The number of size classes: enough for every length on a 64-bit machine.
const CLASSES: usize = 4 * 62;

/// Released buffers, by size class, to be used again.
pub struct FreeList<T: Pooled> {
    /// Identifies the list among those of all threads; 0 until the first buffer is made.
    id: u32,
    classes: [Vec<UniqueArc<Storage<T>>>; CLASSES],
}

/// An element type that buffers hold, with its free lists. Implemented by [`pooled!`] for the two scalars.
pub trait Pooled: Copy + Default + Send + Sync + 'static {
    /// Data cached with a buffer.
    type Derived: Derived;
    /// This thread's list; `None` while the thread is being torn down.
    fn with_free_list<R>(f: impl FnOnce(&mut FreeList<Self>) -> R) -> Option<R>;
    /// Buffers that were dropped on another thread than the one that made them. Any thread takes from here before it
    /// allocates, so results that cross threads in every step do not accumulate.
    fn shared_free_list() -> &'static Mutex<FreeList<Self>>;
}

/// Implements [`Pooled`] for an element type and what is derived from its buffers.
macro_rules! pooled {
    ($t:ty, $derived:ty) => {
        impl $crate::storage::Pooled for $t {
            type Derived = $derived;
            #[inline]
            fn with_free_list<R>(f: impl FnOnce(&mut $crate::storage::FreeList<$t>) -> R) -> Option<R> {
                use $crate::storage::FreeList;
                thread_local! {
                    static FREE: std::cell::RefCell<FreeList<$t>> = const { std::cell::RefCell::new(FreeList::new()) };
                }
                FREE.try_with(|list| f(&mut list.borrow_mut())).ok()
            }
            fn shared_free_list() -> &'static std::sync::Mutex<$crate::storage::FreeList<$t>> {
                use $crate::storage::FreeList;
                static SHARED: std::sync::Mutex<FreeList<$t>> = std::sync::Mutex::new(FreeList::new());
                &SHARED
            }
        }
    };
}
pub(crate) use pooled;

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

impl<T: Pooled> FreeList<T> {
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

fn lock_shared<T: Pooled>() -> std::sync::MutexGuard<'static, FreeList<T>> {
    T::shared_free_list().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shared handle on a [`Storage`] that returns the buffer to the free list when the last handle is dropped.
pub(crate) struct Buffer<T: Pooled>(Option<Arc<Storage<T>>>);

impl<T: Pooled> Buffer<T> {
    /// A buffer of at least `len` elements, of which `fill` gets the first `len`. Their contents are unspecified: it
    /// must write all of them.
    #[inline]
    pub(crate) fn filled(len: usize, fill: impl FnOnce(&mut [T])) -> Self {
        let class = class_of(len);
        let mut storage = T::with_free_list(|list| list.take(class)).flatten().unwrap_or_else(|| Self::fresh(class));
        storage.used = len;
        fill(&mut storage.elements_mut()[..len]);
        Buffer(Some(storage.shareable()))
    }

    #[cold]
    fn fresh(class: usize) -> UniqueArc<Storage<T>> {
        lock_shared().take(class).unwrap_or_else(|| {
            let free_list = T::with_free_list(FreeList::id).unwrap_or(NO_LIST);
            Storage::aligned(free_list, class)
        })
    }

    /// No buffer: what remains where one was moved out.
    pub(crate) fn none() -> Self {
        Buffer(None)
    }

    /// Takes ownership of the elements of `data`; without a copy, if it has no spare capacity.
    pub(crate) fn from_vec(data: Vec<T>) -> Self {
        Buffer(Some(Storage::new(data, NO_LIST, 0, 0).shareable()))
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    fn storage(&self) -> &Arc<Storage<T>> {
        self.0.as_ref().expect("elements are only taken out of a tensor that is not read any more")
    }

    #[inline]
    pub(crate) fn data(&self) -> &[T] {
        let storage = self.storage();
        &storage.data[usize::from(storage.start)..]
    }

    /// The elements for writing, if no other handle shares them. Data derived from them is retired.
    pub(crate) fn data_mut(&mut self) -> Option<&mut [T]> {
        let storage = Arc::get_mut(self.0.as_mut()?)?;
        storage.changes(T::Derived::retire);
        Some(storage.elements_mut())
    }

    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        self.storage().is_unique()
    }

    /// The data derived from the contents; whatever derives it fills it.
    pub(crate) fn derived(&self) -> &T::Derived {
        self.storage().derived.get_or_init(Box::default)
    }

    /// How many of the elements belong to a tensor.
    pub(crate) fn used(&self) -> usize {
        self.storage().used
    }

    /// A number that identifies these contents.
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

impl<T: Pooled> Storage<T> {
    fn new(data: Vec<T>, free_list: u32, class: u16, start: u16) -> UniqueArc<Self> {
        let (used, version, derived) = (data.len(), AtomicU64::new(0), OnceLock::new());
        UniqueArc::new(Storage { data: data.into(), used, version, free_list, class, start, derived })
    }

    /// Zeros that begin at a cache line.
    fn aligned(free_list: u32, class: usize) -> UniqueArc<Self> {
        let len = class_len(class);
        let room = CACHE_LINE / size_of::<T>();
        let data = vec![T::default(); len + room];
        let start = data.as_ptr().align_offset(CACHE_LINE).min(room);
        Storage::new(data, free_list, class as u16, start as u16)
    }

    #[inline]
    fn elements_mut(&mut self) -> &mut [T] {
        &mut self.data[usize::from(self.start)..]
    }

    /// The contents are about to change: calls `end` on the data derived from them.
    #[inline]
    fn changes(&mut self, end: impl FnOnce(&mut T::Derived)) {
        *self.version.get_mut() = 0;
        if let Some(derived) = self.derived.get_mut() {
            end(derived);
        }
    }
}

impl<T: Pooled> Clone for Buffer<T> {
    #[inline]
    fn clone(&self) -> Self {
        Buffer(self.0.clone())
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(storage) = self.0.take() {
            recycle(storage);
        }
    }
}

/// Returns the buffer to its list, if no other handle is left. Not inlined into `drop`, which is often called on an
/// empty handle and should save no registers then.
#[inline(never)]
fn recycle<T: Pooled>(storage: Arc<Storage<T>>) {
    let Ok(mut storage) = Arc::try_unique(storage) else { return };
    if storage.free_list == NO_LIST {
        return;
    }
    storage.changes(T::Derived::clear);
    let free_list = storage.free_list;
    let mut storage = Some(storage);
    T::with_free_list(|list| {
        if list.id == free_list
            && let Some(storage) = storage.take()
        {
            list.put(storage);
        }
    });
    if let Some(storage) = storage {
        recycle_for_all(storage);
    }
}

/// Puts a buffer that another thread made into the shared list.
#[cold]
fn recycle_for_all<T: Pooled>(storage: UniqueArc<Storage<T>>) {
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
    fn the_head_of_a_buffer_is_one_cache_line() {
        let count = size_of::<usize>(); // of references, which precedes it
        assert_eq!(count + size_of::<Storage<f32>>(), 64);
    }

    #[test]
    fn the_elements_begin_at_a_cache_line() {
        for len in [0, 1, 7, 33, 1000, 100_000] {
            let (first, second) = (Buffer::<f32>::filled(len, |_| ()), Buffer::<f64>::filled(len, |_| ()));
            let addresses = [first.data().as_ptr().addr(), second.data().as_ptr().addr()];
            assert_eq!(addresses.map(|address| address % CACHE_LINE), [0, 0], "{len} elements");
            assert!(first.data().len() >= len && second.data().len() >= len, "{len} elements");
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
        // A length that is also that of a class: users pass ever new vectors of such lengths.
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
