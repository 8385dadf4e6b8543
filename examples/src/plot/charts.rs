//! What is drawn against time: learning curves, norms of gradients, probabilities.

use std::path::Path;

use plotters::prelude::*;

use super::canvas::{
    Area, Axis, Drawn, INK, Sample, WIDTH, axes, colour, drawable, headed, light, picture, series, shortened,
};
use crate::files::WriteError;
use crate::{History, Metric};

/// Draws loss (left) and figure (right) against the epoch, the training part dashed and light, the test part solid.
/// Bits are the loss in another unit and are drawn alone. Values that are not finite, or over a million, leave a gap.
/// `note` is the line under the title.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn learning_curves(path: &Path, note: &str, curves: &[History]) -> Result<(), WriteError> {
    let metric = curves.first().map_or(Metric::Accuracy, |curve| curve.metric);
    picture(path, 620, |area| {
        let mut legend: Vec<_> =
            curves.iter().enumerate().map(|(i, curve)| (curve.name.clone(), colour(i), Sample::Solid)).collect();
        legend.push(("test part".to_owned(), INK, Sample::Solid));
        legend.push(("training part".to_owned(), light(INK), Sample::Dashed));
        let body = headed(area, "Learning curves", note, &legend)?;
        let loss: Vec<_> = curves.iter().map(|c| (&c.train_loss[..], &c.test_loss[..])).collect();
        let figures: Vec<_> = curves.iter().map(|c| (&c.train_figure[..], &c.test_figure[..])).collect();
        match metric {
            Metric::Bits => panel(&body, "bits", above(&figures), &figures),
            Metric::Accuracy | Metric::Exact | Metric::Bleu | Metric::Per => {
                let (left, right) = body.split_horizontally(WIDTH / 2);
                panel(&left, "cross-entropy (nats)", above(&loss), &loss)?;
                let top = if metric == Metric::Per { above(&figures).max(1.0) } else { 1.0 };
                panel(&right, metric.name(), top, &figures)
            }
        }
    })
}

/// A little above the highest value that can be drawn; 1 if there is none.
fn above(models: &[(&[f64], &[f64])]) -> f64 {
    let all = models.iter().flat_map(|(train, test)| train.iter().chain(*test));
    let highest = all.copied().filter(|&y| drawable(y)).fold(0.0, f64::max);
    if highest > 0.0 { 1.05 * highest } else { 1.0 }
}

/// One pair of axes from (0, 0), with the training and the test series of each model.
fn panel(area: &Area<'_>, name: &str, top: f64, models: &[(&[f64], &[f64])]) -> Drawn {
    let epochs = models.iter().map(|(train, test)| train.len().max(test.len())).max().unwrap_or(0).max(1);
    let x = Axis::whole(0.0, epochs as f64, 10);
    let mut chart = axes(area, ("epoch", x), (name, Axis::fractions(0.0, top, 8)))?;
    for (index, (train, _)) in models.iter().enumerate() {
        series(&mut chart, train, 1, light(colour(index)).stroke_width(2), Sample::Dashed)?;
    }
    // The test part is drawn last, over the training part.
    for (index, (_, test)) in models.iter().enumerate() {
        series(&mut chart, test, 1, colour(index).stroke_width(3), Sample::Solid)?;
    }
    Ok(())
}

/// What a model's backward pass over one piece gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientNorms {
    /// The model, as the legend calls it.
    pub name: String,
    /// `[T]`: the Euclidean norm of the loss's gradient with respect to the hidden state of each time step.
    pub norms: Vec<f64>,
}

