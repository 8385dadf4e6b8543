//! The check of cells and layers, and derivatives computed in other ways.

mod check_cells;
mod check_contract;
mod check_cost;
mod check_lasting;
mod check_mistakes;
#[path = "../common/mod.rs"]
mod common;
mod derivatives;
mod oracles;
