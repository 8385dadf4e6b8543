//! Where a wrong gradient comes from: every node of the tape is checked alone, at the values it had.

use std::collections::BTreeMap;

use super::differences::{Comparison, Found, Outcome, Prober, Rules, entries, numbers, projection};
use super::objective::{Objective, Subject, direction, gradients_of};
use super::pattern::{Evidence, Grid, Pattern, guess};
use super::report::{Culprit, Entry, Invalid, OffTape, Suspect};
use super::run::{catch, entry, rounding_of};
use crate::scope::within;
use crate::tape::{NodeInfo, Tape};
use crate::{Scalar, Tensor, Var};

/// Entries of one input of an op that are compared at most, to find its worst.
const MOST_ENTRIES: usize = 2048;

/// Looks for the origin of what is wrong at `order` of `f`.
pub(super) fn find<T: Scalar>(objective: &Objective<'_, T>, order: usize, seed: u64, inputs: &[Tensor<T>]) -> Culprit {
    let tape = Tape::new();
    let roots = match catch(|| objective.record_before(&tape, inputs)) {
        Ok(roots) => roots.into_iter().map(Var::position).collect::<Vec<_>>(),
        // The reverse pass below the order in question fails already: what stands on the tape until then is looked at.
        Err(_) => (0..tape.len()).collect(),
    };
    let nodes = ancestors(&tape, &roots);
    let walk = Walk { tape: &tape, nodes, seed };
    walk.first_order()
        .or_else(|| walk.second_order())
        .map(Culprit::Op)
        .or_else(|| walk.off_tape(objective, order, inputs).map(Culprit::OffTape))
        .or_else(|| walk.off_tape_inside().map(Culprit::OffTape))
        .unwrap_or(Culprit::Unknown)
}

/// The nodes with an op that the roots are computed from, ascending.
fn ancestors<T: Scalar>(tape: &Tape<T>, roots: &[usize]) -> Vec<usize> {
    let mut needed = vec![false; tape.len()];
    roots.iter().for_each(|&root| needed[root] = true);
    let mut nodes = Vec::new();
    for index in (0..tape.len()).rev().filter(|&i| tape.is_tracked(i as u32)) {
        let arity = tape.arity(index as u32);
        if needed[index] && arity > 0 {
            (0..arity).for_each(|i| needed[tape.input_of(index as u32, i) as usize] = true);
            nodes.push(index);
        }
    }
    nodes.reverse();
    nodes
}

/// What a rule gave for a node alone, or the message it panicked with.
type Alone<T> = Result<Vec<Tensor<T>>, String>;

struct Walk<'a, T: Scalar> {
    tape: &'a Tape<T>,
    nodes: Vec<usize>,
    seed: u64,
}

/// What a node alone looks like.
enum Sight<T: Scalar> {
    Right,
    /// The comparison, and what the rule gave.
    Wrong(Option<(Box<Comparison>, Vec<Tensor<T>>)>),
    Panics(String),
}

