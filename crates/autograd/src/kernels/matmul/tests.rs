use rten_simd::isa::GenericIsa;

use super::*;

/// Numbers of all magnitudes: 1 to 2^±12, of both signs.
fn numbers(len: usize, phase: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.7 + phase).sin() * f32::exp2(((i * 7) % 25) as f32 - 12.0)).collect()
}

/// How a matrix lies in its buffer.
#[derive(Clone, Copy, Debug)]
enum Lies {
    InRows,
    InColumns,
    /// Rows of a wider matrix.
    Apart,
    /// One row, stretched.
    Stretched,
}

impl Lies {
    const ALL: [Lies; 4] = [Lies::InRows, Lies::InColumns, Lies::Apart, Lies::Stretched];

    fn of(self, data: &[f32], rows: usize, cols: usize) -> Matrix<'_, f32> {
        let strides = match self {
            Lies::InRows => [cols, 1],
            Lies::InColumns => [1, rows],
            Lies::Apart => [cols + 3, 1],
            Lies::Stretched => [0, 1],
        };
        Matrix::new(data, [rows, cols], strides)
    }
}

fn at(m: Matrix<'_, f32>, i: usize, j: usize) -> f64 {
    f64::from(m.data[i * m.row_stride + j * m.col_stride])
}

/// One product, on one instruction set.
struct Case<'a> {
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    beta: f32,
    bias: Option<&'a [f32]>,
    packed: bool,
}

impl Case<'_> {
    /// `c` afterwards, by `run` for vectors of `lanes` numbers.
    fn on(&self, lanes: usize, c: &[f32], run: impl FnOnce(Loops<'_>)) -> Vec<f32> {
        let packed = self.packed.then(|| Packed::new(self.b, lanes));
        let b = Right { matrix: self.b, packed: packed.as_ref() };
        let mut c = c.to_vec();
        let (a, columns, beta, bias) = (self.a, 0..self.b.cols, self.beta, self.bias);
        Part { a, b: &b, columns, beta, bias, c: c.as_mut_ptr() }.with_loops(lanes, run);
        c
    }

    /// By each instruction set of this processor.
    fn on_each(&self, c: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
        let generic = GenericIsa::new();
        let mut found = vec![("generic", self.on(generic.f32_lanes(), c, |loops| loops.eval(generic)))];
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = rten_simd::isa::Avx2Isa::new() {
                found.push(("AVX2", self.on(isa.f32_lanes(), c, |loops| loops.eval(isa))));
            }
            if let Some(isa) = rten_simd::isa::Avx512Isa::new() {
                found.push(("AVX-512", self.on(isa.f32_lanes(), c, |loops| loops.eval(isa))));
            }
        }
        found.push(("the best", self.on(lanes(), c, |loops| loops.dispatch())));
        found
    }

    /// Every element agrees with that in `f64`, as far as the rounding of its sum allows.
    fn check(&self, c: &[f32]) {
        let (depth, cols) = (self.a.cols, self.b.cols);
        let found = self.on_each(c);
        for i in 0..self.a.rows {
            for j in 0..cols {
                let terms = (0..depth).map(|l| at(self.a, i, l) * at(self.b, l, j));
                let before = if self.beta == 0.0 { 0.0 } else { f64::from(self.beta) * f64::from(c[i * cols + j]) };
                let bias = self.bias.map_or(0.0, |bias| f64::from(bias[j]));
                let (sum, sizes) = terms.fold((0.0, 0.0), |(sum, sizes), x| (sum + x, sizes + x.abs()));
                let (expected, size) = (sum + before + bias, sizes + before.abs() + bias.abs());
                let bound = f64::from(f32::EPSILON) * (depth.min(DEPTH_BLOCK) + 4) as f64 * size + 1e-36;
                for (isa, c) in &found {
                    let x = f64::from(c[i * cols + j]);
                    assert!(
                        (x - expected).abs() <= bound,
                        "{isa}, [{}, {depth}]·[{depth}, {cols}], beta {}, packed {}: {x:e} at [{i}, {j}]; expected {expected:e}",
                        self.a.rows,
                        self.beta,
                        self.packed
                    );
                }
            }
        }
    }
}

/// The number of lanes of an instruction set.
trait F32Lanes: Isa {
    fn f32_lanes(self) -> usize {
        use rten_simd::ops::BitOps;
        self.f32().len()
    }
}
impl<I: Isa> F32Lanes for I {}

