//! The norms of a gradient's items as a table for a terminal.

use std::fmt;

/// How many rows and columns a printed table has at most.
const MOST: usize = 10;

/// The norms of the items of one parameter's gradient: a row for each loss, a column for each step of use. Printed, it fits a
/// terminal: of more than ten losses or steps, ten are shown, evenly spaced.
///
/// ```
/// use rewind_rnn::lens::Table;
/// let table = Table {
///     parameter: "weight_hh".to_owned(),
///     steps: vec![Some(0), Some(1)],
///     rows: vec![vec![Some(0.5), None], vec![Some(0.025), Some(0.25)]],
///     gradient: 0.7,
/// };
/// assert_eq!(table.to_string(), "\
/// |dE_s/d weight_hh through step t|, of a gradient of norm 7.0e-1
///   E_s  t=0      t=1
///   0    5.0e-1   ·
///   1    2.5e-2   2.5e-1
/// ");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The dotted name of the parameter.
    pub parameter: String,
    /// The steps of use, one for each column.
    pub steps: Vec<Option<usize>>,
    /// The norms, one row for each loss; `None` where nothing flows.
    pub rows: Vec<Vec<Option<f64>>>,
    /// The norm of the whole gradient.
    pub gradient: f64,
}

/// At most [`MOST`] numbers below `n`, evenly spaced, with the first and the last.
pub(super) fn shown(n: usize) -> Vec<usize> {
    if n <= MOST {
        return (0..n).collect();
    }
    (0..MOST).map(|k| k * (n - 1) / (MOST - 1)).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "|dE_s/d {} through step t|, of a gradient of norm {:.1e}", self.parameter, self.gradient)?;
        let columns = shown(self.steps.len());
        let line = |f: &mut fmt::Formatter<'_>, first: &str, cells: Vec<String>| {
            let cells: Vec<String> = cells.into_iter().map(|cell| format!("{cell:<9}")).collect();
            writeln!(f, "{}", format!("  {first:<5}{}", cells.concat()).trim_end())
        };
        let name = |&k: &usize| self.steps[k].map_or("no step".to_owned(), |t| format!("t={t}"));
        line(f, "E_s", columns.iter().map(name).collect())?;
        for s in shown(self.rows.len()) {
            let cell = |&k: &usize| self.rows[s][k].map_or("·".to_owned(), |norm| format!("{norm:.1e}"));
            line(f, &s.to_string(), columns.iter().map(cell).collect())?;
        }
        Ok(())
    }
}
