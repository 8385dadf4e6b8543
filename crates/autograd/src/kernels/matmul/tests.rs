use rten_simd::isa::GenericIsa;

use super::super::panels::Packed;
use super::super::product::DEPTH_BLOCK;
use super::*;

/// Numbers of all magnitudes: 1 to 2^±12, of both signs.
fn numbers<T: Scalar>(len: usize, phase: f64) -> Vec<T> {
    let number = |i: usize| (i as f64 * 0.7 + phase).sin() * f64::exp2(((i * 7) % 25) as f64 - 12.0);
    (0..len).map(|i| T::from_f64(number(i))).collect()
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

    fn of<T: Scalar>(self, data: &[T], rows: usize, cols: usize) -> Matrix<'_, T> {
        let strides = match self {
            Lies::InRows => [cols, 1],
            Lies::InColumns => [1, rows],
            Lies::Apart => [cols + 3, 1],
            Lies::Stretched => [0, 1],
        };
        Matrix::new(data, [rows, cols], strides)
    }
}

fn at<T: Scalar>(m: Matrix<'_, T>, i: usize, j: usize) -> f64 {
    m.data[i * m.row_stride + j * m.col_stride].to_f64()
}

/// Σ a·b in about twice the precision of `f64`: products and sums with their errors (Ogita, Rump and Oishi 2005).
fn sum_of_products(terms: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut errors) = (0.0, 0.0);
    for (a, b) in terms {
        let product = a * b;
        let next = sum + product;
        let part = next - sum;
        errors += f64::mul_add(a, b, -product) + ((sum - (next - part)) + (product - part));
        sum = next;
    }
    sum + errors
}

/// One product, on one instruction set.
struct Case<'a, T> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    beta: f64,
    bias: Option<&'a [T]>,
    packed: bool,
}

impl<T: Gemm> Case<'_, T> {
    /// `c` afterwards, by `run` for vectors of so many bytes.
    fn on(&self, vector_bytes: usize, c: &[T], run: impl FnOnce(Loops<'_, T>)) -> Vec<T> {
        let packed = self.packed.then(|| Packed::new(self.b, vector_bytes));
        let b = Right { matrix: self.b, packed: packed.as_ref() };
        let mut c = c.to_vec();
        let (a, columns, beta, bias) = (self.a, 0..self.b.cols, T::from_f64(self.beta), self.bias);
        Part { a, b: &b, columns, beta, bias, c: c.as_mut_ptr() }.with_loops(vector_bytes, run);
        c
    }

    /// By each instruction set of this processor.
    fn on_each(&self, c: &[T]) -> Vec<(&'static str, Vec<T>)> {
        fn bytes(isa: impl Isa) -> usize {
            4 * isa.f32().len()
        }
        let generic = GenericIsa::new();
        let mut found = vec![("generic", self.on(bytes(generic), c, |loops| loops.eval(generic)))];
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = rten_simd::isa::Avx2Isa::new() {
                found.push(("AVX2", self.on(bytes(isa), c, |loops| loops.eval(isa))));
            }
            if let Some(isa) = rten_simd::isa::Avx512Isa::new() {
                found.push(("AVX-512", self.on(bytes(isa), c, |loops| loops.eval(isa))));
            }
        }
        found.push(("the best", self.on(vector_bytes(), c, |loops| loops.dispatch())));
        found
    }

    /// Every element agrees with that in higher precision, as far as the rounding of its sum allows.
    fn check(&self, c: &[T]) {
        let (depth, cols) = (self.a.cols, self.b.cols);
        let found = self.on_each(c);
        for i in 0..self.a.rows {
            for j in 0..cols {
                let before = if self.beta == 0.0 { 0.0 } else { c[i * cols + j].to_f64() };
                let bias = self.bias.map_or(0.0, |bias| bias[j].to_f64());
                let terms = || {
                    (0..depth).map(|l| (at(self.a, i, l), at(self.b, l, j))).chain([(self.beta, before), (1.0, bias)])
                };
                let (expected, size) = (sum_of_products(terms()), terms().map(|(a, b)| (a * b).abs()).sum::<f64>());
                let bound = T::EPSILON.to_f64() * (depth.min(DEPTH_BLOCK) + 4) as f64 * size + 1e-36;
                for (isa, c) in &found {
                    let x = c[i * cols + j].to_f64();
                    assert!(
                        (x - expected).abs() <= bound,
                        "{isa}, {}, [{}, {depth}]·[{depth}, {cols}], beta {}, packed {}: {x:e} at [{i}, {j}]; expected {expected:e}",
                        T::NAME,
                        self.a.rows,
                        self.beta,
                        self.packed
                    );
                }
            }
        }
    }
}

