//! Backpropagation through time, term by term: what the tape does for a tanh-RNN unrolled over three steps.
//!
//! After the lecture of César Laurent (IVADO/Mila Deep Learning School, Montréal). The network:
//!
//! ```text
//! h_t = tanh(x_t·W + h_(t-1)·U + b)      t = 1, 2, 3; the same W, U and b at every step
//! E_t = ½·|h_t - y_t|²                   E = E_1 + E_2 + E_3
//! ```
//!
//! U is used at every step, so E depends on it along every path from an error E_t back to a step k:
//!
//! ```text
//! dE/dU = Σ_t Σ_(k<=t)  ∂E_t/∂h_t · ( Π_(j=k+1..t) ∂h_j/∂h_(j-1) ) · ∂⁺h_k/∂U
//! ```
//!
//! with ∂⁺h_k/∂U the immediate derivative: h_(k-1) is held fixed. Computed by hand, then by one call of `lens::itemised`.
//! `cargo run --example 04_unrolled_rnn`

use rewind_autograd::{Tape, Tensor};
use rewind_rnn::{TanhRnn, Unroll, lens};

/// A matrix from its rows.
fn matrix<const R: usize, const C: usize>(rows: [[f64; C]; R]) -> Tensor<f64> {
    Tensor::from_vec(rows.concat(), &[R, C])
}

fn main() {
    // One sequence, I = 1 feature, H = 2 units. Vectors are rows: x_t [1, 1], h_t and b [1, 2], W [1, 2], U [2, 2].
    let x = [matrix([[0.8]]), matrix([[-0.5]]), matrix([[0.3]])];
    let y = [matrix([[0.5, -0.2]]), matrix([[-0.4, 0.6]]), matrix([[0.9, 0.1]])];
    let (w, u) = (matrix([[0.7, -0.3]]), matrix([[0.4, -0.6], [0.5, 0.3]]));
    let (b, h0) = (matrix([[0.1, -0.2]]), matrix([[0.6, -0.9]]));

    // With the tape: write the forward pass, and ask for the gradient.
    let tape = Tape::new();
    // The same network as a module, for the lens.
    let bias = b.reshape(&[2]);
    let rnn = TanhRnn { weight_ih: w.clone(), weight_hh: u.clone(), bias: Some(bias), initial: None };
    let (w, u, b) = (tape.constant(w), tape.leaf(u), tape.constant(b));
    let mut h = vec![tape.constant(h0.clone())];
    let mut error = tape.scalar(0.0);
    for t in 1..=3 {
        let h_t = (tape.constant(x[t - 1].clone()).matmul(w) + h[t - 1].matmul(u) + b).tanh();
        let off = h_t - tape.constant(y[t - 1].clone());
        error = error + (off * off).sum() * 0.5;
        h.push(h_t);
    }
    let from_tape = error.backward().get(u);

    // By hand, from the values of the forward pass alone.
    let u = u.value();
    let h: Vec<Tensor<f64>> = h.iter().map(|h| h.value()).collect();
    // tanh' at step j is 1 - h_j².
    let slope = |j: usize| h[j].map(|h| 1.0 - h * h);
    // ∂h_j/∂h_(j-1) [2, 2]: entry (a, b) is ∂h_j[a]/∂h_(j-1)[b] = (1 - h_j[a]²)·U[b, a].
    let jacobian = |j: usize| slope(j).transpose().zip(&u.transpose(), |s, u| s * u);

    println!("E = {:.6}; dE/dU is a sum of six terms:\n", error.value().item());
    println!(" t  k   |∂E_t/∂h_t|   |∂E_t/∂h_t · Π|    |term|   the path");
    let mut sum = Tensor::zeros(&[2, 2]);
    let mut terms = Vec::new();
    for t in 1..=3 {
        // ∂E_t/∂h_t = h_t - y_t: the error of step t with respect to its own state.
        let error_at_t = h[t].zip(&y[t - 1], |h, y| h - y);
        // k = t: the product is empty. Every smaller k multiplies by one more Jacobian.
        let mut product = matrix([[1.0, 0.0], [0.0, 1.0]]);
        let mut path = format!("E_{t} → h_{t}");
        for k in (1..=t).rev() {
            // What reaches h_k, and then U in the immediate step: ∂⁺h_k[b]/∂U[a, b] = h_(k-1)[a]·(1 - h_k[b]²).
            let at_k = error_at_t.matmul(&product);
            let term = h[k - 1].transpose().matmul(&at_k.zip(&slope(k), |g, s| g * s));
            println!(
                " {t}  {k}  {:>10.6}     {:>10.6}     {:>10.6}   {path} → U",
                error_at_t.norm(),
                at_k.norm(),
                term.norm()
            );
            sum.add_assign(&term);
            terms.push((t, k, term));
            product = product.matmul(&jacobian(k));
            path += &format!(" → h_{}", k - 1);
        }
    }

    // Long paths multiply by more Jacobians. If these shrink a vector, early steps contribute little to the gradient of
    // late errors: it vanishes. If they stretch it, the gradient explodes.
    let difference = sum.zip(&from_tape, |a, b| (a - b).abs()).to_vec().into_iter().fold(0.0, f64::max);
    println!("\n              U[1,1]      U[1,2]      U[2,1]      U[2,2]");
    let row = |name: &str, m: &Tensor<f64>| {
        println!("{name:<10}{}", m.to_vec().iter().map(|x| format!("{x:>12.8}")).collect::<String>());
    };
    row("six terms", &sum);
    row("the tape", &from_tape);
    println!("largest difference {difference:.1e}");
    assert!(difference < 1e-12, "the terms must add up to what the tape says");

    // All of this in one call, for any cell: the lens counts losses and steps from 0.
    let items = lens::itemised(&rnn, |tape, rnn| {
        let x = tape.constant(Tensor::from_fn(&[3, 1, 1], |t| x[t].item()));
        let states = Unroll::new().run_from(rnn, x, tape.constant(h0.clone())).states;
        let error = |t: usize| (states[t] - tape.constant(y[t].clone())).square().sum() * 0.5;
        (0..3).map(error).collect()
    });
    println!("\n{}", items.table("weight_hh"));
    for (t, k, by_hand) in &terms {
        let difference = items.term("weight_hh", t - 1, Some(k - 1)).zip(by_hand, |a, b| a - b).norm();
        assert!(difference < 1e-15, "item ({t}, {k}) differs by {difference:e}");
    }
}
