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
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
    spaced(n, MOST)
}

/// At most `most` numbers below `n`, evenly spaced, with the first and the last.
pub(super) fn spaced(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    (0..most).map(|k| k * (n - 1) / (most - 1)).collect()
}

/// Named columns of text, each row with its number: as many beside each other as fit a terminal, the others below.
pub(super) fn columns(
    f: &mut fmt::Formatter<'_>,
    corner: &str,
    rows: &[usize],
    named: &[(String, Vec<String>)],
) -> fmt::Result {
    const WIDTH: usize = 70;
    let width = |(name, cells): &(String, Vec<String>)| {
        cells.iter().chain([name]).map(|cell| cell.chars().count()).max().unwrap_or(0) + 2
    };
    let mut rest = named;
    while !rest.is_empty() {
        let mut end = 0;
        let fitting = rest.iter().take_while(|column| {
            end += width(column);
            end <= WIDTH
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        let line = |f: &mut fmt::Formatter<'_>, first: &str, cells: Vec<&str>| {
            let padded = now.iter().zip(cells).map(|(column, cell)| {
                let width = width(column);
                format!("{cell:<width$}")
            });
            writeln!(f, "{}", format!("  {first:<6}{}", padded.collect::<String>()).trim_end())
        };
        line(f, corner, now.iter().map(|(name, _)| name.as_str()).collect())?;
        for (k, row) in rows.iter().enumerate() {
            line(f, &row.to_string(), now.iter().map(|(_, cells)| cells[k].as_str()).collect())?;
        }
        rest = later;
    }
    Ok(())
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
