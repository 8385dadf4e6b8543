//! Where a wrong gradient comes from: every node of the tape is checked alone, at the values it had.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::alone::{Alone, Look, RuleAlone, Seen, ValueAlone, has_region, inspect, with_region};
use super::differences::{Comparison, Found, Rounding, Rules};
use super::objective::{Objective, direction, gradients_of};
use super::off_tape::differ;
use super::pattern::{Evidence, Grid, Pattern, guess};
use super::prober::numbers;
use super::report::{Culprit, Doubt, Entry, Invalid, Suspect};
use super::run::{MOST_ENTRIES, catch, entry};
use crate::naming::within;
use crate::tape::Tape;
use crate::{NodeInfo, Scalar, Tensor, Var};

/// How far a search goes.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Entries of one input of an op that are compared at most, where every one is asked for.
    pub(super) most: usize,
    /// Whether derivatives of rules are looked at, too.
    pub(super) deep: bool,
    /// Whether a rule that is not finite explains what is wrong.
    pub(super) not_finite: bool,
}

/// What a search comes to.
pub(super) struct Origin {
    pub(super) culprit: Option<Culprit>,
    /// Why a node cannot be told by itself, if one cannot: the function is not wrong if nothing else is.
    pub(super) doubt: Option<Doubt>,
}

/// Looks for the origin of what is wrong at `order` of `f`.
pub(super) fn find<T: Scalar>(
    objective: &Objective<'_, T>,
    order: usize,
    seed: u64,
    inputs: &[Tensor<T>],
    search: Search,
) -> Origin {
    let tape = Tape::new();
    let roots = match catch(|| objective.record_before(&tape, inputs)) {
        Ok(roots) => roots.into_iter().map(Var::position).collect::<Vec<_>>(),
        // The reverse pass below the order in question fails already: what stands on the tape until then is looked at.
        Err(_) => (0..tape.len()).collect(),
    };
    let nodes = ancestors(&tape, &roots);
    let walk = Walk { tape: &tape, nodes, seed, search, doubt: RefCell::default() };
    let suspect = walk.suspect(Look::Direction).or_else(|| walk.suspect(Look::Entries));
    let culprit = suspect
        .map(Culprit::Op)
        .or_else(|| walk.off_tape(objective, order, inputs).map(Culprit::OffTape))
        .or_else(|| walk.off_tape_inside().map(Culprit::OffTape));
    Origin { culprit, doubt: walk.doubt.into_inner() }
}

/// The nodes with an op that the roots are computed from, ascending.
fn ancestors<T: Scalar>(tape: &Tape<T>, roots: &[usize]) -> Vec<usize> {
    let mut needed = vec![false; tape.len()];
    roots.iter().for_each(|&root| needed[root] = true);
    let mut nodes = Vec::new();
    for index in (0..tape.len()).rev() {
        if needed[index] && tape.op(index).is_some() {
            tape.node(index).inputs.into_iter().for_each(|input| needed[input] = true);
            nodes.push(index);
        }
    }
    nodes.reverse();
    nodes
}

/// What a rule gave for a node alone, or the message it panicked with.
type Given<T> = Result<Vec<Tensor<T>>, String>;

pub(super) struct Walk<'a, T: Scalar> {
    pub(super) tape: &'a Tape<T>,
    /// Those with an op, ascending.
    pub(super) nodes: Vec<usize>,
    pub(super) seed: u64,
    search: Search,
    /// Why a node cannot be told: the first reason that may be that of the whole function.
    doubt: RefCell<Option<Doubt>>,
}

/// How a node is looked at.
#[derive(Clone, Copy)]
struct View {
    /// 1 for the rule against its value, 2 for the derivative of the rule against the rule.
    order: usize,
    look: Look,
    /// Inputs that are the same variable move together.
    shared: bool,
}

/// What a node alone looks like.
enum Sight<T: Scalar> {
    Right,
    /// The comparison, and what the rule gave.
    Wrong(Option<(Box<Comparison>, Vec<Tensor<T>>)>),
    /// Computed again it has another value.
    Unsteady(f64),
    /// What the rule gives is not finite, of numbers that are.
    NotFinite,
    Panics(String),
}

