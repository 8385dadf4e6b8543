//! What a training measures from epoch to epoch, and its table.

use std::fmt::Write as _;
use std::path::Path;

use rewind_autograd::Scalar;
use rewind_rnn::resume::{Commit, Part, Saved};

use crate::Metric;
use crate::files::{WriteError, write_whole};

/// The loss and the figure of a model on the training part and on the test part, one value an epoch.
///
/// The means over the training part are gathered from step to step. A run saves them, so that a resumed one draws whole
/// curves.
///
/// ```
/// use rewind_examples::{History, Metric};
///
/// let mut history = History::new("gru", Metric::Accuracy);
/// history.add(4.0, 1.0, 4); // the sums over a batch of 4: of the losses, and of what is right
/// history.add(1.0, 1.0, 1);
/// assert_eq!(history.train_means(), [1.0, 0.4]);
/// history.end_epoch([1.5, 0.25]);
/// assert_eq!((&history.train_loss[..], &history.test_figure[..]), (&[1.0][..], &[0.25][..]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The model, as the legend calls it.
    pub name: String,
    /// What the figure is.
    pub metric: Metric,
    /// Mean loss in nats on the training part.
    pub train_loss: Vec<f64>,
    /// Mean loss in nats on the test part.
    pub test_loss: Vec<f64>,
    /// The figure on the training part.
    pub train_figure: Vec<f64>,
    /// The figure on the test part.
    pub test_figure: Vec<f64>,
    /// Of the epoch that is not at its end: the sums of losses and figures, and over how many.
    sums: [f64; 2],
    count: u64,
}

impl History {
    /// Before the first epoch.
    pub fn new(name: &str, metric: Metric) -> Self {
        let [train_loss, test_loss, train_figure, test_figure] = [const { Vec::new() }; 4];
        let name = name.to_owned();
        History { name, metric, train_loss, test_loss, train_figure, test_figure, sums: [0.0; 2], count: 0 }
    }

    /// Adds the sums over the `count` items of a step.
    pub fn add(&mut self, loss: f64, figure: f64, count: usize) {
        self.sums = [self.sums[0] + loss, self.sums[1] + figure];
        self.count += count as u64;
    }

    /// The mean loss and figure of this epoch so far.
    pub fn train_means(&self) -> [f64; 2] {
        self.sums.map(|sum| sum / self.count as f64)
    }

    /// Ends an epoch: `tested` are the loss and the figure on the test part.
    pub fn end_epoch(&mut self, tested: [f64; 2]) {
        let trained = self.train_means();
        let series = [&mut self.train_loss, &mut self.train_figure, &mut self.test_loss, &mut self.test_figure];
        for (series, value) in series.into_iter().zip([trained, tested].concat()) {
            series.push(value);
        }
        (self.sums, self.count) = ([0.0; 2], 0);
    }

    /// The epochs that are done.
    pub fn epochs(&self) -> usize {
        self.test_loss.len()
    }

    fn series(&self) -> [(&'static str, &Vec<f64>); 4] {
        [
            ("train_loss", &self.train_loss),
            ("train_figure", &self.train_figure),
            ("test_loss", &self.test_loss),
            ("test_figure", &self.test_figure),
        ]
    }
}

/// `{:?}` writes the shortest text that reads back to the same number.
fn joined(series: &[f64]) -> String {
    series.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(" ")
}

impl<T: Scalar> Part<T> for History {
    fn saved(&self) -> Saved<T> {
        let mut saved = Saved::new("History").setting("name", &self.name).setting("metric", self.metric.name());
        for (name, series) in self.series() {
            saved.values.insert(name.to_owned(), joined(series));
        }
        saved.values.insert("sums".to_owned(), joined(&self.sums));
        saved.value("count", self.count)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> rewind_rnn::Result<Commit<'a>> {
        let numbers = |name: &str| {
            let text = saved.values.get(name).map(|text| text.split_whitespace().map(str::parse).collect());
            let numbers: Option<Result<Vec<f64>, _>> = text;
            numbers.and_then(Result::ok).ok_or_else(|| saved.damaged(name, "numbers"))
        };
        let [train_loss, train_figure, test_loss, test_figure] = {
            let read = self.series().map(|(name, _)| numbers(name));
            let [a, b, c, d] = read;
            [a?, b?, c?, d?]
        };
        let epochs = test_loss.len();
        if [&train_loss, &train_figure, &test_figure].iter().any(|series| series.len() != epochs) {
            return Err(saved.damaged("test_figure", "as many numbers as `train_loss`"));
        }
        let sums = numbers("sums")?.try_into().map_err(|_| saved.damaged("sums", "two numbers"))?;
        let History { name, metric, .. } = self.clone();
        let count = saved.count("count")?;
        let new = History { name, metric, train_loss, test_loss, train_figure, test_figure, sums, count };
        Ok(Box::new(move || *self = new))
    }
}

/// The name of the table of a run.
pub const TABLE: &str = "metrics.csv";

/// Writes [`TABLE`] into `folder`: a row for every epoch of every model, with losses in nats. What was only tested, such
/// as the baseline, has a row without an epoch.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn write_table(folder: &Path, tested: &[(&str, [f64; 2])], histories: &[History]) -> Result<(), WriteError> {
    let metric = histories.first().map_or("figure", |history| history.metric.name());
    let mut table = format!("model,epoch,train_loss,train_{metric},test_loss,test_{metric}\n");
    for (name, [loss, figure]) in tested {
        let _ = writeln!(table, "{name},,,,{loss:.6},{figure:.6}");
    }
    for history in histories {
        for epoch in 0..history.epochs() {
            let values = history.series().map(|(_, series)| format!("{:.6}", series[epoch]));
            let _ = writeln!(table, "{},{},{}", history.name, epoch + 1, values.join(","));
        }
    }
    write_whole(&folder.join(TABLE), table.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::new("gru", Metric::Accuracy);
        history.add(0.1 + 0.2, 1.0, 3);
        history.end_epoch([f64::NAN, 1.0 / 3.0]);
        history.add(7.7, 2.0, 5);
        history
    }

    #[test]
    fn a_history_is_saved_to_the_last_bit() {
        let saved = Part::<f32>::saved(&history());
        let mut other = History::new("gru", Metric::Accuracy);
        Part::<f32>::resume(&mut other, &saved).unwrap()();
        assert_eq!(format!("{other:?}"), format!("{:?}", history()));
    }

    #[test]
    fn a_damaged_history_changes_nothing() {
        let good = Part::<f32>::saved(&history());
        let mut other = History::new("gru", Metric::Accuracy);
        for (name, text, expected) in [
            ("sums", "1", "`sums` is \"1\"; expected two numbers"),
            ("train_loss", "x", "`train_loss` is \"x\"; expected numbers"),
            ("test_figure", "", "expected as many numbers as `train_loss`"),
            ("count", "-1", "`count` is \"-1\"; expected a number"),
            ("count", "9223372036854775808", "expected a count below 2^63"),
        ] {
            let mut saved = good.clone();
            saved.values.insert(name.to_owned(), text.to_owned());
            let error = Part::<f32>::resume(&mut other, &saved).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(other, History::new("gru", Metric::Accuracy));
    }

    #[test]
    fn the_table_has_a_row_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        write_table(folder.path(), &[("baseline", [0.5, 0.25])], &[history()]).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join(TABLE)).unwrap(),
            "model,epoch,train_loss,train_accuracy,test_loss,test_accuracy\n\
             baseline,,,,0.500000,0.250000\n\
             gru,1,0.100000,0.333333,NaN,0.333333\n"
        );
    }
}
