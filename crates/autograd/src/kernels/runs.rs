//! Strided operands walked as runs: one loop nest for every elementwise op, every copy and every reduction.

use crate::shape::Shape;

/// Calls `f(offsets, strides, len)` for every run of the innermost axis of `N` operands that share `shape`.
///
/// Axes that are adjacent in memory for all operands are merged first, so that contiguous operands are one run. The
/// order is row-major; operand `k` of a run reads `offsets[k] + i * strides[k]` for `i < len`.
pub(crate) fn for_each_run<const N: usize>(
    shape: &[usize],
    strides: [&[usize]; N],
    mut f: impl FnMut([usize; N], [usize; N], usize),
) {
    if shape.contains(&0) {
        return;
    }
    let mut lengths = Shape::new();
    let mut steps: [Shape; N] = std::array::from_fn(|_| Shape::new());
    for (axis, &length) in shape.iter().enumerate() {
        if length == 1 {
            continue;
        }
        let mergeable =
            lengths.last().is_some_and(|_| (0..N).all(|k| steps[k].last().copied() == Some(strides[k][axis] * length)));
        if mergeable {
            let last = lengths.len() - 1;
            lengths[last] *= length;
            for k in 0..N {
                steps[k][last] = strides[k][axis];
            }
        } else {
            lengths.push(length);
            for k in 0..N {
                steps[k].push(strides[k][axis]);
            }
        }
    }
    let Some(run) = lengths.pop() else {
        return f([0; N], [1; N], 1);
    };
    let run_strides = std::array::from_fn(|k| steps[k].pop().unwrap_or(1));
    let mut at = Shape::from_elem(0, lengths.len());
    let mut offsets = [0; N];
    loop {
        f(offsets, run_strides, run);
        // Count up like an odometer, from the last of the outer axes.
        let mut axis = lengths.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            for k in 0..N {
                offsets[k] += steps[k][axis];
            }
            if at[axis] < lengths[axis] {
                break;
            }
            for k in 0..N {
                offsets[k] -= steps[k][axis] * lengths[axis];
            }
            at[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(shape: &[usize], a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
        let mut seen = Vec::new();
        for_each_run(shape, [a, b], |at, step, len| {
            seen.extend((0..len).map(|i| (at[0] + i * step[0], at[1] + i * step[1])));
        });
        seen
    }

    #[test]
    fn visits_in_row_major_order() {
        assert_eq!(collect(&[2, 3], &[3, 1], &[1, 2]), [(0, 0), (1, 2), (2, 4), (3, 1), (4, 3), (5, 5)]);
        assert_eq!(collect(&[2, 1, 2], &[2, 9, 1], &[0, 9, 1]), [(0, 0), (1, 1), (2, 0), (3, 1)]);
        assert_eq!(collect(&[], &[], &[]), [(0, 0)]);
        assert_eq!(collect(&[2, 0], &[0, 1], &[0, 1]), []);
    }

    #[test]
    fn contiguous_operands_are_one_run() {
        let mut runs = 0;
        for_each_run(&[4, 5, 6], [&[30, 6, 1], &[30, 6, 1]], |_, _, len| {
            runs += 1;
            assert_eq!(len, 120);
        });
        assert_eq!(runs, 1);
    }
}
