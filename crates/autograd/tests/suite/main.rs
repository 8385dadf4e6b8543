//! All integration tests of the crate in one binary.

mod accuracy;
mod check_doubts;
mod check_origins;
mod check_report;
mod depth;
mod derive;
mod division;
mod extremes;
mod gradients;
mod hooks;
mod logits;
mod mistakes;
mod misuse;
mod modules;
mod naive;
mod nonfinite;
mod norms;
mod op_table;
mod reference;
mod refused;
mod released;
mod scopes;
mod shapes;
#[cfg(feature = "proptest")]
mod strategies;
mod sums;
mod terms;
mod wrong_rules;