#[test]
fn every_size_and_layout_agrees_with_higher_precision() {
    sizes_and_layouts::<f32>();
    sizes_and_layouts::<f64>();
}

fn sizes_and_layouts<T: Gemm>() {
    let sizes = [0, 1, 2, 3, 4, 6, 7, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33, 40];
    let (left, right) = (numbers::<T>(2000, 0.0), numbers(2000, 1.0));
    let (bias, before) = (numbers(40, 2.0), numbers(1600, 3.0));
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
fn blocks_of_rows_and_depth_agree_with_higher_precision() {
    blocks::<f32>();
    blocks::<f64>();
}

fn blocks<T: Gemm>() {
    let sizes = [(1, 513, 33), (3, 1024, 130), (29, 1100, 65), (43, 300, 257), (257, 513, 7), (600, 20, 33)];
    // Rows that evict each other, and are copied.
    for (m, k, n) in sizes.into_iter().chain([(15, 1024, 256), (40, 9, 260)]) {
        let (left, right, bias) = (numbers::<T>(m * (k + 3), 0.0), numbers(k * (n + 3), 1.0), numbers(n, 2.0));
        let before = numbers(m * n, 3.0);
        for (a, b, packed) in [
            (Lies::InRows, Lies::InRows, true),
            (Lies::InRows, Lies::Apart, false),
            (Lies::InColumns, Lies::InColumns, true),
            (Lies::Apart, Lies::InColumns, false),
            (Lies::Stretched, Lies::InRows, false),
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
    rows_alone_and_together::<f32>();
    rows_alone_and_together::<f64>();
}

fn rows_alone_and_together<T: Gemm>() {
    let (k, n) = (600, 37);
    let (left, right, bias) = (numbers::<T>(68 * k, 0.0), numbers(k * n, 1.0), numbers(n, 2.0));
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
                    let expected =
                        alone[..height].iter().flat_map(|row| row[which].1.iter().map(|x| x.to_f64().to_bits()));
                    assert!(
                        together.iter().map(|x| x.to_f64().to_bits()).eq(expected),
                        "{isa}, {height} rows, beta {beta}, bias {}, packed {packed}",
                        bias.is_some()
                    );
                }
            }
        }
    }
}

#[test]
fn threads_share_a_product_without_changing_its_bits() {
    shared::<f32>();
    shared::<f64>();
}

fn shared<T: Gemm>() {
    // More threads than there are cores, maybe; and neither the rows nor the columns are a multiple of three.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads can be started");
    for (m, k, n) in [(160, 530, 170), (170, 530, 160)] {
        assert!(m * k * n >= WORTH_SHARING);
        let (left, right, bias) = (numbers::<T>(m * k, 0.0), numbers(k * n, 1.0), numbers(n, 2.0));
        let (a, b) = (Matrix::row_major(&left, m, k), Matrix::row_major(&right, k, n));
        let (mut together, mut alone) = (numbers::<T>(m * n, 3.0), numbers::<T>(m * n, 3.0));
        let beta = T::from_f64(0.5);
        threads.install(|| gemm(a, Right { matrix: b, packed: None }, beta, Some(&bias), &mut together));
        for (row, c) in alone.chunks_exact_mut(n).enumerate() {
            gemm(a.row_block(row, 1), Right { matrix: b, packed: None }, beta, Some(&bias), c);
        }
        assert!(together == alone, "[{m}, {k}]·[{k}, {n}] of {}", T::NAME);
    }
}

#[test]
fn what_is_not_finite_comes_out_as_in_higher_precision() {
    not_finite::<f32>();
    not_finite::<f64>();
}

fn not_finite<T: Gemm>() {
    let (m, k, n) = (15, 9, 35);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 3e38, 1e-38, 1e-45];
    for (place, &x) in odd.iter().enumerate() {
        for &y in &odd {
            let (mut left, mut right, mut bias) =
                (vec![T::ONE; m * k], vec![T::from_f64(0.5); k * n], vec![T::ZERO; n]);
            (left[place], right[3 * n + 33], bias[34]) = (T::from_f64(x), T::from_f64(y), T::from_f64(y));
            let (a, b) = (Matrix::new(&left, [m, k], [k, 1]), Matrix::new(&right, [k, n], [n, 1]));
            // What was there is overwritten, whatever it is.
            let case = Case { a, b, beta: 0.0, bias: Some(&bias), packed: place % 2 == 0 };
            for (isa, c) in case.on_each(&vec![T::from_f64(f64::NAN); m * n]) {
                for (at_c, found) in c.iter().map(|found| found.to_f64()).enumerate() {
                    let (i, j) = (at_c / n, at_c % n);
                    let terms = (0..k).map(|l| left[i * k + l].to_f64() * right[l * n + j].to_f64());
                    let expected = T::from_f64(terms.sum::<f64>() + bias[j].to_f64()).to_f64();
                    let same = found.is_nan() == expected.is_nan()
                        && (expected.is_nan() || found.is_infinite() == expected.is_infinite())
                        && (!expected.is_infinite() || found == expected);
                    assert!(same, "{isa}, {}, {x} and {y}: {found} at [{i}, {j}]; expected {expected}", T::NAME);
                }
            }
        }
    }
}

