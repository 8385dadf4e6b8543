//! The check is checked: rules with one mistake each, and functions without any.

mod cells;
mod elementwise;
mod recipes;
mod right;
mod rules;
mod stale;
mod tests;

use rewind_autograd::{Op, Site, Tape, Tensor, Term, Var};
use rewind_check as check;

pub(crate) type Function = Box<dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>>;
pub(crate) type Value = fn(&[&Tensor<f64>]) -> Tensor<f64>;
pub(crate) type Rule = for<'t> fn(usize, &Site<'t, f64>) -> Term<'t, f64>;

/// The kinds of mistakes that people make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    MissingTerm,
    Sign,
    Factor,
    Transposed,
    WrongAxis,
    OffByOne,
    WrongInput,
    MissingMask,
    BroadcastNotSummed,
    Stale,
    SecondOrder,
}

/// A function with one wrong rule in it.
pub(crate) struct Mistake {
    pub(crate) kind: Kind,
    /// The name of the op at fault; for a value off the tape, of the op whose rule took it off.
    pub(crate) op: &'static str,
    /// The order at which it is wrong.
    pub(crate) order: usize,
    pub(crate) inputs: Vec<Tensor<f64>>,
    pub(crate) f: Function,
}

/// An op from a value and a rule.
#[derive(Clone, Copy)]
pub(crate) struct Custom {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    pub(crate) rule: Rule,
}

impl Op<f64> for Custom {
    fn name(&self) -> &'static str {
        self.name
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        (self.value)(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        (self.rule)(input, at)
    }
}

/// The op between others: so that it must be found, and so that its cotangent depends on the inputs.
pub(crate) fn among_others(op: Custom) -> Function {
    Box::new(move |tape, v| {
        let scaled: Vec<_> = v.iter().map(|&v| v * 0.8).collect();
        let y = tape.apply(op, &scaled);
        (y * 0.5).tanh() + y * y
    })
}

pub(crate) fn mistake(kind: Kind, op: Custom, shapes: &[&[usize]]) -> Mistake {
    let inputs = shapes.iter().enumerate().map(|(i, shape)| check::sample(shape, 50 + i as u64)).collect();
    Mistake { kind, op: op.name, order: if kind == Kind::SecondOrder { 2 } else { 1 }, inputs, f: among_others(op) }
}

/// Rows of one op each: kind, name, shapes of the inputs, value, rule.
macro_rules! mistakes {
    ($($kind:ident $name:literal [$($shape:expr),*] $value:expr, $rule:expr;)*) => {
        vec![$($crate::mistakes::mistake(
            $crate::mistakes::Kind::$kind,
            $crate::mistakes::Custom { name: $name, value: $value, rule: $rule },
            &[$(&$shape),*],
        )),*]
    };
}
use mistakes;

pub(crate) fn all() -> Vec<Mistake> {
    let mut all = elementwise::mistakes();
    all.extend(rules::mistakes());
    all.extend(cells::mistakes());
    all.extend(stale::mistakes());
    all
}
