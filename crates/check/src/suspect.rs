//! The first op at fault: every node of the tape is checked alone, at the values it had.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::compare::{Comparison, Found, Look, MOST_ENTRIES, Outcome, Rules, inspect};
use crate::elements::{differ, direction, elements};
use crate::guess::{Evidence, guess};
use crate::node::{Alone, Node, Panicked, ancestors};
use crate::pattern::Pattern;
use crate::report::{Doubt, Entry, Invalid, Suspect};
use crate::sample::Rounding;

/// How far a search goes.
#[derive(Clone, Copy)]
pub(crate) struct Search {
    /// The most entries of one input of an op that are compared, where all are requested.
    pub(crate) most: usize,
    /// Whether derivatives of rules are examined too.
    pub(crate) deep: bool,
    /// Whether a rule that is not finite explains what is wrong.
    pub(crate) not_finite: bool,
    /// The seed of directions and weights.
    pub(crate) seed: u64,
}

/// How a node is examined.
#[derive(Clone, Copy)]
struct View {
    /// 1 for the rule against its value, 2 for the derivative of the rule against the rule.
    order: usize,
    look: Look,
    /// Inputs that are the same variable move together.
    shared: bool,
}

/// What is wrong with a node.
#[derive(Default)]
struct Fault {
    worst: Option<Entry>,
    pattern: Option<Pattern>,
    /// The message, if the rule panicked.
    panic: Option<String>,
}

impl From<Panicked> for Fault {
    fn from(Panicked { message, wrong_shape }: Panicked) -> Self {
        Fault { pattern: wrong_shape.then_some(Pattern::WrongShape), panic: Some(message), worst: None }
    }
}

/// A walk over the nodes of a tape.
pub(crate) struct Walk<T: Scalar> {
    /// Those with an op, ascending.
    nodes: Vec<Node<T>>,
    search: Search,
    /// Why a node cannot be judged: the first reason that may be that of the entire function.
    doubt: RefCell<Option<Doubt>>,
}

impl<T: Scalar> Walk<T> {
    pub(crate) fn new(nodes: Vec<Node<T>>, search: Search) -> Self {
        Walk { nodes, search, doubt: RefCell::default() }
    }

    pub(crate) fn nodes(&self) -> &[Node<T>] {
        &self.nodes
    }

    pub(crate) fn into_doubt(self) -> Option<Doubt> {
        self.doubt.into_inner()
    }

    /// The first node that is wrong alone.
    pub(crate) fn suspect(&self) -> Option<Suspect> {
        self.suspect_by(Look::Direction).or_else(|| self.suspect_by(Look::Entries))
    }

    /// The first node that is wrong by its rule, by the derivative of its rule, because its value changes when it is
    /// recomputed, where it gets the same variable twice, or because its rule is not finite.
    fn suspect_by(&self, look: Look) -> Option<Suspect> {
        let view = |order, shared| View { order, look, shared };
        let derivatives = |shared| {
            let view = view(2, shared);
            if self.search.deep { self.first(view, |place| self.compare_rule(&self.nodes[place], view)) } else { None }
        };
        let (once, last) = (look == Look::Direction, look == Look::Entries && self.search.not_finite);
        let values = |fault: fn(&Self, &Node<T>) -> Option<Fault>| {
            self.first(view(1, false), |place| fault(self, &self.nodes[place]))
        };
        self.rules(view(1, false))
            .or_else(|| derivatives(false))
            .or_else(|| if once { values(Self::recompute) } else { None })
            .or_else(|| self.rules(view(1, true)))
            .or_else(|| derivatives(true))
            .or_else(|| if last { values(Self::finite) } else { None })
    }

    /// Each rule against differences of its own value.
    fn rules(&self, view: View) -> Option<Suspect> {
        // All rules before any value: an op that stores something from its last value must not be helped by our calls.
        let rules: Vec<_> = self.nodes.iter().map(|node| self.rule(node, view.shared)).collect();
        self.first(view, |place| match &rules[place] {
            Err(panicked) => Some(panicked.clone().into()),
            Ok(gradients) => self.compare(&self.nodes[place], gradients, view),
        })
    }

