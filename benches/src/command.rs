//! The arguments and output lines that the programs of the benches share.
//!
//! The programs of `peers` take the same arguments and print the same lines; `compare` reads them.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use crate::pairs::Pair;
use crate::timing::{median, nanoseconds, nanoseconds_for, nanoseconds_in_turn};
use crate::{CellKind, SHAPES, Shape, Step, resident};

/// At which sizes to run training steps, and on how many threads.
#[derive(Args)]
pub struct Sizes {
    /// The sizes T, B, I, H by name; `all` is all but `long` and those of inference.
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(names()))]
    shape: String,
    /// Threads that share the batch.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

fn names() -> impl Iterator<Item = &'static str> {
    Shape::all().map(|shape| shape.name).chain(["all"])
}

impl Sizes {
    /// Threads that share the batch.
    pub fn threads(&self) -> usize {
        self.threads.into()
    }

    fn shapes(&self) -> Vec<Shape> {
        Shape::named(&self.shape).map_or(SHAPES.to_vec(), |shape| vec![shape])
    }

    /// `lstm tiny T=32 B=1 I=32 H=32 threads=2`.
    fn describe(&self, what: &str, shape: Shape) -> String {
        let Shape { name, steps, batch, inputs, hidden } = shape;
        format!("{what} {name} T={steps} B={batch} I={inputs} H={hidden} threads={}", self.threads)
    }
}

/// Which training steps to run.
#[derive(Args)]
pub struct Cases {
    /// The cell; all of them if it is left out.
    #[arg(long, value_enum)]
    cell: Option<CellKind>,
    /// The sizes.
    #[command(flatten)]
    pub sizes: Sizes,
}

impl Cases {
    /// Every training step that was asked for; `cells` are those there are.
    fn list(&self, cells: &[CellKind]) -> Vec<(CellKind, Shape)> {
        let cells = self.cell.map_or(cells.to_vec(), |cell| vec![cell]);
        self.sizes.shapes().iter().flat_map(|&shape| cells.iter().map(move |&cell| (cell, shape))).collect()
    }

    /// Prints by how much the first three steps raise the peak of the resident set. A tiny step runs before: what code
    /// and threads take is no memory of a step.
    ///
    /// # Errors
    /// If more than one training step was asked for (what one leaves behind would serve the next), or the system does
    /// not tell.
    pub fn print_memory(&self, make: impl Fn(CellKind, Shape, usize) -> Step) -> Result<(), String> {
        let (Some(cell), Some(shape)) = (self.cell, Shape::named(&self.sizes.shape)) else {
            return Err("memory: name one --cell and one --shape; a process can measure one step only".into());
        };
        make(cell, SHAPES[0], self.sizes.threads())();
        let mut step = make(cell, shape, self.sizes.threads());
        let rises =
            resident::growth(3, || assert_finite(step(), cell.name(), shape)).map_err(|e| format!("memory: {e}"))?;
        let [first, second, third] = [0, 1, 2].map(|i| rises[i] as f64 / 1e6);
        let described = self.sizes.describe(cell.name(), shape);
        println!("{described} first_mb={first:.1} second_mb={second:.1} third_mb={third:.1}");
        Ok(())
    }
}

/// How often to time a step.
#[derive(Args)]
pub struct Repeats {
    /// Steps that are timed at least, after two that are not, or turns of a pair, after one; the median is printed.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Milliseconds for which steps are timed at least, after a third as many that are not.
    #[arg(long, default_value_t = 0)]
    milliseconds: u64,
}

impl Repeats {
    fn time(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}

/// Which training steps to time, and how often.
#[derive(Args)]
pub struct TimedCases {
    /// The training steps.
    #[command(flatten)]
    pub cases: Cases,
    #[command(flatten)]
    repeats: Repeats,
}

impl TimedCases {
    /// Times every training step that was asked for, as `make` makes it; `cells` are those there are.
    pub fn print_times(&self, cells: &[CellKind], make: impl Fn(CellKind, Shape, usize) -> Step) {
        self.print_times_and(cells, make, |_, _, _| String::new());
    }

    /// [`print_times`](TimedCases::print_times), with what `more` says of each case and its milliseconds at the end of its line.
    pub fn print_times_and(
        &self,
        cells: &[CellKind],
        make: impl Fn(CellKind, Shape, usize) -> Step,
        more: impl Fn(CellKind, Shape, f64) -> String,
    ) {
        let sizes = &self.cases.sizes;
        for (cell, shape) in self.cases.list(cells) {
            let mut step = make(cell, shape, sizes.threads());
            let work = || assert_finite(step(), cell.name(), shape);
            let times = nanoseconds_for(self.repeats.time(), 2, self.repeats.runs.into(), work);
            let milliseconds = median(times) / 1e6;
            println!(
                "{} median_ms={milliseconds:.4} gflops={:.1}{}",
                sizes.describe(cell.name(), shape),
                shape.flops(cell) / milliseconds / 1e6,
                more(cell, shape, milliseconds),
            );
        }
    }
}

/// Which two steps to time in turn, and how often.
#[derive(Args)]
pub struct TimedPairs {
    /// The pair; all of them if it is left out.
    #[arg(long, value_enum)]
    pair: Option<Pair>,
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    repeats: Repeats,
}

impl TimedPairs {
    /// Times every pair that was asked for, and prints the medians of both and of the ratios of neighbouring turns; where the pair has
    /// a limit, that of its ratio too, from the same turns.
    pub fn print_ratios(&self) {
        let pairs = self.pair.map_or(Pair::value_variants().to_vec(), |pair| vec![pair]);
        for shape in self.sizes.shapes() {
            pairs.iter().for_each(|&pair| self.print_ratio(pair, shape));
        }
    }

    fn print_ratio(&self, pair: Pair, shape: Shape) {
        const TURNS: usize = 30;
        let threads = self.sizes.threads();
        let steps = pair.steps(shape, threads).into_iter().chain(pair.limit(shape, threads).into_iter().flatten());
        let mut work: Vec<_> = steps.map(|mut step| move || assert_finite(step(), pair.name(), shape)).collect();
        let (time, least) = (self.repeats.time(), usize::from(self.repeats.runs));
        // Fewer turns where one step is longer than a turn.
        let fit = time.as_nanos() as f64 / median(nanoseconds(1, 1, &mut work[0]));
        let turns = (fit as usize).clamp(least, TURNS.max(least));
        let times = nanoseconds_in_turn(time / TURNS as u32, turns, &mut work);
        let of = |f: fn(&[f64]) -> f64| median(times.iter().map(|turn| f(turn)).collect());
        let limit = match work.len() {
            2 => String::new(),
            _ => format!(" limit={:.3}", of(|turn| turn[2] / turn[3])),
        };
        println!(
            "{} first_ms={:.4} second_ms={:.4} ratio={:.3}{limit}",
            self.sizes.describe(pair.name(), shape),
            of(|turn| turn[0] / 1e6),
            of(|turn| turn[1] / 1e6),
            of(|turn| turn[0] / turn[1]),
        );
    }
}

fn assert_finite(loss: f32, what: &str, shape: Shape) {
    assert!(loss.is_finite(), "the loss of {what} at {} is {loss}", shape.name);
}
