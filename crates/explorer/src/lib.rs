//! One HTML page that shows a gradient travelling through time.
//!
//! A recurrent network is unrolled on the tape of [`rewind_autograd`], and the page has all that the tape knows: the nodes with their
//! values, lines and rules, the reverse pass from each loss node by node, and the gradient of each parameter item by item.
//!
//! The built-in cells, a cell of your own beside them, or your own alone on your own sequence ([`write()`]):
//!
//! ```
//! use rewind_explorer::{Cells, Page};
//! use rewind_rnn::Mgu;
//!
//! let cells = Cells::built_in().with("mgu", "MGU", &[], |inputs, hidden, rng| Mgu::new(inputs, hidden, rng));
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("explorer.html");
//! # let path = path.as_path();
//! Page::lecture(&cells)?.write(path)?; // let path = "explorer.html";
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `serve`, `Server` has the same page with the engine behind it: settings can be changed, and everything is computed
//! again.

mod cells;
mod check;
mod data;
mod error;
mod flow;
mod network;
mod numbers;
mod page;
mod parameters;
mod place;
mod record;
#[cfg(feature = "serve")]
mod request;
mod scenes;
mod sequence;
#[cfg(feature = "serve")]
mod serve;
mod sweep;

use std::path::Path;

pub use cells::Cells;
use data::{Data, Scene};
pub use error::{Error, Result};
use rewind_autograd::Tensor;
use rewind_rnn::RecurrentModule;
pub use sequence::Sequence;
#[cfg(feature = "serve")]
pub use serve::Server;

/// A page, complete: to be written to a file. It needs no network and no other file.
///
/// ```
/// use rewind_explorer::{Cells, Page};
/// let html = Page::lecture(&Cells::built_in())?.html();
/// assert!(html.starts_with("<!doctype html>") && html.len() < 1_000_000);
/// # Ok::<(), rewind_explorer::Error>(())
/// ```
pub struct Page {
    data: Data,
}

impl Page {
    /// The built-in page: the scenes of the lecture, each with the given cells.
    ///
    /// # Errors
    /// If a cell does not fit.
    pub fn lecture(cells: &Cells) -> Result<Self> {
        let mut page = Self::of(vec![scenes::lecture(cells)?, scenes::chain()?, scenes::memory(cells)?]);
        page.data.cliff = Some(scenes::wall());
        Ok(page)
    }

    /// A page of one cell on one sequence, with a readout that is drawn. `ops` are the docs of ops of your own, as
    /// [`ops!`](rewind_autograd::ops!) lists them; there may be none.
    ///
    /// # Errors
    /// If the cell does not fit the sequence.
    ///
    /// # Panics
    /// Where the cell does.
    pub fn new<C: RecurrentModule<f64>>(
        title: &str,
        cell: &C,
        sequence: &Sequence,
        ops: &[(&'static str, &'static str)],
    ) -> Result<Self> {
        let failed = |message| Error::Network { network: title.to_owned(), message };
        let hidden = record::width(cell).map_err(failed)?;
        let readout = cells::readout(hidden, sequence.outputs(), 1);
        let named = cells::named("cell", title, &[]);
        record::fits(cell, &readout, sequence).map_err(failed)?; // the check would panic first
        let report = check::checked(cell, sequence.features());
        let around = network::Around { docs: ops, report: Some(&report) };
        let network = network::network(named, cell, &readout, sequence, around).map_err(failed)?;
        Ok(Self::of(vec![scenes::of("sequence", data::Text::Plain(title.to_owned()), sequence, vec![network])]))
    }

    /// The same page with another scene: all cells over a longer sequence that is drawn, with its loss at the last of 1 to 200 steps.
    ///
    /// # Errors
    /// If the number of steps is another, or a cell does not fit.
    pub fn with_steps(mut self, cells: &Cells, steps: usize) -> Result<Self> {
        self.data.scenes.push(scenes::steps(cells, steps)?);
        Ok(self)
    }

    fn of(scenes: Vec<Scene>) -> Self {
        Page { data: Data { version: 1, served: false, bounds: None, scenes, cliff: None } }
    }

    /// The page as HTML.
    pub fn html(&self) -> String {
        page::html(&self.data)
    }

    /// The data of the page as JSON: for tests of the page.
    #[doc(hidden)]
    pub fn json(&self) -> String {
        serde_json::to_string(&self.data).expect("numbers, texts and lists can always be written")
    }

    /// Writes the page to a file. A file of that name is replaced when the new one is complete.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        page::replace(path.as_ref(), &self.html())
    }
}

/// Writes a page of one cell on one sequence, x `[T, I]` with a target at each step, `[T, O]`. The gradients of the cell are
/// [checked](rewind_rnn::check::cell), and what is wrong stands at the node at fault. For a cell with ops of your own, [`Page::new`] shows
/// their docs too.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::Gru;
///
/// let gru = Gru::new(2, 3, &mut StdRng::seed_from_u64(1));
/// let x = Tensor::from_fn(&[5, 2], |i| (i as f64).sin());
/// let targets = Tensor::from_fn(&[5, 1], |t| (t as f64).cos());
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("gru.html");
/// rewind_explorer::write(&path, "My GRU", &gru, &x, &targets)?; // let path = "gru.html";
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If cell, x and targets do not fit, or the file cannot be written.
pub fn write<C: RecurrentModule<f64>>(
    path: impl AsRef<Path>,
    title: &str,
    cell: &C,
    x: &Tensor<f64>,
    targets: &Tensor<f64>,
) -> Result<()> {
    Page::new(title, cell, &Sequence::new(x.clone(), targets.clone())?, &[])?.write(path)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
