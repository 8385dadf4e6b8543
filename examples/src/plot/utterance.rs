//! A recording with what a network hears in it from step to step.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{
    Area, Axis, Drawn, LABEL, PALE_INK, Sample, axes, colour, picture, series, shortened, style, title,
};
use crate::files::WriteError;

/// The heights of title, spectrogram and probabilities.
const HEADER: u32 = 96;
const SPECTROGRAM: u32 = 300;
const CURVES: u32 = 360;
/// Shades of the spectrogram: neighbours of one shade are drawn as one rectangle.
const SHADES: f64 = 24.0;
/// The top of the axis of probabilities: above 1 there is room for names.
const TOP: f64 = 1.5;
/// A label that is never more probable than this has no name in the picture.
const HEARD: f64 = 0.3;

/// What is drawn of an utterance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utterance {
    /// `[L][bands]`, the lowest band first: the larger, the darker.
    pub bands: Vec<Vec<f32>>,
    /// The probability of each label at each of the L steps, by its name; the blank is the first.
    pub labels: Vec<(String, Vec<f64>)>,
    /// What a time step is, such as `10 ms`.
    pub unit: String,
}

/// Draws the bands of an utterance over time, and below them the probability of each label. `heading` is the title,
/// `note` the line under it.
///
/// # Errors
///
/// If the file cannot be written; an old one is then as it was.
pub fn utterance(path: &Path, heading: &str, note: &str, of: &Utterance) -> Result<(), WriteError> {
    let end = of.bands.len().max(2) as f64;
    picture(path, HEADER + SPECTROGRAM + CURVES, |area| {
        title(area, &shortened(heading, 80), &shortened(note, 130))?;
        let (_, body) = area.split_vertically(HEADER);
        let (above, below) = body.split_vertically(SPECTROGRAM);
        spectrogram(&above, of, end)?;
        curves(&below, of, end)
    })
}

fn spectrogram(area: &Area<'_>, of: &Utterance, end: f64) -> Drawn {
    let count = of.bands.first().map_or(0, Vec::len);
    let y = Axis::whole(0.0, count.max(1) as f64, 5);
    let mut chart = axes(area, ("", Axis::whole(0.0, end, 10)), ("mel band", y))?;
    let all = || of.bands.iter().flatten().map(|&x| f64::from(x));
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let shade = |x: f32| (SHADES * (f64::from(x) - low) / (high - low).max(1e-9)).round();
    for band in 0..count {
        let row: Vec<f64> = of.bands.iter().map(|step| shade(step[band])).collect();
        let mut t = 0;
        for run in row.chunk_by(|a, b| a == b) {
            let grey = (255.0 * (1.0 - run[0] / SHADES)) as u8;
            let corners = [(t as f64, band as f64), ((t + run.len()) as f64, band as f64 + 1.0)];
            chart.draw_series([Rectangle::new(corners, RGBColor(grey, grey, grey).filled())])?;
            t += run.len();
        }
    }
    Ok(())
}

fn curves(area: &Area<'_>, of: &Utterance, end: f64) -> Drawn {
    let blank = of.labels.first().map_or(String::new(), |(name, _)| format!("; dashed: {name}"));
    let x_name = format!("time step ({}){blank}", of.unit);
    // Names have no probability.
    let write = |p: f64, decimals: usize| if p > 1.0 { String::new() } else { format!("{p:.decimals$}") };
    let (x, y) = (Axis::whole(0.0, end, 10), Axis::fractions(0.0, TOP, 8).written(write));
    let mut chart = axes(area, (&x_name, x), ("probability", y))?;
    let mut names = Vec::new();
    for (number, (name, values)) in of.labels.iter().enumerate() {
        let most = values.iter().copied().fold(0.0, f64::max);
        if number == 0 {
            series(&mut chart, values, 0, PALE_INK.stroke_width(1), Sample::Dashed)?;
        } else if most > HEARD {
            let colour = colour(number - 1);
            series(&mut chart, values, 0, colour.stroke_width(3), Sample::Solid)?;
            names.extend(peaks(values).into_iter().map(|t| (t, name, colour)));
        }
    }
    // A name stands above all curves, and above the name of a peak just before.
    names.sort_by_key(|name| name.0);
    let (mut before, mut level) = (None, 0);
    for (t, name, colour) in names {
        let is_near = before.is_some_and(|before| ((t - before) as f64) < 0.05 * end);
        level = if is_near { (level + 1) % 4 } else { 0 };
        before = Some(t);
        let text = style(LABEL, colour, HPos::Left, VPos::Bottom);
        chart.draw_series([Text::new(name.clone(), (t as f64, 1.02 + 0.11 * f64::from(level)), text)])?;
    }
    Ok(())
}

/// The place of the largest value of each run above [`HEARD`].
fn peaks(values: &[f64]) -> Vec<usize> {
    let steps: Vec<_> = values.iter().copied().enumerate().collect();
    let runs = steps.split(|(_, p)| *p <= HEARD).filter(|run| !run.is_empty());
    runs.map(|run| run.iter().copied().fold(run[0], |best, step| if step.1 > best.1 { step } else { best }).0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_one_peak() {
        assert_eq!(peaks(&[0.1, 0.5, 0.9, 0.9, 0.2, 0.4]), [2, 5]);
        assert!(peaks(&[]).is_empty());
    }

    #[test]
    fn any_utterance_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        let labels = vec![("-".to_owned(), vec![0.9, 0.1]), ("<s>".to_owned(), vec![0.1, 0.9])];
        let bands = vec![vec![0.0, 1.0], vec![f32::MIN_POSITIVE, -1.0]];
        for of in [Utterance { bands, labels, unit: "10 ms".to_owned() }, Utterance::default()] {
            utterance(&path, "a & b", "note", &of).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            roxmltree::Document::parse(&svg).unwrap();
            assert_eq!(svg.contains("&lt;s&gt;"), !of.labels.is_empty());
        }
    }
}
