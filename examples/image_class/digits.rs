//! Digits that the program draws: strokes of a pen, turned, scaled, shifted, and noise on all pixels.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::images::Images;

/// Rows and columns.
pub(crate) const SIZE: usize = 28;

/// A point of the unit square: right and down.
type Point = [f32; 2];

/// The strokes of a digit, as lines from point to point.
fn strokes(digit: usize) -> Vec<Vec<Point>> {
    let circle = |[x, y]: Point, [across, down]: Point, from: f32, to: f32| -> Vec<Point> {
        let angle = |k: u8| (from + (to - from) * f32::from(k) / 12.0) * std::f32::consts::TAU;
        (0..=12).map(|k| [x + across * angle(k).cos(), y + down * angle(k).sin()]).collect()
    };
    match digit {
        0 => vec![circle([0.5, 0.5], [0.28, 0.4], 0.0, 1.0)],
        1 => vec![vec![[0.35, 0.25], [0.52, 0.1], [0.52, 0.9]]],
        2 => vec![[circle([0.5, 0.32], [0.25, 0.22], 0.5, 1.1), vec![[0.25, 0.9], [0.77, 0.9]]].concat()],
        3 => vec![circle([0.48, 0.3], [0.24, 0.2], 0.55, 1.25), circle([0.48, 0.7], [0.27, 0.21], 0.75, 1.45)],
        4 => vec![vec![[0.62, 0.9], [0.62, 0.1], [0.2, 0.62], [0.8, 0.62]]],
        5 => vec![
            [vec![[0.74, 0.1], [0.32, 0.1], [0.29, 0.45]], circle([0.48, 0.66], [0.26, 0.23], 0.66, 1.42)].concat(),
        ],
        6 => vec![[vec![[0.66, 0.1], [0.32, 0.48]], circle([0.5, 0.68], [0.24, 0.22], 0.5, 1.5)].concat()],
        7 => vec![vec![[0.22, 0.1], [0.78, 0.1], [0.42, 0.9]]],
        8 => vec![circle([0.5, 0.29], [0.21, 0.19], 0.0, 1.0), circle([0.5, 0.69], [0.26, 0.21], 0.0, 1.0)],
        _ => vec![[circle([0.5, 0.32], [0.24, 0.22], 0.0, 1.0), vec![[0.74, 0.32], [0.62, 0.9]]].concat()],
    }
}

/// `count` digits, each as often as the others, with their labels. Pixels are from 0, paper, to 1, ink, and noise may go
/// a little beyond.
pub(crate) fn drawn(count: usize, rng: &mut ChaCha8Rng) -> Images {
    let labels: Vec<usize> = (0..count).map(|i| i % 10).collect();
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let pixels = labels.iter().map(|&digit| draw(digit, rng)).collect();
    Images { classes, rows: SIZE, columns: SIZE, pixels, labels }
}

/// `[SIZE, SIZE]` row-major.
fn draw(digit: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut within = |range: f32| rng.random_range(-range..range);
    let (sine, cosine) = within(0.3).sin_cos();
    let (slant, shift) = (within(0.3), [within(0.12), within(0.12)]);
    let scale = [0.7 + within(0.15), 0.7 + within(0.15)];
    let pen = 0.045 + within(0.015);
    let mut place = |[x, y]: Point| {
        // Every point is a little off: no hand draws the same line twice.
        let (x, y) = (scale[0] * (x - 0.5 + within(0.025)), scale[1] * (y - 0.5 + within(0.025)));
        let x = x - slant * y;
        [0.5 + shift[0] + cosine * x - sine * y, 0.5 + shift[1] + sine * x + cosine * y]
    };
    let lines: Vec<Vec<Point>> =
        strokes(digit).iter().map(|stroke| stroke.iter().map(|&point| place(point)).collect()).collect();
    let pixel = |i: usize| {
        let at = [i % SIZE, i / SIZE].map(|k| (k as f32 + 0.5) / SIZE as f32);
        let pairs = lines.iter().flat_map(|line| line.windows(2));
        let distance = pairs.map(|pair| distance(at, pair[0], pair[1])).fold(f32::INFINITY, f32::min);
        // The edge of a line is one pixel wide.
        ((pen - distance) * SIZE as f32 + 0.5).clamp(0.0, 1.0)
    };
    let ink: Vec<f32> = (0..SIZE * SIZE).map(pixel).collect();
    ink.into_iter().map(|ink| ink + rng.random_range(-0.35..0.35)).collect()
}

/// The distance from a point to a line between two others.
fn distance([x, y]: Point, [ax, ay]: Point, [bx, by]: Point) -> f32 {
    let [dx, dy] = [bx - ax, by - ay];
    let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-12)).clamp(0.0, 1.0);
    (x - ax - along * dx).hypot(y - ay - along * dy)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn distances_are_to_the_nearest_point_of_the_line() {
        let to = |point| distance(point, [0.0, 0.0], [2.0, 0.0]);
        assert_eq!([to([1.0, 3.0]), to([-3.0, 4.0]), to([2.0, 0.0])], [3.0, 5.0, 0.0]);
        assert_eq!(distance([3.0, 4.0], [0.0, 0.0], [0.0, 0.0]), 5.0);
    }

    #[test]
    fn a_seed_decides_the_digits_and_each_has_ink() {
        let images = |seed| drawn(30, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(images(1), images(1));
        assert_ne!(images(1).pixels, images(2).pixels);
        for pixels in images(1).pixels {
            let ink = pixels.iter().filter(|&&x| x > 0.5).count();
            assert!((25..300).contains(&ink), "{ink} pixels of ink");
        }
    }
}
