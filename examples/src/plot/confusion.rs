//! Which classes are taken for which.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{
    Area, Drawn, GRID, INK, LABEL, PALE_INK, TICK, WIDTH, ink_on, picture, scale, shade, shortened, style, title,
};
use crate::files::WriteError;

/// Room for the class names on the left, and for title and names above the matrix.
const LEFT: i32 = 250;
const TOP: i32 = 190;
/// Room for the colour scale on the right.
const RIGHT: i32 = 190;
const BOTTOM: i32 = 36;

/// The letters of a count in a large cell.
const COUNT: i32 = 34;

/// How often each class was taken for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// The names of the C classes.
    pub classes: Vec<String>,
    /// `[C, C]` row-major: the number of pieces of the row's class that were taken for the column's.
    pub counts: Vec<usize>,
}

impl Confusion {
    /// Counts answers. `truth` and `answers` are `[N]`, classes.
    ///
    /// # Panics
    ///
    /// If the lengths differ, or a class is not one of `classes`.
    #[track_caller]
    pub fn new(classes: Vec<String>, truth: &[usize], answers: &[usize]) -> Confusion {
        assert_eq!(truth.len(), answers.len(), "Confusion: as many answers as pieces are needed");
        let size = classes.len();
        let mut counts = vec![0; size * size];
        for (&row, &column) in truth.iter().zip(answers) {
            assert!(row < size && column < size, "Confusion: class {} of {size}", row.max(column));
            counts[row * size + column] += 1;
        }
        Confusion { classes, counts }
    }

    /// How many answers are right.
    pub fn right(&self) -> usize {
        self.counts.iter().step_by(self.classes.len() + 1).sum()
    }

    /// How many answers there are.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }
}

/// Draws the matrix: in each cell the count and its share of the row. `model` is named in the title, `note` is the line
/// under it.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn confusion_matrix(path: &Path, model: &str, note: &str, confusion: &Confusion) -> Result<(), WriteError> {
    let size = confusion.classes.len();
    let cell_width = (WIDTH as i32 - LEFT - RIGHT) / size.max(1) as i32;
    let cell_height = (540 / size.max(1) as i32).clamp(44, 150);
    let height = TOP + cell_height * size as i32 + BOTTOM;
    let (right, total) = (confusion.right(), confusion.total());
    picture(path, height as u32, |area| {
        let accuracy = right as f64 / total.max(1) as f64;
        title(area, &format!("Confusion matrix, {model}: {right} of {total} right ({accuracy:.3})"), note)?;
        let rows = confusion.counts.chunks(size.max(1)).zip(&confusion.classes);
        for ((row, name), y) in rows.zip((TOP..).step_by(cell_height as usize)) {
            let of_class: usize = row.iter().sum();
            let middle = y + cell_height / 2;
            let name_style = style(LABEL, INK, HPos::Right, VPos::Center);
            area.draw_text(&shortened(name, 14), &name_style, (LEFT - 14, middle - 11))?;
            let count_style = style(TICK, PALE_INK, HPos::Right, VPos::Center);
            area.draw_text(&format!("n = {of_class}"), &count_style, (LEFT - 14, middle + 11))?;
            for (&count, x) in row.iter().zip((LEFT..).step_by(cell_width as usize)) {
                cell(area, (x, y), (cell_width, cell_height), count, of_class)?;
            }
        }
        axes(area, confusion, cell_width, cell_height)?;
        let percent = |share| format!("{:.0} %", 100.0 * share);
        scale(area, WIDTH as i32 - RIGHT + 40, (TOP, TOP + cell_height * size as i32), "of the row", percent)
    })
}

/// The names of the columns, and of the axes themselves.
fn axes(area: &Area<'_>, confusion: &Confusion, cell_width: i32, cell_height: i32) -> Drawn {
    let size = confusion.classes.len() as i32;
    let column_style = style(LABEL, INK, HPos::Center, VPos::Center);
    let most = (cell_width / 13).max(3) as usize;
    for (name, x) in confusion.classes.iter().zip((LEFT + cell_width / 2..).step_by(cell_width as usize)) {
        area.draw_text(&shortened(name, most), &column_style, (x, TOP - 22))?;
    }
    let middle = (LEFT + cell_width * size / 2, TOP + cell_height * size / 2);
    let centred = style(LABEL, INK, HPos::Center, VPos::Center);
    area.draw_text("predicted class", &centred, (middle.0, TOP - 62))?;
    area.draw_text("true class", &centred.transform(FontTransform::Rotate270), (46, middle.1))?;
    Ok(())
}

fn cell(area: &Area<'_>, (x, y): (i32, i32), (width, height): (i32, i32), count: usize, of_class: usize) -> Drawn {
    let share = count as f64 / of_class.max(1) as f64;
    let corners = [(x, y), (x + width, y + height)];
    area.draw(&Rectangle::new(corners, shade(share).filled()))?;
    area.draw(&Rectangle::new(corners, GRID.stroke_width(1)))?;
    let ink = ink_on(share);
    let (middle_x, middle_y) = (x + width / 2, y + height / 2);
    let apart = if height < 70 { 11 } else { 17 };
    let count_style = style(if height < 70 { LABEL } else { COUNT }, ink, HPos::Center, VPos::Center);
    area.draw_text(&count.to_string(), &count_style, (middle_x, middle_y - apart))?;
    let percent = if of_class == 0 { "–".to_owned() } else { format!("{:.0} %", 100.0 * share) };
    area.draw_text(&percent, &style(TICK, ink, HPos::Center, VPos::Center), (middle_x, middle_y + apart))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_answers() {
        let confusion = Confusion::new(vec!["a".into(), "b".into()], &[0, 0, 1, 1], &[0, 1, 1, 1]);
        assert_eq!(confusion.counts, [1, 1, 0, 2]);
        assert_eq!((confusion.right(), confusion.total()), (3, 4));
    }

    #[test]
    #[should_panic(expected = "Confusion: class 2 of 2")]
    fn refuses_classes_that_are_not_there() {
        Confusion::new(vec!["a".into(), "b".into()], &[0], &[2]);
    }
}
