//! Shapes whose number of elements overflows, or cannot be held by any memory.

use proptest::prelude::*;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::shape::{MOST_ELEMENTS, checked_element_count, element_count};
use rewind_autograd::{Tape, Tensor};

use crate::refused::refused;

const MOST: &str = "expected lengths whose product is at most 1152921504606846975";

/// Lengths whose product wraps around to 0, overflows, or is just too large; and too large beside a 0.
const TOO_LARGE: [&[usize]; 6] = [
    &[1 << 32, 1 << 32],
    &[usize::MAX, 2],
    &[usize::MAX],
    &[MOST_ELEMENTS + 1],
    &[3, 0, usize::MAX],
    &[1 << 40, 1 << 40, 0],
];

#[test]
fn tensors_of_too_many_numbers_are_not_made() {
    for shape in TOO_LARGE {
        let message = |op: &str| format!("{op}: shape {shape:?} is too large: {MOST}");
        refused!(message("zeros"), Tensor::<f64>::zeros(shape));
        refused!(message("zeros"), Tensor::<f32>::zeros(shape));
        refused!(message("full"), Tensor::full(shape, 1.0_f32));
        refused!(message("from_fn"), Tensor::from_fn(shape, |_| 1.0_f32));
        refused!(message("from_vec"), Tensor::<f32>::from_vec(Vec::new(), shape));
        refused!(message("element_count"), element_count(shape));
        refused!(message("broadcast_to"), Tensor::scalar(1.0_f64).broadcast_to(shape));
        refused!(message("reshape"), Tensor::<f64>::zeros(&[0]).reshape(shape));
        let tape = Tape::<f64>::new();
        refused!(message("zeros"), tape.zeros(shape));
        refused!(message("broadcast_to"), tape.scalar(1.0).broadcast_to(shape));
        refused!(message("reshape"), tape.zeros(&[0]).reshape(shape));
    }
}

#[test]
fn ops_do_not_make_what_is_too_large() {
    const LONG: usize = 1 << 31;
    let message = |op: &str| format!("{op}: shape [{LONG}, {LONG}] is too large: {MOST}");
    let tape = Tape::<f32>::new();
    let (column, row) = (tape.zeros(&[LONG, 1]), tape.zeros(&[1, LONG]));
    refused!(message("add"), column + row);
    refused!(message("sub"), column - row);
    refused!(message("mul"), column * row);
    refused!(message("div"), column / row);
    refused!(message("maximum"), column.maximum(row));
    refused!(message("matmul"), column.matmul(row));
    refused!(message("matmul_transposed"), column.matmul_transposed(column));
    refused!(message("affine"), affine(&[(column, row)], None));
    refused!(message("zip"), column.value().zip(&row.value(), |a, b| a + b));
    refused!(message("matmul"), column.value().matmul(&row.value()));
    refused!(message("matmul_transposed"), column.value().matmul_transposed(&column.value()));
    let [left, right] = [[LONG, 1, 1, 1], [1, LONG, 1, 1]].map(|shape| tape.zeros(&shape));
    refused!(format!("matmul: shape [{LONG}, {LONG}, 1, 1] is too large: {MOST}"), left.matmul(right));
    let large = tape.zeros(&[MOST_ELEMENTS / 2, 1]);
    let (rows, too_many) = (MOST_ELEMENTS / 2, MOST_ELEMENTS / 2 * 3);
    refused!(format!("concat: shape [{too_many}, 1] is too large: {MOST}"), concat(&[large; 3], 0));
    refused!(format!("concat: shape [{rows}, 3] is too large: {MOST}"), concat(&[large; 3], 1));
    refused!(format!("stack: shape [3, {rows}, 1] is too large: {MOST}"), stack(&[large; 3], 0));
    refused!(format!("index_select: shape [{rows}, 3] is too large: {MOST}"), large.index_select(1, &[0, 0, 0]));
    refused!(format!("gather: shape [{rows}, 3] is too large: {MOST}"), large.value().gather(1, &[0, 0, 0]));
}

#[test]
fn what_no_memory_holds_is_said_with_its_shape() {
    let message = "tensor: there is no memory for shape [2, 288230376151711743], which takes 4611686018427387888 bytes";
    refused!(message, Tensor::<f64>::zeros(&[2, MOST_ELEMENTS / 4]));
    refused!(message, Tensor::full(&[2, MOST_ELEMENTS / 4], 1.0_f64));
}

#[test]
fn what_is_empty_or_one_number_may_be_long() {
    let long = Tensor::scalar(2.0_f32).broadcast_to(&[1 << 30, 1 << 29]);
    assert_eq!((long.len(), long.at(&[7, 33])), (1 << 59, 2.0));
    let empty = Tensor::<f32>::zeros(&[1 << 30, 0, 1 << 29]);
    assert_eq!((empty.len(), empty.sum(), empty.strides().as_slice()), (0, 0.0, &[0, 1 << 29, 1][..]));
    assert_eq!(empty.reshape(&[0, 7]).shape(), [0, 7]);
}

proptest! {
    /// Against the same product in more bits.
    #[test]
    fn counts_are_products_or_refused(shape in prop::collection::vec(prop_oneof![0..9_usize, Just(1 << 20), Just(1 << 31), any::<usize>()], 0..6)) {
        let product = |least: usize| shape.iter().map(|&n| n.max(least) as u128).try_fold(1, u128::checked_mul);
        match product(1) {
            Some(count) if count <= MOST_ELEMENTS as u128 => {
                let expected = product(0).map(|count| count as usize);
                prop_assert_eq!(checked_element_count(&shape), expected);
                let view = Tensor::scalar(1.0).broadcast_to(&shape);
                prop_assert_eq!(Some(view.len()), expected);
            }
            _ => prop_assert_eq!(checked_element_count(&shape), None),
        }
    }
}
