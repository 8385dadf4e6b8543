//! Loss and accuracy against the epoch.

use std::path::Path;

use plotters::prelude::*;

use super::PlotError;
use super::canvas::{
    Area, Axis, Drawn, FONT, GRID, INK, LABEL, Sample, TICK, WIDTH, colour, drawable, legend, light, picture, runs,
    title, whole_ticks,
};

const HEIGHT: u32 = 620;
const HEADER: u32 = 130;

/// What a model's training recorded, one number an epoch. Values that are not finite, or over a million, leave a
/// gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LearningCurve {
    /// The model, as the legend calls it.
    pub(crate) name: String,
    /// Mean loss in nats on the training part.
    pub(crate) train_loss: Vec<f64>,
    /// Mean loss in nats on the test part.
    pub(crate) test_loss: Vec<f64>,
    /// Share of right answers on the training part, 0 to 1.
    pub(crate) train_accuracy: Vec<f64>,
    /// Share of right answers on the test part, 0 to 1.
    pub(crate) test_accuracy: Vec<f64>,
}

/// Draws loss (left) and accuracy (right) against the epoch, a colour for each model, the training part dashed and
/// light, the test part solid, into the PNG file `path`. `note` is the small line under the title.
///
/// # Errors
///
/// [`PlotError::Unwritable`] if the file cannot be written; an old one is then as it was.
pub(crate) fn learning_curves(path: &Path, note: &str, curves: &[LearningCurve]) -> Result<(), PlotError> {
    picture(path, HEIGHT, |area| {
        title(area, "Learning curves", note)?;
        let mut entries: Vec<_> =
            curves.iter().enumerate().map(|(i, curve)| (curve.name.clone(), colour(i), Sample::Solid)).collect();
        entries.push(("test part".to_owned(), INK, Sample::Solid));
        entries.push(("training part".to_owned(), light(INK), Sample::Dashed));
        legend(area, (28, HEADER as i32 - 24), &entries)?;

        let (_, body) = area.split_vertically(HEADER);
        let (left, right) = body.split_horizontally(WIDTH / 2);
        let loss: Vec<_> = curves.iter().map(|c| (&c.train_loss[..], &c.test_loss[..])).collect();
        let accuracy: Vec<_> = curves.iter().map(|c| (&c.train_accuracy[..], &c.test_accuracy[..])).collect();
        let highest = loss.iter().flat_map(|(train, test)| train.iter().chain(*test));
        let highest = highest.copied().filter(|&y| drawable(y)).fold(0.0, f64::max);
        panel(&left, "cross-entropy (nats)", if highest > 0.0 { 1.05 * highest } else { 1.0 }, &loss)?;
        panel(&right, "accuracy", 1.0, &accuracy)
    })
}

/// One set of axes from (0, 0), with the training and the test series of each model.
fn panel(area: &Area<'_>, y_label: &str, top: f64, series: &[(&[f64], &[f64])]) -> Drawn {
    let epochs = series.iter().map(|(train, test)| train.len().max(test.len())).max().unwrap_or(0).max(1);
    let ticks = whole_ticks(0, epochs as i64, 10);
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(28)
        .margin_bottom(12)
        .margin_top(8)
        .x_label_area_size(58)
        .y_label_area_size(76)
        .build_cartesian_2d(Axis { low: 0.0, high: epochs as f64, ticks }, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc("epoch")
        .y_desc(y_label)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_labels(6)
        .y_label_formatter(&|y| format!("{y:.*}", if top > 10.0 { 0 } else { 1 + usize::from(top < 0.6) }))
        .label_style((FONT, TICK).into_font().color(&INK))
        .axis_desc_style((FONT, LABEL).into_font().color(&INK))
        .draw()?;
    for (index, (train, _)) in series.iter().enumerate() {
        let pale = light(colour(index));
        for run in runs(train, 1) {
            chart.draw_series(run.iter().filter(|_| run.len() == 1).map(|&at| Circle::new(at, 3, pale.filled())))?;
            chart.draw_series(DashedLineSeries::new(run, 8, 5, pale.stroke_width(2)))?;
        }
    }
    // The test part is drawn last, over the training part.
    for (index, (_, test)) in series.iter().enumerate() {
        let strong = colour(index);
        for run in runs(test, 1) {
            chart.draw_series(run.iter().filter(|_| run.len() == 1).map(|&at| Circle::new(at, 4, strong.filled())))?;
            chart.draw_series(LineSeries::new(run, strong.stroke_width(3)))?;
        }
    }
    Ok(())
}