impl<T: Scalar> Walk<'_, T> {
    /// Each rule against differences of its own value.
    fn first_order(&self) -> Option<Suspect> {
        // All rules before any value: an op that keeps something from its last value must not be helped by ours.
        let rules: Vec<Alone<T>> = self.nodes.iter().map(|&node| self.rule(node)).collect();
        self.suspect(1, |place| match &rules[place] {
            Err(message) => Sight::Panics(message.clone()),
            Ok(gradients) => self.compare(self.nodes[place], gradients),
        })
    }

    /// Each rule as a function of the inputs and the cotangent: its own derivative against its own differences.
    fn second_order(&self) -> Option<Suspect> {
        self.suspect(2, |place| self.compare_rule(self.nodes[place]))
    }

    /// The first node that looks wrong, and how many of its name do.
    fn suspect(&self, order: usize, look: impl Fn(usize) -> Sight<T>) -> Option<Suspect> {
        let mut first: Option<Suspect> = None;
        let mut wrong: BTreeMap<&'static str, usize> = BTreeMap::new();
        for place in 0..self.nodes.len() {
            let sight = look(place);
            if matches!(sight, Sight::Right) {
                continue;
            }
            let info = self.tape.node(self.nodes[place]);
            *wrong.entry(info.name).or_default() += 1;
            if first.is_none() {
                let region = self.tape.has_region(info.index);
                first = if region { self.inside(&info) } else { Some(self.describe(order, info, sight)) };
            }
        }
        first.map(|suspect| {
            let nodes = wrong.get(suspect.op).copied().unwrap_or(suspect.nodes); // those of a region are counted there
            Suspect { nodes, examined: suspect.examined + self.nodes.len(), ..suspect }
        })
    }

    /// The first op at fault within a region that the sweep runs again: the rule of such a node is a sweep over others, and
    /// never wrong by itself.
    fn inside(&self, info: &NodeInfo<T>) -> Option<Suspect> {
        let look = |tape: &Tape<T>, root: Var<'_, T>| {
            let walk = Walk { tape, nodes: ancestors(tape, &[root.position()]), seed: self.seed };
            walk.first_order().or_else(|| walk.second_order())
        };
        let suspect = catch(|| self.tape.with_region(info.index as u32, &self.values(info), look)).ok()???;
        Some(Suspect { node: info.index, scope: within(&info.scope, &suspect.scope), ..suspect })
    }

    fn describe(&self, order: usize, info: NodeInfo<T>, sight: Sight<T>) -> Suspect {
        let (mut worst, mut pattern, mut panic) = (None, None, None);
        match sight {
            Sight::Panics(message) => {
                // The words of `Term::check`.
                pattern = message.contains("the rule for input").then_some(Pattern::WrongShape);
                panic = Some(message);
            }
            Sight::Wrong(Some((comparison, gradients))) => {
                let shapes = self.shapes(&info, order);
                worst = comparison.worst.as_ref().map(|found| named(found, &shapes, &info, order));
                pattern = self.pattern(&info, order, &comparison, &gradients);
            }
            _ => {}
        }
        let (node, op, scope, location) = (info.index, info.name, info.scope, info.location);
        Suspect { node, op, scope, location, worst, pattern, panic, nodes: 1, examined: 0 }
    }

    /// The shapes of what a rule is differentiated by: the inputs, and at the second order the cotangent.
    fn shapes(&self, info: &NodeInfo<T>, order: usize) -> Vec<Vec<usize>> {
        let mut shapes: Vec<_> = info.inputs.iter().map(|&i| self.tape.node(i).value.shape().to_vec()).collect();
        if order > 1 {
            shapes.push(info.value.shape().to_vec());
        }
        shapes
    }

    fn values(&self, info: &NodeInfo<T>) -> Vec<Tensor<T>> {
        info.inputs.iter().map(|&i| self.tape.node(i).value).collect()
    }

    fn cotangent(&self, info: &NodeInfo<T>) -> Tensor<T> {
        direction(info.value.shape(), self.seed, 1 << 40)
    }

    /// What the rule of `node` gives at the values on the tape.
    fn rule(&self, node: usize) -> Alone<T> {
        let info = self.tape.node(node);
        self.isolated(node, |_, inputs, output| gradients_of(output, self.cotangent(&info), inputs))
    }

    /// Calls `f` with the op of `node` on a tape of its own.
    fn isolated<R>(&self, node: usize, f: impl FnOnce(&Tape<T>, &[Var<'_, T>], Var<'_, T>) -> R) -> Result<R, String> {
        let alone = Tape::new();
        let (inputs, output) = alone.borrow_op(self.tape, node).expect("nodes that are examined have an op");
        let result = catch(|| f(&alone, &inputs, output));
        alone.return_op(output, self.tape, node);
        result
    }

    fn compare(&self, node: usize, gradients: &[Tensor<T>]) -> Sight<T> {
        let info = self.tape.node(node);
        let (values, weights) = (self.values(&info), numbers(&self.cotangent(&info)));
        let compared = self.isolated(node, |tape, _, output| {
            let rounding = || rounding_of(values.iter().chain([&info.value]));
            let rules = Rules { order: 1, rounding: &rounding, most: MOST_ENTRIES };
            inspect(&mut ValueAlone { tape, output }, &values, weights, gradients, rules, self.seed)
        });
        seen(compared, gradients)
    }

    fn compare_rule(&self, node: usize) -> Sight<T> {
        let info = self.tape.node(node);
        let cotangent = self.cotangent(&info);
        let mut values = self.values(&info);
        let weigh: Vec<Tensor<T>> =
            values.iter().enumerate().map(|(i, x)| direction(x.shape(), self.seed, i as u64 + 1)).collect();
        let weights = weigh.iter().flat_map(numbers).collect();
        let compared = self.isolated(node, |tape, inputs, output| {
            let seed = tape.leaf(cotangent.clone());
            let mut sum = tape.scalar(T::ZERO);
            for (&g, w) in output.grad_from(seed, inputs).iter().zip(weigh) {
                sum = sum + (g * tape.constant(w)).sum();
            }
            let gradients = sum.backward();
            let gradients: Vec<_> = inputs.iter().chain([&seed]).map(|&v| gradients.get(v)).collect();
            values.push(cotangent);
            let mut rule = RuleAlone { tape, inputs, output };
            let rounding = || rounding_of(values.iter().chain([&info.value]));
            let rules = Rules { order: 2, rounding: &rounding, most: MOST_ENTRIES };
            inspect(&mut rule, &values, weights, &gradients, rules, self.seed)
        });
        seen(compared, &[])
    }

    fn pattern(
        &self,
        info: &NodeInfo<T>,
        order: usize,
        comparison: &Comparison,
        gradients: &[Tensor<T>],
    ) -> Option<Pattern> {
        let (input, _) = comparison.worst.as_ref()?.place?;
        if order > 1 {
            return None;
        }
        let values = self.values(info);
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

    /// The first constant that changes when the inputs do.
    fn off_tape(&self, objective: &Objective<'_, T>, order: usize, inputs: &[Tensor<T>]) -> Option<OffTape> {
        let function = {
            let tape = Tape::new();
            objective.at_order(1).record_before(&tape, inputs);
            tape.len()
        };
        let moved: Vec<Tensor<T>> = inputs.iter().enumerate().map(|(i, x)| nudged(x, self.seed, i as u64)).collect();
        let (here, there) = (Tape::new(), Tape::new());
        let objective = objective.at_order(order);
        catch(|| (objective.record(&here, inputs), objective.record(&there, &moved))).ok()?;
        let changed = |i: &usize| {
            let (a, b) = (here.node(*i), there.node(*i));
            here.arity(*i as u32) == 0 && a.value.shape() == b.value.shape() && differ(&a.value, &b.value)
        };
        let node = (inputs.len()..here.len().min(there.len())).find(changed)?;
        let location = here.node(node).location;
        let rule_of = if node < function { None } else { self.recorder_of(location) };
        Some(OffTape { node, location, rule_of })
    }

    /// The first constant within a region that changes when the region's inputs do.
    fn off_tape_inside(&self) -> Option<OffTape> {
        let mut regions = self.nodes.iter().filter(|&&node| self.tape.has_region(node));
        regions.find_map(|&node| {
            let values = self.values(&self.tape.node(node));
            let moved: Vec<_> = values.iter().enumerate().map(|(i, x)| nudged(x, self.seed, i as u64)).collect();
            let constants = |inputs: &[Tensor<T>]| {
                let list = |tape: &Tape<T>, _: Var<'_, T>| {
                    let recorded = (inputs.len()..tape.len()).map(|i| tape.node(i));
                    recorded.filter(|info| info.inputs.is_empty()).collect::<Vec<_>>()
                };
                catch(|| self.tape.with_region(node as u32, inputs, list)).ok().flatten()
            };
            let (here, there) = (constants(&values)?, constants(&moved)?);
            let changed =
                |(a, b): &(NodeInfo<T>, NodeInfo<T>)| a.value.shape() == b.value.shape() && differ(&a.value, &b.value);
            let (found, _) = here.into_iter().zip(there).find(changed)?;
            Some(OffTape { node, location: found.location, rule_of: None })
        })
    }

    /// The first op whose rule records a constant at that line.
    fn recorder_of(&self, location: &'static std::panic::Location<'static>) -> Option<&'static str> {
        let records = |&&node: &&usize| {
            let cotangent = self.cotangent(&self.tape.node(node));
            let found = self.isolated(node, |tape, inputs, output| {
                let before = tape.len();
                output.grad_from(tape.leaf(cotangent), inputs);
                (before..tape.len()).any(|i| tape.arity(i as u32) == 0 && tape.node(i).location == location)
            });
            found.unwrap_or(false)
        };
        self.nodes.iter().find(records).map(|&node| self.tape.node(node).name)
    }
}