    /// The first node with a fault, and how many of its name have one.
    fn first(&self, view: View, fault: impl Fn(usize) -> Option<Fault>) -> Option<Suspect> {
        let mut first: Option<Suspect> = None;
        let mut wrong: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if view.shared && !node.repeats() {
                continue;
            }
            let Some(fault) = fault(place) else { continue };
            *wrong.entry(node.info.name).or_default() += 1;
            if first.is_none() {
                first = match &fault.pattern {
                    Some(Pattern::Unsteady { .. }) => Some(suspect(node, fault)),
                    // The rule of a checkpoint is a sweep over other ops, and never wrong alone.
                    _ => self.inside(node, view.look).unwrap_or_else(|| Some(suspect(node, fault))),
                };
            }
        }
        first.map(|suspect| {
            let nodes = wrong.get(suspect.op).copied().unwrap_or(suspect.nodes); // those of a checkpoint are counted there
            Suspect { nodes, examined: suspect.examined + self.nodes.len(), ..suspect }
        })
    }

    /// The first op at fault within a checkpoint; `None` if the node is none.
    fn inside(&self, node: &Node<T>, look: Look) -> Option<Option<Suspect>> {
        let search = |tape: &Tape<T>, root: Var<'_, T>| {
            Walk::new(ancestors(tape, &[root.position()]), self.search).suspect_by(look)
        };
        let Ok(found) = node.rerun(&node.values(false), search) else { return Some(None) };
        let outside = |suspect: Suspect| {
            let scopes = [node.info.scope.as_str(), &suspect.scope];
            let scope = scopes.into_iter().filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join("/");
            Suspect { node: node.info.index, scope, ..suspect }
        };
        found.map(|suspect| suspect.map(outside))
    }

    fn most(&self, look: Look) -> usize {
        if look == Look::Entries { self.search.most } else { MOST_ENTRIES }
    }

    /// The terms of a node's rule at the values on the tape.
    fn rule(&self, node: &Node<T>, shared: bool) -> Result<Vec<Tensor<T>>, Panicked> {
        let (values, cotangent) = (node.values(shared), node.cotangent(self.search.seed));
        node.alone(shared, |alone| alone.rule(&values, node.info.value.clone(), &cotangent))
    }

    fn compare(&self, node: &Node<T>, gradients: &[Tensor<T>], view: View) -> Option<Fault> {
        let (values, cotangent) = (node.values(view.shared), node.cotangent(self.search.seed));
        let weights = elements(&cotangent);
        let compared = node.alone(view.shared, |alone| {
            let pairs = || gradients.iter().zip(&values).chain([(&cotangent, &node.info.value)]);
            let rounding = || rounding_alone(pairs(), node);
            let rules = Rules { order: 1, rounding: &rounding, most: self.most(view.look) };
            let mut value = |x: &[Tensor<T>], out: &mut Vec<T>| {
                *out = alone.value(x).to_vec();
                Ok(())
            };
            inspect(&mut value, &values, weights, gradients, rules, (view.look, self.search.seed))
        });
        self.fault(compared, node, view, gradients)
    }

    fn compare_rule(&self, node: &Node<T>, view: View) -> Option<Fault> {
        let (seed, cotangent) = (self.search.seed, node.cotangent(self.search.seed));
        let mut values = node.values(view.shared);
        let weigh: Vec<Tensor<T>> =
            values.iter().enumerate().map(|(i, x)| direction(x.shape(), seed, i as u64 + 1)).collect();
        let weights = weigh.iter().flat_map(elements).collect();
        let compared = node.alone(view.shared, |alone| {
            let gradients = derivative_of_rule(alone, &values, node.info.value.clone(), &cotangent, weigh);
            values.push(cotangent);
            let rounding = || rounding_alone(gradients.iter().zip(&values), node);
            let rules = Rules { order: 2, rounding: &rounding, most: self.most(view.look) };
            let mut rule = |x: &[Tensor<T>], out: &mut Vec<T>| {
                let (cotangent, leaves) = x.split_last().expect("the cotangent is the last");
                *out = alone.rule(leaves, alone.value(leaves), cotangent).iter().flat_map(Tensor::to_vec).collect();
                Ok(())
            };
            inspect(&mut rule, &values, weights, &gradients, rules, (view.look, seed))
        });
        self.fault(compared, node, view, &[])
    }

    /// What a comparison says of a node; `gradients` are those of the rule.
    fn fault(
        &self,
        compared: Result<Result<Comparison, Invalid>, Panicked>,
        node: &Node<T>,
        view: View,
        gradients: &[Tensor<T>],
    ) -> Option<Fault> {
        let comparison = match compared {
            Ok(Ok(comparison)) => comparison,
            // A rule whose terms have other shapes at other values is as wrong as one that panics.
            Ok(Err(_)) => return Some(Fault::default()),
            Err(panicked) => return Some(panicked.into()),
        };
        match &comparison.outcome {
            Outcome::Right => None,
            Outcome::Doubt(doubt) => {
                if matches!(doubt, Doubt::Unsettled | Doubt::OutOfRange) {
                    self.doubt.borrow_mut().get_or_insert_with(|| doubt.clone());
                }
                None
            }
            Outcome::Wrong => Some(Fault {
                worst: comparison.worst.as_ref().map(|found| named(found, node, view)),
                pattern: self.pattern(node, view, &comparison, gradients),
                panic: None,
            }),
        }
    }

    /// Whether the op computes the same value again: a sweep runs a checkpoint a second time, and an op may count its
    /// calls.
    fn recompute(&self, node: &Node<T>) -> Option<Fault> {
        let (values, value) = (node.values(false), &node.info.value);
        let again = node.alone(false, |alone| [(); 3].map(|()| alone.value(&values))).ok()?;
        let other = again.into_iter().find(|other| differ(other, value))?;
        let apart = elements(&other).into_iter().zip(elements(value)).map(|(a, b)| (a - b).abs());
        let pattern = Some(Pattern::Unsteady { difference: apart.fold(0.0, f64::max) });
        Some(Fault { pattern, ..Fault::default() })
    }

    /// Whether the rule is finite where the inputs and the value are.
    fn finite(&self, node: &Node<T>) -> Option<Fault> {
        let is_finite = |x: &Tensor<T>| elements(x).into_iter().all(f64::is_finite);
        let broken = self.rule(node, false).is_ok_and(|rule| !rule.iter().all(is_finite));
        let defined = is_finite(&node.info.value) && node.values(false).iter().all(is_finite);
        (broken && defined).then(|| Fault { pattern: Some(Pattern::NotFinite), ..Fault::default() })
    }

    fn pattern(&self, node: &Node<T>, view: View, comparison: &Comparison, gradients: &[Tensor<T>]) -> Option<Pattern> {
        let (input, _) = comparison.worst.as_ref()?.place?;
        if view.shared {
            return Some(Pattern::SameVariable);
        }
        if view.order > 1 {
            return None;
        }
        let values = node.values(false);
        let wide = |x: &Tensor<T>| Tensor::from_vec(elements(x), x.shape());
        let evidence = Evidence {
            analytic: gradients.iter().map(wide).collect(),
            numeric: comparison.numeric.clone(),
            inputs: values.iter().map(wide).collect(),
            output: wide(&node.info.value),
            cotangent: wide(&node.cotangent(self.search.seed)),
        };
        guess(&evidence, input)
    }
}

