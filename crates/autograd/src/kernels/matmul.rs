//! The matrix kernel, C = A·B + βC + bias: the loops around the tiles of [`tile`](super::tile).

use std::ops::Range;

use rayon::prelude::*;
use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use super::elementwise;
use super::gemm::{Gemm, Right};
use super::panels::{pack_panel, panel_width, vector_bytes};
use super::product::DEPTH_AT_ONCE;
use super::tile::{self, Output, Panels, Rows, most_rows, panels_at_once};
use super::transpose::transpose;
#[cfg(target_arch = "x86_64")]
use super::vectors::x86::{Avx2, Avx512};
use super::vectors::{Pairs, Single, Vectors};
use crate::Scalar;
use crate::matrix::Matrix;
use crate::storage::Buffer;

/// Weights of fewer elements stay in the cache between two time steps, or two products.
pub(crate) const STAYS_IN_CACHE: usize = 1 << 18;

/// Rows of the left-hand matrix that are multiplied by a panel before the next panel: what is multiplied of them at once stays in the
/// second-level cache.
const ROWS_AT_ONCE: usize = 256;

/// From this many multiplications on, waking other threads pays.
const WORTH_SHARING: usize = 1 << 23;

/// From this many tiles of rows on, copying a panel to where its rows follow each other pays.
const WORTH_PACKING_A_PANEL: usize = 3;

/// `c = a·b + beta·c + bias`, `c` row-major.
pub(super) fn gemm<T: Gemm>(a: Matrix<'_, T>, b: Right<'_, T>, beta: T, bias: Option<&[T]>, c: &mut [T]) {
    assert_eq!(a.cols, b.matrix.rows, "the shapes of a product are checked before it is computed");
    let cols = b.matrix.cols;
    let c = &mut c[..a.rows * cols];
    assert!(bias.is_none_or(|bias| bias.len() == cols), "the shapes of a product are checked before it is computed");
    if c.is_empty() || a.cols == 0 {
        return scale_and_add(beta, bias, c);
    }
    let c = Place(c.as_mut_ptr());
    let part = |rows: Range<usize>, columns: Range<usize>| {
        // SAFETY: the part lies within `c`, which is borrowed mutably until all parts are done, and the parts are disjoint.
        let c = unsafe { c.at(rows.start * cols + columns.start) };
        Part { a: a.row_block(rows.start, rows.len()), b: &b, columns, beta, bias, c }.compute();
    };
    let threads = if a.rows * a.cols * cols < WORTH_SHARING { 1 } else { rayon::current_num_threads() };
    // An element is one sum in any case, so the bits do not depend on the parts.
    match threads {
        1 => part(0..a.rows, 0..cols),
        _ if cols >= a.rows => {
            let width = cols.div_ceil(threads).next_multiple_of(panel_width::<T>(vector_bytes()));
            let parts = (0..cols).into_par_iter().step_by(width);
            parts.for_each(|col| part(0..a.rows, col..cols.min(col + width)));
        }
        _ => {
            let height = a.rows.div_ceil(threads);
            let parts = (0..a.rows).into_par_iter().step_by(height);
            parts.for_each(|row| part(row..a.rows.min(row + height), 0..cols));
        }
    }
}

/// `c = beta·c + bias`: a product without depth.
fn scale_and_add<T: Scalar>(beta: T, bias: Option<&[T]>, c: &mut [T]) {
    c.iter_mut().for_each(|c| *c = if beta == T::ZERO { T::ZERO } else { *c * beta });
    if let Some(bias) = bias.filter(|bias| !bias.is_empty()) {
        c.chunks_exact_mut(bias.len()).for_each(|row| elementwise::add(row, bias));
    }
}

/// The beginning of the elements of a product, which threads write part by part.
#[derive(Clone, Copy)]
struct Place<T>(*mut T);

// SAFETY: only disjoint parts are written.
unsafe impl<T: Scalar> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Scalar> Sync for Place<T> {}

impl<T> Place<T> {
    /// # Safety
    /// The place has more than `offset` elements.
    unsafe fn at(self, offset: usize) -> *mut T {
        // SAFETY: the caller promises it.
        unsafe { self.0.add(offset) }
    }
}

