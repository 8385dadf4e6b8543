//! What the task programs share. A task, such as `music_genre`, is then data, a model, and a loop that a reader sees.
//!
//! - [`arguments`]: the arguments that every task takes, to be flattened into those of its own; [`CommandLine`]: them, and what the
//!   file of a run has to say to them.
//! - [`Run`]: a training that is saved after every epoch, stops at Ctrl-C ([`Interrupt`]) and goes on to the same bits;
//!   [`run::main`] gives the exit status.
//! - [`History`]: losses and figures from epoch to epoch, written to `metrics.csv`; [`Progress`] tells them while a
//!   model trains.
//! - [`AnyCell`]: the cell that `--cell` names; [`Reading`]: one or two of them, for a classifier.
//! - [`Answers`]: the answers of a classifier; [`Figure`]: a result on the test part, the lines that a task ends with.
//! - [`Interval`]: how far a mean over a few seeds can be trusted.
//! - [`Team`]: the processes that train together, with the feature `mpi`.
//! - [`tested`]: what a classifier leaves in its folder after the test.
//! - [`plot`]: learning curves, confusion matrices, norms of gradients, probabilities over time, images.
//! - [`folders`], [`division`]: one folder of files for each class; a training and a test part.
//! - [`text`]: text files, with the line of what is wrong in one; [`labelled`]: lines `label<TAB>item`.
//! - [`image`]: images, and PNG files of them.
//! - [`files`]: a file is replaced only by a complete one. [`memory`]: whether a run fits.
//!
//! The numbered examples stand alone and use none of this.

mod answers;
pub mod arguments;
mod batched;
mod cell;
mod command_line;
pub mod division;
mod figures;
pub mod files;
pub mod folders;
mod history;
pub mod image;
mod interrupt;
mod interval;
pub mod labelled;
pub mod memory;
mod origin;
pub mod plot;
mod progress;
mod reading;
pub mod run;
mod team;
pub mod tested;
#[doc(hidden)]
pub mod testing;
pub mod text;

pub use answers::{Answers, best_classes};
pub use arguments::{RunArguments, Task};
pub use cell::{AnyCell, AnyState, CellKind};
pub use command_line::{CommandLine, RunFile};
pub use figures::{Figure, Metric, report, unwritable};
pub use history::{History, TABLE, write_table};
pub use interrupt::{Interrupt, Stopped};
pub use interval::Interval;
pub use progress::{Progress, say};
pub use reading::{ReadOut, Reading};
pub use run::Run;
pub use team::{Team, standard_output};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeRuns;
