//! What the table says: error rates with their intervals, and which orderings of the paper hold.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::Path;

use rewind_examples::plot::{Repeated, intervals};
use rewind_examples::{Figure, Interval, Metric, report, unwritable};

use super::finished::{Finished, Row};
use super::networks::{Entry, ORDERINGS, Ordering};

/// The file of the picture.
pub(crate) const PICTURE: &str = "table.svg";

/// Whether an ordering of the paper is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    DoesNotHold,
    NotDecided,
}

impl Verdict {
    /// By the interval of what the better network of the paper is better by.
    fn of(gain: Interval) -> Verdict {
        if gain.low() > 0.0 {
            Verdict::Holds
        } else if gain.high() < 0.0 {
            Verdict::DoesNotHold
        } else {
            Verdict::NotDecided
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::NotDecided => "not decided",
        })
    }
}

/// The trainings of the table, network by network, seed by seed.
pub(crate) struct Results<'a> {
    entries: &'a [Entry],
    rows: Vec<Vec<&'a Row>>,
}

impl<'a> Results<'a> {
    /// # Panics
    /// If one is not done.
    pub(crate) fn new(entries: &'a [Entry], seeds: &[u64], finished: &'a Finished) -> Self {
        let of = |entry: &Entry, seed: &u64| finished.of(&entry.name, *seed).expect("every training is done");
        let rows = entries.iter().map(|entry| seeds.iter().map(|seed| of(entry, seed)).collect()).collect();
        Results { entries, rows }
    }

    fn rates(&self, network: usize) -> Vec<f64> {
        self.rows[network].iter().map(|row| row.rate()).collect()
    }

    fn seeds(&self) -> usize {
        self.rows[0].len()
    }

    /// The interval of what the better network of an ordering is better by, over pairs of the same seed.
    fn gain(&self, Ordering { better, worse, .. }: &Ordering) -> Interval {
        let pairs = self.rates(*worse).into_iter().zip(self.rates(*better));
        Interval::of(&pairs.map(|(worse, better)| worse - better).collect::<Vec<_>>())
    }

    pub(crate) fn draw(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let models = self.entries.iter().enumerate();
        let models: Vec<_> =
            models.map(|(k, entry)| Repeated { name: entry.name.clone(), values: self.rates(k) }).collect();
        let note = format!("best path; Student's t over {} seeds; {} phones", self.seeds(), self.rows[0][0].phones);
        Ok(intervals(path, "Phone error rates of networks", &note, "phone error rate", &models)?)
    }

    /// Writes the table, the orderings and the figures.
    pub(crate) fn tell(&self, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
        write!(out, "{self}").map_err(unwritable)?;
        let figure = |(network, entry): (usize, &Entry)| Figure {
            name: entry.name.clone(),
            metric: Metric::Per,
            value: Interval::of(&self.rates(network)).mean,
            count: self.rows[network][0].phones,
        };
        report(&self.entries.iter().enumerate().map(figure).collect::<Vec<_>>(), out)
    }
}

/// Displays as the table and, below it, the orderings of the paper.
impl fmt::Display for Results<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{:>10}  {:>6}  {:>5}  95 % interval", "network", "parameters", "epochs", "per")?;
        for (network, entry) in self.entries.iter().enumerate() {
            let (rows, interval) = (&self.rows[network], Interval::of(&self.rates(network)));
            let epochs = rows.iter().map(|row| row.epochs as f64).sum::<f64>() / rows.len() as f64;
            let (parameters, mean) = (rows[0].parameters, interval.mean);
            writeln!(f, "{:<16}{parameters:>10}  {epochs:>6.1}  {mean:>5.3}  {interval}", entry.name)?;
        }
        for ordering in &ORDERINGS {
            let (gain, name) = (self.gain(ordering), ordering.name);
            let [better, worse] = [ordering.better, ordering.worse].map(|network| &self.entries[network].name);
            let (verdict, mean) = (Verdict::of(gain), gain.mean);
            writeln!(f, "{name}: {verdict}; the rate of {worse} minus that of {better} is {mean:.3} ({gain})")?;
        }
        let seeds = self.seeds();
        writeln!(
            f,
            "means over {seeds} seeds, with intervals of 95 % by Student's t; of differences, over pairs of a seed"
        )
    }
}

#[cfg(test)]
mod tests {
    use rewind_examples::CellKind;
    use rewind_examples::testing::Place;

    use super::*;
    use crate::model::Design;
    use crate::table::networks::networks;

    #[test]
    fn there_are_three_verdicts() {
        let verdict = |gains: &[f64]| Verdict::of(Interval::of(gains)).to_string();
        assert_eq!(verdict(&[0.10, 0.12, 0.11]), "holds");
        assert_eq!(verdict(&[-0.10, -0.12, -0.11]), "does not hold");
        // 0.10 ± 4.303 · 0.1 / √3 covers 0, though all seeds agree.
        assert_eq!(verdict(&[0.10, 0.20, 0.01]), "not decided");
        assert_eq!(verdict(&[0.0, 0.0]), "not decided");
        assert_eq!(verdict(&[0.3]), "not decided");
    }

    /// The results of three seeds with these edits in 100 phones, network by network.
    fn told(edits: [[usize; 3]; 5]) -> String {
        let (place, seeds) = (Place::new(), [1, 2, 3]);
        let design = Design { cell: CellKind::Lstm, layers: 3, hidden: 8, one_way: false, dropout: 0.0, gain: 1.0 };
        let entries = networks(design);
        let mut finished = Finished::read(place.at("table.tsv").into(), String::new()).unwrap();
        for (entry, edits) in entries.iter().zip(edits) {
            for (seed, edits) in (1..).zip(edits) {
                let (network, parameters) = (entry.name.clone(), entry.design.parameters());
                finished.add(Row { network, seed, parameters, epochs: 10, edits, phones: 100 }).unwrap();
            }
        }
        let mut out = Vec::new();
        Results::new(&entries, &seeds, &finished).tell(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_ordering_is_judged_over_pairs_of_a_seed() {
        // The rates of the last two networks overlap, but not seed by seed.
        let told = told([[10, 12, 11], [9, 9, 9], [20, 22, 21], [12, 32, 22], [10, 30, 19]]);
        let verdicts: Vec<_> = told.lines().filter(|line| line.contains("minus")).collect();
        assert_eq!(
            verdicts,
            [
                "one LSTM layer before three tanh layers: does not hold; the rate of 3l-20h-tanh minus that of 1l-11h is \
                 -0.100 (-0.100 to -0.100)",
                "three layers before one: not decided; the rate of 1l-11h minus that of 3l-8h is 0.013 (-0.211 to 0.237)",
                "both directions before one: holds; the rate of 3l-15h-uni minus that of 3l-8h is 0.023 (0.009 to 0.038)",
            ]
        );
        assert!(told.ends_with("3l-8h test per 0.197 (n=100)\n"), "{told}");
    }
}