/// The part of a product that one thread computes: some rows and columns.
struct Part<'a, T: Gemm> {
    a: Matrix<'a, T>,
    b: &'a Right<'a, T>,
    /// They begin at a panel.
    columns: Range<usize>,
    beta: T,
    bias: Option<&'a [T]>,
    c: *mut T,
}

impl<'a, T: Gemm> Part<'a, T> {
    #[inline]
    fn compute(self) {
        self.with_loops(vector_bytes(), |loops| loops.dispatch());
    }

    /// Calls `run` with the loops for vectors of so many bytes.
    #[inline]
    fn with_loops(self, vector_bytes: usize, run: impl FnOnce(Loops<'_, T>)) {
        let (rows, depth) = (self.a.rows.min(ROWS_AT_ONCE), self.a.cols.min(DEPTH_AT_ONCE));
        let (width, tile_rows) = (panel_width::<T>(vector_bytes), most_rows(vector_bytes));
        let tiles = rows.div_ceil(tile_rows);
        let copies_rows = copies_rows(self.a, tiles, self.columns.len());
        let reads_in_place = self.b.matrix.col_stride == 1 && tiles < WORTH_PACKING_A_PANEL;
        let copies_panels = self.b.packed.is_none() && !(reads_in_place && self.columns.len().is_multiple_of(width));
        let loops = Loops { part: self, width, tile_rows, left: &mut [], right: &mut [], reads_in_place };
        if !copies_rows && !copies_panels {
            return run(loops);
        }
        let copied = if copies_rows { rows * depth } else { 0 };
        let panels = if copies_panels { panels_at_once(1) } else { 0 };
        Buffer::filled(copied, |left| {
            Buffer::filled(panels * depth * width, |right| run(Loops { left, right, ..loops }));
        });
    }
}

/// Whether the rows of a block of depth are copied, so that the numbers that a tile reads follow each other.
///
/// Worth it where rows lie so that they evict each other from the cache, if many columns reuse the copy.
fn copies_rows<T: Copy>(a: Matrix<'_, T>, tiles: usize, columns: usize) -> bool {
    const EVICT_EACH_OTHER: usize = 512;
    let in_place = a.row_stride == 1 || !a.row_stride.is_multiple_of(EVICT_EACH_OTHER) && a.col_stride == 1;
    !in_place && tiles > 1 && columns >= 256
}

/// The loops over blocks of rows and depth, panels and tiles.
pub struct Loops<'a, T: Gemm> {
    part: Part<'a, T>,
    /// Columns of a panel.
    width: usize,
    /// The most rows of a tile.
    tile_rows: usize,
    /// For copies of the rows of a block; empty if they are read where they lie.
    left: &'a mut [T],
    /// For copies of panels; empty if the right-hand matrix is packed.
    right: &'a mut [T],
    /// Whether the panels of a matrix that is not packed are read where they lie.
    reads_in_place: bool,
}

impl Gemm for f32 {
    #[inline(always)]
    fn run<I: Isa>(isa: I, loops: Loops<'_, f32>) {
        loops.run(Single(isa));
    }
}

impl Gemm for f64 {
    #[inline(always)]
    fn run<I: Isa>(isa: I, loops: Loops<'_, f64>) {
        match isa.f32().len() {
            // SAFETY: only AVX-512 has vectors of sixteen `f32`, and the processor has the instruction set of `isa`.
            #[cfg(target_arch = "x86_64")]
            16 => loops.run(unsafe { Avx512::new() }),
            // SAFETY: only AVX2, which `rten-simd` takes with FMA, has vectors of eight.
            #[cfg(target_arch = "x86_64")]
            8 => loops.run(unsafe { Avx2::new() }),
            _ => loops.run(Pairs),
        }
    }
}

impl<T: Gemm> SimdOp for Loops<'_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        T::run(isa, self);
    }
}

