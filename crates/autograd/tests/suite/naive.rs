//! Arrays as slowly and plainly as can be: the values that the engine's are compared with. Nothing here uses the engine
//! but the conversion at the end.

use rewind_autograd::{Scalar, Tensor};

/// Numbers in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

/// Every index of `shape` in row-major order.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &length in shape {
        all = all
            .iter()
            .flat_map(|index| {
                (0..length).map(move |i| {
                    let mut longer = index.clone();
                    longer.push(i);
                    longer
                })
            })
            .collect();
    }
    all
}

impl Array {
    pub(crate) fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>(), "as many numbers as the shape holds");
        Array { shape: shape.to_vec(), data }
    }

    pub(crate) fn from_index(shape: &[usize], f: impl FnMut(&Vec<usize>) -> f64) -> Self {
        Array { shape: shape.to_vec(), data: indices(shape).iter().map(f).collect() }
    }

    /// Numbers in ±[0.3, 1.3] without a pattern, the same for the same stream.
    pub(crate) fn sample(shape: &[usize], stream: u64) -> Self {
        let mut state = stream.wrapping_add(1).wrapping_mul(0x2545_F491_4F6C_DD1D);
        Self::from_index(shape, |_| {
            // xorshift64 (Marsaglia 2003).
            for _ in 0..3 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            let size = 0.3 + (state >> 11) as f64 / (1_u64 << 53) as f64;
            if state & 1 == 0 { size } else { -size }
        })
    }

    /// [`sample`](Array::sample) without the signs.
    pub(crate) fn positive(shape: &[usize], stream: u64) -> Self {
        Self::sample(shape, stream).map(f64::abs)
    }

    /// The number at `index`, read as if the array were stretched to the rank of `index`.
    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.shape.len()..];
        let place = own.iter().zip(&self.shape).fold(0, |p, (&i, &n)| p * n + if n == 1 { 0 } else { i });
        self.data[place]
    }

    pub(crate) fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Array { shape: self.shape.clone(), data: self.data.iter().copied().map(f).collect() }
    }

    /// `f` of every pair, broadcast.
    pub(crate) fn zip(&self, other: &Array, mut f: impl FnMut(f64, f64) -> f64) -> Self {
        let shape = broadcast(&self.shape, &other.shape).expect("shapes that broadcast");
        Self::from_index(&shape, |i| f(self.at(i), other.at(i)))
    }

    /// What `f` makes of the numbers along `axis`, of which it may return any number.
    pub(crate) fn along(&self, axis: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let mut outer = self.shape.clone();
        outer[axis] = 1;
        let lines: Vec<_> = indices(&outer)
            .into_iter()
            .map(|mut at| {
                let line: Vec<_> = (0..self.shape[axis])
                    .map(|i| {
                        at[axis] = i;
                        self.at(&at)
                    })
                    .collect();
                at[axis] = 0;
                (at, f(&line))
            })
            .collect();
        let mut shape = self.shape.clone();
        shape[axis] = lines.first().map_or(0, |(_, line)| line.len());
        Self::from_index(&shape, |index| {
            let mut at = index.clone();
            at[axis] = 0;
            lines.iter().find(|(place, _)| *place == at).expect("every line was made").1[index[axis]]
        })
    }

    /// One number for every line along `axis`, which is gone.
    pub(crate) fn reduce(&self, axis: usize, f: impl Fn(&[f64]) -> f64) -> Self {
        let kept = self.along(axis, |line| vec![f(line)]);
        let mut shape = self.shape.clone();
        shape.remove(axis);
        Array::new(&shape, kept.data)
    }

    pub(crate) fn permute(&self, axes: &[usize]) -> Self {
        let shape: Vec<_> = axes.iter().map(|&a| self.shape[a]).collect();
        Self::from_index(&shape, |index| {
            let mut from = vec![0; axes.len()];
            for (to, &axis) in axes.iter().enumerate() {
                from[axis] = index[to];
            }
            self.at(&from)
        })
    }

    pub(crate) fn transpose(&self) -> Self {
        let mut axes: Vec<_> = (0..self.shape.len()).collect();
        axes.swap(self.shape.len() - 2, self.shape.len() - 1);
        self.permute(&axes)
    }

    pub(crate) fn reshape(&self, shape: &[usize]) -> Self {
        Array::new(shape, self.data.clone())
    }

    /// The positions `range` of `axis`.
    pub(crate) fn slice(&self, axis: usize, range: std::ops::Range<usize>) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        Self::from_index(&shape, |index| {
            let mut from = index.clone();
            from[axis] += range.start;
            self.at(&from)
        })
    }

    pub(crate) fn concat(parts: &[&Array], axis: usize) -> Self {
        let mut shape = parts[0].shape.clone();
        shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
        Self::from_index(&shape, |index| {
            let mut from = index.clone();
            for part in parts {
                if from[axis] < part.shape[axis] {
                    return part.at(&from);
                }
                from[axis] -= part.shape[axis];
            }
            unreachable!("the parts cover the axis")
        })
    }

    /// Summed down to `shape`: every number is added to the place that broadcasting reads it from.
    pub(crate) fn sum_to(&self, shape: &[usize]) -> Self {
        let numbered = Array::new(shape, (0..shape.iter().product()).map(|i: usize| i as f64).collect());
        let mut out = Array::new(shape, vec![0.0; numbered.data.len()]);
        for index in indices(&self.shape) {
            out.data[numbered.at(&index) as usize] += self.at(&index);
        }
        out
    }

    pub(crate) fn broadcast_to(&self, shape: &[usize]) -> Self {
        Self::from_index(shape, |index| self.at(index))
    }

    /// Three loops; leading axes broadcast.
    pub(crate) fn matmul(&self, other: &Array) -> Self {
        let ([la @ .., m, k], [lb @ .., _, n]) = (&self.shape[..], &other.shape[..]) else {
            panic!("matrices have two axes")
        };
        let mut shape = broadcast(la, lb).expect("leading axes that broadcast");
        shape.extend([m, n]);
        let rank = shape.len();
        Self::from_index(&shape, |index| {
            (0..*k)
                .map(|j| {
                    let (mut a, mut b) = (index.clone(), index.clone());
                    a[rank - 1] = j;
                    b[rank - 2] = j;
                    self.at(&a) * other.at(&b)
                })
                .sum()
        })
    }

    pub(crate) fn tensor<T: Scalar>(&self) -> Tensor<T> {
        Tensor::from_vec(self.data.iter().map(|&x| T::from_f64(x)).collect(), &self.shape)
    }

    /// The same tensor in a layout that is not contiguous: its axes reversed in memory, inside a larger buffer.
    pub(crate) fn strided_tensor<T: Scalar>(&self) -> Tensor<T> {
        let axes: Vec<_> = (0..self.shape.len()).rev().collect();
        let mut stored: Tensor<T> = self.permute(&axes).tensor();
        for axis in 0..stored.rank() {
            let mut wide = stored.shape().to_vec();
            wide[axis] += 2;
            let length = stored.shape()[axis];
            let inner = Array::new(stored.shape(), stored.to_vec().iter().map(|x| x.to_f64()).collect());
            let padded = Array::from_index(&wide, |index| {
                let mut from = index.clone();
                from[axis] = from[axis].wrapping_sub(1);
                if from[axis] < length { inner.at(&from) } else { f64::NAN }
            });
            stored = padded.tensor().slice(axis, 1..length + 1);
        }
        stored.permute(&axes)
    }
}

