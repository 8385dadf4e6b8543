//! Exported models, run by another program.

mod cases;
mod errors;
mod forms;
mod ops;
mod tract;
