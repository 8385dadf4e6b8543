//! All integration tests of the crate in one binary.

mod depth;
mod gradients;
mod misuse;
mod naive;
mod op_table;
mod reference;
mod shapes;
mod terms;
mod wrong_rules;
