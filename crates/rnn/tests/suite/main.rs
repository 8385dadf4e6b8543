//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod cells_by_hand;
mod cells_in_heads;
mod cells_misuse;
mod cells_torch;
mod check_cells;
mod clip;
mod derivatives;
mod error;
mod file;
mod first_state;
mod generic;
mod graves;
mod init;
mod keras;
mod layers;
mod loss;
mod misuse;
mod optim;
mod oracles;
mod reference;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod segments;
mod streams;
mod time;
mod torch_file;
mod torch_misfits;
mod torch_stack;
mod wrappers;
