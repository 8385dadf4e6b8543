//! Initialisers: bounds, moments, orthogonality, seeds.

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::Tensor;
use rewind_rnn::{Linear, init};

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn mean_and_variance(x: &Tensor<f64>) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.sum() / n;
    (mean, x.map(|x| (x - mean) * (x - mean)).sum() / n)
}

#[test]
fn uniform_numbers_fill_their_range() {
    for (x, bound) in [
        (init::uniform(&[100, 200], 0.25, &mut rng(1)), 0.25),
        (init::uniform_hidden(&[100, 200], 16, &mut rng(2)), 0.25),
        (init::xavier_uniform(&[94, 190], &mut rng(3)), (6.0_f64 / 284.0).sqrt()),
    ] {
        let x: Tensor<f64> = x;
        let (mean, variance) = mean_and_variance(&x);
        let largest = x.to_vec().iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        assert!(largest <= bound && largest > 0.999 * bound, "largest {largest}, bound {bound}");
        assert!(mean.abs() < 0.02 * bound, "mean {mean}");
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.03, "variance {variance}");
    }
}

#[test]
fn normal_numbers_have_the_moments_of_a_normal_distribution() {
    let x: Tensor<f64> = init::normal(&[40_001], 2.0, &mut rng(4));
    let (mean, variance) = mean_and_variance(&x);
    assert!(mean.abs() < 0.04 && (variance - 4.0).abs() < 0.12, "{mean} {variance}");
    let fourth = x.map(|x| (x / 2.0).powi(4)).sum() / x.len() as f64;
    assert!((fourth - 3.0).abs() < 0.2, "fourth moment {fourth}; expected 3");
}

#[test]
fn orthogonal_matrices_are_orthogonal_in_every_shape() {
    for shape in [&[7, 7][..], &[9, 4], &[4, 9], &[33, 33], &[2, 3, 5], &[5], &[1, 1], &[0, 3], &[3, 0], &[]] {
        let q: Tensor<f64> = init::orthogonal(shape, &mut rng(5));
        assert_eq!(q.shape(), shape);
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().rev().skip(1).product::<usize>();
        let q = q.reshape(&[rows, columns]);
        let product = if rows >= columns { q.transpose().matmul(&q) } else { q.matmul(&q.transpose()) };
        let n = rows.min(columns);
        for i in 0..n {
            for j in 0..n {
                let expected = if i == j { 1.0 } else { 0.0 };
                let found = product.at(&[i, j]);
                assert!((found - expected).abs() < 1e-14 * 10.0, "{shape:?} at {i}, {j}: {found}");
            }
        }
    }
}

#[test]
fn orthogonal_matrices_have_no_preferred_sign() {
    let positive = (0..400).filter(|&seed| init::orthogonal::<f64>(&[3, 3], &mut rng(seed)).at(&[0, 0]) > 0.0).count();
    assert!((150..250).contains(&positive), "{positive} of 400 first entries are positive");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    for shape in [&[4, 6][..], &[6, 4], &[3]] {
        assert_eq!(init::uniform::<f32>(shape, 1.0, &mut rng(7)), init::uniform(shape, 1.0, &mut rng(7)));
        assert_eq!(init::xavier_uniform::<f32>(shape, &mut rng(7)), init::xavier_uniform(shape, &mut rng(7)));
        assert_eq!(init::normal::<f32>(shape, 1.0, &mut rng(7)), init::normal(shape, 1.0, &mut rng(7)));
        assert_eq!(init::orthogonal::<f32>(shape, &mut rng(7)), init::orthogonal(shape, &mut rng(7)));
        assert_ne!(init::orthogonal::<f32>(shape, &mut rng(7)), init::orthogonal(shape, &mut rng(8)));
        let (f32s, f64s): (Tensor<f32>, Tensor<f64>) =
            (init::orthogonal(shape, &mut rng(9)), init::orthogonal(shape, &mut rng(9)));
        assert_eq!(f32s.to_vec(), f64s.to_vec().iter().map(|&x| x as f32).collect::<Vec<_>>());
    }
}

#[test]
fn constants_are_constant() {
    assert_eq!(init::zeros::<f32>(&[2]).to_vec(), [0.0, 0.0]);
    assert_eq!(init::constant::<f32>(&[2], 1.5).to_vec(), [1.5, 1.5]);
    let readout = Linear::<Tensor<f32>>::new(3, 2, &mut rng(1));
    assert_eq!(readout.bias.map(|b| b.to_vec()), Some(vec![0.0, 0.0]));
    assert!(Linear::<Tensor<f32>>::without_bias(3, 2, &mut rng(1)).bias.is_none());
}

#[test]
#[should_panic(expected = "uniform_hidden: 0 hidden units have no 1/√H; expected at least 1")]
fn no_hidden_unit_is_refused() {
    init::uniform_hidden::<f32>(&[3, 0], 0, &mut rng(1));
}
