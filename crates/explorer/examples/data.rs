//! The data of the built-in page as JSON, for the tests of the page: `cargo run -p rewind-explorer --example data`.

use rewind_explorer::{Cells, Page, Result};

fn main() -> Result<()> {
    println!("{}", Page::lecture(&Cells::built_in())?.json());
    Ok(())
}
