//! The gradient seen in time: which loss sends how much of it through which time step.
//!
//! Backpropagation through time computes dE/dU for E = Σ_s E_s as a sum over every loss step s and every step t ≤ s in which
//! the parameter U was used:
//!
//! ```text
//! dE/dU = Σ_s Σ_(t≤s)  ∂E_s/∂h_s · ( Π_(j=t+1..s) ∂h_j/∂h_(j-1) ) · ∂⁺h_t/∂U
//! ```
//!
//! with ∂⁺h_t/∂U the immediate derivative: h_(t-1) is held fixed. [`itemised`] gives every item of that sum.

mod itemised;
mod table;
mod truncation;

pub use itemised::{Item, Itemised, itemised};
pub use table::Table;
pub use truncation::{Truncated, Truncation};
