//! The scenes that the program draws: one to three coloured shapes in a row or in a column, and what can be said of them.
//!
//! A scene of several shapes can be described from either end: `a red ring above a blue square` or `a blue square below
//! a red ring`. So the first words do not follow from the image alone, and the later ones follow from the first.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rewind_examples::image::{Channels, Image, Size};

use crate::dataset::Item;

/// The size of an image.
const SIDE: usize = 32;
/// Scenes to train on and to test on.
const DRAWN: [usize; 2] = [8000, 1000];
/// Shapes lie near the centres of so many cells in each direction.
const GRID: usize = 3;
/// How far from it, in pixels.
const JITTER: f32 = 0.7;

const COLOURS: [(&str, [f32; 3]); 4] =
    [("red", [0.9, 0.2, 0.2]), ("green", [0.2, 0.75, 0.3]), ("blue", [0.25, 0.4, 0.95]), ("yellow", [0.9, 0.85, 0.2])];
const SHAPES: [&str; 4] = ["ring", "square", "triangle", "cross"];
/// How the next shape lies to the one before, in a row and in a column, from the first to the last and back.
const RELATIONS: [[&str; 2]; 2] = [["left of", "right of"], ["above", "below"]];

/// A coloured shape on the image.
#[derive(Clone, Copy, Debug)]
struct Thing {
    colour: usize,
    shape: usize,
    /// Half of its extent, and its centre.
    radius: f32,
    centre: [f32; 2],
}

/// Scenes to train on, with one description each, and scenes to test on with all of theirs.
pub(crate) fn draw_parts(seed: u64) -> [Vec<Item>; 2] {
    [0, 1].map(|part| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(part);
        let mut items = draw(DRAWN[part as usize], &mut rng);
        if part == 0 {
            for item in &mut items {
                let kept = rng.random_range(0..item.captions.len());
                item.captions = vec![item.captions.swap_remove(kept)];
            }
        }
        items
    })
}

/// `count` scenes with all that can be said of them.
pub(crate) fn draw(count: usize, rng: &mut ChaCha8Rng) -> Vec<Item> {
    (0..count).map(|_| scene(rng)).collect()
}

fn scene(rng: &mut ChaCha8Rng) -> Item {
    let (count, is_column, line) = (rng.random_range(1..=3), rng.random_range(0..2), rng.random_range(0..GRID));
    let chosen = rng.random_range(0..GRID);
    let places: Vec<usize> = match count {
        1 => vec![chosen],
        2 => (0..GRID).filter(|&place| place != chosen).collect(),
        _ => (0..GRID).collect(),
    };
    let things: Vec<_> = places
        .into_iter()
        .map(|place| {
            let [along, across] = [place, line].map(|cell| (cell as f32 + 0.5) * SIDE as f32 / GRID as f32);
            let [along, across] = [along, across].map(|at| at + rng.random_range(-JITTER..JITTER));
            let centre = if is_column == 1 { [across, along] } else { [along, across] };
            let radius = rng.random_range(3.8..4.6);
            Thing { colour: rng.random_range(0..4), shape: rng.random_range(0..4), radius, centre }
        })
        .collect();
    let paper: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.random_range(0.0..0.15)).collect();
    Item { image: paint(&things, &paper), captions: descriptions(&things, is_column) }
}

/// All that can be said of a scene.
fn descriptions(things: &[Thing], is_column: usize) -> Vec<String> {
    let name = |thing: &Thing| format!("a {} {}", COLOURS[thing.colour].0, SHAPES[thing.shape]);
    let mut names: Vec<_> = things.iter().map(name).collect();
    let [forth, back] = RELATIONS[is_column].map(|relation| format!(" {relation} "));
    let first = names.join(&forth);
    names.reverse();
    let second = names.join(&back);
    if things.len() == 1 { vec![first] } else { vec![first, second] }
}

/// The scene on noisy paper, `[SIDE·SIDE]`.
fn paint(things: &[Thing], paper: &[f32]) -> Image {
    /// Points of a pixel that are looked at, in each direction: so edges are soft.
    const POINTS: usize = 3;
    Image::from_fn(Size { width: SIDE, height: SIDE }, Channels::Rgb, |x, y| {
        let mut pixel = [paper[y * SIDE + x]; 3];
        for thing in things.iter().filter(|thing| thing.is_near([x as f32 + 0.5, y as f32 + 0.5])) {
            let within = |k: usize| (k as f32 + 0.5) / POINTS as f32;
            let points = (0..POINTS * POINTS).map(|k| [x as f32 + within(k % POINTS), y as f32 + within(k / POINTS)]);
            let share = points.filter(|&at| thing.covers(at)).count() as f32 / (POINTS * POINTS) as f32;
            for (value, colour) in pixel.iter_mut().zip(COLOURS[thing.colour].1) {
                *value += share * (colour - *value);
            }
        }
        pixel
    })
}

impl Thing {
    /// Whether a pixel with this centre may have a part of it.
    fn is_near(&self, at: [f32; 2]) -> bool {
        (0..2).all(|k| (at[k] - self.centre[k]).abs() < self.radius + 1.0)
    }

    /// Whether a point belongs to it.
    fn covers(&self, at: [f32; 2]) -> bool {
        // The shape lies in the square from -1 to 1, whose y grows downward.
        let [x, y] = [0, 1].map(|k| (at[k] - self.centre[k]) / self.radius);
        match SHAPES[self.shape] {
            "ring" => (0.55..=1.0).contains(&x.hypot(y)),
            "square" => x.abs().max(y.abs()) <= 0.9,
            "triangle" => y <= 0.9 && x.abs() <= (y + 1.0) / 1.9,
            "cross" => x.abs().max(y.abs()) <= 1.0 && x.abs().min(y.abs()) <= 0.33,
            other => unreachable!("{other} is no shape"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_what_is_drawn() {
        let [train, test] = draw_parts(1);
        assert_eq!((train.len(), test.len()), (8000, 1000));
        assert_eq!(draw_parts(1), [train.clone(), test.clone()]);
        assert_ne!(draw_parts(2)[0], train);
        assert!(train.iter().all(|item| item.captions.len() == 1));
        assert!(test.iter().all(|item| train.iter().all(|other| other.image != item.image)));
    }

    #[test]
    fn a_scene_is_described_from_both_ends() {
        let thing = |colour, shape| Thing { colour, shape, radius: 3.0, centre: [0.0; 2] };
        let things = [thing(0, 0), thing(2, 1), thing(3, 3)];
        assert_eq!(descriptions(&things[..1], 0), ["a red ring"]);
        assert_eq!(descriptions(&things[..2], 1), ["a red ring above a blue square", "a blue square below a red ring"]);
        assert_eq!(
            descriptions(&things, 0),
            [
                "a red ring left of a blue square left of a yellow cross",
                "a yellow cross right of a blue square right of a red ring"
            ]
        );
    }

    #[test]
    fn shapes_lie_on_the_image_and_apart() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for item in draw(300, &mut rng) {
            // A shape covers two tenths of its square at least, and paper is dark.
            let things = item.captions[0].matches("a ").count();
            let inked = item.image.bytes.chunks_exact(3).filter(|pixel| pixel.iter().any(|&v| v > 150)).count();
            assert!((15 * things..110 * things).contains(&inked), "{inked} pixels of {}", item.captions[0]);
        }
    }
}
