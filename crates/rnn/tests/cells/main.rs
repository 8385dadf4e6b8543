//! Cells: their equations, derivatives and messages.

mod candidate_dropout;
mod cells;
mod cells_by_hand;
mod cells_in_heads;
mod cells_misuse;
mod cells_torch;
mod check_states;
#[path = "../common/mod.rs"]
mod common;
mod first_state;
mod generic;
mod graves;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod wrappers;
mod xlstm;
mod xlstm_by_hand;
mod xlstm_chunks;
mod xlstm_misuse;
