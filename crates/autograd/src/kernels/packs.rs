//! Packed forms of weights: made once and found without a lock; when the weight changes, their memory is reused.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::gemm::{Gemm, Right};
use super::panels::{Packed, vector_bytes};
use crate::matrix::Matrix;

/// Which part of a buffer was packed: offset, shape and strides.
type Key = [usize; 5];

/// The packed forms of the matrices that lie in one buffer (a weight and its transpose, as a rule).
///
/// A linked list that only grows until the elements change. The threads of all shards search it at every time step; a
/// search writes nothing, so it invalidates no cache line of another core.
pub(crate) struct PackCache<T: Gemm> {
    first: Link<T>,
    /// Packed forms of earlier contents, whose memory is reused. An optimiser changes a weight at every training step,
    /// and fresh memory costs a page fault for every 4 KiB. Locked only to pack.
    spares: Mutex<Spares<T>>,
}

type Link<T> = OnceLock<Box<Pack<T>>>;

/// A pack moves between the list and the spares without being copied or allocated.
type Spares<T> = Vec<Box<Pack<T>>>;

struct Pack<T: Gemm> {
    key: Key,
    /// `None` only while it is being packed.
    packed: Option<Packed<T>>,
    next: Link<T>,
}

impl<T: Gemm> Pack<T> {
    /// Rows and columns, which determine the size of the packed form.
    fn shape(&self) -> [usize; 2] {
        [self.key[1], self.key[2]]
    }
}

/// The most packed forms of one buffer. A weight in blocks of columns has a few dozen. More come from a buffer whose
/// parts are each multiplied once, and caching those gains nothing.
const MOST_PACKS: usize = 128;

impl<T: Gemm> Default for PackCache<T> {
    fn default() -> Self {
        PackCache { first: OnceLock::new(), spares: Mutex::default() }
    }
}

impl<T: Gemm> PackCache<T> {
    /// The elements are released, and the memory of their packed forms with them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The elements are about to change: the packed forms become invalid, and their memory is retained for the new
    /// ones.
    ///
    /// Spares that were not used since the last change are released, except as many as there were packed forms in use:
    /// threads that pack the same matrix at the same time need one each.
    pub(crate) fn retire(&mut self) {
        let spares = self.spares.get_mut().unwrap_or_else(PoisonError::into_inner);
        let waiting = spares.len();
        let mut link = self.first.take();
        while let Some(mut pack) = link {
            link = pack.next.take();
            spares.push(pack);
        }
        let used = spares.len() - waiting;
        if used > 0 {
            spares.drain(..waiting.saturating_sub(used));
        }
    }

    /// The packed form of `b`, which starts at `offset` of the buffer; made at the first call. `None` where the
    /// list is full.
    pub(crate) fn get_or_pack(&self, offset: usize, b: Matrix<'_, T>) -> Option<&Packed<T>> {
        let key = [offset, b.rows, b.cols, b.row_stride, b.col_stride];
        let (mut link, mut made) = (&self.first, None);
        for _ in 0..MOST_PACKS {
            if link.get().is_none() {
                // Another thread may have added a link meanwhile; then the search continues after it. Two threads may
                // even pack the same matrix: waiting inside a thread pool would be worse.
                made = link.set(made.take().unwrap_or_else(|| self.pack(key, b))).err();
            }
            let pack = link.get().expect("it was set by this thread or another");
            if pack.key == key {
                if let Some(second) = made {
                    self.store_as_spare(second);
                }
                return pack.packed.as_ref();
            }
            link = &pack.next;
        }
        None
    }

    fn pack(&self, key: Key, b: Matrix<'_, T>) -> Box<Pack<T>> {
        let spare = {
            let mut spares = self.spares();
            let fits = spares.iter().rposition(|spare| spare.shape() == [b.rows, b.cols]);
            fits.map(|at| spares.remove(at))
        };
        let mut pack = spare.unwrap_or_else(|| Box::new(Pack { key, packed: None, next: OnceLock::new() }));
        pack.key = key;
        // First the old one, so that the new one gets its memory.
        pack.packed = None;
        pack.packed = Some(Packed::new(b, vector_bytes()));
        pack
    }

