//! Exported models, run by another program.

mod cases;
mod errors;
mod tract;
