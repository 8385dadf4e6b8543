//! All integration tests of the crate in one binary.

mod check_doubts;
mod check_origins;
mod check_report;
mod cost;
mod mistakes;
// The table of ops and its plain loops are those of the engine: one table serves both.
#[allow(dead_code, reason = "the tests of the engine use the rest")]
#[path = "../../../autograd/tests/suite/naive.rs"]
mod naive;
#[allow(dead_code, reason = "the tests of the engine use the rest")]
#[path = "../../../autograd/tests/suite/op_table.rs"]
mod op_table;
mod order;
#[cfg(feature = "proptest")]
mod strategies;
mod wrong_rules;
