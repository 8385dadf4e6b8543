//! What the state of a cell or layer must keep besides its gradient: `State::zip` visits every variable, and pairs it with itself.

use rewind_autograd::{Module, OnTape, Scalar, Tape};

use super::run::{Kind, Run, Then, same_bits};

/// A run that goes on from its last state, and one from that state put together again of the variables that `zip` visits, give the same
/// bits unless `zip` forgets one.
pub(super) fn broken<T: Scalar, M: Module<T>, K: Kind<T, M>>(module: &M, sizes: [usize; 3]) -> Option<String> {
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
