//! The learning curves as an SVG picture: a column for each task, a row for each length. A line is the median of the
//! seeds; a dot is a seed that has learnt.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::cells::CellKind;
use crate::distinct;
use crate::repeats::Repeats;
use crate::tasks::{Problem, Task};
use crate::train::LEARNT;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error + Send + Sync>>;

const PANEL_WIDTH: u32 = 420;
const PANEL_HEIGHT: u32 = 330;
const HEADER: u32 = 70;
const MARKS: &str = "line: median of the seeds; dot: a seed that has learnt; dashed: 95 %, and without memory";
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(34, 34, 34);
const PALE_INK: RGBColor = RGBColor(120, 120, 120);
const GRID: RGBColor = RGBColor(226, 226, 226);

/// Okabe and Ito's colours.
fn colour(cell: CellKind) -> RGBColor {
    match cell {
        CellKind::Tanh => RGBColor(90, 90, 90),
        CellKind::Irnn => RGBColor(204, 121, 167),
        CellKind::Lstm => RGBColor(213, 94, 0),
        CellKind::Gru => RGBColor(0, 114, 178),
        CellKind::Slstm => RGBColor(0, 158, 115),
        CellKind::Minlstm => RGBColor(230, 159, 0),
    }
}

/// The picture as SVG text.
pub(crate) fn draw(repeats: &[Repeats<'_>]) -> Result<String, Box<dyn Error>> {
    let problems = distinct(repeats.iter().map(|r| r.job().problem));
    let tasks = distinct(problems.iter().map(|problem| problem.task));
    let column = |&task: &Task| problems.iter().copied().filter(|problem| problem.task == task).collect();
    let columns: Vec<Vec<Problem>> = tasks.iter().map(column).collect();
    let rows = columns.iter().map(Vec::len).max().unwrap_or(1);
    // A single panel is as wide as two, so that the legend has room.
    let width = PANEL_WIDTH * columns.len().max(2) as u32;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, HEADER + PANEL_HEIGHT * rows as u32)).into_drawing_area();
        let whole = || -> Drawn {
            area.fill(&WHITE)?;
            let (header, body) = area.split_vertically(HEADER);
            legend(&header, repeats)?;
            for (problems, column) in columns.iter().zip(body.split_evenly((1, columns.len()))) {
                for (&problem, panel) in problems.iter().zip(column.split_evenly((rows, 1))) {
                    curves(&panel, problem, repeats)?;
                }
            }
            Ok(area.present()?)
        };
        whole().map_err(|error| format!("cannot draw the picture: {error}"))?;
    }
    Ok(svg)
}

/// The colours of the cells, and what the marks mean.
fn legend(area: &Area<'_>, repeats: &[Repeats<'_>]) -> Drawn {
    let text = (FONT, 19).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = 28;
    for cell in distinct(repeats.iter().map(|r| r.job().cell)) {
        area.draw(&Rectangle::new([(x, 19), (x + 30, 22)], colour(cell).filled()))?;
        area.draw_text(cell.name(), &text, (x + 38, 20))?;
        x += 38 + area.estimate_text_size(cell.name(), &text)?.0 as i32 + 28;
    }
    let text = (FONT, 16).into_font().color(&PALE_INK).pos(Pos::new(HPos::Left, VPos::Center));
    Ok(area.draw_text(MARKS, &text, (28, 50))?)
}

/// The curves of one task at one length.
fn curves(area: &Area<'_>, problem: Problem, repeats: &[Repeats<'_>]) -> Drawn {
    let here = || repeats.iter().filter(|r| r.job().problem == problem);
    let last = |r: &Repeats<'_>| r.trainings().iter().filter_map(|t| t.curve.last()).map(|(step, _)| *step).max();
    let end = here().filter_map(last).max().unwrap_or(1).max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(problem.name(), (FONT, 20).into_font().color(&INK))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..end, 0.0..1.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(5)
        .y_labels(6)
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc("training steps")
        .y_desc("share right")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .label_style((FONT, 16).into_font().color(&INK))
        .draw()?;
    for level in [LEARNT, problem.baseline()] {
        chart.draw_series(DashedLineSeries::new([(0.0, level), (end, level)], 6, 5, PALE_INK.stroke_width(1)))?;
    }
    for repeats in here() {
        let colour = colour(repeats.job().cell);
        let median = repeats.curve().into_iter().map(|(step, share)| (step as f64, share));
        chart.draw_series(LineSeries::new(median, colour.stroke_width(2)))?;
        let ends = repeats.trainings().iter().filter_map(|t| t.curve.last()).filter(|(_, share)| *share >= LEARNT);
        for &(step, share) in ends {
            // A white rim keeps dots apart that overlap.
            let dot = |radius, colour: RGBColor| Circle::new((step as f64, share), radius, colour.filled());
            chart.draw_series([dot(6, WHITE), dot(4, colour)])?;
        }
    }
    Ok(())
}