fn suspect<T: Scalar>(node: &Node<T>, fault: Fault) -> Suspect {
    let Fault { worst, pattern, panic } = fault;
    let info = &node.info;
    let (node, op, scope, location) = (info.index, info.name, info.scope.clone(), info.location);
    Suspect { node, op, scope, location, worst, pattern, panic, nodes: 1, examined: 0 }
}

/// The gradient of Σ `weigh`·rule with respect to the leaves and the cotangent, by the tape.
fn derivative_of_rule<T: Scalar>(
    alone: &Alone<'_, T>,
    leaves: &[Tensor<T>],
    value: Tensor<T>,
    cotangent: &Tensor<T>,
    weigh: Vec<Tensor<T>>,
) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let (mut leaves, output) = alone.record(&tape, leaves, value);
    let seed = tape.leaf(cotangent.clone());
    let mut sum = tape.scalar(T::ZERO);
    for (&g, w) in output.grad_from(seed, &leaves).iter().zip(weigh) {
        sum = sum + (g * tape.constant(w)).sum();
    }
    let gradients = sum.backward();
    leaves.push(seed);
    leaves.iter().map(|&v| gradients.get(v)).collect()
}

/// An entry with the number of its input, or those of all inputs that are this variable.
fn named<T: Scalar>(found: &Found, node: &Node<T>, view: View) -> Entry {
    let inputs = &node.info.inputs;
    let name = |leaf: usize| {
        let same = (0..inputs.len()).filter(|&i| i == leaf || view.shared && inputs[i] == inputs[leaf]);
        same.map(|i| i.to_string()).collect::<Vec<_>>().join(" and ")
    };
    let names: Vec<String> = node.leaves(view.shared).into_iter().map(name).chain(["cotangent".to_owned()]).collect();
    let mut shapes: Vec<_> = node.values(view.shared).iter().map(|x| x.shape().to_vec()).collect();
    shapes.push(node.info.value.shape().to_vec());
    found.entry::<T>(&names, &shapes, view.order)
}

/// The rounding inside an op: its inputs are exact, but its intermediate values are as large as they are.
fn rounding_alone<'a, T: Scalar>(
    pairs: impl Iterator<Item = (&'a Tensor<T>, &'a Tensor<T>)>,
    node: &Node<T>,
) -> Rounding {
    let (mut effects, mut own) = (Rounding::default(), Rounding::default());
    pairs.for_each(|(cotangent, value)| effects.add(cotangent, value));
    own.add(&node.info.value, &node.info.value);
    Rounding { largest: own.largest, ..effects }
}
