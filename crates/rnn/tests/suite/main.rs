//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod check_cells;
mod checkpoint;
mod clip;
mod derivatives;
mod first_state;
mod init;
mod loss;
mod optim;
mod oracles;
mod reference;
mod segments;
mod time;
mod torch_file;
