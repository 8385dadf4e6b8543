//! Right-hand matrices packed for the kernel: panels of columns, one row after the other, in blocks of depth.

use std::sync::LazyLock;

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use super::product::DEPTH_BLOCK;
use super::tile::{Panels, VECTORS};
use crate::matrix::Matrix;

/// Numbers in a cache line. A vector of AVX-512 fills one; loading two halves takes twice as long.
const CACHE_LINE: usize = 16;

/// Numbers in a vector of this processor.
pub(super) fn lanes() -> usize {
    struct Lanes;
    impl SimdOp for Lanes {
        type Output = usize;
        fn eval<I: Isa>(self, isa: I) -> usize {
            isa.f32().len()
        }
    }
    static LANES: LazyLock<usize> = LazyLock::new(|| Lanes.dispatch());
    *LANES
}

/// A matrix `[k, n]`, packed: for each block of [`DEPTH_BLOCK`] rows all panels, each row by row. The last panel is padded with 0.
pub struct Packed {
    data: Vec<f32>,
    /// Where the first cache line begins.
    start: usize,
    cols: usize,
    /// Columns of a panel.
    width: usize,
}

impl Packed {
    /// Packs `b` for vectors of `lanes` numbers, into the memory of `spare` if it is large enough.
    pub(super) fn new(b: Matrix<'_, f32>, lanes: usize, spare: Option<Packed>) -> Packed {
        let width = VECTORS * lanes;
        let mut data = spare.map_or_else(Vec::new, |spare| spare.data);
        data.resize(b.rows * b.cols.next_multiple_of(width) + CACHE_LINE, 0.0);
        let start = data.as_ptr().align_offset(size_of::<f32>() * CACHE_LINE).min(CACHE_LINE);
        let mut rest = &mut data[start..];
        for first in (0..b.rows).step_by(DEPTH_BLOCK) {
            let block = b.row_block(first, DEPTH_BLOCK.min(b.rows - first));
            for col in (0..b.cols).step_by(width) {
                let (panel, after) = rest.split_at_mut(block.rows * width);
                pack_panel(block.col_block(col, width.min(b.cols - col)), panel, width);
                rest = after;
            }
        }
        Packed { data, start, cols: b.cols, width }
    }

    /// The panels from column `col` on in the block of `depth` rows that begins at row `first`.
    pub(super) fn panels(&self, first: usize, depth: usize, col: usize) -> Panels {
        let width = self.width;
        let at = self.start + first * self.cols.next_multiple_of(width) + col * depth;
        Panels { at: self.data[at..].as_ptr(), row_stride: width, stride: depth * width }
    }
}

/// Copies the columns of `b`, at most `width`, to rows of `width` numbers, the rest of which is 0.
pub(super) fn pack_panel(b: Matrix<'_, f32>, to: &mut [f32], width: usize) {
    if b.col_stride != 1 && b.row_stride == 1 && b.cols == width {
        return super::transpose::transpose(b.transposed(), to, width);
    }
    for (l, to) in to.chunks_exact_mut(width).enumerate() {
        let from = &b.data[l * b.row_stride..];
        let (columns, padding) = to.split_at_mut(b.cols);
        match b.col_stride {
            1 => columns.copy_from_slice(&from[..b.cols]),
            stride => columns.iter_mut().enumerate().for_each(|(j, to)| *to = from[j * stride]),
        }
        padding.fill(0.0);
    }
}
