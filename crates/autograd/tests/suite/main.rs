//! All integration tests of the crate in one binary.

mod accuracy;
mod carried;
mod depth;
mod derive;
mod division;
mod extremes;
mod gradients;
mod hooks;
mod logits;
mod misuse;
mod modules;
mod naive;
mod nonfinite;
mod norms;
mod op_rows;
mod op_table;
mod recurrence;
mod reference;
mod refused;
mod released;
mod scopes;
mod shapes;
mod sums;
mod terms;
