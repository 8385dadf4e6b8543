//! The norm of the gradient at every time step: what the lecture calls vanishing, on real data.

use std::path::Path;

use plotters::prelude::*;

use super::PlotError;
use super::canvas::{Axis, FONT, GRID, INK, LABEL, Sample, TICK, colour, legend, picture, runs, title, whole_ticks};

const HEIGHT: u32 = 680;
const HEADER: u32 = 130;

/// What a model's backward pass over one piece left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GradientNorms {
    /// The model, as the legend calls it.
    pub(crate) name: String,
    /// `[T]`: the Euclidean norm of the loss's gradient with respect to the hidden state of each time step.
    pub(crate) norms: Vec<f64>,
}

/// Draws the norms against the time step, on a logarithmic axis, a colour for each model, into the PNG file `path`.
/// `note` is the small line under the title: which piece, how long, which loss.
///
/// A norm of exactly 0, which has no logarithm, is a triangle on the lower edge; one that is not finite is a cross on
/// the upper edge.
///
/// # Errors
///
/// [`PlotError::Unwritable`] if the file cannot be written; an old one is then as it was.
pub(crate) fn gradient_norms(path: &Path, note: &str, models: &[GradientNorms]) -> Result<(), PlotError> {
    let logs: Vec<Vec<f64>> =
        models.iter().map(|model| model.norms.iter().map(|norm| norm.log10()).collect()).collect();
    let (low, high) = decades(logs.iter().flatten().copied());
    let steps = models.iter().map(|model| model.norms.len()).max().unwrap_or(0).max(2) - 1;
    let all = || models.iter().flat_map(|model| &model.norms);
    let any_zero = all().any(|&norm| norm == 0.0);
    let any_odd = all().any(|norm| !norm.is_finite());

    picture(path, HEIGHT, |area| {
        title(area, "Norm of the gradient with respect to the hidden state of each time step", note)?;
        let mut entries: Vec<_> =
            models.iter().enumerate().map(|(i, model)| (model.name.clone(), colour(i), Sample::Solid)).collect();
        if any_zero {
            entries.push(("exactly 0".to_owned(), INK, Sample::Triangle));
        }
        if any_odd {
            entries.push(("not finite".to_owned(), INK, Sample::Cross));
        }
        legend(area, (28, HEADER as i32 - 24), &entries)?;

        let (_, body) = area.split_vertically(HEADER);
        let x_ticks = whole_ticks(0, steps as i64, 10);
        let y_ticks = whole_ticks(low as i64, high as i64, 10);
        let mut chart = ChartBuilder::on(&body)
            .margin_left(16)
            .margin_right(36)
            .margin_bottom(12)
            .margin_top(12)
            .x_label_area_size(58)
            .y_label_area_size(96)
            .build_cartesian_2d(
                Axis { low: 0.0, high: steps as f64, ticks: x_ticks },
                Axis { low, high, ticks: y_ticks },
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_desc("time step t (sixteenth notes); the loss is taken after the last one")
            .y_desc("‖∂E/∂h(t)‖")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| power_of_ten(*y as i32))
            .label_style((FONT, TICK).into_font().color(&INK))
            .axis_desc_style((FONT, LABEL).into_font().color(&INK))
            .draw()?;
        for (index, (model, logs)) in models.iter().zip(&logs).enumerate() {
            let colour = colour(index);
            for run in runs(logs, 0) {
                chart.draw_series(
                    run.iter().filter(|_| run.len() == 1).map(|&at| Circle::new(at, 3, colour.filled())),
                )?;
                chart.draw_series(LineSeries::new(run, colour.stroke_width(2)))?;
            }
            let steps = || (0u32..).map(f64::from).zip(&model.norms);
            let zeros = steps().filter(|&(_, norm)| *norm == 0.0);
            chart.draw_series(zeros.map(|(t, _)| TriangleMarker::new((t, low), -7, colour.filled())))?;
            let odd = steps().filter(|(_, norm)| !norm.is_finite());
            chart.draw_series(odd.map(|(t, _)| Cross::new((t, high), 5, colour.stroke_width(2))))?;
        }
        Ok(())
    })
}

/// The powers of ten around the finite values; a decade if there are none.
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
fn power_of_ten(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = exponent
        .to_string()
        .chars()
        .map(|c| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]))
        .collect::<String>();
    format!("10{raised}")
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
        assert_eq!([0, -12, 3].map(power_of_ten), ["10⁰", "10⁻¹²", "10³"]);
    }
}
