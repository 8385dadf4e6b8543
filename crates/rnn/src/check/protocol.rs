//! What a cell or layer must keep besides its gradient: `State::zip` visits every variable, and padding changes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var};

use super::run::{Kind, Run, Then, how, same_bits};

/// What is wrong, if something is.
pub(super) fn broken<T: Scalar, M: Module<T>, K: Kind<T, M>>(module: &M, sizes: [usize; 3]) -> Option<String> {
    state::<T, M, K>(module, sizes).or_else(|| padding::<T, M, K>(module, sizes))
}

/// A run that goes on from its last state, and one from that state put together again of the variables that `zip` visits, give the same
/// bits unless `zip` forgets one.
fn state<T: Scalar, M: Module<T>, K: Kind<T, M>>(module: &M, sizes: [usize; 3]) -> Option<String> {
    let tape = Tape::quiet();
    if !K::pairs_up(&module.on(&tape), sizes[1]) {
        return Some(format!(
            "State::zip of the {} pairs a variable with another; expected the same of both states",
            K::NAME
        ));
    }
    let run = Run::sampled::<K>(module, sizes, 1.0, None);
    let same = same_bits(&run.values::<K>(None, Then::GoOn), &run.values::<K>(None, Then::GoOnRebuilt));
    let forgets = format!(
        "State::zip of the {} forgets a variable: it goes on in another way from the variables that zip visits than from the state",
        K::NAME
    );
    (!same).then_some(forgets)
}

/// A sequence alone and the same one with a step of padding have the same outputs and last state, and the output of padding is 0. Of a single
/// sequence, lest a layer that mixes those of a batch be blamed.
fn padding<T: Scalar, M: Module<T>, K: Kind<T, M>>(module: &M, [steps, _, features]: [usize; 3]) -> Option<String> {
    // Of two steps at least, or the first would be the last.
    let (padded, length) = (steps.max(3), steps.max(3) - 1);
    let run = Run::sampled::<K>(module, [padded, 1, features], 1.0, None);
    let with_padding = outcome::<T, M, K>(&run, length)?;
    let alone = outcome::<T, M, K>(&Run { x: run.x.slice(0, 0..length), ..run }, length)?;
    let what =
        format!("the {} does not mask its padding: of a sequence of {length} steps, padded to {padded}, ", K::NAME);
    if let (Some(outputs), Some(outputs_alone)) = (with_padding.outputs, alone.outputs) {
        if outputs.slice(0, length..padded).to_vec().iter().any(|&y| y != T::ZERO) {
            return Some(format!("{what}the output after the end is not 0; see Unroll::masked"));
        }
        if differ(&outputs.slice(0, 0..length), &outputs_alone) {
            return Some(format!("{what}the outputs are not those of the sequence alone"));
        }
    }
    let mut states = with_padding.last.iter().zip(&alone.last);
    let moved = states.any(|(padded, alone)| differ(padded, alone));
    moved.then(|| format!("{what}the last state is not that of the sequence alone"))
}

/// What a run gives.
struct Outcome<T: Scalar> {
    outputs: Option<Tensor<T>>,
    last: Vec<Tensor<T>>,
}

/// That of a sequence of this length; `None` if the module does not take it.
fn outcome<T: Scalar, M: Module<T>, K: Kind<T, M>>(run: &Run<Tensor<T>, M>, length: usize) -> Option<Outcome<T>> {
    let outcome = || {
        let tape = Tape::quiet();
        let ran = K::run(&run.on(&tape), how(&[length], None), Then::Stop);
        Outcome { outputs: ran.outputs.map(Var::value), last: ran.last.into_iter().map(Var::value).collect() }
    };
    catch_unwind(AssertUnwindSafe(outcome)).ok()
}

/// Whether two values differ by more than the rounding of products of other sizes, however that grows.
fn differ<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let pairs = || a.to_vec().into_iter().map(T::to_f64).zip(b.to_vec().into_iter().map(T::to_f64));
    let size = pairs().map(|(a, _)| a.abs()).filter(|a| a.is_finite()).fold(0.0, f64::max);
    let apart = |(a, b): (f64, f64)| (a - b).abs() > T::EPSILON.to_f64().sqrt() * size;
    a.shape() != b.shape() || pairs().any(apart)
}
