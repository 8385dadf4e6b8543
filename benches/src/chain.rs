//! The cost of a node of the tape: a chain of elementwise ops on eight elements, where arithmetic is negligible.

use rewind_autograd::Var;

/// The shape of every value of the chain.
pub const SHAPE: [usize; 2] = [1, 8];

/// Times that x is replaced by tanh(x ∘ y + y).
pub const ROUNDS: usize = 100;

/// Nodes of the chain, three a round.
pub const NODES: usize = 3 * ROUNDS;

/// Records the chain on the tape of `x` and `y`.
pub fn of<'t>(mut x: Var<'t, f32>, y: Var<'t, f32>) -> Var<'t, f32> {
    for _ in 0..ROUNDS {
        x = (x * y + y).tanh();
    }
    x
}

/// The line that a measurement of the chain prints: nanoseconds a node, from those of the whole chain.
pub fn line(forward: f64, backward: f64) -> String {
    let nodes = NODES as f64;
    format!("chain nodes={NODES} forward_ns={:.1} backward_ns={:.1}", forward / nodes, backward / nodes)
}