/// NumPy's rule, axis by axis from the last.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], from_last: usize| {
        if from_last < shape.len() { shape[shape.len() - 1 - from_last] } else { 1 }
    };
    let mut shape = Vec::new();
    for from_last in (0..rank).rev() {
        match (length(a, from_last), length(b, from_last)) {
            (x, y) if x == y => shape.push(x),
            (1, x) | (x, 1) => shape.push(x),
            _ => return None,
        }
    }
    Some(shape)
}

/// The largest |a - b| / max(1, |b|); infinite where one of them is NaN or the shapes differ.
pub(crate) fn distance<T: Scalar>(found: &Tensor<T>, expected: &Array) -> f64 {
    if found.shape() != expected.shape {
        return f64::INFINITY;
    }
    let errors = found.to_vec().into_iter().zip(&expected.data).map(|(a, &b)| {
        let a = a.to_f64();
        if a == b { 0.0 } else { (a - b).abs() / b.abs().max(1.0) }
    });
    errors.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { error.max(worst) })
}

#[track_caller]
pub(crate) fn assert_close<T: Scalar>(found: &Tensor<T>, expected: &Array, tolerance: f64, what: &str) {
    let error = distance(found, expected);
    assert!(error <= tolerance, "{what}: off by {error:e}\n  found    {found:?}\n  expected {expected:?}");
}
