//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod check_cells;
mod check_lasting;
mod check_mistakes;
mod clip;
mod derivatives;
mod error;
mod file;
mod first_state;
mod generic;
mod init;
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
mod wrappers;
