//! The gradient seen in time: which loss sends how much of it through which time step.
//!
//! Backpropagation through time computes dE/dU for E = Σ_s E_s as a sum over every loss step s and every step t ≤ s in which
//! the parameter U was used:
//!
//! ```text
//! dE/dU = Σ_s Σ_(t≤s)  ∂E_s/∂h_s · ( Π_(j=t+1..s) ∂h_j/∂h_(j-1) ) · ∂⁺h_t/∂U
//! ```
//!
//! with ∂⁺h_t/∂U the immediate derivative: h_(t-1) is held fixed. Every function takes a module and a closure that runs it, and
//! returns plain data that prints as a table:
//!
//! | function | shows |
//! |---|---|
//! | [`itemised`] | every item of that sum, of every parameter |
//! | [`Itemised::truncation`] | what truncated BPTT keeps of it |
//! | [`path`] | the factors of one item, with the singular values of each Jacobian |
//! | [`flow`] | the gradient with respect to every state, and what gates and recurrent weights do to it |
//! | [`influence`] | how much each output depends on each input |
//! | [`stretch`] | how far a Jacobian stretches a gradient, at most and at least |
//! | [`spectral_radius`] | whether a recurrent weight lets signals grow or fade |
//! | [`chain`], [`cliff`] | why gradients explode and vanish, and what clipping does, with a single unit |
//! | [`dot`] | the graph, unrolled and rolled, for Graphviz |
//!
//! Time steps are the scopes `t=0`, `t=1`, … that unrolling enters, or a loop of your own by
//! [`numbered_scope`](rewind_autograd::Tape::numbered_scope)`("t", t)`. The steps of one network have one number each: where a decoder goes on from an encoder of T
//! steps, [`Unroll::from_step`](crate::Unroll::from_step)`(T)` numbers them on. [`path`], [`flow`] and [`dot`] refuse other networks; the items of
//! [`itemised`] are then those of all uses in steps of that number.
//!
//! The page `docs/gradient_in_time.md` of the repository leads through them with pictures. With the feature `serde`, what they return can be serialised; a tensor is its shape and its values.

mod dot;
mod explosion;
mod flow;
mod influence;
mod itemised;
mod path;
#[cfg(feature = "serde")]
mod serial;
mod spectrum;
mod table;
mod truncation;

pub use dot::{Dot, dot};
pub use explosion::{Chain, Cliff, Descent, Surface, chain, cliff};
pub use flow::{Flow, GateFlow, StateFlow, WeightFlow, flow};
pub use influence::{Influence, influence};
pub use itemised::{Item, Itemised, itemised};
pub use path::{Factor, Path, path};
pub use spectrum::{spectral_radius, stretch};
pub use table::Table;
pub use truncation::{Truncated, Truncation};