impl<T: Gemm> Loops<'_, T> {
    #[inline(always)]
    fn run<V: Vectors<Number = T>>(mut self, with: V) {
        let Matrix { rows, cols: depth, .. } = self.part.a;
        for row in (0..rows).step_by(ROWS_AT_ONCE) {
            let height = ROWS_AT_ONCE.min(rows - row);
            for first in (0..depth).step_by(DEPTH_AT_ONCE) {
                self.block(with, row, height, first, DEPTH_AT_ONCE.min(depth - first));
            }
        }
    }

    /// The product of `height` rows from `row` on, over the `depth` from `first` on.
    #[inline(always)]
    fn block<V: Vectors<Number = T>>(&mut self, with: V, row: usize, height: usize, first: usize, depth: usize) {
        let (cols, columns) = (self.part.b.matrix.cols, self.part.columns.clone());
        let tiles = height.div_ceil(self.tile_rows);
        if !self.left.is_empty() {
            self.copy_rows(row, height, tiles, first, depth);
        }
        let (beta, bias) = if first == 0 { (self.part.beta, self.part.bias) } else { (T::ONE, None) };
        let at_once = panels_at_once(height);
        let mut col = columns.start;
        while col < columns.end {
            let width = columns.end - col;
            let panels = if width >= at_once * self.width { at_once } else { 1 };
            let b = self.panels(first, depth, col, panels);
            let width = width.min(panels * self.width);
            let bias = bias.map_or(std::ptr::null(), |bias| bias[col..].as_ptr());
            for (i, rows) in cut(height, tiles) {
                let a = self.rows(row, i, rows, first, depth);
                let at = self.part.c.wrapping_add((row + i) * cols + col - columns.start);
                let c = Output { at, row_stride: cols, width, beta, bias };
                // SAFETY: `rows` and `panels` give what can be read over the depth; the columns lie within the part of the
                // output, which is this thread's alone.
                unsafe { tile::multiply(with, a, b, panels, depth, c) }
            }
            col += width;
        }
    }

    /// `count` panels from column `col` on.
    #[inline(always)]
    fn panels(&mut self, first: usize, depth: usize, col: usize, count: usize) -> Panels<T> {
        let b = self.part.b;
        if let Some(packed) = b.packed {
            return packed.panels(first, depth, col);
        }
        let (width, end) = (self.width, self.part.columns.end);
        let block = b.matrix.row_block(first, depth);
        if self.reads_in_place && col + count * width <= end {
            return Panels { at: block.data[col..].as_ptr(), row_stride: block.row_stride, stride: width };
        }
        let copies = &mut self.right[..count * depth * width];
        for (k, copy) in copies.chunks_exact_mut(depth * width).enumerate() {
            let from = col + k * width;
            pack_panel(block.col_block(from, width.min(end - from)), copy, width);
        }
        Panels { at: copies.as_ptr(), row_stride: width, stride: depth * width }
    }

    /// The rows of the tile that begins `i` rows behind `row`.
    #[inline(always)]
    fn rows(&self, row: usize, i: usize, rows: usize, first: usize, depth: usize) -> Rows<T> {
        if !self.left.is_empty() {
            return Rows { at: self.left[i * depth..].as_ptr(), row_stride: 1, col_stride: rows, rows };
        }
        let Matrix { data, row_stride, col_stride, .. } = self.part.a;
        let at = data.as_ptr().wrapping_add((row + i) * row_stride + first * col_stride);
        Rows { at, row_stride, col_stride, rows }
    }

    /// Copies the rows of a block: for each tile, the numbers of its rows at each depth follow each other.
    fn copy_rows(&mut self, row: usize, height: usize, tiles: usize, first: usize, depth: usize) {
        let block = self.part.a.row_block(row, height).col_block(first, depth);
        for (i, rows) in cut(height, tiles) {
            transpose(block.row_block(i, rows), &mut self.left[i * depth..][..rows * depth], rows);
        }
    }
}

/// Cuts `height` rows in tiles, as equal as can be, for a last tile of one or two rows would take as long as one of four: the first
/// row and the number of rows of each.
#[inline(always)]
fn cut(height: usize, tiles: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..tiles).map(move |t| (t * height / tiles, (t + 1) * height / tiles - t * height / tiles))
}

#[cfg(test)]
mod tests;
