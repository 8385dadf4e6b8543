//! What the check of a cell costs, in unrolled runs: docs/check_a_gradient.md gives these numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rewind_autograd::{Tensor, Var, parameters};
use rewind_rnn::check::{self, Check};
use rewind_rnn::{Cell, Lstm, LstmState};

use super::common::lstm;

parameters! {
    /// An LSTM that counts how often it is unrolled.
    struct Counted<P> {
        cell: Lstm<P>,
        #[setting]
        runs: Arc<AtomicUsize>,
    }
}

impl<'t> Cell<'t, f64> for Counted<Var<'t, f64>> {
    type State = LstmState<'t, f64>;
    fn step(&self, x: Var<'t, f64>, state: LstmState<'t, f64>) -> LstmState<'t, f64> {
        self.cell.step(x, state)
    }
    fn initial(&self, batch: usize) -> LstmState<'t, f64> {
        self.cell.initial(batch)
    }
    fn features(&self) -> Option<usize> {
        // Asked once for each run.
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.cell.features()
    }
}

/// The runs of a check at T = 8, B = 2, I = 3, H = 4.
fn runs(check: Check) -> usize {
    let cell: Counted<Tensor<f64>> = Counted { cell: lstm(3, 4), runs: Arc::default() };
    check::cell_with(check, &cell, [8, 2, 3]).assert();
    cell.runs.load(Ordering::Relaxed)
}

#[test]
fn most_of_a_check_of_every_entry_is_the_given_point() {
    // Weights and bias, learned h_0 and c_0, x, and the values added to h_0 and c_0.
    let entries = (3 * 16 + 4 * 16 + 16) + 2 * 4 + 8 * 2 * 3 + 2 * (2 * 4);
    let [full, fast] = [runs(check::full()), runs(check::fast())];
    println!("{entries} entries: {full} runs in full, {fast} in fast");
    // Beside the given point: directions at a second one, the search for it, the protocol of states and padding.
    let given = 2 * (2 * entries + 11);
    assert!((given + 40..given + 150).contains(&full), "{full} runs, {given} at the given point");
    assert!((2 * 19..150).contains(&fast), "{fast} runs");
}