#[test]
fn every_size_and_layout_agrees_with_double_precision() {
    let sizes = [0, 1, 2, 3, 4, 6, 7, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33, 40];
    let (left, right, bias, before) = (numbers(2000, 0.0), numbers(2000, 1.0), numbers(40, 2.0), numbers(1600, 3.0));
    let mut case = 0;
    for m in sizes {
        for k in sizes {
            for n in sizes.into_iter().filter(|n| n * m > 0 && k > 0) {
                // Each size with a few of the 64 combinations, all of them in turn.
                for _ in 0..3 {
                    case += 7;
                    let (a, b) = (Lies::ALL[case % 4].of(&left, m, k), Lies::ALL[case / 4 % 4].of(&right, k, n));
                    let bias = (case / 16).is_multiple_of(2).then_some(&bias[..n]);
                    let (beta, packed) = ([0.0, 1.0, 0.5][case / 32 % 3], (case / 96).is_multiple_of(2));
                    Case { a, b, beta, bias, packed }.check(&before[..m * n]);
                }
            }
        }
    }
}

#[test]
fn blocks_of_rows_and_depth_agree_with_double_precision() {
    for (m, k, n) in [(1, 257, 33), (3, 512, 130), (29, 600, 65), (43, 300, 257), (513, 257, 7), (600, 20, 33)] {
        let (left, right, bias) = (numbers(m * (k + 3), 0.0), numbers(k * (n + 3), 1.0), numbers(n, 2.0));
        let before = numbers(m * n, 3.0);
        for (a, b, packed) in [
            (Lies::InRows, Lies::InRows, true),
            (Lies::InRows, Lies::Apart, false),
            (Lies::InColumns, Lies::InColumns, true),
            (Lies::Apart, Lies::InColumns, false),
        ] {
            let (a, b) = (a.of(&left, m, k), b.of(&right, k, n));
            for (beta, bias) in [(0.0, Some(&bias[..])), (1.0, None), (-0.5, Some(&bias[..]))] {
                Case { a, b, beta, bias, packed }.check(&before);
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_however_many_there_are() {
    let (k, n) = (300, 37);
    let (left, right, bias) = (numbers(68 * k, 0.0), numbers(k * n, 1.0), numbers(n, 2.0));
    let before = numbers(68 * n, 3.0);
    let b = Matrix::new(&right, [k, n], [n, 1]);
    for (beta, bias) in [(0.0, None), (0.0, Some(&bias[..])), (1.0, None), (0.5, Some(&bias[..]))] {
        let rows = |first: usize, rows: usize, packed| {
            let a = Matrix::new(&left[first * k..], [rows, k], [k, 1]);
            Case { a, b, beta, bias, packed }.on_each(&before[first * n..][..rows * n])
        };
        let alone: Vec<_> = (0..68).map(|row| rows(row, 1, true)).collect();
        for height in [1, 2, 3, 6, 7, 8, 13, 14, 15, 29, 32, 68] {
            for packed in [true, false] {
                for (which, (isa, together)) in rows(0, height, packed).into_iter().enumerate() {
                    let expected = alone[..height].iter().flat_map(|row| row[which].1.iter().map(|x| x.to_bits()));
                    assert!(
                        together.iter().map(|x| x.to_bits()).eq(expected),
                        "{isa}, {height} rows, beta {beta}, bias {}, packed {packed}",
                        bias.is_some()
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_not_finite_comes_out_as_in_double_precision() {
    let (m, k, n) = (15, 9, 35);
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::MIN_POSITIVE, 1e-45];
    for (place, &x) in odd.iter().enumerate() {
        for &y in &odd {
            let (mut left, mut right, mut bias) = (vec![1.0; m * k], vec![0.5; k * n], vec![0.0; n]);
            (left[place], right[3 * n + 33], bias[34]) = (x, y, y);
            let (a, b) = (Matrix::new(&left, [m, k], [k, 1]), Matrix::new(&right, [k, n], [n, 1]));
            // What was there is overwritten, whatever it is.
            let case = Case { a, b, beta: 0.0, bias: Some(&bias), packed: place % 2 == 0 };
            for (isa, c) in case.on_each(&vec![f32::NAN; m * n]) {
                for (at_c, found) in c.iter().enumerate() {
                    let (i, j) = (at_c / n, at_c % n);
                    let terms = (0..k).map(|l| f64::from(left[i * k + l]) * f64::from(right[l * n + j]));
                    let expected = (terms.sum::<f64>() + f64::from(bias[j])) as f32;
                    let same = found.is_nan() == expected.is_nan()
                        && (expected.is_nan() || found.is_infinite() == expected.is_infinite())
                        && (!expected.is_infinite() || *found == expected);
                    assert!(same, "{isa}, {x} and {y}: {found} at [{i}, {j}]; expected {expected}");
                }
            }
        }
    }
}

#[test]
fn no_depth_leaves_what_was_there_and_the_bias() {
    let (bias, before) = (numbers(7, 2.0), numbers(14, 3.0));
    for beta in [0.0, 0.5] {
        let mut c = before.clone();
        let right = Right { matrix: Matrix::new(&[], [0, 7], [7, 1]), packed: None };
        f32::gemm(Matrix::new(&[], [2, 0], [0, 1]), right, beta, Some(&bias), &mut c);
        let expected: Vec<_> = before.iter().enumerate().map(|(i, c)| c * beta + bias[i % 7]).collect();
        assert_eq!(c, expected, "beta {beta}");
    }
}

/// Memory whose pages before and behind it cannot be touched.
#[cfg(unix)]
mod guarded {
    use super::*;

    /// Numbers at the very beginning or end of some pages; the program is killed by what touches the pages around.
    struct Guarded {
        pages: *mut libc::c_void,
        size: usize,
        at: *mut f32,
        len: usize,
    }

    impl Guarded {
        fn new(data: &[f32], at_end: bool) -> Guarded {
            // SAFETY: fresh pages, which nothing else refers to; the first and the last become inaccessible, and the numbers lie
            // between them.
            unsafe {
                let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).expect("pages have a size");
                let inner = size_of_val(data).next_multiple_of(page).max(page);
                let size = inner + 2 * page;
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let pages = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
                assert_ne!(pages, libc::MAP_FAILED);
                assert_eq!(libc::mprotect(pages, page, libc::PROT_NONE), 0);
                assert_eq!(libc::mprotect(pages.byte_add(page + inner), page, libc::PROT_NONE), 0);
                let offset = page + if at_end { inner - size_of_val(data) } else { 0 };
                let at = pages.byte_add(offset).cast::<f32>();
                at.copy_from_nonoverlapping(data.as_ptr(), data.len());
                Guarded { pages, size, at, len: data.len() }
            }
        }

        fn numbers(&mut self) -> &mut [f32] {
            // SAFETY: the numbers were written there, and are borrowed as long as `self` is.
            unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            // SAFETY: the pages were mapped in `new`.
            unsafe { libc::munmap(self.pages, self.size) };
        }
    }

    #[test]
    fn nothing_outside_of_the_matrices_is_touched() {
        for (m, k, n) in
            [(1, 1, 1), (1, 33, 65), (2, 7, 31), (3, 5, 33), (7, 16, 16), (14, 257, 48), (15, 3, 129), (29, 20, 7)]
        {
            for at_end in [false, true] {
                for (a, b) in
                    [(Lies::InRows, Lies::InRows), (Lies::InColumns, Lies::InColumns), (Lies::Apart, Lies::Apart)]
                {
                    let len = |lies: Lies, rows: usize, cols: usize| match lies {
                        Lies::Apart => (rows - 1) * (cols + 3) + cols,
                        _ => rows * cols,
                    };
                    let guarded = |len, phase| Guarded::new(&numbers(len, phase), at_end);
                    let (mut left, mut right) = (guarded(len(a, m, k), 0.0), guarded(len(b, k, n), 1.0));
                    let (mut bias, mut c) = (guarded(n, 2.0), guarded(m * n, 3.0));
                    let (a, b) = (a.of(left.numbers(), m, k), b.of(right.numbers(), k, n));
                    for packed in [false, true] {
                        let packed = packed.then(|| Packed::new(b, lanes()));
                        let right = Right { matrix: b, packed: packed.as_ref() };
                        f32::gemm(a, right, 0.5, Some(bias.numbers()), c.numbers());
                    }
                    assert!(c.numbers().iter().all(|x| x.is_finite()));
                }
            }
        }
    }
}