/// The value of an op that stands alone.
struct ValueAlone<'a, T: Scalar> {
    tape: &'a Tape<T>,
    output: Var<'a, T>,
}

impl<T: Scalar> Subject<T> for ValueAlone<'_, T> {
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        let inputs: Vec<&Tensor<T>> = inputs.iter().collect();
        let value = forward(self.tape, self.output, &inputs);
        *out = value.to_vec();
        Ok(())
    }
}

/// The rule of an op that stands alone, as a function of the inputs and the cotangent.
struct RuleAlone<'a, T: Scalar> {
    tape: &'a Tape<T>,
    inputs: &'a [Var<'a, T>],
    output: Var<'a, T>,
}

impl<T: Scalar> Subject<T> for RuleAlone<'_, T> {
    fn evaluate(&mut self, inputs: &[Tensor<T>], out: &mut Vec<T>) -> Result<(), Invalid> {
        let (cotangent, values) = inputs.split_last().expect("the cotangent is the last");
        for (&v, value) in self.inputs.iter().zip(values) {
            self.tape.set_value(v, value.clone());
        }
        let values: Vec<&Tensor<T>> = values.iter().collect();
        let value = forward(self.tape, self.output, &values);
        self.tape.set_value(self.output, value);
        out.clear();
        for gradient in gradients_of(self.output, cotangent.clone(), self.inputs) {
            out.extend(gradient.to_vec());
        }
        Ok(())
    }
}

