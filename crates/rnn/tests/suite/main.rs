//! All integration tests of the crate in one binary.

mod average;
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
mod init;
mod layers;
mod linear_recurrent;
mod loss;
mod misuse;
mod optim;
mod oracles;
mod reference;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod resume;
mod scan;
mod schedule;
mod segments;
mod streams;
mod time;
mod torch_file;
mod wrappers;
mod xlstm;
mod xlstm_by_hand;
mod xlstm_chunks;
mod xlstm_misuse;
