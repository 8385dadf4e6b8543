//! One unit: chains that explode and vanish, and the wall of an error surface.

use rewind_rnn::lens::{self, Cliff};

#[test]
fn a_chain_is_a_power_of_its_factor() {
    for factor in [10.0_f64, 0.1, -0.5, 1.0, 0.0] {
        let chain = lens::chain(factor, 20);
        assert_eq!(chain.gradients.len(), 21);
        for (t, &gradient) in chain.gradients.iter().enumerate() {
            let expected = factor.powi(20 - t as i32);
            assert!((gradient - expected).abs() <= 1e-13 * expected.abs(), "{factor} {t}: {gradient:e}");
        }
    }
    assert_eq!(lens::chain(3.0, 0).gradients, [1.0]);
    // It overflows, and says so.
    assert_eq!(lens::chain(10.0, 400).gradients[0], f64::INFINITY);
    assert!(lens::chain(10.0, 400).to_string().contains("inf"));
    let text = lens::chain(0.1, 3).to_string();
    assert_eq!(
        text,
        "dh_3/dh_t for h_t = 0.1·h_(t-1)\n      3  1.0e0\n      2  1.0e-1\n      1  1.0e-2\n      0  1.0e-3\n"
    );
}

/// E by the formula, without a tape.
fn error(w: f64, b: f64) -> f64 {
    let sigma = |h: f64| 1.0 / (1.0 + (-h).exp());
    let h = (0..50).fold(0.0, |h, _| w * sigma(h) + b);
    (sigma(h) - 0.7).powi(2)
}

#[test]
fn the_surface_is_that_of_the_formula() {
    let surface = lens::cliff(&Cliff { grid: [5, 9], steps: 1, ..Cliff::default() });
    assert_eq!((surface.w.len(), surface.b.len()), (5, 9));
    assert_eq!((surface.w[0], surface.w[4], surface.b[0], surface.b[8]), (2.0, 6.0, -8.0, 0.0));
    for (row, &b) in surface.error.iter().zip(&surface.b) {
        for (&found, &w) in row.iter().zip(&surface.w) {
            assert!((found - error(w, b)).abs() < 1e-9, "E({w}, {b}) = {found}");
        }
    }
    // The wall: over a hundredth in b, E changes by more than a third.
    assert!(error(5.5, -2.755) - error(5.5, -2.745) > 0.3);
}

#[test]
fn without_clipping_the_descent_is_thrown_off_at_the_wall() {
    let settings = Cliff { grid: [2, 2], ..Cliff::default() };
    let surface = lens::cliff(&settings);
    let (plain, clipped) = (&surface.plain, &surface.clipped);
    assert_eq!((plain.len(), clipped.len()), (101, 101));
    let steepest = plain.iter().map(|point| point.norm).fold(0.0, f64::max);
    assert!(steepest > 5.0, "the steepest gradient has the norm {steepest}");
    let far = plain.windows(2).map(|pair| f64::hypot(pair[1].w - pair[0].w, pair[1].b - pair[0].b)).fold(0.0, f64::max);
    assert!(far > 1.5 && plain[100].error > 0.4, "a jump of {far}, and E = {} at the end", plain[100].error);
    assert!(clipped[100].error < 0.01, "E = {} at the end", clipped[100].error);
    for pair in clipped.windows(2) {
        let step = f64::hypot(pair[1].w - pair[0].w, pair[1].b - pair[0].b);
        assert!(step <= settings.rate * settings.threshold * (1.0 + 1e-9), "a clipped step of {step}");
    }
    // Both are gradient descent: the slope along the first steps is that of E.
    for point in &plain[..3] {
        let slope = |dw: f64, db: f64| (error(point.w + dw, point.b + db) - error(point.w - dw, point.b - db)) / 2e-6;
        let norm = f64::hypot(slope(1e-6, 0.0), slope(0.0, 1e-6));
        assert!((point.norm - norm).abs() < 1e-5 * norm, "{} {norm}", point.norm);
    }
}

#[test]
#[should_panic(expected = "cliff: 1 points of w from 2.0 to 6.0; expected two at least, of an ascending range")]
fn a_surface_of_one_point() {
    lens::cliff(&Cliff { grid: [1, 5], ..Cliff::default() });
}

#[test]
#[should_panic(expected = "cliff: 81 points of b from 0.0 to -8.0; expected two at least, of an ascending range")]
fn a_range_that_descends() {
    lens::cliff(&Cliff { b: [0.0, -8.0], ..Cliff::default() });
}

#[test]
#[should_panic(
    expected = "41 points of w from -1e308 to 1e308; expected two at least, of an ascending range of finite width"
)]
fn a_range_of_infinite_width() {
    lens::cliff(&Cliff { w: [-1e308, 1e308], ..Cliff::default() });
}
