//! The tasks: how a batch is drawn, its loss, and which answers are right.

use clap::ValueEnum;
use rand::{Rng, RngExt};
use rewind_autograd::{Tensor, Var};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy_steps, last_step, mean_squared_error};

/// An answer of the adding problem is right if it is nearer than this to the target.
pub(crate) const TOLERANCE: f32 = 0.04;
/// The adding problem: the first mark is in the first pairs.
pub(crate) const FIRST_MARKS: usize = 10;
/// Copy memory: symbols to copy, and how many kinds there are. The classes after these are blank and the delimiter.
pub(crate) const COPIED: usize = 10;
pub(crate) const KINDS: usize = 8;
pub(crate) const BLANK: usize = KINDS;
pub(crate) const DELIMITER: usize = KINDS + 1;
/// Temporal order: the symbols E, B, X and Y; the others are distractors.
pub(crate) const E: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const X: usize = 2;
pub(crate) const Y: usize = 3;
const DISTRACTORS: std::ops::Range<usize> = 4..8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// The sum of two marked numbers (Hochreiter and Schmidhuber 1997, experiment 4).
    Adding,
    /// The order of two symbols among distractors (Hochreiter and Schmidhuber 1997, experiment 6a).
    TemporalOrder,
    /// Ten symbols, repeated after a delay (Arjovsky et al. 2016).
    CopyMemory,
}

/// A task at a length T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) task: Task,
    pub(crate) length: usize,
}

/// Sequences of varying length, padded with 0, and what is to be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// `[T, B, I]`.
    pub(crate) x: Tensor<f32>,
    pub(crate) lengths: Vec<usize>,
    pub(crate) targets: Targets,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// A number at the end of each sequence, `[B, 1]`.
    Numbers(Tensor<f32>),
    /// A class for each time step and sequence, `[T·B]`; `None` where nothing is to be answered.
    Classes(Vec<Option<usize>>),
}

/// The inputs of one sequence, a vector a step, and its targets: a number, or a class a step.
type Sequence = (Vec<Vec<f32>>, f32, Vec<Option<usize>>);

impl Task {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Task::Adding => "adding",
            Task::TemporalOrder => "temporal-order",
            Task::CopyMemory => "copy-memory",
        }
    }

    /// Features of an input.
    pub(crate) fn inputs(self) -> usize {
        match self {
            Task::Adding => 2,
            Task::TemporalOrder => 8,
            Task::CopyMemory => KINDS + 2,
        }
    }

    /// Numbers of an output.
    pub(crate) fn outputs(self) -> usize {
        match self {
            Task::Adding => 1,
            Task::TemporalOrder => 4,
            Task::CopyMemory => KINDS + 1,
        }
    }
}

impl Problem {
    pub(crate) fn name(self) -> String {
        format!("{} {}", self.task.name(), self.length)
    }

    /// The share of answers that the best answer without memory has right.
    pub(crate) fn baseline(self) -> f64 {
        match self.task {
            Task::Adding => {
                // Always 0.5 is right if |a + b| < 4·0.04. Of two numbers, a + b has the density (2 - |s|)/4; a first
                // pair counts as 0, and the sum is the other number alone.
                let reach = 4.0 * f64::from(TOLERANCE);
                let first = FIRST_MARKS as f64;
                let zero = 1.0 / first + (1.0 - 1.0 / first) / (self.length / 2 - 1) as f64;
                (1.0 - zero) * (reach - reach * reach / 4.0) + zero * reach
            }
            Task::TemporalOrder => 0.25,
            Task::CopyMemory => 1.0 / KINDS as f64,
        }
    }

    /// `count` sequences.
    pub(crate) fn draw(self, count: usize, rng: &mut impl Rng) -> Batch {
        let sequences: Vec<Sequence> = (0..count).map(|_| self.sequence(rng)).collect();
        let lengths: Vec<usize> = sequences.iter().map(|(inputs, ..)| inputs.len()).collect();
        let (steps, width) = (lengths.iter().copied().max().unwrap_or(0), self.task.inputs());
        let mut x = vec![0.0; steps * count * width];
        let mut classes = vec![None; steps * count];
        for (b, (inputs, _, answers)) in sequences.iter().enumerate() {
            for (t, input) in inputs.iter().enumerate() {
                x[(t * count + b) * width..][..width].copy_from_slice(input);
                classes[t * count + b] = answers[t];
            }
        }
        let targets = match self.task {
            Task::Adding => Targets::Numbers(Tensor::from_fn(&[count, 1], |b| sequences[b].1)),
            _ => Targets::Classes(classes),
        };
        Batch { x: Tensor::from_vec(x, &[steps, count, width]), lengths, targets }
    }

