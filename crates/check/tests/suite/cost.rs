//! What a check of a right function costs, in calls of the function: docs/check_a_gradient.md gives these numbers.

use std::cell::Cell;

use rewind_autograd::Tensor;
use rewind_check::{self as check, Check, Report};

/// The report of a smooth function of two inputs, and how often it was called.
fn calls(check: Check, shapes: [&[usize]; 2]) -> (Report, usize) {
    let inputs: [Tensor<f64>; 2] = [check::sample(shapes[0], 1), check::sample(shapes[1], 2)];
    let calls = Cell::new(0);
    let report = check.function(&inputs, |_tape, x| {
        calls.set(calls.get() + 1);
        x[0].matmul(x[1]).tanh()
    });
    report.assert();
    (report, calls.get())
}

#[test]
fn every_entry_costs_two_calls_an_order() {
    for shapes in [[&[2, 3][..], &[3, 4][..]], [&[7, 3], &[3, 7]], [&[1, 1], &[1, 1]]] {
        let entries: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        for orders in 1..=3 {
            let (report, calls) = calls(check::full().orders(orders), shapes);
            assert_eq!(report.checked, orders * entries, "{report}");
            assert_eq!(calls, orders * (2 * entries + 11), "{entries} entries, {orders} orders");
        }
    }
}

#[test]
fn directions_cost_a_few_calls_however_many_entries_there_are() {
    for shapes in [[&[2, 3][..], &[3, 4][..]], [&[33, 7], &[7, 33]]] {
        assert_eq!(calls(check::fast(), shapes).1, 19);
        assert_eq!(calls(check::fast().orders(2), shapes).1, 19 + 21);
        assert_eq!(calls(check::fast().projections(1), shapes).1, 13);
    }
}
