//! One node of a tape by itself: its value and its rule as functions of numbers.

use super::differences::{Comparison, Outcome, Rules, entries, projection};
use super::objective::{Subject, gradients_of};
use super::prober::Prober;
use super::report::{Doubt, Invalid};
use super::run::catch;
use crate::tape::Tape;
use crate::{NodeOp, Op, Reads, Scalar, Site, Tensor, Term, Var};

/// An op on a tape of its own, behind leaves.
pub(super) struct Alone<'a, T: Scalar> {
    pub(super) tape: &'a Tape<T>,
    from: &'a Tape<T>,
    node: usize,
    /// The leaves, ascending, each once.
    pub(super) leaves: Vec<Var<'a, T>>,
    /// Which leaf each input of the op is.
    pub(super) inputs: Vec<usize>,
    pub(super) output: Var<'a, T>,
}

/// An op with the value that it had.
struct Known<T: Scalar> {
    op: NodeOp<T>,
    value: Tensor<T>,
}

impl<T: Scalar> Op<T> for Known<T> {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward(&self, _inputs: &[&Tensor<T>]) -> Tensor<T> {
        self.value.clone()
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        self.op.vjp(input, at)
    }
    fn reads(&self) -> Reads {
        self.op.reads()
    }
}

/// Whether node `index` runs a function again.
pub(super) fn has_region<T: Scalar>(tape: &Tape<T>, index: usize) -> bool {
    tape.node(index).name == "checkpoint"
}

/// Calls `f` with the result of the function that a node runs again, on a tape of its own that begins with `inputs` as leaves.
pub(super) fn with_region<T: Scalar, R>(
    tape: &Tape<T>,
    index: usize,
    inputs: &[Tensor<T>],
    f: impl FnOnce(&Tape<T>, Var<'_, T>) -> R,
) -> Option<R> {
    let (op, alone) = (tape.op(index)?, Tape::new());
    let inputs: Vec<_> = inputs.iter().map(|x| alone.leaf(x.clone())).collect();
    Some(f(&alone, op.rerun(&alone, &inputs)?))
}

impl<'a, T: Scalar> Alone<'a, T> {
    /// Calls `f` with the op of node `node` of `from`. If `shared`, inputs that are the same variable are the same leaf.
    pub(super) fn with<R>(
        from: &Tape<T>,
        node: usize,
        shared: bool,
        f: impl FnOnce(&Alone<'_, T>) -> R,
    ) -> Result<R, String> {
        let (tape, info) = (Tape::new(), from.node(node));
        let values: Vec<_> = info.inputs.iter().map(|&input| from.node(input).value).collect();
        let distinct = |&i: &usize| !shared || !info.inputs[..i].contains(&info.inputs[i]);
        let firsts: Vec<usize> = (0..values.len()).filter(distinct).collect();
        let place =
            |i: usize| firsts.iter().position(|&first| first == i || shared && info.inputs[first] == info.inputs[i]);
        let inputs: Vec<usize> = (0..values.len()).map(|i| place(i).expect("every input is a leaf")).collect();
        let leaves: Vec<Tensor<T>> = firsts.iter().map(|&i| values[i].clone()).collect();
        let alone = Alone::record(&tape, (from, node), inputs, &leaves, info.value);
        catch(|| f(&alone))
    }

    fn record(
        tape: &'a Tape<T>,
        (from, node): (&'a Tape<T>, usize),
        inputs: Vec<usize>,
        values: &[Tensor<T>],
        value: Tensor<T>,
    ) -> Self {
        let leaves: Vec<_> = values.iter().map(|x| tape.leaf(x.clone())).collect();
        let vars: Vec<_> = inputs.iter().map(|&leaf| leaves[leaf]).collect();
        let op = from.op(node).expect("nodes that are examined have an op");
        let output = tape.apply(Known { op, value }, &vars);
        Alone { tape, from, node, leaves, inputs, output }
    }

    /// The value of the op where the leaves are `values`.
    pub(super) fn value(&self, values: &[Tensor<T>]) -> Tensor<T> {
        let inputs: Vec<&Tensor<T>> = self.inputs.iter().map(|&leaf| &values[leaf]).collect();
        self.from.op(self.node).expect("a node that stands alone has its op").forward(&inputs)
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
        let (cotangent, values) = inputs.split_last().expect("the cotangent is the last");
        let (tape, there) = (Tape::new(), (self.0.from, self.0.node));
        let here = Alone::record(&tape, there, self.0.inputs.clone(), values, self.0.value(values));
        out.clear();
        for gradient in gradients_of(here.output, cotangent.clone(), &here.leaves) {
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
