//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod check_cells;
mod clip;
mod ctc;
mod ctc_misuse;
mod decode;
mod derivatives;
mod error;
mod file;
mod first_state;
mod generic;
mod init;
mod loss;
mod loss_weights;
mod misuse;
mod optim;
mod oracles;
mod reference;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod segments;
mod time;
mod torch_file;
