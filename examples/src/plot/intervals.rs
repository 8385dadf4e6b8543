//! The means of repeated runs, with their intervals.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{
    Area, Axis, Drawn, GRID, HEADER, INK, LABEL, Sample, TICK, WIDTH, colour, drawable, headed, light, picture,
    shortened, style,
};
use crate::Interval;
use crate::files::WriteError;

/// Room for the names on the left and for the means on the right.
const LEFT: i32 = 250;
const RIGHT: i32 = 130;
/// The height of a row, and room for the axis.
const ROW: i32 = 56;
const FOOT: i32 = 84;

/// The runs of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeated {
    /// The model, as its row is called.
    pub name: String,
    /// The figure of each run.
    pub values: Vec<f64>,
}

/// Draws a row for each model, the first on top: a light dot for each run, a dot for their mean and a line for its 95 % interval.
/// `figure` names the axis, which begins at 0; `note` is the line under the title. Values that are not finite, or over a million, are
/// left out; a line without a bar at its end goes on beyond the axis.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn intervals(path: &Path, title: &str, note: &str, figure: &str, models: &[Repeated]) -> Result<(), WriteError> {
    let highest = models.iter().flat_map(|model| &model.values).copied().filter(|&y| drawable(y)).fold(0.0, f64::max);
    let high = if highest > 0.0 { 1.15 * highest } else { 1.0 };
    let bottom = ROW * models.len() as i32;
    picture(path, HEADER + (bottom + FOOT) as u32, |area| {
        let legend = [
            ("mean and its 95 % interval".to_owned(), colour(1), Sample::Solid),
            ("a seed".to_owned(), light(colour(1)), Sample::Dot),
        ];
        let body = headed(area, &shortened(title, 80), note, &legend)?;
        let axis = Axis::fractions(0.0, high, 8);
        let span = (LEFT, WIDTH as i32 - RIGHT);
        for (tick, text) in axis.ticks() {
            let x = axis.map(&tick, span);
            body.draw(&PathElement::new([(x, 0), (x, bottom)], GRID.stroke_width(1)))?;
            body.draw_text(&text, &style(TICK, INK, HPos::Center, VPos::Top), (x, bottom + 10))?;
        }
        let middle = i32::midpoint(span.0, span.1);
        body.draw_text(figure, &style(LABEL, INK, HPos::Center, VPos::Top), (middle, bottom + 42))?;
        for (model, y) in models.iter().zip((ROW / 2..).step_by(ROW as usize)) {
            row(&body, y, &axis, span, model)?;
        }
        Ok(())
    })
}

/// The row of a model around the height `y`.
fn row(area: &Area<'_>, y: i32, axis: &Axis, span: (i32, i32), model: &Repeated) -> Drawn {
    let x = |value: f64| axis.map(&value, span).clamp(span.0, span.1);
    area.draw_text(&shortened(&model.name, 18), &style(LABEL, INK, HPos::Right, VPos::Center), (LEFT - 18, y))?;
    let values: Vec<f64> = model.values.iter().copied().filter(|&value| drawable(value)).collect();
    if values.is_empty() {
        return Ok(());
    }
    let interval = Interval::of(&values);
    if interval.half.is_finite() {
        let ends = [interval.low(), interval.high()];
        area.draw(&PathElement::new(ends.map(|end| (x(end), y)), colour(1).stroke_width(3)))?;
        for end in ends.into_iter().filter(|end| axis.range().contains(end)) {
            area.draw(&PathElement::new([(x(end), y - 8), (x(end), y + 8)], colour(1).stroke_width(2)))?;
        }
    }
    // Below the line, so that no dot covers another's.
    for &value in &values {
        area.draw(&Circle::new((x(value), y + 14), 4, light(colour(1)).filled()))?;
    }
    area.draw(&Circle::new((x(interval.mean), y), 7, colour(1).filled()))?;
    let mean = style(LABEL, INK, HPos::Left, VPos::Center);
    Ok(area.draw_text(&format!("{:.3}", interval.mean), &mean, (span.1 + 24, y))?)
}