/// The value of the op of `output` at other inputs.
fn forward<T: Scalar>(tape: &Tape<T>, output: Var<'_, T>, inputs: &[&Tensor<T>]) -> Tensor<T> {
    tape.ops()[output.position()].as_ref().expect("a node that stands alone has its op").forward(inputs)
}

/// One direction first; every entry if that one disagrees or cannot tell.
fn inspect<T: Scalar>(
    subject: &mut dyn Subject<T>,
    inputs: &[Tensor<T>],
    weights: Vec<f64>,
    gradients: &[Tensor<T>],
    rules: Rules<'_>,
    seed: u64,
) -> Result<Option<Box<Comparison>>, Invalid> {
    let mut prober = Prober::new(subject, inputs, weights)?;
    let (outcome, ..) = projection(&mut prober, gradients, seed, rules)?;
    if outcome == Outcome::Right {
        return Ok(None);
    }
    let names: Vec<String> = (0..inputs.len()).map(|i| i.to_string()).collect();
    let compared = entries(&mut prober, gradients, &names, rules)?;
    // Where not every entry could be compared, the direction decides.
    let some_left_out = inputs.iter().any(|x| x.len() > rules.most);
    let wrong = compared.outcome == Outcome::Wrong || (some_left_out && outcome == Outcome::Wrong);
    Ok(wrong.then(|| Box::new(compared)))
}

fn seen<T: Scalar>(
    compared: Result<Result<Option<Box<Comparison>>, Invalid>, String>,
    gradients: &[Tensor<T>],
) -> Sight<T> {
    match compared {
        Ok(Ok(Some(comparison))) => Sight::Wrong(Some((comparison, gradients.to_vec()))),
        Ok(Ok(None)) => Sight::Right,
        // A rule whose terms have other shapes at other values is as wrong as one that panics.
        Ok(Err(_)) => Sight::Wrong(None),
        Err(message) => Sight::Panics(message),
    }
}

fn named<T: Scalar>(found: &Found, shapes: &[Vec<usize>], info: &NodeInfo<T>, order: usize) -> Entry {
    let names: Vec<String> = (0..shapes.len())
        .map(|i| if i == info.inputs.len() { "cotangent".to_owned() } else { i.to_string() })
        .collect();
    entry::<T>(found, &names, shapes, order)
}

/// Every number a thousandth of its size away.
fn nudged<T: Scalar>(x: &Tensor<T>, seed: u64, stream: u64) -> Tensor<T> {
    let (u, x_numbers) = (direction::<f64>(x.shape(), seed, stream + 77).to_vec(), x.to_vec());
    Tensor::from_fn(x.shape(), |k| {
        let x = x_numbers[k].to_f64();
        T::from_f64(x + 1e-3 * u[k] * if x == 0.0 { 1.0 } else { x })
    })
}

/// Whether two values differ by more than rounding.
fn differ<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let apart = |(a, b): (f64, f64)| (a - b).abs() > 1e3 * T::EPSILON.to_f64() * a.abs().max(b.abs());
    numbers(a).into_iter().zip(numbers(b)).any(apart)
}
