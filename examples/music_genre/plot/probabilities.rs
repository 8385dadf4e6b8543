//! The probability of each class from step to step of one score.

use std::path::Path;

use plotters::prelude::*;

use super::PlotError;
use super::canvas::{
    Axis, FONT, GRID, INK, LABEL, Sample, TICK, colour, legend, light, picture, shortened, title, whole_ticks,
};
use crate::evaluate::Moment;

const HEIGHT: u32 = 520;
const HEADER: u32 = 130;

/// Draws the probability of each class against the time step, a colour for each class and a dashed line where an excerpt
/// begins, into the PNG file `path`. `note` is the small line under the title.
///
/// # Errors
///
/// [`PlotError::Unwritable`] if the file cannot be written; an old one is then as it was.
pub(crate) fn probabilities(
    path: &Path,
    name: &str,
    note: &str,
    classes: &[String],
    moments: &[Moment],
) -> Result<(), PlotError> {
    let steps = moments.len().max(2);
    picture(path, HEIGHT, |area| {
        title(area, &shortened(&format!("What {name} is, had it ended at this step"), 80), note)?;
        let entries: Vec<_> =
            classes.iter().enumerate().map(|(c, class)| (shortened(class, 20), colour(c), Sample::Solid)).collect();
        legend(area, (28, HEADER as i32 - 24), &entries)?;
        let (_, body) = area.split_vertically(HEADER);
        let ticks = whole_ticks(1, steps as i64, 10);
        let mut chart = ChartBuilder::on(&body)
            .margin_left(16)
            .margin_right(36)
            .margin_bottom(12)
            .margin_top(12)
            .x_label_area_size(58)
            .y_label_area_size(76)
            .build_cartesian_2d(Axis { low: 1.0, high: steps as f64, ticks }, 0.0..1.0)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_desc("time step (sixteenth notes)")
            .y_desc("probability")
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_labels(6)
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style((FONT, TICK).into_font().color(&INK))
            .axis_desc_style((FONT, LABEL).into_font().color(&INK))
            .draw()?;
        let excerpts: Vec<_> = moments.chunk_by(|a, b| a.excerpt == b.excerpt).collect();
        let mut first = 1;
        for (number, excerpt) in excerpts.iter().enumerate() {
            if number > 0 {
                let border = vec![(f64::from(first), 0.0), (f64::from(first), 1.0)];
                chart.draw_series(DashedLineSeries::new(border, 5, 5, light(INK).stroke_width(1)))?;
            }
            for class in 0..classes.len() {
                let points: Vec<_> =
                    (first..).map(f64::from).zip(excerpt.iter().map(|m| f64::from(m.probabilities[class]))).collect();
                if let [point] = points[..] {
                    chart.draw_series([Circle::new(point, 3, colour(class).filled())])?;
                }
                chart.draw_series(LineSeries::new(points, colour(class).stroke_width(2)))?;
            }
            first += excerpt.len() as u32;
        }
        Ok(())
    })
}
