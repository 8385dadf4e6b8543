//! The pictures, as SVG and DOT text.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use rewind_rnn::lens::{Descent, Surface};

use crate::Results;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error + Send + Sync>>;

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(34, 34, 34);
const GRID: RGBColor = RGBColor(226, 226, 226);
/// Of Okabe and Ito's colours: the tanh-RNN, and what is not clipped; the LSTM, and what is.
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const BLUE: RGBColor = RGBColor(0, 114, 178);

/// Every picture with the name of its file.
pub(crate) fn draw(results: &Results) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let rows = |rows: &[Vec<Option<f64>>]| -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.iter().map(|norm| norm.unwrap_or(0.0)).collect()).collect()
    };
    let (table, [tanh, lstm]) = (rows(&results.table.rows), &results.influences);
    Ok(vec![
        ("unrolled.dot", results.graph.unrolled.clone()),
        ("rolled.dot", results.graph.rolled.clone()),
        (
            "items.svg",
            svg((560, 470), |area| map(area, "|dE_s/dU through step t|", ["t, step of use", "s, loss"], &table))?,
        ),
        ("flow.svg", svg((720, 420), |area| flow(area, results))?),
        (
            "influence.svg",
            svg((1000, 470), |area| {
                let halves = area.split_evenly((1, 2));
                let axes = ["t, input", "s, output"];
                map(&halves[0], "tanh-RNN: |∂y_s/∂x_t|", axes, &tanh.norms)?;
                map(&halves[1], "LSTM: |∂y_s/∂x_t|", axes, &lstm.norms)
            })?,
        ),
        ("cliff.svg", svg((760, 560), |area| cliff(area, &results.surface))?),
        ("truncation.svg", svg((720, 420), |area| truncation(area, results))?),
    ])
}

fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let whole = || -> Drawn {
            area.fill(&WHITE)?;
            draw(&area)?;
            Ok(area.present()?)
        };
        whole().map_err(|error| format!("cannot draw a picture: {error}"))?;
    }
    Ok(text)
}

/// From pale to dark blue, by lightness alone, in 32 steps: for share 0 to 1.
fn shade(share: f64) -> RGBColor {
    let share = (share.clamp(0.0, 1.0) * 31.0).round() / 31.0;
    let mix = |from: f64, to: f64| (from + (to - from) * share) as u8;
    RGBColor(mix(247.0, 8.0), mix(251.0, 48.0), mix(255.0, 107.0))
}

/// Neighbours of one colour: first, end and colour of each run, without white ones.
fn runs(colours: &[RGBColor]) -> Vec<(usize, usize, RGBColor)> {
    let mut runs: Vec<(usize, usize, RGBColor)> = Vec::new();
    for (k, &colour) in colours.iter().enumerate() {
        match runs.last_mut() {
            Some((_, end, own)) if *own == colour => *end = k + 1,
            _ => runs.push((k, k + 1, colour)),
        }
    }
    runs.retain(|(_, _, colour)| *colour != WHITE);
    runs
}

/// How many powers of ten a map shows below its largest value.
const DECADES: f64 = 6.0;

fn font(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// Norms as shades on a logarithmic scale, the first row on top, with a key.
fn map(area: &Area<'_>, title: &str, [across, down]: [&str; 2], rows: &[Vec<f64>]) -> Drawn {
    let largest = rows.iter().flatten().copied().fold(0.0, f64::max);
    let (height, width) = (rows.len() as f64, rows.first().map_or(0, Vec::len) as f64);
    let (body, key) = area.split_horizontally(area.dim_in_pixel().0 - 90);
    let mut chart = ChartBuilder::on(&body)
        .caption(title, font(20))
        .margin(10)
        .x_label_area_size(46)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.5..width - 0.5, height - 0.5..-0.5)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(INK)
        .x_desc(across)
        .y_desc(down)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(font(16))
        .draw()?;
    let fill = |&norm: &f64| {
        let share = if norm > 0.0 { 1.0 + (norm / largest).log10() / DECADES } else { -1.0 };
        if share < 0.0 { WHITE } else { shade(share) }
    };
    for (s, row) in rows.iter().enumerate() {
        for (start, end, fill) in runs(&row.iter().map(fill).collect::<Vec<_>>()) {
            let corners = [(start as f64 - 0.5, s as f64 - 0.5), (end as f64 - 0.5, s as f64 + 0.5)];
            chart.draw_series([Rectangle::new(corners, fill.filled())])?;
        }
    }
    // The key: the largest value on top.
    let (top, bar) = (50, 18);
    for k in 0..=DECADES as i32 * 2 {
        let y = top + k * bar;
        let share = 1.0 - f64::from(k) / (2.0 * DECADES);
        key.draw(&Rectangle::new([(0, y), (18, y + bar)], shade(share).filled()))?;
        if k % 4 == 0 {
            key.draw_text(&format!("{:.0e}", largest * 10_f64.powf(-f64::from(k) / 2.0)), &font(14), (24, y + 2))?;
        }
    }
    Ok(())
}

