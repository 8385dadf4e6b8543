//! What all pictures share: the surface they are drawn on, the font, the colours, titles and legends.

use std::io;
use std::ops::Range;
use std::path::Path;

use ab_glyph::FontRef;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::PlotError;
use super::surface::Surface;
use crate::files::write_whole;

/// A part of a picture.
pub(super) type Area<'a> = DrawingArea<Surface<'a>, Shift>;
/// What a drawing function returns: drawing fails only if the library does.
pub(super) type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Width of every picture in pixels.
pub(super) const WIDTH: u32 = 1200;
pub(super) const FONT: &str = "DejaVu Sans";
pub(super) const TITLE: i32 = 27;
pub(super) const LABEL: i32 = 21;
pub(super) const TICK: i32 = 18;
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);

/// Okabe and Ito's colours, strongest first; yellow and light blue are left out, for they vanish on white.
const COLOURS: [RGBColor; 5] =
    [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(204, 121, 167), RGBColor(90, 90, 90)];

/// The colour of the `index`-th model.
pub(super) fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// A lighter version of a colour.
pub(super) fn light(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let lighten = |x: u8| (u16::from(x) / 2 + 112) as u8;
    RGBColor(lighten(r), lighten(g), lighten(b))
}

/// Draws on a white surface of [`WIDTH`] by `height` pixels and writes it to `path` as a PNG file, as a whole or not at
/// all.
pub(super) fn picture(path: &Path, height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<(), PlotError> {
    let failed = |reason: String| PlotError::Drawing { path: path.to_owned(), reason };
    let font = FontRef::try_from_slice(dejavu::sans::regular()).map_err(|error| failed(error.to_string()))?;
    let mut pixels = vec![0; (WIDTH * height * 3) as usize];
    {
        let area = Surface::new(&mut pixels, WIDTH, height, font).into_drawing_area();
        draw(&area).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = encode(&pixels, height).map_err(|error| failed(error.to_string()))?;
    Ok(write_whole(path, &bytes)?)
}

/// The pixels, three bytes each, as a PNG file.
fn encode(pixels: &[u8], height: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// A text style; `h` and `v` say which point of the text is put where it is drawn.
pub(super) fn style<'a>(size: i32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'a> {
    let mut style = TextStyle::from((FONT, size).into_font());
    style.color = colour.to_backend_color();
    style.pos(Pos::new(h, v))
}

/// Writes the title of a picture at its top, and a second, smaller line below it.
pub(super) fn title(area: &Area<'_>, first: &str, second: &str) -> Drawn {
    area.draw_text(first, &style(TITLE, INK, HPos::Left, VPos::Top), (28, 18))?;
    area.draw_text(second, &style(TICK, RGBColor(95, 95, 95), HPos::Left, VPos::Top), (28, 54))?;
    Ok(())
}

/// How a legend shows what it explains.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    Solid,
    Dashed,
    Triangle,
    Cross,
}

/// A legend in one row from `at` to the right, outside of any axes, so that it cannot cover data.
pub(super) fn legend(area: &Area<'_>, at: (i32, i32), entries: &[(String, RGBColor, Sample)]) -> Drawn {
    let (mut x, y) = at;
    for (text, colour, sample) in entries {
        match sample {
            Sample::Solid => line(area, (x, y), 34, *colour)?,
            Sample::Dashed => {
                for start in [0, 13, 26] {
                    line(area, (x + start, y), 8, *colour)?;
                }
            }
            Sample::Triangle => area.draw(&TriangleMarker::new((x + 26, y), -8, colour.filled()))?,
            Sample::Cross => area.draw(&Cross::new((x + 26, y), 6, colour.stroke_width(2)))?,
        }
        let text_style = style(LABEL, INK, HPos::Left, VPos::Center);
        area.draw_text(text, &text_style, (x + 44, y))?;
        x += 44 + area.estimate_text_size(text, &text_style)?.0 as i32 + 40;
    }
    Ok(())
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

/// Whether a value can be drawn: finite, and not so large that an axis for it would show nothing else.
pub(super) fn drawable(y: f64) -> bool {
    y.abs() < 1e6
}

/// The points of a series with x counted from `first`, cut into runs where a value is not [`drawable`].
pub(super) fn runs(values: &[f64], first: u32) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<(f64, f64)> = (first..).map(f64::from).zip(values.iter().copied()).collect();
    points.split(|(_, y)| !drawable(*y)).filter(|run| !run.is_empty()).map(<[_]>::to_vec).collect()
}

/// An axis from `low` to `high` with ticks where they are wanted; the library's own may fall between whole numbers.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
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

/// Whole-number ticks from `start` to `end`, about `most` of them, at a step of 1, 2 or 5 times a power of ten.
pub(super) fn whole_ticks(start: i64, end: i64, most: i64) -> Vec<f64> {
    let steps = (0..18).flat_map(|power| [1, 2, 5].map(|digit| digit * 10i64.pow(power)));
    let step = steps.into_iter().find(|step| (end - start) / step <= most).unwrap_or(1);
    let first = start.div_euclid(step) * step + if start.rem_euclid(step) == 0 { 0 } else { step };
    (0..).map(|i| first + i * step).take_while(|&tick| tick <= end).map(|tick| tick as f64).collect()
}
