//! A recurrent weight of several heads (Pöppel et al. 2024, "FlashRNN"): a block-diagonal matrix, of which only the blocks are kept.
//!
//! ```text
//! dense    [H, G·H]           every unit reads every unit; G gates
//! N heads  [N, H/N, G·H/N]    head n: units n·H/N to (n+1)·H/N read each other alone
//! ```
//!
//! The rank of the weight says which it is, so a cell needs no further setting. In both forms the last axis is ordered by gates
//! first, and so is the product, `[B, G·H]`: a cell splits it into its gates without knowing of heads.

use rand::Rng;
use rewind_autograd::ops::linalg;
use rewind_autograd::shape::Shape;
use rewind_autograd::{Scalar, Tensor, Var};

use crate::init;

/// H, from the shape of a recurrent weight of either form; 0 for a scalar, which no check accepts.
pub(crate) fn units(shape: &[usize]) -> usize {
    match *shape {
        [heads, units, _] => heads * units,
        [hidden, ..] => hidden,
        [] => 0,
    }
}

/// The shape that a recurrent weight of G = `gates` gates should have in a cell of `hidden` units, for the check of parameters: in
/// as many heads as it has, if they divide the units, or dense.
pub(crate) fn expected<T: Scalar>(weight: Var<'_, T>, hidden: usize, gates: usize) -> Shape {
    match weight.shape()[..] {
        [heads, _, _] if heads > 0 && hidden.is_multiple_of(heads) => {
            Shape::from_slice(&[heads, hidden / heads, gates * hidden / heads])
        }
        _ => Shape::from_slice(&[hidden, gates * hidden]),
    }
}

/// A recurrent weight of `heads` heads, `[N, H/N, G·H/N]`, uniform in ±1/√(H/N): each head is drawn as a cell of H/N units.
///
/// # Panics
/// If the units cannot be divided among the heads.
#[track_caller]
pub(crate) fn drawn<T: Scalar>(cell: &str, hidden: usize, heads: usize, gates: usize, rng: &mut impl Rng) -> Tensor<T> {
    if heads == 0 || !hidden.is_multiple_of(heads) {
        panic!("{cell}: {heads} heads for {hidden} units; expected a number of heads that divides {hidden}");
    }
    let units = hidden / heads;
    init::uniform_hidden(&[heads, units, gates * units], units, rng)
}

/// h·U for U of either form: h `[B, H]` → `[B, G·H]`. Dense, it is one matrix product; in heads, one of N blocks.
#[track_caller]
pub(crate) fn product<'t, T: Scalar>(h: Var<'t, T>, weight: Var<'t, T>) -> Var<'t, T> {
    let [heads, units, columns] = weight.shape()[..] else {
        return h.matmul(weight);
    };
    let (batch, gates) = (h.shape()[0], columns.checked_div(units).unwrap_or(0));
    let by_head = h.reshape(&[batch, heads, units]).permute(&[1, 0, 2]).matmul(weight);
    let by_gate = by_head.reshape(&[heads, batch, gates, units]).permute(&[1, 2, 0, 3]);
    by_gate.reshape(&[batch, gates * heads * units])
}

/// Σ x_k·w_k + bias as [`linalg::affine`], where weights may be of several heads: x_k `[B, m_k]` → `[B, n]`. If all are dense, it
/// is that op.
#[track_caller]
pub(crate) fn affine<'t, T: Scalar>(products: &[(Var<'t, T>, Var<'t, T>)], bias: Option<Var<'t, T>>) -> Var<'t, T> {
    let in_heads = |(_, weight): &(Var<'t, T>, Var<'t, T>)| weight.rank() == 3;
    if !products.iter().any(in_heads) {
        return linalg::affine(products, bias);
    }
    let (blocks, dense): (Vec<_>, Vec<_>) = products.iter().copied().partition(in_heads);
    let bias = if dense.is_empty() { bias } else { Some(linalg::affine(&dense, bias)) };
    let mut sum = bias;
    for (h, weight) in blocks {
        let own = product(h, weight);
        sum = Some(sum.map_or(own, |sum| sum + own));
    }
    sum.expect("one product is of several heads")
}

/// The dense matrix `[H, G·H]` of a recurrent weight of either form: 0 outside the blocks.
pub(crate) fn dense<T: Scalar>(weight: &Tensor<T>) -> Tensor<T> {
    let &[heads, units, columns] = weight.shape() else {
        return weight.clone();
    };
    let hidden = heads * units;
    let mut all = vec![T::ZERO; hidden * heads * columns];
    for (i, &x) in weight.to_vec().iter().enumerate() {
        let (head, row, column) = (i / (units * columns), i / columns % units, i % columns);
        let (gate, unit) = (column / units, column % units);
        all[(head * units + row) * heads * columns + gate * hidden + head * units + unit] = x;
    }
    Tensor::from_vec(all, &[hidden, heads * columns])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rewind_autograd::Tape;

    #[test]
    fn a_product_of_heads_is_that_of_the_dense_matrix() {
        let sample = |shape: &[usize], phase: f64| Tensor::from_fn(shape, |i| (i as f64 * 0.7 + phase).sin());
        let tape = Tape::new();
        for (batch, heads, units, gates) in
            [(2, 1, 3, 4), (3, 2, 2, 3), (2, 7, 1, 1), (1, 3, 11, 4), (0, 2, 2, 1), (2, 0, 3, 2), (2, 3, 0, 2)]
        {
            let weight = sample(&[heads, units, gates * units], 0.0);
            let h = tape.constant(sample(&[batch, heads * units], 1.0));
            let (x, w) =
                (tape.constant(sample(&[batch, 5], 2.0)), tape.constant(sample(&[5, gates * heads * units], 3.0)));
            let bias = Some(tape.constant(sample(&[gates * heads * units], 4.0)));
            let (blocks, full) = (tape.constant(weight.clone()), tape.constant(dense(&weight)));
            let same = |a: Var<'_, f64>, b: Var<'_, f64>| {
                assert_eq!(a.shape(), b.shape());
                let close = a.value().to_vec().iter().zip(b.value().to_vec()).all(|(a, b)| (a - b).abs() < 1e-14);
                assert!(close, "{batch} sequences, {heads} heads of {units} units, {gates} gates");
            };
            same(product(h, blocks), product(h, full));
            same(affine(&[(x, w), (h, blocks)], bias), affine(&[(x, w), (h, full)], bias));
            same(affine(&[(x, w), (h, blocks)], None), affine(&[(x, w), (h, full)], None));
            same(affine(&[(h, blocks)], bias), affine(&[(h, full)], bias));
            same(affine(&[(h, blocks)], None), affine(&[(h, full)], None));
            assert_eq!([units * heads; 2], [super::units(weight.shape()), super::units(dense(&weight).shape())]);
        }
    }

    #[test]
    fn the_blocks_of_a_dense_matrix_are_in_the_columns_of_their_gate() {
        // Two heads of one unit, two gates: rows are units, columns i_0 i_1 f_0 f_1.
        let weight = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 1, 2]);
        assert_eq!(dense(&weight).to_vec(), [1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 4.0]);
    }
}