    /// Retains a packed form that another thread added first: the race may recur when the weight has changed. One per
    /// shape, however many threads there are.
    fn store_as_spare(&self, second: Box<Pack<T>>) {
        let mut spares = self.spares();
        if spares.iter().all(|spare| spare.shape() != second.shape()) {
            spares.push(second);
        }
    }

    fn spares(&self) -> MutexGuard<'_, Spares<T>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A right-hand matrix, and the cache of its packed forms.
pub(super) struct Packable<'a, T: Gemm> {
    pub(super) matrix: Matrix<'a, T>,
    /// Where the matrix begins in its buffer.
    pub(super) offset: usize,
    /// `None` if packing does not pay.
    pub(super) packs: Option<&'a PackCache<T>>,
}

impl<T: Gemm> Clone for Packable<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Gemm> Copy for Packable<'_, T> {}

impl<'a, T: Gemm> Packable<'a, T> {
    /// A matrix that is multiplied by once.
    pub(super) fn once(matrix: Matrix<'a, T>) -> Self {
        Packable { matrix, offset: 0, packs: None }
    }

    pub(super) fn row_block(self, start: usize, rows: usize) -> Self {
        let offset = self.offset + start * self.matrix.row_stride;
        Packable { matrix: self.matrix.row_block(start, rows), offset, ..self }
    }

    /// For the kernel, packed if that pays.
    pub(super) fn right(self) -> Right<'a, T> {
        Right { matrix: self.matrix, packed: self.packs.and_then(|packs| packs.get_or_pack(self.offset, self.matrix)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matmul::gemm;
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|i| i as f32).collect()
    }

    #[test]
    fn a_packed_form_is_made_once_for_each_part_of_a_buffer() {
        let data = numbers(4 * 600);
        let mut cache = PackCache::<f32>::default();
        let whole = Matrix::new(&data, [4, 600], [600, 1]);
        let address = |cache: &PackCache<f32>, offset, b| cache.get_or_pack(offset, b).map(std::ptr::from_ref);
        let first = address(&cache, 0, whole);
        let transposed = address(&cache, 0, whole.transposed());
        let part = address(&cache, 1, whole.col_block(1, 300));
        assert!(first.is_some() && transposed.is_some() && part.is_some());
        assert!(first != transposed && first != part && transposed != part);
        assert_eq!(address(&cache, 0, whole), first);
        assert_eq!(address(&cache, 1, whole.col_block(1, 300)), part);
        cache.clear();
        assert!(cache.first.get().is_none());
    }

    #[test]
    fn a_block_of_rows_is_packed_as_the_part_of_the_buffer_that_it_covers() {
        let data = numbers(20 * 30);
        let cache = PackCache::<f32>::default();
        let part = |row: usize, rows| Matrix::new(&data[30 * row..], [rows, 30], [30, 1]);
        let all = Packable { matrix: part(2, 18), offset: 2 * 30, packs: Some(&cache) };
        let block = all.row_block(4, 8).right().packed.expect("it can be packed");
        let same = cache.get_or_pack(6 * 30, part(6, 8)).expect("it can be packed");
        assert!(std::ptr::eq(block, same));
    }

    #[test]
    fn a_changed_matrix_is_packed_where_it_was_before() {
        let (old, new) = (numbers(40 * 30), numbers(2 * 40 * 30).split_off(40 * 30));
        let matrix = |data| Matrix::new(data, [40, 30], [30, 1]);
        let mut cache = PackCache::<f32>::default();
        let address = std::ptr::from_ref(cache.get_or_pack(0, matrix(&old)).expect("it can be packed"));
        cache.retire();
        let again = cache.get_or_pack(0, matrix(&new)).expect("it can be packed");
        assert_eq!(std::ptr::from_ref(again), address);
        let (row, right) = (Matrix::new(&old, [1, 40], [40, 1]), matrix(&new));
        let product = |packed| {
            let mut c = [0.0; 30];
            gemm(row, Right { matrix: right, packed }, 0.0, None, &mut c);
            c
        };
        assert_eq!(product(cache.get_or_pack(0, right)), product(Some(&Packed::new(right, vector_bytes()))));
    }

