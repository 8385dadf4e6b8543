//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod check_cells;
mod clip;
mod derivatives;
mod error;
mod file;
mod first_state;
mod generic;
mod init;
mod loss;
mod misuse;
mod optim;
mod oracles;
mod reference;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod segments;
mod time;
mod torch_file;
mod xlstm;
mod xlstm_by_hand;
mod xlstm_chunks;
mod xlstm_misuse;
