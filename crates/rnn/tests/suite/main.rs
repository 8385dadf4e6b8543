//! All integration tests of the crate in one binary.

mod batch;
mod cells;
mod checkpoint;
mod clip;
mod init;
mod loss;
mod optim;
mod reference;
mod time;
