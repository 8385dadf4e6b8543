//! Series of values, and what a network reads of one.

use std::cell::Cell;

use rand::{Rng, RngExt};
use rewind_autograd::Tensor;

/// The most values of a series.
const MAX_VALUES: usize = 100_000;

/// Reads the values of a line, which a tab separates, and normalises them; a series without values, or of equal ones, is no
/// series. All must have as many values as `length`, which the first one sets.
pub(crate) fn parse(text: &str, length: &Cell<Option<usize>>) -> Result<Option<Vec<f32>>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let number = |(place, text): (usize, &str)| {
        let number = text.trim().parse().ok().filter(|x: &f64| x.is_finite());
        let shown: String = text.chars().take(30).collect();
        number.ok_or_else(|| format!("value {} is {shown:?}; expected a number", place + 1))
    };
    let cells = text.trim_end().split('\t');
    // A value takes two bytes of the text: room that is doubled would be many times that.
    let mut values = Vec::with_capacity(cells.clone().count());
    for cell in cells.enumerate() {
        values.push(number(cell)?);
    }
    let expected = length.get().unwrap_or(values.len());
    if values.len() != expected {
        return Err(format!("{} values; expected {expected}", values.len()));
    }
    if values.len() > MAX_VALUES {
        return Err(format!("{} values; expected {MAX_VALUES} at most", values.len()));
    }
    length.set(Some(expected));
    Ok(normalised(values))
}

/// The series with mean 0 and standard deviation 1; `None` if it does not change, but for rounding.
pub(crate) fn normalised(mut values: Vec<f64>) -> Option<Vec<f32>> {
    let n = values.len() as f64;
    // Sums and squares of any finite values stay finite. A power of two changes no bit of the result.
    let largest = values.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let scale = 2_f64.powi(-(largest.log2() as i32).clamp(-1000, 1000));
    values.iter_mut().for_each(|x| *x *= scale);
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    (deviation > 1e-14).then(|| values.iter().map(|x| ((x - mean) / deviation) as f32).collect())
}

/// Changes of a series that leave its class as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Changes {
    /// The most values that it is moved by, to either side; the first or the last value fills the gap.
    pub(crate) shift: usize,
    /// The deviation of the factor that all values are multiplied by.
    pub(crate) scale: f64,
    /// The deviation of the noise that is added to each.
    pub(crate) noise: f64,
}

impl Changes {
    /// A changed copy.
    pub(crate) fn draw(self, values: &[f32], rng: &mut impl Rng) -> Vec<f32> {
        let last = values.len() - 1;
        let most = self.shift.min(last);
        let moved_by = rng.random_range(0..=2 * most);
        let factor = 1.0 + self.scale * normal(rng);
        let moved = |t: usize| f64::from(values[(t + moved_by).saturating_sub(most).min(last)]);
        (0..=last).map(|t| (factor * moved(t) + self.noise * normal(rng)) as f32).collect()
    }
}

/// A number from the normal distribution (Box and Muller 1958).
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The series as a network reads it, `[T, I]`: I values a time step; the last step is filled with the last value.
pub(crate) fn steps(values: &[f32], per_step: usize) -> Tensor<f32> {
    let steps = values.len().div_ceil(per_step);
    Tensor::from_fn(&[steps, per_step], |i| values[i.min(values.len() - 1)])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    #[test]
    fn lines_are_series_of_one_length() {
        let length = Cell::new(None);
        let read = parse("1\t-2.5e0\t3 ", &length);
        assert_eq!(read, Ok(normalised(vec![1.0, -2.5, 3.0])));
        assert_eq!(parse(" ", &length), Ok(None));
        let wrong = |text: &str| parse(text, &length).unwrap_err();
        assert_eq!(wrong("1\t2"), "2 values; expected 3");
        assert_eq!(wrong("1\tx\t3"), "value 2 is \"x\"; expected a number");
        assert_eq!(wrong("1\t\t3"), "value 2 is \"\"; expected a number");
        assert_eq!(wrong("1\t2\tNaN"), "value 3 is \"NaN\"; expected a number");
        assert_eq!(wrong("1\t2\t1e309"), "value 3 is \"1e309\"; expected a number");
        assert_eq!(parse("7\t7\t7", &length), Ok(None), "it does not change");
        let long = "x".repeat(100_000);
        assert_eq!(wrong(&long), format!("value 1 is {:?}; expected a number", "x".repeat(30)));
        let many = "0\t".repeat(100_001) + "0";
        assert_eq!(parse(&many, &Cell::new(None)).unwrap_err(), "100002 values; expected 100000 at most");
    }

    #[test]
    fn a_series_is_normalised_whatever_its_size() {
        for factor in [5e-300, 1e-30, 1.0, 1e37, 5e307] {
            for offset in [0.0, 1e7, -1e7] {
                let found =
                    normalised(vec![1.0, 2.0, 3.0].into_iter().map(|x| factor * (x / 3.0 + offset / 1e7)).collect())
                        .expect("it changes");
                assert!((found[0] + 1.5_f32.sqrt()).abs() < 1e-5 && found[1].abs() < 1e-5, "{found:?}");
            }
        }
        // A million times its own range away from 0.
        let far = normalised(vec![1e7, 1e7 + 1.0, 1e7 + 2.0]).expect("it changes");
        assert!((far[0] + 1.5_f32.sqrt()).abs() < 1e-5 && far[1].abs() < 1e-5, "{far:?}");
        for flat in [vec![7.7; 33], vec![0.1], vec![0.0; 7], vec![-1e308; 2]] {
            assert_eq!(normalised(flat.clone()), None, "{flat:?}");
        }
    }

    #[test]
    fn changes_are_those_asked_for() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f32> = (0..7).map(|t| t as f32).collect();
        let none = Changes { shift: 0, scale: 0.0, noise: 0.0 };
        assert_eq!(none.draw(&values, rng), values);
        let moved: Vec<_> = (0..50).map(|_| Changes { shift: 2, ..none }.draw(&values, rng)).collect();
        assert!(moved.contains(&vec![2.0, 3.0, 4.0, 5.0, 6.0, 6.0, 6.0]));
        assert!(moved.contains(&vec![0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let noisy = Changes { noise: 0.5, ..none }.draw(&vec![0.0; 10_000], rng);
        let variance = noisy.iter().map(|x| x * x).sum::<f32>() / 1e4;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
        let scaled = Changes { scale: 0.1, ..none }.draw(&values, rng);
        assert!(scaled[1] != 1.0 && (scaled[6] - 6.0 * scaled[1]).abs() < 1e-5);
    }

    #[test]
    fn steps_hold_several_values() {
        let x = steps(&[1.0, 2.0, 3.0, 4.0, 5.0], 2);
        assert_eq!((x.shape(), x.to_vec()), (&[3, 2][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 5.0]));
        assert_eq!(steps(&[1.0], 7).to_vec(), [1.0; 7]);
    }
}
