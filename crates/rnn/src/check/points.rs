//! The points at which a cell or a layer is checked, and the report of all of them.

use rewind_autograd::{Module, Scalar, Tensor};
use rewind_check::{Check, Invalid, Point, Report, Verdict, shrunk};

use super::NOISE;
use super::lasting::lasting;
use super::protocol::broken;
use super::run::{Kind, Run, Then, how, lengths, row};
use crate::noise::Noise;

/// A module at a point.
struct Place<'a, M> {
    module: &'a M,
    /// The size of x and of what is added to the first state.
    size: f64,
    noise: Option<Noise>,
    /// Whether it starts from its own first state, to which nothing is added.
    own_state: bool,
}

impl<M> Place<'_, M> {
    fn run<T: Scalar, K: Kind<T, M>>(&self, sizes: [usize; 3]) -> Run<Tensor<T>, M>
    where
        M: Module<T>,
    {
        let run = Run::sampled::<K>(self.module, sizes, self.size, self.noise);
        if self.own_state { run.at_its_own_state() } else { run }
    }
}

/// Checks `module` over `[T, B, I]`: with all of `check` at its own parameters, and along directions with the other choice of noise and where
/// the state lasts.
pub(super) fn checked<T: Scalar, M: Module<T>, K: Kind<T, M>>(
    check: Check,
    module: &M,
    sizes: [usize; 3],
    noise: Option<Noise>,
) -> Report {
    let given = Place { module, size: 1.0, noise, own_state: false };
    let mut report = with_smallest::<T, M, K>(check, &given, sizes);
    if matches!(report.verdict, Verdict::Wrong | Verdict::Invalid(_)) {
        return report;
    }
    if let Some(reason) = broken::<T, M, K>(module, sizes) {
        report.verdict = Verdict::Invalid(Invalid::Broken(reason));
        return report;
    }
    let with = |noise: Option<Noise>| if noise.is_some() { "with noise" } else { "without noise" };
    let run = given.run::<T, K>(sizes);
    let mut points = vec![Point { name: "at the given parameters".to_owned(), verdict: report.verdict.clone() }];
    let other = if noise.is_some() { None } else { Some(NOISE) };
    if draws_noise::<T, M, K>(module, sizes, noise, other) {
        points[0].name = format!("at the given parameters, {}", with(noise));
        let place = Place { noise: other, ..given };
        let name = format!("at the given parameters, {}", with(other));
        if let Some(wrong) = also::<T, M, K>(check, &place, sizes, name, &mut points) {
            return Report { points, ..wrong };
        }
    }
    points[0].name += &unread(&run);
    if run.first_state.iter().any(|part| part.replaces) {
        let place = Place { own_state: true, ..given };
        let name = "from its own first state, which is empty".to_owned();
        if let Some(wrong) = also::<T, M, K>(check, &place, sizes, name, &mut points) {
            return Report { points, ..wrong };
        }
    }
    if let Some(found) = lasting::<T, M, K>(module, sizes, noise) {
        let place = Place { module: &found.module, size: found.size, ..given };
        if let Some(wrong) = also::<T, M, K>(check, &place, found.sizes, found.name, &mut points) {
            return Report { points, ..wrong };
        }
    }
    Report { points, ..report }
}

/// Checks a further point along random directions, and adds it to `points`; if the gradient is wrong there, returns the report of all of
/// `check`. What cannot be told at a point that nobody asked for is no doubt about the module.
fn also<T: Scalar, M: Module<T>, K: Kind<T, M>>(
    check: Check,
    place: &Place<'_, M>,
    sizes: [usize; 3],
    name: String,
    points: &mut Vec<Point>,
) -> Option<Report> {
    let mut along = at_sizes::<T, M, K>(check.along_directions(), place, sizes);
    // Rounding hides some directions and not others, and derivatives of order two before those of order one.
    let (orders, seed) = (along.orders, along.seed);
    let others = [(orders, 1), (1, 0), (1, 1), (1, 2)];
    for (order, again) in others {
        if !matches!(along.verdict, Verdict::CannotTell(_)) {
            break;
        }
        along = at_sizes::<T, M, K>(
            check.along_directions().orders(order).seed(seed.wrapping_add(1000 * again)),
            place,
            sizes,
        );
    }
    let name = if along.orders == orders { name } else { format!("{name}; compared at order one only") };
    points.push(Point { name, verdict: along.verdict.clone() });
    if !along.is_wrong() {
        return None;
    }
    let every = with_smallest::<T, M, K>(check, place, sizes);
    Some(if every.is_wrong() { every } else { along })
}

/// The report of a place, with the smallest sizes if it is wrong.
fn with_smallest<T: Scalar, M: Module<T>, K: Kind<T, M>>(
    check: Check,
    place: &Place<'_, M>,
    sizes: [usize; 3],
) -> Report {
    let [steps, batch, features] = sizes;
    let mut report = at_sizes::<T, M, K>(check, place, sizes);
    // The report is that of the given sizes: with a single step or sequence many mistakes look alike.
    if report.is_wrong() {
        let smallest = shrunk(&[steps, batch], |s| at_sizes::<T, M, K>(check, place, [s[0], s[1], features]));
        report.sizes = smallest.sizes.map(|mut sizes| {
            sizes.push(features);
            sizes
        });
    }
    report
}

fn at_sizes<T: Scalar, M: Module<T>, K: Kind<T, M>>(check: Check, place: &Place<'_, M>, sizes: [usize; 3]) -> Report {
    let run = place.run::<T, K>(sizes);
    let lengths = lengths(&sizes);
    check.module(&run, |_, run| row(K::run(run, how(&lengths, place.noise), Then::Stop).values))
}

/// Whether the module gives other values with the one noise than with the other.
fn draws_noise<T: Scalar, M: Module<T>, K: Kind<T, M>>(
    module: &M,
    sizes: [usize; 3],
    one: Option<Noise>,
    other: Option<Noise>,
) -> bool {
    let run = Run::sampled::<K>(module, sizes, 1.0, one);
    run.values::<K>(one, Then::Stop) != run.values::<K>(other, Then::Stop)
}

/// What the report says of variables of the first state that are not moved.
fn unread<T: Scalar, M: Module<T>>(run: &Run<Tensor<T>, M>) -> String {
    let names = run.first_state.iter().filter(|part| part.part.is_none()).map(|part| part.name.as_str());
    let names: Vec<_> = names.collect();
    if names.is_empty() { String::new() } else { format!("; no value depends on the first {}", names.join(", ")) }
}
