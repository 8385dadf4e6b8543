//! Where a model looks for each word that it writes.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{
    Area, Drawn, GRID, INK, PALE_INK, TICK, WIDTH, colour, ink_on, picture, scale, shade, shortened, style, title,
};
use crate::files::WriteError;

/// The edges of the panels.
const LEFT: i32 = 28;
const TOP: i32 = 100;
/// Room for the colour scale on the right.
const RIGHT: i32 = 140;
/// The height of the colour scale.
const SCALE: i32 = 160;
/// Room between two panels, and below the last.
const GAP: i32 = 36;
/// Room for the name of an axis.
const AXIS: i32 = 30;
/// Room between a word and the cells.
const MARGIN: i32 = 8;

/// The letters of a word that are shown.
const LETTERS: usize = 16;
/// The largest side of a cell, the least with two panels side by side, and the least that holds a number.
const LARGEST: i32 = 48;
const NARROW: i32 = 22;
const NUMBERED: i32 = 36;
/// The letters of a number.
const NUMBER: i32 = 17;

/// What a model looked at while it wrote a sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention<'a> {
    /// The S words that it read.
    pub source: &'a [String],
    /// The T words that it wrote.
    pub target: &'a [String],
    /// `[T][S]`: for each target word the weights of the source words, in 0..=1.
    pub weights: &'a [Vec<f32>],
}

/// Draws the weights of each sentence as a heat map, a panel each: target words downwards, source words across, and the
/// numbers in cells that are large enough. `heading` is the title, `note` the line under it.
///
/// A weight outside of 0..=1 has the shade of the nearer bound; one that is not a number is orange. A panel of 30 by 30
/// words is readable at full size.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
///
/// # Panics
///
/// If a panel has not one row of weights for each target word, or a row not one weight for each source word.
#[track_caller]
pub fn attention(path: &Path, heading: &str, note: &str, panels: &[Attention<'_>]) -> Result<(), WriteError> {
    for (place, Attention { source, target, weights }) in panels.iter().enumerate() {
        let (rows, words) = (weights.len(), target.len());
        assert_eq!(rows, words, "attention: panel {place} has {rows} rows of weights for {words} target words");
        for (row, weights) in weights.iter().enumerate() {
            let (found, words) = (weights.len(), source.len());
            assert_eq!(
                found, words,
                "attention: panel {place}, row {row} has {found} weights for {words} source words"
            );
        }
    }
    let layout = Layout::new(panels);
    picture(path, layout.height as u32, |area| {
        title(area, heading, note)?;
        for (panel, &corner) in panels.iter().zip(&layout.corners) {
            layout.axes(area, panel, corner)?;
            layout.cells(area, panel, corner)?;
        }
        let (x, top) = (WIDTH as i32 - RIGHT + 40, TOP + AXIS);
        scale(area, x, (top, top + SCALE), "weight", |share| share.to_string())
    })
}

/// Where the parts of the picture are. All panels have cells of one size.
struct Layout {
    /// The side of a cell.
    side: i32,
    /// The size of the letters of a word.
    letter: i32,
    /// Room for the words: source words above the cells, target words beside them.
    above: i32,
    beside: i32,
    /// Whether the source words are written upwards.
    is_rotated: bool,
    /// The left upper corner of the cells of each panel.
    corners: Vec<(i32, i32)>,
    /// The height of the picture.
    height: i32,
}

impl Layout {
    fn new(panels: &[Attention<'_>]) -> Layout {
        let sources = panels.iter().map(|panel| panel.source.len()).max().unwrap_or(0).max(1) as i32;
        let letters = |words: &[String]| words.iter().map(|word| word.chars().count().min(LETTERS)).max().unwrap_or(0);
        let longest_source = panels.iter().map(|panel| letters(panel.source)).max().unwrap_or(0);
        let longest_target = panels.iter().map(|panel| letters(panel.target)).max().unwrap_or(0);

        let beside = AXIS + room(longest_target, TICK);
        let across = WIDTH as i32 - LEFT - RIGHT;
        let side = |columns: i32| (across / columns - GAP - beside) / sources;
        let columns = if panels.len() > 1 && side(2) >= NARROW { 2 } else { 1 };
        let side = side(columns).clamp(1, LARGEST);
        let letter = TICK.min(side);
        let is_rotated = room(longest_source, letter) > side;
        let above = AXIS + if is_rotated { room(longest_source, letter) } else { letter + MARGIN };

        let mut corners = Vec::with_capacity(panels.len());
        let mut top = TOP;
        for row in panels.chunks(columns as usize) {
            let lefts = (0..columns).map(|column| LEFT + column * (across / columns) + beside);
            corners.extend(row.iter().zip(lefts).map(|(_, left)| (left, top + above)));
            let targets = row.iter().map(|panel| panel.target.len()).max().unwrap_or(0) as i32;
            top += above + side * targets + GAP;
        }
        let height = top.max(TOP + AXIS + SCALE + GAP);
        Layout { side, letter, above, beside, is_rotated, corners, height }
    }

    /// The words of a panel, and the names of its axes.
    fn axes(&self, area: &Area<'_>, panel: &Attention<'_>, (left, top): (i32, i32)) -> Drawn {
        let &Layout { side, letter, .. } = self;
        let middle = |place: usize| side * place as i32 + side / 2;
        let target_style = style(letter, INK, HPos::Right, VPos::Center);
        for (place, word) in panel.target.iter().enumerate() {
            area.draw_text(&shortened(word, LETTERS), &target_style, (left - MARGIN, top + middle(place)))?;
        }
        let source_style = if self.is_rotated {
            style(letter, INK, HPos::Left, VPos::Center).transform(FontTransform::Rotate270)
        } else {
            style(letter, INK, HPos::Center, VPos::Bottom)
        };
        for (place, word) in panel.source.iter().enumerate() {
            area.draw_text(&shortened(word, LETTERS), &source_style, (left + middle(place), top - MARGIN))?;
        }
        let (across, down) = (side * panel.source.len() as i32, side * panel.target.len() as i32);
        let name_style = style(TICK, PALE_INK, HPos::Center, VPos::Center);
        area.draw_text("source", &name_style, (left + across / 2, top - self.above + AXIS / 2))?;
        let name_style = name_style.transform(FontTransform::Rotate270);
        area.draw_text("target", &name_style, (left - self.beside + AXIS / 2, top + down / 2))?;
        Ok(())
    }

    fn cells(&self, area: &Area<'_>, panel: &Attention<'_>, (left, top): (i32, i32)) -> Drawn {
        let side = self.side;
        for (weights, y) in panel.weights.iter().zip((top..).step_by(side as usize)) {
            for (&weight, x) in weights.iter().zip((left..).step_by(side as usize)) {
                let share = f64::from(weight).clamp(0.0, 1.0);
                let fill = if share.is_nan() { colour(0) } else { shade(share) };
                let corners = [(x, y), (x + side, y + side)];
                area.draw(&Rectangle::new(corners, fill.filled()))?;
                area.draw(&Rectangle::new(corners, GRID.stroke_width(1)))?;
                if side >= NUMBERED {
                    let number_style = style(NUMBER, ink_on(share), HPos::Center, VPos::Center);
                    area.draw_text(&format!("{weight:.2}"), &number_style, (x + side / 2, y + side / 2))?;
                }
            }
        }
        Ok(())
    }
}

/// The length of a word of so many letters, with the margin at its end.
fn room(letters: usize, size: i32) -> i32 {
    letters as i32 * size / 2 + MARGIN
}
