//! How a report is printed: for a terminal and for the failure of a test.

use std::fmt;

use crate::report::{
    Breach, Culprit, Doubt, Entry, Invalid, Mode, OffTape, Point, Report, StepError, Suspect, Verdict,
};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Right => write!(f, "right"),
            Verdict::Wrong => write!(f, "WRONG"),
            Verdict::CannotTell(doubt) => write!(f, "CANNOT TELL: {doubt}"),
            Verdict::Invalid(invalid) => write!(f, "INVALID: {invalid}"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Kink => write!(f, "a kink or jump at the point"),
            Doubt::Rounding => write!(f, "rounding hides the derivative at every step"),
            Doubt::IgnoresInput(input) => {
                write!(f, "the value does not change with input {input}, however far it is moved")
            }
            Doubt::NonFinite => write!(f, "infinite or NaN at the point or beside it"),
            Doubt::Unsettled => {
                write!(f, "the differences settle at no step, the function changes within the shortest one; ")?;
                write!(f, "try fewer time steps or layers, other points, or smaller numbers")
            }
            Doubt::Unexplained => {
                write!(
                    f,
                    "the differences settle elsewhere, but every op is right by itself and no number left the tape: "
                )?;
                write!(
                    f,
                    "the function changes within a step, or rounds inside; try `f64`, other points, or smaller parts"
                )
            }
            Doubt::OutOfRange => {
                write!(f, "steps, values or derivatives leave the range of numbers; try numbers nearer to 1")
            }
            Doubt::Nothing => write!(f, "nothing was compared: there is no input"),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::NotDeterministic { difference } => {
                write!(f, "two calls with the same numbers gave values that differ by {difference:.1e}")
            }
            Invalid::ShapeChanged { at, beside } => {
                write!(f, "shape {at:?} at the point, and {beside} numbers beside it")
            }
            Invalid::Panicked(message) => write!(f, "it panicked: {message}"),
            Invalid::Broken(reason) => write!(f, "{reason}"),
            Invalid::Contract(breaches) => {
                for (k, breach) in breaches.iter().enumerate() {
                    write!(f, "{}{breach}", if k == 0 { "" } else { "\n  " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Breach { rule, place, found, expected, advice } = self;
        write!(f, "a rule is not kept: {rule}\n    {place}: {found}; expected {expected}\n    {advice}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gradient check: {}", self.verdict)?;
        if self.entries > 0 {
            let (number, what) =
                if self.is_wrong() { (self.disagreeing, "disagree") } else { (self.checked, "checked") };
            let up_to = if self.orders == 1 { String::new() } else { format!(", orders 1 to {}", self.orders) };
            write!(f, "\n  {number} of {} entries {what} ({}{up_to}", self.entries, self.precision)?;
            match self.mode {
                Mode::Full => write!(f, ")")?,
                Mode::Fast { projections } => write!(f, ", {projections} random directions, seed {})", self.seed)?,
            }
            if !self.is_wrong() && self.checked > 0 {
                write!(f, "; an error of {:.0e} would have been seen", self.resolution)?;
            }
        }
        if self.entries == 0 && self.passed() {
            write!(f, "\n  the inputs are empty, of shapes {:?}: there is no entry to compare", self.shapes)?;
        }
        if let Some(worst) = &self.worst {
            let what = match self.verdict {
                Verdict::Wrong => "worst entry",
                Verdict::CannotTell(_) => "such as",
                _ => "largest error",
            };
            write!(f, "\n  {what}: order {}, input {}, index {:?}\n", worst.order, worst.input, worst.index)?;
            compared(f, worst, "    ")?;
        }
        movement(f, &self.steps)?;
        match &self.culprit {
            Some(Culprit::Op(suspect)) => suspect.fmt(f)?,
            Some(Culprit::OffTape(off)) => off.fmt(f)?,
            None => {}
        }
        for point in &self.points {
            write!(f, "\n  {point}")?;
        }
        if let Some(sizes) = &self.sizes {
            write!(f, "\n  smallest sizes that fail: {sizes:?}")?;
        }
        if self.is_wrong() {
            self.reproduce(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.name)
    }
}

impl Report {
    /// What is needed to reproduce the report.
    fn reproduce(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        let more = self.shapes.len().saturating_sub(SHOWN);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let shown = &self.shapes[..self.shapes.len().min(SHOWN)];
        write!(f, "\n  inputs of shapes {shown:?}{more}, seed {}", self.seed)
    }
}

fn compared(f: &mut fmt::Formatter<'_>, entry: &Entry, margin: &str) -> fmt::Result {
    writeln!(f, "{margin}tape        {:+.8e}", entry.analytic)?;
    writeln!(f, "{margin}differences {:+.8e}", entry.numeric)?;
    let (absolute, relative) = (entry.absolute(), entry.relative());
    write!(f, "{margin}error       {absolute:.1e}, relative {relative:.1e}, {:.1e} ulp", entry.ulps())
}

/// How the error varies with the step.
fn movement(f: &mut fmt::Formatter<'_>, steps: &[StepError]) -> fmt::Result {
    if steps.is_empty() {
        return Ok(());
    }
    let row = |of: fn(&StepError) -> f64| steps.iter().map(|s| format!("{:>9.1e}", of(s))).collect::<String>();
    write!(f, "\n    step  {}", row(|s| s.step))?;
    write!(f, "\n    error {}", row(|s| s.error))?;
    write!(f, "\n    the error settles as the step falls: neither truncation nor rounding, the gradient is wrong")
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  the first op at fault: {}", self.op)?;
        if !self.scope.is_empty() {
            write!(f, " in {}", self.scope)?;
        }
        write!(f, ", recorded at {}", self.location)?;
        write!(f, "\n    wrong nodes of this name: {} ({} nodes were examined alone)", self.nodes, self.examined)?;
        if let Some(message) = &self.panic {
            write!(f, "\n    its rule panics: {message}")?;
        }
        if let Some(worst) = &self.worst {
            let what = if worst.order > 1 { "the derivative of its rule" } else { "its rule" };
            write!(f, "\n    {what}, worst at input {}, index {:?}\n", worst.input, worst.index)?;
            compared(f, worst, "      ")?;
        }
        if let Some(pattern) = &self.pattern {
            write!(f, "\n    looks like: {pattern}")?;
        }
        if self.worst.as_ref().is_some_and(|worst| worst.order > 1) {
            write!(f, "\n    looks like: numbers taken off the tape in the rule")?;
        }
        Ok(())
    }
}

impl fmt::Display for OffTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  every op is right by itself, but ")?;
        match self.held_by {
            Some(op) => write!(f, "{op} holds a value that depends on the inputs and is not among its own:")?,
            None => write!(f, "a value left the tape and came back as a constant (detach, value):")?,
        }
        write!(f, "\n   ")?;
        if let Some(op) = self.rule_of {
            write!(f, " in the rule of {op},")?;
        }
        if !self.scope.is_empty() {
            write!(f, " in {},", self.scope)?;
        }
        write!(f, " recorded at {}", self.location)
    }
}
