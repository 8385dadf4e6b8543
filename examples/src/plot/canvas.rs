//! What all pictures share: the file, colours, text, headings, legends and axes.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::files::{WriteError, write_whole};

/// A part of a picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A part of a picture with axes.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;
/// Drawing fails only if the library does.
pub(super) type Drawn<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Width of every picture in pixels.
pub(super) const WIDTH: u32 = 1200;
/// The height of title, note and legend.
pub(super) const HEADER: u32 = 130;
/// Any reader has a font of this name.
const FONT: &str = "sans-serif";
pub(super) const TITLE: i32 = 29;
pub(super) const LABEL: i32 = 23;
pub(super) const TICK: i32 = 20;
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const PALE_INK: RGBColor = RGBColor(95, 95, 95);
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);

/// Okabe and Ito's colours, strongest first, without yellow and light blue, which are too weak on white.
const COLOURS: [RGBColor; 5] =
    [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(204, 121, 167), RGBColor(90, 90, 90)];

/// The darkest shade.
const DARK: RGBColor = RGBColor(0, 90, 156);

/// The colour of the `index`-th model or class.
pub(super) fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// A lighter version of a colour.
pub(super) fn light(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let lighten = |x: u8| (u16::from(x) / 2 + 112) as u8;
    RGBColor(lighten(r), lighten(g), lighten(b))
}

/// Draws a picture of [`WIDTH`] by `height` pixels and writes it to `path` as an SVG file, as a whole or not at all.
pub(super) fn picture(path: &Path, height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<(), WriteError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let drawn = || -> Drawn {
            area.fill(&WHITE)?;
            draw(&area)?;
            Ok(area.present()?)
        };
        drawn().map_err(|error| WriteError::file(path, io::Error::other(error)))?;
    }
    // The names of files and classes may hold control characters, which XML cannot.
    svg.retain(|c| c == '\n' || !c.is_control());
    write_whole(path, svg.as_bytes())
}

/// A text style; `h` and `v` say which point of the text lies where it is drawn.
pub(super) fn style<'a>(size: i32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'a> {
    (FONT, size).into_font().color(&colour).pos(Pos::new(h, v))
}

/// Writes a title, and a note in smaller letters below it.
pub(super) fn title(area: &Area<'_>, title: &str, note: &str) -> Drawn {
    area.draw_text(title, &style(TITLE, INK, HPos::Left, VPos::Top), (28, 18))?;
    area.draw_text(note, &style(TICK, PALE_INK, HPos::Left, VPos::Top), (28, 54))?;
    Ok(())
}

/// How a legend shows what it explains.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    Solid,
    Dashed,
    Dot,
    Triangle,
    Cross,
}

/// What a legend explains: a text, a colour and a sample.
pub(super) type Entry = (String, RGBColor, Sample);

/// Writes a title, a note and a legend, and returns the area below them: a legend outside the axes covers no data.
pub(super) fn headed<'a>(area: &Area<'a>, text: &str, note: &str, legend: &[Entry]) -> Drawn<Area<'a>> {
    title(area, text, note)?;
    let (mut x, y) = (28, HEADER as i32 - 24);
    for (text, colour, sample) in legend {
        match sample {
            Sample::Solid => line(area, (x, y), 34, *colour)?,
            Sample::Dashed => {
                for start in [0, 13, 26] {
                    line(area, (x + start, y), 8, *colour)?;
                }
            }
            Sample::Dot => area.draw(&Circle::new((x + 26, y), 4, colour.filled()))?,
            Sample::Triangle => area.draw(&TriangleMarker::new((x + 26, y), -8, colour.filled()))?,
            Sample::Cross => area.draw(&Cross::new((x + 26, y), 6, colour.stroke_width(2)))?,
        }
        let text_style = style(LABEL, INK, HPos::Left, VPos::Center);
        area.draw_text(text, &text_style, (x + 44, y))?;
        x += 44 + area.estimate_text_size(text, &text_style)?.0 as i32 + 40;
    }
    Ok(area.split_vertically(HEADER).1)
}

fn line(area: &Area<'_>, (x, y): (i32, i32), length: i32, colour: RGBColor) -> Drawn {
    area.draw(&Rectangle::new([(x, y - 1), (x + length, y + 1)], colour.filled()))?;
    Ok(())
}

/// The text, cut to `most` characters if it is longer.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// White for 0, dark for 1.
pub(super) fn shade(share: f64) -> RGBColor {
    let mix = |dark: u8| (255.0 + share * (f64::from(dark) - 255.0)).round() as u8;
    RGBColor(mix(DARK.0), mix(DARK.1), mix(DARK.2))
}

/// What is read on a [`shade`].
pub(super) fn ink_on(share: f64) -> RGBColor {
    if share > 0.5 { WHITE } else { INK }
}

