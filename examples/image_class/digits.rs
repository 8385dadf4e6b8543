//! The digits that the program draws: strokes of a pen, turned, slanted and stretched, anywhere on the paper, with noise.

use std::f32::consts::PI;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rewind_examples::image::{Channels, Image, Size};

use crate::dataset::Dataset;

/// The size of an image.
const SIZE: Size = Size { width: 24, height: 24 };
/// Digits to train on and to test on.
const DRAWN: [usize; 2] = [3000, 1000];
/// The deviation of the noise of a pixel.
const NOISE: f32 = 0.12;
/// How far a corner of a stroke moves, as a part of the digit's size.
const TREMBLE: f32 = 0.05;

type Point = [f32; 2];

/// Digits to train on and digits to test on, which share nothing but how they are drawn.
pub(crate) fn draw_parts(seed: u64) -> [Dataset; 2] {
    [0, 1].map(|part| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(part);
        draw(DRAWN[part as usize], &mut rng)
    })
}

/// `count` digits, as many of each.
pub(crate) fn draw(count: usize, rng: &mut ChaCha8Rng) -> Dataset {
    let items = (0..count).map(|i| (digit(i % 10, rng), i % 10)).collect();
    Dataset { classes: (0..10).map(|digit| digit.to_string()).collect(), items }
}

/// A drawing of `digit`.
fn digit(digit: usize, rng: &mut ChaCha8Rng) -> Image {
    let mut between = |low: f32, high: f32| rng.random_range(low..high);
    let (height, width) = (between(9.0, 14.0), between(6.0, 10.0));
    let (turn, slant, pen) = (between(-0.25, 0.25), between(-0.25, 0.25), between(0.7, 1.2));
    // Half of the digit to each side of the centre, with room for turning it.
    let centre = [between(7.0, 17.0), between(7.5, 16.5)];
    let mut tremble = || TREMBLE * (rng.random_range(-1.0..1.0_f32));
    let place = |[x, y]: Point| {
        let [x, y] = [(x - 0.5 + slant * (0.5 - y)) * width, (y - 0.5) * height];
        [centre[0] + x * turn.cos() - y * turn.sin(), centre[1] + x * turn.sin() + y * turn.cos()]
    };
    let strokes: Vec<Vec<Point>> = strokes(digit)
        .into_iter()
        .map(|stroke| stroke.into_iter().map(|[x, y]| place([x + tremble(), y + tremble()])).collect())
        .collect();
    let noise: Vec<f32> = StandardNormal.sample_iter(&mut *rng).take(SIZE.width * SIZE.height).collect();
    Image::from_fn(SIZE, Channels::Grey, |x, y| {
        let at = [x as f32 + 0.5, y as f32 + 0.5];
        let lines = strokes.iter().flat_map(|stroke| stroke.windows(2));
        let nearest = lines.map(|line| distance(at, [line[0], line[1]])).fold(f32::INFINITY, f32::min);
        // The edge of a stroke is one pixel wide.
        [(pen + 0.5 - nearest).clamp(0.0, 1.0) + NOISE * noise[y * SIZE.width + x]]
    })
}

/// The distance of a point to a line between two points.
fn distance([x, y]: Point, [a, b]: [Point; 2]) -> f32 {
    let [dx, dy] = [b[0] - a[0], b[1] - a[1]];
    let length = (dx * dx + dy * dy).max(1e-9);
    let along = (((x - a[0]) * dx + (y - a[1]) * dy) / length).clamp(0.0, 1.0);
    (x - a[0] - along * dx).hypot(y - a[1] - along * dy)
}

/// The strokes of a digit in a square of side 1, whose y grows downward.
fn strokes(digit: usize) -> Vec<Vec<Point>> {
    let joined = |parts: &[&[Point]]| vec![parts.concat()];
    match digit {
        0 => joined(&[&arc([0.5, 0.5], [0.4, 0.5], 0.0, 360.0)]),
        1 => joined(&[&[[0.2, 0.25], [0.55, 0.0], [0.55, 1.0]]]),
        2 => joined(&[&arc([0.5, 0.28], [0.36, 0.28], 190.0, 390.0), &[[0.1, 1.0], [0.9, 1.0]]]),
        3 => joined(&[&arc([0.45, 0.25], [0.36, 0.25], 200.0, 450.0), &arc([0.45, 0.74], [0.4, 0.26], 270.0, 520.0)]),
        4 => joined(&[&[[0.68, 1.0], [0.68, 0.0], [0.08, 0.68], [0.95, 0.68]]]),
        5 => joined(&[&[[0.85, 0.0], [0.22, 0.0], [0.16, 0.45]], &arc([0.45, 0.68], [0.4, 0.32], 230.0, 500.0)]),
        6 => joined(&[&[[0.75, 0.0], [0.38, 0.25], [0.15, 0.6]], &arc([0.5, 0.7], [0.35, 0.3], 180.0, 540.0)]),
        7 => joined(&[&[[0.1, 0.0], [0.9, 0.0], [0.4, 1.0]]]),
        8 => vec![arc([0.5, 0.25], [0.3, 0.25], 90.0, 450.0), arc([0.5, 0.75], [0.38, 0.25], 270.0, 630.0)],
        9 => joined(&[&arc([0.48, 0.3], [0.34, 0.3], 0.0, 360.0), &[[0.8, 0.55], [0.6, 1.0]]]),
        _ => unreachable!("a digit is below 10"),
    }
}

/// Points of an ellipse from one angle to another in degrees; 0 is to the right, 90 below.
fn arc([x, y]: Point, [across, down]: Point, from: f32, to: f32) -> Vec<Point> {
    const POINTS: usize = 12;
    let angle = |k: usize| (from + (to - from) * k as f32 / (POINTS - 1) as f32) * PI / 180.0;
    (0..POINTS).map(|k| [x + across * angle(k).cos(), y + down * angle(k).sin()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_what_is_drawn() {
        let [train, test] = draw_parts(1);
        assert_eq!((train.items.len(), test.items.len()), (3000, 1000));
        assert_eq!(draw_parts(1), [train.clone(), test.clone()]);
        assert_ne!(draw_parts(2)[0], train);
        assert_eq!(train.class_counts(), [300; 10]);
        assert!(test.items.iter().all(|item| !train.items.contains(item)));
    }

    #[test]
    fn a_digit_lies_on_the_paper() {
        // Without noise the border is black; a few pixels of it may be noisy, but none belongs to a stroke.
        let data = draw(200, &mut ChaCha8Rng::seed_from_u64(3));
        for (image, class) in &data.items {
            let inked = image.bytes.iter().filter(|&&v| v > 160).count();
            assert!((15..200).contains(&inked), "{inked} pixels of a {class}");
            let border: Vec<u8> =
                (0..24).flat_map(|i| [(i, 0), (i, 23), (0, i), (23, i)]).map(|(x, y)| image.pixel(x, y)[0]).collect();
            let cut = border.iter().filter(|&&v| v > 160).count();
            assert!(cut <= 4, "{cut} pixels of a {class} lie on the border");
        }
    }

    #[test]
    fn distances_are_those_to_the_line() {
        let line = [[1.0, 1.0], [4.0, 1.0]];
        let found = [[2.0, 3.0], [0.0, 1.0], [7.0, 5.0]].map(|at| distance(at, line));
        assert_eq!(found, [2.0, 1.0, 5.0]);
        assert!((distance([3.0, 4.0], [[0.0, 0.0]; 2]) - 5.0).abs() < 1e-5);
    }
}
