//! What is asked of the allocator, counted: by a sweep, which grows with the number of steps and not with its square, by
//! scopes, and by a whole training step.
//!
//! A binary of its own, because the counter replaces the allocator.

use allocation_counter::{AllocationInfo, measure};
use rewind_autograd::{Tape, Tensor, checkpoint};

const WIDTH: usize = 64;

/// What `backward` allocates over `steps` slices of one `[steps, WIDTH]` tensor and products with one weight.
fn backward(steps: usize) -> AllocationInfo {
    // A new thread: its free list of buffers is empty, so that everything is seen once.
    let counted = std::thread::spawn(move || {
        let tape = Tape::new();
        let x = tape.leaf(Tensor::full(&[steps, WIDTH], 0.25));
        let w = tape.leaf(Tensor::full(&[WIDTH, WIDTH], 0.01));
        let mut h = tape.zeros(&[1, WIDTH]);
        for t in 0..steps {
            h = (x.slice(0, t..t + 1) + h.matmul(w)).tanh();
        }
        let loss = h.sum();
        measure(|| drop(loss.backward()))
    });
    counted.join().expect("the sweep ends well")
}

#[test]
fn a_sweep_over_slices_grows_linearly() {
    let (few, many) = (backward(500), backward(2000));
    assert!(few.bytes_total > (500 * WIDTH * 8) as u64, "the gradient of x alone is larger: the count is wrong");
    let grown = many.bytes_total as f64 / few.bytes_total as f64;
    assert!(grown < 5.0, "four times the steps, {grown:.1} times the bytes");
    let peak = many.bytes_max as f64 / few.bytes_max as f64;
    assert!(peak < 5.0, "four times the steps, {peak:.1} times the bytes at the peak");
    // The gradient of x, what waits of the products, and little else: a full-size tensor a slice would be 2000 of them.
    let sizes_of_x = many.bytes_max as f64 / (2000 * WIDTH * 8) as f64;
    assert!(sizes_of_x < 6.0, "the sweep holds {sizes_of_x:.1} times the tensor that is sliced");
}

/// What `grad` allocates over `segments` checkpoints in a row.
fn grad_over_checkpoints(segments: usize) -> AllocationInfo {
    let counted = std::thread::spawn(move || {
        let tape = Tape::new();
        let w = tape.leaf(Tensor::scalar(0.5));
        let h = (0..segments).fold(w, |h, _| checkpoint(&[h, w], |_, v| (v[0] * v[1]).tanh()));
        measure(|| drop(h.grad(&[w])))
    });
    counted.join().expect("the sweep ends well")
}

#[test]
fn a_recorded_sweep_over_checkpoints_grows_linearly() {
    let (few, many) = (grad_over_checkpoints(200), grad_over_checkpoints(800));
    let grown = many.bytes_total as f64 / few.bytes_total as f64;
    assert!(grown < 5.0, "four times the checkpoints, {grown:.1} times the bytes");
}

#[test]
fn scopes_allocate_nothing_once_the_tape_has_its_memory() {
    let mut tape = Tape::<f32>::new();
    let record = |tape: &Tape<f32>| {
        let _outer = tape.scope("encoder");
        for t in 0..1000 {
            let _step = tape.numbered_scope("t", t);
        }
    };
    assert!(measure(|| record(&tape)).count_total > 0, "the first time it grows");
    tape.clear();
    assert_eq!(measure(|| record(&tape)).count_total, 0);
}

/// What the first and the third training step over `steps` products ask for, the gradients that the caller gets included.
fn first_and_third_step(steps: usize) -> [AllocationInfo; 2] {
    let counted = std::thread::spawn(move || {
        let full = |shape: &[usize], value: f32| Tensor::full(shape, value);
        let (x, w, b) = (full(&[8, WIDTH], 0.25), full(&[WIDTH, WIDTH], 0.01), full(&[WIDTH], 0.1));
        let mut tape = Tape::new();
        let mut step = || {
            {
                let (x, w, b) = (tape.constant(x.clone()), tape.leaf(w.clone()), tape.leaf(b.clone()));
                let mut h = x;
                for _ in 0..steps {
                    let start = tape.len();
                    h = (h.matmul(w) + b).tanh() * x;
                    tape.release_unread(start, &[h]);
                }
                drop(h.sum().backward());
            }
            tape.clear();
        };
        let first = measure(&mut step);
        step();
        [first, measure(step)]
    });
    counted.join().expect("the step ends well")
}

#[test]
fn the_tape_and_the_sweep_allocate_nothing_after_the_first_step() {
    for steps in [1, 20, 500] {
        let [first, third] = first_and_third_step(steps);
        assert!(first.count_total > 0, "{steps} steps: nothing was counted");
        assert_eq!(third.count_total, 0, "{steps} steps");
    }
}
