//! The settings of a check, and what can be checked with them.

use rewind_autograd::{Op, Parameters, Scalar, Tape, Tensor, Var};

use crate::caught::catch;
use crate::objective::Function;
use crate::report::{Doubt, Invalid, Mode, Report, Verdict};
use crate::run::Run;

/// Settings of a check: every entry or random directions, up to which order, and the seed of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    mode: Mode,
    orders: usize,
    seed: u64,
}

impl Check {
    pub(crate) fn new(mode: Mode, orders: usize) -> Self {
        Check { mode, orders, seed: 0 }
    }

    /// Compares derivatives up to this order: 1 for gradients, 2 for gradients of gradients, and so on.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn orders(self, orders: usize) -> Self {
        assert!(orders > 0, "orders: 0 compares nothing; expected 1 at least");
        Check { orders, ..self }
    }

    /// Another seed for weights and directions.
    pub fn seed(self, seed: u64) -> Self {
        Check { seed, ..self }
    }

    /// Compares this many random directions instead of every entry.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub fn projections(self, projections: usize) -> Self {
        assert!(projections > 0, "projections: 0 compare nothing; expected 1 at least");
        Check { mode: Mode::Fast { projections }, ..self }
    }

    /// Compares random directions instead of every entry: as many as [`fast`](crate::fast()) does, unless it has a number already.
    ///
    /// ```
    /// use rewind_check::{Mode, full, sample};
    /// let report = full().along_directions().function(&[sample::<f64>(&[3], 1)], |_tape, x| x[0].sin());
    /// assert_eq!((report.mode, report.orders), (Mode::Fast { projections: 3 }, 2));
    /// ```
    pub fn along_directions(self) -> Self {
        match self.mode {
            Mode::Full => Check { mode: Mode::Fast { projections: 3 }, ..self },
            Mode::Fast { .. } => self,
        }
    }

    /// Checks `f` of `inputs`; see [`function`](crate::function()).
    pub fn function<T: Scalar, F>(&self, inputs: &[Tensor<T>], f: F) -> Report
    where
        F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
    {
        let names = (0..inputs.len()).map(|i| i.to_string()).collect::<Vec<_>>();
        self.run(&names, &[], inputs, &f)
    }

    /// Checks `f` of all parameters of `module`; see [`module`](crate::module()).
    pub fn module<T: Scalar, M, F>(&self, module: &M, f: F) -> Report
    where
        M: Parameters<Tensor<T>>,
        F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
    {
        let inputs: Vec<_> = module.leaves().into_iter().cloned().collect();
        let names = module.names();
        self.run(&names, &names, &inputs, &|tape, vars| {
            let mut rest = vars.iter();
            f(tape, &module.map(|_, _| *rest.next().expect("one variable per leaf")))
        })
    }

    /// Checks one op at `inputs`; see [`op`](crate::op()).
    pub fn op<T: Scalar, O: Op<T> + Clone>(&self, op: O, inputs: &[Tensor<T>]) -> Report {
        self.function(inputs, |tape, x| tape.apply(op.clone(), x))
    }

    /// Checks `f` at the inputs that `make` builds from `sizes`; if the gradient is wrong there, looks for the smallest
    /// sizes (1 at least, each) at which it still is. The report is that of the smallest, and names them.
    ///
    /// ```
    /// let report = rewind_check::full().orders(1).shrink(
    ///     &[4, 3],
    ///     |sizes| vec![rewind_check::sample::<f64>(sizes, 1)],
    ///     |_tape, x| x[0].transpose() * 2.0,
    /// );
    /// report.assert();
    /// assert_eq!(report.sizes, None); // nothing fails
    /// ```
    pub fn shrink<T: Scalar, G, F>(&self, sizes: &[usize], make: G, f: F) -> Report
    where
        G: Fn(&[usize]) -> Vec<Tensor<T>>,
        F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
    {
        shrunk(sizes, |sizes| self.function(&make(sizes), &f))
    }
    fn run<T: Scalar>(
        &self,
        names: &[String],
        parameters: &[String],
        inputs: &[Tensor<T>],
        f: &Function<'_, T>,
    ) -> Report {
        let mut report = Report {
            verdict: Verdict::Right,
            entries: 0,
            checked: 0,
            disagreeing: 0,
            mode: self.mode,
            orders: self.orders,
            precision: T::NAME,
            resolution: 0.0,
            seed: self.seed,
            shapes: inputs.iter().map(|x| x.shape().to_vec()).collect(),
            points: Vec::new(),
            sizes: None,
            worst: None,
            steps: Vec::new(),
            culprit: None,
        };
        if inputs.is_empty() {
            report.verdict = Verdict::CannotTell(Doubt::Nothing);
            return report;
        }
        for order in 1..=self.orders {
            let run = Run { mode: self.mode, seed: self.seed, names, parameters, inputs, f, order };
            match catch(|| run.compare(&mut report)) {
                Ok(Ok(())) => {}
                Ok(Err(invalid)) => report.verdict = Verdict::Invalid(invalid),
                Err(message) => report.verdict = Verdict::Invalid(Invalid::Panicked(message)),
            }
            // Differences of wrong gradients mislead: what is wrong at one order is not compared at the next.
            if matches!(report.verdict, Verdict::Wrong | Verdict::Invalid(_)) {
                break;
            }
        }
        report
    }
}

/// The report of `check` at `sizes`; if it is wrong there, that of the smallest sizes (1 at least, each) at which it still is,
/// with these [named](Report::sizes). For checks of more than a function of inputs: a cell at a number of time steps, say.
///
/// ```
/// let sum = |sizes: &[usize]| rewind_check::function(&[rewind_check::sample(sizes, 1)], |_tape, x| x[0] + x[0]);
/// assert_eq!(rewind_check::shrunk(&[4, 3], sum).sizes, None); // nothing fails
/// ```
pub fn shrunk(sizes: &[usize], check: impl Fn(&[usize]) -> Report) -> Report {
    let mut smallest = sizes.to_vec();
    let mut report = check(&smallest);
    if !report.is_wrong() {
        return report;
    }
    let mut smaller_found = true;
    while smaller_found {
        smaller_found = false;
        for k in 0..smallest.len() {
            // From small to large: 1, half, one less.
            let size = smallest[k];
            for smaller in [1, size / 2, size.saturating_sub(1)] {
                if smaller == 0 || smaller >= smallest[k] {
                    continue;
                }
                let mut trial = smallest.clone();
                trial[k] = smaller;
                let Ok(found) = catch(|| check(&trial)) else { continue };
                if found.is_wrong() {
                    (smallest, report, smaller_found) = (trial, found, true);
                    break;
                }
            }
        }
    }
    report.sizes = Some(smallest);
    report
}