/// Draws the norms against the time step, on a logarithmic axis. A norm of exactly 0, which has no logarithm, is a
/// triangle on the lower edge; one that is not finite is a cross on the upper edge. `note` is the line under the title; `unit`
/// is what a time step is, such as `characters`.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn gradient_norms(path: &Path, note: &str, unit: &str, models: &[GradientNorms]) -> Result<(), WriteError> {
    let all = || models.iter().flat_map(|model| &model.norms);
    let (low, high) = decades(all().map(|norm| norm.log10()));
    let steps = models.iter().map(|model| model.norms.len()).max().unwrap_or(0).max(2) - 1;
    picture(path, 680, |area| {
        let mut legend: Vec<_> =
            models.iter().enumerate().map(|(i, model)| (model.name.clone(), colour(i), Sample::Solid)).collect();
        if all().any(|&norm| norm == 0.0) {
            legend.push(("exactly 0".to_owned(), INK, Sample::Triangle));
        }
        if all().any(|norm| !norm.is_finite()) {
            legend.push(("not finite".to_owned(), INK, Sample::Cross));
        }
        let body =
            headed(area, "Norm of the gradient with respect to the hidden state of each time step", note, &legend)?;
        let x_name = format!("time step t ({unit}); the loss is taken after the last one");
        let x = (&*x_name, Axis::whole(0.0, steps as f64, 10));
        let y = ("‖∂E/∂h(t)‖", Axis::whole(low, high, 10).written(|exponent, _| power_of_ten(exponent)));
        let mut chart = axes(&body, x, y)?;
        for (index, model) in models.iter().enumerate() {
            let colour = colour(index);
            let logs: Vec<_> = model.norms.iter().map(|norm| norm.log10()).collect();
            series(&mut chart, &logs, 0, colour.stroke_width(2), Sample::Solid)?;
            let steps = || (0u32..).map(f64::from).zip(&model.norms);
            let zeros = steps().filter(|&(_, norm)| *norm == 0.0);
            chart.draw_series(zeros.map(|(t, _)| TriangleMarker::new((t, low), -7, colour.filled())))?;
            let odd = steps().filter(|(_, norm)| !norm.is_finite());
            chart.draw_series(odd.map(|(t, _)| Cross::new((t, high), 5, colour.stroke_width(2))))?;
        }
        Ok(())
    })
}

/// The powers of ten around the finite values; one decade if there are none.
fn decades(logs: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = logs
        .filter(|log| log.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(log), high.max(log)));
    if low > high {
        return (-1.0, 0.0);
    }
    let (low, high) = (low.floor(), high.ceil());
    (low, if high > low { high } else { low + 1.0 })
}

/// `10⁻³` and the like.
fn power_of_ten(exponent: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    format!("10{}", format!("{exponent:.0}").chars().map(raised).collect::<String>())
}

/// Draws the probability of each class against the time step. `excerpts` are the parts of the sequence,
/// `[steps][C]` each; a dashed line stands where one begins. `note` is the line under the title; `unit` is what a time
/// step is.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn probabilities(
    path: &Path,
    name: &str,
    note: &str,
    unit: &str,
    classes: &[String],
    excerpts: &[Vec<&[f32]>],
) -> Result<(), WriteError> {
    let steps = excerpts.iter().map(|excerpt| excerpt.len()).sum::<usize>().max(2);
    picture(path, 520, |area| {
        let title = shortened(&format!("What {name} is, had it ended at this step"), 80);
        let legend: Vec<_> =
            classes.iter().enumerate().map(|(c, class)| (shortened(class, 20), colour(c), Sample::Solid)).collect();
        let body = headed(area, &title, note, &legend)?;
        let x_name = format!("time step ({unit})");
        let x = (&*x_name, Axis::whole(1.0, steps as f64, 10));
        let mut chart = axes(&body, x, ("probability", Axis::fractions(0.0, 1.0, 8)))?;
        let mut first = 1;
        for (number, excerpt) in excerpts.iter().enumerate() {
            if number > 0 {
                let border = vec![(first as f64, 0.0), (first as f64, 1.0)];
                chart.draw_series(DashedLineSeries::new(border, 5, 5, light(INK).stroke_width(1)))?;
            }
            for class in 0..classes.len() {
                let values: Vec<_> = excerpt.iter().map(|row| f64::from(row[class])).collect();
                series(&mut chart, &values, first, colour(class).stroke_width(2), Sample::Solid)?;
            }
            first += excerpt.len();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_surround_the_finite_values() {
        assert_eq!(decades([-2.5, f64::NEG_INFINITY, 0.3, f64::NAN].into_iter()), (-3.0, 1.0));
        assert_eq!(decades([-2.0].into_iter()), (-2.0, -1.0));
        assert_eq!(decades([f64::NAN].into_iter()), (-1.0, 0.0));
    }

    #[test]
    fn exponents_are_raised() {
        assert_eq!([0.0, -12.0, 3.0].map(power_of_ten), ["10⁰", "10⁻¹²", "10³"]);
    }
}