impl<T: Scalar> Walk<'_, T> {
    /// The first node that is wrong alone: by its rule, by the derivative of its rule, because it has another value when it is
    /// computed again, where it gets the same variable twice, or because its rule is not finite.
    fn suspect(&self, look: Look) -> Option<Suspect> {
        let rules = |shared| self.rules(View { order: 1, look, shared });
        let derivatives = |shared| {
            let view = View { order: 2, look, shared };
            self.first(view, |place| self.compare_rule(self.nodes[place], view))
        };
        let derivatives = |shared| if self.search.deep { derivatives(shared) } else { None };
        let values = |see: &dyn Fn(usize) -> Sight<T>| {
            self.first(View { order: 1, look, shared: false }, |place| see(self.nodes[place]))
        };
        let (once, last) = (look == Look::Direction, look == Look::Entries && self.search.not_finite);
        rules(false)
            .or_else(|| derivatives(false))
            .or_else(|| if once { values(&|node| self.recompute(node)) } else { None })
            .or_else(|| rules(true))
            .or_else(|| derivatives(true))
            .or_else(|| if last { values(&|node| self.finite(node)) } else { None })
    }

    /// Each rule against differences of its own value.
    fn rules(&self, view: View) -> Option<Suspect> {
        // All rules before any value: an op that keeps something from its last value must not be helped by ours.
        let rules: Vec<Given<T>> = self.nodes.iter().map(|&node| self.rule(node, view.shared)).collect();
        self.first(view, |place| match &rules[place] {
            Err(message) => Sight::Panics(message.clone()),
            Ok(gradients) => self.compare(self.nodes[place], gradients, view),
        })
    }

    /// The first node that looks wrong, and how many of its name do.
    fn first(&self, view: View, look: impl Fn(usize) -> Sight<T>) -> Option<Suspect> {
        let mut first: Option<Suspect> = None;
        let mut wrong: BTreeMap<&'static str, usize> = BTreeMap::new();
        for place in 0..self.nodes.len() {
            if view.shared && !self.repeats(self.nodes[place]) {
                continue;
            }
            let sight = look(place);
            if matches!(sight, Sight::Right) {
                continue;
            }
            let info = self.tape.node(self.nodes[place]);
            *wrong.entry(info.name).or_default() += 1;
            if first.is_none() {
                // The rule of a region is a sweep over others, and never wrong by itself.
                let region = has_region(self.tape, info.index) && !matches!(sight, Sight::Unsteady(_));
                first = if region { self.inside(&info, view.look) } else { Some(self.describe(view, info, sight)) };
            }
        }
        first.map(|suspect| {
            let nodes = wrong.get(suspect.op).copied().unwrap_or(suspect.nodes); // those of a region are counted there
            Suspect { nodes, examined: suspect.examined + self.nodes.len(), ..suspect }
        })
    }

    /// The first op at fault within a region that the sweep runs again.
    fn inside(&self, info: &NodeInfo<T>, look: Look) -> Option<Suspect> {
        let search = |tape: &Tape<T>, root: Var<'_, T>| {
            let nodes = ancestors(tape, &[root.position()]);
            Walk { tape, nodes, doubt: RefCell::default(), ..*self }.suspect(look)
        };
        let values = info.inputs.iter().map(|&i| self.tape.node(i).value).collect::<Vec<_>>();
        let suspect = catch(|| with_region(self.tape, info.index, &values, search)).ok()???;
        Some(Suspect { node: info.index, scope: within(&info.scope, &suspect.scope), ..suspect })
    }

    fn describe(&self, view: View, info: NodeInfo<T>, sight: Sight<T>) -> Suspect {
        let (mut worst, mut pattern, mut panic) = (None, None, None);
        match sight {
            Sight::Panics(message) => {
                // The words of `Term::check`.
                pattern = message.contains("the rule for input").then_some(Pattern::WrongShape);
                panic = Some(message);
            }
            Sight::Wrong(Some((comparison, gradients))) => {
                worst = comparison.worst.as_ref().map(|found| self.named(found, &info, view));
                pattern = self.pattern(&info, view, &comparison, &gradients);
            }
            Sight::Unsteady(difference) => pattern = Some(Pattern::Unsteady { difference }),
            Sight::NotFinite => pattern = Some(Pattern::NotFinite),
            Sight::Wrong(None) | Sight::Right => {}
        }
        let (node, op, scope, location) = (info.index, info.name, info.scope, info.location);
        Suspect { node, op, scope, location, worst, pattern, panic, nodes: 1, examined: 0 }
    }

    fn most(&self, look: Look) -> usize {
        if look == Look::Entries { self.search.most } else { MOST_ENTRIES }
    }

    /// Whether two inputs of a node are the same variable.
    fn repeats(&self, node: usize) -> bool {
        let inputs = self.tape.node(node).inputs;
        inputs.iter().enumerate().any(|(i, input)| inputs[..i].contains(input))
    }

    /// The places of the inputs that a node is looked at by: each variable once if they are shared.
    fn places(info: &NodeInfo<T>, shared: bool) -> Vec<usize> {
        let first = |&i: &usize| !shared || !info.inputs[..i].contains(&info.inputs[i]);
        (0..info.inputs.len()).filter(first).collect()
    }

    pub(super) fn values(&self, info: &NodeInfo<T>, shared: bool) -> Vec<Tensor<T>> {
        Self::places(info, shared).into_iter().map(|i| self.tape.node(info.inputs[i]).value).collect()
    }

    pub(super) fn cotangent(&self, info: &NodeInfo<T>) -> Tensor<T> {
        direction(info.value.shape(), self.seed, 1 << 40)
    }

    /// What the rule of `node` gives at the values on the tape.
    fn rule(&self, node: usize, shared: bool) -> Given<T> {
        let cotangent = self.cotangent(&self.tape.node(node));
        Alone::with(self.tape, node, shared, |alone| gradients_of(alone.output, cotangent, &alone.leaves))
    }

    fn compare(&self, node: usize, gradients: &[Tensor<T>], view: View) -> Sight<T> {
        let info = self.tape.node(node);
        let (values, cotangent) = (self.values(&info, view.shared), self.cotangent(&info));
        let weights = numbers(&cotangent);
        let seen = Alone::with(self.tape, node, view.shared, |alone| {
            let rounding = || rounding_alone(gradients.iter().zip(&values).chain([(&cotangent, &info.value)]), &info);
            let rules = Rules { order: 1, rounding: &rounding, most: self.most(view.look) };
            inspect(&mut ValueAlone(alone), &values, weights, gradients, rules, (view.look, self.seed))
        });
        self.sight(seen, gradients)
    }

    fn compare_rule(&self, node: usize, view: View) -> Sight<T> {
        let info = self.tape.node(node);
        let cotangent = self.cotangent(&info);
        let mut values = self.values(&info, view.shared);
        let weigh: Vec<Tensor<T>> =
            values.iter().enumerate().map(|(i, x)| direction(x.shape(), self.seed, i as u64 + 1)).collect();
        let weights = weigh.iter().flat_map(numbers).collect();
        let seen = Alone::with(self.tape, node, view.shared, |alone| {
            let tape = alone.tape;
            let seed = tape.leaf(cotangent.clone());
            let mut sum = tape.scalar(T::ZERO);
            for (&g, w) in alone.output.grad_from(seed, &alone.leaves).iter().zip(weigh) {
                sum = sum + (g * tape.constant(w)).sum();
            }
            let gradients = sum.backward();
            let gradients: Vec<_> = alone.leaves.iter().chain([&seed]).map(|&v| gradients.get(v)).collect();
            values.push(cotangent);
            let rounding = || rounding_alone(gradients.iter().zip(&values), &info);
            let rules = Rules { order: 2, rounding: &rounding, most: self.most(view.look) };
            inspect(&mut RuleAlone(alone), &values, weights, &gradients, rules, (view.look, self.seed))
        });
        self.sight(seen, &[])
    }

    fn sight(&self, seen: Result<Result<Seen, Invalid>, String>, gradients: &[Tensor<T>]) -> Sight<T> {
        match seen {
            Ok(Ok(Seen::Right)) => Sight::Right,
            Ok(Ok(Seen::Wrong(comparison))) => Sight::Wrong(Some((comparison, gradients.to_vec()))),
            Ok(Ok(Seen::Doubt(doubt))) => {
                if matches!(doubt, Doubt::Unsettled | Doubt::OutOfRange) {
                    self.doubt.borrow_mut().get_or_insert(doubt);
                }
                Sight::Right
            }
            // A rule whose terms have other shapes at other values is as wrong as one that panics.
            Ok(Err(_)) => Sight::Wrong(None),
            Err(message) => Sight::Panics(message),
        }
    }

    /// Whether the op gives its value again: a sweep runs a region a second time, and an op may count its calls.
    fn recompute(&self, node: usize) -> Sight<T> {
        let info = self.tape.node(node);
        let values = self.values(&info, false);
        let again = Alone::with(self.tape, node, false, |alone| [(); 3].map(|()| alone.value(&values)));
        let other = again.ok().and_then(|again| again.into_iter().find(|value| differ(value, &info.value)));
        other.map_or(Sight::Right, |other| {
            let apart = numbers(&other).into_iter().zip(numbers(&info.value)).map(|(a, b)| (a - b).abs());
            Sight::Unsteady(apart.fold(0.0, f64::max))
        })
    }

    /// Whether the rule is finite where the inputs and the value are.
    fn finite(&self, node: usize) -> Sight<T> {
        let info = self.tape.node(node);
        let is_finite = |x: &Tensor<T>| numbers(x).into_iter().all(f64::is_finite);
        let rule = self.rule(node, false).unwrap_or_default();
        let broken = rule.iter().any(|x| !is_finite(x));
        let whole = is_finite(&info.value) && self.values(&info, false).iter().all(is_finite);
        if broken && whole { Sight::NotFinite } else { Sight::Right }
    }

    fn pattern(
        &self,
        info: &NodeInfo<T>,
        view: View,
        comparison: &Comparison,
        gradients: &[Tensor<T>],
    ) -> Option<Pattern> {
        let (input, _) = comparison.worst.as_ref()?.place?;
        if view.shared {
            return Some(Pattern::SameVariable);
        }
        if view.order > 1 {
            return None;
        }
        let values = self.values(info, false);
        let grid = |x: &Tensor<T>| Grid { shape: x.shape().to_vec(), data: numbers(x) };
        let numeric = values.iter().zip(&comparison.numeric);
        let evidence = Evidence {
            analytic: gradients.iter().map(grid).collect(),
            numeric: numeric.map(|(x, data)| Grid { shape: x.shape().to_vec(), data: data.clone() }).collect(),
            inputs: values.iter().map(grid).collect(),
            output: grid(&info.value),
            cotangent: grid(&self.cotangent(info)),
        };
        guess(&evidence, input)
    }

    /// An entry with the number of its input, or those of all inputs that are this variable.
    fn named(&self, found: &Found, info: &NodeInfo<T>, view: View) -> Entry {
        let places = Self::places(info, view.shared);
        let name = |&place: &usize| {
            let same =
                (0..info.inputs.len()).filter(|&i| i == place || view.shared && info.inputs[i] == info.inputs[place]);
            same.map(|i| i.to_string()).collect::<Vec<_>>().join(" and ")
        };
        let names: Vec<String> = places.iter().map(name).chain(["cotangent".to_owned()]).collect();
        let mut shapes: Vec<_> = self.values(info, view.shared).iter().map(|x| x.shape().to_vec()).collect();
        shapes.push(info.value.shape().to_vec());
        entry::<T>(found, &names, &shapes, view.order)
    }
}

/// The rounding inside of an op: its inputs are exact, but what it computes of them is as large as they are.
fn rounding_alone<'a, T: Scalar>(
    pairs: impl Iterator<Item = (&'a Tensor<T>, &'a Tensor<T>)>,
    info: &NodeInfo<T>,
) -> Rounding {
    let (mut effects, mut own) = (Rounding::default(), Rounding::default());
    pairs.for_each(|(cotangent, value)| effects.add(cotangent, value));
    own.add(&info.value, &info.value);
    Rounding { largest: own.largest, ..effects }
}
