//! Values that follow the inputs and came back to the tape as constants: what no rule can see.

use super::alone::{Alone, has_region, with_region};
use super::culprit::Walk;
use super::objective::{Objective, direction};
use super::prober::numbers;
use super::report::OffTape;
use super::run::catch;
use crate::tape::Tape;
use crate::{NodeInfo, Scalar, Tensor, Var};

impl<T: Scalar> Walk<'_, T> {
    /// The first constant that changes when the inputs do.
    pub(super) fn off_tape(&self, objective: &Objective<'_, T>, order: usize, inputs: &[Tensor<T>]) -> Option<OffTape> {
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
            a.inputs.is_empty() && a.value.shape() == b.value.shape() && differ(&a.value, &b.value)
        };
        let node = (inputs.len()..here.len().min(there.len())).find(changed)?;
        let location = here.node(node).location;
        let rule_of = if node < function { None } else { self.recorder_of(location) };
        Some(OffTape { node, location, rule_of })
    }

    /// The first constant within a region that changes when the region's inputs do.
    pub(super) fn off_tape_inside(&self) -> Option<OffTape> {
        let mut regions = self.nodes.iter().filter(|&&node| has_region(self.tape, node));
        regions.find_map(|&node| {
            let values = self.values(&self.tape.node(node), false);
            let moved: Vec<_> = values.iter().enumerate().map(|(i, x)| nudged(x, self.seed, i as u64)).collect();
            let constants = |inputs: &[Tensor<T>]| {
                let list = |tape: &Tape<T>, _: Var<'_, T>| {
                    let recorded = (inputs.len()..tape.len()).map(|i| tape.node(i));
                    recorded.filter(|info| info.inputs.is_empty()).collect::<Vec<_>>()
                };
                catch(|| with_region(self.tape, node, inputs, list)).ok().flatten()
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
            let found = Alone::with(self.tape, node, false, |alone| {
                let (tape, before) = (alone.tape, alone.tape.len());
                alone.output.grad_from(tape.leaf(cotangent), &alone.leaves);
                (before..tape.len()).any(|i| tape.node(i).inputs.is_empty() && tape.node(i).location == location)
            });
            found.unwrap_or(false)
        };
        self.nodes.iter().find(records).map(|&node| self.tape.node(node).name)
    }
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
pub(super) fn differ<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let apart = |(a, b): (f64, f64)| (a - b).abs() > 1e3 * T::EPSILON.to_f64() * a.abs().max(b.abs());
    numbers(a).into_iter().zip(numbers(b)).any(apart)
}