/// Draws what the shades mean: a bar from `x`, with three shares as `write` writes them, and `name` above.
pub(super) fn scale(
    area: &Area<'_>,
    x: i32,
    (top, bottom): (i32, i32),
    name: &str,
    write: impl Fn(f64) -> String,
) -> Drawn {
    const BANDS: i32 = 100;
    let height = |band: i32| bottom - (bottom - top) * band / BANDS;
    // Each band reaches to the bottom, so that no gap shows between two at any scale.
    for band in (0..BANDS).rev() {
        let share = (f64::from(band) + 0.5) / f64::from(BANDS);
        area.draw(&Rectangle::new([(x, height(band + 1)), (x + 22, bottom)], shade(share).filled()))?;
    }
    area.draw(&Rectangle::new([(x, top), (x + 22, bottom)], GRID.stroke_width(1)))?;
    for band in [0, BANDS / 2, BANDS] {
        let text = write(f64::from(band) / f64::from(BANDS));
        area.draw_text(&text, &style(TICK, INK, HPos::Left, VPos::Center), (x + 32, height(band)))?;
    }
    area.draw_text(name, &style(TICK, INK, HPos::Left, VPos::Center), (x, top - 24))?;
    Ok(())
}

/// An axis with its ticks and how they are written.
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    /// The digits after the point that tell the ticks apart.
    decimals: usize,
    write: fn(f64, usize) -> String,
}

impl Axis {
    /// An axis with about `most` ticks at whole numbers.
    pub(super) fn whole(low: f64, high: f64, most: usize) -> Axis {
        Axis::new(low, high, most, 0)
    }

    /// An axis with about `most` ticks.
    pub(super) fn fractions(low: f64, high: f64, most: usize) -> Axis {
        Axis::new(low, high, most, -9)
    }

    /// The same axis with each tick written by `write`.
    pub(super) fn written(self, write: fn(f64, usize) -> String) -> Axis {
        Axis { write, ..self }
    }

    /// The ticks, and how they are written.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        self.ticks.iter().map(|&tick| (tick, (self.write)(tick, self.decimals)))
    }

    /// Ticks are 1, 2 or 5 times a power of ten apart, 10^`finest` at least. Those of plotters may lie between whole
    /// numbers.
    fn new(low: f64, high: f64, most: usize, finest: i32) -> Axis {
        let steps = (finest..18).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| (digit * 10f64.powi(power), power)));
        let inside = |step: f64| ((low / step - 1e-9).ceil() as i64)..=((high / step + 1e-9).floor() as i64);
        let few = |&(step, _): &(f64, i32)| (high - low) / step <= most as f64;
        let (step, power) = steps.into_iter().find(few).unwrap_or((1e18, 18));
        let ticks = inside(step).map(|tick| tick as f64 * step).collect();
        Axis {
            low,
            high,
            ticks,
            decimals: (-power).max(0) as usize,
            write: |tick, decimals| format!("{tick:.decimals$}"),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Draws two axes with their names.
pub(super) fn axes<'a, 'b>(
    area: &'a Area<'b>,
    (x_name, x): (&str, Axis),
    (y_name, y): (&str, Axis),
) -> Drawn<Chart<'a, 'b>> {
    let [write_x, write_y] = [&x, &y].map(|&Axis { write, decimals, .. }| move |tick: &f64| write(*tick, decimals));
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(32)
        .margin_bottom(12)
        .margin_top(10)
        .x_label_area_size(58)
        .y_label_area_size(90)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&write_x)
        .y_label_formatter(&write_y)
        .label_style((FONT, TICK).into_font().color(&INK))
        .axis_desc_style((FONT, LABEL).into_font().color(&INK))
        .draw()?;
    Ok(chart)
}

/// Draws a series as a line, a single point as a dot. x is counted from `first`; where a value is not finite, or over a
/// million, the line has a gap: an axis for it would show nothing else.
pub(super) fn series(
    chart: &mut Chart<'_, '_>,
    values: &[f64],
    first: usize,
    style: ShapeStyle,
    sample: Sample,
) -> Drawn {
    let points: Vec<_> = values.iter().enumerate().map(|(i, &y)| ((first + i) as f64, y)).collect();
    for run in points.split(|(_, y)| !drawable(*y)) {
        match *run {
            [] => {}
            [point] => {
                chart.draw_series([Circle::new(point, 3, style.filled())])?;
            }
            _ if matches!(sample, Sample::Dashed) => {
                chart.draw_series(DashedLineSeries::new(run.to_vec(), 8, 5, style))?;
            }
            _ => {
                chart.draw_series(LineSeries::new(run.to_vec(), style))?;
            }
        }
    }
    Ok(())
}

/// Whether a value has a place on an axis.
pub(super) fn drawable(y: f64) -> bool {
    y.abs() < 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let ticks = |axis: Axis| axis.ticks().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(ticks(Axis::whole(0.0, 3.0, 10)), ["0", "1", "2", "3"]);
        assert_eq!(ticks(Axis::whole(1.0, 200.0, 5)), ["50", "100", "150", "200"]);
        assert_eq!(ticks(Axis::whole(-7.0, 1.0, 5)), ["-6", "-4", "-2", "0"]);
        assert_eq!(ticks(Axis::fractions(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks(Axis::fractions(0.0, 0.31, 5)), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(ticks(Axis::fractions(0.0, 0.03, 5)), ["0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(ticks(Axis::fractions(0.0, 1e6, 5)), ["0", "200000", "400000", "600000", "800000", "1000000"]);
    }
}
