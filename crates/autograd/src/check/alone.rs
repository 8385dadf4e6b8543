//! One node of a tape by itself: its value and its rule as functions of numbers.

use super::differences::{Comparison, Outcome, Rules, entries, projection};
use super::objective::{Subject, gradients_of};
use super::prober::Prober;
use super::report::{Doubt, Invalid};
use super::run::catch;
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// An op on a tape of its own, behind leaves.
pub(super) struct Alone<'a, T: Scalar> {
    pub(super) tape: &'a Tape<T>,
    /// The leaves, ascending, each once.
    pub(super) leaves: Vec<Var<'a, T>>,
    /// Which leaf each input of the op is.
    pub(super) inputs: Vec<usize>,
    pub(super) output: Var<'a, T>,
}

impl<T: Scalar> Alone<'_, T> {
    /// Calls `f` with the op of node `node` of `from`. If `shared`, inputs that are the same variable are the same leaf.
    pub(super) fn with<R>(
        from: &Tape<T>,
        node: usize,
        shared: bool,
        f: impl FnOnce(&Alone<'_, T>) -> R,
    ) -> Result<R, String> {
        let tape = Tape::new();
        let (vars, output) = tape.borrow_op(from, node, shared).expect("nodes that are examined have an op");
        let mut leaves = vars.clone();
        leaves.sort_unstable_by_key(|v| v.id());
        leaves.dedup_by_key(|v| v.id());
        let place = |v: &Var<'_, T>| leaves.iter().position(|leaf| leaf.id() == v.id()).expect("every input is a leaf");
        let inputs = vars.iter().map(place).collect();
        let result = catch(|| f(&Alone { tape: &tape, leaves, inputs, output }));
        tape.return_op(output, from, node);
        result
    }

    /// The value of the op where the leaves are `values`.
    pub(super) fn value(&self, values: &[Tensor<T>]) -> Tensor<T> {
        let inputs: Vec<&Tensor<T>> = self.inputs.iter().map(|&leaf| &values[leaf]).collect();
        self.tape.ops()[self.output.position()].as_ref().expect("a node that stands alone has its op").forward(&inputs)
    }
}

/// The value of an op that stands alone.
pub(super) struct ValueAlone<'a, 'b, T: Scalar>(pub(super) &'b Alone<'a, T>);

impl<T: Scalar> Subject<T> for ValueAlone<'_, '_, T> {
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        *out = self.0.value(inputs).to_vec();
        Ok(())
    }
}

/// The rule of an op that stands alone, as a function of the leaves and the cotangent.
pub(super) struct RuleAlone<'a, 'b, T: Scalar>(pub(super) &'b Alone<'a, T>);

impl<T: Scalar> Subject<T> for RuleAlone<'_, '_, T> {
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        let Alone { tape, leaves, output, .. } = self.0;
        let (cotangent, values) = inputs.split_last().expect("the cotangent is the last");
        for (&leaf, value) in leaves.iter().zip(values) {
            tape.set_value(leaf, value.clone());
        }
        tape.set_value(*output, self.0.value(values));
        out.clear();
        for gradient in gradients_of(*output, cotangent.clone(), leaves) {
            out.extend(gradient.to_vec());
        }
        Ok(())
    }
}

/// How closely a node is looked at.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Look {
    /// One direction first; every entry if that one disagrees or cannot tell.
    Direction,
    /// Every entry, of which a direction through all may not see one that is a little wrong.
    Entries,
}

/// What there is to see of a node.
pub(super) enum Seen {
    Right,
    Wrong(Box<Comparison>),
    Doubt(Doubt),
}

pub(super) fn inspect<T: Scalar>(
    subject: &mut dyn Subject<T>,
    inputs: &[Tensor<T>],
    weights: Vec<f64>,
    gradients: &[Tensor<T>],
    rules: Rules<'_>,
    (look, seed): (Look, u64),
) -> Result<Seen, Invalid> {
    let mut prober = Prober::new(subject, inputs, weights)?;
    let everything = vec![1.0; inputs.len()];
    let outcome = match look {
        Look::Direction => projection(&mut prober, gradients, &everything, seed, rules)?.0,
        Look::Entries => Outcome::Doubt(Doubt::Rounding),
    };
    if outcome == Outcome::Right {
        return Ok(Seen::Right);
    }
    let names: Vec<String> = (0..inputs.len()).map(|i| i.to_string()).collect();
    let compared = entries(&mut prober, gradients, &names, rules)?;
    // Where not every entry could be compared, the direction decides.
    let some_left_out = inputs.iter().any(|x| x.len() > rules.most);
    Ok(match compared.outcome.clone() {
        Outcome::Wrong => Seen::Wrong(Box::new(compared)),
        _ if some_left_out && outcome == Outcome::Wrong => Seen::Wrong(Box::new(compared)),
        Outcome::Doubt(doubt) => Seen::Doubt(doubt),
        Outcome::Right => Seen::Right,
    })
}
