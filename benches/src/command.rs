//! What the programs of the benches have in common: their arguments and the lines that they print.
//!
//! The programs of `peers` take the same arguments and print the same lines; `compare` reads them.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::timing::{median, nanoseconds_for};
use crate::{CellKind, LONG, SHAPES, Shape, Step, resident};

/// Which training steps to run.
#[derive(Args)]
pub struct Cases {
    /// The cell; all of them if it is left out.
    #[arg(long, value_enum)]
    cell: Option<CellKind>,
    /// The sizes T, B, I, H by name; `all` is all but `long`.
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(names()))]
    shape: String,
    /// Threads that share the batch.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.into_iter().chain([LONG]).map(|shape| shape.name).chain(["all"])
}

impl Cases {
    /// The threads.
    pub fn threads(&self) -> usize {
        self.threads.into()
    }

    /// Every training step that was asked for; `cells` are those there are.
    fn list(&self, cells: &[CellKind]) -> Vec<(CellKind, Shape)> {
        let shapes = Shape::named(&self.shape).map_or(SHAPES.to_vec(), |shape| vec![shape]);
        let cells = self.cell.map_or(cells.to_vec(), |cell| vec![cell]);
        shapes.iter().flat_map(|&shape| cells.iter().map(move |&cell| (cell, shape))).collect()
    }

    /// `lstm tiny T=32 B=1 I=32 H=32 threads=2`.
    fn describe(&self, cell: CellKind, shape: Shape) -> String {
        let Shape { name, steps, batch, inputs, hidden } = shape;
        format!("{} {name} T={steps} B={batch} I={inputs} H={hidden} threads={}", cell.name(), self.threads)
    }

    /// Prints by how much the first three steps raise the peak of the resident set. A tiny step runs before: what code
    /// and threads take is no memory of a step.
    ///
    /// # Errors
    /// If more than one training step was asked for (what one leaves behind would serve the next), or the system does
    /// not tell.
    pub fn print_memory(&self, make: impl Fn(CellKind, Shape, usize) -> Step) -> Result<(), String> {
        let (Some(cell), Some(shape)) = (self.cell, Shape::named(&self.shape)) else {
            return Err("memory: name one --cell and one --shape; a process can measure one step only".into());
        };
        make(cell, SHAPES[0], self.threads())();
        let mut step = make(cell, shape, self.threads());
        let rises = resident::growth(3, || assert_finite(step(), cell, shape)).map_err(|e| format!("memory: {e}"))?;
        let [first, second, third] = [0, 1, 2].map(|i| rises[i] as f64 / 1e6);
        println!("{} first_mb={first:.1} second_mb={second:.1} third_mb={third:.1}", self.describe(cell, shape));
        Ok(())
    }
}

/// Which training steps to time, and how often.
#[derive(Args)]
pub struct TimedCases {
    #[command(flatten)]
    cases: Cases,
    /// Steps that are timed at least, after two that are not; the median is printed.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Milliseconds for which steps are timed at least, after a third as many that are not.
    #[arg(long, default_value_t = 0)]
    milliseconds: u64,
}

impl TimedCases {
    /// The steps without their number.
    pub fn cases(&self) -> &Cases {
        &self.cases
    }

    /// Times every training step that was asked for, as `make` makes it; `cells` are those there are.
    pub fn print_times(&self, cells: &[CellKind], make: impl Fn(CellKind, Shape, usize) -> Step) {
        for (cell, shape) in self.cases.list(cells) {
            let mut step = make(cell, shape, self.cases.threads());
            let time = Duration::from_millis(self.milliseconds);
            let times = nanoseconds_for(time, 2, self.runs.into(), || assert_finite(step(), cell, shape));
            let milliseconds = median(times) / 1e6;
            println!(
                "{} median_ms={milliseconds:.3} gflops={:.1}",
                self.cases.describe(cell, shape),
                shape.flops(cell) / milliseconds / 1e6,
            );
        }
    }
}

fn assert_finite(loss: f32, cell: CellKind, shape: Shape) {
    assert!(loss.is_finite(), "the loss of {} at {} is {loss}", cell.name(), shape.name);
}
