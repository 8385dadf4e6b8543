//! Schedules: values of PyTorch, and settings out of their range.
//!
//! The tables are those of PyTorch 2.15.0 (`torch.optim.lr_scheduler`), by
//! ```python
//! def rates(make, steps):
//!     optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
//!     schedule, out = make(optimizer), []
//!     for _ in range(steps):
//!         out.append(optimizer.param_groups[0]["lr"]); optimizer.step(); schedule.step()
//!     return out
//! ```

use rewind_rnn::optim::Plateau;
use rewind_rnn::optim::schedule::{cosine, exponential, one_cycle, stairs, warm_up};

use crate::refused::refused;

#[track_caller]
fn assert_rates(expected: &[f64], rate: impl Fn(u64) -> f64) {
    for (step, expected) in (0..).zip(expected) {
        assert!((rate(step) - expected).abs() < 1e-12, "step {step}: {} instead of {expected}", rate(step));
    }
}

#[test]
fn rates_are_those_of_pytorch() {
    // StepLR(o, 3, 0.4)
    let steps = [1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.16000000000000003, 0.16000000000000003, 0.16000000000000003];
    assert_rates(&steps, |step| stairs(step, 3, 0.4));
    // ExponentialLR(o, 0.7)
    let decay = [
        1.0,
        0.7,
        0.48999999999999994,
        0.3429999999999999,
        0.24009999999999992,
        0.16806999999999994,
        0.11764899999999995,
    ];
    assert_rates(&decay, |step| exponential(step, 0.7));
    // CosineAnnealingLR(o, 7)
    let half = [
        1.0,
        0.9504844339512095,
        0.8117449009293668,
        0.6112604669781572,
        0.38873953302184283,
        0.18825509907063326,
        0.04951556604879048,
        0.0,
    ];
    assert_rates(&half, |step| cosine(step, 7));
    // LinearLR(o, start_factor=1/5, total_iters=4)
    assert_rates(&[0.2, 0.4, 0.6000000000000001, 0.8, 1.0, 1.0, 1.0], |step| warm_up(step, 5));
    // OneCycleLR(o, max_lr=1.0, total_steps=10)
    let cycle = [
        0.040000000000000036,
        0.52,
        1.0,
        0.9504846320134737,
        0.8117456539497631,
        0.6112620219362893,
        0.38874197806371075,
        0.18825834605023697,
        0.049519367986526286,
        4e-06,
    ];
    assert_rates(&cycle, |step| one_cycle(step, 10, 0.3));
    // OneCycleLR(o, max_lr=1.0, total_steps=7, pct_start=0.5): the peak lies between two steps.
    let between = [
        0.040000000000000036,
        0.3716718427000253,
        0.9083281572999747,
        0.9504846320134737,
        0.6112620219362893,
        0.18825834605023697,
        4e-06,
    ];
    assert_rates(&between, |step| one_cycle(step, 7, 0.5));
}

#[test]
fn a_cycle_begins_ends_and_stays() {
    assert_eq!([0, 9, 10, u64::MAX].map(|step| (one_cycle(step, 10, 0.0) * 1e12).round()), [1e12, 4e6, 4e6, 4e6]);
    assert_eq!(one_cycle(9, 10, 1.0), 1.0, "a cycle that only rises ends at its peak");
    assert_eq!([0, 1].map(|step| one_cycle(step, 1, 0.3)), [1.0, 1.0], "one step is its own peak");
    assert_eq!([0, 1, 2].map(|step| exponential(step, 0.0)), [1.0, 0.0, 0.0]);
}

/// The values that PyTorch's `ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.1, threshold_mode="abs",
/// cooldown=cooldown, min_lr=0.2)` gets, one `step(value)` each.
const VALUES: [f64; 18] =
    [3.0, 2.95, 2.0, f64::NAN, 1.95, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, f64::INFINITY, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];

#[test]
fn a_plateau_reduces_where_pytorch_does() {
    let without = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2];
    let with = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2];
    for (cooldown, expected) in [(0, without), (2, with)] {
        // PyTorch's patience counts the values without effect; here the last one of the patience has it.
        let mut plateau = Plateau::new(0.5, 2).min_change(0.1).least(0.2).cooldown(cooldown);
        let factors = VALUES.map(|value| {
            plateau.observe(value).expect("good settings");
            plateau.factor()
        });
        assert_eq!(factors, expected, "cooldown {cooldown}");
    }
}

#[test]
fn progress_reports_what_is_not_finite() {
    let mut plateau = Plateau::new(0.5, 3);
    let said: Vec<_> = [f64::NAN, 1.0, 1.0, f64::NEG_INFINITY, f64::INFINITY]
        .map(|value| plateau.observe(value).expect("good settings").to_string())
        .into();
    assert_eq!(
        said,
        [
            "NaN is not finite: no improvement for 1 of 3",
            "1.0000, the best so far",
            "1.0000, no improvement for 1 of 3",
            "-inf is not finite: no improvement for 2 of 3",
            "inf is not finite: no improvement for 3 of 3",
        ]
    );
    assert_eq!(plateau.factor(), 0.5);
}

#[test]
fn settings_out_of_range_are_refused() {
    let message = |mut plateau: Plateau| {
        let before = plateau.clone();
        let error = plateau.observe(1.0).expect_err("a setting is out of its range").to_string();
        assert_eq!(format!("{plateau:?}"), format!("{before:?}"), "a refused value changed something");
        error
    };
    assert_eq!(message(Plateau::new(-0.5, 2)), "plateau: the factor is -0.5; expected a number in [0, 1)");
    assert_eq!(message(Plateau::new(1.0, 2)), "plateau: the factor is 1; expected a number in [0, 1)");
    assert_eq!(message(Plateau::new(f64::NAN, 2)), "plateau: the factor is NaN; expected a number in [0, 1)");
    assert_eq!(message(Plateau::new(0.5, 0)), "plateau: the patience is 0; expected at least 1");
    assert_eq!(
        message(Plateau::new(0.5, 1).min_change(-1.0)),
        "plateau: the minimal change is -1; expected a finite number >= 0"
    );
    assert_eq!(message(Plateau::new(0.5, 1).least(2.0)), "plateau: the least factor is 2; expected a number in [0, 1]");
}

#[test]
fn constants_out_of_range_panic() {
    refused!("exponential: the factor is -0.5; expected a finite number >= 0", exponential(1, -0.5));
    refused!("stairs: the factor is NaN; expected a finite number >= 0", stairs(1, 2, f64::NAN));
    refused!("one_cycle: a cycle of 0 steps; expected at least 1", one_cycle(1, 0, 0.3));
    refused!("one_cycle: a rise of 1.5; expected a part of the cycle in [0, 1]", one_cycle(1, 9, 1.5));
}