#[test]
fn no_depth_leaves_what_was_there_and_the_bias() {
    no_depth::<f32>();
    no_depth::<f64>();
}

fn no_depth<T: Gemm>() {
    let (bias, before) = (numbers::<T>(7, 2.0), numbers::<T>(14, 3.0));
    for beta in [0.0, 0.5].map(T::from_f64) {
        let mut c = before.clone();
        let right = Right { matrix: Matrix::new(&[], [0, 7], [7, 1]), packed: None };
        gemm(Matrix::new(&[], [2, 0], [0, 1]), right, beta, Some(&bias), &mut c);
        let expected: Vec<_> = before.iter().enumerate().map(|(i, &c)| c * beta + bias[i % 7]).collect();
        assert_eq!(c, expected, "beta {beta}");
    }
}

/// Memory whose pages before and behind it cannot be touched.
#[cfg(unix)]
mod guarded {
    use super::*;

    /// Numbers at the very beginning or end of some pages; the program is killed by what touches the pages around.
    struct Guarded<T> {
        pages: *mut libc::c_void,
        size: usize,
        at: *mut T,
        len: usize,
    }

    impl<T: Scalar> Guarded<T> {
        fn new(data: &[T], at_end: bool) -> Self {
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
                let at = pages.byte_add(offset).cast::<T>();
                at.copy_from_nonoverlapping(data.as_ptr(), data.len());
                Guarded { pages, size, at, len: data.len() }
            }
        }

        fn numbers(&mut self) -> &mut [T] {
            // SAFETY: the numbers were written there, and are borrowed as long as `self` is.
            unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
        }
    }

    impl<T> Drop for Guarded<T> {
        fn drop(&mut self) {
            // SAFETY: the pages were mapped in `new`.
            unsafe { libc::munmap(self.pages, self.size) };
        }
    }

    #[test]
    fn nothing_outside_of_the_matrices_is_touched() {
        within_guards::<f32>();
        within_guards::<f64>();
    }

    fn within_guards<T: Gemm>() {
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
                    let guarded = |len, phase| Guarded::new(&numbers::<T>(len, phase), at_end);
                    let (mut left, mut right) = (guarded(len(a, m, k), 0.0), guarded(len(b, k, n), 1.0));
                    let (mut bias, mut c) = (guarded(n, 2.0), guarded(m * n, 3.0));
                    let (a, b) = (a.of(left.numbers(), m, k), b.of(right.numbers(), k, n));
                    for packed in [false, true] {
                        let packed = packed.then(|| Packed::new(b, vector_bytes()));
                        let right = Right { matrix: b, packed: packed.as_ref() };
                        gemm(a, right, T::from_f64(0.5), Some(bias.numbers()), c.numbers());
                    }
                    assert!(c.numbers().iter().all(|x| x.is_finite()));
                }
            }
        }
    }
}

/// An implementation that shares nothing with this one.
#[test]
fn products_in_double_precision_are_those_of_matrixmultiply() {
    for (m, k, n) in [(1, 1, 1), (1, 33, 65), (7, 600, 129), (33, 64, 31), (40, 257, 300)] {
        let (a, b) = (numbers::<f64>(m * k, 0.0), numbers::<f64>(k * n, 1.0));
        let (mut expected, mut found) = (vec![0.0; m * n], vec![0.0; m * n]);
        // SAFETY: the matrices are in row-major order, of the sizes that are given.
        unsafe {
            let [row_a, row_b] = [k as isize, n as isize];
            matrixmultiply::dgemm(
                m,
                k,
                n,
                1.0,
                a.as_ptr(),
                row_a,
                1,
                b.as_ptr(),
                row_b,
                1,
                0.0,
                expected.as_mut_ptr(),
                row_b,
                1,
            );
        }
        let right = Right { matrix: Matrix::row_major(&b, k, n), packed: None };
        gemm(Matrix::row_major(&a, m, k), right, 0.0, None, &mut found);
        let sizes = (0..m * n).map(|c| (0..k).map(|l| (a[c / n * k + l] * b[l * n + c % n]).abs()).sum::<f64>());
        let close = |((x, y), size): ((&f64, &f64), f64)| (x - y).abs() <= 1e-14 * size;
        assert!(found.iter().zip(&expected).zip(sizes).all(close), "[{m}, {k}]·[{k}, {n}]");
    }
}
