//! Images with what a model says of them.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Area, Drawn, INK, PALE_INK, TICK, WIDTH, picture, shortened, style, title};
use crate::files::WriteError;
use crate::image::Image;

/// The edges of the gallery.
const LEFT: i32 = 28;
const TOP: i32 = 96;
/// The side of an image, and the room between two.
const SIDE: i32 = 124;
const GAP: i32 = 20;
/// The height of a line of text.
const LINE: i32 = 24;
/// Shades of a channel. Noise takes up much of a file, and neighbours of one colour are drawn as one rectangle.
const SHADES: u16 = 16;
/// The colour of an answer that is wrong.
const WRONG: RGBColor = RGBColor(213, 94, 0);

/// An image of a gallery with the text below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhibit<'a> {
    /// The image.
    pub image: &'a Image,
    /// Lines of text; long ones are cut.
    pub lines: Vec<String>,
    /// Whether the text is right; what is wrong has another colour.
    pub is_right: bool,
}

/// Draws images, `columns` in a row. `heading` is the title, `note` the line under it.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn gallery(
    path: &Path,
    heading: &str,
    note: &str,
    columns: usize,
    exhibits: &[Exhibit<'_>],
) -> Result<(), WriteError> {
    let columns = columns.max(1);
    let lines = exhibits.iter().map(|exhibit| exhibit.lines.len()).max().unwrap_or(0) as i32;
    let (width, height) = ((WIDTH as i32 - 2 * LEFT + GAP) / columns as i32, SIDE + LINE * lines + GAP);
    let rows = exhibits.len().div_ceil(columns) as i32;
    picture(path, (TOP + rows * height) as u32, |area| {
        title(area, heading, note)?;
        for (place, exhibit) in exhibits.iter().enumerate() {
            let (x, y) = (LEFT + (place % columns) as i32 * width, TOP + (place / columns) as i32 * height);
            draw(area, (x, y), exhibit.image)?;
            let colour = if exhibit.is_right { INK } else { WRONG };
            // About ten pixels a letter.
            let most = ((width - GAP) / 9).max(1) as usize;
            for (line, y) in exhibit.lines.iter().zip((y + SIDE + 4..).step_by(LINE as usize)) {
                area.draw_text(&shortened(line, most), &style(TICK, colour, HPos::Left, VPos::Top), (x, y))?;
            }
        }
        Ok(())
    })
}

/// Draws an image into a square, row by row.
fn draw(area: &Area<'_>, (left, top): (i32, i32), image: &Image) -> Drawn {
    let (width, height) = (image.size.width, image.size.height);
    let longest = width.max(height).max(1);
    let at = |pixel: usize| (pixel * SIDE as usize / longest) as i32;
    for y in 0..height {
        let row: Vec<RGBColor> = (0..width).map(|x| shade(image.pixel(x, y))).collect();
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            // One pixel more, which the next one covers: so no gap shows between two at any scale.
            let corners = [(left + at(x), top + at(y)), (left + at(x + run.len()) + 1, top + at(y + 1) + 1)];
            area.draw(&Rectangle::new(corners, run[0].filled()))?;
            x += run.len();
        }
    }
    let corners = [(left, top), (left + at(width), top + at(height))];
    area.draw(&Rectangle::new(corners, PALE_INK.stroke_width(1)))?;
    Ok(())
}

fn shade(pixel: &[u8]) -> RGBColor {
    let round = |v: u8| (((u16::from(v) * (SHADES - 1) + 127) / 255) * 255 / (SHADES - 1)) as u8;
    match pixel {
        &[r, g, b] => RGBColor(round(r), round(g), round(b)),
        _ => RGBColor(round(pixel[0]), round(pixel[0]), round(pixel[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_keep_black_and_white() {
        assert_eq!([shade(&[0]), shade(&[255])], [RGBColor(0, 0, 0), RGBColor(255, 255, 255)]);
        assert_eq!(shade(&[255, 3, 130]), RGBColor(255, 0, 136));
    }
}