    #[test]
    fn no_more_than_twice_what_was_in_use_waits_to_be_packed_into() {
        let data = numbers(64 * 64);
        let all = Matrix::new(&data, [64, 64], [64, 1]);
        let mut cache = PackCache::<f32>::default();
        let mut after = |widths: std::ops::Range<usize>| {
            for width in widths {
                assert!(cache.get_or_pack(0, all.col_block(0, width)).is_some());
            }
            cache.retire();
            cache.spares().len()
        };
        assert_eq!(after(1..4), 3);
        assert_eq!(after(1..4), 3, "the same are packed into again");
        assert_eq!(after(4..7), 6, "those of other shapes wait");
        assert_eq!(after(7..9), 4, "the oldest are released");
        assert_eq!(after(0..0), 4, "nothing was in use");
    }

    #[test]
    fn however_many_threads_pack_a_matrix_at_once_one_more_is_kept() {
        let data = numbers(64 * 64);
        let all = Matrix::new(&data, [64, 64], [64, 1]);
        let cache = PackCache::<f32>::default();
        assert!(cache.get_or_pack(0, all).is_some());
        // Each of these threads looked before the first had put its own there.
        let late: Vec<_> = (0..3).map(|_| cache.pack([0, 64, 64, 64, 1], all)).collect();
        late.into_iter().for_each(|second| cache.store_as_spare(second));
        assert_eq!(cache.spares().len(), 1);
    }

    #[test]
    fn a_buffer_that_is_read_part_by_part_keeps_so_many_packed_forms_and_no_more() {
        let data = numbers(16 * (MOST_PACKS + 1));
        let all = Matrix::new(&data, [MOST_PACKS + 1, 16], [16, 1]);
        let cache = PackCache::<f32>::default();
        for row in 0..MOST_PACKS {
            assert!(cache.get_or_pack(16 * row, all.row_block(row, 1)).is_some(), "part {row}");
        }
        assert!(cache.get_or_pack(16 * MOST_PACKS, all.row_block(MOST_PACKS, 1)).is_none());
        assert!(cache.get_or_pack(0, all.row_block(0, 1)).is_some(), "what is kept is found");
    }

    #[test]
    fn threads_that_pack_at_the_same_time_get_what_they_asked_for() {
        let data = numbers(64 * 64);
        let all = Matrix::new(&data, [64, 64], [64, 1]);
        for _ in 0..20 {
            let cache = PackCache::<f32>::default();
            std::thread::scope(|scope| {
                for start in 0..4 {
                    let cache = &cache;
                    scope.spawn(move || {
                        for k in 0..16 {
                            let width = 4 * (1 + (start + k) % 16);
                            let b = all.col_block(0, width);
                            let packed = cache.get_or_pack(0, b).expect("sixteen parts have room");
                            let mut c = [0.0; 64];
                            gemm(all.row_block(1, 1), Right { matrix: b, packed: Some(packed) }, 0.0, None, &mut c);
                            let mut expected = [0.0; 64];
                            gemm(all.row_block(1, 1), Right { matrix: b, packed: None }, 0.0, None, &mut expected);
                            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs();
                            assert!(c.iter().zip(&expected).all(close), "{width} columns");
                        }
                    });
                }
            });
            let mut links = 0;
            let mut link = &cache.first;
            while let Some(pack) = link.get() {
                (links, link) = (links + 1, &pack.next);
            }
            assert_eq!(links, 16, "each part once, whoever came first");
        }
    }
}