    fn sequence(self, rng: &mut impl Rng) -> Sequence {
        let one_hot = |symbol: &usize| (0..self.task.inputs()).map(|i| f32::from(u8::from(i == *symbol))).collect();
        match self.task {
            Task::Adding => {
                let (inputs, target) = adding(self.length, rng);
                let steps = inputs.len();
                (inputs.into_iter().map(Vec::from).collect(), target, vec![None; steps])
            }
            Task::TemporalOrder => {
                let (symbols, class) = temporal_order(self.length, rng);
                let mut answers = vec![None; symbols.len() - 1];
                answers.push(Some(class));
                (symbols.iter().map(one_hot).collect(), 0.0, answers)
            }
            Task::CopyMemory => {
                let (symbols, answers) = copy_memory(self.length, rng);
                (symbols.iter().map(one_hot).collect(), 0.0, answers.into_iter().map(Some).collect())
            }
        }
    }
}

/// Pairs of a number in [-1, 1) and a mark, and 0.5 + (a + b)/4 of the two numbers with the mark 1. The first and the last
/// pair have the mark -1: if the first is chosen, it keeps it and counts as 0.
fn adding(length: usize, rng: &mut impl Rng) -> (Vec<[f32; 2]>, f32) {
    let steps = rng.random_range(length..=length + length / 10);
    let mut pairs: Vec<[f32; 2]> = (0..steps).map(|_| [rng.random_range(-1.0..1.0), 0.0]).collect();
    let first = rng.random_range(0..FIRST_MARKS);
    let second = rng.random_range(0..length / 2 - 1);
    let second = second + usize::from(second >= first); // among those that are not marked yet
    pairs[first][1] = 1.0;
    pairs[second][1] = 1.0;
    pairs[0][1] = -1.0;
    pairs[steps - 1][1] = -1.0;
    let sum: f32 = pairs.iter().filter(|pair| pair[1] == 1.0).map(|pair| pair[0]).sum();
    (pairs, 0.5 + sum / 4.0)
}

/// E, distractors with X or Y at two places, and B; the class is 0 for X…X, 1 for X…Y, 2 for Y…X and 3 for Y…Y.
fn temporal_order(length: usize, rng: &mut impl Rng) -> (Vec<usize>, usize) {
    let steps = rng.random_range(length..=length + length / 10);
    let mut symbols: Vec<usize> = (0..steps).map(|_| rng.random_range(DISTRACTORS)).collect();
    let places = [length / 10..=length / 5, length / 2..=3 * length / 5].map(|range| rng.random_range(range));
    let late = places.map(|place| {
        symbols[place] = [X, Y][rng.random_range(0..2)];
        usize::from(symbols[place] == Y)
    });
    symbols[0] = E;
    symbols[steps - 1] = B;
    (symbols, 2 * late[0] + late[1])
}

/// Ten symbols, `length` - 1 blanks, a delimiter and ten blanks; the answer is blank until after the delimiter, and then the
/// ten symbols.
fn copy_memory(length: usize, rng: &mut impl Rng) -> (Vec<usize>, Vec<usize>) {
    let copied: Vec<usize> = (0..COPIED).map(|_| rng.random_range(0..KINDS)).collect();
    let blanks = |count| std::iter::repeat_n(BLANK, count);
    let symbols = copied.iter().copied().chain(blanks(length - 1)).chain([DELIMITER]).chain(blanks(COPIED));
    (symbols.collect(), blanks(length + COPIED).chain(copied.iter().copied()).collect())
}

impl Batch {
    /// The loss of outputs `[T, B, O]`: the mean squared error at the end of the sequences, or the mean cross-entropy of all
    /// answers.
    pub(crate) fn loss<'t>(&self, outputs: Var<'t, f32>) -> rewind_rnn::Result<Var<'t, f32>> {
        match &self.targets {
            Targets::Numbers(numbers) => {
                mean_squared_error(last_step(outputs, &self.lengths)?, numbers, Reduction::Mean)
            }
            Targets::Classes(classes) => {
                Ok(cross_entropy_steps(outputs, classes, &self.lengths, CrossEntropy::default())?.total)
            }
        }
    }

    /// How many answers in outputs `[T, B, O]` are right, and how many there are. Blanks are no answers.
    pub(crate) fn score(&self, outputs: &Tensor<f32>) -> [usize; 2] {
        let width = outputs.shape()[2];
        let (outputs, count) = (outputs.to_vec(), self.lengths.len());
        let row = |row: usize| &outputs[row * width..][..width];
        let right: Vec<bool> = match &self.targets {
            Targets::Numbers(numbers) => {
                let last = self.lengths.iter().enumerate().map(|(b, length)| row((length - 1) * count + b)[0]);
                last.zip(numbers.to_vec()).map(|(y, target)| (y - target).abs() < TOLERANCE).collect()
            }
            Targets::Classes(classes) => {
                let asked = classes.iter().enumerate().filter_map(|(i, class)| Some((i, (*class)?)));
                let answers = asked.filter(|(_, class)| *class != BLANK);
                answers
                    .map(|(i, class)| row(i).iter().enumerate().all(|(c, y)| c == class || *y < row(i)[class]))
                    .collect()
            }
        };
        [right.iter().filter(|right| **right).count(), right.len()]
    }
}