/// The axes of a chart over steps, on a logarithmic scale or a linear one.
macro_rules! mesh {
    ($chart:ident, $across:literal, $down:literal, $format:expr) => {
        $chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_desc($across)
            .y_desc($down)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&$format)
            .label_style(font(16))
            .draw()?
    };
}

/// The colours of two curves.
fn labelled(area: &Area<'_>, names: [(&str, RGBColor); 2]) -> Drawn {
    for (k, (name, colour)) in names.into_iter().enumerate() {
        let x = 90 + 200 * k as i32;
        area.draw(&Rectangle::new([(x, 17), (x + 26, 20)], colour.filled()))?;
        area.draw_text(name, &font(17), (x + 34, 9))?;
    }
    Ok(())
}

/// |dE/dh_t| over t, of the tanh-RNN and of the memory of the LSTM.
fn flow(area: &Area<'_>, results: &Results) -> Drawn {
    let (header, body) = area.split_vertically(36);
    labelled(&header, [("tanh-RNN, h", VERMILION), ("LSTM, memory c", BLUE)])?;
    let [tanh, lstm] = &results.flows;
    let curves = [(&tanh.states[0], VERMILION), (&lstm.states[1], BLUE)];
    let norms = || curves.iter().flat_map(|(state, _)| state.norms.iter().copied()).filter(|norm| *norm > 0.0);
    let (low, high) = (norms().fold(f64::INFINITY, f64::min), norms().fold(0.0, f64::max));
    let last = tanh.states[0].steps.len() as f64 - 1.0;
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..last, (low * 0.5..high * 2.0).log_scale())?;
    mesh!(chart, "t, time step; the loss is that of the last", "|dE/dh_t|", |y: &f64| format!("{y:.0e}"));
    for (state, colour) in curves {
        let points = state.steps.iter().zip(&state.norms).map(|(&t, &norm)| (t as f64, norm));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    }
    Ok(())
}

/// The length of the truncated gradient over the number of steps.
fn truncation(area: &Area<'_>, results: &Results) -> Drawn {
    let (header, body) = area.split_vertically(36);
    labelled(&header, [("tanh-RNN", VERMILION), ("LSTM", BLUE)])?;
    let all = results.truncations.iter().flat_map(|truncation| truncation.by_steps.iter());
    let high = all.map(|truncated| truncated.length).fold(1.0, f64::max);
    let last = results.truncations[0].by_steps.len() as f64;
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(1.0..last, 0.0..high * 1.05)?;
    mesh!(chart, "steps that BPTT goes back", "|truncated| / |full|", |y: &f64| format!("{y:.1}"));
    for (truncation, colour) in results.truncations.iter().zip([VERMILION, BLUE]) {
        let points = truncation.by_steps.iter().map(|truncated| (truncated.steps as f64, truncated.length));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    }
    Ok(())
}

/// The error surface with both descents.
fn cliff(area: &Area<'_>, surface: &Surface) -> Drawn {
    let (header, body) = area.split_vertically(36);
    labelled(&header, [("without clipping", VERMILION), ("clipped to norm 1", BLUE)])?;
    header.draw_text("E: darker is larger", &font(17), (520, 9))?;
    let ends = |values: &[f64]| (values[0], values[values.len() - 1], (values[1] - values[0]) / 2.0);
    let ((w_low, w_high, w_half), (b_low, b_high, b_half)) = (ends(&surface.w), ends(&surface.b));
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d(w_low..w_high, b_low..b_high)?;
    let largest = surface.error.iter().flatten().copied().fold(0.0, f64::max);
    for (row, &b) in surface.error.iter().zip(&surface.b) {
        let fills: Vec<_> = row.iter().map(|error| shade(0.75 * error / largest)).collect();
        for (start, end, fill) in runs(&fills) {
            let (left, right) = (surface.w[start] - w_half, surface.w[end - 1] + w_half);
            let low = (left.max(w_low), (b - b_half).max(b_low));
            let high = (right.min(w_high), (b + b_half).min(b_high));
            chart.draw_series([Rectangle::new([low, high], fill.filled())])?;
        }
    }
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(INK)
        .x_desc("w")
        .y_desc("b")
        .x_label_formatter(&|x| format!("{x:.1}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(font(16))
        .draw()?;
    for (path, colour) in [(&surface.plain, VERMILION), (&surface.clipped, BLUE)] {
        let point = |descent: &Descent| (descent.w, descent.b);
        chart.draw_series(LineSeries::new(path.iter().map(point), WHITE.stroke_width(4)))?;
        chart.draw_series(LineSeries::new(path.iter().map(point), colour.stroke_width(2)))?;
        chart.draw_series(path.iter().map(|descent| Circle::new(point(descent), 3, colour.filled())))?;
    }
    let start = (surface.plain[0].w, surface.plain[0].b);
    chart.draw_series([Circle::new(start, 6, INK.stroke_width(2))])?;
    chart.draw_series([Text::new("start", (start.0 + 0.06, start.1 + 0.25), font(16))])?;
    Ok(())
}
